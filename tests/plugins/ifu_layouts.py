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


# ---- published maps ------------------------------------------------------------------------


def image_header(shape, pixel):
    """Celestial header of a map on the pixels of a cube of `cube_header`."""
    full = cube_header(1.0, 1.0, pixel, (1, *shape))
    return fits.Header({key: value for key, value in full.items() if not key.endswith("3")})


def write_pipe3d(path, planes, shape=(6, 7), pixel=1.0, n_planes=21):
    """Pipe3D: HDU SSP of 21 planes (CALIFA's have 20); ``planes``: values by number."""
    data = np.zeros((n_planes, *shape))
    for number, values in planes.items():
        data[number] = values
    header = image_header(shape, pixel)
    header["DESC_6"] = "mass-weighted age of the stellar population"
    header["DESC_9"] = "mass-weighted metallicity of the stellar population"
    header["DESC_19"] = "stellar mass density dust corrected"
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(data, header, name="SSP")]).writeto(
        path, overwrite=True
    )


def write_dap(path, alpha, beta, error=0.01, velocity=6000.0):
    """MaNGA DAP MAPS: lines in 1e-17 erg/s/cm2 per spaxel."""
    flux = np.stack([np.ones_like(alpha), beta, alpha])
    header = image_header(alpha.shape, 0.5)
    header.update(C01="OII-3727", C02="Hb-4862", C03="Ha-6564")
    ivar = np.full(flux.shape, error**-2.0)
    mask = np.zeros(flux.shape, np.int32)
    mask[:, 0, 0] = 1  # NOCOV
    mask[:, 0, 1] = 2**8  # NEARBOUND, of the widths
    mask[:, 0, 2] = 2**30 | 2**7  # DONOTUSE, since the fit failed
    fits.HDUList(
        [
            fits.PrimaryHDU(header=fits.Header({"SCINPVEL": velocity, "INSTRUME": "MaNGA"})),
            fits.ImageHDU(flux, header, name="EMLINE_GFLUX"),
            fits.ImageHDU(ivar, name="EMLINE_GFLUX_IVAR"),
            fits.ImageHDU(mask, name="EMLINE_GFLUX_MASK"),
        ]
    ).writeto(path, overwrite=True)


def write_firefly(path, bins, values, names=("8135-1901", "8135-1902")):
    """MaNGA Firefly catalog of two galaxies: ``values`` by HDU, one for each cell."""
    table = fits.BinTableHDU.from_columns(
        [fits.Column("PLATEIFU", "20A", array=np.array(names)),
         fits.Column("REDSHIFT", "E", array=np.array([0.02, 0.03]))], name="GALAXY_INFO",
    )  # fmt: skip
    cells = np.unique(bins[bins >= 0])
    info = np.full((2, len(cells) + 2, 5), -99.0)
    info[1, : len(cells), 0] = cells
    ids = np.full((2, *bins.shape), -1.0)
    ids[1] = bins
    hdus = [fits.PrimaryHDU(), table, fits.ImageHDU(info, name="SPATIAL_INFO"),
            fits.ImageHDU(ids, name="SPATIAL_BINID")]  # fmt: skip
    for name, numbers in values.items():
        data = np.full((2, len(cells) + 2, 2), -99.0)
        data[1, : len(cells), 0], data[1, : len(cells), 1] = numbers, 0.1
        hdus.append(fits.ImageHDU(data[..., 0] if name.startswith("E(") else data, name=name))
    fits.HDUList(hdus).writeto(path, overwrite=True)


def write_phangs(path, planes, shape=(6, 7)):
    """PHANGS-MUSE: a map and an error for each HDU; ``planes``: value, error, unit by name."""
    header = image_header(shape, 0.2)
    hdus = [fits.PrimaryHDU()]
    for name, (value, error, unit) in planes.items():
        for label, number in ((name, value), (f"{name}_ERR", error)):
            hdu = fits.ImageHDU(np.full(shape, number), header, name=label)
            if unit:
                hdu.header["BUNIT"] = unit
            hdus.append(hdu)
    fits.HDUList(hdus).writeto(path, overwrite=True)


def write_sami_sfr(path, rate, version="V0.12.1"):
    """SAMI surface densities of star formation: the total and one component."""
    header = fits.Header({"CATID": "41", "PRODUCT": "SFRMaps", "SAMI_VER": version,
                          "DESCRIPT": "SFR Surface Density in Msun/yr/kpc^2"})  # fmt: skip
    both = np.stack([rate, rate])
    errors = fits.ImageHDU(both / 10, name="SFRSurfDensity_ERR")
    fits.HDUList([fits.PrimaryHDU(both, header), errors]).writeto(path, overwrite=True)
