"""Totals and averages: values by hand, uncertainties against brute force."""

from dataclasses import replace

import astropy.units as u
import numpy as np
import pytest
from photutils.aperture import (
    CircularAnnulus,
    CircularAperture,
    EllipticalAperture,
    SkyCircularAperture,
)
from scipy import ndimage

from picasssso.bands import NoiseScaling
from picasssso.exceptions import PicassssoWarning
from picasssso.maps import PropertyMaps
from picasssso.maps.arrays import PERCENTILES, PropertyArrays
from picasssso.maps.totals import Total, known_correlation
from picasssso.quality import QualityFlag

#: Enough draws for a standard deviation to 1.3 %.
N_DRAWS = 3000

PIXEL = 0.25 * u.arcsec**2
DISTANCE = {"redshift": 0.02, "luminosity_distance": 90 * u.Mpc}
#: Area of such a pixel, kpc2.
AREA = PIXEL.to_value(u.rad**2) * (90e3 / 1.02**2) ** 2


def from_draws(draws, *, samples=None):
    """What an honest estimator says whose posterior these draws are: (n, y, x)."""
    return PropertyArrays(
        np.percentile(draws, PERCENTILES, axis=0), draws.mean(axis=0), samples=samples
    )


def make(arrays, **options):
    if isinstance(arrays, PropertyArrays):
        arrays = {"stellar_mass": arrays}
    options = {"pixel_solid_angle": PIXEL, "quality": None} | DISTANCE | options
    return PropertyMaps(arrays, **options)


def smooth_map(shape, low=1.0, high=5.0):
    y, x = np.indices(shape)
    return low + (high - low) * np.exp(-np.hypot(y - shape[0] / 2, x - shape[1] / 2) / 4)


# ---- values ---------------------------------------------------------------------------------


def test_total_is_sum_of_means_over_area(normal_arrays):
    mean = smooth_map((12, 15))
    arrays = normal_arrays(mean, 0.1)
    # Medians that differ from the means must not matter.
    shifted = PropertyArrays(arrays.percentiles * 0.8, mean)
    total = make(shifted).total("stellar_mass", correlation="independent")
    assert total.value.unit == u.Msun
    assert total.value.value == pytest.approx(mean.sum() * AREA, rel=1e-12)
    assert total.masked_fraction == 0


def test_area_follows_the_distorted_wcs(normal_arrays, make_wcs):
    wcs = make_wcs(sip=True, crpix=(40.0, 120.0))
    mean = np.ones((150, 210))
    maps = PropertyMaps(
        {"stellar_mass": normal_arrays(mean, 0.1)}, quality=None, wcs=wcs, **DISTANCE
    )
    areas = maps.pixel_solid_angle_map()
    assert areas.max() / areas.min() > 1.01
    corner = np.zeros(mean.shape, dtype=bool)
    corner[-20:, -20:] = True
    total = maps.total("stellar_mass", corner, "independent")
    distance = 90e3 / 1.02**2
    expected = areas[corner].to_value(u.rad**2).sum() * distance**2
    assert total.value.value == pytest.approx(expected, rel=1e-12)
    assert abs(expected / (400 * areas[120, 40].to_value(u.rad**2) * distance**2) - 1) > 0.005


def test_totals_of_parts_add_up(make_maps):
    maps = make_maps()
    rng = np.random.default_rng(1)
    part = rng.random(maps.shape) < 0.4
    one, two, whole = (maps.total("sfr", region, "independent") for region in (part, ~part, None))
    assert (one.value + two.value).value == pytest.approx(whole.value.value, rel=1e-12)
    np.testing.assert_allclose(np.hypot(one.uncertainty, two.uncertainty), whole.uncertainty)


def test_total_does_not_depend_on_slicing(make_maps, make_wcs):
    maps = make_maps(wcs=make_wcs(angle=70, sip=True))
    region = np.zeros(maps.shape, dtype=bool)
    region[5:14, 6:19] = True
    whole = maps.total("stellar_mass", region, "independent")
    cut = maps[5:14, 6:19].total("stellar_mass", correlation="independent")
    assert cut.value.value == pytest.approx(whole.value.value, rel=1e-6)
    assert cut.uncertainty.value == pytest.approx(whole.uncertainty.value, rel=1e-6)


def test_masked_pixels_count_for_nothing_and_are_said(normal_arrays):
    mean = np.ones((4, 5))
    quality = np.zeros((4, 5), int)
    quality[0] = 1
    total = make(normal_arrays(mean, 0.1), quality=quality).total(
        "stellar_mass", correlation="independent"
    )
    assert total.value.value == pytest.approx(15 * AREA)
    assert total.masked_fraction == pytest.approx(0.25)


def test_masked_fraction_is_by_area(normal_arrays, make_wcs):
    wcs = make_wcs(scale=600.0, crpix=(1.0, 1.0))
    mean = np.ones((60, 60))
    quality = np.zeros(mean.shape, int)
    quality[:, 30:] = 1
    maps = PropertyMaps(
        {"stellar_mass": normal_arrays(mean, 0.1)}, quality=quality, wcs=wcs, **DISTANCE
    )
    areas = maps.pixel_solid_angle_map().value
    expected = areas[:, 30:].sum() / areas.sum()
    assert expected < 0.499
    total = maps.total("stellar_mass", correlation="full")
    assert total.masked_fraction == pytest.approx(expected, rel=1e-9)


def test_all_masked_is_nan_without_a_fuss(normal_arrays):
    maps = make({"stellar_mass": normal_arrays(np.full((3, 3), np.nan), 0.1)})
    total = maps.total("stellar_mass", correlation="independent")
    assert np.isnan(total.value)
    assert np.isnan(total.uncertainty)
    assert total.masked_fraction == 1


def test_average_is_weighted_by_mean_weight(normal_arrays):
    rng = np.random.default_rng(2)
    mass, age = rng.uniform(1, 3, (6, 7)), rng.uniform(2, 9, (6, 7))
    maps = make(
        {
            "stellar_mass": normal_arrays(mass, 0.1),
            "stellar_age": normal_arrays(age, 0.2, with_mean=False),
        }
    )
    total = maps.total("stellar_age", correlation="independent")
    assert total.value.unit == u.Gyr
    assert total.value.value == pytest.approx((mass * age).sum() / mass.sum())
    assert "median stellar_age" in total.assumptions["combines"]


def test_average_takes_the_mean_where_there_is_one(normal_arrays):
    arrays = normal_arrays(np.full((2, 2), 5.0), 0.2)
    arrays = PropertyArrays(arrays.percentiles, np.full((2, 2), 6.0))
    maps = make({"stellar_mass": normal_arrays(np.ones((2, 2)), 0.1), "stellar_age": arrays})
    assert maps.total("stellar_age", correlation="full").value.value == pytest.approx(6)


def test_average_without_weight_is_over_area(normal_arrays, make_wcs):
    plane = np.indices((40, 40)).sum(axis=0) / 40
    maps = PropertyMaps(
        {"attenuation_v": normal_arrays(plane, 0.1, with_mean=False)},
        quality=None,
        wcs=make_wcs(scale=600.0),
    )
    areas = maps.pixel_solid_angle_map().value
    total = maps.total("attenuation_v", correlation="independent")
    assert total.value.value == pytest.approx((plane * areas).sum() / areas.sum(), rel=1e-9)


def test_average_needs_no_distance(normal_arrays):
    arrays = {
        "stellar_mass": normal_arrays(np.ones((2, 2)), 0.1),
        "stellar_age": normal_arrays(np.full((2, 2), 5.0), 0.2, with_mean=False),
    }
    maps = PropertyMaps(arrays, quality=None, pixel_solid_angle=PIXEL)
    assert maps.total("stellar_age", correlation="full").value == 5 * u.Gyr


def test_average_without_signal_is_nan_with_a_warning(normal_arrays):
    maps = make(
        {
            "stellar_mass": normal_arrays(np.array([[1.0, -2.0]]), 1.0),
            "stellar_age": normal_arrays(np.array([[5.0, 6.0]]), 0.2, with_mean=False),
        }
    )
    with pytest.warns(PicassssoWarning, match="'stellar_mass', sums to zero or less"):
        total = maps.total("stellar_age", correlation="independent")
    assert np.isnan(total.value)


# ---- regions --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "aperture",
    [
        CircularAperture((15.3, 12.1), 6.7),
        CircularAnnulus((14, 13), 3, 8.5),
        EllipticalAperture((15, 12), 9, 4, theta=0.6),
    ],
)
def test_apertures_count_exact_fractions_of_pixels(normal_arrays, aperture):
    maps = make(normal_arrays(np.full((26, 31), 2.0), 0.1))
    total = maps.total("stellar_mass", aperture, "independent")
    assert total.value.value == pytest.approx(2 * aperture.area * AREA, rel=1e-9)
    assert total.masked_fraction == pytest.approx(0, abs=1e-12)
    assert total.assumptions["n_pixels"] == pytest.approx(aperture.area)


def test_aperture_over_the_edge(normal_arrays):
    maps = make(normal_arrays(np.full((20, 20), 2.0), 0.1))
    half = maps.total("stellar_mass", CircularAperture((-0.5, 10), 5), "independent")
    assert half.value.value == pytest.approx(np.pi * 25 * AREA, rel=1e-9)
    assert half.masked_fraction == pytest.approx(0.5)


def test_aperture_on_the_sky(make_maps):
    maps = make_maps()
    sky = SkyCircularAperture(maps.wcs.pixel_to_world(11.2, 9.4), 2 * u.arcsec)
    pixel = CircularAperture((11.2, 9.4), 5.0)
    one, two = (maps.total("stellar_mass", a, "independent") for a in (sky, pixel))
    assert one.value.value == pytest.approx(two.value.value, rel=1e-5)


def test_boolean_region_equals_weights_of_one(make_maps):
    maps = make_maps()
    region = np.zeros(maps.shape, dtype=bool)
    region[4:9, 3:17] = True
    total = maps.total("stellar_mass", region, "independent")
    means = maps.mean("stellar_mass")[region] * maps.pixel_solid_angle_map()[region]
    distance = maps.angular_diameter_distance
    expected = (np.nansum(means).to(u.Msun / u.kpc**2 * u.rad**2) / u.rad**2 * distance**2).to(
        u.Msun
    )
    assert total.value.value == pytest.approx(expected.value, rel=1e-7)


# ---- uncertainties against brute force --------------------------------------------------------


def test_independent_pixels():
    rng = np.random.default_rng(3)
    truth = smooth_map((10, 10))
    draws = truth + 0.3 * truth * rng.normal(size=(N_DRAWS, 10, 10))
    total = make(from_draws(draws)).total("stellar_mass", correlation="independent")
    scatter = draws.sum(axis=(1, 2)).std() * AREA
    assert total.uncertainty.value == pytest.approx(scatter, rel=0.05)
    assert set(total.components) == {"pixels", "shared"}
    assert total.components["shared"].value == 0


def test_planted_shared_error():
    """A factor common to all pixels, of 0.1 dex, on top of independent noise."""
    rng = np.random.default_rng(4)
    truth = smooth_map((10, 10))
    factor = 10 ** (0.1 * rng.normal(size=(N_DRAWS, 1, 1)))
    draws = factor * (truth + 0.5 * rng.normal(size=(N_DRAWS, 10, 10)))
    scatter = draws.sum(axis=(1, 2)).std() * AREA
    arrays = from_draws(draws)
    declared = make(arrays, shared_error={"stellar_mass": 0.1})
    total = declared.total("stellar_mass", correlation="independent")
    assert total.uncertainty.value == pytest.approx(scatter, rel=0.05)
    assert total.assumptions["shared_error_dex"] == 0.1
    # The pixels' own part is that without the factor.
    own = np.sqrt(100 * 0.25 * (1 + np.expm1((0.1 * np.log(10)) ** 2))) * AREA
    assert total.components["pixels"].value == pytest.approx(own, rel=0.05)
    # Undeclared it would seem to average out, and the test would notice.
    naive = make(arrays).total("stellar_mass", correlation="independent")
    assert naive.uncertainty.value < 0.3 * scatter


def test_samples_carry_every_correlation():
    rng = np.random.default_rng(5)
    truth = smooth_map((8, 9))
    factor = 10 ** (0.1 * rng.normal(size=(300, 1, 1)))
    draws = factor * (truth + 0.5 * rng.normal(size=(300, 8, 9)))
    total = make(from_draws(draws, samples=draws)).total("stellar_mass")
    assert total.uncertainty.value == pytest.approx(draws.sum(axis=(1, 2)).std(ddof=1) * AREA)
    assert total.assumptions["correlation"] == "samples"
    # The value is still that of the means.
    assert total.value.value == pytest.approx(draws.mean(axis=0).sum() * AREA)


def test_a_stated_correlation_goes_before_samples():
    draws = np.random.default_rng(6).normal(5, 1, (50, 4, 4))
    maps = make(from_draws(draws, samples=draws))
    total = maps.total("stellar_mass", correlation="full")
    assert total.assumptions["correlation"] == "full"


def test_full_correlation():
    rng = np.random.default_rng(7)
    truth, sigma = smooth_map((6, 6)), smooth_map((6, 6), 0.1, 0.6)
    draws = truth + sigma * rng.normal(size=(N_DRAWS, 1, 1))
    total = make(from_draws(draws)).total("stellar_mass", correlation="full")
    scatter = draws.sum(axis=(1, 2)).std() * AREA
    assert total.uncertainty.value == pytest.approx(scatter, rel=0.05)


@pytest.mark.parametrize("correlation", [None, "independent", "full", "joint"])
def test_percentiles_of_a_skewed_total(correlation):
    """A factor common to all pixels of 0.3 dex: the total is log-normal, and so is its range."""
    rng = np.random.default_rng(9)
    truth = smooth_map((8, 8))
    factor = 10 ** (0.3 * rng.normal(size=(N_DRAWS, 1, 1)))
    noise = 0.0 if correlation == "full" else 0.3 * rng.normal(size=(N_DRAWS, 8, 8))
    draws = factor * (truth + noise)
    arrays = from_draws(draws, samples=draws if correlation is None else None)
    options = {}
    if correlation == "independent":
        options = {"shared_error": {"stellar_mass": 0.3}}
    if correlation == "joint":
        arrays = replace(arrays, shared=arrays.mean * np.sqrt(np.expm1((0.3 * np.log(10)) ** 2)))
        correlation = None
    total = make(arrays, **options).total("stellar_mass", correlation=correlation)
    expected = np.percentile(draws.sum(axis=(1, 2)), PERCENTILES) * AREA
    assert total.percentiles.unit == u.Msun
    np.testing.assert_allclose(total.percentiles.value, expected, rtol=0.06)
    # A normal distribution of the same mean and width would be half as high at its lower end.
    assert (total.value - total.uncertainty) < 0.75 * total.percentiles[1]


@pytest.mark.parametrize(
    "common",
    [
        # Absent in all pixels with a probability of 0.4, such as star formation.
        lambda rng, n: np.where(rng.uniform(size=n) < 0.6, 10 ** (0.5 * rng.normal(size=n)), 0.0),
        # With a tail to low values, such as ages.
        lambda rng, n: 1 - 0.9 * rng.beta(1.2, 3.0, size=n),
    ],
    ids=["absent", "tail"],
)
def test_percentiles_of_a_total_have_the_shape_of_what_pixels_share(common):
    rng = np.random.default_rng(11)
    truth = smooth_map((8, 8))
    factor = common(rng, 10 * N_DRAWS)[:, None, None]
    own = 10 ** (0.04 * rng.normal(size=(10 * N_DRAWS, 8, 8)))
    draws = truth * factor * own
    arrays = from_draws(draws)
    # The mean over what is a pixel's own.
    arrays = replace(arrays, shared=truth * (factor.std() * own.mean()))
    total = make(arrays).total("stellar_mass")
    expected = np.percentile(draws.sum(axis=(1, 2)), PERCENTILES) * AREA
    scale = total.value.value
    np.testing.assert_allclose(
        total.percentiles.value / scale, expected / scale, rtol=0.08, atol=0.03
    )


def test_percentiles_of_noise_with_a_common_factor_lie_around_zero():
    """As of blank sky: light of either sign times an uncertain ratio, with nothing detected."""
    rng = np.random.default_rng(13)
    light = rng.normal(size=(60, 60))
    planes = np.maximum(light + np.array([-2.0, -1, 0, 1, 2])[:, None, None], 0.0)
    nothing = np.full(light.shape, int(QualityFlag.NOT_DETECTED), np.int32)
    arrays = PropertyArrays(planes, light, shared=0.5 * light)
    total = make(arrays, quality=nothing).total("stellar_mass")
    value, error = total.value.value, total.uncertainty.value
    scores = np.array([-1.959964, -0.994458, 0.0, 0.994458, 1.959964])
    np.testing.assert_allclose(total.percentiles.value, value + scores * error, atol=0.3 * error)


def test_range_of_an_average_does_not_leave_that_of_its_pixels():
    mass = smooth_map((6, 6))
    dust = np.array([0.0, 0.0, 0.1, 0.9, 1.6])[:, None, None] * np.ones((6, 6))
    width = np.array([0.4, 0.7, 1.0, 1.4, 2.0])[:, None, None]
    arrays = {
        "attenuation_v": PropertyArrays(dust, np.full((6, 6), 0.5)),
        "stellar_mass": PropertyArrays(width * mass, mass),
    }
    zero_point = {"zero_point:g": {"attenuation_v": np.full((6, 6), 0.2)}}
    total = make(arrays, systematics=zero_point).total("attenuation_v", correlation="full")
    assert total.percentiles[0] == 0 * u.mag
    assert (np.diff(total.percentiles.value) >= 0).all()


def test_percentiles_of_exact_maps_that_share_no_error_are_the_value():
    truth = smooth_map((5, 5))
    arrays = PropertyArrays(np.stack([truth] * 5), truth, shared=0 * truth)
    total = make(arrays).total("stellar_mass")
    np.testing.assert_allclose(total.percentiles.value, total.value.value, rtol=1e-12)


def test_text_of_a_total_gives_the_range_of_wide_errors_only():
    rng = np.random.default_rng(12)
    for width, told in ((0.1, False), (0.6, True)):
        draws = smooth_map((6, 6)) * 10 ** (width * rng.normal(size=(N_DRAWS, 1, 1)))
        total = make(from_draws(draws)).total("stellar_mass", correlation="full")
        low, high = total.percentiles.value[[1, 3]]
        assert (f" (68 %: {low:.2g} to {high:.2g})" in str(total)) == told


def test_percentiles_of_much_noise_are_normal():
    rng = np.random.default_rng(10)
    draws = 0.2 + rng.normal(size=(N_DRAWS, 20, 20))
    total = make(from_draws(draws)).total("stellar_mass", correlation="independent")
    value, error = total.value.value, total.uncertainty.value
    scores = np.array([-1.959964, -0.994458, 0.0, 0.994458, 1.959964])
    np.testing.assert_allclose(total.percentiles.value, value + scores * error, rtol=1e-5)


def test_sky_and_zero_point_modes():
    """Modes move all pixels at once, one by a constant, one by a factor; not in percentiles."""
    rng = np.random.default_rng(8)
    truth = smooth_map((10, 10))
    noise = 0.4 * rng.normal(size=(N_DRAWS, 10, 10))
    sky, zero_point = 0.05 + 0 * truth, 0.03 * truth
    z = rng.normal(size=(2, N_DRAWS, 1, 1))
    scatter = (truth + noise + z[0] * sky + z[1] * zero_point).sum(axis=(1, 2)).std() * AREA
    maps = make(
        from_draws(truth + noise),
        systematics={"sky:g": {"stellar_mass": sky}, "zero_point:g": {"stellar_mass": zero_point}},
    )
    total = maps.total("stellar_mass", correlation="independent")
    assert total.uncertainty.value == pytest.approx(scatter, rel=0.05)
    assert total.components["sky:g"].value == pytest.approx(5 * AREA)
    assert total.components["zero_point:g"].value == pytest.approx(0.03 * truth.sum() * AREA)
    assert total.assumptions["systematics"] == ["sky:g", "zero_point:g"]


def test_modes_may_have_opposite_signs_and_holes(normal_arrays):
    plane = np.array([[1.0, -1.0, np.nan]])
    maps = make(normal_arrays(np.ones((1, 3)), 0.1), systematics={"m": {"stellar_mass": plane}})
    total = maps.total("stellar_mass", correlation="independent")
    assert total.components["m"].value == pytest.approx(0, abs=1e-15)


def test_correlated_noise():
    """Noise smoothed with a kernel: sums are noisier by (sum k)^2 / sum k^2."""
    rng = np.random.default_rng(9)
    kernel = np.outer([1, 2, 1], [1, 2, 1]) / 6.0
    assert np.sum(kernel**2) == pytest.approx(1)
    white = rng.normal(size=(N_DRAWS, 24, 24))
    noise = ndimage.convolve(white, kernel[None], mode="wrap")
    draws = 10 + noise
    inflation = kernel.sum() ** 2
    assert inflation > 5
    # All pixels are summed, and the noise wraps around, so that this is exact.
    scaling = NoiseScaling([1, 576], [1.0, inflation])
    total = make(from_draws(draws), noise_scaling=scaling).total(
        "stellar_mass", correlation="independent"
    )
    scatter = draws.sum(axis=(1, 2)).std() * AREA
    assert total.uncertainty.value == pytest.approx(scatter, rel=0.05)
    assert total.assumptions["variance_inflation"] == pytest.approx(inflation)


def test_samples_with_independent_noise_are_inflated_too():
    rng = np.random.default_rng(10)
    draws = 10 + rng.normal(size=(N_DRAWS, 8, 8))
    scaling = NoiseScaling([1, 64], [1.0, 4.0])
    total = make(from_draws(draws, samples=draws), noise_scaling=scaling).total("stellar_mass")
    assert total.uncertainty.value == pytest.approx(8 * 2 * AREA, rel=0.05)


def make_binned(rng):
    """Nine bins of 4 x 4 pixels and a column of pixels of their own."""
    blocks = np.arange(9).reshape(3, 3).repeat(4, axis=0).repeat(4, axis=1)
    bins = np.concatenate([blocks, np.full((12, 1), -1)], axis=1)
    truth = np.append(rng.uniform(2, 5, 9), np.nan)[bins]
    truth[:, -1] = 3.0
    noise = np.concatenate(
        [0.5 * rng.normal(size=(N_DRAWS, 9))[:, blocks], 0.7 * rng.normal(size=(N_DRAWS, 12, 1))],
        axis=2,
    )
    return bins, truth + noise


def test_error_of_a_bin_counts_once():
    bins, draws = make_binned(np.random.default_rng(11))
    maps = make(from_draws(draws), bins=bins)
    total = maps.total("stellar_mass", correlation="independent")
    assert total.uncertainty.value == pytest.approx(draws.sum(axis=(1, 2)).std() * AREA, rel=0.05)
    assert total.assumptions["n_measurements"] == 21
    # Counted pixel by pixel, it would be far too small.
    naive = make(from_draws(draws)).total("stellar_mass", correlation="independent")
    assert naive.uncertainty < 0.5 * total.uncertainty


def test_part_of_a_bin_has_its_error_in_full():
    bins, draws = make_binned(np.random.default_rng(12))
    region = np.zeros(bins.shape, dtype=bool)
    region[:6, 2:] = True
    total = make(from_draws(draws), bins=bins).total("stellar_mass", region, "independent")
    scatter = draws[:, region].sum(axis=1).std() * AREA
    assert total.uncertainty.value == pytest.approx(scatter, rel=0.05)


def test_bins_with_samples_drawn_pixel_by_pixel():
    """An estimator draws each pixel by itself; a bin is one measurement all the same."""
    rng = np.random.default_rng(13)
    bins, draws = make_binned(rng)
    own = draws.mean(axis=0) + draws.std(axis=0) * rng.normal(size=draws.shape)
    total = make(from_draws(draws, samples=own), bins=bins).total("stellar_mass")
    assert total.uncertainty.value == pytest.approx(draws.sum(axis=(1, 2)).std() * AREA, rel=0.05)


def test_bins_know_their_own_correlation():
    bins = np.zeros((4, 4), int)
    arrays = from_draws(np.random.default_rng(14).normal(5, 1, (N_DRAWS, 1, 1)) + np.zeros((4, 4)))
    scaling = NoiseScaling([1, 16], [1.0, 4.0])
    plain, scaled = (
        make(arrays, bins=bins, noise_scaling=s).total("stellar_mass", correlation="independent")
        for s in (None, scaling)
    )
    assert scaled.uncertainty.value == pytest.approx(plain.uncertainty.value)


def test_average_with_errors_in_value_and_weight():
    rng = np.random.default_rng(15)
    mass, age = smooth_map((9, 9)), 3 + np.indices((9, 9)).sum(axis=0) / 2
    masses = mass + 0.2 * mass * rng.normal(size=(N_DRAWS, 9, 9))
    ages = age + 0.5 * rng.normal(size=(N_DRAWS, 9, 9))
    maps = make({"stellar_mass": from_draws(masses), "stellar_age": from_draws(ages)})
    scatter = ((masses * ages).sum(axis=(1, 2)) / masses.sum(axis=(1, 2))).std()
    total = maps.total("stellar_age", correlation="independent")
    assert total.uncertainty.value == pytest.approx(scatter, rel=0.05)
    # With samples, too: they hold the same.
    arrays = {
        "stellar_mass": from_draws(masses, samples=masses),
        "stellar_age": from_draws(ages, samples=ages),
    }
    assert make(arrays).total("stellar_age").uncertainty.value == pytest.approx(scatter, rel=0.05)


def test_shared_error_of_the_weight_cancels_in_an_average():
    rng = np.random.default_rng(16)
    mass, age = smooth_map((9, 9)), 3 + np.indices((9, 9)).sum(axis=0) / 2
    factor = 10 ** (0.2 * rng.normal(size=(N_DRAWS, 1, 1)))
    masses = factor * mass * (1 + 0.1 * rng.normal(size=(N_DRAWS, 9, 9)))
    ages = age + 0.5 * rng.normal(size=(N_DRAWS, 9, 9))
    scatter = ((masses * ages).sum(axis=(1, 2)) / masses.sum(axis=(1, 2))).std()
    total = make(
        {"stellar_mass": from_draws(masses), "stellar_age": from_draws(ages)},
        shared_error={"stellar_mass": 0.2},
    ).total("stellar_age", correlation="independent")
    assert total.uncertainty.value == pytest.approx(scatter, rel=0.05)
    assert total.components["shared"].value == pytest.approx(0, abs=1e-9)


def test_mode_of_the_weight_moves_an_average():
    mass, age = np.array([[1.0, 3.0]]), np.array([[2.0, 8.0]])
    tilt = np.array([[0.01, -0.01]])
    ladder = np.linspace(-0.1, 0.1, 5)[:, None, None]
    maps = make(
        {
            "stellar_mass": PropertyArrays(mass + ladder, mass),
            "stellar_age": PropertyArrays(age + ladder),
        },
        systematics={"sky:g": {"stellar_mass": tilt}},
    )
    moved = ((mass + tilt) * age).sum() / (mass + tilt).sum() - (mass * age).sum() / mass.sum()
    total = maps.total("stellar_age", correlation="independent")
    assert total.components["sky:g"].value == pytest.approx(abs(moved), rel=0.01)


def test_components_add_in_quadrature(make_maps):
    maps = make_maps(
        shared_error={"stellar_mass": 0.1},
        systematics={"sky:g": {"stellar_mass": np.full((20, 24), 1e5)}},
    )
    for correlation in ("independent", "full"):
        total = maps.total("stellar_mass", correlation=correlation)
        squares = sum(component**2 for component in total.components.values())
        assert total.uncertainty.value == pytest.approx(np.sqrt(squares).value)


# ---- no source ------------------------------------------------------------------------------


@pytest.mark.parametrize("held_positive", [False, True])
def test_ten_thousand_pixels_without_a_source_total_zero(held_positive):
    """Means scatter around zero, negative ones included; the total is zero within its error.

    Also where an estimator holds its percentiles positive, as a posterior of a mass may be.
    """
    rng = np.random.default_rng(17)
    pulls = []
    for _ in range(60):
        sigma = rng.uniform(0.5, 2, (100, 100))
        mean = sigma * rng.normal(size=(100, 100))
        assert (mean < 0).mean() == pytest.approx(0.5, abs=0.03)
        ladder = np.array([-1.96, -0.994, 0, 0.994, 1.96])[:, None, None]
        percentiles = mean + ladder * sigma
        if held_positive:
            percentiles = np.maximum(percentiles, 0)
        maps = make(PropertyArrays(percentiles, mean), shared_error={"stellar_mass": 0.1})
        total = maps.total("stellar_mass", correlation="independent")
        assert abs(total.value) < 4 * total.uncertainty
        pulls.append(float(total.value / total.uncertainty))
    # 60 pulls: their mean is known to 0.13, their scatter to 0.09.
    assert np.mean(pulls) == pytest.approx(0, abs=0.45)
    assert 0.6 < np.std(pulls) < 1.35


# ---- the result -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (3.214e10, 2.5e9, "(3.21 +/- 0.25)e+10 solMass"),
        (5.0, 0.1234, "5.00 +/- 0.12 solMass"),
        (0.0, 12.3, "0 +/- 12 solMass"),
        (-2e-7, 5e-8, "(-2.00 +/- 0.50)e-07 solMass"),
        (1e5, 3e8, "(0.0 +/- 3.0)e+08 solMass"),
        (7.0, 0.0, "7 solMass"),
        (np.nan, np.nan, "nan +/- nan solMass"),
    ],
)
def test_total_as_text(value, error, text):
    total = Total(value * u.Msun, error * u.Msun, 0.0, {"property": "stellar_mass"})
    assert str(total) == text
    assert repr(total).startswith(f"<Total stellar_mass = {text}, 0.0 % masked")


def test_assumptions_are_recorded(make_maps):
    total = make_maps(shared_error={"stellar_mass": 0.1}).total(
        "stellar_mass", correlation="independent"
    )
    assumed = total.assumptions
    assert assumed["property"] == "stellar_mass"
    assert assumed["combines"] == "sum of mean stellar_mass x area"
    assert assumed["correlation"] == "independent"
    assert assumed["variance_inflation"] == 1
    assert assumed["n_pixels"] == assumed["n_measurements"] == 20 * 24 - 4
    assert assumed["angular_diameter_distance"] == 90 * u.Mpc / 1.02**2
    assert assumed["area"].unit == u.kpc**2


def test_what_maps_know_of_the_correlation_is_used():
    mass = np.full((4, 5), 2e8)
    steps = 1 + 0.2 * np.array([-1.96, -0.994, 0, 0.994, 1.96])
    arrays = {
        "stellar_mass": PropertyArrays(steps[:, None, None] * mass, mean=mass),
        "sfr": PropertyArrays(
            steps[:, None, None] * mass, mean=mass, samples=np.stack([mass] * 3)
        ),
        "gas_mass": PropertyArrays(steps[:, None, None] * mass, mean=mass),
    }
    maps = PropertyMaps(
        arrays, quality=None, pixel_solid_angle=1 * u.arcsec**2, redshift=0.02,
        luminosity_distance=90 * u.Mpc, shared_error={"gas_mass": 0.1},
    )  # fmt: skip
    assert known_correlation(maps, "sfr") is None
    assert known_correlation(maps, "gas_mass") == "independent"
    # Noise alone must not pass for the error of a sum when nothing says so.
    assert known_correlation(maps, "stellar_mass") == "full"
    total = maps.total("stellar_mass", correlation="full")
    assert float(total.uncertainty / total.value) == pytest.approx(0.2, rel=0.05)


def test_logarithms_of_totals_are_in_dex(maps):
    total = maps.total("stellar_mass", correlation="full")
    logarithm, error = total.log10()
    assert 10**logarithm == pytest.approx(total.value.value)
    ratio = float(total.uncertainty / total.value)
    assert error == pytest.approx(ratio / np.log(10))
    assert np.isnan(replace(total, value=-total.value).log10()).all()
