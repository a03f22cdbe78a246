"""How much of what lies beside a galaxy is its own light.

The outskirts of a galaxy that fills its image, or lies at the edge of it, look like sky. A Sersic
profile with elliptical isophotes is fitted to the outer parts of the largest sources, together
with the level of the sky; what the profile says of the light in the pixels used for sky is taken
off before the sky is measured, and what it leaves open goes into the error of the sky.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from picasssso._core.blocks import Block
from picasssso.preparation.sky_plane import fit_plane
from picasssso.preparation.storage import blocks_of

if TYPE_CHECKING:
    from picasssso.bands import BandImages

_MIN_SIDE = 16  # pixels of an image
_CELLS = 50  # along the shorter side
_DETECTION = 4.0  # sigma of a cell
_MIN_CELLS = 12
_MAX_SOURCES = 3
_PART = 0.1  # of the area of the largest
_UNEVEN = 0.25  # scatter of a galaxy's light around its profile, relative
_CLIP = 4.0  # sigma
_INNER = 0.5  # of the radius of what is found: profiles are fitted outside
_ANNULI, _SECTORS = 18, 8
_INDICES = np.array([0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 5.6])
_RADII = 30  # scale lengths that are tried
#: Of the noise of a pixel: fainter galaxy light does not spoil the sky.
CLEAR = 0.1
_FAINT = 1e-3  # of the noise of a pixel
_CONTRADICTION = 5.0  # sigma by which cells contradict what a survey left of the sky
_EXPLAINED = 0.75  # of the scatter of the sky by a plane, to be one

Array = npt.NDArray[Any]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Ellipse:
    """Center (x, y), axis ratio and angle (radians from the x axis) of isophotes, in pixels.

    ``extent``: semi-major axis of the ellipse as large as what was found.
    """

    x: float
    y: float
    ratio: float
    angle: float
    extent: float = 0.0

    @property
    def center(self) -> tuple[float, float]:
        """Return row and column of the center."""
        return self.y, self.x

    def radius(self, x: Array, y: Array) -> Array:
        """Return the elliptical radius (along the major axis)."""
        dx, dy = x - self.x, y - self.y
        along = dx * np.cos(self.angle) + dy * np.sin(self.angle)
        across = dy * np.cos(self.angle) - dx * np.sin(self.angle)
        return np.hypot(along, across / self.ratio)


@dataclass(frozen=True, eq=False)
class Profile:
    """Surface brightness of a source at radii, and its standard error, nmgy per pixel."""

    ellipse: Ellipse
    radii: Array
    light: Array
    spread: Array

    def at(self, x: Array, y: Array) -> Array:
        """Return the light at pixels."""
        return np.asarray(np.interp(self.ellipse.radius(x, y), self.radii, self.light))

    def spread_at(self, x: Array, y: Array) -> Array:
        """Return the standard error of the light at pixels."""
        return np.asarray(np.interp(self.ellipse.radius(x, y), self.radii, self.spread))


@dataclass(frozen=True, eq=False)
class Outskirts:
    """The profiles of the sources in a band, largest first, and the sky beneath them.

    ``sky``, ``sky_error``: level at the first pixel and its standard error, nmgy per
    pixel (infinite without sources); ``noise``: of one pixel; ``area``, ``flux``: number of
    pixels in which the largest source is brighter than the noise, and its light in them;
    ``slope``: of the sky along x and y.
    """

    profiles: tuple[Profile, ...]
    sky: float
    sky_error: float
    noise: float
    area: float = 0.0
    flux: float = 0.0
    slope: tuple[float, float] = (0.0, 0.0)

    def light(self, block: Block, *, spread: bool = False) -> Array:
        """Return the sources' light in a padded block, or its standard error."""
        rows, columns = block.padded
        total = np.zeros((rows.stop - rows.start, columns.stop - columns.start), np.float32)
        for profile in self.profiles:
            # Where it is a hundredth of what would spoil the sky it ends.
            bright = np.flatnonzero(profile.light + profile.spread > _FAINT * self.noise)
            reach = (
                profile.radii[min(bright[-1] + 1, len(profile.radii) - 1)] if bright.size else 0
            )
            y, x = (
                np.arange(
                    max(part.start, int(np.floor(middle - reach))),
                    min(part.stop, int(np.ceil(middle + reach)) + 1),
                )
                for part, middle in zip((rows, columns), profile.ellipse.center, strict=True)
            )
            if not (y.size and x.size):
                continue
            radius = profile.ellipse.radius(x[None, :], y[:, None])
            values = profile.spread if spread else profile.light
            at = np.ix_(y - rows.start, x - columns.start)
            total[at] += np.interp(radius, profile.radii, values)
        return total


@dataclass(frozen=True, eq=False)
class _Cells:
    """Medians over squares of pixels, their positions in pixels and the noise of both."""

    values: Array
    x: Array
    y: Array
    noise: float
    pixel_noise: float

    @property
    def side(self) -> float:
        """Return the side of a cell in pixels."""
        return float(self.x[0, 1] - self.x[0, 0])


def fit_outskirts(
    images: BandImages, mask: BoolArray, sky_known_to: Mapping[str, float] | None = None
) -> dict[str, Outskirts]:
    """Return the outskirts of the sources in the bands; without profiles where there is none.

    ``mask``: where sources are; ``sky_known_to``: relative to the noise of one pixel, how far
    from zero the sky is at most (one sigma), for bands whose sky was subtracted.
    """
    if min(images.shape) < _MIN_SIDE:
        return {band: Outskirts((), 0.0, np.inf, 0.0) for band in images.bands}
    cells = {band: _cells(images, band) for band in images.bands}
    hidden = _mask_cells(mask, next(iter(cells.values())))
    slopes = {band: _slope(cell, hidden) for band, cell in cells.items()}
    for band, (by_x, by_y) in slopes.items():
        cell = cells[band]
        cells[band] = replace(cell, values=cell.values - by_x * cell.x - by_y * cell.y)
    combined = _combine(list(cells.values()))
    ellipses: list[Ellipse] = []
    if combined is not None:
        ellipses, good = _find_ellipses(combined, hidden)
    known = sky_known_to or {}
    found = {}
    for band, cell in cells.items():
        if ellipses and np.count_nonzero(good & np.isfinite(cell.values)) > 4 * _MIN_CELLS:
            valid = good & np.isfinite(cell.values)
            fit = _fit_band(cell, valid, ellipses, known.get(band, np.inf))
            found[band] = replace(fit, slope=slopes[band])
        else:
            found[band] = Outskirts((), 0.0, np.inf, cell.pixel_noise)
    return found


def _cells(images: BandImages, band: str) -> _Cells:
    side = max(2, min(images.shape) // _CELLS)
    shape = tuple(length // side for length in images.shape)
    values, scatter = np.full(shape, np.nan), np.full(shape, np.nan)
    for block in blocks_of(images.shape, stride=side, bytes_per_pixel=60):
        flux, precision = (p[0] for p in images.to_arrays(block.core, bands=[band]))
        rows, columns = (length // side for length in flux.shape)
        cut = np.where(precision == 0, np.nan, flux)[: rows * side, : columns * side]
        cut = cut.reshape(rows, side, columns, side).swapaxes(1, 2).reshape(rows, columns, -1)
        enough = np.isfinite(cut).sum(axis=-1) >= 0.5 * side**2
        cut = np.where(enough[..., None], cut, 0.0)
        middle = np.nanmedian(cut, axis=-1)
        spread = 1.4826 * np.nanmedian(np.abs(cut - middle[..., None]), axis=-1)
        y, x = (block.core[axis].start // side for axis in (0, 1))
        at = np.s_[y : y + rows, x : x + columns]
        values[at] = np.where(enough, middle, np.nan)
        scatter[at] = np.where(enough, spread, np.nan)
    y, x = (np.indices(shape) + 0.5) * side - 0.5
    good = np.isfinite(values)
    if not good.any():
        return _Cells(values, x, y, 0.0, 0.0)
    faint = good & (values <= np.median(values[good]))
    bends = values[:, :-2] - 2 * values[:, 1:-1] + values[:, 2:]
    bends = bends[faint[:, 1:-1] & np.isfinite(bends)]
    noise = 1.4826 * float(np.median(np.abs(bends))) / np.sqrt(6) if bends.size else 0.0
    floor = 1e-6 * float(np.ptp(values[good]))
    return _Cells(values, x, y, max(noise, floor), max(float(np.median(scatter[faint])), floor))


def _mask_cells(mask: BoolArray, cells: _Cells) -> BoolArray:
    """Return the cells that lie mostly behind a mask."""
    side = int(cells.side)
    rows, columns = cells.values.shape
    cut = np.asarray(mask[: rows * side, : columns * side]).reshape(rows, side, columns, side)
    return np.asarray(cut.mean(axis=(1, 3)) > 0.5)


def _slope(cells: _Cells, mask: BoolArray) -> tuple[float, float]:
    """Return the slope of the sky along x and y, where the cells beside the mask lie in a plane.

    A galaxy at the edge looks like a slope too, but its light is no plane.
    """
    beside = np.isfinite(cells.values) & ~mask
    if np.count_nonzero(beside) < _MIN_CELLS:
        return 0.0, 0.0
    x, y, values = cells.x[beside], cells.y[beside], cells.values[beside]
    (_, by_x, by_y), _ = fit_plane(y, x, values)
    left = values - by_x * x - by_y * y
    before, after = (np.median(np.abs(v - np.median(v))) ** 2 for v in (values, left))
    return (by_x, by_y) if after < (1 - _EXPLAINED) * before else (0.0, 0.0)


def _combine(cells: list[_Cells]) -> _Cells | None:
    """Return the bands together, in units of the noise of a cell."""
    total, number = np.zeros(cells[0].values.shape), np.zeros(cells[0].values.shape)
    for cell in cells:
        if cell.noise > 0:
            valid = np.isfinite(cell.values)
            total[valid] += (cell.values[valid] - np.nanmedian(cell.values)) / cell.noise
            number += valid
    if not number.any():
        return None
    with np.errstate(invalid="ignore"):
        values = np.where(number > 0, total / np.sqrt(number), np.nan)
    return _Cells(values, cells[0].x, cells[0].y, 1.0, 1.0)


def _find_ellipses(cells: _Cells, mask: BoolArray) -> tuple[list[Ellipse], BoolArray]:
    """Return the isophotes of the largest sources, and the cells free of all others.

    ``mask``: cells with sources.
    """
    from scipy.ndimage import gaussian_filter, label

    finite = np.isfinite(cells.values)
    sky = float(np.percentile(cells.values[finite], 10))
    ellipses: list[Ellipse] = []
    model = np.zeros(cells.values.shape)
    smallest, candidates = float(_MIN_CELLS), mask
    while True:
        left = np.where(finite, cells.values - model - sky, 0.0)
        error = np.hypot(cells.noise, 2 * _UNEVEN * model)
        spots, number = label(gaussian_filter(left, 1) > _DETECTION * error)
        sizes = np.bincount(spots.ravel(), minlength=2)[1:]
        sizes[np.setdiff1d(np.arange(number), spots[candidates] - 1)] = 0
        good = finite & (spots == 0)
        if sizes.max() < smallest or len(ellipses) == _MAX_SOURCES:
            return ellipses, good
        spot = spots == 1 + np.argmax(sizes)
        found = _fit_ellipse(cells, left, spot & candidates, spot | good, model)
        if found is None:
            candidates = candidates & ~spot
            continue
        smallest = max(smallest, _PART * sizes.max())
        ellipse, light, sky_left = found
        ellipses.append(ellipse)
        model, sky = model + light, sky + sky_left


def _fit_ellipse(
    cells: _Cells, left: Array, spot: BoolArray, good: BoolArray, others: Array
) -> tuple[Ellipse, Array, float] | None:
    """Return isophotes of a source, its light in the cells and the sky below it."""
    from scipy.ndimage import gaussian_filter
    from scipy.optimize import least_squares

    smooth = gaussian_filter(left, 1.5)
    peak = np.unravel_index(np.argmax(np.where(spot, smooth, -np.inf)), spot.shape)
    if smooth[peak] < others[peak]:
        return None
    size = float(np.sqrt(np.count_nonzero(spot) / np.pi)) * cells.side
    error = np.sqrt(
        cells.noise**2 + (_UNEVEN * np.maximum(smooth, 0.0)) ** 2 + (_UNEVEN * others) ** 2
    )

    def parts(p: Array, kept: BoolArray) -> tuple[Array, float]:
        """Return the light in all cells and the sky, as they fit best."""
        radius = Ellipse(p[0], p[1], p[3], p[4]).radius(cells.x, cells.y)
        light = _sersic(radius, np.exp(p[2]), np.exp(p[5]))
        light = light / light.max()
        weight, model, data = error[kept] ** -2.0, light[kept], left[kept]
        mean, level = (np.average(values, weights=weight) for values in (model, data))
        scatter = np.sum(weight * (model - mean) ** 2)
        amplitude = np.sum(weight * (model - mean) * data) / scatter if scatter > 0 else 0.0
        amplitude = max(float(amplitude), 0.0)
        return amplitude * light, float(level - amplitude * mean)

    def residuals(p: Array, kept: BoolArray) -> Array:
        light, sky = parts(p, kept)
        return (light + sky - left)[kept] / error[kept]

    span = max(float(np.ptp(cells.x)), float(np.ptp(cells.y)))
    center = [float(cells.x[peak]), float(cells.y[peak])]
    lower = [*(c - size / 2 for c in center), np.log(size / 50), 0.15, -4.0, np.log(0.4)]
    upper = [*(c + size / 2 for c in center), np.log(5 * span), 1.0, 4.0, np.log(7)]
    begin = [
        np.array([*center, np.log(size / 2), 0.8, angle, np.log(index)])
        for angle in (0.0, np.pi / 2)
        for index in (1.0, 3.0)
    ]
    kept = good
    for _ in range(2):
        fits = [
            least_squares(
                residuals,
                start,
                bounds=(lower, upper),
                x_scale=[size, size, 1, 0.3, 1, 1],
                max_nfev=40,
                args=(kept,),
            )
            for start in begin
        ]
        best = min(fits, key=lambda fit: fit.cost).x
        light, sky = parts(best, kept)
        # What the profile does not describe is another source.
        kept = good & (np.abs(light + sky - left) < _CLIP * error)
        if np.count_nonzero(kept) < _MIN_CELLS:
            return None
        begin = [best]
    x, y, ratio, angle = (float(best[k]) for k in (0, 1, 3, 4))
    if not (0 <= x <= cells.x.max() and 0 <= y <= cells.y.max()):
        return None
    return Ellipse(x, y, ratio, angle, size / np.sqrt(ratio)), light, sky


def _sersic(radius: Array, effective: Any, index: Any) -> Array:
    """Return a Sersic profile that is 1 at the effective radius (Ciotti & Bertin 1999)."""
    b = 2 * index - 1 / 3 + 4 / (405 * index)
    return np.exp(-b * ((np.maximum(radius, 1e-3) / effective) ** (1 / index) - 1))


def _fit_band(cells: _Cells, good: BoolArray, ellipses: list[Ellipse], known: float) -> Outskirts:
    x, y, data = cells.x[good], cells.y[good], cells.values[good]
    profiles, sky, sky_error = _fit_profiles(ellipses, x, y, data, cells, np.inf)
    prior = known * cells.pixel_noise
    if np.isfinite(prior):
        # Light that looks like sky may be the galaxy's, unless most of the image is clear of it;
        # light that is missing can't be.
        light = sum((p.at(x, y) for p in profiles), np.zeros(x.shape))
        clear = np.mean(light < CLEAR * cells.pixel_noise) > 0.5
        doubt = abs(sky) > _CONTRADICTION * np.hypot(sky_error, prior)
        missing = np.percentile(data, 2) < -_CONTRADICTION * np.hypot(prior, cells.noise)
        if not (missing or (clear and doubt)):
            profiles, sky, sky_error = _fit_profiles(ellipses, x, y, data, cells, prior)
    radius, main = ellipses[0].radius(x, y), profiles[0]
    bright = np.interp(radius, main.radii, main.light) > cells.pixel_noise
    area = np.count_nonzero(bright) * cells.side**2
    others = sum((p.at(x, y) for p in profiles[1:]), np.zeros(x.shape))
    flux = float(np.sum((data - sky - others)[bright])) * cells.side**2
    return Outskirts(tuple(profiles), sky, sky_error, cells.pixel_noise, area, flux)


def _fit_profiles(
    ellipses: list[Ellipse], x: Array, y: Array, data: Array, cells: _Cells, prior: float
) -> tuple[list[Profile], float, float]:
    """Return the profiles of all sources, each beside the others, and the sky with its error."""
    profiles: list[Profile] = []
    for _ in range(3 if len(ellipses) > 1 else 1):
        for k, ellipse in enumerate(ellipses):
            rest = [profile for n, profile in enumerate(profiles) if n != k]
            others = sum((p.at(x, y) for p in rest), np.zeros(x.shape))
            profile, sky, sky_error = _fit_profile(
                ellipse, x, y, data - others, others, cells, prior
            )
            profiles[k : k + 1] = [profile]
    # What the profiles of the others leave open.
    for profile in profiles[:-1]:
        sky_error = float(np.hypot(sky_error, np.mean(profile.spread_at(x, y))))
    return profiles, sky, sky_error


def _fit_profile(
    ellipse: Ellipse, x: Array, y: Array, data: Array, others: Array, cells: _Cells, prior: float
) -> tuple[Profile, float, float]:
    """Return the profile of a source, and the sky with its error, over all Sersic profiles."""
    radius = ellipse.radius(x, y)
    largest = float(radius.max())
    edges = np.geomspace(min(_INNER * ellipse.extent, 0.5 * largest), largest, _ANNULI + 1)
    annulus = np.digitize(radius, edges) - 1
    sector = ((np.arctan2(y - ellipse.y, x - ellipse.x) / (2 * np.pi)) % 1 * _SECTORS).astype(int)
    index = np.where(annulus >= 0, np.minimum(annulus, _ANNULI - 1) * _SECTORS + sector, -1)
    rows = []
    for bin_ in np.unique(index[index >= 0]):
        inside = index == bin_
        means = (part[inside].mean() for part in (radius, others))
        rows.append((np.median(data[inside]), np.count_nonzero(inside), *means))
    value, number, r, other = np.array(rows).T
    radii = np.geomspace(largest / 100, 2 * largest, _RADII)
    n, re = (g.ravel() for g in np.meshgrid(_INDICES, radii, indexing="ij"))
    b = 2 * n - 1 / 3 + 4 / (405 * n)
    inner = float(r.min())
    start = (inner / re) ** (1 / n)

    def shape(radius: Array) -> Array:
        """Return the light of every profile, relative to that at the innermost radius fitted."""
        exponent = (np.maximum(radius, inner) / re[:, None]) ** (1 / n[:, None])
        return np.exp(-b[:, None] * (exponent - start[:, None]))

    shapes = shape(r)
    noise = 1.25 * cells.noise / np.sqrt(number)
    level = np.min([np.median(value[annulus_]) for annulus_ in np.array_split(np.argsort(r), 8)])
    mean = np.maximum(value - level, 0.0)
    for _ in range(3):
        error = np.sqrt(noise**2 + (_UNEVEN * mean) ** 2 + (_UNEVEN * other) ** 2)
        chi2, sky, sky_variance, amplitude = _solve(shapes, value, error, prior)
        chi2 = chi2 / max(1.0, chi2.min() / max(len(value) - 4, 1))
        weight = np.exp(-0.5 * (chi2 - chi2.min()))
        weight /= weight.sum()
        mean = (weight * amplitude) @ shapes
        level = float(weight @ sky)
    spread = float(np.sqrt(weight @ (sky_variance + (sky - level) ** 2)))
    at = np.concatenate([[0.0], np.geomspace(largest / 200, 1.5 * largest, 200)])
    every = amplitude[:, None] * shape(at)
    light = weight @ every
    scatter = np.sqrt(np.maximum(weight @ every**2 - light**2, 0.0))
    return Profile(ellipse, at, light, scatter), level, spread


def _solve(
    shapes: Array, value: Array, error: Array, prior: float
) -> tuple[Array, Array, Array, Array]:
    """Return chi2, sky, its variance and the amplitude of every shape, by linear least squares."""
    weight = error**-2.0
    ones, ridge = float(weight.sum()) + prior**-2.0, 1e-12
    cross, square = shapes @ weight, shapes**2 @ weight * (1 + ridge)
    data, product = float(weight @ value), shapes @ (weight * value)
    determinant = ones * square - cross**2
    amplitude = (ones * product - cross * data) / determinant
    sky = (square * data - cross * product) / determinant
    variance = square / determinant
    # No negative galaxy.
    negative = amplitude < 0
    amplitude[negative], sky[negative], variance[negative] = 0.0, data / ones, 1 / ones
    left = (value - sky[:, None] - amplitude[:, None] * shapes) / error
    return (left**2).sum(axis=1) + (sky / prior) ** 2, sky, variance, amplitude
