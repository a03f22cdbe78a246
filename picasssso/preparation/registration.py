"""Bands whose astrometry disagrees: correlated around the target, and shifted."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from picasssso.bands.merging import merge_bands
from picasssso.bands.pixels import shift_wcs
from picasssso.exceptions import InvalidInputError, PicassssoWarning
from picasssso.preparation.sources import pixel_position, star_width
from picasssso.preparation.steps import with_step
from picasssso.preparation.surroundings import fill_with_surroundings

if TYPE_CHECKING:
    from picasssso.bands import BandImages

#: Pixels beyond which bands disagree.
TOLERANCE = 0.3
_HALF_SIDE = 15.0  # arcsec
_MIN_CORRELATION = 0.5
_PASSES = 3


def measure_shifts(images: BandImages, position: Any = None) -> dict[str, tuple[float, float]]:
    """Return the shift (x, y) in pixels that puts each band onto the one most others agree with.

    Structure between the widths of the PSF and of four of them is correlated, around the target.
    Bands that show too little of it to know the shift to 0.3 pixel are left out.
    """
    from scipy.ndimage import shift as shifted
    from skimage.registration import phase_cross_correlation

    x, y = pixel_position(images, position)
    fwhm = star_width(images)
    half = int(np.clip(_HALF_SIDE / images.pixel_scale.value, 6 * fwhm, 200))
    region = tuple(
        slice(max(round(c) - half, 0), min(round(c) + half + 1, length))
        for c, length in zip((y, x), images.shape, strict=True)
    )
    planes = {b: _structure(images, b, (region[0], region[1]), fwhm) for b in images}
    window = np.outer(*(np.hanning(n + 2)[1:-1] for n in next(iter(planes.values())).shape))
    signal = {b: float((window * plane).max()) for b, plane in planes.items()}
    reference = max(signal, key=lambda band: signal[band])
    shifts = {reference: np.zeros(2)}
    for band, plane in planes.items():
        # A source of such a signal-to-noise ratio has a position to a third of this.
        if band == reference or fwhm / max(signal[band], 1e-3) > TOLERANCE / 2:
            continue
        shift, moved = np.zeros(2), plane
        for _ in range(_PASSES):  # the window hides less of what it holds in the middle
            shift += phase_cross_correlation(
                window * planes[reference], window * moved, upsample_factor=50, normalization=None
            )[0]
            moved = shifted(plane, shift)
        together = np.corrcoef((window * planes[reference]).ravel(), (window * moved).ravel())
        if together[0, 1] > _MIN_CORRELATION:
            shifts[band] = shift[::-1]
    middle = min(shifts, key=lambda b: sum(np.hypot(*(s - shifts[b])) for s in shifts.values()))
    between = {band: shift - shifts[middle] for band, shift in shifts.items() if band != middle}
    return {band: (round(float(dx), 2), round(float(dy), 2)) for band, (dx, dy) in between.items()}


def _structure(
    images: BandImages, band: str, region: tuple[slice, slice], fwhm: float
) -> npt.NDArray[np.float64]:
    """Return an image without its large and its smallest scales, in units of its noise."""
    from astropy.stats import mad_std
    from scipy.ndimage import gaussian_filter

    flux, precision = (plane[0] for plane in images.to_arrays(region, bands=[band]))
    image = fill_with_surroundings(flux.astype(float), precision != 0, 8 * fwhm)
    narrow, wide = (gaussian_filter(image, width * fwhm / 2.355) for width in (1.0, 4.0))
    noise = mad_std(narrow - wide)
    return (narrow - wide) / (noise if noise > 0 else 1.0)


def register_bands(
    images: BandImages, position: Any = None, *, mend: bool, method: str, folder: Any = None
) -> BandImages:
    """Return images whose bands agree on where the target is; or warn that they do not."""
    if len(images) == 1:
        return images
    shifts = measure_shifts(images, position)
    off = {band: shift for band, shift in shifts.items() if np.hypot(*shift) > TOLERANCE}
    if not off:
        return with_step(images, "registration", shift_pixels=shifts) if mend else images
    if not mend:
        found = "; ".join(f"{band} by ({dx:+.2f}, {dy:+.2f})" for band, (dx, dy) in off.items())
        warnings.warn(
            f"The target is not at the same place in all bands: {found} pixels (x, y) would put "
            "them onto the others, so colors of small regions are wrong. Use "
            "prepare(..., register=True) to shift them.",
            PicassssoWarning,
            stacklevel=3,
        )
        return with_step(images, "registration", shift_needed_pixels=off)
    if images.wcs is None:
        raise InvalidInputError(
            f"prepare: found that {', '.join(off)} must be shifted, and images without WCS; "
            "expected one to resample them. Leave out register=True."
        )
    parts = []
    for band in images:
        part = images.select([band])
        if band in off:
            wcs = shift_wcs(images.wcs, *off[band])
            part = part.replace(images={band: images._records[band].to_nddata(wcs)})
            part = part.reproject_to(
                images.wcs, images.shape, method=method, progress=False, folder=folder
            )
        parts.append(part)
    return with_step(merge_bands(parts), "registration", shift_pixels=off)
