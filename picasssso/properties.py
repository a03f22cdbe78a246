"""The physical properties that maps can hold: the one table of names and units.

Everything in picasssso that needs a property's unit, definition or weight asks this
table. A plugin brings its own `Property`; maps and files carry the definition along.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import astropy.units as u

from picasssso.exceptions import InvalidInputError

__all__ = ["PROPERTIES", "Property"]

#: The two kinds: integrated over area, or averaged with a weight.
KINDS = ("surface_density", "intensive")


@dataclass(frozen=True)
class Property:
    """Definition of one mapped property.

    Parameters
    ----------
    name : str
        Lower-case identifier, also the name of its planes in files.
    unit : `~astropy.units.UnitBase`
        Unit of the map, a linear physical unit.
    kind : {"surface_density", "intensive"}
        Surface densities are integrated over area; intensive properties are averaged.
    weight : str or None
        Name of the surface density that weights the average of an intensive property.
        None: weighted by area.
    label : str
        Short label for plots, without the unit.
    definition : str
        Exact definition.
    color_map : str
        Matplotlib color map used by default.

    Raises
    ------
    InvalidInputError
        If the name is not an identifier or the kind is unknown.

    Examples
    --------
    >>> from picasssso.properties import PROPERTIES
    >>> PROPERTIES["stellar_mass"].unit
    Unit("solMass / kpc2")
    """

    name: str
    unit: u.UnitBase
    kind: str
    weight: str | None
    label: str
    definition: str
    color_map: str = field(default="viridis", compare=False)

    def __post_init__(self) -> None:
        if not self.name.isidentifier() or self.name != self.name.lower():
            raise InvalidInputError(
                f"Property name {self.name!r} cannot be used: expected a lower-case identifier "
                "such as 'dust_mass'."
            )
        if self.kind not in KINDS:
            raise InvalidInputError(
                f"Property {self.name!r} has kind {self.kind!r}: expected one of {KINDS}."
            )
        object.__setattr__(self, "unit", u.Unit(self.unit))

    @property
    def is_surface_density(self) -> bool:
        """Whether the property is integrated over area (bool)."""
        return self.kind == "surface_density"

    @property
    def total_unit(self) -> u.UnitBase:
        """Unit of the total over a region: the map's unit, times area if a density."""
        return self.unit * u.kpc**2 if self.is_surface_density else self.unit


_SURFACE_MASS = u.Msun / u.kpc**2
_MASS_FRACTION = u.dimensionless_unscaled

#: Name, unit, kind, weight, label, definition and color map.
_BUILT_IN = (
    (
        "stellar_mass", _SURFACE_MASS, "surface_density", None, "stellar mass",
        "living stars and remnants now (or the mass formed, where the maps' meta say so); "
        "Chabrier initial mass function 0.1-100 Msun", "inferno",
    ),
    (
        "stellar_metallicity", _MASS_FRACTION, "intensive", "stellar_mass", "stellar metallicity",
        "mass fraction of metals in stars: linear mean weighted by stellar mass", "cividis",
    ),
    (
        "stellar_age", u.Gyr, "intensive", "stellar_mass", "stellar age",
        "linear mean of stellar ages weighted by stellar mass", "viridis",
    ),
    (
        "sfr", u.Msun / u.yr / u.kpc**2, "surface_density", None, "star formation rate",
        "mass formed in the last 100 Myr divided by 100 Myr", "magma",
    ),
    (
        "gas_mass", _SURFACE_MASS, "surface_density", None, "gas mass",
        "cold gas, 1.36 (HI + H2)", "viridis",
    ),
    (
        "gas_metallicity", _MASS_FRACTION, "intensive", "gas_mass", "gas metallicity",
        "mass fraction of metals in gas: linear mean weighted by gas mass", "cividis",
    ),
    (
        "hi_mass", _SURFACE_MASS, "surface_density", None, "neutral hydrogen mass",
        "neutral atomic hydrogen without helium", "viridis",
    ),
    (
        "attenuation_v", u.mag, "intensive", None, "V attenuation",
        "-2.5 log10(attenuated / intrinsic stellar V flux), whatever the attenuation law", "Reds",
    ),
)  # fmt: skip

#: The built-in properties by name.
PROPERTIES: Mapping[str, Property] = MappingProxyType(
    {entry[0]: Property(*entry) for entry in _BUILT_IN}
)


def get_property(name: str) -> Property:
    """Return the built-in property of a name; the error lists those there are."""
    try:
        return PROPERTIES[name]
    except KeyError:
        raise InvalidInputError(
            f"Unknown property {name!r}: the built-in properties are {', '.join(PROPERTIES)}. "
            "A plugin's own property is given as a picasssso.properties.Property."
        ) from None
