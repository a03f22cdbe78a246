"""Maps in FITS files: format 1.

The layout stands in the documentation (``docs/maps.rst``) and is bound by it: a file of a
released format must always read. What changes the layout raises `FORMAT`, and adds a
sample file to ``tests/data``.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from typing import Any, BinaryIO, TypeVar

import astropy.units as u
import numpy as np
import numpy.typing as npt
from astropy.io import fits

from picasssso._core.fits_files import DAMAGE, open_fits
from picasssso._core.headers import (
    MAPS_FORMAT,
    check_own_header,
    own_header,
    read_records,
    read_wcs,
    record_table,
    wcs_header,
)
from picasssso._core.quiet import silence
from picasssso._core.safe_files import atomic_write
from picasssso.bands.noise_scaling import NoiseScaling
from picasssso.exceptions import FileFormatError, InvalidInputError, PicassssoError
from picasssso.maps.arrays import PERCENTILES, PropertyArrays
from picasssso.maps.map_checks import percentile_extensions
from picasssso.maps.planes import MapPlanes
from picasssso.properties import Property

Maps = TypeVar("Maps", bound=MapPlanes)

#: Number of the format that is written.
FORMAT = 1
#: First version of the package that reads it, and the keyword that says so.
_OLDEST = ("MAPSNEED", "0.1")

_MEDIAN = PERCENTILES.index(50.0)

#: What the parts of a FITS file are multiples of, in bytes.
_BLOCK = 2880


# ---- writing --------------------------------------------------------------------------------


def write_maps(maps: MapPlanes, path: str | os.PathLike[str], overwrite: bool) -> None:
    """Write maps to a FITS file; see `PropertyMaps.write`."""
    # Deprecated units, such as erg, are what they were.
    with atomic_write(path, overwrite) as temporary, silence(u.UnitsWarning):
        parts = _parts(maps)
        with open(temporary, "wb") as file:
            for part in parts:
                if isinstance(part, _Plane):
                    part.write(file)
                else:
                    _write_hdu(file, part)


class _Plane:
    """An image extension, of which most cards are the same in all of a file."""

    def __init__(
        self, common: _CommonCards, name: str, data: npt.NDArray[Any], cards: Mapping[str, Any]
    ) -> None:
        self._common, self.name, self.data, self.cards = common, name, data, cards

    def write(self, file: BinaryIO) -> None:
        """Write it; astropy takes several times longer, since it checks every card."""
        cards = {key: c if isinstance(c, tuple) else (c,) for key, c in self.cards.items()}
        own = fits.Header([(key, *card) for key, card in cards.items()])
        own["EXTNAME"] = (self.name.upper(), "extension name")
        text = self._common.text(self.data) + own.tostring(endcard=True, padding=False)
        file.write(text.ljust(-(-len(text) // _BLOCK) * _BLOCK).encode("ascii"))
        kind = self.data.dtype.newbyteorder(">")
        file.write(np.ascontiguousarray(self.data, kind).tobytes())
        file.write(bytes(-self.data.nbytes % _BLOCK))

    @property
    def hdu(self) -> fits.ImageHDU:
        """The same as astropy has it (ImageHDU)."""
        header = self._common.coordinates.copy()
        header.update(self.cards)
        return fits.ImageHDU(self.data, header, name=self.name)


class _CommonCards:
    """The first cards of extensions, by type and shape of their data."""

    def __init__(self, coordinates: fits.Header) -> None:
        self.coordinates = coordinates
        self._texts: dict[Any, str] = {}

    def text(self, data: npt.NDArray[Any]) -> str:
        """Return the cards that data of this type and shape begin with."""
        key = data.dtype, data.shape
        if key not in self._texts:
            header = fits.ImageHDU(data, self.coordinates.copy()).header
            self._texts[key] = header.tostring(endcard=False, padding=False)
        return self._texts[key]


def _write_hdu(file: BinaryIO, hdu: fits.PrimaryHDU | fits.BinTableHDU) -> None:
    buffer = io.BytesIO()
    if isinstance(hdu, fits.PrimaryHDU):  # says that extensions follow, if one does
        fits.HDUList([hdu, fits.ImageHDU()]).writeto(buffer)
        file.write(buffer.getvalue()[:-_BLOCK])
    else:
        fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(buffer)
        file.write(buffer.getvalue()[_BLOCK:])


def hdus_of(maps: MapPlanes) -> Iterator[fits.PrimaryHDU | fits.ImageHDU | fits.BinTableHDU]:
    """Yield what a file of maps consists of."""
    for part in _parts(maps):
        yield part.hdu if isinstance(part, _Plane) else part


def _parts(maps: MapPlanes) -> Iterator[fits.PrimaryHDU | _Plane | fits.BinTableHDU]:
    # All that can go wrong comes first: nothing large is built for a file that cannot be.
    coordinates = fits.Header() if maps._wcs is None else wcs_header(maps._wcs, maps.shape)
    units = {name: _fits_unit(maps, name) for name in maps}
    records = _records(maps)
    yield _primary(maps)
    common = _CommonCards(coordinates)

    def image(extension: str, data: npt.NDArray[Any], unit: str = "", **cards: Any) -> _Plane:
        return _Plane(common, extension, data, {"BUNIT": (unit, "unit of the values"), **cards})

    for name in maps:
        planes, unit = maps._planes(name), units[name]
        extensions = percentile_extensions(name)
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
    yield record_table(records)


def _primary(maps: MapPlanes) -> fits.PrimaryHDU:
    header = own_header(MAPS_FORMAT, FORMAT, _OLDEST, "property maps")
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


def _fits_unit(maps: MapPlanes, name: str) -> str:
    unit = maps.definition(name).unit
    try:
        # Both forms: BUNIT for everybody, and the definition in META.
        _definition_record(maps.definition(name))
        return unit.to_string("fits")
    except ValueError as error:
        raise InvalidInputError(
            f"The unit of {name!r}, {unit}, cannot be written to FITS ({error}): define the "
            "property in a unit of the FITS standard."
        ) from None


def _definition_record(definition: Property) -> dict[str, Any]:
    return {**asdict(definition), "unit": definition.unit.to_string("vounit")}


def _systematic_names(maps: MapPlanes) -> dict[str, tuple[str, str]]:
    """Return mode and property of every systematic plane, by extension."""
    return {
        f"{name}_SYS{k:02d}".upper(): (mode, name)
        for k, (mode, planes) in enumerate(maps.systematics.items())
        for name in planes
    }


def _records(maps: MapPlanes) -> dict[str, Any]:
    scaling = maps.noise_scaling
    if scaling is not None and not isinstance(scaling, NoiseScaling):
        raise InvalidInputError(
            f"noise_scaling is a {type(scaling).__name__}, which a file cannot hold: use "
            "picasssso.NoiseScaling."
        )
    distance = maps.luminosity_distance
    modes: dict[str, dict[str, str]] = {mode: {} for mode in maps.systematics}
    for extension, (mode, name) in _systematic_names(maps).items():
        modes[mode][name] = extension
    return {
        "properties": [_definition_record(maps.definition(name)) for name in maps],
        "percentiles": list(PERCENTILES),
        "redshift": maps.redshift,
        "luminosity_distance_mpc": None if distance is None else float(distance.to_value(u.Mpc)),
        "pixel_solid_angle_arcsec2": (
            float(maps.pixel_solid_angle.to_value(u.arcsec**2)) if maps._wcs is None else None
        ),
        "shared_error_dex": dict(maps.shared_error),
        "systematics": modes,
        "noise_scaling": None if scaling is None else asdict(scaling),
        "meta": dict(maps.meta),
    }


# ---- reading --------------------------------------------------------------------------------


def read_maps(path: str | os.PathLike[str], make: Callable[..., Maps]) -> Maps:
    """Read maps from a FITS file; see `PropertyMaps.read`. ``make``: that class."""
    try:
        with silence(u.UnitsWarning), open_fits(path, "Maps", memmap=False) as hdus:
            check_own_header(
                hdus[0].header, MAPS_FORMAT, FORMAT, _OLDEST[0], "property maps", path
            )
            return _assemble(hdus, make)
    except FileFormatError:
        raise
    except (PicassssoError, ValueError, *DAMAGE) as error:
        text = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        raise FileFormatError(
            f"Cannot read {path} as maps: {text}. Expected a whole FITS file written by "
            "PropertyMaps.write."
        ) from error


def _assemble(hdus: fits.HDUList, make: Callable[..., Maps]) -> Maps:
    records = read_records(_hdu(hdus, "META"))
    definitions = {
        record["name"]: Property(**{**record, "unit": u.Unit(record["unit"], format="vounit")})
        for record in records["properties"]
    }
    header = _hdu(hdus, "QUALITY").header
    solid_angle = records["pixel_solid_angle_arcsec2"]
    distance = records["luminosity_distance_mpc"]
    scaling = records["noise_scaling"]
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
        noise_scaling=None if scaling is None else NoiseScaling(**scaling),
        bins=_data(hdus, "BINS") if "BINS" in hdus else None,
        target=_data(hdus, "TARGET") != 0 if "TARGET" in hdus else None,
        meta=records["meta"],
    )


def _read_arrays(hdus: fits.HDUList, name: str) -> PropertyArrays:
    return PropertyArrays(
        np.stack([_data(hdus, extension) for extension in percentile_extensions(name)]),
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
