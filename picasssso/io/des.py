"""DES and other coadds of the DECam pipelines: SCI, WGT and, where it is there, MSK.

Counts with the AB zero point ``MAGZERO`` (30 in all coadds), whatever ``BUNIT`` says; ``WGT``
holds inverse variances in counts; where ``MSK`` is not zero a pixel is unusable (Morganson et
al. 2018, PASP 130, 074501). Compressed files have an empty first HDU.
"""

from __future__ import annotations

from typing import Any

import astropy.units as u
import numpy as np

from picasssso.exceptions import FileFormatError
from picasssso.io.survey_files import (
    SurveyFile,
    SurveyImage,
    bits_set,
    check_filter,
    same_shape,
    weight_noise,
)

TITLE = "DES (DECam) coadd"
_BANDS = {band: f"decam2014-{band}" for band in ("u", "g", "r", "i", "z", "Y")}


def matches(file: SurveyFile) -> bool:
    """Return whether a file is a coadd of DECam images."""
    science = file.find("SCI")
    if science is None:
        return False
    header = file.headers[science]
    camera = " ".join(str(header.get(key, "")) for key in ("FILTER", "INSTRUME", "DES_EXT"))
    return "DECam" in camera or "TILENAME" in header or "DES_EXT" in header


def read(file: SurveyFile, options: Any) -> list[SurveyImage]:
    """Read a coadd."""
    science = file.find("SCI")
    if science is None:
        raise FileFormatError(f"{file.path}: found {file.contents}, expected an HDU SCI.")
    header = file.headers[science]
    name = str(header.get("BAND", "")).strip() or str(header.get("FILTER", " ")).split(" ")[0]
    band = check_filter(file, name, _BANDS)
    data = file.array(science)
    zero_point = options.zero_point_of(band)
    source = "given"
    if zero_point is None:
        zero_point, source = file.number("MAGZERO", science) * u.ABmag, "MAGZERO"
    uncertainty = mask = None
    if (weight := file.find("WGT")) is not None:
        array = file.array(weight, "weight")
        same_shape(file, "weight", array, data.shape)
        if np.any(array[:: max(1, array.shape[0] // 256)] < 0):
            raise FileFormatError(
                f"{file.path}: found negative weights, expected inverse variances. Download it "
                "again."
            )
        uncertainty = weight_noise(array, u.ct)
    if (bad := file.find("MSK")) is not None:
        array = file.array(bad, "mask")
        same_shape(file, "mask", array, data.shape)
        mask = bits_set(file, array, ~0)
    record = file.record("des", zero_point_mag=float(zero_point.value), zero_point_source=source)
    image = file.ccd(science, data, u.ct, uncertainty=uncertainty, mask=mask)
    return [SurveyImage(band, image, record, zero_point=zero_point)]
