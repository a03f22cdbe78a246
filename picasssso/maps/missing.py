"""How much of a galaxy lies in pixels without a value, and beyond where it is seen.

Nothing is filled in: what is found here says how much totals lack. A Sersic profile with
elliptical isophotes is fitted to the pixels that there are; a pixel without a value is taken to
be like the others at its elliptical radius, or, where there are too few of these, like the
profile.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from picasssso.maps.planes import MapPlanes

#: Part of a galaxy that may be missing without a word.
TOLD = 0.05
#: Part of the pixels at one radius that must have values to stand for the others.
_ENOUGH = 0.25
#: Profiles have a core of this radius, pixels: no image is sharper.
_SOFT = 1.5
_MOST_FITTED, _FEWEST_FITTED = 4000, 12
#: Of a galaxy: the profile is extrapolated for no more.
_MOST_BEYOND = 0.5

FloatArray = npt.NDArray[np.floating]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Isophotes:
    """Center (x, y), axis ratio and angle (radians from the x axis) of ellipses, in pixels."""

    x: float
    y: float
    ratio: float
    angle: float

    def radius(self, shape: tuple[int, int]) -> FloatArray:
        """Return the semi-major axis of the ellipse through each pixel, (y, x)."""
        dy = np.arange(shape[0])[:, None] - self.y
        dx = np.arange(shape[1])[None, :] - self.x
        along = dx * np.cos(self.angle) + dy * np.sin(self.angle)
        across = dy * np.cos(self.angle) - dx * np.sin(self.angle)
        return np.hypot(along, across / self.ratio).astype(np.float64)


@dataclass(frozen=True, eq=False)
class Smooth:
    """What a galaxy would be like without holes, (y, x), and around which pixel (x, y)."""

    light: FloatArray
    center: tuple[float, float]

    def lacks(self, valid: BoolArray) -> bool:
        """Whether the center has no value."""
        column, row = (round(c) for c in self.center)
        inside = 0 <= row < valid.shape[0] and 0 <= column < valid.shape[1]
        return not (inside and valid[row, column])


def smooth_light(light: FloatArray, valid: BoolArray) -> Smooth | None:
    """Return light with an estimate where it is not valid; None where no galaxy can be fitted.

    ``light`` holds one galaxy, and zeros where other pixels belong to something else.
    """
    fitted = _fit(light, valid & (light != 0))
    if fitted is None:
        return None
    isophotes, profile = fitted
    radius = isophotes.radius(light.shape)
    ring = np.rint(radius).astype(int)
    n = int(ring.max()) + 1
    known = np.bincount(ring[valid], minlength=n)
    total = np.bincount(ring[valid], light[valid], minlength=n)
    enough = known > _ENOUGH * np.maximum(np.bincount(ring.ravel(), minlength=n), 1)
    mean = total / np.maximum(known, 1)
    filled = np.where(valid, light, 0.0)
    lost = ~valid
    like_others = np.interp(radius[lost], np.arange(n)[enough], mean[enough]) if any(enough) else 0
    filled[lost] = np.where(enough[ring[lost]], like_others, profile(radius[lost]))
    return Smooth(filled, (isophotes.x, isophotes.y))


def missing_part(
    smooth: Smooth | None, valid: BoolArray, weights: FloatArray | BoolArray
) -> float:
    """Return which part of the light in a region lies where nothing is valid; NaN if unknown."""
    if not np.any(weights * ~valid):
        return 0.0
    if smooth is None:
        return float("nan")
    light = smooth.light * weights
    lost, whole = float(light[~valid].sum()), float(light.sum())
    return min(max(lost / whole, 0.0), 1.0) if whole > 0 else float("nan")


def galaxy_light(maps: MapPlanes, name: str) -> FloatArray:
    """Return a surface density (y, x), 0 where it is unknown or not of the target."""
    mean = maps._planes(name).mean
    assert mean is not None
    light = np.nan_to_num(np.asarray(mean, dtype=np.float64))
    return light if maps.target is None else np.where(maps.target, light, 0.0)


@dataclass(frozen=True)
class Growth:
    """How a galaxy grows: its half-light semi-major axis, and what is seen of it.

    ``total``: of all, in units of the light summed over pixels; ``beyond``: the part of it that
    an exponential profile adds outside the pixels that are the galaxy's.
    """

    half_radius: float
    total: float
    beyond: float


def curve_of_growth(light: FloatArray, isophotes: Isophotes, *, extrapolate: bool) -> Growth:
    """Return size and total of a galaxy in ellipses; ``light`` is 0 outside it."""
    radius = isophotes.radius(light.shape)
    there = light != 0
    order = np.argsort(radius[there])
    radii, values = radius[there][order], light[there][order]
    seen = float(values.sum())
    beyond = _beyond(radius, light, isophotes.ratio) if extrapolate else 0.0
    grown = np.cumsum(values)
    half = 0.5 * (seen + beyond)
    k = int(np.argmax(grown >= half)) if grown.max() >= half else len(values) - 1
    # Pixels fill ellipses one after the other, also those of other things.
    inside = int(np.count_nonzero(radius <= radii[k]))
    before = grown[k - 1] if k else 0.0
    part = np.clip((half - before) / values[k], 0.0, 1.0) if values[k] > 0 else 0.5
    half_radius = float(np.sqrt((inside - 1 + part) / (np.pi * isophotes.ratio)))
    if radii[k] > half_radius * 1.1 and inside < len(values):
        half_radius = float(radii[k])  # the image cuts ellipses off
    return Growth(half_radius, seen + beyond, beyond / (seen + beyond))


def _beyond(radius: FloatArray, light: FloatArray, ratio: float) -> float:
    """Return the light of an exponential profile outside the pixels that have any."""
    there = light != 0
    edge = float(np.sqrt(np.count_nonzero(there) / (np.pi * ratio)))
    ring = np.rint(radius).astype(int)
    n = int(ring.max()) + 1
    area, seen, total = (
        np.bincount(ring.ravel(), w, minlength=n)
        for w in (None, there.ravel().astype(float), light.ravel())
    )
    rings = np.arange(n)
    used = (seen > 0.9 * area) & (rings > 0.4 * edge) & (rings <= edge) & (total > 0)
    if np.count_nonzero(used) < 3:
        return 0.0
    slope, level = np.polyfit(rings[used], np.log(total[used] / seen[used]), 1)
    if not slope < 0:
        return 0.0
    length = -1.0 / slope
    beyond = 2 * np.pi * ratio * length * (edge + length) * np.exp(level - edge / length)
    limit = _MOST_BEYOND / (1 - _MOST_BEYOND) * float(light.sum())
    return float(beyond) if beyond < limit else 0.0


def _fit(light: FloatArray, used: BoolArray) -> tuple[Isophotes, Any] | None:
    """Fit a Sersic profile; return its isophotes and the light at radii."""
    from scipy.optimize import least_squares

    rows, columns = np.nonzero(used)
    if len(rows) < _FEWEST_FITTED:
        return None
    step = -(-len(rows) // _MOST_FITTED)
    rows, columns = rows[::step], columns[::step]
    values = light[rows, columns]
    scale = float(np.percentile(values, 99))
    if not scale > 0:
        return None
    values = values / scale
    weights = np.maximum(values, 0.0)
    bright = weights > 0.5
    x, y = (float(np.average(c[bright], weights=weights[bright])) for c in (columns, rows))
    spread = float(np.sqrt(np.average((columns - x) ** 2 + (rows - y) ** 2, weights=weights)))
    spread = max(spread, 1.0)

    def isophotes(p: Any) -> Isophotes:
        flat = float(np.hypot(p[3], p[4]))
        return Isophotes(
            float(p[0]), float(p[1]), float(np.exp(-flat)), float(np.arctan2(p[4], p[3]) / 2)
        )

    def profile(radius: Any, p: Any) -> Any:
        return np.exp(p[5] - (np.hypot(radius, _SOFT) / np.exp(p[2])) ** p[6])

    def off(p: Any) -> Any:
        it = isophotes(p)
        dx, dy = columns - it.x, rows - it.y
        along = dx * np.cos(it.angle) + dy * np.sin(it.angle)
        across = dy * np.cos(it.angle) - dx * np.sin(it.angle)
        return profile(np.hypot(along, across / it.ratio), p) - values

    start = [x, y, np.log(spread / 2), 0.01, 0.01, 0.5, 1.0]
    sides = light.shape[1], light.shape[0]
    low = [-0.5, -0.5, np.log(0.05), -2.5, -2.5, -5.0, 0.4]
    high = [sides[0] - 0.5, sides[1] - 0.5, np.log(4.0 * max(sides)), 2.5, 2.5, 12.0, 2.0]
    try:
        best = least_squares(
            off, np.clip(start, np.add(low, 1e-6), np.subtract(high, 1e-6)),
            bounds=(low, high), x_scale=[1, 1, 0.3, 0.3, 0.3, 0.5, 0.3], max_nfev=200,
        ).x  # fmt: skip
    except (ValueError, np.linalg.LinAlgError):
        return None
    return isophotes(best), lambda radius: scale * profile(radius, best)
