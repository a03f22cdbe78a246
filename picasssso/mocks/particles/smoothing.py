"""Sizes of particles from their neighbors, and their deposit on a pixel grid."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

#: Particles are spread over as many of their nearest neighbors (Torrey et al. 2015, MNRAS
#: 447, 2753).
NEIGHBORS = 16

# Kernel sizes, in pixels, grow by this factor; masses are shared between the two next ones.
_STEP = 2.0**0.5
_SMALLEST = 0.7


def neighbor_distance(position: np.ndarray) -> np.ndarray:
    """Return the distance of each particle's 16th nearest neighbor.

    ``position``: positions of shape (n, 3); returns distances of shape (n,), in the unit of the
    positions; that of the farthest neighbor where there are fewer particles, 0 for a single
    one.
    """
    from scipy.spatial import cKDTree

    count = min(NEIGHBORS + 1, len(position))
    if count < 2:
        return np.zeros(len(position))
    distance, _ = cKDTree(position).query(position, k=[count])
    return distance[:, 0]


def deposit(
    x: np.ndarray, y: np.ndarray, size: np.ndarray, values: np.ndarray, shape: tuple[int, int]
) -> np.ndarray:
    """Spread particles over pixels, keeping their sum.

    Each particle is a projected cubic spline that ends at ``size``, shared between four
    pixels at its center. What falls beyond the grid is lost; nothing else is.

    ``x, y``: positions in pixels, of shape (n,); the center of the first pixel is 0; ``size``:
    radii in pixels, of shape (n,); ``values``: what to spread, of shape (k, n); ``shape``: shape
    of the grid; returns sums per pixel, of shape (k, *shape).
    """
    values = np.atleast_2d(np.asarray(values, dtype=np.float64))
    image = np.zeros((len(values), *shape))
    if x.size == 0:
        return image
    size = np.minimum(size, max(shape))
    place = np.log(np.maximum(size, _SMALLEST) / _SMALLEST) / np.log(_STEP)
    lower = place.astype(int)
    upper_share = place - lower
    for level in range(int(lower.max()) + 2):
        radius = _SMALLEST * _STEP**level if level else 0.0
        pad = int(np.ceil(radius)) + 2
        near = (x > -pad) & (x < shape[1] - 1 + pad) & (y > -pad) & (y < shape[0] - 1 + pad)
        share = np.where(lower == level, 1.0 - upper_share, 0.0)
        share = np.where(lower == level - 1, upper_share, share)
        chosen = near & (share > 0)
        if not chosen.any():
            continue
        points = _share_between_pixels(
            x[chosen] + pad, y[chosen] + pad, values[:, chosen] * share[chosen],
            (shape[0] + 2 * pad, shape[1] + 2 * pad),
        )  # fmt: skip
        if level:
            points = _convolve(points, radius)
        image += points[:, pad : pad + shape[0], pad : pad + shape[1]]
    # What Fourier transforms leave where nothing is.
    floor = 1e-13 * np.abs(image).max(axis=(1, 2), keepdims=True)
    return np.where(np.abs(image) > floor, image, 0.0)


def _share_between_pixels(
    x: np.ndarray, y: np.ndarray, values: np.ndarray, shape: tuple[int, int]
) -> np.ndarray:
    left, low = np.floor(x).astype(int), np.floor(y).astype(int)
    part_x, part_y = x - left, y - low
    image = np.zeros((len(values), shape[0] * shape[1]))
    for dy, weight_y in ((0, 1.0 - part_y), (1, part_y)):
        for dx, weight_x in ((0, 1.0 - part_x), (1, part_x)):
            row, column = low + dy, left + dx
            inside = (row >= 0) & (row < shape[0]) & (column >= 0) & (column < shape[1])
            flat = row[inside] * shape[1] + column[inside]
            weight = (weight_x * weight_y)[inside]
            for k, value in enumerate(values):
                image[k] += np.bincount(
                    flat, weights=value[inside] * weight, minlength=image.shape[1]
                )
    return image.reshape(-1, *shape)


def _convolve(images: np.ndarray, radius: float) -> np.ndarray:
    from scipy.fft import irfft2, next_fast_len, rfft2

    shape = (images.shape[1], images.shape[2])
    # Padding around the grid is as wide as the kernel, so what comes round stays in it.
    fast = (next_fast_len(shape[0], real=True), next_fast_len(shape[1], real=True))
    spectrum = rfft2(images, s=fast) * _kernel_spectrum(radius, fast)
    return irfft2(spectrum, s=fast)[:, : shape[0], : shape[1]]


@lru_cache(maxsize=32)
def _kernel_spectrum(radius: float, shape: tuple[int, int]) -> np.ndarray:
    from scipy.fft import rfft2

    kernel = _kernel(radius)
    centered = np.zeros(shape)
    centered[: len(kernel), : len(kernel)] = kernel
    half = len(kernel) // 2
    return rfft2(np.roll(centered, (-half, -half), axis=(0, 1)))


def _kernel(radius: float) -> np.ndarray:
    """Return the projected cubic spline that ends at a radius, summing to 1."""
    half = int(np.ceil(radius))
    oversampling = 5 if radius < 8 else 1
    count = (2 * half + 1) * oversampling
    # Means over pixels, of points at the middles of fifths of pixels.
    axis = np.arange(count) - 0.5 * (count - 1)
    points = np.hypot(axis[:, None], axis[None, :]) / (oversampling * radius)
    depth = (np.arange(64) + 0.5) / 64
    table_q = np.linspace(0.0, 1.0, 129)
    column = _cubic_spline(np.hypot(table_q[:, None], depth)).sum(axis=1)
    fine = np.interp(points, table_q, column, right=0.0)
    n = 2 * half + 1
    kernel = fine.reshape(n, oversampling, n, oversampling).sum(axis=(1, 3))
    return kernel / kernel.sum()


def _cubic_spline(q: np.ndarray) -> np.ndarray:
    """Return the kernel of Monaghan & Lattanzio (1985, A&A 149, 135), not normalized."""
    inner = 1.0 - 6.0 * q**2 + 6.0 * q**3
    return np.where(q < 0.5, inner, np.where(q < 1.0, 2.0 * (1.0 - np.minimum(q, 1.0)) ** 3, 0.0))
