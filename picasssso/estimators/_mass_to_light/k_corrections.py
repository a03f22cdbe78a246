"""k-corrections of SDSS magnitudes as polynomials of redshift and one observed color.

Chilingarian, Melchior & Zolotukhin (2010, 2010MNRAS.405.1409C) as extended to z = 0.5 by
Chilingarian & Zolotukhin (2012, 2012MNRAS.419.1727C): K(z, c) is the sum of a_jk z^j c^k,
with m - M = DM + K. For AB magnitudes it holds the bandwidth term -2.5 log10(1 + z). The
coefficients are those published with their calculator; they were checked against three
public copies that agree, one of them the authors' own in TOPCAT.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from picasssso.estimators._mass_to_light.photometric_systems import OBSERVED_COLORS
from picasssso.exceptions import InvalidInputError

FloatArray = npt.NDArray[np.floating]

#: The polynomials hold up to this redshift.
MAXIMUM_REDSHIFT = 0.5
#: Galaxies that approach us are treated as the polynomials do, by continuation.
MINIMUM_REDSHIFT = -0.005

# Rows: powers 0, 1, 2 ... of redshift. Columns: powers 0 to 3 of the color.
_PUBLISHED = """
u u-r  0 0 0 0 / 10.3686 -6.12658 2.58748 -0.299322 / -138.069 45.0511 -10.8074 0.95854
       / 540.494 -43.7644 3.84259 0 / -1005.28 10.9763 0 0 / 710.482 0 0 0
u u-i  0 0 0 0 / 11.0679 -6.43368 2.4874 -0.276358 / -134.36 36.0764 -8.06881 0.788515
       / 528.447 -26.7358 0.324884 0 / -1023.1 13.8118 0 0 / 721.096 0 0 0
u u-z  0 0 0 0 / 11.9853 -6.71644 2.31366 -0.234388 / -137.024 35.7475 -7.48653 0.655665
       / 519.365 -20.9797 0.670477 0 / -1028.36 2.79717 0 0 / 767.552 0 0 0
g g-r  0 0 0 0 / -2.45204 4.10188 10.5258 -13.5889 / 56.7969 -140.913 144.572 57.2155
       / -466.949 222.789 -917.46 -78.0591 / 2906.77 1500.8 1689.97 30.889
       / -10453.7 -4419.56 -1011.01 0 / 17568 3236.68 0 0 / -10820.7 0 0 0
g g-i  0 0 0 0 / 1.59269 -2.97991 7.31089 -3.46913 / -27.5631 -9.89034 15.4693 6.53131
       / 161.969 -76.171 -56.1923 0 / -204.457 217.977 0 0 / -50.6269 0 0 0
g g-z  0 0 0 0 / 2.37454 -4.39943 7.29383 -2.90691 / -28.7217 -20.7783 18.3055 5.04468
       / 220.097 -81.883 -55.8349 0 / -290.86 253.677 0 0 / -73.5316 0 0 0
r g-r  0 0 0 0 / 1.83285 -2.71446 4.97336 -3.66864 / -19.7595 10.5033 18.8196 6.07785
       / 33.6059 -120.713 -49.299 0 / 144.371 216.453 0 0 / -295.39 0 0 0
r u-r  0 0 0 0 / 3.03458 -1.50775 0.576228 -0.0754155 / -47.8362 19.0053 -3.15116 0.286009
       / 154.986 -35.6633 1.09562 0 / -188.094 28.1876 0 0 / 68.9867 0 0 0
i g-i  0 0 0 0 / -2.21853 3.94007 0.678402 -1.24751 / -15.7929 -19.3587 15.0137 2.27779
       / 118.791 -40.0709 -30.6727 0 / -134.571 125.799 0 0 / -55.4483 0 0 0
i u-i  0 0 0 0 / -3.91949 3.20431 -0.431124 -0.000912813
       / -14.776 -6.56405 1.15975 0.0429679
       / 135.273 -1.30583 -1.81687 0 / -264.69 15.2846 0 0 / 142.624 0 0 0
z g-z  0 0 0 0 / 0.30146 -0.623614 1.40008 -0.534053 / -10.9584 -4.515 2.17456 0.913877
       / 66.0541 4.18323 -8.42098 0 / -169.494 14.5628 0 0 / 144.021 0 0 0
z r-z  0 0 0 0 / 0.669031 -3.08016 9.87081 -7.07135 / -18.6165 8.24314 -14.2716 13.8663
       / 94.1113 11.2971 -11.9588 0 / -225.428 -17.8509 0 0 / 197.505 0 0 0
z u-z  0 0 0 0 / 0.623441 -0.293199 0.16293 -0.0134639 / -21.567 5.93194 -1.41235 0.0714143
       / 82.8481 -0.245694 0.849976 0 / -185.812 -7.9729 0 0 / 168.691 0 0 0
"""


def _read(text: str) -> Mapping[tuple[str, tuple[str, str]], FloatArray]:
    tables: dict[tuple[str, tuple[str, str]], FloatArray] = {}
    entries: list[str] = []
    for line in text.strip().splitlines():
        if line[0] == " ":  # a line that goes on
            entries[-1] += " " + line.strip()
        else:
            entries.append(line)
    for entry in entries:
        band, color, values = entry.split(maxsplit=2)
        rows = [[float(v) for v in row.split()] for row in values.split("/")]
        table = np.array(rows)
        table.flags.writeable = False
        tables[band, (color[0], color[2])] = table
    return MappingProxyType(tables)


#: Coefficients by band and color, shape (powers of redshift, powers of color).
COEFFICIENTS = _read(_PUBLISHED)

# RMS of log10(mass) that the polynomials leave against k-corrections computed from
# composite BC03-MILES spectra, the worst of the default relation and of g-r with M/L_r
# (measured in tests/estimators/test_mass_to_light_synthetic.py).
_SCATTER_REDSHIFTS = (0.0, 0.01, 0.03, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5)
_SCATTER_DEX = (0.0, 0.025, 0.055, 0.065, 0.08, 0.085, 0.10, 0.185, 0.19)


def k_correction_colors(band: str) -> tuple[tuple[str, str], ...]:
    """Return the colors that a band's k-correction can be computed from.

    Examples
    --------
    >>> from picasssso.estimators._mass_to_light.k_corrections import k_correction_colors
    >>> k_correction_colors("i")
    (('g', 'i'), ('u', 'i'))
    """
    return tuple(color for letter, color in COEFFICIENTS if letter == band)


def check_redshift(redshift: float) -> None:
    """Refuse a redshift at which the polynomials do not hold."""
    if not MINIMUM_REDSHIFT <= redshift <= MAXIMUM_REDSHIFT:
        raise InvalidInputError(
            f"redshift {redshift:g}: the k-corrections of Chilingarian & Zolotukhin (2012) hold "
            f"for 0 to {MAXIMUM_REDSHIFT}, and a mass-to-light ratio without one would be wrong. "
            "Use an estimator that fits the SED at the observed redshift instead."
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
