"""The bins of stellar age in which galaxies are described."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from picasssso.sps import SSPGrid

#: Edges of the age bins in yr. Within a bin stars form at a constant rate. The first two
#: bins make the star formation rate exact (the mass formed in the last 100 Myr over 100
#: Myr), and the first alone lies in birth clouds and ionizes gas.
AGE_EDGES = np.array([0.0, 1e7, 1e8, 3e8, 1e9, 2e9, 4e9, 7e9, 1e10, 1.3e10])
AGE_EDGES.flags.writeable = False

#: Mean ages of the stars of each bin, in yr.
AGE_CENTERS = 0.5 * (AGE_EDGES[1:] + AGE_EDGES[:-1])
AGE_CENTERS.flags.writeable = False

#: Number of bins.
N_AGE = len(AGE_CENTERS)


def mass_in_age_bins(age: np.ndarray, mass: np.ndarray) -> np.ndarray:
    """Return masses in age bins, (n_age,), of stars of some ages in yr and masses, (k,)."""
    bins = np.clip(np.searchsorted(AGE_EDGES, age, side="right") - 1, 0, N_AGE - 1)
    return np.bincount(bins, weights=np.asarray(mass, dtype=np.float64), minlength=N_AGE)


@lru_cache(maxsize=4)
def _surviving(grid: SSPGrid) -> tuple[np.ndarray, np.ndarray]:
    """Return log10 of a grid's metallicities, and surviving fractions (n_age, n_metallicity)."""
    from picasssso.sps.histories import AgeBins, StepHistories

    weights = StepHistories(AGE_EDGES, np.eye(N_AGE)).age_weights(AgeBins(grid.ages))
    return np.log10(grid.metallicities), weights @ grid.surviving_fraction.T


def surviving_fraction(log_metallicity: np.ndarray, grid: SSPGrid | None = None) -> np.ndarray:
    """Return living stars and remnants per mass formed in each age bin.

    As `picasssso.mocks.LightTable` has it, so that masses of today given here come out of its
    true maps unchanged.

    ``log_metallicity``: log10 of the mass fraction of metals: of shape (n_age, ...), or (1, ...)
    for all ages; returns of shape (n_age, ...).
    """
    from picasssso.sps import SSPGrid

    nodes, table = _surviving(SSPGrid.default() if grid is None else grid)
    return np.stack(
        [
            np.interp(log_metallicity[min(k, len(log_metallicity) - 1)], nodes, table[k])
            for k in range(N_AGE)
        ]
    )
