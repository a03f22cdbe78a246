"""Real cubes and maps: SAMI 41144, and NGC 4047 of the package edge_pydb; skipped without them."""

import importlib.util
from pathlib import Path

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits

from picasssso import SEDFitEstimator
from picasssso.evaluation import compare_estimates
from picasssso.exceptions import PicassssoWarning
from picasssso.filters.curves import load_filter
from picasssso.ifu import (
    PublishedMap,
    box_filter,
    convert_maps,
    read_cube,
    read_maps,
    synthetic_images,
)
from picasssso.maps.notices import like_prior
from picasssso.preparation import correct_extinction

pytestmark = pytest.mark.newest

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "data" / "ifu" / "sami_41144"
ARMS = [FOLDER / f"41144_A_sectors_{arm}.fits.gz" for arm in ("blue", "red")]
HALVES = {"sami-red1": (6300.0, 6860.0), "sami-red2": (6860.0, 7420.0)}

needs_sami = pytest.mark.skipif(not FOLDER.is_dir(), reason="needs ../shared/data/ifu")
EDGE = importlib.util.find_spec("edge_pydb")
needs_edge = pytest.mark.skipif(EDGE is None, reason="needs the package edge_pydb")


@pytest.fixture(scope="module")
def cube():
    return read_cube(ARMS)


@pytest.fixture(scope="module")
def images(cube):
    for name, (low, high) in HALVES.items():
        box_filter(name, low, high)
    return synthetic_images(cube, ["sdss2010-g", *HALVES])


def read_arm(number):
    """Wavelengths (air, AA) and fluxes of an arm, by its header alone."""
    with fits.open(ARMS[number]) as hdus:
        header, data = hdus[0].header, hdus[0].data
        pixel = np.arange(len(data)) + 1 - header["CRPIX3"]
        return header["CRVAL3"] + pixel * header["CDELT3"], np.nan_to_num(data) * 1e-16


@needs_sami
def test_g_is_a_plain_integral(images):
    wave, flux = read_arm(0)
    curve = load_filter("sdss2010-g")
    response = np.interp(wave, curve.wavelength, curve.response)
    photons = np.tensordot(wave * response, flux, 1)
    plain = photons / (2.99792458e18 * np.sum(response / wave)) / 3.631e-29
    image = images["sdss2010-g"]
    good = ~image.mask
    assert good.sum() == 892
    total = 2.5 * np.log10(image.data[good].sum() / plain[good].sum())
    assert abs(total) < 0.05
    assert np.abs(2.5 * np.log10(image.data[good] / plain[good])).max() < 0.05


@needs_sami
def test_the_flux_of_both_arms_is_kept(cube):
    # Photons of all wavelengths of an arm that have data, with and without the package.
    for number, (low, high) in enumerate([(3700.0, 5750.0), (6300.0, 7420.0)]):
        name = f"sami-whole{number}"
        edges = cube._edges(number)
        inside = np.flatnonzero((edges[:-1] > low) & (edges[1:] < high))
        ends = edges[inside[0]], edges[inside[-1] + 1]
        box_filter(name, *ends)
        image = synthetic_images(cube, [name])[name]
        wave, flux = read_arm(number)
        step = wave[1] - wave[0]
        photons = np.tensordot(wave[inside], flux[inside], 1) * step
        kept = image.data * 3.630781e-29 * 2.99792458e18 * np.log(ends[1] / ends[0])
        ratio = (kept / photons)[~image.mask]
        np.testing.assert_allclose(ratio, 1, atol=1e-3)
        assert kept[~image.mask].sum() == pytest.approx(photons[~image.mask].sum(), rel=1e-3)


@needs_sami
def test_the_survey_s_own_dust(cube, images):
    # By the band, and by the factor that the file has for each wavelength.
    corrected = correct_extinction(images)
    with fits.open(ARMS[0]) as hdus:
        factor = hdus["DUST"].data
    wave, flux = read_arm(0)
    curve = load_filter("sdss2010-g")
    weight = wave * np.interp(wave, curve.wavelength, curve.response)
    spectrum = flux.sum(axis=(1, 2))
    expected = (weight * spectrum * factor).sum() / (weight * spectrum).sum()
    ratio = corrected["sdss2010-g"].data / images["sdss2010-g"].data
    assert 2.5 * np.log10(np.nanmedian(ratio) / expected) == pytest.approx(0, abs=0.005)


@needs_sami
def test_sed_fit_with_filters_of_ones_own_beside_the_survey(cube, images):
    # Bins without signal in the middle of the cube are masked.
    with pytest.warns(PicassssoWarning, match="of the target's stellar mass is in pixels"):
        maps = SEDFitEstimator(n_models=5000).estimate(correct_extinction(images))
    total = maps.total("stellar_mass", correlation="full")
    # log M* = 10.34 in the survey's catalog; the cube does not reach all of the galaxy.
    assert np.log10(total.value.value) == pytest.approx(10.34, abs=0.25)
    theirs = read_maps(
        FOLDER / "41144_A_sfr-dens_sectors_1-comp.fits", wcs=cube.wcs, redshift=cube.redshift,
        bins=cube.bins, approximate=["sfr"], resolution_fwhm=2.085 * u.arcsec,
    )  # fmt: skip
    (found,) = compare_estimates(maps, theirs)
    assert found.name == "sfr"
    assert found.n_pixels > 700
    assert abs(found.bias) < 0.5
    assert found.coverage_95 > 0.8
    # Three bands tell age, not metallicity, and the maps say so.
    assert "stellar_metallicity" in like_prior(maps)
    assert "stellar_age" not in like_prior(maps)


def h_alpha_and_h_beta(blue, red, x, y, redshift):
    """Fluxes of the lines of one spaxel, 1e-16 erg/s/cm2, and the continuum at H-alpha per AA."""
    from scipy.optimize import curve_fit

    def gauss(wave, center, width):
        return np.exp(-0.5 * ((wave - center) / width) ** 2) / np.sqrt(2 * np.pi) / width

    def alpha(wave, flux, nitrogen, shift, width, level, slope):
        lines = flux * gauss(wave, 6562.8 + shift, width)
        lines += nitrogen * gauss(wave, 6583.4 + shift, width)
        lines += nitrogen / 3.06 * gauss(wave, 6548.1 + shift, width)
        return lines + level + slope * (wave - 6563)

    def beta(wave, flux, level, slope, absorbed, broad):
        line = flux * gauss(wave, 4861.3 + shift * 0.74, np.hypot(width, 0.9))
        return line - absorbed * gauss(wave, 4861.3, broad) + level + slope * (wave - 4861)

    wave, flux = red[0] / (1 + redshift), red[1][:, y, x] * 1e16
    near = (wave > 6480) & (wave < 6650)
    level = np.median(flux[near])
    start = [10 * level, 4 * level, 0, 1.5, level, 0]
    (ha, _, shift, width, level, _), _ = curve_fit(alpha, wave[near], flux[near], start)
    wave, flux = blue[0] / (1 + redshift), blue[1][:, y, x] * 1e16
    near = (wave > 4780) & (wave < 4940)
    bottom = np.median(flux[near])
    bounds = [-np.inf, 0, -np.inf, 0, 4], [np.inf, np.inf, np.inf, np.inf, 20]
    start = [3 * bottom, bottom, 0, 3 * bottom, 8]
    hb = curve_fit(beta, wave[near], flux[near], start, bounds=bounds)[0][0]
    return ha * (1 + redshift), hb * (1 + redshift), level


@needs_sami
def test_star_formation_is_on_chabrier_s_mass_function(cube):
    """The map over the luminosity of H-alpha in the cube: 5.2e-42, not Salpeter's 7.9e-42."""
    maps = read_maps(FOLDER / "41144_A_sfr-dens_sectors_1-comp.fits", wcs=cube.wcs,
                     redshift=cube.redshift, bins=cube.bins)  # fmt: skip
    rate, arms = maps["sfr_10myr"].data, []
    for number in range(2):
        wave, flux = read_arm(number)
        with fits.open(ARMS[number]) as hdus:
            arms.append((wave, flux * hdus["DUST"].data[:, None, None]))
    # Luminosity over area, from which the distance drops out.
    per_area = 4 * np.pi * (1 + cube.redshift) ** 4 * 3.0857e21**2 / (0.5 / 206265) ** 2 * 1e-16
    found = []
    for number in np.unique(cube.bins[cube.bins >= 0]):
        y, x = np.argwhere(cube.bins == number)[0]
        if not rate[y, x] > 0:
            continue
        alpha, beta, level = h_alpha_and_h_beta(*arms, x, y, cube.redshift)
        # What stars absorb of H-alpha, 0 to 1.5 AA, is the largest doubt.
        for absorbed in (0.0, 1.5):
            whole = alpha + absorbed * level
            boost = max(whole / beta / 2.86, 1) ** (2.53 / (3.61 - 2.53))
            found.append(rate[y, x] / (per_area * whole * boost))
    low, high = (np.median(found[start::2]) * 1e42 for start in (1, 0))
    assert len(found) > 50
    assert 4.2 < low < 7.9 / 1.53 < high < 6.0


@needs_edge
def test_ngc_4047_as_maps():
    from astropy.table import Table

    folder = Path(EDGE.origin).parent / "img_califa"
    table = Table.read(folder / "NGC4047_allpix.pipe3d.hdf5", path="SSP")
    log = {"weighting": "mass", "average": "log"}
    maps = convert_maps(
        {
            "stellar_mass": PublishedMap("sigstar_Avcor", None, imf="salpeter"),
            "stellar_age": PublishedMap("age_mwt", u.dex(u.yr), **log),
            "stellar_metallicity": PublishedMap(
                "ZH_mwt", u.dex, solar_metallicity=0.019, **log
            ),
        },
        table=table,
        sky=("ra_abs", "dec_abs"),
        redshift=0.0114,
        luminosity_distance=49.1 * u.Mpc,
    )  # fmt: skip
    assert maps.properties == ("stellar_mass", "stellar_age_log", "stellar_metallicity_log")
    assert maps.pixel_solid_angle.to_value(u.arcsec**2) == pytest.approx(1, rel=0.01)
    total = maps.total("stellar_mass", correlation="independent").value
    # log M* = 10.77 on Salpeter in the table of the sample (caMstars).
    assert np.log10(total.value) == pytest.approx(10.77 + np.log10(0.61), abs=0.15)
