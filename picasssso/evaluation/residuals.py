"""Residuals of estimates relative to the truth, and their statistics with errors.

A residual is log10(estimate / truth) in dex, *positive* if the estimate is too high. (The paper
takes log10(true) - log10(predicted): its mu has the opposite sign.) For a property in magnitudes
it is the difference.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from picasssso.evaluation.stacks import as_array
from picasssso.exceptions import InvalidInputError

FloatArray = npt.NDArray[np.floating]

#: Residuals beyond this are outliers: a factor of 2.
OUTLIER_DEX = 0.3
N_BOOTSTRAP = 200
#: Makes the median absolute deviation of a normal distribution its standard deviation.
_NORMALIZED = 1.482602218505602
#: Bins, and how many NMAD they reach, of the histograms that medians are bootstrapped with.
_N_BINS, _REACH = 400, 6.0


def for_json(content: Any) -> Any:
    """Replace numbers that are not finite, which JSON cannot represent, by None."""
    if isinstance(content, dict):
        return {name: for_json(value) for name, value in content.items()}
    if isinstance(content, list | tuple):
        return [for_json(value) for value in content]
    if isinstance(content, float) and not np.isfinite(content):
        return None
    return content


@dataclass(frozen=True)
class ResidualStatistics:
    """Statistics of residuals with bootstrap errors by galaxy; outliers are beyond 0.3 dex."""

    n: int
    n_galaxies: int
    n_undefined: int
    mean: float
    sigma: float
    median: float
    nmad: float
    rms: float
    outlier_fraction: float
    mean_error: float
    sigma_error: float
    median_error: float
    nmad_error: float
    rms_error: float
    outlier_fraction_error: float

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers for JSON."""
        return for_json(asdict(self))


def residuals(estimate: Any, truth: Any, *, logarithmic: bool = True) -> FloatArray:
    """Return log10(estimate / truth) in dex: positive where the estimate is too high."""
    mine, true = (as_array(values).astype(np.float64) for values in (estimate, truth))
    if mine.shape != true.shape:
        raise InvalidInputError(
            f"The estimate has shape {mine.shape}, the truth {true.shape}: expected the same."
        )
    if not logarithmic:
        return mine - true
    with np.errstate(divide="ignore", invalid="ignore"):
        result = np.log10(np.maximum(mine, 0)) - np.log10(np.where(true > 0, true, np.nan))
    return result


def bootstrap_counts(n_galaxies: int, n_bootstrap: int, seed: int = 0) -> FloatArray:
    """Return how often each galaxy is drawn in each resampling."""
    rng = np.random.default_rng(seed)
    chance = np.full(n_galaxies, 1 / n_galaxies)
    return rng.multinomial(n_galaxies, chance, size=n_bootstrap).astype(np.float64)


def residual_statistics(
    residual: Any,
    galaxy: Any = None,
    *,
    outlier: float = OUTLIER_DEX,
    n_bootstrap: int = N_BOOTSTRAP,
    seed: int = 0,
) -> ResidualStatistics:
    """Return the statistics of residuals."""
    values = as_array(residual).astype(np.float64)
    if galaxy is None:
        first = np.arange(len(values)).reshape((-1, *(1,) * (values.ndim - 1)))
        galaxy = np.broadcast_to(first, values.shape)
    owner = as_array(galaxy)
    if owner.shape != values.shape:
        raise InvalidInputError(
            f"galaxy has shape {owner.shape}, the residuals {values.shape}: expected the same."
        )
    known = ~np.isnan(values)
    values, owner = values[known], owner[known]
    finite = np.isfinite(values)
    n_undefined = int((~finite).sum())
    unique, owner = np.unique(owner, return_inverse=True)
    owner = owner.reshape(-1)
    if not finite.any():
        nan = float("nan")
        whole = 1.0 if n_undefined else nan
        return ResidualStatistics(0, len(unique), n_undefined, *(nan,) * 5, whole, *(nan,) * 6)
    sample = values[finite]
    found = _statistics(sample)
    is_outlier = np.abs(values) > outlier
    errors = dict.fromkeys((*found, "outlier_fraction"), float("nan"))
    if len(unique) > 1 and n_bootstrap > 1:
        counts = bootstrap_counts(len(unique), n_bootstrap, seed)
        drawn = _resampled(sample, owner[finite], counts, found)
        per_galaxy = np.stack(
            [np.bincount(owner, minlength=len(unique)),
             np.bincount(owner, weights=is_outlier, minlength=len(unique))], axis=1
        )  # fmt: skip
        n_all, n_out = (counts @ per_galaxy).T
        drawn["outlier_fraction"] = n_out / np.maximum(n_all, 1)
        errors = {name: _scatter(results) for name, results in drawn.items()}
    return ResidualStatistics(
        n=len(sample),
        n_galaxies=len(unique),
        n_undefined=n_undefined,
        **found,
        outlier_fraction=float(is_outlier.mean()),
        **{f"{name}_error": error for name, error in errors.items()},
    )


def scatter_ratio(
    residual: Any,
    other: Any,
    galaxy: Any,
    other_galaxy: Any,
    *,
    n_bootstrap: int = N_BOOTSTRAP,
    seed: int = 0,
) -> dict[str, float]:
    """Compare the scatter of two estimators on the same galaxies."""
    pairs = []
    for values, owner in ((residual, galaxy), (other, other_galaxy)):
        array, who = as_array(values).astype(np.float64), as_array(owner)
        good = np.isfinite(array)
        pairs.append((array[good], who[good]))
    unique = np.union1d(pairs[0][1], pairs[1][1])
    counts = bootstrap_counts(max(len(unique), 1), n_bootstrap, seed)
    values, draws = [], []
    for array, who in pairs:
        if len(array) < 2:
            names = ("sigma", "nmad", "rms")
            return {f"{n}{end}": float("nan") for n in names for end in ("", "_error")}
        values.append(_statistics(array))
        draws.append(_resampled(array, np.searchsorted(unique, who), counts, values[-1]))
    result = {}
    with np.errstate(divide="ignore", invalid="ignore"):
        for name in ("sigma", "nmad", "rms"):
            result[name] = float(np.divide(values[0][name], values[1][name]))
            ratio = draws[0][name] / draws[1][name]
            result[f"{name}_error"] = _scatter(ratio) if len(unique) > 1 else float("nan")
    return result


def _statistics(sample: FloatArray) -> dict[str, float]:
    mean, median = float(sample.mean()), float(np.median(sample))
    sigma = float(sample.std(ddof=1)) if len(sample) > 1 else float("nan")
    nmad = _NORMALIZED * float(np.median(np.abs(sample - median)))
    rms = float(np.hypot(sigma, mean))
    return {"mean": mean, "sigma": sigma, "median": median, "nmad": nmad, "rms": rms}


def _resampled(
    sample: FloatArray, owner: npt.NDArray[np.intp], counts: FloatArray, found: dict[str, float]
) -> dict[str, FloatArray]:
    """Return what `_statistics` finds in each resampling."""
    drawn = _bootstrap_moments(sample - found["mean"], owner, counts)
    drawn["mean"] = drawn["mean"] + found["mean"]
    drawn["rms"] = np.hypot(drawn["sigma"], drawn["mean"])
    return drawn | _bootstrap_medians(sample, owner, counts, found["median"], found["nmad"])


def _scatter(results: FloatArray) -> float:
    good = results[np.isfinite(results)]
    return float(good.std(ddof=1)) if len(good) > 1 else float("nan")


def _bootstrap_moments(
    sample: FloatArray, owner: npt.NDArray[np.intp], counts: FloatArray
) -> dict[str, FloatArray]:
    """Resample means and standard deviations from each galaxy's number, sum and squares."""
    n_galaxies = counts.shape[1]
    sums = np.stack(
        [np.bincount(owner, weights=sample**power, minlength=n_galaxies) for power in range(3)],
        axis=1,
    )
    number, first, second = (counts @ sums).T
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = first / number
        variance = (second / number - mean**2) * number / (number - 1)
    return {"mean": mean, "sigma": np.sqrt(np.maximum(variance, 0))}


def _bootstrap_medians(
    sample: FloatArray, owner: npt.NDArray[np.intp], counts: FloatArray, median: float, nmad: float
) -> dict[str, FloatArray]:
    """Resample medians from each galaxy's histogram, which is much faster than sorting."""
    if nmad == 0:
        return {"median": np.full(len(counts), median), "nmad": np.zeros(len(counts))}
    n_galaxies = counts.shape[1]
    step = 2 * _REACH * nmad / _N_BINS
    start = median - _REACH * nmad
    place = np.clip(np.floor((sample - start) / step), 0, _N_BINS - 1).astype(np.intp)
    histogram = np.bincount(owner * _N_BINS + place, minlength=n_galaxies * _N_BINS)
    drawn = counts @ histogram.reshape(n_galaxies, _N_BINS)
    growth = np.concatenate([np.zeros((len(drawn), 1)), np.cumsum(drawn, axis=1)], axis=1)
    edges = start + step * np.arange(_N_BINS + 1)
    distances = np.linspace(0, _REACH * nmad, _N_BINS // 2 + 1)
    medians, nmads = np.full(len(drawn), np.nan), np.full(len(drawn), np.nan)
    for k, curve in enumerate(growth):
        if curve[-1] <= 0:
            continue
        share = curve / curve[-1]
        medians[k] = np.interp(0.5, share, edges)
        inside = np.interp(medians[k] + distances, edges, share)
        inside -= np.interp(medians[k] - distances, edges, share)
        nmads[k] = _NORMALIZED * np.interp(0.5, inside, distances)
    return {"median": medians, "nmad": nmads}
