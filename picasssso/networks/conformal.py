"""Conformal calibration of quantiles with galaxies that were not used in training.

For every property, number of bands and signal-to-noise ratio the distance of the truth from the
median, in units of the predicted distances of the quantiles, is collected over thousands of
galaxies. The quantiles of this distribution are the factors by which predicted intervals must be
scaled to have their nominal coverage (split conformal prediction: Romano, Patterson & Candes 2019,
arXiv:1905.03222). The signal-to-noise ratio is that of all bands combined, averaged over 5 x 5
pixels: known without the truth, and local, so that maps do not depend on the blocks. For dust the
predicted probability of its presence is used instead, which is more informative.

The presence of gas, and thus of star formation and dust, is a property of the galaxy rather than
of pixels. Predicted probabilities of presence are calibrated (Platt 1999). One random number for
each sample applies to all pixels and properties: the property is present where it exceeds the
probability of absence. Quantiles are calibrated for pixels in which the property is present.

Errors of neighboring pixels are correlated, and part of the error is common to the whole galaxy.
Both are measured with the same galaxies, such that sums of sampled maps have the correct
distribution: the normal scores of a sample are the sum of sqrt(a) times a number for the galaxy,
sqrt(b) times a smooth field, and white noise with the remaining variance, mixed between properties
by their correlations.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import torch
from torch.nn import functional

from picasssso.exceptions import InvalidInputError
from picasssso.networks.heads import QUANTILES, Prediction, limit_hydrogen
from picasssso.networks.outputs import OUTPUT_NAMES, OUTPUTS

#: Standard normal points of the quantiles (`picasssso.networks.heads.QUANTILES`).
NORMAL_SCORES = (-1.959964, -0.994458, 0.0, 0.994458, 1.959964)

#: Points of the signal-to-noise ratio at which factors are kept, linear in asinh between.
SIGNALS = (0.0, 0.7, 1.5, 3.0, 5.0, 8.0, 13.0, 22.0, 40.0, 80.0)

#: Distributions are cut at this normal score, half a percent on either side.
_FARTHEST = 2.6

#: Radius of the box over which the signal is averaged.
SIGNAL_RADIUS = 2

#: Numbers of bands that are told apart: 1 to 5.
N_COUNTS = 5

#: Shapes of the tensors of a calibration, by name.
_SHAPES = {
    "factors": (N_COUNTS, len(OUTPUTS), len(SIGNALS), len(QUANTILES)),
    "mean_shift": (N_COUNTS, len(OUTPUTS), len(SIGNALS)),
    **dict.fromkeys(("shared", "smooth"), (len(OUTPUTS),)),
    "mixing": (len(OUTPUTS), len(OUTPUTS)),
    "disagreement": (len(OUTPUTS), len(SIGNALS)),
    "ranges": (33, 2),
    "presence": (N_COUNTS, 3, 2),
    "structure": (5, 2),
    **dict.fromkeys(("colors", "whole_colors"), (7, 6)),
    **dict.fromkeys(("color_limits", "whole_color_limits"), (32,)),
}

_OCCUPIED = [k for k, output in enumerate(OUTPUTS) if output.has_occupancy]
_COMPANIONS = [
    (k, OUTPUT_NAMES.index(output.comes_with))
    for k, output in enumerate(OUTPUTS)
    if output.comes_with is not None
]
_RATE, _GAS = OUTPUT_NAMES.index("sfr"), OUTPUT_NAMES.index("gas_mass")

#: Quantiles of what is there are at least this far apart in dex, however unlikely it is.
_SMALLEST_STEP = 2e-3


def local_signal(flux: torch.Tensor, inverse_variance: torch.Tensor) -> torch.Tensor:
    """Return the signal-to-noise ratio (n, y, x) of all bands, averaged over 5 x 5 pixels."""
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


def nearest_signal(signal: torch.Tensor) -> torch.Tensor:
    """Return the number of the nearest point of `SIGNALS`, of the same shape."""
    below, part = _place(signal)
    return below + (part > 0.5)


@dataclass(frozen=True)
class ConformalCalibration:
    """Scale factors of quantiles, and correlations of errors; shapes as in `_SHAPES`.

    By number of bands less one, property and point of `SIGNALS` (see `places`): ``factors``, the
    shift of the median in units of half the 16-84 range at place 2, and factors on the distances
    of the other quantiles from it; ``mean_shift``, added to log10 of the linear mean.

    Of the variance of normal scores, by property: ``shared``, the part that a galaxy shares;
    ``smooth``, that of a field smooth over about a PSF. ``mixing``: lower triangular factor of the
    correlation between properties. ``disagreement``: that of the members over half the 16-84
    range, which one pixel in a thousand exceeds, by property and signal.

    ``presence``: by number of bands less one and property that can be absent, what is added to the
    logit of its probability, and the factor on it. What the training set is like: ``ranges``
    (`picasssso.networks.training_range`) and ``structure`` (`picasssso.networks.morphology`),
    smallest and largest values; ``colors``, mean (first row) and covariance of the logarithms of
    the five bands' brightness and of the redshift, of pixels with a clear signal;
    ``color_limits``, their largest squared distance from the mean, by which bands there are (the
    first is worth 1, the last 16); the same for the detected light of ``whole`` images. None, in
    older calibrations, is not judged; dust is then everywhere.
    """

    factors: torch.Tensor
    mean_shift: torch.Tensor
    shared: torch.Tensor
    smooth: torch.Tensor
    mixing: torch.Tensor
    disagreement: torch.Tensor
    ranges: torch.Tensor
    presence: torch.Tensor | None = None
    structure: torch.Tensor | None = None
    colors: torch.Tensor | None = None
    color_limits: torch.Tensor | None = None
    whole_colors: torch.Tensor | None = None
    whole_color_limits: torch.Tensor | None = None

    def to_tensors(self) -> dict[str, torch.Tensor]:
        """Return the tensors by name."""
        tensors = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: value for name, value in tensors.items() if value is not None}

    @classmethod
    def from_tensors(cls, tensors: dict[str, torch.Tensor]) -> ConformalCalibration:
        """Return the calibration of what `to_tensors` returned."""
        # As spelled before 0.1.
        tensors = {name.replace("colour", "color"): value for name, value in tensors.items()}
        optional = {f.name for f in fields(cls) if f.default is None} - set(tensors)
        names = [f.name for f in fields(cls) if f.name not in optional]
        for name in names:
            found, wanted = tuple(tensors[name].shape), _SHAPES[name]
            if found != wanted and not (name == "ranges" and found == (0, 2)):
                raise InvalidInputError(
                    f"{name} of a calibration has shape {found}: expected {wanted}."
                )
        return cls(**{name: tensors[name].float() for name in names})

    def with_presence(self, prediction: Prediction, n_bands: torch.Tensor) -> Prediction:
        """Return predictions with true probabilities of being there, dust held to gas.

        ``n_bands``: of each image, (n,). Quantiles and mean of dust are those of what is there.
        """
        if self.presence is None:
            return prediction
        table = self.presence.to(prediction.occupancy.device)[n_bands.clamp(1, N_COUNTS) - 1]
        shift, slope = table[..., None, None].unbind(2)
        logit = shift + slope * prediction.occupancy_logit
        occupancy = prediction.occupancy.clone()
        occupancy[:, _OCCUPIED] = torch.sigmoid(logit)
        # No stars form without gas.
        occupancy[:, _RATE] = torch.minimum(occupancy[:, _RATE], occupancy[:, _GAS])
        quantiles, log_mean = prediction.quantiles.clone(), prediction.log_mean.clone()
        for k, parent in _COMPANIONS:
            there = occupancy[:, parent].clamp(min=1e-4)
            occupancy[:, k] = there
            quantiles[:, k] = _given_there(prediction.quantiles[:, k], there)
            offset = OUTPUTS[k].offset
            mean = (10.0 ** log_mean[:, k] - offset).clamp(min=0.0)
            log_mean[:, k] = torch.log10(mean / there + offset)
        return limit_hydrogen(Prediction(quantiles, log_mean, occupancy, logit))

    def places(self, prediction: Prediction, signal: torch.Tensor) -> torch.Tensor:
        """Return where in `SIGNALS` the factors are looked up, (n, 8, y, x).

        The signal; for dust the surprise if there were none, minus the logarithm of the
        probability of that. ``prediction``: from `with_presence`; ``signal``: `local_signal`.
        """
        places = signal[:, None].expand_as(prediction.occupancy).clone()
        if self.presence is not None:
            for k, _ in _COMPANIONS:
                places[:, k] = -torch.log((1.0 - prediction.occupancy[:, k]).clamp(min=1e-6))
        return places

    def apply(
        self, prediction: Prediction, signal: torch.Tensor, n_bands: torch.Tensor
    ) -> Prediction:
        """Return calibrated predictions; ``signal``: `local_signal`; ``n_bands``: (n,)."""
        prediction = self.with_presence(prediction, n_bands)
        table = torch.cat([self.factors, self.mean_shift[..., None]], -1).to(signal.device)
        table = table[n_bands.clamp(1, N_COUNTS) - 1]
        below, part = _place(self.places(prediction, signal))
        n = torch.arange(len(table), device=signal.device)[:, None, None, None]
        k = torch.arange(len(OUTPUTS), device=signal.device)[:, None, None]
        low, high = table[n, k, below], table[n, k, below + 1]
        factors = (low + part[..., None] * (high - low)).permute(0, 1, 4, 2, 3)
        return limit_hydrogen(
            Prediction(
                stretch(prediction.quantiles, factors[:, :, :-1]),
                prediction.log_mean + factors[:, :, -1],
                prediction.occupancy,
                prediction.occupancy_logit,
            )
        )


def _given_there(quantiles: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
    """Return quantiles (n, 5, y, x) of what is there, where what is not has the lowest values."""
    found = []
    for k, level in enumerate(QUANTILES):
        score = -torch.special.ndtri((1.0 - level) * there)
        found.append(
            values_at(quantiles[:, None], score[:, None])[:, 0] + (k - 2) * _SMALLEST_STEP
        )
    return torch.stack(found, 1)


def stretch(quantiles: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
    """Return quantiles stretched about a shifted median."""
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


def normal_scores(quantiles: torch.Tensor, log_value: torch.Tensor) -> torch.Tensor:
    """Return where values lie in predictive distributions, as standard normal numbers.

    Between quantiles the score is linear in the logarithm; beyond the outermost the
    last slope goes on.

    Returns of shape (n, 8, y, x), cut at 4.
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
    """Return values (n, 8, y, x) at normal scores: the inverse of `normal_scores` up to 2.6."""
    scores = NORMAL_SCORES
    # What lies further out no galaxy has taught: logarithms would run away.
    score = score.clamp(-_FARTHEST, _FARTHEST)
    value = torch.zeros_like(score)
    for k in range(4):
        low, high = quantiles[:, :, k], quantiles[:, :, k + 1]
        piece = low + (score - scores[k]) * (high - low) / (scores[k + 1] - scores[k])
        inside = score >= scores[k] if k else torch.ones_like(score, dtype=torch.bool)
        value = torch.where(inside, piece, value)
    return value


def gaussian_kernel(fwhm: float, radius: int) -> torch.Tensor:
    """Return a Gaussian (2 radius + 1,) whose squares sum to 1, so that it keeps variance."""
    sigma = max(fwhm, 0.1) / math.sqrt(8.0 * math.log(2.0))
    x = torch.arange(-radius, radius + 1, dtype=torch.float32)
    kernel = torch.exp(-0.5 * (x / sigma) ** 2)
    return kernel / kernel.square().sum().sqrt()
