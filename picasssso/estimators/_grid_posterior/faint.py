"""Pixels whose noise blurs the differences between neighbouring models.

All models matter, but nodes stand for them (`picasssso.estimators._grid_posterior.nodes`),
so the cost does not depend on their number. Amplitudes are not much larger than their
errors, hence positivity matters: percentiles are those of amplitudes above zero.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch

from picasssso.estimators._grid_posterior.bins import GROUP
from picasssso.estimators._grid_posterior.block import Block, stack
from picasssso.estimators._grid_posterior.nodes import RATIO_STEP, Nodes, RatioGrid
from picasssso.estimators._grid_posterior.pixels import BITS, Pixels
from picasssso.estimators._grid_posterior.products import multiply
from picasssso.estimators._grid_posterior.quantiles import binned_quantiles, grid_quantiles

_SQRT_HALF = math.sqrt(0.5)

#: Points of the brightness at which likelihoods are computed, `RATIO_STEP` dex apart.
_N_POINTS = 15

#: Points below those, where a parabola through zero and these points is good enough.
_N_TAIL, _PARABOLA = 10, (0, 2)

#: The uppermost point lies this many errors above the best brightness.
_REACH = 4.5


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
        #: Whether Triton's kernels can be used.
        self.fused = False


class Look(NamedTuple):
    """A first look at pixels: each has shape (n_pixel,)."""

    best: torch.Tensor
    worst: torch.Tensor
    node: torch.Tensor
    share: torch.Tensor


def look(tables: NodeTables, pixels: Pixels) -> Look:
    """Compare pixels with all nodes.

    ``pixels``: the pixels.
    """
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
    """Fit pixels with nodes.

    ``pixels``: the pixels; signal-to-noise ratios of the amplitude between about -8 and 8.
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
        from picasssso.estimators._grid_posterior.fused import likelihood_levels

        return likelihood_levels(product, norm, best, top, len(scale))
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
