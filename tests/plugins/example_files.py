"""Files that the documentation's examples read: the example galaxy as surveys write it."""

import bz2
import json
import os
import time

import h5py
import numpy as np
from ifu_layouts import write_manga, write_pipe3d
from survey_layouts import des_coadd, gama_image, ps1_stack, sdss_frame, tangent_wcs

from picasssso import MassToLightEstimator
from picasssso.data import load_example
from picasssso.mocks.illustris import PARTICLE_MASS
from picasssso.sps import ModelLibrary

SIZE, SCALE = 200, 0.396
CENTER = (150.12, 2.34)
#: Places of stars, in pixels, and their fluxes in nmgy.
STARS = ((22, 30, 90), (170, 25, 60), (30, 171, 120), (178, 170, 75), (100, 16, 50), (14, 105, 65))


def planes(images):
    """Return flux and standard deviation by band, in nmgy: the galaxy among stars and sky."""
    flux, inverse_variance = images.to_arrays()
    low = (SIZE - flux.shape[-1]) // 2
    inside = slice(low, low + flux.shape[-1])
    y, x = np.indices((SIZE, SIZE))
    rng = np.random.default_rng(3)
    found = {}
    for k, band in enumerate(images.bands):
        error = inverse_variance[k] ** -0.5
        sigma = np.full((SIZE, SIZE), np.median(error[:8]))
        plane = rng.normal(0, sigma)
        plane[inside, inside], sigma[inside, inside] = flux[k], error
        width = images.psf_fwhm(band).value / SCALE / 2.3548
        for row, column, light in STARS:
            star = np.exp(-((y - row) ** 2 + (x - column) ** 2) / (2 * width**2))
            plane += light * star / (2 * np.pi * width**2)
        found[band[-1]] = plane, sigma
    return found


def write_snapshot(path):
    """Write a flattened galaxy of some hundred particles in the layout of EAGLE."""
    rng = np.random.default_rng(5)
    length, mass = (3.0857e24, 1.0, -1.0), (1.98841e43, 0.0, -1.0)  # to cgs; powers of a and h
    density = (6.7678e-31, -3.0, 2.0)
    with h5py.File(path, "w") as file:
        header = {"Time": 0.97, "HubbleParam": 0.7, "Omega0": 0.3, "OmegaLambda": 0.7}
        file.create_group("Header").attrs.update(header)

        def put(name, values, unit=(1.0, 0.0, 0.0)):
            data = file.create_dataset(name, data=values)
            names = ("CGSConversionFactor", "aexp-scale-exponent", "h-scale-exponent")
            data.attrs.update(dict(zip(names, unit, strict=True)))

        for part, n in (("PartType4", 400), ("PartType0", 200)):
            put(f"{part}/Coordinates", 5 + rng.normal(size=(n, 3)) * [3e-3, 3e-3, 5e-4], length)
            put(f"{part}/Mass", rng.uniform(1e-4, 2e-4, n), mass)
            put(f"{part}/SmoothedMetallicity", rng.uniform(0.005, 0.03, n))
        put("PartType4/InitialMass", rng.uniform(2e-4, 3e-4, 400), mass)
        put("PartType4/StellarFormationTime", rng.uniform(0.2, 0.96, 400))
        put("PartType0/StarFormationRate", rng.uniform(1e-4, 1e-2, 200), (6.3e25, 0.0, 0.0))
        put("PartType0/Density", np.full(200, 3e6), density)
        put("PartType0/Temperature", np.full(200, 8e3))


def write_paper_files(folder, images, truth):
    """Write the example galaxy as the files of Buck & Wolf (2021) are."""
    maps = {name: np.nan_to_num(truth[name].data) for name in truth}
    sets = {
        "stars_Masses": maps["stellar_mass"],
        "stars_GFM_Metallicity": maps["stellar_mass"] * maps["stellar_metallicity"],
        "stars_GFM_StellarFormationTime":
            maps["stellar_mass"] * maps["stellar_age"] / PARTICLE_MASS,
        "gas_Masses": maps["gas_mass"],
        "gas_GFM_Metallicity": maps["gas_mass"] * maps["gas_metallicity"],
        "gas_NeutralHydrogenAbundance": maps["hi_mass"],
        "gas_StarFormationRate": maps["sfr"],
    }  # fmt: skip
    with h5py.File(folder / "halo_12_camera_0_physical_data.h5", "w") as file:
        for key, values in sets.items():
            file[key] = values
            file[key].attrs["psize"] = np.sqrt(images.pixel_area.to_value("kpc2"))
    flux, _ = images.to_arrays()
    brightness = flux / images.pixel_scale.value**2 * 3.631e-6 * 1e6 * 4.254517e10  # uJy / sr
    with h5py.File(folder / "halo_12_camera_0_synthetic_image.h5", "w") as file:
        # Their axes are transposed and flipped against those of the maps.
        file["data"] = np.stack([image[:, ::-1].T for image in brightness]).astype(float)


def write_ifu_files(folder):
    """Write two cubes of MaNGA, of a young disk and an old core, and Pipe3D's maps of them."""
    library = ModelLibrary.build(["sdss2010-g"], 0.03, n_models=8, seed=6)
    shape = 32, 32
    y, x = np.indices(shape) - 15.5
    radius = np.hypot(y, x)
    wave = library.spectrum(0).spectral_axis.to_value("AA")
    used = (wave > 3000) & (wave < 11000)
    for k, name in enumerate(("8138-12704", "8138-12705")):
        young, old = (library.spectrum(2 * k + j).flux.value[used] for j in (0, 1))
        disk, core = 3e8 * np.exp(-radius / 8), 2e9 * np.exp(-radius / 2)
        f_nu = 0.25 * (young[:, None, None] * disk + old[:, None, None] * core)
        write_manga(folder / f"manga-{name}-LINCUBE.fits", (wave[used], f_nu), noisy=1.0)
        area = 0.25 * 0.62**2  # kpc2 of a spaxel
        age = (np.log10(2e9) * disk + np.log10(9e9) * core) / (disk + core)
        planes = {1: 0, 6: age, 7: 0.1, 9: -0.2, 10: 0.1, 11: 0.3, 12: 0.05,
                  19: np.log10(0.7 / 0.61 * (disk + core) * area)}  # fmt: skip
        write_pipe3d(folder / f"manga-{name}.Pipe3D.cube.fits", planes, shape, pixel=0.5)


def example_files(tmp_path_factory):
    """Return a folder of all of them, written once for all processes of pytest-xdist."""
    base = tmp_path_factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder = base / "examples"
    try:
        (base / "examples_begun").mkdir()
    except FileExistsError:
        end = time.monotonic() + 300
        while not folder.exists() and time.monotonic() < end:
            time.sleep(0.1)
        return folder
    unfinished = base / "examples_unfinished"
    unfinished.mkdir()
    write_example_files(unfinished)
    return unfinished.rename(folder)


def write_example_files(folder):
    """Write all of them into a folder."""
    images, truth = load_example()
    wcs = tangent_wcs((SIZE, SIZE), SCALE, center=CENTER)
    found = planes(images)
    for band in "griz":
        flux, sigma = found[band]
        des_coadd(folder / f"DES_{band}.fits", band, flux, wcs, sigma=sigma)
        # As many electrons per count as the survey's formula needs for this noise, roughly.
        frame = sdss_frame(
            folder / f"frame-{band}-003903-3-0123.fits", band, flux, wcs, run=3903,
            per_count=sigma[0, 0] / 5,
        )  # fmt: skip
        frame.with_suffix(".fits.bz2").write_bytes(bz2.compress(frame.read_bytes(), 1))
        frame.unlink()
        ps1_stack(folder, band, flux, wcs, sigma=sigma)
        gama_image(folder / f"gama_{band}.fits", flux, wcs)
    images.write(folder / "images.fits")
    images.write(folder / "bands.fits")
    truth.write(folder / "truth.fits")
    write_ifu_files(folder)
    (folder / "scratch").mkdir()
    write_snapshot(folder / "galaxy.hdf5")
    write_paper_files(folder, images, truth)
    maps = MassToLightEstimator().estimate(images)
    for name in ("maps", "cnn", "sed_fit"):
        maps.write(folder / f"{name}.fits")
    recipe = {
        "training": {"network": {"widths": [8, 12], "depths": [1, 1]}, "members": 1, "steps": 2,
                     "batch_size": 2, "pool_size": 4},
        "pairs": [{"survey": "sdss", "settings": {"n_pixels": 32}}],
    }  # fmt: skip
    (folder / "recipe.json").write_text(json.dumps(recipe))
