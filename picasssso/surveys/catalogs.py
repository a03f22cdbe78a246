"""Tables of galaxies: which column is what, and what each galaxy needs to be worked on."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
import numpy.typing as npt
from astropy.table import Table

from picasssso._core.before_opening import check_before_opening
from picasssso.exceptions import FileFormatError, InvalidInputError, MissingDependencyError

#: Names under which columns are found, in small letters.
USUAL = {
    "id": ("id", "name", "objid", "obj_id", "object_id", "objname", "source_id", "galaxy",
           "specobjid", "nsaid", "plateifu", "targetid", "main_id"),
    "ra": ("ra", "raj2000", "ra_j2000", "alpha_j2000", "_raj2000", "ra_icrs", "ra_deg"),
    "dec": ("dec", "dej2000", "dec_j2000", "decj2000", "delta_j2000", "_dej2000", "de_icrs",
            "dec_deg"),
    "redshift": ("redshift", "z", "z_spec", "zspec", "specz", "spec_z", "rvz_redshift"),
    "distance": ("distance", "luminosity_distance", "d_l", "dl"),
    "ebv": ("ebv", "e_bv", "e(b-v)", "ebmv", "e_b_v", "e_b-v", "e_b-v_"),
    "size": ("size", "cutout_size"),
}  # fmt: skip
#: What a column is brought to; whether numbers without a unit are taken to be in it already.
UNITS = {"ra": (u.deg, True), "dec": (u.deg, True), "distance": (u.Mpc, False),
         "size": (u.arcsec, False)}  # fmt: skip
#: Endings of tables of text, whose kind astropy finds by looking inside.
_TEXT = (".txt", ".dat", ".cat", ".tab", ".tsv", ".tbl", ".mrt")
_PARQUET = (".parquet", ".parq")
#: A column z beside one of these may be a magnitude.
_MAGNITUDES = {"u", "g", "r", "i", "y"}


@dataclass(frozen=True)
class Galaxy:
    """One row of a catalog, and its values: degrees, size in arcsec, distance in Mpc.

    ``missing``: what the catalog has a column of, but not for this galaxy.
    """

    number: int
    id: str
    redshift: float
    position: tuple[float, float] | None = None
    distance: float | None = None
    ebv: float | None = None
    size: float | None = None
    missing: tuple[str, ...] = ()
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Catalog:
    """A table of galaxies, checked; ``columns``: name by role."""

    table: Table
    columns: Mapping[str, str]
    numbers: Mapping[str, npt.NDArray[np.float64]]
    ids: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, k: int) -> Galaxy:
        numbers = {role: float(values[k]) for role, values in self.numbers.items()}
        given = {role: value for role, value in numbers.items() if np.isfinite(value)}
        place = (given["ra"], given["dec"]) if {"ra", "dec"} <= given.keys() else None
        row = self.table[k]
        values = {name: _plain(row[name]) for name in self.table.colnames}
        whole = values[self.columns["id"]]
        # Of whole numbers patterns may state the width, {id:06d}.
        values["id"] = whole if isinstance(whole, int) else self.ids[k]
        return Galaxy(
            k,
            self.ids[k],
            numbers["redshift"],
            place,
            given.get("distance"),
            given.get("ebv"),
            given.get("size"),
            tuple(role for role in numbers if role not in given),
            values=values,
        )


def read_catalog(
    catalog: Table | str | os.PathLike[str], columns: Mapping[str, str] | None = None
) -> Catalog:
    """Read a catalog of galaxies and find its columns.

    ``columns``: name of a column by role (`USUAL`), with a unit as in ``"dist [Mpc]"`` where the
    table does not give one.
    """
    table = catalog if isinstance(catalog, Table) else _read(catalog)
    if not len(table):
        raise InvalidInputError("The catalog has no rows: expected one for each galaxy.")
    found, units = _find_columns(table, dict(columns or {}))
    ids = tuple(_text(value) for value in table[found["id"]])
    seen: set[str] = set()
    for name in ids:
        if not name or name in seen:
            raise InvalidInputError(
                f"The catalog's column {found['id']!r} holds {name!r} "
                f"{'twice' if name else '(nothing)'}: expected a different name for each "
                "galaxy. Give the column: columns={'id': 'NAME'}."
            )
        seen.add(name)
    numbers = {
        role: _numbers(table, name, role, units.get(role))
        for role, name in found.items()
        if role != "id"
    }
    return Catalog(table, found, numbers, ids)


def _read(path: str | os.PathLike[str]) -> Table:
    name = Path(path).expanduser()
    if not name.is_file():
        raise FileFormatError(f"There is no catalog {path}.")
    if ".fits" in name.suffixes or ".fit" in name.suffixes:
        check_before_opening(name, "Catalog")
    kind = {"format": "ascii"} if name.suffix in ("", *_TEXT) else {}
    try:
        return _read_parquet(name) if name.suffix in _PARQUET else Table.read(name, **kind)
    except ImportError as error:
        raise MissingDependencyError(
            f"The catalog {path} needs another package: {str(error).rstrip('.')}. Install it "
            "(python -m pip install pandas pyarrow for Parquet), or convert the table to FITS."
        ) from error
    except Exception as error:  # whatever the reader of some format raises
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200].rstrip(".")
        raise FileFormatError(
            f"The catalog {path} cannot be read as a table: {reason}. Expected ECSV, FITS, "
            "VOTable, CSV, Parquet (with pandas and pyarrow) or another format of "
            "astropy.table.Table.read."
        ) from error


def _read_parquet(path: Path) -> Table:
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "No table::len")  # of files by others than astropy
            return Table.read(path, format="parquet")
    except TypeError:  # text without a value, which astropy does not read
        import pandas

        return Table.from_pandas(pandas.read_parquet(path))


def _find_columns(
    table: Table, told: dict[str, str]
) -> tuple[dict[str, str], dict[str, u.UnitBase]]:
    unknown = set(told) - set(USUAL)
    if unknown:
        raise InvalidInputError(
            f"columns= names {', '.join(sorted(unknown))}: expected some of {', '.join(USUAL)}."
        )
    found: dict[str, str] = {}
    units: dict[str, u.UnitBase] = {}
    lower = {name.lower() for name in table.colnames}
    for role, usual in USUAL.items():
        if role in told:
            found[role], unit = _split(told[role], table)
            if unit is not None:
                units[role] = unit
            continue
        names = [name for name in table.colnames if name.lower() in usual]
        if role == "redshift" and len(_MAGNITUDES & lower) > 1:
            names = [name for name in names if name.lower() != "z"]
        if len(names) > 1:
            raise InvalidInputError(
                f"The catalog has {' and '.join(names)}, each of which could be the {role}: give "
                f"one of them, columns={{{role!r}: {names[0]!r}}}."
            )
        if names:
            found[role] = names[0]
        elif role in ("id", "redshift"):
            raise InvalidInputError(
                f"The catalog has no column with a usual name of the {role} (such as "
                f"{', '.join(usual[:3])}): give its name, columns={{{role!r}: 'NAME'}}. It "
                f"has {', '.join(table.colnames)[:300]}."
            )
    return found, units


def _split(text: str, table: Table) -> tuple[str, u.UnitBase | None]:
    """Return a column's name, and its unit if it was given as ``name [unit]``."""
    if text in table.colnames:
        return text, None
    match = re.fullmatch(r"\s*(.+?)\s*\[(.+)\]\s*", text)
    name = match[1] if match else text
    if name not in table.colnames:
        raise InvalidInputError(
            f"The catalog has no column {name!r}; it has {', '.join(table.colnames)[:300]}."
        )
    try:
        return name, u.Unit(match[2]) if match else None
    except ValueError as error:
        raise InvalidInputError(f"{text!r}: found no unit in brackets ({error}).") from None


def _numbers(
    table: Table, name: str, role: str, unit: u.UnitBase | None
) -> npt.NDArray[np.float64]:
    column = table[name]
    unit = unit or column.unit
    try:
        values = _floats(column)
    except (TypeError, ValueError):
        if role not in ("ra", "dec"):
            raise InvalidInputError(
                f"The catalog's column {name!r}, the {role}, holds {_first_word(column)!r}: "
                "expected numbers."
            ) from None
        return _check_angles(_sexagesimal(column, role, unit), name, role)
    if role == "redshift":
        if unit is not None and unit.physical_type == "speed":
            raise InvalidInputError(
                f"The catalog's column {name!r}, the redshift, is in {unit}: expected redshifts "
                "without a unit, velocities divided by the speed of light."
            )
        bad = np.flatnonzero(~(values > -0.005))
        if len(bad) == len(values):
            raise InvalidInputError(
                f"The catalog's column {name!r} contains no redshift (numbers above -0.005): give "
                "the column that does, columns={'redshift': 'NAME'}."
            )
        return values  # a galaxy without one fails by itself
    if role not in UNITS:
        return values
    target, taken = UNITS[role]
    if unit is None and not taken:
        raise InvalidInputError(
            f"The catalog's column {name!r}, the {role}, has no unit: give it, "
            f"columns={{{role!r}: '{name} [{target}]'}}."
        )
    try:
        values = (values * (unit or target)).to_value(target)
    except u.UnitConversionError:
        raise InvalidInputError(
            f"The catalog's column {name!r}, the {role}, is in {unit}: expected a unit like "
            f"{target}."
        ) from None
    return _check_angles(values, name, role)


def _floats(column: Any) -> npt.NDArray[np.float64]:
    """Return numbers, also those written as text, with NaN where there is none."""
    if getattr(column, "dtype", np.dtype(float)).kind in "SUO":
        column = [np.nan if text in ("", "None") else text for text in map(_text, column)]
    elif hasattr(column, "unmasked"):  # of a QTable
        column = column.filled(np.nan).value
    return np.ma.filled(np.ma.asarray(column, float), np.nan)


def _sexagesimal(column: Any, role: str, unit: u.UnitBase | None) -> npt.NDArray[np.float64]:
    """Return degrees from text such as 12:34:56.7, which of a right ascension are hours."""
    from astropy.coordinates import Angle

    known = unit if unit in (u.deg, u.hourangle) else u.hourangle if role == "ra" else u.deg
    values = np.full(len(column), np.nan)
    for k, text in enumerate(map(_text, column)):
        try:
            values[k] = Angle(text, known).deg if text else np.nan
        except (ValueError, u.UnitsError):
            what = (
                f"hours such as 12:34:56.7 (of degrees: columns={{'ra': '{column.name} [deg]'}})"
                if role == "ra"
                else "degrees such as -01:23:45"
            )
            raise InvalidInputError(
                f"The catalog's column {column.name!r}, the {role}, holds {text!r}: expected "
                f"numbers in degrees, or sexagesimal {what}."
            ) from None
    return values


def _check_angles(values: npt.NDArray[np.float64], name: str, role: str) -> Any:
    if role == "dec" and np.nanmax(np.abs(values), initial=0) > 90:
        raise InvalidInputError(f"The catalog's column {name!r} holds declinations beyond 90 deg.")
    if role == "ra" and np.nanmax(np.abs(values), initial=0) > 360:
        raise InvalidInputError(
            f"The catalog's column {name!r} holds right ascensions beyond 360 deg: give the "
            "column, with its unit, columns={'ra': 'NAME [deg]'}."
        )
    return values


def _first_word(column: Any) -> str:
    """Return the first text of a column that is no number."""
    for text in map(_text, column):
        try:
            float(text or "nan")
        except ValueError:
            return text
    return _text(column[0])


def _plain(value: Any) -> Any:
    """Return a cell as a plain Python value; None where there is none."""
    if np.ndim(value) == 0 and np.ma.is_masked(value):
        return None
    value = getattr(value, "value", value)
    value = value.item() if hasattr(value, "item") and np.ndim(value) == 0 else value
    return value.decode() if isinstance(value, bytes) else value


def _text(value: Any) -> str:
    value = _plain(value)
    return "" if value is None else str(value).strip()
