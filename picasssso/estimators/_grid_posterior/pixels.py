"""Pixels made ready for fitting: scaled to their own noise, columns instead of rows."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

#: Half a unit of chi2 in bits: weights are powers of two, whose function is the fastest.
BITS = 0.5 * math.log2(math.e)


@dataclass(frozen=True)
class Pixels:
    """Fluxes as columns, in units that suit single precision.

    Each pixel's fluxes are divided by ``noise``, a typical error of its bands. All sums
    of squares come out in bits (`BITS` per unit of chi2).
    """

    weighted_flux: torch.Tensor
    weight: torch.Tensor
    power: torch.Tensor
    noise: torch.Tensor
    n_bands: torch.Tensor

    def __len__(self) -> int:
        return len(self.noise)

    def select(self, which: torch.Tensor | slice) -> Pixels:
        """Return some of the pixels."""
        return Pixels(
            self.weighted_flux[:, which],
            self.weight[:, which],
            self.power[which],
            self.noise[which],
            self.n_bands[which],
        )


def prepare_pixels(
    flux: torch.Tensor, inverse_variance: torch.Tensor, error_floor: torch.Tensor
) -> Pixels:
    """Scale pixels and add the error floor.

    Returns the pixels.
    """
    valid = torch.isfinite(flux) & torch.isfinite(inverse_variance) & (inverse_variance > 0)
    flux = torch.where(valid, flux, 0.0)
    weight = torch.where(valid, inverse_variance, 0.0)
    weight = weight / (1 + weight * (error_floor * flux.clamp(min=0)).square())
    n_bands = valid.sum(1)
    noise = torch.rsqrt(weight.sum(1) / n_bands.clamp(min=1))
    noise = torch.where(n_bands > 0, noise, 1.0)
    flux = flux / noise[:, None]
    weight = weight * noise[:, None].square() * BITS
    return Pixels(
        weighted_flux=(weight * flux).T.contiguous(),
        weight=weight.T.contiguous(),
        power=(weight * flux.square()).sum(1),
        noise=noise,
        n_bands=n_bands,
    )
