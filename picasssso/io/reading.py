"""Recognising survey files, and making `BandImages` of them."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import TYPE_CHECKING, Any

import astropy.units as u

from picasssso._core.headers import IMAGES_FORMAT, MAPS_FORMAT
from picasssso.bands.band_names import check_band, resolve_band
from picasssso.exceptions import FileFormatError, InvalidInputError, InvalidTypeError
from picasssso.io.survey_files import SurveyFile, SurveyImage

if TYPE_CHECKING:
    from picasssso.bands import BandImages

PathLike = str | os.PathLike[str]
Files = PathLike | Iterable[PathLike] | Mapping[str, PathLike]

#: Layouts in the order in which they are tried, each a module of `picasssso.io`.
LAYOUTS = ("sdss", "legacy", "des", "panstarrs", "lsst", "eso", "generic")


@dataclass(frozen=True)
class Recognition:
    """What a file was recognised as.

    Parameters
    ----------
    layout : str
        One of `LAYOUTS`.
    title : str
        The same in words.
    role : str or None
        What the file is, if it is not an image but goes with one, such as ``"mask"``.
    """

    layout: str
    title: str
    role: str | None = None


@dataclass(frozen=True, eq=False)
class ReadOptions:
    """What the user said of the files."""

    band: str | None = None
    zero_point: Any = None
    unit: Any = None
    survey: str | None = None
    companions: dict[str, SurveyFile] = field(default_factory=dict)

    def _of(self, value: Any, band: str) -> Any:
        if isinstance(value, Mapping):
            by_band = {resolve_band(key, self.survey): item for key, item in value.items()}
            return by_band.get(band)
        return value

    def zero_point_of(self, band: str) -> u.Quantity | None:
        """Return the zero point that was given for a band."""
        value = self._of(self.zero_point, band)
        if value is not None and not isinstance(value, u.Quantity | u.Magnitude):
            raise InvalidTypeError(
                f"Band {band!r}: found zero_point={value!r} without a unit, expected the AB "
                "magnitude of one count such as 30 * u.ABmag."
            )
        return value

    def unit_of(self, band: str) -> Any:
        """Return the unit that was given for a band."""
        return self._of(self.unit, band)


def _reader(layout: str) -> ModuleType:
    if layout not in LAYOUTS:
        raise InvalidInputError(f"Found layout={layout!r}, expected one of {', '.join(LAYOUTS)}.")
    return importlib.import_module(f"picasssso.io.{layout}")


def _recognise(file: SurveyFile) -> Recognition:
    _refuse_own(file)
    for layout in LAYOUTS:
        reader = _reader(layout)
        if reader.matches(file):
            role = reader.companion(file) if hasattr(reader, "companion") else None
            return Recognition(layout, reader.TITLE, role)
    raise FileFormatError(
        f"{file.path}: found no image in it ({file.contents}), expected a survey's image."
    )


def _refuse_own(file: SurveyFile) -> None:
    header = file.headers[0]
    if IMAGES_FORMAT in header:
        raise InvalidInputError(
            f"{file.path}: found a file that BandImages.write wrote. Read it with BandImages.read."
        )
    if MAPS_FORMAT in header:
        raise InvalidInputError(
            f"{file.path}: found maps of properties. Read them with PropertyMaps.read."
        )


def recognise(path: PathLike) -> Recognition:
    """Say from its headers which survey's layout a FITS file has.

    Parameters
    ----------
    path : str or path-like
        The file.

    Returns
    -------
    Recognition
        The layout, its title, and what the file holds besides the image (its role).

    Examples
    --------
    >>> from astropy.io import fits
    >>> from picasssso.io import recognise
    >>> import tempfile, os
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "image.fits")
    ...     fits.PrimaryHDU([[1.0, 2.0], [3.0, 4.0]]).writeto(path)
    ...     recognise(path)
    Recognition(layout='generic', title='FITS image', role=None)
    """
    return _recognise(SurveyFile(os.path.expanduser(os.fspath(path))))


def _list_files(files: Files, survey: str | None) -> list[tuple[str | None, SurveyFile]]:
    """Return (band or None, file) of everything that was given."""
    if isinstance(files, str | os.PathLike):
        files = [files]
    pairs: list[tuple[str | None, Any]]
    if isinstance(files, Mapping):
        pairs = []
        for given, path in files.items():
            band = resolve_band(given, survey)
            check_band(band, given, survey)
            paths = [path] if isinstance(path, str | os.PathLike) else list(path)
            pairs += [(band, one) for one in paths]
    else:
        pairs = [(None, path) for path in files]
    for _, path in pairs:
        if not isinstance(path, str | os.PathLike):
            raise InvalidTypeError(f"Survey files: found {path!r}, expected the name of a file.")
    if not pairs:
        raise InvalidInputError("Survey files: found none, expected at least one.")
    return [(band, SurveyFile(os.path.expanduser(os.fspath(path)))) for band, path in pairs]


def _group_of(file: SurveyFile, band: str | None, layout: str) -> str:
    """Return what an image and the files that go with it have in common."""
    if band is not None:
        return band
    reader = _reader(layout)
    return reader.group(file) if hasattr(reader, "group") else ""


def read_images(
    files: Files,
    *,
    survey: str | None = None,
    layout: str | None = None,
    zero_point: Any = None,
    unit: Any = None,
) -> list[SurveyImage]:
    """Read survey files, each band on its own pixel grid.

    Parameters
    ----------
    files : path, sequence of paths, or mapping from band to path or paths
        Images, and the weight and mask files that go with them.
    survey : str, optional
        Survey of bare band names.
    layout : str, optional
        One of `LAYOUTS`, instead of recognising it.
    zero_point : `~astropy.units.Quantity` or mapping, optional
        AB magnitude of one count, for files that do not state it.
    unit : str, `~astropy.units.UnitBase` or mapping, optional
        Unit, for generic files that do not state it.

    Returns
    -------
    list of SurveyImage
        One for each band.

    Raises
    ------
    FileFormatError, InvalidInputError
        If a file cannot be read as what it is, or a band comes twice.
    """
    images: list[tuple[str | None, SurveyFile, str]] = []
    companions: dict[tuple[str, str], dict[str, SurveyFile]] = {}
    for band, file in _list_files(files, survey):
        found = _recognise(file)
        if layout is not None:
            reader = _reader(layout)
            role = reader.companion(file) if hasattr(reader, "companion") else None
            found = Recognition(layout, reader.TITLE, role)
        if found.role is None:
            images.append((band, file, found.layout))
            continue
        group = (found.layout, _group_of(file, band, found.layout))
        if found.role in companions.setdefault(group, {}):
            raise InvalidInputError(
                f"{file.path}: found a second {found.role} file of the same band, expected one."
            )
        companions[group][found.role] = file
    options = ReadOptions(zero_point=zero_point, unit=unit, survey=survey)
    result: dict[str, SurveyImage] = {}
    used = set()
    for band, file, name in images:
        group = (name, _group_of(file, band, name))
        # Mask bits of the Legacy Surveys hold for all bands.
        shared = {} if name != "legacy" else companions.get((name, ""), {})
        used |= {group, (name, "")} if shared else {group}
        own = replace(options, band=band, companions={**shared, **companions.get(group, {})})
        for image in _reader(name).read(file, own):
            if band is not None and image.band != band:
                image = replace(image, band=band, record={**image.record, "band": "given"})
            if image.band in result:
                raise InvalidInputError(
                    f"{file.path}: found band {image.band} twice, also in "
                    f"{result[image.band].record['file']}, expected one image for each band."
                )
            result[image.band] = image
    left = [file for group, some in companions.items() if group not in used
            for file in some.values()]  # fmt: skip
    if left:
        raise InvalidInputError(
            f"{left[0].path}: found a file that goes with an image, and no image of its band. "
            "Give the image too."
        )
    return list(result.values())


def read_survey(
    files: Files,
    *,
    redshift: float | None = None,
    survey: str | None = None,
    layout: str | None = None,
    zero_point: Any = None,
    unit: Any = None,
    onto: Any = None,
    **arguments: Any,
) -> BandImages:
    """Read the files that surveys hand out, as the surveys define them.

    Layouts are recognised from the headers: SDSS frames, Legacy Survey cut-outs and coadds, DES
    coadds, Pan-STARRS1 stacks, HSC and LSST images, images to ESO's standard (KiDS, VIKING,
    ATLAS), and any FITS image whose band is given. Unit, zero point, noise and mask are those
    that the survey defines; what was found and done is kept in ``meta["source"]``.

    Parameters
    ----------
    files : path, sequence of paths, or mapping from band to path or paths
        Images, and the weight and mask files that go with them. Bands come from the headers
        unless they are given.
    redshift : float
        Observed redshift. Required.
    survey : str, optional
        Survey of bare band names in ``files``.
    layout : str, optional
        Layout of all files, instead of recognising it: sdss, legacy, des, panstarrs, lsst, eso
        or generic.
    zero_point : `~astropy.units.Quantity` or mapping, optional
        AB magnitude of one count, for files that do not state it.
    unit : str, `~astropy.units.UnitBase` or mapping, optional
        Unit of generic files that do not state it.
    onto : str, `~astropy.wcs.WCS` or `~astropy.io.fits.Header`, optional
        Grid for bands on different ones, as of `picasssso.bands.align`; default:
        they must be on the same.
    **arguments : object
        Other arguments of `~picasssso.bands.BandImages`, such as ``psf``.

    Returns
    -------
    BandImages
        The bands.

    Raises
    ------
    FileFormatError
        If a file is missing, damaged, or not what its header says.
    InvalidInputError
        If something the file does not say is not given, or bands are on different grids.

    Examples
    --------
    >>> import os, tempfile
    >>> from astropy import units as u
    >>> from astropy.io import fits
    >>> from astropy.wcs import WCS
    >>> from picasssso.io import read_survey
    >>> wcs = WCS(naxis=2)
    >>> wcs.wcs.ctype, wcs.wcs.cdelt = ("RA---TAN", "DEC--TAN"), (-1e-4, 1e-4)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "r.fits")
    ...     fits.PrimaryHDU([[1.0, 2.0], [3.0, 4.0]], wcs.to_header()).writeto(path)
    ...     images = read_survey({"sdss2010-r": path}, redshift=0.1, zero_point=30 * u.ABmag)
    >>> images
    <BandImages: sdss2010-r; 2 x 2 pixels of 0.36 arcsec; z = 0.1>
    """
    planes = read_images(files, survey=survey, layout=layout, zero_point=zero_point, unit=unit)
    return assemble(planes, redshift=redshift, survey=survey, onto=onto, **arguments)


def assemble(
    planes: Iterable[SurveyImage],
    *,
    redshift: float | None,
    survey: str | None = None,
    onto: Any = None,
    **arguments: Any,
) -> BandImages:
    """Make `BandImages` of what was read."""
    from picasssso.bands import BandImages, align

    planes = list(planes)
    zero_points = {p.band: p.zero_point for p in planes if p.zero_point is not None}
    arguments["meta"] = {
        "source": {p.band: p.record for p in planes},
        **(arguments.get("meta") or {}),
    }
    if arguments.get("psf") is None:
        arguments["psf"] = {p.band: p.psf for p in planes if p.psf is not None} or None
    arguments |= {"zero_point": zero_points or None, "redshift": redshift, "survey": survey}
    images = [(p.band, p.image) for p in planes]
    if onto is None:
        return BandImages(images, **arguments)
    return align(images, onto=onto, **arguments)
