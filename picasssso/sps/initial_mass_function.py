"""The stellar initial mass function, and what is left of a population as it ages.

No stellar grid in common use says what fraction of the mass formed is still there as
living stars and remnants in a way that can be compared with another grid. So it is
computed here, the same way for every grid, from three published pieces: the initial
mass function, the lifetimes of stars, and the masses of their remnants.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from picasssso.exceptions import InvalidInputError

#: Names of the initial mass functions that can be converted into each other.
INITIAL_MASS_FUNCTIONS = ("chabrier", "kroupa")

#: The mass range, in Msun, that everything in picasssso is quoted for.
MASS_RANGE = (0.1, 100.0)

_N_MASSES = 20_001


def _number_per_mass(name: str, mass: np.ndarray) -> np.ndarray:
    """Return dN/dm, not normalized."""
    if name == "chabrier":
        # Chabrier (2003, PASP 115, 763), table 1, single stars of the disk: a log-normal
        # below 1 Msun, continued by a power law.
        log_center, width = np.log10(0.079), 0.69
        log_normal = np.exp(-((np.log10(mass) - log_center) ** 2) / (2 * width**2)) / mass
        return np.where(
            mass < 1.0, log_normal, np.exp(-(log_center**2) / (2 * width**2)) * mass**-2.3
        )
    if name == "kroupa":
        # Kroupa (2001, MNRAS 322, 231), equation 2, above the brown dwarfs.
        return np.where(mass < 0.5, mass**-1.3, 0.5 * mass**-2.3)
    raise InvalidInputError(
        f"Unknown initial mass function {name!r}: expected one of {INITIAL_MASS_FUNCTIONS}."
    )


def _integral(values: np.ndarray, log_mass: np.ndarray) -> np.ndarray:
    """Return the running integral over ln m (trapezoids), starting with 0."""
    steps = 0.5 * (values[1:] + values[:-1]) * np.diff(log_mass)
    return np.concatenate([[0.0], np.cumsum(steps)])


@lru_cache(maxsize=8)
def _tables(name: str, low: float, high: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return ln m, and the fractions of mass formed below m: as stars, and as remnants."""
    log_mass = np.linspace(np.log(low), np.log(high), _N_MASSES)
    mass = np.exp(log_mass)
    number = _number_per_mass(name, mass)
    formed = _integral(number * mass**2, log_mass)
    remnants = _integral(number * mass * _remnant_mass(mass), log_mass)
    return log_mass, formed / formed[-1], remnants / formed[-1]


def _remnant_mass(mass: np.ndarray) -> np.ndarray:
    """Return remnant masses in Msun (Renzini & Ciotti 1993, ApJ 416, L49)."""
    return np.where(mass < 8.5, 0.077 * mass + 0.48, np.where(mass < 40.0, 1.4, 0.5 * mass))


def light_ratio(
    to: tuple[str, float, float], of: tuple[str, float, float], *, above: float = 1.0
) -> float:
    """Return by what to multiply the light per mass formed to change the mass function.

    All light worth counting comes from stars above about 1 Msun, whose slope is the same
    in the mass functions known here. Thus the light per mass formed scales as the number
    of such stars per mass formed, at all ages alike.

    ``to, of``: name (``"chabrier"`` or ``"kroupa"``), lower and upper mass in Msun; ``above``:
    mass in Msun above which stars are counted.
    """

    def count(name: str, low: float, high: float) -> float:
        mass = np.geomspace(above, high, _N_MASSES)
        number = _integral(_number_per_mass(name, mass) * mass, np.log(mass))[-1]
        mass = np.geomspace(low, high, _N_MASSES)
        return float(number / _integral(_number_per_mass(name, mass) * mass**2, np.log(mass))[-1])

    return count(*to) / count(*of)


def stellar_lifetime(mass: np.ndarray | float, metallicity: np.ndarray | float) -> np.ndarray:
    """Return how long a star lives.

    The fit of Raiteri, Villata & Navarro (1996, A&A 315, 105, equation 3) to the
    lifetimes of the Padova tracks, the ones that PopStar and BC03 are built on:
    log t = a0(Z) + a1(Z) log m + a2(Z) (log m)^2.

    ``mass``: initial mass in Msun; the fit was made for 0.6-120 Msun; returns lifetime in yr.
    """
    log_metals = np.log10(np.clip(metallicity, 7e-5, 0.05))
    log_mass = np.log10(mass)
    a0 = 10.13 + 0.07547 * log_metals - 0.008084 * log_metals**2
    a1 = -4.424 - 0.7939 * log_metals - 0.1187 * log_metals**2
    a2 = 1.262 + 0.3385 * log_metals + 0.05417 * log_metals**2
    return np.asarray(10.0 ** (a0 + a1 * log_mass + a2 * log_mass**2))


def turn_off_mass(age: np.ndarray | float, metallicity: float) -> np.ndarray:
    """Return the initial mass in Msun of stars that die at an age in yr, inside `MASS_RANGE`."""
    mass = np.geomspace(*MASS_RANGE, 2001)
    # The fit is a parabola whose minimum lies near 100 Msun: a more massive star shall
    # never live longer.
    log_lifetime = np.minimum.accumulate(np.log10(stellar_lifetime(mass, metallicity)))
    # The mass at which the lifetime sinks to the age; younger than that nothing has died.
    log_age = np.log10(np.maximum(age, 1.0))
    found = np.interp(-log_age, -log_lifetime, mass)
    return np.where(log_age < log_lifetime[-1], mass[-1], found)


def surviving_mass_fraction(
    age: np.ndarray | float,
    metallicity: float,
    *,
    initial_mass_function: str = "chabrier",
    mass_range: tuple[float, float] = MASS_RANGE,
) -> np.ndarray:
    """Return the mass in living stars and remnants per mass formed.

    Stars keep their initial mass until they die at the end of their lifetime
    (`stellar_lifetime`) and then leave the remnant of Renzini & Ciotti (1993).

    ``age``: age of the population in yr; ``mass_range``: its lower and upper end in Msun.
    """
    low, high = mass_range
    log_mass, stars, remnants = _tables(initial_mass_function, float(low), float(high))
    dead_above = np.log(np.clip(turn_off_mass(age, metallicity), low, high))
    return (
        np.interp(dead_above, log_mass, stars)
        + remnants[-1]
        - np.interp(dead_above, log_mass, remnants)
    )
