"""What the networks give out: the order of properties, their logarithms and their floors.

Everything is learned as a base-10 logarithm. Star formation is learned per stellar mass
and neutral hydrogen per gas, so that a wrong mass does not count twice.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from picasssso._core.constants import HELIUM
from picasssso.pairs.sums import TrueSums

__all__ = ["OUTPUTS", "OUTPUT_NAMES", "Output", "Targets", "make_targets"]


@dataclass(frozen=True)
class Output:
    """How one property is learned.

    Parameters
    ----------
    name : str
        Name of `picasssso.properties.PROPERTIES`.
    centre : float
        A typical log10 of it, or of its ratio to ``parent``.
    spread : float
        About how well it can be known, in dex: errors count relative to this.
    floor : float
        Lower values are not told apart. What may be absent (``has_occupancy``) counts as
        absent below it.
    parent : str or None
        The property that it is learned as a ratio to.
    has_occupancy : bool
        Whether it can be absent, so that a probability of being there is learned.
    offset : float
        Added before the logarithm is taken.
    carrier : str
        The surface density without which it has no meaning.
    comes_with : str or None
        The property that it is absent with, if it can be absent and no probability of its own
        is learned.
    """

    name: str
    centre: float
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


@dataclass(frozen=True)
class Targets:
    """What a network should say.

    Parameters
    ----------
    log_value : Tensor
        Log10 of the properties, of shape (n, 8, y, x), in the order of `OUTPUTS`.
    present : Tensor of bool
        Whether there is any, of the same shape: where not, the logarithm means nothing.
    known : Tensor of bool
        Whether it is known if there is any, of the same shape.
    """

    log_value: torch.Tensor
    present: torch.Tensor
    known: torch.Tensor

    def held_together(self) -> torch.Tensor:
        """Return what is present where what comes with something else is absent with it.

        Returns
        -------
        Tensor of bool
            Like ``present``; no dust where there is known to be no gas.
        """
        present = self.present.clone()
        for k, output in enumerate(OUTPUTS):
            if output.comes_with is not None:
                parent = OUTPUT_NAMES.index(output.comes_with)
                present[:, k] &= self.present[:, parent] | ~self.known[:, parent]
        return present


def make_targets(sums: torch.Tensor) -> Targets:
    """Return targets from what true maps are made of.

    Parameters
    ----------
    sums : Tensor
        Of shape (n, 9, y, x), as `picasssso.pairs.sums.TrueSums` holds; NaN where the
        truth is not known.

    Returns
    -------
    Targets
        Logarithms of the eight properties, and where they are defined.

    Examples
    --------
    >>> import torch
    >>> from picasssso.networks.outputs import make_targets
    >>> targets = make_targets(torch.full((1, 9, 2, 2), 1e6))
    >>> targets.log_value.shape, bool(targets.present[:, 0].all())
    (torch.Size([1, 8, 2, 2]), True)
    """
    properties = TrueSums(sums).properties()
    logs, present, known = [], [], []
    for output in OUTPUTS:
        value = properties[output.name]
        enough = properties[output.carrier] >= _FLOORS[output.carrier]
        if output.has_occupancy:
            enough = value >= output.floor
        elif output.name == "stellar_mass":
            # Never absent: below the floor it counts as the floor.
            enough = torch.ones_like(enough)
        there = ~torch.isnan(value)
        value = torch.nan_to_num(value, nan=0.0) + output.offset
        logs.append(torch.log10(value.clamp(min=max(output.floor, 1e-30))))
        present.append(enough & there)
        known.append(there)
    return Targets(torch.stack(logs, 1), torch.stack(present, 1), torch.stack(known, 1))


_FLOORS = {output.name: output.floor for output in OUTPUTS}

#: Largest part of the gas that neutral hydrogen can be, without helium.
LOG_LARGEST_HYDROGEN = -float(torch.log10(torch.tensor(HELIUM)))
