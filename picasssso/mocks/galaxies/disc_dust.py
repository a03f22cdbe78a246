"""What dust in a disc does to the light of discs, bulges and young stars.

The dust's column is that of the gas times its metallicity. Stars in a layer thicker than
the dust are partly in front of it, partly behind, partly mixed with it; of a bulge the
part behind the disc's plane is dimmed, which on the near side of an inclined disc is most
of it: that makes dust lanes. Results are given as the attenuation at V of a screen that
would dim as much.
"""

from __future__ import annotations

import torch

_PER_MAG = 0.4 * 2.302585092994046


def slab_transmission(column: torch.Tensor) -> torch.Tensor:
    """Return the fraction of light that leaves a slab in which stars and dust are mixed.

    ``column``: attenuation at V of a source behind the slab, in mag.
    """
    tau = (column * _PER_MAG).clamp(min=1e-4)
    return -torch.expm1(-tau) / tau


def layer_transmission(column: torch.Tensor, thickness: torch.Tensor) -> torch.Tensor:
    """Return the fraction of light that leaves a layer of stars with a thinner one of dust.

    The "sandwich" of Disney, Davies & Phillipps (1989, MNRAS 239, 939).

    ``column``: attenuation at V of a source behind all dust, in mag.
    """
    through = torch.exp(-_PER_MAG * column)
    outside = 0.5 * (1.0 - thickness) * (1.0 + through)
    return outside + thickness * slab_transmission(column)


def spread_column(column: torch.Tensor, weight: torch.Tensor, power: torch.Tensor) -> torch.Tensor:
    """Return columns of dust to a power, with the same mean.

    Less than in proportion to gas and metals: attenuation falls little with radius (Gonzalez
    Delgado et al. 2015, A&A 581, A103). ``column, weight``: shape (n, y, x), the weight is that
    of the mean; ``power``: shape (n, 1, 1); returns shape (n, y, x).
    """

    def mean(values: torch.Tensor) -> torch.Tensor:
        total = (weight * values).sum((1, 2), keepdim=True)
        return total / (weight.sum((1, 2), keepdim=True) + 1e-6)

    before = mean(column)
    spread = torch.where(column > 0, (column / (before + 1e-12)).clamp(min=1e-12) ** power, 0.0)
    return spread * before / (mean(spread) + 1e-12)


def behind_fraction(
    minor: torch.Tensor, cosine: torch.Tensor, radius: torch.Tensor, near_side: torch.Tensor
) -> torch.Tensor:
    """Return the fraction of a bulge's light that comes from behind the disc's plane.

    ``minor``: distance from the major axis, of shape (n, p); ``cosine``: cosine of the
    inclination, of shape (n,); ``radius``: half-mass radius of the bulge, of shape (n,); returns
    fractions of shape (n, p).
    """
    tangent = torch.sqrt(1.0 - cosine**2) / cosine.clamp(min=0.02)
    # The line of sight meets the plane at this distance, positive towards the observer.
    depth = minor * (near_side * tangent)[:, None]
    spread = torch.hypot(minor, 0.7 * radius[:, None])
    return 0.5 * (1.0 + torch.erf(depth / (1.4142 * spread)))
