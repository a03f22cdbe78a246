"""The width of a point spread function."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["kernel_fwhm"]

#: Steps per pixel at which a kernel is interpolated.
_OVERSAMPLING = 16


def kernel_fwhm(kernel: npt.NDArray[Any]) -> float:
    """Return the full width at half maximum of a kernel.

    The kernel is interpolated with cubic splines; the width is that of the circle with the
    area over which it exceeds half its maximum, so that elongated kernels have the geometric
    mean of their widths.

    Parameters
    ----------
    kernel : ndarray, shape (y, x)
        The kernel.

    Returns
    -------
    float
        FWHM in pixels of the kernel.

    Examples
    --------
    >>> import numpy as np
    >>> from picasssso.bands.psf import kernel_fwhm
    >>> radius2 = np.sum(np.indices((21, 21)) ** 2 - 20 * np.indices((21, 21)) + 100, axis=0)
    >>> round(kernel_fwhm(np.exp(-4 * np.log(2) * radius2 / 3.0**2)), 1)
    3.0
    """
    from scipy.ndimage import zoom

    # A frame of zeros, so that a kernel cut close keeps its outline.
    framed = np.pad(np.asarray(kernel, dtype=float), 2)
    fine = zoom(framed, _OVERSAMPLING, order=3, mode="grid-constant", grid_mode=True)
    area = np.count_nonzero(fine > fine.max() / 2) / _OVERSAMPLING**2
    return float(2 * np.sqrt(area / np.pi))
