"""FITS files opened so that whatever is wrong with one is an error that says so."""

from __future__ import annotations

import errno
import mmap
import os
import re
import warnings
import weakref
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from astropy.io import fits
from astropy.wcs import WCS, FITSFixedWarning, WcsError

from picasssso._core.before_opening import check_before_opening, unpacked
from picasssso._core.quiet import record_warnings, silence
from picasssso.exceptions import FileFormatError, InvalidInputError, PicassssoError

PathLike = str | os.PathLike[str]
#: Number, name or (EXTNAME, EXTVER) of an HDU.
HDUKey = str | int | tuple[str, int]

#: Bytes above which an array stays on disk, memory-mapped: each map keeps a file handle, of
#: which there are about a thousand.
MAPPED_SIZE = 2**20
#: The maps that exist now. With half of all file handles, further arrays are read into memory.
_MAPS: weakref.WeakSet[mmap.mmap] = weakref.WeakSet()
#: What astropy raises where headers or data are damaged, beside OSError and ValueError.
DAMAGE = (TypeError, KeyError, IndexError, AttributeError, EOFError, fits.VerifyError, zlib.error)


def split_specification(text: PathLike) -> tuple[str, HDUKey | None]:
    """Split ``file.fits[HDU]`` into the file's name and the HDU's; None if none is given."""
    name = os.fspath(text)
    # A file may have brackets in its own name.
    match = None if os.path.exists(name) else re.fullmatch(r"(.+)\[([^\[\]]+)\]", name)
    if match is None:
        return name, None
    path, hdu = match[1], match[2].strip()
    if re.fullmatch(r"\d+", hdu):
        return path, int(hdu)
    if extension := re.fullmatch(r"(.+),\s*(\d+)", hdu):
        return path, (extension[1].strip(), int(extension[2]))
    return path, hdu


@contextmanager
def open_fits(path: PathLike, what: str, *, memmap: bool = True) -> Iterator[fits.HDUList]:
    """Open a FITS file; everything that can be wrong with one is an error that says so."""
    name = os.path.expanduser(os.fspath(path))
    if os.path.isdir(name):
        raise FileFormatError(f"{what}: found a folder at {path}, expected a FITS file.")
    if not os.path.exists(name):
        raise FileFormatError(f"{what}: found no file {path}. Check the name and the folder.")
    check_before_opening(path, what)

    def unreadable(error: Exception) -> FileFormatError:
        if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
            return FileFormatError(
                f"{what}: found too many open files to open {path}: large images that are kept "
                "stay on disk, a file handle for each array. Keep fewer of them at a time, or "
                "raise the limit (ulimit -n)."
            )
        # Not astropy's advice to give one of its own options.
        reason = str(error).partition(" If this is really")[0].rstrip(".")
        return FileFormatError(
            f"{what}: found that {path} cannot be read as FITS ({reason}), expected a FITS "
            "file. Check how it was downloaded."
        )

    with record_warnings() as caught:
        try:
            opened = fits.open(unpacked(name) or name, memmap=memmap)
            len(opened)  # reads all headers, so that a short file is seen now
        except ImportError as error:
            raise FileFormatError(
                f"{what}: found that {path} is packed in a way that needs another package "
                f"({error}) Install it, or unpack the file first."
            ) from error
        except (OSError, ValueError, *DAMAGE) as error:
            raise unreadable(error) from error
    try:
        with opened as hdus:
            texts = [str(warning.message) for warning in caught]
            lost = any("Error validating header" in text for text in texts) and _cut_header(hdus)
            if lost or any("truncated" in text for text in texts):
                raise FileFormatError(
                    f"{what}: found {path} cut short, expected a whole file. Download or copy it "
                    "again."
                )
            yield hdus
    except FileFormatError:
        raise
    except (OSError, fits.VerifyError) as error:
        raise unreadable(error) from error
    for warning in caught:
        warnings.warn(warning.message, warning.category, stacklevel=3)


@contextmanager
def damage_said(what: object, kind: str) -> Iterator[None]:
    """Turn what astropy and others raise of a damaged file into an error that says so."""
    try:
        yield
    except PicassssoError:
        raise
    except (ValueError, OSError, MemoryError, OverflowError, WcsError, *DAMAGE) as error:
        lines = str(error).splitlines() or [""]
        raise FileFormatError(
            f"{what}: found that it cannot be read as {kind} ({type(error).__name__}: "
            f"{lines[-1][:200]}), expected a whole file. Download or copy it again."
        ) from error


def _cut_header(hdus: fits.HDUList) -> bool:
    """Return whether a header begins behind the last HDU, which astropy leaves out."""
    info = hdus[-1].fileinfo()
    info["file"].seek(info["datLoc"] + info["datSpan"])
    return bool(info["file"].read(8) == b"XTENSION")


def image_shape(hdu: Any) -> tuple[int, ...] | None:
    """Return the shape of an image without axes of length 1 beyond two; None if it is none."""
    try:
        shape = tuple(hdu.shape) if hdu.is_image else None
    except (ValueError, *DAMAGE):
        return None
    return shape if shape is None else _two_axes(shape)


def _two_axes(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Leave out axes of length 1, of frequency and polarization mostly, down to two axes."""
    axes = list(shape)
    while len(axes) > 2 and 1 in axes:
        axes.remove(1)
    return tuple(axes)


def list_hdus(hdus: fits.HDUList) -> str:
    """Return a short list of what a file holds, for messages."""
    parts = []
    for number, hdu in enumerate(hdus):
        shape = image_shape(hdu)
        content = " x ".join(map(str, shape or ())) or "empty"
        if shape is None:
            content = "unreadable" if hdu.is_image else "table"
        parts.append(f"{number} {hdu.name or 'unnamed'} ({content})")
    shown = ", ".join(parts)
    return shown if len(shown) < 300 else f"{shown[:300]} ..."


def read_array(
    path: PathLike, hdu: HDUKey | None, what: str, hdus: fits.HDUList | None = None
) -> tuple[npt.NDArray[Any], Any]:
    """Read a 2-D image and its header; large ones stay mapped. ``hdus``: the file, if open."""
    return _read(path, hdu, what, axes=2, hdus=hdus)


def read_cube(path: PathLike, hdu: HDUKey, what: str) -> npt.NDArray[Any]:
    """Read an array of any number of axes, as `read_array` does."""
    return _read(path, hdu, what, axes=None)[0]


def _read(
    path: PathLike,
    hdu: HDUKey | None,
    what: str,
    *,
    axes: int | None,
    hdus: fits.HDUList | None = None,
) -> tuple[npt.NDArray[Any], fits.Header]:
    with open_fits(path, what) if hdus is None else nullcontext(hdus) as opened:
        found = find_image(opened, hdu, what, path) if axes == 2 else opened[hdu]
        # Scaled integers cannot be mapped: astropy refuses instead of reading them.
        if not {"BSCALE", "BZERO", "BLANK"} & set(found.header):
            data, header = _data(found, what, path, axes), found.header
            mapped = not isinstance(found, fits.CompImageHDU) and data.nbytes > MAPPED_SIZE
            if not (mapped and _spare_handle(data)):
                # A copy: a small array is not to keep the file open.
                data = np.array(data)
                del found.data
            return data, header
    with open_fits(path, what, memmap=False) as opened:
        found = find_image(opened, hdu, what, path) if axes == 2 else opened[hdu]
        return _data(found, what, path, axes), found.header


def _spare_handle(data: npt.NDArray[Any]) -> bool:
    """Return whether a mapped array may keep its file handle, and count it if so."""
    try:
        from resource import RLIM_INFINITY, RLIMIT_NOFILE, getrlimit
    except ImportError:  # Windows
        return True
    limit = getrlimit(RLIMIT_NOFILE)[0]
    if limit != RLIM_INFINITY and len(_MAPS) >= limit // 2:
        return False
    base: Any = data
    while isinstance(base, np.ndarray):
        base = base.base
    if isinstance(base, mmap.mmap):
        _MAPS.add(base)
    return True


def _data(hdu: Any, what: str, path: PathLike, axes: int | None) -> npt.NDArray[Any]:
    try:
        data = np.asanyarray(hdu.data)
        return data if axes is None else data.reshape(_two_axes(data.shape))
    except Exception as error:  # each way of compression raises its own
        raise FileFormatError(
            f"{what}: found HDU {hdu.name or 'without a name'} of {path} damaged "
            f"({str(error) or type(error).__name__}). Download or copy it again."
        ) from error


def find_image(
    hdus: fits.HDUList, key: HDUKey | None, what: str, path: PathLike, *, cube: bool = False
) -> Any:
    """Return the HDU of a 2-D image, or of a ``cube``, by name or number, or the only one."""
    if key is None:
        images = [n for n, hdu in enumerate(hdus) if len(image_shape(hdu) or ()) == 2]
        if len(images) != 1:
            raise InvalidInputError(
                f"{what}: found {len(images)} 2-D images in {path} ({list_hdus(hdus)}), expected "
                f"the name of one. Write it in brackets: '{Path(path).name}[HDU]'."
            )
        key = images[0]
    try:
        hdu = hdus[key]
    except (KeyError, IndexError):
        raise InvalidInputError(
            f"{what}: found no HDU {key!r} in {path}, expected one of {list_hdus(hdus)}."
        ) from None
    axes = len(image_shape(hdu) or ())
    if axes != 2 and not (cube and axes == 3):
        raise InvalidInputError(
            f"{what}: found no 2-D image in HDU {key!r} of {path}, which holds "
            f"{list_hdus(hdus)}. Name another HDU"
            + (", or use BandImages.from_cube for a cube." if axes > 2 else ".")
        )
    return hdu


def celestial_wcs(header: fits.Header, what: str) -> WCS | None:
    """Return the celestial WCS of a header, if it has one."""
    try:
        for key in (f"{name}{axis}" for name in ("CRVAL", "CRPIX", "CDELT") for axis in (1, 2)):
            if isinstance(value := header.get(key), str):  # which wcslib would leave out
                raise ValueError(f"{key} = {value[:40]!r} is no number.")
        # Dates and the like, put right by astropy.
        with silence(FITSFixedWarning):
            wcs = WCS(header)
        if not wcs.has_celestial:
            return None
        return wcs if wcs.naxis == 2 else wcs.celestial
    except Exception as error:  # wcslib raises a class of its own for each kind of fault
        if any(str(header.get(f"CPDIS{k}", "")).strip() for k in (1, 2)):
            raise FileFormatError(
                f"{what}: found look-up-table distortions (CPDIS), which stand in HDUs of their "
                "own and are not read, expected a WCS without them. Resample the image first, "
                "with drizzlepac or reproject."
            ) from error
        reason = ([line for line in str(error).splitlines() if line.strip()] or [repr(error)])[-1]
        raise FileFormatError(
            f"{what}: found a WCS in the header that cannot be read ({reason}) Correct its "
            "keywords (CTYPE, CRVAL, CD ...)."
        ) from error
