"""FITS headers: world coordinates, exactly or not at all, and the marks of own files."""

from __future__ import annotations

import warnings

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS, FITSFixedWarning

from picasssso.exceptions import InvalidInputError

#: Keywords of the first header of files of `BandImages` and of `PropertyMaps`, by which they
#: are recognised; their values are the numbers of their formats.
IMAGES_FORMAT = "BANDSFMT"
MAPS_FORMAT = "MAPSFMT"

#: How far a header's positions may be from those of the WCS it was made from, degrees.
HEADER_TOLERANCE = 1e-9


def wcs_header(wcs: WCS, shape: tuple[int, int]) -> fits.Header:
    """Return the header that describes a WCS, with all its distortions.

    ``shape``: shape ``(y, x)`` of the image; returns ``WCS(header)`` puts every pixel where
    ``wcs`` does, to 1e-9 degrees.
    """
    tables = {
        "cpdis": (wcs.cpdis1, wcs.cpdis2),
        "det2im": (wcs.det2im1, wcs.det2im2),
    }
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
    with warnings.catch_warnings():
        # What astropy repairs (dates, mostly) was repaired when the maps were made.
        warnings.simplefilter("ignore", FITSFixedWarning)
        return WCS(header, naxis=2)
