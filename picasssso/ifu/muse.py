"""Cubes of MUSE: ESO's DATACUBE_FINAL and those made from it, for which specutils has no loader.

DATA and STAT (variances) of (wavelength, y, x) in 1e-20 erg/s/cm2/AA per spaxel of 0.2 arcsec, in
air unless CTYPE3 says WAVE, not corrected for the Galaxy's dust; NaN where there is no data, or
DQ non-zero (Weilbacher et al. 2020, A&A 641, A28). STAT leaves out the correlation of spaxels,
which drizzling makes, and states no number for it; nor is the PSF stated.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from astropy.nddata import VarianceUncertainty
from astropy.wcs import WCS

from picasssso._core.quiet import silence
from picasssso.ifu.cube import Cube
from picasssso.ifu.cube_formats import (
    CubeReader,
    check_linear_wavelengths,
    cube_array,
    flux_unit,
    known_redshift,
    need_hdu,
    noise_factor,
    one_file,
)
from picasssso.io import ImageFile

#: Weilbacher et al. (2020), section 6.5: 4-7 %.
_CALIBRATION = 0.05


class MUSEReader(CubeReader):
    """Reads cubes of MUSE."""

    title = "MUSE cube"

    def recognize(self, file: ImageFile) -> bool:
        """Recognize by INSTRUME and an HDU called DATA."""
        return "MUSE" in file.text("INSTRUME").upper() and file.find("DATA") is not None

    def read(self, files: Sequence[ImageFile], redshift: float | None) -> Cube:
        """Read a cube, memory-mapped if it is large; see `CubeReader.read`."""
        from specutils import Spectrum

        file = one_file(files, self.title)
        hdu = need_hdu(file, "fluxes", "DATA")
        flux = cube_array(file, hdu, "fluxes")
        check_linear_wavelengths(file, hdu)
        unit = flux_unit(file, hdu, "10**(-20)*erg/s/cm**2/Angstrom")
        variances = need_hdu(file, "variances", "STAT")
        stat = cube_array(file, variances, "variances", flux.shape)
        if (factor := noise_factor(file, variances, unit, hdu, 2)) != 1:
            stat = np.asarray(stat, np.float64) * factor
        quality = file.find("DQ")
        mask = None
        if quality is not None:
            mask = cube_array(file, quality, "quality", flux.shape)
        header = file.headers[hdu]
        with silence(Warning):
            wcs = WCS(header, naxis=3)
        arm = Spectrum(
            flux=flux << unit,
            wcs=wcs,
            uncertainty=VarianceUncertainty(stat, copy=False),
            mask=mask,
            meta={"header": header},
        )
        in_vacuum = str(header["CTYPE3"]).strip().upper() == "WAVE"
        return Cube(
            [arm],
            wavelength_frame="vacuum" if in_vacuum else "air",
            redshift=known_redshift(redshift, file),
            survey="MUSE",
            calibration_error=_CALIBRATION,
            meta={"name": file.text("OBJECT"), "file": file.name},
        )
