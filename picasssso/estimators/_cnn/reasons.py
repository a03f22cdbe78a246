"""Why an image is unlike the training set: what was found, and what the training set has."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch

from picasssso.estimators._cnn.block_inputs import (
    N_WHOLE,
    make_input,
    middle_planes,
    unlike_training,
)
from picasssso.estimators.context import EstimationContext
from picasssso.networks.conformal import ConformalCalibration
from picasssso.networks.detection import detected_part, measure_light
from picasssso.networks.inputs import SLOT_WAVELENGTHS, SLOTS
from picasssso.networks.morphology import STRUCTURES
from picasssso.networks.training_range import (
    IMAGE_QUANTITIES,
    PIXEL_QUANTITIES,
    colors_outside,
    image_outside,
    measure,
    measure_image,
)

if TYPE_CHECKING:
    from picasssso.bands import BandImages

#: Part of the pixels with light from which on a reason is given, and how many are.
_LEAST, _MOST_REASONS = 0.05, 4


def pixel_statistics(
    images: BandImages, context: EstimationContext, calibration: ConformalCalibration
) -> tuple[float, ...]:
    """Return, by `PIXEL_QUANTITIES`, the part of pixels with light outside and their median.

    Then the part whose colors together are. NaN where there is nothing.
    """
    flux, weight = middle_planes(images)
    given = make_input([flux], [weight], [context], sharp=False)
    found = measure(given.flux, given.inverse_variance, given.conditions, given.has_band)
    light = detected_part(measure_light(given.flux, given.inverse_variance))[0, 0] >= 0.5
    number = int(light.sum())
    if not number or not len(calibration.ranges):
        return (math.nan,) * (2 * len(PIXEL_QUANTITIES) + 1)
    ranges = calibration.ranges[len(IMAGE_QUANTITIES) :]
    statistics = []
    for values, (low, high) in zip(found.pixel[0], ranges.tolist(), strict=True):
        inside = values[light]
        outside = inside[(inside < low) | (inside > high)]
        median = float(outside.median()) if len(outside) else math.nan
        statistics += [len(outside) / number, median]
    limits = calibration.colors, calibration.color_limits
    together = colors_outside(found, given.has_band, *limits)[0]
    return (*statistics, float((together & light).sum()) / number)


def outside(
    context: EstimationContext, known: ConformalCalibration
) -> tuple[list[str], list[str]]:
    """Return what of the whole image lies outside the training set, and all reasons in words."""
    empty = [np.zeros((len(context.bands), 1, 1), np.float32)]
    given = make_input(empty, empty, [context], sharp=False)
    found = measure_image(given.conditions, given.has_band)
    flags = image_outside(found, known.ranges)[0].tolist()
    names = [name for name, flag in zip(IMAGE_QUANTITIES, flags, strict=True) if flag]
    names += unlike_training(context, known)
    reasons = whole_reasons(names, found[0], context, known.ranges, known.structure)
    return names, reasons + pixel_reasons(context, known.ranges)


def whole_reasons(
    names: list[str],
    image: torch.Tensor,
    context: EstimationContext,
    ranges: torch.Tensor,
    structure: torch.Tensor | None,
) -> list[str]:
    """Return what of the whole image is outside, with its value and that of the training set."""
    reasons = []
    for name in names:
        if name in IMAGE_QUANTITIES:
            k = IMAGE_QUANTITIES.index(name)
            numbers = [float(image[k]), *ranges[k].tolist()]
        elif name in STRUCTURES and structure is not None:
            k = STRUCTURES.index(name)
            numbers = [context.statistics[k], *structure[k].tolist()]
        else:
            continue
        value, low, high = (_plain(name, number) for number in numbers)
        unit = " AA" if name.startswith("wavelength") else ""
        reasons.append(f"{name} {value:.3g}{unit} (trained: {_range(low, high)}{unit})")
    return reasons


def pixel_reasons(context: EstimationContext, ranges: torch.Tensor) -> list[str]:
    """Return what most pixels with light are outside in, the most frequent first."""
    found = context.statistics[N_WHOLE:]
    if not found or not len(ranges):
        return []
    limits = ranges[len(IMAGE_QUANTITIES) :].tolist()
    reasons = []
    for k, name in enumerate(PIXEL_QUANTITIES):
        part, median = found[2 * k : 2 * k + 2]
        if part > _LEAST:
            low, high = limits[k]
            text = f"log10 {median:.2f}, trained: {_range(low, high)}"
            reasons.append((part, f"{name} in {100 * part:.0f} % of the pixels ({text})"))
    if found[-1] > _LEAST:
        reasons.append((found[-1], f"the combination of colors in {100 * found[-1]:.0f} %"))
    return [text for _, text in sorted(reasons, reverse=True)[:_MOST_REASONS]]


def _plain(name: str, number: float) -> float:
    """Return a number that may be stored as its logarithm."""
    if name in ("redshift", "light at the edge") or not math.isfinite(number):
        return number
    if name.startswith("wavelength"):
        return 10.0**number * SLOT_WAVELENGTHS[SLOTS.index(name[-1])]
    return 10.0**number


def _range(low: float, high: float) -> str:
    if not low <= high:
        return "never"
    if not math.isfinite(high):
        return f"at least {low:.3g}"
    return f"{low:.3g} to {high:.3g}" if math.isfinite(low) else f"at most {high:.3g}"
