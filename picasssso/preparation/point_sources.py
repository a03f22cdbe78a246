"""Point sources on a galaxy: where they are, how far they reach, and if they are its nucleus.

Images here are in units of their noise per pixel, bands added. A galaxy's light is balanced around
its nucleus, and leans to one side around a star that lies before it. The light of a companion
does not change that: it comes from few directions, and the lean is fitted to all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

#: Fewest pixels of a source, or of anything that is measured.
MIN_PIXELS = 8
#: Peak of a star over the noise.
MIN_PEAK = 8.0
_CONTRAST = 1.0  # of a star's peak, over the galaxy under it
_POINTLIKE = 1.6  # times the PSF's width
#: Part of the light that leans to one side: more around stars, less around a nucleus.
_STAR, _NUCLEUS = 0.3, 0.2
#: What is not known of the PSF's wings, relative to them.
_WINGS = 0.3
#: Part of a point source's light by which any may lean.
_SHARE = 0.01
_AXES = 12  # directions and their opposites in which light is compared
#: Peak of a Moffat profile over what is left of it by the filter that finds it.
_PEAK = 1.57

Array = npt.NDArray[Any]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Point:
    """A pointlike source: its peak, and how far it outshines what lies under it."""

    row: int
    column: int
    excess: float
    under: float

    def distance(self, row: Any, column: Any) -> Any:
        """Return distances of pixels from it."""
        return np.hypot(row - self.row, column - self.column)

    def mask_radius(self, fwhm: float) -> float:
        """Out to where a Gaussian falls to a tenth of the galaxy, and a little for its wings."""
        faint = max(MIN_PEAK, 0.1 * self.under)
        return float(fwhm * (0.3 + 0.5 * np.sqrt(max(np.log2(self.excess / faint), 0.0))))

    def wing_radius(self, fwhm: float) -> float:
        """Out to where the wings of a Moffat profile fall to a quarter of a faint star."""
        wings = (4 * self.excess / MIN_PEAK) ** (1 / 3) - 1
        return float(max(fwhm * 0.98 * np.sqrt(max(wings, 0.0)), self.mask_radius(fwhm)))

    def light(self, distance: Any, fwhm: float) -> Any:
        """Return its light at distances from it, pixels: a Moffat profile."""
        return _PEAK * self.excess * (1 + (distance / (0.98 * fwhm)) ** 2) ** -3.0

    def flux(self, fwhm: float) -> float:
        """Return all of its light."""
        return float(_PEAK * self.excess * np.pi / 2 * (0.98 * fwhm) ** 2)


@dataclass(frozen=True)
class Lean:
    """Which part of the light around a point source leans to one side: at least, at most."""

    low: float
    high: float

    @property
    def star(self) -> bool:
        """Whether the source is surely none in the center of the light around it."""
        return self.low > _STAR

    @property
    def nucleus(self) -> bool:
        """Whether it surely is."""
        return self.high < _NUCLEUS


def find_points(image: Array, target: BoolArray, fwhm: float) -> list[Point]:
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
    found = (excess > _CONTRAST * np.maximum(under, 1.0)) & (excess > MIN_PEAK) & target[box]
    groups: Array
    groups, n_groups = label(found)
    return [
        Point(y + int(first[0]), x + int(first[1]), float(excess[y, x]), float(under[y, x]))
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


def centroid(image: Array, point: Point, fwhm: float) -> Array:
    """Return the center (y, x) of a point source."""
    reach = max(2, round(0.7 * fwhm))
    rows, columns = (slice(max(c - reach, 0), c + reach + 1) for c in (point.row, point.column))
    part = image[rows, columns]
    part = np.maximum(part - part.min(), 0.0)
    y, x = np.mgrid[rows, columns][:, : part.shape[0], : part.shape[1]]
    return np.array([(part * y).sum(), (part * x).sum()]) / max(part.sum(), 1e-30)


def turn(plane: Array, twice: Array) -> Array:
    """Return a plane turned by 180 degrees, 0 beyond it; ``twice``: the center (y, x), times 2."""
    rows, columns = (twice[k] - np.arange(n) for k, n in enumerate(plane.shape))
    y, x = ((0 <= i) & (i < n) for i, n in zip((rows, columns), plane.shape, strict=True))
    result = np.zeros_like(plane)
    result[np.ix_(y, x)] = plane[np.ix_(rows[y], columns[x])]
    return result


def lean_around(image: Array, points: Sequence[Point], point: Point, fwhm: float) -> Lean:
    """Return how much the light around a point source leans to one side; others are left out."""
    inner = max(point.mask_radius(fwhm), 1.2 * fwhm)
    others = [p for p in points if p is not point]
    return lean_at(
        image, others, centroid(image, point, fwhm), (1.3 * inner, 2.5 * inner), fwhm, point
    )


def lean_at(
    image: Array,
    others: Sequence[Point],
    center: Array | tuple[float, float],
    radii: tuple[float, float],
    fwhm: float,
    point: Point | None = None,
) -> Lean:
    """Return how much the light between two radii around a center (y, x) leans to one side.

    Each direction is compared with its opposite, and a lean is fitted by least absolute
    deviations, so that fewer than half of the directions may hold something else.
    """
    twice = np.rint(2 * np.asarray(center)).astype(int)
    reach = int(np.ceil(radii[1])) + 1
    # A square around the center that turning maps onto itself.
    half = [min(reach, int(t // 2), n - 1 - int(-(-t // 2)))
            for t, n in zip(twice, image.shape, strict=True)]  # fmt: skip
    if min(half) < 1:
        return Lean(0.0, np.inf)
    rows, columns = (np.arange(t // 2 - h, -(-t // 2) + h + 1)
                     for t, h in zip(twice, half, strict=True))  # fmt: skip
    rows = rows[:, None]
    light = image[rows, columns]
    plain = np.ones(light.shape, dtype=bool)
    for other in others:
        distance = other.distance(rows, columns)
        plain &= distance > other.mask_radius(fwhm) + 1
        light = light - other.light(distance, fwhm)
    plain &= plain[::-1, ::-1]
    dy, dx = rows - twice[0] / 2, columns - twice[1] / 2
    distance = np.hypot(dy, dx)
    used = plain & (distance >= radii[0]) & (distance < radii[1])
    n_used = np.count_nonzero(used)
    if n_used < MIN_PIXELS:
        return Lean(0.0, np.inf)
    way = np.floor(np.arctan2(dy, dx) / np.pi * _AXES).astype(int) % (2 * _AXES)
    sums = np.bincount(way[used], light[used], 2 * _AXES)
    wings = float(point.light(distance[used], fwhm).sum()) if point else 0.0
    difference = sums[:_AXES] - sums[_AXES:]
    angles = (np.arange(_AXES) + 0.5) / _AXES * np.pi
    ways = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    weight = np.ones(_AXES)
    vector: Array = np.zeros(2)
    for _ in range(15):
        weighted = ways * weight[:, None]
        vector = np.linalg.lstsq(ways.T @ weighted, weighted.T @ difference, rcond=None)[0]
        off = np.abs(difference - ways @ vector)
        weight = 1 / np.maximum(off, 1e-3 * np.abs(difference).max() + 1e-9)
    leaning = 2 / np.pi * _AXES * float(np.hypot(*vector))
    noise = 2 * np.sqrt(n_used)
    total, unknown = float(sums.sum()) - wings, _WINGS * wings + noise
    high = (leaning + noise) / (total - unknown) if total > unknown else np.inf
    # Wings narrower than thought leave less than nothing.
    least = total + unknown if total > 0 else total + wings + noise
    low = max(leaning - noise, 0.0) / max(least, noise)
    if point and leaning < _SHARE * point.flux(fwhm):
        low = 0.0  # no PSF is that symmetric
    return Lean(low, high)
