"""The files of a stored set of pairs: their names and contents.

A set is a folder::

    pairs.json        what the set is: format, source, bands, splits, size of the shards
    light_table.h5    light per mass of the stellar grid that was used (generated sets)
    shard_00000.h5    the first pairs, and so on

A shard holds a data set for each field of `picasssso.pairs.source.FIELDS`, whose first
axis is the pair: float32 or int64, little-endian, with the attributes ``unit``,
``meaning`` and ``sha256`` (of the bytes of the array). Its own attributes are ``format``,
``first`` (number of its first pair) and ``count``. Each shard is written under a temporary
name and renamed: one that is there is whole.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np

from picasssso._core.safe_files import atomic_write, check_format, read_json, write_json
from picasssso.exceptions import FileFormatError, InvalidInputError
from picasssso.pairs.source import FIELDS
from picasssso.pairs.splits import check_fractions

#: Number of the format written here; older ones are read.
FORMAT = 1

INDEX = "pairs.json"
TABLE = "light_table.h5"
#: What an index holds, and of which type.
_NEEDED: dict[str, type] = {
    "format": int, "version": str, "source": dict, "bands": list, "fields": list,
    "shard_size": int, "count": int, "splits": dict,
}  # fmt: skip


def shard_name(shard: int) -> str:
    """Return the name of a shard."""
    return f"shard_{shard:05d}.h5"


def checksum(values: np.ndarray) -> str:
    """Return the SHA-256 of an array's bytes, little-endian."""
    little = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))
    return hashlib.sha256(little.tobytes()).hexdigest()


def write_shard(path: Path, first: int, fields: dict[str, np.ndarray]) -> None:
    """Write a shard."""
    import h5py

    with (
        atomic_write(path, overwrite=True) as temporary,
        h5py.File(temporary, "w", track_order=False) as file,
    ):
        file.attrs["format"] = FORMAT
        file.attrs["first"] = first
        file.attrs["count"] = len(next(iter(fields.values())))
        for name in sorted(fields):
            values = fields[name]
            values = values.astype(values.dtype.newbyteorder("<"), copy=False)
            # In one piece: compression gains little on noise, and any pair is read alone.
            data = file.create_dataset(name, data=values, track_times=False)
            data.attrs["unit"], data.attrs["meaning"] = FIELDS[name]
            data.attrs["sha256"] = checksum(values)


def write_index(folder: Path, index: dict[str, Any]) -> None:
    """Write what a set is."""
    write_json(folder / INDEX, index)


def read_index(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """Return what a set is."""
    path = Path(folder) / INDEX
    if not path.is_file():
        raise FileFormatError(
            f"{folder} holds no set of pairs: there is no {INDEX} in it. Sets are written by "
            "write_pairs() or 'picasssso simulate'."
        )
    index = read_json(path, "index of a set of pairs")
    writer = index.get("version", "?")
    check_format(path, "index of a set of pairs", index.get("format"), FORMAT, writer)
    missing = [name for name in _NEEDED if name not in index]
    if missing:
        raise FileFormatError(f"{path} lacks {', '.join(missing)}.")
    for name, kind in _NEEDED.items():
        value = index[name]
        named = kind is not list or all(isinstance(one, str) for one in value)
        least = not isinstance(value, int) or (value >= 1 and not isinstance(value, bool))
        if not (isinstance(value, kind) and named and least):
            raise FileFormatError(f"{path} is damaged: {name} is {str(value)[:100]!r}.")
    try:
        check_fractions(index["splits"])
    except (InvalidInputError, TypeError, ValueError) as error:
        raise FileFormatError(f"{path} is damaged: {error}") from error
    return index
