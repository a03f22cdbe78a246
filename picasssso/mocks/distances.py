"""Distances and sizes of pixels without astropy: Planck18, with numpy alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from picasssso.exceptions import InvalidInputError, InvalidTypeError

if TYPE_CHECKING:
    import astropy.units as u

ARCSEC_PER_RAD = 648000.0 / np.pi

#: Planck Collaboration VI (2020, A&A 641, A6), table 2, as `astropy.cosmology.Planck18`.
HUBBLE_CONSTANT = 67.66
MATTER_DENSITY = 0.30966

_SPEED_OF_LIGHT = 299792.458
_REDSHIFTS = np.linspace(0.0, 2.0, 4001)


def _comoving_table() -> np.ndarray:
    # One neutrino of 0.06 eV is matter by now; photons and two massless ones are not.
    matter, radiation = MATTER_DENSITY + 0.0014, 7.9e-5
    a = 1.0 + _REDSHIFTS
    rate = np.sqrt(matter * a**3 + radiation * a**4 + 1.0 - matter - radiation)
    steps = 0.5 * (1.0 / rate[1:] + 1.0 / rate[:-1]) * np.diff(_REDSHIFTS)
    return np.concatenate([[0.0], np.cumsum(steps)]) * _SPEED_OF_LIGHT / HUBBLE_CONSTANT


_ANGULAR = _comoving_table() / (1.0 + _REDSHIFTS)


def angular_diameter_distance(redshift: np.ndarray) -> np.ndarray:
    """Return angular diameter distances in Mpc."""
    return np.interp(redshift, _REDSHIFTS, _ANGULAR)


def redshift_of_distance(distance: np.ndarray, limits: tuple[float, float]) -> np.ndarray:
    """Return the redshift of an angular diameter distance in Mpc."""
    rising = _REDSHIFTS <= 1.5
    return np.clip(np.interp(distance, _ANGULAR[rising], _REDSHIFTS[rising]), *limits)


def checked_redshift(redshift: float | None, own: float, what: str) -> float:
    """Return the redshift at which something is observed."""
    chosen = own if redshift is None else redshift
    if isinstance(chosen, bool) or not isinstance(chosen, (int, float, np.number)):
        raise InvalidInputError(f"redshift={redshift!r} is not a number.")
    if not 0.003 <= chosen <= 1.9:
        given = "was given" if redshift is not None else "is that of the simulation's file"
        raise InvalidInputError(
            f"{what} cannot be observed at redshift {chosen:.4g}, which {given}: expected 0.003 "
            "to 1.9; give redshift=, at which the galaxy is to be seen as it is in the snapshot."
        )
    return float(chosen)


def pixel_sizes(
    pixel_scale: u.Quantity | None, redshift: float, default_kpc: float
) -> tuple[float, float]:
    """Return the size of a pixel in arcsec and in kpc; ``default_kpc`` is the default in kpc."""
    import astropy.units as u

    kpc_per_arcsec = float(angular_diameter_distance(np.array(redshift))) * 1e3 / ARCSEC_PER_RAD
    if pixel_scale is None:
        return default_kpc / kpc_per_arcsec, default_kpc
    if not isinstance(pixel_scale, u.Quantity):
        raise InvalidTypeError(
            f"pixel_scale={pixel_scale!r} has no unit: expected a Quantity such as "
            "0.396 * u.arcsec or 0.5 * u.kpc."
        )
    if not pixel_scale.isscalar or not np.isfinite(pixel_scale.value) or pixel_scale.value <= 0:
        raise InvalidInputError(f"pixel_scale={pixel_scale} cannot be used: expected above 0.")
    if pixel_scale.unit.is_equivalent(u.arcsec):
        arcsec = float(pixel_scale.to_value(u.arcsec))
        return arcsec, arcsec * kpc_per_arcsec
    if pixel_scale.unit.is_equivalent(u.kpc):
        kpc = float(pixel_scale.to_value(u.kpc))
        return kpc / kpc_per_arcsec, kpc
    raise InvalidInputError(
        f"pixel_scale={pixel_scale} is neither an angle nor a length: expected arcsec or kpc."
    )
