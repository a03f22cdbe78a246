"""Spitzer: mosaics of IRAC and MIPS, with their uncertainties and coverage.

In MJy/sr, with standard deviations in ``...munc.fits`` (or ``...unc.fits``) and the number of
exposures in ``...mcov.fits`` (``...cov.fits``, or weights in ``..._wt.fits`` of SINGS and S4G):
pixels where it is zero have no data (IRAC and MIPS Instrument Handbooks). IRAC is calibrated on
point sources; extended sources appear brighter by up to 10 % in channels 1 and 2 and 30 % in 3 and
4, depending on the aperture (IRAC Instrument Handbook, "Extended sources"). No such correction is
applied.
"""

from __future__ import annotations

import re

from picasssso.bands.flux_units import is_count_like, parse_unit
from picasssso.exceptions import InvalidInputError
from picasssso.io.band_planes import BandPlane
from picasssso.io.formats import ImageReader, Recognition
from picasssso.io.hdu_roles import companion_planes, science_hdu
from picasssso.io.image_files import ImageFile

_BANDS = {
    **{f"IRAC {channel}": f"spitzer-irac{channel}" for channel in (1, 2, 3, 4)},
    "MIPS 1": "spitzer-mips24",
    "MIPS 2": "spitzer-mips70",
    "MIPS 3": "spitzer-mips160",
}


class SpitzerReader(ImageReader):
    """Reads mosaics of Spitzer's cameras."""

    title = "Spitzer mosaic"

    def recognize(self, file: ImageFile) -> Recognition | None:
        """Recognize by the telescope, and uncertainties and coverage by the name of the file."""
        if not file.text("TELESCOP").upper().startswith("SPITZER"):
            return None
        name = file.name.lower()
        role = re.search(r"[._-]m?s?(unc|cov|std|msk|wt)\b|[._-](sigma)\w*\.fit", name)
        found = None if role is None else role[1] or "unc"
        return Recognition("TELESCOP", 0.9, found, file.text("INSTRUME", "CHNLNUM"))

    def read(self, file: ImageFile) -> list[BandPlane]:
        """Read a mosaic."""
        hdu = science_hdu(file)
        band = file.band_of(file.text("INSTRUME", "CHNLNUM").upper(), _BANDS)
        text = file.bunit(hdu)
        unit = parse_unit(text, band, "BUNIT") if text else None
        if file.stated.of("unit", band) is None and (unit is None or is_count_like(unit)):
            raise InvalidInputError(
                f"{file}: found BUNIT = {text or None!r}, expected MJy/sr as Spitzer's mosaics "
                "have it. Give the unit, unit='MJy/sr', or download the mosaic again."
            )
        return [
            file.plane(
                hdu,
                band,
                unit,
                **companion_planes(
                    file,
                    hdu,
                    band,
                    noise=file.noise_beside("unc", "std", band),
                    mask=file.no_data_beside("cov", "COV", "COVERAGE")
                    or file.no_data_beside("wt"),
                ),
                extended_source_correction="none",
            )
        ]
