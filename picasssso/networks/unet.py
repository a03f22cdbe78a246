"""The network of this package: a residual U-Net with a bounded receptive field.

No layer computes statistics over pixels, and the receptive field is at most 64 pixels, so that an
image can be cut into blocks without changing the maps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import nn

from picasssso.networks.heads import N_RAW
from picasssso.networks.inputs import N_CONDITIONS, N_PLANES
from picasssso.networks.layers import ChannelNorm, ConditionedBlock, PointwiseConv


def _blocks(modules: nn.Module) -> list[ConditionedBlock]:
    return list(cast(nn.ModuleList, modules))  # type: ignore[arg-type]


class ResidualUNet(nn.Module):
    """Residual U-Net whose blocks are conditioned on redshift, scale, PSF and wavelengths.

    ``widths``: channels on each level; every level has pixels twice as large as the one before;
    ``kind``: with ``"pointwise"`` and a single level each pixel is treated separately: color
    without morphology.
    """

    def __init__(
        self,
        *,
        widths: Sequence[int] = (24, 48, 80, 112),
        depths: Sequence[int] = (1, 2, 2, 3),
        kind: str = "full",
        n_embedded: int = 64,
    ) -> None:
        super().__init__()
        if len(widths) != len(depths):
            raise ValueError(f"{len(widths)} widths and {len(depths)} depths: expected as many.")
        if kind not in ("full", "depthwise", "pointwise"):
            raise ValueError(f"kind={kind!r}: expected 'full', 'depthwise' or 'pointwise'.")
        if kind == "pointwise" and len(widths) > 1:
            raise ValueError("kind='pointwise' takes one level: lower ones would merge pixels.")
        self.embed = nn.Sequential(
            nn.Linear(N_CONDITIONS, n_embedded),
            nn.SiLU(),
            nn.Linear(n_embedded, n_embedded),
            nn.SiLU(),
        )

        def blocks(level: int) -> nn.ModuleList:
            return nn.ModuleList(
                ConditionedBlock(widths[level], n_embedded, kind=kind)
                for _ in range(depths[level])
            )

        lower = range(len(widths) - 1)
        # A pixel alone is one that no 3 x 3 kernel looks around.
        size = 1 if kind == "pointwise" else 3
        self.stem = nn.Conv2d(N_PLANES, widths[0], size, padding=size // 2)
        self.down_blocks = nn.ModuleList(blocks(level) for level in range(len(widths)))
        self.down = nn.ModuleList(
            nn.Conv2d(widths[level], widths[level + 1], 2, stride=2) for level in lower
        )
        self.up = nn.ModuleList(PointwiseConv(widths[level + 1], widths[level]) for level in lower)
        self.up_blocks = nn.ModuleList(blocks(level) for level in lower)
        self.norm = ChannelNorm(widths[0])
        self.head = PointwiseConv(widths[0], N_RAW)
        # Light becomes mass almost linearly in logarithms: this way past everything learns
        # that first.
        self.direct = PointwiseConv(N_PLANES, N_RAW)
        for layer in (self.head, self.direct):
            nn.init.normal_(layer.weight, std=1e-2)
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)

    @property
    def stride(self) -> int:
        """Grid on which the network is exactly shift-equivariant (int)."""
        return 2 ** len(self.down)

    @property
    def reach(self) -> int:
        """Farthest pixel along an axis that can change an output pixel (int)."""
        levels = [*enumerate(self.down_blocks), *enumerate(self.up_blocks)]
        looked = sum(block.reach * 2**level for level, some in levels for block in _blocks(some))
        # Pixels that are merged see each other.
        return int(self.stem.padding[0]) + looked + self.stride - 1

    def forward(self, planes: torch.Tensor, conditions: torch.Tensor) -> torch.Tensor:
        """Return raw outputs (n, 51, y, x), for `picasssso.networks.heads.decode`."""
        device = planes.device.type
        # Half precision is too coarse for fluxes and masses themselves: 0.01 dex.
        with torch.autocast(device, enabled=False):
            embedded = self.embed(conditions)
            x = self.stem(planes)
        kept = []
        for level, some in enumerate(self.down_blocks):
            for block in _blocks(some):
                x = block(x, embedded)
            if level < len(self.down):
                kept.append(x)
                x = self.down[level](x)
        for level in reversed(range(len(self.up))):
            x = nn.functional.interpolate(self.up[level](x), scale_factor=2.0, mode="nearest")
            x = x + kept[level]
            for block in _blocks(self.up_blocks[level]):
                x = block(x, embedded)
        with torch.autocast(device, enabled=False):
            return self.head.add_to(self.direct(planes), self.norm(x.float()))
