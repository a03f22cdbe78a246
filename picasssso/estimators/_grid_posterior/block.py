"""What a fit of some pixels gives."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch

__all__ = ["Block", "stack"]


@dataclass(frozen=True)
class Block:
    """Results for some pixels, in the units of `SortedLibrary` and `Pixels`.

    Parameters
    ----------
    value_percentiles : tensor, shape (n_intensive, n_quantile, n_pixel)
        Percentiles of the intensive properties.
    value_means : tensor, shape (n_intensive, n_pixel)
        Their means.
    ratio_percentiles : tensor, shape (n_scaled, n_quantile, n_pixel)
        Percentiles of the amplitude-scaled properties.
    ratio_means : tensor, shape (n_scaled, n_pixel)
        Their signed means.
    improvement : tensor, shape (n_pixel,)
        By how much the best model lowers chi2 from that of no flux, in bits.
    n_effective : tensor, shape (n_pixel,)
        Effective number of models.
    edge : tensor, shape (n_pixel,)
        Posterior probability of the models at the prior's edge.
    """

    value_percentiles: torch.Tensor
    value_means: torch.Tensor
    ratio_percentiles: torch.Tensor
    ratio_means: torch.Tensor
    improvement: torch.Tensor
    n_effective: torch.Tensor
    edge: torch.Tensor

    def head(self, n_pixels: int) -> Block:
        """Return the results of the first pixels.

        Parameters
        ----------
        n_pixels : int
            How many.

        Returns
        -------
        Block
            Their results.
        """
        return Block(*(getattr(self, f.name)[..., :n_pixels] for f in fields(self)))


def stack(tables: list[torch.Tensor], shape: tuple[int, ...], like: torch.Tensor) -> torch.Tensor:
    """Stack tables of one shape, of which there may be none.

    Parameters
    ----------
    tables : list of tensor
        What to stack.
    shape : tuple of int
        Shape of one.
    like : tensor
        Gives type and device where there are none.

    Returns
    -------
    tensor
        The tables along a new first axis.
    """
    return torch.stack(tables) if tables else like.new_zeros((0, *shape))
