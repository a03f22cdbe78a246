"""Stellar grids and model libraries in FITS files: format 1 of both.

A stellar grid:

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
``PHOTON_RATE``           (n_metallicity, n_age) ionizing photons per second per Msun formed
``META``                  a table of one string: the provenance as JSON
========================  ==================================================================

``SURVIVING_FRACTION`` and ``PHOTON_RATE`` may be left out of a file that somebody else made:
they are computed. A model library:

========================  ==================================================================
primary HDU               no data; ``LIBFMT`` (1, the format), ``REDSHIFT``, ``LIBHASH``
``FLUXES``                (n, n_band) float32, nmgy/arcsec2 per Msun/kpc2 formed
``PROPERTIES``            a table with one float32 column per property
``PARAMETERS``            a table with one float32 column per parameter of the prior
``META``                  a table of one string: JSON with ``bands`` and how it was made
========================  ==================================================================

Shapes are numpy's; ``NAXIS1`` of an image is the last axis.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from picasssso._core.words import with_article
from picasssso.exceptions import FileFormatError

#: The format that is written, and the version of the package that first read it.
FORMAT = 1
FORMAT_SINCE = "0.1"
_KEYWORDS = {"stellar grid": "SSPFMT", "model library": "LIBFMT"}

_UNITS = {
    "AGES": "yr",
    "WAVELENGTH": "Angstrom",
    "LUMINOSITY": "solLum Angstrom-1 solMass-1",
    "NEBULAR_CONTINUUM": "solLum Angstrom-1 solMass-1",
    "PHOTON_RATE": "s-1 solMass-1",
    "FLUXES": "nmgy arcsec-2 solMass-1 kpc2",
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


@dataclass(frozen=True)
class Content:
    """What such a file holds: cards of its first header, images, tables and the record."""

    cards: Mapping[str, Any]
    images: Mapping[str, np.ndarray | None]
    tables: Mapping[str, Mapping[str, np.ndarray]]
    record: Any


def write_content(
    path: str | os.PathLike[str], what: str, content: Content, *, overwrite: bool
) -> None:
    """Write a stellar grid or a model library."""
    from astropy.io import fits

    from picasssso._core.safe_files import atomic_write, check_output

    check_output(path, overwrite)
    primary = fits.PrimaryHDU()
    primary.header[_KEYWORDS[what]] = (FORMAT, f"format of this {what} (picasssso)")
    primary.header.update(content.cards)
    hdus = fits.HDUList([primary])
    for name, array in content.images.items():
        if array is not None:
            hdus.append(fits.ImageHDU(np.array(array), name=name))
            hdus[-1].header["BUNIT"] = _UNITS.get(name, "")
    for name, table in content.tables.items():
        columns = [fits.Column(k, "E", unit=_UNITS.get(k), array=v) for k, v in table.items()]
        hdus.append(fits.BinTableHDU.from_columns(columns, name=name))
    text = json.dumps(content.record)
    column = fits.Column("META", f"{max(len(text), 1)}A", array=np.array([text]))
    hdus.append(fits.BinTableHDU.from_columns([column], name="META"))
    with atomic_write(path, overwrite=overwrite) as temporary:
        hdus.writeto(temporary, checksum=True)


def read_content(path: str | os.PathLike[str], what: str) -> Content:
    """Read what `write_content` or somebody following its layout wrote."""
    from astropy.io import fits

    from picasssso._core.before_opening import check_before_opening
    from picasssso._core.safe_files import short

    check_before_opening(path, what.capitalize())
    try:
        with warnings.catch_warnings(), fits.open(path, memmap=False) as hdus:
            # What astropy warns of is wrong with the file.
            warnings.simplefilter("ignore")
            packed = os.fspath(path).endswith(".gz")
            if not packed and sum(hdu.size for hdu in hdus) > os.path.getsize(path):
                raise FileFormatError(f"{path} is damaged or cut short: its arrays end early.")
            cards = dict(hdus[0].header)
            _check_format(path, cards, what)
            meta = str(hdus["META"].data["META"][0]) if "META" in hdus else "{}"
            tables = {
                hdu.name: {key: np.array(hdu.data[key]) for key in hdu.columns.names}
                for hdu in hdus[1:]
                if isinstance(hdu, fits.BinTableHDU) and hdu.name != "META"
            }
            images = {
                hdu.name: np.array(hdu.data) for hdu in hdus[1:] if isinstance(hdu, fits.ImageHDU)
            }
            return Content(cards, images, tables, json.loads(meta))
    except FileFormatError:
        raise
    # A damaged file makes astropy and numpy raise anything.
    except Exception as error:
        raise FileFormatError(
            f"{path} cannot be read as {with_article(what)}: {short(error)}."
        ) from error


def _check_format(path: Any, cards: Mapping[str, Any], what: str) -> None:
    """Check that a file is what it is taken for, and not too new."""
    keyword = _KEYWORDS[what]
    found = cards.get(keyword)
    if found is None:
        raise FileFormatError(
            f"{path} is not {with_article(what)} of picasssso: its primary header has no "
            f"{keyword}."
        )
    if isinstance(found, bool) or not isinstance(found, int) or found < 1:
        raise FileFormatError(f"{path} has {keyword} = {found!r}: expected a whole number.")
    if found > FORMAT:
        raise FileFormatError(
            f"{path} is {with_article(what)} in format {found}, newer than this version of "
            f"picasssso reads (format {FORMAT}, since version {FORMAT_SINCE}): update picasssso."
        )
