"""Any FITS image whose band is given, and whose unit or zero point is given or stated.

GAMA's mosaics, for instance: one image per file, in counts with a zero point of 30 that no
keyword states, and without uncertainty. Extensions called WGT, WEIGHT, IVAR or INVVAR are taken
as inverse variances, VAR or VARIANCE as variances, ERR, SIGMA or RMS as standard deviations,
and MASK, MSK or DQ as masks that are bad where not zero, all in the units of the image.
"""

from __future__ import annotations

from typing import Any

import astropy.units as u
from astropy.nddata import NDUncertainty, StdDevUncertainty

from picasssso.bands.flux_units import is_count_like
from picasssso.bands.reading import find_zero_point, parse_unit
from picasssso.exceptions import FileFormatError, InvalidInputError
from picasssso.io.survey_files import (
    SurveyFile,
    SurveyImage,
    bits_set,
    same_shape,
    variance_noise,
    weight_noise,
)

TITLE = "FITS image"
_WEIGHT = ("WGT", "WHT", "WEIGHT", "IVAR", "INVVAR")
_VARIANCE = ("VAR", "VARIANCE")
_DEVIATION = ("ERR", "ERROR", "SIGMA", "RMS", "STD", "UNCERT")
_MASK = ("MASK", "MSK", "DQ", "FLAG", "FLAGS")


def matches(file: SurveyFile) -> bool:
    """Return whether a file holds an image at all."""
    return any(axes == 2 for axes in file.axes)


def read(file: SurveyFile, options: Any) -> list[SurveyImage]:
    """Read an image."""
    if options.band is None:
        raise InvalidInputError(
            f"{file.path}: found none of the layouts that say their own band. Say it: "
            "read_survey({'sdss2010-r': path}, ...)."
        )
    band = options.band
    hdu = _science(file)
    data = file.array(hdu)
    unit, zero_point, source = _calibration(file, hdu, options, band)
    mask = None
    if (found := file.find(*_MASK)) is not None:
        bits = file.array(found, "mask")
        same_shape(file, "mask", bits, data.shape)
        mask = bits_set(file, bits, ~0)
    record = file.record("generic", calibration_source=source)
    image = file.ccd(hdu, data, unit, uncertainty=_noise(file, unit, data.shape), mask=mask)
    return [SurveyImage(band, image, record, zero_point=zero_point)]


def _science(file: SurveyFile) -> int:
    extras = (*_WEIGHT, *_VARIANCE, *_DEVIATION, *_MASK)
    planes = [
        hdu
        for hdu, axes in enumerate(file.axes)
        if axes == 2 and str(file.headers[hdu].get("EXTNAME", "")).strip().upper() not in extras
    ]
    if len(planes) != 1:
        raise FileFormatError(
            f"{file.path}: found {len(planes)} images among {file.contents}, expected one. Use "
            "BandImages.read({band: 'file.fits[HDU]'}, ...) to name it."
        )
    return planes[0]


def _calibration(
    file: SurveyFile, hdu: int, options: Any, band: str
) -> tuple[u.UnitBase, u.Quantity | None, str]:
    header = file.headers[hdu]
    zero_point, unit = options.zero_point_of(band), options.unit_of(band)
    if unit is None and "BUNIT" in header:
        unit, source = header["BUNIT"], "BUNIT"
    elif unit is not None:
        source = "unit"
    elif zero_point is not None:
        # A zero point belongs to counts, whatever their name.
        unit, source = u.ct, "zero_point"
    else:
        raise InvalidInputError(
            f"{file.path}: found no BUNIT, expected unit= or, of an image in counts, "
            "zero_point=, the AB magnitude of one count such as 30 * u.ABmag. It is never guessed."
        )
    parsed = parse_unit(unit, band, source)
    if not is_count_like(parsed):
        if zero_point is not None:
            raise InvalidInputError(
                f"{file.path}: found a zero point for an image in {parsed}, which needs none. "
                "Leave out zero_point=, or give unit='ct' if the header's unit is wrong."
            )
        return parsed, None, source
    if zero_point is not None:
        return parsed, zero_point, "zero_point"
    zero_point, keyword = find_zero_point(header, band, band, parsed)
    return parsed, zero_point, keyword


def _noise(file: SurveyFile, unit: u.UnitBase, shape: tuple[int, ...]) -> NDUncertainty | None:
    kinds = (
        (_WEIGHT, weight_noise),
        (_VARIANCE, variance_noise),
        (_DEVIATION, lambda array, unit: StdDevUncertainty(array, unit=unit, copy=False)),
    )
    for names, make in kinds:
        if (found := file.find(*names)) is not None:
            array = file.array(found, "uncertainty")
            same_shape(file, "uncertainty", array, shape)
            return make(array, unit)
    return None
