"""The registry of cube formats: how a reader is written, found, and selected for a file.

It corresponds to the registry of image formats in `picasssso.io`, and uses the same `ImageFile`.
"""

from __future__ import annotations

import os
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any

import astropy.units as u
import numpy as np
import numpy.typing as npt

from picasssso._core.fits_files import damage_said
from picasssso._core.plugins import Registry
from picasssso._core.words import with_article
from picasssso.bands.flux_units import parse_unit
from picasssso.bands.slots import check_redshift
from picasssso.exceptions import FileFormatError, InvalidInputError, InvalidTypeError
from picasssso.ifu.cube import F_LAMBDA, Cube
from picasssso.io import ImageFile

_LIGHT = 299792.458  # km/s

#: All formats of cubes by name.
CUBE_FORMATS = Registry(
    what="cube reader",
    group="picasssso.cube_readers",
    built_in={
        "califa": "picasssso.ifu.califa:CALIFAReader",
        "manga": "picasssso.ifu.manga:MaNGAReader",
        "muse": "picasssso.ifu.muse:MUSEReader",
        "sami": "picasssso.ifu.sami:SAMIReader",
    },
    base="picasssso.ifu.cube_formats:CubeReader",
)


class CubeReader(ABC):
    """Base class of readers of cubes, and of plugins in ``picasssso.cube_readers``."""

    #: What it reads, in a few words.
    title: str = ""

    @abstractmethod
    def recognize(self, file: ImageFile) -> bool:
        """Return whether a file is of this survey, according to its headers."""

    @abstractmethod
    def read(self, files: Sequence[ImageFile], redshift: float | None) -> Cube:
        """Read the cube of a galaxy from one file or one per arm; ``redshift``: the user's."""


def list_cube_formats() -> dict[str, str]:
    """Return a description of each cube format, of this package and of plugins, by name."""
    return {name: CUBE_FORMATS.get(name).title for name in CUBE_FORMATS.names()}


def read_cube(
    files: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    redshift: float | None = None,
    format: str | None = None,
) -> Cube:
    """Read a cube of MaNGA, CALIFA, SAMI or MUSE, or of a plugin's survey.

    Parameters
    ----------
    files : path or sequence of paths
        The file; for SAMI, the blue and the red file.
    redshift : float, optional
        Observed redshift; needed unless the file states it (CALIFA and SAMI do).
    format : {"califa", "manga", "muse", "sami"}, optional
        The format, or that of a plugin; default: recognized from the headers.

    Returns
    -------
    Cube
        The cube, with variances, noise correlation, masks, bins, PSF, wavelength frame and
        Galactic extinction as defined by the survey.

    Raises
    ------
    FileFormatError
        If a file is missing, damaged, or of no known format.
    InvalidInputError, InvalidTypeError
        If an arm, the variances or the redshift are missing, or the arms do not match.

    Examples
    --------
    >>> import os, tempfile
    >>> from astropy.io import fits
    >>> from picasssso.ifu import read_cube
    >>> from picasssso.ifu.example_cube import flat_cube
    >>> arm = flat_cube().arms[0]
    >>> header = arm.wcs.to_header()
    >>> header["BUNIT"], header["INSTRUME"] = "10**(-20)*erg/s/cm**2/Angstrom", "MUSE"
    >>> parts = {"DATA": arm.data * 1e3, "STAT": arm.uncertainty.array * 1e6}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "cube.fits")
    ...     fits.HDUList([fits.PrimaryHDU(), *(fits.ImageHDU(part, header, name=name)
    ...                   for name, part in parts.items())]).writeto(path)
    ...     read_cube(path, redshift=0.02)
    <Cube of MUSE: 6 x 6 spaxels, 3600-10300 AA (vacuum), z = 0.02>
    """
    paths = [files] if isinstance(files, str | os.PathLike) else files
    if not isinstance(paths, Iterable) or not all(isinstance(p, str | os.PathLike) for p in paths):
        raise InvalidTypeError(f"files: found {files!r}, expected a path, or a list of paths.")
    if not paths:
        raise InvalidInputError("No file was given: expected that of a cube.")
    opened = [ImageFile(os.path.expanduser(os.fspath(path))) for path in paths]
    with damage_said(opened[0], "a cube"):
        names = {format if format is not None else _identify(file) for file in opened}
    if len(names) > 1:
        raise InvalidInputError(
            f"The files are of different surveys, {' and '.join(sorted(names))}: expected the "
            "arms of one cube."
        )
    reader = CUBE_FORMATS.get(names.pop())()
    with damage_said(" and ".join(map(str, opened)), f"a {reader.title}"):
        return reader.read(opened, redshift)


def _identify(file: ImageFile) -> str:
    for name in CUBE_FORMATS.names():
        if CUBE_FORMATS.get(name)().recognize(file):
            return name
    known = ", ".join(list_cube_formats().values())
    raise FileFormatError(
        f"{file}: found no cube of a survey that is known in it ({file.contents}), expected one "
        f"of {known}. Make a picasssso.ifu.Cube of a specutils.Spectrum for others."
    )


# ---- what readers have in common -----------------------------------------------------------


def one_file(files: Sequence[ImageFile], title: str) -> ImageFile:
    """Return the only file."""
    if len(files) != 1:
        raise InvalidInputError(f"Found {len(files)} files: expected one {title} at a time.")
    return files[0]


def known_redshift(
    given: float | None, file: ImageFile, *keywords: str, velocity: bool = False
) -> float:
    """Return the given redshift, or else that of one of the keywords.

    ``velocity``: keywords contain the velocity c z in km/s.
    """
    if given is None:
        keyword = next((key for key in keywords if file.get(key) is not None), None)
        if keyword is None:
            raise InvalidInputError(
                f"{file}: no redshift stated, expected redshift=..., which is never guessed."
            )
        given = file.number(keyword) / (_LIGHT if velocity else 1.0)
    return check_redshift(given)


def need_hdu(file: ImageFile, what: str, *names: str) -> int:
    """Return the number of an HDU that a format defines."""
    found = file.find(*names)
    if found is None:
        raise FileFormatError(
            f"{file}: found no HDU {names[0]} ({what}), but {file.contents}, expected one. Is the "
            "file whole, and of this survey's release?"
        )
    return found


def cube_array(file: ImageFile, hdu: int, what: str, shape: Any = None) -> npt.NDArray[Any]:
    """Return a three-dimensional array, of a given shape if any."""
    array = file.array(hdu, what, like=shape, cube=True)
    if array.ndim != 3:
        raise FileFormatError(
            f"{file}: found {what} of shape {array.shape}, expected (wavelength, y, x). Is it a "
            "table of spectra, or a map?"
        )
    return array


def check_linear_wavelengths(file: ImageFile, hdu: int) -> None:
    """Raise an error for logarithmic or missing wavelengths."""
    header = file.headers[hdu]
    kind = str(header.get("CTYPE3", "")).strip().upper()
    if "LOG" in kind or kind.startswith(("VELO", "FREQ", "VOPT", "VRAD")):
        raise FileFormatError(
            f"{file}: found CTYPE3 = {kind!r}, expected linear wavelengths. Of MaNGA take the "
            "LINCUBE, which has the same light."
        )
    step = header.get("CD3_3", header.get("CDELT3"))
    if not isinstance(step, int | float) or step == 0 or not {"CRVAL3", "CRPIX3"} <= set(header):
        raise FileFormatError(
            f"{file}: found no linear wavelengths in HDU {hdu} (CRVAL3, CRPIX3, CD3_3 or CDELT3), "
            "expected them."
        )


def flux_unit(
    file: ImageFile,
    hdu: int,
    expected: str,
    stated: Any = None,
    *,
    like: u.UnitBase = F_LAMBDA,
    kind: str = "flux density per wavelength",
) -> u.UnitBase:
    """Return the unit of the fluxes, without "per spaxel": any flux density per wavelength.

    ``stated``: used in place of BUNIT; ``like``, ``kind``: of other fluxes than those per
    wavelength.
    """
    bunit = file.headers[hdu].get("BUNIT", stated)
    if bunit is None:
        raise FileFormatError(
            f"{file}: found no BUNIT, expected the unit of the fluxes, such as {expected!r}."
        )
    try:
        unit = _parse(bunit)
        unit.to(like)
    except (InvalidInputError, u.UnitConversionError):
        raise FileFormatError(
            f"{file}: found BUNIT = {str(bunit)!r}, expected a {kind} such as {expected!r}. Is it "
            "a cube of something else?"
        ) from None
    return unit


def whole_numbers(file: ImageFile, array: npt.NDArray[Any], what: str) -> npt.NDArray[Any]:
    """Return an array of mask bits or bin numbers, which some tools write as floats."""
    whole = np.nan_to_num(array, nan=-1.0).astype(np.int64) if array.dtype.kind == "f" else array
    if whole.dtype.kind not in "iu" or np.any((whole != array) & (array == array)):
        raise FileFormatError(
            f"{file}: found {with_article(what)} of {array.dtype.name} with fractions, "
            "expected whole numbers."
        )
    return whole


def noise_factor(file: ImageFile, hdu: int, unit: u.UnitBase, flux_hdu: int, power: int) -> float:
    """Return the factor that converts noise, by its BUNIT, to a power of the unit of the fluxes.

    Without BUNIT, or with that of the fluxes, which pipelines copy, values are in that unit.
    """
    text, copied = (str(file.headers[k].get("BUNIT") or "").strip() for k in (hdu, flux_hdu))
    if text in ("", copied):
        return 1.0
    try:
        own = _parse(text)
        return 1.0 if own == unit else float(own.to(unit**power))
    except (InvalidInputError, u.UnitConversionError):
        raise FileFormatError(
            f"{file}: found BUNIT = {text!r} with the noise, HDU {file.label(hdu) or hdu}, of "
            f"fluxes in {str(unit)!r}, expected {str(unit**power)!r} or what can be converted to "
            "it. Correct the header of the one that is wrong."
        ) from None


def _parse(bunit: Any) -> u.UnitBase:
    # What astropy does not read: Ang, A for Angstrom (not Ampere), spaxel, ^{-2}.
    text = str(bunit).replace("{", "(").replace("}", ")")
    text = re.sub(r"(\bAng|(?<=/)A|(?<=/ )A)(?=\b|\d)", "Angstrom", text)
    power = r"( *(\^|\*\*)? *\(?-?\d+\)?)?"
    text = re.sub(rf"/ *(spaxel|spax|pixel|pix){power}(?![a-zA-Z])", "", text)
    return parse_unit(text, "", "BUNIT")
