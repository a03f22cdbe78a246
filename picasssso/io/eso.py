"""KiDS, VIKING, ATLAS and other images to ESO's Science Data Products standard.

The standard defines ``PHOTZP`` (magnitude = PHOTZP - 2.5 log10(value)) with ``PHOTSYS`` (AB or
VEGA), ``PSF_FWHM`` in arcsec and ``PRODCATG``. KiDS coadds are scaled to a zero point of 0, so
their values are maggies. Weights stand in files of their own (``ANCILLARY.WEIGHTMAP``), in the
units of the image: inverse variances as far as they are scaled at all, which the standard does
not promise; they are used only for which pixels have data, and the noise is left to be measured.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import astropy.units as u

from picasssso.exceptions import FileFormatError, InvalidInputError
from picasssso.io.formats import ImageReader, Recognition
from picasssso.io.image_files import BandPlane, ImageFile

#: OmegaCAM's filters copy those of SDSS; speclite has none of its own for either camera.
_BANDS = {f"{band}_SDSS": f"sdss2010-{band}" for band in "ugriz"}


class ESOReader(ImageReader):
    """Reads images to ESO's standard of science data products."""

    title = "ESO survey image (KiDS, VIKING, ATLAS)"

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
        if not file.images:
            raise FileFormatError(f"{file}: found no image among {file.contents}.")
        hdu = file.images[0]
        name = file.text("FILTER") or file.text("HIERARCH ESO INS FILT1 NAME")
        band = file.band_of(re.sub(r"^OCAM_", "", name), _BANDS)

        def stated() -> float:
            system = file.text("PHOTSYS").upper()
            if system != "AB":
                raise InvalidInputError(
                    f"{file}: found a zero point in the system {system or 'unknown'!r}, "
                    "expected AB. Give the AB magnitude of one count, zero_point=30 * u.ABmag."
                )
            return file.number("PHOTZP")

        zero_point, source = file.zero_point(band, stated, "PHOTZP")
        weight = file.companions.get("weight")

        def mask(shape: Sequence[int]) -> Any:
            if weight is None:
                return None
            return ~(weight.array(weight.images[0], "weight", like=shape) > 0)

        fwhm = file.get("PSF_FWHM")
        good = isinstance(fwhm, int | float) and not isinstance(fwhm, bool) and 0 < fwhm < 60
        return [
            file.plane(
                hdu,
                band,
                u.ct,
                mask=mask,
                zero_point=zero_point,
                psf=fwhm * u.arcsec if good else None,
                zero_point_source=source,
            )
        ]
