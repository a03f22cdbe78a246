"""`BandImages` in FITS files: format 1.

An empty primary HDU with the number of the format; per band an image under the band's name
in its own unit and type, and where there are such ``_UNCERT``, ``_MASK`` and ``_PSF``; then
``BINS`` and ``LABELS``; last a table ``META`` of keys and JSON. Every image carries the WCS.
A file of a released format must always read; what changes the layout raises `FORMAT`.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np
import numpy.typing as npt
from astropy.io import fits
from astropy.nddata import NDData

from picasssso._core.fits_files import celestial_wcs, open_fits, read_array
from picasssso._core.headers import IMAGES_FORMAT
from picasssso.bands.extinction import GalacticExtinction
from picasssso.bands.noise import NoiseScaling
from picasssso.bands.records import UNCERTAINTY_TYPES, BandRecord
from picasssso.exceptions import FileFormatError, InvalidInputError, PicassssoError

if TYPE_CHECKING:
    from picasssso.bands.images import BandImages

#: Number of the format that is written.
FORMAT = 1
#: First version of the package that reads it.
FORMAT_SINCE = "0.1"

#: Cards of an image's own header that its arrays and the WCS determine anew.
_STRUCTURE = (
    "SIMPLE",
    "XTENSION",
    "BITPIX",
    "NAXIS",
    "PCOUNT",
    "GCOUNT",
    "EXTEND",
    "GROUPS",
    "BSCALE",
    "BZERO",
    "BLANK",
    "CHECKSUM",
    "DATASUM",
    "EXTNAME",
    "EXTVER",
    "BUNIT",
)


# ---- writing ------------------------------------------------------------------------------


def write_images(images: BandImages, path: str | os.PathLike[str], overwrite: bool) -> None:
    """Write images to a FITS file; see `BandImages.write`."""
    from picasssso._core.files import atomic_write

    with atomic_write(path, overwrite) as temporary:
        fits.HDUList(list(_hdus(images))).writeto(temporary)


def _hdus(images: BandImages) -> Iterator[fits.PrimaryHDU | fits.ImageHDU | fits.BinTableHDU]:
    # What can go wrong comes first: nothing large is built for a file that cannot be.
    from picasssso._core.headers import wcs_header

    coordinates = fits.Header()
    if images._wcs is not None:
        coordinates = wcs_header(images._wcs, images.shape)
    table = _table(_contents(images))
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


def _primary(images: BandImages) -> fits.PrimaryHDU:
    from picasssso._core.version import __version__

    header = fits.Header()
    header[IMAGES_FORMAT] = (FORMAT, "format of this file of picasssso band images")
    header["BANDSNED"] = (FORMAT_SINCE, "oldest version of picasssso that reads it")
    header["ORIGIN"] = "picasssso"
    header["CREATOR"] = (f"picasssso {__version__}", "what wrote this file")
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
    wcs_keys = set(_world_keywords(record.meta))
    for card in record.meta.cards:
        name = card.keyword
        structural = name.startswith("NAXIS") or name in _STRUCTURE
        if structural or name in wcs_keys or name in coordinates:
            continue
        header.append(card)
    header.extend(coordinates, unique=False, bottom=True)
    return header


def _world_keywords(header: fits.Header) -> Iterator[str]:
    """Yield the keywords of a header that describe its WCS, which is written anew."""
    import re

    patterns = re.compile(
        r"(CTYPE|CUNIT|CRVAL|CRPIX|CDELT|CROTA|CNAME)\d[A-Z]?|(CD|PC|PV|PS)\d_\d+[A-Z]?"
        r"|[AB]P?_(ORDER|DMAX|\d_\d)|WCSAXES|LONPOLE|LATPOLE|RADESYS|RADECSYS|EQUINOX|MJDREF"
    )
    for key in header:
        if patterns.fullmatch(key):
            yield key


def _quantity(value: u.Quantity) -> dict[str, Any]:
    return {"value": float(value.value), "unit": str(value.unit)}


def _contents(images: BandImages) -> dict[str, Any]:
    """Return everything that is no plane, in plain types."""
    from picasssso._core.records import check_record
    from picasssso.filters.own import own_curves

    distance = images._given_distance
    cosmology = images._cosmology
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
            band: None if isinstance(record.meta, fits.Header) else _notes(band, record.meta)
            for band, record in images._records.items()
        },
        "filters": own_curves(images.bands),
        "redshift": images.redshift,
        "survey": images.survey,
        "luminosity_distance_mpc": None if distance is None else float(distance.value),
        "cosmology": None if cosmology is None else cosmology.to_format("yaml"),
        "pixel_scale_arcsec": (
            None
            if images._given_pixel_scale is None
            else float(images._given_pixel_scale.to_value(u.arcsec))
        ),
        "pixel_solid_angle_arcsec2": images._solid_angle,
        "equal_pixels": images._equal_pixels,
        "zero_point": {band: _quantity(value) for band, value in images.zero_point.items()},
        "asinh_softening": dict(images.asinh_softening),
        "psf_fwhm_arcsec": {
            band: float(psf.value)
            for band, psf in images.psf.items()
            if isinstance(psf, u.Quantity)
        },
        "noise_scaling": {
            band: scaling.to_dict() for band, scaling in images.noise_scaling.items()
        },
        "sky_error": {band: _quantity(value) for band, value in images.sky_error.items()},
        "zero_point_error_mag": {
            band: float(value.value) for band, value in images.zero_point_error.items()
        },
        "galactic_extinction": (
            None if images.galactic_extinction is None else images.galactic_extinction.to_dict()
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


def _notes(band: str, notes: Any) -> dict[str, Any]:
    """Return an image's notes that are no FITS header."""
    from picasssso._core.records import check_record

    return check_record(dict(notes), f"Band {band!r}: meta of its CCDData")


def _table(contents: dict[str, Any]) -> fits.BinTableHDU:
    from picasssso._core.records import to_json

    columns = {"KEY": list(contents), "JSON": [to_json(value) for value in contents.values()]}
    return fits.BinTableHDU.from_columns(
        [
            fits.Column(name, f"{max(map(len, texts))}A", array=np.array(texts))
            for name, texts in columns.items()
        ],
        name="META",
    )


# ---- reading ------------------------------------------------------------------------------


def read_images(path: str | os.PathLike[str]) -> tuple[list[tuple[str, NDData]], dict[str, Any]]:
    """Read what `write_images` wrote; see `BandImages.read`.

    Parameters
    ----------
    path : str or path-like
        The file.

    Returns
    -------
    images : list of tuple
        (band, NDData), memory-mapped.
    arguments : dict
        The other arguments of `BandImages`, and what is known of the pixels' areas.

    Raises
    ------
    FileFormatError
        If there is no such file, it is damaged, is no file of band images, or of a format
        that only a newer version reads.
    """
    from picasssso.filters.own import adopt_curves

    what = "Images"
    try:
        with open_fits(path, what) as hdus:
            _check_format(hdus[0].header, path)
            names = {hdu.name for hdu in hdus}
            contents = _read_contents(hdus)
            adopt_curves(contents.get("filters", {}), os.fspath(path))
            return _assemble(os.fspath(path), hdus, names, contents)
    except (
        ValueError, TypeError, KeyError, IndexError, AttributeError, zlib.error, fits.VerifyError,
    ) as error:  # fmt: skip
        if isinstance(error, FileFormatError):
            raise
        reason = str(error) if isinstance(error, PicassssoError) else repr(error)
        raise FileFormatError(
            f"{what}: found {path} damaged ({reason}), expected a whole file written by "
            "BandImages.write. Write or copy it again."
        ) from error


def _check_format(header: fits.Header, path: str | os.PathLike[str]) -> None:
    found = header.get(IMAGES_FORMAT)
    if found is None:
        raise FileFormatError(
            f"Images: found no {IMAGES_FORMAT} in the primary header of {path}, expected a file "
            "written by BandImages.write. A survey's files are read band by band: "
            "BandImages.read({'sdss2010-g': 'file.fits[HDU]', ...}, redshift=...)."
        )
    if not isinstance(found, int) or isinstance(found, bool) or found < 1:
        raise FileFormatError(
            f"Images: found {IMAGES_FORMAT} = {found!r} in {path}, expected a whole number."
        )
    if found > FORMAT:
        needed = header.get("BANDSNED", "a newer version")
        raise FileFormatError(
            f"Images: found format {found} in {path}, which needs picasssso {needed} or newer; "
            f"this version reads formats up to {FORMAT}. Upgrade picasssso."
        )


def _read_contents(hdus: fits.HDUList) -> dict[str, Any]:
    from picasssso._core.records import from_json

    return {str(row["KEY"]): from_json(str(row["JSON"])) for row in hdus["META"].data}


def _assemble(
    path: str, hdus: fits.HDUList, names: set[str], contents: dict[str, Any]
) -> tuple[list[tuple[str, NDData]], dict[str, Any]]:
    def plane(name: str) -> Any:
        return read_array(path, name, "Images", hdus)[0]

    images = []
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
        notes = contents["headers"][band]
        images.append(
            (
                band,
                NDData(
                    data,
                    unit=u.Unit(contents["units"][band]),
                    wcs=celestial_wcs(header, "Images"),
                    uncertainty=uncertainty,
                    mask=mask,
                    meta=header if notes is None else notes,
                ),
            )
        )
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
            band: NoiseScaling.from_dict(table)
            for band, table in contents["noise_scaling"].items()
        },
        "sky_error": quantities("sky_error"),
        "zero_point_error": {
            band: value * u.mag for band, value in contents["zero_point_error_mag"].items()
        },
        "galactic_extinction": (
            None if extinction is None else GalacticExtinction.from_dict(extinction)
        ),
        "bins": plane("BINS") if "BINS" in names else None,
        "labels": plane("LABELS") if "LABELS" in names else None,
        "meta": contents["meta"],
        "pixel_solid_angle_arcsec2": contents["pixel_solid_angle_arcsec2"],
        "equal_pixels": contents["equal_pixels"],
    }
