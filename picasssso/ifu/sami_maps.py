"""Maps of star formation of the SAMI Galaxy Survey (DR3): Msun/yr/kpc2 of H-alpha.

Plane 0 is the total, others are kinematic components; errors stand in SFRSurfDensity_ERR. They are
corrected for dust by the Balmer decrement, and 0 without error where lines are not those of young
stars, which is no measurement (Medling et al. 2018, MNRAS 475, 5194). Those of DR3 are on
Chabrier's mass function: in galaxy 41144 they are 4.4 to 5.7e-42 times the luminosity of H-alpha
in its cube, where stars absorb 1.5 to 0 AA of it: Kennicutt's (1998) 7.9e-42 over 1.53, not
7.9e-42 itself; a test measures it. Those of DR1 used 7.9e-42, Salpeter's, by the survey's own
archive (FIDIA): of files before SAMI_VER V0.12 the mass function has to be stated. The files have
neither WCS nor redshift: those of the cube belong to them, and so do its bins if both are binned
alike.
"""

from __future__ import annotations

import re

import astropy.units as u
import numpy as np

from picasssso.exceptions import FileFormatError
from picasssso.ifu.map_formats import MapReader, PublishedSet
from picasssso.ifu.published import PublishedMap
from picasssso.io import ImageFile


class SAMIMapReader(MapReader):
    """Reads surface densities of star formation."""

    title = "SAMI star formation maps"

    def recognize(self, file: ImageFile) -> bool:
        """Recognize by PRODUCT."""
        return file.text("PRODUCT").startswith("SFR") and file.axes[0] in (2, 3)

    def read(self, file: ImageFile, galaxy: str | None) -> PublishedSet:
        """Read the total of all components; see `MapReader.read`."""
        error = next((k for k in range(1, len(file.axes)) if file.label(k).endswith("_ERR")), None)
        if error is None:
            raise FileFormatError(f"{file}: found no HDU SFRSurfDensity_ERR, expected the errors.")
        described = file.text("DESCRIPT")
        if described and "kpc" not in described:
            raise FileFormatError(
                f"{file}: found DESCRIPT = {described!r}, expected a surface density in "
                "Msun/yr/kpc^2: that is the file called sfr-dens."
            )
        rate, width = (
            np.asarray(file.array(k, "maps", cube=True), float).reshape(-1, *self._shape(file))[0]
            for k in (0, error)
        )
        plane = PublishedMap(
            np.where((rate == 0) & (width == 0), np.nan, rate),
            u.Msun / u.yr / u.kpc**2,
            width,
            imf="chabrier" if _third_release(file) else None,
            averaging_time=10 * u.Myr,
        )
        return PublishedSet({"sfr": plane}, "SAMI")

    @staticmethod
    def _shape(file: ImageFile) -> tuple[int, int]:
        return int(file.headers[0]["NAXIS2"]), int(file.headers[0]["NAXIS1"])


def _third_release(file: ImageFile) -> bool:
    """Say whether SAMI_VER, if there is one, is that of DR3 (V0.12) or later."""
    numbers = [int(part) for part in re.findall(r"\d+", file.text("SAMI_VER"))]
    return not numbers or numbers[:2] >= [0, 12]
