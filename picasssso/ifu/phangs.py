"""Maps of PHANGS-MUSE: NAME_MAPS.fits.

An HDU for each map, with its error in NAME_ERR, in the unit of BUNIT; masses on Chabrier's mass
function, as seen (not deprojected); ages and metallicities are means of logarithms, weighted by
mass (MW) or light (LW), Z_sun = 0.0198 of E-MILES with BaSTI isochrones (Emsellem et al. 2022,
A&A 659, A191; Pessa et al. 2023, A&A 673, A147). Names of HDUs are those in public readers of the
team's files (``STELLAR_MASS_DENSITY``, its ``_ERR``, ``AGE_MW``, ``EBV_STARS``). No file and no
table of units was at hand: a map whose BUNIT says nothing is left out, with a warning, unless its
unit is stated.
"""

from __future__ import annotations

import re
from typing import Any

import astropy.units as u
import numpy as np

from picasssso._core.quiet import silence
from picasssso.exceptions import FileFormatError
from picasssso.ifu.map_formats import MapReader, PublishedSet
from picasssso.ifu.published import PublishedMap
from picasssso.io import ImageFile

_LOG = {"weighting": "mass", "average": "log"}
#: Names of HDUs, the property, what it means, and its unit where no other is possible.
_MAPS: tuple[tuple[tuple[str, ...], str, dict[str, Any], Any], ...] = (
    (("STELLAR_MASS_DENSITY", "STELLAR_MASS_DENSITY_AV"), "stellar_mass",
     {"imf": "chabrier"}, None),
    (("AGE_MW", "STELLAR_AGE_MW"), "stellar_age", _LOG, None),
    (("Z_MW", "STELLAR_Z_MW"), "stellar_metallicity",
     {**_LOG, "solar_metallicity": 0.0198}, u.dex),
    (("EBV_STARS", "E(BV)_STARS"), "attenuation_v", {"r_v": 4.05}, u.mag),
)  # fmt: skip


class PHANGSReader(MapReader):
    """Reads the stellar maps."""

    title = "PHANGS-MUSE maps"

    def recognize(self, file: ImageFile) -> bool:
        """Recognize by an HDU called STELLAR_MASS_DENSITY."""
        return file.find("STELLAR_MASS_DENSITY") is not None

    def read(self, file: ImageFile, galaxy: str | None) -> PublishedSet:
        """Read those of the stellar maps that there are; see `MapReader.read`."""
        planes: dict[str, PublishedMap] = {}
        wcs = None
        for names, prop, meaning, unit in _MAPS:
            hdu = file.find(*names)
            if hdu is None:
                continue
            wcs = wcs or file.wcs(hdu)
            label = file.label(hdu)
            error = file.find(f"{label}_ERR")
            if unit is None:
                unit = _unit(file, hdu)
            planes[prop] = PublishedMap(
                np.asarray(file.array(hdu, label), float),
                unit,
                None if error is None else np.asarray(file.array(error, "errors"), float),
                **meaning,
            )
        if not planes:
            raise FileFormatError(
                f"{file}: found no stellar maps, but {file.contents}, expected "
                "STELLAR_MASS_DENSITY and others."
            )
        ids = file.find("BIN_ID", "BINID")
        bins = None if ids is None else np.nan_to_num(file.array(ids, "bins"), nan=-1).astype(int)
        return PublishedSet(planes, "PHANGS-MUSE", wcs, bins=bins)


def _unit(file: ImageFile, hdu: int) -> Any:
    """Return the unit that BUNIT says; None if it says none, its text if that is no unit."""
    bunit = str(file.headers[hdu].get("BUNIT", "")).strip()
    if not bunit:
        return None
    text = re.sub(r"M_?(sol|sun)\b|M_\\odot|solMass", "solMass", bunit, flags=re.IGNORECASE)
    # log(Age/yr), log yr, log10([Gyr]): a logarithm of years.
    log = re.fullmatch(r"log(?:10)?\W*(?:age)?\W*(yr|gyr)\W*", text, flags=re.IGNORECASE)
    try:
        with silence():
            return u.dex(u.Unit(log[1].replace("g", "G"))) if log else u.Unit(text)
    except ValueError:
        return bunit  # which is refused, unless the user states another
