"""How much of a simulation's gas is neutral, and how much of that molecular.

Most simulations of whole galaxies do not follow the cold phases of gas. What their files
lack is computed as is usual for them (Lagos et al. 2015, MNRAS 452, 3815; Bahe et al.
2016, MNRAS 456, 1115; Crain et al. 2017, MNRAS 464, 4204):

- neutral fraction: ionization balance of hydrogen with collisions and the ultraviolet
  background of Haardt & Madau (2001), shielded as in Rahmati et al. (2013, MNRAS 430,
  2427), equations A1 and A8 and their tables; star-forming gas counts as 10,000 K warm,
  since its temperature in the file is only its effective pressure;
- molecular fraction: pressure law of Blitz & Rosolowsky (2006, ApJ 650, 933), H2 / HI =
  (P / k / 43,000 K cm^-3)^0.92.
"""

from __future__ import annotations

import numpy as np

# Rahmati et al. (2013): redshift, log n_0 in cm^-3, rate of the background in 1/s, alpha_1,
# alpha_2, beta, 1 - f. Table A2 (the larger volume) at z = 0, table A1 above.
_SHIELDING = np.array(
    [
        [0.0, -2.56, 8.34e-14, -1.86, -0.51, 2.83, 0.01],
        [1.0, -2.29, 7.39e-13, -2.94, -0.90, 1.21, 0.03],
        [2.0, -2.06, 1.50e-12, -2.22, -1.09, 1.75, 0.03],
        [3.0, -2.13, 1.16e-12, -1.99, -0.88, 1.72, 0.04],
        [4.0, -2.23, 7.91e-13, -2.05, -0.75, 1.93, 0.02],
        [5.0, -2.35, 5.43e-13, -2.63, -0.57, 1.77, 0.01],
    ]
)

#: Blitz & Rosolowsky (2006): pressure over k in K cm^-3 at which HI and H2 are equal.
_EQUAL_PRESSURE = 4.3e4
_PRESSURE_EXPONENT = 0.92

#: Temperature in K that star-forming gas is given.
STAR_FORMING_TEMPERATURE = 1e4


def neutral_fraction(density: np.ndarray, temperature: np.ndarray, redshift: float) -> np.ndarray:
    """Return the fraction of hydrogen that is neutral, atomic or molecular."""
    density = np.maximum(np.asarray(density, dtype=np.float64), 1e-12)
    temperature = np.maximum(np.asarray(temperature, dtype=np.float64), 10.0)
    log_n0, log_rate, first, second, beta, part = (
        np.interp(np.log10(1.0 + redshift), np.log10(1.0 + _SHIELDING[:, 0]), column)
        for column in (
            _SHIELDING[:, 1], np.log10(_SHIELDING[:, 2]), *_SHIELDING[:, 3:].T,
        )
    )  # fmt: skip
    ratio = density / 10.0**log_n0
    shielding = (1.0 - part) * (1.0 + ratio**beta) ** first + part * (1.0 + ratio) ** second
    photons = 10.0**log_rate * shielding
    # Recombination (case A; Hui & Gnedin 1997) and collisions (Theuns et al. 1998).
    scaled = 315614.0 / temperature
    recombination = 1.269e-13 * scaled**1.503 / (1.0 + (scaled / 0.522) ** 0.470) ** 1.923
    collisions = 1.17e-10 * np.sqrt(temperature) * np.exp(-157809.0 / temperature)
    collisions = collisions / (1.0 + np.sqrt(temperature / 1e5))
    # Of A x^2 - B x + C = 0, the smaller solution, written without a difference.
    a = recombination + collisions
    b = 2.0 * recombination + photons / density + collisions
    root = np.sqrt(np.maximum(b * b - 4.0 * a * recombination, 0.0))
    return np.clip(2.0 * recombination / (b + root), 0.0, 1.0)


def molecular_fraction(pressure: np.ndarray) -> np.ndarray:
    """Return the fraction of neutral hydrogen that is molecular."""
    ratio = (np.asarray(pressure, dtype=np.float64) / _EQUAL_PRESSURE) ** _PRESSURE_EXPONENT
    return ratio / (1.0 + ratio)


def star_formation_pressure(mass: np.ndarray, rate: np.ndarray) -> np.ndarray:
    """Return the pressure of gas that forms stars at a rate.

    Schaye & Dalla Vecchia (2008, MNRAS 383, 1210), equation 20, solved for the pressure: a
    Kennicutt-Schmidt law of exponent 1.4 in self-gravitating disks, for Chabrier's initial
    mass function.

    ``mass``: masses of gas particles in Msun; ``rate``: their star formation rates in Msun/yr.
    """
    exponent, efficiency = 1.4, 1.515e-4  # Msun/yr/kpc2 at 1 Msun/pc2
    # m_dot / m = A Sigma^(n - 1) with Sigma^2 = gamma P / G, in Msun and pc.
    specific = np.asarray(rate, dtype=np.float64) / np.asarray(mass, dtype=np.float64)
    sigma = (specific * 1e6 / efficiency) ** (1.0 / (exponent - 1.0))  # Msun/pc2
    gravity, boltzmann = 6.674e-8, 1.3807e-16
    grams = sigma * 1.98841e33 / 3.0857e18**2
    return gravity * grams**2 * (3.0 / 5.0) / boltzmann
