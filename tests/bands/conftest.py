"""Small images that the tests of BandImages share; immutable, hence made once."""

import astropy.units as u
import numpy as np
import pytest
from astropy.cosmology import FlatLambdaCDM
from astropy.nddata import CCDData, InverseVariance, NDData, StdDevUncertainty, VarianceUncertainty
from astropy.wcs import WCS, Sip

from picasssso.bands import BandImages, GalacticExtinction, NoiseScaling

SHAPE = (24, 30)
SCALE = 0.4  # arcsec


@pytest.fixture(scope="session")
def make_wcs():
    """Return a function that makes a tangent-plane WCS."""

    def make(shape=SHAPE, *, scale=SCALE, rotation=0.0, center=(150.0, 2.0), sip=False):
        wcs = WCS(naxis=2)
        suffix = "-SIP" if sip else ""
        wcs.wcs.ctype = f"RA---TAN{suffix}", f"DEC--TAN{suffix}"
        wcs.wcs.crval = center
        wcs.wcs.crpix = (shape[1] + 1) / 2, (shape[0] + 1) / 2
        angle = np.deg2rad(rotation)
        wcs.wcs.cd = (scale / 3600) * np.array(
            [[-np.cos(angle), np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        )
        if sip:
            a, b, zero = np.zeros((3, 3)), np.zeros((3, 3)), np.zeros((3, 3))
            a[2, 0], b[1, 1] = 2e-4, -3e-4
            wcs.sip = Sip(a, b, zero, zero, wcs.wcs.crpix)
        wcs.wcs.set()
        return wcs

    return make


@pytest.fixture(scope="session")
def make_ccd(make_wcs):
    """Return a function that makes one band: noise around a constant."""

    def make(seed=0, *, shape=SHAPE, unit="nmgy", wcs="default", uncertainty=True, mask=None):
        rng = np.random.default_rng(seed)
        data = rng.normal(10, 1, shape)
        sigma = rng.uniform(0.5, 1.5, shape)
        return CCDData(
            data,
            unit=unit,
            wcs=make_wcs(shape) if isinstance(wcs, str) else wcs,
            uncertainty=StdDevUncertainty(sigma) if uncertainty else None,
            mask=mask,
        )

    return make


@pytest.fixture(scope="session")
def full_images(make_wcs):
    """Images in which every slot is filled, each band with something else."""
    rng = np.random.default_rng(42)
    wcs = make_wcs(sip=True)
    values = {band: rng.normal(10, 1, SHAPE) for band in "ugriz"}
    sigma = {band: rng.uniform(0.5, 1.5, SHAPE) for band in "ugriz"}
    mask = rng.uniform(size=SHAPE) < 0.1
    y, x = np.indices((9, 9)) - 4
    kernel = np.exp(-(x**2 + y**2) / 8) + 1e-3 * x
    images = {
        "u": CCDData(values["u"], unit="nmgy", wcs=wcs, uncertainty=StdDevUncertainty(sigma["u"])),
        "g": CCDData(
            values["g"].astype(">f4"),
            unit="uJy/arcsec2",
            wcs=wcs,
            mask=mask,
            uncertainty=VarianceUncertainty(sigma["g"]),
        ),
        "r": NDData(
            values["r"],
            unit="adu",
            wcs=wcs,
            mask=mask.astype(np.int16) * 4,
            uncertainty=InverseVariance(sigma["r"] ** -2),
            meta={"OBSERVER": "somebody", "AIRMASS": 1.25},
        ),
        "i": CCDData(
            20 - values["i"] / 10,
            unit="mag",
            wcs=wcs,
            uncertainty=StdDevUncertainty(sigma["i"] / 100),
        ),
        "z": CCDData(values["z"] * 1e-17, unit="erg / (s cm2 AA)", wcs=wcs),
    }
    return BandImages(
        images,
        redshift=0.0321,
        survey="sdss",
        luminosity_distance=140.123 * u.Mpc,
        cosmology=FlatLambdaCDM(H0=71.3, Om0=0.27, name="mine"),
        zero_point={"r": 28.5 * u.ABmag},
        asinh_softening={"i": 1.8e-10},
        psf={"u": 1.3 * u.arcsec, "r": kernel, "z": 0.9 * u.arcsec},
        noise_scaling={"g": NoiseScaling([1, 50], [1.0, 3.0])},
        sky_error={"g": 0.01 * u.uJy / u.arcsec**2, "r": 0.02 * u.adu, "i": 1e-3 * u.nmgy},
        zero_point_error={"u": 3 * u.percent, "z": 0.01 * u.mag},
        galactic_extinction=GalacticExtinction(0.05, scale="SF11", applied=True),
        bins=rng.integers(-1, 6, SHAPE),
        labels=rng.integers(0, 3, SHAPE).astype(np.uint8),
        meta={"note": "made up", "depths": [22.0, 23.5]},
    )
