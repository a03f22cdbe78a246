"""Made fields of stars and a galaxy, of known light, PSF and noise."""

import astropy.units as u
import numpy as np
import pytest
import survey_layouts as layouts
from astropy.nddata import CCDData, StdDevUncertainty
from scipy.signal import fftconvolve

from picasssso import BandImages
from picasssso.preparation.psf import model_psf

SCALE = 0.4
SIGMA = 0.02
COLORS = {"g": 0.6, "r": 1.0, "i": 1.3}
FWHM = {"g": 4.2, "r": 3.2, "i": 2.8}  # pixels


def galaxy_light(shape, *, size=9.0, ratio=0.7, flux=150.0, center=None):
    """An exponential disk with a bulge, before the PSF."""
    y, x = np.indices(shape, dtype=float)
    cy, cx = ((side - 1) / 2 for side in shape) if center is None else center
    radius = np.hypot(x - cx, (y - cy) / ratio)
    disk = np.exp(-radius / size)
    bulge = np.exp(-np.hypot(x - cx, y - cy) / (size / 5))
    return flux * (0.7 * disk / disk.sum() + 0.3 * bulge / bulge.sum())


def star_light(shape, n, seed=3, *, flux=(4.0, 40.0), clear=60):
    """Stars on pixel centers away from the middle, before the PSF."""
    rng = np.random.default_rng(seed)
    light = np.zeros(shape)
    middle = np.array(shape) / 2
    while n:
        place = np.array([rng.integers(24, side - 24) for side in shape])
        if (
            np.hypot(*(place - middle)) < clear
            or light[place[0] - 14 : place[0] + 15, place[1] - 14 : place[1] + 15].any()
        ):
            continue
        light[tuple(place)] = np.exp(rng.uniform(*np.log(flux)))
        n -= 1
    return light


def make_field(
    shape=(220, 230), *, n_stars=11, fwhm=None, sigma=SIGMA, sky=0.0, extra=None, seed=8, **galaxy
):
    """Return images of a galaxy among stars, in three bands of different PSFs."""
    rng = np.random.default_rng(seed)
    fwhm = FWHM if fwhm is None else fwhm
    wcs = layouts.tangent_wcs(shape, SCALE)
    stars = star_light(shape, n_stars)
    images, psf = {}, {}
    for band, width in fwhm.items():
        kernel = model_psf(width, 41)
        light = galaxy_light(shape, **galaxy) * COLORS[band] + stars
        if extra is not None:
            light = light + extra
        clean = fftconvolve(light, kernel, mode="same")
        images[f"sdss2010-{band}"] = CCDData(
            clean + sky + rng.normal(0, sigma, shape) if sigma else clean + sky,
            unit="nmgy",
            wcs=wcs,
            uncertainty=StdDevUncertainty(np.full(shape, sigma or SIGMA, np.float32)),
        )
        psf[f"sdss2010-{band}"] = kernel
    return BandImages(images, redshift=0.03), psf


@pytest.fixture(scope="session")
def field():
    """A field of 220 x 230 pixels, and its true PSFs."""
    return make_field()


@pytest.fixture(scope="session")
def nmgy():
    return u.nmgy
