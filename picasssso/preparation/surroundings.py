"""Pixels without a value, filled for looking at what is around them; estimates never see these."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def fill_with_surroundings(
    image: npt.NDArray[Any], valid: npt.NDArray[np.bool_], widest: float
) -> npt.NDArray[Any]:
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
