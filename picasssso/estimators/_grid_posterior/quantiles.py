"""Percentiles of weights summed in bins.

Tables have bins down and pixels across, as they come from the sums over models. Several
properties are treated at once, since for small tables the calls cost more than the sums.
"""

from __future__ import annotations

import math

import torch

_SQRT_HALF = math.sqrt(0.5)
_TINY = 1e-30


def _rows(table: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """Return ``table[rows[..., p], p]`` (faster than `torch.gather` along axis 0)."""
    n = table.shape[-1]
    flat = rows * n + torch.arange(n, device=table.device)
    return torch.index_select(table.reshape(-1), 0, flat.reshape(-1)).reshape(rows.shape)


def _cross(table: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return where cumulative sums pass targets, and the sums before.

    Shapes are (..., n_bins, n_pixel) and (n_quantile,) as fractions of the whole; the
    results have shape (..., n_quantile, n_pixel), the second with the targets taken off.
    """
    cumulative = torch.cumsum(table.mT.contiguous(), -1)
    wanted = cumulative[..., -1:] * targets
    which = torch.searchsorted(cumulative, wanted).clamp_(max=table.shape[-2] - 1)
    before = torch.gather(cumulative, -1, (which - 1).clamp_(min=0)).mul_(which > 0)
    return which.mT.contiguous(), wanted.sub_(before).mT


def binned_quantiles(
    weights: torch.Tensor, edges: torch.Tensor, probabilities: torch.Tensor, group: int
) -> torch.Tensor:
    """Return percentiles of weights that are spread evenly over each bin."""
    n_properties, n_bins, n_pixels = weights.shape
    if not n_properties:
        return edges.new_zeros((0, len(probabilities), n_pixels))
    n_groups = n_bins // group
    groups = weights.reshape(n_properties, n_groups, group, n_pixels).sum(2)
    which, missing = _cross(groups, probabilities.to(weights))
    # The bins of the group where the sum passes the target, one after the other.
    base = torch.arange(n_properties, device=weights.device)[:, None, None] * n_bins
    first = which * group
    bins = (first + base)[:, :, None] + torch.arange(group, device=weights.device)[:, None]
    inside = torch.cumsum(_rows(weights, bins), 2)
    passed = (inside < missing[:, :, None]).sum(2, keepdim=True).clamp_(max=group - 1)
    upper = torch.gather(inside, 2, passed)[:, :, 0]
    lower = torch.gather(inside, 2, (passed - 1).clamp_(min=0))[:, :, 0]
    passed = passed[:, :, 0]
    lower = lower * (passed > 0)
    fraction = ((missing - lower) / (upper - lower).clamp_(min=_TINY)).clamp_(0, 1)
    bins = (
        first
        + passed
        + torch.arange(n_properties, device=weights.device)[:, None, None] * (n_bins + 1)
    )
    edges = edges.reshape(-1)
    return torch.lerp(edges[bins], edges[bins + 1], fraction.to(edges))


def mixture_quantiles(
    weights: torch.Tensor,
    mean: torch.Tensor,
    variance: torch.Tensor,
    sizes: list[int],
    probabilities: torch.Tensor,
    *,
    window: int,
    n_iterations: int,
) -> torch.Tensor:
    """Return percentiles of sums of normal distributions sorted by their means."""
    n_pixels = weights.shape[1]
    if not sizes:
        return weights.new_zeros((0, len(probabilities), n_pixels))
    probabilities = probabilities.to(weights)
    window = min(window, *sizes)
    start = 0
    begins, targets, guesses, zeros = [], [], [], []
    for size, part in zip(sizes, weights.split(sizes), strict=True):
        cumulative = torch.cumsum(part.T.contiguous(), 1)
        wanted = cumulative[:, -1:] * probabilities
        which = torch.searchsorted(cumulative, wanted).clamp_(max=size - 1)
        begin = (which - window // 2).clamp_(0, size - window)
        before = torch.gather(cumulative, 1, (begin - 1).clamp_(min=0)).mul_(begin > 0)
        # A component of exactly zero (no star formation) has no width to step in.
        zeros.append(wanted.T <= part[0] * (mean[start] == 0))
        targets.append(wanted.sub_(before).T)
        begins.append(begin.T + start)
        guesses.append(which.T + start)
        start += size
    pixel = torch.arange(n_pixels, device=weights.device)
    begin = torch.stack(begins)[:, :, None] * n_pixels + pixel
    steps = torch.arange(window, device=weights.device)[:, None] * n_pixels
    rows = (begin + steps).reshape(-1)
    shape = (len(sizes), len(probabilities), window, n_pixels)
    weights, mean, width = (
        torch.index_select(table.reshape(-1), 0, rows).reshape(shape)
        for table in (weights, mean, variance)
    )
    inverse_width = width.clamp_(min=_TINY).rsqrt_().mul_(_SQRT_HALF)
    # Twice the sum of weights below x is the sum of weight (1 + erf(z)).
    goal = torch.stack(targets).mul_(2).sub_(weights.sum(2))
    heights = weights * inverse_width
    guess = ((torch.stack(guesses) * n_pixels + pixel)[:, :, None] - begin) // n_pixels
    x = torch.gather(mean, 2, guess)[:, :, 0]
    low, high = torch.zeros_like(x), 3 * mean.amax(2)
    for _ in range(n_iterations):
        z = torch.sub(x[:, :, None], mean).mul_(inverse_width)
        value = torch.erf(z).mul_(weights).sum(2).sub_(goal)
        density = torch.exp2(z.square_().mul_(-math.log2(math.e)))
        slope = density.mul_(heights).sum(2).mul_(2 / math.sqrt(math.pi))
        above = value >= 0
        high, low = torch.where(above, x, high), torch.where(above, low, x)
        step = x - value / slope.clamp_(min=_TINY)
        x = torch.where((step >= low) & (step <= high), step, 0.5 * (low + high))
    return x.masked_fill_(torch.stack(zeros), 0)


def grid_quantiles(
    density: torch.Tensor, zeros: torch.Tensor, probabilities: torch.Tensor, step: float
) -> torch.Tensor:
    """Return percentiles of a smooth distribution of a logarithm, given on a fine grid.

    Below the first point the density is taken to fall as the property itself does, as it
    is for amplitudes close to zero.

    ``step``: step of the grid in dex.
    """
    density = density.T.contiguous().clamp_(min=0)
    # The trapezoidal rule with its first correction (Euler-Maclaurin).
    cumulative = torch.cumsum(density, 1).sub_(density, alpha=0.5)
    cumulative[:, 1:-1] -= (density[:, 2:] - density[:, :-2]) / 24
    below = density[:, :1] / (step * math.log(10))
    cumulative += below - cumulative[:, :1]
    total = cumulative[:, -1:].clamp(min=_TINY)
    share = zeros[:, None]
    targets = total * ((probabilities.to(total) - share) / (1 - share).clamp(min=_TINY))
    upper = torch.searchsorted(cumulative, targets).clamp_(1, density.shape[1] - 1)
    lower = upper - 1
    start, stop = (torch.gather(cumulative, 1, at) for at in (lower, upper))
    rise = (stop - start).clamp_(min=_TINY)
    goal = ((targets - start) / rise).clamp_(0, 1)
    # A cubic between the points, with the slopes the densities give; they are limited so
    # that it rises throughout.
    left, right = ((torch.gather(density, 1, at) / rise).clamp_(max=3) for at in (lower, upper))
    square, cube = 3 - 2 * left - right, left + right - 2
    low, high = torch.zeros_like(goal), torch.ones_like(goal)
    x = goal
    for _ in range(4):
        value = x * (left + x * (square + x * cube)) - goal
        slope = left + x * (2 * square + x * 3 * cube)
        above = value >= 0
        high, low = torch.where(above, x, high), torch.where(above, low, x)
        newton = x - value / slope.clamp_(min=1e-6)
        x = torch.where((newton >= low) & (newton <= high), newton, 0.5 * (low + high))
    return (lower + x).masked_fill_(targets <= 0, -torch.inf).T
