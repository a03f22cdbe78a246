"""What an estimator gives, needs and can do: the facts that the base class works by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from picasssso.exceptions import InvalidInputError, InvalidTypeError
from picasssso.properties import Property


@dataclass(frozen=True, kw_only=True)
class EstimatorTags:
    """Output and requirements of an estimator; everything but ``properties`` has a default.

    Parameters
    ----------
    properties : tuple of str
        Names of the properties estimated, in the order of the maps.
    definitions : mapping of str to `~picasssso.properties.Property`, optional
        Definitions of properties that are not built in; they are stored in files.
    minimum_bands : int, optional
        A pixel with fewer valid bands is masked.
    needs_uncertainty : bool, optional
        Whether every band must have an uncertainty; if not, inverse variances are NaN in bands
        without one.
    supports_samples : bool, optional
        Whether joint posterior samples can be drawn.
    assumes_common_psf : bool, optional
        Whether all bands are assumed to have the same PSF; if they do not, pixels are flagged
        PSF_MISMATCH.
    models_stars_only : bool, optional
        Whether only stars are modeled, so that bands beyond 3 um in the rest frame, where dust
        emits, raise a warning.
    needs_noise_level : bool, optional
        Whether the median noise of the whole image is needed
        (`~picasssso.estimators.EstimationContext`).
    shift_tolerance : float, optional
        Largest difference of medians between estimating a slice and slicing an estimate where
        the slice does not start on a multiple of ``stride``, relative to the value or to the
        95 % range, whichever is larger, in all but one pixel in a hundred. If 0, all is the
        same.

    Raises
    ------
    InvalidInputError
        If ``properties`` is a string, or the name of a definition differs from its key.

    Examples
    --------
    >>> from picasssso.estimators import EstimatorTags
    >>> EstimatorTags(properties=("stellar_mass",), minimum_bands=2).needs_uncertainty
    True
    """

    properties: tuple[str, ...] = ()
    definitions: Mapping[str, Property] = field(default_factory=dict)
    minimum_bands: int = 1
    needs_uncertainty: bool = True
    supports_samples: bool = False
    assumes_common_psf: bool = True
    models_stars_only: bool = False
    needs_noise_level: bool = False
    shift_tolerance: float = 0.0

    def __post_init__(self) -> None:
        given: Any = self.properties
        if isinstance(given, str):
            raise InvalidInputError(
                f"properties={given!r}: expected a tuple of names, ({given!r},)."
            )
        object.__setattr__(self, "properties", tuple(self.properties))
        for name, definition in self.definitions.items():
            if definition.name != name:
                raise InvalidInputError(
                    f"definitions[{name!r}] is called {definition.name!r}: expected the same name."
                )


_TAGS = tuple(entry.name for entry in fields(EstimatorTags))
#: Hooks by the names that they had before they were public.
_FORMER_HOOKS = {
    "_bytes_per_pixel": "bytes_per_pixel",
    "_check_images": "check_images",
    "_describe": "describe",
    "_model_properties": "model_properties",
    "_review": "review",
    "_shared_error": "shared_error",
}


def take_former_names(cls: Any) -> None:
    """Put class attributes that tags once were into ``tags``, and hooks under their names."""
    stated = {name: vars(cls)[name] for name in _TAGS if name in vars(cls)}
    computed = [name for name, value in stated.items() if isinstance(value, property)]
    if computed or (stated and not isinstance(cls.tags, EstimatorTags)):
        names = ", ".join(computed or stated)
        raise InvalidTypeError(
            f"{cls.__name__} states {names} by itself: expected them in its tags, as in "
            "'tags = EstimatorTags(properties=(\"stellar_mass\",))', or in a Python property "
            "'tags' where they depend on parameters."
        )
    for name in stated:
        delattr(cls, name)
    if stated:
        cls.tags = replace(cls.tags, **stated)
    for former, name in _FORMER_HOOKS.items():
        if former in vars(cls):
            setattr(cls, name, vars(cls)[former])
