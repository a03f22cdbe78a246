"""Pan-STARRS1 stacks: full sky cells, and cut-outs of them.

Counts with an AB zero point of 25 + 2.5 log10(EXPTIME). Sky cells are scaled as asinh
magnitudes, which ``BSOFTEN`` and ``BOFFSET`` say in the header of each file they hold for;
cut-outs are linear: flux = BOFFSET + BSOFTEN (exp(x) - exp(-x)) with x = value ln(10) / 2.5
(the archive's page on stack images; Waters et al. 2020, ApJS 251, 4). The ``.wt.fits`` file
beside an image holds variances, the ``.mask.fits`` file bits that its header names.
"""

from __future__ import annotations

import re
from typing import Any

import astropy.units as u
import numpy as np
import numpy.typing as npt

from picasssso.exceptions import FileFormatError, InvalidInputError
from picasssso.io.survey_files import (
    SurveyFile,
    SurveyImage,
    bits_set,
    check_filter,
    same_shape,
    variance_noise,
)

TITLE = "Pan-STARRS1 stack"

_BANDS = {band: f"panstarrs-{band}" for band in "grizyw"}
#: All that Waters et al. (2020) call bad; suspect, burn-tool and poor convolution are not.
_BAD_BITS = 0x217F | 0x0200 | 0x0400 | 0x0800 | 0x1000
_GOOD_NAMES = ("SUSPECT", "BURNTOOL", "CONV.POOR", "MARK.VALUE", "MASK.VALUE")
_ROLES = {"wt": "weight", "weight": "weight", "mask": "mask", "exp": "exp", "num": "num",
          "expwt": "exp"}  # fmt: skip


def matches(file: SurveyFile) -> bool:
    """Return whether a file is a Pan-STARRS1 stack, or goes with one."""
    camera = " ".join(
        str(file.get(key, ""))
        for key in ("FPA.TELESCOPE", "FPA.INSTRUMENT", "PSCAMERA", "TELESCOP", "INSTRUME")
    )
    return bool(re.search(r"\bPS1\b|GPC1|Pan-?STARRS", camera, re.IGNORECASE)) or (
        file.get("FPA.FILTERID") is not None
    )


def companion(file: SurveyFile) -> str | None:
    """Return what a file is, if it is not an image but goes with one."""
    stem = re.sub(r"\.(fits|fz|gz|fit)", "", file.name.lower())
    end = re.split(r"[._-]", stem)[-1]
    return _ROLES.get(end)


def group(file: SurveyFile) -> str:
    """Return what an image and its weight and mask have in common: the filter."""
    name = file.get("FPA.FILTERID", file.get("FPA.FILTER", file.get("FILTER", "")))
    # "g.00000" in stacks.
    return str(name).strip().partition(".")[0]


def linear_flux(values: npt.NDArray[Any], softening: float, offset: float) -> npt.NDArray[Any]:
    """Return counts from asinh-scaled values.

    Examples
    --------
    >>> import numpy as np
    >>> from picasssso.io.panstarrs import linear_flux
    >>> linear_flux(np.array([0.0, 2.5]), 1.0, 5.0).round(2).tolist()
    [5.0, 14.9]
    """
    x = np.asarray(values, dtype=np.float64) * (np.log(10) / 2.5)
    with np.errstate(over="ignore", invalid="ignore"):
        return (offset + 2 * softening * np.sinh(x)).astype(np.float32)


def _counts(file: SurveyFile, what: str) -> tuple[npt.NDArray[Any], int, bool]:
    """Return linear values, their HDU, and whether they were asinh-scaled."""
    if not file.images:
        raise FileFormatError(f"{file.path}: found no image among {file.contents}.")
    hdu = file.images[0]
    values = file.array(hdu, what)
    header = file.headers[hdu]
    given = [key for key in ("BSOFTEN", "BOFFSET") if key in header]
    if not given:
        return values, hdu, False
    if len(given) == 1:
        raise FileFormatError(
            f"{file.path}: found {given[0]} alone, expected BSOFTEN and BOFFSET together, or "
            "none of them. The header is damaged."
        )
    softening = file.number("BSOFTEN")
    if softening <= 0:
        raise FileFormatError(
            f"{file.path}: found BSOFTEN = {softening:g}, expected a positive number."
        )
    return linear_flux(values, softening, file.number("BOFFSET")), hdu, True


def read(file: SurveyFile, options: Any) -> list[SurveyImage]:
    """Read a stack."""
    name = group(file)
    if not name and options.band is None:
        raise InvalidInputError(
            f"{file.path}: found neither FPA.FILTERID nor FILTER. Say which band it is: "
            "read_survey({'panstarrs-g': path}, ...)."
        )
    band = options.band or check_filter(file, name, _BANDS)
    data, hdu, scaled = _counts(file, "stack")
    zero_point = options.zero_point_of(band)
    source = "given"
    if zero_point is None:
        time = file.number("EXPTIME")
        if time <= 0:
            raise FileFormatError(
                f"{file.path}: found EXPTIME = {time:g}, expected a positive number: the zero "
                "point is 25 + 2.5 log10(EXPTIME). Give zero_point= if it is known otherwise."
            )
        zero_point, source = (25 + 2.5 * np.log10(time)) * u.ABmag, "25 + 2.5 log10(EXPTIME)"
    uncertainty = mask = None
    if (other := options.companions.get("weight")) is not None:
        variance, _, _ = _counts(other, "variance")
        same_shape(other, "variance", variance, data.shape)
        uncertainty = variance_noise(variance, u.ct)
    if (other := options.companions.get("mask")) is not None:
        bits = other.array(other.images[0], "mask") if other.images else np.zeros((0, 0), int)
        same_shape(other, "mask", bits, data.shape)
        mask = bits_set(other, bits, _bad_bits(other))
    record = file.record(
        "panstarrs",
        zero_point_mag=float(zero_point.value),
        zero_point_source=source,
        asinh_scaled=scaled,
    )
    image = file.ccd(hdu, data, u.ct, uncertainty=uncertainty, mask=mask)
    return [SurveyImage(band, image, record, zero_point=zero_point)]


def _bad_bits(file: SurveyFile) -> int:
    """Return the bits that mean bad, by the names in the header where it has them."""
    header = file.headers[file.images[0]]
    found, k = 0, 0
    while f"MSKNAM{k:02d}" in header and f"MSKVAL{k:02d}" in header:
        if str(header[f"MSKNAM{k:02d}"]).strip().upper() not in _GOOD_NAMES:
            found |= int(header[f"MSKVAL{k:02d}"])
        k += 1
    return found or _BAD_BITS
