"""DESI Legacy Imaging Surveys: cut-outs of the sky viewer, and coadds of bricks.

A cut-out has an HDU for the image, a cube (band, y, x) with ``BANDS`` and ``BAND0``, ``BAND1``
... in its header, and, if asked for, one of the inverse variance and one of mask bits, told
apart by ``IMAGETYP`` (IMAGE, INVVAR, MASKBITS). With ``subimage`` there is one image per HDU
and ``BAND``. Coadds of bricks have one band in a file, ``...-image-r.fits.fz``, with
``...-invvar-r.fits.fz`` and ``...-maskbits.fits.fz`` beside them. All are in AB nanomaggies
and say so at most by name: there is no BUNIT.

South of declination +32.375 degrees, and south of the Galactic plane, the images are DECam's;
north of it those of BASS (g, r) and MzLS (z) (Dey et al. 2019, AJ 157, 168).
"""

from __future__ import annotations

import re
import warnings
from typing import Any

import astropy.units as u
import numpy as np
import numpy.typing as npt

from picasssso.exceptions import FileFormatError, InvalidInputError, PicassssoWarning
from picasssso.io.survey_files import (
    SurveyFile,
    SurveyImage,
    bits_set,
    check_filter,
    same_shape,
    weight_noise,
)

TITLE = "Legacy Survey cut-out or coadd"
#: Bits of MASKBITS that make a band's pixel unusable: saturated, or bad in all exposures
#: (legacysurvey.org, "bitmasks"). Bits for the surroundings of stars are not among them.
BAD_BITS = {
    "g": 0x4 | 0x20,
    "r": 0x8 | 0x40,
    "z": 0x10 | 0x80,
    "i": 0x4000 | 0x8000,
}

_SOUTH = {band: f"decam2014-{band}" for band in ("u", "g", "r", "i", "z", "Y")}
_NORTH = {"g": "BASS-g", "r": "BASS-r", "z": "MzLS-z"}
_DIVIDE = 32.375  # degrees of declination
_NATIVE_PIXEL = 0.262  # arcsec
_BRICK = re.compile(r"legacysurvey-.*-(image|invvar|maskbits)")


def _kind(file: SurveyFile, hdu: int) -> str:
    header = file.headers[hdu]
    kind = str(header.get("IMAGETYP", header.get("IMTYPE", ""))).strip().lower()
    if kind in ("image", "invvar", "maskbits"):
        return kind
    named = _BRICK.search(file.name)
    return named[1] if named else "image"


def matches(file: SurveyFile) -> bool:
    """Return whether a file is of the Legacy Surveys."""
    survey = str(file.get("SURVEY", "")).replace(" ", "").lower()
    if survey in ("legacysurvey", "legacysurveys", "decals", "desilegacysurvey"):
        return True
    header = file.headers[file.images[0]] if file.images else {}
    return "BAND0" in header and "BANDS" in header and "BUNIT" not in header


def companion(file: SurveyFile) -> str | None:
    """Return what a file is, if it is not an image but goes with one."""
    kinds = {_kind(file, hdu) for hdu in file.images}
    return None if "image" in kinds or len(kinds) != 1 else kinds.pop()


def group(file: SurveyFile) -> str:
    """Return what an image and its inverse variance have in common: the bands."""
    if companion(file) == "maskbits" or not file.images:
        return ""
    hdu = file.images[0]
    shape = file.headers[hdu]
    planes = int(shape.get("NAXIS3", shape.get("ZNAXIS3", 1)))
    return "".join(_letters(file, shape, planes))


def read(file: SurveyFile, options: Any) -> list[SurveyImage]:
    """Read a cut-out or coadd."""
    planes = list(_planes(file, "image"))
    if not planes:
        raise FileFormatError(f"{file.path}: found no image among {file.contents}.")
    weights = {band: array for band, array, _ in _all_planes(file, options, "invvar")}
    maskbits = [array for _, array, _ in _all_planes(file, options, "maskbits")]
    images = []
    for letter, data, hdu in planes:
        band = check_filter(file, letter, _filters(file, hdu))
        uncertainty = mask = None
        record = file.record("legacy", hdu=str(hdu))
        if letter in weights:
            same_shape(file, "inverse variance", weights[letter], data.shape)
            uncertainty = weight_noise(weights[letter], u.nmgy)
        if maskbits:
            same_shape(file, "mask", maskbits[0], data.shape)
            bits = BAD_BITS.get(letter, 0)
            mask = bits_set(file, maskbits[0], bits)
            record["mask_bits"] = bits
        image = file.ccd(hdu, data, u.nmgy, uncertainty=uncertainty, mask=mask)
        images.append(SurveyImage(band, image, record))
    _check_pixels(file, images[0])
    return images


def _planes(file: SurveyFile, kind: str) -> list[tuple[str, npt.NDArray[Any], int]]:
    """Return (letter of the band, plane, HDU) of all planes of a kind."""
    found = []
    for hdu in file.images:
        if _kind(file, hdu) != kind:
            continue
        array = file.array(hdu, kind, ndim=None)
        header = file.headers[hdu]
        if kind == "maskbits":
            found.append(("", array[0] if array.ndim == 3 else array, hdu))
            continue
        letters = _letters(file, header, len(array) if array.ndim == 3 else 1)
        if array.ndim == 2:
            array = array[np.newaxis]
        if array.ndim != 3 or len(letters) != len(array):
            raise FileFormatError(
                f"{file.path}: found {'x'.join(map(str, array.shape))} values in HDU {hdu} for "
                f"the bands {''.join(letters) or 'none'}, expected one plane (y, x) for each."
            )
        found += [(letter, plane, hdu) for letter, plane in zip(letters, array, strict=True)]
    return found


def _all_planes(
    file: SurveyFile, options: Any, kind: str
) -> list[tuple[str, npt.NDArray[Any], int]]:
    other = options.companions.get(kind)
    return _planes(file, kind) + ([] if other is None else _planes(other, kind))


def _letters(file: SurveyFile, header: Any, n_planes: int) -> list[str]:
    if "BAND0" in header:
        listed = [str(header[f"BAND{k}"]).strip() for k in range(n_planes) if f"BAND{k}" in header]
        surplus = f"BAND{n_planes}" in header
        return [*listed, "?"] if surplus else listed
    single = header.get("BAND", header.get("FILTER", header.get("FILTERX")))
    if single is None and "BANDS" in header:
        return list(str(header["BANDS"]).strip())
    if single is None:
        named = re.search(r"-(?:image|invvar)-([ugrizY])\.", file.name)
        single = named[1] if named else None
    if single is None:
        raise InvalidInputError(
            f"{file.path}: found no keyword BAND0 or BAND, expected the names of the bands. Use "
            "BandImages.from_cube(cube, bands, 'nmgy', ...)."
        )
    return [str(single).strip()]


def _filters(file: SurveyFile, hdu: int) -> dict[str, str]:
    """Return the cameras' filters in that part of the sky."""
    version = str(file.get("VERSION", "")).lower()
    if "south" in version:
        return _SOUTH
    if "north" in version:
        return _NORTH
    center = file.wcs(hdu).wcs
    from astropy.coordinates import SkyCoord

    place = SkyCoord(*center.crval, unit="deg")
    return _NORTH if place.dec.deg > _DIVIDE and place.galactic.b.deg > 0 else _SOUTH


def _check_pixels(file: SurveyFile, image: SurveyImage) -> None:
    from astropy.wcs.utils import proj_plane_pixel_scales

    scale = float(np.mean(proj_plane_pixel_scales(image.image.wcs))) * 3600
    if abs(scale / _NATIVE_PIXEL - 1) > 0.02:
        warnings.warn(
            f"{file.path}: the pixels are {scale:.3g} arcsec, not the survey's "
            f"{_NATIVE_PIXEL}. The viewer averages pixels without rescaling the flux when it "
            "resamples, so fluxes per pixel may be off by the ratio of the areas. Download it "
            f"with pixscale={_NATIVE_PIXEL}.",
            PicassssoWarning,
            stacklevel=4,
        )
