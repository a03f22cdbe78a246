"""Cubes of CALIFA (DR3): COMB, V500 and V1200, for which specutils has no loader.

The primary HDU has fluxes of (wavelength, y, x) in 1e-16 erg/s/cm2/AA per spaxel of 1 arcsec, in
air, corrected for the Galaxy's dust (Schlegel et al. 1998, law of Cardelli et al. 1989); ERROR
standard deviations, BADPIX 1 where bad, with errors of 1e10; MED_VEL, in COMB cubes V500 MED_VEL,
the velocity c z (Sanchez et al. 2012, A&A 538, A8; Husemann et al. 2013, A&A 549, A87; Sanchez et
al. 2016, A&A 594, A36). Headers without BUNIT have the unit as PIPE UNITS, or use that of the
papers, which public readers (pycasso2, GIST) assume. The noise of n added spaxels is 1 + 1.07
log10(n) times that of independent ones, for all gratings and up to 80 spaxels (Garcia- Benito et
al. 2015, A&A 576, A135, equation 1, with the slope that vorbin quotes of it). PSF 2.5 arcsec,
calibration to 4 % (Sanchez et al. 2016).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from astropy.nddata import StdDevUncertainty
from astropy.wcs import WCS

from picasssso._core.quiet import silence
from picasssso.bands import GalacticExtinction, NoiseScaling
from picasssso.exceptions import FileFormatError
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

_NUMBERS = np.array([1, 2, 4, 8, 16, 32, 64, 80])
COVARIANCE = NoiseScaling(_NUMBERS.tolist(), ((1 + 1.07 * np.log10(_NUMBERS)) ** 2).tolist())
_PSF_FWHM = 2.5
_CALIBRATION = 0.04
#: Errors from here on say that there is no data.
_NO_DATA = 1e9
_UNIT = "1e-16 erg/s/cm^2/Angstrom"


class CALIFAReader(CubeReader):
    """Reads cubes of CALIFA."""

    title = "CALIFA cube"

    def recognize(self, file: ImageFile) -> bool:
        """Recognize by the keywords of the survey, or by its HDUs."""
        named = file.text("CALIFAID", "SURVEY", "INSTRUME").upper()
        return "CALIFA" in named or file.get("CALIFAID") is not None or (
            file.axes[0] == 3 and file.find("BADPIX") is not None
        )  # fmt: skip

    def read(self, files: Sequence[ImageFile], redshift: float | None) -> Cube:
        """Read a cube; see `CubeReader.read`."""
        from specutils import Spectrum

        file = one_file(files, self.title)
        flux = cube_array(file, 0, "fluxes")
        check_linear_wavelengths(file, 0)
        stated = file.headers[0].get("BUNIT", file.headers[0].get("PIPE UNITS"))
        unit = flux_unit(file, 0, _UNIT, stated or _UNIT)
        errors = need_hdu(file, "errors", "ERROR")
        error = cube_array(file, errors, "errors", flux.shape)
        factor = noise_factor(file, errors, unit, 0, 1)
        bad = cube_array(file, need_hdu(file, "bad pixels", "BADPIX"), "bad pixels", flux.shape)
        header = file.headers[0].copy()
        if not str(header.get("CTYPE1", "")).startswith("RA"):
            raise FileFormatError(
                f"{file}: found CTYPE1 = {header.get('CTYPE1')!r}, expected celestial "
                "coordinates: cubes of the first release lack them, those of DR3 do not."
            )
        header["CTYPE3"], header["CUNIT3"] = "AWAV", "Angstrom"
        with silence(Warning):
            wcs = WCS(header, naxis=3)
        arm = Spectrum(
            flux=flux << unit,
            wcs=wcs,
            uncertainty=StdDevUncertainty(error if factor == 1 else error * factor, copy=False),
            mask=(bad != 0) | (error >= _NO_DATA),
            meta={"header": header},
        )
        return Cube(
            [arm],
            wavelength_frame="air",
            redshift=known_redshift(redshift, file, "MED_VEL", "V500 MED_VEL", velocity=True),
            survey="CALIFA",
            noise_scaling=COVARIANCE,
            psf_fwhm={float(np.mean(arm.spectral_axis.to_value("AA"))): _PSF_FWHM},
            # How much it was is not needed once it is done.
            galactic_extinction=GalacticExtinction(0.0, "SFD98", law="CCM89", applied=True),
            calibration_error=_CALIBRATION,
            meta={
                "name": file.text("OBJECT"),
                "file": file.name,
                "notes": [] if stated else [f"no BUNIT, taken for {_UNIT} as the survey defines"],
            },
        )
