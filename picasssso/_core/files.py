"""Writing files so that nobody ever sees half of one, and opening HDF5 files.

Every file that picasssso writes goes through `atomic_write`: it grows under a temporary
name in the folder where it belongs, and takes its own name only when it is whole.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from picasssso.exceptions import FileFormatError

if TYPE_CHECKING:
    import h5py


def check_output(path: str | os.PathLike[str], overwrite: bool = False) -> Path:
    """Check that a file can be written, before any work is put into its contents.

    Examples
    --------
    >>> from picasssso._core.files import check_output
    >>> check_output("no_such_folder/maps.fits")
    Traceback (most recent call last):
    ...
    picasssso.exceptions.FileFormatError: Cannot write no_such_folder/maps.fits: ...
    """
    # Following links first: replacing a link instead of what it points to would surprise.
    target = Path(path).expanduser().resolve()
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
    is removed and what stood there before still stands there.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from picasssso._core.files import atomic_write
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with atomic_write(Path(folder, "numbers.txt")) as temporary:
    ...         _ = temporary.write_text("1 2 3")
    ...     Path(folder, "numbers.txt").read_text()
    '1 2 3'
    """
    target = check_output(path, overwrite)
    # In the same folder: a rename is atomic only within one file system.
    temporary = target.with_name(f".{secrets.token_hex(4)}-{target.name}")
    try:
        yield temporary
        # Somebody else may have written the file meanwhile.
        check_output(target, overwrite)
        temporary.replace(target)
    except OSError as error:
        if isinstance(error, FileFormatError):
            raise
        raise FileFormatError(f"Cannot write {path}: {error}.") from error
    finally:
        temporary.unlink(missing_ok=True)


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
        except OSError as error:
            if isinstance(error, FileFormatError):
                raise
            raise FileFormatError(f"{path} is damaged: {error}.") from error
