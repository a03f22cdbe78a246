"""Putting the blocks of an estimate together into maps.

Holds the whole-image output planes while the blocks come in. How the answer moves when an
error that all pixels of a band share (its zero point, its sky level) is one sigma is a map of
its own, which `PropertyMaps.total` adds up coherently; an estimator that does not say how
estimates each block once more for every such error. So is what models disagree on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np
import numpy.typing as npt

from picasssso._core.blocks import Block
from picasssso.estimators._model_uncertainty import model_shift
from picasssso.estimators._shared_errors import flux_shifts
from picasssso.estimators.context import EstimationContext
from picasssso.exceptions import InvalidInputError, InvalidTypeError
from picasssso.filters.user_curves import own_curves
from picasssso.maps.arrays import PERCENTILES, PropertyArrays
from picasssso.properties import Property, get_property
from picasssso.quality import QUALITY_DTYPE, QualityFlag

if TYPE_CHECKING:
    from picasssso.bands import BandImages
    from picasssso.maps import PropertyMaps

FloatArray = npt.NDArray[np.floating]
#: How central values move: names of errors to names of properties to planes.
Moved = dict[str, dict[str, FloatArray]]

#: Name of the systematic that holds how far models disagree.
MODELS = "models"

#: Bands whose PSF widths differ by more than this factor have distorted colors.
PSF_RATIO = 1.1


class MapAssembler:
    """Collects the results of an estimator's blocks and wraps them as `PropertyMaps`."""

    def __init__(self, estimator: Any, images: BandImages, context: EstimationContext) -> None:
        self.estimator = estimator
        self.images = images
        self.context = context
        self.quality = np.zeros(images.shape, QUALITY_DTYPE)
        self.planes: dict[str, dict[str, Any]] = {}
        self.systematics: dict[str, dict[str, FloatArray]] = {}
        self.target_label = target_label(images)
        self.shifts = tuple(flux_shifts(images))

    # ---- one block ------------------------------------------------------------------

    def add(
        self,
        block: Block,
        flux: FloatArray,
        inverse_variance: FloatArray,
        context: EstimationContext,
        results: dict[str, PropertyArrays] | None = None,
    ) -> None:
        """Estimate one block and keep its core."""
        # What is handed to a third party's code must not be able to change the images.
        flux.flags.writeable = False
        inverse_variance.flags.writeable = False
        moved: Moved | None = None
        if results is None:
            results, moved = self.estimator._estimate_shifted(
                flux, inverse_variance, context, self.shifts
            )
        results = self._checked(results, flux.shape[1:])
        valid = np.isnan(inverse_variance) | (inverse_variance > 0)
        n_valid = valid.sum(axis=0)
        no_data = n_valid < self.estimator.tags.minimum_bands
        quality = np.where(n_valid < len(flux), int(QualityFlag.MISSING_BAND), 0)
        quality = np.where(no_data, quality | int(QualityFlag.NO_DATA), quality)
        for name, arrays in results.items():
            if arrays.quality is not None:
                quality = quality | arrays.quality
            for kind in ("percentiles", "mean", "samples", "shared"):
                self._store(name, kind, getattr(arrays, kind), block, no_data)
        self.quality[block.core] = quality[block.inner]
        if moved is None:
            moved = self._refit(flux, inverse_variance, context, results)
        for mode, changes in moved.items():
            planes = self.systematics.setdefault(mode, {})
            for name, change in changes.items():
                if name not in planes:
                    planes[name] = np.empty(self.images.shape, np.float32)
                planes[name][block.core] = np.where(no_data, np.nan, change)[block.inner]

    def _checked(
        self, results: Mapping[str, PropertyArrays], shape: tuple[int, ...]
    ) -> dict[str, PropertyArrays]:
        expected = tuple(self.estimator.properties)
        if set(results) != set(expected):
            raise InvalidInputError(
                f"{type(self.estimator).__name__}._estimate returned {sorted(results)}: expected "
                f"one PropertyArrays for each of its properties {expected}."
            )
        for name, arrays in results.items():
            if not isinstance(arrays, PropertyArrays):
                raise InvalidTypeError(
                    f"{type(self.estimator).__name__}._estimate returned {name} as "
                    f"{type(arrays).__name__}: expected PropertyArrays, such as "
                    "PropertyArrays.from_normal(mean, sigma)."
                )
            if arrays.shape != shape:
                raise InvalidInputError(
                    f"{type(self.estimator).__name__}._estimate returned {name} with shape "
                    f"{arrays.shape}: expected that of the block, {shape}."
                )
            if arrays.mean is None and self._definition(name).is_surface_density:
                raise InvalidInputError(
                    f"{type(self.estimator).__name__}._estimate returned {name} without a mean: "
                    "a surface density needs one, since sums of medians are not totals."
                )
        return {name: results[name] for name in expected}

    def _store(
        self,
        name: str,
        kind: str,
        array: FloatArray | None,
        block: Block,
        no_data: npt.NDArray[np.bool_],
    ) -> None:
        if array is None:
            return
        planes = self.planes.setdefault(name, {})
        if kind not in planes:
            planes[kind] = np.empty(array.shape[:-2] + self.images.shape, np.float32)
        core = np.asarray(array[(..., *block.inner)], np.float32)
        planes[kind][(..., *block.core)] = np.where(no_data[block.inner], np.nan, core)

    def _refit(
        self,
        flux: FloatArray,
        inverse_variance: FloatArray,
        context: EstimationContext,
        results: Mapping[str, PropertyArrays],
    ) -> Moved:
        """Return how results move, by estimating the block once more for every error."""
        context, moved = replace(context, n_samples=0), Moved()
        estimator = self.estimator._cheaper() if self.shifts else self.estimator
        if estimator is not self.estimator:
            results = estimator._estimate(flux, inverse_variance, context)
        for shift in self.shifts:
            again = self._checked(
                estimator._estimate(*shift.apply(flux, inverse_variance), context), flux.shape[1:]
            )
            moved[shift.name] = {
                name: _central(again[name]) - _central(arrays) for name, arrays in results.items()
            }
        return moved

    # ---- the whole ------------------------------------------------------------------

    def finish(self) -> PropertyMaps:
        """Wrap what was collected."""
        from picasssso.maps import PropertyMaps

        images, estimator, context = self.images, self.estimator, self.context
        widths = np.array(context.psf_fwhm_arcsec)
        together = estimator.tags.assumes_common_psf and np.isfinite(widths).all()
        if together and widths.max() > PSF_RATIO * widths.min():
            self.quality |= int(QualityFlag.PSF_MISMATCH)
        names = tuple(estimator.properties)
        arrays = {name: PropertyArrays(**self.planes[name]) for name in names}
        if models := estimator.model_properties:
            self.systematics[MODELS] = {
                name: model_shift(name, _central(arrays[name])) for name in models
            }
        return PropertyMaps(
            arrays,
            quality=self.quality,
            wcs=images.wcs,
            pixel_solid_angle=None if images.wcs is not None else images.pixel_solid_angle,
            definitions={n: p for n, p in estimator.definitions.items() if n in names},
            redshift=images.redshift,
            luminosity_distance=images.luminosity_distance,
            shared_error=dict(estimator.shared_error(context)),
            systematics=self.systematics or None,
            noise_scaling=worst_noise_scaling(images),
            bins=images.bins,
            target=None if self.target_label is None else images.labels == self.target_label,
            meta=self._meta(),
        )

    def _definition(self, name: str) -> Property:
        return self.estimator.definitions.get(name) or get_property(name)

    def _meta(self) -> dict[str, Any]:
        from picasssso._core.version import __version__

        images, context = self.images, self.context
        widths = np.array(context.psf_fwhm_arcsec)
        extinction = images.galactic_extinction
        meta = {
            "estimator": type(self.estimator).__name__,
            "package_version": __version__,
            "parameters": {k: _plain(v) for k, v in self.estimator.get_params().items()},
            "bands": list(images.bands),
            "redshift": context.redshift,
            "luminosity_distance_mpc": context.luminosity_distance,
            "cosmology": _describe_cosmology(images.cosmology),
            "psf_fwhm_arcsec": [None if np.isnan(w) else float(w) for w in widths],
            "resolution_fwhm_arcsec": float(widths.max()) if np.isfinite(widths).all() else None,
            "galactic_extinction": None if extinction is None else asdict(extinction),
            "percentiles": list(PERCENTILES),
            "n_samples": context.n_samples,
            "seed": context.seed if context.n_samples else None,
            "shared_error_dex": dict(self.estimator.shared_error(context)),
            "images": _plain(dict(images.meta)),
            "target_label": self.target_label,
        }
        if own := own_curves(images.bands):
            meta["filters"] = own
        return meta | {k: _plain(v) for k, v in self.estimator.describe(context).items()}


def _central(arrays: PropertyArrays) -> FloatArray:
    """Return the plane whose shift is recorded: the mean, else the median."""
    if arrays.mean is not None:
        return arrays.mean
    return arrays.percentiles[PERCENTILES.index(50.0)]


def target_label(images: BandImages) -> int | None:
    """Return the label of the target: that in the middle of the image, or nearest to it."""
    labels = images.labels
    if labels is None or not np.any(labels):
        return None
    y, x = np.nonzero(labels)
    height, width = images.shape
    nearest = np.argmin((y - (height - 1) / 2) ** 2 + (x - (width - 1) / 2) ** 2)
    return int(labels[y[nearest], x[nearest]])


def worst_noise_scaling(images: BandImages) -> Any:
    """Return the largest variance inflation of any band; None if all noise is white."""
    scalings = [s for band in images.bands if (s := images.noise_scaling.get(band)) is not None]
    if not scalings:
        return None
    n_pixels = np.unique(np.concatenate([s.n_pixels for s in scalings]))
    inflation = np.max([s(n_pixels) for s in scalings], axis=0)
    return type(scalings[0])(n_pixels.tolist(), inflation.tolist())


def _describe_cosmology(cosmology: Any) -> dict[str, Any] | None:
    if cosmology is None:
        return None
    return {
        "name": cosmology.name,
        "H0": float(cosmology.H0.to_value(u.km / u.s / u.Mpc)),
        "Om0": float(cosmology.Om0),
    }


def _plain(value: Any) -> Any:
    """Bring a value into what JSON can hold; what has no such form is held as its repr."""
    if isinstance(value, np.ndarray | np.generic) and not isinstance(value, u.Quantity):
        return _plain(value.tolist())
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value) if isinstance(value, u.Quantity | u.UnitBase) else repr(value)
