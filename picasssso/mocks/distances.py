"""Distances without astropy: Planck18, for generating galaxies with numpy and torch only."""

from __future__ import annotations

import numpy as np

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
    """Return angular diameter distances.

    Returns in Mpc.

    Examples
    --------
    >>> from picasssso.mocks.distances import angular_diameter_distance
    >>> round(float(angular_diameter_distance(0.05)), 1)
    208.5
    """
    return np.interp(redshift, _REDSHIFTS, _ANGULAR)


def redshift_of_distance(distance: np.ndarray, limits: tuple[float, float]) -> np.ndarray:
    """Return the redshift of an angular diameter distance.

    ``distance``: in Mpc.
    """
    rising = _REDSHIFTS <= 1.5
    return np.clip(np.interp(distance, _ANGULAR[rising], _REDSHIFTS[rising]), *limits)
