"""How simulations lay out their files: names of data sets and of attributes with units.

References: EAGLE (The EAGLE team 2017, arXiv:1706.09899), Illustris and IllustrisTNG
(https://www.illustris-project.org and https://www.tng-project.org, data specifications),
SWIFT (Schaller et al. 2024, MNRAS 530, 2378), Magneticum (Dolag et al. 2025; Gadget-3).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from picasssso.exceptions import FileFormatError

if TYPE_CHECKING:
    import h5py

Names = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Layout:
    """Where a simulation keeps what.

    ``defaults``: kinds of quantity to (unit in cgs, exponent of the scale factor, exponent of
    h), used where the attributes are missing.
    """

    name: str
    stars: Names
    gas: Names
    attributes: tuple[str, str, str]
    defaults: Mapping[str, tuple[float, float, float]] = field(
        default_factory=lambda: MappingProxyType({})
    )
    fixed: Mapping[str, tuple[float, float, float]] = field(
        default_factory=lambda: MappingProxyType({})
    )
    metal_masses: bool = False


def _names(text: str) -> Names:
    """Return what is called by which names: ``what=name|other name``, separated by spaces."""
    pairs = (pair.split("=") for pair in text.split())
    return {what: tuple(names.split("|")) for what, names in pairs}


_MSUN_PER_YEAR = (1.98841e33 / 3.15576e7, 0.0, 0.0)

EAGLE = Layout(
    name="EAGLE",
    stars=_names(
        "position=Coordinates mass=Mass initial_mass=InitialMass "
        "formation=StellarFormationTime metallicity=SmoothedMetallicity|Metallicity "
        "velocity=Velocity"
    ),
    gas=_names(
        "position=Coordinates mass=Mass metallicity=SmoothedMetallicity|Metallicity "
        "rate=StarFormationRate density=Density temperature=Temperature "
        "hydrogen=SmoothedElementAbundance/Hydrogen|ElementAbundance/Hydrogen"
    ),
    attributes=("CGSConversionFactor", "aexp-scale-exponent", "h-scale-exponent"),
)

ILLUSTRIS = Layout(
    name="Illustris",
    stars=_names(
        "position=Coordinates mass=Masses initial_mass=GFM_InitialMass "
        "formation=GFM_StellarFormationTime metallicity=GFM_Metallicity "
        "velocity=Velocities"
    ),
    gas=_names(
        "position=Coordinates mass=Masses metallicity=GFM_Metallicity "
        "rate=StarFormationRate density=Density energy=InternalEnergy "
        "electrons=ElectronAbundance neutral=NeutralHydrogenAbundance elements=GFM_Metals"
    ),
    attributes=("to_cgs", "a_scaling", "h_scaling"),
    # Many files of this family say nothing of units; the releases' pages do.
    defaults={
        "length": (3.085678e21, 1.0, -1.0),
        "mass": (1.989e43, 0.0, -1.0),
        "density": (1.989e43 / 3.085678e21**3, -3.0, 2.0),
        "energy": (1e10, 0.0, 0.0),
        "velocity": (1e5, 0.5, 0.0),
        "rate": _MSUN_PER_YEAR,
    },
    # IllustrisTNG's files give it a unit of Msun/yr whose number varies between releases.
    fixed={"rate": _MSUN_PER_YEAR},
)

SWIFT = Layout(
    name="SWIFT",
    stars=_names(
        "position=Coordinates mass=Masses initial_mass=InitialMasses "
        "formation=BirthScaleFactors "
        "metallicity=MetalMassFractions|SmoothedMetalMassFractions velocity=Velocities"
    ),
    gas=_names(
        "position=Coordinates mass=Masses "
        "metallicity=MetalMassFractions|SmoothedMetalMassFractions "
        "rate=StarFormationRates density=Densities temperature=Temperatures "
        "hydrogen=ElementMassFractions/Hydrogen "
        "elements=ElementMassFractions|SmoothedElementMassFractions "
        "species=SpeciesFractions"
    ),
    attributes=(
        "Conversion factor to CGS (not including cosmological corrections)",
        "a-scale exponent",
        "h-scale exponent",
    ),
)

MAGNETICUM = Layout(
    name="Magneticum",
    stars=_names(
        "position=Coordinates mass=Mass initial_mass=InitialMass "
        "formation=StellarFormationTime metallicity=Metallicity velocity=Velocity"
    ),
    gas=_names(
        "position=Coordinates mass=Mass metallicity=Metallicity rate=StarFormationRate "
        "density=Density temperature=Temperature"
    ),
    attributes=("CGSConversionFactor", "aexp-scale-exponent", "h-scale-exponent"),
    # Gadget-3 writes Msun/yr; cut-outs are found whose attributes say 1e10 Msun/h/yr, with
    # which gas would be used up within a year.
    fixed={"rate": _MSUN_PER_YEAR},
    metal_masses=True,
)

#: Names to layouts.
LAYOUTS = MappingProxyType(
    {layout.name: layout for layout in (EAGLE, ILLUSTRIS, SWIFT, MAGNETICUM)}
)


def recognize(file: h5py.File, path: str) -> Layout:
    """Return the layout of a file."""
    if "PartType4" not in file:
        raise FileFormatError(
            f"{path} has no group PartType4 (star particles); its groups are "
            f"{', '.join(sorted(file)) or 'none'}. Expected a snapshot of EAGLE, "
            "Illustris/IllustrisTNG/CAMELS, SWIFT or Magneticum."
        )
    stars = file["PartType4"]
    if any(name.startswith("GFM_") for name in stars):
        return ILLUSTRIS
    if "BirthScaleFactors" in stars:
        return SWIFT
    if "StellarFormationTime" in stars:
        metallicity = stars.get("Metallicity")
        if metallicity is not None and len(getattr(metallicity, "shape", ())) == 2:
            return MAGNETICUM
        return EAGLE
    raise FileFormatError(
        f"{path}: the layout of PartType4 is not known; it holds {', '.join(sorted(stars))}. "
        "Expected formation times called StellarFormationTime (EAGLE, Magneticum), "
        "GFM_StellarFormationTime (Illustris) or BirthScaleFactors (SWIFT)."
    )
