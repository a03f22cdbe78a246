"""Pixels made ready for fitting, what a fit of them gives, and samples of their posterior.

Pixels are columns, scaled to their own noise. A joint sample is a model, then its amplitude.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import torch

from picasssso._core.random import uniform_numbers

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
    """Scale pixels and add the error floor."""
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


def multiply(
    left: torch.Tensor, right: torch.Tensor, out: torch.Tensor | None = None
) -> torch.Tensor:
    """Return ``left @ right`` in single precision whatever the process's settings.

    `torch.set_float32_matmul_precision` may allow TF32 or bfloat16, whose errors would change
    chi2 by several units. Where it is not the highest, the product is taken in float64.
    """
    if left.dtype == torch.float32 and torch.get_float32_matmul_precision() != "highest":
        product = (left.double() @ right.double()).to(left)
        return product if out is None else out.copy_(product)
    return torch.mm(left, right, out=out) if out is not None else left @ right


@dataclass(frozen=True)
class Block:
    """Results for some pixels, in the units of `SortedLibrary` and `Pixels`.

    ``covariance``: of amplitude-scaled properties, then of values, with the models' fluxes in
    some bands, (n_property, n_band, n_pixel); ``mean_flux``: means of these fluxes.
    """

    value_percentiles: torch.Tensor
    value_means: torch.Tensor
    ratio_percentiles: torch.Tensor
    ratio_means: torch.Tensor
    improvement: torch.Tensor
    n_effective: torch.Tensor
    edge: torch.Tensor
    covariance: torch.Tensor
    mean_flux: torch.Tensor

    def head(self, n_pixels: int) -> Block:
        """Return the results of the first pixels."""
        return Block(*(getattr(self, f.name)[..., :n_pixels] for f in fields(self)))


def stack(tables: list[torch.Tensor], shape: tuple[int, ...], like: torch.Tensor) -> torch.Tensor:
    """Stack tables of one shape, of which there may be none."""
    return torch.stack(tables) if tables else like.new_zeros((0, *shape))


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
    """Draw one of a few models by its own likelihood, for every pixel and sample."""
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
    """Draw amplitudes of models: normal, of either sign."""
    models = flux[slots]
    product = torch.einsum("pkb,bp->pk", models, pixels.weighted_flux)
    norm = torch.einsum("pkb,bp->pk", models.square(), pixels.weight)
    normal = torch.special.ndtri(draws.uniform(_AMPLITUDE))
    return product / norm + torch.sqrt(BITS / norm) * normal
