"""Pixels that no model describes, or that are significantly negative: never fast.

Every model is summed in double precision, with what the cut at zero brightness leaves of
its amplitude. Such pixels are rare (artefacts, wrong zero points) and are flagged by
their chi2; what counts is that they get a finite, reproducible answer.
"""

from __future__ import annotations

import math

import torch

from picasssso.estimators._grid_posterior.block import Block
from picasssso.estimators._grid_posterior.bright import (
    GatheredModels,
    ModelSums,
    ModelTables,
    Search,
    summarize,
)
from picasssso.estimators._grid_posterior.pixels import BITS, Pixels
from picasssso.estimators._grid_posterior.sampling import Draws, draw_rows

_SEARCH = Search(window=256, n_iterations=12)


def fit_doubtful(
    tables: ModelTables,
    pixels: Pixels,
    probabilities: torch.Tensor,
    *,
    draws: Draws | None = None,
) -> tuple[Block, torch.Tensor | None]:
    """Fit pixels with all models, cut off at zero brightness.

    The amplitude of each model enters the percentiles as a normal distribution with the
    mean and variance of what the cut leaves.

    ``pixels``: the pixels; few at a time.
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
    signed = (ratios @ (weight * brightness)) / weight.sum(0)
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
    sums.add(models, *(table.float() for table in (weight, first, second)))
    block = summarize(tables, [sums], probabilities, True, _SEARCH)
    return (
        Block(
            value_percentiles=block.value_percentiles,
            value_means=block.value_means,
            ratio_percentiles=block.ratio_percentiles.clamp(min=0),
            ratio_means=signed,
            improvement=block.improvement,
            n_effective=block.n_effective,
            edge=block.edge,
        ),
        slots,
    )
