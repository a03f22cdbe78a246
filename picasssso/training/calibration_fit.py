"""Fitting a `picasssso.networks.conformal.ConformalCalibration` to held-out galaxies."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch

from picasssso.networks.conformal import N_COUNTS, SIGNALS, ConformalCalibration, nearest_signal
from picasssso.networks.heads import QUANTILES
from picasssso.networks.outputs import OUTPUTS
from picasssso.training.error_correlation import fit_correlations
from picasssso.training.held_out import Collected

#: Scores are counted in bins even in asinh of them, up to this.
_N_SCORES, _LARGEST_SCORE = 1200, 6.0

#: With fewer pixels than this, those of the neighboring signal count.
_FEWEST = 500

#: Probabilities stay as they are unless many more pixels than this say otherwise.
_PRIOR_PIXELS = 100.0

_OCCUPIED = [k for k, output in enumerate(OUTPUTS) if output.has_occupancy]


class _Counts:
    """Weighted quantiles of scores by property and signal, from counts in fine bins."""

    def __init__(self) -> None:
        self.table = torch.zeros(len(OUTPUTS), len(SIGNALS), _N_SCORES, dtype=torch.float64)

    def add(self, score: torch.Tensor, used: torch.Tensor, nearest: torch.Tensor) -> None:
        """Count scores (n, 8, y, x) where used, at points of `SIGNALS` (n, 8, y, x)."""
        part = (torch.asinh(score) / _LARGEST_SCORE + 1.0) * 0.5
        index = (part * _N_SCORES).long().clamp(0, _N_SCORES - 1)
        rows = torch.arange(len(OUTPUTS), device=score.device)[:, None, None]
        flat = (rows * len(SIGNALS) + nearest) * _N_SCORES + index
        counts = torch.bincount(flat[used], minlength=self.table.numel())
        self.table += counts.reshape(self.table.shape).cpu()

    def quantile(self, level: float) -> torch.Tensor:
        """Return quantiles (8, signal); NaN if there are too few counts."""
        cumulative = torch.cumsum(self.table, -1)
        total = cumulative[..., -1:]
        first = (cumulative >= level * total).to(torch.int64).argmax(-1, keepdim=True)
        before = torch.gather(cumulative, -1, (first - 1).clamp(min=0)) * (first > 0)
        here = torch.gather(self.table, -1, first).clamp(min=1e-9)
        place = first + ((level * total - before) / here).clamp(0, 1)
        value = torch.sinh((place / _N_SCORES * 2.0 - 1.0) * _LARGEST_SCORE)[..., 0]
        return torch.where(total[..., 0] >= _FEWEST, value, torch.nan).float()


def _chunks(collected: Collected, pixels: int = 2**20) -> Iterable[slice]:
    n = len(collected.signal)
    size = max(pixels // collected.signal[0].numel(), 1)
    return (slice(k, min(k + size, n)) for k in range(0, n, size))


def _fit_presence(collected: Collected) -> torch.Tensor:
    """Return the calibration of probabilities of presence (Platt 1999), (3, 2)."""
    found = []
    for place, k in enumerate(_OCCUPIED):
        known = collected.known[:, k]
        logit = collected.prediction.occupancy_logit[:, place][known].double()
        there = collected.used[:, k][known].double()
        columns = torch.stack([torch.ones_like(logit), logit], 1)
        start = torch.tensor([0.0, 1.0], dtype=logit.dtype, device=logit.device)
        solution = start
        for _ in range(25):
            p = torch.sigmoid(columns @ solution)
            slope = columns.T @ (there - p) - _PRIOR_PIXELS * (solution - start)
            curvature = columns.T @ (columns * (p * (1.0 - p))[:, None])
            curvature += _PRIOR_PIXELS * torch.eye(2, dtype=logit.dtype, device=logit.device)
            solution = solution + torch.linalg.solve(curvature, slope)
        found.append(solution)
    return torch.stack(found).float().cpu()


def _fit_factors(
    collected: Collected, calibration: ConformalCalibration
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return factors (8, 10, 5), shift of the mean (8, 10), and disagreement (8, 10)."""
    shifts, spread = _Counts(), _Counts()
    nearest_place = nearest_signal(calibration.places(collected.prediction, collected.signal))
    for part in _chunks(collected):
        quantiles = collected.prediction.quantiles[part]
        half = 0.5 * (quantiles[:, :, 3] - quantiles[:, :, 1])
        nearest, used = nearest_place[part], collected.used[part]
        shifts.add((collected.log_truth[part] - quantiles[:, :, 2]) / half, used, nearest)
        # Of raw predictions everywhere, as it is judged.
        by_signal = nearest_signal(collected.signal[part])[:, None].expand_as(used)
        spread.add(collected.disagreement[part], collected.known[part], by_signal)
    shift = _filled(shifts.quantile(0.5)).nan_to_num(0.0)
    disagreement = _filled(spread.quantile(0.999)).nan_to_num(1e3)
    levels = [k for k in range(len(QUANTILES)) if k != 2]
    scores = {k: _Counts() for k in levels}
    truth_sum = torch.zeros(len(OUTPUTS), len(SIGNALS), dtype=torch.float64)
    mean_sum = torch.zeros_like(truth_sum)
    for part in _chunks(collected):
        quantiles = collected.prediction.quantiles[part]
        half = 0.5 * (quantiles[:, :, 3] - quantiles[:, :, 1])
        nearest, used = nearest_place[part], collected.used[part]
        rows = torch.arange(len(OUTPUTS))[:, None, None].to(nearest.device)
        moved = shift.to(half.device)[rows, nearest] * half + quantiles[:, :, 2]
        distance = collected.log_truth[part] - moved
        for k in levels:
            width = (quantiles[:, :, k] - quantiles[:, :, 2]).abs()
            scores[k].add(distance / width * (1.0 if k > 2 else -1.0), used, nearest)
        flat = (rows * len(SIGNALS) + nearest)[used]
        for table, logs in (
            (truth_sum, collected.log_truth[part]),
            (mean_sum, collected.prediction.log_mean[part]),
        ):
            values = (10.0 ** logs[used].double()).cpu()
            table += torch.bincount(flat.cpu(), weights=values, minlength=table.numel()).reshape(
                table.shape
            )
    columns = []
    for k, level in enumerate(QUANTILES):
        if k == 2:
            columns.append(shift)
            continue
        factor = _filled(scores[k].quantile(max(level, 1.0 - level)))
        columns.append(factor.nan_to_num(1.0).clamp(0.05, 20.0))
    mean_shift = torch.log10((truth_sum / mean_sum).clamp(0.3, 3.0)).nan_to_num(0.0).float()
    return torch.stack(columns, -1), mean_shift, disagreement


def _filled(table: torch.Tensor) -> torch.Tensor:
    """Return the table (8, signal) with NaN replaced by values at the nearest signal."""
    table = table.clone()
    for k in range(1, table.shape[1]):
        table[:, k] = torch.where(torch.isnan(table[:, k]), table[:, k - 1], table[:, k])
    for k in range(table.shape[1] - 2, -1, -1):
        table[:, k] = torch.where(torch.isnan(table[:, k]), table[:, k + 1], table[:, k])
    return table


@torch.inference_mode()
def fit_calibration(
    collections: dict[int, Collected],
    maps: Callable[[], Iterable[Collected]] | None = None,
    *,
    aperture_galaxies: int = 1500,
    ranges: torch.Tensor | None = None,
) -> ConformalCalibration:
    """Fit a calibration; a sample of pixels is sufficient (`Collected.pixels`)."""
    shape = (N_COUNTS, len(OUTPUTS), len(SIGNALS))
    calibration = ConformalCalibration(
        factors=torch.ones(*shape, len(QUANTILES)),
        mean_shift=torch.zeros(shape),
        shared=torch.full(shape[1:2], 0.1),
        smooth=torch.full(shape[1:2], 0.5),
        mixing=torch.eye(len(OUTPUTS)),
        disagreement=torch.zeros(shape[1:]),
        ranges=torch.zeros(0, 2) if ranges is None else ranges,
        presence=torch.tensor([0.0, 1.0]).expand(N_COUNTS, len(_OCCUPIED), 2).clone(),
    )
    assert calibration.presence is not None
    for count in range(N_COUNTS, 0, -1):
        if count not in collections:
            for table in (calibration.factors, calibration.mean_shift, calibration.presence):
                table[count - 1] = table[count]
            continue
        pixels = collections[count].pixels()
        calibration.presence[count - 1] = _fit_presence(pixels)
        bands = torch.full((len(pixels.signal),), count, device=pixels.signal.device)
        pixels.prediction = calibration.with_presence(pixels.prediction, bands)
        factors, mean_shift, disagreement = _fit_factors(pixels, calibration)
        calibration.factors[count - 1], calibration.mean_shift[count - 1] = factors, mean_shift
        if count == N_COUNTS:
            calibration.disagreement.copy_(disagreement)
    maps = maps or (lambda: [collections[N_COUNTS]])
    return fit_correlations(maps, calibration, aperture_galaxies=aperture_galaxies)
