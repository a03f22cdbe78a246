"""Small files in the layouts of surveys, which stand for a survey's own in the gallery.

The writers are those of the tests (``tests/plugins``), and follow each survey's own description.
"""

import atexit
import shutil
import tempfile
from pathlib import Path

import numpy as np
from astropy import units as u
from astropy.io import fits
from astropy.wcs import WCS
from dust_extinction.parameter_averages import F99
from example_files import CENTER, SCALE, SIZE, planes
from ifu_layouts import image_header, write_manga
from scipy.ndimage import gaussian_filter
from survey_layouts import (
    des_coadd,
    legacy_cutout,
    lsst_image,
    ps1_stack,
    sdss_frame,
    tangent_wcs,
)

from picasssso.data import load_example
from picasssso.ifu import PublishedMap, convert_maps
from picasssso.sps import ModelLibrary


def _folder():
    """Return a new folder that lives as long as the process."""
    folder = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def sdss_files(bands="ugriz"):
    """Write SDSS frames of the example galaxy, with stars and sky; return their paths."""
    folder, wcs = _folder(), tangent_wcs((SIZE, SIZE), SCALE, center=CENTER)
    found = planes(load_example()[0])
    return [
        sdss_frame(
            folder / f"frame-{band}-003903-3-0123.fits", band, found[band][0], wcs, run=3903,
            # As many electrons per count as give this noise by the survey's formula, roughly.
            per_count=found[band][1][0, 0] / 5,
        )
        for band in bands
    ]  # fmt: skip


def hickson88_files():
    """Return cut-outs around NGC 6977 from the SDSS images that Astropy distributes.

    160 x 160 pixels of ``reprojected_sdss_g.fits.bz2`` and others of data.astropy.org, stored to a
    sixteenth of their noise. SDSS images are public; funding: www.sdss.org.
    """
    folder = Path(__file__).with_name("hickson88")
    return {band: folder / f"ngc6977_{band}.fits" for band in "gri"}


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


def manga_cube(size=24, pixel=0.5, fwhm=2.5):
    """Write a LINCUBE of a disk of known populations; return its path and the true maps.

    In rings from the center outward stars are younger. A PSF mixes the rings, in spectra and truth
    alike, and the Galaxy dims the light by E(B-V) = 0.03 of Schlegel et al. (1998).
    """
    redshift, n_rings = 0.03, 6
    library = ModelLibrary.build(["sdss2010-r"], redshift, n_models=500, seed=4)
    known = {name: np.asarray(values, float) for name, values in library.properties.items()}
    radius = np.hypot(*(np.indices((size, size)) - (size - 1) / 2)) * pixel
    ring = np.minimum(radius, n_rings - 1).astype(int)
    formed = 2e9 * np.exp(-radius / 2.5)  # Msun/kpc2
    weights, models = [], []
    for k, age in enumerate(np.linspace(9, 3, n_rings)):
        distance = np.abs(np.log(known["stellar_age"] / age))
        distance += np.abs(known["attenuation_v"] - 0.3)
        models.append(np.argmin(distance))
        weights.append(gaussian_filter(formed * (ring == k), fwhm / 2.355 / pixel))
    weights = np.array(weights)

    spectra = [library.spectrum(model) for model in models]
    wave = spectra[0].spectral_axis
    used = (wave > 2500 * u.AA) & (wave < 12000 * u.AA)
    f_nu = np.stack([one.flux.to_value("nmgy / arcsec2") for one in spectra], axis=-1)[used]
    f_nu *= F99(Rv=3.1).extinguish(wave[used], Ebv=0.86 * 0.03)[:, None]
    path = _folder() / "manga-1-2-LINCUBE.fits"
    light = np.tensordot(f_nu, weights, 1) * pixel**2
    write_manga(path, (wave[used].to_value(u.AA), light), noisy=1.0)

    mass = weights * known["surviving_fraction"][models][:, None, None]
    age = np.tensordot(known["stellar_age"][models], mass, 1) / mass.sum(axis=0)
    truth = convert_maps(
        {
            "stellar_mass": PublishedMap(mass.sum(axis=0), "Msun / kpc2", imf="chabrier"),
            "stellar_age": PublishedMap(age, "Gyr", weighting="mass", average="linear"),
        },
        wcs=WCS(image_header((size, size), pixel)),
        redshift=redshift,
        resolution_fwhm=fwhm * u.arcsec,
    )
    return path, truth
