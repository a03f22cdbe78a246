"""The registry of published maps: Pipe3D, the MaNGA analysis and Firefly, PHANGS, SAMI."""

from __future__ import annotations

import os
import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np
import numpy.typing as npt
from astropy.wcs import WCS

from picasssso._core.fits_files import damage_said
from picasssso._core.plugins import Registry
from picasssso.exceptions import (
    FileFormatError,
    InvalidInputError,
    InvalidTypeError,
    PicassssoWarning,
)
from picasssso.ifu.conversion import convert_maps
from picasssso.ifu.published import PublishedMap
from picasssso.io import ImageFile

if TYPE_CHECKING:
    from picasssso.maps import PropertyMaps

#: All formats of published maps by name.
MAP_FORMATS = Registry(
    what="map reader",
    group="picasssso.map_readers",
    built_in={
        "manga_dap": "picasssso.ifu.manga_maps:DAPReader",
        "manga_firefly": "picasssso.ifu.manga_maps:FireflyReader",
        "phangs": "picasssso.ifu.phangs:PHANGSReader",
        "pipe3d": "picasssso.ifu.pipe3d:Pipe3DReader",
        "sami": "picasssso.ifu.sami_maps:SAMIMapReader",
    },
    base="picasssso.ifu.map_formats:MapReader",
)


@dataclass(frozen=True, eq=False)
class PublishedSet:
    """The maps of a file by property, their source, and the geometry of their pixels."""

    planes: Mapping[str, PublishedMap]
    survey: str
    wcs: WCS | None = None
    redshift: float | None = None
    resolution_fwhm: u.Quantity | None = None
    bins: npt.NDArray[np.integer] | None = None


class MapReader(ABC):
    """Base class of readers of published maps, and of plugins in ``picasssso.map_readers``."""

    #: What it reads, in a few words.
    title: str = ""

    @abstractmethod
    def recognize(self, file: ImageFile) -> bool:
        """Return whether a file has this format, from its headers."""

    @abstractmethod
    def read(self, file: ImageFile, galaxy: str | None) -> PublishedSet:
        """Read maps as published; ``galaxy``: which galaxy, for files of many."""


def list_map_formats() -> dict[str, str]:
    """Return a description of each map format, of this package and of plugins, by name."""
    return {name: MAP_FORMATS.get(name).title for name in MAP_FORMATS.names()}


def is_published(path: str | os.PathLike[str]) -> bool:
    """Return whether `read_maps` can read a file."""
    try:
        with damage_said(path, "maps"):
            _recognized(ImageFile(os.path.expanduser(os.fspath(path))))
    except FileFormatError:
        return False
    return True


def read_maps(
    path: str | os.PathLike[str],
    *,
    format: str | None = None,
    galaxy: str | None = None,
    stated: Mapping[str, Mapping[str, Any]] | None = None,
    like: PropertyMaps | None = None,
    **arguments: Any,
) -> PropertyMaps:
    """Read published maps and convert them to the definitions of this package.

    Parameters
    ----------
    path : path
        The file.
    format : {"manga_dap", "manga_firefly", "phangs", "pipe3d", "sami"}, optional
        The format, or that of a plugin; default: recognized from the headers.
    galaxy : str, optional
        Which galaxy, for files of many galaxies; PLATE-IFU for MaNGA.
    stated : mapping of str to mapping, optional
        By property, definitions that differ from those in the papers of the survey: arguments of
        `PublishedMap`, such as ``{"stellar_mass": {"imf": "kroupa"}}``.
    like : PropertyMaps, optional
        Maps of the same galaxy, whose redshift, distance and (for the same shape) WCS are used if
        given neither in the file nor as arguments.
    **arguments : object
        Arguments of `convert_maps` that override the file: ``wcs``, ``redshift``,
        ``luminosity_distance``, ``inclination``, ``approximate``, ``resolution_fwhm``, ``bins``.

    Returns
    -------
    PropertyMaps
        The maps; ``meta["conversions"]`` lists the conversions.

    Raises
    ------
    FileFormatError
        If the file is missing, damaged or of no known format.
    InvalidInputError, InvalidTypeError
        If required information is neither in the file nor given.

    Examples
    --------
    >>> import os, tempfile
    >>> import astropy.units as u
    >>> import numpy as np
    >>> from astropy.io import fits
    >>> from picasssso.ifu import read_maps
    >>> header = fits.Header({"PRODUCT": "SFRMaps", "CATID": "1"})
    >>> rate = np.full((2, 4, 5), 0.02)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "1_A_sfr-dens_default_1-comp.fits")
    ...     fits.HDUList([fits.PrimaryHDU(rate, header),
    ...                   fits.ImageHDU(rate / 10, name="SFRSurfDensity_ERR")]).writeto(path)
    ...     maps = read_maps(path, pixel_solid_angle=0.25 * u.arcsec**2)
    >>> maps
    <PropertyMaps 4 x 5 pixels, no WCS: sfr_10myr (solMass / (yr kpc2))>
    """
    if not isinstance(path, str | os.PathLike):
        raise InvalidTypeError(f"path: found {path!r}, expected that of a file.")
    file = ImageFile(os.path.expanduser(os.fspath(path)))
    with damage_said(file, "maps"):
        reader = MAP_FORMATS.get(format)() if format is not None else _recognized(file)
        found = reader.read(file, galaxy)
    planes = dict(found.planes)
    known_fields = {field.name for field in fields(PublishedMap)}
    for name, changes in dict(stated or {}).items():
        if not isinstance(changes, Mapping) or not set(changes) <= known_fields:
            raise InvalidInputError(
                f"stated has {name!r}: {changes!r}, expected arguments of PublishedMap, such as "
                "{'imf': 'kroupa'}."
            )
        if name not in planes:
            raise InvalidInputError(
                f"stated has {name!r}: expected some of {', '.join(planes)}, which {file} holds."
            )
        planes[name] = replace(planes[name], **changes)
    planes = _with_units(file, planes)
    known: dict[str, Any] = {
        "wcs": found.wcs,
        "redshift": found.redshift,
        "resolution_fwhm": found.resolution_fwhm,
        "bins": found.bins,
        "meta": {"estimator": found.survey, "file": file.name},
    }
    if like is not None:
        shape = np.shape(next(iter(planes.values())).values)
        known["luminosity_distance"] = None
        for name in (
            "redshift",
            "luminosity_distance",
            *(("wcs",) if shape == like.shape else ()),
        ):
            if known[name] is None:
                known[name] = getattr(like, name)
    return convert_maps(planes, **(known | arguments))


def _with_units(file: ImageFile, planes: Mapping[str, PublishedMap]) -> dict[str, PublishedMap]:
    """Omit maps whose unit is given neither by the file nor by the user."""
    without = [name for name, plane in planes.items() if plane.unit is None]
    if not without:
        return dict(planes)
    advice = (
        f"{file}: found no unit (BUNIT) of {', '.join(without)}. Give it: "
        f"stated={{{without[0]!r}: {{'unit': ...}}}}, such as u.dex(u.yr)"
    )
    if len(without) == len(planes):
        raise InvalidInputError(f"{advice}.")
    warnings.warn(f"{advice}; left out.", PicassssoWarning, stacklevel=3)
    return {name: plane for name, plane in planes.items() if plane.unit is not None}


def _recognized(file: ImageFile) -> MapReader:
    for name in MAP_FORMATS.names():
        reader: MapReader = MAP_FORMATS.get(name)()
        if reader.recognize(file):
            return reader
    raise FileFormatError(
        f"{file}: found no maps that are known in it ({file.contents}), expected one of "
        f"{', '.join(list_map_formats().values())}. Give convert_maps the planes of others."
    )
