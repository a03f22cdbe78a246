"""How errors of pixels become the error of a number made from many of them.

Everything that `PropertyMaps.total` and `PropertyMaps.profile` give out is, to first
order, a sum over pixels: a change d_i of pixel i changes the result by g_i d_i. With the
derivatives g the error follows for every kind of correlation:

- errors of *independent* pixels add in quadrature; all pixels of a bin are one
  measurement, so their changes are added before squaring;
- errors that are *fully* shared add linearly;
- joint *samples* are put through the sum one by one, and their scatter is taken;
- a systematic mode moves the result by the sum of its plane, whatever the correlation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from picasssso.maps.arrays import NORMAL_SCORES

FloatArray = npt.NDArray[np.floating]

#: Pixels that are worked on at once, for the sake of memory.
_CHUNK = 1_000_000


def five_point_weights() -> npt.NDArray[np.float64]:
    """Return weights that turn the five stored percentiles into moments.

    A distribution is replaced by five points at its percentiles. The weights are chosen
    so that the mean, the variance and the fourth moment of a normal distribution come out
    exactly (the odd ones do by symmetry). For a log-normal distribution of 0.3 dex the
    mean comes out to 0.1 % and the standard deviation to 4 %, where half the 16-84 range
    would give 25 % too little.
    """
    inner, outer = NORMAL_SCORES[3:]
    # 2 (w_i z_i^2 + w_o z_o^2) = 1 and 2 (w_i z_i^4 + w_o z_o^4) = 3
    pair = np.linalg.solve([[inner**2, outer**2], [inner**4, outer**4]], [0.5, 1.5])
    return np.array([pair[1], pair[0], 1 - 2 * pair.sum(), pair[0], pair[1]])


def mean_square_error(percentiles: FloatArray, estimate: FloatArray) -> npt.NDArray[np.float64]:
    """Return the posterior mean square distance from an estimate.

    Not the variance about the posterior's own mean: where the percentiles are held
    positive but the estimate is not, the distance between the two is error as well.
    """
    total = np.zeros(estimate.shape)
    rows = max(1, _CHUNK * len(estimate) // max(estimate.size, 1))
    for start in range(0, len(estimate), rows):
        part = slice(start, start + rows)
        for weight, plane in zip(five_point_weights(), percentiles, strict=True):
            total[part] += weight * (plane[part].astype(np.float64) - estimate[part]) ** 2
    return total


def relative_variance(dex: float) -> float:
    """Return the relative variance ``exp((dex ln 10)^2) - 1`` of a log-normal of mean 1."""
    return float(np.expm1((dex * np.log(10)) ** 2))


@dataclass(frozen=True)
class Pixels:
    """The pixels of one property that a result is made from.

    ``derivatives``: change of the result per change of the pixel; ``samples``: joint samples,
    each of shape (n,); ``shared_error``: part of the percentiles' width that all pixels share,
    dex; ``shared``: change of the pixels for one standard deviation of what all have in common,
    which the percentiles contain; instead of ``shared_error``, where it differs from pixel to
    pixel.
    """

    derivatives: npt.NDArray[np.float64]
    estimate: FloatArray
    percentiles: FloatArray
    samples: FloatArray | None
    shared_error: float
    systematics: Mapping[str, FloatArray]
    shared: FloatArray | None = None


def standard_deviations(
    parts: list[Pixels],
    correlation: str,
    bins: npt.NDArray[np.int64] | None,
    inflation: npt.NDArray[np.float64],
) -> dict[str, float]:
    """Return the standard deviation of a result, piece by piece.

    ``parts``: the properties that the result is made from, on the same n pixels;
    ``correlation``: how pixel errors are correlated; "joint" is computed as "independent"
    is; ``bins``: which measurement each pixel belongs to: consecutive numbers from 0; returns
    "pixels" for what differs from pixel to pixel, or "samples" and "noise_correlation"; "shared"
    for the shared error; and one for each systematic mode.
    """
    random = [_independent_variances(part, bins) for part in parts]
    shared = sum(_shared_variance(part) for part in parts)
    if correlation == "samples":
        variances = {
            "samples": _sample_variance(parts, bins),
            # Samples are drawn as if the noise of pixels were independent.
            "noise_correlation": sum(float(v @ np.maximum(inflation - 1, 0)) for v in random),
        }
    elif correlation == "full":
        variances = {"pixels": sum(_linear_sum(part) ** 2 for part in parts)}
    else:
        variances = {"pixels": sum(float(v @ inflation) for v in random), "shared": shared}
    modes = dict.fromkeys(mode for part in parts for mode in part.systematics)
    for mode in modes:
        change = sum(
            float(part.derivatives @ np.nan_to_num(part.systematics[mode]))
            for part in parts
            if mode in part.systematics
        )
        variances[mode] = change**2
    return {source: float(np.sqrt(variance)) for source, variance in variances.items()}


def _independent_variances(
    part: Pixels, bins: npt.NDArray[np.int64] | None
) -> npt.NDArray[np.float64]:
    """Variance that each measurement brings, without what all pixels share."""
    variance = mean_square_error(part.percentiles, part.estimate)
    # x = f r with a shared factor f of mean 1: var(x) = var(r) E[f^2] + E[r]^2 var(f). The
    # first term is what averages out; the second adds linearly and is put back as "shared".
    variance -= (
        relative_variance(part.shared_error) * part.estimate.astype(np.float64) ** 2
        if part.shared is None
        else part.shared.astype(np.float64) ** 2
    )
    np.sqrt(np.maximum(variance, 0, out=variance), out=variance)
    change = np.multiply(part.derivatives, variance, out=variance)
    if bins is not None:
        change = np.bincount(bins, weights=change).astype(np.float64)
    return np.square(change, out=change)


def _shared_variance(part: Pixels) -> float:
    """Variance that comes of what all pixels have in common."""
    if part.shared is not None:
        return float(part.derivatives @ part.shared.astype(np.float64)) ** 2
    relative = relative_variance(part.shared_error)
    return relative * float(part.derivatives @ part.estimate) ** 2


def _linear_sum(part: Pixels) -> float:
    error = np.sqrt(mean_square_error(part.percentiles, part.estimate))
    return float(part.derivatives @ error)


def _sample_variance(parts: list[Pixels], bins: npt.NDArray[np.int64] | None) -> float:
    """Scatter of the result over joint samples; one pixel speaks for its bin."""
    results: npt.NDArray[np.float64] | float = 0.0
    for part in parts:
        assert part.samples is not None
        derivatives, samples = part.derivatives, part.samples
        if bins is not None:
            _, first = np.unique(bins, return_index=True)
            derivatives = np.bincount(bins, weights=derivatives).astype(np.float64)
            samples = samples[:, first]
        results = results + np.array([derivatives @ draw for draw in samples])
    return float(np.var(results, ddof=1))


def measurement_inflation(
    sizes: npt.NDArray[np.int64], n_pixels: float, noise_scaling: Callable[[float], float] | None
) -> npt.NDArray[np.float64]:
    """Return the factor on the variance of each measurement.

    The variance of a sum over n pixels is ``n sigma^2 noise_scaling(n)``. The error of a
    bin of m pixels has the correlation among its own pixels in it already, so that only
    ``noise_scaling(n) / noise_scaling(m)`` is missing.
    """
    whole = 1.0 if noise_scaling is None else float(noise_scaling(max(n_pixels, 1.0)))
    if noise_scaling is None or sizes.max(initial=1) < 2:
        return np.broadcast_to(whole, sizes.shape)
    unique, which = np.unique(sizes, return_inverse=True)
    own = np.array([1.0 if size < 2 else float(noise_scaling(float(size))) for size in unique])
    return np.where(unique < 2, whole, np.maximum(whole / own, 1.0))[which]
