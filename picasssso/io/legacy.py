"""DESI Legacy Imaging Surveys: cut-outs of the sky viewer, and coadds of bricks.

A cut-out has an HDU for the image, a cube (band, y, x) with ``BANDS`` and ``BAND0``, ``BAND1``
... in its header, and, if asked for, one of the inverse variance and one of mask bits, told
apart by ``EXTNAME`` or ``IMAGETYP`` (IMAGE, INVVAR, MASKBITS). With ``subimage`` there is one
image per HDU and ``BAND``. Coadds of bricks have one band in a file, ``...-image-r.fits.fz``,
with ``...-invvar-r.fits.fz`` and ``...-maskbits.fits.fz`` beside them. All are in AB nanomaggies,
without BUNIT. Cut-outs of the viewer's other layers (unWISE,
GALEX, SDSS ...) have no ``SURVEY``, other units, and are none of these files.

South of declination +32.375 degrees, and south of the Galactic plane, the images are DECam's;
north of it those of BASS (g, r) and MzLS (z) (Dey et al. 2019, AJ 157, 168).
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import astropy.units as u
import numpy as np
import numpy.typing as npt
from astropy.nddata import InverseVariance

from picasssso._core.words import with_article
from picasssso.exceptions import FileFormatError, InvalidInputError, PicassssoWarning
from picasssso.io.band_planes import BandPlane, BitMask
from picasssso.io.formats import ImageReader, Recognition
from picasssso.io.image_files import ImageFile
from picasssso.io.keywords import bits_set, plane_kind

#: Bits of MASKBITS that make a band's pixel unusable: saturated, or bad in all exposures
#: (legacysurvey.org, "bitmasks"). Bits for the surroundings of stars are not among them.
BAD_BITS = {"g": 0x4 | 0x20, "r": 0x8 | 0x40, "z": 0x10 | 0x80, "i": 0x4000 | 0x8000}

_SOUTH = {band: f"decam2014-{band}" for band in ("u", "g", "r", "i", "z", "Y")}
_NORTH = {"g": "BASS-g", "r": "BASS-r", "z": "MzLS-z"}
_DIVIDE = 32.375  # degrees of declination
_NATIVE_PIXEL = 0.262  # arcsec
_BRICK = re.compile(r"legacysurvey-.*?-([a-z]\w*?)(?:-[ugrizY])?\.fits")
#: What planes are called; the viewer's layers of models and residuals are no images.
_KINDS = ("image", "invvar", "maskbits", "model", "resid", "blobmodel", "chi2", "nexp", "depth",
          "galdepth", "psfsize")  # fmt: skip
#: What these are called, by the kind of plane that an HDU's name says.
_NAMED = {"ivar": "invvar", "mask": "maskbits"}
_SURVEYS = ("legacysurvey", "legacysurveys", "decals", "desilegacysurvey")

Plane = tuple[str, npt.NDArray[Any], int]


class LegacyReader(ImageReader):
    """Reads cut-outs and coadds of the Legacy Surveys."""

    title = "Legacy Survey cut-out or coadd"
    sky_subtracted = True

    def recognize(self, file: ImageFile) -> Recognition | None:
        """Recognize by the survey, and the role of the file by the kind of image."""
        if file.text("SURVEY").replace(" ", "").lower() not in _SURVEYS:
            return None
        kinds = {_kind(file, hdu) for hdu in file.images}
        role = kinds.pop() if len(kinds) == 1 and kinds != {"image"} else None
        group = ""
        if role != "maskbits" and file.images:
            header = file.headers[file.images[0]]
            planes = int(header.get("NAXIS3", header.get("ZNAXIS3", 1)))
            group = "".join(_letters(file, header, planes))
        return Recognition("SURVEY", role=role, group=group)

    def read(self, file: ImageFile) -> list[BandPlane]:
        """Read a cut-out or coadd."""
        planes = _planes(file, "image")
        if not planes:
            raise FileFormatError(f"{file}: found no image among {file.contents}.")
        weights = {band: array for band, array, _ in _all_planes(file, "invvar")}
        masks = [array for _, array, _ in _all_planes(file, "maskbits")]
        images = []
        for letter, data, hdu in planes:
            filters = _filters(file, hdu)
            # One name that the user gave cannot be that of several bands.
            known = file if len(planes) == 1 else replace(file, band=None)
            plane = file.plane(
                hdu,
                known.band_of(letter, filters),
                u.nmgy,
                data=data,
                noise=partial(_noise, file, weights.get(letter)),
                mask=BitMask(partial(_mask, file, masks, BAD_BITS.get(letter, 0)))
                if masks
                else None,
                mask_bits=BAD_BITS.get(letter, 0) if masks else None,
            )
            layers = [one for one in planes if one[2] == hdu]
            images.append(replace(plane, layer=[one[0] for one in layers].index(letter)))
        _check_pixels(file, images[0])
        return images


def _noise(file: ImageFile, array: Any, shape: Sequence[int], unit: u.UnitBase) -> Any:
    if array is None:
        return None
    _same_shape(file, "inverse variance", array, shape)
    return InverseVariance(array, unit=unit**-2, copy=False)


def _mask(
    file: ImageFile, masks: list[Any], defined: int, shape: Sequence[int], bits: int | None
) -> Any:
    _same_shape(file, "mask", masks[0], shape)
    return bits_set(masks[0], defined if bits is None else bits, file.path)


def _same_shape(file: ImageFile, what: str, array: npt.NDArray[Any], shape: Any) -> None:
    if array.shape != tuple(shape):
        raise FileFormatError(
            f"{file}: found {with_article(what)} of shape {array.shape} for an image of shape "
            f"{tuple(shape)}, expected the same. Files of different cutouts may be mixed up."
        )


def _kind(file: ImageFile, hdu: int) -> str:
    """Return what an HDU holds: by its name, else by IMAGETYP, else by the file's name."""
    label, header = file.label(hdu).lower(), file.headers[hdu]
    if label not in _KINDS and (by_name := plane_kind(label)) is not None:
        return _NAMED.get(by_name, by_name)
    for kind in (label, str(header.get("IMAGETYP", header.get("IMTYPE", ""))).strip().lower()):
        if kind in _KINDS:
            return kind
    named = _BRICK.search(file.name)
    return named[1] if named else "image"


def _planes(file: ImageFile, kind: str) -> list[Plane]:
    """Return (letter of the band, plane, HDU) of all planes of a kind."""
    found: list[Plane] = []
    for hdu in file.images:
        if _kind(file, hdu) != kind:
            continue
        array = file.array(hdu, kind, cube=True)
        header = file.headers[hdu]
        if kind == "maskbits":
            found.append(("", array[0] if array.ndim == 3 else array, hdu))
            continue
        letters = _letters(file, header, len(array) if array.ndim == 3 else 1)
        if array.ndim == 2:
            array = array[np.newaxis]
        if array.ndim != 3 or len(letters) != len(array):
            raise FileFormatError(
                f"{file}: found {'x'.join(map(str, array.shape))} values in HDU {hdu} for "
                f"the bands {''.join(letters) or 'none'}, expected one plane (y, x) for each."
            )
        found += [(letter, plane, hdu) for letter, plane in zip(letters, array, strict=True)]
    return found


def _all_planes(file: ImageFile, kind: str) -> list[Plane]:
    other = file.companions.get(kind)
    return _planes(file, kind) + ([] if other is None else _planes(other, kind))


def _letters(file: ImageFile, header: Any, n_planes: int) -> list[str]:
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
            f"{file}: found no keyword BAND0 or BAND, expected the names of the bands. Use "
            "BandImages.from_cube(cube, bands, 'nmgy', ...)."
        )
    return [str(single).strip()]


def _filters(file: ImageFile, hdu: int) -> dict[str, str]:
    """Return the filters of the cameras used in that part of the sky."""
    version = file.text("VERSION").lower()
    if "south" in version:
        return _SOUTH
    if "north" in version:
        return _NORTH
    from astropy.coordinates import SkyCoord

    wcs = file.wcs(hdu)
    if wcs is None:
        raise FileFormatError(
            f"{file}: found no celestial WCS, expected one to identify the camera. "
            "Download it again."
        )
    place = SkyCoord(*wcs.wcs.crval, unit="deg")
    return _NORTH if place.dec.deg > _DIVIDE and place.galactic.b.deg > 0 else _SOUTH


def _check_pixels(file: ImageFile, plane: BandPlane) -> None:
    from astropy.wcs.utils import proj_plane_pixel_scales

    if plane.image.wcs is None:
        return
    scale = float(np.mean(proj_plane_pixel_scales(plane.image.wcs))) * 3600
    if abs(scale / _NATIVE_PIXEL - 1) > 0.02:
        warnings.warn(
            f"{file.path}: the pixels are {scale:.3g} arcsec, not the survey's "
            f"{_NATIVE_PIXEL}. The viewer averages pixels without rescaling the flux when it "
            "resamples, so fluxes per pixel may be off by the ratio of the areas. Download it "
            f"with pixscale={_NATIVE_PIXEL}.",
            PicassssoWarning,
            stacklevel=6,
        )
