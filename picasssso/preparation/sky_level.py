"""The sky of one band: how much there is, of which shape, and how well that is known.

One level, unless the medians of boxes demand more: a plane by an F test, a smooth surface by the
correlation of neighboring boxes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from picasssso._core.blocks import Block
from picasssso.exceptions import InvalidInputError
from picasssso.preparation.outskirts import CLEAR, Outskirts
from picasssso.preparation.sky_plane import MIN_BOXES as _MIN_BOXES
from picasssso.preparation.sky_plane import fit_plane
from picasssso.preparation.storage import blocks_of

if TYPE_CHECKING:
    from picasssso.bands import BandImages

#: Least part of an image that must be sky.
MIN_SKY_FRACTION = 0.05

_CHANCE = 1e-3  # of taking noise for a slope
_SMOOTH = 4.0  # sigma of the correlation between neighboring boxes, to follow the sky
_CONTRADICTION = 5.0  # sigma between what a survey left of the sky and what is measured
_SMALL = 1024  # pixels: up to this many a galaxy may fill the image without standing out
_UNEVEN = 2.5  # scatter of the pixels over their noise, up to which there is sky
_FEWEST_STEPS = 16
_SAMPLE = 2_000_000  # pixels of which a single level is measured

Array = npt.NDArray[Any]
BoolArray = npt.NDArray[np.bool_]
#: Row, column and median of a box.
Box = tuple[float, float, float]


@dataclass(frozen=True)
class Sky:
    """The sky of a band, nmgy per pixel.

    ``shape``: level, plane, surface, or that of the fit of a galaxy (``fit``); ``coefficients``:
    of 1, x and y; ``offset``: what is added where the survey says that it left less;
    ``light_error``: of the galaxies' light in it; ``known``: how far from zero it is at most (one
    sigma); ``light``: mean galaxy light beside the mask.
    """

    shape: str
    coefficients: tuple[float, float, float]
    offset: float
    light_error: float
    known: float
    light: float

    def at(self, block: Block) -> Array:
        """Return the sky in a padded block, unless it is a surface."""
        rows, columns = block.padded
        y, x = np.ogrid[rows.start : rows.stop, columns.start : columns.stop]
        level, by_x, by_y = self.coefficients
        return np.asarray(level + self.offset + by_x * x + by_y * y, dtype=np.float32)

    def error(self, scatter: float) -> float:
        """Return the standard error of the sky, given that from the scatter of boxes."""
        if self.shape == "fit":
            return self.light_error
        measured = float(np.hypot(scatter, self.light_error))
        return measured if np.isinf(self.known) else _combine(measured, self.known)


def _combine(one: float, other: float) -> float:
    total = float(np.hypot(one, other))
    return one * other / total if total > 0 else 0.0


def measure_sky(
    images: BandImages,
    band: str,
    mask: BoolArray,
    side: int,
    outskirts: Outskirts,
    *,
    known: float,
    level_only: bool,
) -> Sky:
    """Measure the sky beside the mask, without the light of the galaxies.

    ``side``: of the boxes; ``known``: how far from zero the sky is at most, in units of the noise
    of a pixel.
    """
    from astropy.stats import sigma_clipped_stats

    step = max(1, int(np.sqrt(mask.size / _SAMPLE)))
    boxes: list[Box] = []
    samples = []
    light_sum = spread_sum = 0.0
    beside = clear = 0
    for block in blocks_of(images.shape, stride=side, bytes_per_pixel=60):
        flux, precision = (plane[0] for plane in images.to_arrays(block.core, bands=[band]))
        inner = Block(block.core, block.core, np.s_[:, :])
        light, spread = outskirts.light(inner), outskirts.light(inner, spread=True)
        free = (precision != 0) & ~np.asarray(mask[block.core])
        light_sum += float(light[free].sum())
        beside += int(np.count_nonzero(free))
        free &= hides_no_sky(light, outskirts)
        spread_sum += float(spread[free].sum())
        clear += int(np.count_nonzero(free))
        left = flux - light
        samples.append(left[::step, ::step][free[::step, ::step]])
        y, x = (part.start for part in block.core)
        boxes += [(row + y, column + x, m) for row, column, m in medians(left, ~free, side)]
    sample = np.concatenate(samples)
    prior = known * outskirts.noise if outskirts.noise > 0 else np.inf
    mean_light = light_sum / max(beside, 1)
    if beside and (clear < MIN_SKY_FRACTION * mask.size or len(boxes) < _MIN_BOXES):
        if np.isfinite(outskirts.sky_error):
            by_x, by_y = (0.0, 0.0) if level_only else outskirts.slope
            plane = (outskirts.sky, by_x, by_y)
            return Sky("fit", plane, 0.0, outskirts.sky_error, prior, mean_light)
    if not sample.size:
        raise InvalidInputError(
            f"Band {band!r}: found no valid pixel beside the sources, expected sky. Take a larger "
            "cutout, or leave out the band."
        )
    if mask.size <= _SMALL and np.isinf(outskirts.sky_error) and not _is_flat(images, band, mask):
        raise InvalidInputError(
            f"Band {band!r}: found light all over the {mask.shape[1]} x {mask.shape[0]} pixels, "
            "expected sky beside the galaxy. Take a larger cutout, or subtract the sky beforehand."
        )
    shape = "level"
    coefficients = (float(sigma_clipped_stats(sample, sigma=3.0)[1]), 0.0, 0.0)
    # Where most of the sky lies behind a galaxy, its unevenness would be taken for the sky's.
    if not level_only and (clear > 0.5 * beside or any(outskirts.slope)):
        shape, coefficients = _shape(boxes, side, coefficients)
    values = [m for _, _, m in boxes]
    mean = float(np.mean(values)) if shape == "surface" else _mean(coefficients, boxes)
    scatter = standard_error([m - _value(coefficients, y, x) for y, x, m in boxes])
    light_error = spread_sum / max(clear, 1)
    error = float(np.hypot(scatter, light_error))
    if abs(mean) > _CONTRADICTION * np.hypot(error, prior):
        prior = np.inf
    offset = 0.0 if np.isinf(prior) or not error else -mean * error**2 / (error**2 + prior**2)
    return Sky(shape, coefficients, offset, light_error, prior, mean_light)


def _is_flat(images: BandImages, band: str, mask: BoolArray) -> bool:
    """Return whether pixels beside the mask scatter as noise does: as stated, or as measured."""
    flux, precision = (plane[0] for plane in images.to_arrays(bands=[band]))
    sky = np.where((precision != 0) & ~mask, flux, np.nan)
    bends = [p[:-2] - 2 * p[1:-1] + p[2:] for p in (sky, sky.T)]
    steps = np.concatenate([bend[np.isfinite(bend)] for bend in bends])
    if steps.size < _FEWEST_STEPS:
        return False
    noise = 1.4826 * float(np.median(np.abs(steps))) / np.sqrt(6)
    if band not in images.missing_uncertainty:
        noise = max(noise, float(np.median(precision[precision != 0])) ** -0.5)
    scatter = 1.4826 * float(np.nanmedian(np.abs(sky - np.nanmedian(sky))))
    return scatter <= _UNEVEN * noise


def hides_no_sky(light: Array, outskirts: Outskirts) -> BoolArray:
    """Return where the galaxies' light is faint against the noise."""
    return np.asarray(light <= CLEAR * outskirts.noise)


def _value(coefficients: tuple[float, float, float], y: float, x: float) -> float:
    return coefficients[0] + coefficients[1] * x + coefficients[2] * y


def _mean(coefficients: tuple[float, float, float], boxes: list[Box]) -> float:
    return float(np.mean([_value(coefficients, y, x) for y, x, _ in boxes] or coefficients[0]))


def _shape(
    boxes: list[Box], side: int, level: tuple[float, float, float]
) -> tuple[str, tuple[float, float, float]]:
    """Return the simplest shape that the boxes allow, and the level or plane in it."""
    from scipy.stats import f

    if len(boxes) < _MIN_BOXES:
        return "level", level
    y, x, value = np.array(boxes).T
    shape, coefficients, good = "level", level, np.ones(len(value), dtype=bool)
    plane, kept = fit_plane(y, x, value)
    number = np.count_nonzero(kept)
    left = value - _plane_at(plane, y, x)
    if number >= _MIN_BOXES:
        rest = float(np.sum((left[kept] - left[kept].mean()) ** 2))
        whole = float(np.sum((value[kept] - value[kept].mean()) ** 2))
        ratio = (whole - rest) / 2 / (rest / (number - 3)) if rest > 0 else np.inf
        if whole > 0 and f.sf(ratio, 2, number - 3) < _CHANCE:
            shape, coefficients, good = "plane", plane, kept
    left = value - _plane_at(coefficients, y, x)
    left -= np.median(left[good])
    limit = 3 * 1.4826 * np.median(np.abs(left))
    left = np.clip(left, -limit, limit)
    places = {
        (int(row // side), int(column // side)): v
        for row, column, v in zip(y, x, left, strict=True)
    }
    pairs = [
        v * places[other]
        for (row, column), v in places.items()
        for other in ((row + 1, column), (row, column + 1))
        if other in places
    ]
    variance = float(np.mean(left**2))
    if pairs and variance > 0 and np.mean(pairs) / variance * np.sqrt(len(pairs)) > _SMOOTH:
        shape = "surface"
    return shape, coefficients


def _plane_at(coefficients: tuple[float, float, float], y: Array, x: Array) -> Array:
    return np.asarray(coefficients[0] + coefficients[1] * x + coefficients[2] * y)


def medians(flux: Array, hidden: BoolArray, side: int) -> list[Box]:
    """Return the medians of boxes of which a fifth at least is sky."""
    found = []
    for y in range(0, flux.shape[0], side):
        for x in range(0, flux.shape[1], side):
            box = np.s_[y : y + side, x : x + side]
            part = flux[box]
            sky = part[~hidden[box]]
            if sky.size >= max(0.2 * part.size, side):
                found.append(
                    (
                        y + (part.shape[0] - 1) / 2,
                        x + (part.shape[1] - 1) / 2,
                        float(np.median(sky)),
                    )
                )
    return found


def standard_error(values: list[float]) -> float:
    """Return the standard error of the mean of box medians; 0 of fewer than three."""
    if len(values) < 3:
        return 0.0
    return float(np.std(values, ddof=1) / np.sqrt(len(values)))
