"""Published relations between the global properties of nearby galaxies.

Each function returns the typical value; the scatter that the source gives stands beside it
as a constant in dex (or as said). Masses are in Msun for a Chabrier (or Kroupa, 0.03 dex
apart and not corrected) initial mass function, sizes in kpc, rates in Msun/yr.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np

from picasssso.sps.nebular import SOLAR_METALLICITY, SOLAR_OXYGEN

if TYPE_CHECKING:
    import torch

_Array = TypeVar("_Array", "np.ndarray", "torch.Tensor")


def sample_masses(
    uniform: np.ndarray, mass_range: tuple[float, float], weight: float
) -> np.ndarray:
    """Return stellar masses drawn from the mass function of nearby galaxies.

    Double Schechter function of Baldry et al. (2012, MNRAS 421, 621): log M* = 10.66,
    phi1 = 3.96e-3, alpha1 = -0.35, phi2 = 0.79e-3, alpha2 = -1.47.
    """
    log_mass = np.linspace(*mass_range, 1001)
    x = 10.0 ** (log_mass - 10.66)
    density = np.exp(-x) * (3.96e-3 * x ** (1.0 - 0.35) + 0.79e-3 * x ** (1.0 - 1.47))
    density *= x**weight
    cumulative = np.concatenate([[0.0], np.cumsum(0.5 * (density[1:] + density[:-1]))])
    return np.interp(uniform, cumulative / cumulative[-1], log_mass)


def quenched_fraction(log_mass: np.ndarray) -> np.ndarray:
    """Return the fraction of galaxies that form almost no stars.

    1 - 0.92 exp(-(M / 10^11.5)^0.55), of the form of Peng et al. (2010, ApJ 721, 193), chosen so
    that mocks have the fractions of xGASS (Catinella et al. 2018, MNRAS 476, 875) with specific
    rates below 10^-11.5 / yr: 0.04, 0.13, 0.24, 0.37 and 0.45 at 1e9.25, 9.75, 10.25, 10.75 and
    11.2 Msun. Peng et al. divide by color, which dust and slow decline redden too, and find 0.4
    at 1e10.25 and 0.75 at 1e10.75.
    """
    return 1.0 - 0.92 * np.exp(-(10.0 ** (0.55 * (log_mass - 11.5))))


def green_fraction(log_mass: np.ndarray) -> np.ndarray:
    """Return the fraction of the other galaxies that are on their way (the green valley).

    0.05 at low masses, 0.6 at high ones (Salim 2014, SerAJ 189, 1, has a tenth of all), chosen
    as in `quenched_fraction`: 0.03, 0.07, 0.14, 0.17 and 0.35 of all galaxies of xGASS have
    specific rates of 10^-11.5 to 10^-11 / yr, where about half of these lie.
    """
    return 0.05 + 0.55 / (1.0 + np.exp((10.5 - log_mass) / 0.35))


#: Scatter of the star-forming sequence in dex.
MAIN_SEQUENCE_SCATTER = 0.3


def main_sequence(log_mass: np.ndarray) -> np.ndarray:
    """Return the star formation rate of star-forming galaxies.

    log SFR = 0.76 log M - 7.64: Renzini & Peng (2015, ApJ 801, L29), equation 1; above 1e10
    Msun it bends as in Saintonge et al. (2016, MNRAS 462, 1749), equation 5, whose sample
    xGASS follows.

    Returns log10 of the rate in Msun/yr.
    """
    bent = -2.332 * log_mass + 0.4156 * log_mass**2 - 0.01828 * log_mass**3
    return np.where(log_mass < 10.0, 0.76 * log_mass - 7.64, bent)


#: Quenched galaxies: log10 of the specific rate in 1/yr, its scatter in dex, and the fraction
#: without any star formation and cold gas. Chosen so that the median of all is that of GSWLC's
#: quiescent galaxies (Salim et al. 2018, ApJ 859, 11), -12.3, where its own upper limits lie.
LOG_QUENCHED_RATE = -12.2
QUENCHED_RATE_SCATTER = 0.45
EMPTY_QUENCHED = 0.3


#: The green valley: log10 of the specific rate in 1/yr and its scatter in dex.
LOG_GREEN_RATE = -11.15
GREEN_RATE_SCATTER = 0.3

#: Fraction of the stars of galaxies that still form some that are of an early, short phase, and
#: its scatter. Chosen, with `formation_start`, for the ages of MaNGA galaxies.
OLD_FRACTION = 0.55
OLD_FRACTION_SCATTER = 0.15


def formation_start(log_mass: np.ndarray, quenched: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return when galaxies began to form stars, and how much that differs.

    Chosen so that mass-weighted ages of mocks have the medians and the scatter of those of
    MaNGA galaxies at one effective radius (Firefly with MaStar models: Neumann et al. 2022,
    MNRAS 513, 5988): 7.4, 8.3 and 9.1 Gyr at 1e9.2, 1e10.2 and 1e11.2 Msun.

    Returns gyr ago, and the scatter in Gyr.
    """
    smaller = np.clip(10.4 - log_mass, 0.0, 1.8)
    typical = np.where(quenched, 11.0 + 0.1 * (log_mass - 10.5), 12.4 - 0.4 * smaller)
    return typical, np.where(quenched, 1.0, 0.8 + 0.4 * smaller)


def size_scatter(log_mass: np.ndarray) -> np.ndarray:
    """Return the scatter of sizes in ln (Shen et al. 2003, eq. 19), by 4e10 Msun: 0.47, 0.34."""
    return 0.34 + 0.13 / (1.0 + 10.0 ** (2.0 * (log_mass - 10.6)))


def late_type_size(log_mass: np.ndarray) -> np.ndarray:
    """Return the half-light radius of late-type galaxies.

    0.10 M^0.14 (1 + M / 3.98e10)^0.25 kpc: Shen et al. (2003), equation 18.

    Returns radii in kpc.
    """
    mass = 10.0**log_mass
    return 0.10 * mass**0.14 * (1.0 + mass / 3.98e10) ** 0.25


def early_type_size(log_mass: np.ndarray) -> np.ndarray:
    """Return the half-light radius of early-type galaxies.

    2.88e-6 M^0.56 kpc: Shen et al. (2003, with erratum 2007), equation 17, which holds above
    2e9 Msun; below, sizes flatten (as of dwarf ellipticals: Lange et al. 2015, MNRAS 447,
    2603), here at 1 kpc.

    Returns radii in kpc.
    """
    return np.hypot(2.88e-6 * 10.0 ** (0.56 * log_mass), 1.0)


#: Scatter of the gas's metallicity at a mass, dex.
GAS_METALLICITY_SCATTER = 0.07


def gas_metallicity(log_mass: np.ndarray) -> np.ndarray:
    """Return the metallicity of the gas.

    12 + log(O/H) = 8.793 - (0.28 / 1.2) log(1 + (M / 10^10.02)^-1.2): Curti et al. (2020,
    MNRAS 491, 944), equation 2.
    """
    abundance = 8.793 - 0.28 / 1.2 * np.log10(1.0 + 10.0 ** (-1.2 * (log_mass - 10.02)))
    return np.log10(SOLAR_METALLICITY) + abundance - SOLAR_OXYGEN


#: log10 of the stellar mass, log10 of the mass fraction of metals of the stars over 0.0142,
#: and how much galaxies differ, dex. Means of Gallazzi et al. (2005, MNRAS 362, 41, table 2:
#: light-weighted, fibers in the center) and of MaNGA's mass-weighted values at one effective
#: radius (Firefly: Neumann et al. 2022, MNRAS 513, 5988), which lie 0-0.25 dex lower above
#: 1e10 Msun (solar is 0.019 there).
_STELLAR_METALLICITY = np.array(
    [
        [8.91, -0.51, 0.27],
        [9.31, -0.46, 0.26],
        [9.72, -0.27, 0.25],
        [9.91, -0.17, 0.23],
        [10.11, -0.04, 0.2],
        [10.31, 0.04, 0.17],
        [10.51, 0.09, 0.14],
        [10.72, 0.14, 0.12],
        [10.91, 0.19, 0.1],
        [11.31, 0.26, 0.09],
        [11.91, 0.30, 0.09],
    ]
)


def stellar_metallicity(log_mass: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the metallicity of the stars and its scatter.

    Between Gallazzi et al. (2005, MNRAS 362, 41) and Neumann et al. (2022, MNRAS 513, 5988).

    Returns log10 of the mass fraction of metals, and the scatter in dex.
    """
    mass, metallicity, scatter = _STELLAR_METALLICITY.T
    value = np.interp(log_mass, mass, metallicity) + np.log10(SOLAR_METALLICITY)
    return value, np.interp(log_mass, mass, scatter)


#: Scatter of the HI mass at a stellar mass on the star-forming sequence, dex.
HI_SCATTER = 0.32

#: Quenched galaxies with gas: log10 of HI over stellar mass, and its scatter. xGASS detects a
#: fifth of them above about -1.8 (Catinella et al. 2018, MNRAS 476, 875), ATLAS3D 10 % in
#: clusters and 40 % in the field, of masses from 1e7 Msun on (Serra et al. 2012, MNRAS 422, 1835).
LOG_QUENCHED_HI = -2.15
QUENCHED_HI_SCATTER = 0.45

#: log10 of the stellar mass, and the median log10 of HI over stellar mass of star-forming
#: galaxies (specific rates above 1e-11 / yr) of xGASS, limits counted (Catinella et al. 2018);
#: below 1e9 Msun with the slope of Huang et al. (2012, ApJ 756, 113).
_HI_FRACTION = np.array(
    [[8.25, 0.24], [9.0, 0.03], [9.25, -0.09], [9.75, -0.36], [10.25, -0.66], [10.75, -0.92],
     [11.2, -1.05]]
)  # fmt: skip


def hi_mass(log_mass: np.ndarray) -> np.ndarray:
    """Return the HI mass of star-forming galaxies.

    Median of xGASS (Catinella et al. 2018, MNRAS 476, 875), a sample representative in stellar
    mass; an HI-selected one (ALFALFA) lies 0.3-0.4 dex higher.

    Returns log10 of the HI mass in Msun.
    """
    mass, fraction = _HI_FRACTION.T
    slope = (fraction[1] - fraction[0]) / (mass[1] - mass[0])
    lower = np.minimum(log_mass - mass[0], 0.0) * slope
    return log_mass + np.interp(log_mass, mass, fraction) + lower


def hi_below_sequence(below_sequence: np.ndarray) -> np.ndarray:
    """Return how HI masses depend on the star formation rate at a stellar mass.

    A power of 0.4 near the sequence and of 0.8 from 0.5 dex below it on, as the medians of
    xGASS (Catinella et al. 2018) by mass and specific rate, limits counted.

    ``below_sequence``: rate relative to the star-forming sequence, in dex.
    """
    near = 0.4 * np.clip(below_sequence, -0.5, 0.6)
    return near + 0.8 * np.clip(below_sequence + 0.5, -0.8, 0.0)


#: Scatter of the radius of HI disks at an HI mass, dex.
HI_RADIUS_SCATTER = 0.06


def hi_disk_radius(log_hi_mass: np.ndarray) -> np.ndarray:
    """Return the radius where the HI surface density is 1 Msun/pc2.

    log D = 0.506 log M_HI - 3.293: Wang et al. (2016, MNRAS 460, 2143), equation 2.

    Returns radii in kpc.
    """
    return 0.5 * 10.0 ** (0.506 * log_hi_mass - 3.293)


#: Scatter between galaxies of the time in which molecular gas turns into stars, dex.
DEPLETION_SCATTER = 0.22


def depletion_time(log_mass: np.ndarray) -> np.ndarray:
    """Return the time in which molecular gas, with helium, turns into stars.

    1 Gyr, shorter in small galaxies: xCOLD GASS (Saintonge et al. 2017, ApJS 233, 22), whose
    star-forming galaxies have 0.7 Gyr at 1e9.2 Msun. Leroy et al. (2013, AJ 146, 19) find 2.2 Gyr
    in disks of nearby spirals, with another conversion factor and tracer of the rate.

    Returns log10 of the time in yr.
    """
    return 9.03 + 0.15 * np.clip(log_mass - 10.0, -1.5, 0.5)


def dust_factor(below_sequence: np.ndarray) -> np.ndarray:
    """Return the effective optical depth relative to that of the mean column of metals.

    Chosen so that mocks have the median attenuation of GSWLC-X2's galaxies (Salim et al. 2018,
    ApJ 859, 11) by mass and rate: gas-poor galaxies are not as dust-poor.

    ``below_sequence``: rate relative to the star-forming sequence, in dex.
    """
    return 0.67 * 10.0 ** (-0.6 * np.clip(below_sequence, -0.8, 0.6))


#: Power of the cosine of the inclination that columns of dust lose (see `dust_inclination`).
DUST_INCLINATION = 0.4


#: Power of columns of gas and metals with which dust counts (`render.spread_column`). Chosen so
#: that star-forming mocks are as much redder inside half the half-light radius than outside it as
#: galaxies of the NASA-Sloan Atlas (g-i by 0.08 mag; 0.2 with a power of 1).
DUST_POWER = 0.4


def dust_inclination(cosine: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Return how much less a column of dust counts when a disk is seen inclined, to be multiplied.

    A clumpy layer grows less opaque than 1 / cos i. Chosen so that mocks' attenuations follow axis
    ratios as GSWLC-X2's (Salim et al. 2018, ApJ 859, 11): 0.30 mag above 0.65, 0.44 below 0.35.

    ``shift``: added to the power in each galaxy's world.
    """
    power = np.clip(DUST_INCLINATION + shift, 0.0, 1.0)
    return (np.clip(cosine, 0.1, 1.0) / 0.6) ** power


def attenuation_per_surface_density(metallicity: float = SOLAR_METALLICITY) -> float:
    """Return the extinction of a column of gas.

    A_V = N_H / 1.87e21 cm^-2 in the Milky Way (Bohlin, Savage & Drake 1978, ApJ 224, 132,
    with R_V = 3.1), in proportion to the metallicity (Leroy et al. 2011, ApJ 737, 12).

    Returns in mag per Msun/kpc2 of hydrogen.
    """
    atoms_per_column = 1.989e33 / 1.6735e-24 / (3.0857e21) ** 2
    return atoms_per_column / 1.87e21 * metallicity / SOLAR_METALLICITY


def attenuation_slope(attenuation: _Array) -> _Array:
    """Return the slope of the attenuation law, which flattens with optical depth.

    Of Calzetti et al. (2000, ApJ 533, 682) times a power of the wavelength, with the exponent
    with which A(1500 AA) / A_V follows GSWLC-X2's galaxies, 10^0.424 A_V^-0.68 (Salim & Narayanan
    2020, ARA&A 58, 529; Salim, Boquien & Lee 2018, ApJ 859, 11), at most as steep as the steepest
    of these. Between u and r Calzetti's law is a power of -0.93. Models of radiative transfer
    (Chevallard et al. 2013, MNRAS 432, 2061) are 0.3 flatter, with which star-forming mocks are
    0.1 mag bluer in u-r than GSWLC's galaxies of the same rate and attenuation.

    ``attenuation``: attenuation at V in mag.
    """
    depth = attenuation.clip(min=1e-3)
    log_depth = np.log10(depth) if isinstance(attenuation, np.ndarray) else depth.log10()
    # log10 of A(1500) / A_V over Calzetti's 2.55, over log10(5500 / 1500).
    steeper = (0.424 - 0.4065 - 0.68 * log_depth) / 0.5643
    return -(0.93 + steeper).clip(0.5, 1.6)
