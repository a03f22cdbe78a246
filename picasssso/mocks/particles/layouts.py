"""How simulations lay out their files, and which of them a file is of."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

from picasssso._core.safe_files import packaged_text
from picasssso.exceptions import FileFormatError

if TYPE_CHECKING:
    import h5py

Names = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Layout:
    """Where a simulation keeps what.

    ``defaults``: kinds of quantity to (unit in cgs, exponent of the scale factor, exponent of
    h), used where the attributes are missing; ``fixed``: used where they are wrong.
    """

    name: str
    stars: Names
    gas: Names
    attributes: Sequence[str]
    defaults: Mapping[str, Sequence[float]] = field(default_factory=dict)
    fixed: Mapping[str, Sequence[float]] = field(default_factory=dict)
    metal_masses: bool = False


@lru_cache(maxsize=1)
def layouts() -> Mapping[str, Layout]:
    """Return the layouts by the names of simulations, from the package's data."""
    known = tomllib.loads(packaged_text("simulations.toml"))
    return {name: Layout(name=name, **layout) for name, layout in known.items()}


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
        return layouts()["Illustris"]
    if "BirthScaleFactors" in stars:
        return layouts()["SWIFT"]
    if "StellarFormationTime" in stars:
        metallicity = stars.get("Metallicity")
        if metallicity is not None and len(getattr(metallicity, "shape", ())) == 2:
            return layouts()["Magneticum"]
        return layouts()["EAGLE"]
    raise FileFormatError(
        f"{path}: the layout of PartType4 is not known; it holds {', '.join(sorted(stars))}. "
        "Expected formation times called StellarFormationTime (EAGLE, Magneticum), "
        "GFM_StellarFormationTime (Illustris) or BirthScaleFactors (SWIFT)."
    )
