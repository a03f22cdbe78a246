"""Pixels that tell neighboring models apart: every model that matters, one by one.

Cells of models that cannot matter for any pixel of a chunk are ruled out by a bound that
holds for all their members. What is left is summed in bins of each property, which are
fixed for the library, by `torch.embedding_bag`: the rows of the matrix of
weights (models x pixels) that belong to a bin are added up where they lie.

Pixels that no model describes, or that are significantly negative, are fitted with all models
in double precision, with what the cut at zero brightness leaves of their amplitude. They are
rare (artifacts, wrong zero points) and flagged by their chi2; what counts is that they get a
finite, reproducible answer.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from copy import copy
from dataclasses import dataclass, fields, replace
from typing import NamedTuple
from weakref import proxy

import numpy as np
import torch

from picasssso.estimators._grid_posterior.pixel_fits import (
    BITS,
    Block,
    Draws,
    Pixels,
    draw_rows,
    multiply,
    stack,
)
from picasssso.estimators._grid_posterior.quantiles import binned_quantiles, mixture_quantiles
from picasssso.estimators._grid_posterior.response import FluxSums, covariance, products
from picasssso.estimators._grid_posterior.sorted_library import (
    GROUP,
    BinShift,
    Cells,
    FineBins,
    SortedLibrary,
    common_bins,
)

_TINY = 1e-30

#: Models that much less likely than the best have no weight, in bits.
DEPTH = 22.0

#: The weight of a model, over that of its cell's center, whose square is no problem in
#: single precision, in bits.
_LOOSE = 30.0

#: Logarithm of the weight of models that have none, above denormal numbers.
_NOTHING = -60.0

_LN2 = math.log(2)

#: With so large a part of the models wanted all are taken, whose order is known.
_ALMOST_ALL = 0.8


@dataclass(frozen=True)
class _CellTables:
    """Cells' centers, their squares and squared radii, each (n_cell, n_band)."""

    center: torch.Tensor
    square: torch.Tensor
    radius2: torch.Tensor

    def select(self, which: torch.Tensor) -> _CellTables:
        return _CellTables(self.center[which], self.square[which], self.radius2[which])


class Search(NamedTuple):
    """How percentiles of amplitude-scaled properties are looked for."""

    window: int
    n_iterations: int


class ModelTables:
    """The arrays of a library at one resolution and precision, on a device.

    ``tile``: number of models to compare with pixels at a time, and; ``width``: number of those
    pixels: few enough for the tables of models x pixels to stay in cache, and as many as keep
    vector units busy.
    """

    def __init__(
        self,
        library: SortedLibrary,
        cells: Cells,
        supercells: Cells,
        bins: FineBins,
        *,
        dtype: torch.dtype,
        tile: int,
        width: int,
        device: torch.device,
    ) -> None:
        self.dtype, self.device = dtype, device
        n_cells = len(cells.center)
        self.size = cells.size
        self.tile_cells, self.width = max(tile // cells.size, 1), width
        self.n_bands = library.flux.shape[1]
        self.edge = (library.edge > 0).reshape(n_cells, -1).to(device)
        edges, centers = common_bins(bins.values)
        self.value_edges, centers = edges.to(device), centers.to(device)
        self.value_centers = centers.float()[:, None]
        self.ratio_bins = [b.n_bins for b in bins.ratios]
        # The bins of all properties are numbered through.
        self.n_value_bins = centers.numel()
        n_ratio_bins = sum(self.ratio_bins)
        self.n_bins = self.n_value_bins + n_ratio_bins
        sizes = [centers.shape[1]] * len(bins.values) + self.ratio_bins
        self.n_first_bins = sizes[0] if sizes else 0
        #: Rows of sums: values, ratios, models at the prior's edge, moments of ratios.
        self.sizes = [self.n_value_bins, n_ratio_bins, 1, n_ratio_bins, n_ratio_bins]
        start, keys = 0, [torch.zeros(0, library.n_slots, dtype=torch.int64)]
        for which, n_bins in zip(bins.values + bins.ratios, sizes, strict=True):
            keys.append(which.index[None] + start)
            start += n_bins
        self.keys = torch.cat(keys).to(torch.int16).reshape(-1, n_cells, cells.size).to(device)
        self._tiles: list[GatheredModels] = []
        self._like: list[GatheredModels] = []
        self._fill(library, cells, supercells)

    def _fill(self, library: SortedLibrary, cells: Cells, supercells: Cells) -> None:
        def place(table: torch.Tensor) -> torch.Tensor:
            return table.to(self.device, self.dtype).contiguous()

        self.cells, self.supercells = (
            _CellTables(place(c.center), place(c.square), place(c.radius2))
            for c in (cells, supercells)
        )
        self.flux = place(library.flux).reshape(len(cells.center), -1)
        self.counted = (library.count > 0).reshape(len(cells.center), -1).to(self.device)
        self.ratios, self.values = (
            table.to(self.device, torch.float32).reshape(-1, len(cells.center), cells.size)
            for table in (library.ratios, library.values)
        )

    def moved(
        self, library: SortedLibrary, cells: Cells, supercells: Cells, shift: BinShift
    ) -> ModelTables:
        """Return the tables of models that have changed a little, in the same bins."""
        new = copy(self)
        new._like, new._tiles = self.everything, []
        new._fill(library, cells, supercells)
        new.value_edges = shift.apply(self.value_edges)
        new.value_centers = shift.apply(self.value_centers[:, 0])[:, None]
        return new

    @property
    def everything(self) -> list[GatheredModels]:
        """All models, in tiles (list)."""
        if not self._tiles:
            every = torch.arange(len(self.flux), device=self.device).split(self.tile_cells)
            like: list[GatheredModels] | list[None] = self._like or [None] * len(every)
            self._tiles = [GatheredModels(self, *t) for t in zip(every, like, strict=True)]
        return self._tiles


class Workspace:
    """Memory that is used again for every chunk: fresh pages cost more than sums."""

    def __init__(self, dtype: torch.dtype, device: torch.device) -> None:
        self._dtype, self._device = dtype, device
        self._buffers: dict[str, torch.Tensor] = {}

    def take(
        self, name: str, rows: int, columns: int, dtype: torch.dtype | None = None
    ) -> torch.Tensor:
        """Return a tensor with unspecified content, (rows, columns), of the workspace's type."""
        dtype = dtype or self._dtype
        size = rows * columns
        buffer = self._buffers.get(name)
        if buffer is None or len(buffer) < size:
            buffer = torch.empty(size, dtype=dtype, device=self._device)
            self._buffers[name] = buffer
        return buffer[:size].view(rows, columns)


def _bound_chi(
    cells: _CellTables, flux: torch.Tensor, weight: torch.Tensor, total: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a lower bound of chi of all members per cell, and the best center's power.

    With F and M the fluxes of pixel and model over their errors, chi is the length of F
    times the sine of the angle between them. A member differs from its cell's center M by
    an angle of at most asin(|d| / |M|), so its chi is at least that of the center, turned
    towards F by this angle.
    """
    norm = multiply(cells.square, weight)
    radius2 = multiply(cells.radius2, weight).div_(norm)
    power = multiply(cells.center, flux).square_().div_(norm)
    best = power.amax(0)
    # chi cos(angle) - signal sin(angle), with cos > cos^2 = 1 - radius2.
    chi = torch.sub(total, power, out=norm).clamp_(min=0).sqrt_()
    bound = chi.sub_(power.mul_(radius2).sqrt_().addcmul_(chi, radius2))
    return bound, best


class _Reach(NamedTuple):
    """Which cells may matter for each pixel, the best center's power, and where it lies low."""

    wanted: torch.Tensor
    best: torch.Tensor
    is_loose: torch.Tensor


def reach_of(tables: ModelTables, cells: _CellTables, pixels: Pixels) -> _Reach:
    """Return which of some cells may matter for each pixel."""
    flux, weight = pixels.weighted_flux.to(tables.dtype), pixels.weight.to(tables.dtype)
    total = pixels.power.to(tables.dtype)
    bound, best = _bound_chi(cells, flux, weight, total)
    limit = ((pixels.power + DEPTH).to(tables.dtype) - best).clamp_(min=0).sqrt_().mul_(1.001)
    highest = total - bound.amin(0).clamp_(min=0).square_()
    return _Reach(bound < limit, best, highest - best > _LOOSE)


def _find_cells(tables: ModelTables, pixels: Pixels) -> tuple[torch.Tensor, _Reach]:
    """Return the cells that matter for any of the pixels, and what is known of them."""
    kept = reach_of(tables, tables.supercells, pixels).wanted.any(1).nonzero()[:, 0]
    ratio = len(tables.cells.center) // len(tables.supercells.center)
    children = (kept[:, None] * ratio + torch.arange(ratio, device=kept.device)).reshape(-1)
    reach = reach_of(tables, tables.cells.select(children), pixels)
    return children[reach.wanted.any(1).nonzero()[:, 0]], reach


class GatheredModels:
    """The models of some cells, in the order that their properties are added up in."""

    def __init__(
        self, tables: ModelTables, cells: torch.Tensor, like: GatheredModels | None = None
    ) -> None:
        self.flux = tables.flux[cells].reshape(-1, tables.n_bands)
        self.square = self.flux.square()
        self.idle = (~tables.counted[cells]).reshape(-1).nonzero()[:, 0]
        n, n_ratios = len(self.flux), len(tables.ratio_bins)
        if like is None:
            keys = tables.keys[:, cells].reshape(len(tables.keys), n)
            order, counts = _sort(keys, tables.n_bins)
            self.order = ratio_order = order[len(keys) - n_ratios :]
            ratio_counts = counts[tables.n_value_bins :]
            edge = tables.edge[cells].reshape(-1).nonzero()[:, 0]
            # Weights, and below them in the same table their moments of brightness.
            moments = [(ratio_order + k * n).reshape(-1) for k in (1, 2)]
            self.rows = torch.cat([order.reshape(-1), edge.int(), *moments])
            sizes = torch.cat([counts, counts.new_tensor([len(edge)]), ratio_counts, ratio_counts])
            self.offsets = torch.nn.functional.pad(torch.cumsum(sizes, 0), (1, 0)).int()
        else:
            self.order, self.rows, self.offsets = like.order, like.rows, like.offsets
        ratios = tables.ratios[:, cells].reshape(n_ratios, n)
        factors = [torch.index_select(r, 0, o) for r, o in zip(ratios, self.order, strict=True)]
        ones = ratios.new_ones(len(self.rows) - 2 * n * n_ratios)
        self.factors = torch.cat([ones, *factors, *(f.square() for f in factors)])
        # Tables hold their tiles: a reference back would keep both until Python looks for cycles.
        self._tables, self._cells = proxy(tables), cells

    def for_fluxes(
        self, bands: tuple[int, ...]
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return fluxes in some bands, values and ratios, (n, n_model), in single precision."""
        values, ratios = (
            table[:, self._cells].reshape(len(table), len(self.flux))
            for table in (self._tables.values, self._tables.ratios)
        )
        return self.flux.T[list(bands)].float(), values, ratios


def _sort(keys: torch.Tensor, n_bins: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the order of keys within their rows, int32, and how many there are in each bin."""
    if keys.device.type == "cpu":
        # numpy sorts 16-bit numbers by radix.
        numbers = keys.numpy()
        order = np.argsort(numbers, axis=1, kind="stable").astype(np.int32)
        counts = np.bincount(numbers.reshape(-1), minlength=n_bins)
        return torch.from_numpy(order), torch.from_numpy(counts)
    counted = torch.bincount(keys.reshape(-1).long(), minlength=n_bins)
    return torch.argsort(keys, dim=1, stable=True).int(), counted


@dataclass
class ModelSums:
    """What is summed over models for the pixels of a chunk.

    ``sums``: of weights in the bins of all properties and at the prior's edge, then of ratio
    times brightness and of the square of that in the bins of ratios, as `ModelTables.sizes`
    says; ``square``: of the weights' squares; ``best``: the best model's power.
    """

    sums: torch.Tensor
    square: torch.Tensor
    best: torch.Tensor
    fluxes: FluxSums

    @classmethod
    def nothing(cls, tables: ModelTables, n_pixels: int, n_bands: int = 0) -> ModelSums:
        """Return sums over no models.

        ``n_pixels``: number of pixels; ``n_bands``: of bands whose fluxes are summed.
        """
        sums = torch.zeros(sum(tables.sizes), n_pixels, device=tables.device)
        best = torch.full((n_pixels,), -torch.inf, dtype=tables.dtype, device=tables.device)
        square = torch.zeros_like(sums[0])
        fluxes = FluxSums.nothing(n_bands, len(tables.values), len(tables.ratios), square)
        return cls(sums, square, best, fluxes)

    def add(self, models: GatheredModels, moments: torch.Tensor) -> None:
        """Add some models, whose weights are used up.

        ``moments``: their weights, those times brightness, and times its square, one below the
        other.
        """
        # The function of `torch.nn.functional` takes longer to check what it is given.
        self.sums += torch.embedding_bag(
            moments, models.rows, models.offsets, False, 0, False, models.factors, True
        )[0]
        self.square += moments[: len(models.flux)].square_().sum(0)


def fit_bright(
    tables: ModelTables,
    pixels: Pixels,
    probabilities: torch.Tensor,
    *,
    space: Workspace,
    exact_width: bool,
    search: Search,
    draws: Draws | None = None,
    bands: tuple[int, ...] = (),
) -> tuple[Block, torch.Tensor | None]:
    """Fit pixels with the models that matter for any of them.

    ``pixels``: the pixels, best with similar colors; amplitudes significantly above zero;
    ``bands``: those with whose fluxes covariances are wanted.
    """
    n_pixels, width = len(pixels), tables.width
    # The last pixel is repeated to fill the last part.
    n_parts = -(-n_pixels // width)
    filled = torch.arange(n_parts * width, device=tables.device).clamp_(max=n_pixels - 1)
    pixels = pixels.select(filled)
    cells, reach = _find_cells(tables, pixels)
    columns = [
        (flux.contiguous(), weight.contiguous())
        for flux, weight in zip(
            pixels.weighted_flux.to(tables.dtype).split(width, 1),
            pixels.weight.to(tables.dtype).split(width, 1),
            strict=True,
        )
    ]
    references = list(reach.best.split(width))
    is_double = tables.dtype == torch.float64
    for number, (flux, weight) in enumerate(columns):
        # A cell's center may lie far below the best model, whose weight would overflow.
        is_loose = reach.is_loose[number * width : (number + 1) * width] | is_double
        if is_loose.any():
            best = references[number]
            for some in cells.split(tables.tile_cells):
                models = tables.flux[some].reshape(-1, tables.n_bands)
                power = (models @ flux).square_().div_(models.square() @ weight)
                best = torch.maximum(best, power.amax(0))
            references[number] = torch.where(is_loose, best, references[number])
    # What is less likely than this has no weight.
    references = [reference - DEPTH for reference in references]
    tiles: Iterable[GatheredModels]
    if len(cells) > _ALMOST_ALL * len(tables.cells.center):
        cells = torch.arange(len(tables.cells.center), device=tables.device)
        tiles = tables.everything
    else:
        tiles = (GatheredModels(tables, some) for some in cells.split(tables.tile_cells))
    parts = [ModelSums.nothing(tables, width, len(bands)) for _ in columns]
    kept: list[list[torch.Tensor]] = [[] for _ in columns]
    for gathered in tiles:
        with_fluxes = gathered.for_fluxes(bands) if bands else None
        for part, some, column, lowest in zip(parts, kept, columns, references, strict=True):
            moments, best = _weigh(gathered, *column, lowest, space, exact_width)
            if draws is not None:
                some.append(moments[: len(gathered.flux)].clone())
            part.best = torch.maximum(part.best, best)
            if with_fluxes is not None:
                part.fluxes.add(*with_fluxes, moments.split(len(gathered.flux)))
            part.add(gathered, moments)
    block = summarize(tables, parts, probabilities, exact_width, search).head(n_pixels)
    if draws is None:
        return block, None
    wanted = draws.select(filled).split(width)
    drawn = [draw_rows(torch.cat(w), d) for w, d in zip(kept, wanted, strict=True)]
    rows = torch.cat(drawn)[:n_pixels]
    return block, cells[rows // tables.size] * tables.size + rows % tables.size


def _weigh(
    models: GatheredModels,
    flux: torch.Tensor,
    inverse_variance: torch.Tensor,
    reference: torch.Tensor,
    space: Workspace,
    exact_width: bool,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the models' weights above their moments of brightness, and the best power.

    Weights are relative to ``reference``; those below 1 become as good as zero.
    """
    n, n_pixels = len(models.flux), flux.shape[1]
    moments = space.take("moments", 3 * n, n_pixels)
    product, norm, brightness = moments.split(n)
    multiply(models.flux, flux, out=product)
    multiply(models.square, inverse_variance, out=norm)
    torch.div(product, norm, out=brightness)
    if exact_width:
        # The square of the brightness and its own variance.
        second = torch.mul(product, brightness, out=space.take("second", n, n_pixels))
        second.add_(BITS).div_(norm)
    # In units of e: on CPUs that is the fastest exponential, but for infinite numbers.
    exponent = torch.addcmul(-_LN2 * reference, product, brightness, value=_LN2, out=product)
    best = exponent.amax(0).div_(_LN2).add_(reference)
    torch.threshold_(exponent, 0.0, _NOTHING)
    if moments.dtype != torch.float32:
        # Differences between likelihoods need double precision, their sums do not.
        moments = space.take("single moments", 3 * n, n_pixels, torch.float32).copy_(moments)
    weight, first, brightness = moments.split(n)
    weight.exp_().index_fill_(0, models.idle, 0)
    torch.mul(weight, brightness, out=first)
    if exact_width:
        torch.mul(weight, second, out=brightness)
    else:
        brightness.mul_(first)
    return moments, best


def summarize(
    tables: ModelTables,
    parts: list[ModelSums],
    probabilities: torch.Tensor,
    exact_width: bool,
    search: Search,
) -> Block:
    """Return percentiles and means.

    ``parts``: sums over them, of several chunks of pixels; returns the results for the pixels of
    all chunks.
    """
    sums = torch.cat([part.sums for part in parts], 1)
    square, best = (torch.cat([getattr(p, name) for p in parts]) for name in ("square", "best"))
    histograms, weights, edge, first, second = sums.split(tables.sizes)
    total = sums[: tables.n_first_bins].sum(0)
    n_properties, n_edges = tables.value_edges.shape
    histograms = histograms.reshape(n_properties, n_edges - 1, len(total))
    ratio_means = [table.sum(0) / total for table in first.split(tables.ratio_bins)]
    # What the square of the brightness lacks: its own variance.
    lacking = torch.zeros_like(total) if exact_width else (BITS / best).float()
    covariances, mean_flux = _joined(parts).covariance(
        total, stack(ratio_means, (len(total),), total), 1 + lacking
    )
    filled = weights.clamp(min=_TINY)
    mean = first.div_(filled)
    variance = second.div_(filled).addcmul_(mean, mean, value=-1)
    if not exact_width:
        variance.addcmul_(mean.square(), lacking)
    ratios = mixture_quantiles(
        weights,
        mean,
        variance,
        tables.ratio_bins,
        probabilities,
        window=search.window,
        n_iterations=search.n_iterations,
    )
    return Block(
        value_percentiles=binned_quantiles(histograms, tables.value_edges, probabilities, GROUP),
        value_means=(tables.value_centers @ histograms)[:, 0] / total,
        ratio_percentiles=ratios,
        ratio_means=stack(ratio_means, (len(total),), total),
        improvement=best,
        n_effective=total.square() / square,
        edge=edge[0] / total,
        covariance=covariances,
        mean_flux=mean_flux,
    )


def _joined(parts: list[ModelSums]) -> FluxSums:
    """Return the sums with fluxes of several chunks of pixels beside each other."""
    return FluxSums(
        *(
            torch.cat([getattr(part.fluxes, field.name) for part in parts], 1)
            for field in fields(FluxSums)
        )
    )


_DOUBTFUL_SEARCH = Search(window=256, n_iterations=12)


def fit_doubtful(
    tables: ModelTables,
    pixels: Pixels,
    probabilities: torch.Tensor,
    *,
    draws: Draws | None = None,
    bands: tuple[int, ...] = (),
) -> tuple[Block, torch.Tensor | None]:
    """Fit pixels with all models, cut off at zero brightness.

    The amplitude of each model enters the percentiles as a normal distribution with the
    mean and variance of what the cut leaves.
    """
    every = torch.arange(len(tables.cells.center), device=tables.device)
    models = GatheredModels(tables, every)
    sums = ModelSums.nothing(tables, len(pixels))
    product = models.flux @ pixels.weighted_flux
    inverse = 1 / (models.square @ pixels.weight)
    brightness = product * inverse
    power = product * brightness
    width = torch.sqrt(BITS * inverse)
    signal = brightness / width
    sums.best = torch.where(signal > 0, power, 0).amax(0)
    # Signed: the means and the samples.
    weight = torch.exp2(power - power.amax(0))
    weight[models.idle] = 0
    ratios = tables.ratios.double().reshape(len(tables.ratios), -1)
    total = weight.sum(0)
    signed = (ratios @ (weight * brightness)) / total
    fluxes = models.flux.T[list(bands)]
    mean_flux = (fluxes @ (weight * brightness)) / total
    mean_product = products(ratios, fluxes) @ (weight * (power + BITS) * inverse) / total
    of_ratios = covariance(mean_product, signed, mean_flux)
    slots = None
    if draws is not None:
        # All cells: rows are slots.
        slots = draw_rows(weight, draws)
    # Cut off at zero: the percentiles.
    left = torch.special.log_ndtr(signal)
    weight = power + left / math.log(2)
    weight = torch.exp2(weight - weight.amax(0))
    weight[models.idle] = 0
    hazard = torch.exp(-0.5 * signal.square() - left) / math.sqrt(2 * math.pi)
    first = weight * width * (signal + hazard).clamp(min=0)
    second = weight * width.square() * (1 + signal * (signal + hazard)).clamp(min=0)
    values = tables.values.double().reshape(len(tables.values), -1)
    total = weight.sum(0)
    of_values = covariance(
        (products(values, fluxes) @ first) / total,
        (values @ weight) / total,
        (fluxes @ first) / total,
    )
    sums.add(models, torch.cat([weight, first, second]).float())
    block = summarize(tables, [sums], probabilities, True, _DOUBTFUL_SEARCH)
    block = replace(
        block,
        ratio_percentiles=block.ratio_percentiles.clamp(min=0),
        ratio_means=signed,
        covariance=torch.cat([of_ratios, of_values]),
        mean_flux=mean_flux,
    )
    return block, slots
