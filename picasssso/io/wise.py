"""WISE: Atlas images of AllWISE and of earlier releases, and unWISE coadds.

Both state ``MAGZP``, the Vega magnitude of one count (WISE Explanatory Supplement, "Atlas Image
Header Description"; unWISE: 22.5, Lang 2014, AJ 147, 108). Atlas images come with standard
deviations, ``...-unc-3.fits``, and coverage, ``...-cov-3.fits``, and include the sky; unWISE ones
(``...-img-m.fits``) with inverse variances, ``...-invvar-m.fits``. ``...-std-m.fits`` is the
scatter of exposures, ``...-n-m.fits`` their number.
"""

from __future__ import annotations

import re

import astropy.units as u

from picasssso.io.band_planes import BandPlane
from picasssso.io.formats import ImageReader, Recognition
from picasssso.io.hdu_roles import companion_planes, science_hdu
from picasssso.io.image_files import ImageFile
from picasssso.io.keywords import check_magnitude, from_vega

_BANDS = {str(band): f"wise2010-W{band}" for band in (1, 2, 3, 4)}
_FILETYPES = (("uncertainty", "unc"), ("coverage", "cov"))


class WISEReader(ImageReader):
    """Reads Atlas images and unWISE coadds."""

    title = "WISE Atlas image or unWISE coadd"

    def recognize(self, file: ImageFile) -> Recognition | None:
        """Recognize by the telescope or UNW_VER, and the role by FILETYPE or the file name."""
        telescope = file.text("TELESCOP").upper() == "WISE"
        if not telescope and file.get("UNW_VER") is None:
            return None
        kind = file.text("FILETYPE").lower()
        role = next((role for word, role in _FILETYPES if word in kind), None)
        if role is None and (named := re.search(r"-(unc|cov|invvar|std|n)-[0-9mu]\b", file.name)):
            role = named[1]
        why = "TELESCOP = WISE" if telescope else "UNW_VER"
        return Recognition(why, 0.9, role, _band(file))

    def read(self, file: ImageFile) -> list[BandPlane]:
        """Read an image."""
        hdu = science_hdu(file)
        name = _band(file)
        band = file.band_of(name, _BANDS)
        # Another band's name does not change the calibration.
        zero_point, source = file.zero_point(
            band,
            lambda: from_vega(
                _BANDS.get(name, band), check_magnitude(file.get("MAGZP"), "MAGZP", str(file))
            ),
            "MAGZP, Vega to AB",
        )
        return [
            file.plane(
                hdu,
                band,
                u.ct,
                **companion_planes(
                    file,
                    hdu,
                    band,
                    noise=file.noise_beside("unc", "std", band)
                    or file.noise_beside("invvar", "ivar", band),
                    mask=file.no_data_beside("cov", "COV", "COVERAGE")
                    or file.no_data_beside("n", "N"),
                ),
                zero_point=zero_point,
                zero_point_source=source,
            )
        ]


def _band(file: ImageFile) -> str:
    """Return the number of the band, from the header or from the name of unWISE files."""
    named = re.search(r"-w([1-4])-", file.name)
    name = file.text("BAND") or (named[1] if named else "")
    return re.sub(r"^W(?=\d)", "", name.upper())
