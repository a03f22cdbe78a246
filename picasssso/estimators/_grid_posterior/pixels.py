"""Pixels made ready for fitting: scaled to their own noise, columns instead of rows."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

__all__ = ["BITS", "Pixels", "prepare_pixels"]

#: Half a unit of chi2 in bits: weights are powers of two, whose function is the fastest.
BITS = 0.5 * math.log2(math.e)


@dataclass(frozen=True)
class Pixels:
    """Fluxes as columns, in units that suit single precision.

    Each pixel's fluxes are divided by ``noise``, a typical error of its bands. All sums
    of squares come out in bits (`BITS` per unit of chi2).

    Parameters
    ----------
    weighted_flux : tensor of float64, shape (n_band, n_pixel)
        Inverse variance times flux times `BITS`.
    weight : tensor of float64, shape (n_band, n_pixel)
        Inverse variance times `BITS`.
    power : tensor of float64, shape (n_pixel,)
        Sum of inverse variance times squared flux times `BITS`: chi2 of no flux at all.
    noise : tensor of float64, shape (n_pixel,)
        In units of the input fluxes.
    n_bands : tensor of int64, shape (n_pixel,)
        Number of valid bands.
    """

    weighted_flux: torch.Tensor
    weight: torch.Tensor
    power: torch.Tensor
    noise: torch.Tensor
    n_bands: torch.Tensor

    def __len__(self) -> int:
        return len(self.noise)

    def select(self, which: torch.Tensor | slice) -> Pixels:
        """Return some of the pixels.

        Parameters
        ----------
        which : tensor of int64 or slice
            Which ones.

        Returns
        -------
        Pixels
            Those.
        """
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

    Parameters
    ----------
    flux, inverse_variance : tensor of float64, shape (n_pixel, n_band)
        Fluxes; inverse variance 0 (or anything that is not finite) for missing bands.
    error_floor : tensor of float64, shape (n_band,)
        Fraction of the observed flux added to its error in quadrature. A negative flux
        counts as 0 here.

    Returns
    -------
    Pixels
        The pixels.
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
