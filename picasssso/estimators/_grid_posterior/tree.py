"""Sorting models by colour: a balanced tree of cells of neighbouring models."""

from __future__ import annotations

import torch


def count_levels(n_models: int, cell_size: int) -> int:
    """Return how often models must be halved for cells of at most ``cell_size``.

    Examples
    --------
    >>> count_levels(50_000, 25)
    11
    >>> count_levels(3, 1)
    2
    """
    cells = -(-n_models // cell_size)
    return (cells - 1).bit_length()


def sort_by_colour(colour: torch.Tensor, n_levels: int) -> torch.Tensor:
    """Sort points into ``2**n_levels`` cells of equal size whose members are neighbours.

    Every cell is halved across its own principal axis, so the cells adapt to a thin,
    curved distribution in any number of dimensions. Neighbouring cells lie next to each
    other in the list, and 2, 4, 8 ... of them make up larger cells.

    Examples
    --------
    >>> import torch
    >>> colour = torch.tensor([[0.0], [3.0], [1.0], [2.0]], dtype=torch.float64)
    >>> sort_by_colour(colour, 1).sort(dim=1).values.tolist()
    [[0, 2], [1, 3]]
    """
    n = len(colour)
    cell_size = -(-n // 2**n_levels)
    cells = torch.arange(cell_size * 2**n_levels)[None]
    for _ in range(n_levels):
        points = colour[cells % n]
        points = points - points.mean(1, keepdim=True)
        axis = torch.linalg.eigh(points.mT @ points).eigenvectors[:, :, -1:]
        # The sign of an eigenvector is the linear algebra library's choice: fix it.
        largest = torch.gather(axis, 1, axis.abs().argmax(1, keepdim=True))
        axis = torch.where(largest < 0, -axis, axis)
        order = torch.argsort((points @ axis)[:, :, 0], dim=1, stable=True)
        cells = torch.gather(cells, 1, order).reshape(2 * len(cells), -1)
    return cells
