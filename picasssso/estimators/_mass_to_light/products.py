"""Percentiles of a normal times a log-normal variable.

A pixel's mass is its flux, whose error is normal (and which may be negative), times a
mass-to-light ratio, whose error is log-normal. In units of the flux error, with signal-
to-noise S and log-normal width s, that is (S + a) exp(s b) with standard normal a and b.
Its percentiles have no closed form: they are tabulated once, to better than 1 % of the
width where s < 0.5 (5 % at s = 1.5), and interpolated.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.floating]

#: Log-normal widths beyond this (natural logarithm; 1.3 dex) are treated as this.
MAXIMUM_LOG_WIDTH = 3.0
#: Signal-to-noise beyond this changes nothing but the scale.
_MAXIMUM_SIGNAL = 1e4
_PROBABILITIES = np.array([0.025, 0.16, 0.5, 0.84, 0.975])
_N_SIGNAL, _N_WIDTH, _N_NODES = 97, 33, 31


def _below_narrow_log_normal(
    t: FloatArray, signal: FloatArray, width: FloatArray, nodes: FloatArray
) -> FloatArray:
    """Probability that the product is below t, at nodes of the log-normal variable."""
    from scipy.special import ndtr

    return ndtr(t * np.exp(-width * nodes) - signal)


def _below_narrow_normal(
    t: FloatArray, signal: FloatArray, width: FloatArray, nodes: FloatArray
) -> FloatArray:
    """Probability that the product is below t, at nodes of the normal variable."""
    from scipy.special import ndtr

    factor = signal + nodes
    ratio = t / factor
    same_sign = ratio > 0
    tail = ndtr(np.log(np.where(same_sign, ratio, 1.0)) / width)
    # What is log-normal is positive: the product has the sign of the factor for certain.
    below = np.where(same_sign, tail, 0.0)
    above = np.where(same_sign, 1 - tail, 1.0)
    return np.where(factor > 0, below, above)


def _solve(
    signal: FloatArray, width: FloatArray, nodes: FloatArray, weights: FloatArray
) -> FloatArray:
    """Return arcsinh of the percentiles of the product, by bisection."""
    # The integral over the narrower of the two variables is done by Gauss-Hermite
    # quadrature, that over the broader one in closed form, so that the result is smooth.
    narrow = width * signal < 1
    solution = np.empty((len(_PROBABILITIES), signal.size))
    for select, below in ((narrow, _below_narrow_log_normal), (~narrow, _below_narrow_normal)):
        s, w = signal[select, None], np.maximum(width[select, None], 1e-6)
        shape = (len(_PROBABILITIES), s.shape[0])
        low, high = np.full(shape, -20.0), np.full(shape, 30.0)
        for _ in range(24):
            middle = (low + high) / 2
            cdf = below(np.sinh(middle)[..., None], s, w, nodes) @ weights
            too_low = cdf < _PROBABILITIES[:, None]
            low, high = np.where(too_low, middle, low), np.where(too_low, high, middle)
        solution[:, select] = (low + high) / 2
    return solution


@lru_cache(maxsize=1)
def _table() -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return arcsinh of the percentiles on a grid of arcsinh(S) and s."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(_N_NODES)
    weights = weights / weights.sum()
    signals = np.linspace(0.0, np.arcsinh(_MAXIMUM_SIGNAL), _N_SIGNAL)
    # Finer where the width is small, as it is in all but the noisiest pixels.
    widths = MAXIMUM_LOG_WIDTH * np.linspace(0.0, 1.0, _N_WIDTH) ** 2
    u, s = (x.ravel() for x in np.meshgrid(signals, widths, indexing="ij"))
    table = _solve(np.sinh(u), s, nodes, weights)
    result = table.reshape(5, _N_SIGNAL, _N_WIDTH)
    for array in (signals, widths, result):
        array.flags.writeable = False
    return signals, widths, result


def product_percentiles(signal: FloatArray, width: FloatArray) -> FloatArray:
    """Return percentiles of (S + a) exp(s b) for standard normal a and b."""
    signals, widths, table = _table()
    magnitude = np.minimum(np.abs(signal), _MAXIMUM_SIGNAL)
    x = np.arcsinh(magnitude) / signals[1]
    y = np.sqrt(np.clip(width, 0.0, MAXIMUM_LOG_WIDTH) / MAXIMUM_LOG_WIDTH) * (_N_WIDTH - 1)
    i = np.minimum(x.astype(int), _N_SIGNAL - 2)
    j = np.minimum(y.astype(int), _N_WIDTH - 2)
    # Linear in the width itself, whose grid is not even.
    fx = x - i
    fy = (np.clip(width, 0.0, MAXIMUM_LOG_WIDTH) - widths[j]) / (widths[j + 1] - widths[j])
    left = table[:, i, j] * (1 - fy) + table[:, i, j + 1] * fy
    right = table[:, i + 1, j] * (1 - fy) + table[:, i + 1, j + 1] * fy
    result = np.sinh(left * (1 - fx) + right * fx)
    # Beyond the table the product only scales.
    result *= np.maximum(np.abs(signal) / _MAXIMUM_SIGNAL, 1.0)
    # The product with -S is minus the product with S.
    return np.where(np.asarray(signal) < 0, -result[::-1], result)
