"""The mass-to-light estimator as a whole: known answers, bias, errors, samples."""

import re
from pathlib import Path

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.nddata import CCDData, InverseVariance, StdDevUncertainty
from astropy.wcs import WCS

from picasssso.bands import BandImages, GalacticExtinction
from picasssso.estimators import EstimationContext
from picasssso.estimators._mass_to_light.k_corrections import (
    k_correction,
    k_correction_scatter,
)
from picasssso.estimators._mass_to_light.relations import RELATIONS
from picasssso.estimators.mass_to_light import MassToLightEstimator
from picasssso.exceptions import InvalidInputError, MissingBandError
from picasssso.quality import QualityFlag
from picasssso.testing import make_galaxy, parametrize_with_checks

GI = ("sdss2010-g", "sdss2010-i")
CORRECTED = GalacticExtinction(ebv=0.0, scale="SF11", applied=True)


# The default is among the registered estimators of test_contract.py.
@parametrize_with_checks([MassToLightEstimator(color_mode="pixel")])
def test_contract(estimator, check):
    check(estimator)


@parametrize_with_checks(
    [MassToLightEstimator(relation="zibetti2009", max_radius=4)],
    bands=("decam2014-g", "decam2014-r", "decam2014-i"),
    redshift=0.02,
)
def test_contract_on_another_survey(estimator, check):
    check(estimator)


def context(bands=GI, redshift=0.05, **changes):
    values = {
        "luminosity_distance": None,
        "pixel_scale_arcsec": 0.4,
        "pixel_scale_kpc": None,
        "pixel_solid_angle_arcsec2": 0.16,
        "psf_fwhm_arcsec": (np.nan,) * len(bands),
        "noise_level": (np.nan,) * len(bands),
    }
    return EstimationContext(bands=bands, redshift=redshift, **(values | changes))


def run(estimator, flux, inverse_variance, **changes):
    arrays = estimator._estimate(
        np.asarray(flux, np.float32),
        np.asarray(inverse_variance, np.float32),
        context(**changes),
    )
    return arrays["stellar_mass"]


def images_of(magnitudes, *, shape=(8, 9), error=1e-4, **options):
    """Uniform images whose sum has the given magnitude in each band."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval, wcs.wcs.crpix, wcs.wcs.cdelt = [30, 1], [4, 4], [-1e-4, 1e-4]
    ccds = {}
    for band, magnitude in magnitudes.items():
        flux = 10 ** (0.4 * (22.5 - magnitude)) / np.prod(shape)
        ccds[band] = CCDData(
            np.full(shape, flux),
            unit=u.nmgy,
            wcs=wcs,
            uncertainty=StdDevUncertainty(np.full(shape, error * flux)),
        )
    return BandImages(ccds, **{"galactic_extinction": CORRECTED, **options})


def test_a_third_band_that_is_noise_is_flagged_and_bounded():
    """A certain g-r with the luminosity in z, where z is negative, zero, or next to nothing."""
    estimator = MassToLightEstimator(
        relation="bell2003", color=("g", "r"), luminosity_band="z", color_mode="pixel"
    )
    bands = tuple(f"sdss2010-{letter}" for letter in "grz")
    assert estimator._select_bands(bands) == bands
    flux = np.ones((3, 1, 5), np.float32) * np.array([0.5, 1.0, 1.4], np.float32)[:, None, None]
    flux[2, 0, :4] = -2e-3, 0.0, 1e-6, -300.0
    sigma = np.full_like(flux, 1e-3)
    sigma[2, 0, :4] = 1.0, 1.0, 1.0, 1e4
    found = run(estimator, flux, sigma**-2.0, bands=bands, n_samples=200, seed=1)
    assert np.isfinite(found.percentiles).all()
    assert np.isfinite(found.samples).all()
    low = np.asarray(found.quality)[0] & int(QualityFlag.LOW_SIGNAL) != 0
    assert low.tolist() == [True, True, True, True, False]
    # The mass is then the noise of a flux times the mass-to-light ratio that g-r tells, of
    # which only the k-correction is in doubt: whatever the sign and the scale of that noise.
    width = (found.percentiles[3] - found.percentiles[1])[0] / 2
    relative = width[:4] / sigma[2, 0, :4]
    np.testing.assert_allclose(relative[1:3], relative[0], rtol=0.01)
    np.testing.assert_allclose(relative[3], relative[0], rtol=0.5)
    scatter = np.std(found.samples[:, 0, :4], axis=0) / sigma[2, 0, :4]
    np.testing.assert_allclose(scatter, relative, rtol=0.5)


# ---- known answers ----------------------------------------------------------------------


def test_total_mass_by_hand():
    """m, DM, K and M/L by hand at z = 0.05 with a distance that is given."""
    g, i, z, distance = 16.2, 15.2, 0.05, 230 * u.Mpc
    images = images_of(
        dict(zip(GI, (g, i), strict=True)), redshift=z, luminosity_distance=distance
    )
    maps = MassToLightEstimator().estimate(images)
    modulus = 5 * np.log10(230e6 / 10)
    k_g, k_i = (float(k_correction(x, ("g", "i"), z, g - i)) for x in "gi")
    log_ml = -0.68 + 0.70 * (g - i - k_g + k_i)
    expected = 10 ** (log_ml - 0.4 * (i - modulus - k_i - 4.58))
    total = maps.total("stellar_mass", correlation="full")
    assert total.value.to_value(u.Msun) == pytest.approx(expected, rel=2e-4)
    assert np.log10(expected) == pytest.approx(10.4, abs=0.1)


def test_surface_density_needs_no_distance():
    magnitudes = dict(zip(GI, (16.2, 15.2), strict=True))
    near = MassToLightEstimator().estimate(images_of(magnitudes, redshift=0.001))
    far = MassToLightEstimator().estimate(
        images_of(magnitudes, redshift=0.001, luminosity_distance=29 * u.Mpc)
    )
    np.testing.assert_array_equal(near["stellar_mass"].data, far["stellar_mass"].data)


def test_surface_brightness_dims_as_it_must():
    """The same rest-frame surface brightness at z: (1 + z)^3 in f_nu, K without bandwidth."""
    estimator = MassToLightEstimator()
    flux = np.array([4.0, 10.0]).reshape(2, 1, 1)
    found = [run(estimator, flux, flux * 0 + 1e8, redshift=z).mean[0, 0] for z in (0.0, 0.2)]
    color = 2.5 * np.log10(2.5)
    k_g, k_i = (float(k_correction(x, ("g", "i"), 0.2, color)) for x in "gi")
    without_bandwidth = k_i + 2.5 * np.log10(1.2)
    log_ratio = 3 * np.log10(1.2) + 0.4 * without_bandwidth + 0.70 * (k_i - k_g)
    assert np.log10(found[1] / found[0]) == pytest.approx(log_ratio, abs=1e-4)


@pytest.mark.parametrize("name", sorted(RELATIONS))
def test_every_relation_color_and_band(name):
    """At z = 0 the result is the formula, whatever else the k-corrections would need."""
    relation = RELATIONS[name]
    letters = "ugriz"
    bands = tuple(f"sdss2010-{x}" for x in letters)
    magnitudes = dict(zip(letters, (18.3, 17.0, 16.4, 16.1, 15.9), strict=True))
    images = images_of(
        {f"sdss2010-{x}": m for x, m in magnitudes.items()},
        redshift=0.0,
        luminosity_distance=100 * u.Mpc,
        shape=(2, 2),
    )
    assert images.bands == bands
    for color in relation.colors:
        for band in relation.luminosity_bands(color):
            estimator = MassToLightEstimator(
                relation=name, color=color, luminosity_band=band, color_mode="pixel"
            )
            total = estimator.estimate(images).total("stellar_mass", correlation="full")
            value = magnitudes[color[0]] - magnitudes[color[1]]
            a, b = relation.coefficients[color][band]
            log_luminosity = -0.4 * (magnitudes[band] - 35 - relation.solar_magnitudes[band])
            expected = a + b * value + relation.chabrier_offset + log_luminosity
            assert np.log10(total.value.to_value(u.Msun)) == pytest.approx(expected, abs=3e-4)


def test_surveys_agree_on_one_galaxy():
    """The same galaxy through three surveys: magnitudes from their published terms."""
    sdss = {"g": 16.0, "r": 15.4, "i": 15.1, "z": 14.9}
    systems = {"sdss2010": sdss}
    # DES DR2 and RTN-099, the published inverse relations, from SDSS as cataloged.
    offsets = {"g": 0.012, "r": 0.010, "i": 0.028, "z": 0.040}
    raw = {x: m - offsets[x] for x, m in sdss.items()}
    gi, ri = raw["g"] - raw["i"], raw["r"] - raw["i"]
    systems["decam2014"] = {
        "g": raw["g"] - 0.061 * gi + 0.008,
        "r": raw["r"] - 0.155 * ri - 0.007,
        "i": raw["i"] - 0.166 * ri + 0.032,
    }
    systems["lsst2023"] = {"g": raw["g"] - 0.062 * gi + 0.007, "i": raw["i"] - 0.010 * gi + 0.019}
    found = {}
    for prefix, magnitudes in systems.items():
        images = images_of({f"{prefix}-{x}": m for x, m in magnitudes.items()}, redshift=0.03)
        found[prefix] = MassToLightEstimator().estimate(images)
    reference = found["sdss2010"]["stellar_mass"].data.mean()
    for prefix, maps in found.items():
        ratio = np.log10(maps["stellar_mass"].data.mean() / reference)
        assert abs(ratio) < 0.012, prefix
        terms = maps.meta["color_terms"]
        assert (terms["from"] == "SDSS") == (prefix == "sdss2010")
        assert set(terms["scatter_mag"]) == {"g", "i"}
    # The scatter of the terms is part of the error that all pixels share.
    errors = {k: m.meta["shared_error_dex"]["stellar_mass"] for k, m in found.items()}
    assert errors["decam2014"] > errors["sdss2010"] > 0.1
    expected = np.hypot(errors["sdss2010"], np.hypot(0.70 * 0.018, (0.70 + 0.4) * 0.015))
    assert errors["decam2014"] == pytest.approx(expected)


def test_meta_says_how():
    maps = MassToLightEstimator().estimate(make_galaxy((20, 20), bands=GI))
    assert maps.meta["relation"]["bibcode"] == "2011MNRAS.418.1587T"
    assert "-0.68 + 0.7 (g-i)" in maps.meta["relation"]["formula"]
    assert maps.meta["k_corrections"]["colors"] == {"g": "g-i", "i": "g-i"}
    assert "Chabrier 0.1-100" in maps.meta["mass_definition"]
    assert maps.meta["color_mode_used"] == "adaptive"


# ---- bias and errors --------------------------------------------------------------------


def noisy_disk(seed, *, color=1.0, signal_to_noise=10.0, shape=(110, 110), scale=10.0):
    """An exponential disk with a central signal-to-noise per pixel: flux, weights, truth."""
    rng = np.random.default_rng(seed)
    y, x = np.indices(shape) - np.array(shape)[:, None, None] / 2
    profile = np.exp(-np.hypot(y, x) / scale)
    truth = np.stack([50 * 10 ** (-0.4 * color) * profile, 50 * profile])
    sigma = truth.max(axis=(1, 2), keepdims=True) / signal_to_noise
    flux = truth + sigma * rng.standard_normal(truth.shape)
    return flux, np.broadcast_to(sigma**-2, truth.shape), truth


@pytest.mark.parametrize("color", [1.0, 0.6])
def test_sums_of_means_are_unbiased(color):
    """Central S/N of 10: most of the disk's pixels have no color of their own."""
    estimator = MassToLightEstimator()
    ratios, medians = [], []
    for seed in range(40):
        flux, weights, truth = noisy_disk(seed, color=color)
        found = run(estimator, flux, weights)
        expected = run(estimator, truth, weights * 1e8).mean.sum(dtype=float)
        ratios.append(found.mean.sum(dtype=float) / expected)
        medians.append(found.percentiles[2].sum(dtype=float) / expected)
    error = np.std(ratios) / len(ratios) ** 0.5
    assert error < 0.01
    assert abs(np.mean(ratios) - 1) < 0.02 + error


def test_a_strict_pixel_color_is_biased_where_it_is_noisy():
    """Why it is not the default."""
    estimators = {mode: MassToLightEstimator(color_mode=mode) for mode in ("adaptive", "pixel")}
    spread = {mode: [] for mode in estimators}
    for seed in range(10):
        flux, weights, truth = noisy_disk(seed, signal_to_noise=5)
        for mode, estimator in estimators.items():
            expected = run(estimator, truth, weights * 1e8).mean
            found = run(estimator, flux, weights).percentiles[2]
            spread[mode].append(found.sum(dtype=float) / expected.sum(dtype=float) - 1)
    assert abs(np.mean(spread["pixel"])) > 3 * abs(np.mean(spread["adaptive"]))


@pytest.mark.parametrize("mode", ["adaptive", "pixel"])
def test_empty_sky_has_no_mass(mode):
    """The sum over 10^4 source-free pixels is zero within its error, many times over."""
    estimator = MassToLightEstimator(color_mode=mode)
    pulls = []
    for seed in range(25):
        sigma = np.array([1.0, 1.3]).reshape(2, 1, 1)
        flux = np.random.default_rng(seed).standard_normal((2, 100, 100)) * sigma
        found = run(estimator, flux, np.broadcast_to(sigma**-2, flux.shape))
        width = (found.percentiles[3] - found.percentiles[1]).astype(float) / 2
        pulls.append(found.mean.sum(dtype=float) / np.sqrt(np.sum(width**2)))
    assert abs(np.mean(pulls)) < (0.6 if mode == "adaptive" else 1.5)
    assert 0.6 < np.std(pulls) < 1.5
    assert np.max(np.abs(pulls)) < 4.0
    median = found.percentiles[2]
    assert 0.4 < np.mean(median < 0) < 0.6


def test_percentiles_cover_the_truth():
    """68 and 95 % of pixels, where the relation's shared scatter is left out of the truth."""
    estimator = MassToLightEstimator(max_radius=8)
    inside = {0.68: [], 0.95: []}
    for seed in range(12):
        flux, weights, truth = noisy_disk(seed, signal_to_noise=60, shape=(70, 70))
        # The truth shifts as a whole by the error that all pixels share.
        shift = np.random.default_rng(seed).standard_normal()
        found = run(estimator, flux, weights)
        shared = estimator._model(context()).shared_error()
        expected = run(estimator, truth, weights * 1e8).mean * 10 ** (shared * shift)
        low2, low1, _, high1, high2 = found.percentiles
        inside[0.68].append(np.mean((low1 < expected) & (expected < high1)))
        inside[0.95].append(np.mean((low2 < expected) & (expected < high2)))
    # One shared number for each galaxy: 12 of them say little, the pixels' own noise more.
    assert 0.5 < np.mean(inside[0.68]) < 0.95
    assert 0.8 < np.mean(inside[0.95]) <= 1.0


def test_a_bright_pixel_has_the_shared_error_and_no_other():
    estimator = MassToLightEstimator()
    flux = np.full((2, 3, 3), 100.0)
    flux[1] *= 2.5
    found = run(estimator, flux, np.full((2, 3, 3), 1e8))
    width = np.log10(found.percentiles[3] / found.percentiles[1]) / (2 * 0.9945)
    expected = np.hypot(0.1, k_correction_scatter(0.05))
    np.testing.assert_allclose(width, expected, rtol=0.01)


def test_errors_of_color_and_luminosity_are_correlated():
    """log M = ... + 0.7 g - 1.1 i: a pixel's own i flux counts twice."""
    estimator = MassToLightEstimator(color_mode="pixel", max_color_error=0.5)
    error = 0.03
    flux = np.array([40.0, 100.0]).reshape(2, 1, 1)
    weights = (error * flux) ** -2.0
    found = run(estimator, flux, weights, redshift=0.0)
    width = np.log10(found.percentiles[3] / found.percentiles[1])[0, 0] / (2 * 0.9945)
    photometric = error * 1.0857 * np.hypot(0.70, 0.70 + 0.40)
    assert width == pytest.approx(np.hypot(0.1, photometric), rel=0.02)


# ---- flags, masks, bins -----------------------------------------------------------------


def test_flags():
    flux, weights, _ = noisy_disk(1, signal_to_noise=40)
    found = run(MassToLightEstimator(max_radius=5), flux, weights)
    center, corner = (55, 55), (3, 3)
    assert found.quality[center] == 0
    assert found.quality[corner] & QualityFlag.LOW_SIGNAL
    faint = flux[1] < 2 * weights[1] ** -0.5
    np.testing.assert_array_equal((found.quality & QualityFlag.UPPER_LIMIT) > 0, faint)


def test_a_color_of_no_stars_is_held_and_flagged():
    flux = np.array([1.0, 100.0]).reshape(2, 1, 1) * np.ones((2, 4, 4))
    found = run(MassToLightEstimator(), flux, np.full(flux.shape, 1e8))
    assert np.all(found.quality & QualityFlag.PRIOR_EDGE)
    limit = run(
        MassToLightEstimator(), flux * np.array([10.0, 1.0]).reshape(2, 1, 1), flux * 0 + 1e8
    )
    assert found.mean[0, 0] < 4 * limit.mean[0, 0]


def test_luminosity_stays_the_pixels_own_where_another_band_is_masked():
    flux, weights, _ = noisy_disk(2, signal_to_noise=40)
    weights = weights.copy()
    weights[0, 50:53, 50:53] = 0
    flux[0, 50:53, 50:53] = 1e20
    weights[1, 60, 60] = 0
    found = run(MassToLightEstimator(), flux, weights)
    whole = run(MassToLightEstimator(), *noisy_disk(2, signal_to_noise=40)[:2])
    hole = (slice(50, 53), slice(50, 53))
    np.testing.assert_allclose(found.mean[hole], whole.mean[hole], rtol=0.3)
    assert np.isnan(found.mean[60, 60])
    assert found.quality[60, 60] == QualityFlag.NO_DATA
    pixel = run(MassToLightEstimator(color_mode="pixel"), flux, weights)
    assert np.isnan(pixel.percentiles[:, 51, 51]).all()
    assert pixel.quality[51, 51] & QualityFlag.NO_DATA


def test_no_color_anywhere_near_is_no_data():
    flux, weights = np.ones((2, 9, 40)), np.ones((2, 9, 40))
    weights[0, :, 10:] = 0
    found = run(MassToLightEstimator(max_radius=3), flux, weights)
    assert np.isfinite(found.mean[:, :10]).all()
    assert np.isnan(found.mean[:, 13:]).all()


def test_pixels_of_a_bin_are_not_independent():
    flux, weights, _ = noisy_disk(3, signal_to_noise=20)
    binned = run(MassToLightEstimator(), flux, weights, binned=True)
    pixel = run(MassToLightEstimator(color_mode="pixel"), flux, weights)
    np.testing.assert_array_equal(binned.mean, pixel.mean)


# ---- samples ----------------------------------------------------------------------------


def test_samples_agree_with_mean_and_percentiles():
    flux, weights, _ = noisy_disk(4, signal_to_noise=40, shape=(40, 40))
    estimator = MassToLightEstimator(max_radius=4)
    found = run(estimator, flux, weights, n_samples=400, seed=3)
    assert found.samples.shape == (400, 40, 40)
    mean = found.samples.mean(axis=0, dtype=float)
    # A log-normal of 0.1 dex has a mean 2.8 % above its median, which the mean plane is.
    boost = np.exp((np.log(10) * estimator._model(context()).shared_error()) ** 2 / 2)
    noise = found.samples.std(axis=0, dtype=float) / 20
    pull = (mean / boost - found.mean) / noise
    # The shared error makes all pulls move together.
    assert abs(np.mean(pull)) < 3
    assert np.std(pull) < 1.6
    width = (found.percentiles[3] - found.percentiles[1]) / 2
    spread = np.subtract(*np.percentile(found.samples, [84, 16], axis=0)) / 2
    np.testing.assert_allclose(np.median(spread / width), 1, atol=0.08)


def test_samples_of_a_total_know_of_shared_errors():
    """The relation moves all pixels of a draw together."""
    flux, weights, _ = noisy_disk(5, signal_to_noise=60, shape=(60, 60))
    found = run(MassToLightEstimator(max_radius=4), flux, weights, n_samples=300, seed=1)
    totals = found.samples.sum(axis=(1, 2), dtype=float)
    shared = MassToLightEstimator()._model(context()).shared_error()
    assert np.std(np.log10(totals)) == pytest.approx(shared, rel=0.15)


def test_samples_do_not_depend_on_blocks():
    images = make_galaxy((50, 60), bands=GI, central_signal_to_noise=20)
    estimator = MassToLightEstimator(max_radius=5)
    whole = estimator.estimate(images, n_samples=4, seed=2)
    frugal = MassToLightEstimator(max_radius=5)
    frugal.memory_budget = 1
    parts = frugal.estimate(images, n_samples=4, seed=2, progress=False)
    np.testing.assert_array_equal(
        whole.samples("stellar_mass").value, parts.samples("stellar_mass").value
    )


def test_blocks_equal_the_whole_to_the_last_bit():
    images = make_galaxy((50, 60), bands=GI, central_signal_to_noise=15)
    estimator, frugal = MassToLightEstimator(), MassToLightEstimator()
    frugal.memory_budget = 1
    whole, parts = estimator.estimate(images), frugal.estimate(images, progress=False)
    for q in (2.5, 50, 97.5):
        np.testing.assert_array_equal(
            whole.percentile("stellar_mass", q).value, parts.percentile("stellar_mass", q).value
        )
    np.testing.assert_array_equal(whole.quality, parts.quality)


# ---- parameters -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"relation": "mine"}, "expected one of 'bell2003'"),
        ({"color": ("g", "r")}, r"one of \('g', 'i'\)"),
        ({"color": "gi"}, "expected a color"),
        ({"color": ("i", "g")}, "expected a color"),
        ({"luminosity_band": "r"}, "one of 'i'"),
        ({"relation": "into_portinari2013", "color": ("g", "r")}, "one of 'r'"),
        ({"color_mode": "both"}, "'adaptive', 'pixel'"),
        ({"max_color_error": 0.0}, "positive number"),
        ({"max_color_error": "0.1"}, "positive number"),
        ({"max_color_error": np.inf}, "positive number"),
        ({"color": None}, "color=None"),
        ({"color": 5}, "color=5"),
        ({"color": (["g"], "i")}, "expected a color"),
        ({"relation": "sps", "color": 5}, "two different bands"),
        ({"max_radius": 0}, "at least 1"),
        ({"max_radius": 2.5}, "at least 1"),
        ({"max_radius": True}, "at least 1"),
    ],
)
def test_bad_parameters(parameters, message):
    with pytest.raises(InvalidInputError, match=message):
        MassToLightEstimator(**parameters)


def test_no_unknown_parameters():
    with pytest.raises(TypeError, match="tint"):
        MassToLightEstimator(tint=("g", "i"))


def test_receptive_field():
    assert MassToLightEstimator().receptive_field == 16
    assert MassToLightEstimator(max_radius=7).receptive_field == 7
    assert MassToLightEstimator(color_mode="pixel").receptive_field == 0


def test_redshift_beyond_the_k_corrections():
    images = make_galaxy((10, 10), bands=GI, redshift=0.7)
    with pytest.raises(InvalidInputError, match=r"redshift 0\.7.*hold for 0 to 0\.5"):
        MassToLightEstimator().estimate(images)


def test_missing_band():
    images = make_galaxy((10, 10), bands=("sdss2010-g", "sdss2010-r"))
    with pytest.raises(MissingBandError, match="sdss2010-i missing"):
        MassToLightEstimator().estimate(images)


# ---- real images and the documentation --------------------------------------------------


@pytest.mark.filterwarnings("ignore::astropy.wcs.FITSFixedWarning")
def test_a_real_galaxy(shared_data):
    """DES galaxy at a stand-in redshift: its total by hand from its magnitudes."""
    center = SkyCoord(27.952, 0.264, unit="deg")
    ccds = {}
    for letter in "gri":
        path = shared_data / "real" / "j0151_des" / f"DES_{letter}.fits"
        with fits.open(path) as hdus:
            wcs = WCS(hdus["SCI"].header)
            data = hdus["SCI"].data.astype(float)
            weight = hdus["WGT"].data.astype(float)
        y, x = np.indices(data.shape)
        radius = np.hypot(*(np.array([x, y]) - np.reshape(wcs.world_to_pixel(center), (2, 1, 1))))
        data -= np.median(data[radius * 0.263 > 27])
        nmgy = 10 ** (-0.4 * (30 - 22.5))
        ccds[f"decam2014-{letter}"] = CCDData(
            data * nmgy,
            unit=u.nmgy,
            wcs=wcs,
            mask=weight <= 0,
            uncertainty=InverseVariance(np.where(weight > 0, weight, 1) / nmgy**2),
        )
    images = BandImages(ccds, redshift=0.02, galactic_extinction=CORRECTED)
    maps = MassToLightEstimator().estimate(images)
    total = maps.total("stellar_mass", region=radius * 0.263 < 24, correlation="independent")
    # Equation 8 with the magnitudes in the data's README, to SDSS AB, without k-correction.
    g, r, i = 14.96, 14.12, 13.75
    i_sdss = i + 0.167 * (r - i) + 0.001
    g_sdss = g + 0.060 * (g - i) + 0.007
    modulus = 5 * np.log10(images.luminosity_distance.to_value(u.pc) / 10)
    by_hand = 1.15 + 0.70 * (g_sdss - i_sdss) - 0.4 * (i_sdss - modulus)
    found = np.log10(total.value.to_value(u.Msun))
    assert found == pytest.approx(by_hand, abs=0.05)
    assert 0.2 < total.uncertainty.to_value(u.Msun) / total.value.to_value(u.Msun) < 0.35
    # The map is smooth enough to have no wild pixels inside the galaxy.
    inner = maps["stellar_mass"].data[radius * 0.263 < 15]
    assert np.all(inner > 0)


def test_the_table_in_the_documentation_is_that_of_the_code():
    page = Path(__file__).parents[2] / "docs" / "mass_to_light.rst"
    text = re.sub(r"\s+", " ", page.read_text())
    for relation in RELATIONS.values():
        row = (
            f"* - ``{relation.name}`` - {relation.reference} - {relation.imf} - "
            f"{relation.chabrier_offset:+.2f} - {relation.scatter:.2f} - "
            f"{', '.join('-'.join(c) for c in relation.colors)}"
        )
        assert re.sub(r"\s+", " ", row) in text, relation.name
