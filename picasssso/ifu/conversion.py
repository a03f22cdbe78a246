"""Conversion of sets of published maps into `PropertyMaps`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np
import numpy.typing as npt
from astropy.wcs import WCS

from picasssso.bands.slots import check_redshift, scalar_quantity
from picasssso.exceptions import InvalidInputError, InvalidTypeError
from picasssso.ifu.map_tables import planes_of_table
from picasssso.ifu.published import AVERAGED, Frame, PublishedMap, convert_map, stated_unit
from picasssso.maps import PropertyArrays, PropertyMaps
from picasssso.maps.arrays import NORMAL_SCORES
from picasssso.properties import PROPERTIES, Property, get_property

if TYPE_CHECKING:
    from astropy.table import Table

FloatArray = npt.NDArray[np.floating]


def convert_maps(
    planes: Mapping[str, PublishedMap],
    *,
    table: Table | None = None,
    x: str = "ix",
    y: str = "iy",
    sky: tuple[str, str] | None = None,
    wcs: WCS | None = None,
    pixel_solid_angle: u.Quantity | None = None,
    redshift: float | None = None,
    luminosity_distance: u.Quantity | None = None,
    inclination: u.Quantity | None = None,
    approximate: Collection[str] = (),
    resolution_fwhm: u.Quantity | None = None,
    bins: npt.NDArray[np.integer] | None = None,
    meta: Mapping[str, Any] | None = None,
) -> PropertyMaps:
    """Convert published maps into `~picasssso.maps.PropertyMaps`.

    Parameters
    ----------
    planes : mapping of str to PublishedMap
        Maps by name of the property. With ``table``, their ``values`` and ``error`` are names of
        columns; for ``unit=None``, the unit of the column is used.
    table : `~astropy.table.Table`, optional
        Table with one row for each spaxel, for example of the package edge_pydb. The maps extend
        from pixel 0 to the last pixel in the table.
    x, y : str, optional
        Columns of the pixel coordinates, starting from 0.
    sky : (str, str), optional
        Columns of right ascension and declination in degrees, to which a WCS is fitted unless
        ``wcs`` is given.
    wcs : `~astropy.wcs.WCS`, optional
        Celestial WCS of the pixels.
    pixel_solid_angle : `~astropy.units.Quantity`, optional
        Solid angle of a pixel, where there is no WCS.
    redshift : float, optional
        Observed redshift.
    luminosity_distance : `~astropy.units.Quantity`, optional
        Distance; default: from the redshift, for Planck18. Needed for values per spaxel.
    inclination : `~astropy.units.Quantity`, optional
        Inclination for which surface densities were deprojected; they are converted back to
        projected ones.
    approximate : collection of str, optional
        Properties (stellar_age, stellar_metallicity, sfr) that are different averages but are to
        be used as those of this package; listed in ``meta["approximations"]``.
    resolution_fwhm : `~astropy.units.Quantity`, optional
        FWHM of the PSF, an angle.
    bins : array of int, shape (y, x), optional
        Number of the bin of each pixel; the pixels of a bin are one measurement. Negative: no bin.
    meta : mapping, optional
        Additional notes.

    Returns
    -------
    PropertyMaps
        For a Chabrier initial mass function, per projected kpc2; the percentiles of maps without
        errors are all equal.

    Raises
    ------
    InvalidInputError, InvalidTypeError
        If required information or a column is missing, a unit cannot be converted, or two rows
        have the same pixel.

    Examples
    --------
    An average of logarithms, weighted by light, is not the package's age:

    >>> import astropy.units as u
    >>> import numpy as np
    >>> from picasssso.ifu import PublishedMap, convert_maps
    >>> age = PublishedMap(np.full((4, 5), 9.5), u.dex(u.yr), weighting="light", average="log")
    >>> convert_maps({"stellar_age": age}, pixel_solid_angle=1 * u.arcsec**2).properties
    ('stellar_age_light_log',)

    Columns of a table:

    >>> from astropy.table import QTable
    >>> table = QTable({"ix": [0, 1, 1], "iy": [0, 0, 1],
    ...                 "mass": [10.0, 20.0, 30.0] * u.Msun / u.pc**2})
    >>> maps = convert_maps({"stellar_mass": PublishedMap("mass", None, imf="chabrier")},
    ...                     table=table, pixel_solid_angle=1 * u.arcsec**2)
    >>> print(maps["stellar_mass"].data / 1e6)
    [[10. 20.]
     [nan 30.]]
    """
    if not isinstance(planes, Mapping) or not all(
        isinstance(plane, PublishedMap) for plane in planes.values()
    ):
        raise InvalidTypeError(
            "planes: expected a mapping such as {'stellar_mass': PublishedMap(...)}, found "
            f"{str(planes)[:60]!r}."
        )
    if not planes:
        raise InvalidInputError("There are no maps: expected at least one PublishedMap.")
    if table is not None:
        planes, fitted = planes_of_table(table, planes, x, y, sky)
        wcs = fitted if wcs is None else wcs
    approximate = [approximate] if isinstance(approximate, str) else approximate
    unknown = sorted(set(approximate) - set(AVERAGED))
    if unknown:
        raise InvalidInputError(
            f"approximate has {', '.join(unknown)}: expected some of {', '.join(AVERAGED)}."
        )
    redshift = None if redshift is None else check_redshift(redshift)
    if inclination is not None:
        inclination = _angle(inclination, "inclination", "60 * u.deg")
    if resolution_fwhm is not None:
        resolution_fwhm = _angle(resolution_fwhm, "resolution_fwhm", "2.5 * u.arcsec")
    if luminosity_distance is None and redshift is not None and redshift >= 0.003:
        from astropy.cosmology import Planck18

        luminosity_distance = Planck18.luminosity_distance(redshift)
    frame = Frame(wcs, pixel_solid_angle, redshift, luminosity_distance, inclination)
    arrays, definitions, notes, taken = {}, {}, [], []
    for name, plane in planes.items():
        definition, centers, errors, note = convert_map(name, plane, frame)
        logarithmic = isinstance(stated_unit(name, plane), u.DexUnit)
        if definition.name != name and name in approximate:
            taken.append(f"{name}: {definition.label}, taken for the package's {name}")
            definition = get_property(name)
        notes += note
        definitions[definition.name] = definition
        arrays[definition.name] = _arrays(centers, errors, logarithmic, definition)
        if plane.error is None:
            notes.append(f"{definition.name}: no errors stated, percentiles have no width")
    record: dict[str, Any] = {**(meta or {}), "conversions": notes, "approximations": taken}
    if resolution_fwhm is not None:
        record["resolution_fwhm_arcsec"] = float(resolution_fwhm.to_value(u.arcsec))
    return PropertyMaps(
        arrays,
        quality=None,
        wcs=wcs,
        pixel_solid_angle=pixel_solid_angle if wcs is None else None,
        definitions={n: d for n, d in definitions.items() if n not in PROPERTIES},
        redshift=redshift,
        luminosity_distance=luminosity_distance if redshift is not None else None,
        bins=bins,
        meta=record,
    )


def _angle(value: Any, what: str, example: str) -> u.Quantity:
    angle = scalar_quantity(value, what, example)
    if angle.unit.physical_type != "angle":
        raise InvalidInputError(f"{what}: found {value}, expected an angle such as {example}.")
    return angle


def _arrays(
    centers: FloatArray, errors: FloatArray | None, logarithmic: bool, definition: Property
) -> PropertyArrays:
    """Return percentiles, log-normal if errors are those of logarithms."""
    scores = np.array(NORMAL_SCORES)[:, None, None]
    width = np.zeros_like(centers) if errors is None else np.abs(errors)
    known = np.isfinite(centers) & np.isfinite(width)
    centers, width = np.where(known, centers, np.nan), np.where(known, width, np.nan)
    planes = centers * 10.0 ** (scores * width) if logarithmic else centers + scores * width
    return PropertyArrays(planes, centers if definition.is_surface_density else None)
