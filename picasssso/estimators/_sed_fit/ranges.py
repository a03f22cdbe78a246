"""Medians and 68 % ranges in words."""

from __future__ import annotations

from typing import Any

import numpy as np


def describe_range(row: Any) -> str:
    """Write a row of `SEDFit.posterior`: median, how far its 68 % range reaches, unit."""
    low, middle, high = (float(row[name]) for name in ("p16", "p50", "p84"))
    up, down = high - middle, middle - low
    least = min((step for step in (up, down) if step > 0), default=0.0)
    least = max(least, 0.1 * max(up, down))  # no digits for a side that hardly counts
    if not np.isfinite(middle):
        return "not estimated"
    largest = max(abs(middle), up, down)
    power = int(np.floor(np.log10(largest))) if largest > 0 else 0
    power = 0 if -3 <= power < 4 else power
    digits = max(1 + power - int(np.floor(np.log10(least))), 0) if least else 2
    digits = min(digits, 4 - min(power, 0) if power > -3 else 4)
    numbers = (f"{value / 10.0**power:.{digits}f}" for value in (middle, up, down))
    text = "{} +{} -{}".format(*numbers)
    unit = str(row["unit"])
    return f"({text})e{power:+03d} {unit}".rstrip() if power else f"{text} {unit}".rstrip()
