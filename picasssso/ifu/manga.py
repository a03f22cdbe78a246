"""Cubes of MaNGA (SDSS-IV, DR17): LINCUBE files.

FLUX, IVAR and MASK of (wavelength, y, x) in 1e-17 erg/s/cm2/AA per spaxel of 0.5 arcsec, in
vacuum, not corrected for the Galaxy's dust (EBVGAL, Schlegel et al. 1998). Pixels with the bits
FORESTAR or DONOTUSE (3 and 10 of MANGA_DRP3PIXMASK in the survey's sdssMaskbits.par) are not to be
used; DEADFIBER and LOWCOV alone are warnings (Law et al. 2016, AJ 152, 83). The noise of n added
spaxels is 1 + 1.62 log10(n) times that of independent ones, and 4.2 times beyond a hundred (their
section 9.3; the survey's analysis pipeline has the same numbers). Flux calibration: Yan et al.
(2016, AJ 151, 8).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from astropy.nddata import InverseVariance

from picasssso.bands import GalacticExtinction, NoiseScaling
from picasssso.exceptions import FileFormatError, InvalidInputError
from picasssso.ifu.cube import F_LAMBDA, Cube
from picasssso.ifu.cube_formats import (
    CubeReader,
    check_linear_wavelengths,
    cube_array,
    flux_unit,
    known_redshift,
    need_hdu,
    noise_factor,
    one_file,
    whole_numbers,
)
from picasssso.io import ImageFile

#: Bits of MANGA_DRP3PIXMASK that make a pixel useless: FORESTAR and DONOTUSE.
USELESS = 2**3 | 2**10
#: Bit of MANGA_DRP3QUAL: something failed.
_CRITICAL = 2**30
_NUMBERS = np.array([1, 2, 4, 8, 16, 32, 64, 100])
COVARIANCE = NoiseScaling(
    _NUMBERS.tolist(), (np.minimum(1 + 1.62 * np.log10(_NUMBERS), 4.2) ** 2).tolist()
)
_CALIBRATION = 0.05
#: Effective wavelengths of the bands whose reconstructed PSF the header has.
_PSF_BANDS = {"G": 4686.0, "R": 6166.0, "I": 7480.0, "Z": 8932.0}


class MaNGAReader(CubeReader):
    """Reads LINCUBE files."""

    title = "MaNGA LINCUBE"

    def recognize(self, file: ImageFile) -> bool:
        """Recognize by INSTRUME or SURVEY, and a cube called FLUX."""
        named = file.text("INSTRUME", "SRVYMODE", "PLATETYP", "MANGAID").upper()
        return "MANGA" in named and file.find("FLUX") is not None

    def read(self, files: Sequence[ImageFile], redshift: float | None) -> Cube:
        """Read a cube with specutils' loader; see `CubeReader.read`."""
        from specutils import Spectrum

        file = one_file(files, self.title)
        if file.find("EMLINE_GFLUX") is not None:
            raise FileFormatError(
                f"{file}: found maps of the MaNGA analysis, expected a LINCUBE: read_maps reads "
                "these."
            )
        hdu = need_hdu(file, "fluxes", "FLUX")
        shape = cube_array(file, hdu, "fluxes").shape
        check_linear_wavelengths(file, hdu)
        ivar = need_hdu(file, "inverse variances", "IVAR")
        cube_array(file, ivar, "inverse variances", shape)
        mask = cube_array(file, need_hdu(file, "mask", "MASK"), "mask", shape)
        unit = flux_unit(file, hdu, "1E-17 erg/s/cm^2/Ang/spaxel")
        if abs(unit.to(F_LAMBDA) / 1e-17 - 1) > 1e-6:
            raise FileFormatError(
                f"{file}: found fluxes in {unit}, expected 1e-17 erg/s/cm2/AA as MaNGA defines."
            )
        factor = noise_factor(file, ivar, unit, hdu, -2)
        mask = whole_numbers(file, mask, "mask")
        if "DRP3QUAL" in file.headers[0] and int(file.number("DRP3QUAL")) & _CRITICAL:
            raise InvalidInputError(
                f"{file}: found the bit CRITICAL in DRP3QUAL: according to the survey this cube "
                "must not be used. Choose another observation."
            )
        arm = Spectrum.read(file.path, format="MaNGA cube")
        # The loader takes every bit for bad, those that only warn too.
        arm.mask = (mask & USELESS) != 0
        assert isinstance(arm.uncertainty, InverseVariance)
        if factor != 1:
            arm.uncertainty = InverseVariance(np.float64(factor) * arm.uncertainty.array)
        ebv = None if file.get("EBVGAL") is None else file.number("EBVGAL")
        return Cube(
            [arm],
            wavelength_frame="vacuum",
            redshift=known_redshift(redshift, file),
            survey="MaNGA",
            noise_scaling=COVARIANCE,
            psf_fwhm={
                wave: file.number(f"{name}FWHM")
                for name, wave in _PSF_BANDS.items()
                if file.get(f"{name}FWHM") is not None
            },
            galactic_extinction=(
                None if ebv is None else GalacticExtinction(ebv, "SFD98", applied=False)
            ),
            calibration_error=_CALIBRATION,
            meta={"name": file.text("PLATEIFU", "MANGAID"), "file": file.name},
        )
