"""The sky: what of the images is sky, and how much light there is in it.

Everything that stands out of the bands together is masked, with its surroundings, since the
faint outskirts of a galaxy look like sky; what reaches beyond is predicted from the galaxies'
profiles. What is left is measured in boxes and subtracted as one level, or, where the boxes demand
it, a plane or a smooth surface; its uncertainty goes into ``sky_error``.
"""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np
import numpy.typing as npt
from astropy.nddata import NDData

from picasssso._core.blocks import Block
from picasssso._core.safe_files import allocate
from picasssso.exceptions import InvalidInputError, PicassssoWarning
from picasssso.io.formats import sky_is_subtracted
from picasssso.preparation.outskirts import Outskirts, fit_outskirts
from picasssso.preparation.sky_level import (
    MIN_SKY_FRACTION,
    Sky,
    hides_no_sky,
    measure_sky,
    medians,
    standard_error,
)
from picasssso.preparation.sky_plane import fit_plane
from picasssso.preparation.steps import with_step
from picasssso.preparation.storage import blocks_of, transform, variance_of

if TYPE_CHECKING:
    from picasssso.bands import BandImages

#: ``background2d``: a smooth surface; ``median``: one level per band.
METHODS = ("background2d", "median")

_THRESHOLD = 2.0  # sigma of the combined, smoothed image
_SMOOTHING = 1.5  # pixels
_MIN_PIXELS = 15
_GROW = 0.15  # of the size of a source, on every side
_BOXES = 8  # along the shorter side of a small image
_MAX_BOX = 128  # pixels, in a large one
_HALO = 160
_PASSES = 3
_FLAT = 5  # pixels: side of the squares of one value that are no data
_MIN_FLAT, _MAX_FLAT = 0.005, 0.9  # of the image
_TIP, _VALUES = 64, 8  # pixels that their tips may reach; values that fill them
_ONE_VALUE = 64  # pixels from which on an image of one value is none
_SURVEY_SKY = 0.1  # of the noise of a pixel: what surveys that subtract the sky leave of it
_WARN = 0.04  # of a galaxy's flux: error of its sky
_SPOILT = 0.05  # of a galaxy's flux: its light beside the mask

Array = npt.NDArray[Any]
BoolArray = npt.NDArray[np.bool_]


def box_side(shape: tuple[int, int]) -> int:
    """Return the side of the boxes of sky: an eighth of the shorter one, 4 to 128 pixels."""
    return min(max(min(shape) // _BOXES, 4), _MAX_BOX)


def mask_sky_sources(
    images: BandImages,
    *,
    threshold: float = _THRESHOLD,
    folder: str | os.PathLike[str] | None = None,
) -> BoolArray:
    """Return where there is anything but sky.

    The bands, less a plane and in units of their noise, are added and smoothed. What exceeds the
    level between sources by the threshold (in standard deviations) over 15 pixels is a source;
    each grows by 15 % of its size on every side, the largest also where a small one is nearer.
    """
    mask = allocate(images.shape, bool, folder)
    for block in blocks_of(images.shape, halo=_HALO, bytes_per_pixel=80):
        mask[block.core] = _mask_block(images, block, threshold)[block.inner]
    return mask


def _mask_block(images: BandImages, block: Block, threshold: float) -> BoolArray:
    planes = [images.to_arrays(block.padded, bands=[band]) for band in images.bands]
    flux = [np.where(precision[0] == 0, np.nan, plane[0]) for plane, precision in planes]
    mask = np.zeros(flux[0].shape, dtype=bool)
    # A slope of the sky widens its scatter, and hides the outskirts of the sources; with these
    # masked the slope is known better.
    for _ in range(_PASSES):
        mask = _detect([plane - _plane(plane, mask) for plane in flux], threshold)
    return mask


def _plane(flux: Array, mask: BoolArray) -> Array:
    """Return the plane through the medians of boxes beside the mask."""
    height, width = flux.shape
    boxes = []
    for rows in np.array_split(np.arange(height), min(_BOXES, height)):
        for columns in np.array_split(np.arange(width), min(_BOXES, width)):
            box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
            values = flux[box][~mask[box]]
            values = values[np.isfinite(values)]
            if values.size > 0.2 * rows.size * columns.size:
                boxes.append((rows.mean(), columns.mean(), np.median(values)))
    if len(boxes) < 6:
        return np.zeros(1)
    (level, by_x, by_y), _ = fit_plane(*np.array(boxes).T)
    rows, columns = np.ogrid[:height, :width]
    return (level + by_x * columns + by_y * rows).astype(np.float32)


def _detect(planes: list[Array], threshold: float) -> BoolArray:
    """Return where sources are in the bands together, with their surroundings."""
    from astropy.stats import sigma_clipped_stats
    from photutils.segmentation import detect_sources
    from photutils.utils.exceptions import NoDetectionsWarning
    from scipy.ndimage import distance_transform_edt, gaussian_filter

    # The scatter of half a million pixels is known to a part in a thousand.
    step = max(1, int(np.sqrt(planes[0].size / 5e5)))
    sample = np.s_[::step, ::step]
    combined = np.zeros(planes[0].shape, dtype=np.float32)
    there = np.any([np.isfinite(flux[sample]) for flux in planes], axis=0)
    for flux in planes:
        values = flux[sample]
        values = values[np.isfinite(values)]
        if not values.size:
            continue
        _, median, deviation = sigma_clipped_stats(values, sigma=3.0)
        if deviation > 0:
            combined += np.nan_to_num((flux - median) / deviation).astype(np.float32)
    combined = gaussian_filter(combined, _SMOOTHING)
    if not there.any():
        return np.zeros(combined.shape, dtype=bool)
    _, level, noise = sigma_clipped_stats(combined[sample][there], sigma=2.5)
    if not noise > 0:
        return np.zeros(combined.shape, dtype=bool)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoDetectionsWarning)
        found = detect_sources(combined, level + threshold * noise, _MIN_PIXELS)
    if found is None:
        return np.zeros(combined.shape, dtype=bool)
    reach = np.zeros(found.max_label + 1, dtype=np.float32)
    reach[found.labels] = 2 + _GROW * np.sqrt(found.areas)
    distance, nearest = distance_transform_edt(found.data == 0, return_indices=True)
    mask = distance <= reach[found.data[tuple(nearest)]]
    largest = found.labels[np.argmax(found.areas)]
    return mask | (distance_transform_edt(found.data != largest) <= reach[largest])


def mask_padding(
    images: BandImages, *, folder: str | os.PathLike[str] | None = None
) -> BandImages:
    """Return images whose constant areas, as beyond the edge of a survey, are masked: no data."""
    from scipy.ndimage import binary_dilation, maximum_filter, minimum_filter

    planes, parts = {}, {}
    for band in images:
        flat = allocate(images.shape, bool, folder)
        values: set[float] = set()
        for block in blocks_of(images.shape, halo=_TIP, bytes_per_pixel=40):
            flux, precision = (p[0] for p in images.to_arrays(block.padded, bands=[band]))
            some = flux[precision != 0]
            values |= {float(some.min()), float(some.max())} if some.size else set()
            lowest, highest = (f(flux, _FLAT) for f in (minimum_filter, maximum_filter))
            same = binary_dilation((lowest == highest) & (precision != 0), np.ones((_FLAT, _FLAT)))
            same = _with_tips(same & (precision != 0), flux, precision != 0)
            flat[block.core] = same[block.inner]
        number = np.count_nonzero(flat)
        if len(values) == 1 and flat.size > _ONE_VALUE:
            text = (
                f"Band {band!r}: found one value, {values.pop():.4g} nmgy, in all pixels, as "
                "where a survey has no data; expected an image. Leave the band out."
            )
            if images[band].uncertainty is None:  # nor is there any noise to measure
                raise InvalidInputError(text)
            warnings.warn(text, PicassssoWarning, stacklevel=2)
        # An image that is flat nearly everywhere is a model without noise.
        if max(_MIN_FLAT * flat.size, 64) <= number < _MAX_FLAT * flat.size:
            image = images[band]
            flat |= False if image.mask is None else image.mask
            planes[band] = NDData(
                image.data, unit=image.unit, uncertainty=image.uncertainty, mask=flat
            )
            parts[band] = round(number / flat.size, 4)
    if not planes:
        return images
    return with_step(images.with_planes(planes), "no data", part_of_image=parts)


def _with_tips(flat: Any, flux: Any, valid: Any) -> Any:
    """Return flat areas with all that has their value beside them, as where they taper off."""
    from scipy.ndimage import binary_propagation

    values, numbers = np.unique(flux[flat], return_counts=True)
    found = flat.copy()
    for value in values[np.argsort(numbers)[-_VALUES:]]:
        same = (flux == value) & valid
        found |= binary_propagation(flat & same, np.ones((3, 3)), mask=same)
    return found


def subtract_background(
    images: BandImages,
    method: str = "background2d",
    *,
    source_mask: npt.ArrayLike | None = None,
    box_size: int | None = None,
    folder: str | os.PathLike[str] | None = None,
) -> BandImages:
    """Return sky-subtracted images.

    Parameters
    ----------
    images : BandImages
        Images with sky.
    method : {"background2d", "median"}, optional
        A plane where the sky has a slope, and on top of it a smooth surface by photutils'
        `~photutils.background.Background2D` where neighboring boxes have more in common than
        noise; boxes of which less than a fifth is free of sources are filled from their
        neighbors. Or one level only, the sigma-clipped median.
    source_mask : array of bool, shape (y, x), optional
        True where there is no sky; default: `mask_sky_sources`.
    box_size : int, optional
        Side of the boxes in pixels; default: `box_side`.
    folder : path, optional
        Folder for the output of a large field; default: in memory.

    Returns
    -------
    BandImages
        In nmgy, with ``sky_error`` set to the standard error of the mean sky as the scatter
        between boxes shows it, which is right for correlated noise too, and of the galaxies'
        light in it.

    Raises
    ------
    InvalidInputError
        If the sources leave too little sky, or the method is unknown.

    Warns
    -----
    PicassssoWarning
        If the outskirts of the largest galaxy would add more than 5 % of its light to its sky,
        and the error of the sky is still more than 4 %, in the band in which it stands out most.

    Notes
    -----
    The light of the largest galaxies beside the mask is predicted by the Sersic profiles that
    fit their outer parts together with the sky, and is not taken for sky. Pixels in which it
    exceeds a tenth of their noise are not used; where too few are left the sky is that of the
    fit. Surveys that subtract the sky themselves (DES, Legacy, LSST, Pan-STARRS1, SDSS) leave
    a tenth of the noise of a pixel at most, which counts as one sigma.

    Examples
    --------
    >>> from picasssso.data import load_example
    >>> from picasssso.preparation import subtract_background
    >>> images = subtract_background(load_example()[0])
    >>> images.sky_error["sdss2010-r"].unit
    Unit("nmgy")
    """
    if method not in METHODS:
        raise InvalidInputError(
            f"subtract_background: found method={method!r}, expected one of {', '.join(METHODS)}."
        )
    mask = check_source_mask(images, source_mask, folder)
    free = 1 - np.count_nonzero(mask) / mask.size
    if free < MIN_SKY_FRACTION:
        raise InvalidInputError(
            f"subtract_background: found sources over {100 * (1 - free):.0f} % of the image, "
            "expected sky beside them. Take a larger cutout, or subtract the sky beforehand."
        )
    side = box_side(images.shape) if box_size is None else int(box_size)
    known = {band: _SURVEY_SKY for band in images if sky_is_subtracted(images.meta, band)}
    outskirts = fit_outskirts(images, mask, known)
    skies = {
        band: measure_sky(
            images,
            band,
            mask,
            side,
            outskirts[band],
            known=known.get(band, np.inf),
            level_only=method == "median",
        )
        for band in images
    }
    left_of: dict[str, list[float]] = {band: [] for band in images}

    def subtract(band: str, flux: Array, precision: Array, block: Block) -> Any:
        sky, light = skies[band], outskirts[band].light(block)
        hidden = np.asarray(mask[block.padded]) | (precision == 0)
        hidden |= ~hides_no_sky(light, outskirts[band])
        if sky.shape == "surface":
            left = flux - (_surface(flux - light, hidden, side, band) + sky.offset)
        else:
            left = flux - sky.at(block)
        beside = (left - light)[block.inner]
        left_of[band] += [m for _, _, m in medians(beside, hidden[block.inner], side)]
        return left, variance_of(precision), precision != 0

    clean = transform(
        images, subtract, halo=4 * side, stride=side, bytes_per_pixel=90, folder=folder
    )
    errors = {band: sky.error(standard_error(left_of[band])) for band, sky in skies.items()}
    shares = {
        band: round(sky.light * outskirts[band].area / outskirts[band].flux, 4)
        for band, sky in skies.items()
        if outskirts[band].flux > 0
    }
    _warn_of_galaxy(skies, outskirts, errors, shares)
    return with_step(
        clean.replace(sky_error={band: error * u.nmgy for band, error in errors.items()}),
        "background",
        method=method,
        shape={band: sky.shape for band, sky in skies.items()},
        masked_fraction=round(1 - free, 4),
        sky_error_nmgy=errors,
        **({"galaxy_light_kept_out_of_it": shares} if shares else {}),
    )


def _warn_of_galaxy(
    skies: dict[str, Sky],
    outskirts: dict[str, Outskirts],
    errors: dict[str, float],
    shares: dict[str, float],
) -> None:
    """Warn where the sky beneath the largest galaxy is known badly against the galaxy's light.

    In the band in which it stands out most: in a faint one the sky is never known well.
    """
    if not shares:
        return

    def contrast(band: str) -> float:
        found = outskirts[band]
        return found.flux / (np.sqrt(found.area) * found.noise)

    band = max(shares, key=contrast)
    doubt = errors[band] * outskirts[band].area / outskirts[band].flux
    if doubt < _WARN or shares[band] < _SPOILT:
        return
    survey = np.isfinite(skies[band].known)
    warnings.warn(
        f"Little sky beside the largest galaxy: what its outskirts add to the sky is "
        f"{100 * shares[band]:.2g} % of its light ({band}). They were fitted and kept, but the "
        f"sky stays uncertain by {100 * doubt:.2g} % of its light, which is in sky_error. Take a "
        "larger cutout" + ("." if survey else ", or sky=None for images without sky."),
        PicassssoWarning,
        stacklevel=3,
    )


def check_source_mask(images: BandImages, given: Any, folder: Any) -> BoolArray:
    """Return where there is anything but sky: as given, checked, or as it is found."""
    if given is None:
        return mask_sky_sources(images, folder=folder)
    mask = np.asanyarray(given)
    if mask.dtype.kind != "b" or mask.shape != images.shape:
        raise InvalidInputError(
            f"Found source_mask of {mask.dtype} and shape {mask.shape}, expected booleans of "
            f"shape {images.shape}."
        )
    return mask


def _surface(flux: Array, hidden: BoolArray, side: int, band: str) -> Array:
    from photutils.background import Background2D, SExtractorBackground

    # Boxes under the galaxy are filled with the mean of their neighbors, which is right where
    # the sky has no slope left.
    plane = _plane(np.where(hidden, np.nan, flux), hidden)
    try:
        surface = Background2D(
            flux - plane,
            tuple(min(side, length) for length in flux.shape),
            mask=hidden,
            filter_size=3,
            exclude_percentile=80,
            bkg_estimator=SExtractorBackground(),
        )
    except ValueError as error:  # all boxes excluded
        raise InvalidInputError(
            f"Band {band!r}: found no box of {side} x {side} pixels with enough sky, expected "
            "some. Give a smaller box_size, a larger cutout, or method='median'."
        ) from error
    return np.asarray(surface.background, dtype=np.float32) + plane
