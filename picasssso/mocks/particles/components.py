"""The stars and the gas of a simulated galaxy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class StarParticles:
    """Stars: position (n, 3) kpc, age Gyr, km/s; Msun left and at formation (NaN: unknown)."""

    position: np.ndarray
    mass: np.ndarray
    initial_mass: np.ndarray
    age: np.ndarray
    metallicity: np.ndarray
    velocity: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class GasParticles:
    """Gas particles or cells: position (n, 3) in kpc, hydrogen without helium; Msun, Msun/yr."""

    position: np.ndarray
    mass: np.ndarray
    metallicity: np.ndarray
    star_formation_rate: np.ndarray
    hi_mass: np.ndarray
    h2_mass: np.ndarray

    @classmethod
    def empty(cls) -> GasParticles:
        """Return no gas."""
        return cls(np.zeros((0, 3)), *(np.zeros(0) for _ in range(5)))
