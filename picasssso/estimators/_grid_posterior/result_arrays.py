"""Results of many pixels, filled in as they come, and working memory."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import torch

from picasssso.estimators._grid_posterior.bright import ModelTables, Workspace
from picasssso.estimators._grid_posterior.pixel_fits import (
    BITS,
    Block,
    Draws,
    Pixels,
    draw_amplitudes,
)
from picasssso.estimators._grid_posterior.response import Shift, respond
from picasssso.estimators._grid_posterior.sorted_library import SortedLibrary
from picasssso.maps.arrays import PERCENTILES


class Scratch(threading.local):
    """Working memory of one call, shared by the chunks of a thread."""

    def __init__(self) -> None:
        self._spaces: dict[torch.dtype, Workspace] = {}

    def take(self, tables: ModelTables) -> Workspace:
        """Return the working memory for tables."""
        return self._spaces.setdefault(tables.dtype, Workspace(tables.dtype, tables.device))


class Results:
    """Results of the pixels of a batch on the library's device, filled in as they come."""

    def __init__(
        self,
        library: SortedLibrary,
        error_floor: torch.Tensor,
        n_pixels: int,
        n_samples: int,
        shifts: Sequence[Shift],
    ) -> None:
        def planes(*shape: int) -> torch.Tensor:
            return torch.full((*shape, n_pixels), torch.nan, device=library.flux.device)

        self._library, self._error_floor, self._shifts = library, error_floor, shifts
        self._units = torch.tensor(library.ratio_units).to(library.flux)
        n = len(library.ratios) + len(library.values)
        self.percentiles = planes(n, len(PERCENTILES))
        self.means, self.scalars = planes(n), planes(5)
        self.samples, self.moves = planes(n, n_samples), planes(n, len(shifts))

    def store(self, which: torch.Tensor, block: Block, pixels: Pixels) -> None:
        """Store results of some pixels, in the units of the input."""
        n = len(self._units)
        scale = self._units[:, None] * pixels.noise
        self.percentiles[:n, :, which] = (block.ratio_percentiles * scale[:, None]).float()
        self.percentiles[n:, :, which] = block.value_percentiles.float()
        self.means[:n, which] = (block.ratio_means * scale).float()
        self.means[n:, which] = block.value_means.float()
        chi2 = ((pixels.power - block.improvement) / BITS).clamp(min=0)
        freedom = (pixels.n_bands - 1).clamp(min=1)
        signal = (block.improvement / BITS).clamp(min=0).sqrt()
        scalars = [chi2, chi2 / freedom, signal, block.n_effective, block.edge]
        self.scalars[:, which] = torch.stack([s.float() for s in scalars])
        if self._shifts:
            moves = respond(block, pixels, self._error_floor, self._shifts)
            self.moves[:n, :, which] = (moves[:n] * scale[:, None]).float()
            self.moves[n:, :, which] = moves[n:].float()

    def store_samples(
        self, which: torch.Tensor, slots: torch.Tensor, pixels: Pixels, draws: Draws
    ) -> None:
        """Store the samples of some pixels, given their models."""
        library, some = self._library, pixels.select(which)
        brightness = draw_amplitudes(library.flux, slots, some, draws.select(which))
        scale = self._units[:, None, None] * some.noise[:, None]
        scaled = library.ratios[:, slots] * brightness * scale
        samples = torch.cat([scaled, library.values[:, slots]])
        self.samples[:, :, which] = samples.transpose(1, 2).float()
