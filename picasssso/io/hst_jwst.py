"""Drizzled images of HST, and calibrated and combined images of JWST and Roman.

HST's are in electrons per second (or electrons, by EXPTIME), whose AB magnitude PHOTFLAM and
PHOTPLAM define: -2.5 log10(PHOTFLAM) - 5 log10(PHOTPLAM) - 2.408 (STScI, ACS and WFC3 Data
Handbooks). The meaning of WHT depends on the parameters of drizzling. JWST's are in MJy/sr, with
ERR and, in images that are not combined, DQ, whose bit 1 (DO_NOT_USE) means bad (jwst-pipeline
documentation, "Data Quality flags"). Roman's are the same as JWST's, in ASDF files
(`picasssso.io.asdf_files`) or in FITS files with SCI, ERR and DQ. Mosaics of other groups (HLSP,
grizli) have one image in a file, and noise, weights and flags in files beside it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import astropy.units as u
import numpy as np
import numpy.typing as npt

from picasssso.bands.flux_units import is_count_like, parse_unit
from picasssso.exceptions import FileFormatError, InvalidInputError
from picasssso.io.band_planes import BandPlane, BitMask, Mask, Noise
from picasssso.io.formats import ImageReader, Recognition
from picasssso.io.hdu_roles import companion_planes, science_hdu, weight_noise
from picasssso.io.image_files import ImageFile
from picasssso.io.keywords import check_filter

_TELESCOPES = ("HST", "JWST", "ROMAN")
_DO_NOT_USE = 1
#: Files beside an image of mosaics (HLSP, grizli), by the end of their names, and their roles.
_BESIDE = re.compile(
    r"[._-](wht|weight|rms|err|unc|sigma|var|ivar|dq|flags?|mask|exp|expmap|ctx)\.fits?(\.\w+)?$"
)
_ROLES = {"weight": "wht", "err": "rms", "unc": "rms", "sigma": "rms", "flag": "dq",
          "flags": "dq", "mask": "dq", "expmap": "exp"}  # fmt: skip
#: Groups of filters by telescope, instrument and detector, as headers name them.
_GROUPS = {
    "HST ACS WFC": "hst_acs_wfc",
    "HST WFC3 UVIS": "hst_wfc3_uvis",
    "HST WFC3 IR": "hst_wfc3_ir",
    "JWST NIRCAM": "jwst_nircam",
    "JWST NIRISS": "jwst_niriss",
    "JWST MIRI": "jwst_miri",
    "ROMAN WFI": "roman",
}


class HSTJWSTReader(ImageReader):
    """Reads images of HST, JWST and Roman."""

    title = "HST, JWST or Roman image"

    def recognize(self, file: ImageFile) -> Recognition | None:
        """Recognize by the telescope, and for HST by the keywords that define its flux."""
        telescope = file.text("TELESCOP").upper()
        named = _BESIDE.search(file.name.lower())
        if telescope in _TELESCOPES and named and file.find("SCI") is None:
            why = f"TELESCOP = {telescope}, and {named[1]} in the name"
            return Recognition(why, 0.9, _ROLES.get(named[1], named[1]), _group(file))
        if telescope == "HST":
            if file.get("PHOTFLAM") is None and file.get("PHOTPLAM") is None:
                return None
            return Recognition("TELESCOP = HST, with PHOTFLAM and PHOTPLAM", group=_group(file))
        if telescope not in _TELESCOPES:
            return None
        return Recognition(f"TELESCOP = {telescope}", group=_group(file))

    def read(self, file: ImageFile) -> list[BandPlane]:
        """Read an image."""
        hdu = science_hdu(file)
        band = file.band or _band(file)
        if file.band is not None:
            with suppress(InvalidInputError):
                check_filter(file.band, _band(file), str(file))
        telescope, text = file.text("TELESCOP").upper(), file.bunit(hdu)
        if not text and file.stated.of("unit", band) is None:
            usual = "electron/s" if telescope == "HST" else "MJy/sr"
            raise InvalidInputError(
                f"{file}: found no BUNIT with the image, expected its unit, {usual} in most of "
                f"{telescope}'s images. If that is so, give unit={usual!r}."
            )
        unit = parse_unit(text or u.electron / u.s, band, "BUNIT")
        zero_point, source = None, "BUNIT"
        if is_count_like(unit) and telescope != "HST":
            zero_point = file.stated.zero_point(band)
            if zero_point is None and file.stated.of("unit", band) is None:
                raise InvalidInputError(
                    f"{file}: found a {telescope.replace('ROMAN', 'Roman')} image in {text}, "
                    "which is not calibrated (as JWST's rate files are not), expected MJy/sr, as "
                    "in JWST's cal and i2d files. Use one of these, or give the AB magnitude of "
                    "one count, such as zero_point=26.4 * u.ABmag."
                )
        elif is_count_like(unit):
            rate = unit.is_equivalent(u.electron / u.s) or unit.is_equivalent(u.ct / u.s)
            zero_point, source = file.zero_point(
                band, lambda: _ab_zero_point(file, hdu, rate), "PHOTFLAM, PHOTPLAM"
            )
        bits = None if telescope == "HST" else _DO_NOT_USE
        return [
            file.plane(
                hdu,
                band,
                unit,
                **companion_planes(
                    file,
                    hdu,
                    band,
                    noise=_noise_beside(file, hdu, band),
                    mask=_mask_beside(file, bits),
                    bits=bits,
                ),
                zero_point=zero_point,
                zero_point_source=source,
            )
        ]


def _group(file: ImageFile) -> str:
    """Return what an image and the files beside it have in common."""
    return file.text("INSTRUME", "DETECTOR", "FILTER", "FILTER1", "FILTER2", "PUPIL")


def _noise_beside(file: ImageFile, hdu: int, band: str) -> Noise | None:
    """Return the noise in a file beside an image: of a defined kind, else its weights."""
    for role, kind in (("rms", "std"), ("var", "var"), ("ivar", "ivar")):
        if (noise := file.noise_beside(role, kind, band)) is not None:
            return noise
    weight = file.companions.get("wht")
    if weight is None:
        return None
    return lambda shape, unit: weight_noise(
        file, hdu, weight, weight.first_image, unit, shape, band
    )


def _mask_beside(file: ImageFile, defined: int | None) -> Mask | None:
    """Return the mask of files beside an image: of flags, and of weights that are not positive."""
    flags, empty = file.companions.get("dq"), file.no_data_beside("wht")
    if flags is None:
        return empty

    def bad(shape: Sequence[int], bits: int | None) -> npt.NDArray[Any]:
        found = flags.bad_pixels(flags.first_image, shape, defined if bits is None else bits)
        nothing = None if empty is None else empty(shape)
        return found if nothing is None else (found != 0) | nothing

    return BitMask(bad)


def _ab_zero_point(file: ImageFile, hdu: int, rate: bool) -> float:
    """Return the AB magnitude of one electron per second, or of one electron."""

    def number(key: str) -> float:
        # The image's own header goes before the first.
        return file.number(key, hdu if key in file.headers[hdu] else None)

    flux, pivot = number("PHOTFLAM"), number("PHOTPLAM")
    if flux <= 0 or pivot <= 0:
        raise FileFormatError(
            f"{file}: found PHOTFLAM = {flux:g} and PHOTPLAM = {pivot:g}, expected positive "
            "numbers. Give zero_point=, the AB magnitude of one count."
        )
    magnitude = -2.5 * np.log10(flux) - 5 * np.log10(pivot) - 2.408
    if rate:
        return magnitude
    time = number("EXPTIME")
    if time <= 0:
        raise FileFormatError(
            f"{file}: found EXPTIME = {time:g} for an image in electrons, expected a positive "
            "number of seconds. Give zero_point=, the AB magnitude of one electron."
        )
    return magnitude + 2.5 * np.log10(time)


def _band(file: ImageFile) -> str:
    """Return the band that the header names."""
    camera = " ".join(file.text("TELESCOP", "INSTRUME", "DETECTOR").upper().split())
    group = next((g for words, g in _GROUPS.items() if camera.startswith(words)), None)
    # The filter wheels: what is no CLEAR; in NIRCam's pupil wheel stand the narrower ones.
    names = [file.text(key).lower() for key in ("PUPIL", "FILTER", "FILTER1", "FILTER2")]
    # Roman's filters are called F158 or, in simulations, H158.
    pattern = r"[frzyjhkw](\d{3})" if group == "roman" else r"f(\d{3}.*)"
    found = next(filter(None, (re.fullmatch(pattern, name) for name in names)), None)
    if group is None or found is None:
        raise InvalidInputError(
            f"{file}: found no known camera and filter ({camera or 'none'}, "
            f"{', '.join(filter(None, names)) or 'none'}). Give the band: "
            "BandImages.read({'hst_acs_wfc-f814w': path}, ...)."
        )
    return f"{group}-f{found[1]}"
