"""From a network's raw outputs to predictive distributions.

For each property: five quantiles of its logarithm that cannot cross (the median and four positive
steps), the linear mean as an offset from the median, and for properties that can be absent the
probability of presence. Quantiles make no assumption about the shape of the distribution, and
their coverage can be tested.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch.nn import functional

from picasssso.networks.outputs import LOG_LARGEST_HYDROGEN, OUTPUT_NAMES, OUTPUTS

#: Probabilities of the quantiles, those of the percentiles that maps store.
QUANTILES = (0.025, 0.16, 0.5, 0.84, 0.975)

#: Channels per property: the median, four steps, the mean.
PER_OUTPUT = 6
_OCCUPIED = tuple(k for k, output in enumerate(OUTPUTS) if output.has_occupancy)
_PARENTS = tuple(
    (k, OUTPUT_NAMES.index(output.parent)) for k, output in enumerate(OUTPUTS) if output.parent
)
_GAS, _HYDROGEN = OUTPUT_NAMES.index("gas_mass"), OUTPUT_NAMES.index("hi_mass")

#: Number of channels that a network gives out.
N_RAW = PER_OUTPUT * len(OUTPUTS) + len(_OCCUPIED)

_SMALLEST_STEP = 2e-3


@dataclass(frozen=True)
class Prediction:
    """Predictive distributions of the eight properties."""

    quantiles: torch.Tensor
    log_mean: torch.Tensor
    occupancy: torch.Tensor
    occupancy_logit: torch.Tensor


def decode(raw: torch.Tensor) -> Prediction:
    """Return the predictive distributions of raw outputs."""
    raw = raw.float()
    n, _, height, width = raw.shape
    split = PER_OUTPUT * len(OUTPUTS)
    table = raw[:, :split].reshape(n, len(OUTPUTS), PER_OUTPUT, height, width)
    logit = raw[:, split:]

    def column(values: list[float]) -> torch.Tensor:
        return torch.tensor(values, device=raw.device)[:, None, None]

    median = list((table[:, :, 0] + column([output.center for output in OUTPUTS])).unbind(1))
    for child, parent in _PARENTS:
        # A ratio: what is learned of the child must not bend the parent.
        median[child] = median[child] + median[parent].detach()
    middle = torch.stack(median, 1)
    spread = column([output.spread for output in OUTPUTS])[:, None]
    steps = functional.softplus(table[:, :, 1:5] + 0.5) * spread + _SMALLEST_STEP
    low, lowest, high, highest = steps.unbind(2)
    quantiles = torch.stack(
        [middle - low - lowest, middle - low, middle, middle + high, middle + high + highest], 2
    )
    shift = table[:, :, 5].clamp(-4.0, 4.0) / math.log(10.0)
    occupancy = torch.ones_like(middle)
    occupancy[:, _OCCUPIED] = torch.sigmoid(logit)
    return Prediction(quantiles, middle + shift, occupancy, logit)


def limit_hydrogen(prediction: Prediction) -> Prediction:
    """Return predictions whose neutral hydrogen does not exceed that contained in the gas."""
    quantiles, log_mean = prediction.quantiles.clone(), prediction.log_mean.clone()
    occupancy = prediction.occupancy.clone()
    for table in (quantiles, log_mean):
        most = table[:, _GAS] + LOG_LARGEST_HYDROGEN
        table[:, _HYDROGEN] = torch.minimum(table[:, _HYDROGEN], most)
    occupancy[:, _HYDROGEN] = torch.minimum(occupancy[:, _HYDROGEN], occupancy[:, _GAS])
    return Prediction(quantiles, log_mean, occupancy, prediction.occupancy_logit)
