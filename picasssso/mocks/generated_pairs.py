"""Pairs made on the spot, or held in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from picasssso.mocks.generator import MockGenerator
from picasssso.mocks.light import write_light_table
from picasssso.mocks.observing.observed import pair_batch
from picasssso.mocks.observing.surveys import Survey
from picasssso.mocks.worlds import Worlds
from picasssso.pairs.schema import TABLE
from picasssso.pairs.source import Batch, PairSource


class GeneratedPairs(PairSource):
    """Any number of simulated galaxies, generated on demand; nothing is stored on disk.

    Pair k of a seed does not depend on batch, worker or order.

    Parameters
    ----------
    seed : int, optional
        The seed.
    **settings
        Arguments of `picasssso.mocks.MockGenerator`: ``survey``, ``bands``, ``n_pixels``,
        ``table``, ``device`` and so on.

    Examples
    --------
    >>> from picasssso.mocks import GeneratedPairs
    >>> pairs = GeneratedPairs(seed=1, survey="paper_field", n_pixels=32)
    >>> pair = pairs[7]
    >>> pair["flux"].shape, pair["truth"].shape
    (torch.Size([5, 32, 32]), torch.Size([9, 32, 32]))
    """

    def __init__(self, seed: int = 0, **settings: Any) -> None:
        self.seed = seed
        self.settings = {
            name: value for name, value in settings.items() if name not in ("table", "device")
        }
        self.generator = MockGenerator(seed, **settings)
        self.bands = self.generator.bands

    @property
    def device(self) -> torch.device:
        """Where galaxies are made (torch.device)."""
        device = self.generator.galaxies.device
        if device is None:
            return torch.device("cuda" if torch.cuda.is_available() else "cpu")
        return torch.device(device)

    def _write_tables(self, folder: Path) -> None:
        """Write the table of light into the folder of a stored set, unless it is there."""
        if not (folder / TABLE).exists():
            write_light_table(folder / TABLE, self.generator.table)

    def batch(self, numbers: Sequence[int] | np.ndarray | range) -> Batch:
        """Return pairs of some numbers, names of `FIELDS` to tensors, on its device."""
        observed = self.generator.draw(numbers)
        index = observed.index
        ids = {"number": index, "galaxy": index, "view": torch.zeros_like(index)}
        return pair_batch(observed, slice(None), ids)

    def describe(self) -> dict[str, Any]:
        """Return what makes the pairs: seed, settings, bands and the stellar grid's hash."""
        settings = {
            name: asdict(value) if isinstance(value, Survey | Worlds) else value
            for name, value in sorted(self.settings.items())
        }
        settings["bands"] = list(self.bands)
        return {
            "kind": "GeneratedPairs",
            "seed": self.seed,
            "settings": settings,
            "grid_hash": self.generator.table.grid_hash,
        }
