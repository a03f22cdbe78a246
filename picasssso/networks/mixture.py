"""Values of what may be absent: nothing, or as much as the network says.

With a probability p of being there, the quantile q of the whole distribution is 0 below 1 -
p, and above it the quantile (q - 1 + p) / p of what is there.
"""

from __future__ import annotations

import math

import torch

from picasssso.networks.calibration import NORMAL_SCORES, values_at
from picasssso.networks.heads import Prediction
from picasssso.networks.outputs import OUTPUTS

__all__ = ["linear_means", "linear_quantiles", "linear_values"]

#: Places of the properties that can be absent.
_OCCUPIED = [k for k, output in enumerate(OUTPUTS) if output.has_occupancy]

#: Where absence is likely, the lowest part of what is there rises from 0 over this part of
#: it, instead of jumping: rounding must not decide between nothing and something.
_RISE = 0.02

#: Logarithms beyond are no numbers of single precision.
_LARGEST_LOG = 30.0


def linear_values(prediction: Prediction, score: torch.Tensor) -> torch.Tensor:
    """Return the properties at given normal scores of their whole distributions.

    Parameters
    ----------
    prediction : Prediction
        The distributions.
    score : Tensor, shape (n, 8, y, x)
        Standard normal numbers: 0 gives the median. Samples that go together have the
        same score for presence and amount.

    Returns
    -------
    Tensor
        Of shape (n, 8, y, x), in the units of the properties.

    Examples
    --------
    >>> import torch
    >>> from picasssso.networks.heads import N_RAW, decode
    >>> from picasssso.networks.mixture import linear_values
    >>> raw = torch.zeros(1, N_RAW, 1, 1)
    >>> raw[:, 48:] = -9.0  # star formation and gas are absent
    >>> linear_values(decode(raw), torch.zeros(1, 8, 1, 1))[0, 3:5, 0, 0].tolist()
    [0.0, 0.0]
    """
    values = _linear(values_at(prediction.quantiles, score))
    values[:, _OCCUPIED] = _occupied_values(prediction, score[:, _OCCUPIED])
    return values


def linear_quantiles(prediction: Prediction) -> torch.Tensor:
    """Return the properties at the five quantiles of their whole distributions.

    Parameters
    ----------
    prediction : Prediction
        The distributions.

    Returns
    -------
    Tensor
        Of shape (n, 8, 5, y, x), in the units of the properties, in ascending order: what
        `linear_values` gives at `picasssso.networks.calibration.NORMAL_SCORES`, faster.
    """
    values = _linear(prediction.quantiles)
    for k, number in enumerate(NORMAL_SCORES):
        score = torch.full_like(prediction.occupancy[:, _OCCUPIED], number)
        values[:, _OCCUPIED, k] = _occupied_values(prediction, score)
    for k in range(1, len(NORMAL_SCORES)):
        # Rounding must not make percentiles cross.
        values[:, :, k] = torch.maximum(values[:, :, k], values[:, :, k - 1])
    return values


def _occupied_values(prediction: Prediction, score: torch.Tensor) -> torch.Tensor:
    """Return values (n, 3, y, x) of what may be absent at such scores."""
    occupancy = prediction.occupancy[:, _OCCUPIED]
    # From above, where single precision has digits left: 1 - q over p.
    above = torch.special.ndtr(-score) / occupancy
    rise = (1.0 - occupancy).clamp(1e-6, _RISE)
    part = ((1.0 - above) / rise).clamp(0.0, 1.0) ** 3
    there = -torch.special.ndtri(above.clamp(1e-30, 1.0 - 1e-4))
    log_value = values_at(prediction.quantiles[:, _OCCUPIED], there)
    return _power(log_value) * part


def linear_means(prediction: Prediction) -> torch.Tensor:
    """Return the means of the properties' whole distributions.

    Parameters
    ----------
    prediction : Prediction
        The distributions.

    Returns
    -------
    Tensor
        Of shape (n, 8, y, x), in the units of the properties: the probability of being
        there times the mean of what is there.
    """
    return _linear(prediction.log_mean) * prediction.occupancy


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
