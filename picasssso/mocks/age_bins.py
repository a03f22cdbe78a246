"""The bins of stellar age in which galaxies are described."""

from __future__ import annotations

import numpy as np

#: Edges of the age bins in yr. Within a bin stars form at a constant rate. The first two
#: bins make the star formation rate exact (the mass formed in the last 100 Myr over 100
#: Myr), and the first alone lies in birth clouds and ionises gas.
AGE_EDGES = np.array([0.0, 1e7, 1e8, 3e8, 1e9, 2e9, 4e9, 7e9, 1e10, 1.3e10])
AGE_EDGES.flags.writeable = False

#: Mean ages of the stars of each bin, in yr.
AGE_CENTRES = 0.5 * (AGE_EDGES[1:] + AGE_EDGES[:-1])
AGE_CENTRES.flags.writeable = False

#: Number of bins.
N_AGE = len(AGE_CENTRES)


def mass_in_age_bins(age: np.ndarray, mass: np.ndarray) -> np.ndarray:
    """Return the mass of stars in each age bin.

    ``age``: ages in yr, of shape (k,); ``mass``: their masses, of shape (k,); returns masses of
    shape (n_age,).

    Examples
    --------
    >>> from picasssso.mocks.age_bins import mass_in_age_bins
    >>> mass_in_age_bins([5e6, 5e9, 1.37e10], [1.0, 2.0, 4.0]).tolist()
    [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 2.0, 0.0, 4.0]
    """
    bins = np.clip(np.searchsorted(AGE_EDGES, age, side="right") - 1, 0, N_AGE - 1)
    return np.bincount(bins, weights=np.asarray(mass, dtype=np.float64), minlength=N_AGE)
