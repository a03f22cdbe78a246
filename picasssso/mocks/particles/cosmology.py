"""Cosmic time from scale factors, in the cosmology that a simulation was run with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: 1 / (100 km/s/Mpc) in Gyr.
_HUBBLE_TIME = 9.777922216807892


@dataclass(frozen=True)
class SimulationCosmology:
    """The expansion that a simulation's file states.

    ``h``: hubble constant in 100 km/s/Mpc.

    Examples
    --------
    >>> from picasssso.mocks.particles.cosmology import SimulationCosmology
    >>> cosmology = SimulationCosmology(h=0.704, omega_matter=0.2726, omega_lambda=0.7274)
    >>> round(float(cosmology.cosmic_time(1.0)), 2)
    13.75
    """

    h: float
    omega_matter: float
    omega_lambda: float
    omega_radiation: float = 0.0

    def cosmic_time(self, scale_factor: np.ndarray | float) -> np.ndarray:
        """Return the time since the Big Bang.

        Returns in Gyr.
        """
        wanted = np.asarray(scale_factor, dtype=np.float64)
        # dt = da / (a H): the integrand goes as sqrt(a) at early times, so steps are even in
        # the root of a.
        root = np.linspace(0.0, np.sqrt(max(1.0, float(np.max(wanted, initial=1.0)))), 8193)[1:]
        middle = (root - 0.5 * root[0]) ** 2
        curvature = 1.0 - self.omega_matter - self.omega_lambda - self.omega_radiation
        rate = np.sqrt(
            self.omega_matter / middle**3
            + self.omega_radiation / middle**4
            + self.omega_lambda
            + curvature / middle**2
        )
        steps = 2.0 * np.sqrt(middle) * root[0] / (middle * rate)
        time = np.concatenate([[0.0], np.cumsum(steps)]) * _HUBBLE_TIME / self.h
        return np.interp(np.sqrt(wanted), np.concatenate([[0.0], root]), time)

    def age(self, formation: np.ndarray, now: float) -> np.ndarray:
        """Return the ages of stars.

        Returns in Gyr.
        """
        return self.cosmic_time(now) - self.cosmic_time(formation)
