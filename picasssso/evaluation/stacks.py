"""Maps of many galaxies as plain arrays, and derived quantities."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np
import numpy.typing as npt

from picasssso.exceptions import InvalidInputError
from picasssso.maps.arrays import PERCENTILES
from picasssso.properties import PROPERTIES, Property

if TYPE_CHECKING:
    from picasssso.maps import PropertyMaps

FloatArray = npt.NDArray[np.floating]

_SURFACE_MASS = u.Msun / u.kpc**2

#: Quantities made from several maps, among them those that Buck & Wolf (2021) predict.
DERIVED: Mapping[str, Property] = MappingProxyType(
    {
        definition.name: definition
        for definition in (
            Property(
                "stellar_metal_mass", _SURFACE_MASS, "surface_density", None,
                "stellar metal mass", "stellar mass times stellar metallicity",
            ),
            Property(
                "gas_metal_mass", _SURFACE_MASS, "surface_density", None,
                "gas metal mass", "gas mass times gas metallicity",
            ),
            Property(
                "total_metal_mass", _SURFACE_MASS, "surface_density", None,
                "total metal mass", "metals in stars and in gas",
            ),
            Property(
                "specific_sfr", 1 / u.yr, "intensive", "stellar_mass",
                "specific star formation rate", "star formation rate over stellar mass",
            ),
        )
    }
)  # fmt: skip


def as_array(values: Any) -> npt.NDArray[Any]:
    """Return a tensor on any device, or an array-like object, as an ndarray."""
    if hasattr(values, "detach"):
        values = values.detach().cpu()
        if values.is_floating_point() and values.element_size() < 4:
            values = values.float()  # numpy knows no bfloat16
        values = values.numpy()
    return np.asarray(values)


def log10_positive(values: Any, dtype: Any = np.float64) -> FloatArray:
    """Return logarithms; NaN of what is not positive."""
    array = np.asarray(as_array(values), dtype)
    return np.log10(np.where(array > 0, array, np.nan))


@dataclass(frozen=True, eq=False)
class MapStack:
    """Maps of many galaxies of one size, as plain arrays in the properties' units."""

    values: Mapping[str, Any]
    percentiles: Mapping[str, Any] = field(default_factory=dict)
    definitions: Mapping[str, Property] = field(default_factory=dict)

    def __post_init__(self) -> None:
        values = {name: as_array(array) for name, array in self.values.items()}
        percentiles = {name: as_array(array) for name, array in self.percentiles.items()}
        if not values:
            raise InvalidInputError("A stack of maps needs at least one property; got none.")
        known = {**PROPERTIES, **DERIVED, **self.definitions}
        unknown = [name for name in values if name not in known]
        if unknown:
            raise InvalidInputError(
                f"Unknown propert{'y' if len(unknown) == 1 else 'ies'} {', '.join(unknown)}: "
                f"expected some of {', '.join(known)}, or a definition for each."
            )
        shape = next(iter(values.values())).shape
        for name, array in values.items():
            if array.ndim != 3 or array.shape != shape:
                raise InvalidInputError(
                    f"The maps of {name!r} have shape {array.shape}: expected (n, y, x), the "
                    f"same for all properties; the first has {shape}."
                )
        wanted = (shape[0], len(PERCENTILES), *shape[1:])
        for name, array in percentiles.items():
            if name not in values or array.shape != wanted:
                raise InvalidInputError(
                    f"The percentiles of {name!r} have shape {array.shape}: expected {wanted}, "
                    "for a property that has values."
                )
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "percentiles", percentiles)
        object.__setattr__(self, "definitions", {name: known[name] for name in values})

    def __len__(self) -> int:
        return len(next(iter(self.values.values())))

    @property
    def shape(self) -> tuple[int, int]:
        """Shape ``(y, x)`` of the maps."""
        return next(iter(self.values.values())).shape[1:]

    @classmethod
    def from_maps(cls, maps: Iterable[PropertyMaps]) -> MapStack:
        """Make a stack of `~picasssso.maps.PropertyMaps` of one shape."""
        galaxies = list(maps)
        if not galaxies:
            raise InvalidInputError("Expected at least one PropertyMaps; got none.")
        names = [name for name in galaxies[0] if all(name in other for other in galaxies)]
        shapes = {other.shape for other in galaxies}
        if len(shapes) > 1:
            raise InvalidInputError(
                f"The maps have different shapes, {sorted(shapes)}: make a stack of each."
            )
        values, percentiles = {}, {}
        for name in names:
            planes = np.stack([m._planes(name).percentiles for m in galaxies])
            percentiles[name] = planes
            if galaxies[0].definition(name).is_surface_density:
                values[name] = np.stack([m.mean(name).value for m in galaxies])
            else:
                values[name] = planes[:, PERCENTILES.index(50.0)]
        return cls(values, percentiles, {name: galaxies[0].definition(name) for name in names})

    def select(self, galaxies: slice | npt.NDArray[Any]) -> MapStack:
        """Return some of the galaxies."""
        return replace(
            self,
            values={name: array[galaxies] for name, array in self.values.items()},
            percentiles={name: array[galaxies] for name, array in self.percentiles.items()},
        )

    def with_derived(self) -> MapStack:
        """Return the stack with the quantities of `DERIVED` that can be made."""
        values = {name: array for name, array in self.values.items() if name not in DERIVED}
        for kind in ("stellar", "gas"):
            mass, metals = values.get(f"{kind}_mass"), values.get(f"{kind}_metallicity")
            if mass is not None and metals is not None:
                # Where there is no mass, there are no metals, whatever their fraction.
                values[f"{kind}_metal_mass"] = np.where(mass == 0, 0.0, mass * metals)
        parts = [values.get(f"{kind}_metal_mass") for kind in ("stellar", "gas")]
        if parts[0] is not None and parts[1] is not None:
            values["total_metal_mass"] = parts[0] + parts[1]
        mass, rate = values.get("stellar_mass"), values.get("sfr")
        if mass is not None and rate is not None:
            with np.errstate(divide="ignore", invalid="ignore"):
                ratio = rate / mass
            values["specific_sfr"] = np.where(np.isfinite(ratio), ratio, np.nan)
        return replace(self, values=values)

    def with_oracle_mask(self, truth: MapStack) -> MapStack:
        """Return the stack with zeros where the truth is zero, as in the paper.

        No real galaxy comes with such a mask; figures made with it are for comparison with
        those of Buck & Wolf (2021) only.
        """
        values = {}
        for name, array in self.values.items():
            if name in DERIVED:
                continue
            values[name] = array
            if name in truth.values:
                empty = ~(truth.values[name] > 0)
                density = self.definitions[name].is_surface_density
                values[name] = np.where(empty, 0.0 if density else np.nan, array)
        masked = replace(self, values=values)
        return masked.with_derived() if any(name in DERIVED for name in self.values) else masked


def check_resolutions(truth: float | None, estimate: float | None) -> None:
    """Raise an error for maps with different stated resolutions, FWHM in arcsec or None."""
    if truth is None or estimate is None:
        return
    if abs(truth - estimate) > 0.1 * max(truth, estimate):
        raise InvalidInputError(
            f"The truth holds at a resolution of {truth:.3g} arcsec (FWHM), the estimate at "
            f"{estimate:.3g}: expected the same. Bring them to one resolution, or give "
            "any_resolution=True to compare them as they are."
        )
