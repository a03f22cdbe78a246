"""`BandImages` in FITS files: format 1.

An empty primary HDU with the number of the format; per band an image under the band's name
in its own unit and type, and where there are such ``_UNCERT``, ``_MASK`` and ``_PSF``; then
``BINS`` and ``LABELS``; last a table ``META`` of keys and JSON. Every image carries the WCS.
A file of a released format must always read; what changes the layout raises `FORMAT`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import astropy.units as u
import numpy as np
import numpy.typing as npt
from astropy.io import fits
from astropy.nddata import NDData
from astropy.wcs import WCS

from picasssso._core.fits_files import DAMAGE, celestial_wcs, open_fits, read_array
from picasssso._core.headers import (
    IMAGES_FORMAT,
    check_own_header,
    own_header,
    read_records,
    record_table,
    wcs_header,
)
from picasssso._core.metadata import check_record
from picasssso._core.safe_files import atomic_write
from picasssso.bands.band_record import UNCERTAINTY_TYPES, BandRecord
from picasssso.bands.galactic_extinction import GalacticExtinction
from picasssso.bands.noise_scaling import NoiseScaling
from picasssso.bands.stack import BandStack
from picasssso.exceptions import FileFormatError, InvalidInputError, PicassssoError
from picasssso.filters.user_curves import adopt_curves, own_curves

#: Number of the format that is written.
FORMAT = 1
#: First version of the package that reads it, and the keyword that says so.
_OLDEST = ("BANDSNED", "0.1")

#: Cards of an image's own header that its arrays and the WCS, written anew, determine.
_STRUCTURE = re.compile(
    r"SIMPLE|XTENSION|BITPIX|NAXIS.*|PCOUNT|GCOUNT|EXTEND|GROUPS|BSCALE|BZERO|BLANK|CHECKSUM"
    r"|DATASUM|EXTNAME|EXTVER|BUNIT"
    r"|(CTYPE|CUNIT|CRVAL|CRPIX|CDELT|CROTA|CNAME)\d[A-Z]?|(CD|PC|PV|PS)\d_\d+[A-Z]?"
    r"|[AB]P?_(ORDER|DMAX|\d_\d)|WCSAXES|LONPOLE|LATPOLE|RADESYS|RADECSYS|EQUINOX|MJDREF"
)
#: What tells two grids apart in a file in which only a hand could have put two.
_PLACE = [f"{k}{axis}" for k in ("CTYPE", "CRVAL", "CRPIX", "CDELT") for axis in (1, 2)]
_PLACE += [f"PC{i}_{j}" for i in (1, 2) for j in (1, 2)]


# ---- writing ------------------------------------------------------------------------------


def write_images(images: BandStack, path: str | os.PathLike[str], overwrite: bool) -> None:
    """Write images to a FITS file; see `BandImages.write`."""
    with atomic_write(path, overwrite) as temporary:
        fits.HDUList(list(_hdus(images))).writeto(temporary)


def _hdus(images: BandStack) -> Iterator[fits.PrimaryHDU | fits.ImageHDU | fits.BinTableHDU]:
    # What can go wrong comes first: nothing large is built for a file that cannot be.
    coordinates = fits.Header()
    if images._wcs is not None:
        coordinates = wcs_header(images._wcs, images.shape)
    table = record_table(_contents(images))
    yield _primary(images)
    for band, record in images._records.items():
        header = _image_header(record, coordinates)
        header["BUNIT"] = (str(record.unit), "unit of the values")
        yield fits.ImageHDU(_storable(record.data), header, name=band)
        if record.uncertainty is not None:
            header = coordinates.copy()
            header["BUNIT"] = (str(record.uncertainty_unit), "unit of the values")
            header["UNCTYPE"] = (record.kind, "standard deviation, variance or inverse")
            yield fits.ImageHDU(_storable(record.uncertainty), header, name=f"{band}_UNCERT")
        if record.mask is not None:
            yield fits.ImageHDU(_storable(record.mask), coordinates.copy(), name=f"{band}_MASK")
        psf = images.psf.get(band)
        if isinstance(psf, np.ndarray) and not isinstance(psf, u.Quantity):
            yield fits.ImageHDU(psf, name=f"{band}_PSF")
    for name, plane in (("BINS", images.bins), ("LABELS", images.labels)):
        if plane is not None:
            yield fits.ImageHDU(_storable(plane), coordinates.copy(), name=name)
    yield table


def _primary(images: BandStack) -> fits.PrimaryHDU:
    header = own_header(IMAGES_FORMAT, FORMAT, _OLDEST, "band images")
    header["REDSHIFT"] = (images.redshift, "observed redshift")
    return fits.PrimaryHDU(header=header)


def _storable(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return an array in a type that FITS has."""
    if array.dtype.kind == "b":
        return array.view(np.uint8)
    if array.dtype.kind == "f" and array.dtype.itemsize not in (4, 8):
        return array.astype(np.float32 if array.dtype.itemsize < 4 else np.float64)
    return array


def _image_header(record: BandRecord, coordinates: fits.Header) -> fits.Header:
    """Return the cards of the image's own header that still hold, and the WCS."""
    if not isinstance(record.meta, fits.Header):
        return coordinates.copy()
    header = fits.Header()
    for card in record.meta.cards:
        if not _STRUCTURE.fullmatch(card.keyword) and card.keyword not in coordinates:
            header.append(card)
    header.extend(coordinates, unique=False, bottom=True)
    return header


def _quantity(value: u.Quantity) -> dict[str, Any]:
    return {"value": float(value.value), "unit": str(value.unit)}


def _contents(images: BandStack) -> dict[str, Any]:
    """Return everything that is no plane, in plain types."""
    distance, cosmology, scale = (
        images._facts[name] for name in ("luminosity_distance", "cosmology", "pixel_scale")
    )
    for band, record in images._records.items():
        for unit in (record.unit, record.uncertainty_unit):
            _check_unit(band, unit)
    for slot in (images.sky_error, images.zero_point):
        for band, value in slot.items():
            _check_unit(band, value.unit)
    return {
        "bands": list(images.bands),
        "units": {band: str(record.unit) for band, record in images._records.items()},
        "uncertainties": {
            band: [record.kind, str(record.uncertainty_unit)]
            for band, record in images._records.items()
            if record.uncertainty is not None
        },
        "boolean_masks": [
            band
            for band, record in images._records.items()
            if record.mask is not None and record.mask.dtype.kind == "b"
        ],
        "headers": {
            band: None
            if isinstance(record.meta, fits.Header)
            else check_record(dict(record.meta), f"Band {band!r}: meta of its CCDData")
            for band, record in images._records.items()
        },
        "filters": own_curves(images.bands),
        "redshift": images.redshift,
        "survey": images.survey,
        "luminosity_distance_mpc": None if distance is None else float(distance.value),
        "cosmology": None if cosmology is None else cosmology.to_format("yaml"),
        "pixel_scale_arcsec": None if scale is None else float(scale.to_value(u.arcsec)),
        "pixel_solid_angle_arcsec2": images._solid_angle,
        "equal_pixels": images._equal_pixels,
        "zero_point": {band: _quantity(value) for band, value in images.zero_point.items()},
        "asinh_softening": dict(images.asinh_softening),
        "psf_fwhm_arcsec": {
            band: float(psf.value)
            for band, psf in images.psf.items()
            if isinstance(psf, u.Quantity)
        },
        "noise_scaling": {band: asdict(value) for band, value in images.noise_scaling.items()},
        "sky_error": {band: _quantity(value) for band, value in images.sky_error.items()},
        "zero_point_error_mag": {
            band: float(value.value) for band, value in images.zero_point_error.items()
        },
        "galactic_extinction": (
            None if images.galactic_extinction is None else asdict(images.galactic_extinction)
        ),
        "meta": check_record(dict(images.meta), "meta"),
    }


def _check_unit(band: str, unit: u.UnitBase | None) -> None:
    if unit is None:
        return
    try:
        same = u.Unit(str(unit)) == unit
    except ValueError:
        same = False
    if not same:
        raise InvalidInputError(
            f"Band {band!r}: found the unit {str(unit)!r}, which would not be understood when "
            "read. Convert the image to nmgy or Jy first."
        )


# ---- reading ------------------------------------------------------------------------------


def read_images(path: str | os.PathLike[str]) -> tuple[list[tuple[str, NDData]], dict[str, Any]]:
    """Read (band, NDData), memory-mapped, and the other arguments of `BandImages._restore`."""
    what = "Images"
    try:
        with open_fits(path, what) as hdus:
            check_own_header(
                hdus[0].header, IMAGES_FORMAT, FORMAT, _OLDEST[0], "band images", path
            )
            names = {hdu.name for hdu in hdus}
            contents = read_records(hdus["META"])
            adopt_curves(contents.get("filters", {}), os.fspath(path))
            return _assemble(os.fspath(path), hdus, names, contents)
    except (ValueError, *DAMAGE) as error:
        if isinstance(error, FileFormatError):
            raise
        reason = str(error) if isinstance(error, PicassssoError) else repr(error)
        raise FileFormatError(
            f"{what}: found {path} damaged ({reason}), expected a whole file written by "
            "BandImages.write. Write or copy it again."
        ) from error


def _assemble(
    path: str, hdus: fits.HDUList, names: set[str], contents: dict[str, Any]
) -> tuple[list[tuple[str, NDData]], dict[str, Any]]:
    def plane(name: str) -> Any:
        return read_array(path, name, "Images", hdus)[0]

    images = []
    placed: tuple[list[Any], WCS | None] | None = None
    psf: dict[str, Any] = {
        band: value * u.arcsec for band, value in contents["psf_fwhm_arcsec"].items()
    }
    for band in contents["bands"]:
        data, header = read_array(path, band, "Images", hdus)
        uncertainty = mask = None
        if band in contents["uncertainties"]:
            kind, unit = contents["uncertainties"][band]
            uncertainty = UNCERTAINTY_TYPES[kind](
                plane(f"{band}_UNCERT"), unit=u.Unit(unit), copy=False
            )
        if f"{band}_MASK".upper() in names:
            mask = plane(f"{band}_MASK")
            mask = mask.view(bool) if band in contents["boolean_masks"] else mask
        if f"{band}_PSF".upper() in names:
            psf[band] = plane(f"{band}_PSF")
        # All bands carry one WCS; it takes long to make.
        place = [header.get(key) for key in _PLACE]
        if placed is None or place != placed[0]:
            placed = place, celestial_wcs(header, "Images")
        notes = contents["headers"][band]
        image = NDData(
            data,
            unit=u.Unit(contents["units"][band]),
            wcs=placed[1],
            uncertainty=uncertainty,
            mask=mask,
            meta=header if notes is None else notes,
        )
        images.append((band, image))
    return images, _arguments(contents, names, plane, psf)


def _arguments(
    contents: dict[str, Any], names: set[str], plane: Any, psf: dict[str, Any]
) -> dict[str, Any]:
    def quantities(key: str) -> dict[str, u.Quantity]:
        return {band: item["value"] * u.Unit(item["unit"]) for band, item in contents[key].items()}

    def given(key: str, unit: u.UnitBase) -> u.Quantity | None:
        return None if contents[key] is None else contents[key] * unit

    cosmology = None
    if contents["cosmology"] is not None:
        from astropy.cosmology import Cosmology

        cosmology = Cosmology.from_format(contents["cosmology"], format="yaml")
    extinction = contents["galactic_extinction"]
    return {
        "redshift": contents["redshift"],
        "survey": contents["survey"],
        "luminosity_distance": given("luminosity_distance_mpc", u.Mpc),
        "cosmology": cosmology,
        "pixel_scale": given("pixel_scale_arcsec", u.arcsec),
        "zero_point": quantities("zero_point"),
        "asinh_softening": contents["asinh_softening"],
        "psf": psf,
        "noise_scaling": {
            band: NoiseScaling(**table) for band, table in contents["noise_scaling"].items()
        },
        "sky_error": quantities("sky_error"),
        "zero_point_error": {
            band: value * u.mag for band, value in contents["zero_point_error_mag"].items()
        },
        "galactic_extinction": (None if extinction is None else GalacticExtinction(**extinction)),
        "bins": plane("BINS") if "BINS" in names else None,
        "labels": plane("LABELS") if "LABELS" in names else None,
        "meta": contents["meta"],
        "pixel_solid_angle_arcsec2": contents["pixel_solid_angle_arcsec2"],
        "equal_pixels": contents["equal_pixels"],
    }
