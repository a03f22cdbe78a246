"""Reading the FITS files that surveys hand out, one per band, and cubes.

Nothing is guessed. A unit comes from the user or from BUNIT; a zero point from the user or
from a keyword whose definition is known (`ZERO_POINT_KEYWORDS`).
"""

from __future__ import annotations

import os
import re
import warnings
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
import numpy.typing as npt
from astropy.io import fits
from astropy.nddata import (
    InverseVariance,
    NDData,
    NDUncertainty,
    StdDevUncertainty,
    VarianceUncertainty,
)
from astropy.wcs import WCS, FITSFixedWarning

from picasssso.bands.band_names import resolve_band
from picasssso.bands.flux_units import flux_scale, is_count_like, is_magnitude
from picasssso.exceptions import (
    FileFormatError,
    InvalidInputError,
    InvalidTypeError,
    PicassssoWarning,
)

PathLike = str | os.PathLike[str]

#: Keywords that say the AB magnitude of one count: (filter group for which the keyword is
#: defined so, or None for any; conversion to a magnitude).
ZERO_POINT_KEYWORDS: dict[str, tuple[str | None, Callable[[float], float]]] = {
    # DES coadds and DECam pipelines (Morganson et al. 2018, PASP 130, 074501).
    "MAGZERO": ("decam", float),
    # HSC and LSST pipelines: counts of a source of AB magnitude 0 (Bosch et al. 2018).
    "FLUXMAG0": ("hsc", lambda flux: 2.5 * np.log10(flux)),
    # These name the magnitude system themselves.
    "ZP_AB": (None, float),
    "ABZP": (None, float),
    "MAGZP_AB": (None, float),
}
#: Keywords that hold a zero point in a system that they do not state.
_VAGUE_KEYWORDS = ("MAGZERO", "MAGZPT", "MAGZP", "PHOTZP", "ZEROPT", "ZEROPNT", "ZPT", "MAGZEROP")
#: Spellings in headers that astropy does not read and that can mean nothing else.
_SPELLINGS = {
    "nanomaggies": "nmgy",
    "nanomaggys": "nmgy",
    "maggies": "mgy",
    "adu": "adu",
    "adus": "adu",
    "count": "ct",
    "counts": "ct",
    "dns": "DN",
    "electron": "electron",
    "electrons": "electron",
    "photons": "photon",
    "s": "s",  # upper-case headers mean seconds, not siemens
    "sec": "s",
    "seconds": "s",
    "pixels": "pix",
}


def parse_unit(text: Any, band: str, source: str) -> u.UnitBase:
    """Return the unit that a text stands for.

    ``text``: such as ``"nanomaggy"`` or ``"1e-17 erg/s/cm2/AA"``.

    Examples
    --------
    >>> from picasssso.bands.reading import parse_unit
    >>> parse_unit("nanomaggies/arcsec^2", "sdss2010-g", "BUNIT")
    Unit("nmgy / arcsec2")
    """
    if isinstance(text, u.UnitBase | u.FunctionUnitBase):
        return text
    plain = re.sub(
        r"[A-Za-z]+", lambda word: _SPELLINGS.get(word[0].lower(), word[0]), str(text).strip()
    )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", u.UnitsWarning)
            return u.Unit(plain)
    except (ValueError, TypeError):
        raise InvalidInputError(
            f"Band {band!r}: found {source}={text!r}, which astropy does not know as a unit. Say "
            "what it is: unit='nmgy' (or 'Jy', 'erg/s/cm2/AA', 'adu' with zero_point= ...)."
        ) from None


def split_specification(text: PathLike) -> tuple[str, str | int | tuple[str, int] | None]:
    """Split ``file.fits[HDU]`` into the file's name and the HDU's.

    Returns name, number, or (name, version); None if none is given.

    Examples
    --------
    >>> from picasssso.bands.reading import split_specification
    >>> split_specification("g.fits[SCI]"), split_specification("g.fits")
    (('g.fits', 'SCI'), ('g.fits', None))
    >>> split_specification("g.fits[SCI,2]"), split_specification("g.fits[0]")
    (('g.fits', ('SCI', 2)), ('g.fits', 0))
    """
    name = os.fspath(text)
    # A file may have brackets in its own name.
    match = None if os.path.exists(name) else re.fullmatch(r"(.+)\[([^\[\]]+)\]", name)
    if match is None:
        return name, None
    path, hdu = match[1], match[2].strip()
    if re.fullmatch(r"\d+", hdu):
        return path, int(hdu)
    if extension := re.fullmatch(r"(.+),\s*(\d+)", hdu):
        return path, (extension[1].strip(), int(extension[2]))
    return path, hdu


#: What astropy raises where headers or data are damaged, beside OSError and ValueError.
_DAMAGE = (TypeError, KeyError, IndexError, AttributeError, EOFError, fits.VerifyError, zlib.error)


@contextmanager
def open_fits(path: PathLike, what: str, *, memmap: bool = True) -> Iterator[fits.HDUList]:
    """Open a FITS file; everything that can be wrong with one is an error that says so."""
    name = os.path.expanduser(os.fspath(path))
    if os.path.isdir(name):
        raise FileFormatError(f"{what}: found a folder at {path}, expected a FITS file.")
    if not os.path.exists(name):
        raise FileFormatError(f"{what}: found no file {path}. Check the name and the folder.")

    def unreadable(error: Exception) -> FileFormatError:
        return FileFormatError(
            f"{what}: found that {path} cannot be read as FITS ({error}), expected a FITS "
            "file. Check how it was downloaded."
        )

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            opened = fits.open(name, memmap=memmap)
            len(opened)  # reads all headers, so that a short file is seen now
        except (OSError, ValueError, *_DAMAGE) as error:
            raise unreadable(error) from error
        try:
            with opened as hdus:
                _check_whole(caught, path, what)
                yield hdus
                _check_whole(caught, path, what)
        except FileFormatError:
            raise
        except (OSError, fits.VerifyError) as error:
            raise unreadable(error) from error
    for warning in caught:
        warnings.warn(warning.message, warning.category, stacklevel=3)


def _check_whole(caught: list[warnings.WarningMessage], path: PathLike, what: str) -> None:
    if any("truncated" in str(warning.message) for warning in caught):
        raise FileFormatError(
            f"{what}: found {path} cut short, expected a whole file. Download or copy it again."
        )


def list_hdus(hdus: fits.HDUList) -> str:
    """Return a short list of what a file holds, for messages."""
    parts = []
    for number, hdu in enumerate(hdus):
        shape = _image_shape(hdu)
        content = " x ".join(map(str, shape or ())) or "empty"
        if shape is None:
            content = "unreadable" if hdu.is_image else "table"
        parts.append(f"{number} {hdu.name or 'unnamed'} ({content})")
    return ", ".join(parts)


def _image_shape(hdu: Any) -> tuple[int, ...] | None:
    """Return the shape of an image; None for anything else, or a header out of order."""
    try:
        return tuple(hdu.shape) if hdu.is_image else None
    except (ValueError, *_DAMAGE):
        return None


def read_array(path: str, hdu: Any, what: str) -> tuple[npt.NDArray[Any], fits.Header]:
    """Read an image from a file, memory-mapped where its format allows."""
    try:
        with open_fits(path, what) as hdus:
            return _take_image(hdus, hdu, what, path)
    except ValueError as error:
        # Scaled integers cannot be mapped: astropy says so instead of reading them.
        if isinstance(error, InvalidInputError) or "memory-mapped" not in str(error):
            raise
    with open_fits(path, what, memmap=False) as hdus:
        return _take_image(hdus, hdu, what, path)


def _take_image(
    hdus: fits.HDUList, key: Any, what: str, path: str
) -> tuple[npt.NDArray[Any], fits.Header]:
    if key is None:
        images = [n for n, hdu in enumerate(hdus) if len(_image_shape(hdu) or ()) == 2]
        if len(images) != 1:
            raise InvalidInputError(
                f"{what}: found {len(images)} 2-D images in {path} ({list_hdus(hdus)}), expected "
                f"the name of one. Write it in brackets: '{Path(path).name}[HDU]'."
            )
        key = images[0]
    try:
        hdu = hdus[key]
    except (KeyError, IndexError):
        raise InvalidInputError(
            f"{what}: found no HDU {key!r} in {path}, expected one of {list_hdus(hdus)}."
        ) from None
    axes = len(_image_shape(hdu) or ())
    if axes != 2:
        raise InvalidInputError(
            f"{what}: found no 2-D image in HDU {key!r} of {path}, which holds "
            f"{list_hdus(hdus)}. Name another HDU"
            + (", or use BandImages.from_cube for a cube." if axes > 2 else ".")
        )
    try:
        return hdu.data, hdu.header
    except _DAMAGE as error:
        raise FileFormatError(
            f"{what}: found HDU {key!r} of {path} damaged ({error}). Download or copy it again."
        ) from error


def read_wcs(header: fits.Header, what: str) -> WCS | None:
    """Return the celestial WCS of a header."""
    try:
        with warnings.catch_warnings():
            # Dates and the like, put right by astropy.
            warnings.simplefilter("ignore", FITSFixedWarning)
            wcs = WCS(header)
        if not wcs.has_celestial:
            return None
        return wcs if wcs.naxis == 2 else wcs.celestial
    except Exception as error:  # wcslib raises a class of its own for each kind of fault
        reason = (str(error).splitlines() or [repr(error)])[-1]
        raise FileFormatError(
            f"{what}: found a WCS in the header that cannot be read ({reason}) Correct its "
            "keywords (CTYPE, CRVAL, CD ...)."
        ) from error


def _companion(value: Any, band: str, path: str) -> tuple[str, Any]:
    """Return file and HDU of a weight, uncertainty or mask."""
    if isinstance(value, int):
        return path, value
    if isinstance(value, str) and not re.search(r"[\[\].]|" + re.escape(os.sep), value):
        return path, value
    if isinstance(value, str | os.PathLike):
        return split_specification(value)
    raise InvalidTypeError(
        f"Band {band!r}: found {value!r}, expected the name or number of an HDU in the same file, "
        "or 'file.fits[HDU]'."
    )


def _of_band(value: Any, band: str, survey: str | None) -> Any:
    """Return what a mapping says of one band, or the one value for all."""
    if isinstance(value, Mapping):
        return {resolve_band(key, survey): item for key, item in value.items()}.get(band)
    return value


def _find_unit(header: fits.Header, stated: Any, given: str, path: PathLike) -> u.UnitBase:
    """Return the unit that the user states, else that of BUNIT."""
    if stated is not None:
        unit = parse_unit(stated, given, "unit")
        _warn_of_contradiction(header.get("BUNIT"), unit, given, path)
        return unit
    if "BUNIT" not in header:
        raise InvalidInputError(
            f"Band {given!r}: found no BUNIT in {path}, expected unit= to say it, for example "
            "unit='nmgy'. It is never guessed."
        )
    return parse_unit(header["BUNIT"], given, "BUNIT")


def _warn_of_contradiction(bunit: Any, stated: u.UnitBase, given: str, path: PathLike) -> None:
    """Warn if a file says another unit, of which fluxes can be made, than the user."""
    if not str(bunit or "").strip():
        return
    try:
        found = parse_unit(bunit, given, "BUNIT")
        if is_count_like(found):
            contradicts = not is_count_like(stated)
        else:
            flux_scale(found, band=given, pivot=lambda: 5000 * u.AA)  # or it is no flux
            contradicts = found != stated
    except InvalidInputError:
        return
    if contradicts:
        warnings.warn(
            f"Band {given!r}: found BUNIT={str(bunit)!r} in {path}, but unit={str(stated)!r} was "
            "given and is taken. Leave it out if the file is right.",
            PicassssoWarning,
            stacklevel=5,
        )


def read_bands(
    files: Mapping[str, PathLike],
    *,
    survey: str | None,
    unit: Any,
    zero_point: Any,
    noise: Mapping[str, Any],
    mask: Any,
    mask_bits: int | None,
) -> tuple[list[tuple[str, NDData]], dict[str, Any], dict[str, Any]]:
    """Read one image per band from survey files.

    Returns (band, NDData).
    """
    images = []
    zero_points: dict[str, Any] = {}
    sources: dict[str, Any] = {}
    for given, specification in files.items():
        band = resolve_band(given, survey)
        what = f"Band {given!r}"
        if not isinstance(specification, str | os.PathLike):
            raise InvalidTypeError(
                f"{what}: found {specification!r}, expected the name of a file: 'file.fits[HDU]'."
            )
        path, hdu = split_specification(specification)
        data, header = read_array(path, hdu, what)
        sources[band] = {"file": Path(path).name, "hdu": str(hdu)}
        value = _of_band(zero_point, band, survey)
        try:
            image_unit = _find_unit(header, _of_band(unit, band, survey), given, path)
            if is_count_like(image_unit) and value is None:
                value, keyword = find_zero_point(header, band, given, image_unit)
                sources[band]["zero_point_keyword"] = keyword
        except fits.VerifyError as error:
            raise FileFormatError(
                f"{what}: found a header in {path} that cannot be read ({error}) Correct it, or "
                "download the file again."
            ) from error
        if is_count_like(image_unit):
            zero_points[band] = value
        elif isinstance(zero_point, Mapping) and value is not None:
            zero_points[band] = value  # refused at the door, with the reason
        uncertainty = _read_noise(noise, given, band, survey, path, image_unit)
        images.append(
            (
                given,
                NDData(
                    data,
                    unit=image_unit,
                    wcs=read_wcs(header, what),
                    uncertainty=uncertainty,
                    mask=_read_mask(_of_band(mask, band, survey), given, path, mask_bits),
                    meta=header,
                ),
            )
        )
    return images, zero_points, sources


def find_zero_point(
    header: fits.Header, band: str, given: str, unit: u.UnitBase
) -> tuple[u.Quantity, str]:
    """Return the zero point that a header states in a well-defined keyword."""
    for keyword, (group, convert) in ZERO_POINT_KEYWORDS.items():
        value = header.get(keyword)
        if isinstance(value, int | float) and (group is None or band.startswith(group)):
            return float(convert(float(value))) * u.ABmag, keyword
    vague = [f"{key} = {header[key]}" for key in _VAGUE_KEYWORDS if key in header]
    hint = (
        f" The header has {', '.join(vague)}, but not in which magnitude system." if vague else ""
    )
    raise InvalidInputError(
        f"Band {given!r}: found an image in {str(unit) or 'pure numbers'!r} and no keyword that "
        f"defines its zero point ({', '.join(ZERO_POINT_KEYWORDS)}).{hint} Give the AB magnitude "
        "of one count: zero_point=30 * u.ABmag."
    )


def _read_noise(
    noise: Mapping[str, Any],
    given: str,
    band: str,
    survey: str | None,
    path: str,
    unit: u.UnitBase,
) -> NDUncertainty | None:
    """Read weight, uncertainty or variance, whichever is given."""
    stated = {
        name: value
        for name, values in noise.items()
        if (value := _of_band(values, band, survey)) is not None
    }
    if len(stated) > 1:
        raise InvalidInputError(
            f"Band {given!r}: found {' and '.join(f'{name}=' for name in stated)}, expected only "
            "one of them."
        )
    if not stated:
        return None
    name, value = next(iter(stated.items()))
    array, _ = read_array(*_companion(value, given, path), f"Band {given!r}: {name}")
    if name == "uncertainty":
        return StdDevUncertainty(array, unit=unit, copy=False)
    if is_magnitude(unit):
        raise InvalidInputError(
            f"Band {given!r}: found {name}= for an image in {unit}, expected uncertainty= in mag."
        )
    if name == "variance":
        return VarianceUncertainty(array, unit=unit**2, copy=False)
    return InverseVariance(array, unit=unit**-2, copy=False)


def _read_mask(value: Any, given: str, path: str, bits: int | None) -> Any:
    if value is None:
        return None
    mask, _ = read_array(*_companion(value, given, path), f"Band {given!r}: mask")
    if bits is None:
        return mask
    if mask.dtype.kind not in "iu":
        raise InvalidInputError(
            f"Band {given!r}: found a mask of {mask.dtype}, expected integers for "
            f"mask_bits={bits}."
        )
    return (mask & mask.dtype.type(bits)) != 0


def list_cube(
    cube: Any,
    bands: Sequence[str] | None,
    unit: Any,
    *,
    wcs: WCS | None,
    uncertainty: Any,
    mask: Any,
) -> list[tuple[str, NDData]]:
    """Cut a cube into images.

    ``uncertainty``: of the cube's shape; a bare array holds standard deviations; ``mask``: of
    the cube's shape or of one plane's; returns (band, NDData), views of the cube.
    """
    expected = "expected the name of each plane, for example bands=['sdss2010-g', 'sdss2010-r']"
    if isinstance(bands, str) or not isinstance(bands, Sequence) or len(bands) == 0:
        raise InvalidInputError(
            f"Cube: found bands={bands!r}, {expected}. Some files list them as BAND0, BAND1 ... "
            "in the header."
        )
    if isinstance(cube, NDData):
        wcs = cube.wcs if wcs is None else wcs
        unit = cube.unit if unit is None else unit
        uncertainty = cube.uncertainty if uncertainty is None else uncertainty
        mask = cube.mask if mask is None else mask
        cube = cube.data
    elif isinstance(cube, u.Quantity):
        unit = cube.unit if unit is None else unit
        cube = cube.value
    array = np.asanyarray(cube)
    if array.ndim != 3 or array.shape[0] != len(bands):
        hint = ""
        if array.ndim == 3 and array.shape[-1] == len(bands):
            hint = " Bring the bands first: np.moveaxis(cube, -1, 0)."
        raise InvalidInputError(
            f"Cube: found shape {array.shape} for {len(bands)} bands, expected "
            f"({len(bands)}, y, x).{hint}"
        )
    if unit is None:
        raise InvalidInputError(
            "Cube: found no unit, expected unit= to say it, for example unit='nmgy'. It is never "
            "guessed."
        )
    if isinstance(wcs, WCS) and wcs.naxis > 2 and wcs.has_celestial:
        wcs = wcs.celestial
    if uncertainty is not None and not isinstance(uncertainty, NDUncertainty):
        uncertainty = StdDevUncertainty(np.asanyarray(uncertainty), copy=False)
    if uncertainty is not None and np.shape(uncertainty.array) != array.shape:
        raise InvalidInputError(
            f"Cube: found an uncertainty of shape {np.shape(uncertainty.array)}, expected that of "
            f"the cube, {array.shape}."
        )
    if mask is not None and np.shape(mask) not in (array.shape, array.shape[1:]):
        raise InvalidInputError(
            f"Cube: found a mask of shape {np.shape(mask)}, expected {array.shape} or "
            f"{array.shape[1:]}."
        )
    planes = None if mask is None else np.broadcast_to(mask, array.shape)
    images = []
    for k, band in enumerate(bands):
        noise = None
        if uncertainty is not None:
            noise = type(uncertainty)(uncertainty.array[k], unit=uncertainty.unit, copy=False)
        images.append(
            (
                band,
                NDData(
                    array[k],
                    unit=parse_unit(unit, str(band), "unit"),
                    wcs=wcs,
                    uncertainty=noise,
                    mask=None if planes is None else planes[k],
                ),
            )
        )
    return images
