"""DES and other coadds of the DECam pipelines: SCI, WGT and, if present, MSK.

Counts with the AB zero point ``MAGZERO`` (30 in all coadds), whatever ``BUNIT`` says; ``WGT``
holds inverse variances in counts; where ``MSK`` is not zero a pixel is unusable (Morganson et
al. 2018, PASP 130, 074501). Compressed files have an empty first HDU.
"""

from __future__ import annotations

import astropy.units as u

from picasssso.exceptions import FileFormatError
from picasssso.io.band_planes import BandPlane
from picasssso.io.formats import ImageReader, Recognition
from picasssso.io.image_files import ImageFile
from picasssso.io.keywords import check_magnitude, contradicts

_BANDS = {band: f"decam2014-{band}" for band in ("u", "g", "r", "i", "z", "Y")}


class DESReader(ImageReader):
    """Reads coadds of DECam images."""

    title = "DES (DECam) coadd"
    sky_subtracted = True

    def recognize(self, file: ImageFile) -> Recognition | None:
        """Recognize by the camera with its zero point, or the survey's tile; in counts."""
        science = file.find("SCI")
        if science is None:
            return None
        header = file.headers[science]
        camera = "DECam" in f"{header.get('FILTER', '')} {header.get('INSTRUME', '')}"
        known = next((key for key in ("TILENAME", "DES_EXT") if key in header), None)
        if camera and "MAGZERO" in header:
            known = "DECam and MAGZERO"
        if known and not contradicts(header.get("BUNIT"), u.ct):
            return Recognition(f"HDU SCI in counts, with {known}")
        return None

    def read(self, file: ImageFile) -> list[BandPlane]:
        """Read a coadd."""
        science = file.find("SCI")
        if science is None:
            raise FileFormatError(f"{file}: found {file.contents}, expected an HDU SCI.")
        header = file.headers[science]
        name = str(header.get("BAND", "")).strip() or str(header.get("FILTER", " ")).split(" ")[0]
        band = file.band_of(name, _BANDS)
        zero_point, source = file.zero_point(
            band, lambda: check_magnitude(header.get("MAGZERO"), "MAGZERO", str(file)), "MAGZERO"
        )
        return [
            file.plane(
                science,
                band,
                u.ct,
                noise=("ivar", file.find("WGT")),
                mask=file.find("MSK"),
                zero_point=zero_point,
                zero_point_source=source,
            )
        ]
