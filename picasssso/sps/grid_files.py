"""Stellar grids in FITS files: format 1.

========================  ==================================================================
primary HDU               no data; ``SSPFMT`` (1, the format), ``GRID`` (name of the grid),
                          ``ZSOLAR`` (what its authors call solar), ``GRIDHASH``
``AGES``                  (n_age,) in yr, increasing
``METALLICITIES``         (n_metallicity,) mass fractions, increasing
``WAVELENGTH``            (n_wavelength,) in AA, increasing
``LUMINOSITY``            (n_metallicity, n_age, n_wavelength) stellar light in Lsun/AA per
                          Msun formed on Chabrier's initial mass function, 0.1-100 Msun
``NEBULAR_CONTINUUM``     the same for the gas; absent if the grid has none
``SURVIVING_FRACTION``    (n_metallicity, n_age) living stars and remnants per mass formed
``PHOTON_RATE``           (n_metallicity, n_age) ionising photons per second per Msun formed
``META``                  a table of one string: the provenance as JSON
========================  ==================================================================

Shapes are numpy's; ``NAXIS1`` of an image is the last axis. ``SURVIVING_FRACTION`` and
``PHOTON_RATE`` may be left out of a file that somebody else made: they are computed.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from picasssso.exceptions import FileFormatError, InvalidInputError, PicassssoError

if TYPE_CHECKING:
    from picasssso.sps.grid import SSPGrid

#: Number of the format that is written, and the version of the package that first read it.
FORMAT = 1
FORMAT_SINCE = "0.1"
_KEYWORD = "SSPFMT"

_UNITS = {
    "AGES": "yr",
    "METALLICITIES": "",
    "WAVELENGTH": "Angstrom",
    "LUMINOSITY": "solLum Angstrom-1 solMass-1",
    "NEBULAR_CONTINUUM": "solLum Angstrom-1 solMass-1",
    "SURVIVING_FRACTION": "",
    "PHOTON_RATE": "s-1 solMass-1",
}
_REQUIRED = ("AGES", "METALLICITIES", "WAVELENGTH", "LUMINOSITY")


def write_grid(grid: SSPGrid, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Write a grid."""
    from astropy.io import fits

    from picasssso._core.files import atomic_write, check_output

    check_output(path, overwrite)
    primary = fits.PrimaryHDU()
    primary.header[_KEYWORD] = (FORMAT, "format of this stellar grid (picasssso)")
    primary.header["GRID"] = (grid.name, "name of the grid")
    primary.header["ZSOLAR"] = (grid.solar_metallicity, "what its authors call solar")
    primary.header["GRIDHASH"] = (grid.hash, "of its numbers")
    hdus = fits.HDUList([primary])
    arrays = {
        "AGES": grid.ages,
        "METALLICITIES": grid.metallicities,
        "WAVELENGTH": grid.wavelength,
        "LUMINOSITY": grid.luminosity,
        "NEBULAR_CONTINUUM": grid.nebular_continuum,
        "SURVIVING_FRACTION": grid.surviving_fraction,
        "PHOTON_RATE": grid.ionizing_photon_rate,
    }
    for name, array in arrays.items():
        if array is None:
            continue
        hdu = fits.ImageHDU(np.array(array), name=name)
        hdu.header["BUNIT"] = _UNITS[name]
        hdus.append(hdu)
    text = json.dumps(dict(grid.provenance))
    column = fits.Column("META", f"{max(len(text), 1)}A", array=np.array([text]))
    hdus.append(fits.BinTableHDU.from_columns([column], name="META"))
    with atomic_write(path, overwrite=overwrite) as temporary:
        hdus.writeto(temporary, checksum=True)


def read_grid(path: str | os.PathLike[str]) -> SSPGrid:
    """Read a grid that `write_grid` or somebody following its layout wrote."""
    from picasssso._core.files import short
    from picasssso.sps.grid import SSPGrid

    with opened(path, "a stellar grid") as hdus:
        header = hdus[0].header
        arrays = {hdu.name: np.array(hdu.data) for hdu in hdus[1:] if hdu.name in _UNITS}
        meta = str(hdus["META"].data["META"][0]) if "META" in hdus else "{}"
    check_format(path, header, _KEYWORD, "a stellar grid", FORMAT)
    missing = [name for name in _REQUIRED if name not in arrays]
    if missing:
        raise FileFormatError(
            f"{path} has no {', '.join(missing)}: expected the layout of picasssso.sps.grid_files."
        )
    try:
        return SSPGrid(
            arrays["AGES"],
            arrays["METALLICITIES"],
            arrays["WAVELENGTH"],
            arrays["LUMINOSITY"],
            nebular_continuum=arrays.get("NEBULAR_CONTINUUM"),
            surviving_fraction=arrays.get("SURVIVING_FRACTION"),
            photon_rate=arrays.get("PHOTON_RATE"),
            solar_metallicity=float(header.get("ZSOLAR", 0.02)),
            name=str(header.get("GRID", "unnamed")),
            provenance=json.loads(meta),
        )
    except (InvalidInputError, ValueError, TypeError, RecursionError) as error:
        raise FileFormatError(f"{path} holds no usable stellar grid: {short(error)}") from error


@contextmanager
def opened(path: str | os.PathLike[str], what: str) -> Iterator[Any]:
    """Open a FITS file; whatever is wrong with it is one error."""
    from astropy.io import fits

    from picasssso._core.files import short

    try:
        with warnings.catch_warnings():
            # What astropy warns of is wrong with the file.
            warnings.simplefilter("ignore")
            with fits.open(path, memmap=False) as hdus:
                if sum(hdu.size for hdu in hdus) > os.path.getsize(path):
                    raise FileFormatError(f"{path} is damaged or cut short: its arrays end early.")
                yield hdus
    except PicassssoError:
        raise
    except (*_DAMAGE, fits.VerifyError) as error:
        raise FileFormatError(f"{path} cannot be read as {what}: {short(error)}.") from error


#: What astropy raises where a file is damaged.
_DAMAGE = (
    OSError, KeyError, IndexError, TypeError, ValueError, AttributeError, MemoryError, EOFError,
    OverflowError, RecursionError, AssertionError,
)  # fmt: skip


def check_format(path: Any, header: Any, keyword: str, what: str, newest: int) -> None:
    """Check that a file is what it is taken for, and not too new."""
    found = header.get(keyword)
    if found is None:
        raise FileFormatError(
            f"{path} is not {what} of picasssso: its primary header has no {keyword}."
        )
    if isinstance(found, bool) or not isinstance(found, int) or found < 1:
        raise FileFormatError(f"{path} has {keyword} = {found!r}: expected a whole number.")
    if found > newest:
        raise FileFormatError(
            f"{path} is {what} in format {found}, newer than this version of picasssso reads "
            f"(format {newest}, since version {FORMAT_SINCE}): update picasssso."
        )
