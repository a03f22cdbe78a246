"""One band as held inside `BandImages`: arrays as read-only views, nothing converted."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy, deepcopy
from dataclasses import dataclass, replace
from typing import Any

import astropy.units as u
import numpy as np
import numpy.typing as npt
from astropy.nddata import (
    CCDData,
    InverseVariance,
    NDData,
    NDUncertainty,
    StdDevUncertainty,
    VarianceUncertainty,
)
from astropy.wcs import WCS

from picasssso._core.quiet import copy_wcs
from picasssso.bands.flux_units import FluxScale

Slices = tuple[slice, slice]

#: Uncertainty classes that are understood, by their astropy names.
UNCERTAINTY_TYPES: dict[str, type[NDUncertainty]] = {
    "std": StdDevUncertainty,
    "var": VarianceUncertainty,
    "ivar": InverseVariance,
}
#: Power of a standard deviation that each kind is.
UNCERTAINTY_POWERS = {"std": 1, "var": 2, "ivar": -2}


def read_only(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return a view of an array that cannot be written to; a memory map stays one."""
    view = array.view()
    view.flags.writeable = False
    return view


#: Values from here on are no measurements but stand for none: IRAF's INDEF is 1.6e38, other
#: programs write the largest number of single precision, 3.4e38.
_NO_VALUE = 1e37
_FLAGS = (1.6e38, float(np.finfo(np.float32).max))
#: Inverse variances from here on, in nmgy-2, are of no measurement: 1e-10 nmgy are 47.5 mag.
_NO_PRECISION = 1e20


def has_value(values: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Return where values are finite and stand for themselves."""
    if values.dtype.kind != "f" or values.dtype.itemsize < 4:
        return np.isfinite(values)
    # False for NaN, and as quick as one comparison.
    return np.asarray(np.abs(values) < _NO_VALUE)


@dataclass(frozen=True, eq=False)
class BandRecord:
    """One band's arrays, its mask (non-zero: bad), and the scales that convert it to nmgy."""

    data: npt.NDArray[Any]
    unit: u.UnitBase
    meta: Any
    scale: FluxScale
    mask: npt.NDArray[Any] | None = None
    uncertainty: npt.NDArray[Any] | None = None
    kind: str | None = None
    uncertainty_unit: u.UnitBase | None = None
    uncertainty_scale: FluxScale | None = None

    def cut(self, slices: Slices) -> BandRecord:
        """Return a part ``(y, x)`` of the band, as read-only views."""
        planes = {k: getattr(self, k) for k in ("data", "mask", "uncertainty")}
        parts: dict[str, Any] = {
            k: None if plane is None else read_only(plane[slices]) for k, plane in planes.items()
        }
        return replace(self, **parts)

    def add_mask(self, bad: npt.NDArray[np.bool_]) -> BandRecord:
        """Return the band with more pixels masked."""
        mask = bad if self.mask is None else bad | (self.mask != 0)
        return replace(self, mask=read_only(mask))

    def to_nddata(self, wcs: WCS | None) -> NDData:
        """Return the band as it was given, sharing its arrays and the WCS."""
        uncertainty = None
        if self.uncertainty is not None and self.kind is not None:
            uncertainty = UNCERTAINTY_TYPES[self.kind](
                self.uncertainty, unit=self.uncertainty_unit, copy=False
            )
        return NDData(
            self.data,
            unit=self.unit,
            mask=self.mask,
            uncertainty=uncertainty,
            wcs=wcs,
            meta=self.meta,
        )

    def to_ccd(self, wcs: WCS | None) -> CCDData:
        """Return the band as `~astropy.nddata.CCDData`, whose arrays are read-only views."""
        image = self.to_nddata(wcs)
        return CCDData(
            image.data,
            unit=image.unit,
            mask=None if self.mask is None else read_only(np.asarray(self.mask, dtype=bool)),
            uncertainty=image.uncertainty,
            wcs=None if wcs is None else copy_wcs(wcs),
            meta=deepcopy(self.meta) if isinstance(self.meta, dict) else copy(self.meta),
        )

    def to_flux(
        self, slices: Slices, pixel_area: npt.NDArray[np.float64] | float
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Convert a part of the band.

        With the solid angle of its pixels, arcsec2; returns flux in nmgy per pixel and inverse
        variance in nmgy-2: 0 where invalid, NaN in valid pixels without uncertainty.
        """
        values = self.data[slices]
        area = pixel_area if self.scale.per_area else 1.0
        with np.errstate(over="ignore", invalid="ignore"):
            flux = (self.scale.to_flux(values) * area).astype(np.float32)
        valid = self.valid_pixels(slices) & np.isfinite(flux)
        inverse_variance = np.full(flux.shape, np.nan, dtype=np.float32)
        if self.uncertainty is not None and self.kind is not None:
            assert self.uncertainty_scale is not None
            slope: Any = self.uncertainty_scale.factor * area
            if self.scale.softening is not None:
                slope = slope * self.scale.slope(values)  # standard deviations in mag
            noise = self.uncertainty[slices].astype(np.float64)
            power = -2 / UNCERTAINTY_POWERS[self.kind]
            with np.errstate(all="ignore"):
                inverse_variance64 = np.where(valid, noise, 1.0) ** power / slope**2
            # A precision beyond float32 is kept finite; it is no invalid pixel.
            limit = np.finfo(np.float32).max
            inverse_variance = np.minimum(inverse_variance64, limit).astype(np.float32)
        invalid = ~valid
        flux[invalid] = 0.0
        inverse_variance[invalid] = 0.0
        return flux, inverse_variance

    def valid_pixels(self, slices: Slices) -> npt.NDArray[np.bool_]:
        """Return where value, mask and uncertainty are usable, in their own units."""
        valid = has_value(self.data[slices])
        if self.mask is not None:
            valid &= self.mask[slices] == 0
        if self.uncertainty is not None:
            noise = self.uncertainty[slices]
            with np.errstate(invalid="ignore"):
                # Zero noise would be infinite weight; zero inverse variance is none.
                known = self._has_precision(noise) if self.kind == "ivar" else has_value(noise)
                valid &= known & (noise > 0)
        return valid

    def _has_precision(self, noise: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        """Return where inverse variances stand for themselves."""
        assert self.uncertainty_scale is not None
        # They may be larger than fluxes are, in units such as W/m2/Hz.
        limit = max(_NO_VALUE, _NO_PRECISION * self.uncertainty_scale.factor**2)
        known = np.isfinite(noise)
        if noise.dtype.kind == "f" and np.max(noise, where=known, initial=0.0) >= _NO_VALUE:
            known &= (noise < limit) & ~np.any([np.isclose(noise, x, 1e-6) for x in _FLAGS], 0)
        return np.asarray(known)

    def has_any(self, check: Callable[[Slices], npt.NDArray[np.bool_]]) -> bool:
        """Return whether any pixel passes a check, reading no more than is needed."""
        height, width = self.data.shape
        # From the middle, where targets are, so that a mapped image is hardly read.
        rows = max(1, 2**18 // width)
        starts = sorted(range(0, height, rows), key=lambda y: abs(y + rows / 2 - height / 2))
        return any(check((slice(y, y + rows), slice(None))).any() for y in starts)
