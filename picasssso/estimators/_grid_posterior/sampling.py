"""Joint samples of a pixel's posterior: a model, then its amplitude."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from picasssso.estimators._grid_posterior.pixels import BITS, Pixels
from picasssso.estimators._grid_posterior.random import uniform_numbers

#: What the random numbers are for.
_ROW, _MEMBER, _AMPLITUDE = 0, 1, 2


@dataclass(frozen=True)
class Draws:
    """Which samples are wanted.

    ``n_samples``: samples per pixel; ``pixel``: the pixels' numbers in the whole image.
    """

    n_samples: int
    seed: int
    pixel: torch.Tensor

    def select(self, which: torch.Tensor | slice) -> Draws:
        """Return the same for some of the pixels."""
        return Draws(self.n_samples, self.seed, self.pixel[which])

    def split(self, size: int) -> list[Draws]:
        """Return the same for consecutive pixels."""
        return [Draws(self.n_samples, self.seed, pixel) for pixel in self.pixel.split(size)]

    def uniform(self, use: int) -> torch.Tensor:
        """Return uniform numbers, shape (n_pixel, n_samples)."""
        return uniform_numbers(self.seed, self.pixel, self.n_samples, use)


def _choose(weight: torch.Tensor, uniform: torch.Tensor) -> torch.Tensor:
    """Return columns drawn with probabilities ``weight``: (..., n), (..., k) -> (..., k)."""
    cumulative = torch.cumsum(weight, -1, dtype=torch.float64)
    chosen = torch.searchsorted(cumulative, uniform * cumulative[..., -1:], right=True)
    return chosen.clamp(max=weight.shape[-1] - 1)


def draw_rows(weight: torch.Tensor, draws: Draws) -> torch.Tensor:
    """Draw rows of a table of weights."""
    return _choose(weight.T.contiguous(), draws.uniform(_ROW))


def draw_members(
    flux: torch.Tensor, members: torch.Tensor, count: torch.Tensor, pixels: Pixels, draws: Draws
) -> torch.Tensor:
    """Draw one of a few models by its own likelihood, for every pixel and sample.

    ``pixels``: the pixels.
    """
    models = flux[members]
    product = torch.einsum("pknb,bp->pkn", models, pixels.weighted_flux)
    norm = torch.einsum("pknb,bp->pkn", models.square(), pixels.weight)
    power = product.square() / norm
    weight = torch.exp2(power - power.amax(2, keepdim=True)) * count[members]
    chosen = _choose(weight, draws.uniform(_MEMBER)[:, :, None])
    return torch.gather(members, 2, chosen)[:, :, 0]


def draw_amplitudes(
    flux: torch.Tensor, slots: torch.Tensor, pixels: Pixels, draws: Draws
) -> torch.Tensor:
    """Draw amplitudes of models: normal, of either sign.

    ``pixels``: the pixels.
    """
    models = flux[slots]
    product = torch.einsum("pkb,bp->pk", models, pixels.weighted_flux)
    norm = torch.einsum("pkb,bp->pk", models.square(), pixels.weight)
    normal = torch.special.ndtri(draws.uniform(_AMPLITUDE))
    return product / norm + torch.sqrt(BITS / norm) * normal
