"""The registry of file formats: how a reader is written, found, and selected for a file.

`FORMATS` lists the formats of this package; third parties add theirs through the entry-point group
``picasssso.readers``. Each reader returns how certain it is that a file has its format, like
``guess_can_open`` of xarray's backends, and the reader with the highest certainty is used.
"""

from __future__ import annotations

import os
import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from picasssso._core.fits_files import damage_said
from picasssso._core.plugins import Registry
from picasssso.exceptions import FileFormatError, InvalidInputError, PicassssoWarning
from picasssso.io.band_planes import BandPlane
from picasssso.io.image_files import ImageFile

#: All formats by name.
FORMATS = Registry(
    what="reader",
    group="picasssso.readers",
    built_in={
        "casu": "picasssso.io.casu:CASUReader",
        "des": "picasssso.io.des:DESReader",
        "eso": "picasssso.io.eso:ESOReader",
        "euclid": "picasssso.io.euclid:EuclidReader",
        "generic": "picasssso.io.generic:GenericReader",
        "hst_jwst": "picasssso.io.hst_jwst:HSTJWSTReader",
        "legacy": "picasssso.io.legacy:LegacyReader",
        "lsst": "picasssso.io.lsst:LSSTReader",
        "panstarrs": "picasssso.io.panstarrs:PanSTARRSReader",
        "picasssso": "picasssso.io.native:OwnReader",
        "sdss": "picasssso.io.sdss:SDSSReader",
        "spitzer": "picasssso.io.spitzer:SpitzerReader",
        "wise": "picasssso.io.wise:WISEReader",
    },
    base="picasssso.io.formats:ImageReader",
)


@dataclass(frozen=True)
class Recognition:
    """The format that a file was recognized as.

    Parameters
    ----------
    why : str
        The header keywords or HDUs by which it was recognized.
    certainty : float, optional
        Certainty, from 0 to 1. Survey formats of this package have 0.9, "generic" has 0.1.
    role : str, optional
        For a file that accompanies an image of the same format and `group`: its role, such as
        ``"mask"``. It is passed to the reader of the image as a companion.
    group : str, optional
        What an image and its companions have in common, such as the filter; companions without a
        group belong to all images.
    format, title : str, optional
        Name of the format and a short description; set by the registry.

    Examples
    --------
    >>> from picasssso.io import Recognition
    >>> Recognition("the keyword MYSURVEY").certainty
    0.9
    """

    why: str
    certainty: float = 0.9
    role: str | None = None
    group: str = ""
    format: str = ""
    title: str = ""


class ImageReader(ABC):
    """Base class of readers of one format, of this package and of plugins.

    A subclass describes what it reads in `title`, and implements `recognize` and `read`. It takes
    no arguments. `picasssso.testing.check_reader` tests it with a file of its format.

    Examples
    --------
    >>> from picasssso.io import ImageReader, Recognition
    >>> class MySurvey(ImageReader):
    ...     title = "image of my survey"
    ...     def recognize(self, file):
    ...         found = file.get("SURVEY") == "MINE"
    ...         return Recognition("SURVEY = MINE") if found else None
    ...     def read(self, file):
    ...         band = file.band_of(str(file.get("FILTER")), {"g": "sdss2010-g"})
    ...         return [file.plane(0, band, "nmgy")]
    """

    #: What it reads, in a few words.
    title: str = ""
    #: Whether the sky was subtracted from all images of this format.
    sky_subtracted: bool = False

    @abstractmethod
    def recognize(self, file: ImageFile) -> Recognition | None:
        """Return whether a file has this format, from its headers only.

        Parameters
        ----------
        file : ImageFile
            The file.

        Returns
        -------
        Recognition or None
            How certain this is, and why; None if the file has another format.
        """

    @abstractmethod
    def read(self, file: ImageFile) -> list[BandPlane]:
        """Read the bands of a file.

        Parameters
        ----------
        file : ImageFile
            The file. Arguments given by the user override the header: `ImageFile.band_of`,
            `ImageFile.zero_point` and `ImageFile.plane` take them into account.

        Returns
        -------
        list of BandPlane
            One for each band, as returned by `ImageFile.plane`.

        Raises
        ------
        FileFormatError, InvalidInputError
            If the file contradicts its headers, or information is missing.
        """


def list_formats() -> dict[str, str]:
    """Return all file formats, of this package and of plugins.

    Returns
    -------
    dict
        A description of each format, by name. A plugin that cannot be imported is omitted with a
        warning.

    Examples
    --------
    >>> from picasssso.io import list_formats
    >>> list_formats()["sdss"]
    'SDSS frame'
    """
    return {name: reader.title for name, reader in _readers().items()}


def _readers() -> dict[str, ImageReader]:
    """Return a reader of every format; a plugin that cannot be imported raises a warning."""
    found: dict[str, ImageReader] = {}
    for name in FORMATS.names():
        try:
            found[name] = FORMATS.get(name)()
        except InvalidInputError as error:
            if name in FORMATS.built_in:
                raise
            if error.__cause__ is None:  # the import itself has warned already
                warnings.warn(str(error), PicassssoWarning, stacklevel=3)
    return found


def get_reader(name: str) -> ImageReader:
    """Return the reader of a format."""
    return FORMATS.get(name)()


def identify(file: ImageFile, name: str | None = None) -> Recognition:
    """Return what a file is recognized as: by all formats, or by that of a name."""
    readers = _readers() if name is None else {name: get_reader(name)}
    found = []
    for key, reader in readers.items():
        recognition = reader.recognize(file)
        if recognition is None and name is not None:
            recognition = Recognition("given as format=", 1.0)
        if recognition is not None:
            found.append(replace(recognition, format=key, title=reader.title))
    if not found:
        _ = file.named  # an HDU that cannot be read has an error of its own
        raise FileFormatError(
            f"{file}: found no image in it ({file.contents}), expected an image of a survey "
            "or any other with two axes. For other cubes use "
            "BandImages.from_cube(cube, bands, unit, ...)."
        )
    return max(found, key=lambda recognition: recognition.certainty)


def recognize(path: str | os.PathLike[str]) -> Recognition:
    """Recognize the format of a FITS file from its headers.

    Parameters
    ----------
    path : str or path-like
        The file.

    Returns
    -------
    Recognition
        The format with the highest certainty; of equal ones the first in alphabetical order.

    Raises
    ------
    FileFormatError
        If it is not a FITS file, or contains no image.

    Examples
    --------
    >>> from astropy.io import fits
    >>> from picasssso.io import recognize
    >>> import tempfile, os
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "image.fits")
    ...     fits.PrimaryHDU([[1.0, 2.0], [3.0, 4.0]]).writeto(path)
    ...     found = recognize(path)
    >>> found.format, found.title
    ('generic', 'FITS image')
    """
    with damage_said(path, "an image"):
        return identify(ImageFile(os.path.expanduser(os.fspath(path))))


def sky_is_subtracted(meta: Mapping[str, Any], band: str) -> bool:
    """Return whether the survey has subtracted the sky of a band, according to ``meta``."""
    name = meta.get("source", {}).get(band, {}).get("format")
    return name in FORMATS.names() and bool(FORMATS.get(name).sky_subtracted)
