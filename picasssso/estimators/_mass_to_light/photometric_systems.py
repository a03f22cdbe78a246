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
from typing import Any

import numpy as np
import numpy.typing as npt

from picasssso.estimators._mass_to_light.literature import color_ranges, literature

FloatArray = npt.NDArray[np.floating]

#: Observed colors (mag) of galaxies at 0 < z < 0.5. Color terms and k-corrections are
#: polynomials: beyond these colors they are held at the limit.
OBSERVED_COLORS = color_ranges("observed_colors")


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


def _system(content: Mapping[str, Any]) -> PhotometricSystem:
    """Make a system from what the package's data say of it."""
    terms = {
        letter: ColorTerm(constant, (pair[0], pair[1]), linear, quadratic, scatter)
        for letter, (constant, pair, linear, quadratic, scatter) in content.get(
            "terms", {}
        ).items()
    }
    return PhotometricSystem(**{**content, "terms": terms, "prefixes": tuple(content["prefixes"])})


#: The systems that are known, those preferred first.
SYSTEMS = tuple(_system(content) for content in literature()["system"])


def find_system(band: str) -> PhotometricSystem | None:
    """Return the photometric system of a band."""
    prefix = band.rpartition("-")[0]
    for system in SYSTEMS:
        if prefix in system.prefixes:
            return system
    return None
