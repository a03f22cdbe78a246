"""Euclid: mosaics of the MER pipeline, of Euclid's cameras and of ground-based ones.

One image in a file, ``EUC_MER_BGSUB-MOSAIC-VIS_TILE...``, in counts on the AB zero point
``MAGZEROP`` (Euclid Collaboration: Romelli et al. 2025, arXiv:2503.15305); beside it the
standard deviations, ``...-RMS_TILE...``, and flags, ``...-FLAG_TILE...``, of which bit 0,
INVALID, means pixels "which shall not be used for anything" (Euclid's data product description
document, VIS flag map).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import astropy.units as u

from picasssso.bands.flux_units import parse_unit
from picasssso.io.band_planes import BandPlane, BitMask
from picasssso.io.formats import ImageReader, Recognition
from picasssso.io.hdu_roles import companion_planes, science_hdu
from picasssso.io.image_files import ImageFile
from picasssso.io.keywords import check_magnitude, contradicts

_INVALID = 1
#: Filters as the mosaics name them.
_BANDS = {
    "VIS": "Euclid-VIS",
    **{f"NIR_{band}": f"Euclid-{band}" for band in "YJH"},
    **{f"DECAM_{band}": f"decam2014-{band}" for band in "ugriz"},
    **{f"MEGACAM_{band}": f"cfht_megacam-{band}" for band in "ur"},
    **{f"HSC_{band}": f"hsc2017-{band}" for band in "gz"},
    "PANSTARRS_i": "panstarrs-i",
    **{f"LSST_{band}": f"lsst2023-{band}" for band in "ugrizy"},
}


class EuclidReader(ImageReader):
    """Reads mosaics of Euclid's MER pipeline."""

    title = "Euclid MER mosaic"

    def recognize(self, file: ImageFile) -> Recognition | None:
        """Recognize by the telescope or the name, and the role by the name."""
        mer = file.name.upper().startswith("EUC_MER_")
        if not mer and file.text("TELESCOP").upper() != "EUCLID":
            return None
        role = re.search(r"[-_.](rms|flag|bgmod)(?=[-_.])", file.name.lower())
        if role is None and file.get("MAGZEROP") is None and not mer:
            return None
        group = file.text("FILTER")
        why = "EUC_MER_ in the file's name" if mer else "TELESCOP = EUCLID"
        return Recognition(why, 0.9, role[1] if role else None, group)

    def read(self, file: ImageFile) -> list[BandPlane]:
        """Read a mosaic with its RMS and its flags."""
        hdu = science_hdu(file)
        band = file.band_of(file.text("FILTER"), _BANDS)
        text = file.headers[hdu].get("BUNIT")
        unit = parse_unit(text, band, "BUNIT") if contradicts(text, u.ct) else u.ct
        zero_point, source = None, "BUNIT"
        if unit == u.ct:
            zero_point, source = file.zero_point(
                band,
                lambda: check_magnitude(file.get("MAGZEROP"), "MAGZEROP", str(file)),
                "MAGZEROP",
            )
        flags = file.companions.get("flag")

        def invalid(shape: Sequence[int], bits: int | None) -> Any:
            assert flags is not None
            return flags.bad_pixels(flags.first_image, shape, _INVALID if bits is None else bits)

        return [
            file.plane(
                hdu,
                band,
                unit,
                **companion_planes(
                    file,
                    hdu,
                    band,
                    noise=file.noise_beside("rms", "std", band),
                    mask=None if flags is None else BitMask(invalid),
                    bits=_INVALID,
                ),
                zero_point=zero_point,
                zero_point_source=source,
            )
        ]
