"""The published color-mass-to-light relations, of which the package's data hold the numbers.

Each is log10(M/L) = a + b color in solar units, with the color and luminosity in the
rest frame and in AB magnitudes through the SDSS bands. Whatever IMF a paper used, what
`Relation.log_mass_to_light` gives out is on Chabrier 0.1-100 Msun, living stars and
remnants. What the numbers were checked against stands with them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from picasssso.estimators._mass_to_light.literature import color_ranges, literature
from picasssso.exceptions import InvalidInputError

FloatArray = npt.NDArray[np.floating]

#: For each color, for each luminosity band: intercept and slope of log10 M/L.
Coefficients = Mapping[tuple[str, str], Mapping[str, tuple[float, float]]]


#: Rest-frame colors (mag) that normal galaxies have: beyond them a color is held and flagged.
COLOR_RANGES = color_ranges("rest_colors")


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


def _relation(content: Mapping[str, Any]) -> Relation:
    """Make a relation from what the package's data say of it."""
    coefficients = {
        (color[0], color[2]): MappingProxyType({band: (a, b) for band, (a, b) in row.items()})
        for color, row in content["coefficients"].items()
    }
    return Relation(**{**content, "coefficients": MappingProxyType(coefficients)})


#: The relations by name.
RELATIONS: Mapping[str, Relation] = MappingProxyType(
    {content["name"]: _relation(content) for content in literature()["relation"]}
)


def get_relation(name: str) -> Relation:
    """Return the relation of a name."""
    if isinstance(name, str) and name in RELATIONS:
        return RELATIONS[name]
    raise InvalidInputError(
        f"relation={name!r}: expected one of {', '.join(map(repr, (*RELATIONS, 'sps')))}."
    )
