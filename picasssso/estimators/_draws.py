"""Random numbers that belong to a pixel of the whole image, whatever the block."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

#: Philox gives four 64-bit words for each count.
_WORDS = 4
#: Counter word that no band has, for what all pixels share.
_SHARED = 2**32


def _normals(words: npt.NDArray[np.uint64]) -> npt.NDArray[np.float64]:
    """Turn random words into standard normal numbers, one for one."""
    from scipy.special import ndtri

    # The upper 53 bits, at the middle of their interval: never 0 or 1.
    return ndtri(((words >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53)


def pixel_normals(
    shape: tuple[int, int], origin: tuple[int, int], *, seed: int, draw: int, band: int
) -> npt.NDArray[np.float64]:
    """Return standard normal numbers for the pixels of a block.

    ``shape``: shape ``(y, x)`` of the block; ``origin``: where its pixel (0, 0) lies in the
    whole image, ``(y, x)``; returns numbers that depend on the seed, the draw, the band and the
    pixel's place only.

    Examples
    --------
    >>> from picasssso.estimators._draws import pixel_normals
    >>> whole = pixel_normals((4, 9), (0, 0), seed=1, draw=0, band=0)
    >>> part = pixel_normals((2, 3), (1, 5), seed=1, draw=0, band=0)
    >>> bool((whole[1:3, 5:8] == part).all())
    True
    """
    height, width = shape
    first, skip = divmod(origin[1], _WORDS)
    words = np.empty(shape, np.uint64)
    for row in range(height):
        counter = np.array([first, origin[0] + row, band, draw], np.uint64)
        generator = np.random.Philox(key=seed, counter=counter)
        words[row] = generator.random_raw(skip + width)[skip:]
    return _normals(words)


def shared_normal(*, seed: int, draw: int) -> float:
    """Return the standard normal number that all pixels of a draw share."""
    counter = np.array([0, 0, _SHARED, draw], np.uint64)
    return float(_normals(np.random.Philox(key=seed, counter=counter).random_raw(1))[0])
