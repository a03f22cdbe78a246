"""What is looked at before astropy opens a FITS file, which some files would keep for ever."""

from __future__ import annotations

import bz2
import gzip
import io
import os
import re
import zlib
from typing import IO, Any

from picasssso.exceptions import FileFormatError

_BLOCK, _CARD = 2880, 80
#: The standard's largest number of axes.
_MOST_AXES = 999
_LONGEST_HEADER = 4000  # blocks
_PACKED = {b"\x1f\x8b": gzip.open, b"BZ": bz2.open}
#: Up to how many bytes a packed file is unpacked at once, in memory.
_UNPACKED_SIZE = 2**28
#: And up to how many times its own size: some unpack to a thousand times as much.
_MOST_PACKED = 10


def check_before_opening(path: str | os.PathLike[str], what: str) -> None:
    """Refuse what is no regular file, and headers with sizes that FITS does not have.

    Headers behind the first are looked at in files that are not packed, without reading data.
    """
    name = os.path.expanduser(os.fspath(path))
    if not os.path.exists(name):
        return  # whoever opens it says so
    if not os.path.isfile(name):
        raise FileFormatError(
            f"{what}: found a folder, a device or a pipe at {path}, expected a FITS file."
        )
    try:
        with open(name, "rb") as plain:
            opener: Any = _PACKED.get(plain.read(2))
            if opener is None:
                plain.seek(0)
                _check_headers(plain, os.path.getsize(name), path, what)
                return
    except OSError as error:
        if isinstance(error, FileFormatError):
            raise
        raise FileFormatError(
            f"{what}: cannot read {path}: {error.strerror}. Check its permissions, and the disk."
        ) from error
    try:
        with opener(name, "rb") as packed:
            _check_headers(packed, 1, path, what)
    except FileFormatError:
        raise
    except (OSError, EOFError, ValueError, zlib.error):
        return  # likewise


def unpacked(path: str | os.PathLike[str]) -> IO[bytes] | None:
    """Return the contents of a packed file that is not huge, else None.

    In the packed file itself each step back, to another HDU, unpacks all from the beginning; and
    astropy reads it for ever if its end is damaged, of which this raises an OSError.
    """
    with open(path, "rb") as plain:
        opener: Any = _PACKED.get(plain.read(2))
    if opener is None:
        return None
    try:
        # In pieces: room is made for as much as is asked for, of a small file too.
        left = min(_UNPACKED_SIZE, _MOST_PACKED * os.path.getsize(path) + 2**20)
        pieces = []
        with opener(path, "rb") as packed:
            while left >= 0 and (piece := packed.read(2**20)):
                pieces.append(piece)
                left -= len(piece)
    except (EOFError, ValueError, zlib.error) as error:
        raise OSError(f"it cannot be unpacked: {error}") from error
    if left < 0:
        return None
    found = _Unpacked(b"".join(pieces))
    found.name = os.fspath(path)
    return found


class _Unpacked(io.BytesIO):
    """Contents of a file with its name, which messages give."""

    name: str


def _check_headers(stream: IO[bytes], size: int, path: str | os.PathLike[str], what: str) -> None:
    """Look at the headers that begin before a byte."""
    start = 0
    while 0 <= start < size:
        stream.seek(start)
        values, blocks = _read_values(stream)
        axes = values.get("NAXIS", 0)
        wrong = [key for key, value in values.items() if value < 0 and key != "BITPIX"]
        if axes > _MOST_AXES or wrong:
            key, limit = (wrong[0], "at least 0") if wrong else ("NAXIS", f"at most {_MOST_AXES}")
            raise FileFormatError(
                f"{what}: found {key} = {values[key]} in a header of {path}, expected {limit}. "
                "The file is damaged: download or copy it again."
            )
        if not blocks:
            # Astropy looks for the end of a header in all of a file, however much that unpacks to.
            if start == 0 and size == 1:
                raise FileFormatError(
                    f"{what}: found no header that ends in {path}, expected a FITS file. Check "
                    "how it was downloaded."
                )
            return
        number = 1 if axes else 0
        for axis in range(1, axes + 1):
            number *= values.get(f"NAXIS{axis}", 0)
        number = (number + values.get("PCOUNT", 0)) * values.get("GCOUNT", 1)
        data = max(abs(values.get("BITPIX", 8)) // 8 * number, 0)
        start += (blocks + -(-data // _BLOCK)) * _BLOCK


def _read_values(stream: IO[bytes]) -> tuple[dict[str, int], int]:
    """Return what says how much data follow, and the header's blocks, 0 without an end."""
    values: dict[str, int] = {}
    for number in range(1, _LONGEST_HEADER):
        block = stream.read(_BLOCK)
        for k in range(0, len(block), _CARD):
            card = block[k : k + _CARD]
            if card[:8] == b"END     ":
                return values, number
            found = re.match(rb"(BITPIX|NAXIS\d*|PCOUNT|GCOUNT) *= *([-+]?\d+) *(/|$)", card)
            if found and card[8:9] == b"=":
                values.setdefault(found[1].decode(), int(found[2]))
        if len(block) < _BLOCK:
            break
    return values, 0
