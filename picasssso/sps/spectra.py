"""Spectra of model populations, for plots and checks.

Libraries are made without them (`picasssso.sps.photometry`); here the same weights and
the same dust act on whole spectra.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from picasssso.sps.interpolation import hat_weights
from picasssso.sps.nebular import LINES, nebular_lines

if TYPE_CHECKING:
    from picasssso.sps.dust import AttenuationLaw
    from picasssso.sps.grid import SSPGrid


def gas_spectra(grid: SSPGrid) -> np.ndarray:
    """Return the light of the gas around every population of a grid.

    Lines are put onto the grid's wavelengths with their flux (by trapezoids) kept, and so
    are as wide as these are apart.

    Returns lsun/AA per Msun formed, of shape (n_metallicity, n_age, n_wavelength).
    """
    wavelength = grid.wavelength
    inside = (wavelength[0] < LINES) & (wavelength[-1] > LINES)
    profile = hat_weights(LINES[inside], wavelength) / np.gradient(wavelength)
    light = nebular_lines(grid)[..., inside] @ profile
    return light if grid.nebular_continuum is None else light + grid.nebular_continuum


def population_spectrum(
    grid: SSPGrid,
    age_weights: np.ndarray,
    metallicity_weights: np.ndarray,
    *,
    law: AttenuationLaw,
    diffuse: float = 0.0,
    birth_clouds: float = 0.0,
    escape_fraction: float = 0.0,
    nebular: bool = True,
) -> np.ndarray:
    """Return the spectrum of one population.

    ``age_weights``: mass formed at each of the grid's ages, of shape (n_age,);
    ``metallicity_weights``: weights of the grid's metallicities, of shape (n_metallicity,);
    ``diffuse, birth_clouds``: attenuation at V of either kind of dust in mag; returns lsun/AA
    per unit weight on the grid's wavelengths, of shape (n_wavelength,).

    Examples
    --------
    >>> import numpy as np
    >>> from picasssso.sps import Calzetti, SSPGrid
    >>> from picasssso.sps.spectra import population_spectrum
    >>> grid = SSPGrid.default()
    >>> ages, metals = grid._age_weights(1e9)[0], grid._metallicity_weights(0.02)[0]
    >>> spectrum = population_spectrum(grid, ages, metals, law=Calzetti(), nebular=False)
    >>> bool(np.allclose(spectrum, grid.spectrum("1 Gyr", 0.02).flux.value))
    True
    """
    magnitudes = np.einsum("p,pgw->gw", [diffuse, birth_clouds], law.curves(grid.wavelength))
    passed = 10.0 ** (-0.4 * magnitudes)
    young = grid.ages < law.birth_cloud_age

    def light(table: np.ndarray, weights: np.ndarray) -> np.ndarray:
        return metallicity_weights @ np.tensordot(weights, table, axes=(0, 1))

    total = passed[0] * light(grid.luminosity, np.where(young, 0.0, age_weights))
    total += passed[1] * light(grid.luminosity, np.where(young, age_weights, 0.0))
    if nebular:
        total += (1.0 - escape_fraction) * passed[2] * light(gas_spectra(grid), age_weights)
    return total
