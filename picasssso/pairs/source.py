"""The common interface of sets of pairs, and endless streams of batches."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset, IterableDataset, get_worker_info

from picasssso._core.arguments import check_integer
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
    """A set of numbered pairs of images and truth; a torch dataset.

    Subclasses implement `batch`. `__getitem__` returns one pair; for batches, use `PairStream`
    with a `torch.utils.data.DataLoader`.

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
        """Device on which pairs are made (torch.device); worker processes require the CPU."""
        return torch.device("cpu")

    def _write_tables(self, folder: Path) -> None:
        """Write additional files that a stored set of these pairs needs; none by default."""

    @abstractmethod
    def batch(self, numbers: Sequence[int] | np.ndarray | range) -> Batch:
        """Return pairs.

        Parameters
        ----------
        numbers : sequence of int
            Numbers of the pairs.

        Returns
        -------
        dict
            Names of `FIELDS` to tensors of shape (n, ...).
        """

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """Return how the pairs were made, for the index of stored sets.

        Returns
        -------
        dict
            A description that JSON can represent.
        """

    def __getitem__(self, number: int) -> Batch:
        return {name: values[0] for name, values in self.batch([int(number)]).items()}

    def __getitems__(self, numbers: list[int]) -> list[Batch]:
        batch = self.batch(numbers)
        return [{name: v[k] for name, v in batch.items()} for k in range(len(numbers))]


class PairStream(IterableDataset):
    """Batches of a set in order, distributed over the workers of a data loader.

    Batch j contains the same pairs, in the same order, for any number of workers. Pass it to
    ``torch.utils.data.DataLoader(stream, batch_size=None, num_workers=...)``.
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
