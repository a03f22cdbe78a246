"""Light of the gas that young stars ionize: the strong lines.

The nebular continuum comes with the grid. Lines do not, and are added here: hydrogen's
from the ionizing photon rate (case B), those of metals from what H II regions and
galaxies of known oxygen abundance show. The gas has the metallicity of the stars.
"""

from __future__ import annotations

import numpy as np

from picasssso.sps.grid import SOLAR_LUMINOSITY, SSPGrid

#: erg in H beta per hydrogen-ionizing photon, case B at 10^4 K (Leitherer & Heckman 1995,
#: ApJS 96, 9, equation 10).
H_BETA_PER_PHOTON = 4.76e-13

#: The Sun's oxygen abundance, 12 + log(O/H), and its mass fraction of metals (Asplund et
#: al. 2009, ARA&A 47, 481): the pair that turns one into the other.
SOLAR_OXYGEN = 8.69
SOLAR_METALLICITY = 0.0142

#: Hydrogen lines relative to H beta: case B, 10^4 K, 100 cm^-3 (Osterbrock & Ferland 2006,
#: table 4.4), and for Paschen beta and Brackett gamma Leitherer & Heckman (1995).
_HYDROGEN = {
    6562.8: 2.863,
    4861.3: 1.0,
    4340.5: 0.468,
    4101.7: 0.259,
    3970.1: 0.159,
    12818.1: 0.150,
    21655.3: 0.0275,
}

#: Coefficients in x = 12 + log(O/H) - 8.69 of log ratios (Curti et al. 2020, MNRAS 491, 944,
#: table 2), which hold from 7.6 to 8.9.
_CURTI_RANGE = (7.6, 8.9)
_O2 = (0.435, -1.362, -5.655, -4.851, -0.478, 0.736)  # [O II] 3726 + 3729 / H beta
_O3 = (-0.277, -3.549, -3.593, -0.981)  # [O III] 5007 / H beta
_N2 = (-0.489, 1.513, -2.554, -5.293, -2.867)  # [N II] 6584 / H alpha
_S2 = (-0.442, -0.360, -6.271, -8.339, -3.559)  # [S II] 6717 + 6731 / H alpha

#: Other lines relative to H beta at mass fractions 0.0004, 0.004 and 0.008 and above
#: (Anders & Fritze-v. Alvensleben 2003, A&A 401, 1063, table 1).
_TABLE_METALLICITIES = (0.0004, 0.004, 0.008)
_TABLE = {
    5875.6: (0.096, 0.108, 0.140),  # He I
    9068.6: (0.0, 0.200, 0.365),  # [S III]
    9530.6: (0.0, 0.510, 0.945),  # [S III]
}

#: The rest wavelengths of all lines, in AA.
LINES = np.array(
    [*_HYDROGEN, 3727.4, 5006.8, 4958.9, 3868.8, 6583.5, 6548.0, 6716.4, 6730.8, *_TABLE]
)


def oxygen_abundance(metallicity: np.ndarray | float) -> np.ndarray:
    """Return the oxygen abundance of gas whose metals are mixed as in the Sun."""
    return np.asarray(SOLAR_OXYGEN + np.log10(np.asarray(metallicity) / SOLAR_METALLICITY))


def line_ratios(metallicity: np.ndarray | float) -> np.ndarray:
    """Return strengths of `LINES` over H beta, (n, n_line), before dust, of metallicities (n,)."""
    metallicity = np.atleast_1d(np.asarray(metallicity, dtype=np.float64))
    abundance = oxygen_abundance(metallicity)
    x = np.clip(abundance, *_CURTI_RANGE) - SOLAR_OXYGEN
    # Where oxygen is rarer than in any galaxy of the sample, its lines scale with it.
    rarer = 10.0 ** np.minimum(abundance - _CURTI_RANGE[0], 0.0)

    def ratio(coefficients: tuple[float, ...]) -> np.ndarray:
        return 10.0 ** np.polynomial.polynomial.polyval(x, coefficients) * rarer

    h_alpha = _HYDROGEN[6562.8]
    o2, o3 = ratio(_O2), ratio(_O3)
    n2, s2 = ratio(_N2) * h_alpha, ratio(_S2) * h_alpha
    metals = [
        o2,
        o3,
        o3 / 2.98,  # Storey & Zeippen 2000
        # [Ne III]: its ratio to [O III] hardly varies (0.07-0.09 in the table cited above).
        0.08 * o3,
        n2,
        n2 / 3.05,  # Storey & Zeippen 2000
        # [S II] at densities below 100 cm^-3.
        s2 * 1.35 / 2.35,
        s2 / 2.35,
    ]
    log_nodes = np.log10(_TABLE_METALLICITIES)
    others = [np.interp(np.log10(metallicity), log_nodes, values) for values in _TABLE.values()]
    hydrogen = np.broadcast_to(list(_HYDROGEN.values()), (metallicity.size, len(_HYDROGEN)))
    return np.concatenate([hydrogen, np.stack([*metals, *others], axis=1)], axis=1)


def nebular_lines(grid: SSPGrid) -> np.ndarray:
    """Return the lines' luminosities for every population of a grid.

    Returns lsun per Msun formed, of shape (n_metallicity, n_age, n_line), in the order of
    `LINES`, if no ionizing photon escapes or falls on dust.
    """
    h_beta = grid.ionizing_photon_rate * H_BETA_PER_PHOTON / SOLAR_LUMINOSITY
    return h_beta[:, :, None] * line_ratios(grid.metallicities)[:, None, :]
