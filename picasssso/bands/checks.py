"""The checks at the door of `BandImages`, in their fixed order.

Type, shape, unit, mask, all-NaN or empty, WCS, band name, redshift, PSF, uncertainty: the
first failure is raised, and its message names the band, what was found and what to do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import astropy.units as u
import numpy as np
from astropy.nddata import NDData, NDUncertainty, UnknownUncertainty
from astropy.wcs import WCS

from picasssso._core.quiet import copy_wcs
from picasssso._core.words import with_article
from picasssso.bands.band_names import check_band, resolve_band
from picasssso.bands.band_record import (
    UNCERTAINTY_POWERS,
    UNCERTAINTY_TYPES,
    BandRecord,
    has_value,
    read_only,
)
from picasssso.bands.flux_units import flux_scale, is_count_like, is_magnitude, parse_zero_point
from picasssso.bands.pixels import central_solid_angle, grid_offset
from picasssso.bands.slots import check_softening, per_band, scalar_quantity
from picasssso.exceptions import InvalidInputError, InvalidTypeError
from picasssso.filters.curves import pivot_wavelength

#: Sides that pixels of images of galaxies have, arcsec; CDELT is 1 degree if there is none.
_SIDES = 1e-3, 60.0
#: Bands farther apart than this many pixels are refused.
MAX_OFFSET = 0.1


def list_images(images: Any) -> list[tuple[Any, Any]]:
    """Return (band, image) pairs from a mapping or from pairs."""
    expected = "expected a mapping {band: CCDData} or pairs (band, CCDData)"
    if isinstance(images, str | bytes) or hasattr(images, "__fspath__"):
        raise InvalidTypeError(f"images: found {images!r}, {expected}. Use BandImages.read(...).")
    if isinstance(images, np.ndarray | NDData):
        raise InvalidTypeError(
            f"images: found {with_article(type(images).__name__)}, {expected}. Use "
            "BandImages.from_cube(cube, bands, unit, redshift=...) for a cube."
        )
    if isinstance(images, Mapping):
        pairs = list(images.items())
    else:
        pairs = list(images) if isinstance(images, Iterable) else [images]
        if not all(isinstance(pair, tuple | list) and len(pair) == 2 for pair in pairs):
            raise InvalidTypeError(f"images: found {type(images).__name__}, {expected}.")
    if not pairs:
        raise InvalidInputError(f"images: found no band at all, {expected}.")
    return [(band, image) for band, image in pairs]


def check_images(
    images: Any, *, survey: Any, zero_point: Any, asinh_softening: Any, allow_empty: bool = False
) -> tuple[dict[str, BandRecord], list[tuple[str, str]], list[NDData], dict[str, u.Quantity]]:
    """Check type, shape, unit, mask and that there is anything (unless ``allow_empty``)."""
    if survey is not None and not isinstance(survey, str):
        raise InvalidTypeError(f"survey: found {survey!r}, expected text such as 'sdss'.")
    pairs = list_images(images)
    names = [(resolve_band(given, survey), given) for given, _ in pairs]
    originals = [image for _, image in pairs]
    for (_, given), image in zip(names, originals, strict=True):
        _check_type(given, image)
    _check_shapes(names, originals)
    # Two names of one filter are seen later; the slots need only know the names.
    bands = list(dict.fromkeys(name for name, _ in names))
    zero_points = per_band(zero_point, bands, survey=survey, name="zero_point")
    for band, value in zero_points.items():
        parse_zero_point(value, band)
    softenings = per_band(asinh_softening, bands, survey=survey, name="asinh_softening")
    softenings = {band: check_softening(value, band) for band, value in softenings.items()}
    scales = []
    for (band, given), image in zip(names, originals, strict=True):
        if image.unit is None:
            raise InvalidInputError(
                f"Band {given!r}: found no unit, expected one: it is never guessed. Use for "
                "example CCDData(array, unit='nmgy', wcs=wcs)."
            )
        scales.append(
            flux_scale(
                image.unit,
                band=given,
                zero_point=zero_points.get(band),
                softening=softenings.get(band),
                # A first look: wavelengths come once the names are checked.
                pivot=lambda: 5000 * u.AA,
            )
        )
    _refuse_unused(zero_point, zero_points, names, originals, softenings)
    records = [
        BandRecord(read_only(i.data), i.unit, i.meta, scale, _check_mask(given, i))
        for (_, given), i, scale in zip(names, originals, scales, strict=True)
    ]
    if not allow_empty:
        for (_, given), record in zip(names, records, strict=True):
            _check_not_empty(given, record)
    found: dict[str, BandRecord] = {}
    for (band, _), record in zip(names, records, strict=True):
        found.setdefault(band, record)
    return found, names, originals, zero_points


def _check_type(given: str, image: Any) -> None:
    make = "CCDData(array, unit='nmgy', wcs=wcs)"
    if not isinstance(image, NDData):
        raise InvalidTypeError(
            f"Band {given!r}: found {type(image).__name__}, expected CCDData. Use {make}."
        )
    if not isinstance(image.data, np.ndarray) or image.data.dtype.kind not in "fiu":
        if isinstance(image.data, np.ndarray):
            found, hint = f"data of type {image.data.dtype}", ""
        else:
            kind = type(image.data)
            found = f"an array of {kind.__module__.partition('.')[0]} ({kind.__name__})"
            hint = " in a numpy array. Use np.asarray"
        raise InvalidTypeError(f"Band {given!r}: found {found}, expected real numbers{hint}.")


def _check_shapes(names: Sequence[tuple[str, str]], images: Sequence[NDData]) -> None:
    first = images[0].data.shape
    for (_, given), image in zip(names, images, strict=True):
        shape = image.data.shape
        if len(shape) != 2:
            hint = (
                "Use BandImages.from_cube(cube, bands, unit, redshift=...) for a cube of bands."
                if len(shape) == 3
                else "Give one image (y, x) per band."
            )
            raise InvalidInputError(
                f"Band {given!r}: found an array of shape {shape}, expected two dimensions "
                f"(y, x). {hint}"
            )
        if 0 in shape:
            raise InvalidInputError(
                f"Band {given!r}: found an image of shape {shape} without pixels, expected at "
                "least 1 x 1. Check how it was cut."
            )
        if shape != first:
            raise InvalidInputError(
                f"Band {given!r}: found shape {shape}, expected {first} as band {names[0][1]!r} "
                "has. Put the bands on one grid first: picasssso.bands.align(images, "
                f"onto={names[0][1]!r}, redshift=...)."
            )


def _check_mask(given: str, image: NDData) -> Any:
    if image.mask is None or image.mask is np.ma.nomask:
        return None
    mask = np.asanyarray(image.mask)
    if mask.dtype.kind not in "biu":
        raise InvalidInputError(
            f"Band {given!r}: found a mask of type {mask.dtype}, expected booleans (True where "
            "bad) or integers (non-zero where bad)."
        )
    if mask.shape != image.data.shape:
        raise InvalidInputError(
            f"Band {given!r}: found a mask of shape {mask.shape}, expected that of the image, "
            f"{image.data.shape}."
        )
    return read_only(mask)


def _check_not_empty(given: str, record: BandRecord) -> None:
    def finite(slices: Any) -> Any:
        return has_value(record.data[slices])

    if not record.has_any(finite):
        raise InvalidInputError(
            f"Band {given!r}: found no finite pixel at all, expected some. Leave the band out, or "
            "check the file it came from."
        )
    if record.data.size > 1 and not record.has_any(lambda slices: record.data[slices] != 0):
        raise InvalidInputError(
            f"Band {given!r}: found only zeros, as where a survey has no data, expected an image. "
            "Leave the band out, or check the file it came from."
        )
    if not record.has_any(record.valid_pixels):
        raise InvalidInputError(
            f"Band {given!r}: found every finite pixel masked, expected some that are not. Leave "
            "the band out, or check the mask: True means bad."
        )


def _refuse_unused(
    given_zero_point: Any,
    zero_points: dict[str, u.Quantity],
    names: Sequence[tuple[str, str]],
    images: Sequence[NDData],
    softenings: dict[str, float],
) -> None:
    """Refuse a zero point or softening for a unit that has no use for it."""
    units = {band: image.unit for (band, _), image in zip(names, images, strict=True)}
    for band, softening in softenings.items():
        if not is_magnitude(units[band]):
            raise InvalidInputError(
                f"Band {band!r}: found asinh_softening={softening!r} for an image in "
                f"{units[band]}, expected it for asinh magnitudes only. Leave it out."
            )
    for band in list(zero_points):
        if is_count_like(units[band]):
            continue
        # One zero point for all concerns only the bands that need it, if any does.
        if isinstance(given_zero_point, Mapping) or not any(map(is_count_like, units.values())):
            raise InvalidInputError(
                f"Band {band!r}: found a zero point for an image in {units[band]}, which is a "
                "flux density already. Leave one of them out."
            )
        del zero_points[band]


def check_grid(
    names: Sequence[tuple[str, str]], images: Sequence[NDData], pixel_scale: Any
) -> tuple[WCS | None, u.Quantity | None, float]:
    """Check that bands share a WCS; return it, or the pixel scale, and the pixel's arcsec2."""
    shape = images[0].data.shape
    without = [given for (_, given), image in zip(names, images, strict=True) if image.wcs is None]
    if len(without) == len(images):
        return None, *_check_pixel_scale(names[0][1], pixel_scale, shape)
    if without:
        raise InvalidInputError(
            f"Band {without[0]!r}: found no WCS while other bands have one, expected it for all "
            "or none. Give it: CCDData(..., wcs=wcs)."
        )
    reference = images[0].wcs
    for number, ((_, given), image) in enumerate(zip(names, images, strict=True)):
        if number == 0 or image.wcs is not reference:
            _check_wcs(given, image.wcs, shape)
    if pixel_scale is not None:
        raise InvalidInputError(
            f"pixel_scale: found {pixel_scale} although the images have a WCS, which defines it. "
            "Leave it out."
        )
    for (_, given), image in zip(names, images, strict=True):
        offset, place = grid_offset(image.wcs, reference, shape)
        if not offset <= MAX_OFFSET:
            size = f"{offset:.2f} pixels" if offset < max(shape) else "more than the whole image"
            raise InvalidInputError(
                f"Band {given!r}: found its grid off by {size} at the {place} from that of band "
                f"{names[0][1]!r}, expected at most {MAX_OFFSET} pixels. Put the bands on one "
                f"grid: picasssso.bands.align(images, onto={names[0][1]!r}, redshift=...)."
            )
    wcs = copy_wcs(reference)
    wcs.array_shape = shape
    return wcs, None, central_solid_angle(wcs, shape)


def _check_pixel_scale(
    given: str, pixel_scale: Any, shape: tuple[int, ...]
) -> tuple[u.Quantity, float]:
    if pixel_scale is None:
        raise InvalidInputError(
            f"Band {given!r}: found no WCS, expected CCDData(..., wcs=wcs). If there is none, "
            "give the angle per pixel, for example pixel_scale=0.263 * u.arcsec."
        )
    scale = scalar_quantity(pixel_scale, "pixel_scale", "0.263 * u.arcsec")
    # Some write arcsec / pixel.
    if scale.unit.is_equivalent(u.arcsec / u.pix):
        scale = scale * u.pix
    if not scale.unit.is_equivalent(u.arcsec) or not scale.value > 0:
        raise InvalidInputError(
            f"pixel_scale: found {pixel_scale!r}, expected a positive angle such as "
            "0.263 * u.arcsec."
        )
    scale = scale.to(u.arcsec)
    # One pixel may be a whole galaxy.
    if not _SIDES[0] <= scale.value <= (_SIDES[1] if max(shape) > 1 else np.inf):
        raise InvalidInputError(
            f"pixel_scale: found {pixel_scale}, {scale.value:.4g} arcsec, expected "
            f"{_SIDES[0]:g} to {_SIDES[1]:g} arcsec per pixel. Check its unit."
        )
    return scale, float(scale.value) ** 2


def _check_wcs(given: str, wcs: Any, shape: tuple[int, int]) -> None:
    if not isinstance(wcs, WCS):
        raise InvalidTypeError(
            f"Band {given!r}: found a WCS of type {type(wcs).__name__}, expected "
            "astropy.wcs.WCS. For an image cut from a cube use the cube's wcs.celestial."
        )
    try:
        usable = wcs.naxis == 2 and wcs.has_celestial
        area = central_solid_angle(wcs, shape) if usable else np.nan
        if usable:
            # Frames that astropy does not know give two quantities instead.
            wcs.pixel_to_world(0, 0).separation  # noqa: B018
    except Exception as error:  # wcslib raises a class of its own for each kind of fault
        reason = str(error).splitlines()[-1]
        raise InvalidInputError(
            f"Band {given!r}: found a WCS that cannot be evaluated ({reason}) Correct the header."
        ) from error
    if not usable:
        raise InvalidInputError(
            f"Band {given!r}: found a WCS with axes {[a or 'linear' for a in wcs.wcs.ctype]}, "
            "expected two celestial axes such as RA---TAN and DEC--TAN. Use wcs.celestial to drop "
            "others; without a real WCS use wcs=None and pixel_scale=."
        )
    if any(table is not None for table in (wcs.cpdis1, wcs.cpdis2, wcs.det2im1, wcs.det2im2)):
        raise InvalidInputError(
            f"Band {given!r}: found look-up-table distortions in the WCS, expected at most SIP "
            "polynomials, which files of maps can keep. Resample the image first, for example "
            "with the reproject package."
        )
    if not 0 < area < np.inf:
        raise InvalidInputError(
            f"Band {given!r}: found a WCS whose central pixel has a solid angle of {area:g} "
            "arcsec2, expected a positive number. Correct the header's CD or CDELT keywords."
        )
    if not _SIDES[0] <= area**0.5 <= _SIDES[1]:
        raise InvalidInputError(
            f"Band {given!r}: found a WCS with pixels of {area**0.5:.4g} arcsec, expected "
            f"{_SIDES[0]:g} to {_SIDES[1]:g}. Correct CDELT or CD in the header: they are "
            "missing, or not in the unit that CUNIT states, by default degrees."
        )


def check_names(
    records: dict[str, BandRecord],
    names: Sequence[tuple[str, str]],
    survey: str | None,
    zero_points: dict[str, u.Quantity],
) -> dict[str, BandRecord]:
    """Check the band names, and complete the conversion to nmgy with their wavelengths."""
    seen: dict[str, str] = {}
    for band, given in names:
        check_band(band, given, survey)
        if band in seen:
            raise InvalidInputError(
                f"Band {given!r}: found twice (as {seen[band]!r} and {given!r}, both {band!r}), "
                "expected each band once. Leave one out."
            )
        seen[band] = given
    return {
        band: replace(
            record,
            scale=flux_scale(
                record.unit,
                band=band,
                zero_point=zero_points.get(band),
                softening=record.scale.softening,
                pivot=partial(pivot_wavelength, band),
            ),
        )
        for band, record in records.items()
    }


def check_uncertainties(
    records: dict[str, BandRecord],
    images: Sequence[NDData],
    zero_points: dict[str, u.Quantity],
    allow_empty: bool = False,
) -> dict[str, BandRecord]:
    """Check the uncertainties and add them to the bands, by full name."""
    found = {}
    for (band, record), image in zip(records.items(), images, strict=True):
        found[band] = record
        if image.uncertainty is None:
            continue
        found[band] = _add_uncertainty(band, record, image.uncertainty, zero_points.get(band))
        if not allow_empty and not found[band].has_any(found[band].valid_pixels):
            raise InvalidInputError(
                f"Band {band!r}: found no pixel with a usable "
                f"{type(image.uncertainty).__name__}, expected positive finite values (0 in an "
                "inverse variance means: no data). Correct it, or leave it out and use "
                "with_estimated_noise()."
            )
    return found


def _add_uncertainty(
    band: str, record: BandRecord, uncertainty: NDUncertainty, zero_point: Any
) -> BandRecord:
    kind = next((k for k, t in UNCERTAINTY_TYPES.items() if isinstance(uncertainty, t)), None)
    if kind is None:
        hint = " Convert it to one of them." if isinstance(uncertainty, UnknownUncertainty) else ""
        raise InvalidTypeError(
            f"Band {band!r}: found an uncertainty of type {type(uncertainty).__name__}, expected "
            f"StdDevUncertainty, VarianceUncertainty or InverseVariance.{hint}"
        )
    array = np.asanyarray(uncertainty.array)
    if array.shape != record.data.shape:
        raise InvalidInputError(
            f"Band {band!r}: found an uncertainty of shape {array.shape}, expected that of the "
            f"image, {record.data.shape}."
        )
    if array.dtype.kind not in "fiu":
        raise InvalidTypeError(
            f"Band {band!r}: found an uncertainty of {array.dtype}, expected real numbers."
        )
    power = UNCERTAINTY_POWERS[kind]
    if record.scale.softening is not None:
        if kind != "std" or uncertainty.unit not in (None, u.mag, record.unit):
            raise InvalidInputError(
                f"Band {band!r}: found {type(uncertainty).__name__} in {uncertainty.unit} for "
                "asinh magnitudes, expected StdDevUncertainty in mag."
            )
        scale, unit = replace(record.scale, softening=None), u.mag
    else:
        unit = uncertainty.unit if uncertainty.unit is not None else record.unit**power
        scale = flux_scale(
            unit ** (1 / power),
            band=band,
            zero_point=zero_point,
            pivot=partial(pivot_wavelength, band),
            what="uncertainty unit, as a standard deviation,",
        )
    return replace(
        record,
        uncertainty=read_only(array),
        kind=kind,
        uncertainty_unit=unit,
        uncertainty_scale=scale,
    )
