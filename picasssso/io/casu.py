"""UKIDSS, VHS, VIKING and other images of WFCAM and VIRCAM from CASU, WSA and VSA.

Each extension contains one detector, or one image cut out of it, in counts of one exposure. The
archives define (wsa.roe.ac.uk, vsa.roe.ac.uk, "flat files"): magnitude = ``MAGZPT`` - 2.5
log10(counts / exposure time) - ``EXTINCT`` (airmass - 1), in the Vega system, for the total flux
of a source: the aperture corrections ``APCOR3`` and others, for the flux in small apertures, are
not needed for images. ``PERCORR``, of the order of 0.01, is added (CASU, "IPHAS images").
Confidence maps are weights of 100 on average, not noise; pixels where they are zero have no data.
"""

from __future__ import annotations

import re
from typing import Any

import astropy.units as u
import numpy as np

from picasssso.exceptions import FileFormatError
from picasssso.io.band_planes import BandPlane
from picasssso.io.formats import ImageReader, Recognition
from picasssso.io.hdu_roles import companion_planes, science_hdu
from picasssso.io.image_files import ImageFile
from picasssso.io.keywords import check_magnitude, from_vega

_BANDS = {
    "WFCAM": {band: f"ukidss-{band}" for band in ("Z", "Y", "J", "H", "K")},
    "VIRCAM": {band: f"vista-{band}" for band in ("Z", "Y", "J", "H", "Ks")},
}
_TIME = ("EXP_TIME", "EXPTIME")
_AIRMASS = (("AMSTART", "AMEND"), ("ESO TEL AIRM START", "ESO TEL AIRM END"), ("AIRMASS",))


class CASUReader(ImageReader):
    """Reads images of the pipelines of WFCAM and VIRCAM."""

    title = "WFCAM or VIRCAM image (UKIDSS, VISTA)"

    def recognize(self, file: ImageFile) -> Recognition | None:
        """Recognize by the camera, with MAGZPT; confidence maps by their name."""
        if file.text("INSTRUME").upper() not in _BANDS:
            return None
        name = _filter(file)
        if re.search(r"[_.-]conf\b", file.name.lower()):
            return Recognition("INSTRUME, and conf in the name", 0.85, "confidence", name)
        if file.get("MAGZPT") is None:
            return None
        # ESO's standard, where a file keeps it too, has a zero point that needs no exposure time.
        return Recognition("INSTRUME and MAGZPT", 0.85, group=name)

    def read(self, file: ImageFile) -> list[BandPlane]:
        """Read an image."""
        hdu = science_hdu(file)
        name, bands = _filter(file), _BANDS.get(file.text("INSTRUME").upper(), {})
        band = file.band_of(name, bands)
        # Another band's name does not change the calibration.
        zero_point, source = file.zero_point(
            band,
            lambda: from_vega(bands.get(name, band), _zero_point(file, hdu)),
            "MAGZPT, exposure time, EXTINCT and airmass, Vega to AB",
        )
        return [
            file.plane(
                hdu,
                band,
                u.ct,
                **companion_planes(
                    file, hdu, band, mask=file.no_data_beside("confidence", "CONFIDENCE", "CONF")
                ),
                zero_point=zero_point,
                zero_point_source=source,
            )
        ]


def _filter(file: ImageFile) -> str:
    return file.text("FILTER") or file.text("ESO INS FILT1 NAME")


def _zero_point(file: ImageFile, hdu: int) -> float:
    """Return the Vega magnitude of one count of the image."""
    header = {**file.headers[0], **file.headers[hdu]}

    def value(what: str, *keywords: str, within: tuple[float, float] = (-np.inf, np.inf)) -> float:
        found: Any = next((header[key] for key in keywords if key in header), None)
        if isinstance(found, bool) or not isinstance(found, int | float) or not np.isfinite(found):
            raise FileFormatError(
                f"{file}: found {' or '.join(keywords)} = {found!r}, expected {what}, which the "
                "zero point needs. Give zero_point=, the AB magnitude of one count."
            )
        if not within[0] <= found <= within[1]:
            raise FileFormatError(
                f"{file}: found {keywords[0]} = {found!r}, expected {what}, from {within[0]:g} to "
                f"{within[1]:g}: it marks a missing value. Correct the header, or give "
                "zero_point=, the AB magnitude of one count."
            )
        return float(found)

    time = value("the exposure time in seconds", *_TIME)
    if time <= 0:
        raise FileFormatError(
            f"{file}: found an exposure time of {time:g} s, expected a positive number. Give "
            "zero_point=, the AB magnitude of one count."
        )
    keys = next((keys for keys in _AIRMASS if keys[0] in header), _AIRMASS[0])
    airmass = np.mean([value("the airmass", key, within=(1, 40)) for key in keys])
    extinction = value("magnitudes per airmass", "EXTINCT", within=(0, 5))
    percorr = value("a correction", "PERCORR", within=(-1, 1)) if "PERCORR" in header else 0.0
    zero_point = check_magnitude(header.get("MAGZPT"), "MAGZPT", str(file))
    return float(zero_point + 2.5 * np.log10(time) - extinction * (airmass - 1) + percorr)
