"""Any FITS image whose band is given, and whose unit or zero point is given or in the header.

GAMA's mosaics, for instance: one image per file, in counts with a zero point of 30 that no keyword
states, and without uncertainty; and the files of `~astropy.nddata.CCDData`. Noise and mask
extensions are identified by their names (`picasssso.io.hdu_roles`); their unit is that in their
header, or else that of the image.
"""

from __future__ import annotations

import warnings

import astropy.units as u
from astropy.io import fits

from picasssso.bands.flux_units import is_count_like, parse_unit
from picasssso.exceptions import InvalidInputError, PicassssoWarning
from picasssso.io.band_planes import BandPlane
from picasssso.io.formats import ImageReader, Recognition
from picasssso.io.hdu_roles import companion_planes, science_hdu
from picasssso.io.image_files import ImageFile
from picasssso.io.keywords import find_zero_point


class GenericReader(ImageReader):
    """Reads an image of any origin, if its band is given."""

    title = "FITS image"

    def recognize(self, file: ImageFile) -> Recognition | None:
        """Recognize any file with an image."""
        return Recognition("a 2-D image", 0.1) if 2 in file.axes else None

    def read(self, file: ImageFile) -> list[BandPlane]:
        """Read an image."""
        hdu = science_hdu(file)
        if file.band is None:
            raise InvalidInputError(
                f"{file}: found no survey format, which would define the band. Give the band: "
                "BandImages.read({'sdss2010-r': path}, ...)."
            )
        unit, zero_point, source = _calibration(file, hdu, file.band)
        return [
            file.plane(
                hdu,
                file.band,
                unit,
                **companion_planes(file, hdu, file.band),
                zero_point=zero_point,
                zero_point_source=None if zero_point is None else source,
            )
        ]


def _calibration(
    file: ImageFile, hdu: int, band: str
) -> tuple[u.UnitBase, u.Quantity | None, str]:
    """Return the unit, the zero point and its source."""
    header = file.header(hdu)
    zero_point, stated = file.stated.zero_point(band), file.stated.of("unit", band)
    if stated is None and "BUNIT" not in header and zero_point is None:
        keyword = _zero_point_keyword(header, band)
        hint = f"unit='adu', of which {keyword} is the zero point, " if keyword else ""
        raise InvalidInputError(
            f"Band {band!r}: found no BUNIT in {file.path}, expected {hint}unit='nmgy' or "
            "another unit or, for an image in counts, zero_point=, the AB magnitude of one "
            "count such as 30 * u.ABmag. It is never guessed."
        )
    # A zero point belongs to counts, whatever their name.
    text = header.get("BUNIT", u.ct) if stated is None else stated
    unit = parse_unit(text, band, "unit" if stated is not None else "BUNIT")
    if not is_count_like(unit) or zero_point is not None:
        keyword = None if zero_point is not None else _zero_point_keyword(header, band)
        if stated is not None and keyword and "BUNIT" not in header:
            warnings.warn(
                f"Band {band!r}: found {keyword} in {file.path}, the zero point of counts, beside "
                f"the given unit {str(unit)!r}, which is used. Give unit='adu' if these are "
                "counts.",
                PicassssoWarning,
                stacklevel=2,
            )
        return unit, zero_point, "given"
    return unit, *find_zero_point(header, band, unit)


def _zero_point_keyword(header: fits.Header, band: str) -> str | None:
    """Return the keyword, with its value, that defines a zero point of counts, if any."""
    try:
        _, keyword = find_zero_point(header, band, u.ct)
    except InvalidInputError:
        return None
    return f"{keyword} = {header[keyword]}"
