"""Writing files so that nobody ever sees half of one, and opening HDF5 files.

Every file that picasssso writes goes through `atomic_write`: it grows under a temporary
name in the folder where it belongs, and takes its own name only when it is whole.
"""

from __future__ import annotations

import errno
import json
import mmap
import multiprocessing
import os
import secrets
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from picasssso.exceptions import FileFormatError, InvalidInputError, PicassssoError

if TYPE_CHECKING:
    import h5py

#: No text that is read as a whole is larger, in bytes.
_LARGEST_TEXT = 100_000_000

#: Characters of a file's name that its temporary one has too: with those before, below 255 bytes.
_LONGEST_NAME = 60


def packaged_text(name: str) -> str:
    """Return the text of a file of the package's data."""
    return resources.files("picasssso").joinpath("data", name).read_text(encoding="utf-8")


def check_output(path: str | os.PathLike[str], overwrite: bool = False) -> Path:
    """Check that a file can be written, before any work is put into its contents."""
    # Following links first: replacing a link instead of what it points to would surprise.
    try:
        target = Path(os.fsdecode(path)).expanduser().resolve()
        target.exists()
    except (OSError, ValueError, RuntimeError) as error:  # too long, with a zero, nobody's home
        reason = getattr(error, "strerror", None) or error
        raise FileFormatError(
            f"Cannot write {str(path)[:100]!r}: {reason}; choose another name."
        ) from error
    if target.is_dir():
        raise FileFormatError(f"Cannot write {path}: it is a folder; give the name of a file.")
    if not target.parent.is_dir():
        raise FileFormatError(
            f"Cannot write {path}: there is no folder {target.parent}; make it first."
        )
    if not os.access(target.parent, os.W_OK | os.X_OK):
        raise FileFormatError(
            f"Cannot write {path}: no permission to write in {target.parent}; choose another "
            "folder."
        )
    if target.exists() and not target.is_file():
        raise FileFormatError(
            f"Cannot write {path}: it is a device or a pipe, not a file; choose another name."
        )
    if target.exists() and not overwrite:
        raise FileFormatError(
            f"Cannot write {path}: the file exists; choose another name, or allow it to be "
            "replaced with overwrite=True."
        )
    return target


@contextmanager
def atomic_write(path: str | os.PathLike[str], overwrite: bool = False) -> Iterator[Path]:
    """Write a file under a temporary name; give it its own name once it is whole.

    If anything fails on the way (an error, an interrupt, a full disk), the temporary file
    is removed and what stood there before still stands there. A file that is replaced keeps
    its permissions.
    """
    target = check_output(path, overwrite)
    # In the same folder: a rename is atomic only within one file system.
    temporary = target.with_name(f".{secrets.token_hex(4)}-{target.name[-_LONGEST_NAME:]}")
    try:
        yield temporary
        # Somebody else may have written the file meanwhile.
        check_output(target, overwrite)
        if target.exists():
            temporary.chmod(target.stat().st_mode & 0o7777)
        temporary.replace(target)
    except OSError as error:
        if isinstance(error, FileFormatError):
            raise
        raise FileFormatError(f"Cannot write {path}: {error}.") from error
    finally:
        temporary.unlink(missing_ok=True)


def allocate(shape: tuple[int, ...], dtype: Any, folder: str | os.PathLike[str] | None) -> Any:
    """Return an array of zeros, in memory or (with a folder) in a file without a name."""
    import numpy as np

    if folder is None:
        return np.zeros(shape, dtype=dtype)
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            # The map keeps the file alive after it is closed.
            return np.memmap(file, dtype=dtype, mode="w+", shape=shape)
    except OSError as error:
        raise FileFormatError(
            f"Cannot keep intermediate images in {os.fspath(folder)!r}: {error}. Name a folder "
            "that exists, with enough room."
        ) from error


#: Folders that this process holds, by file descriptor.
_HELD: set[int] = set()


@contextmanager
def locked_folder(path: str | os.PathLike[str]) -> Iterator[None]:
    """Hold a folder for this process alone; whatever ends the process, it is free again."""
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    handle = os.open(path, os.O_RDONLY)
    _HELD.add(handle)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FileFormatError(
                f"Another process is writing to {path}: wait until it has ended, or choose "
                "another folder."
            ) from None
        except OSError:
            pass  # a file system without locks
        yield
    finally:
        _HELD.discard(handle)
        os.close(handle)


def follow_parent() -> None:
    """Make a worker process end with the process that made it, and hold none of its locks."""
    parent = multiprocessing.parent_process()
    for handle in _HELD:
        os.close(handle)
    _HELD.clear()

    def wait() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


@contextmanager
def open_hdf5(path: str | os.PathLike[str]) -> Iterator[h5py.File]:
    """Open an HDF5 file for reading, with errors that say what is wrong."""
    import h5py

    if not os.path.isfile(path):
        raise FileFormatError(f"There is no file {path}.")
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise FileFormatError(
            f"{path} cannot be read as HDF5: it is another kind of file, or damaged or cut "
            f"short ({error})."
        ) from error
    with file:
        try:
            yield file
        except PicassssoError:
            raise
        except HDF5_DAMAGE as error:
            raise FileFormatError(f"{path} is damaged: {short(error)}.") from error


def read_datasets(file: h5py.File) -> dict[str, Any]:
    """Return the data sets of a file without compression, none larger than the file."""
    import h5py

    found = dict(file.items())
    size = os.path.getsize(file.filename)
    for name, data in found.items():
        if not isinstance(data, h5py.Dataset) or data.ndim == 0 or data.nbytes > size:
            raise FileFormatError(
                f"{file.filename} is damaged: {name} is not an array of its size."
            )
    return found


def check_heaps(path: str | os.PathLike[str]) -> None:
    """Refuse a file with a heap of strings in which HDF5 would go round for ever."""
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        start = data.find(b"GCOL")
        while start >= 0:
            end = start + min(int.from_bytes(data[start + 8 : start + 16], "little"), 2**20)
            place = start + 16
            while place + 16 <= min(end, len(data)):
                index = int.from_bytes(data[place : place + 2], "little")
                length = int.from_bytes(data[place + 8 : place + 16], "little")
                # What is free counts its own head; without a length nothing would come next.
                if index == 0 and length < 16:
                    raise FileFormatError(f"{path} is damaged: a heap of strings has no end.")
                place += length if index == 0 else 16 + -(-length // 8) * 8
            start = data.find(b"GCOL", start + 4)


#: What h5py raises where a file is damaged.
HDF5_DAMAGE = (
    OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError, MemoryError,
    OverflowError,
)  # fmt: skip


def short(error: Exception) -> str:
    """Return the first line of an error, cut where it is long."""
    line = (str(error).splitlines() or [repr(error)])[0]
    return line if len(line) < 250 else f"{line[:250]} ..."


def read_text(path: str | os.PathLike[str]) -> str:
    """Return a text; of what is none, as a device, a pipe or bytes, the OSError that says so."""
    file = Path(path).expanduser()
    if file.exists() and not (file.is_file() and file.stat().st_size <= _LARGEST_TEXT):
        what = f"no text file of at most {_LARGEST_TEXT / 1e6:g} MB"
        raise OSError(errno.EINVAL, what, str(path))
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise OSError(errno.EINVAL, f"no text in UTF-8, {error.reason}", str(path)) from error


def read_json(path: str | os.PathLike[str], what: str) -> dict[str, Any]:
    """Return the object that a JSON file holds."""
    try:
        content = json.loads(read_text(path))
    except FileNotFoundError:
        raise FileFormatError(f"There is no file {path}.") from None
    except (OSError, ValueError, RecursionError) as error:
        raise FileFormatError(f"{path} is not a valid {what}: {short(error)}.") from error
    if not isinstance(content, dict):
        raise FileFormatError(f"{path} is not a valid {what}: expected a JSON object.")
    return content


def parse_json(text: str, what: str) -> dict[str, Any]:
    """Return the object that a JSON text holds."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInputError(f"The {what} is not valid JSON: {short(error)}.") from error
    if not isinstance(content, dict):
        raise InvalidInputError(f"The {what} is not a JSON object.")
    return content


def write_json(path: str | os.PathLike[str], content: Any, *, overwrite: bool = True) -> None:
    """Write what JSON can hold, with its keys in order."""
    with atomic_write(path, overwrite) as temporary:
        temporary.write_text(
            json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8"
        )


def check_format(
    path: str | os.PathLike[str], what: str, found: Any, known: int, writer: str
) -> None:
    """Refuse the number of a format that is none, or newer than the one known."""
    if isinstance(found, bool) or not isinstance(found, int):
        raise FileFormatError(f"{path} is not a valid {what}: it has no format number.")
    if found > known:
        raise FileFormatError(
            f"{path} has format {found}, this picasssso reads up to {known}: it was written by "
            f"picasssso {writer}; install that or a newer one."
        )
