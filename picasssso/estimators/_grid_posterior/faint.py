"""Pixels whose noise blurs the differences between neighboring models.

A likelihood that varies slowly with color need not be computed for every model. It is
computed at nodes, and what a model's likelihood would be is interpolated from the nodes
around it. Since interpolation is linear, the sum over models of (interpolated likelihood
x property) is a sum over nodes of (likelihood x a table made once for the library): the
cost does not depend on the number of models. The interpolation is a least-squares fit of a
quadratic in log fluxes to the nodes nearby, so its error is of third order in (distance of
nodes x signal-to-noise ratio).

Amplitudes are not much larger than their errors, hence positivity matters: percentiles are
those of amplitudes above zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch

from picasssso.estimators._grid_posterior.library import (
    FAINTEST,
    GROUP,
    PropertyBins,
    SortedLibrary,
    common_bins,
    count_levels,
)
from picasssso.estimators._grid_posterior.pixels import BITS, Block, Pixels, multiply, stack
from picasssso.estimators._grid_posterior.quantiles import binned_quantiles, grid_quantiles

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

_SQRT_HALF = math.sqrt(0.5)

#: Points of the brightness at which likelihoods are computed, `RATIO_STEP` dex apart.
_N_POINTS = 15

#: Points below those, where a parabola through zero and these points is good enough.
_N_TAIL, _PARABOLA = 10, (0, 2)

#: The uppermost point lies this many errors above the best brightness.
_REACH = 4.5


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
    color = torch.log(library.flux.clamp(min=FAINTEST)).reshape(n_nodes, size, -1)
    count = library.count.reshape(n_nodes, size, 1)
    weight = torch.where(count.sum(1, keepdim=True) > 0, count, 1.0)
    center = (color * weight).sum(1) / weight.sum(1)
    if size == 1:
        nearest, shares = torch.arange(n_nodes)[:, None], count
        flux = library.flux
    else:
        nearest, shares = _interpolate(center, color - center[:, None])
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

    Shapes are (n_node, n_neighbor) and (n_node, size, n_neighbor).
    """
    n_bands = center.shape[1]
    wanted = int(_PER_COEFFICIENT * n_bands * (n_bands + 1) / 2)
    k = min(max(wanted, _FEWEST), _MOST, len(center))
    distance, nearest = torch.cdist(center, center).topk(k, dim=1, largest=False)
    scale = distance[:, -1, None, None].clamp(min=1e-9)
    # Colors have one dimension less than bands: their sum is zero.
    basis = torch.eye(n_bands, dtype=torch.float64)
    basis[:, 0] = 1
    basis = torch.linalg.qr(basis).Q[:, 1:]

    def terms(color: torch.Tensor) -> torch.Tensor:
        x = color @ basis
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


class NodeTables:
    """The arrays of `Nodes` in single precision on a device, stacked for few products."""

    def __init__(self, nodes: Nodes, device: torch.device) -> None:
        def place(table: torch.Tensor) -> torch.Tensor:
            return table.to(device, torch.float32).contiguous()

        none = torch.zeros(0, len(nodes.count), dtype=torch.float64)
        self.flux, self.square = place(nodes.flux), place(nodes.flux.square())
        self.members = nodes.members.to(device)
        self.count = place(nodes.count[None])
        self.sums = place(torch.stack([nodes.count, nodes.edge]))
        self.n_values = len(nodes.value_counts)
        self.value_counts = place(nodes.value_counts).reshape(-1, len(nodes.count))
        self.value_edges = nodes.value_edges.to(device)
        self.value_centers = place(nodes.value_centers)[:, None]
        ratios: tuple[RatioGrid, ...] = nodes.ratios
        self.ratio_sums = place(torch.cat([none, *(grid.sums[None] for grid in ratios)]))
        self.ratio_zeros = place(torch.cat([none, *(grid.zeros[None] for grid in ratios)]))
        self.ratio_counts = place(torch.cat([none, *(grid.counts for grid in ratios)]))
        self.ratio_sizes = [len(grid.counts) for grid in ratios]
        self.ratio_lowest = [grid.lowest for grid in ratios]
        #: Triton's kernel in place of `_likelihood_levels`, where it can be used.
        self.fused: Callable[..., torch.Tensor] | None = None


class Look(NamedTuple):
    """A first look at pixels: each has shape (n_pixel,)."""

    best: torch.Tensor
    worst: torch.Tensor
    node: torch.Tensor
    share: torch.Tensor


def look(tables: NodeTables, pixels: Pixels) -> Look:
    """Compare pixels with all nodes."""
    signal = multiply(tables.flux, pixels.weighted_flux.float())
    signal.mul_(multiply(tables.square, pixels.weight.float()).rsqrt_())
    best, worst = signal.amax(0), signal.amin(0)
    # `torch.max` with indices is slow along axis 0.
    numbers = torch.arange(len(signal), dtype=signal.dtype, device=signal.device)[None]
    node = multiply(numbers, (signal == best).to(signal.dtype))[0].long()
    weight = signal.square_().sub_(torch.maximum(best, -worst).square())
    # Denormal numbers would be slow.
    weight = torch.exp2(weight.clamp_(min=-60), out=weight)
    total = multiply(tables.count, weight)[0]
    square = multiply(tables.count, weight.square_())[0]
    share = total.square() / (square * tables.count.sum())
    scale = 1 / math.sqrt(BITS)
    node = node.clamp_(max=len(numbers[0]) - 1)
    return Look(best * scale, worst * scale, node, share)


def fit_faint(
    tables: NodeTables, pixels: Pixels, probabilities: torch.Tensor
) -> tuple[Block, torch.Tensor]:
    """Fit pixels with nodes: amplitudes between about -8 and 8 times their error."""
    product = multiply(tables.flux, pixels.weighted_flux.float())
    norm = multiply(tables.square, pixels.weight.float())
    inverse = norm.reciprocal()
    brightness = product * inverse
    power = product * brightness
    signal = product * torch.sqrt(inverse / BITS)
    best = torch.where(signal > 0, power, 0).amax(0)
    weight = torch.exp2(power - power.amax(0))
    # Signed means: the prior is flat in brightness of either sign.
    total = multiply(tables.count, weight)
    ratio_means = multiply(tables.ratio_sums, brightness * weight) / total
    signed = weight.mul_(tables.count.T).clamp_(min=0)
    # Percentiles: brightness above zero only.
    weight = torch.exp2(power - best).mul_(torch.erfc(-_SQRT_HALF * signal))
    n_models, edge = multiply(tables.sums, weight)
    zeros = multiply(tables.ratio_zeros, weight) / n_models
    weight.div_(n_models)
    effective = 1 / multiply(tables.count, weight.square())[0]
    histograms = multiply(tables.value_counts, weight).reshape(
        tables.n_values, tables.value_edges.shape[1] - 1, weight.shape[1]
    )
    ratios = _ratio_percentiles(
        tables, product, norm, brightness, inverse, best, zeros, probabilities
    )
    n_pixels, n_quantiles = len(pixels), len(probabilities)
    block = Block(
        value_percentiles=binned_quantiles(histograms, tables.value_edges, probabilities, GROUP),
        value_means=(tables.value_centers @ histograms)[:, 0],
        ratio_percentiles=stack(ratios, (n_quantiles, n_pixels), weight),
        ratio_means=ratio_means,
        improvement=best,
        n_effective=effective,
        edge=edge / n_models,
    )
    return block, signed


def _ratio_percentiles(
    tables: NodeTables,
    product: torch.Tensor,
    norm: torch.Tensor,
    brightness: torch.Tensor,
    inverse: torch.Tensor,
    best: torch.Tensor,
    zeros: torch.Tensor,
    probabilities: torch.Tensor,
) -> list[torch.Tensor]:
    """Return percentiles of ratio times brightness.

    The logarithm of such a property is that of a ratio plus that of a brightness. On
    grids of one step its distribution is the sum over the diagonals of a table: ratios
    down, brightness across, each entry the sum over models of their likelihoods.
    """
    if not tables.ratio_sizes:
        return []
    top = (brightness.clamp(min=0) + _REACH * torch.sqrt(BITS * inverse)).amax(0)
    steps = torch.arange(1 - _N_POINTS, 1, device=top.device, dtype=top.dtype)
    scale = 10 ** (steps * RATIO_STEP)
    levels = _likelihood_levels(tables, product, norm, best, top, scale)
    summed = multiply(tables.ratio_counts, levels)
    summed = summed.reshape(len(summed), _N_POINTS + 1, -1).transpose(0, 1)
    # Below the lowest point: a parabola through zero brightness and two points.
    known = [0.0, *(float(scale[i]) for i in _PARABOLA)]
    below = scale[0] * 10 ** (
        torch.arange(-_N_TAIL, 0, device=top.device, dtype=top.dtype) * RATIO_STEP
    )
    curves = torch.stack([_lagrange(known, i, below) for i in range(len(known))], 1)
    chosen = summed[[0, *(i + 1 for i in _PARABOLA)]]
    tail = torch.tensordot(curves, chosen, 1)
    density = torch.cat([tail, summed[1:]])
    brightnesses = torch.cat([below, scale])
    density = density * brightnesses[:, None, None]
    ratios = []
    for table, nothing, lowest in zip(
        density.split(tables.ratio_sizes, 1), zeros, tables.ratio_lowest, strict=True
    ):
        density = _add_diagonals(table)
        # What lies below the lowest brightness falls off as the property itself.
        density[: table.shape[1]] += _fall(table.shape[1], table) @ table[0]
        logarithm = grid_quantiles(density, nothing, probabilities, RATIO_STEP)
        logarithm = (logarithm - (_N_TAIL + _N_POINTS - 1)) * RATIO_STEP + lowest
        ratios.append(top * 10**logarithm)
    return ratios


def _likelihood_levels(
    tables: NodeTables,
    product: torch.Tensor,
    norm: torch.Tensor,
    best: torch.Tensor,
    top: torch.Tensor,
    scale: torch.Tensor,
) -> torch.Tensor:
    """Return likelihoods at brightness zero and at the points, one beside the other.

    The prior is flat in brightness over its error.
    """
    if tables.fused:
        return tables.fused(product, norm, best, top, len(scale))
    height = torch.sqrt(norm)
    levels = [height * torch.exp2(-best)]
    for fraction in scale.tolist():
        x = fraction * top
        exponent = torch.addcmul(2 * product, norm, x, value=-1).mul_(x).sub_(best)
        levels.append(torch.exp2(exponent, out=exponent).mul_(height))
    return torch.cat(levels, 1)


def _lagrange(points: list[float], number: int, x: torch.Tensor) -> torch.Tensor:
    """Return the polynomial that is 1 at one of the points and 0 at the others."""
    value = torch.ones_like(x)
    for i, point in enumerate(points):
        if i != number:
            value = value * (x - point) / (points[number] - point)
    return value


def _fall(n: int, like: torch.Tensor) -> torch.Tensor:
    """Return 10^-(j - i) in steps for j > i, else 0."""
    steps = torch.arange(n, device=like.device, dtype=like.dtype)
    steps = steps - steps[:, None]
    return torch.where(steps > 0, 10 ** (-RATIO_STEP * steps), 0)


def _add_diagonals(table: torch.Tensor) -> torch.Tensor:
    """Return sums over entries with the same i + j, for shape (n_i, n_j, n_pixel)."""
    n_i, n_j, n_pixels = table.shape
    table = torch.nn.functional.pad(table, (0, 0, 0, n_i))
    table = table.reshape(n_i * (n_i + n_j), n_pixels)[: n_i * (n_i + n_j - 1)]
    return table.reshape(n_i, n_i + n_j - 1, n_pixels).sum(0)
