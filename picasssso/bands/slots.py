"""What travels with the images: values per band, and their checks.

Every slot is given as one value for all bands or as a mapping from band name to value,
and is kept as a mapping with full band names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import astropy.units as u
import numpy as np
import numpy.typing as npt

from picasssso._core.metadata import check_record
from picasssso.bands.band_names import resolve_band
from picasssso.bands.band_record import BandRecord, has_value, read_only
from picasssso.bands.flux_units import flux_scale
from picasssso.bands.galactic_extinction import GalacticExtinction
from picasssso.bands.noise_scaling import NoiseScaling
from picasssso.exceptions import InvalidInputError, InvalidTypeError
from picasssso.filters.curves import pivot_wavelength

#: Slots with one value per band; all travel through every operation.
PER_BAND_SLOTS = (
    "zero_point",
    "asinh_softening",
    "psf",
    "noise_scaling",
    "sky_error",
    "zero_point_error",
)
_MAGNITUDE_PER_FRACTION = 2.5 / np.log(10)


def per_band(value: Any, bands: Sequence[str], *, survey: str | None, name: str) -> dict[str, Any]:
    """Return a slot as a mapping from full band names."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        return dict.fromkeys(bands, value)
    found: dict[str, Any] = {}
    for key, item in value.items():
        band = resolve_band(key, survey)
        if band not in bands:
            raise InvalidInputError(
                f"{name}= names band {key!r}, which is not among the images: expected some of "
                f"{', '.join(bands)}."
            )
        if band in found:
            raise InvalidInputError(f"{name}= names band {band!r} twice: give it once.")
        if item is not None:
            found[band] = item
    return {band: found[band] for band in bands if band in found}


def check_facts(given: Mapping[str, Any], shape: tuple[int, int]) -> dict[str, Any]:
    """Check what holds for all bands; return it by its name in the constructor."""
    return {
        "redshift": check_redshift(given["redshift"]),
        "survey": given["survey"],
        "luminosity_distance": _check_distance(given["luminosity_distance"]),
        "cosmology": _check_cosmology(given["cosmology"]),
        "galactic_extinction": _check_extinction(given["galactic_extinction"]),
        "bins": check_labels(given["bins"], shape, "bins"),
        "labels": check_labels(given["labels"], shape, "labels"),
        "meta": check_meta(given["meta"]),
    }


def check_slots(
    records: Mapping[str, BandRecord],
    originals: Sequence[Any],
    zero_points: dict[str, u.Quantity],
    given: Mapping[str, Any],
) -> dict[str, dict[str, Any]]:
    """Check what comes per band; return it by slot, then band."""
    bands = list(records)

    def spread(name: str) -> dict[str, Any]:
        return per_band(given[name], bands, survey=given["survey"], name=name)

    psf = {b: i.psf for b, i in zip(bands, originals, strict=True) if getattr(i, "psf", None)
           is not None} | spread("psf")  # fmt: skip
    psf = {band: _check_psf(psf[band], band) for band in bands if band in psf}
    scaling = {b: _check_noise_scaling(v, b) for b, v in spread("noise_scaling").items()}
    softening = {band: record.scale.softening for band, record in records.items()}
    return {
        "zero_point": zero_points,
        "asinh_softening": {band: b for band, b in softening.items() if b is not None},
        "psf": psf,
        "noise_scaling": {band: scaling.get(band, NoiseScaling.white()) for band in bands},
        "sky_error": {
            band: _check_sky_error(value, band, records[band], zero_points.get(band))
            for band, value in spread("sky_error").items()
        },
        "zero_point_error": {
            band: _check_zero_point_error(value, band)
            for band, value in spread("zero_point_error").items()
        },
    }


def scalar_quantity(value: Any, what: str, example: str) -> u.Quantity:
    """Return one finite number with a unit."""
    if not isinstance(value, u.Quantity):
        raise InvalidTypeError(
            f"{what}: found {value!r} without a unit, expected a Quantity such as {example}."
        )
    if value.size != 1 or not np.all(np.isfinite(value.value)):
        raise InvalidInputError(
            f"{what}: found {value!r}, expected one finite number such as {example}."
        )
    return value.reshape(())


def check_redshift(value: Any) -> float:
    """Return the redshift as a float."""
    hint = "Pass the observed redshift, for example redshift=0.02."
    if value is None:
        raise InvalidInputError(
            "redshift: found none; it is required and never guessed, since it shifts the "
            f"spectrum. {hint}"
        )
    if isinstance(value, u.Quantity):
        if value.unit.physical_type not in ("dimensionless", "redshift"):
            raise InvalidInputError(
                f"redshift: found {value!r}, expected a pure number: a velocity is converted "
                f"differently by optical and radio convention. {hint}"
            )
        redshift = u.dimensionless_unscaled
        value = value.value if "redshift" in value.unit.physical_type else value.to_value(redshift)
    if isinstance(value, bool | np.bool_ | str | bytes) or np.ma.is_masked(value):
        raise InvalidTypeError(f"redshift: found {value!r}, expected a number. {hint}")
    try:
        number = np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        raise InvalidTypeError(f"redshift: found {value!r}, expected a number. {hint}") from None
    if number.size != 1:
        raise InvalidInputError(
            f"redshift: found {number.size} values, expected one: a BandImages is one target at "
            "one redshift. Cut a field into targets with split_labels(redshifts)."
        )
    found = float(number.reshape(()))
    # Written so that NaN fails too.
    if not -0.005 < found < 20:
        raise InvalidInputError(
            f"redshift: found {found!r}, expected a number above -0.005 (no galaxy approaches "
            f"faster) and below 20 (a velocity in km/s is not a redshift). {hint}"
        )
    return found


def _check_distance(value: Any) -> u.Quantity | None:
    """Return the luminosity distance in Mpc."""
    if value is None:
        return None
    distance = scalar_quantity(value, "luminosity_distance", "16.5 * u.Mpc")
    if not distance.unit.is_equivalent(u.Mpc) or not distance.value > 0:
        raise InvalidInputError(
            f"luminosity_distance: found {value!r}, expected a positive length such as "
            "16.5 * u.Mpc."
        )
    return u.Quantity(float(distance.to_value(u.Mpc)), u.Mpc)


def _check_cosmology(value: Any) -> Any:
    """Return the cosmology if it is one."""
    if value is None or (hasattr(value, "luminosity_distance") and hasattr(value, "H0")):
        return value
    raise InvalidTypeError(
        f"cosmology: found {value!r}, expected a cosmology such as astropy.cosmology.Planck18."
    )


def check_softening(value: Any, band: str) -> float:
    """Return the softening of asinh magnitudes as a float."""
    try:
        softening = float(value)
    except (TypeError, ValueError):
        softening = np.nan
    if not 0 < softening < 1:
        raise InvalidInputError(
            f"Band {band!r}: found asinh_softening={value!r}, expected the dimensionless "
            "softening b of Lupton et al. (1999), in maggies: about 1e-10 for SDSS."
        )
    return softening


def _check_psf(value: Any, band: str) -> Any:
    """Return a PSF as FWHM in arcsec, or as a read-only kernel with a sum of 1."""
    example = "1.2 * u.arcsec (a FWHM) or a 2-D array (a kernel on the image's pixels)"
    what = f"Band {band!r}: PSF"
    if isinstance(value, u.Quantity) and value.ndim != 2:
        fwhm = scalar_quantity(value, what, example)
        if not fwhm.unit.is_equivalent(u.arcsec):
            hint = " Multiply pixels by the pixel scale." if fwhm.unit == u.pix else ""
            raise InvalidInputError(
                f"{what}: found {value!r} in {str(fwhm.unit) or 'no unit'}, expected an angle: "
                f"{example}.{hint}"
            )
        if not fwhm.value > 0:
            raise InvalidInputError(f"{what}: found a FWHM of {value!r}, expected more than 0.")
        return fwhm.to(u.arcsec)
    try:
        kernel = np.array(getattr(value, "array", value), dtype=float)
    except (TypeError, ValueError, u.UnitsError):
        kernel = np.zeros(())
    if kernel.ndim != 2 or kernel.size == 0:
        found = f"an array of shape {np.shape(value)}" if np.ndim(value) else repr(value)
        raise InvalidInputError(f"{what}: found {found:.200}, expected {example}.")
    total = float(kernel.sum())
    if not has_value(kernel).all() or total <= 0:
        raise InvalidInputError(
            f"{what}: found a kernel of shape {kernel.shape} whose sum is {total}, expected "
            "finite values with a positive sum."
        )
    # What is normalized already keeps its last bits through files and parts.
    return read_only(kernel if abs(total - 1) < 1e-12 else kernel / total)


def _check_noise_scaling(value: Any, band: str) -> NoiseScaling:
    """Return a noise scaling if it is one."""
    if not isinstance(value, NoiseScaling):
        raise InvalidTypeError(
            f"Band {band!r}: found noise_scaling={value!r}, expected a "
            "picasssso.bands.NoiseScaling, for example NoiseScaling.power_law(0.3)."
        )
    return value


def _check_sky_error(value: Any, band: str, record: BandRecord, zero_point: Any) -> u.Quantity:
    """Return a sky error, per pixel or per arcsec2, that can be converted to nmgy."""
    unit = record.unit if record.scale.softening is None else u.nmgy
    error = scalar_quantity(value, f"Band {band!r}: sky_error", f"0.01 * u.Unit('{unit}')")
    if error.value < 0:
        raise InvalidInputError(
            f"Band {band!r}: found sky_error={error!r}, expected at least 0: it is one sigma."
        )
    pivot = partial(pivot_wavelength, band)
    flux_scale(error.unit, band=band, zero_point=zero_point, pivot=pivot, what="sky_error unit")
    return error


def _check_zero_point_error(value: Any, band: str) -> u.Quantity:
    """Return the error of a zero point in mag, given in mag or as a fraction of the flux."""
    what = f"Band {band!r}: zero_point_error"
    error = scalar_quantity(value, what, "0.02 * u.mag or 2 * u.percent")
    if error.unit.is_equivalent(u.dimensionless_unscaled):
        error = error.to_value(u.dimensionless_unscaled) * _MAGNITUDE_PER_FRACTION * u.mag
    if not error.unit.is_equivalent(u.mag) or error.value < 0:
        raise InvalidInputError(
            f"{what}: found {value!r}, expected one sigma of at least 0 in mag or as a fraction: "
            "0.02 * u.mag or 2 * u.percent."
        )
    return u.Quantity(float(error.to_value(u.mag)), u.mag)


def _check_extinction(value: Any) -> GalacticExtinction | None:
    """Return the extinction record if it is one."""
    if value is None or isinstance(value, GalacticExtinction):
        return value
    raise InvalidTypeError(
        f"galactic_extinction: found {value!r}, expected a picasssso.bands.GalacticExtinction, "
        "for example GalacticExtinction(0.03, scale='SFD98', applied=False)."
    )


def check_labels(value: Any, shape: tuple[int, int], name: str) -> npt.NDArray[Any] | None:
    """Return a plane of integers as a read-only view."""
    if value is None:
        return None
    # photutils' SegmentationImage keeps its labels in data.
    plane = value if isinstance(value, np.ndarray) else np.asarray(getattr(value, "data", value))
    if plane.dtype.kind not in "iu":
        raise InvalidInputError(
            f"{name}: found an array of {plane.dtype}, expected integers. Use .astype(int)."
        )
    if plane.shape != shape:
        raise InvalidInputError(
            f"{name}: found shape {plane.shape}, expected that of the images, {shape}."
        )
    return read_only(plane)


def check_meta(value: Any) -> dict[str, Any]:
    """Return a copy of the user's notes."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise InvalidTypeError(
            f"meta: found {type(value).__name__}, expected a mapping such as {{'observer': 'me'}}."
        )
    return check_record(value, "meta")
