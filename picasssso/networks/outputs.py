"""Outputs of the networks: order of properties, logarithms and lower limits.

All properties are learned as base-10 logarithms, star formation relative to stellar mass and
neutral hydrogen relative to gas, so that an error in mass does not count twice.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from picasssso._core.constants import HELIUM


@dataclass(frozen=True)
class Output:
    """How one property is learned; errors count relative to ``spread``, in dex."""

    name: str
    center: float
    spread: float
    floor: float
    parent: str | None = None
    has_occupancy: bool = False
    offset: float = 0.0
    carrier: str = "stellar_mass"
    comes_with: str | None = None

    @property
    def can_be_absent(self) -> bool:
        """Whether a pixel may have none of it."""
        return self.has_occupancy or self.comes_with is not None


#: In the order of the networks' channels. Floors in the property's own unit: 1e3 Msun/kpc2
#: of stars is a V surface brightness of about 35 mag/arcsec2; gas below 1e4 Msun/kpc2 (1e18
#: atoms/cm2) and star formation below 1e-6 Msun/yr/kpc2 are seen by no survey. Without gas
#: there is no dust.
OUTPUTS = (
    Output("stellar_mass", 6.5, 0.10, 1e3),
    Output("stellar_metallicity", -2.0, 0.15, 1e-5),
    Output("stellar_age", 0.8, 0.10, 1e-2),
    Output("sfr", -10.3, 0.30, 1e-6, parent="stellar_mass", has_occupancy=True),
    Output("gas_mass", 6.5, 0.25, 1e4, has_occupancy=True, carrier="gas_mass"),
    Output("gas_metallicity", -1.9, 0.10, 1e-5, carrier="gas_mass"),
    Output("hi_mass", -0.4, 0.10, 1e4, parent="gas_mass", has_occupancy=True, carrier="gas_mass"),
    Output("attenuation_v", -0.8, 0.20, 0.0, offset=0.02, comes_with="gas_mass"),
)

OUTPUT_NAMES = tuple(output.name for output in OUTPUTS)

#: Largest part of the gas that neutral hydrogen can be, without helium.
LOG_LARGEST_HYDROGEN = -float(torch.log10(torch.tensor(HELIUM)))
