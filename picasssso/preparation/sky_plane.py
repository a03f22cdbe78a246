"""A plane through the medians of boxes of sky."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

#: Boxes that a plane needs at least.
MIN_BOXES = 6

Array = npt.NDArray[Any]


def fit_plane(
    y: Array, x: Array, value: Array
) -> tuple[tuple[float, float, float], npt.NDArray[np.bool_]]:
    """Return the coefficients of 1, x and y of a plane, and the boxes that it describes."""
    width, height = (float(c.max()) + 1 for c in (x, y))
    matrix = np.stack([np.ones_like(x), x / width, y / height], axis=1)
    good = np.ones(len(value), dtype=bool)
    fit = np.zeros(3)
    for _ in range(4):
        fit = np.linalg.lstsq(matrix[good], value[good], rcond=None)[0]
        left = value - matrix @ fit
        spread = 1.4826 * np.median(np.abs(left[good] - np.median(left[good])))
        good = np.abs(left - np.median(left[good])) <= 3 * spread
        if np.count_nonzero(good) < MIN_BOXES:
            break
    return (float(fit[0]), float(fit[1] / width), float(fit[2] / height)), good
