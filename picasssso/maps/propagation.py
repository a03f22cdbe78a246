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

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from picasssso.maps.arrays import NORMAL_SCORES, PERCENTILES

FloatArray = npt.NDArray[np.floating]

#: Part of a pixel's error that is common to all, from which on its posterior begins to say what
#: shape the common error has, and from which on nothing else does.
_LEAST_COMMON, _MOSTLY_COMMON = 0.4, 0.7

#: Widths of posteriors (natural logarithm) count up to this.
_WIDEST = 1.5


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
    for weight, plane in zip(five_point_weights(), percentiles, strict=True):
        total += weight * (plane.astype(np.float64) - estimate) ** 2
    return total


def relative_variance(dex: float) -> float:
    """Return the relative variance ``exp((dex ln 10)^2) - 1`` of a log-normal of mean 1."""
    return float(np.expm1((dex * np.log(10)) ** 2))


@dataclass(frozen=True)
class Pixels:
    """Pixels of one property that a result is made from, some of them or all.

    ``derivatives``: change of the result per change of the pixel; ``samples``: joint samples,
    each of shape (n,); ``shared_error``: part of the percentiles' width that all pixels share,
    dex; ``shared``: change of the pixels for one standard deviation of what all have in common,
    which the percentiles contain; instead of ``shared_error``, where it differs from pixel to
    pixel; ``detected``: where pixels have light of which percentiles tell more than its noise.
    """

    derivatives: npt.NDArray[np.float64]
    estimate: FloatArray
    percentiles: FloatArray
    samples: FloatArray | None
    shared_error: float
    systematics: Mapping[str, FloatArray]
    shared: FloatArray | None = None
    detected: npt.NDArray[np.bool_] | None = None


class ErrorSums:
    """Sums over pixels from which the standard deviation of a result follows.

    ``correlation``: how pixel errors are correlated; "joint" is computed as "independent" is;
    ``n_bins``: number of measurements that may have several pixels.
    """

    def __init__(self, correlation: str, n_bins: int) -> None:
        self._correlation, self._n_bins = correlation, n_bins
        # By property: of pixels that are measurements themselves, and of bins.
        self._single: dict[int, float] = {}
        self._binned: dict[int, npt.NDArray[np.float64]] = {}
        self._derivatives: dict[int, npt.NDArray[np.float64]] = {}
        self._linear: dict[int, float] = {}
        self._shared: dict[int, float] = {}
        self._draws: npt.NDArray[np.float64] | float = 0.0
        self._seen = np.zeros(n_bins, np.bool_)
        self._modes: dict[str, float] = {}
        # By property: change if all pixels lie at a normal score of what they have in common.
        self._common: dict[int, npt.NDArray[np.float64]] = {}

    def add(self, parts: Sequence[Pixels], bins: npt.NDArray[np.int64] | None) -> None:
        """Add pixels.

        ``parts``: the properties that the result is made from, on the same n pixels; ``bins``:
        the measurement that each belongs to, negative for one of its own (None: all).
        """
        for number, part in enumerate(parts):
            d = part.derivatives
            if self._correlation == "full":
                error = np.sqrt(mean_square_error(part.percentiles, part.estimate))
                _add(self._linear, number, float(d @ error))
                _add(self._common, number, (part.percentiles - part.estimate) @ d)
            else:
                change = _independent_changes(part)
                if bins is None:
                    _add(self._single, number, float(change @ change))
                else:
                    alone = change[bins < 0]
                    _add(self._single, number, float(alone @ alone))
                    _add(self._binned, number, self._by_bin(bins, change))
            if self._correlation == "samples":
                if bins is None:
                    self._add_draws(part, d)
                else:
                    self._add_draws(part, np.where(bins < 0, d, 0.0))
                    _add(self._derivatives, number, self._by_bin(bins, d))
            elif self._correlation != "full":
                # x = f r with a shared factor f of mean 1.
                moved = part.estimate if part.shared is None else part.shared
                factor = np.sqrt(relative_variance(part.shared_error))
                scale = factor if part.shared is None else 1.0
                deviation = scale * moved.astype(np.float64)
                _add(self._shared, number, float(d @ deviation))
                changes = _common_changes(d, part, deviation)
                _add(self._common, number, changes)
            for mode, plane in part.systematics.items():
                _add(self._modes, mode, float(d @ np.nan_to_num(plane)))

    def add_samples_of_bins(self, parts: Sequence[Pixels], bins: npt.NDArray[np.int64]) -> None:
        """Add the joint samples of bins, after all pixels: the first pixel speaks for its bin."""
        found, first = np.unique(bins, return_index=True)
        new = (found >= 0) & ~self._seen[found]
        self._seen[found[new]] = True
        for number, part in enumerate(parts):
            derivatives = np.zeros(len(bins))
            derivatives[first[new]] = self._derivatives[number][found[new]]
            self._add_draws(part, derivatives)

    def _add_draws(self, part: Pixels, derivatives: npt.NDArray[np.float64]) -> None:
        assert part.samples is not None
        self._draws = self._draws + np.array([derivatives @ draw for draw in part.samples])

    def _by_bin(
        self, bins: npt.NDArray[np.int64], values: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float64]:
        inside = bins >= 0
        return np.bincount(bins[inside], values[inside], self._n_bins).astype(np.float64)

    def standard_deviations(
        self, whole: float, inflation: npt.NDArray[np.float64]
    ) -> dict[str, float]:
        """Return the standard deviation of the result, piece by piece.

        ``whole, inflation``: factors on the variance of single pixels, and of each bin. Pieces
        are "pixels" for what differs from pixel to pixel, or "samples" and "noise_correlation";
        "shared" for the shared error; and one for each systematic mode.
        """

        def independent(whole: float, inflation: npt.NDArray[np.float64]) -> float:
            binned = sum(float(change**2 @ inflation) for change in self._binned.values())
            return whole * sum(self._single.values()) + binned

        if self._correlation == "samples":
            variances = {
                "samples": float(np.var(self._draws, ddof=1)),
                # Samples are drawn as if the noise of pixels were independent.
                "noise_correlation": independent(
                    max(whole - 1.0, 0.0), np.maximum(inflation - 1.0, 0.0)
                ),
            }
        elif self._correlation == "full":
            variances = {"pixels": sum(change**2 for change in self._linear.values())}
        else:
            variances = {
                "pixels": independent(whole, inflation),
                "shared": sum(change**2 for change in self._shared.values()),
            }
        variances |= {mode: change**2 for mode, change in self._modes.items()}
        return {source: float(np.sqrt(variance)) for source, variance in variances.items()}

    def percentiles(self, value: float, errors: Mapping[str, float]) -> npt.NDArray[np.float64]:
        """Return percentiles (5,) of the result, from its value and `standard_deviations`.

        What pixels have in common is skewed as their posteriors are; the rest adds up to a
        normal distribution. Medians of the parts add, and distances from them in quadrature.
        """
        scores = np.asarray(NORMAL_SCORES)
        if self._correlation == "samples":
            skewed = [np.percentile(self._draws, PERCENTILES) - value]
            known = "samples"
        else:
            skewed = list(self._common.values())
            known = "pixels" if self._correlation == "full" else "shared"
        rest = sum(error**2 for source, error in errors.items() if source != known)
        median = value + sum(part[2] for part in skewed)
        square = scores**2 * rest + sum((part - part[2]) ** 2 for part in skewed)
        return median + np.sign(scores) * np.sqrt(square)


def _common_changes(
    derivatives: npt.NDArray[np.float64], part: Pixels, deviation: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return what a sum changes by if all pixels lie at each normal score of a common error.

    Estimates of the sign of their common error vary by a common, log-normal factor of mean 1, so
    that noise around zero sums to nothing; others have normal errors. But where most of the error
    of a pixel with light is common (`Pixels.shared`), the common error has the shape of the
    pixel's posterior: zero in part, say, where star formation may be absent.
    """
    mean = part.estimate.astype(np.float64)
    factor = deviation * mean > 0
    changes = np.multiply.outer(np.asarray(NORMAL_SCORES), deviation)
    level = mean[factor]
    square = np.log1p((deviation[factor] / level) ** 2)
    for change, score in zip(changes, NORMAL_SCORES, strict=True):
        change[factor] = level * np.expm1(score * np.sqrt(square) - 0.5 * square)
    if part.shared is not None:
        light = factor & (mean > 0)
        if part.detected is not None:
            light &= part.detected
        planes = part.percentiles[:, light].astype(np.float64)
        fraction = _common_fraction(planes, mean[light], square[light[factor]])
        weight = np.clip((fraction - _LEAST_COMMON) / (_MOSTLY_COMMON - _LEAST_COMMON), 0.0, 1.0)
        shaped = _shaped_changes(planes, mean[light], fraction)
        changes[:, light] += weight * (shaped - changes[:, light])
    return changes @ derivatives


def _common_fraction(
    percentiles: npt.NDArray[np.float64],
    mean: npt.NDArray[np.float64],
    square: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    """Return the part of the variance of pixels' normal scores that is common, 0 to 1.

    Of log-normal posteriors it is the ratio of squared widths. The pixel's own is that of the
    central 68 % or follows from its standard deviation, whichever is narrower: the latter counts
    tails, the former does not exist where a posterior contains zero.
    """
    error = mean_square_error(percentiles, mean)
    whole = np.log1p(np.maximum(error, 1e-300) / mean**2)
    own = np.maximum(np.minimum(whole, _width(percentiles) ** 2), 1e-300)
    return np.clip(square / own, 0.0, 1.0)


def _width(percentiles: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return half of the central 68 % in natural logarithms; infinite where it contains zero."""
    with np.errstate(divide="ignore", invalid="ignore"):
        width = 0.5 * np.log(percentiles[3] / percentiles[1])
    return np.where((percentiles[1] > 0) & (width > 0), width, np.inf)


def _shaped_changes(
    percentiles: npt.NDArray[np.float64],
    mean: npt.NDArray[np.float64],
    fraction: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    """Return changes of pixels (5, n) at normal scores of what is common.

    The rest of a pixel's score is its own, and raises what is expected of a log-normal posterior.
    ``fraction``: the common part of the variance of its scores.
    """
    root = np.sqrt(fraction)
    width = np.minimum(_width(percentiles), _WIDEST)
    lift = np.exp(0.5 * (1 - fraction) * width**2)
    scores = np.asarray(NORMAL_SCORES)
    changes = np.empty_like(percentiles)
    for k, score in enumerate(scores):
        # Percentiles are linear in normal scores between those that are stored.
        step = 1 if score > 0 else -1
        inner, outer = (2, 2 + step), (2 + step, 2 + 2 * step)
        wanted = root * score
        found = []
        for first, second in (inner, outer):
            part = (wanted - scores[first]) / (scores[second] - scores[first])
            found.append(percentiles[first] + part * (percentiles[second] - percentiles[first]))
        beyond = np.abs(wanted) > abs(scores[2 + step])
        changes[k] = np.where(beyond, found[1], found[0]) * lift - mean
    return changes


def _add(sums: dict[Any, Any], key: Any, value: Any) -> None:
    sums[key] = sums[key] + value if key in sums else value


def _independent_changes(part: Pixels) -> npt.NDArray[np.float64]:
    """Return what one standard deviation of each pixel, without what all share, changes."""
    variance = mean_square_error(part.percentiles, part.estimate)
    # x = f r with a shared factor f of mean 1: var(x) = var(r) E[f^2] + E[r]^2 var(f). The
    # first term is what averages out; the second adds linearly and is put back as "shared".
    variance -= (
        relative_variance(part.shared_error) * part.estimate.astype(np.float64) ** 2
        if part.shared is None
        else part.shared.astype(np.float64) ** 2
    )
    np.sqrt(np.maximum(variance, 0, out=variance), out=variance)
    return np.multiply(part.derivatives, variance, out=variance)


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
