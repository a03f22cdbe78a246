"""The width of a point spread function."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

#: FWHM in pixels that any PSF may have; broader than that, it must fit into the images.
BROADEST = 64
#: Steps per pixel at which a kernel is interpolated.
_OVERSAMPLING = 16
#: Zeros around a kernel: the splines' filter has died away outside of them.
_FRAME = 12
#: Pixels around the bright part of a kernel that its outline may reach.
_MARGIN = 4


def kernel_fwhm(kernel: npt.NDArray[Any]) -> float:
    """Return the full width at half maximum of a kernel, in its pixels.

    The kernel is interpolated with cubic splines; the width is that of the circle with the
    area over which it exceeds half its maximum, so that elongated kernels have the geometric
    mean of their widths.
    """
    from scipy.ndimage import spline_filter, zoom

    # A frame of zeros, so that a kernel cut close keeps its outline.
    framed = np.pad(np.asarray(kernel, dtype=float), _FRAME)
    coefficients = spline_filter(framed, order=3)
    # Only the bright part can exceed the half: the rest need not be interpolated.
    bright = np.argwhere(~(framed < framed.max() / 4))
    low, high = np.maximum(bright.min(axis=0) - _MARGIN, 0), bright.max(axis=0) + _MARGIN + 1
    part = coefficients[low[0] : high[0], low[1] : high[1]]
    fine = zoom(
        part, _OVERSAMPLING, order=3, mode="grid-constant", grid_mode=True, prefilter=False
    )
    area = np.count_nonzero(fine > fine.max() / 2) / _OVERSAMPLING**2
    return float(2 * np.sqrt(area / np.pi))
