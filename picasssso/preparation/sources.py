"""The target and what lies in front of or beside it.

Sources are found in the bands together and deblended, only around the target, with photutils.
A galaxy is then put together again: of the pieces into which deblending cuts it, those are
foreign that are pointlike and outshine the galaxy under them, or that lie outside the target's
own light with a dark lane between. Arms, bulges and star-forming regions stay the target's.
"""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np
import numpy.typing as npt
from astropy.nddata import NDData

from picasssso.bands.psf import kernel_fwhm
from picasssso.exceptions import InvalidInputError
from picasssso.preparation.storage import allocate

if TYPE_CHECKING:
    from astropy.coordinates import SkyCoord

    from picasssso.bands import BandImages

_THRESHOLD = 2.0  # sigma of the smoothed, combined image
_MIN_PIXELS = 8
_FIRST_SIDE = 400  # pixels around the target that are searched first
_CONTRAST = 1.0  # of a star's peak, over the galaxy under it
_MIN_PEAK = 8.0  # of a star, over the noise
_POINTLIKE = 1.6  # times the PSF's width

Array = npt.NDArray[Any]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Target:
    """Where the target is and how large.

    Parameters
    ----------
    x, y : float
        Pixel position of its light's centre.
    half_light_radius : float
        Semi-major axis of the ellipse that holds half of its light, pixels.
    axis_ratio : float
        Minor over major axis.
    angle : float
        Of the major axis, degrees from the x axis.
    """

    x: float
    y: float
    half_light_radius: float
    axis_ratio: float
    angle: float

    def to_dict(self) -> dict[str, float]:
        """Return plain numbers, rounded.

        Returns
        -------
        dict
            By name.
        """
        return {name: round(float(value), 3) for name, value in vars(self).items()}


@dataclass(frozen=True, eq=False)
class Sources:
    """What was found around the target.

    Parameters
    ----------
    target : ndarray of bool, shape (y, x)
        Pixels of the target.
    foreign : ndarray of bool, shape (y, x)
        Pixels of stars on the target and of its neighbours.
    n_stars, n_neighbours : int
        Pointlike sources on the target, and other sources.
    shape : Target
        Position and size of the target.
    """

    target: npt.NDArray[np.bool_]
    foreign: npt.NDArray[np.bool_]
    n_stars: int
    n_neighbours: int
    shape: Target


def _pixel_position(images: BandImages, position: Any) -> tuple[float, float]:
    """Return the target's pixel (x, y): the middle of the image unless given."""
    if position is None:
        return (images.shape[1] - 1) / 2, (images.shape[0] - 1) / 2
    if hasattr(position, "transform_to"):
        if images.wcs is None:
            raise InvalidInputError(
                "Target: found a position on the sky and images without WCS, expected pixels "
                "(x, y)."
            )
        x, y = images.wcs.world_to_pixel(position)
        position = float(x), float(y)
    x, y = float(position[0]), float(position[1])
    if not (-0.5 <= x < images.shape[1] - 0.5 and -0.5 <= y < images.shape[0] - 0.5):
        raise InvalidInputError(
            f"Target: found the position ({x:.1f}, {y:.1f}) in pixels, expected one inside the "
            f"image of {images.shape[1]} x {images.shape[0]}."
        )
    return x, y


def find_sources(
    images: BandImages,
    position: SkyCoord | tuple[float, float] | None = None,
    *,
    fwhm_pixels: float | None = None,
    folder: str | os.PathLike[str] | None = None,
) -> Sources:
    """Find the target and what does not belong to it.

    Parameters
    ----------
    images : BandImages
        Images without sky, with uncertainties.
    position : `~astropy.coordinates.SkyCoord` or tuple of float, optional
        Where the target is, on the sky or as pixel ``(x, y)``; default: the middle of the image.
    fwhm_pixels : float, optional
        Width of stars; default: that of the broadest PSF, or 4 pixels if none is known.
    folder : path, optional
        Where to keep the masks of a large field; default: in memory.

    Returns
    -------
    Sources
        The target, and everything else that was found within its surroundings.

    Raises
    ------
    InvalidInputError
        If there is no source at the position.
    """
    x, y = _pixel_position(images, position)
    fwhm = _star_width(images) if fwhm_pixels is None else float(fwhm_pixels)
    side = _FIRST_SIDE
    while True:
        region = tuple(
            slice(max(int(c) - side, 0), min(int(c) + side + 1, length))
            for c, length in zip((y, x), images.shape, strict=True)
        )
        local = (x - region[1].start, y - region[0].start)
        image = _detection_image(images, (region[0], region[1]))
        segments = _segments(image, fwhm, images)
        label = _label_at(segments, image, local, fwhm)
        rows, columns = np.nonzero(segments == label)
        inner = (
            (rows.min() > 2 or region[0].start == 0)
            and (columns.min() > 2 or region[1].start == 0)
            and (rows.max() < segments.shape[0] - 3 or region[0].stop == images.shape[0])
            and (columns.max() < segments.shape[1] - 3 or region[1].stop == images.shape[1])
        )
        # A target that fills what was searched needs a wider look.
        if inner or side > max(images.shape):
            break
        side *= 2
    target, foreign, n_stars, n_neighbours = _put_together(image, segments, label, local, fwhm)
    shape = _measure(image, target, foreign, region)
    whole = [allocate(images.shape, bool, folder) for _ in range(2)]
    for plane, part in zip(whole, (target, foreign), strict=True):
        plane[region] = part
    return Sources(whole[0], whole[1], n_stars, n_neighbours, shape)


def mask_sources(
    images: BandImages,
    position: SkyCoord | tuple[float, float] | None = None,
    *,
    sources: Sources | None = None,
    folder: str | os.PathLike[str] | None = None,
) -> BandImages:
    """Return images in which stars and neighbours are masked, in every band.

    Parameters
    ----------
    images : BandImages
        Images without sky, with uncertainties.
    position : `~astropy.coordinates.SkyCoord` or tuple of float, optional
        Where the target is; default: the middle of the image.
    sources : Sources, optional
        What `find_sources` returned; default: found here.
    folder : path, optional
        Where to keep the masks of a large field; default: in memory.

    Returns
    -------
    BandImages
        The same pixels, some masked, with the target as label 1 in ``labels``. Masked pixels
        are black in ``plot()``.

    Examples
    --------
    >>> from picasssso.data import load_example_images
    >>> from picasssso.preparation import mask_sources
    >>> images = mask_sources(load_example_images())
    >>> int(images.labels[64, 64])
    1
    """
    found = find_sources(images, position, folder=folder) if sources is None else sources
    labels = allocate(images.shape, np.uint8, folder)
    labels[...] = found.target
    planes = {}
    for band, image in images.items():
        mask = allocate(images.shape, bool, folder)
        mask[...] = found.foreign
        if image.mask is not None:
            mask |= image.mask
        planes[band] = NDData(
            image.data, unit=image.unit, uncertainty=image.uncertainty, mask=mask
        )
    return images.with_planes(planes, labels=labels)


def cutout_target(
    images: BandImages,
    target: Target | Sources | None = None,
    *,
    radii: float = 5.0,
) -> BandImages:
    """Return the square around the target whose half side is some of its half-light radii.

    Parameters
    ----------
    images : BandImages
        The images.
    target : Target or Sources, optional
        Position and size; default: of what `find_sources` finds in the middle.
    radii : float, optional
        Half the side, in half-light radii.

    Returns
    -------
    BandImages
        The part of it that lies on the image.
    """
    if not radii > 0:
        raise InvalidInputError(f"cutout_target: found radii={radii!r}, expected a positive one.")
    if target is None:
        target = find_sources(images)
    shape = target.shape if isinstance(target, Sources) else target
    half = max(radii * shape.half_light_radius, 4.0)
    rows, columns = (
        slice(max(round(c - half), 0), min(round(c + half) + 1, length))
        for c, length in ((shape.y, images.shape[0]), (shape.x, images.shape[1]))
    )
    return images[rows, columns]


# ---- finding -------------------------------------------------------------------------------


def _star_width(images: BandImages) -> float:
    scale = images.pixel_scale.value
    widths = [
        psf.to_value(u.arcsec) / scale if isinstance(psf, u.Quantity) else kernel_fwhm(psf)
        for psf in images.psf.values()
    ]
    return float(max(widths)) if widths else 4.0


def _detection_image(images: BandImages, region: tuple[slice, slice]) -> Array:
    """Return the bands added in units of their noise, of unit noise itself; bad pixels filled."""
    from astropy.stats import mad_std
    from scipy.ndimage import gaussian_filter

    total = None
    for band in images.bands:
        flux, precision = (plane[0] for plane in images.to_arrays(region, bands=[band]))
        bad = precision == 0
        values = flux[~bad]
        if not values.size:
            continue
        known = precision[~bad]
        noise = 1 / np.sqrt(np.median(known)) if np.isfinite(known).all() else mad_std(values)
        if not noise > 0:
            continue
        plane = np.where(bad, 0.0, flux / noise)
        if bad.any():
            weight = gaussian_filter((~bad).astype(float), 2.0)
            mean = gaussian_filter(plane, 2.0) / np.maximum(weight, 1e-6)
            plane = np.where(bad & (weight > 0.02), mean, plane)
        total = plane if total is None else total + plane
    if total is None:
        raise InvalidInputError(
            "find_sources: found no valid pixel around the target, expected some."
        )
    return np.asarray(total / np.sqrt(len(images.bands)), dtype=np.float64)


def _segments(image: Array, fwhm: float, images: BandImages) -> npt.NDArray[np.int64]:
    from astropy.stats import sigma_clipped_stats
    from photutils.segmentation import detect_sources
    from photutils.utils.exceptions import NoDetectionsWarning
    from scipy.ndimage import gaussian_filter

    width = max(fwhm / 2.355, 1.0)
    smooth = gaussian_filter(image, width)
    # What a Gaussian leaves of unit noise that is correlated as stated; where a galaxy fills
    # the image, the scatter of the image itself would be the galaxy's.
    area = 4 * np.pi * width**2
    inflation = np.mean([scaling(area) for scaling in images.noise_scaling.values()])
    expected = 1.2 * np.sqrt(inflation / area)
    _, level, scatter = sigma_clipped_stats(smooth, sigma=2.5)
    scatter = min(scatter, expected)
    level = float(np.clip(level, 0.0, scatter))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoDetectionsWarning)
        found = detect_sources(smooth, level + _THRESHOLD * scatter, _MIN_PIXELS)
    if found is None:
        return np.zeros(image.shape, dtype=np.int64)
    return np.asarray(found.data, dtype=np.int64)


def _label_at(segments: Array, image: Array, local: tuple[float, float], fwhm: float) -> int:
    """Return the segment at the position, or the nearest within a few widths of the PSF."""
    row, column = round(local[1]), round(local[0])
    if segments[row, column]:
        return int(segments[row, column])
    rows, columns = np.nonzero(segments)
    if rows.size:
        distance = np.hypot(rows - local[1], columns - local[0])
        nearest = int(np.argmin(distance))
        if distance[nearest] < 3 * fwhm:
            return int(segments[rows[nearest], columns[nearest]])
    raise InvalidInputError(
        f"find_sources: found no source at the target's position (pixel {local[0]:.0f}, "
        f"{local[1]:.0f} of what was searched), expected one. Give position=, or check that the "
        "sky was subtracted."
    )


def _put_together(
    image: Array, segments: Array, label: int, local: tuple[float, float], fwhm: float
) -> tuple[BoolArray, BoolArray, int, int]:
    """Return target, foreign pixels, number of stars and of neighbours."""
    from scipy.ndimage import binary_dilation, binary_fill_holes

    whole = segments == label
    pieces = _deblend(image, whole, fwhm)
    core = _core_label(pieces, image, local, fwhm)
    own = pieces == core
    stars, peaks = _stars_on(image, whole, local, fwhm)
    foreign = stars.copy()
    n_stars, n_neighbours = len(peaks), 0
    for number in np.unique(pieces[pieces > 0]):
        piece = pieces == number
        # The light around a star on the target is the target's.
        if number == core or any(piece[peak] for peak in peaks):
            continue
        if _is_neighbour(image, own, piece, local, fwhm):
            foreign |= piece
            n_neighbours += 1
    # A dark spot inside is still the target's.
    target = binary_fill_holes(whole) & ~foreign
    others = (segments > 0) & ~whole & ~target
    n_neighbours += len(np.unique(segments[others]))
    if others.any():
        grown = binary_dilation(others, iterations=max(1, round(fwhm / 2)))
        foreign |= grown & ~target
    return target, foreign, n_stars, n_neighbours


def _deblend(image: Array, whole: BoolArray, fwhm: float) -> npt.NDArray[np.int64]:
    from photutils.segmentation import SegmentationImage, deblend_sources
    from scipy.ndimage import gaussian_filter

    smooth = gaussian_filter(image, max(fwhm / 2.355, 1.0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of sources too faint for exponential levels
        result = deblend_sources(
            smooth,
            SegmentationImage(whole.astype(int)),
            _MIN_PIXELS,
            contrast=0.003,
            progress_bar=False,
        )
    return np.asarray(result.data, dtype=np.int64)


def _core_label(pieces: Array, image: Array, local: tuple[float, float], fwhm: float) -> int:
    """Return the piece of the target's centre: that with most light near the position."""
    rows, columns = np.indices(pieces.shape)
    near = (np.hypot(rows - local[1], columns - local[0]) < 2 * fwhm) & (pieces > 0)
    if not near.any():
        near = pieces > 0
    light = np.bincount(pieces[near], weights=np.maximum(image[near], 0.0))
    return int(np.argmax(light)) or int(pieces[pieces > 0][0])


def _is_neighbour(
    image: Array, own: BoolArray, piece: BoolArray, local: tuple[float, float], fwhm: float
) -> bool:
    """Return whether a piece is a source of its own, not a part of the target.

    It is one if its peak stands far above the darkest point on the way to the target's centre,
    and a smooth galaxy would be fainter than its peak there.
    """
    from scipy.ndimage import gaussian_filter, map_coordinates

    smooth = gaussian_filter(image, max(fwhm / 2.355, 1.0))
    peak = np.unravel_index(np.argmax(np.where(piece, smooth, -np.inf)), image.shape)
    steps = np.linspace(0, 1, 60)
    path = np.stack(
        [local[1] + (peak[0] - local[1]) * steps, local[0] + (peak[1] - local[0]) * steps]
    )
    along = map_coordinates(smooth, path, order=1)
    lane = float(max(along.min(), 0.0))
    height = float(smooth[peak])
    beyond = np.hypot(peak[0] - local[1], peak[1] - local[0]) > np.sqrt(own.sum() / np.pi) * 0.8
    return bool(beyond and height > 2.5 * lane and height - lane > _MIN_PEAK)


def _stars_on(
    image: Array, target: BoolArray, local: tuple[float, float], fwhm: float
) -> tuple[BoolArray, list[tuple[int, int]]]:
    """Return pointlike sources that outshine the galaxy under them, and their peaks.

    The galaxy is the median of a ring around each pixel: wider than a star, narrower than an
    arm.
    """
    from scipy.ndimage import (
        binary_dilation,
        gaussian_filter,
        label,
        maximum_position,
        median_filter,
    )

    reach = max(3, round(1.5 * fwhm))
    square = np.indices((2 * reach + 1, 2 * reach + 1)) - reach
    radius = np.hypot(*square)
    ring = (radius <= reach + 0.5) & (radius > max(0.9 * fwhm, 2))
    rows, columns = np.nonzero(target)
    if not rows.size:
        return np.zeros(image.shape, dtype=bool), []
    box = (
        slice(max(rows.min() - 2 * reach, 0), rows.max() + 2 * reach + 1),
        slice(max(columns.min() - 2 * reach, 0), columns.max() + 2 * reach + 1),
    )
    part = image[box]
    smooth = gaussian_filter(part, 0.6 * fwhm / 2.355)
    under = median_filter(smooth, footprint=ring, mode="nearest")
    excess = smooth - under
    # The galaxy's own nucleus is pointlike too: it is where the target is.
    y, x = np.indices(part.shape)
    centre = np.hypot(y + box[0].start - local[1], x + box[1].start - local[0])
    found = (excess > _CONTRAST * np.maximum(under, 1.0)) & (excess > _MIN_PEAK) & target[box]
    labelled: Any = label(found)
    groups, n_groups = labelled
    stars = np.zeros(part.shape, dtype=bool)
    peaks = []
    for k, peak in enumerate(maximum_position(excess, groups, range(1, n_groups + 1)), start=1):
        group = groups == k
        if centre[peak] < 1.5 * fwhm or not group.any():
            continue
        if not _pointlike(excess, (int(peak[0]), int(peak[1])), fwhm):
            continue
        # Out to where a Gaussian falls to a tenth of the galaxy, and a little for its wings.
        faint = max(_MIN_PEAK, 0.1 * float(under[peak]))
        extent = fwhm * (0.3 + 0.5 * np.sqrt(max(np.log2(excess[peak] / faint), 0.0)))
        stars |= np.hypot(y - peak[0], x - peak[1]) < extent
        peaks.append((int(peak[0]) + box[0].start, int(peak[1]) + box[1].start))
    result = np.zeros(image.shape, dtype=bool)
    result[box] = binary_dilation(stars) if stars.any() else stars
    return result, peaks


def _pointlike(excess: Array, peak: tuple[int, int], fwhm: float) -> bool:
    reach = int(np.ceil(2 * fwhm))
    box = tuple(slice(max(p - reach, 0), p + reach + 1) for p in peak)
    stamp = np.maximum(excess[box], 0.0)
    above = stamp > 0.5 * excess[peak]
    from scipy.ndimage import label

    parts: Array = label(above)[0]
    own = parts[peak[0] - box[0].start, peak[1] - box[1].start]
    width = 2 * np.sqrt(np.count_nonzero(parts == own) / np.pi)
    return bool(width < _POINTLIKE * fwhm)


def _measure(image: Array, target: BoolArray, foreign: BoolArray, region: Any) -> Target:
    """Return centre, shape and half-light radius of the target."""
    from photutils.segmentation import SegmentationImage, SourceCatalog

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        catalog = SourceCatalog(
            image, SegmentationImage(target.astype(int)), mask=foreign | ~np.isfinite(image)
        )
        x, y = (float(c) for c in np.ravel(catalog.centroid))
        ratio = 1 - float(np.ravel(catalog.ellipticity.value)[0])
        angle = float(np.ravel(catalog.orientation.value)[0])
    ratio = ratio if np.isfinite(ratio) and ratio > 0.05 else 1.0
    rows, columns = np.nonzero(target)
    turn = np.deg2rad(angle)
    along = (columns - x) * np.cos(turn) + (rows - y) * np.sin(turn)
    across = -(columns - x) * np.sin(turn) + (rows - y) * np.cos(turn)
    radius = np.hypot(along, across / ratio)
    order = np.argsort(radius)
    light = np.cumsum(np.maximum(image[rows, columns], 0.0)[order])
    half = radius[order][np.searchsorted(light, 0.5 * light[-1])]
    return Target(
        x=x + region[1].start,
        y=y + region[0].start,
        half_light_radius=float(max(half, 0.5)),
        axis_ratio=float(ratio),
        angle=angle,
    )
