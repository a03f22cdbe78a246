"""The network of Buck & Wolf (2021), which serves as a baseline.

A U-Net of four levels: two 3 x 3 convolutions a level with GroupNorm and ReLU, 64 features
first and twice as many on each level, max pooling, bilinear upsampling followed by a 1 x 1
convolution, skip connections by concatenation. Each output is a sum of fixed bins, weighted
by a softmax times a sigmoid; it has no uncertainty. GroupNorm takes its statistics over the
whole image, so that every pixel can change every other.

Choices that the paper does not specify: inputs are the logarithmic planes of
`picasssso.networks.inputs`, GroupNorm has 8 groups, and the bins are 32 values of log10 even
between ``LOG_RANGE``.

Its uncertainty can only be measured, with galaxies that were not used in training, as one
distribution of residuals for each property.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from picasssso.networks.ensemble import turned, turned_back
from picasssso.networks.inputs import SLOTS, Conditions, input_planes
from picasssso.networks.outputs import OUTPUT_NAMES

#: The seven maps: densities all, so metal masses and mass times age.
MAPS = (
    "stellar_mass",
    "stellar_metals",
    "stellar_mass_age",
    "sfr",
    "gas_mass",
    "gas_metals",
    "hi_mass",
)

#: What follows from them, in the same order: all but dust; and what is divided by what.
BASELINE_PROPERTIES = OUTPUT_NAMES[: len(MAPS)]
_WEIGHTS = {
    "stellar_metallicity": "stellar_mass",
    "stellar_age": "stellar_mass",
    "gas_metallicity": "gas_mass",
}

#: Range of the bins per map, log10 of its unit: Msun/kpc2, Gyr Msun/kpc2 or Msun/yr/kpc2.
LOG_RANGE = (
    (2.0, 11.0),
    (0.0, 9.5),
    (2.0, 12.0),
    (-8.0, 1.5),
    (2.0, 10.0),
    (0.0, 8.5),
    (2.0, 9.5),
)

_N_BINS = 32

#: Maps without anything in a pixel count this much there.
_EMPTY_WEIGHT = 1e-6


def _convolutions(n_in: int, n_out: int, groups: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for first in (n_in, n_out):
        layers += [
            nn.Conv2d(first, n_out, 3, padding=1),
            nn.GroupNorm(groups, n_out),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers)


class BuckWolfNetwork(nn.Module):
    """U-Net of Buck & Wolf (2021, arXiv:2111.01154)."""

    def __init__(self, *, first_features: int = 64, groups: int = 8) -> None:
        super().__init__()
        widths = [first_features * 2**level for level in range(4)]
        self.down = nn.ModuleList(
            _convolutions(n_in, n_out, groups)
            for n_in, n_out in zip([len(SLOTS), *widths], widths, strict=False)
        )
        self.bottom = _convolutions(widths[-1], 2 * widths[-1], groups)
        self.reduce = nn.ModuleList(nn.Conv2d(2 * width, width, 1) for width in widths)
        self.up = nn.ModuleList(_convolutions(2 * width, width, groups) for width in widths)
        self.head = nn.Conv2d(widths[0], 2 * _N_BINS * len(MAPS), 1)
        low, high = torch.tensor(LOG_RANGE).T
        steps = torch.linspace(0.0, 1.0, _N_BINS)
        # A sigmoid below 1 only ever lowers the sum: the bins reach twice as far.
        bins = low[:, None] + (2.0 * high - low)[:, None] * steps
        self.register_buffer("bins", bins, persistent=False)

    @property
    def stride(self) -> int:
        """Images must be multiples of this many pixels (int)."""
        return 2 ** len(self.down)

    @property
    def reach(self) -> None:
        """Every pixel depends on the whole image (None)."""
        return None

    def forward(self, planes: torch.Tensor) -> torch.Tensor:
        """Return log10 of the maps, of shape (n, 7, y, x), in the order of `MAPS`."""
        x = planes[:, : len(SLOTS)]
        kept = []
        for convolutions in self.down:
            x = convolutions(x)
            kept.append(x)
            x = nn.functional.max_pool2d(x, 2)
        x = self.bottom(x)
        for level in reversed(range(len(self.up))):
            x = nn.functional.interpolate(
                x, scale_factor=2.0, mode="bilinear", align_corners=False
            )
            x = torch.cat([kept[level], self.reduce[level](x)], 1)
            x = self.up[level](x)
        raw = self.head(x)
        raw = raw.reshape(len(raw), len(MAPS), 2, _N_BINS, *raw.shape[-2:]).float()
        weights = torch.softmax(raw[:, :, 0], 2) * torch.sigmoid(raw[:, :, 1])
        return torch.einsum("nmbyx,mb->nmyx", weights, self.bins)


def squared_loss(prediction: torch.Tensor, densities: torch.Tensor) -> torch.Tensor:
    """Return the paper's loss on true maps (n, 7, y, x) as `MAPS`, NaN where not known."""
    lowest = torch.tensor([low for low, _ in LOG_RANGE], device=densities.device)[:, None, None]
    present = densities > 10.0**lowest
    truth = torch.log10(densities.clamp(min=1e-30)).maximum(lowest)
    known = ~torch.isnan(truth)
    weights = torch.where(present, 1.0, _EMPTY_WEIGHT) * known
    error = torch.where(known, prediction - truth, 0.0)
    return (weights * error.square()).sum() / weights.sum().clamp(min=_EMPTY_WEIGHT)


def maps_to_properties(prediction: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return property maps (n, y, x) in linear units from log10 of the maps."""
    maps = dict(zip(BASELINE_PROPERTIES, (10.0**prediction).unbind(1), strict=True))
    return {
        name: values / maps[_WEIGHTS[name]] if name in _WEIGHTS else values
        for name, values in maps.items()
    }


@torch.inference_mode()
def predict_maps(
    networks: Sequence[nn.Module],
    flux: torch.Tensor,
    inverse_variance: torch.Tensor,
    conditions: Conditions,
    *,
    orientations: int = 1,
) -> dict[str, torch.Tensor]:
    """Return the maps (n, y, x) that networks predict, averaged in log10, by property."""
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
    return maps_to_properties(logs)
