"""Adaptive binning: pixels are joined until a bin has enough signal in every band.

Bins are grown from the target's center outwards, each by the pixel nearest to its middle, until
it has enough signal or would no longer be round; pixels left over join the nearest bin
(Cappellari & Copin 2003, MNRAS 342, 345, section 5.1, without the Voronoi tessellation that
follows there). Packages that do more are not under open licenses.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np
import numpy.typing as npt
from astropy.nddata import NDData, StdDevUncertainty

from picasssso.bands.noise_scaling import NoiseScaling
from picasssso.bands.pixels import common_pixels
from picasssso.bands.slots import check_labels
from picasssso.exceptions import InvalidInputError
from picasssso.preparation.steps import with_step

if TYPE_CHECKING:
    from picasssso.bands import BandImages

Array = npt.NDArray[Any]
#: Distance of a bin's farthest pixel from its middle, over the radius of a circle of its area.
_ROUNDNESS = 1.3


def grow_bins(
    signal: npt.ArrayLike,
    variance: npt.ArrayLike,
    snr: float,
    *,
    noise_scaling: Iterable[NoiseScaling] | None = None,
    where: npt.ArrayLike | None = None,
    largest: int = 4096,
) -> npt.NDArray[np.int32]:
    """Join pixels into bins of at least some signal-to-noise ratio; else one bin."""
    signal, variance = (np.asarray(a, dtype=np.float64) for a in (signal, variance))
    if signal.ndim == 2:
        signal, variance = signal[None], variance[None]
    if not (np.isfinite(snr) and snr > 0 and largest >= 1):
        raise InvalidInputError(
            f"grow_bins: found snr={snr!r} and largest={largest!r}, expected positive numbers."
        )
    scalings = [NoiseScaling.white()] * len(signal) if noise_scaling is None else [*noise_scaling]
    used = np.ones(signal.shape[1:], bool) if where is None else np.asarray(where, dtype=bool)
    good = ((variance > 0) & np.isfinite(variance) & np.isfinite(signal)).all(axis=0) & used
    bins = np.full(good.shape, -1, dtype=np.int32)
    if not good.any():
        return bins
    counts = np.arange(largest + 1)
    # The noise of a sum of so many pixels, in units of that of independent ones.
    inflation = np.sqrt([scaling(np.maximum(counts, 1)) for scaling in scalings])
    rows, columns = np.nonzero(good)
    # From where the signal is best outwards: a bin begun in the dark would swallow bright pixels.
    ratios = signal[:, rows, columns] / np.sqrt(variance[:, rows, columns])
    best = ratios.min(axis=0).argmax() if rows.size else 0
    center = (rows[best], columns[best]) if rows.size else (0, 0)
    order = np.argsort(np.hypot(rows - center[0], columns - center[1]), kind="stable")
    free = good.copy()
    number = 0
    for k in order:
        seed = int(rows[k]), int(columns[k])
        if not free[seed]:
            continue
        pixels, reached = _grow(seed, free, signal, variance, snr, inflation, largest)
        chosen = tuple(np.array(pixels).T)
        free[chosen] = False
        if reached:
            bins[chosen] = number
            number += 1
    _assign_rest(bins, good)
    return bins


def _grow(
    seed: tuple[int, int],
    free: npt.NDArray[np.bool_],
    signal: Array,
    variance: Array,
    snr: float,
    inflation: Array,
    largest: int,
) -> tuple[list[tuple[int, int]], bool]:
    """Return the pixels of one bin, and whether it reached the ratio."""
    height, width = free.shape
    pixels = [seed]
    edge: set[tuple[int, int]] = set()
    inside = {seed}
    total, noise2 = signal[:, *seed].copy(), variance[:, *seed].copy()
    y_sum, x_sum = float(seed[0]), float(seed[1])
    newest = seed
    while True:
        n = len(pixels)
        if np.all(total >= snr * np.sqrt(noise2) * inflation[:, n]):
            return pixels, True
        if n >= largest:
            return pixels, False
        for dy, dx in ((-1, 0), (1, 0), (0, -1), (0, 1)):
            y, x = newest[0] + dy, newest[1] + dx
            if 0 <= y < height and 0 <= x < width and free[y, x] and (y, x) not in inside:
                edge.add((y, x))
        if not edge:
            return pixels, False
        middle = y_sum / n, x_sum / n
        newest = min(edge, key=lambda p: (p[0] - middle[0]) ** 2 + (p[1] - middle[1]) ** 2)
        distance = np.hypot(newest[0] - middle[0], newest[1] - middle[1])
        if distance > _ROUNDNESS * np.sqrt((n + 1) / np.pi) + 1:
            return pixels, False
        edge.remove(newest)
        inside.add(newest)
        pixels.append(newest)
        total += signal[:, *newest]
        noise2 += variance[:, *newest]
        y_sum += newest[0]
        x_sum += newest[1]


def _assign_rest(bins: npt.NDArray[np.int32], good: npt.NDArray[np.bool_]) -> None:
    """Let pixels that are in no bin join the nearest one, in place."""
    from scipy.spatial import cKDTree

    left = good & (bins < 0)
    if not left.any():
        return
    if bins.max() < 0:
        bins[good] = 0
        return
    taken = bins >= 0
    rows, columns = np.nonzero(taken)
    number = bins[taken]
    count = np.bincount(number)
    middles = np.stack(
        [np.bincount(number, weights=rows) / count, np.bincount(number, weights=columns) / count],
        axis=1,
    )
    _, nearest = cKDTree(middles).query(np.argwhere(left))
    bins[left] = nearest


def bin_images(
    images: BandImages,
    snr: float,
    *,
    bands: Iterable[str] | None = None,
    where: npt.ArrayLike | None = None,
    largest: int = 4096,
) -> BandImages:
    """Return images binned to a signal-to-noise ratio.

    Parameters
    ----------
    images : BandImages
        Sky-subtracted, PSF-matched images with uncertainties.
    snr : float
        Minimum signal-to-noise ratio of each bin, where possible.
    bands : iterable of str, optional
        Bands to which it applies; default: all.
    where : array-like of bool, shape (y, x), optional
        Pixels to bin; default: those with a label, or all.
    largest : int, optional
        Pixels at which a bin stops growing.

    Returns
    -------
    BandImages
        In nmgy, with ``bins``. Each pixel of a bin contains the mean flux per pixel of the bin
        and its standard error, including the correlation of the noise. Pixels outside all bins
        are masked.

    Examples
    --------
    >>> from picasssso.data import load_example
    >>> from picasssso.preparation import bin_images
    >>> images = bin_images(load_example()[0], 20)
    >>> images.bins.shape == images.shape
    True
    """
    if images.missing_uncertainty:
        raise InvalidInputError(
            f"bin_images: found no uncertainty of {', '.join(images.missing_uncertainty)}, "
            "expected one of every band. Use images.with_estimated_noise() first."
        )
    if images.bins is not None:
        raise InvalidInputError(
            "bin_images: found images that are already binned, expected unbinned ones."
        )
    if where is None and images.labels is not None:
        where = np.asarray(images.labels) != 0
    names = list(images.bands) if bands is None else [images._find(band) for band in bands]
    flux, precision = images.to_arrays(bands=names)
    with np.errstate(divide="ignore"):
        variance = np.where(precision > 0, 1.0 / precision, 0.0)
    bins = grow_bins(
        flux,
        variance,
        snr,
        noise_scaling=[images.noise_scaling[name] for name in names],
        where=where,
        largest=largest,
    )
    binned = apply_bins(images, bins)
    return with_step(binned, "binning", snr=float(snr), bins=int(bins.max()) + 1)


def apply_bins(images: BandImages, bins: npt.ArrayLike) -> BandImages:
    """Return images with the means over given bins, in nmgy, with ``bins``.

    All bands of a bin are means over the same pixels (`common_pixels`).
    """
    numbers = np.asarray(check_labels(bins, images.shape, "bins"))
    inside = numbers >= 0
    index = numbers[inside]
    n_bins = int(index.max()) + 1 if index.size else 0
    if n_bins < 1:
        raise InvalidInputError("apply_bins: found no bin, expected numbers from 0.")
    good = np.array([images.to_arrays(bands=[b])[1][0][inside] > 0 for b in images.bands])
    used, common = common_pixels(good, index, n_bins)
    label = index[common]
    count = np.bincount(label, minlength=n_bins)
    planes = {}
    for band, measured in zip(images.bands, used & (count > 0), strict=True):
        flux, precision = (plane[0][inside][common] for plane in images.to_arrays(bands=[band]))
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = np.bincount(label, weights=flux, minlength=n_bins) / count
            total = np.bincount(label, weights=1.0 / precision, minlength=n_bins)
            inflation = images.noise_scaling[band](np.maximum(count, 1))
            sigma = np.sqrt(total * inflation) / count
        filled = np.zeros(images.shape, bool)
        filled[inside] = measured[index]
        planes[band] = NDData(
            _spread(np.where(measured, mean, 0.0), index, inside, 0.0),
            unit=u.nmgy,
            uncertainty=StdDevUncertainty(
                _spread(np.where(measured, sigma, 1.0), index, inside, 1.0),
                unit=u.nmgy,
                copy=False,
            ),
            mask=~filled,
        )
    return images.with_planes(planes, bins=numbers)


def _spread(values: Array, index: Array, inside: Array, outside: float) -> Array:
    """Return the value of its bin in each pixel."""
    plane = np.full(inside.shape, outside, np.float32)
    plane[inside] = values[index]
    return plane
