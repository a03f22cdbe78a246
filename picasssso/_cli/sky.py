"""Subtracting the sky that survey images may still hold, with photutils.

The galaxy and everything else that is detected in the bands together is masked, and so is
its surrounding, since the faint outskirts of a galaxy look like sky. The images must show sky
around the galaxy: one that fills its image looks like sky itself. What is left of the sky's
uncertainty goes into the images' ``sky_error``.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import astropy.units as u
import numpy as np
import numpy.typing as npt
from astropy.nddata import CCDData

from picasssso.exceptions import InvalidInputError, PicassssoWarning

if TYPE_CHECKING:
    from picasssso.bands import BandImages

__all__ = ["METHODS", "source_mask", "subtract_sky", "warn_of_sky"]

#: ``median``: one level per band; ``background2d``: a smooth surface.
METHODS = ("median", "background2d")

_THRESHOLD = 2.0  # sigma of the combined, smoothed image
_MIN_PIXELS = 15
_GROW = 0.15  # of the size of a source, on every side
_BOXES = 8  # along the shorter side, for the surface and for the scatter of the sky
_MIN_SKY_FRACTION = 0.05
_SUSPECT = 10.0  # sigma by which the faintest pixels of an image lie above zero
_SUSPECT_SIDE = 1024  # pixels of the middle of the image that are looked at

FloatArray = npt.NDArray[np.floating]
BoolArray = npt.NDArray[np.bool_]


def _usable(image: CCDData) -> tuple[FloatArray, BoolArray]:
    """Return the data as floats, and where there are none."""
    data = np.asarray(image.data, dtype=float)
    bad = ~np.isfinite(data)
    return data, bad if image.mask is None else bad | image.mask


def source_mask(images: BandImages) -> BoolArray:
    """Return where there is anything but sky.

    Parameters
    ----------
    images : BandImages
        Sky still in or not.

    Returns
    -------
    ndarray of bool, shape (y, x)
        True on sources and around them.

    Examples
    --------
    >>> from picasssso._cli.sky import source_mask
    >>> from picasssso.data import load_example_images
    >>> mask = source_mask(load_example_images())
    >>> bool(mask[64, 64]), bool(mask[2, 2])
    (True, False)
    """
    from astropy.stats import sigma_clipped_stats
    from photutils.segmentation import detect_sources
    from photutils.utils import NoDetectionsWarning
    from scipy.ndimage import distance_transform_edt, gaussian_filter

    combined = np.zeros(images.shape)
    for band in images.bands:
        data, bad = _usable(images[band])
        _, median, deviation = sigma_clipped_stats(data, mask=bad, sigma=3.0)
        if deviation > 0:
            combined += np.where(bad, 0.0, (data - median) / deviation)
    combined = gaussian_filter(combined, 1.5)
    _, level, noise = sigma_clipped_stats(combined, sigma=2.5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoDetectionsWarning)
        found = detect_sources(combined, level + _THRESHOLD * noise, _MIN_PIXELS)
    if found is None:
        return np.zeros(images.shape, dtype=bool)
    # Every source grows with its size; the largest, which is the galaxy as a rule, also
    # where a small one is nearer.
    reach = np.zeros(found.max_label + 1)
    reach[found.labels] = 2 + _GROW * np.sqrt(found.areas)
    distance, nearest = distance_transform_edt(found.data == 0, return_indices=True)
    mask = distance <= reach[found.data[tuple(nearest)]]
    largest = found.labels[np.argmax(found.areas)]
    return mask | (distance_transform_edt(found.data != largest) <= reach[largest])


def subtract_sky(images: BandImages, method: str) -> BandImages:
    """Return the images without their sky.

    Parameters
    ----------
    images : BandImages
        Images with sky.
    method : {"median", "background2d"}
        One level per band, the sigma-clipped median beside all sources, or photutils'
        `~photutils.background.Background2D` there.

    Returns
    -------
    BandImages
        The same with the sky subtracted, and with `sky_error` set to the standard error of
        the sky as its scatter between boxes shows it.

    Raises
    ------
    InvalidInputError
        If the sources leave too little sky to measure, or the method is unknown.
    """
    if method not in METHODS:
        raise InvalidInputError(f"Unknown sky {method!r}: expected one of {', '.join(METHODS)}.")
    mask = source_mask(images)
    if np.mean(~mask) < _MIN_SKY_FRACTION:
        raise InvalidInputError(
            f"The sources fill {100 * mask.mean():.0f} % of the image, so the sky cannot be "
            "measured beside them: take a larger cutout, or subtract the sky beforehand."
        )
    without, errors = {}, {}
    for band in images.bands:
        image = images[band]
        data, bad = _usable(image)
        sky = _sky(data, mask | bad, method, band)
        without[band] = CCDData(
            data - sky,
            unit=image.unit,
            wcs=image.wcs,
            mask=image.mask,
            uncertainty=image.uncertainty,
        )
        errors[band] = u.Quantity(_standard_error(data - sky, mask | bad), image.unit)
    return images.replace(images=without, sky_error=errors)


def warn_of_sky(images: BandImages) -> None:
    """Warn if even the faintest pixels of every band are far above zero.

    Parameters
    ----------
    images : BandImages
        Images whose sky is taken to be subtracted.

    Warns
    -----
    PicassssoWarning
        If the faintest 2 % of the pixels of every band begin more than ten times the noise
        above zero: the sky may still be in, or the galaxy fills the image.
    """
    middle = tuple(
        slice(max(0, (side - _SUSPECT_SIDE) // 2), (side + _SUSPECT_SIDE) // 2)
        for side in images.shape
    )
    flux, inverse_variance = images.to_arrays((middle[0], middle[1]))
    lowest = []
    for plane, precision in zip(flux, inverse_variance, strict=True):
        valid = precision > 0  # never true without an uncertainty
        if not valid.any():
            return
        lowest.append(float(np.percentile(plane[valid] * np.sqrt(precision[valid]), 2.0)))
    if min(lowest) > _SUSPECT:
        warnings.warn(
            f"Even the faintest pixels lie {min(lowest):.0f} times the noise above zero in every "
            "band: is the sky still in the images? It would be counted as stars. Subtract it "
            "with --subtract-sky median, unless the galaxy fills the image.",
            PicassssoWarning,
            stacklevel=2,
        )


def _sky(data: FloatArray, mask: BoolArray, method: str, band: str) -> FloatArray | float:
    from astropy.stats import sigma_clipped_stats
    from photutils.background import Background2D, SExtractorBackground

    if mask.all():
        raise InvalidInputError(f"Band {band!r} has no valid pixel beside the sources.")
    if method == "median":
        return float(sigma_clipped_stats(data, mask=mask, sigma=3.0)[1])
    # Boxes that are mostly covered by the galaxy are filled from their neighbours.
    surface = Background2D(
        data,
        max(min(data.shape) // _BOXES, 4),
        mask=mask,
        filter_size=3,
        exclude_percentile=80,
        bkg_estimator=SExtractorBackground(),
    )
    return np.asarray(surface.background)


def _standard_error(data: FloatArray, mask: BoolArray) -> float:
    """Return the error of the mean sky from box medians: right for correlated noise too."""
    side = max(min(data.shape) // _BOXES, 4)
    medians = []
    for y in range(0, data.shape[0], side):
        for x in range(0, data.shape[1], side):
            box = np.s_[y : y + side, x : x + side]
            sky = data[box][~mask[box]]
            if sky.size >= side:
                medians.append(np.median(sky))
    if len(medians) < 3:
        return float(np.std(data[~mask]))
    return float(np.std(medians, ddof=1) / np.sqrt(len(medians)))
