"""Making quantiles true: conformal calibration on galaxies that were never trained on.

For every property, number of bands and signal-to-noise ratio the distance of the truth from
the median, in units of the predicted distances of the quantiles, is collected over
thousands of galaxies. Its own quantiles are the factors by which predicted ones must be
stretched to cover what they claim (split conformal prediction: Romano, Patterson & Candes
2019, arXiv:1905.03222). Signal-to-noise is that of all bands together, averaged over 5 x 5
pixels: known without the truth, and local, so that blocks equal the whole.

Errors of neighbouring pixels are alike, and a galaxy may be wrong as a whole. How much
so is measured on the same galaxies, so that samples of the maps have the right sums:
a sample's normal scores are sqrt(a) times a number for the galaxy, sqrt(b) times a smooth
field and the rest times white noise, mixed between properties by their correlations.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import torch
from torch.nn import functional

from picasssso.networks.heads import QUANTILES, Prediction
from picasssso.networks.outputs import OUTPUTS

__all__ = ["NORMAL_SCORES", "Calibration", "CalibrationCounts", "local_signal"]

#: Standard normal points of `picasssso.networks.heads.QUANTILES`.
NORMAL_SCORES = (-1.959964, -0.994458, 0.0, 0.994458, 1.959964)

#: Points of the signal-to-noise ratio at which factors are kept, linear in asinh between.
SIGNALS = (0.0, 0.7, 1.5, 3.0, 5.0, 8.0, 13.0, 22.0, 40.0, 80.0)

#: Radius of the box over which the signal is averaged.
SIGNAL_RADIUS = 2

_N_COUNTS = 5

#: Scores are counted in bins even in asinh of them, up to this.
_N_SCORES, _LARGEST_SCORE = 800, 6.0


def local_signal(flux: torch.Tensor, inverse_variance: torch.Tensor) -> torch.Tensor:
    """Return the signal-to-noise ratio of all bands together, averaged over 5 x 5 pixels.

    Parameters
    ----------
    flux, inverse_variance : Tensor, shape (n, band, y, x)
        The images.

    Returns
    -------
    Tensor
        Of shape (n, y, x).
    """
    weight = inverse_variance.sum(1, keepdim=True)
    signal = (flux * inverse_variance).sum(1, keepdim=True) * weight.clamp(min=1e-30).rsqrt()
    return functional.avg_pool2d(
        signal, 2 * SIGNAL_RADIUS + 1, stride=1, padding=SIGNAL_RADIUS, count_include_pad=False
    )[:, 0]


def _place(signal: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the point of `SIGNALS` below each signal, and how far it is to the next."""
    points = torch.asinh(torch.tensor(SIGNALS, device=signal.device))
    value = torch.asinh(signal).clamp(points[0], points[-1] - 1e-4)
    below = torch.bucketize(value, points, right=True) - 1
    return below, (value - points[below]) / (points[below + 1] - points[below])


@dataclass(frozen=True)
class Calibration:
    """How quantiles are stretched, and how errors are correlated.

    Parameters
    ----------
    factors : Tensor, shape (5, 8, 10, 5)
        By number of bands less one, property and point of `SIGNALS`: shift of the median in
        units of half the 16-84 range, at place 2; factors on the distances of the other
        quantiles from it.
    shared : Tensor, shape (8,)
        Part of the variance of normal scores that a galaxy shares.
    smooth : Tensor, shape (8,)
        Part that a field smooth over about a PSF has.
    mixing : Tensor, shape (8, 8)
        Lower triangular factor of the correlation between properties.
    disagreement : Tensor, shape (8, 10)
        Disagreement of the members, over half the 16-84 range, that one pixel in a thousand
        exceeds, by property and signal.
    ranges : Tensor, shape (k, 2)
        Smallest and largest value of what is checked for lying outside the training set
        (`picasssso.networks.outside`).
    """

    factors: torch.Tensor
    shared: torch.Tensor
    smooth: torch.Tensor
    mixing: torch.Tensor
    disagreement: torch.Tensor
    ranges: torch.Tensor

    def to_tensors(self) -> dict[str, torch.Tensor]:
        """Return the tensors by name.

        Returns
        -------
        dict
            `from_tensors` is the inverse.
        """
        return {f.name: getattr(self, f.name) for f in fields(self)}

    @classmethod
    def from_tensors(cls, tensors: dict[str, torch.Tensor]) -> Calibration:
        """Return the calibration of some tensors.

        Parameters
        ----------
        tensors : dict
            What `to_tensors` returned.

        Returns
        -------
        Calibration
            The calibration.
        """
        return cls(**{f.name: tensors[f.name].float() for f in fields(cls)})

    def _factors(self, signal: torch.Tensor, n_bands: torch.Tensor) -> torch.Tensor:
        """Return factors of shape (n, 8, 5, y, x)."""
        below, part = _place(signal)
        table = self.factors.to(signal.device)[n_bands.clamp(1, _N_COUNTS) - 1]
        n = torch.arange(len(table), device=signal.device)[:, None, None]
        low, high = table.transpose(1, 2)[n, below], table.transpose(1, 2)[n, below + 1]
        return (low + part[..., None, None] * (high - low)).permute(0, 3, 4, 1, 2)

    def apply(
        self, prediction: Prediction, signal: torch.Tensor, n_bands: torch.Tensor
    ) -> Prediction:
        """Return predictions with calibrated quantiles; linear means stay as they are.

        Parameters
        ----------
        prediction : Prediction
            As the network gives it.
        signal : Tensor, shape (n, y, x)
            From `local_signal`.
        n_bands : Tensor of int64, shape (n,)
            Number of bands of each image.

        Returns
        -------
        Prediction
            The same with other quantiles.
        """
        factors = self._factors(signal, n_bands)
        quantiles = stretch(prediction.quantiles, factors)
        return Prediction(
            quantiles, prediction.log_mean, prediction.occupancy, prediction.occupancy_logit
        )


def stretch(quantiles: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
    """Return quantiles stretched about a shifted median.

    Parameters
    ----------
    quantiles : Tensor, shape (n, 8, 5, y, x)
        Ascending.
    factors : Tensor, same shape
        As `Calibration.factors`.

    Returns
    -------
    Tensor
        Ascending quantiles.
    """
    middle = quantiles[:, :, 2:3]
    half = 0.5 * (quantiles[:, :, 3:4] - quantiles[:, :, 1:2])
    moved = middle + factors[:, :, 2:3] * half
    steps = (quantiles - middle) * factors
    steps[:, :, 2] = 0.0
    lowest, low, zero, high, highest = steps.unbind(2)
    steps = torch.stack(
        [torch.minimum(lowest, low), low, zero, high, torch.maximum(highest, high)], 2
    )
    return moved + steps


class CalibrationCounts:
    """Counts of scores, collected batch by batch.

    Two passes: the first finds the shift of the median, the second the stretching about it.
    """

    def __init__(self) -> None:
        shape = (_N_COUNTS, len(OUTPUTS), len(SIGNALS), len(QUANTILES), _N_SCORES)
        self._counts = torch.zeros(shape, dtype=torch.float64)
        self.shift = torch.zeros(shape[:3])
        self.second_pass = False

    def add(
        self,
        prediction: Prediction,
        log_truth: torch.Tensor,
        used: torch.Tensor,
        signal: torch.Tensor,
        n_bands: int,
    ) -> None:
        """Add images with their truth.

        Parameters
        ----------
        prediction : Prediction
            Not calibrated.
        log_truth : Tensor, shape (n, 8, y, x)
            The truth (`picasssso.networks.outputs.Targets`).
        used : Tensor of bool, shape (n, 8, y, x)
            Where it counts.
        signal : Tensor, shape (n, y, x)
            From `local_signal`.
        n_bands : int
            Number of bands of all these images.
        """
        quantiles = prediction.quantiles
        below, part = _place(signal)
        nearest = (below + (part > 0.5)).clamp(max=len(SIGNALS) - 1)
        half = 0.5 * (quantiles[:, :, 3] - quantiles[:, :, 1])
        shift = self.shift[n_bands - 1].to(half.device)
        places = nearest[:, None].expand_as(half)
        rows = torch.arange(len(OUTPUTS), device=half.device)[:, None, None].expand_as(half)
        middle = quantiles[:, :, 2] + shift[rows, places] * half
        distance = log_truth - middle
        for k in range(len(QUANTILES)):
            if (k == 2) == self.second_pass:
                continue
            width = half if k == 2 else (quantiles[:, :, k] - quantiles[:, :, 2]).abs()
            score = distance / width * (-1.0 if k < 2 else 1.0)
            index = self._index(score)
            flat = (rows * len(SIGNALS) + places) * _N_SCORES + index
            counts = torch.bincount(flat[used], minlength=len(OUTPUTS) * len(SIGNALS) * _N_SCORES)
            table = counts.reshape(len(OUTPUTS), len(SIGNALS), _N_SCORES)
            self._counts[n_bands - 1, :, :, k] += table.cpu()

    def _index(self, score: torch.Tensor) -> torch.Tensor:
        part = (torch.asinh(score) / _LARGEST_SCORE + 1.0) * 0.5
        return (part * _N_SCORES).long().clamp(0, _N_SCORES - 1)

    def _quantile(self, counts: torch.Tensor, level: float) -> torch.Tensor:
        cumulative = torch.cumsum(counts, -1)
        total = cumulative[..., -1:]
        # One more than counted, as the galaxy to come may lie anywhere.
        reached = cumulative >= level * (total + 1.0)
        first = reached.to(torch.int64).argmax(-1, keepdim=True)
        before = torch.gather(cumulative, -1, (first - 1).clamp(min=0)) * (first > 0)
        here = torch.gather(counts, -1, first).clamp(min=1e-9)
        part = ((level * total - before) / here).clamp(0, 1)
        place = ((first + part) / _N_SCORES * 2.0 - 1.0) * _LARGEST_SCORE
        value = torch.sinh(place)[..., 0]
        return torch.where(total[..., 0] >= 200, value, torch.nan).float()

    def finish_first_pass(self) -> None:
        """Turn from the median to the quantiles around it."""
        self.shift = torch.nan_to_num(self._quantile(self._counts[..., 2, :], 0.5), nan=0.0)
        self.second_pass = True

    def factors(self) -> torch.Tensor:
        """Return `Calibration.factors`; where nothing was counted, those of the neighbour."""
        columns = []
        for k, level in enumerate(QUANTILES):
            if k == 2:
                columns.append(self.shift)
                continue
            value = self._quantile(self._counts[..., k, :], max(level, 1 - level))
            columns.append(value.clamp(min=0.05))
        table = torch.stack(columns, -1)
        return _filled(table)


def _filled(table: torch.Tensor) -> torch.Tensor:
    """Return the table (count, property, signal, 5) with NaN replaced by what is near."""
    table = table.clone()
    for order in (range(1, table.shape[2]), range(table.shape[2] - 2, -1, -1)):
        step = -1 if order.step > 0 else 1
        for k in order:
            other = table[:, :, k + step]
            table[:, :, k] = torch.where(torch.isnan(table[:, :, k]), other, table[:, :, k])
    for k in range(len(table) - 2, -1, -1):
        table[k] = torch.where(torch.isnan(table[k]), table[k + 1], table[k])
    for k in range(1, len(table)):
        table[k] = torch.where(torch.isnan(table[k]), table[k - 1], table[k])
    neutral = torch.tensor([1.0, 1.0, 0.0, 1.0, 1.0])
    return torch.where(torch.isnan(table), neutral, table)


def normal_scores(quantiles: torch.Tensor, log_value: torch.Tensor) -> torch.Tensor:
    """Return where values lie in predictive distributions, as standard normal numbers.

    Between quantiles the score is linear in the logarithm; beyond the outermost the
    last slope goes on.

    Parameters
    ----------
    quantiles : Tensor, shape (n, 8, 5, y, x)
        Ascending.
    log_value : Tensor, shape (n, 8, y, x)
        Values.

    Returns
    -------
    Tensor
        Of shape (n, 8, y, x), cut at 4.
    """
    scores = torch.tensor(NORMAL_SCORES, device=quantiles.device)
    value = torch.zeros_like(log_value)
    for k in range(4):
        low, high = quantiles[:, :, k], quantiles[:, :, k + 1]
        slope = (scores[k + 1] - scores[k]) / (high - low).clamp(min=1e-6)
        piece = scores[k] + (log_value - low) * slope
        inside = log_value >= low if k else torch.ones_like(log_value, dtype=torch.bool)
        value = torch.where(inside, piece, value)
    return value.clamp(-4.0, 4.0)


def values_at(quantiles: torch.Tensor, score: torch.Tensor) -> torch.Tensor:
    """Return the values that lie at given normal scores: the inverse of `normal_scores`.

    Parameters
    ----------
    quantiles : Tensor, shape (n, 8, 5, y, x)
        Ascending.
    score : Tensor, shape (n, 8, y, x)
        Standard normal numbers.

    Returns
    -------
    Tensor
        Of shape (n, 8, y, x).
    """
    scores = NORMAL_SCORES
    value = torch.zeros_like(score)
    for k in range(4):
        low, high = quantiles[:, :, k], quantiles[:, :, k + 1]
        piece = low + (score - scores[k]) * (high - low) / (scores[k + 1] - scores[k])
        inside = score >= scores[k] if k else torch.ones_like(score, dtype=torch.bool)
        value = torch.where(inside, piece, value)
    return value


def gaussian_kernel(fwhm: float, radius: int) -> torch.Tensor:
    """Return a Gaussian along one axis whose squares sum to 1, so that it keeps variance.

    Parameters
    ----------
    fwhm : float
        Full width at half maximum in pixels.
    radius : int
        It is cut there.

    Returns
    -------
    Tensor
        Of shape (2 radius + 1,).
    """
    sigma = max(fwhm, 0.1) / math.sqrt(8.0 * math.log(2.0))
    x = torch.arange(-radius, radius + 1, dtype=torch.float32)
    kernel = torch.exp(-0.5 * (x / sigma) ** 2)
    return kernel / kernel.square().sum().sqrt()
