"""Maps from networks that learn no uncertainty, and how far off these maps are.

The network of Buck & Wolf (2021) gives one value per pixel. What its uncertainty is can only
be measured: on galaxies that were never trained on, as one distribution of residuals for
each property.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from picasssso.networks.buck_wolf import maps_to_properties
from picasssso.networks.ensemble import turned, turned_back
from picasssso.networks.inputs import Conditions, input_planes

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

    Returns names of `BASELINE_PROPERTIES` to maps of shape (n, y, x) in linear units.
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
