"""The point spread function: measured from stars, or modeled from its width."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np
import numpy.typing as npt

from picasssso.bands.psf_width import kernel_fwhm
from picasssso.exceptions import InvalidInputError, PicassssoWarning
from picasssso.preparation.steps import with_step
from picasssso.preparation.surroundings import fill_with_surroundings

if TYPE_CHECKING:
    from picasssso.bands import BandImages

#: Shape of the PSF where only its width is known: Moffat index (Trujillo et al. 2001).
MOFFAT_INDEX = 3.0
_WIDTH = 8.0  # of the kernel, in FWHM
_SHARPEST = 0.3  # pixels: width before the average over pixels, of a PSF narrower than these
_SEARCH = 3000  # pixels of a large field in which stars are looked for
_MIN_SNR = 60.0
_MAX_ELLIPTICITY = 0.25
_LOCUS = 0.12  # relative width of the stars' sizes
_MAX_STARS = 60
_WINGS = 1.5  # FWHM beyond which the PSF is its fitted wings

Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class MeasuredPSF:
    """The PSF of a band as its stars show it.

    ``kernel``: on the image's pixels, with a sum of 1; ``positions``: pixel (x, y) of the stars,
    shape (stars, 2).
    """

    kernel: npt.NDArray[np.float64]
    fwhm_pixels: float
    positions: npt.NDArray[np.float64]


def model_psf(
    fwhm_pixels: float, side: int | None = None, *, profile: str = "moffat"
) -> npt.NDArray[np.float64]:
    """Return a model PSF averaged over pixels, whose full width at half maximum is as stated."""
    if profile not in ("moffat", "gaussian") or not 0 < fwhm_pixels < np.inf:
        raise InvalidInputError(
            f"model_psf: found fwhm_pixels={fwhm_pixels!r} and profile={profile!r}, expected a "
            "positive width and 'moffat' or 'gaussian'."
        )
    side = int(np.ceil(_WIDTH * fwhm_pixels / 2)) * 2 + 1 if side is None else side
    # A stated width is that of stars in the images, which pixels have widened already.
    core = fwhm_pixels
    for _ in range(3):
        kernel = _pixel_averages(core, side, profile)
        core *= fwhm_pixels / kernel_fwhm(kernel)
        if core < _SHARPEST:
            break
    return _pixel_averages(max(core, _SHARPEST), side, profile)


def _pixel_averages(fwhm: float, side: int, profile: str) -> npt.NDArray[np.float64]:
    """Return a profile of a width in pixels before its average over pixels, (side, side)."""
    fine = 5 if fwhm < 6 else 3
    step = (np.arange(side * fine) + 0.5) / fine - side / 2
    radius2 = step[:, None] ** 2 + step**2
    if profile == "gaussian":
        values = np.exp(-4 * np.log(2) * radius2 / fwhm**2)
    else:
        core = fwhm / 2 / np.sqrt(2 ** (1 / MOFFAT_INDEX) - 1)
        values = (1 + radius2 / core**2) ** -MOFFAT_INDEX
    values = values.reshape(side, fine, side, fine).mean(axis=(1, 3))
    return values / values.sum()


def measure_psf(
    images: BandImages,
    band: str,
    *,
    avoid: npt.NDArray[np.bool_] | None = None,
    stars: npt.ArrayLike | None = None,
    min_stars: int = 3,
) -> MeasuredPSF | None:
    """Measure the PSF of a band from its stars.

    Stars are the compact, round, isolated sources of high signal to noise whose sizes agree:
    the narrowest group of sizes that at least ``min_stars`` of them share. Without a sky
    subtracted beforehand nothing will be found.

    ``avoid``: where not to look, such as on the galaxy; ``stars``: pixel (x, y) of stars, instead
    of looking for them. Returns None if there are too few.
    """
    region, flux, noise, bad = _search_region(images, band)
    if avoid is not None:
        bad_or_avoided = bad | np.asarray(avoid[region], dtype=bool)
    else:
        bad_or_avoided = bad
    if stars is None:
        positions, size = _find_stars(flux, noise, bad_or_avoided, min_stars)
    else:
        positions = np.atleast_2d(np.asarray(stars, dtype=float)).reshape(-1, 2)
        positions = positions - np.array([region[1].start, region[0].start])
        size = _typical_size(flux, positions)
    if len(positions) < min_stars or not np.isfinite(size):
        return None
    kernel = _stack(flux, bad, positions, size)
    if kernel is None:
        return None
    found = positions + np.array([region[1].start, region[0].start])
    return MeasuredPSF(kernel, kernel_fwhm(kernel), found)


def with_measured_psf(
    images: BandImages,
    bands: Iterable[str] | None = None,
    *,
    avoid: npt.NDArray[np.bool_] | None = None,
    min_stars: int = 3,
) -> BandImages:
    """Return images with the PSFs that their stars show; the notes say of how many stars."""
    names = [b for b in images if b not in images.psf] if bands is None else list(bands)
    psf: dict[str, Any] = dict(images.psf)
    stars: dict[str, int] = {}
    widths: dict[str, float] = {}
    scale = images.pixel_scale.to_value(u.arcsec)
    missing = []
    for band in names:
        found = measure_psf(images, band, avoid=avoid, min_stars=min_stars)
        stars[band] = 0 if found is None else len(found.positions)
        if found is None:
            missing.append(band)
            continue
        psf[band] = found.kernel
        widths[band] = round(found.fwhm_pixels * scale, 4)
    if missing:
        warnings.warn(
            f"Found fewer than {min_stars} usable stars for the PSF of {', '.join(missing)}. "
            "Give it: psf={band: 1.2 * u.arcsec}, or a larger image with stars.",
            PicassssoWarning,
            stacklevel=2,
        )
    return with_step(images.replace(psf=psf), "psf measurement", stars=stars, fwhm_arcsec=widths)


def _search_region(images: BandImages, band: str) -> tuple[Any, Array, Array, Array]:
    region = tuple(
        slice(max((side - _SEARCH) // 2, 0), (side + min(side, _SEARCH)) // 2 + side % 2)
        for side in images.shape
    )
    flux, precision = (plane[0] for plane in images.to_arrays((region[0], region[1]), [band]))
    bad = precision == 0
    with np.errstate(divide="ignore", invalid="ignore"):
        noise = np.where(bad | np.isnan(precision), 0.0, 1 / np.sqrt(precision))
    if not np.any(noise > 0) and not bad.all():
        spread = 1.4826 * np.median(np.abs(flux[~bad] - np.median(flux[~bad])))
        noise = np.full(flux.shape, spread)
    return region, flux.astype(np.float64), noise, bad


def _find_stars(
    flux: Array, noise: Array, bad: Array, min_stars: int
) -> tuple[npt.NDArray[np.float64], float]:
    """Return positions of stars, and their FWHM as moments give it, pixels."""
    from photutils.segmentation import SourceCatalog, detect_sources
    from photutils.utils.exceptions import NoDetectionsWarning
    from scipy.ndimage import gaussian_filter, maximum_filter

    nothing = np.zeros((0, 2)), np.nan
    if bad.all() or not np.any(noise > 0):
        return nothing
    typical = float(np.median(noise[noise > 0]))
    smooth = gaussian_filter(np.where(bad, 0.0, flux), 1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoDetectionsWarning)
        found = detect_sources(smooth, 5 * typical, 5, mask=bad)
    if found is None:
        return nothing
    catalog = SourceCatalog(flux, found, convolved_data=smooth, mask=bad)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        width = np.atleast_1d(catalog.fwhm.value)
        shape = np.atleast_1d(catalog.ellipticity.value)
        light = np.atleast_1d(catalog.segment_flux)
        positions = np.atleast_2d(np.asarray(catalog.centroid))
        areas = np.atleast_1d(catalog.area.value)
    with np.errstate(invalid="ignore"):
        good = (light / (typical * np.sqrt(areas)) > _MIN_SNR) & (shape < _MAX_ELLIPTICITY)
        good &= np.isfinite(width) & (width > 1.0)
    # Away from edges, bad pixels and neighbors that are brighter than a tenth.
    for k in np.flatnonzero(good):
        x, y = positions[k]
        reach = int(np.ceil(2 * width[k])) + 1
        box = _box(x, y, reach, flux.shape)
        if box is None or bad[box].any() or _crowded(found.data, box, int(found.labels[k]), light):
            good[k] = False
    if np.count_nonzero(good) < min_stars:
        return nothing
    size = _locus(width[good], min_stars)
    good &= np.abs(width / size - 1) < _LOCUS
    order = np.argsort(-light[good])[:_MAX_STARS]
    chosen = positions[good][order]
    # A saturated star is flat: its brightest pixels do not stand out.
    peaks = maximum_filter(flux, 3)
    keep = [peaks[round(y), round(x)] > 0 for x, y in chosen]
    return chosen[keep], float(size)


def _box(x: float, y: float, reach: int, shape: tuple[int, ...]) -> tuple[slice, slice] | None:
    x0, y0 = round(x) - reach, round(y) - reach
    if x0 < 0 or y0 < 0 or x0 + 2 * reach >= shape[1] or y0 + 2 * reach >= shape[0]:
        return None
    return slice(y0, y0 + 2 * reach + 1), slice(x0, x0 + 2 * reach + 1)


def _crowded(segments: Array, box: tuple[slice, slice], label: int, light: Array) -> bool:
    others = np.setdiff1d(segments[box], [0, label])
    return bool(others.size) and bool(np.any(light[others - 1] > 0.1 * light[label - 1]))


def _locus(sizes: Array, min_stars: int) -> float:
    """Return the size that the stars share: the densest group, the smallest if there are two."""
    ordered = np.sort(sizes)
    within = np.array(
        [np.count_nonzero(np.abs(ordered / size - 1) < _LOCUS / 2) for size in ordered]
    )
    # Galaxies are larger than stars: the first group that holds half as many as the richest.
    enough = within >= max(min_stars, 0.5 * within.max())
    first = ordered[np.argmax(enough)] if enough.any() else ordered[0]
    near = ordered[np.abs(ordered / first - 1) < _LOCUS]
    return float(np.median(near))


def _typical_size(flux: Array, positions: Array) -> float:
    sizes = []
    for x, y in positions:
        box = _box(x, y, 8, flux.shape)
        if box is not None:
            sizes.append(kernel_fwhm(np.maximum(flux[box], 0.0)))
    return float(np.median(sizes)) if sizes else np.nan


def _stack(
    flux: Array, bad: Array, positions: Array, size: float
) -> npt.NDArray[np.float64] | None:
    """Return the PSF on the image's own pixels: stars shifted onto one another, by weight.

    Pixels in which a star differs from the mean, such as those of neighbors, are left out.
    """
    from photutils.centroids import centroid_2dg
    from scipy.ndimage import shift

    reach = int(np.ceil(_WIDTH * size / 2))
    inside = [(x, y) for x, y in positions if _box(x, y, reach + 1, flux.shape) is not None]
    if not inside:
        # Smaller stamps for stars near the edge of a small image.
        reach = int(np.ceil(2 * size)) + 1
        inside = [(x, y) for x, y in positions if _box(x, y, reach + 1, flux.shape) is not None]
    if not inside:
        return None
    radius = np.hypot(*(np.indices((2 * reach + 1, 2 * reach + 1)) - reach))
    core, edge = radius < 1.5 * size, radius > 0.92 * reach
    stamps, lights = [], []
    near = int(np.ceil(1.2 * size))
    for x, y in inside:
        box = _box(x, y, reach + 1, flux.shape)
        inner = _box(x, y, near, flux.shape)
        assert box is not None
        assert inner is not None
        center = centroid_2dg(flux[inner], mask=bad[inner]) - near
        if not np.hypot(*center) < size:
            continue
        stamp = fill_with_surroundings(flux[box], ~bad[box], 2 * size)
        stamp = shift(stamp, -center[::-1], order=3, mode="nearest")[1:-1, 1:-1]
        stamp -= np.median(stamp[edge])
        stamps.append(stamp)
        lights.append(stamp[core].sum())
    light = np.array(lights)[:, None, None]
    if not np.any(light > 0):
        return None
    stars, used = np.stack(stamps)[light[:, 0, 0] > 0], np.ones(1)
    light = light[light[:, 0, 0] > 0]
    for _ in range(3):
        weight = (light * light * used).sum(axis=0)
        kernel = (light * stars * used).sum(axis=0) / np.maximum(weight, 1e-30)
        left = stars - light * kernel
        scatter = 1.4826 * np.median(np.abs(left[:, edge])) + 0.05 * light * np.abs(kernel)
        used = (np.abs(left) < 4 * scatter).astype(float)
    # Noise in the wings must not carry the flux: far out they are a Moffat profile's.
    wings, sky = _fit_wings(kernel, radius, size)
    kernel = np.where(radius > _WINGS * size, wings, kernel - sky)
    kernel = np.where(radius <= reach, kernel, 0.0)
    total = kernel.sum()
    return kernel / total if total > 0 else None


def _fit_wings(kernel: Array, radius: Array, size: float) -> tuple[Array, float]:
    """Return the Moffat profile that fits outside of the core, and the sky under it."""
    from scipy.optimize import least_squares

    outside = (radius > 0.75 * size) & (radius <= radius[0].min())
    peak = float(kernel.max())

    def moffat(p: Array, r: Array) -> Array:
        return peak * p[0] * (1 + (r / (p[1] * size)) ** 2) ** -p[2]

    found = least_squares(
        lambda p: (moffat(p, radius[outside]) + peak * p[3] - kernel[outside]) / peak,
        (1.0, 1.0, MOFFAT_INDEX, 0.0),
        bounds=((0.0, 0.3, 1.8, -0.1), (3.0, 3.0, 10.0, 0.1)),
    ).x
    return moffat(found, radius), peak * float(found[3])
