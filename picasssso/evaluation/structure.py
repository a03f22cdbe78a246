"""Comparison of the structure of maps: even a blurred map can have correct sums.

Both measures use log10 of maps inside a window around the galaxy, since linear maps are dominated
by the nucleus.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from picasssso.evaluation.apertures import Apertures
from picasssso.evaluation.stacks import log10_positive
from picasssso.exceptions import InvalidInputError

FloatArray = npt.NDArray[np.floating]

#: The window falls from 1 to 0 between these radii, in half-mass radii.
WINDOW = (1.5, 3.0)
#: Width of the Gaussian window, and constants, of Wang et al. (2004, IEEE TIP 13, 600).
_SSIM_SIGMA, _SSIM_K1, _SSIM_K2 = 1.5, 0.01, 0.03


@dataclass(frozen=True, eq=False)
class PowerSpectra:
    """Power of maps relative to that of the truth, by spatial frequency in cycles per pixel."""

    frequency: FloatArray
    ratio: FloatArray
    coherence: FloatArray


def power_spectra(
    estimate: Any, truth: Any, apertures: Apertures, *, n_bins: int = 8
) -> PowerSpectra:
    """Compare power spectra of maps and truth in bins from 0 to 0.5 cycles per pixel."""
    mine, true, window = _logarithms(estimate, truth, apertures)
    fourier = [np.fft.rfft2(values) for values in (mine, true)]
    fy = np.fft.fftfreq(true.shape[1])[:, None]
    fx = np.fft.rfftfreq(true.shape[2])[None, :]
    frequency = np.hypot(fy, fx)
    edges = np.linspace(0, 0.5, n_bins + 1)
    which = np.digitize(frequency, edges) - 1
    which[0, 0] = -1  # the mean says nothing about structure
    # Half of the plane is stored: all but the first and the last column stand for two.
    double = np.full(frequency.shape, 2.0)
    double[:, 0] = 1.0
    if true.shape[2] % 2 == 0:
        double[:, -1] = 1.0
    products = (np.abs(fourier[0]) ** 2, np.abs(fourier[1]) ** 2,
                (fourier[0] * fourier[1].conj()).real)  # fmt: skip
    binned = np.array(
        [
            [(product * double * (which == k)).sum(axis=(1, 2)) for k in range(n_bins)]
            for product in products
        ]
    )
    power, true_power, cross = np.moveaxis(binned, 1, 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = power / true_power
        coherence = cross / np.sqrt(power * true_power)
    nothing = ~(window.sum(axis=(1, 2)) > 0)[:, None]
    return PowerSpectra(
        (edges[1:] + edges[:-1]) / 2,
        np.where(nothing, np.nan, ratio),
        np.where(nothing, np.nan, coherence),
    )


def structural_similarity(estimate: Any, truth: Any, apertures: Apertures) -> FloatArray:
    """Return the structural similarity of maps to the truth (Wang et al. 2004).

    Returns mean over pixels within 2 half-mass radii, of log10 of the maps: 1 if they are the
    same up to a constant factor.

    Wang, Bovik, Sheikh & Simoncelli 2004, IEEE Transactions on Image Processing 13, 600,
    with its constants and a Gaussian window of 1.5 pixels.
    """
    from scipy.ndimage import gaussian_filter

    mine, true = (log10_positive(values) for values in (estimate, truth))
    _check_shapes(mine, true, apertures)
    good = np.isfinite(mine) & np.isfinite(true)
    inside = good & (apertures.radius() <= 2.0)

    def smooth(values: FloatArray) -> FloatArray:
        return gaussian_filter(values, (0, _SSIM_SIGMA, _SSIM_SIGMA), truncate=3.5)

    result = np.full(len(true), np.nan)
    weight = np.maximum(smooth(good.astype(np.float64)), 1e-9)
    # A constant offset is no matter of structure, and is measured elsewhere. As in an image,
    # the darkest pixel is 0: otherwise the unit would matter.
    number = np.maximum(inside.sum(axis=(1, 2), keepdims=True), 1)
    offset = np.where(inside, mine - true, 0).sum(axis=(1, 2), keepdims=True) / number
    lowest = np.where(inside, true, np.inf).min(axis=(1, 2), keepdims=True)
    mine = np.where(good, mine - offset - lowest, 0)
    true = np.where(good, true - lowest, 0)
    # Windows that hold pixels without a value are averages over the rest.
    mean_1, mean_2 = smooth(mine) / weight, smooth(true) / weight
    var_1 = smooth(mine**2) / weight - mean_1**2
    var_2 = smooth(true**2) / weight - mean_2**2
    cov = smooth(mine * true) / weight - mean_1 * mean_2
    for k in range(len(true)):
        if not inside[k].any():
            continue
        span = float(np.ptp(true[k][inside[k]]))
        c1, c2 = (_SSIM_K1 * span) ** 2, (_SSIM_K2 * span) ** 2
        top = (2 * mean_1[k] * mean_2[k] + c1) * (2 * cov[k] + c2)
        bottom = (mean_1[k] ** 2 + mean_2[k] ** 2 + c1) * (var_1[k] + var_2[k] + c2)
        with np.errstate(divide="ignore", invalid="ignore"):
            similarity = top / bottom
        result[k] = float(np.mean(similarity[inside[k]]))
    return result


def _check_shapes(mine: FloatArray, true: FloatArray, apertures: Apertures) -> None:
    expected = (len(apertures), *apertures.shape)
    if mine.shape != expected or true.shape != expected:
        raise InvalidInputError(
            f"The estimate has shape {mine.shape} and the truth {true.shape}: expected "
            f"{expected}, that of the apertures."
        )


def _logarithms(
    estimate: Any, truth: Any, apertures: Apertures
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return both maps in the window, less their mean there, and the window."""
    mine, true = (log10_positive(values) for values in (estimate, truth))
    _check_shapes(mine, true, apertures)
    good = np.isfinite(mine) & np.isfinite(true)
    place = np.clip((apertures.radius() - WINDOW[0]) / (WINDOW[1] - WINDOW[0]), 0, 1)
    window = np.where(good, 0.5 * (1 + np.cos(np.pi * place)), 0.0)
    total = np.maximum(window.sum(axis=(1, 2)), 1e-30)[:, None, None]
    maps = []
    for values in (mine, true):
        filled = np.where(good, values, 0)
        mean = (filled * window).sum(axis=(1, 2))[:, None, None] / total
        maps.append((filled - mean) * window)
    return maps[0], maps[1], window
