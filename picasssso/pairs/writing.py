"""Writing sets of pairs, shard by shard; interrupted writing can be continued."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from torch.utils.data import DataLoader, Dataset

from picasssso._core.arguments import check_integer, check_workers
from picasssso._core.safe_files import follow_parent, locked_folder, open_hdf5
from picasssso._core.version import __version__
from picasssso.exceptions import FileFormatError, InvalidInputError
from picasssso.pairs.schema import (
    FORMAT,
    INDEX,
    TABLE,
    read_index,
    shard_name,
    write_index,
    write_shard,
)
from picasssso.pairs.source import FIELDS, Batch, PairSource
from picasssso.pairs.splits import SPLITS, check_fractions

#: More pairs than any disk holds.
_MOST = 10**8


class _Batches(Dataset):
    """A dataset whose items are batches, for the workers of a data loader."""

    def __init__(self, source: PairSource) -> None:
        self.source = source

    def __getitem__(self, numbers: list[int]) -> dict[str, np.ndarray]:
        return _arrays(self.source.batch(numbers))


def _arrays(batch: Batch) -> dict[str, np.ndarray]:
    return {name: values.cpu().numpy() for name, values in batch.items() if name in FIELDS}


def _as_is(batch: Any) -> Any:
    return batch


def _start_worker(number: int) -> None:
    # What a terminal sends to all, the parent answers: it lets its workers finish a batch. One
    # that ends by itself is a failure, which torch reports in the middle of the parent's ending.
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    follow_parent()


def write_pairs(
    source: PairSource,
    folder: str | os.PathLike[str],
    count: int | None = None,
    *,
    shard_size: int = 256,
    batch_size: int = 16,
    workers: int = 1,
    splits: Mapping[str, float] | None = None,
    progress: bool = False,
) -> None:
    """Write pairs to a folder, or continue writing them.

    Existing shards are kept: a second call after an interruption, or with a larger ``count``,
    writes the missing ones. The files are identical, byte by byte, for any batch size, number of
    workers (at least one) and interruptions.

    Parameters
    ----------
    source : PairSource
        Source of the pairs.
    folder : str or path-like
        The folder; created if missing. Only one process at a time can write to it.
    count : int, optional
        Number of pairs in the set; default: all pairs of the source.
    shard_size : int, optional
        Pairs per file.
    batch_size : int, optional
        Number of pairs that are made at once.
    workers : int, optional
        Number of worker processes, each with one thread; 0: pairs are made in this process, as
        needed for a GPU. The last bit of a value may depend on the number of threads.
    splits : mapping, optional
        Names and fractions of the splits of `StoredPairs`; default: `SPLITS`.
    progress : bool, optional
        Whether to show a progress bar.

    Raises
    ------
    FileFormatError
        If the folder contains other files or a set made with other settings, or if another process
        is writing to it.
    InvalidInputError
        If a number is out of range.

    Examples
    --------
    >>> import tempfile
    >>> from picasssso.mocks import GeneratedPairs
    >>> from picasssso.pairs import StoredPairs, write_pairs
    >>> source = GeneratedPairs(seed=1, survey="paper_field", n_pixels=32)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_pairs(source, folder, 2, workers=0)
    ...     pairs = StoredPairs(folder)
    ...     print(len(pairs))
    ...     pairs.close()
    2
    """
    total = _checked_count(source, count)
    for name, value in (("shard_size", shard_size), ("batch_size", batch_size)):
        check_integer(name, value, 1, 10**6)
    check_workers(workers)
    if workers and source.device.type != "cpu":
        raise InvalidInputError(
            f"Pairs are made on {source.device}, which other processes cannot share: give "
            "workers=0, or device='cpu' to the source."
        )
    path = Path(folder).expanduser()
    path.mkdir(parents=True, exist_ok=True)
    index = {
        "format": FORMAT,
        "version": __version__,
        "source": source.describe(),
        "bands": list(source.bands),
        "fields": [],
        "shard_size": shard_size,
        "count": total,
        "splits": check_fractions(SPLITS if splits is None else splits),
    }
    with locked_folder(path):
        _write(source, path, index, batch_size, workers, progress)


def _write(
    source: PairSource,
    path: Path,
    index: dict[str, Any],
    batch_size: int,
    workers: int,
    progress: bool,
) -> None:
    """Write the missing shards of a set."""
    from tqdm import tqdm

    total, shard_size = index["count"], index["shard_size"]
    _check_folder(path, index)
    missing = _missing_shards(path, total, shard_size)
    if not missing:
        return
    source._write_tables(path)
    ranges = [
        np.arange(shard * shard_size, min((shard + 1) * shard_size, total)) for shard in missing
    ]
    batches = [
        numbers[k : k + batch_size].tolist()
        for numbers in ranges
        for k in range(0, len(numbers), batch_size)
    ]
    loader: Any = DataLoader(
        _Batches(source),
        batch_size=None,
        sampler=batches,
        num_workers=min(workers, len(batches)),
        collate_fn=_as_is,
        worker_init_fn=_start_worker,
    )
    stream = iter(loader)
    with tqdm(
        total=total, initial=total - sum(map(len, ranges)), disable=not progress, unit="pair"
    ) as bar:
        for shard, numbers in zip(missing, ranges, strict=True):
            fields = _gather(stream, len(numbers), bar)
            if not index["fields"]:
                index["fields"] = sorted(fields)
                write_index(path, index)
            write_shard(path / shard_name(shard), int(numbers[0]), fields)


def _gather(stream: Iterator[dict[str, np.ndarray]], count: int, bar: Any) -> dict[str, Any]:
    """Return the next pairs of a stream of batches, as one."""
    parts: list[dict[str, np.ndarray]] = []
    have = 0
    while have < count:
        parts.append(next(stream))
        size = len(parts[-1]["number"])
        have += size
        bar.update(size)
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _checked_count(source: PairSource, count: int | None) -> int:
    length = len(source) if hasattr(source, "__len__") else None
    if count is None:
        if length is None:
            raise InvalidInputError("count is required: the source of the pairs is unlimited.")
        return length
    count = check_integer("count", count, 1, _MOST)
    if length is not None and count > length:
        raise InvalidInputError(f"count={count} is more than the {length} pairs there are.")
    return count


def _check_folder(path: Path, index: dict[str, Any]) -> None:
    """Check that a folder is empty or contains the same set; adopt its fields."""
    # What a killed process leaves; files of sets have no other hidden names.
    for name in ("shard_*.h5", TABLE, INDEX):
        for leftover in path.glob(f".????????-{name}"):
            leftover.unlink(missing_ok=True)
    if not (path / INDEX).exists():
        others = sorted(entry.name for entry in path.iterdir() if entry.name != TABLE)
        if others:
            raise FileFormatError(
                f"{path} is not empty, and holds no set of pairs: found {', '.join(others[:3])}. "
                "Choose another folder."
            )
        # A table without an index is of an attempt that came to nothing.
        (path / TABLE).unlink(missing_ok=True)
        return
    old = read_index(path)
    index["fields"] = old["fields"]
    index.update(json.loads(json.dumps(index)))  # as it is read: tuples are lists
    different = {
        name: (old_value, new_value)
        for name in ("version", "source", "bands", "shard_size", "splits")
        for name, old_value, new_value in _differences(name, old[name], index[name])
    }
    if different:
        raise FileFormatError(
            f"{path} holds a set made otherwise: "
            + "; ".join(
                f"{name} was {was!r}, now {now!r}" for name, (was, now) in different.items()
            )
            + ". Continue it with the same settings, or choose another folder."
        )
    # What was asked for before and never made is not waited for.
    index["count"] = max(index["count"], _whole_pairs(path, old))
    if index["count"] != old["count"]:
        write_index(path, index)


def _whole_pairs(path: Path, index: dict[str, Any]) -> int:
    """Return how many pairs there are from the first on without a gap."""
    missing = _missing_shards(path, index["count"], index["shard_size"])
    return min([index["count"], *(shard * index["shard_size"] for shard in missing)])


def _differences(name: str, old: Any, new: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yield what differs between two entries of an index, by the innermost name."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted({*old, *new}):
            yield from _differences(key, old.get(key), new.get(key))
    elif old != new:
        yield name, old, new


def _missing_shards(path: Path, total: int, shard_size: int) -> list[int]:
    """Return the shards that are not there, or have fewer pairs than they should."""
    missing = []
    for shard in range(-(-total // shard_size)):
        name = path / shard_name(shard)
        wanted = min(shard_size, total - shard * shard_size)
        if name.exists():
            with open_hdf5(name) as file:
                if int(file.attrs.get("count", 0)) >= wanted:
                    continue
        missing.append(shard)
    return missing
