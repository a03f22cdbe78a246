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
from copy import copy
from typing import Any, NamedTuple

import torch

from picasssso.estimators._grid_posterior.pixel_fits import BITS, Block, Pixels, multiply, stack
from picasssso.estimators._grid_posterior.quantiles import binned_quantiles, grid_quantiles
from picasssso.estimators._grid_posterior.response import covariance, products
from picasssso.estimators._grid_posterior.sorted_library import (
    FAINTEST,
    GROUP,
    BinShift,
    SortedLibrary,
    bin_values,
    common_bins,
    count_levels,
)

#: Number of nodes.
N_NODES = 1024

#: Bins of every intensive property.
_N_VALUE_BINS = 128

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


class _RatioGrid:
    """Where the models lie on a grid of the logarithm of an amplitude-scaled property."""

    def __init__(self, ratios: torch.Tensor) -> None:
        self.positive = ratios > 0
        top = torch.log10(ratios.max()) if self.positive.any() else torch.zeros(())
        logarithm = torch.log10(torch.where(self.positive, ratios, 10.0**top))
        below = (logarithm - top).clamp(min=-_RATIO_RANGE) / RATIO_STEP
        # One more point at either end, for the outer of the three around a model.
        self.n_points = int(-below.min().floor()) + 3
        self.lowest = float(top) - (self.n_points - 2) * RATIO_STEP
        place = below + (self.n_points - 2)
        self.point = place.round().clamp(1, self.n_points - 2)
        self.x = place - self.point


class _Spread:
    """How models are spread over the nodes they are interpolated from, and sums there."""

    def __init__(self, library: SortedLibrary, n_nodes: int, center: torch.Tensor) -> None:
        self.n_nodes, self.size = n_nodes, library.n_slots // n_nodes
        if self.size == 1:
            self.nearest = torch.arange(n_nodes)[:, None]
            self.shares = torch.ones(n_nodes, 1, dtype=torch.float64)
        else:
            color = torch.log(library.flux.clamp(min=FAINTEST)).reshape(n_nodes, self.size, -1)
            self.nearest, shares = _interpolate(center, color - center[:, None])
            self.shares = shares.reshape(library.n_slots, -1)
        self.bins = [bin_values(values, _N_VALUE_BINS) for values in library.values]
        self.value_edges, self.value_centers = common_bins(self.bins)
        self.grids = [_RatioGrid(ratios) for ratios in library.ratios]

    def sums(
        self, library: SortedLibrary, slots: torch.Tensor, weight: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """Return sums over some slots at the nodes, names to tensors of shape (k, n_node)."""
        shares = self.shares[slots] * weight[:, None]
        nodes = self.nearest[slots // self.size]

        def table(index: torch.Tensor, n_bins: int, factors: Any = 1.0) -> torch.Tensor:
            where = index[:, None] * self.n_nodes + nodes
            what = shares * factors[:, None] if isinstance(factors, torch.Tensor) else shares
            result = torch.zeros(n_bins * self.n_nodes, dtype=torch.float64)
            result.scatter_add_(0, where.reshape(-1), what.reshape(-1))
            return result.reshape(n_bins, self.n_nodes)

        def totals(factors: Any = 1.0) -> torch.Tensor:
            return table(torch.zeros_like(slots), 1, factors)

        counts, zeros = [], []
        for grid in self.grids:
            point, x, positive = (t[slots] for t in (grid.point, grid.x, grid.positive))
            parts = {-1: (x * x - x) / 2, 0: 1 - x * x, 1: (x * x + x) / 2}
            tables = [
                table((point + k).long(), grid.n_points, part * positive)
                for k, part in parts.items()
            ]
            counts.append(torch.stack(tables).sum(0))
            zeros.append(totals((~positive).double()))
        n_bins = self.value_edges.shape[1] - 1
        none = torch.zeros(0, self.n_nodes, dtype=torch.float64)
        return {
            "count": totals(),
            "edge": totals(library.edge[slots]),
            "value_counts": torch.cat([none, *(table(b.index[slots], n_bins) for b in self.bins)]),
            "ratio_counts": torch.cat([none, *counts]),
            "ratio_zeros": torch.cat([none, *zeros]),
            "ratio_sums": torch.cat([none, *(totals(r[slots]) for r in library.ratios)]),
        }


def _centers(library: SortedLibrary, n_nodes: int, count: torch.Tensor) -> torch.Tensor:
    """Return the nodes: means of their members' log fluxes, of shape (n_node, n_band)."""
    color = torch.log(library.flux.clamp(min=FAINTEST)).reshape(n_nodes, -1, library.flux.shape[1])
    count = count.reshape(n_nodes, -1, 1)
    weight = torch.where(count.sum(1, keepdim=True) > 0, count, 1.0)
    return (color * weight).sum(1) / weight.sum(1)


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


class NodeTables:
    """Nodes in flux space and sums over models there, in single precision on a device."""

    def __init__(self, library: SortedLibrary, device: torch.device) -> None:
        n_nodes = 1 << min(library.levels, count_levels(min(library.n_models, N_NODES), 1))
        self._library, self._device = library, device
        center = _centers(library, n_nodes, library.count)
        self._spread = spread = _Spread(library, n_nodes, center)
        self.members = torch.arange(library.n_slots).reshape(n_nodes, -1).to(device)
        #: Triton's kernel in place of `_likelihood_levels`, where it can be used.
        self.fused: Callable[..., torch.Tensor] | None = None
        self.n_values = len(spread.bins)
        self.ratio_sizes = [grid.n_points for grid in spread.grids]
        self.ratio_lowest = [grid.lowest for grid in spread.grids]
        self.value_edges = spread.value_edges.to(device)
        self.value_centers = self._placed(spread.value_centers)[:, None]
        self._sums = spread.sums(library, torch.arange(library.n_slots), library.count)
        self._fill(library, center)

    def _placed(self, table: torch.Tensor) -> torch.Tensor:
        return table.to(self._device, torch.float32).contiguous()

    def _fill(self, library: SortedLibrary, center: torch.Tensor) -> None:
        flux = library.flux if self._spread.size == 1 else torch.exp(center)
        self.flux, self.square = self._placed(flux), self._placed(flux.square())
        placed = {name: self._placed(table) for name, table in self._sums.items()}
        self.count = placed["count"]
        self.sums = torch.cat([placed["count"], placed["edge"]])
        self.value_counts = placed["value_counts"]
        self.ratio_counts = placed["ratio_counts"]
        self.ratio_sums, self.ratio_zeros = placed["ratio_sums"], placed["ratio_zeros"]

    def moved(self, library: SortedLibrary, shift: BinShift) -> NodeTables:
        """Return the tables of models that have changed a little.

        Each model keeps its shares in the nodes, and its bins. Only those are summed anew that
        count now and did not, or the other way round.
        """
        new = copy(self)
        before = self._library
        center = _centers(library, len(self.flux), library.count * before.count)
        change = library.count - before.count
        slots = change.nonzero()[:, 0]
        more = self._spread.sums(before, slots, change[slots])
        new._sums = {name: table + more[name] for name, table in self._sums.items()}
        new._fill(library, center)
        new.value_edges = shift.apply(self.value_edges)
        new.value_centers = shift.apply(self.value_centers[:, 0])[:, None]
        return new


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
    tables: NodeTables,
    pixels: Pixels,
    probabilities: torch.Tensor,
    bands: tuple[int, ...] = (),
) -> tuple[Block, torch.Tensor]:
    """Fit pixels with nodes: amplitudes between about -8 and 8 times their error.

    ``bands``: those with whose fluxes covariances are wanted.
    """
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
    first = second = weight
    if bands:
        first, second = brightness * weight, torch.add(power, BITS).mul_(inverse).mul_(weight)
    fluxes = tables.flux.T[list(bands)]
    mean_flux = multiply(tables.count * fluxes, first) / total
    of_ratios = covariance(
        multiply(products(tables.ratio_sums, fluxes), second) / total, ratio_means, mean_flux
    )
    signed = weight.mul_(tables.count.T).clamp_(min=0)
    # Percentiles: brightness above zero only.
    weight = torch.exp2(power - best).mul_(torch.erfc(-_SQRT_HALF * signal))
    n_models, edge = multiply(tables.sums, weight)
    zeros = multiply(tables.ratio_zeros, weight) / n_models
    weight.div_(n_models)
    effective = 1 / multiply(tables.count, weight.square())[0]
    shape = tables.n_values, tables.value_edges.shape[1] - 1
    histograms = multiply(tables.value_counts, weight).reshape(*shape, len(pixels))
    value_means = (tables.value_centers @ histograms)[:, 0]
    if bands:
        # The brightness that the cut leaves.
        first = torch.exp2(-best) * torch.sqrt(BITS * inverse) * math.sqrt(2 / math.pi)
        first.div_(n_models).addcmul_(brightness, weight)
    value_sums = (tables.value_centers @ tables.value_counts.reshape(*shape, len(norm)))[:, 0]
    of_values = covariance(
        multiply(products(value_sums, fluxes), first),
        value_means,
        multiply(tables.count * fluxes, first),
    )
    ratios = _ratio_percentiles(
        tables, product, norm, brightness, inverse, best, zeros, probabilities
    )
    n_pixels, n_quantiles = len(pixels), len(probabilities)
    block = Block(
        value_percentiles=binned_quantiles(histograms, tables.value_edges, probabilities, GROUP),
        value_means=value_means,
        ratio_percentiles=stack(ratios, (n_quantiles, n_pixels), weight),
        ratio_means=ratio_means,
        improvement=best,
        n_effective=effective,
        edge=edge / n_models,
        covariance=torch.cat([of_ratios, of_values]),
        mean_flux=mean_flux,
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
