"""What a fit of some pixels gives."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch


@dataclass(frozen=True)
class Block:
    """Results for some pixels, in the units of `SortedLibrary` and `Pixels`."""

    value_percentiles: torch.Tensor
    value_means: torch.Tensor
    ratio_percentiles: torch.Tensor
    ratio_means: torch.Tensor
    improvement: torch.Tensor
    n_effective: torch.Tensor
    edge: torch.Tensor

    def head(self, n_pixels: int) -> Block:
        """Return the results of the first pixels."""
        return Block(*(getattr(self, f.name)[..., :n_pixels] for f in fields(self)))


def stack(tables: list[torch.Tensor], shape: tuple[int, ...], like: torch.Tensor) -> torch.Tensor:
    """Stack tables of one shape, of which there may be none.

    ``shape``: shape of one.
    """
    return torch.stack(tables) if tables else like.new_zeros((0, *shape))
