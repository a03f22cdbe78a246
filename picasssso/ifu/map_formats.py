"""The registry of published maps: Pipe3D, the MaNGA analysis and Firefly, PHANGS, SAMI, tables."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np
import numpy.typing as npt
from astropy.wcs import WCS

from picasssso._core.plugins import Registry
from picasssso.exceptions import FileFormatError, InvalidInputError
from picasssso.ifu.published import PublishedMap, convert_maps
from picasssso.io import ImageFile

if TYPE_CHECKING:
    from astropy.table import Table

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
    """The maps of a file, and what it says of their pixels.

    Parameters
    ----------
    planes : mapping of str to PublishedMap
        Maps by the name of the property.
    survey : str
        Who made them.
    wcs : `~astropy.wcs.WCS`, optional
        Celestial WCS.
    redshift : float, optional
        Observed redshift.
    resolution_fwhm : `~astropy.units.Quantity`, optional
        Width of the PSF.
    bins : array of int, shape (y, x), optional
        Bins; negative: none.
    """

    planes: Mapping[str, PublishedMap]
    survey: str
    wcs: WCS | None = None
    redshift: float | None = None
    resolution_fwhm: u.Quantity | None = None
    bins: npt.NDArray[np.integer] | None = field(default=None)


class MapReader(ABC):
    """Base class of readers of published maps, of this package and of plugins.

    Plugins stand in the entry-point group ``picasssso.map_readers``.

    Examples
    --------
    >>> from picasssso.ifu import MapReader
    >>> class MyMaps(MapReader):
    ...     title = "maps of my survey"
    ...     def recognize(self, file):
    ...         return file.find("MY_MASS") is not None
    ...     def read(self, file, galaxy):
    ...         raise NotImplementedError
    """

    #: What it reads, in a few words.
    title: str = ""

    @abstractmethod
    def recognize(self, file: ImageFile) -> bool:
        """Say from a file's headers whether it has this format.

        Parameters
        ----------
        file : ImageFile
            The file.

        Returns
        -------
        bool
            Whether it has.
        """

    @abstractmethod
    def read(self, file: ImageFile, galaxy: str | None) -> PublishedSet:
        """Read the maps of a galaxy, as they were published.

        Parameters
        ----------
        file : ImageFile
            The file.
        galaxy : str or None
            Which galaxy, of files of many.

        Returns
        -------
        PublishedSet
            The maps.

        Raises
        ------
        FileFormatError, InvalidInputError
            If the file is not what its headers say.
        """


def list_map_formats() -> dict[str, str]:
    """Return all formats of published maps, built in and from plugins.

    Returns
    -------
    dict
        What each reads, by name.

    Examples
    --------
    >>> from picasssso.ifu import list_map_formats
    >>> list_map_formats()["pipe3d"]
    'Pipe3D maps'
    """
    return {name: MAP_FORMATS.get(name).title for name in MAP_FORMATS.names()}


def read_maps(
    path: str | os.PathLike[str],
    *,
    format: str | None = None,
    galaxy: str | None = None,
    stated: Mapping[str, Mapping[str, Any]] | None = None,
    **arguments: Any,
) -> PropertyMaps:
    """Read published maps, and bring them to this package's definitions.

    Parameters
    ----------
    path : path
        The file.
    format : str, optional
        One of `list_map_formats`, instead of recognizing it.
    galaxy : str, optional
        Which galaxy, of files of many; PLATE-IFU of MaNGA.
    stated : mapping of str to mapping, optional
        By property, what the maps mean where that is not as the survey's papers say: arguments
        of `PublishedMap`, such as ``{"stellar_mass": {"imf": "kroupa"}}``.
    **arguments : object
        Arguments of `convert_maps`, in place of what the file says: ``wcs``, ``redshift``,
        ``luminosity_distance``, ``inclination``, ``approximate``, ``resolution_fwhm``, ``bins``.

    Returns
    -------
    PropertyMaps
        The maps; ``meta["conversions"]`` says what was done.

    Raises
    ------
    FileFormatError
        If the file is missing, damaged or of no known format.
    InvalidInputError
        If something that matters is neither in the file nor given.

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
    file = ImageFile(os.path.expanduser(os.fspath(path)))
    reader = MAP_FORMATS.get(format)() if format is not None else _recognized(file)
    found = reader.read(file, galaxy)
    planes = dict(found.planes)
    for name, changes in (stated or {}).items():
        if name not in planes:
            raise InvalidInputError(
                f"stated has {name!r}: expected some of {', '.join(planes)}, which {file} holds."
            )
        planes[name] = replace(planes[name], **changes)
    known: dict[str, Any] = {
        "wcs": found.wcs,
        "redshift": found.redshift,
        "resolution_fwhm": found.resolution_fwhm,
        "bins": found.bins,
        "meta": {"estimator": found.survey, "file": file.name},
    }
    return convert_maps(planes, **(known | arguments))


def _recognized(file: ImageFile) -> MapReader:
    for name in MAP_FORMATS.names():
        reader: MapReader = MAP_FORMATS.get(name)()
        if reader.recognize(file):
            return reader
    raise FileFormatError(
        f"{file}: found no maps that are known in it ({file.contents}), expected one of "
        f"{', '.join(list_map_formats().values())}. Give convert_maps the planes of others."
    )


def maps_from_table(
    table: Table,
    planes: Mapping[str, PublishedMap],
    *,
    x: str = "ix",
    y: str = "iy",
    sky: tuple[str, str] | None = None,
    **arguments: Any,
) -> PropertyMaps:
    """Turn a table with a row for each spaxel into maps.

    Parameters
    ----------
    table : `~astropy.table.Table`
        The table, such as those of the package edge_pydb.
    planes : mapping of str to PublishedMap
        What columns mean, by the name of the property; their ``values`` and ``error`` are names
        of columns. A column's unit takes the place of ``unit=None``.
    x, y : str, optional
        Columns of the pixel, from 0.
    sky : (str, str), optional
        Columns of right ascension and declination in degrees, to which a WCS is fitted;
        otherwise ``wcs`` or ``pixel_solid_angle`` is needed.
    **arguments : object
        Arguments of `convert_maps`.

    Returns
    -------
    PropertyMaps
        Maps from pixel 0 to the last of the table.

    Raises
    ------
    InvalidInputError
        If a column is missing, or two rows are of one pixel.

    Examples
    --------
    >>> import astropy.units as u
    >>> from astropy.table import QTable
    >>> from picasssso.ifu import PublishedMap, maps_from_table
    >>> table = QTable({"ix": [0, 1, 1], "iy": [0, 0, 1],
    ...                 "mass": [10.0, 20.0, 30.0] * u.Msun / u.pc**2})
    >>> maps = maps_from_table(table, {"stellar_mass": PublishedMap("mass", None, imf="chabrier")},
    ...                        pixel_solid_angle=1 * u.arcsec**2)
    >>> print(maps["stellar_mass"].data / 1e6)
    [[10. 20.]
     [nan 30.]]
    """
    names = [x, y, *(sky or ())]
    names += [n for plane in planes.values() for n in (plane.values, plane.error) if n is not None]
    missing = [name for name in names if name not in table.colnames]
    if missing:
        raise InvalidInputError(
            f"Found no column {', '.join(map(str, missing))}: the table has "
            f"{', '.join(table.colnames)[:300]}."
        )
    columns, rows = (np.asarray(table[name], int) for name in (x, y))
    if min(columns.min(), rows.min()) < 0 or len({*zip(columns, rows, strict=True)}) < len(table):
        raise InvalidInputError(
            f"Found negative pixels in {x}, {y}, or two rows of one pixel: expected one row for "
            "each pixel, from 0. Select those of one galaxy."
        )
    shape = int(rows.max()) + 1, int(columns.max()) + 1

    def plane_of(name: str | None) -> npt.NDArray[np.floating] | None:
        if name is None:
            return None
        grid = np.full(shape, np.nan)
        column = table[name]
        values = getattr(column, "value", column)
        grid[rows, columns] = np.ma.filled(np.ma.asarray(values, float), np.nan)
        return grid

    filled = {}
    for name, plane in planes.items():
        unit = table[plane.values].unit if plane.unit is None else plane.unit
        if unit is None:
            raise InvalidInputError(f"{name!r}: column {plane.values!r} has no unit: give one.")
        filled[name] = replace(
            plane, values=plane_of(plane.values), error=plane_of(plane.error), unit=unit
        )
    if sky is not None:
        arguments = {"wcs": _fitted_wcs(table, columns, rows, sky)} | arguments
    return convert_maps(filled, **arguments)


def _fitted_wcs(table: Table, columns: Any, rows: Any, sky: tuple[str, str]) -> WCS:
    from astropy.coordinates import SkyCoord
    from astropy.wcs.utils import fit_wcs_from_points

    ra, dec = (np.asarray(getattr(table[n], "value", table[n]), float) for n in sky)
    # Some hundred points do, spread over the table.
    some = np.unique(np.linspace(0, len(table) - 1, min(len(table), 400)).astype(int))
    points = SkyCoord(ra[some], dec[some], unit="deg")
    return fit_wcs_from_points((columns[some], rows[some]), points, projection="TAN")
