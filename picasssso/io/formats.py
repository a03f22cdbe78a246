"""The registry of formats: how a reader is written, found, and chosen for a file.

The formats of this package stand in `FORMATS`; third parties bring theirs by the entry-point
group ``picasssso.readers``. Each says how sure it is that a file is its own, as xarray's backends
do with ``guess_can_open``, and the surest reads.
"""

from __future__ import annotations

import os
import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

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
        "picasssso": "picasssso.io.own:OwnReader",
        "sdss": "picasssso.io.sdss:SDSSReader",
        "spitzer": "picasssso.io.spitzer:SpitzerReader",
        "wise": "picasssso.io.wise:WISEReader",
    },
    base="picasssso.io.formats:ImageReader",
)


@dataclass(frozen=True)
class Recognition:
    """What a file was recognized as.

    Parameters
    ----------
    why : str
        What in the headers it was recognized by.
    certainty : float, optional
        From 0 to 1. The built-in formats of surveys have 0.9, "generic" 0.1.
    role : str, optional
        What the file is, if it is no image but goes with one of the same format and `group`,
        such as ``"mask"``; it is given to the reader of the image as a companion.
    group : str, optional
        What an image and the files that go with it have in common, such as the filter;
        companions without group go with all images.
    format, title : str, optional
        Name of the format and a few words for it; filled in by the registry.

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

    A subclass says in `title` what it reads, and implements `recognize` and `read`. It takes no
    arguments. `picasssso.testing.check_reader` checks it on a file of its format.

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
        """Say from a file's headers whether it has this format; nothing else may be read.

        Parameters
        ----------
        file : ImageFile
            The file.

        Returns
        -------
        Recognition or None
            How sure that is and why; None if it has not.
        """

    @abstractmethod
    def read(self, file: ImageFile) -> list[BandPlane]:
        """Read the bands of a file.

        Parameters
        ----------
        file : ImageFile
            The file. What the user said of it goes before what the file says:
            `ImageFile.band_of`, `ImageFile.zero_point` and `ImageFile.plane` see to that.

        Returns
        -------
        list of BandPlane
            One for each band, as `ImageFile.plane` makes them.

        Raises
        ------
        FileFormatError, InvalidInputError
            If the file is not what its headers say, or something is missing.
        """


def list_formats() -> dict[str, str]:
    """Return all formats, built in and from plugins.

    Returns
    -------
    dict
        What each reads, by name; a plugin that cannot be imported is left out with a warning.

    Examples
    --------
    >>> from picasssso.io import list_formats
    >>> list_formats()["sdss"]
    'SDSS frame'
    """
    return {name: reader.title for name, reader in _readers().items()}


def _readers() -> dict[str, ImageReader]:
    """Return a reader of every format; a broken plugin only warns."""
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
    """Return what a file is recognized as, or what the format of a name makes of it."""
    readers = _readers() if name is None else {name: get_reader(name)}
    found = []
    for key, reader in readers.items():
        recognition = reader.recognize(file)
        if recognition is None and name is not None:
            recognition = Recognition("format= says so", 1.0)
        if recognition is not None:
            found.append(replace(recognition, format=key, title=reader.title))
    if not found:
        _ = file.named  # an HDU that cannot be read has an error of its own
        raise FileFormatError(
            f"{file}: found no image in it ({file.contents}), expected an image of a survey "
            "or any other with two axes. A cube of other layers is read in Python: "
            "BandImages.from_cube(cube, bands, unit, ...)."
        )
    return max(found, key=lambda recognition: recognition.certainty)


def recognize(path: str | os.PathLike[str]) -> Recognition:
    """Say from its headers what format a FITS file has.

    Parameters
    ----------
    path : str or path-like
        The file.

    Returns
    -------
    Recognition
        The surest of all formats; of equals the first in the alphabet.

    Raises
    ------
    FileFormatError
        If it is no FITS file, or holds no image.

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
    return identify(ImageFile(os.path.expanduser(os.fspath(path))))


def sky_is_subtracted(meta: Mapping[str, Any], band: str) -> bool:
    """Return whether the notes of images say that a band's sky was subtracted by the survey."""
    name = meta.get("source", {}).get(band, {}).get("format")
    return name in FORMATS.names() and bool(FORMATS.get(name).sky_subtracted)
