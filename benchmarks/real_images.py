"""Estimate stellar masses of two galaxies in real images, from Python and from the command.

DES: cutouts with weights; the sky is subtracted with photutils. GAMA: cutouts with the sky
still in and no uncertainties. The files give no redshifts, so stand-ins are used: the
masses show that the steps work, and are no measurements. The files are no part of the
repository: the folder that holds ``j0151_des`` and ``gama_t10`` is the argument.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import astropy.units as u
import numpy as np
from astropy.nddata import CCDData, StdDevUncertainty
from photutils.aperture import CircularAperture

import picasssso
from picasssso import BandImages, MassToLightEstimator, PropertyMaps
from picasssso.preparation import subtract_background

RESULT = Path(__file__).resolve().parent / "results" / "real_images.json"

GALAXIES = {
    "j0151_des": {
        "bands": {f"decam2014-{band}": f"DES_{band}.fits[SCI]" for band in "gri"},
        "redshift": 0.02,
        "options": {"weight": "WGT"},
        "sky": "background2d",
        "aperture_arcsec": 24.0,
    },
    "gama_t10": {
        "bands": {f"sdss2010-{band}": f"{band}.fits[0]" for band in "gri"},
        "redshift": 0.1,
        "options": {"unit": "adu"},
        "sky": "median",
        "aperture_arcsec": 5.0,
    },
}
ZERO_POINT = 30


def read(folder: Path, name: str) -> BandImages:
    """Return the images of a galaxy without sky, and with a noise."""
    galaxy = GALAXIES[name]
    images = BandImages.read(
        {band: f"{folder}/{name}/{file}" for band, file in galaxy["bands"].items()},
        redshift=galaxy["redshift"],
        zero_point=ZERO_POINT * u.ABmag,
        **galaxy["options"],
    )
    images = subtract_background(images, galaxy["sky"])
    return images.with_estimated_noise() if images.missing_uncertainty else images


def from_python(images: BandImages) -> PropertyMaps:
    """Return maps; that the Galactic extinction is unknown is known."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Galactic extinction is unknown")
        return MassToLightEstimator().estimate(images)


def from_command(folder: Path, name: str) -> PropertyMaps:
    """Return the maps that the command makes of the same files."""
    galaxy = GALAXIES[name]
    arguments = ["estimate", "--estimator", "mass_to_light", "--quiet"]
    arguments += ["--redshift", str(galaxy["redshift"]), "--zero-point", str(ZERO_POINT)]
    arguments += ["--subtract-sky", galaxy["sky"], "--estimate-noise"]
    for band, file in galaxy["bands"].items():
        arguments += ["--band", f"{band}={folder}/{name}/{file}"]
    for option, value in galaxy["options"].items():
        arguments += [f"--{option}", value]
    with tempfile.TemporaryDirectory() as scratch:
        output = f"{scratch}/maps.fits"
        command = [sys.executable, "-m", "picasssso.cli", *arguments, "--output", output]
        subprocess.run(command, check=True, capture_output=True)
        return PropertyMaps.read(output)


def aperture_mass(maps: PropertyMaps, aperture: CircularAperture) -> dict[str, float]:
    """Return log10 of the mass in an aperture, and its error in dex."""
    total = maps.total("stellar_mass", aperture, correlation="independent")
    mass, error = (value.to_value(u.Msun) for value in (total.value, total.uncertainty))
    return {
        "log_mass": round(math.log10(mass), 4),
        "error_dex": round(error / mass / math.log(10), 4),
    }


def mass_of_the_sum(images: BandImages, aperture: CircularAperture) -> float:
    """Return log10 of the mass by the same relation from the light of the aperture as one.

    The same estimator on an image of one pixel that holds all the light.
    """
    flux, inverse_variance = images.to_arrays()
    weight = aperture.to_mask(method="exact").to_image(images.shape)
    summed = np.sum(flux * weight, axis=(1, 2))
    variance = np.sum(weight / inverse_variance, axis=(1, 2))
    whole = BandImages(
        {
            band: CCDData(
                [[value]], unit=u.nmgy, uncertainty=StdDevUncertainty([[math.sqrt(error)]])
            )
            for band, value, error in zip(images.bands, summed, variance, strict=True)
        },
        redshift=images.redshift,
        pixel_scale=math.sqrt(aperture.area) * images.pixel_scale,
    )
    total = from_python(whole).total("stellar_mass", correlation="independent").value
    return round(math.log10(total.to_value(u.Msun)), 4)


def measure(folder: Path) -> dict[str, object]:
    """Return all figures."""
    result: dict[str, object] = {}
    for name, galaxy in GALAXIES.items():
        images = read(folder, name)
        centre = ((images.shape[1] - 1) / 2, (images.shape[0] - 1) / 2)
        radius = galaxy["aperture_arcsec"] / images.pixel_scale.to_value(u.arcsec)
        aperture = CircularAperture(centre, radius)
        python, command = from_python(images), from_command(folder, name)
        result[name] = {
            "stand_in_redshift": galaxy["redshift"],
            "sky": galaxy["sky"],
            "aperture_arcsec": galaxy["aperture_arcsec"],
            "python": aperture_mass(python, aperture),
            "command": aperture_mass(command, aperture),
            "log_mass_from_summed_light": mass_of_the_sum(images, aperture),
        }
    result["picasssso"] = picasssso.__version__
    return result


def main() -> None:
    """Measure, print and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("folder", type=Path, help="folder with j0151_des and gama_t10")
    result = measure(parser.parse_args().folder)
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
