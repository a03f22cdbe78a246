"""Curves that come with speclite and astro-sedpy, and those defined in the session."""

from __future__ import annotations

import hashlib
import os
import re
import warnings
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from functools import lru_cache
from importlib import resources
from textwrap import shorten
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from picasssso.exceptions import InvalidInputError, PicassssoWarning

if TYPE_CHECKING:
    import astropy.units as u
    from astropy.table import QTable
    from speclite.filters import FilterResponse

FloatArray = npt.NDArray[np.float64]

#: Groups of filters of astro-sedpy: its names as a pattern whose groups make the band's name, and
#: where the curves are from, as its files say.
_SEDPY = {
    "cfht_wircam": (r"cfht_wircam_(J|H|Ks)_\d+", "CFHT"),
    "hst_acs_wfc": (r"acs_wfc_(\w+)", "STScI, ACS throughputs of 2017"),
    "hst_wfc3_ir": (r"wfc3_ir_(\w+)", "STScI, WFC3 system throughputs"),
    "hst_wfc3_uvis": (r"wfc3_uvis_(\w+)", "STScI, WFC3 system throughputs, chip 1"),
    "jwst_miri": (r"jwst_(f(?:560|770|\d{4})w)", "MIRI team, TN-00072-ATC, before launch"),
    "jwst_nircam": (r"jwst_(f(?!560|770)\d{3}[wmn]2?)", "B. Hilbert (STScI), May 2024, in flight"),
    "jwst_niriss": (r"jwst_niriss_(\w+)", "STScI, November 2022, telescope and filter alone"),
    "roman": (r"roman_wfi_(\w+)", "GSFC, effective areas of March 2024, mean of the detectors"),
    "spitzer": (r"spitzer_(irac|mips)_(?:ch)?(\d+)", "IRSA, Spitzer Science Center"),
    "swift_uvot": (r"uvot_(\w+)", "E. Hoversten (2011), by FSPS"),
    "ukidss": (r"ukirt_wfcam_([JHK])", "UKIDSS Ultra Deep Survey"),
    "vista": (r"vista_vircam_(Z|Y|J|H|Ks)", "ESO, VIRCAM with detector and atmosphere"),
}


@lru_cache(maxsize=1)
def _library_files() -> dict[str, str]:
    """Return the files of curves that come with speclite and sedpy, by name of the filter."""
    import speclite.filters

    folder = str(resources.files("speclite").joinpath("data", "filters"))
    groups = speclite.filters.filter_group_names
    found = {name[:-5]: os.path.join(folder, name) for name in sorted(os.listdir(folder))}
    found = {name: path for name, path in found.items() if name.partition("-")[0] in groups}
    try:
        folder = str(resources.files("sedpy").joinpath("data", "filters"))
    except ModuleNotFoundError:
        return found
    for name in sorted(os.listdir(folder)):
        for group, (pattern, _) in _SEDPY.items():
            if match := re.fullmatch(rf"{pattern}\.par", name):
                found[f"{group}-{''.join(match.groups())}"] = os.path.join(folder, name)
    return found


def _library_curve(name: str) -> FilterResponse | None:
    """Return the curve that a library has for a filter, without defining it."""
    path = _library_files().get(name)
    if path is None:
        return None
    if path.endswith(".ecsv"):
        return make_curve(name, *_read_ecsv(path))
    from sedpy.observate import Filter

    # Its own reading of text, by numpy.genfromtxt, takes ten times as long.
    data = np.loadtxt(path, usecols=(0, 1), unpack=True)
    curve = Filter(os.path.basename(path)[:-4], data=data)
    source = f"{_SEDPY[name.partition('-')[0]][1]}; astro-sedpy"
    wavelength, response = padded(curve.wavelength, curve.transmission)
    return make_curve(name, wavelength, response, {"description": source})


def _read_ecsv(path: str) -> tuple[FloatArray, FloatArray, dict[str, Any]]:
    """Return wavelengths in AA, responses and notes of a file of speclite.

    Tables of astropy, which read any ECSV, take four times as long.
    """
    import astropy.units as u
    from astropy.table.meta import get_header_from_yaml

    with open(path, encoding="utf-8") as file:
        lines = file.read().splitlines()
    comments = [line[2:] for line in lines if line.startswith("#") and line.strip() != "#"]
    header = get_header_from_yaml(comments[1:])  # after the version
    # After the names of the columns.
    rows = [line for line in lines if line and not line.startswith("#")][1:]
    wavelength, response = np.loadtxt(rows, unpack=True)
    columns = header["datatype"]
    wavelength = (wavelength * u.Unit(columns[0]["unit"])).to_value(u.AA)
    meta = {name: value for name, value in header["meta"].items() if not name.startswith("_")}
    return wavelength, response.astype(columns[1]["datatype"]), meta


def make_curve(
    name: str, wavelength: FloatArray, response: FloatArray, meta: Mapping[str, Any]
) -> FilterResponse:
    """Return a curve, wavelengths in AA, that is not the one of its name yet: see `define`."""
    import astropy.units as u
    from speclite.filters import FilterResponse

    group, _, band = name.partition("-")
    meta = {**meta, "group_name": group, "band_name": band}
    # A shift of 0 keeps it out of speclite's dictionary.
    return FilterResponse(wavelength * u.AA, response, meta, band_shift=0.0)


def define(curve: FilterResponse) -> FilterResponse:
    """Make a curve the one of its name."""
    import astropy.units as u
    from speclite.filters import FilterResponse

    return FilterResponse(curve.wavelength * u.AA, curve.response, curve.meta)


def padded(wavelength: FloatArray, response: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return a curve that ends at 0 on both sides, a step beyond its ends if need be."""
    ends = int(response[0] != 0), int(response[-1] != 0)
    steps = wavelength[0] - wavelength[1], wavelength[-1] - wavelength[-2]
    edges = [wavelength[0] + steps[0]] * ends[0], [wavelength[-1] + steps[1]] * ends[1]
    return np.concatenate([edges[0], wavelength, edges[1]]), np.pad(response, ends)


def list_filters() -> QTable:
    """List the filters that come with speclite and astro-sedpy.

    Returns
    -------
    `~astropy.table.QTable`
        A row for each filter, ordered by name: its name; its pivot wavelength and its width,
        the integral of the response over its peak, in Angstrom; where the curve is from.

    Examples
    --------
    >>> from picasssso.filters import list_filters
    >>> table = list_filters()
    >>> table.colnames
    ['name', 'pivot', 'width', 'source']
    >>> len(table) > 150
    True
    """
    import astropy.units as u
    from astropy.table import QTable
    from scipy.integrate import trapezoid

    rows = []
    for name in sorted(_library_files(), key=str.lower):
        curve: Any = _library_curve(name)
        width = trapezoid(curve.response, curve.wavelength) / curve.response.max()
        text = str(curve.meta.get("description") or f"{name.partition('-')[0]} of speclite")
        rows.append((name, pivot_of(curve), float(width), shorten(text, 100, placeholder=" ...")))
    names, pivots, widths, sources = zip(*rows, strict=True)
    columns = [list(names), pivots * u.AA, widths * u.AA, list(sources)]
    return QTable(columns, names=["name", "pivot", "width", "source"])


def bands_of(group: str) -> list[str]:
    """Return the names of a group's filters, without that of the group."""
    return [name.partition("-")[2] for name in _library_files() if name.startswith(f"{group}-")]


def load_filter(name: str) -> FilterResponse:
    """Return the curve last defined in this session under a name, else that of a library."""
    import speclite.filters

    # speclite takes a name that ends like a file for one.
    if isinstance(name, str) and not name.endswith(".ecsv"):
        try:
            return speclite.filters.load_filter(name)
        except (ValueError, OSError):
            pass
        curve = _library_curve(name)
        if curve is not None:
            return define(curve)
    raise InvalidInputError(f"Found no filter {name!r}. {hint(str(name))}")


def hint(name: str) -> str:
    """Say what there is instead of a filter that is unknown."""
    names = _library_files()
    group = name.partition("-")[0]
    close = get_close_matches(name.lower(), [n.lower() for n in names], n=1)
    meant = next((n for n in names if [n.lower()] == close), None)
    siblings = [n for n in names if n.partition("-")[0] == group]
    text = f"Did you mean {meant!r}? " if meant else ""
    if siblings:
        bands = siblings if len(siblings) < 8 else [n.partition("-")[2] for n in siblings]
        text = f"The bands of {group!r} are {', '.join(bands)}. "
    if not any(path.endswith(".par") for path in names.values()):
        text += "Those of JWST, HST, Roman, VISTA, UKIDSS and Spitzer need astro-sedpy (pip). "
    return (
        f"{text}`picasssso filters` lists all. Define one with its curve: picasssso.filters."
        f"read_filter(FILE, {name!r}, ...), or a speclite.filters.FilterResponse."
    )


def pivot_wavelength(name: str) -> u.Quantity:
    """Return the pivot wavelength of a filter.

    It turns a mean f_lambda into the mean f_nu of the same photons (Bessell & Murphy 2012,
    PASP 124, 140, equation A11): lambda_p^2 = int R lambda dlambda / int R dlambda / lambda
    with the photon response R.
    """
    import astropy.units as u

    return pivot_of(load_filter(name)) * u.AA


def pivot_of(curve: FilterResponse) -> float:
    """Return the pivot wavelength of a curve, AA."""
    from scipy.integrate import trapezoid  # numpy has it under one name since 2.0 only

    wavelength, weight = np.asarray(curve.wavelength, float), np.asarray(curve.response, float)
    squared = trapezoid(weight * wavelength, wavelength)
    return float(np.sqrt(squared / trapezoid(weight / wavelength, wavelength)))


def warn_beyond_stars(bands: Iterable[str], redshift: float) -> None:
    """Warn of bands beyond 3 um at rest, where dust shines beside the stars."""
    import astropy.units as u

    pivots = {band: pivot_wavelength(band).to_value(u.um) / (1 + redshift) for band in bands}
    beyond = [f"{band} ({pivot:.1f} um)" for band, pivot in pivots.items() if pivot > 3]
    if beyond:
        warnings.warn(
            f"Bands beyond 3 um at rest: {', '.join(beyond)}. Dust shines there, but stars alone "
            "are modeled, so mass, age and attenuation can be wrong. Leave these bands out: "
            "images.select([...]).",
            PicassssoWarning,
            stacklevel=3,
        )


def filter_hash(curve: FilterResponse) -> str:
    """Return the SHA-256 of a curve: wavelengths in AA and responses, in double precision."""
    digest = hashlib.sha256()
    for values in (curve.wavelength, curve.response):
        digest.update(np.ascontiguousarray(values, "<f8").tobytes())
    return digest.hexdigest()


def filter_hashes(bands: Iterable[str]) -> tuple[str, ...]:
    """Return what tells the curves of filters apart, for keys of what is remembered."""
    return tuple(filter_hash(load_filter(name)) for name in bands)


@lru_cache(maxsize=256)
def library_hash(name: str) -> str | None:
    """Return the hash of the curve that a library has for a filter, None if there is none."""
    curve = _library_curve(name)
    return None if curve is None else filter_hash(curve)
