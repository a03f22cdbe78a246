"""The target and what lies in front of or beside it.

Sources are found in the bands together, only around the target, with photutils. Of the target's
own patch of light those parts are foreign that are pointlike and outshine the galaxy under them,
or that lie outside the target's own light with a dark lane between. Nucleus, arms, bulges and
star-forming regions stay the target's.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np
import numpy.typing as npt
from astropy.nddata import NDData

from picasssso._core.safe_files import allocate
from picasssso.bands.pixels import sky_to_pixel
from picasssso.bands.psf_width import kernel_fwhm
from picasssso.exceptions import InvalidInputError
from picasssso.maps.missing import missing_part, smooth_light
from picasssso.preparation.deblending import Other, take_apart
from picasssso.preparation.point_sources import MIN_PIXELS
from picasssso.preparation.steps import with_step
from picasssso.preparation.surroundings import fill_with_surroundings

if TYPE_CHECKING:
    from astropy.coordinates import SkyCoord

    from picasssso.bands import BandImages

_THRESHOLD = 2.0  # sigma of the smoothed, combined image
_FIRST_SIDE = 400  # pixels around the target that are searched first
_NEAR = 5.0  # arcsec to which a position is trusted, but no less than 2 and no more than 5 FWHM

#: Light of others, over the target's, from which on it is told.
TOLD_OF_OTHERS = 0.02

Array = npt.NDArray[Any]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Target:
    """Where the target is (pixels, the center of its light) and how large.

    ``half_light_radius``: semi-major axis of the ellipse that holds half of its light, pixels;
    ``angle``: of the major axis, degrees from the x axis.
    """

    x: float
    y: float
    half_light_radius: float
    axis_ratio: float
    angle: float


@dataclass(frozen=True, eq=False)
class Sources:
    """Sources found around the target, as `find_sources` describes them."""

    target: npt.NDArray[np.bool_]
    foreign: npt.NDArray[np.bool_]
    n_stars: int
    n_neighbors: int
    shape: Target
    nucleus: tuple[float, float]
    hidden_area: float
    hidden_light: float
    brightest: tuple[float, float, float] = (np.nan, np.nan, 0.0)
    center_hidden: bool = False
    left: tuple[tuple[float, float, float], ...] = ()
    doubtful: tuple[tuple[float, float, float], ...] = ()


def pixel_position(images: BandImages, position: Any) -> tuple[float, float]:
    """Return the target's pixel (x, y): the middle of the image unless given."""
    if position is None:
        return (images.shape[1] - 1) / 2, (images.shape[0] - 1) / 2
    if hasattr(position, "transform_to"):
        position = sky_to_pixel(position, images.wcs, "Target")
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
    """Find the target, and stars and neighbors that do not belong to it.

    Parameters
    ----------
    images : BandImages
        Sky-subtracted images with uncertainties.
    position : `~astropy.coordinates.SkyCoord` or tuple of float, optional
        Position of the target, on the sky or as pixel ``(x, y)``, accurate to 5 arcsec (but no
        more than 5 FWHM); default: the center of the image.
    fwhm_pixels : float, optional
        Width of stars; default: that of the broadest PSF, or 4 pixels if none is known.
    folder : path, optional
        Folder for the masks of a large field; default: in memory.

    Returns
    -------
    Sources
        With the attributes ``target`` and ``foreign`` (arrays of bool of the images' shape: pixels
        of the target, and of stars on it and of neighbors); ``n_stars`` and ``n_neighbors`` (how
        many of these); ``shape`` (center ``x``, ``y``, ``half_light_radius``, ``axis_ratio`` and
        ``angle`` of the target, in pixels); ``nucleus`` (pixel (x, y) of its brightest
        concentrated light, which is never masked); ``hidden_area`` and ``hidden_light``
        (fractions of its area and light hidden by stars, by neighbors that reach over it, or by
        pixels invalid in any band; the light is estimated from other pixels at the same
        elliptical radius, or a Sersic profile fitted to them); ``brightest`` (x, y of the
        brightest other source, and its light over the target's; 0 without one);
        ``center_hidden`` (whether the center of that profile is invalid in any band). Two tuples
        hold pixel x, y of other sources and their light over the target's, brightest first:
        ``left`` (masked ones; estimated light outside their masks, in the target: wings of a
        Moffat profile for stars, the other side of a galaxy) and ``doubtful`` (not masked, as they
        may belong to the target, be its nucleus or have it under their mask).

    Raises
    ------
    InvalidInputError
        If there is no source at the position.

    Examples
    --------
    >>> from picasssso.data import load_example
    >>> from picasssso.preparation import find_sources
    >>> found = find_sources(load_example()[0])
    >>> found.n_stars, found.target.shape
    (0, (128, 128))
    """
    x, y = pixel_position(images, position)
    fwhm = star_width(images) if fwhm_pixels is None else float(fwhm_pixels)
    near = float(np.clip(_NEAR / images.pixel_scale.value, 2 * fwhm, 5 * fwhm))
    side = _FIRST_SIDE
    while True:
        region = tuple(
            slice(max(int(c) - side, 0), min(int(c) + side + 1, length))
            for c, length in zip((y, x), images.shape, strict=True)
        )
        local = (x - region[1].start, y - region[0].start)
        image, bad = _detection_image(images, (region[0], region[1]))
        segments = _segments(image, fwhm, images)
        label = _label_at(segments, image, local, near)
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
    parts = take_apart(image, segments, label, local, fwhm, near)
    shape, hidden_area, hidden_light, center = _measure(image, parts.target, parts.hidden, bad)
    whole = [allocate(images.shape, bool, folder) for _ in range(2)]
    for plane, part in zip(whole, (parts.target, parts.foreign), strict=True):
        plane[region] = part
    corner = region[1].start, region[0].start
    return Sources(
        whole[0],
        whole[1],
        parts.n_stars,
        parts.n_neighbors,
        replace(shape, x=shape.x + corner[0], y=shape.y + corner[1]),
        (parts.nucleus[0] + corner[0], parts.nucleus[1] + corner[1]),
        hidden_area,
        hidden_light,
        _brightest(image, segments, label, corner),
        center,
        *(
            _shares(others, image, parts.target, corner)
            # Around a center that nobody sees everything is in doubt.
            for others in (parts.left, () if center else parts.doubtful)
        ),
    )


def _shares(
    others: Sequence[Other], image: Array, target: BoolArray, corner: tuple[int, int]
) -> tuple[tuple[float, float, float], ...]:
    """Return pixel (x, y) of sources and their light over the target's, brightest first."""
    own = max(float(np.maximum(image[target], 0.0).sum()), 1e-30)
    found = [(float(o.x + corner[0]), float(o.y + corner[1]), o.light / own) for o in others]
    return tuple(sorted(found, key=lambda other: -other[2]))


def _brightest(
    image: Array, segments: npt.NDArray[np.int64], label: int, corner: tuple[int, int]
) -> tuple[float, float, float]:
    """Return pixel (x, y) of the brightest source but one, and its light over that one's."""
    light = np.bincount(segments.ravel(), weights=np.maximum(image, 0.0).ravel())
    own, light[[0, label]] = light[label], 0.0
    if not light.any() or not own > 0:
        return np.nan, np.nan, 0.0
    rows, columns = np.nonzero(segments == light.argmax())
    peak = image[rows, columns].argmax()
    return (
        float(columns[peak] + corner[0]),
        float(rows[peak] + corner[1]),
        float(light.max() / own),
    )


def mask_sources(
    images: BandImages,
    position: SkyCoord | tuple[float, float] | None = None,
    *,
    sources: Sources | None = None,
    folder: str | os.PathLike[str] | None = None,
) -> BandImages:
    """Return images in which stars and neighbors are masked, in every band.

    Parameters
    ----------
    images : BandImages
        Sky-subtracted images with uncertainties.
    position : `~astropy.coordinates.SkyCoord` or tuple of float, optional
        Position of the target; default: the center of the image.
    sources : Sources, optional
        Result of `find_sources`; by default it is called here.
    folder : path, optional
        Folder for the masks of a large field; default: in memory.

    Returns
    -------
    BandImages
        The images with masks, and with the target as label 1 in ``labels``.
        ``meta["preparation"]`` records the masked fractions of the area and light of the target,
        how much of its light is that of others, and what was not masked in doubt.
        Masked pixels are black in ``plot()``.

    Examples
    --------
    >>> from picasssso.data import load_example
    >>> from picasssso.preparation import mask_sources
    >>> images = mask_sources(load_example()[0])
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
    return with_step(
        images.with_planes(planes, labels=labels),
        "mask",
        stars_on_target=found.n_stars,
        neighbors=found.n_neighbors,
        masked_pixels=int(np.count_nonzero(found.foreign)),
        part_of_target_area_masked=round(found.hidden_area, 4),
        part_of_target_light_masked=round(found.hidden_light, 4),
        part_of_target_light_of_others=round(sum(share for *_, share in found.left), 4),
        kept_in_doubt=[_named(*other) for other in found.doubtful if other[2] > TOLD_OF_OTHERS],
        target={name: round(float(v), 3) for name, v in vars(found.shape).items()},
    )


def _named(x: float, y: float, share: float) -> str:
    return f"pixel ({x:.0f}, {y:.0f}) with {100 * share:.2g} % of the target's light"


def warnings_of_others(found: Sources) -> list[str]:
    """Return what to say of others' light in the target, and of what may be others'."""
    said = []
    total = sum(share for *_, share in found.left)
    if total > TOLD_OF_OTHERS:
        x, y, _ = found.left[0]
        said.append(
            f"About {100 * total:.2g} % of the target's light is that of masked stars and "
            f"neighbors, outside their masks; most of it of the one at pixel ({x:.0f}, {y:.0f}). "
            "It is not subtracted."
        )
    doubtful = [_named(*other) for other in found.doubtful if other[2] > TOLD_OF_OTHERS][:3]
    if doubtful:
        said.append(
            f"Not masked: {', '.join(doubtful)}. It may be a star or another galaxy, or the "
            "target's own. If it is not the target's, read the files with a mask of it."
        )
    return said


def cutout_target(
    images: BandImages,
    target: Target | Sources | None = None,
    *,
    radii: float = 5.0,
) -> BandImages:
    """Return a square around the target, with a size in units of its half-light radius.

    Parameters
    ----------
    images : BandImages
        The images.
    target : Target or Sources, optional
        Position and size; default: those of the source at the center, from `find_sources`.
    radii : float, optional
        Half the side of the square, in half-light radii.

    Returns
    -------
    BandImages
        The part of it inside the image.

    Examples
    --------
    >>> from picasssso.data import load_example
    >>> from picasssso.preparation import cutout_target
    >>> cutout = cutout_target(load_example()[0], radii=1)
    >>> 20 < cutout.shape[0] < 100
    True
    """
    if not 0 < radii < np.inf:
        raise InvalidInputError(f"cutout_target: found radii={radii!r}, expected a positive one.")
    if target is None:
        target = find_sources(images)
    shape = target.shape if isinstance(target, Sources) else target
    half = max(radii * shape.half_light_radius, 4.0)
    rows, columns = (
        slice(max(round(c - half), 0), min(round(c + half) + 1, length))
        for c, length in ((shape.y, images.shape[0]), (shape.x, images.shape[1]))
    )
    return with_step(images[rows, columns], "cutout", half_light_radii=float(radii))


# ---- finding -------------------------------------------------------------------------------


def star_width(images: BandImages) -> float:
    """Return the width of stars in the broadest band, pixels; 4 where no PSF is known."""
    scale = images.pixel_scale.value
    widths = [
        psf.to_value(u.arcsec) / scale if isinstance(psf, u.Quantity) else kernel_fwhm(psf)
        for psf in images.psf.values()
    ]
    return float(max(widths)) if widths else 4.0


def _detection_image(images: BandImages, region: tuple[slice, slice]) -> tuple[Array, BoolArray]:
    """Return the bands added in units of their noise, of unit noise itself, and where any is bad.

    Bad pixels hold what surrounds them.
    """
    from astropy.stats import mad_std

    total: Any = 0.0
    any_bad = np.zeros(images._cut(region).shape, dtype=bool)
    for band in images.bands:
        flux, precision = (plane[0] for plane in images.to_arrays(region, bands=[band]))
        bad = precision == 0
        any_bad |= bad
        values = flux[~bad]
        if not values.size:
            continue
        known = precision[~bad]
        noise = 1 / np.sqrt(np.median(known)) if np.isfinite(known).all() else mad_std(values)
        if noise > 0:
            total = total + fill_with_surroundings(flux / noise, ~bad, 5.0)
    if np.ndim(total) == 0:
        raise InvalidInputError(
            "find_sources: found no valid pixel around the target, expected some."
        )
    return np.asarray(total / np.sqrt(len(images.bands)), dtype=np.float64), any_bad


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
        found = detect_sources(smooth, level + _THRESHOLD * scatter, MIN_PIXELS)
    if found is None:
        return np.zeros(image.shape, dtype=np.int64)
    return np.asarray(found.data, dtype=np.int64)


def _label_at(segments: Array, image: Array, local: tuple[float, float], near: float) -> int:
    """Return the segment at the position, or the brightest of those near it."""
    row, column = round(local[1]), round(local[0])
    if segments[row, column]:
        return int(segments[row, column])
    rows, columns = np.indices(segments.shape)
    within = (np.hypot(rows - local[1], columns - local[0]) < near) & (segments > 0)
    if within.any():
        light = np.bincount(segments[within], weights=np.maximum(image[within], 0.0))
        return int(np.argmax(light))
    raise InvalidInputError(
        f"find_sources: found no source at the target's position (pixel {local[0]:.0f}, "
        f"{local[1]:.0f} of what was searched), expected one. Give position=, or check that the "
        "sky was subtracted."
    )


def _measure(
    image: Array, target: BoolArray, hidden: BoolArray, bad: BoolArray
) -> tuple[Target, float, float, bool]:
    """Return the target's shape, the fractions of area and light hidden, and if its center is.

    ``hidden``: what lies before the target.
    """
    from photutils.segmentation import SegmentationImage, SourceCatalog

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        catalog = SourceCatalog(
            image, SegmentationImage(target.astype(int)), mask=hidden | ~np.isfinite(image)
        )
        x, y = (float(c) for c in np.ravel(catalog.centroid))
        ratio = 1 - float(np.ravel(catalog.ellipticity.value)[0])
        angle = float(np.ravel(catalog.orientation.value)[0])
    ratio = ratio if np.isfinite(ratio) and ratio > 0.05 else 1.0
    rows, columns = np.nonzero(target | hidden)
    turn = np.deg2rad(angle)
    along = (columns - x) * np.cos(turn) + (rows - y) * np.sin(turn)
    across = -(columns - x) * np.sin(turn) + (rows - y) * np.cos(turn)
    radius = np.hypot(along, across / ratio)
    seen = target[rows, columns]
    light = np.maximum(image[rows, columns], 0.0)
    order = np.argsort(radius[seen])
    grown = np.cumsum(light[seen][order])
    half = radius[seen][order][np.searchsorted(grown, 0.5 * grown[-1])]
    # Hidden pixels have the light of the others in a ring of a pixel or so.
    lost = ~seen | bad[rows, columns]
    ring = np.rint(radius).astype(int)
    count, total = (np.bincount(ring[~lost], w, ring.max() + 1) for w in (None, light[~lost]))
    known = np.flatnonzero(count)
    area_hidden, light_hidden = float(lost.mean()), 0.0
    if known.size:
        light_hidden = float(np.interp(ring[lost], known, total[known] / count[known]).sum())
        light_hidden /= light_hidden + float(light[~lost].sum()) or 1.0
    shape = Target(x, y, float(max(half, 0.5)), float(ratio), angle)
    # Holes move the center that rings are drawn around; a profile fitted beside them does not.
    valid = ~(bad | hidden)
    if np.any(bad & target):
        smooth = smooth_light(np.where(target & valid, image, 0.0), valid)
        if smooth is not None:
            light_hidden = missing_part(smooth, valid, target | hidden)
            return shape, area_hidden, light_hidden, smooth.lacks(~bad)
    return shape, area_hidden, light_hidden, False
