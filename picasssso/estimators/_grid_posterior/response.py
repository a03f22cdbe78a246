"""How means move with the flux of a band, from the same sums over models as the means.

A small change of a flux multiplies the weight of each model by a little, in proportion to the
model's own flux in that band. The derivative of the mean of a property is therefore its
covariance with that flux, over the posterior, times the inverse variance of the band.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch

from picasssso.estimators._grid_posterior.pixel_fits import BITS, Block, Pixels, multiply

#: A shift of more errors (the error floor included) than this is no small change.
_FAR = 1.5


class Shift(Protocol):
    """A band off by a factor, in flux and noise, or by an offset in the unit of the flux."""

    @property
    def band(self) -> int: ...

    @property
    def factor(self) -> float: ...

    @property
    def offset(self) -> float: ...


def shifted_bands(shifts: Sequence[Shift]) -> tuple[int, ...]:
    """Return the bands of shifts, each once."""
    return tuple(sorted({shift.band for shift in shifts}))


def shifted(
    flux: torch.Tensor, inverse_variance: torch.Tensor, shift: Shift
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return fluxes and inverse variances, (n_pixel, n_band), that are off."""
    flux, inverse_variance = flux.clone(), inverse_variance.clone()
    flux[:, shift.band] = flux[:, shift.band] * shift.factor + shift.offset
    inverse_variance[:, shift.band] /= shift.factor**2
    return flux, inverse_variance


def products(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Return products of all rows: (n, k), (m, k) -> (n m, k)."""
    return (left[:, None] * right).reshape(-1, right.shape[1])


def covariance(
    mean_product: torch.Tensor, mean: torch.Tensor, mean_flux: torch.Tensor
) -> torch.Tensor:
    """Return covariances with fluxes: (n m, k), (n, k), (m, k) -> (n, m, k)."""
    shape = (len(mean), *mean_flux.shape)
    return mean_product.reshape(shape) - mean[:, None] * mean_flux


@dataclass
class FluxSums:
    """Sums over models for pixels as columns; a model's flux is ``flux`` times its brightness.

    ``values``: of weight times value; ``fluxes``: of weight times flux, then times flux and
    value; ``ratios``: of weight times flux, ratio and brightness.
    """

    values: torch.Tensor
    fluxes: torch.Tensor
    ratios: torch.Tensor

    @classmethod
    def nothing(cls, n_bands: int, n_values: int, n_ratios: int, like: torch.Tensor) -> FluxSums:
        """Return sums over no models. ``like``: of shape (n_pixel,)."""
        rows = (n_values, n_bands * (1 + n_values), n_bands * n_ratios)
        return cls(*(like.new_zeros(n, len(like)) for n in rows))

    @property
    def n_bands(self) -> int:
        """Number of bands (int)."""
        return len(self.fluxes) // (1 + len(self.values))

    def add(
        self,
        flux: torch.Tensor,
        values: torch.Tensor,
        ratios: torch.Tensor,
        moments: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
    ) -> None:
        """Add models, (n, n_model) each.

        ``moments``: weights, then times brightness, then times its square.
        """
        weight, first, second = moments
        self.values += multiply(values, weight)
        self.fluxes += multiply(torch.cat([flux, products(values, flux)]), first)
        self.ratios += multiply(products(ratios, flux), second)

    def covariance(
        self, total: torch.Tensor, ratio_means: torch.Tensor, stretch: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return covariances with fluxes, (n_property, n_band, n_pixel), and mean fluxes.

        ``total``: sums of weights; ``stretch``: what the square of the brightness lacks.
        """
        fluxes = self.fluxes / total
        mean_flux = fluxes[: self.n_bands]
        of_ratios = covariance(self.ratios * (stretch / total), ratio_means, mean_flux)
        of_values = covariance(fluxes[self.n_bands :], self.values / total, mean_flux)
        return torch.cat([of_ratios, of_values]), mean_flux


def respond(
    block: Block, pixels: Pixels, error_floor: torch.Tensor, shifts: Sequence[Shift]
) -> torch.Tensor:
    """Return how means move, of shape (n_property, n_shift, n_pixel), in the units of a block.

    The error floor goes with the flux, and noise with the zero point: both change what a model's
    flux does to chi2, by a part of the residual of the mean model.
    """
    bands = shifted_bands(shifts)
    moves = []
    for shift in shifts:
        at, which = bands.index(shift.band), shift.band
        flux, inverse_variance = _band(pixels, which)
        residual = flux - block.mean_flux[at]
        floor = inverse_variance * error_floor[which].square() * flux.clamp(min=0)
        change = (shift.offset / pixels.noise) * (1 - 2 * floor * residual)
        change += math.log(shift.factor) * (flux - 2 * residual)
        moves.append(block.covariance[:, at] * (inverse_variance * change))
    return torch.stack(moves, 1)


def is_far(pixels: Pixels, shift: Shift) -> torch.Tensor:
    """Return for which pixels a shift is too large for a first order, compared with errors."""
    flux, inverse_variance = _band(pixels, shift.band)
    change = shift.offset / pixels.noise + (shift.factor - 1) * flux
    return change.abs() * inverse_variance.sqrt() > _FAR


def _band(pixels: Pixels, band: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the fluxes of a band and their inverse variances, over the noise of the pixels."""
    weight = pixels.weight[band]
    return torch.where(weight > 0, pixels.weighted_flux[band] / weight, 0.0), weight / BITS
