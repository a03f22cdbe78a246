"""KiDS, VIKING, VHS, ATLAS and other images in ESO's Science Data Products standard.

The standard defines ``PHOTZP`` (magnitude = PHOTZP - 2.5 log10(value)) with ``PHOTSYS`` (AB or
VEGA, from which VISTA's bands are brought to AB), ``PSF_FWHM`` in arcsec and ``PRODCATG``. KiDS
coadds are scaled to a zero point of 0, so their values are maggies. Weights are in separate files
(``ANCILLARY.WEIGHTMAP``), in the units of the image. They are inverse variances if they are
scaled, which the standard does not guarantee; therefore they are used only to mark pixels with
data, and the noise has to be measured.
"""

from __future__ import annotations

import re

import astropy.units as u

from picasssso.exceptions import InvalidInputError
from picasssso.io.band_planes import BandPlane
from picasssso.io.formats import ImageReader, Recognition
from picasssso.io.hdu_roles import companion_planes
from picasssso.io.image_files import ImageFile
from picasssso.io.keywords import check_magnitude, from_vega

#: Filters by camera. OmegaCAM's copy those of SDSS; no library has curves of its own.
_BANDS = {
    "OMEGACAM": {f"{band}_SDSS": f"sdss2010-{band}" for band in "ugriz"},
    "VIRCAM": {band: f"vista-{band}" for band in ("Z", "Y", "J", "H", "Ks")},
}
_ALL = {name: band for bands in _BANDS.values() for name, band in bands.items()}


class ESOReader(ImageReader):
    """Reads images in ESO's Science Data Products standard."""

    title = "ESO survey image (KiDS, VIKING, VHS, ATLAS)"

    def recognize(self, file: ImageFile) -> Recognition | None:
        """Recognize by the category of the product, or the standard's photometry."""
        category = file.text("PRODCATG").upper()
        if category:
            roles = {"WEIGHTMAP": "weight", "MASK": "mask"}
            role = next((role for word, role in roles.items() if word in category), None)
            return Recognition("PRODCATG", role=role)
        if file.get("PHOTZP") is not None and file.get("PHOTSYS") is not None:
            return Recognition("PHOTZP and PHOTSYS")
        return None

    def read(self, file: ImageFile) -> list[BandPlane]:
        """Read an image."""
        hdu = file.first_image
        name = file.text("FILTER") or file.text("HIERARCH ESO INS FILT1 NAME")
        name = re.sub(r"^OCAM_", "", name)
        # Of other cameras, such as HAWK-I and SOFI, a filter of the same name is another one.
        camera = file.text("INSTRUME").upper()
        bands = _BANDS.get(camera, {}) if camera else _ALL
        band = file.band_of(name, bands)

        def stated() -> float:
            system = file.text("PHOTSYS").upper()
            value = check_magnitude(file.get("PHOTZP"), "PHOTZP", str(file), zero=True)
            if system == "VEGA":
                return from_vega(bands.get(name, band), value)
            if system != "AB":
                raise InvalidInputError(
                    f"{file}: found a zero point in the system {system or 'unknown'!r}, "
                    "expected AB or VEGA. Give the AB magnitude of one count, "
                    "zero_point=30 * u.ABmag."
                )
            return value

        zero_point, source = file.zero_point(band, stated, "PHOTZP")
        planes = companion_planes(file, hdu, band, mask=file.no_data_beside("weight"))
        fwhm = file.get("PSF_FWHM")
        if isinstance(fwhm, int | float) and not isinstance(fwhm, bool) and 0 < fwhm < 60:
            planes["psf"] = fwhm * u.arcsec
        return [
            file.plane(hdu, band, u.ct, **planes, zero_point=zero_point, zero_point_source=source)
        ]
