"""How far models of galaxies disagree about the same fluxes: what nobody knows.

Stellar tracks and spectra, dust laws and the shapes of star formation histories differ
between codes, and no photometry decides among them. An estimate made with one set of
models is off by an amount that is the same in all pixels and in no posterior. This is the
one table of these amounts.

Stellar mass, star formation rate and attenuation: the spread of fourteen codes on the same
photometry (Pacifici et al. 2023, ApJ 944, 141, 0.1 dex, 0.3 dex and 0.3 mag). Ages and
metallicities were not compared there. Theirs are of the size of the change from one
reasonable prior to another: 0.2 dex in age between delayed and step histories, and 0.2 to
0.3 dex in metallicity between a flat prior and one of nearby galaxies
(``benchmarks/sed_prior_real.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from picasssso.exceptions import InvalidInputError

#: One standard deviation by property: dex, or mag for those of `IN_MAGNITUDES`.
MODEL_UNCERTAINTY: Mapping[str, float] = MappingProxyType(
    {
        "stellar_mass": 0.10,
        "sfr": 0.30,
        "attenuation_v": 0.30,
        "stellar_age": 0.15,
        "stellar_metallicity": 0.20,
    }
)

#: Properties that are logarithms already, and whose amounts are added.
IN_MAGNITUDES = ("attenuation_v",)


def model_shift(name: str, values: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """Return how far values move when the models are off by one standard deviation.

    Returns in the unit of ``values`` and of their shape: the amount itself for magnitudes, else
    the standard deviation of a log-normal factor of mean 1.
    """
    if name not in MODEL_UNCERTAINTY:
        raise InvalidInputError(
            f"It is not known how far models disagree on {name!r}: expected one of "
            f"{', '.join(MODEL_UNCERTAINTY)}."
        )
    amount = MODEL_UNCERTAINTY[name]
    if name in IN_MAGNITUDES:
        return np.where(np.isnan(values), values, values.dtype.type(amount))
    relative = np.sqrt(np.expm1((amount * np.log(10)) ** 2))
    return values * values.dtype.type(relative)
