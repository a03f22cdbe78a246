"""k-corrections of SDSS magnitudes as polynomials of redshift and one observed color.

Chilingarian, Melchior & Zolotukhin (2010, 2010MNRAS.405.1409C) as extended to z = 0.5 by
Chilingarian & Zolotukhin (2012, 2012MNRAS.419.1727C): K(z, c) is the sum of a_jk z^j c^k,
with m - M = DM + K. For AB magnitudes it holds the bandwidth term -2.5 log10(1 + z). The
coefficients are those published with their calculator.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from picasssso.estimators._mass_to_light.literature import literature
from picasssso.estimators._mass_to_light.photometric_systems import OBSERVED_COLORS
from picasssso.exceptions import InvalidInputError

FloatArray = npt.NDArray[np.floating]

#: The polynomials hold up to this redshift.
MAXIMUM_REDSHIFT = 0.5
#: Galaxies that approach us are treated as the polynomials do, by continuation.
MINIMUM_REDSHIFT = -0.005

#: Coefficients by band and color, shape (powers of redshift, powers of color).
COEFFICIENTS: Mapping[tuple[str, tuple[str, str]], FloatArray] = MappingProxyType(
    {
        (name[0], (name[2], name[4])): np.array(rows, dtype=float)
        for name, rows in literature()["k_corrections"].items()
    }
)

# RMS of log10(mass) that the polynomials leave against k-corrections computed from
# composite BC03-MILES spectra, the worst of the default relation and of g-r with M/L_r
# (measured in tests/estimators/test_mass_to_light_synthetic.py).
_SCATTER_REDSHIFTS = (0.0, 0.01, 0.03, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5)
_SCATTER_DEX = (0.0, 0.025, 0.055, 0.065, 0.08, 0.085, 0.10, 0.185, 0.19)


def k_correction_colors(band: str) -> tuple[tuple[str, str], ...]:
    """Return the colors that a band's k-correction can be computed from."""
    return tuple(color for letter, color in COEFFICIENTS if letter == band)


def check_redshift(redshift: float) -> None:
    """Refuse a redshift at which the polynomials do not hold."""
    if not MINIMUM_REDSHIFT <= redshift <= MAXIMUM_REDSHIFT:
        raise InvalidInputError(
            f"redshift {redshift:g}: the k-corrections of Chilingarian & Zolotukhin (2012) hold "
            f"for 0 to {MAXIMUM_REDSHIFT}, and a mass-to-light ratio without one would be wrong. "
            "Instead use SEDFitEstimator, which fits the SED at the observed redshift."
        )


def k_correction(
    band: str, color: tuple[str, str], redshift: float, value: npt.ArrayLike
) -> FloatArray:
    """Return the k-correction of an SDSS band.

    ``value``: observed-frame AB color, mag; held within `OBSERVED_COLORS`; returns k in mag:
    rest-frame magnitude = observed magnitude - distance modulus - K.
    """
    table = COEFFICIENTS[band, color]
    powers = redshift ** np.arange(len(table))
    constant, linear, quadratic, cubic = powers @ table
    value = np.clip(value, *OBSERVED_COLORS[color])
    return constant + value * (linear + value * (quadratic + value * cubic))


def k_correction_scatter(redshift: float) -> float:
    """Return the RMS error in dex that K-corrections leave in mass."""
    return float(np.interp(max(redshift, 0.0), _SCATTER_REDSHIFTS, _SCATTER_DEX))
