"""What a galaxy's stellar mass says of the metallicity of its stars."""

from __future__ import annotations

import numpy as np

from picasssso.exceptions import InvalidInputError
from picasssso.sps.distributions import TruncatedLogNormal

#: Gallazzi et al. (2005, MNRAS 362, 41), table 2: log mass in Msun (Chabrier), and the 50th,
#: 16th and 84th percentile of log(Z/0.02).
_PERCENTILES = np.array(
    [
        [8.91, -0.60, -1.11, 0.00],
        [9.31, -0.65, -1.10, -0.05],
        [9.72, -0.52, -0.97, 0.05],
        [9.91, -0.41, -0.90, 0.09],
        [10.11, -0.23, -0.80, 0.14],
        [10.31, -0.11, -0.65, 0.17],
        [10.51, -0.01, -0.41, 0.20],
        [10.72, 0.04, -0.24, 0.22],
        [10.91, 0.07, -0.14, 0.24],
        [11.31, 0.12, -0.06, 0.26],
        [11.91, 0.15, -0.03, 0.30],
    ]
)


def metallicity_of_mass(
    log_mass: float, *, low: float = 0.001, high: float = 0.05
) -> TruncatedLogNormal:
    """Return the distribution of metallicities of galaxies of a stellar mass.

    For the ``metallicity`` of `SEDPrior` where the mass of a galaxy is known, if only to
    0.3 dex: from a mass-to-light ratio, or a catalog. The distribution is that of galaxies
    as a whole, with the scatter between them and the errors of measurement; it holds for
    pixels as far as gradients are small beside it.

    ``log_mass``: log10 of the galaxy's stellar mass in Msun.

    Gallazzi et al. 2005 (2005MNRAS.362...41G), table 2: the median, and half of the range
    from the 16th to the 84th percentile as the width.
    """
    if not 4 <= log_mass <= 14:
        raise InvalidInputError(
            f"log_mass={log_mass!r}: expected log10 of a stellar mass in Msun, 4 to 14."
        )
    mass, middle, below, above = _PERCENTILES.T
    median, width = (
        float(np.interp(log_mass, mass, values)) for values in (middle, (above - below) / 2)
    )
    return TruncatedLogNormal(0.02 * 10**median, width, low=low, high=high)
