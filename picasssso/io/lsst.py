"""HSC and LSST: images, masks and variances of the LSST Science Pipelines.

HDUs IMAGE, MASK and VARIANCE (or, in cut-outs, the second to the fourth). The mask's header
says which bit means what: ``MP_SAT = 1`` is the bit of value 2. Images are in nanojansky where
``BUNIT`` says so, else in counts with ``FLUXMAG0``, the counts of AB magnitude 0 (Bosch et al.
2018, PASJ 70, S5). HSC coadds are on a zero point of 27, which is not assumed.
"""

from __future__ import annotations

import re
from typing import Any

import astropy.units as u
import numpy as np

from picasssso.bands.flux_units import is_count_like
from picasssso.bands.reading import parse_unit
from picasssso.exceptions import FileFormatError, InvalidInputError
from picasssso.io.survey_files import (
    SurveyFile,
    SurveyImage,
    bits_set,
    check_filter,
    same_shape,
    variance_noise,
)

TITLE = "HSC or LSST image"
#: Mask planes that make a pixel unusable. Interpolated and cosmic-ray pixels of a coadd have
#: values from other exposures, and detected ones are what one is looking for.
BAD_PLANES = ("BAD", "SAT", "NO_DATA", "UNMASKEDNAN", "SUSPECT")

_HSC = {
    "g": "hsc2017-g", "r": "hsc2017-r", "r2": "hsc2017-r2", "i": "hsc2017-i",
    "i2": "hsc2017-i2", "z": "hsc2017-z", "y": "hsc2017-y",
}  # fmt: skip
_LSST = {band: f"lsst2023-{band}" for band in "ugrizy"}


def _layers(file: SurveyFile) -> dict[str, int] | None:
    """Return the HDUs of image, mask and variance."""
    named = {name: file.find(name.upper()) for name in ("image", "mask", "variance")}
    if named["image"] is not None and named["mask"] is not None:
        return {name: hdu for name, hdu in named.items() if hdu is not None}
    # Old cut-outs have no EXTNAME, but EXTTYPE or the order.
    kinds = [str(header.get("EXTTYPE", "")).strip().lower() for header in file.headers]
    if "image" in kinds and "mask" in kinds:
        return {name: kinds.index(name) for name in named if name in kinds}
    return None


def matches(file: SurveyFile) -> bool:
    """Return whether a file comes from the LSST Science Pipelines."""
    layers = _layers(file)
    if layers is None:
        return False
    return any(key.startswith("MP_") for key in file.headers[layers["mask"]])


def read(file: SurveyFile, options: Any) -> list[SurveyImage]:
    """Read an image with mask and variance."""
    layers = _layers(file)
    if layers is None:
        raise FileFormatError(
            f"{file.path}: found {file.contents}, expected HDUs IMAGE, MASK and VARIANCE."
        )
    band, band_source = _band(file, options)
    data = file.array(layers["image"])
    unit, zero_point, source = _unit(file, layers["image"], options, band)
    record = file.record("lsst", band_source=band_source, calibration_source=source)
    bits = file.array(layers["mask"], "mask")
    same_shape(file, "mask", bits, data.shape)
    header = file.headers[layers["mask"]]
    planes = [name for name in BAD_PLANES if f"MP_{name}" in header]
    if not planes:
        raise FileFormatError(
            f"{file.path}: found no keyword MP_BAD, MP_SAT or MP_NO_DATA with the mask, expected "
            "them to say which bit means what. Download it again."
        )
    mask = bits_set(file, bits, sum(1 << int(header[f"MP_{name}"]) for name in planes))
    record["mask_planes"] = planes
    uncertainty = None
    if "variance" in layers:
        variance = file.array(layers["variance"], "variance")
        same_shape(file, "variance", variance, data.shape)
        uncertainty = variance_noise(variance, unit)
    image = file.ccd(layers["image"], data, unit, uncertainty=uncertainty, mask=mask)
    return [SurveyImage(band, image, record, zero_point=zero_point)]


def _unit(
    file: SurveyFile, hdu: int, options: Any, band: str
) -> tuple[u.UnitBase, u.Quantity | None, str]:
    text = str(file.headers[hdu].get("BUNIT", file.get("BUNIT", ""))).strip()
    unit = parse_unit(text, band, "BUNIT") if text else u.adu
    if not is_count_like(unit):
        return unit, None, "BUNIT"
    given = options.zero_point_of(band)
    if given is not None:
        return unit, given, "zero_point"
    if file.get("FLUXMAG0") is None:
        raise InvalidInputError(
            f"{file.path}: found an image in counts and no FLUXMAG0, expected its calibration. "
            "Give the AB magnitude of one count, zero_point=27 * u.ABmag for HSC coadds."
        )
    counts = file.number("FLUXMAG0")
    if counts <= 0:
        raise FileFormatError(
            f"{file.path}: found FLUXMAG0 = {counts:g}, expected a positive number."
        )
    return unit, 2.5 * np.log10(counts) * u.ABmag, "FLUXMAG0"


def _band(file: SurveyFile, options: Any) -> tuple[str, str]:
    """Return the band and where it was found."""
    if options.band is not None:
        return options.band, "given"
    texts = [str(file.get(key, "")) for key in ("FILTER", "FILTER01", "BAND", "FILTNAM")]
    camera = " ".join(str(file.get(key, "")) for key in ("INSTRUME", "TELESCOP", "DETECTOR"))
    source, name = "header", next((text.strip() for text in texts if text.strip()), "")
    if not name:
        # The archive names cut-outs by band; their headers may not.
        named = re.search(r"HSC-([GRIZY]2?)|(?:^|[-_])(?:lsst)?_?([ugrizy])(?=[-_.])", file.name)
        if named is None:
            raise InvalidInputError(
                f"{file.path}: found no keyword FILTER and no band in the file's name. Say which "
                "it is: read_survey({'hsc2017-i': path}, ...)."
            )
        name, source = (f"HSC-{named[1]}" if named[1] else named[2]), "file name"
    hsc = re.fullmatch(r"HSC-([GRIZY]2?)", name, re.IGNORECASE)
    if hsc or re.search("HSC|Hyper|Subaru", camera, re.IGNORECASE):
        return check_filter(file, hsc[1].lower() if hsc else name, _HSC), source
    # LSSTComCam writes "r_03", LSSTCam "r_57".
    letter = re.fullmatch(r"(?:lsst[-_ ])?([ugrizy])(?:_\d+)?", name, re.IGNORECASE)
    if re.search("LSST|Rubin|Simonyi", camera + name, re.IGNORECASE):
        return check_filter(file, letter[1] if letter else name, _LSST), source
    raise InvalidInputError(
        f"{file.path}: found the filter {name!r} and no camera, which may be HSC or LSST. Say "
        "which band it is: read_survey({'hsc2017-i': path}, ...)."
    )
