"""The loss functions of training."""

from __future__ import annotations

import math

import torch
from torch.nn import functional

from picasssso.networks.heads import QUANTILES, Prediction
from picasssso.networks.outputs import OUTPUTS
from picasssso.training.targets import Targets

_OCCUPIED = tuple(k for k, output in enumerate(OUTPUTS) if output.has_occupancy)

#: How much the linear mean and the occupancy count beside the quantiles.
_MEAN_WEIGHT, _OCCUPANCY_WEIGHT = 0.05, 0.2

#: A truth that exceeds the median by more than this counts as this: a pixel with a star's
#: worth of surprise must not bend all means.
_LARGEST_SURPRISE = 30.0


def pixel_weights(flux: torch.Tensor, inverse_variance: torch.Tensor) -> torch.Tensor:
    """Return pixels' weights (n, 1, y, x): 1 where there is a signal, 0.1 in empty sky."""
    signal = (flux * inverse_variance).sum(1, keepdim=True)
    signal = signal * inverse_variance.sum(1, keepdim=True).clamp(min=1e-30).rsqrt()
    signal = functional.avg_pool2d(signal, 5, stride=1, padding=2, count_include_pad=False)
    return 0.1 + 0.9 * torch.sigmoid(2.0 * (signal - 1.0))


def quantile_loss(prediction: Prediction, targets: Targets, weights: torch.Tensor) -> torch.Tensor:
    """Return the loss: of the quantiles (Koenker & Bassett 1978), the mean, the occupancy.

    The quantile loss is least at the quantiles of the truth given the image. That of the mean,
    exp(d) - t d with d the logarithm of mean over median and t that of truth over median, is least
    where exp(d) is the mean of t: at the conditional mean in linear units, which sums over pixels
    need. Unknown parts of the truth have no weight.

    ``weights``: weights of the pixels.
    """
    device = weights.device
    levels = torch.tensor(QUANTILES, device=device)[:, None, None]
    spread = torch.tensor([output.spread for output in OUTPUTS], device=device)
    used = weights * targets.present
    total = used.sum((0, 2, 3)).clamp(min=1.0)
    error = targets.log_value[:, :, None] - prediction.quantiles
    pinball = torch.maximum(levels * error, (levels - 1.0) * error).sum(2)
    loss = ((pinball * used).sum((0, 2, 3)) / (total * spread)).mean()

    median = prediction.quantiles[:, :, 2].detach()
    surprise = torch.exp((targets.log_value - median) * math.log(10.0))
    # The difference knows only the offset that is learned: medians are not bent by means.
    shift = (prediction.log_mean - prediction.quantiles[:, :, 2]) * math.log(10.0)
    bregman = torch.exp(shift) - surprise.clamp(max=_LARGEST_SURPRISE) * shift
    loss = loss + _MEAN_WEIGHT * ((bregman * used).sum((0, 2, 3)) / total).mean()

    there = targets.present[:, _OCCUPIED].to(torch.float32)
    entropy = functional.binary_cross_entropy_with_logits(
        prediction.occupancy_logit, there, reduction="none"
    )
    judged = weights * targets.known[:, _OCCUPIED]
    entropy = (entropy * judged).sum() / judged.sum().clamp(min=1e-6)
    return loss + _OCCUPANCY_WEIGHT * entropy
