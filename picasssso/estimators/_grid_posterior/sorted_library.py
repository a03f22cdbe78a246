"""A model library made ready for fitting: sorted by color, scaled, binned.

Models are sorted into a balanced tree of cells of neighbors. Weights are summed in bins of
each property before percentiles are taken. Bins belong to the library, never to a pixel or a
chunk of pixels, so that a pixel's answer does not depend on which others it is computed with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch

#: Largest number of models per cell, the unit in which models are ruled out.
CELL_SIZE = 32

#: The tree is at least so deep that this many cells (or single models) can be told apart.
FINEST = 1024

#: Colors fainter than this part of a model's typical flux do not shape the cells.
FAINTEST = 1e-4

#: Fluxes of zero are lifted to this part of a model's typical flux, so that no sum of
#: squares vanishes.
_LIFT = 1e-8

#: Bins are added up in groups of this many for the first look at a cumulative sum.
GROUP = 16

#: Ratios have fine bins down to this many dex below the largest.
_FINE = 6.0

#: Values below this part of the largest share the resolution of what is above.
_DYNAMIC_RANGE = 1e-5


def count_levels(n_models: int, cell_size: int) -> int:
    """Return how often models must be halved for cells of at most ``cell_size``."""
    cells = -(-n_models // cell_size)
    return (cells - 1).bit_length()


def _sort_by_color(color: torch.Tensor, n_levels: int) -> torch.Tensor:
    """Sort points into ``2**n_levels`` cells of equal size whose members are neighbors.

    Every cell is halved across its own principal axis, so the cells adapt to a thin,
    curved distribution in any number of dimensions. Neighboring cells lie next to each
    other in the list, and 2, 4, 8 ... of them make up larger cells.
    """
    n = len(color)
    cell_size = -(-n // 2**n_levels)
    cells = torch.arange(cell_size * 2**n_levels)[None]
    for _ in range(n_levels):
        points = color[cells % n]
        points = points - points.mean(1, keepdim=True)
        axis = torch.linalg.eigh(points.mT @ points).eigenvectors[:, :, -1:]
        # The sign of an eigenvector is the linear algebra library's choice: fix it.
        largest = torch.gather(axis, 1, axis.abs().argmax(1, keepdim=True))
        axis = torch.where(largest < 0, -axis, axis)
        order = torch.argsort((points @ axis)[:, :, 0], dim=1, stable=True)
        cells = torch.gather(cells, 1, order).reshape(2 * len(cells), -1)
    return cells


@dataclass(frozen=True)
class PropertyBins:
    """Assignment of models to bins of one property."""

    index: torch.Tensor
    edges: torch.Tensor
    centers: torch.Tensor
    n_bins: int


def _make_bins(values: torch.Tensor, coordinate: torch.Tensor) -> PropertyBins:
    """Make bins of what shares the integer part of a coordinate that rises with the value."""
    _, index = torch.unique(coordinate.floor(), sorted=True, return_inverse=True)
    n_bins = int(index.max()) + 1
    lowest = torch.full((n_bins,), torch.inf, dtype=torch.float64)
    lowest.scatter_reduce_(0, index, values, "amin")
    highest = torch.full((n_bins,), -torch.inf, dtype=torch.float64)
    highest.scatter_reduce_(0, index, values, "amax")
    centers = torch.zeros(n_bins, dtype=torch.float64).scatter_add_(0, index, values)
    centers /= torch.bincount(index, minlength=n_bins)
    between = 0.5 * (highest[:-1] + lowest[1:])
    edges = torch.cat([lowest[:1], between, highest[-1:]])
    return PropertyBins(index, edges, centers, n_bins)


def _unit_range(values: torch.Tensor) -> torch.Tensor:
    return (values - values.min()) / (values.max() - values.min()).clamp(min=1e-300)


def bin_values(values: torch.Tensor, n_bins: int) -> PropertyBins:
    """Make bins of a property that is the same whatever the amplitude.

    A bin is at most three times as wide as one of ``n_bins`` equal bins in the value, in
    its logarithm (over five decades) and in the rank of the models: whichever way a
    prior spreads them, the bins are narrow where the models are.
    """
    order = values.sort().values
    rank = torch.searchsorted(order, values).double()
    measures = [_unit_range(values), _unit_range(rank)]
    if values.min() >= 0 and values.max() > 0:
        least = float(values.max()) * _DYNAMIC_RANGE
        measures.append(_unit_range(torch.log10(values.clamp(min=least))))
    coordinate = torch.stack(measures).mean(0) * n_bins
    return _make_bins(values, coordinate.clamp(max=n_bins - 0.5))


def _bin_ratios(ratios: torch.Tensor, width: float) -> PropertyBins:
    """Make bins of a property per unit of brightness, such as a mass-to-light ratio.

    ``width``: width in dex of the bins within six decades below the largest ratio; below that
    they are five times as wide.
    """
    positive = ratios > 0
    if not positive.any():
        return _make_bins(ratios, torch.zeros_like(ratios))
    logarithm = torch.log10(torch.where(positive, ratios, ratios.max()))
    # Dex below the top, so that the largest ratio lies at a bin's edge for any unit.
    below = logarithm - logarithm.max()
    coordinate = below.clamp(min=-_FINE) / width + (below + _FINE).clamp(max=0) / (5 * width)
    coordinate = torch.where(positive, coordinate.ceil(), -torch.inf)
    return _make_bins(ratios, coordinate.clamp(min=-1e9))


def common_bins(bins: Sequence[PropertyBins]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the edges and centers of several properties' bins as one table each."""
    n_bins = -(-max((b.n_bins for b in bins), default=0) // GROUP) * GROUP
    if not bins:
        return torch.zeros(0, 1, dtype=torch.float64), torch.zeros(0, 0, dtype=torch.float64)
    lacking = [n_bins - b.n_bins for b in bins]
    edges, centers = (
        torch.stack(
            [torch.cat([t, t[-1:].expand(n)]) for t, n in zip(tables, lacking, strict=True)]
        )
        for tables in ([b.edges for b in bins], [b.centers for b in bins])
    )
    return edges, centers


@dataclass(frozen=True)
class SortedLibrary:
    """Models in the order of the color tree, each scaled to a brightness of about one.

    Slots are places in that order. A few models stand twice, to fill all cells: ``first`` says
    where they do not for the second time. ``count`` is 1 there for models that are used, else 0.
    """

    model: torch.Tensor
    first: torch.Tensor
    count: torch.Tensor
    brightness: torch.Tensor
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
        edge: torch.Tensor,
        used: torch.Tensor,
    ) -> SortedLibrary:
        """Sort and scale models (all arguments float64 on the CPU)."""
        n = len(flux)
        typical = flux.mean(1, keepdim=True)
        logarithm = torch.log(torch.maximum(flux, FAINTEST * typical))
        brightness = torch.exp(logarithm.mean(1))
        levels = max(count_levels(n, CELL_SIZE), count_levels(min(n, FINEST), 1))
        slots = _sort_by_color(logarithm - logarithm.mean(1, keepdim=True), levels).reshape(-1)
        model = slots % n
        units = []
        for values in amplitude_scaled.values():
            ratio = values / brightness
            positive = ratio[ratio > 0]
            units.append(float(positive.median()) if len(positive) else 1.0)
        none = torch.zeros(0, len(model), dtype=torch.float64)
        sorted_models = cls(
            model=model,
            first=slots < n,
            count=none,
            brightness=brightness,
            flux=none,
            ratios=none,
            ratio_units=tuple(units),
            values=none,
            edge=edge[model],
            levels=levels,
        )
        return sorted_models.filled(flux, amplitude_scaled, intensive, used)

    def filled(
        self,
        flux: torch.Tensor,
        amplitude_scaled: Mapping[str, torch.Tensor],
        intensive: Mapping[str, torch.Tensor],
        used: torch.Tensor,
    ) -> SortedLibrary:
        """Return the same order and scales with other fluxes and properties of the models."""
        ratios = [
            (values / (self.brightness * unit))[self.model]
            for values, unit in zip(amplitude_scaled.values(), self.ratio_units, strict=True)
        ]
        values = [v[self.model] for v in intensive.values()]
        none = torch.zeros(0, self.n_slots, dtype=torch.float64)
        count = used[self.model] * self.first
        # What does not count must not be the best model of a pixel: it has a neighbor's fluxes.
        slots = torch.arange(self.n_slots)
        shown = torch.where(count > 0, slots, -1).cummax(0).values
        shown = self.model[shown.clamp(min=int((count > 0).int().argmax()))]
        return replace(
            self,
            count=count,
            flux=(flux / self.brightness[:, None]).clamp_(min=_LIFT)[shown],
            ratios=torch.stack(ratios) if ratios else none,
            values=torch.stack(values) if values else none,
        )


@dataclass(frozen=True)
class FineBins:
    """The bins of every property at one resolution."""

    values: tuple[PropertyBins, ...]
    ratios: tuple[PropertyBins, ...]


def make_bins(library: SortedLibrary, n_bins: int, width: float) -> FineBins:
    """Return bins of all properties (see `bin_values`, `_bin_ratios`)."""
    return FineBins(
        values=tuple(bin_values(values, n_bins) for values in library.values),
        ratios=tuple(_bin_ratios(ratios, width) for ratios in library.ratios),
    )


@dataclass(frozen=True)
class Cells:
    """Groups of neighboring slots, with what bounds their members.

    ``nearest``: which member each cell's center is.
    """

    nearest: torch.Tensor
    center: torch.Tensor
    square: torch.Tensor
    radius2: torch.Tensor
    size: int


def make_cells(library: SortedLibrary, size: int) -> Cells:
    """Cut the slots into cells of at most ``size`` members."""
    n_cells = 1 << min(library.levels, count_levels(library.n_slots, size))
    members = library.flux.reshape(n_cells, -1, library.flux.shape[1])
    middle = members.mean(1, keepdim=True)
    return bound_cells(library, ((members - middle) / middle).square().sum(2).argmin(1))


def bound_cells(library: SortedLibrary, nearest: torch.Tensor) -> Cells:
    """Bound the members of cells of equal size around given ones of them."""
    members = library.flux.reshape(len(nearest), -1, library.flux.shape[1])
    center = members[torch.arange(len(nearest)), nearest]
    radius2 = (members - center[:, None]).square_().amax(1)
    return Cells(nearest, center, center.square(), radius2, members.shape[1])


class BinShift:
    """How far the values of models have moved since their bins were made.

    ``bins``: fine bins of each property; ``values``: of the models now, of shape (n_property,
    n_slot).
    """

    def __init__(self, bins: Sequence[PropertyBins], values: torch.Tensor) -> None:
        self._known = []
        for fine, now in zip(bins, values, strict=True):
            total = torch.bincount(fine.index, now, minlength=fine.n_bins)
            shift = total / torch.bincount(fine.index, minlength=fine.n_bins) - fine.centers
            self._known.append((fine.centers.numpy(), shift.numpy()))

    def apply(self, table: torch.Tensor) -> torch.Tensor:
        """Return edges or centers of bins, of shape (n_property, k), moved with the models."""
        rows = table.cpu().double().numpy()
        shift = [np.interp(row, *known) for row, known in zip(rows, self._known, strict=True)]
        return torch.from_numpy(rows + np.reshape(shift, rows.shape)).to(table)
