"""A model library made ready for fitting: sorted by colour, scaled, binned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

import torch

from picasssso.estimators._grid_posterior.bins import PropertyBins, bin_ratios, bin_values
from picasssso.estimators._grid_posterior.tree import count_levels, sort_by_colour

#: Largest number of models per cell, the unit in which models are ruled out.
CELL_SIZE = 32

#: The tree is at least so deep that this many cells (or single models) can be told apart.
FINEST = 1024

#: Colours fainter than this part of a model's typical flux do not shape the cells.
FAINTEST = 1e-4

#: Fluxes of zero are lifted to this part of a model's typical flux, so that no sum of
#: squares vanishes.
_LIFT = 1e-8


@dataclass(frozen=True)
class SortedLibrary:
    """Models in the order of the colour tree, each scaled to a brightness of about one.

    Slots are places in that order. A few models stand twice, to fill all cells; the
    second has ``count`` 0.
    """

    model: torch.Tensor
    count: torch.Tensor
    flux: torch.Tensor
    ratios: torch.Tensor
    ratio_units: tuple[float, ...]
    values: torch.Tensor
    edge: torch.Tensor
    levels: int

    @property
    def n_slots(self) -> int:
        """Number of slots (int)."""
        return len(self.model)

    @property
    def n_models(self) -> int:
        """Number of models (int)."""
        return int(self.count.sum())

    def to(self, device: torch.device) -> SortedLibrary:
        """Return the library on a device."""
        tensors = {
            f.name: getattr(self, f.name).to(device)
            for f in fields(self)
            if isinstance(getattr(self, f.name), torch.Tensor)
        }
        return replace(self, **tensors)

    @classmethod
    def build(
        cls,
        flux: torch.Tensor,
        amplitude_scaled: Mapping[str, torch.Tensor],
        intensive: Mapping[str, torch.Tensor],
        edge: torch.Tensor | None,
    ) -> SortedLibrary:
        """Sort and scale models (all arguments float64 on the CPU)."""
        n = len(flux)
        typical = flux.mean(1, keepdim=True)
        logarithm = torch.log(torch.maximum(flux, FAINTEST * typical))
        brightness = torch.exp(logarithm.mean(1, keepdim=True))
        flux = torch.maximum(flux / brightness, torch.tensor(_LIFT, dtype=flux.dtype))
        levels = max(count_levels(n, CELL_SIZE), count_levels(min(n, FINEST), 1))
        slots = sort_by_colour(logarithm - logarithm.mean(1, keepdim=True), levels).reshape(-1)
        model = slots % n
        ratios, units = [], []
        for values in amplitude_scaled.values():
            ratio = values / brightness[:, 0]
            positive = ratio[ratio > 0]
            unit = float(positive.median()) if len(positive) else 1.0
            ratios.append((ratio / unit)[model])
            units.append(unit)
        none = torch.zeros(0, len(model), dtype=torch.float64)
        marked = torch.zeros(n, dtype=torch.float64) if edge is None else edge.double()
        return cls(
            model=model,
            count=(slots < n).double(),
            flux=flux[model],
            ratios=torch.stack(ratios) if ratios else none,
            ratio_units=tuple(units),
            values=torch.stack([v[model] for v in intensive.values()]) if intensive else none,
            edge=marked[model],
            levels=levels,
        )


@dataclass(frozen=True)
class FineBins:
    """The bins of every property at one resolution."""

    values: tuple[PropertyBins, ...]
    ratios: tuple[PropertyBins, ...]


def make_bins(library: SortedLibrary, n_bins: int, width: float) -> FineBins:
    """Return bins of all properties (see `bin_values`, `bin_ratios`)."""
    return FineBins(
        values=tuple(bin_values(values, n_bins) for values in library.values),
        ratios=tuple(bin_ratios(ratios, width) for ratios in library.ratios),
    )


@dataclass(frozen=True)
class Cells:
    """Groups of neighbouring slots, with what bounds their members."""

    center: torch.Tensor
    square: torch.Tensor
    radius2: torch.Tensor
    size: int


def make_cells(library: SortedLibrary, size: int) -> Cells:
    """Cut the slots into cells of at most ``size`` members."""
    n_cells = 1 << min(library.levels, count_levels(library.n_slots, size))
    members = library.flux.reshape(n_cells, -1, library.flux.shape[1])
    middle = members.mean(1, keepdim=True)
    nearest = ((members - middle) / middle).square().sum(2).argmin(1)
    center = members[torch.arange(n_cells), nearest]
    radius2 = (members - center[:, None]).square().amax(1)
    return Cells(center, center.square(), radius2, members.shape[1])
