"""Values of properties that may be absent: a mixture of zero and the predicted distribution.

For a probability p of presence, the quantile q of the complete distribution is 0 for q < 1 - p,
and otherwise the quantile (q - 1 + p) / p of the distribution given presence. A sample uses one
random number for presence, and another for the amount.
"""

from __future__ import annotations

import math

import torch

from picasssso.networks.conformal import NORMAL_SCORES, values_at
from picasssso.networks.heads import Prediction
from picasssso.networks.outputs import LOG_LARGEST_HYDROGEN, OUTPUT_NAMES, OUTPUTS

#: Places of the properties that can be absent.
_ABSENT = [k for k, output in enumerate(OUTPUTS) if output.can_be_absent]

_GAS, _HYDROGEN = OUTPUT_NAMES.index("gas_mass"), OUTPUT_NAMES.index("hi_mass")

#: Where absence is likely, the lowest part of what is there rises from 0 over this part of
#: it, instead of jumping: rounding must not decide between nothing and something.
_RISE = 0.02

#: Widths of distributions (natural logarithm) count up to this: the variance of a wider
#: log-normal is that of its outermost per cent.
_WIDEST = 1.5

#: Attenuation, mag, that an error of g-i by 0.03 mag looks like, and places of lower limits.
_LEAST_LIMIT, _LOWER = 0.05, 2

#: Logarithms beyond are no numbers of single precision.
_LARGEST_LOG = 30.0


def linear_values(
    prediction: Prediction, score: torch.Tensor, presence: torch.Tensor | None = None
) -> torch.Tensor:
    """Return properties (n, 8, y, x) in their units at normal scores of their distributions."""
    occupancy = prediction.occupancy[:, _ABSENT]
    log_value = values_at(prediction.quantiles, score)
    if presence is None:
        above = _above(score[:, _ABSENT], occupancy)
        log_value[:, _ABSENT] = _log_there(prediction, above)
    else:
        above = _above(presence, occupancy)
    values = _told_from_nothing(_linear(log_value))
    values[:, _ABSENT] *= _rise(above, occupancy)
    return values


def linear_quantiles(prediction: Prediction) -> torch.Tensor:
    """Return the properties at the five quantiles of their whole distributions.

    Returns of shape (n, 8, 5, y, x), in the units of the properties, in ascending order: what
    `linear_values` gives at `picasssso.networks.conformal.NORMAL_SCORES`, faster. But lower limits
    of attenuation below 0.05 mag are none, as zero points and models of colors are uncertain by
    what that reddens.
    """
    occupancy = prediction.occupancy[:, _ABSENT]
    log_value, rises = prediction.quantiles.clone(), []
    for k, number in enumerate(NORMAL_SCORES):
        above = _above(torch.full_like(occupancy, number), occupancy)
        log_value[:, _ABSENT, k] = _log_there(prediction, above)
        rises.append(_rise(above, occupancy))
    values = _told_from_nothing(_linear(log_value))
    for k, output in enumerate(OUTPUTS):
        if output.offset:
            values[:, k, :_LOWER] = _fade(values[:, k, :_LOWER], _LEAST_LIMIT)
    values[:, _ABSENT] *= torch.stack(rises, 2)
    for k in range(1, len(NORMAL_SCORES)):
        # Rounding must not make percentiles cross.
        values[:, :, k] = torch.maximum(values[:, :, k], values[:, :, k - 1])
    return values


def _told_from_nothing(values: torch.Tensor) -> torch.Tensor:
    """Set values, (n, 8, ...), that cannot be distinguished from zero to zero, in place.

    Networks learn attenuations as log10(A_V + 0.02): galaxies without dust lie at the lowest
    value, which no smooth function of an image reaches exactly. Values below 0.02 mag are set to
    0; up to 0.04 mag they increase smoothly from 0, so that results do not depend on rounding.
    """
    for k, output in enumerate(OUTPUTS):
        if output.offset:
            values[:, k] = _fade(values[:, k], output.offset)
    return values


def _fade(values: torch.Tensor, least: float) -> torch.Tensor:
    """Return values that increase smoothly from 0 at the least to themselves at twice that."""
    return torch.minimum(values, (2.0 * (values - least)).clamp(min=0.0))


def _above(score: torch.Tensor, occupancy: torch.Tensor) -> torch.Tensor:
    """Return the fraction of the distribution above a score, given presence; > 1: absent."""
    # From above, where single precision has digits left: 1 - q over p.
    return torch.special.ndtr(-score) / occupancy


def _log_there(prediction: Prediction, above: torch.Tensor) -> torch.Tensor:
    score = -torch.special.ndtri(above.clamp(1e-30, 1.0 - 1e-4))
    return values_at(prediction.quantiles[:, _ABSENT], score)


def _rise(above: torch.Tensor, occupancy: torch.Tensor) -> torch.Tensor:
    """Return 0 where a property is absent, 1 where it is present, and a smooth transition."""
    rise = (1.0 - occupancy).clamp(1e-6, _RISE)
    return ((1.0 - above) / rise).clamp(0.0, 1.0) ** 3


def linear_means(prediction: Prediction) -> torch.Tensor:
    """Return means (n, 8, y, x): probability of presence times the mean given presence."""
    return _linear(prediction.log_mean) * prediction.occupancy


def shared_deviations(prediction: Prediction, shared: torch.Tensor) -> torch.Tensor:
    """Return the errors that are common to all pixels of a galaxy.

    The common part of `linear_values` of many pixels if part of the variance of their scores is
    shared, and a property is present in all pixels or in none. For a log-normal distribution of
    width s (natural logarithm) and mean m, the probability p of presence and the shared part a,
    the variance is m^2 (p exp(a s^2) - p^2).

    Returns standard deviations of shape (n, 8, y, x), in the units of the properties.
    """
    width = 0.5 * math.log(10.0) * (prediction.quantiles[:, :, 3] - prediction.quantiles[:, :, 1])
    common = shared.to(width.device)[:, None, None] * width.clamp(max=_WIDEST).square()
    there = prediction.occupancy
    square = (there * torch.exp(common) - there.square()).clamp(min=0.0)
    # Without its offset a value is the power itself; with it, what is there is all that varies.
    return _power(prediction.log_mean) * square.sqrt()


def hold_hydrogen(values: torch.Tensor) -> torch.Tensor:
    """Return values with no more hydrogen than contained in the gas."""
    most = values[:, _GAS] * 10.0**LOG_LARGEST_HYDROGEN
    values[:, _HYDROGEN] = torch.minimum(values[:, _HYDROGEN], most)
    return values


def _power(log_value: torch.Tensor) -> torch.Tensor:
    # Faster than a power of ten.
    return torch.exp(log_value.clamp(-_LARGEST_LOG, _LARGEST_LOG) * math.log(10.0))


def _linear(log_value: torch.Tensor) -> torch.Tensor:
    """Return values of log10 of the properties plus their offsets, (n, 8, ...)."""
    value = _power(log_value)
    for k, output in enumerate(OUTPUTS):
        if output.offset:
            value[:, k] = (value[:, k] - output.offset).clamp(min=0.0)
    return value
