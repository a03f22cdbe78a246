"""Maps of Pipe3D and pyPipe3D: CALIFA, MaNGA's value-added catalog, and others.

HDU SSP has 20 planes (CALIFA) or 21 (MaNGA): luminosity- and mass-weighted means of log age (yr)
and of log metallicity, A_V, log mass per spaxel with and without correction for dust, and its
error (plane 20); Salpeter's mass function (Sanchez et al. 2016, RMxAA 52, 171; 2022, ApJS 262,
36). Errors of ages and metallicities are relative. The order of planes and their units are those
that edge_pydb 1.8 reads from both surveys' files (masses in dex(Msun/pixel2)); Z_sun = 0.019 and
means of logarithms are those of pyPipe3D 1.1.5.
"""

from __future__ import annotations

from typing import Any

import astropy.units as u
import numpy as np

from picasssso.exceptions import FileFormatError
from picasssso.ifu.cube_formats import need_hdu
from picasssso.ifu.map_formats import MapReader, PublishedSet
from picasssso.ifu.published import PublishedMap
from picasssso.io import ImageFile

#: Planes of SSP, by what they hold.
_PLANES = {"segmentation": 1, "age": 6, "age_error": 7, "metallicity": 9, "metallicity_error": 10,
           "attenuation": 11, "attenuation_error": 12, "mass": 19}  # fmt: skip
#: Plane of the error of the mass, dex, which only some versions have.
_MASS_ERROR = 20
#: Words that DESC_n must have where the file describes its planes.
_WORDS = {"age": "mass", "metallicity": "mass", "mass": "dust"}
_SOLAR = 0.019
_PER_SPAXEL = u.dex(u.Msun / u.pix)


class Pipe3DReader(MapReader):
    """Reads mass-weighted averages, masses and attenuation."""

    title = "Pipe3D maps"

    def recognize(self, file: ImageFile) -> bool:
        """Recognize by an HDU called SSP with three axes."""
        hdu = file.find("SSP")
        return hdu is not None and file.axes[hdu] == 3

    def read(self, file: ImageFile, galaxy: str | None) -> PublishedSet:
        """Read HDU SSP; see `MapReader.read`."""
        hdu = need_hdu(file, "maps", "SSP")
        data = np.asarray(file.array(hdu, "maps", cube=True), float)
        if data.ndim != 3 or len(data) < max(_PLANES.values()) + 1:
            raise FileFormatError(
                f"{file}: found SSP of shape {data.shape}, expected (20 or 21, y, x)."
            )
        header = file.headers[hdu]
        for name, word in _WORDS.items():
            text = str(header.get(f"DESC_{_PLANES[name]}", word)).lower()
            if word not in text:
                raise FileFormatError(
                    f"{file}: found DESC_{_PLANES[name]} = {text!r}, expected the {name} "
                    f"({word}-weighted or corrected). Is it of another version of Pipe3D?"
                )
        numbers = dict(_PLANES)
        if len(data) > _MASS_ERROR and np.any(data[_MASS_ERROR] > 0):
            numbers["mass_error"] = _MASS_ERROR
        here: dict[str, Any] = {name: data[k] for name, k in numbers.items()}
        # Where nothing was fitted planes are 0; no log age in yr is.
        empty = ~(np.isfinite(here["age"]) & (here["age"] > 0))
        for name in here:
            here[name] = np.where(empty, np.nan, here[name])
        segments = np.nan_to_num(data[_PLANES["segmentation"]]).astype(np.int32)
        averages: dict[str, Any] = {"weighting": "mass", "average": "log"}
        in_dex = 1 / np.log(10)
        planes = {
            "stellar_mass": PublishedMap(
                here["mass"], _PER_SPAXEL, here.get("mass_error"), imf="salpeter"
            ),
            "stellar_age": PublishedMap(
                here["age"], u.dex(u.yr), np.abs(here["age_error"]) * in_dex, **averages
            ),
            "stellar_metallicity": PublishedMap(
                here["metallicity"], u.dex, np.abs(here["metallicity_error"]) * in_dex,
                solar_metallicity=_SOLAR, **averages,
            ),
            "attenuation_v": PublishedMap(
                here["attenuation"], u.mag, np.abs(here["attenuation_error"])
            ),
        }  # fmt: skip
        return PublishedSet(
            planes,
            "Pipe3D",
            wcs=file.wcs(hdu) or file.wcs(0),
            redshift=None if file.get("REDSHIFT") is None else file.number("REDSHIFT"),
            bins=np.where(empty, -1, segments) if segments.max() > 0 else None,
        )
