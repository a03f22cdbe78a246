"""The base class of everything that turns band images into property maps.

`PropertyMapEstimator.estimate` is concrete and the same for all: it selects the bands,
cuts the image into blocks, hands each to the subclass, keeps the cores, and wraps the
answer. A subclass implements two methods, `_select_bands` and `_estimate`.
"""

from __future__ import annotations

import abc
import inspect
import secrets
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np
import numpy.typing as npt

from picasssso._core.arguments import check_integer, check_memory
from picasssso._core.blocks import Block, choose_core_shape, count_blocks, iterate_blocks
from picasssso.estimators._assembly import MapAssembler, worst_noise_scaling
from picasssso.estimators._shared_errors import FluxShift
from picasssso.estimators.context import EstimationContext
from picasssso.estimators.tags import EstimatorTags, take_former_names
from picasssso.exceptions import (
    InvalidInputError,
    InvalidTypeError,
    MissingBandError,
    PicassssoWarning,
)
from picasssso.filters.curves import warn_beyond_stars
from picasssso.maps.arrays import PropertyArrays
from picasssso.maps.missing import TOLD
from picasssso.maps.notices import missing_notice
from picasssso.properties import Property

if TYPE_CHECKING:
    from astropy.nddata import CCDData

    from picasssso.bands import BandImages
    from picasssso.maps import PropertyMaps

FloatArray = npt.NDArray[np.floating]


class PropertyMapEstimator(abc.ABC):
    """Turns images of a galaxy in several bands into maps of physical properties.

    A subclass stores its keyword-only parameters exactly as passed, under their own
    names, and implements `_select_bands` and `_estimate`. Attributes learned from data end in an
    underscore. Everything else (blocks, masks, units, coordinates, metadata) is done here.

    See Also
    --------
    picasssso.testing.parametrize_with_checks : Tests that every estimator passes.

    Examples
    --------
    An estimator that paints one solar mass per nanomaggy and square kiloparsec:

    >>> import numpy as np
    >>> from picasssso.estimators import EstimatorTags, PropertyMapEstimator
    >>> from picasssso.maps import PropertyArrays
    >>> class Naive(PropertyMapEstimator):
    ...     tags = EstimatorTags(properties=("stellar_mass",))
    ...     def _select_bands(self, available):
    ...         return tuple(available)[:1]
    ...     def _estimate(self, flux, inverse_variance, context):
    ...         with np.errstate(divide="ignore"):
    ...             sigma = 1 / np.sqrt(inverse_variance[0])
    ...         return {"stellar_mass": PropertyArrays.from_normal(flux[0], sigma)}
    >>> Naive()
    Naive()
    """

    #: What it gives and needs. A Python property where that depends on the parameters.
    tags: EstimatorTags = EstimatorTags()
    #: Bytes that one block may take while it is worked on.
    memory_budget: int = 512 * 2**20

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        take_former_names(cls)

    @property
    def properties(self) -> tuple[str, ...]:
        """Names of the properties estimated, in the order of the maps (tuple of str)."""
        return self.tags.properties

    @property
    def definitions(self) -> Mapping[str, Property]:
        """Definitions of properties that are not built in, by name (mapping)."""
        return self.tags.definitions

    # ---- what a subclass implements -------------------------------------------------

    @abc.abstractmethod
    def _select_bands(self, available: tuple[str, ...]) -> tuple[str, ...]:
        """Choose the bands to use."""

    @abc.abstractmethod
    def _estimate(
        self, flux: FloatArray, inverse_variance: FloatArray, context: EstimationContext
    ) -> dict[str, PropertyArrays]:
        """Estimate one block: a pure function of its arguments and the parameters.

        ``flux``: flux per pixel, nmgy; 0 where not valid; ``inverse_variance``: its inverse
        variance, nmgy^-2; 0 where not valid, NaN in a band without uncertainty (only if
        ``tags.needs_uncertainty`` is False).
        """

    def _estimate_shifted(
        self,
        flux: FloatArray,
        inverse_variance: FloatArray,
        context: EstimationContext,
        shifts: Sequence[FluxShift],
    ) -> tuple[dict[str, PropertyArrays], dict[str, dict[str, FloatArray]] | None]:
        """Estimate one block, and how central values move by errors that all pixels share.

        Returns the changes by error and property; None for estimating once more for each.
        """
        return self._estimate(flux, inverse_variance, context), None

    def _cheaper(self) -> PropertyMapEstimator:
        """Return an estimator that moves by the same with the fluxes, itself by default."""
        return self

    # ---- what a subclass may override -----------------------------------------------

    @property
    def receptive_field(self) -> int | None:
        """Farthest pixel, along an axis, that can change an output pixel.

        0 for an estimator that works pixel by pixel, None if the whole image matters.
        """
        return 0

    @property
    def stride(self) -> int:
        """Grid, in pixels, on which the estimator is exactly shift-equivariant."""
        return 1

    @property
    def model_properties(self) -> tuple[str, ...]:
        """Properties whose maps include the disagreement between codes (none by default).

        The values are the spread of published codes, stored as the systematic "models".
        """
        return ()

    def bytes_per_pixel(self, n_bands: int, n_samples: int) -> float:
        """Return the working memory needed per pixel of a block.

        Parameters
        ----------
        n_bands, n_samples : int
            Number of bands used and of joint samples.

        Returns
        -------
        float
            In bytes; blocks are chosen to stay within ``memory_budget``.
        """
        planes = 4 * n_bands + len(self.properties) * (16 + 2 * n_samples)
        return 4.0 * planes

    def shared_error(self, context: EstimationContext) -> Mapping[str, float]:
        """Return the error that all pixels share, such as that of a relation.

        Parameters
        ----------
        context : EstimationContext
            That of the whole image.

        Returns
        -------
        mapping of str to float
            Error in dex by property (none by default). It is added to totals and profiles;
            percentiles and samples must include it.
        """
        return {}

    def describe(self, context: EstimationContext) -> Mapping[str, Any]:
        """Return additional metadata of the maps: references, hashes, color terms.

        Parameters
        ----------
        context : EstimationContext
            That of the whole image.

        Returns
        -------
        mapping
            Entries for ``PropertyMaps.meta``, representable in JSON.
        """
        return {}

    def measure(self, images: BandImages, context: EstimationContext) -> tuple[float, ...]:
        """Measure quantities on the whole image before it is cut into blocks.

        Parameters
        ----------
        images : BandImages
            The images, of the bands used.
        context : EstimationContext
            That of the whole image.

        Returns
        -------
        tuple of float
            Values for ``context.statistics`` of every block (none by default).
        """
        return ()

    def check_images(self, images: BandImages) -> None:  # noqa: B027
        """Raise an error for images that the estimator cannot use (none by default).

        Parameters
        ----------
        images : BandImages
            The images, of the bands used.

        Raises
        ------
        InvalidInputError
            With what was found, what was expected and what to do.
        """

    def review(self, maps: PropertyMaps) -> None:  # noqa: B027
        """Warn about problems of the maps (none by default).

        Parameters
        ----------
        maps : PropertyMaps
            The estimated maps.
        """

    # ---- parameters -----------------------------------------------------------------

    @classmethod
    def _parameter_defaults(cls) -> dict[str, Any]:
        """Return the constructor's parameters and their defaults."""
        if cls.__init__ is object.__init__:
            return {}
        parameters = list(inspect.signature(cls.__init__).parameters.values())[1:]
        for parameter in parameters:
            if parameter.kind is not inspect.Parameter.KEYWORD_ONLY:
                raise InvalidTypeError(
                    f"{cls.__name__}.__init__ takes {str(parameter)!r}: expected keyword-only "
                    "parameters with names (no *args, no **kwargs), so that an estimator can be "
                    "rebuilt from get_params()."
                )
        return {parameter.name: parameter.default for parameter in parameters}

    def get_params(self) -> dict[str, Any]:
        """Return the parameters of this estimator.

        Returns
        -------
        dict
            Parameter values by name, exactly as they were passed:
            ``type(estimator)(**estimator.get_params())`` makes an equal one.
        """
        return {name: getattr(self, name) for name in self._parameter_defaults()}

    def __repr__(self) -> str:
        defaults = self._parameter_defaults()
        changed = [
            f"{name}={value!r}"
            for name, value in self.get_params().items()
            if value is not defaults[name] and repr(value) != repr(defaults[name])
        ]
        return f"{type(self).__name__}({', '.join(changed)})"

    def __getstate__(self) -> dict[str, Any]:
        """Keep parameters and learned state; drop caches, devices and compiled code."""
        learned = {k: v for k, v in vars(self).items() if k.endswith("_") and k[0] != "_"}
        return {"parameters": self.get_params(), "learned": learned}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state["parameters"])  # type: ignore[misc]
        vars(self).update(state["learned"])

    # ---- estimating -----------------------------------------------------------------

    def estimate(
        self,
        images: BandImages | Mapping[str, CCDData],
        *,
        redshift: float | None = None,
        n_samples: int = 0,
        seed: int | None = None,
        progress: bool | None = None,
    ) -> PropertyMaps:
        """Estimate property maps.

        Parameters
        ----------
        images : BandImages or mapping of str to `~astropy.nddata.CCDData`
            The images. A mapping is passed to `picasssso.BandImages`.
        redshift : float, optional
            Redshift of the galaxy; required for a mapping, not allowed with `BandImages`, which
            contain it.
        n_samples : int, optional
            Number of joint posterior samples to keep, in addition to the percentiles.
        seed : int, optional
            Seed of the samples; by default a random seed, which is recorded.
        progress : bool, optional
            Whether to show a progress bar on stderr. By default only on a terminal, and
            only if the image is cut into blocks.

        Returns
        -------
        PropertyMaps
            Maps on the pixel grid and WCS of the images.

        Raises
        ------
        MissingBandError
            If a band that the estimator needs is missing.
        InvalidInputError
            If the images cannot be used: no uncertainty, Galactic extinction that is known but
            not corrected, no redshift, or invalid for `picasssso.BandImages`.

        Warns
        -----
        PicassssoWarning
            If it is not known whether the images are corrected for Galactic extinction; if more
            than about 5 % of the target lies in pixels without data, unless `prepare` has said so.

        Examples
        --------
        >>> from picasssso import MassToLightEstimator
        >>> from picasssso.data import load_example
        >>> images, truth = load_example()
        >>> maps = MassToLightEstimator().estimate(images)
        >>> maps["stellar_mass"].unit
        Unit("solMass / kpc2")
        """
        images = self._as_band_images(images, redshift)
        n_samples, seed = self._check_sampling(n_samples, seed)
        bands = self._checked_bands(images)
        images = images.select(bands)
        self._check_room(images, n_samples)
        self._check_usable(images)
        context = self._make_context(images, n_samples, seed)
        assembler = MapAssembler(self, images, context)
        for block in self._progress_bar(self._blocks(images, n_samples), images, progress):
            flux, inverse_variance = images.to_arrays(block.padded)
            origin = (block.padded[0].start, block.padded[1].start)
            assembler.add(block, flux, inverse_variance, replace(context, origin=origin))
        maps = assembler.finish()
        self.review(maps)
        _warn_of_missing(maps, images)
        return maps

    def _as_band_images(
        self, images: BandImages | Mapping[str, CCDData], redshift: float | None
    ) -> BandImages:
        from picasssso.bands import BandImages

        if not isinstance(images, BandImages):
            return BandImages(images, redshift=redshift)
        if redshift is not None:
            raise InvalidInputError(
                f"redshift={redshift!r} was given with BandImages that have redshift "
                f"{images.redshift:g} already: leave it out, or use "
                f"images.replace(redshift={redshift!r})."
            )
        return images

    def _check_sampling(self, n_samples: int, seed: int | None) -> tuple[int, int]:
        n_samples = check_integer("n_samples", n_samples)
        if n_samples and not self.tags.supports_samples:
            raise InvalidInputError(
                f"n_samples={n_samples}: {type(self).__name__} has no joint samples; "
                "leave n_samples=0 and give total() a correlation= instead."
            )
        if seed is None:
            # Recorded in the maps, so that even an unseeded run can be repeated.
            seed = secrets.randbits(32) if n_samples else 0
        return n_samples, check_integer("seed", seed)

    def _check_room(self, images: BandImages, n_samples: int) -> None:
        """Refuse samples that no memory of this machine holds."""
        needed = 4 * n_samples * len(self.properties) * images.shape[0] * images.shape[1]
        check_memory(
            "n_samples",
            n_samples,
            needed,
            f"{len(self.properties)} maps of {images.shape[1]} x {images.shape[0]} pixels",
            "A hundred samples give errors of totals to 7 %; or cut out the galaxy.",
        )

    def _checked_bands(self, images: BandImages) -> tuple[str, ...]:
        bands = tuple(self._select_bands(images.bands))
        unknown = [band for band in bands if band not in images.bands]
        if unknown or not bands:
            raise MissingBandError(
                f"{type(self).__name__} selected the bands {bands} from {images.bands}: "
                "expected at least one, all of them available."
            )
        return bands

    def _check_usable(self, images: BandImages) -> None:
        self.check_images(images)
        self._check_uncertainty(images)
        extinction = images.galactic_extinction
        if extinction is None:
            warnings.warn(
                "Galactic extinction is unknown, so the images are taken to be corrected for it. "
                "State it: images.replace(galactic_extinction=GalacticExtinction(ebv=..., "
                "scale='SF11', applied=True)), with ebv=0 for images from outside the Galaxy.",
                PicassssoWarning,
                stacklevel=3,
            )
        elif not extinction.applied:
            raise InvalidInputError(
                f"Galactic extinction is known (E(B-V) = {extinction.ebv:g}) but not removed "
                "from the images: correct the fluxes and set applied=True in the "
                "GalacticExtinction record."
            )
        if self.tags.models_stars_only:
            warn_beyond_stars(images.bands, images.redshift)

    def _check_uncertainty(self, images: BandImages) -> None:
        if self.tags.needs_uncertainty and images.missing_uncertainty:
            raise InvalidInputError(
                f"{type(self).__name__} needs an uncertainty in every band that it uses, but "
                f"{', '.join(images.missing_uncertainty)} "
                f"{'has' if len(images.missing_uncertainty) == 1 else 'have'} none: attach one to "
                "each CCDData, or use images.with_estimated_noise()."
            )

    def _blocks(self, images: BandImages, n_samples: int) -> tuple[Iterable[Block], int]:
        """Return the blocks and how many there are."""
        shape, stride = images.shape, self.stride
        if self.receptive_field is None:
            core_shape, halo = shape, 0
        else:
            halo = self.receptive_field
            core_shape = choose_core_shape(
                shape,
                halo=halo,
                stride=stride,
                bytes_per_pixel=self.bytes_per_pixel(len(images.bands), n_samples),
                memory_budget=self.memory_budget,
            )
        blocks = iterate_blocks(shape, core_shape=core_shape, halo=halo, stride=stride)
        return blocks, count_blocks(shape, core_shape, stride)

    def _progress_bar(
        self, blocks: tuple[Iterable[Block], int], images: BandImages, progress: bool | None
    ) -> Iterable[Block]:
        iterator, number = blocks
        if progress is False or (progress is None and number == 1):
            return iterator
        from tqdm.auto import tqdm

        return tqdm(
            iterator,
            total=number,
            desc=type(self).__name__,
            unit="block",
            disable=None if progress is None else False,
        )

    def _make_context(self, images: BandImages, n_samples: int, seed: int) -> EstimationContext:
        arcsec = float(images.pixel_scale.to_value(u.arcsec))
        distance = images.luminosity_distance
        angular_diameter = images.angular_diameter_distance
        kpc = None
        if angular_diameter is not None:
            kpc = float(angular_diameter.to_value(u.kpc) * (arcsec * u.arcsec).to_value(u.rad))
        fwhm = [images.psf_fwhm(band) for band in images.bands]
        unknown = (np.nan,) * len(images.bands)
        context = EstimationContext(
            bands=images.bands,
            redshift=float(images.redshift),
            luminosity_distance=None if distance is None else float(distance.to_value(u.Mpc)),
            pixel_scale_arcsec=arcsec,
            pixel_scale_kpc=kpc,
            pixel_solid_angle_arcsec2=float(images.pixel_solid_angle.to_value(u.arcsec**2)),
            psf_fwhm_arcsec=tuple(
                np.nan if width is None else float(width.to_value(u.arcsec)) for width in fwhm
            ),
            noise_level=_noise_level(images) if self.tags.needs_noise_level else unknown,
            binned=images.bins is not None,
            n_samples=n_samples,
            seed=seed,
            noise_scaling=worst_noise_scaling(images),
        )
        return replace(context, statistics=self.measure(images, context))


def _warn_of_missing(maps: PropertyMaps, images: BandImages) -> None:
    """Warn of light in pixels without data, unless that was said when the images were prepared."""
    told = "part_of_target_light_masked"
    if any(step.get(told, 0) > TOLD for step in images.meta.get("preparation", ())):
        return
    if notice := missing_notice(maps):
        warnings.warn(notice[0].upper() + notice[1:], PicassssoWarning, stacklevel=3)


def _noise_level(images: BandImages, rows: int = 256) -> tuple[float, ...]:
    """Median one-sigma noise of each band over its valid pixels, nmgy per pixel.

    Read in strips, so that only one band's noise is in memory at a time.
    """
    levels = []
    for band in images.bands:
        strips = []
        for start in range(0, images.shape[0], rows):
            region = (slice(start, start + rows), slice(0, images.shape[1]))
            inverse_variance = images.to_arrays(region, bands=(band,))[1][0]
            strips.append(inverse_variance[inverse_variance > 0])
        valid = np.concatenate(strips)
        levels.append(float(np.median(valid) ** -0.5) if valid.size else np.nan)
    return tuple(levels)
