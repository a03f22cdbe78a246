"""Conversion of tables with one row for each spaxel into maps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from astropy.wcs import WCS

from picasssso.exceptions import InvalidInputError, InvalidTypeError
from picasssso.ifu.published import PublishedMap

if TYPE_CHECKING:
    from astropy.table import Table


#: Pixels along a side that no map of a galaxy has.
_LARGEST = 20_000


def planes_of_table(
    table: Table, planes: Mapping[str, PublishedMap], x: str, y: str, sky: tuple[str, str] | None
) -> tuple[dict[str, PublishedMap], WCS | None]:
    """Return planes with arrays in place of names of columns, and the WCS fitted to ``sky``."""
    if not hasattr(table, "colnames"):
        raise InvalidTypeError(f"Found {type(table).__name__}: expected an astropy Table.")
    if not all(isinstance(plane.values, str) for plane in planes.values()):
        raise InvalidTypeError("Found arrays in planes: expected names of columns of the table.")
    names = [x, y, *(sky or ())]
    names += [n for plane in planes.values() for n in (plane.values, plane.error) if n is not None]
    missing = [name for name in names if name not in table.colnames]
    if missing:
        raise InvalidInputError(
            f"Found no column {', '.join(map(str, missing))}: the table has "
            f"{', '.join(table.colnames)[:300]}."
        )
    columns, rows = (_pixels(table, name) for name in (x, y))
    if (
        not len(table)
        or min(columns.min(), rows.min()) < 0
        or len({*zip(columns, rows, strict=True)}) < len(table)
    ):
        raise InvalidInputError(
            f"Found no rows, negative pixels in {x}, {y}, or two rows of one pixel: expected one "
            "row for each pixel, from 0. Select those of one galaxy."
        )
    shape = int(rows.max()) + 1, int(columns.max()) + 1

    def plane_of(name: str | None) -> npt.NDArray[np.floating] | None:
        if name is None:
            return None
        grid = np.full(shape, np.nan)
        column = table[name]
        values = getattr(column, "value", column)
        try:
            grid[rows, columns] = np.ma.filled(np.ma.asarray(values, float), np.nan)
        except ValueError:
            raise InvalidTypeError(
                f"Column {name!r} is of {column.dtype}: expected numbers."
            ) from None
        return grid

    filled = {}
    for name, plane in planes.items():
        unit = table[plane.values].unit if plane.unit is None else plane.unit
        if unit is None:
            raise InvalidInputError(f"{name!r}: column {plane.values!r} has no unit: give one.")
        filled[name] = replace(
            plane, values=plane_of(plane.values), error=plane_of(plane.error), unit=unit
        )
    return filled, None if sky is None else _fitted_wcs(table, columns, rows, sky)


def _pixels(table: Table, name: str) -> npt.NDArray[np.int64]:
    """Return the numbers of pixels in a column."""
    values: npt.NDArray[np.floating] = np.ma.filled(np.ma.asarray(table[name], float), np.nan)
    if not np.all(values == np.round(values)) or np.any(np.abs(values) > _LARGEST):
        raise InvalidInputError(
            f"Column {name!r}: expected numbers of pixels, whole and below {_LARGEST}."
        )
    return np.asarray(values, np.int64)


def _fitted_wcs(table: Table, columns: Any, rows: Any, sky: tuple[str, str]) -> WCS:
    from astropy.coordinates import SkyCoord
    from astropy.wcs.utils import fit_wcs_from_points

    ra, dec = (np.asarray(getattr(table[n], "value", table[n]), float) for n in sky)
    # Some hundred points do, spread over the table.
    some = np.unique(np.linspace(0, len(table) - 1, min(len(table), 400)).astype(int))
    points = SkyCoord(ra[some], dec[some], unit="deg")
    return fit_wcs_from_points((columns[some], rows[some]), points, projection="TAN")
