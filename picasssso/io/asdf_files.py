"""Images of Roman in ASDF files, converted to FITS HDUs for the reader of JWST images.

Images of one exposure (wfi_image) are in DN/s until the flux step of the pipeline has been run,
and ``meta.photometry.conversion_megajanskys`` converts them to MJy/sr; mosaics (wfi_mosaic) are
in MJy/sr (schemas of the Roman Attribute Dictionary, rad.readthedocs.io; romancal, "flux
step").
"""

from __future__ import annotations

import mmap
import os
import re
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from astropy.io import fits

from picasssso.exceptions import FileFormatError

#: How a block of numbers begins, and then after its header's length: flags, compression, bytes
#: allocated, used, and unpacked (ASDF standard 1.6, "Blocks").
_BLOCK, _HEAD = b"\xd3BLK", struct.Struct(">I4sQQQ")
#: How the list of where blocks begin does.
_INDEX = b"#ASDF BLOCK INDEX"
#: Times by which compressed numbers may grow.
_MOST_PACKED = 2000
#: Largest error of the WCS that FITS can express, in pixels.
_WCS_ERROR = 0.05


def is_asdf(path: str) -> bool:
    """Return whether a file is an ASDF file, by its first bytes."""
    if not os.path.isfile(os.path.expanduser(path)):
        return False  # nothing, a folder, a device or a pipe
    try:
        with open(os.path.expanduser(path), "rb") as stream:
            return stream.read(5) == b"#ASDF"
    except OSError:
        return False


@contextmanager
def open_asdf(path: str, what: str) -> Iterator[fits.HDUList]:
    """Open one of Roman's images as HDUs SCI, ERR and DQ in MJy/sr."""
    import asdf  # with gwcs it comes with specutils

    _check_blocks(path, what)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of tags that only roman_datamodels knows
            opened = asdf.open(os.path.expanduser(path))
    # What asdf raises of damaged files is a long and open list.
    except Exception as error:
        raise _unreadable(error, what, path) from error
    with opened:
        try:
            hdus = _hdus(opened["roman"], what, path)
        except FileFormatError:
            raise
        except (KeyError, TypeError, AttributeError) as error:
            raise FileFormatError(
                f"{what}: found no image of Roman (roman.data with its meta, "
                f"{str(error)[:200]} is missing) in {path}, expected a wfi_image or wfi_mosaic. "
                "Other ASDF files are read in Python, and given to BandImages as CCDData."
            ) from error
        except Exception as error:
            raise _unreadable(error, what, path) from error
        yield hdus


def _unreadable(error: Exception, what: str, path: str) -> FileFormatError:
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
    return FileFormatError(
        f"{what}: found that {path} cannot be read as ASDF ({reason}). Download it again."
    )


def _check_blocks(path: str, what: str) -> None:
    """Refuse blocks of numbers that say they are larger than the file, before room is made."""
    name = os.path.expanduser(path)
    size = os.path.getsize(name)
    with open(name, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        start = data.find(_BLOCK)
        while 0 <= start < size - _HEAD.size - 6:
            length = int.from_bytes(data[start + 4 : start + 6], "big")
            _, packed, allocated, used, unpacked = _HEAD.unpack_from(data, start + 6)
            most = size if packed == bytes(4) else _MOST_PACKED * max(used, 1)
            if max(allocated, used) > size or unpacked > most:
                raise FileFormatError(
                    f"{what}: found a block of {max(allocated, used, unpacked)} bytes in {path}, "
                    f"which has {size}, expected a whole file. Download it again."
                )
            start = data.find(_BLOCK, start + 6 + length + allocated)
        # Where the index at the end says that blocks begin, asdf reads without a look.
        index = data[at:] if (at := data.rfind(_INDEX)) >= 0 else b""
        for offset in map(int, re.findall(rb"^- (\d{1,19})\s*$", index, re.MULTILINE)):
            if data[offset : offset + len(_BLOCK)] != _BLOCK:
                raise FileFormatError(
                    f"{what}: found no block of numbers at byte {offset} of {path}, where its "
                    "index says that one begins, expected a whole file. Download it again."
                )


def _hdus(roman: Any, what: str, path: str) -> fits.HDUList:
    """Return primary HDU, SCI, and ERR and DQ if they are there."""
    meta = roman["meta"]
    instrument = meta["instrument"]
    primary = fits.PrimaryHDU()
    primary.header["TELESCOP"], primary.header["INSTRUME"] = "ROMAN", str(instrument["name"])
    primary.header["FILTER"] = str(instrument["optical_element"])
    factor = 1.0
    if "context" not in roman and meta["cal_step"].get("flux") != "COMPLETE":
        factor = getattr(value := meta["photometry"]["conversion_megajanskys"], "value", value)
        if not isinstance(factor, int | float) or not 0 < factor < np.inf:
            raise FileFormatError(
                f"{what}: found conversion_megajanskys = {factor!r} in {path}, expected the "
                "MJy/sr of 1 DN/s. The image is not calibrated: spectra and darks are not."
            )
    header = _wcs_header(meta["wcs"], np.shape(roman["data"]), what, path)
    header["BUNIT"] = "MJy/sr"
    hdus = fits.HDUList([primary])
    for name in ("data", "err", "dq"):
        if name in roman:
            array = np.asarray(getattr(roman[name], "value", roman[name]))
            scaled = array if name == "dq" else np.asarray(array * np.float32(factor))
            hdus.append(fits.ImageHDU(scaled, header, name={"data": "SCI"}.get(name, name)))
    return hdus


def _wcs_header(wcs: Any, shape: tuple[int, ...], what: str, path: str) -> fits.Header:
    """Return a WCS as FITS keywords."""
    try:
        if wcs.bounding_box is None:
            wcs.bounding_box = ((-0.5, shape[1] - 0.5), (-0.5, shape[0] - 0.5))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return wcs.to_fits_sip(max_pix_error=_WCS_ERROR, max_inv_pix_error=_WCS_ERROR)
    except Exception as error:  # of gwcs, or of a WCS that this gwcs does not know
        raise FileFormatError(
            f"{what}: found a WCS in {path} that FITS cannot express to {_WCS_ERROR:g} pixel "
            f"({type(error).__name__}), expected one that SIP describes. Resample the image first."
        ) from error
