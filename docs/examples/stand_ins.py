"""Small files in the layouts of surveys, which stand for a survey's own in the gallery.

The writers are those of the tests (``tests/plugins``), and follow each survey's own description.
"""

import atexit
import shutil
import tempfile
from pathlib import Path

import numpy as np
from astropy.io import fits
from example_files import CENTER, SCALE, SIZE, planes
from survey_layouts import (
    des_coadd,
    legacy_cutout,
    lsst_image,
    ps1_stack,
    sdss_frame,
    tangent_wcs,
)

from picasssso.data import load_example_images


def _folder():
    """Return a new folder that lives as long as the process."""
    folder = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def sdss_files(bands="ugriz"):
    """Write SDSS frames of the example galaxy, with stars and sky; return their paths."""
    folder, wcs = _folder(), tangent_wcs((SIZE, SIZE), SCALE, center=CENTER)
    found = planes(load_example_images())
    return [
        sdss_frame(
            folder / f"frame-{band}-003903-3-0123.fits", band, found[band][0], wcs, run=3903,
            # As many electrons per count as give this noise by the survey's formula, roughly.
            per_count=found[band][1][0, 0] / 5,
        )
        for band in bands
    ]  # fmt: skip


#: AB magnitudes of the disk inside a radius of 12 arcsec.
MAGNITUDES = {"g": 15.9, "r": 15.2, "i": 14.85, "z": 14.6, "f115w": 14.3, "f200w": 14.2}


def disk_files(survey):
    """Write an exponential disk in the layout of a survey; return the paths of its files."""
    folder, shape, scale = _folder(), (160, 160), 0.26
    wcs, rng = tangent_wcs(shape, scale), np.random.default_rng(1)
    radius = np.hypot(*(np.indices(shape) - 79.5)) * scale
    disk = np.exp(-radius / 3.0)
    disk /= disk[radius < 12].sum()
    bands = {"legacy": "grz", "jwst": ("f115w", "f200w")}.get(survey, "gri")
    sigma = 0.02
    fluxes = {
        band: 10 ** (0.4 * (22.5 - MAGNITUDES[band])) * disk + rng.normal(0, sigma, shape)
        for band in bands
    }
    if survey == "legacy":
        cube = np.stack(list(fluxes.values()))
        inverse = np.full(cube.shape, sigma**-2)
        path = folder / "cutout.fits"
        return [legacy_cutout(path, bands, cube, wcs, inverse_variance=inverse, PIXSCALE=0.262)]
    if survey == "des":
        return [
            des_coadd(folder / f"DES_{band}.fits", band, flux, wcs, sigma=sigma)
            for band, flux in fluxes.items()
        ]
    if survey == "panstarrs":
        return [
            path
            for band, flux in fluxes.items()
            for path in ps1_stack(folder, band, flux, wcs, sigma=sigma)
        ]
    if survey == "hsc":
        return [
            lsst_image(folder / f"calexp-{band}.fits", band, flux, wcs, sigma=sigma)
            for band, flux in fluxes.items()
        ]
    return [_jwst_image(folder, band, flux, wcs, sigma) for band, flux in fluxes.items()]


def _jwst_image(folder, band, flux, wcs, sigma):
    """Write a combined image (i2d) of NIRCam, in MJy/sr."""
    header = wcs.to_header()
    header["BUNIT"] = "MJy/sr"
    # From nanomaggies per pixel, by the pixel's solid angle.
    factor = 3.6307805e-12 / (0.26 / 206264.806) ** 2
    primary = fits.PrimaryHDU()
    primary.header.update(
        TELESCOP="JWST", INSTRUME="NIRCAM", DETECTOR="MULTIPLE", FILTER=band.upper(),
        PUPIL="CLEAR",
    )  # fmt: skip
    science = fits.ImageHDU((flux * factor).astype("f4"), header, name="SCI")
    error = fits.ImageHDU(np.full(flux.shape, sigma * factor, "f4"), header, name="ERR")
    path = folder / f"jw01234_nircam_{band}_i2d.fits"
    fits.HDUList([primary, science, error]).writeto(path)
    return path
