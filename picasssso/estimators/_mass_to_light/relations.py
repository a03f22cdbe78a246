"""The published color-mass-to-light relations: the one table of them.

Each is log10(M/L) = a + b color in solar units, with the color and luminosity in the
rest frame and in AB magnitudes through the SDSS bands. Whatever IMF a paper used, what
`Relation.log_mass_to_light` gives out is on Chabrier 0.1-100 Msun, living stars and
remnants. The coefficients are published numbers, retyped; what each was checked against stands
with the relation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from picasssso.exceptions import InvalidInputError

FloatArray = npt.NDArray[np.floating]

#: For each color, for each luminosity band: intercept and slope of log10 M/L.
Coefficients = Mapping[tuple[str, str], Mapping[str, tuple[float, float]]]


def parse_coefficients(table: str) -> Coefficients:
    r"""Read a table of coefficients.

    Returns ``coefficients[("g", "i")]["r"]`` is ``(intercept, slope)``.
    """
    header, *lines = table.strip().splitlines()
    bands = header.split()
    rows = {}
    for line in lines:
        label, *values = line.split()
        if len(values) != 2 * len(bands):
            raise ValueError(f"{line!r} has {len(values)} values for {len(bands)} bands")
        blue, _, red = label.partition("-")
        pairs = zip(bands, values[::2], values[1::2], strict=True)
        rows[blue, red] = MappingProxyType(
            {band: (float(a), float(b)) for band, a, b in pairs if a != "-"}
        )
    return MappingProxyType(rows)


#: Bell et al. (2003), table 7, SDSS part.
BELL2003 = parse_coefficients(
    """
        g             r             i             z
u-g  -0.221 0.485  -0.099 0.345  -0.053 0.268  -0.105 0.226
u-r  -0.390 0.417  -0.223 0.299  -0.151 0.233  -0.178 0.192
u-i  -0.375 0.359  -0.212 0.257  -0.144 0.201  -0.171 0.165
u-z  -0.400 0.332  -0.232 0.239  -0.161 0.187  -0.179 0.151
g-r  -0.499 1.519  -0.306 1.097  -0.222 0.864  -0.223 0.689
g-i  -0.379 0.914  -0.220 0.661  -0.152 0.518  -0.175 0.421
g-z  -0.367 0.698  -0.215 0.508  -0.153 0.402  -0.171 0.322
r-i  -0.106 1.982  -0.022 1.431   0.006 1.114  -0.052 0.923
r-z  -0.124 1.067  -0.041 0.780  -0.018 0.623  -0.041 0.463
"""
)

#: Zibetti, Charlot & Rix (2009), table B1, SDSS part.
ZIBETTI2009 = parse_coefficients(
    """
        g             r             i             z
u-g  -1.628 1.360  -1.319 1.093  -1.277 0.980  -1.315 0.913
u-r  -1.427 0.835  -1.157 0.672  -1.130 0.602  -1.181 0.561
u-i  -1.468 0.716  -1.193 0.577  -1.160 0.517  -1.206 0.481
u-z  -1.559 0.658  -1.268 0.531  -1.225 0.474  -1.260 0.439
g-r  -1.030 2.053  -0.840 1.654  -0.845 1.481  -0.914 1.382
g-i  -1.197 1.431  -0.977 1.157  -0.963 1.032  -1.019 0.955
g-z  -1.370 1.190  -1.122 0.965  -1.089 0.858  -1.129 0.791
r-i  -1.405 4.280  -1.155 3.482  -1.114 3.087  -1.145 2.828
r-z  -1.576 2.490  -1.298 2.032  -1.238 1.797  -1.250 1.635
"""
)

#: Taylor et al. (2011), equation 7.
TAYLOR2011 = parse_coefficients(
    """
        i
g-i  -0.68 0.70
"""
)

#: Into & Portinari (2013), templates of disk galaxies; the rows that could be checked.
INTO_PORTINARI2013 = parse_coefficients(
    """
        r             i
g-r  -0.663 1.530     -     -
g-i  -0.702 1.098  -0.669 0.985
"""
)

#: Roediger & Courteau (2015), appendix, stellar populations of Bruzual & Charlot (2003).
ROEDIGER_COURTEAU2015_BC03 = parse_coefficients(
    """
        g             r             i             z
g-r  -0.984 2.029  -0.792 1.629  -0.771 1.438  -0.796 1.306
g-i  -1.067 1.379  -0.861 1.110  -0.831 0.979  -0.848 0.886
g-z  -1.132 1.116  -0.916 0.900  -0.878 0.793  -0.888 0.716
r-i  -1.170 4.107  -0.952 3.325  -0.908 2.925  -0.912 2.634
r-z  -1.211 2.322  -0.987 1.883  -0.937 1.655  -0.935 1.483
i-z  -1.212 5.164  -0.991 4.201  -0.939 3.683  -0.931 3.283
"""
)

#: Roediger & Courteau (2015), appendix, stellar populations of FSPS.
ROEDIGER_COURTEAU2015_FSPS = parse_coefficients(
    """
        g             r             i             z
g-r  -0.811 1.897  -0.647 1.497  -0.602 1.281  -0.583 1.102
g-i  -0.805 1.231  -0.644 0.973  -0.597 0.831  -0.576 0.713
g-z  -0.764 0.942  -0.612 0.744  -0.568 0.634  -0.548 0.542
r-i  -0.745 3.374  -0.600 2.675  -0.556 2.275  -0.537 1.940
r-z  -0.670 1.795  -0.539 1.421  -0.502 1.206  -0.487 1.021
i-z  -0.550 3.709  -0.443 2.933  -0.419 2.484  -0.411 2.084
"""
)

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
        """Return log10(M/L) on Chabrier 0.1-100 Msun. ``value``: rest-frame AB color, mag."""
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
        coefficients=BELL2003,
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
        coefficients=ZIBETTI2009,
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
        coefficients=TAYLOR2011,
        checked="equation 8 of the paper, log M = 1.15 + 0.70 (g-i) - 0.4 M_i",
    ),
    Relation(
        name="into_portinari2013",
        reference="Into & Portinari 2013, disk galaxies",
        bibcode="2013MNRAS.430.2715I",
        models="Padova isochrones with TP-AGB, templates of disk galaxies",
        imf="Kroupa (1998) 0.1-100 Msun",
        chabrier_offset=-0.05,
        chabrier_source="the usual -0.05 dex (Tortora et al. 2009)",
        remnants=f"{_LIVING_AND_REMNANTS} (taken so)",
        scatter=0.1,
        scatter_source="assumed: as in the other relations",
        solar_magnitudes=_BLANTON_ROWEIS,
        solar_source="Blanton & Roweis 2007 (assumed)",
        coefficients=INTO_PORTINARI2013,
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
        coefficients=ROEDIGER_COURTEAU2015_BC03,
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
        coefficients=ROEDIGER_COURTEAU2015_FSPS,
        checked=(
            "one public transcription, a second for M/L_r and M/L_i; slopes differ by exactly 0.4"
        ),
    ),
)

#: The relations by name.
RELATIONS: Mapping[str, Relation] = MappingProxyType({r.name: r for r in _TABLE})


def get_relation(name: str) -> Relation:
    """Return the relation of a name."""
    if isinstance(name, str) and name in RELATIONS:
        return RELATIONS[name]
    raise InvalidInputError(
        f"relation={name!r}: expected one of {', '.join(map(repr, (*RELATIONS, 'sps')))}."
    )
