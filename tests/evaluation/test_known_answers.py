"""Maps with planted errors: the statistics must find them to 1 %."""

import numpy as np
import pytest

from picasssso.evaluation.apertures import fit_apertures
from picasssso.evaluation.calibration import calibration
from picasssso.evaluation.residuals import residual_statistics, residuals
from picasssso.evaluation.stacks import MapStack
from picasssso.evaluation.structure import power_spectra, structural_similarity
from picasssso.evaluation.sums import (
    aperture_values,
    normal_percentiles,
    radial_gradients,
    radial_profiles,
)

LADDER = np.array([-1.959964, -0.994458, 0.0, 0.994458, 1.959964])


@pytest.fixture(scope="module")
def apertures(disks):
    maps, known = disks
    return fit_apertures(maps, half_mass_radius=known["half_mass_radius"])


def standardized(rng, shape):
    """Normal deviates whose mean and scatter are exactly 0 and 1."""
    draws = rng.normal(size=shape)
    return (draws - draws.mean()) / draws.std(ddof=1)


def test_a_planted_offset_and_scatter_of_sums_are_found(disks, apertures):
    maps, _ = disks
    rng = np.random.default_rng(1)
    shift = 0.123 + 0.087 * standardized(rng, len(maps))
    truth = MapStack({"stellar_mass": maps})
    estimate = MapStack({"stellar_mass": maps * 10 ** shift[:, None, None]})
    weights = apertures.weights(2.0)
    sums = [aperture_values(s, weights, pixel_area=0.3) for s in (estimate, truth)]
    found = residual_statistics(residuals(*(s["stellar_mass"] for s in sums)))
    assert found.mean == pytest.approx(0.123, rel=0.01)  # positive: too much
    assert found.sigma == pytest.approx(0.087, rel=0.01)
    assert found.rms == pytest.approx(np.hypot(0.123, 0.087), rel=0.01)
    assert found.n == found.n_galaxies == len(maps)


def test_sums_are_those_of_an_exponential_disk(disks, apertures):
    maps, known = disks
    total = aperture_values(MapStack({"stellar_mass": maps}), apertures.weights(2.0))
    scale = known["half_mass_radius"] / 1.678
    inside = 1 - (1 + 2 * 1.678) * np.exp(-2 * 1.678)
    exact = 2 * np.pi * 1e9 * scale**2 * known["axis_ratio"] * inside
    np.testing.assert_allclose(total["stellar_mass"], exact, rtol=0.01)


def test_planted_statistics_of_pixels_are_found():
    rng = np.random.default_rng(2)
    planted = -0.05 + 0.2 * standardized(rng, (50, 40, 40))
    found = residual_statistics(planted, n_bootstrap=50)
    assert found.mean == pytest.approx(-0.05, rel=0.01)
    assert found.sigma == pytest.approx(0.2, rel=0.01)
    assert found.nmad == pytest.approx(0.2, rel=0.01)
    assert found.median == pytest.approx(-0.05, abs=0.002)
    # Beyond 0.3 dex lie those above 1.75 sigma and below -1.25 sigma.
    assert found.outlier_fraction == pytest.approx(0.0401 + 0.1056, rel=0.01)


def test_bootstrap_errors_are_those_of_many_experiments():
    rng = np.random.default_rng(3)
    galaxies, pixels = 100, 20
    results, errors = [], []
    for k in range(150):
        # An error that a galaxy's pixels share, and one of their own.
        noise = rng.normal(0.03, 0.1, (galaxies, 1)) + rng.normal(0, 0.1, (galaxies, pixels))
        found = residual_statistics(noise, n_bootstrap=100, seed=k)
        names = ("mean", "sigma", "median", "nmad", "rms", "outlier_fraction")
        results.append([getattr(found, name) for name in names])
        errors.append([getattr(found, f"{name}_error") for name in names])
    expected = np.std(results, axis=0, ddof=1)
    np.testing.assert_allclose(np.mean(errors, axis=0), expected, rtol=0.25)
    # Taking pixels for independent would give a fraction of the error of the mean.
    assert expected[0] > 2 * 0.1 * np.sqrt(2 / (galaxies * pixels))


def test_a_residual_that_depends_on_something_is_found_in_bins():
    rng = np.random.default_rng(4)
    density = rng.uniform(6, 9, (40, 30, 30))
    planted = 0.1 * (density - 7.5) + 0.05 * standardized(rng, density.shape)
    bins = [(density >= low) & (density < low + 1) for low in (6, 7, 8)]
    found = [residual_statistics(planted[one], n_bootstrap=20) for one in bins]
    np.testing.assert_allclose([one.mean for one in found], [-0.1, 0, 0.1], atol=0.001)
    expected = np.hypot(0.05, 0.1 / np.sqrt(12))
    np.testing.assert_allclose([one.sigma for one in found], expected, rtol=0.01)


def test_a_planted_gradient_is_found(large_disks):
    # Pixels must be small against annuli, or they smear the gradient themselves.
    maps, known = large_disks
    apertures = fit_apertures(maps, half_mass_radius=known["half_mass_radius"])
    radius = apertures.radius()
    truth = MapStack({"stellar_mass": maps, "stellar_age": 5 + 0 * maps})
    tilted = 10 ** (0.05 - 0.08 * radius)
    estimate = MapStack({"stellar_mass": maps * tilted, "stellar_age": 5 * tilted})
    edges = np.arange(0, 2.01, 0.25)
    slopes = {}
    for name in ("stellar_mass", "stellar_age"):
        profiles = [radial_profiles(s, apertures, edges)[name] for s in (estimate, truth)]
        slopes[name] = radial_gradients(profiles[0], edges) - radial_gradients(profiles[1], edges)
    np.testing.assert_allclose(slopes["stellar_mass"].mean(), -0.08, rtol=0.01)
    np.testing.assert_allclose(slopes["stellar_age"].mean(), -0.08, rtol=0.01)
    # The disk's own: log10(e) * 1.678 dex per half-mass radius.
    own = radial_gradients(radial_profiles(truth, apertures, edges)["stellar_mass"], edges)
    np.testing.assert_allclose(own, -np.log10(np.e) * 1.678, rtol=0.02)


def test_a_wrong_uncertainty_is_found():
    from scipy.stats import norm

    rng = np.random.default_rng(5)
    truth = rng.normal(10, 1, (200, 30, 30))
    for factor in (1.0, 0.5, 2.0):
        estimate = truth + rng.normal(0, 0.1, truth.shape)
        percentiles = estimate[:, None] + factor * 0.1 * LADDER[:, None, None]
        found = calibration(truth, percentiles, logarithmic=False)
        inner, outer = (2 * norm.cdf(factor * z) - 1 for z in (0.994458, 1.959964))
        assert found.coverage_68 == pytest.approx(inner, rel=0.01)
        assert found.coverage_95 == pytest.approx(outer, rel=0.01)
        assert found.sharpness == pytest.approx(factor * 0.0994458, rel=0.01)
        assert sum(found.ranks) == pytest.approx(100)
        if factor == 1.0:
            np.testing.assert_allclose(found.ranks, [2.5, 13.5, 34, 34, 13.5, 2.5], rtol=0.03)


def test_coverage_in_bins_and_its_error():
    rng = np.random.default_rng(6)
    truth = np.zeros((400, 50))
    noise = rng.uniform(0, 1, truth.shape)
    wrong = np.where(noise < 0.5, 0.1, 0.2)  # claimed 0.1 everywhere
    estimate = rng.normal(0, wrong)
    percentiles = normal_percentiles(estimate, np.full(truth.shape, 0.1))
    quiet, loud = (
        calibration(truth, percentiles, where=where, logarithmic=False)
        for where in (noise < 0.5, noise >= 0.5)
    )
    assert quiet.coverage_68 == pytest.approx(0.68, rel=0.01)
    assert loud.coverage_68 == pytest.approx(0.381, rel=0.02)
    assert quiet.coverage_68_error == pytest.approx(np.sqrt(0.68 * 0.32 / quiet.n), rel=0.2)
    # Where the galaxy's pixels err together, only galaxies count.
    together = np.broadcast_to(rng.normal(0, 0.1, (400, 1)), truth.shape)
    shared = calibration(truth, normal_percentiles(together, 0.1 + 0 * truth), logarithmic=False)
    assert shared.coverage_68_error == pytest.approx(np.sqrt(0.68 * 0.32 / 400), rel=0.25)


def test_truths_that_equal_percentiles_are_inside():
    percentiles = np.zeros((6, 5))
    percentiles[:, 3:] = [1.0, 2.0]
    found = calibration(np.zeros(6), percentiles)
    assert found.coverage_68 == found.coverage_95 == 1.0
    np.testing.assert_allclose(found.ranks, [25, 25, 25, 25, 0, 0])


def test_smoothing_and_noise_are_told_apart(disks, apertures):
    from scipy.ndimage import gaussian_filter

    maps = disks[0]
    rng = np.random.default_rng(8)
    truth = maps * 10 ** rng.normal(0, 0.1, maps.shape)
    blurred = gaussian_filter(truth, (0, 1.5, 1.5))
    noisy = truth * 10 ** rng.normal(0, 0.1, maps.shape)
    same = power_spectra(2 * truth, truth, apertures)
    np.testing.assert_allclose(same.ratio, 1, rtol=1e-6)
    np.testing.assert_allclose(same.coherence, 1, rtol=1e-6)
    smooth = power_spectra(blurred, truth, apertures).ratio.mean(axis=0)
    assert smooth[0] > 0.9
    # Of the power of white noise, exp(-(2 pi f sigma)^2) is left: nothing here.
    assert (smooth[4:] < 0.05).all()
    loud = power_spectra(noisy, truth, apertures)
    # The noise has the power of the truth's own structure: ratio 2, coherence 1 / sqrt 2.
    assert loud.ratio[:, 4:].mean() == pytest.approx(2, rel=0.1)
    assert loud.coherence[:, 4:].mean() == pytest.approx(np.sqrt(0.5), rel=0.05)
    similar = [structural_similarity(m, truth, apertures).mean() for m in (truth, blurred, noisy)]
    assert similar[0] == pytest.approx(1)
    assert max(similar[1:]) < 0.95
    # The blurred maps get the sums right all the same.
    weights = apertures.weights(2.0)
    sums = [aperture_values(MapStack({"stellar_mass": m}), weights)["stellar_mass"]
            for m in (blurred, truth)]  # fmt: skip
    assert abs(residual_statistics(residuals(*sums)).mean) < 0.03
