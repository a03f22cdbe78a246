"""Bins of model properties, fixed once for a library.

Weights are summed in bins before percentiles are taken. Bins belong to the library,
never to a pixel or a chunk of pixels, so that a pixel's answer does not depend on which
other pixels it is computed with.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

#: Bins are added up in groups of this many for the first look at a cumulative sum.
GROUP = 16

#: Ratios have fine bins down to this many dex below the largest.
_FINE = 6.0

#: Values below this part of the largest share the resolution of what is above.
_DYNAMIC_RANGE = 1e-5


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


def _logarithm(values: torch.Tensor) -> torch.Tensor:
    return torch.log10(values.clamp(min=float(values.max()) * _DYNAMIC_RANGE))


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
        measures.append(_unit_range(_logarithm(values)))
    coordinate = torch.stack(measures).mean(0) * n_bins
    return _make_bins(values, coordinate.clamp(max=n_bins - 0.5))


def bin_ratios(ratios: torch.Tensor, width: float) -> PropertyBins:
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
