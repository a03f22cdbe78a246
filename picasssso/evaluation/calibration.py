"""Calibration of uncertainties: coverage, rank histograms, sharpness."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from picasssso.evaluation.residuals import N_BOOTSTRAP, bootstrap_counts, for_json
from picasssso.evaluation.stacks import as_array
from picasssso.exceptions import InvalidInputError
from picasssso.maps.arrays import PERCENTILES

FloatArray = npt.NDArray[np.floating]

#: Shares of truths that belong below, between and above the stored percentiles.
EXPECTED_RANKS = tuple(np.diff([0.0, *PERCENTILES, 100.0]).round(6).tolist())


@dataclass(frozen=True)
class Calibration:
    """Coverage of the truth by percentiles, with bootstrap errors by galaxy.

    Of ``n`` values of ``n_galaxies``: shares of truths within the 16-84 and the 2.5-97.5 %
    ranges, limits included, with their errors; ``ranks``, per cent of truths below, between
    and above the five percentiles (right: `EXPECTED_RANKS`; a truth that equals several is
    shared out evenly); ``sharpness``, the median of half the 16-84 range, in dex (in the unit
    of the maps if percentiles are not all positive, or with ``logarithmic=False``).
    """

    n: int
    n_galaxies: int
    coverage_68: float
    coverage_95: float
    coverage_68_error: float
    coverage_95_error: float
    ranks: tuple[float, ...]
    sharpness: float

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers for JSON by name, None for what is not finite."""
        content = {**asdict(self), "ranks": list(self.ranks)}
        return for_json(content)


def rank_intervals(truth: Any, percentiles: Any) -> npt.NDArray[np.int8]:
    """Return between which percentiles each truth lies."""
    true, planes = as_array(truth), as_array(percentiles)
    expected = (*true.shape[:1], len(PERCENTILES), *true.shape[1:])
    if planes.shape != expected:
        raise InvalidInputError(
            f"The percentiles have shape {planes.shape}: expected {expected}, for truths of "
            f"shape {true.shape}."
        )
    unknown = np.isnan(true) | np.isnan(planes).any(axis=1)
    with np.errstate(invalid="ignore"):
        below = (planes < true[:, None]).sum(axis=1)
        up_to = (planes <= true[:, None]).sum(axis=1)
    ranks = np.stack([below, up_to], axis=1).astype(np.int8)
    return np.where(unknown[:, None], np.int8(-1), ranks)


def calibration(
    truth: Any,
    percentiles: Any,
    galaxy: Any = None,
    *,
    where: Any = None,
    logarithmic: bool = True,
    n_bootstrap: int = N_BOOTSTRAP,
    seed: int = 0,
) -> Calibration:
    """Compare truths with percentiles.

    ``truth``: true values: pixels (n, y, x), or sums (n,); ``percentiles``: the stored
    percentiles, or those of sums (`normal_percentiles`, or ``np.percentile(samples, PERCENTILES,
    axis=1).T`` of n sums' samples); ``logarithmic``: whether to give the sharpness in dex.
    """
    true, planes = as_array(truth), as_array(percentiles)
    ranks = rank_intervals(true, planes)
    if galaxy is None:
        first = np.arange(len(true)).reshape((-1, *(1,) * (true.ndim - 1)))
        galaxy = np.broadcast_to(first, true.shape)
    known = ranks[:, 0] >= 0
    if where is not None:
        known = known & as_array(where)
    low, high = planes[:, 1][known], planes[:, 3][known]
    return ranks_to_calibration(
        ranks[:, 0][known],
        ranks[:, 1][known],
        half_widths(low, high, logarithmic),
        as_array(galaxy)[known],
        n_bootstrap=n_bootstrap,
        seed=seed,
    )


def half_widths(low: FloatArray, high: FloatArray, logarithmic: bool) -> FloatArray:
    """Return half of 16-84 ranges, in dex or in the unit of the maps."""
    if not logarithmic:
        return (high - low) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log10(np.where((low > 0) & (high > 0), high / low, np.nan)) / 2


def ranks_to_calibration(
    below: npt.NDArray[np.integer],
    up_to: npt.NDArray[np.integer],
    widths: FloatArray,
    owner: npt.NDArray[Any],
    *,
    n_bootstrap: int = N_BOOTSTRAP,
    seed: int = 0,
) -> Calibration:
    """Return the calibration of values whose ranks are known."""
    nan = float("nan")
    if not len(below):
        return Calibration(0, 0, nan, nan, nan, nan, (nan,) * 6, nan)
    unique, owner = np.unique(owner, return_inverse=True)
    inside_68 = (up_to >= 2) & (below <= 3)
    inside_95 = (up_to >= 1) & (below <= 4)
    columns = [
        np.bincount(owner, weights=which, minlength=len(unique))
        for which in (np.ones(len(owner)), inside_68, inside_95)
    ]
    errors: tuple[float, ...] = (nan, nan)
    if len(unique) > 1 and n_bootstrap > 1:
        counts = bootstrap_counts(len(unique), n_bootstrap, seed)
        number, hits_68, hits_95 = (counts @ np.stack(columns, axis=1)).T
        errors = tuple(
            float((hits / np.maximum(number, 1)).std(ddof=1)) for hits in (hits_68, hits_95)
        )
    shares = np.zeros(len(PERCENTILES) + 1)
    span = up_to.astype(np.intp) - below + 1
    for interval in range(len(shares)):
        hit = (below <= interval) & (interval <= up_to)
        shares[interval] = 100 * (hit / span).mean()
    good = widths[np.isfinite(widths)]
    return Calibration(
        n=len(below),
        n_galaxies=len(unique),
        coverage_68=float(inside_68.mean()),
        coverage_95=float(inside_95.mean()),
        coverage_68_error=errors[0],
        coverage_95_error=errors[1],
        ranks=tuple(shares.tolist()),
        sharpness=float(np.median(good)) if len(good) else nan,
    )
