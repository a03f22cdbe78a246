"""What every set of pairs can do, and batches of it without end."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset, IterableDataset, get_worker_info

from picasssso._core.checks import check_integer
from picasssso.exceptions import InvalidInputError

#: A batch of pairs: names of `FIELDS` to tensors, whose first axis is the pair.
Batch = dict[str, torch.Tensor]

#: What a pair holds: name to unit and meaning.
FIELDS = {
    "flux": ("nmgy", "images, (band, y, x); 0 at bad pixels"),
    "inverse_variance": ("1 / nmgy2", "of the images, (band, y, x); 0 at bad pixels"),
    "truth": ("", "what true maps are made from, in the order of SUMS, (9, y, x)"),
    "truth_at_psf": ("", "the same at the resolution of the image with the widest PSF"),
    "psf_fwhm": ("arcsec", "width of the PSF, (band,)"),
    "redshift": ("", "redshift"),
    "pixel_scale": ("arcsec", "size of a pixel"),
    "pixel_scale_kpc": ("kpc", "size of a pixel"),
    "half_mass_radius": ("kpc", "radius with half of the stellar mass; NaN if not known"),
    "log_mass": ("dex(Msun)", "log10 of the stellar mass asked for; NaN if not known"),
    "number": ("", "number of the pair in its set"),
    "galaxy": ("", "which galaxy; splits go by it"),
    "view": ("", "from which direction, where a galaxy is seen from several"),
}


class PairSource(Dataset, ABC):
    """A set of pairs that are found by their numbers; a dataset of torch.

    `batch` is what subclasses implement; `__getitem__` gives one pair, and a
    `torch.utils.data.DataLoader` makes batches with few calls.

    Attributes
    ----------
    bands : tuple of str
        Filter names, in the order of ``flux``.

    Examples
    --------
    >>> from picasssso.mocks import GeneratedPairs
    >>> from picasssso.pairs import PairSource
    >>> source = GeneratedPairs(seed=1, survey="paper_field", n_pixels=32)
    >>> isinstance(source, PairSource), source.batch([0, 5])["flux"].shape
    (True, torch.Size([2, 5, 32, 32]))
    """

    bands: tuple[str, ...]

    @property
    def device(self) -> torch.device:
        """Where pairs are made (torch.device); worker processes share no other than the CPU."""
        return torch.device("cpu")

    def write_tables(self, folder: Path) -> None:
        """Write what a stored set of these pairs needs beside the shards: nothing, by default.

        Parameters
        ----------
        folder : Path
            Folder of the set.
        """

    @abstractmethod
    def batch(self, numbers: Sequence[int] | np.ndarray | range) -> Batch:
        """Return pairs.

        Parameters
        ----------
        numbers : sequence of int
            Which.

        Returns
        -------
        dict
            Names of `FIELDS` to tensors of shape (n, ...).
        """

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """Return what made the pairs, for the files of stored sets.

        Returns
        -------
        dict
            Strings, numbers, lists and dictionaries.
        """

    def __getitem__(self, number: int) -> Batch:
        return {name: values[0] for name, values in self.batch([int(number)]).items()}

    def __getitems__(self, numbers: list[int]) -> list[Batch]:
        batch = self.batch(numbers)
        return [{name: v[k] for name, v in batch.items()} for k in range(len(numbers))]


class PairStream(IterableDataset):
    """Batches of a set in order, shared out between the workers of a data loader.

    Batch j holds the same pairs whatever the number of workers, and comes at its place:
    give it to ``torch.utils.data.DataLoader(stream, batch_size=None, num_workers=...)``.
    """

    def __init__(
        self, source: PairSource, batch_size: int, *, start: int = 0, stop: int | None = None
    ) -> None:
        for name, value, least in (("batch_size", batch_size, 1), ("start", start, 0)):
            check_integer(name, value, least)
        if stop is None and hasattr(source, "__len__"):
            stop = len(source)
        if stop is not None and stop < start:
            raise InvalidInputError(f"stop={stop} is before start={start}.")
        self.source, self.batch_size, self.start, self.stop = source, batch_size, start, stop

    def __iter__(self) -> Iterator[Batch]:
        worker = get_worker_info()
        turn, workers = (0, 1) if worker is None else (worker.id, worker.num_workers)
        while True:
            first = self.start + turn * self.batch_size
            last = first + self.batch_size
            if self.stop is not None:
                last = min(last, self.stop)
            if last <= first:
                return
            yield self.source.batch(range(first, last))
            turn += workers
