#!/usr/bin/env python
"""How exactly mock galaxies hold what was put in, and say what noise they have.

- mass: the sum of the map of mass formed against the mass put in, for all kinds of galaxies
  in frames that hold them, by their size in pixels;
- light: without dust, the sum of an image against the summed spectra of the stellar grid;
- PSF: flux after against before;
- rotation: a galaxy turned by 90 degrees against its turned maps and image;
- noise: the scatter of images about the noiseless ones over the stated noise;
- simulations: with ``--data FOLDER`` (its ``particles`` and ``illustris``), sums of true maps
  against those of particles, or of the maps in the file.

Run from the root of the repository: ``python benchmarks/mocks_bars.py [--data FOLDER]``.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import astropy.units as u
import numpy as np
import torch

from picasssso.mocks import Galaxies, LightTable, ProceduralGalaxies, observe
from picasssso.mocks.age_bins import AGE_EDGES
from picasssso.mocks.galaxies.render import _histories
from picasssso.mocks.observing import get_survey
from picasssso.mocks.observing.transfer_functions import (
    convolve,
    gaussian_transfer,
    moffat_transfer,
)
from picasssso.pairs import TrueSums

RESULT = Path("benchmarks/results/mocks_bars.json")
UGRIZ = tuple(f"sdss2010-{band}" for band in "ugriz")
CLEAN = {"contaminants": 0.0, "background": 0.0, "bad_pixels": 0.0}
SEED = 77


def rounded(value: float) -> float:
    """Return a number with three digits."""
    return float(f"{float(value):.3g}")


def alone(source: ProceduralGalaxies, count: int) -> tuple[Galaxies, dict[str, np.ndarray]]:
    """Return galaxies without companions and satellites, which are more than their mass."""
    index = np.arange(count)
    parameters = source.parameters(index)
    for name in ("companion", "n_satellites"):
        parameters[name][:] = 0
    return source.render(index, parameters), parameters


def mass_put_in(parameters: dict[str, np.ndarray]) -> np.ndarray:
    """Return the mass formed, as components of the recipe have it."""
    _, masses = _histories(parameters)
    return masses["bulge"] + masses["disc"] + masses["bar"] + masses["young"]


def conserved_mass() -> dict:
    """Compare sums of maps with the mass put in, at three sizes in pixels."""
    result = {}
    for pixels in (3, 5, 8):
        # Profiles of spheroids have wings: frames of 48 half-mass radii hold them.
        survey = replace(get_survey("paper_field"), frame=48.0)
        source = ProceduralGalaxies(
            SEED, survey=survey, n_pixels=48 * pixels, device="cpu", mass_range=(9.0, 11.5)
        )
        galaxies, parameters = alone(source, 60)
        area = parameters["pixel_scale_kpc"] ** 2
        found = galaxies.mass_formed.double().sum((1, 2, 3)).numpy() * area
        error = np.abs(found / mass_put_in(parameters) - 1.0)
        spheroid = parameters["bulge_fraction"] > 0.3
        barred = ~spheroid & (parameters["bar_fraction"] > 0.02)
        result[f"half_mass_radius_{pixels}_pixels"] = {
            name: {
                "galaxies": int(some.sum()),
                "median": rounded(np.median(error[some])),
                "p90": rounded(np.percentile(error[some], 90)),
                "worst": rounded(error[some].max()),
            }
            for name, some in {
                "all": spheroid | True,
                "discs": ~spheroid & ~barred,
                "barred": barred,
                "bulge_above_0.3": spheroid,
            }.items()
        }
    return result


def summed_light(table: LightTable) -> float:
    """Return the worst error of images against summed spectra, without dust."""
    from picasssso.sps import SSPGrid, TwoComponent
    from picasssso.sps.histories import AgeBins, StepHistories
    from picasssso.sps.photometry import GridPhotometry

    grid = SSPGrid.default()
    photometry = GridPhotometry.build(grid, UGRIZ, 0.05)
    source = ProceduralGalaxies(SEED, survey="paper_field", n_pixels=24, device="cpu")
    galaxies = source.draw(range(8))
    galaxies = replace(galaxies, attenuation=torch.zeros_like(galaxies.attenuation))
    image = table.light(galaxies).surface_brightness.double().sum((2, 3)).numpy()
    worst = 0.0
    for k in range(len(galaxies)):
        mass = galaxies.mass_formed[k].double().numpy()
        full = np.zeros(5)
        for age in range(len(mass)):
            # Pixels of one age bin differ in metallicity only: their light by spectra.
            one = np.zeros((1, len(mass)))
            one[0, age] = 1.0
            history = StepHistories(AGE_EDGES, one).age_weights(AgeBins(grid.ages))
            metals = galaxies.log_metallicity[k, age].double().numpy().ravel()
            weights = grid.metallicity_weights(10.0**metals)
            share = (mass[age].ravel()[:, None] * weights).sum(0)
            full += photometry.fluxes(
                history * share.sum(), (share / share.sum())[None], law=TwoComponent(-0.7, -1.3)
            )[0]
        worst = max(worst, float(np.abs(image[k] / full - 1.0).max()))
    return rounded(worst)


def kept_flux() -> float:
    """Return the worst relative change of an image's sum under PSFs."""
    image = torch.rand(1, 72, 72, dtype=torch.float32)
    worst = 0.0
    for fwhm in (0.5, 1.0, 3.6, 8.0):
        for make in (moffat_transfer, gaussian_transfer):
            seen = convolve(image, make(torch.tensor([fwhm]), (72, 72)))
            worst = max(worst, abs(float(seen.double().sum() / image.double().sum()) - 1.0))
    return rounded(worst)


def rotation(table: LightTable) -> dict[str, float]:
    """Compare galaxies turned by 90 degrees with their turned maps and images."""
    source = ProceduralGalaxies(
        SEED, n_pixels=64, margin=8, redshift=0.05, device="cpu", mass_range=(9.5, 11.5)
    )
    index = np.arange(40)
    parameters = source.parameters(index)
    straight = source.render(index, parameters)
    angle = parameters["position_angle"] + 0.5 * np.pi
    turned = source.render(index, {**parameters, "position_angle": angle})
    light, again = table.light(straight.rotate(1)), table.light(turned)
    quiet = replace(get_survey("sdss"), sky_noise=(1e-9,) * 5, electrons=(), zero_point_error=0.0)
    images = [
        observe(galaxies, shine, UGRIZ, quiet, margin=8, **CLEAN)  # type: ignore[arg-type]
        for galaxies, shine in ((straight.rotate(1), light), (turned, again))
    ]
    # Of the description turned: exact. Of the recipe turned: the plane is resampled.
    exact = observe(straight, table.light(straight), UGRIZ, quiet, margin=8, **CLEAN)  # type: ignore[arg-type]

    def worst(one: torch.Tensor, other: torch.Tensor) -> float:
        scale = other.abs().amax((-2, -1), keepdim=True)
        return rounded(((one - other).abs() / scale.clamp(min=1e-20)).max())

    maps = [TrueSums(sums.truth.sums) for sums in (again, light)]
    return {
        "image_of_turned_description": worst(
            torch.rot90(exact.flux, -1, (-2, -1)), images[0].flux
        ),
        "image_of_turned_recipe": worst(images[1].flux, images[0].flux),
        "sums_of_maps_of_turned_recipe": worst(maps[0].sums, maps[1].sums),
    }


def stated_noise(table: LightTable) -> dict:
    """Compare the scatter of images with their stated noise, by band and brightness."""
    source = ProceduralGalaxies(
        SEED, n_pixels=64, margin=4, redshift=0.05, device="cpu", mass_range=(9.5, 11.5)
    )
    survey = replace(get_survey("sdss"), zero_point_error=0.0)
    quiet = replace(survey, sky_noise=(1e-9,) * 5, electrons=(), depth_scatter=0.0)
    pulls, bright = [], []
    for start in range(0, 320, 80):
        galaxies = source.draw(range(start, start + 80))
        light = table.light(galaxies)
        seen = observe(galaxies, light, UGRIZ, survey, margin=4, **CLEAN)  # type: ignore[arg-type]
        true = observe(galaxies, light, UGRIZ, quiet, margin=4, **CLEAN)  # type: ignore[arg-type]
        pulls.append((seen.flux - true.flux) * seen.inverse_variance.sqrt())
        bright.append(true.flux * seen.inverse_variance.sqrt())
    pull = torch.cat(pulls).transpose(0, 1).reshape(5, -1).double()
    ratio = torch.cat(bright).transpose(0, 1).reshape(5, -1)
    scatter = {band[-1]: rounded(p.std()) for band, p in zip(UGRIZ, pull, strict=True)}
    steps = ((-10, 1), (1, 3), (3, 10), (10, 30), (30, 1000))
    return {
        "measured_over_stated": scatter,
        "by_signal_to_noise": {
            f"{low} to {high}": {
                "pixels": int(some.sum()), "measured_over_stated": rounded(pull[some].std()),
            }
            for low, high in steps
            if int((some := (ratio >= low) & (ratio < high)).sum()) > 1000
        },
    }  # fmt: skip


def simulations(folder: Path, table: LightTable) -> dict:
    """Compare sums of true maps with those of particles, and of maps in files."""
    from picasssso.mocks.illustris import read_illustris_maps
    from picasssso.mocks.particles import read_particles

    result = {}
    for path in sorted((folder / "particles").glob("*.hdf5")):
        if "subhalo" in path.name:
            continue
        particles = read_particles(path)
        stars, gas = particles.stars, particles.gas
        reach = max(np.abs(stars.position).max(), np.abs(gas.position).max())
        galaxies = particles.to_galaxies(
            n_pixels=64, redshift=0.05, pixel_scale=4.0 * reach / 64 * u.kpc
        )
        light = table.light(galaxies)
        area = float(galaxies.pixel_scale_kpc[0]) ** 2
        sums = light.truth.sums[0].double().sum((1, 2)).numpy() * area
        wanted = {
            "stellar_mass": (sums[0], stars.mass.sum()),
            "stellar_metals": (sums[1], (stars.mass * stars.metallicity).sum()),
            "gas_mass": (sums[4], 1.36 * (gas.hi_mass + gas.h2_mass).sum()),
            "hi_mass": (sums[6], gas.hi_mass.sum()),
        }
        observed = observe(
            particles.to_galaxies(n_pixels=64, redshift=0.05, pixel_scale=0.396 * u.arcsec),
            light=table.light(
                particles.to_galaxies(n_pixels=64, redshift=0.05, pixel_scale=0.396 * u.arcsec)
            ),
            bands=UGRIZ,
        )
        flux = light.surface_brightness.sum((0, 2, 3)).numpy()
        result[path.name] = {
            "layout": particles.layout,
            "stars": len(stars.mass),
            "log_stellar_mass": round(float(np.log10(stars.mass.sum())), 2),
            "g_minus_r": round(float(-2.5 * np.log10(flux[1] / flux[2])), 2),
            "images_finite": bool(torch.isfinite(observed.flux).all()),
            "relative_errors_of_totals": {
                name: rounded(abs(found / true - 1.0)) for name, (found, true) in wanted.items()
            },
        }
    for path in sorted((folder / "illustris").glob("*.h5")):
        maps = read_illustris_maps(path)
        galaxies = maps.to_galaxies(redshift=0.05)
        light = table.light(galaxies)
        area = float(galaxies.pixel_scale_kpc[0]) ** 2
        found = float(light.truth.sums[0, 0].double().sum()) * area
        true = maps.to_property_maps(redshift=0.05)
        mass = float(np.nansum(true["stellar_mass"].data.astype(float))) * area
        flux = light.surface_brightness.sum((0, 2, 3)).numpy()
        result[path.name] = {
            "log_stellar_mass": round(float(np.log10(mass)), 2),
            "g_minus_r": round(float(-2.5 * np.log10(flux[1] / flux[2])), 2),
            "images_finite": bool(torch.isfinite(light.surface_brightness).all()),
            "relative_errors_of_totals": {"stellar_mass": rounded(abs(found / mass - 1.0))},
        }
    return result


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--data", type=Path, help="folder with particles/ and illustris/")
    options = parser.parse_args()
    table = LightTable.build(UGRIZ, 0.05)
    before = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    content = {"simulations": before["simulations"]} if "simulations" in before else {}
    content.update(
        {
            "mass_in_frames_of_48_half_mass_radii": conserved_mass(),
            "light_against_summed_spectra": summed_light(table),
            "psf": kept_flux(),
            "rotation_by_90_degrees": rotation(table),
            "noise": stated_noise(table),
        }
    )
    if options.data is not None:
        content["simulations"] = simulations(options.data, table)
    RESULT.write_text(json.dumps(content, indent=1) + "\n")
    print(RESULT.read_text())


if __name__ == "__main__":
    main()
