"""Reading stored sets of pairs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from picasssso._core.safe_files import HDF5_DAMAGE, check_heaps, open_hdf5, read_datasets, short
from picasssso.exceptions import FileFormatError, InvalidInputError, PicassssoError
from picasssso.pairs.schema import checksum, read_index, shard_name
from picasssso.pairs.source import Batch, PairSource
from picasssso.pairs.splits import split_of

#: Shards kept open by each process.
_OPEN = 64


class StoredPairs(PairSource):
    """A stored set of pairs, or one of its splits; see `write_pairs`.

    Parameters
    ----------
    folder : str or path-like
        Folder of the set.
    split : str, optional
        Name of a split; each galaxy belongs to one split only. Default: all pairs.

    Raises
    ------
    FileFormatError
        If the folder contains no set, or shards are missing or damaged.
    InvalidInputError
        If there is no such split.

    Examples
    --------
    >>> import tempfile
    >>> from picasssso.mocks import GeneratedPairs
    >>> from picasssso.pairs import StoredPairs, write_pairs
    >>> pairs = GeneratedPairs(seed=1, survey="paper_field", n_pixels=32)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_pairs(pairs, folder, 6, workers=0)
    ...     len(StoredPairs(folder)), StoredPairs(folder)[5]["flux"].shape
    (6, torch.Size([5, 32, 32]))
    """

    def __init__(self, folder: str | os.PathLike[str], split: str | None = None) -> None:
        self.folder = Path(folder)
        self.split = split
        self.index = read_index(self.folder)
        self.bands = tuple(self.index["bands"])
        self._files: dict[int, Any] = {}
        self._shards: dict[int, dict[str, Any]] = {}
        self._process = os.getpid()
        size = int(self.index["shard_size"])
        galaxies, self._shard_size = [], size
        for shard in range(-(-int(self.index["count"]) // size)):
            galaxies.append(self._galaxies(shard))
        self.galaxy = np.concatenate(galaxies)
        self._numbers = np.arange(len(self.galaxy))
        if split is not None:
            fractions = self.index["splits"]
            if split not in fractions:
                raise InvalidInputError(
                    f"split={split!r} is unknown: this set has {', '.join(fractions)}."
                )
            names = split_of(self.galaxy, fractions=fractions)
            self._numbers = self._numbers[names == split]
            self.galaxy = self.galaxy[names == split]

    def _galaxies(self, shard: int) -> np.ndarray:
        path = self.folder / shard_name(shard)
        wanted = min(self._shard_size, int(self.index["count"]) - shard * self._shard_size)
        if not path.exists():
            raise FileFormatError(
                f"{self.folder} lacks {path.name}: the set is not finished. Call write_pairs() or "
                "'picasssso simulate' again with the same arguments to continue."
            )
        with open_hdf5(path) as file:
            data = read_datasets(file)
            absent = [name for name in self.index["fields"] if name not in data]
            if absent:
                raise FileFormatError(f"{path} lacks {', '.join(absent)}.")
            short = {n: len(data[n]) for n in self.index["fields"] if len(data[n]) < wanted}
            if short:
                raise FileFormatError(
                    f"{path} has too few pairs: expected {wanted}, found {short}."
                )
            galaxy = np.asarray(data["galaxy"][:wanted])
            if galaxy.ndim != 1 or galaxy.dtype.kind not in "iu":
                raise FileFormatError(f"{path} is damaged: galaxy holds no numbers.")
            return galaxy

    def __len__(self) -> int:
        return len(self._numbers)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_files": {}, "_shards": {}}

    def _shard(self, shard: int) -> dict[str, Any]:
        """Return the fields of a shard: images as HDF5 datasets, numbers as arrays."""
        import h5py

        # Open files must not be shared with a parent process.
        if self._process != os.getpid():
            self._files, self._shards, self._process = {}, {}, os.getpid()
        if shard not in self._shards:
            while len(self._files) >= _OPEN:
                oldest = next(iter(self._files))
                self._files.pop(oldest).close()
                del self._shards[oldest]
            path = self.folder / shard_name(shard)
            try:
                self._files[shard] = h5py.File(path, "r")
                self._shards[shard] = {
                    name: data if data.ndim > 2 else data[()]
                    for name, data in read_datasets(self._files[shard]).items()
                }
            except HDF5_DAMAGE as error:
                raise FileFormatError(f"{path} is damaged: {short(error)}.") from error
        return self._shards[shard]

    def close(self) -> None:
        """Close the files; they are reopened when needed."""
        for file in self._files.values():
            file.close()
        self._files, self._shards = {}, {}

    def batch(self, numbers: Sequence[int] | np.ndarray | range) -> Batch:
        """Return pairs, names of `FIELDS` to tensors; negative numbers count from the end."""
        asked = np.atleast_1d(np.asarray(numbers, dtype=np.int64))
        if asked.size and not (-len(self) <= asked.min() and asked.max() < len(self)):
            raise IndexError(f"There is no pair {asked.tolist()}: the set has {len(self)}.")
        places = self._numbers[asked]
        shards, rows = places // self._shard_size, places % self._shard_size
        batch: dict[str, np.ndarray] = {}
        try:
            self._read(batch, shards, rows)
        except PicassssoError:
            raise
        except HDF5_DAMAGE as error:
            raise FileFormatError(
                f"{self.folder} is damaged ({short(error)}): verify() finds the damaged files."
            ) from error
        return {name: torch.from_numpy(values) for name, values in batch.items()}

    def _read(self, batch: dict[str, np.ndarray], shards: np.ndarray, rows: np.ndarray) -> None:
        """Fill a batch with rows of shards."""
        for shard in np.unique(shards):
            file = self._shard(int(shard))
            inside = np.flatnonzero(shards == shard)
            for name in self.index["fields"]:
                data = file[name]
                if name not in batch:
                    batch[name] = np.empty((len(rows), *data.shape[1:]), data.dtype)
                if isinstance(data, np.ndarray):
                    batch[name][inside] = data[rows[inside]]
                    continue
                # Row by row, which is quicker than HDF5's choice of several.
                for place in inside:
                    data.read_direct(batch[name], rows[place], place)

    def describe(self) -> dict[str, Any]:
        """Return how the pairs were made, from the index of the set."""
        return {"kind": "StoredPairs", "split": self.split, "source": self.index["source"]}

    def verify(self, progress: bool = False) -> None:
        """Compare all shards with their checksums.

        Parameters
        ----------
        progress : bool, optional
            Whether to show a progress bar.

        Raises
        ------
        FileFormatError
            If a checksum differs; the message names the shard.
        """
        from tqdm import tqdm

        count = -(-int(self.index["count"]) // self._shard_size)
        for shard in tqdm(range(count), disable=not progress, unit="shard"):
            path = self.folder / shard_name(shard)
            with open_hdf5(path) as file:
                data = read_datasets(file)
                check_heaps(path)
                wrong = [
                    name
                    for name in self.index["fields"]
                    if checksum(data[name][()]) != str(data[name].attrs.get("sha256", ""))
                ]
            if wrong:
                raise FileFormatError(
                    f"{path} is damaged: checksums of {', '.join(wrong)} differ. Delete it, and "
                    "write the set again with the same arguments: only this file is rewritten."
                )
