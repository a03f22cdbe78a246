"""What of a patch of light is the target, and what are stars on it and galaxies beside it.

Images here are in units of their noise per pixel, bands added. Point sources are found first, and
the light without them says where the galaxy's center is: its brightest, reached from the position
asked for without crossing a deep valley. What a point source outshines is taken to rise inwards as
it does around it. The point source in that center is the nucleus and stays, however bright it is
and wherever the position asked for lies.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

MIN_PIXELS = 8
_CONTRAST = 1.0  # of a star's peak, over the galaxy under it
_MIN_PEAK = 8.0  # of a star, over the noise
_POINTLIKE = 1.6  # times the PSF's width
_VALLEY = 2.5  # a peak over the valley before it, of a galaxy of its own
_BEYOND = 0.8  # of the radius of the target's central part: neighbors are farther out
#: How far light may rise under a point source, as a power of e; by how much it does in a nucleus.
_STEEPEST, _RISEN = 2.5, 1.3
#: Part of the light beyond a point source's wings that leans to one side, from which on the source
#: is beside the galaxy; and the light, over its noise, that tells.
_ONE_SIDED, _SEEN = 0.2, 10.0

Array = npt.NDArray[Any]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Parts:
    """Pixels of the target, of what is foreign, of that what lies before it; nucleus (x, y)."""

    target: BoolArray
    foreign: BoolArray
    hidden: BoolArray
    n_stars: int
    n_neighbors: int
    nucleus: tuple[float, float]


@dataclass(frozen=True)
class _Point:
    """A pointlike source: its peak, and how far it outshines what lies under it."""

    row: int
    column: int
    excess: float
    under: float

    def distance(self, row: Any, column: Any) -> Any:
        return np.hypot(row - self.row, column - self.column)

    def mask_radius(self, fwhm: float) -> float:
        """Out to where a Gaussian falls to a tenth of the galaxy, and a little for its wings."""
        faint = max(_MIN_PEAK, 0.1 * self.under)
        return float(fwhm * (0.3 + 0.5 * np.sqrt(max(np.log2(self.excess / faint), 0.0))))

    def wing_radius(self, fwhm: float) -> float:
        """Out to where the wings of a Moffat profile fall to a quarter of a faint star."""
        wings = (4 * self.excess / _MIN_PEAK) ** (1 / 3) - 1
        return float(max(fwhm * 0.98 * np.sqrt(max(wings, 0.0)), self.mask_radius(fwhm)))


def take_apart(
    image: Array,
    segments: Array,
    label: int,
    position: tuple[float, float],
    fwhm: float,
    near: float,
) -> Parts:
    """Return the parts of an image of which one segment holds the target.

    ``position``: where the target was asked for, pixel (x, y), good to ``near`` pixels.
    """
    from scipy.ndimage import binary_dilation, binary_fill_holes, gaussian_filter

    whole = segments == label
    points = _points(image, whole, fwhm)
    rows, columns = np.indices(image.shape)
    bright = np.zeros(image.shape, dtype=bool)
    for point in points:
        bright |= point.distance(rows, columns) < point.wing_radius(fwhm)
    filled = fill_with_surroundings(image, ~bright, 8 * fwhm)
    risen = [_restore(filled, image, bright, point, fwhm) for point in points]
    starless = gaussian_filter(filled, max(fwhm / 2.355, 1.0))
    center = _climb(np.where(whole, starless, -np.inf), position, near)
    if np.hypot(center[1] - position[0], center[0] - position[1]) > near + fwhm:
        # Another galaxy may be brighter; that around a point source at the position is meant.
        around = [
            p
            for p, rise in zip(points, risen, strict=True)
            if p.distance(position[1], position[0]) < near + fwhm
            and rise > _RISEN
            and _turned(image, points, p, fwhm).one_sided < _ONE_SIDED
        ]
        if around:
            first = min(around, key=lambda p: float(p.distance(position[1], position[0])))
            center = first.row, first.column
    nucleus = _nucleus(points, center, fwhm)
    if nucleus and (beside := _beside(image, points, nucleus[0], position, whole, fwhm)):
        # A star so bright that its wings reach over the galaxy.
        starless = _without(image, points, nucleus[0], beside, fwhm)
        center = _climb(np.where(whole, starless, -np.inf), beside.center, fwhm)
        nucleus = _nucleus([p for p in points if p is not nucleus[0]], center, fwhm)
    stars = [p for p in points if p not in nucleus and p.distance(*center) > 1.2 * fwhm]
    if nucleus:
        center = nucleus[0].row, nucleus[0].column
    foreign = np.zeros(image.shape, dtype=bool)
    for star in stars:
        foreign |= star.distance(rows, columns) < star.mask_radius(fwhm)
    if stars:
        foreign = binary_dilation(foreign)
    hidden = foreign & whole
    n_neighbors = 0
    pieces = _deblend(starless, whole)
    own = pieces == pieces[center]
    for number in np.setdiff1d(pieces[whole], [0, pieces[center]]):
        if _is_neighbor(starless, own, pieces == number, center):
            foreign |= pieces == number
            hidden &= pieces != number
            n_neighbors += 1
    # A dark spot inside is still the target's.
    target = binary_fill_holes(whole) & ~foreign
    # Behind a neighbor the target reaches as far as on its other side.
    hidden |= _turn(target, 2 * np.array(center)) & foreign & whole
    others = (segments > 0) & ~whole & ~target
    n_neighbors += len(np.unique(segments[others]))
    if others.any():
        grown = binary_dilation(others, iterations=max(1, round(fwhm / 2)))
        foreign |= grown & ~target
    nucleus_xy = float(center[1]), float(center[0])
    return Parts(target, foreign, hidden, len(stars), n_neighbors, nucleus_xy)


def fill_with_surroundings(image: Array, valid: BoolArray, widest: float) -> Array:
    """Return an image with invalid pixels replaced by the mean of the valid ones around them.

    ``widest``: standard deviation of the surroundings, pixels, beyond which they stay 0.
    """
    from scipy.ndimage import gaussian_filter

    result = np.where(valid, image, 0.0)
    if not valid.any():
        return result
    known, left, width = result.copy(), ~valid, 1.0
    while left.any() and width < widest:
        weight = gaussian_filter(valid.astype(float), width)
        near = left & (weight > 0.05)
        result[near] = gaussian_filter(known, width)[near] / weight[near]
        left &= ~near
        width *= 2
    return result


def _restore(filled: Array, image: Array, bright: BoolArray, point: _Point, fwhm: float) -> float:
    """Fill in under a point source what the light around it rises to; return by how much.

    Its median along circles falls outwards around the center of a galaxy, even with another galaxy
    beside it, and hardly does around a star on a disk.
    """
    wings = point.wing_radius(fwhm)
    step = max(fwhm, 0.3 * wings)
    reach = int(np.ceil(wings + 2 * step))
    box = tuple(slice(max(c - reach, 0), c + reach + 1) for c in (point.row, point.column))
    part = filled[box]
    rows, columns = (np.arange(c.start, c.start + n) for c, n in zip(box, part.shape, strict=True))
    distance = point.distance(rows[:, None], columns)
    # Without the wings of the source itself, and without other sources.
    own = point.excess * (1 + (distance / (0.98 * fwhm)) ** 2) ** -3.0
    rest = np.where(bright[box], part, image[box] - own)
    rings = [
        (distance >= wings + k * step) & (distance < wings + (k + 1) * step) for k in range(2)
    ]
    if min(np.count_nonzero(ring) for ring in rings) < MIN_PIXELS:
        return 1.0
    inner, outer = (float(np.median(rest[ring])) for ring in rings)
    if not inner > outer > 0:
        return 1.0
    slope = min(np.log(inner / outer) / step, _STEEPEST / wings)
    inside = distance < wings
    risen = inner * np.exp(slope * (wings + 0.5 * step - distance[inside]))
    part[inside] = np.maximum(part[inside], risen)
    return float(np.exp(slope * (wings + 0.5 * step)))


def _points(image: Array, target: BoolArray, fwhm: float) -> list[_Point]:
    """Return pointlike sources that outshine the galaxy under them, its nucleus among them.

    The galaxy is the median of a ring around each pixel: wider than a star, narrower than an arm.
    """
    from scipy.ndimage import gaussian_filter, label, maximum_position, median_filter

    reach = max(3, round(1.5 * fwhm))
    radius = np.hypot(*(np.indices((2 * reach + 1, 2 * reach + 1)) - reach))
    ring = (radius <= reach + 0.5) & (radius > max(0.9 * fwhm, 2))
    rows, columns = np.nonzero(target)
    if not rows.size:
        return []
    first = max(rows.min() - 2 * reach, 0), max(columns.min() - 2 * reach, 0)
    box = np.s_[first[0] : rows.max() + 2 * reach + 1, first[1] : columns.max() + 2 * reach + 1]
    smooth = gaussian_filter(image[box], 0.6 * fwhm / 2.355)
    under = median_filter(smooth, footprint=ring, mode="nearest")
    excess = smooth - under
    found = (excess > _CONTRAST * np.maximum(under, 1.0)) & (excess > _MIN_PEAK) & target[box]
    groups: Array
    groups, n_groups = label(found)
    return [
        _Point(y + int(first[0]), x + int(first[1]), float(excess[y, x]), float(under[y, x]))
        for y, x in maximum_position(excess, groups, range(1, n_groups + 1))
        if _pointlike(excess, (y, x), fwhm)
    ]


def _pointlike(excess: Array, peak: tuple[int, int], fwhm: float) -> bool:
    from scipy.ndimage import label

    reach = int(np.ceil(2 * fwhm))
    box = tuple(slice(max(p - reach, 0), p + reach + 1) for p in peak)
    parts: Array = label(excess[box] > 0.5 * excess[peak])[0]
    own = parts[peak[0] - box[0].start, peak[1] - box[1].start]
    return bool(2 * np.sqrt(np.count_nonzero(parts == own) / np.pi) < _POINTLIKE * fwhm)


def _climb(light: Array, position: tuple[float, float], near: float) -> tuple[int, int]:
    """Return the brightest pixel that is reached from a position without crossing a deep valley.

    ``light``: without point sources, -inf outside of the target's segment.
    """
    from scipy.ndimage import label

    rows, columns = np.indices(light.shape)
    distance = np.where(
        light > -np.inf, np.hypot(rows - position[1], columns - position[0]), np.inf
    )
    within = distance <= max(near, float(distance.min()) + 1)
    place = np.unravel_index(np.argmax(np.where(within, light, -np.inf)), light.shape)
    while True:
        parts: Array = label(light > max(light[place] / _VALLEY, 0.0))[0]
        if not parts[place]:
            break
        top = np.unravel_index(
            np.argmax(np.where(parts == parts[place], light, -np.inf)), light.shape
        )
        if top == place:
            break
        place = top
    return int(place[0]), int(place[1])


def _nucleus(points: list[_Point], center: tuple[int, int], fwhm: float) -> list[_Point]:
    """Return the point source in which the center of the other light lies, if there is one."""
    inside = [p for p in points if p.distance(*center) < p.wing_radius(fwhm) + fwhm]
    return sorted(inside, key=lambda p: float(p.distance(*center)))[:1]


@dataclass(frozen=True, eq=False)
class _Beside:
    """A galaxy beside a star: its center (x, y), and its light without the star's, mirrored."""

    center: tuple[float, float]
    light: Array


@dataclass(frozen=True, eq=False)
class _Turned:
    """An image turned by 180 degrees around a point source, and what differs from it.

    ``light`` and ``other``: both, smoothed; ``both``: where both are known; ``center``: (x, y);
    ``one_sided``: how much the light just beyond the wings leans to one side, NaN without any.
    """

    mirrored: Array
    light: Array
    other: Array
    both: BoolArray
    center: Array
    one_sided: float


def _turn(plane: Array, twice: Array) -> Array:
    """Return a plane turned by 180 degrees, 0 beyond it; ``twice``: the center (y, x), times 2."""
    rows, columns = (twice[k] - np.arange(n) for k, n in enumerate(plane.shape))
    y, x = ((0 <= i) & (i < n) for i, n in zip((rows, columns), plane.shape, strict=True))
    result = np.zeros_like(plane)
    result[np.ix_(y, x)] = plane[np.ix_(rows[y], columns[x])]
    return result


def _turned(image: Array, points: list[_Point], star: _Point, fwhm: float) -> _Turned:
    """Compare an image with itself turned around a point source; others are left out."""
    from scipy.ndimage import gaussian_filter

    twice = np.rint(2 * _centroid(image, star, fwhm)).astype(int)
    plain = np.ones(image.shape, dtype=bool)
    for point in points:
        if point is not star:
            plain &= point.distance(*np.indices(image.shape)) >= point.wing_radius(fwhm)
    mirrored = _turn(image, twice)
    both = plain & _turn(plain, twice)
    width = max(fwhm / 2.355, 1.0)
    light, other = gaussian_filter(image, width), gaussian_filter(mirrored, width)
    dy, dx = (i - c for i, c in zip(np.indices(image.shape), twice / 2, strict=True))
    distance = np.hypot(dy, dx)
    wings = star.wing_radius(fwhm)
    ring = both & (distance > wings) & (distance < wings + max(2 * fwhm, 0.5 * wings))
    total = float((light + other)[ring].sum())
    one_sided = np.nan
    if ring.any() and total >= _SEEN * np.sqrt(np.count_nonzero(ring) / width**2):
        ways = [(light[ring] * d[ring] / distance[ring]).sum() for d in (dy, dx)]
        one_sided = 2 * float(np.hypot(*ways)) / total
    return _Turned(mirrored, light, other, both, twice[::-1] / 2, one_sided)


def _beside(
    image: Array,
    points: list[_Point],
    star: _Point,
    position: tuple[float, float],
    whole: BoolArray,
    fwhm: float,
) -> _Beside | None:
    """Return the galaxy that is asked for beside a point source; None if it is around it.

    Point sources are symmetric, and so is a galaxy around its nucleus: what differs from the
    image turned by 180 degrees around the source is a galaxy beside it. Around a nucleus the
    light just beyond its wings has hardly a direction.
    """
    turned = _turned(image, points, star, fwhm)
    if not turned.one_sided >= _ONE_SIDED:
        return None
    away = star.distance(*np.indices(image.shape)) > star.mask_radius(fwhm)
    beside = np.where(turned.both & away & whole, turned.light - turned.other, -np.inf)
    row, column = np.unravel_index(np.argmax(beside), beside.shape)
    apart = np.hypot(*(turned.center - position))
    if np.hypot(column - position[0], row - position[1]) >= apart:
        return None
    return _Beside((float(column), float(row)), image - turned.mirrored)


def _centroid(image: Array, star: _Point, fwhm: float) -> Array:
    """Return the center (y, x) of a point source."""
    reach = max(2, round(0.7 * fwhm))
    rows, columns = (slice(max(c - reach, 0), c + reach + 1) for c in (star.row, star.column))
    part = image[rows, columns]
    part = np.maximum(part - part.min(), 0.0)
    y, x = np.mgrid[rows, columns][:, : part.shape[0], : part.shape[1]]
    return np.array([(part * y).sum(), (part * x).sum()]) / max(part.sum(), 1e-30)


def _without(
    image: Array, points: list[_Point], star: _Point, beside: _Beside, fwhm: float
) -> Array:
    """Return the smoothed image without point sources, one of which has a galaxy beside it."""
    from scipy.ndimage import gaussian_filter

    rows, columns = np.indices(image.shape)
    distance = star.distance(rows, columns)
    light = np.where(distance < star.wing_radius(fwhm), np.maximum(beside.light, 0.0), image)
    bright = distance < star.mask_radius(fwhm) + 1
    for point in points:
        # Others may be in its wings, or its spikes.
        near = star.distance(point.row, point.column) < star.wing_radius(fwhm)
        radius = point.mask_radius(fwhm) if near else point.wing_radius(fwhm)
        bright |= point.distance(rows, columns) < radius
    return gaussian_filter(
        fill_with_surroundings(light, ~bright, 8 * fwhm), max(fwhm / 2.355, 1.0)
    )


def _deblend(smooth: Array, whole: BoolArray) -> npt.NDArray[np.int64]:
    from photutils.segmentation import SegmentationImage, deblend_sources

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of sources too faint for exponential levels
        result = deblend_sources(
            smooth,
            SegmentationImage(whole.astype(int)),
            MIN_PIXELS,
            contrast=0.003,
            progress_bar=False,
        )
    return np.asarray(result.data, dtype=np.int64)


def _is_neighbor(smooth: Array, own: BoolArray, piece: BoolArray, center: tuple[int, int]) -> bool:
    """Return whether a piece is a source of its own, not a part of the target.

    It is one if its peak stands far above the darkest point on the way to the target's center,
    and a smooth galaxy would be fainter than its peak there.
    """
    from scipy.ndimage import map_coordinates

    peak = np.unravel_index(np.argmax(np.where(piece, smooth, -np.inf)), smooth.shape)
    path = np.linspace(center, peak, 60).T
    lane = float(max(map_coordinates(smooth, path, order=1).min(), 0.0))
    height = float(smooth[peak])
    far = np.hypot(*np.subtract(peak, center)) > np.sqrt(own.sum() / np.pi) * _BEYOND
    return bool(far and height > _VALLEY * lane and height - lane > _MIN_PEAK)
