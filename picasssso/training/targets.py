"""Targets of training, computed from the additive quantities of true maps."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from picasssso.networks.outputs import OUTPUT_NAMES, OUTPUTS
from picasssso.pairs.truth import TrueSums

_FLOORS = {output.name: output.floor for output in OUTPUTS}


@dataclass(frozen=True)
class Targets:
    """Targets of a network.

    ``log_value``: log10 of the properties, of shape (n, 8, y, x), in the order of `OUTPUTS`, valid
    where the property is present; ``present``: whether it is present, of the same shape;
    ``known``: whether its presence is known, of the same shape.
    """

    log_value: torch.Tensor
    present: torch.Tensor
    known: torch.Tensor

    def held_together(self) -> torch.Tensor:
        """Return presence; a property is absent where the one it depends on is absent."""
        present = self.present.clone()
        for k, output in enumerate(OUTPUTS):
            if output.comes_with is not None:
                parent = OUTPUT_NAMES.index(output.comes_with)
                present[:, k] &= self.present[:, parent] | ~self.known[:, parent]
        return present


def make_targets(truth: TrueSums) -> Targets:
    """Return targets from the additive quantities of true maps; NaN: unknown."""
    properties = truth.properties()
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
