"""KiDS, VIKING, ATLAS and other images to ESO's Science Data Products standard.

The standard defines ``PHOTZP`` (magnitude = PHOTZP - 2.5 log10(value)) with ``PHOTSYS`` (AB or
VEGA), ``PSF_FWHM`` in arcsec and ``PRODCATG``. KiDS coadds are scaled to a zero point of 0, so
their values are maggies. Weights stand in files of their own (``ANCILLARY.WEIGHTMAP``), in the
units of the image: inverse variances as far as they are scaled at all, which the standard does
not promise; they are used only for which pixels have data, and the noise is left to be measured.
"""

from __future__ import annotations

import re
from typing import Any

import astropy.units as u
import numpy as np

from picasssso.exceptions import FileFormatError, InvalidInputError
from picasssso.io.survey_files import SurveyFile, SurveyImage, check_filter, same_shape

TITLE = "ESO survey image (KiDS, VIKING, ATLAS)"
#: OmegaCAM's filters copy those of SDSS; speclite has none of its own for either camera.
_BANDS = {f"{band}_SDSS": f"sdss2010-{band}" for band in "ugriz"}


def matches(file: SurveyFile) -> bool:
    """Return whether a file follows ESO's standard of science data products."""
    return file.get("PRODCATG") is not None or (
        file.get("PHOTZP") is not None and file.get("PHOTSYS") is not None
    )


def companion(file: SurveyFile) -> str | None:
    """Return what a file is, if it is not an image but goes with one."""
    category = str(file.get("PRODCATG", "")).upper()
    for word, role in (("WEIGHTMAP", "weight"), ("MASK", "mask")):
        if word in category:
            return role
    return None


def read(file: SurveyFile, options: Any) -> list[SurveyImage]:
    """Read an image."""
    if not file.images:
        raise FileFormatError(f"{file.path}: found no image among {file.contents}.")
    hdu = file.images[0]
    band = options.band
    if band is None:
        names = (file.get(key) for key in ("FILTER", "HIERARCH ESO INS FILT1 NAME"))
        name = next((str(name) for name in names if name is not None), "")
        band = check_filter(file, re.sub(r"^OCAM_", "", name.strip()), _BANDS)
    zero_point, source = options.zero_point_of(band), "given"
    if zero_point is None:
        system = str(file.get("PHOTSYS", "")).strip().upper()
        if system != "AB":
            raise InvalidInputError(
                f"{file.path}: found a zero point in the system {system or 'unknown'!r}, expected "
                "AB. Give the AB magnitude of one count, zero_point=30 * u.ABmag."
            )
        zero_point, source = file.number("PHOTZP") * u.ABmag, "PHOTZP"
    data = file.array(hdu)
    mask = None
    if (other := options.companions.get("weight")) is not None:
        weight = other.array(other.images[0], "weight")
        same_shape(other, "weight", weight, data.shape)
        mask = np.asarray(weight <= 0)
    fwhm = file.get("PSF_FWHM")
    good = isinstance(fwhm, int | float) and not isinstance(fwhm, bool) and 0 < fwhm < 60
    record = file.record("eso", zero_point_mag=float(zero_point.value), zero_point_source=source)
    return [
        SurveyImage(
            band,
            file.ccd(hdu, data, u.ct, mask=mask),
            record,
            zero_point=zero_point,
            psf=fwhm * u.arcsec if good else None,
        )
    ]
