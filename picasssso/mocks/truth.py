"""The true maps of mock galaxies at their own resolution, as sums over area."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from picasssso._core.constants import HELIUM
from picasssso.mocks.age_bins import AGE_CENTRES
from picasssso.pairs.sums import TrueSums

if TYPE_CHECKING:
    from picasssso.mocks.galaxy import Galaxies

_LN10 = 2.302585092994046


def true_sums(
    galaxies: Galaxies,
    surviving: torch.Tensor,
    v_light: torch.Tensor,
    v_light_attenuated: torch.Tensor,
) -> TrueSums:
    """Return what true maps are made from.

    ``surviving``: mass in living stars and remnants in each age bin, Msun/kpc2, of shape (n,
    n_age, y, x); ``v_light, v_light_attenuated``: the stars' V light before and after dust, of
    shape (n, y, x).
    """
    ages = torch.as_tensor(AGE_CENTRES / 1e9, dtype=surviving.dtype, device=surviving.device)
    hydrogen = galaxies.hi_mass + galaxies.h2_mass
    mass = surviving.sum(1)
    if galaxies.log_metallicity.shape[1] == 1:
        metals = mass * torch.exp(galaxies.log_metallicity[:, 0] * _LN10)
    else:
        # exp is several times faster than a power.
        metals = torch.exp(galaxies.log_metallicity * _LN10).mul(surviving).sum(1)
    sums = [
        mass,
        metals,
        # A matrix product would round differently in another batch.
        (surviving * ages[:, None, None]).sum(1),
        galaxies.mass_formed[:, :2].sum(1) * 1e-8,
        hydrogen * HELIUM,
        hydrogen * HELIUM * galaxies.gas_metallicity,
        galaxies.hi_mass,
        v_light,
        v_light_attenuated,
    ]
    return TrueSums(torch.stack(sums, dim=1))
