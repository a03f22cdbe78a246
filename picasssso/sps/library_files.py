"""Model libraries in FITS files: format 1.

========================  ==================================================================
primary HDU               no data; ``LIBFMT`` (1, the format), ``REDSHIFT``, ``LIBHASH``
``FLUXES``                (n, n_band) float32, nmgy/arcsec2 per Msun/kpc2 formed
``PROPERTIES``            a table with one float32 column per property
``PARAMETERS``            a table with one float32 column per parameter of the prior
``META``                  a table of one string: JSON with ``bands`` and how it was made
========================  ==================================================================
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from picasssso.exceptions import FileFormatError

if TYPE_CHECKING:
    from picasssso.sps.library import ModelLibrary

#: Number of the format that is written.
FORMAT = 1
_KEYWORD = "LIBFMT"

_UNITS = {
    "stellar_age": "Gyr",
    "stellar_age_formed": "Gyr",
    "ssfr100": "yr-1",
    "attenuation_v": "mag",
    "oldest_age": "Gyr",
    "timescale": "Gyr",
    "truncation_age": "Gyr",
    "burst_age": "Gyr",
    "burst_duration": "Gyr",
    "attenuation": "mag",
}


def write_library(
    library: ModelLibrary, path: str | os.PathLike[str], *, overwrite: bool = False
) -> None:
    """Write a library."""
    from astropy.io import fits

    from picasssso._core.files import atomic_write, check_output

    check_output(path, overwrite)

    def table(arrays: Mapping[str, np.ndarray], name: str) -> fits.BinTableHDU:
        columns = [
            fits.Column(key, "E", unit=_UNITS.get(key), array=array)
            for key, array in arrays.items()
        ]
        return fits.BinTableHDU.from_columns(columns, name=name)

    primary = fits.PrimaryHDU()
    primary.header[_KEYWORD] = (FORMAT, "format of this model library (picasssso)")
    primary.header["REDSHIFT"] = library.redshift
    primary.header["LIBHASH"] = (library.hash, "of its numbers")
    fluxes = fits.ImageHDU(np.array(library.fluxes), name="FLUXES")
    fluxes.header["BUNIT"] = "nmgy arcsec-2 solMass-1 kpc2"
    text = json.dumps({"bands": list(library.bands), "meta": dict(library.meta)})
    column = fits.Column("META", f"{len(text)}A", array=np.array([text]))
    hdus = fits.HDUList(
        [
            primary,
            fluxes,
            table(library.properties, "PROPERTIES"),
            table(library.parameters, "PARAMETERS"),
            fits.BinTableHDU.from_columns([column], name="META"),
        ]
    )
    with atomic_write(path, overwrite=overwrite) as temporary:
        hdus.writeto(temporary, checksum=True)


def read_library(path: str | os.PathLike[str]) -> ModelLibrary:
    """Read a library that `write_library` wrote."""
    from picasssso.sps.grid_files import check_format, opened
    from picasssso.sps.library import ModelLibrary, as_single

    def arrays(hdu: Any) -> Mapping[str, np.ndarray]:
        return MappingProxyType({key: as_single(hdu.data[key]) for key in hdu.columns.names})

    with opened(path, "a model library") as hdus:
        header = hdus[0].header
        check_format(path, header, _KEYWORD, "a model library", FORMAT)
        meta = json.loads(str(hdus["META"].data["META"][0]))
        library = ModelLibrary(
            bands=tuple(meta["bands"]),
            redshift=float(header["REDSHIFT"]),
            fluxes=as_single(hdus["FLUXES"].data),
            properties=arrays(hdus["PROPERTIES"]),
            parameters=arrays(hdus["PARAMETERS"]),
            meta=MappingProxyType(meta["meta"]),
        )
        expected, found = header["LIBHASH"], library.hash
    if found != expected:
        raise FileFormatError(
            f"{path} is damaged: its numbers have the hash {found}, not {expected}."
        )
    return library
