"""Sums over models on a CUDA device, in one pass from fluxes to bins (Triton).

On a GPU the tables of models x pixels that `picasssso.estimators._grid_posterior.bright`
works with cost more to write and read than to compute. Here each thread has a few pixels
in registers, walks through the models in the order of a property's bins, and writes
nothing but the sums of each bin. The weights are computed anew for every property.

Models of cells that cannot matter for any pixel of a block are stepped over.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import triton
import triton.language as tl

from picasssso.estimators._grid_posterior.bright import (
    DEPTH,
    ModelSums,
    ModelTables,
    reach_of,
)
from picasssso.estimators._grid_posterior.faint import RATIO_STEP
from picasssso.estimators._grid_posterior.pixel_fits import BITS, Pixels
from picasssso.estimators._grid_posterior.sorted_library import SortedLibrary

#: The kernels keep this many bands in registers.
MOST_BANDS = 8

#: Half a unit of chi2 in bits, for the kernels.
_BITS = tl.constexpr(BITS)

#: `RATIO_STEP` in factors of two.
_STEP = tl.constexpr(RATIO_STEP * math.log2(10))


class FusedTables:
    """Models in the order of the bins of each property."""

    #: Pixels and warps per program, bins and models per program, whether cells are ruled out.
    pixels, warps, bins, models, skip = 512, 4, 16, 2048, True

    def __init__(self, library: SortedLibrary, tables: ModelTables) -> None:
        slots = (library.count > 0).nonzero()[:, 0]
        keys = tables.keys.reshape(len(tables.keys), -1)[:, slots].long()
        n_ratios = len(tables.ratio_bins)
        order = torch.argsort(keys, dim=1, stable=True)
        counts = torch.bincount(keys.reshape(-1), minlength=tables.n_bins)
        offsets = torch.nn.functional.pad(torch.cumsum(counts, 0), (1, 0))
        n_value_rows = (len(keys) - n_ratios) * len(slots)
        ratios = tables.ratios.reshape(n_ratios, -1)
        sorted_slots = slots[order]

        def rows(slots: torch.Tensor, factors: torch.Tensor | None = None) -> _Rows:
            slots = slots.reshape(-1)
            return _Rows(
                flux=library.flux[slots].float().contiguous(),
                cell=(slots // tables.size).to(torch.int32),
                factor=None if factors is None else factors.float().contiguous(),
            )

        self.plain = rows(slots, library.edge[slots])
        self.values = rows(sorted_slots[: len(keys) - n_ratios])
        ordered = sorted_slots[len(keys) - n_ratios :]
        self.ratios = rows(ordered, torch.gather(ratios, 1, ordered).reshape(-1))
        self.value_offsets = offsets[: tables.n_value_bins + 1].to(torch.int32)
        self.ratio_offsets = (offsets[tables.n_value_bins :] - n_value_rows).to(torch.int32)


@dataclass(frozen=True)
class _Rows:
    """Fluxes (n_row, n_band), cell and factor of each row."""

    flux: torch.Tensor
    cell: torch.Tensor
    factor: torch.Tensor | None


def sum_models(fused: FusedTables, tables: ModelTables, pixels: Pixels) -> ModelSums:
    """Sum over all models that matter, each amplitude with its own variance.

    ``pixels``: the pixels, a multiple of `FusedTables.pixels`, best with similar colors;
    amplitudes significantly above zero.
    """
    block = fused.pixels
    n_pixels, n_blocks = len(pixels), len(pixels) // block
    flux, weight = pixels.weighted_flux.float(), pixels.weight.float()
    device = flux.device
    cells, reference, is_loose = reach_of(tables, tables.cells, pixels)
    wanted = torch.ones(1, 1, dtype=torch.int8, device=device)
    if fused.skip:
        wanted = cells.reshape(len(cells), n_blocks, block).any(2).T.to(torch.int8).contiguous()
    options = {
        "N": flux.shape[0],
        "B": block,
        "SKIP": fused.skip,
        "num_warps": fused.warps,
    }
    pixel_tables = (flux, weight, wanted, n_pixels, wanted.shape[1])

    def zeros(*shape: int) -> torch.Tensor:
        return torch.zeros(*shape, n_pixels, device=device)

    plain = fused.plain
    n_models = len(plain.flux)
    n_parts = -(-n_models // fused.models)
    parts = zeros(n_parts)
    _find_best[(n_blocks, n_parts)](
        plain.flux, plain.cell, *pixel_tables, parts, n_models, STEP=fused.models, **options
    )
    best = parts.amax(0)
    # As on the CPU, what is less likely than this has no weight.
    lowest = (torch.where(is_loose, best, reference) - DEPTH).float()
    totals = zeros(3, n_parts)
    _sum_all[(n_blocks, n_parts)](
        plain.flux,
        plain.cell,
        plain.factor,
        *pixel_tables,
        best,
        lowest,
        totals,
        n_models,
        n_parts,
        STEP=fused.models,
        **options,
    )
    sums = zeros(sum(tables.sizes))
    *_, edge, first, second = sums.split(tables.sizes)
    for rows, offsets, start, with_moments in (
        (fused.values, fused.value_offsets, 0, False),
        (fused.ratios, fused.ratio_offsets, tables.n_value_bins, True),
    ):
        n_bins = len(offsets) - 1
        if not n_bins:
            continue
        _sum_bins[(n_blocks, -(-n_bins // fused.bins))](
            rows.flux,
            rows.cell,
            rows.flux if rows.factor is None else rows.factor,
            offsets,
            *pixel_tables,
            best,
            lowest,
            sums[start:],
            first,
            second,
            n_bins,
            BINS=fused.bins,
            MOMENTS=with_moments,
            **options,
        )
    _, square, edge[:] = totals.sum(1)
    # The kernels do not sum fluxes: see `GridPosterior._fit`.
    return ModelSums(sums, square, best, ModelSums.nothing(tables, n_pixels).fluxes)


def likelihood_levels(
    product: torch.Tensor, norm: torch.Tensor, best: torch.Tensor, top: torch.Tensor, n: int
) -> torch.Tensor:
    """Return likelihoods of nodes at brightness zero and at points of a logarithmic grid.

    ``n``: number of points, `RATIO_STEP` dex apart.
    """
    n_nodes, n_pixels = product.shape
    levels = torch.empty(n_nodes, (n + 1) * n_pixels, device=product.device)
    _fill_levels[(-(-n_pixels // 1024), n_nodes)](
        product, norm, best, top, levels, n_pixels, N_POINTS=n, B=1024, num_warps=4
    )
    return levels


@triton.jit
def _fill_levels(  # type: ignore[no-untyped-def]
    product, norm, best, top, levels, n_pixels, N_POINTS: tl.constexpr, B: tl.constexpr
):
    at = tl.program_id(0) * B + tl.arange(0, B)
    node = tl.program_id(1)
    mask = at < n_pixels
    first = tl.load(product + node * n_pixels + at, mask, 0.0)
    second = tl.load(norm + node * n_pixels + at, mask, 0.0)
    highest = tl.load(best + at, mask, 0.0)
    uppermost = tl.load(top + at, mask, 0.0)
    height = tl.sqrt(second)
    place = levels + node * (N_POINTS + 1) * n_pixels + at
    tl.store(place, height * tl.exp2(-highest), mask)
    for number in range(1, N_POINTS + 1):
        x = uppermost * tl.exp2((number - N_POINTS) * _STEP)
        exponent = (2.0 * first - second * x) * x - highest
        tl.store(place + number * n_pixels, height * tl.exp2(exponent), mask)


@triton.jit
def _load(table, n_pixels, at, N: tl.constexpr):  # type: ignore[no-untyped-def]
    """Load a value per band for some pixels; bands beyond N repeat the first."""
    a0 = tl.load(table + at)
    a1 = a0
    a2 = a0
    a3 = a0
    a4 = a0
    a5 = a0
    a6 = a0
    a7 = a0
    if N > 1:
        a1 = tl.load(table + n_pixels + at)
    if N > 2:
        a2 = tl.load(table + 2 * n_pixels + at)
    if N > 3:
        a3 = tl.load(table + 3 * n_pixels + at)
    if N > 4:
        a4 = tl.load(table + 4 * n_pixels + at)
    if N > 5:
        a5 = tl.load(table + 5 * n_pixels + at)
    if N > 6:
        a6 = tl.load(table + 6 * n_pixels + at)
    if N > 7:
        a7 = tl.load(table + 7 * n_pixels + at)
    return a0, a1, a2, a3, a4, a5, a6, a7


@triton.jit
def _compare(  # type: ignore[no-untyped-def]
    row, f0, f1, f2, f3, f4, f5, f6, f7, w0, w1, w2, w3, w4, w5, w6, w7, N: tl.constexpr
):
    """Return sum(w f m) and sum(w m^2) of one model for some pixels."""
    m = tl.load(row)
    product = m * f0
    norm = m * m * w0
    if N > 1:
        m = tl.load(row + 1)
        product += m * f1
        norm += m * m * w1
    if N > 2:
        m = tl.load(row + 2)
        product += m * f2
        norm += m * m * w2
    if N > 3:
        m = tl.load(row + 3)
        product += m * f3
        norm += m * m * w3
    if N > 4:
        m = tl.load(row + 4)
        product += m * f4
        norm += m * m * w4
    if N > 5:
        m = tl.load(row + 5)
        product += m * f5
        norm += m * m * w5
    if N > 6:
        m = tl.load(row + 6)
        product += m * f6
        norm += m * m * w6
    if N > 7:
        m = tl.load(row + 7)
        product += m * f7
        norm += m * m * w7
    return product, norm


@triton.jit
def _find_best(  # type: ignore[no-untyped-def]
    models, cells, flux, weight, wanted, n_pixels, n_cells, parts, n_models,
    STEP: tl.constexpr, N: tl.constexpr, B: tl.constexpr, SKIP: tl.constexpr,
):  # fmt: skip
    """Find the largest power among STEP models."""
    block, part = tl.program_id(0), tl.program_id(1)
    at = block * B + tl.arange(0, B)
    f0, f1, f2, f3, f4, f5, f6, f7 = _load(flux, n_pixels, at, N)
    w0, w1, w2, w3, w4, w5, w6, w7 = _load(weight, n_pixels, at, N)
    best = tl.zeros([B], tl.float32)
    for row in range(part * STEP, tl.minimum(part * STEP + STEP, n_models)):
        matters = True
        if SKIP:
            matters = tl.load(wanted + block * n_cells + tl.load(cells + row)) != 0
        if matters:
            product, norm = _compare(
                models + row * N,
                f0, f1, f2, f3, f4, f5, f6, f7, w0, w1, w2, w3, w4, w5, w6, w7, N,
            )  # fmt: skip
            signal = product * tl.rsqrt(norm)
            best = tl.maximum(best, signal * signal)
    tl.store(parts + part * n_pixels + at, best)


@triton.jit
def _sum_all(  # type: ignore[no-untyped-def]
    models, cells, edges, flux, weight, wanted, n_pixels, n_cells, best, lowest,
    totals, n_models, n_parts,
    STEP: tl.constexpr, N: tl.constexpr, B: tl.constexpr, SKIP: tl.constexpr,
):  # fmt: skip
    """Sum weights, their squares, and those at the prior's edge, of STEP models."""
    block, part = tl.program_id(0), tl.program_id(1)
    at = block * B + tl.arange(0, B)
    f0, f1, f2, f3, f4, f5, f6, f7 = _load(flux, n_pixels, at, N)
    w0, w1, w2, w3, w4, w5, w6, w7 = _load(weight, n_pixels, at, N)
    highest = tl.load(best + at)
    least = tl.load(lowest + at)
    total = tl.zeros([B], tl.float32)
    square = tl.zeros([B], tl.float32)
    edge = tl.zeros([B], tl.float32)
    for row in range(part * STEP, tl.minimum(part * STEP + STEP, n_models)):
        matters = True
        if SKIP:
            matters = tl.load(wanted + block * n_cells + tl.load(cells + row)) != 0
        if matters:
            product, norm = _compare(
                models + row * N,
                f0, f1, f2, f3, f4, f5, f6, f7, w0, w1, w2, w3, w4, w5, w6, w7, N,
            )  # fmt: skip
            signal = product * tl.rsqrt(norm)
            power = signal * signal
            probability = tl.where(power > least, tl.exp2(power - highest), 0.0)
            total += probability
            square += probability * probability
            edge += probability * tl.load(edges + row)
    place = totals + part * n_pixels + at
    tl.store(place, total)
    tl.store(place + n_parts * n_pixels, square)
    tl.store(place + 2 * n_parts * n_pixels, edge)


@triton.jit
def _sum_bins(  # type: ignore[no-untyped-def]
    models, cells, factors, offsets, flux, weight, wanted, n_pixels, n_cells, best, lowest,
    zeroth, first, second, n_bins,
    BINS: tl.constexpr, MOMENTS: tl.constexpr,
    N: tl.constexpr, B: tl.constexpr, SKIP: tl.constexpr,
):  # fmt: skip
    """Sum weights, and their moments of factor times brightness, in BINS bins."""
    block, part = tl.program_id(0), tl.program_id(1)
    at = block * B + tl.arange(0, B)
    f0, f1, f2, f3, f4, f5, f6, f7 = _load(flux, n_pixels, at, N)
    w0, w1, w2, w3, w4, w5, w6, w7 = _load(weight, n_pixels, at, N)
    highest = tl.load(best + at)
    least = tl.load(lowest + at)
    for number in range(part * BINS, tl.minimum(part * BINS + BINS, n_bins)):
        total = tl.zeros([B], tl.float32)
        one = tl.zeros([B], tl.float32)
        two = tl.zeros([B], tl.float32)
        for row in range(tl.load(offsets + number), tl.load(offsets + number + 1)):
            matters = True
            if SKIP:
                matters = tl.load(wanted + block * n_cells + tl.load(cells + row)) != 0
            if matters:
                product, norm = _compare(
                    models + row * N,
                    f0, f1, f2, f3, f4, f5, f6, f7, w0, w1, w2, w3, w4, w5, w6, w7, N,
                )  # fmt: skip
                root = tl.rsqrt(norm)
                signal = product * root
                power = signal * signal
                probability = tl.where(power > least, tl.exp2(power - highest), 0.0)
                total += probability
                if MOMENTS:
                    factor = tl.load(factors + row)
                    scale = factor * root
                    one += probability * scale * signal
                    two += probability * scale * scale * (power + _BITS)
        tl.store(zeroth + number * n_pixels + at, total)
        if MOMENTS:
            tl.store(first + number * n_pixels + at, one)
            tl.store(second + number * n_pixels + at, two)
