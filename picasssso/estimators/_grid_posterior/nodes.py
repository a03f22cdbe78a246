"""Few nodes that stand for many models where noise blurs the differences between them.

A likelihood that varies slowly with colour need not be computed for every model. It is
computed at nodes, and what a model's likelihood would be is interpolated from the nodes
around it. Since interpolation is linear, the sum over models of (interpolated likelihood
x property) is a sum over nodes of (likelihood x a table made once for the library): the
cost does not depend on the number of models.

The interpolation is a least-squares fit of a quadratic in log fluxes to the nodes nearby,
so its error is of third order in (distance of nodes x signal-to-noise ratio).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from picasssso.estimators._grid_posterior.bins import PropertyBins, common_bins
from picasssso.estimators._grid_posterior.library import FAINTEST, SortedLibrary
from picasssso.estimators._grid_posterior.tree import count_levels

#: Number of nodes.
N_NODES = 1024

#: Nodes that the likelihood of a model is interpolated from: how many per coefficient of
#: the quadratic, at least and at most.
_PER_COEFFICIENT, _FEWEST, _MOST = 1.6, 24, 64

#: Keeps the fit from steep slopes where nodes are few, relative to their mean square.
_RIDGE = 1e-4

#: Step in dex of the grid of amplitude-scaled properties, and its range.
RATIO_STEP = 0.1
_RATIO_RANGE = 4.5


@dataclass(frozen=True)
class RatioGrid:
    """How the models around each node are spread over an amplitude-scaled property."""

    counts: torch.Tensor
    zeros: torch.Tensor
    sums: torch.Tensor
    lowest: float


@dataclass(frozen=True)
class Nodes:
    """Nodes in flux space and the tables of what is summed over models."""

    flux: torch.Tensor
    members: torch.Tensor
    count: torch.Tensor
    edge: torch.Tensor
    value_counts: torch.Tensor
    value_edges: torch.Tensor
    value_centers: torch.Tensor
    ratios: tuple[RatioGrid, ...]


def make_nodes(
    library: SortedLibrary, bins: tuple[PropertyBins, ...], most: int = N_NODES
) -> Nodes:
    """Make nodes of a library."""
    n_nodes = 1 << min(library.levels, count_levels(min(library.n_models, most), 1))
    size = library.n_slots // n_nodes
    colour = torch.log(library.flux.clamp(min=FAINTEST)).reshape(n_nodes, size, -1)
    count = library.count.reshape(n_nodes, size, 1)
    weight = torch.where(count.sum(1, keepdim=True) > 0, count, 1.0)
    center = (colour * weight).sum(1) / weight.sum(1)
    if size == 1:
        nearest, shares = torch.arange(n_nodes)[:, None], count
        flux = library.flux
    else:
        nearest, shares = _interpolate(center, colour - center[:, None])
        shares = shares * count
        flux = torch.exp(center)
    add_up = _Adder(n_nodes, nearest, shares)
    edges, centers = common_bins(bins)
    counts = [add_up.table(b.index, edges.shape[1] - 1) for b in bins]
    return Nodes(
        flux=flux,
        members=torch.arange(library.n_slots).reshape(n_nodes, size),
        count=add_up.totals(torch.ones_like(library.count)),
        edge=add_up.totals(library.edge),
        value_counts=torch.stack(counts) if counts else torch.zeros(0, 0, n_nodes),
        value_edges=edges,
        value_centers=centers,
        ratios=tuple(_make_grid(ratios, add_up) for ratios in library.ratios),
    )


def _interpolate(center: torch.Tensor, offset: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return which nodes each node's members are interpolated from, and their shares.

    Shapes are (n_node, n_neighbour) and (n_node, size, n_neighbour).
    """
    n_bands = center.shape[1]
    wanted = int(_PER_COEFFICIENT * n_bands * (n_bands + 1) / 2)
    k = min(max(wanted, _FEWEST), _MOST, len(center))
    distance, nearest = torch.cdist(center, center).topk(k, dim=1, largest=False)
    scale = distance[:, -1, None, None].clamp(min=1e-9)
    # Colours have one dimension less than bands: their sum is zero.
    basis = torch.eye(n_bands, dtype=torch.float64)
    basis[:, 0] = 1
    basis = torch.linalg.qr(basis).Q[:, 1:]

    def terms(colour: torch.Tensor) -> torch.Tensor:
        x = colour @ basis
        squares = [x[..., i : i + 1] * x[..., i:] for i in range(x.shape[-1])]
        return torch.cat([torch.ones_like(x[..., :1]), x, *squares], -1)

    nodes = (center[nearest] - center[:, None]) / scale
    design = terms(nodes)
    weighted = design * torch.exp(-2 * nodes.square().sum(2, keepdim=True))
    normal = weighted.mT @ design
    mean_square = normal.diagonal(dim1=1, dim2=2).mean(1)[:, None, None]
    normal = normal + _RIDGE * mean_square * torch.eye(normal.shape[1], dtype=torch.float64)
    shares = torch.linalg.solve(normal, terms(offset / scale).mT).mT @ weighted.mT
    return nearest, shares / shares.sum(2, keepdim=True)


class _Adder:
    """Adds up properties of models at the nodes that the models are interpolated from."""

    def __init__(self, n_nodes: int, nearest: torch.Tensor, shares: torch.Tensor) -> None:
        self._n_nodes, self._shares = n_nodes, shares
        self._nodes = nearest[:, None].expand_as(shares)

    def table(
        self, index: torch.Tensor, n_bins: int, factors: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return sums of factors, shape (n_bins, n_node)."""
        grouped = self._shares.shape[:2]
        where = index.reshape(*grouped, 1) * self._n_nodes + self._nodes
        what = self._shares if factors is None else self._shares * factors.reshape(*grouped, 1)
        table = torch.zeros(n_bins * self._n_nodes, dtype=torch.float64)
        table.scatter_add_(0, where.reshape(-1), what.reshape(-1))
        return table.reshape(n_bins, self._n_nodes)

    def totals(self, factors: torch.Tensor) -> torch.Tensor:
        """Return sums of factors, shape (n_node,)."""
        return self.table(torch.zeros(len(factors), dtype=torch.int64), 1, factors)[0]


def _make_grid(ratios: torch.Tensor, add_up: _Adder) -> RatioGrid:
    positive = ratios > 0
    top = torch.log10(ratios.max()) if positive.any() else torch.zeros(())
    logarithm = torch.log10(torch.where(positive, ratios, 10.0**top))
    below = (logarithm - top).clamp(min=-_RATIO_RANGE) / RATIO_STEP
    # One more point at either end, for the outer of the three around a model.
    n_points = int(-below.min().floor()) + 3
    place = below + (n_points - 2)
    point = place.round().clamp(1, n_points - 2)
    x = place - point
    counts = torch.zeros(n_points, len(add_up.totals(ratios)), dtype=torch.float64)
    for shift, share in ((-1, (x * x - x) / 2), (0, 1 - x * x), (1, (x * x + x) / 2)):
        index = (point + shift).to(torch.int64)
        counts += add_up.table(index, n_points, share * positive)
    return RatioGrid(
        counts=counts,
        zeros=add_up.totals((~positive).double()),
        sums=add_up.totals(ratios),
        lowest=float(top) - (n_points - 2) * RATIO_STEP,
    )
