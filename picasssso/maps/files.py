"""Maps in FITS files: format 1.

The layout stands in the documentation (``docs/maps.rst``) and is bound by it: a file of a
released format must always read. What changes the layout raises `FORMAT`, and adds a
sample file to ``tests/data``.
"""

from __future__ import annotations

import os
import warnings
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np
import numpy.typing as npt
from astropy.io import fits
from astropy.utils.exceptions import AstropyWarning

from picasssso._core.files import atomic_write
from picasssso._core.headers import MAPS_FORMAT, read_wcs, wcs_header
from picasssso._core.records import from_json, to_json
from picasssso.exceptions import FileFormatError, InvalidInputError, PicassssoError
from picasssso.maps.arrays import PERCENTILES, PropertyArrays
from picasssso.properties import Property

if TYPE_CHECKING:
    from picasssso.maps.property_maps import PropertyMaps

#: Number of the format that is written.
FORMAT = 1
#: First version of the package that reads it.
FORMAT_SINCE = "0.1"

_MEDIAN = PERCENTILES.index(50.0)


def _percentile_names(name: str) -> list[str]:
    """Return the extensions of the percentiles of a property; the median has the bare name."""
    names = [f"{name}_P{round(10 * q):03d}".upper() for q in PERCENTILES]
    names[_MEDIAN] = name.upper()
    return names


def check_extension_names(names: tuple[str, ...]) -> None:
    """Make sure that no two planes of a file would have the same name."""
    taken = {
        "QUALITY": "the quality plane",
        "BINS": "the bins",
        "TARGET": "the target",
        "META": "the records",
    }
    for name in names:
        suffixes = ("MEAN", "MASK", "SAMPLES", "SHARED")
        for extension in (
            *_percentile_names(name),
            *(f"{name}_{suffix}".upper() for suffix in suffixes),
        ):
            if extension in taken:
                raise InvalidInputError(
                    f"The property {name!r} needs the plane {extension}, which is that of "
                    f"{taken[extension]}: choose another name."
                )
            taken[extension] = f"{name!r}"


# ---- writing --------------------------------------------------------------------------------


def write_maps(maps: PropertyMaps, path: str | os.PathLike[str], overwrite: bool) -> None:
    """Write maps to a FITS file; see `PropertyMaps.write`."""
    with atomic_write(path, overwrite) as temporary, warnings.catch_warnings():
        # Deprecated units, such as erg, are what they were.
        warnings.simplefilter("ignore", u.UnitsWarning)
        fits.HDUList(list(_hdus(maps))).writeto(temporary)


def _hdus(maps: PropertyMaps) -> Iterator[fits.PrimaryHDU | fits.ImageHDU | fits.BinTableHDU]:
    # All that can go wrong comes first: nothing large is built for a file that cannot be.
    coordinates = fits.Header() if maps.wcs is None else wcs_header(maps.wcs, maps.shape)
    units = {name: _fits_unit(maps, name) for name in maps}
    records = _records(maps)
    yield _primary(maps)

    def image(
        extension: str, data: npt.NDArray[Any], unit: str = "", **cards: Any
    ) -> fits.ImageHDU:
        header = coordinates.copy()
        header["BUNIT"] = (unit, "unit of the values")
        header.update(cards)
        return fits.ImageHDU(data, header, name=extension)

    for name in maps:
        planes, unit = maps._planes(name), units[name]
        extensions = _percentile_names(name)
        # The median first, so that the plane one looks for stands first.
        for k in (_MEDIAN, *(k for k in range(len(PERCENTILES)) if k != _MEDIAN)):
            percent = (PERCENTILES[k], "percentile of the posterior")
            yield image(extensions[k], planes.percentiles[k], unit, BTYPE=name, PERCENT=percent)
        if planes.mean is not None:
            yield image(f"{name}_MEAN", planes.mean, unit, BTYPE=name)
        if planes.shared is not None:
            yield image(f"{name}_SHARED", planes.shared, unit, BTYPE=name)
        yield image(f"{name}_MASK", maps.masks[name].astype(np.uint8), BTYPE="mask")
        if planes.samples is not None:
            yield image(f"{name}_SAMPLES", planes.samples, unit, BTYPE=name)
    for extension, (mode, name) in _systematic_names(maps).items():
        plane = maps.systematics[mode][name]
        yield image(extension, plane, units[name], BTYPE=name)
    yield image("QUALITY", maps.quality, BTYPE="quality")
    if maps.target is not None:
        yield image("TARGET", maps.target.astype(np.uint8), BTYPE="target")
    if maps.bins is not None:
        yield image("BINS", maps.bins, BTYPE="bins")
    yield _table(records)


def _primary(maps: PropertyMaps) -> fits.PrimaryHDU:
    from picasssso._core.version import __version__

    header = fits.Header()
    header[MAPS_FORMAT] = (FORMAT, "format of this file of picasssso property maps")
    header["MAPSNEED"] = (FORMAT_SINCE, "oldest version of picasssso that reads it")
    header["ORIGIN"] = "picasssso"
    header["CREATOR"] = (f"picasssso {__version__}", "what wrote this file")
    if maps.redshift is not None:
        header["REDSHIFT"] = (maps.redshift, "observed redshift")
    meta = maps.meta
    if isinstance(meta.get("estimator"), str):
        header["ESTIMATR"] = (meta["estimator"], "estimator of the maps")
    if meta.get("bands"):
        header["BANDS"] = (",".join(map(str, meta["bands"])), "bands used")
    if meta.get("resolution_fwhm_arcsec"):
        fwhm = float(meta["resolution_fwhm_arcsec"])
        header["RESFWHM"] = (round(fwhm, 4), "[arcsec] FWHM of the maps' resolution")
    return fits.PrimaryHDU(header=header)


def _fits_unit(maps: PropertyMaps, name: str) -> str:
    unit = maps.definition(name).unit
    try:
        # Both forms: BUNIT for everybody, and the definition in META.
        maps.definition(name).to_dict()
        return unit.to_string("fits")
    except ValueError as error:
        raise InvalidInputError(
            f"The unit of {name!r}, {unit}, cannot be written to FITS ({error}): define the "
            "property in a unit of the FITS standard."
        ) from None


def _systematic_names(maps: PropertyMaps) -> dict[str, tuple[str, str]]:
    """Return mode and property of every systematic plane, by extension."""
    return {
        f"{name}_SYS{k:02d}".upper(): (mode, name)
        for k, (mode, planes) in enumerate(maps.systematics.items())
        for name in planes
    }


def _records(maps: PropertyMaps) -> dict[str, Any]:
    scaling = maps.noise_scaling
    if scaling is not None and not hasattr(scaling, "to_dict"):
        raise InvalidInputError(
            f"noise_scaling is a {type(scaling).__name__}, which a file cannot hold: use "
            "picasssso.NoiseScaling."
        )
    distance = maps.luminosity_distance
    modes: dict[str, dict[str, str]] = {mode: {} for mode in maps.systematics}
    for extension, (mode, name) in _systematic_names(maps).items():
        modes[mode][name] = extension
    return {
        "properties": [maps.definition(name).to_dict() for name in maps],
        "percentiles": list(PERCENTILES),
        "redshift": maps.redshift,
        "luminosity_distance_mpc": None if distance is None else float(distance.to_value(u.Mpc)),
        "pixel_solid_angle_arcsec2": (
            float(maps.pixel_solid_angle.to_value(u.arcsec**2)) if maps.wcs is None else None
        ),
        "shared_error_dex": dict(maps.shared_error),
        "systematics": modes,
        "noise_scaling": None if scaling is None else scaling.to_dict(),
        "meta": dict(maps.meta),
    }


def _table(records: dict[str, Any]) -> fits.BinTableHDU:
    columns = {"KEY": list(records), "JSON": [to_json(value) for value in records.values()]}
    return fits.BinTableHDU.from_columns(
        [
            fits.Column(name, f"{max(map(len, texts))}A", array=np.array(texts))
            for name, texts in columns.items()
        ],
        name="META",
    )


# ---- reading --------------------------------------------------------------------------------


def read_maps(path: str | os.PathLike[str], make: Callable[..., PropertyMaps]) -> PropertyMaps:
    """Read maps from a FITS file; see `PropertyMaps.read`. ``make``: that class."""
    file = Path(path).expanduser()
    if file.is_dir():
        raise FileFormatError(f"Cannot read {path}: it is a folder; give the name of a file.")
    if not file.exists():
        raise FileFormatError(f"Cannot read {path}: there is no such file.")
    try:
        # astropy only warns of a truncated file, and lists the units that FITS deprecates.
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", AstropyWarning)
            with fits.open(file, memmap=False) as hdus:
                _check_format(hdus[0].header, path)
                maps = _assemble(hdus, make)
        for warning in caught:
            if "truncated" in str(warning.message):
                raise FileFormatError(
                    f"Cannot read {path}: {_first_line(warning.message)} Copy or write it again."
                )
        return maps
    except FileFormatError:
        raise
    except _DAMAGE as error:
        raise FileFormatError(
            f"Cannot read {path} as maps: {_first_line(error)} Expected a whole FITS file written "
            "by PropertyMaps.write."
        ) from error


#: What astropy raises for files that are not FITS, not whole or not consistent.
_DAMAGE = (
    PicassssoError,
    OSError,
    EOFError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    fits.VerifyError,
    zlib.error,
)


def _first_line(error: BaseException | str) -> str:
    text = (str(error).strip() or type(error).__name__).splitlines()[0]
    return text if text.endswith(".") else f"{text}."


def _check_format(header: fits.Header, path: str | os.PathLike[str]) -> None:
    if MAPS_FORMAT not in header:
        raise FileFormatError(
            f"{path} is a FITS file, but not one of property maps: its primary header has no "
            f"{MAPS_FORMAT}. Expected a file written by PropertyMaps.write; images are read "
            "with BandImages.read."
        )
    found = header[MAPS_FORMAT]
    if not isinstance(found, int) or isinstance(found, bool) or found < 1:
        raise FileFormatError(f"{path} has {MAPS_FORMAT} = {found!r}: expected a whole number.")
    if found > FORMAT:
        needed = header.get("MAPSNEED", "a newer version")
        raise FileFormatError(
            f"{path} is of format {found}, which needs picasssso {needed} or newer; this version "
            f"reads formats up to {FORMAT}. Upgrade picasssso."
        )


def _assemble(hdus: fits.HDUList, make: Callable[..., PropertyMaps]) -> PropertyMaps:
    records = {row["KEY"]: from_json(row["JSON"]) for row in _hdu(hdus, "META").data}
    definitions = {d["name"]: Property.from_dict(d) for d in records["properties"]}
    header = _hdu(hdus, "QUALITY").header
    solid_angle = records["pixel_solid_angle_arcsec2"]
    distance = records["luminosity_distance_mpc"]
    return make(
        {name: _read_arrays(hdus, name) for name in definitions},
        quality=_data(hdus, "QUALITY"),
        wcs=read_wcs(header) if solid_angle is None else None,
        pixel_solid_angle=None if solid_angle is None else solid_angle * u.arcsec**2,
        definitions=definitions,
        redshift=records["redshift"],
        luminosity_distance=None if distance is None else distance * u.Mpc,
        shared_error=records["shared_error_dex"],
        systematics={
            mode: {name: _data(hdus, extension) for name, extension in planes.items()}
            for mode, planes in records["systematics"].items()
        },
        noise_scaling=_read_noise_scaling(records["noise_scaling"]),
        bins=_data(hdus, "BINS") if "BINS" in hdus else None,
        target=_data(hdus, "TARGET") != 0 if "TARGET" in hdus else None,
        meta=records["meta"],
    )


def _read_arrays(hdus: fits.HDUList, name: str) -> PropertyArrays:
    return PropertyArrays(
        np.stack([_data(hdus, extension) for extension in _percentile_names(name)]),
        _data(hdus, f"{name}_MEAN") if f"{name}_MEAN" in hdus else None,
        _data(hdus, f"{name}_SAMPLES") if f"{name}_SAMPLES" in hdus else None,
        shared=_data(hdus, f"{name}_SHARED") if f"{name}_SHARED" in hdus else None,
    )


def _hdu(hdus: fits.HDUList, extension: str) -> Any:
    try:
        return hdus[extension]
    except KeyError:
        raise FileFormatError(
            f"{hdus.filename()} is damaged: it has no extension {extension.upper()}. It may have "
            "been cut short; copy or write it again."
        ) from None


def _data(hdus: fits.HDUList, extension: str) -> npt.NDArray[Any]:
    """Return the values of an extension in native byte order."""
    data = _hdu(hdus, extension).data
    if data is None:
        raise FileFormatError(
            f"{hdus.filename()} is damaged: {extension.upper()} holds no values."
        )
    return np.asarray(data, dtype=data.dtype.newbyteorder("="))


def _read_noise_scaling(record: dict[str, Any] | None) -> Any:
    if record is None:
        return None
    from picasssso.bands import NoiseScaling

    return NoiseScaling.from_dict(record)
