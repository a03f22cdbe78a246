"""FITS headers: world coordinates, exactly or not at all, and the marks of own files."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS, FITSFixedWarning

from picasssso._core.metadata import from_json, to_json
from picasssso._core.quiet import silence
from picasssso._core.version import __version__
from picasssso.exceptions import FileFormatError, InvalidInputError

#: Keywords of the first header of files of `BandImages` and of `PropertyMaps`, by which they
#: are recognized; their values are the numbers of their formats.
IMAGES_FORMAT = "BANDSFMT"
MAPS_FORMAT = "MAPSFMT"

#: How far a header's positions may be from those of the WCS it was made from, degrees.
HEADER_TOLERANCE = 1e-9


def own_header(keyword: str, number: int, oldest: tuple[str, str], what: str) -> fits.Header:
    """Return the first header of a file; ``oldest``: keyword and version that reads it."""
    header = fits.Header()
    header[keyword] = (number, f"format of this file of picasssso {what}")
    header[oldest[0]] = (oldest[1], "oldest version of picasssso that reads it")
    header["ORIGIN"] = "picasssso"
    header["CREATOR"] = (f"picasssso {__version__}", "what wrote this file")
    return header


def check_own_header(
    header: fits.Header,
    keyword: str,
    number: int,
    oldest: str,
    what: str,
    path: str | os.PathLike[str],
) -> None:
    """Check that a file is one of this package, of a format not above ``number``."""
    if keyword not in header:
        raise FileFormatError(
            f"{path} is a FITS file, but not one of {what}: its primary header has no {keyword}. "
            "Use BandImages.read for images, PropertyMaps.read for maps."
        )
    found = header[keyword]
    if not isinstance(found, int) or isinstance(found, bool) or found < 1:
        raise FileFormatError(f"{path} has {keyword} = {found!r}: expected a whole number.")
    if found > number:
        needed = header.get(oldest, "a newer version")
        raise FileFormatError(
            f"{path} is of format {found}, which needs picasssso {needed} or newer; this version "
            f"reads formats up to {number}. Upgrade picasssso."
        )


def record_table(records: dict[str, Any]) -> fits.BinTableHDU:
    """Return records as a table META of keys and JSON."""
    columns = {"KEY": list(records), "JSON": [to_json(value) for value in records.values()]}
    return fits.BinTableHDU.from_columns(
        [
            fits.Column(name, f"{max(map(len, texts))}A", array=np.array(texts))
            for name, texts in columns.items()
        ],
        name="META",
    )


def read_records(table: fits.BinTableHDU) -> dict[str, Any]:
    """Return the records of a table that `record_table` made."""
    return {str(row["KEY"]): from_json(str(row["JSON"])) for row in table.data}


def wcs_header(wcs: WCS, shape: tuple[int, int]) -> fits.Header:
    """Return the header that describes a WCS, with all its distortions, to 1e-9 degrees."""
    tables = {"cpdis": (wcs.cpdis1, wcs.cpdis2), "det2im": (wcs.det2im1, wcs.det2im2)}
    found = [kind for kind, pair in tables.items() if any(table is not None for table in pair)]
    if any(ctype.endswith("-TAB") for ctype in wcs.wcs.ctype):
        found.append("-TAB")
    if found:
        raise InvalidInputError(
            f"The WCS has distortions in look-up tables ({', '.join(found)}), which a file of "
            "maps cannot hold: put the images on a WCS without them before estimating, with "
            "images.reproject_to(...)."
        )
    header = wcs.to_header(relax=True)
    _write_in_full(header, wcs)
    _check(header, wcs, shape)
    return header


def _write_in_full(header: fits.Header, wcs: WCS) -> None:
    """Replace numbers that wcslib rounds to 12 digits or so by all their digits."""
    exact = {}
    for i in range(2):
        exact[f"CRVAL{i + 1}"] = wcs.wcs.crval[i]
        exact[f"CRPIX{i + 1}"] = wcs.wcs.crpix[i]
        exact[f"CDELT{i + 1}"] = wcs.wcs.get_cdelt()[i]
        for j in range(2):
            exact[f"PC{i + 1}_{j + 1}"] = wcs.wcs.get_pc()[i, j]
    exact |= {f"PV{i}_{m}": value for i, m, value in wcs.wcs.get_pv()}
    for key, value in exact.items():
        # Only where it is the same number: wcslib may have changed units or conventions.
        if key in header and np.isclose(header[key], value, rtol=1e-9, atol=0):
            header[key] = float(value)


def _check(header: fits.Header, wcs: WCS, shape: tuple[int, int]) -> None:
    """Make sure that the header says what the WCS does; not every projection survives."""
    y, x = np.meshgrid(*(np.linspace(0, n - 1, 5) for n in shape), indexing="ij")
    expected = np.stack(wcs.all_pix2world(x, y, 0))
    found = np.stack(read_wcs(header).all_pix2world(x, y, 0))
    error = np.abs((found - expected + 180) % 360 - 180)
    if not np.array_equal(np.isnan(found), np.isnan(expected)) or np.nanmax(error) > (
        HEADER_TOLERANCE
    ):
        raise InvalidInputError(
            f"A FITS header cannot hold this WCS ({'/'.join(wcs.wcs.ctype)}): read back, pixels "
            f"are off by up to {np.nanmax(error):.2g} degrees. Put the images on a plain WCS "
            "first, with images.reproject_to(...)."
        )


def read_wcs(header: fits.Header) -> WCS:
    """Return the WCS that a header describes."""
    # What astropy repairs (dates, mostly) was repaired when the maps were made.
    with silence(FITSFixedWarning):
        return WCS(header, naxis=2)
