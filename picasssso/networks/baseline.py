"""Maps from networks that learn no uncertainty, and how far off these maps are.

The network of Buck & Wolf (2021) gives one value per pixel. What its uncertainty is can only
be measured: on galaxies that were never trained on, as one distribution of residuals for
each property.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import nn
from torch.nn import functional

from picasssso.networks.buck_wolf import maps_to_properties
from picasssso.networks.calibration import local_signal
from picasssso.networks.ensemble import turned, turned_back
from picasssso.networks.heads import QUANTILES
from picasssso.networks.inputs import Conditions, input_planes
from picasssso.networks.training.batches import SlottedBatch
from picasssso.pairs.sums import TrueSums

__all__ = ["BASELINE_PROPERTIES", "measure_residuals", "predict_maps"]

#: What the network gives.
BASELINE_PROPERTIES = (
    "stellar_mass",
    "stellar_metallicity",
    "stellar_age",
    "sfr",
    "gas_mass",
    "gas_metallicity",
    "hi_mass",
)

#: Residuals count where the signal-to-noise ratio of all bands together is at least this.
_LEAST_SIGNAL = 1.0

#: Residuals in dex are counted in this many bins between plus and minus this many dex.
_N_BINS, _LARGEST = 4000, 10.0


@torch.inference_mode()
def predict_maps(
    networks: Sequence[nn.Module],
    flux: torch.Tensor,
    inverse_variance: torch.Tensor,
    conditions: Conditions,
    *,
    orientations: int = 1,
) -> dict[str, torch.Tensor]:
    """Return the maps that networks predict, averaged in log10.

    Parameters
    ----------
    networks : sequence of torch.nn.Module
        Members, all `picasssso.networks.buck_wolf.BuckWolfNetwork`.
    flux, inverse_variance : Tensor, shape (n, 5, y, x)
        Images in slots.
    conditions : Conditions
        What holds for whole images.
    orientations : int, optional
        1, or 8 to average over turned and mirrored images.

    Returns
    -------
    dict
        Names of `BASELINE_PROPERTIES` to maps of shape (n, y, x) in linear units.
    """
    height, width = flux.shape[-2:]
    stride = int(networks[0].stride)  # type: ignore[arg-type]
    planes = input_planes(flux, inverse_variance, conditions)
    planes = functional.pad(planes, (0, -width % stride, 0, -height % stride))
    total = torch.zeros((), device=planes.device)
    for turn in range(orientations):
        seen = turned(planes, turn).contiguous(memory_format=torch.channels_last)
        for network in networks:
            total = total + turned_back(network(seen), turn)
    logs = (total / (orientations * len(networks)))[..., :height, :width]
    maps = maps_to_properties(logs)
    return {name: maps[name] for name in BASELINE_PROPERTIES}


def measure_residuals(
    networks: Sequence[nn.Module], batches: Iterable[SlottedBatch]
) -> dict[str, list[float]]:
    """Measure how far from the truth predicted maps lie.

    Parameters
    ----------
    networks : sequence of torch.nn.Module
        As for `predict_maps`.
    batches : iterable of SlottedBatch
        Galaxies that were not trained on, on the networks' device.

    Returns
    -------
    dict
        For each property, log10 of truth over prediction at the five quantiles of
        `picasssso.networks.heads.QUANTILES`, over pixels with a signal and a truth. It
        belongs into the model card under ``"residual_quantiles"``.
    """
    counts = torch.zeros(len(BASELINE_PROPERTIES), _N_BINS, dtype=torch.float64)
    for batch in batches:
        maps = predict_maps(networks, batch.flux, batch.inverse_variance, batch.conditions)
        truth = TrueSums(batch.sums).properties()
        bright = local_signal(batch.flux, batch.inverse_variance) >= _LEAST_SIGNAL
        for k, name in enumerate(BASELINE_PROPERTIES):
            used = bright & (truth[name] > 0) & torch.isfinite(truth[name])
            residual = torch.log10(truth[name][used] / maps[name][used])
            bins = ((residual / _LARGEST + 1.0) * (0.5 * _N_BINS)).clamp(0, _N_BINS - 1).long()
            counts[k] += torch.bincount(bins, minlength=_N_BINS).cpu()
    part = counts.cumsum(1) / counts.sum(1, keepdim=True)
    table: dict[str, list[float]] = {}
    for k, name in enumerate(BASELINE_PROPERTIES):
        places = torch.tensor([int((part[k] < level).sum()) for level in QUANTILES])
        values = ((places + 0.5) / _N_BINS * 2.0 - 1.0) * _LARGEST
        table[name] = [round(float(value), 4) for value in values]
    return table
