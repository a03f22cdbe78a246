"""Cubes and maps as integral-field surveys write them, small."""

import numpy as np
from astropy.io import fits
from specutils.utils.wcs_utils import vac_to_air

FREQUENCY = 2.99792458e18  # AA/s
NMGY = 3.631e-29


def cube_header(low, step, pixel, shape, kind="WAVE", unit="Angstrom", cd=False, **cards):
    """Header of a cube whose reference pixel is the middle one and the first in wavelength."""
    header = fits.Header()
    axes = (
        ("RA---TAN", "deg", -pixel / 3600, 150.0, shape[2] / 2 + 0.5),
        ("DEC--TAN", "deg", pixel / 3600, 2.0, shape[1] / 2 + 0.5),
        (kind, unit, step, low, 1.0),
    )
    for k, (ctype, cunit, delta, value, pixel_number) in enumerate(axes, 1):
        header[f"CTYPE{k}"], header[f"CUNIT{k}"] = ctype, cunit
        header[f"CD{k}_{k}" if cd else f"CDELT{k}"] = delta
        header[f"CRVAL{k}"], header[f"CRPIX{k}"] = value, pixel_number
    header.update(cards)
    return header


def sample(spectra, low, step, count, air=False):
    """Return f_lambda, erg/s/cm2/AA, (n, y, x): means over pixels of spectra.

    ``spectra``: wavelengths (vacuum, AA) and f_nu, nmgy per spaxel, (wave, y, x).
    """
    wave, f_nu = spectra
    at = wave if not air else vac_to_air_array(wave)
    f_lambda = f_nu * (NMGY * FREQUENCY / wave**2)[:, None, None]
    # Energy is kept, whatever the wavelengths are called.
    edges = low + (np.arange(count + 1) - 0.5) * step
    lengths = np.diff(wave)[:, None, None]
    whole = np.concatenate(
        [
            np.zeros((1, *f_nu.shape[1:])),
            np.cumsum((f_lambda[1:] + f_lambda[:-1]) / 2 * lengths, 0),
        ]
    )
    flat = whole.reshape(len(wave), -1)
    summed = np.stack([np.interp(edges, at, column) for column in flat.T], axis=-1)
    return (np.diff(summed, axis=0) / step).reshape(count, *f_nu.shape[1:])


def vac_to_air_array(wave):
    import astropy.units as u

    return np.where(wave > 2000, vac_to_air(np.maximum(wave, 2000) * u.AA).value, wave)


def _noise(flux, relative, seed):
    error = relative * np.abs(flux) + 1e-3 * np.abs(flux).max()
    return np.random.default_rng(seed).normal(0, 1, flux.shape) * error, error


def write_manga(path, spectra, noisy=0.0, **cards):
    """MaNGA LINCUBE: 1 AA from 3622 to 10354 AA, vacuum; here every 2 AA."""
    count, step, low = 3367, 2.0, 3622.0
    flux = sample(spectra, low, step, count) / 1e-17
    noise, error = _noise(flux, 0.03, 1)
    flux = flux + noisy * noise
    mask = np.zeros(flux.shape, np.int32)
    mask[:, 0, 0] = 2**10 | 1  # DONOTUSE and NOCOV
    mask[100] = 2**2  # DEADFIBER is a warning
    primary = fits.Header(
        {"TELESCOP": "SDSS 2.5-M", "INSTRUME": "MaNGA", "PLATEIFU": "1-2", "MANGAID": "1-3",
         "EBVGAL": 0.03, "DRP3QUAL": 0, "GFWHM": 2.6, "RFWHM": 2.55, "IFWHM": 2.5, "ZFWHM": 2.45}
    )  # fmt: skip
    primary.update(cards)
    header = cube_header(low, step, 0.5, flux.shape, cd=True, INSTRUME="MaNGA",
                         BUNIT="1E-17 erg/s/cm^2/Ang/spaxel")  # fmt: skip
    fits.HDUList(
        [
            fits.PrimaryHDU(header=primary),
            fits.ImageHDU(flux.astype("f4"), header, name="FLUX"),
            fits.ImageHDU((error**-2).astype("f4"), name="IVAR"),
            fits.ImageHDU(mask, name="MASK"),
        ]
    ).writeto(path, overwrite=True)


def write_sami(folder, spectra, bins=None, covariance=0.2, name="41", noisy=0.0):
    """The two arms of a SAMI cube, every fourth wavelength; returns their paths."""
    paths = []
    arms = (("blue", "580V", 3650.0, 4.2, 512), ("red", "1000R", 6240.0, 2.4, 512))
    for arm, grating, low, step, count in arms:
        flux = sample(spectra, low, step, count, air=True) / 1e-16
        noise, error = _noise(flux, 0.03, 2)
        flux = flux + noisy * noise
        header = cube_header(
            low, step, 0.5, flux.shape, kind="AWAV", NAME=name, INSTRUME="AAOMEGA-SAMI",
            GRATID=grating, BUNIT="10**(-16) erg /s /cm**2 /angstrom /pixel", PSFFWHM=2.1,
            Z_SPEC=0.03, TELESCOP="Anglo-Australian Telescope",
        )  # fmt: skip
        dust = fits.ImageHDU(np.full(count, 1.1), name="DUST")
        dust.header["EBVPLNCK"], dust.header["EBVSFD98"] = 0.037, 0.028
        hdus = [fits.PrimaryHDU(flux, header), fits.ImageHDU(error**2, name="VARIANCE"), dust]
        if bins is None:
            near = np.full((3, 5, 5, *flux.shape[1:]), covariance)
            near[:, 2, 2] = 1.0
            hdus.append(fits.ImageHDU(near, name="COVAR"))
        else:
            hdus.append(fits.ImageHDU(bins.astype("i4"), name="BIN_MASK"))
        paths.append(folder / f"{name}_{arm}.fits")
        fits.HDUList(hdus).writeto(paths[-1], overwrite=True)
    return paths


def write_califa(path, spectra, noisy=0.0, **cards):
    """CALIFA COMB: 2 AA from 3700 to 7500 AA, air."""
    low, step, count = 3700.0, 2.0, 1901
    flux = sample(spectra, low, step, count, air=True) / 1e-16
    noise, error = _noise(flux, 0.03, 3)
    flux = flux + noisy * noise
    bad = np.zeros(flux.shape, np.uint8)
    bad[:, 1, 1] = 1
    error[:, 1, 1] = 1e10
    header = cube_header(
        low, step, 1.0, flux.shape, kind="WAVE", CALIFAID=7, OBJECT="NGC0007", MED_VEL=6000.0,
        INSTRUME="PMAS", BUNIT="10^-16 erg/s/cm^2/Angstrom",
    )  # fmt: skip
    header.update(cards)
    fits.HDUList(
        [
            fits.PrimaryHDU(flux.astype("f4"), header),
            fits.ImageHDU(error.astype("f4"), name="ERROR"),
            fits.ImageHDU(np.ones(flux.shape, "f4"), name="ERRWEIGHT"),
            fits.ImageHDU(bad, name="BADPIX"),
        ]
    ).writeto(path, overwrite=True)


def write_muse(path, spectra, noisy=0.0, **cards):
    """MUSE: 1.25 AA from 4750 to 9350 AA, air; here every 2.5 AA."""
    low, step, count = 4750.0, 2.5, 1841
    flux = sample(spectra, low, step, count, air=True) / 1e-20
    noise, error = _noise(flux, 0.03, 4)
    flux = flux + noisy * noise
    flux[:, 0] = np.nan
    header = cube_header(low, step, 0.2, flux.shape, kind="AWAV", cd=True,
                         BUNIT="10**(-20)*erg/s/cm**2/Angstrom")  # fmt: skip
    header.update(cards)
    fits.HDUList(
        [
            fits.PrimaryHDU(header=fits.Header({"INSTRUME": "MUSE", "OBJECT": "NGC1"})),
            fits.ImageHDU(flux.astype("f4"), header, name="DATA"),
            fits.ImageHDU((error**2).astype("f4"), header, name="STAT"),
        ]
    ).writeto(path, overwrite=True)
