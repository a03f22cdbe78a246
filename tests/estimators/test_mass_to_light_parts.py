"""The parts of the mass-to-light estimator: neighborhoods, bands, percentiles, draws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from picasssso._core.random import pixel_normals, shared_normal
from picasssso.estimators._mass_to_light.adaptive_colors import (
    color_error,
    measure_colors,
    radii,
    resum,
    sums_within,
)
from picasssso.estimators._mass_to_light.photometric_systems import find_system
from picasssso.estimators._mass_to_light.plan import make_plan
from picasssso.estimators._mass_to_light.products import product_percentiles
from picasssso.exceptions import MissingBandError

# ---- neighborhoods ---------------------------------------------------------------------


def test_radii_ascend_to_the_maximum():
    for maximum in range(1, 60):
        steps = radii(maximum)
        assert steps[-1] == maximum
        assert np.all(np.diff((0, *steps)) >= 1)
    assert radii(1) == (1,)


@given(st.integers(1, 7), st.integers(0, 2**31))
def test_sums_equal_brute_force(radius, seed):
    planes = np.random.default_rng(seed).normal(size=(2, 9, 11))
    found = sums_within(planes, radius)
    padded = np.pad(planes, ((0, 0), (radius, radius), (radius, radius)))
    windows = np.lib.stride_tricks.sliding_window_view(
        padded, (2 * radius + 1, 2 * radius + 1), axis=(1, 2)
    )
    np.testing.assert_allclose(found, windows.sum(axis=(-1, -2)), atol=1e-11)


def test_sums_are_exactly_local():
    """What lies beyond the square changes no bit, and neither does where the array starts."""
    rng = np.random.default_rng(0)
    planes = rng.lognormal(sigma=4, size=(1, 60, 70))
    whole = sums_within(planes, 5)
    np.testing.assert_array_equal(sums_within(planes[:, 7:, 3:], 5)[:, 5:, 5:], whole[:, 12:, 8:])
    planes[0, 30, 30] = 1e30
    spoilt = sums_within(planes, 5)
    y, x = np.indices(whole.shape[1:])
    beyond = np.maximum(abs(y - 30), abs(x - 30)) > 5
    np.testing.assert_array_equal(spoilt[0][beyond], whole[0][beyond])
    assert np.all(spoilt[0][~beyond] > 1e29)


def uniform_scene(signal, shape=(30, 30)):
    flux = np.broadcast_to(np.array([signal, 2 * signal])[:, None, None], (2, *shape)).copy()
    return flux, np.ones_like(flux), np.ones(shape, bool)


@pytest.mark.parametrize(("signal", "expected"), [(40.0, 0), (5.0, 1), (2.0, 3), (1.2, 6)])
def test_neighborhoods_grow_as_far_as_they_must(signal, expected):
    # Fluxes S and 2 S with unit variance in n pixels: error 1.0857 sqrt(1.25 / n) / S.
    flux, variance, valid = uniform_scene(signal)
    colors = measure_colors(flux, variance, valid, (0, 1), 0.1, 12)
    center = (15, 15)
    assert colors.radius[center] == expected
    needed = 1.0857 * np.sqrt(1.25) / signal / (2 * expected + 1)
    assert needed <= 0.1
    assert colors.reached[center]
    assert colors.includes_own.all()
    n = (2 * expected + 1) ** 2
    assert colors.flux[0][center] == pytest.approx(n * signal)
    assert colors.variance[1][center] == pytest.approx(n)


def test_where_the_error_is_not_reached_the_pixel_is_left_out():
    flux, variance, valid = uniform_scene(0.1)
    flux[:, 15, 15] = 3.0
    colors = measure_colors(flux, variance, valid, (0, 1), 0.1, 4)
    assert not colors.reached.any()
    assert not colors.includes_own.any()
    assert colors.flux[0, 15, 15] == pytest.approx(80 * 0.1)
    assert colors.variance[0, 15, 15] == pytest.approx(80)


def test_only_pixels_valid_in_every_band_are_summed():
    flux, variance, valid = uniform_scene(1.0)
    valid[10:20, 10:20] = False
    flux[:, ~valid] = 1e30
    colors = measure_colors(flux, variance, valid, (0, 1), 0.1, 16)
    assert colors.flux.max() < 1e4
    assert colors.reached[15, 15]
    assert not colors.includes_own[15, 15]
    # A pixel that only has itself keeps itself; where there is nothing it is said so.
    valid[:] = False
    valid[0, 0] = True
    lonely = measure_colors(flux, variance, valid, (0, 1), 0.1, 3)
    assert lonely.includes_own[0, 0]
    assert lonely.flux[0, 0, 0] == 1.0
    assert not lonely.empty[3, 3]
    assert lonely.empty[4, 4]


def test_pixel_by_pixel():
    flux, variance, valid = uniform_scene(1.0)
    valid[3, 4] = False
    colors = measure_colors(flux, variance, valid, (0, 1), 0.1, 0)
    assert np.all(colors.radius == 0)
    np.testing.assert_array_equal(colors.flux[0], np.where(valid, flux[0], 0))
    np.testing.assert_array_equal(colors.empty, ~valid)


def test_resumming_the_same_fluxes_gives_the_same_sums():
    rng = np.random.default_rng(5)
    flux = rng.normal(size=(2, 40, 40)) + 20 * np.exp(-np.indices((40, 40)).sum(0) / 15)
    valid = rng.random((40, 40)) > 0.1
    colors = measure_colors(flux, np.ones_like(flux), valid, (0, 1), 0.1, 8)
    assert 0 < colors.reached.mean() < 1
    np.testing.assert_allclose(resum(flux, valid, colors), colors.flux, rtol=1e-12)


def test_color_error_of_a_flux_that_is_not_positive():
    flux = np.array([1.0, -1.0]).reshape(2, 1, 1)
    assert color_error(flux, np.ones_like(flux), (0, 1))[0, 0] == np.inf


# ---- bands ------------------------------------------------------------------------------


def names(prefix, letters):
    return tuple(f"{prefix}-{letter}" for letter in letters)


@pytest.mark.parametrize(
    ("available", "color", "band", "expected"),
    [
        (names("sdss2010", "ugriz"), "gi", "i", names("sdss2010", "gi")),
        (names("sdss2010", "ugriz"), "gr", "r", names("sdss2010", "gr")),
        (names("sdss2010", "ugriz"), "gr", "i", names("sdss2010", "gri")),
        # r-i has no k-correction of its own: both go through g.
        (names("sdss2010", "ugriz"), "ri", "i", names("sdss2010", "gri")),
        (names("sdss2010", "ugriz"), "ug", "g", names("sdss2010", "ugr")),
        (names("sdss2010", "uiz"), "uz", "z", names("sdss2010", "uz")),
        (names("decam2014", "grizY"), "gi", "i", names("decam2014", "gri")),
        (names("decam2014", "griz"), "gz", "z", names("decam2014", "griz")),
        (names("panstarrs", "grizy"), "gi", "i", names("panstarrs", "gri")),
        (names("lsst2023", "ugrizy"), "gi", "i", names("lsst2023", "gi")),
        (names("hsc2017", "grizy"), "gi", "i", names("hsc2017", "griz")),
        (names("decam2014", "gri") + names("sdss2010", "gi"), "gi", "i", names("sdss2010", "gi")),
        (names("sdss2010", "g") + names("panstarrs", "gri"), "gi", "i", names("panstarrs", "gri")),
        (names("twomass", "JH") + names("sdss2010", "gi"), "gi", "i", names("sdss2010", "gi")),
    ],
)
def test_band_choice(available, color, band, expected):
    plan = make_plan(available, tuple(color), band)
    assert tuple(plan.bands.values()) == expected
    # The choice is stable: from the chosen bands alone it is the same.
    again = make_plan(expected, tuple(color), band)
    assert again.k_colors == plan.k_colors
    assert again.bands == plan.bands


def test_k_corrections_use_the_relations_own_color():
    plan = make_plan(names("sdss2010", "ugriz"), ("g", "i"), "i")
    assert set(plan.k_colors.values()) == {("g", "i")}


@pytest.mark.parametrize(
    ("available", "color", "band", "message"),
    [
        (names("sdss2010", "gr"), "gi", "i", "sdss2010-i missing"),
        (names("decam2014", "gi"), "gi", "i", "decam2014-r missing"),
        (names("hsc2017", "gri"), "gi", "i", "hsc2017-z missing"),
        (names("decam2014", "ugriz"), "ur", "r", "no color term from DECam"),
        (names("Euclid", "YJH"), "gi", "i", r"no published color term from Euclid \(H, J, Y\)"),
        (names("decam2014", "g") + names("sdss2010", "i"), "gi", "i", "sdss2010-g missing; dec"),
        ((), "gi", "i", "from no band"),
    ],
)
def test_missing_bands_are_named(available, color, band, message):
    with pytest.raises(MissingBandError, match=message):
        make_plan(available, tuple(color), band)


def test_find_system():
    assert find_system("sdss2010noatm-g").is_sdss
    assert find_system("hsc2017-i2").name == "HSC"
    assert find_system("galex-fuv") is None


# ---- percentiles and draws --------------------------------------------------------------


@pytest.mark.parametrize(
    ("signal", "width"),
    [
        (0.0, 0.3),
        (0.5, 0.23),
        (3.0, 0.3),
        (3.4, 0.3),
        (-2.0, 0.4),
        (10.0, 0.6),
        (500.0, 0.25),
        (20.0, 0.0),
        (2.0, 1.5),
    ],
)
def test_percentiles_against_monte_carlo(signal, width):
    a, b = np.random.default_rng(1).standard_normal((2, 400_000))
    product = (signal + a) * np.exp(width * b)
    truth = np.percentile(product, [2.5, 16, 50, 84, 97.5])
    scale = (truth[3] - truth[1]) / 2
    found = product_percentiles(np.array(signal), np.array(width))
    # The outermost points of 400 000 draws are themselves uncertain by 0.01-0.02.
    np.testing.assert_allclose((found - truth) / scale, 0, atol=0.02 if width < 1 else 0.08)


@given(st.floats(-1e6, 1e6), st.floats(0, 10))
def test_percentiles_ascend_and_mirror(signal, width):
    found = product_percentiles(np.array(signal), np.array(width))
    assert np.isfinite(found).all()
    assert np.all(np.diff(found) >= 0)
    mirrored = product_percentiles(np.array(-signal), np.array(width))
    # Exactly, but for S = 0, which is found by bisection.
    tolerance = 1e-5 if signal == 0 else 1e-12
    np.testing.assert_allclose(mirrored, -found[::-1], rtol=tolerance, atol=tolerance)


def test_percentiles_scale_far_beyond_the_table():
    found = product_percentiles(np.array([1e5, 1e8]), np.array([0.3, 0.3]))
    np.testing.assert_allclose(found[:, 0] * 1e3, found[:, 1])
    np.testing.assert_allclose(np.log(found[3, 0] / found[2, 0]), 0.9945 * 0.3, rtol=0.01)


def test_draws_are_standard_normal_and_independent():
    first = pixel_normals((200, 210), (0, 0), seed=4, draw=0, band=0)
    assert first.mean() == pytest.approx(0, abs=0.02)
    assert first.std() == pytest.approx(1, abs=0.02)
    for other in (
        pixel_normals((200, 210), (0, 0), seed=4, draw=0, band=1),
        pixel_normals((200, 210), (0, 0), seed=4, draw=1, band=0),
        pixel_normals((200, 210), (0, 0), seed=5, draw=0, band=0),
        pixel_normals((200, 210), (200, 0), seed=4, draw=0, band=0),
        np.roll(first, 1, axis=1),
        np.roll(first, 1, axis=0),
    ):
        assert abs(np.corrcoef(first.ravel(), other.ravel())[0, 1]) < 0.02


@given(st.integers(0, 30), st.integers(0, 30), st.integers(1, 9), st.integers(1, 9))
def test_draws_do_not_depend_on_the_block(y, x, height, width):
    whole = pixel_normals((40, 40), (0, 0), seed=9, draw=3, band=2)
    part = pixel_normals((height, width), (y, x), seed=9, draw=3, band=2)
    np.testing.assert_array_equal(part, whole[y : y + height, x : x + width])


def test_shared_draws_differ_from_each_other():
    draws = [shared_normal(seed=s, draw=d) for s in range(20) for d in range(20)]
    assert len(set(draws)) == 400
    assert np.std(draws) == pytest.approx(1, abs=0.1)
