"""Bringing magnitudes of other surveys to the SDSS bands, AB, by published color terms.

A relation names bands by their role in it (SDSS g, r, i ...). Images from another survey
play such a role after a color term: SDSS x = x + constant + linear (y - z) + quadratic
(y - z)^2 in that survey's observed, not rest-frame, colors. Most terms were measured on
stars and end at SDSS magnitudes as cataloged, which are not quite AB; the offsets of
Blanton & Roweis (2007) finish the way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.floating]

#: Observed colors (mag) of galaxies at 0 < z < 0.5, rounded outwards. Color terms and
#: k-corrections are polynomials: beyond these colors they are held at the limit.
OBSERVED_COLORS: Mapping[tuple[str, str], tuple[float, float]] = MappingProxyType(
    {
        ("u", "g"): (0.0, 3.5),
        ("u", "r"): (0.3, 4.7),
        ("u", "i"): (0.3, 5.8),
        ("u", "z"): (0.3, 6.4),
        ("g", "r"): (-0.2, 2.3),
        ("g", "i"): (-0.2, 3.4),
        ("g", "z"): (-0.2, 4.0),
        ("r", "i"): (-0.2, 1.3),
        ("r", "z"): (-0.2, 1.9),
        ("i", "z"): (-0.3, 0.9),
    }
)

#: AB magnitude minus cataloged SDSS magnitude (Blanton & Roweis 2007, kcorrect).
_SDSS_TO_AB = MappingProxyType({"u": -0.036, "g": 0.012, "r": 0.010, "i": 0.028, "z": 0.040})


@dataclass(frozen=True)
class ColorTerm:
    """What to add to a survey's magnitude.

    ``constant``: in mag; ``quadratic``: factor of its square, mag^-1; ``scatter``: RMS of the
    term, mag.
    """

    constant: float
    color: tuple[str, str]
    linear: float
    quadratic: float
    scatter: float

    def __call__(self, magnitudes: Mapping[str, FloatArray]) -> FloatArray:
        low, high = OBSERVED_COLORS[self.color]
        blue, red = self.color
        color = np.clip(magnitudes[blue] - magnitudes[red], low, high)
        return self.constant + color * (self.linear + color * self.quadratic)


@dataclass(frozen=True, eq=False)
class PhotometricSystem:
    """A survey's bands and their way to SDSS AB.

    ``ab_offsets``: added after the term to make SDSS magnitudes AB, mag.
    """

    name: str
    prefixes: tuple[str, ...]
    terms: Mapping[str, ColorTerm]
    reference: str
    from_sdss: bool = False
    ab_offsets: Mapping[str, float] = field(default_factory=dict)

    @property
    def is_sdss(self) -> bool:
        """Whether these are the SDSS bands themselves."""
        return not self.terms

    def needed(self, letters: set[str]) -> set[str] | None:
        """Return the bands needed to have some SDSS bands."""
        if self.is_sdss:
            return set(letters)
        if not letters <= set(self.terms):
            return None
        found = set(letters)
        for letter in letters:
            found |= set(self.terms[letter].color)
        if self.from_sdss and found != set(letters):
            # An inverted term needs the other SDSS band, and so what that one needs.
            return self.needed(found)
        return found

    def to_sdss(self, magnitudes: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
        """Bring magnitudes to the SDSS bands, AB."""
        if self.is_sdss:
            return dict(magnitudes)
        terms = {
            letter: self.terms[letter]
            for letter in magnitudes
            if letter in self.terms and set(self.terms[letter].color) <= set(magnitudes)
        }
        if not self.from_sdss:
            return {
                letter: magnitudes[letter] + term(magnitudes) + self.ab_offsets.get(letter, 0.0)
                for letter, term in terms.items()
            }
        # m = s + term(s): the terms are small and flat, so that each round gains a factor
        # of five or more; ten are exact to 1e-7 mag.
        found = {letter: np.asarray(magnitudes[letter]) for letter in terms}
        for _ in range(10):
            found = {letter: magnitudes[letter] - term(found) for letter, term in terms.items()}
        return found

    def scatter(self, letter: str) -> float:
        """Return the RMS of a band's color term, mag; 0 for SDSS."""
        return 0.0 if self.is_sdss else self.terms[letter].scatter


def _terms(**rows: tuple[float, str, float, float, float]) -> Mapping[str, ColorTerm]:
    """Make color terms from (constant, color, linear, quadratic, scatter)."""
    return MappingProxyType(
        {k: ColorTerm(c, (pair[0], pair[1]), b, q, s) for k, (c, pair, b, q, s) in rows.items()}
    )


#: The systems that are known, those preferred first.
SYSTEMS = (
    PhotometricSystem(
        name="SDSS",
        prefixes=("sdss2010", "sdss2010noatm"),
        terms=MappingProxyType({}),
        reference="none needed",
    ),
    # As quoted in public from the release's page; consistent with the inverse relations
    # given there and, to 0.02 mag, with synthetic photometry of galaxies.
    PhotometricSystem(
        name="DECam",
        prefixes=("decam2014", "decamDR1", "decamDR1noatm"),
        terms=_terms(
            g=(-0.005, "gi", 0.060, 0.0, 0.018),
            r=(0.014, "ri", 0.150, 0.0, 0.016),
            i=(-0.027, "ri", 0.167, 0.0, 0.015),
            z=(-0.024, "ri", 0.054, 0.0, 0.018),
        ),
        reference=(
            "DES DR2 transformations to SDSS DR13 (Abbott et al. 2021, 2021ApJS..255...20A and "
            "its release pages), then SDSS to AB (Blanton & Roweis 2007, 2007AJ....133..734B)"
        ),
        ab_offsets=_SDSS_TO_AB,
    ),
    # Synthetic, through AB bandpasses on both sides: no offset to add. The scatter is that
    # of stars around the fit.
    PhotometricSystem(
        name="Pan-STARRS1",
        prefixes=("panstarrs",),
        terms=_terms(
            g=(0.013, "gr", 0.145, 0.019, 0.008),
            r=(-0.001, "gr", 0.004, 0.007, 0.004),
            i=(-0.005, "gr", 0.011, 0.010, 0.004),
            z=(0.013, "gr", -0.039, -0.012, 0.010),
        ),
        reference="Tonry et al. 2012 (2012ApJ...750...99T), table 6, quadratic",
    ),
    PhotometricSystem(
        name="LSST",
        prefixes=("lsst2023", "lsst2016"),
        terms=_terms(
            g=(-0.006, "gi", 0.066, 0.0, 0.015),
            r=(-0.005, "gi", 0.007, 0.0, 0.011),
            i=(-0.020, "gi", 0.012, 0.0, 0.012),
            z=(-0.031, "gi", -0.022, 0.0, 0.017),
        ),
        reference=(
            "Rubin Observatory RTN-099 (LSSTComCam to SDSS DR18), then SDSS to AB "
            "(Blanton & Roweis 2007, 2007AJ....133..734B)"
        ),
        ab_offsets=_SDSS_TO_AB,
    ),
    # No RMS is published; 0.015 mag bounds what tests/estimators find on galaxy spectra.
    PhotometricSystem(
        name="HSC",
        prefixes=("hsc2017",),
        terms=_terms(
            g=(-0.00816446, "gr", -0.08366937, -0.00726883, 0.015),
            r=(0.00231810, "ri", 0.01284177, -0.03068248, 0.015),
            i=(0.00130204, "iz", -0.16922042, -0.01374245, 0.015),
            # Published in (z - i): the linear factor changes sign.
            z=(-0.00680620, "iz", -0.01353969, 0.01479369, 0.015),
        ),
        reference=(
            "HSC pipeline color terms from SDSS (obs_subaru; Aihara et al. 2018, "
            "2018PASJ...70S...8A), inverted"
        ),
        from_sdss=True,
    ),
)


def find_system(band: str) -> PhotometricSystem | None:
    """Return the photometric system of a band."""
    prefix = band.rpartition("-")[0]
    for system in SYSTEMS:
        if prefix in system.prefixes:
            return system
    return None
