"""The published color-mass-to-light relations: the one table of them.

Each is log10(M/L) = a + b color in solar units, with the color and luminosity in the
rest frame and in AB magnitudes through the SDSS bands. Whatever IMF a paper used, what
`Relation.log_mass_to_light` gives out is on Chabrier 0.1-100 Msun, living stars and
remnants.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from picasssso.estimators._mass_to_light import coefficients as published
from picasssso.estimators._mass_to_light.coefficients import Coefficients
from picasssso.exceptions import InvalidInputError

FloatArray = npt.NDArray[np.floating]

#: Rest-frame colors (mag) that stellar populations of normal galaxies have, from
#: composites of BC03-MILES spectra with 0-2 mag of dust, rounded outwards. The papers
#: show their fits over such colors and state no limits. Beyond them a color is noise,
#: a line emitter or a defect: it is held at the limit and flagged.
COLOR_RANGES: Mapping[tuple[str, str], tuple[float, float]] = MappingProxyType(
    {
        ("u", "g"): (0.3, 2.3),
        ("u", "r"): (0.4, 3.4),
        ("u", "i"): (0.4, 3.9),
        ("u", "z"): (0.4, 4.3),
        ("g", "r"): (-0.1, 1.15),
        ("g", "i"): (-0.2, 1.7),
        ("g", "z"): (-0.2, 2.2),
        ("r", "i"): (-0.1, 0.6),
        ("r", "z"): (-0.15, 1.1),
        ("i", "z"): (-0.1, 0.5),
    }
)


@dataclass(frozen=True)
class Relation:
    """One paper's relations between colors and mass-to-light ratios.

    ``chabrier_offset``: added to log10(M/L) to bring it to Chabrier 0.1-100 Msun, dex;
    ``scatter``: scatter of log10(M/L) at given color, dex.
    """

    name: str
    reference: str
    bibcode: str
    models: str
    imf: str
    chabrier_offset: float
    chabrier_source: str
    remnants: str
    scatter: float
    scatter_source: str
    solar_magnitudes: Mapping[str, float]
    solar_source: str
    coefficients: Coefficients
    checked: str

    @property
    def colors(self) -> tuple[tuple[str, str], ...]:
        """Colors it has, such as ``("g", "i")``."""
        return tuple(self.coefficients)

    def luminosity_bands(self, color: tuple[str, str]) -> tuple[str, ...]:
        """Return the luminosity bands that go with a color."""
        return tuple(self.coefficients[color])

    def log_mass_to_light(
        self, color: tuple[str, str], band: str, value: npt.ArrayLike
    ) -> FloatArray:
        """Return log10(M/L) on Chabrier 0.1-100 Msun.

        ``value``: rest-frame AB color, mag.

        Examples
        --------
        >>> from picasssso.estimators._mass_to_light.relations import RELATIONS
        >>> round(float(RELATIONS["taylor2011"].log_mass_to_light(("g", "i"), "i", 1.0)), 2)
        0.02
        """
        intercept, slope = self.coefficients[color][band]
        return intercept + self.chabrier_offset + slope * np.asarray(value)


#: AB magnitudes of the Sun of Blanton & Roweis (2007). The coefficients of Roediger &
#: Courteau (BC03) imply the Sun's colors: a_y - a_x = 0.4 (x - y)_sun in the row of the
#: color x - y, and they are these exactly; those of Zibetti et al. agree to 0.01 mag.
_BLANTON_ROWEIS = MappingProxyType({"u": 6.38, "g": 5.12, "r": 4.64, "i": 4.53, "z": 4.51})
#: What the synthesis codes behind the relations count as stellar mass; where a paper does
#: not say, it is taken so.
_LIVING_AND_REMNANTS = "living stars and remnants"

_TABLE = (
    Relation(
        name="bell2003",
        reference="Bell, McIntosh, Katz & Weinberg 2003",
        bibcode="2003ApJS..149..289B",
        models="PEGASE fits to SDSS + 2MASS galaxies (an empirical mean relation)",
        imf="'diet' Salpeter from 0.1 Msun: 0.7 of the mass of Salpeter at equal light",
        chabrier_offset=-0.09,
        chabrier_source=(
            "0.7 by definition (-0.155 dex) and Salpeter to Chabrier -0.24 dex, both with "
            "remnants at equal light of turn-off stars, recomputed in the tests; the paper's "
            "own -0.15 dex is for other IMFs (Kroupa, Kennicutt)"
        ),
        remnants=f"{_LIVING_AND_REMNANTS} (taken so)",
        scatter=0.1,
        scatter_source="the paper's caption: about 0.1 dex in the optical",
        solar_magnitudes=MappingProxyType({"u": 6.41, "g": 5.15, "r": 4.67, "i": 4.56, "z": 4.53}),
        solar_source="the paper",
        coefficients=published.BELL2003,
        checked="two public transcriptions of all, a third of g, r and i, that agree",
    ),
    Relation(
        name="zibetti2009",
        reference="Zibetti, Charlot & Rix 2009",
        bibcode="2009MNRAS.400.1181Z",
        models="library of 50 000 histories with dust, CB07 spectra (brighter TP-AGB)",
        imf="Chabrier 0.1-100 Msun",
        chabrier_offset=0.0,
        chabrier_source="the same IMF",
        remnants=_LIVING_AND_REMNANTS,
        scatter=0.12,
        scatter_source="the abstract: 30 % at any pixel, from the scatter of the models",
        solar_magnitudes=_BLANTON_ROWEIS,
        solar_source="Blanton & Roweis 2007, implied by the coefficients to 0.01 mag",
        coefficients=published.ZIBETTI2009,
        checked="two public transcriptions that agree; slopes differ by 0.4 as they must",
    ),
    Relation(
        name="taylor2011",
        reference="Taylor et al. 2011 (GAMA)",
        bibcode="2011MNRAS.418.1587T",
        models="BC03 fits to GAMA galaxies at z < 0.65 (an empirical mean relation)",
        imf="Chabrier 0.1-100 Msun",
        chabrier_offset=0.0,
        chabrier_source="the same IMF",
        remnants=_LIVING_AND_REMNANTS,
        scatter=0.1,
        scatter_source="the paper: better than 0.1 dex (1 sigma)",
        solar_magnitudes=MappingProxyType({"i": 4.58}),
        solar_source="the paper",
        coefficients=published.TAYLOR2011,
        checked="equation 8 of the paper, log M = 1.15 + 0.70 (g-i) - 0.4 M_i",
    ),
    Relation(
        name="into_portinari2013",
        reference="Into & Portinari 2013, disc galaxies",
        bibcode="2013MNRAS.430.2715I",
        models="Padova isochrones with TP-AGB, templates of disc galaxies",
        imf="Kroupa (1998) 0.1-100 Msun",
        chabrier_offset=-0.05,
        chabrier_source="the usual -0.05 dex (Tortora et al. 2009)",
        remnants=f"{_LIVING_AND_REMNANTS} (taken so)",
        scatter=0.1,
        scatter_source="assumed: as in the other relations",
        solar_magnitudes=_BLANTON_ROWEIS,
        solar_source="Blanton & Roweis 2007 (assumed)",
        coefficients=published.INTO_PORTINARI2013,
        checked=(
            "two later papers' tables, one for r and one for i; both rows imply the r-i of "
            "galaxies. The paper's other colors and bands could not be checked and are left out"
        ),
    ),
    Relation(
        name="roediger_courteau2015_bc03",
        reference="Roediger & Courteau 2015, BC03 models",
        bibcode="2015MNRAS.452.3209R",
        models="library of histories with dust, BC03 spectra",
        imf="Chabrier 0.1-100 Msun",
        chabrier_offset=0.0,
        chabrier_source="the same IMF",
        remnants=_LIVING_AND_REMNANTS,
        scatter=0.12,
        scatter_source="the abstract: 0.1-0.14 dex",
        solar_magnitudes=_BLANTON_ROWEIS,
        solar_source="Blanton & Roweis 2007, implied exactly by the coefficients",
        coefficients=published.ROEDIGER_COURTEAU2015_BC03,
        checked="two public transcriptions that agree; slopes differ by exactly 0.4",
    ),
    Relation(
        name="roediger_courteau2015_fsps",
        reference="Roediger & Courteau 2015, FSPS models",
        bibcode="2015MNRAS.452.3209R",
        models="library of histories with dust, FSPS spectra (brighter TP-AGB)",
        imf="Chabrier 0.1-100 Msun",
        chabrier_offset=0.0,
        chabrier_source="the same IMF",
        remnants=_LIVING_AND_REMNANTS,
        scatter=0.12,
        scatter_source="the abstract: 0.1-0.14 dex",
        # The coefficients imply g-r = 0.41 for the Sun where the BC03 ones imply 0.48:
        # FSPS of that time had another Sun in g, and L_g must be in its units.
        solar_magnitudes=MappingProxyType({**_BLANTON_ROWEIS, "g": 5.05}),
        solar_source="Blanton & Roweis 2007, in g what the coefficients imply",
        coefficients=published.ROEDIGER_COURTEAU2015_FSPS,
        checked=(
            "one public transcription, a second for M/L_r and M/L_i; slopes differ by exactly 0.4"
        ),
    ),
)

#: The relations by name.
RELATIONS: Mapping[str, Relation] = MappingProxyType({r.name: r for r in _TABLE})


def get_relation(name: str) -> Relation:
    """Return the relation of a name.

    Examples
    --------
    >>> from picasssso.estimators._mass_to_light.relations import get_relation
    >>> get_relation("zibetti2009").scatter
    0.12
    """
    if isinstance(name, str) and name in RELATIONS:
        return RELATIONS[name]
    raise InvalidInputError(
        f"relation={name!r}: expected one of {', '.join(map(repr, (*RELATIONS, 'sps')))}."
    )
