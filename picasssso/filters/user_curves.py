"""Curves of one's own: read from files, and kept in the files of images and maps."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np

from picasssso._core.before_opening import check_before_opening
from picasssso._core.headers import IMAGES_FORMAT, MAPS_FORMAT
from picasssso._core.metadata import from_json
from picasssso.exceptions import FileFormatError, InvalidInputError, PicassssoWarning
from picasssso.filters.curves import (
    FloatArray,
    define,
    filter_hash,
    library_hash,
    load_filter,
    make_curve,
    padded,
    pivot_of,
)

if TYPE_CHECKING:
    from astropy.table import Table
    from speclite.filters import FilterResponse

#: Largest response at the end of a curve, relative to its peak, that is no sign of a cut.
_CUT = 0.01
#: Ratio of wavelengths of neighboring points over which sums are no longer good integrals.
_COARSE = 1.005
#: Wavelengths at which galaxies are imaged, AA: from the Lyman limit to 1 mm.
_RANGE = 900.0, 1e7
_SPELLINGS = {"angstrom": "AA", "micron": "um", "micrometer": "um", "nanometer": "nm"}
_WAVELENGTH = r"wave(length)?s?|lambda|lam|wl"
_RESPONSE = r"response|throughput|transmission|trans|qe"


def read_filter(
    path: str | os.PathLike[str],
    name: str | None = None,
    *,
    unit: str | u.UnitBase | None = None,
    response: str | None = None,
) -> FilterResponse:
    r"""Read a response curve and define it as the filter of a name.

    It replaces any filter of the same name, including those of the libraries.

    Parameters
    ----------
    path : str or path-like
        Text of two columns, ECSV, VOTable, a FITS table (``file.fits[HDU]``), or a file of images
        or maps that keeps the curve. Of more than two columns, those called wavelength (or
        lambda) and response (or throughput, transmission) are taken.
    name : str, optional
        Name of the filter, ``group-band``. Default: what ``group_name`` and ``band_name`` in
        the file's metadata say.
    unit : str or `~astropy.units.Unit`, optional
        Unit of wavelength, such as ``"nm"``. Needed unless the file states it.
    response : {"photon", "energy"}, optional
        Whether the response is that to photons (electrons per photon, the usual kind) or to
        energy; the latter is divided by wavelength. Needed unless the file's metadata say so
        (``response: photon``); files in speclite's own form hold photon responses.

    Returns
    -------
    speclite.filters.FilterResponse
        The curve, by name usable as a band from now on.

    Raises
    ------
    FileFormatError
        If the file cannot be read.
    InvalidInputError
        If unit, kind or name are not stated or contradict the file, or the curve is none.

    Warns
    -----
    PicassssoWarning
        If the curve is cut off at more than 1 % of its peak, or hides one of a library.

    Examples
    --------
    >>> from picasssso.filters import read_filter
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "curve.txt"
    ...     _ = path.write_text("600 0\n610 0.5\n650 0.5\n660 0\n")
    ...     curve = read_filter(path, "mine-r", unit="nm", response="photon")
    >>> curve.name
    'mine-r'
    """
    table = _read(path)
    if isinstance(table, dict):
        name = next(iter(table)) if name is None and len(table) == 1 else name
        if name is None or name not in table:
            found = ", ".join(table) or "none"
            raise InvalidInputError(f"Filter {name!r}: found {found} kept in {path}, expected it.")
        return define(_from_record(name, table[name], os.fspath(path)))
    meta = {str(key).lower(): value for key, value in table.meta.items()}
    speclites = {"group_name", "band_name"} <= set(meta)
    if name is None and speclites:
        name = f"{meta['group_name']}-{meta['band_name']}"
    columns = _columns(table, path)
    # A unit that astropy does not know is overruled.
    known = None if unit is not None and _is_unknown(columns[0].unit) else columns[0].unit
    units = [_unit(text, path) for text in (known, unit) if text not in (None, "")]
    kinds = [response, meta.get("response", "photon" if speclites else None)]
    kinds = [str(kind).strip().lower() for kind in kinds if kind is not None]
    lacking = [
        text
        for values, text in (
            (units, "the unit of wavelength, unit='nm', 'AA' or 'um'"),
            (kinds, "the kind of response, response='photon' or 'energy'"),
            ([name] if name else [], "a name such as 'my_camera-F150W'"),
        )
        if not values
    ]
    if lacking:
        raise InvalidInputError(
            f"Filter {name!r}: found none stated in {path}, which is never guessed: give "
            f"{'; '.join(lacking)}. On the command line: --filter NAME=FILE,nm,photon."
        )
    for what, values in (("unit of wavelength", units), ("kind of response", kinds)):
        if values[0] != values[-1]:
            raise InvalidInputError(
                f"Filter {name!r}: found the {what} {values[0]} and {values[-1]} stated, in "
                f"{path} and beside it, expected one: leave out what is given beside the file."
            )
    if kinds[0] not in ("photon", "energy"):
        raise InvalidInputError(
            f"Filter {name!r}: found response={kinds[0]!r}, expected 'photon' or 'energy'."
        )
    wavelength = np.ma.filled(np.ma.asarray(columns[0], float), np.nan) * units[0].to(u.AA)
    responses: FloatArray = np.ma.filled(np.ma.asarray(columns[1], float), np.nan)
    source = os.path.basename(os.fspath(path))
    curve = _refined(
        _checked(str(name), wavelength, responses, source, energy=kinds[0] == "energy")
    )
    if library_hash(str(name)) not in (None, filter_hash(curve)):
        warnings.warn(
            f"Filter {name!r}: the curve of {path} takes the place of the library's of this name, "
            "for the rest of the session. Choose another name to have both.",
            PicassssoWarning,
            stacklevel=2,
        )
    return define(curve)


def check_name(name: str) -> None:
    """Refuse a name that files and speclite cannot keep."""
    if not re.fullmatch(r"[A-Za-z_]\w*-[A-Za-z_]\w*", name, re.ASCII):
        raise InvalidInputError(
            f"Filter {name!r}: expected a name GROUP-BAND of letters, digits and underscores, "
            "such as 'my_camera-F150W'."
        )


def _checked(
    name: str, wavelength: FloatArray, response: FloatArray, source: str, *, energy: bool = False
) -> FilterResponse:
    """Return a curve if it is one; see `make_curve`."""
    what = f"Filter {name!r}"
    check_name(name)
    if wavelength.ndim != 1 or wavelength.size < 2 or wavelength.shape != response.shape:
        raise InvalidInputError(
            f"{what}: found {wavelength.size} wavelengths and {response.size} responses in "
            f"{source}, expected the same number of both, at least 2."
        )
    if wavelength[0] > wavelength[-1]:
        wavelength, response = wavelength[::-1], response[::-1]
    if not np.isfinite([wavelength, response]).all() or np.any(np.diff(wavelength) <= 0):
        raise InvalidInputError(
            f"{what}: found values that are not finite, or wavelengths that do not ascend, in "
            f"{source}, expected numbers ordered by wavelength, each once."
        )
    peak = response.max()
    if wavelength[0] <= 0 or not peak > 0 or response.min() < -_CUT * peak:
        raise InvalidInputError(
            f"{what}: found wavelengths from {wavelength[0]:.6g} AA and responses from "
            f"{response.min():.4g} to {peak:.4g} in {source}, expected positive ones, with noise "
            f"below 0 of at most {_CUT:.0%} of the peak."
        )
    middle = float(np.average(wavelength, weights=np.maximum(response, 0.0)))
    if not _RANGE[0] <= middle <= _RANGE[1]:
        raise InvalidInputError(
            f"{what}: found a curve around {middle:.4g} AA in {source}, expected one from "
            f"{_RANGE[0]:g} to {_RANGE[1]:g} AA. Check the unit of wavelength."
        )
    response = np.maximum(response, 0.0)
    if energy:
        response = response / wavelength
        response /= response.max()
    worst = max(response[0], response[-1]) / response.max()
    if worst > _CUT:
        warnings.warn(
            f"{what}: the curve of {source} is cut off at {worst:.0%} of its peak; beyond, it is "
            "assumed to be 0. Give the complete curve if there is one.",
            PicassssoWarning,
            stacklevel=3,
        )
    wavelength, response = padded(wavelength, response)
    return make_curve(name, wavelength, response, {"description": source})


def _refined(curve: FilterResponse) -> FilterResponse:
    """Return a curve with straight lines between points far apart drawn out, as it is meant."""
    wavelength, response = np.asarray(curve.wavelength), np.asarray(curve.response)
    ratio = wavelength[1:] / wavelength[:-1]
    if ratio.max() < _COARSE:
        return curve
    number = int(np.log(wavelength[-1] / wavelength[0]) / np.log(_COARSE) * 4)
    finer = np.union1d(wavelength, np.geomspace(wavelength[0], wavelength[-1], number)[1:-1])
    name = f"{curve.meta['group_name']}-{curve.meta['band_name']}"
    return make_curve(name, finer, np.interp(finer, wavelength, response), curve.meta)


def _is_unknown(text: Any) -> bool:
    return isinstance(text, u.UnrecognizedUnit) and _spelled(text) is None


def _spelled(text: Any) -> str | None:
    """Return the unit that a spelling of synphot's tables means (ANGSTROMS, MICRONS)."""
    return _SPELLINGS.get(str(text).strip().lower().removesuffix("s"))


def _unit(text: Any, path: Any) -> u.UnitBase:
    try:
        unit = u.Unit(_spelled(text) or text)
        unit.to(u.AA)
    except (ValueError, TypeError, u.UnitsError):
        raise InvalidInputError(
            f"Filter: found {text!s} as the unit of wavelength of {path}, expected a length such "
            "as 'AA', 'nm' or 'um'."
        ) from None
    return unit


def _read(path: str | os.PathLike[str]) -> Table | dict[str, Any]:
    """Return a file's table, or the records of curves in a file of images or maps."""
    from astropy.table import Table

    file, hdu = os.path.expanduser(os.fspath(path)), None
    if not os.path.exists(file) and (match := re.fullmatch(r"(.+)\[([^\[\]]+)\]", file)):
        file, hdu = match[1], int(match[2]) if match[2].isdigit() else match[2]
    if not os.path.isfile(file):
        raise FileFormatError(f"Filter: found no file {file}. Check the name and the folder.")
    try:
        with open(file, "rb") as stream:
            start = stream.read(2880)
        if start.startswith(b"SIMPLE"):
            check_before_opening(file, "Filter")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of astropy, on units and tables
            if any(f"{card:8}=".encode() in start for card in (IMAGES_FORMAT, MAPS_FORMAT)):
                table = Table.read(file, format="fits", hdu="META")
                rows = {str(row["KEY"]): str(row["JSON"]) for row in table}
                found = from_json(rows.get("filters", "{}"))
                return dict(found or from_json(rows["meta"]).get("filters", {}))
            if start.startswith(b"SIMPLE"):
                return Table.read(file, format="fits", hdu=1 if hdu is None else hdu)
            if b"<VOTABLE" in start:
                return Table.read(file, format="votable")
            ecsv = start.startswith(b"# %ECSV")
            return Table.read(file, format="ascii.ecsv" if ecsv else "ascii")
    except FileFormatError:
        raise
    # What astropy's readers raise of damaged files is a long and open list.
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise FileFormatError(
            f"Filter: cannot read {path} as a table ({reason}), expected two columns of text, "
            "ECSV, a VOTable or a FITS table."
        ) from error


def _columns(table: Table, path: Any) -> tuple[Any, Any]:
    """Return the columns of wavelength and response: by their names, else the only two."""
    wavelengths, responses = (
        [name for name in table.colnames if re.fullmatch(pattern, name, re.IGNORECASE)]
        for pattern in (_WAVELENGTH, _RESPONSE)
    )
    named = len(wavelengths) == len(responses) == 1
    columns = [table[n] for n in ([*wavelengths, *responses] if named else table.colnames)]
    if len(columns) != 2 or any(c.dtype.kind not in "fiu" or c.ndim > 1 for c in columns):
        raise InvalidInputError(
            f"Filter: found the columns {', '.join(map(str, table.colnames))[:200]} in {path}, "
            "expected two columns of numbers, or among others one called wavelength and one "
            "called response, throughput or transmission."
        )
    return columns[0], columns[1]


# ---- curves in the files of images and maps ------------------------------------------------


def own_curves(bands: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return records of those curves that no library has, for files to keep."""
    records = {}
    for band in bands:
        curve = load_filter(band)
        if filter_hash(curve) != library_hash(band):
            records[band] = {
                "wavelength_angstrom": np.asarray(curve.wavelength, float).tolist(),
                "photon_response": np.asarray(curve.response, float).tolist(),
                "source": str(curve.meta.get("description", "")),
            }
    return records


def session_curves() -> dict[str, dict[str, Any]]:
    """Return records of all curves defined in this session, for other processes."""
    from speclite.filters import _filter_cache

    return own_curves(list(_filter_cache))


def _from_record(name: str, record: Any, where: str) -> FilterResponse:
    try:
        wavelength = np.asarray(record["wavelength_angstrom"], float)
        response = np.asarray(record["photon_response"], float)
        source = str(record["source"])
    except (TypeError, KeyError, ValueError) as error:
        raise InvalidInputError(f"Filter {name!r}: found it damaged in {where}.") from error
    curve = _checked(name, wavelength, response, where)
    curve.meta["description"] = source
    return curve


def adopt_curves(records: Mapping[str, Any], where: str) -> None:
    """Define the curves that a file kept, unless this session has others of these names."""
    for name, record in records.items():
        curve = _from_record(name, record, where)
        try:
            known = load_filter(name)
        except InvalidInputError:
            define(curve)
            continue
        if filter_hash(known) == filter_hash(curve):
            continue
        text = (
            f"Filter {name!r}: {where} keeps a curve with the pivot {pivot_of(curve):.1f} AA, not "
            f"that of {pivot_of(known):.1f} AA which this session has. "
        )
        if filter_hash(known) == library_hash(name):
            define(curve)
            text += "That of the file takes the place of the library's."
        else:
            text += f"The session's remains; that of the file: read_filter(FILE, {name!r})."
        warnings.warn(text, PicassssoWarning, stacklevel=3)
