"""Layers without statistics over pixels, so that receptive fields are bounded."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


class ChannelNorm(nn.Module):
    """Brings the channels of each pixel to zero mean and unit variance, pixel by pixel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = (channels,)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the normalized tensor, of the same shape."""
        if x.is_cuda:
            # The device's own kernel takes a block of threads for each pixel.
            x = x.float()
            x = x - x.mean(1, keepdim=True)
            return x * torch.rsqrt(x.square().mean(1, keepdim=True) + 1e-5)
        # Channels lie last in memory, so this moves nothing.
        x = functional.layer_norm(x.permute(0, 2, 3, 1), self.channels)
        return x.permute(0, 3, 1, 2)


class PointwiseConv(nn.Conv2d):
    """A 1 x 1 convolution as a matrix product, without copies, for channels-last tensors."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__(n_in, n_out, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the mixed channels, of shape (n, n_out, y, x)."""
        x = functional.linear(x.permute(0, 2, 3, 1), self.weight[:, :, 0, 0], self.bias)
        return x.permute(0, 3, 1, 2)

    def add_to(self, x: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
        """Return ``x + self(h)``, with one pass through memory less on CPUs."""
        if x.is_cuda or torch.is_autocast_enabled(x.device.type) or torch.is_grad_enabled():
            return x + self(h)
        assert self.bias is not None
        out = x.permute(0, 2, 3, 1) + self.bias
        weight = self.weight[:, :, 0, 0].T
        out.view(-1, len(self.bias)).addmm_(h.permute(0, 2, 3, 1).flatten(0, 2), weight)
        return out.permute(0, 3, 1, 2)


class ConditionedBlock(nn.Module):
    """Residual block: normalization, conditional scale and shift, spatial convolution, mixing.

    ``kind``: ``"full"``: the 3 x 3 convolution mixes channels; ``"depthwise"``: each channel has
    its own 5 x 5 kernel, and only later layers mix channels; ``"pointwise"``: no convolution over
    neighbors.
    """

    def __init__(
        self, channels: int, n_embedded: int, *, kind: str = "full", expansion: int = 2
    ) -> None:
        super().__init__()
        self.norm = ChannelNorm(channels)
        self.modulate = nn.Linear(n_embedded, 2 * channels)
        nn.init.zeros_(self.modulate.weight)
        nn.init.zeros_(self.modulate.bias)
        if kind == "depthwise":
            self.look: nn.Conv2d = nn.Conv2d(channels, channels, 5, padding=2, groups=channels)
        elif kind == "pointwise":
            self.look = PointwiseConv(channels, channels)
        else:
            self.look = nn.Conv2d(channels, channels, 3, padding=1)
        self.widen = PointwiseConv(channels, expansion * channels)
        self.narrow = PointwiseConv(expansion * channels, channels)
        # A new block changes nothing: deep networks start as shallow ones.
        nn.init.zeros_(self.narrow.weight)
        assert self.narrow.bias is not None
        nn.init.zeros_(self.narrow.bias)

    @property
    def reach(self) -> int:
        """Reach of the convolution, in pixels of the block's grid (int)."""
        return int(self.look.padding[0])

    def forward(self, x: torch.Tensor, conditions: torch.Tensor) -> torch.Tensor:
        """Return the output of the block, of the shape of the input."""
        scale, shift = self.modulate(conditions)[:, :, None, None].chunk(2, 1)
        h = torch.addcmul(shift, self.norm(x), 1.0 + scale)
        # Gradients would need what is overwritten.
        inplace = not torch.is_grad_enabled()
        h = functional.silu(self.look(h), inplace=inplace)
        h = functional.silu(self.widen(h), inplace=inplace)
        return self.narrow.add_to(x, h)
