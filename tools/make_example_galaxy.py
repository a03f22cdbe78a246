#!/usr/bin/env python
"""Make the example galaxy that comes with picasssso, and its truth.

Galaxy 4621 of seed 4 of `picasssso.mocks`, seen by SDSS in its median seeing and depth at
redshift 0.03, without other sources, residual background or bad pixels. Out of 20,000 it was
chosen for its looks: a bulge, two blue arms, some inclination, and axes along neither
those of the pixels nor north. No estimator was asked. It lives in the one world in which all
zero points have their central values (``worlds=False``).

Its light is not exactly that of the stellar grid that the estimators use: as in every mock
galaxy, the spectra are wrong by about 0.1 mag, smoothly in age and wavelength.

The truth is given at the resolution of the image with the widest PSF (u).

Run from the root of the repository::

    python tools/make_example_galaxy.py

Same seed and same version of picasssso, same galaxy.

The files that ship were made before `picasssso.mocks` let dust fall less with radius than gas and
metals, so today's galaxy of this number has the same stars and gas and other dust: they are made
anew with the pages and pictures that rest on them.
"""

from __future__ import annotations

import argparse
import gzip
import tempfile
from dataclasses import replace
from pathlib import Path

import astropy.units as u
import numpy as np
from astropy.wcs import WCS

from picasssso.mocks import MockGenerator
from picasssso.mocks.observing.observed import ObservedGalaxies
from picasssso.mocks.observing.surveys import Survey, get_survey
from picasssso.pairs.truth import maps_from_arrays, plain_number

SEED, NUMBER = 4, 4621
REDSHIFT = 0.03
N_PIXELS = 128
MARGIN = 16  # pixels around the image, whose light the PSF scatters into it

WCS_ROTATION = np.deg2rad(27.0)
SKY_POSITION = (185.0, 12.0)  # degrees; nothing is meant to be there


def make_wcs(pixel_scale: float) -> WCS:
    """Return the WCS: north is neither up nor along the galaxy's axes."""
    cosine, sine = np.cos(WCS_ROTATION), np.sin(WCS_ROTATION)
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.cunit = ["RA---TAN", "DEC--TAN"], ["deg", "deg"]
    wcs.wcs.crval = SKY_POSITION
    wcs.wcs.crpix = [N_PIXELS / 2 + 0.5] * 2
    wcs.wcs.cd = pixel_scale / 3600 * np.array([[-cosine, sine], [sine, cosine]])
    wcs.wcs.radesys = "ICRS"
    wcs.wcs.set()
    return wcs


def draw(survey: Survey) -> ObservedGalaxies:
    """Return the galaxy."""
    clean = {"contaminants": 0.0, "background": 0.0, "bad_pixels": 0.0}
    generator = MockGenerator(
        SEED, survey=survey, n_pixels=N_PIXELS, margin=MARGIN, redshift=REDSHIFT, worlds=False,
        observing=clean, device="cpu",
    )  # fmt: skip
    return generator.draw([NUMBER])


def keep_bits(values: np.ndarray, bits: int) -> np.ndarray:
    """Return float32 with fewer significant bits, which a file compresses well."""
    mantissa, exponent = np.frexp(values)
    return np.ldexp(np.round(mantissa * 2.0**bits) / 2.0**bits, exponent).astype(np.float32)


def write_compressed(content, path: Path) -> None:
    """Write images or maps so that the same content makes the same bytes."""
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "plain.fits"
        content.write(plain)
        # gzip would note the time and a temporary name.
        with path.open("wb") as file, gzip.GzipFile("", "wb", 9, file, mtime=0) as packed:
            packed.write(plain.read_bytes())


def main() -> None:
    """Make the two files."""
    default = Path(__file__).resolve().parent.parent / "picasssso" / "data"
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--output", type=Path, default=default, help="folder to write into")
    folder = parser.parse_args().output

    survey = replace(get_survey("sdss"), seeing_scatter=0.0, depth_scatter=0.0)
    galaxy = draw(survey)
    assert galaxy.truth_at_psf is not None
    pixel_scale = plain_number(galaxy.pixel_scale[0])
    wcs = make_wcs(pixel_scale)
    made = {
        "object": "picasssso example galaxy (made up)",
        "made_by": "tools/make_example_galaxy.py",
        "seed": SEED,
        "number": NUMBER,
    }
    errors = dict.fromkeys(galaxy.bands, survey.zero_point_error * u.mag)
    images = galaxy.to_band_images(0, wcs=wcs, zero_point_error=errors, meta=made)
    planes = galaxy.truth_at_psf.properties()
    truth = maps_from_arrays(
        # Relative errors of up to 2.5e-4.
        {name: keep_bits(plane[0].numpy(), 11) for name, plane in planes.items()},
        redshift=REDSHIFT,
        pixel_scale=pixel_scale,
        wcs=wcs,
        meta={
            "estimator": "none: this is the truth",
            "truth": "what was put in, at the resolution of the u image, without noise",
            "resolution_fwhm_arcsec": plain_number(galaxy.psf_fwhm.max()),
            "mass_definition": "living stars and remnants",
            **made,
        },
    )
    for name, content in {"example_galaxy": images, "example_truth": truth}.items():
        path = folder / f"{name}.fits.gz"
        write_compressed(content, path)
        print(f"{path}: {path.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
