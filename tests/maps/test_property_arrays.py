"""Arrays of percentiles: from normal posteriors, from samples, and what is refused."""

import numpy as np
import pytest
from scipy import stats

from picasssso.exceptions import InvalidInputError
from picasssso.maps.arrays import NORMAL_SCORES, PERCENTILES, PropertyArrays


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_normal_posteriors_have_normal_percentiles(dtype):
    mean = np.array([[3.0, -2.0], [0.0, 1e9]], dtype)
    sigma = np.array([[0.5, 2.0], [1e-3, 2e8]], dtype)
    arrays = PropertyArrays.from_normal(mean, sigma)
    expected = stats.norm.ppf(np.array(PERCENTILES)[:, None, None] / 100, mean, sigma)
    np.testing.assert_allclose(arrays.percentiles, expected, rtol=3e-7, atol=1e-6)
    np.testing.assert_array_equal(arrays.mean, mean)
    assert arrays.percentiles.dtype == arrays.mean.dtype == dtype
    assert arrays.samples is arrays.quality is arrays.shared is None


def test_scores_are_those_of_the_normal_distribution():
    np.testing.assert_allclose(NORMAL_SCORES, stats.norm.ppf(np.array(PERCENTILES) / 100))


def test_one_standard_deviation_for_all_pixels():
    mean = np.arange(6, dtype=np.float32).reshape(2, 3)
    one = PropertyArrays.from_normal(mean, 0.25)
    every = PropertyArrays.from_normal(mean, np.full_like(mean, 0.25))
    np.testing.assert_array_equal(one.percentiles, every.percentiles)
    assert one.percentiles.dtype == np.float32
    exact = PropertyArrays.from_normal(mean, 0.0)
    np.testing.assert_array_equal(exact.percentiles, np.stack([mean] * 5))


@pytest.mark.parametrize(("mean", "sigma"), [(np.nan, 1.0), (1.0, np.inf), (1.0, np.nan)])
def test_pixels_without_a_number_are_not_estimated(mean, sigma):
    arrays = PropertyArrays.from_normal(np.array([[mean, 2.0]]), np.array([[sigma, 1.0]]))
    assert np.isnan(arrays.percentiles[:, 0, 0]).all()
    assert np.isnan(arrays.mean[0, 0])
    assert np.isfinite(arrays.percentiles[:, 0, 1]).all()


@pytest.mark.parametrize(
    ("mean", "sigma", "message"),
    [
        (np.zeros(3), 1.0, "expected a mean of shape"),
        (np.zeros((2, 3)), np.ones((3, 2)), "the same shape"),
        (np.zeros((2, 2)), -0.5, "Found a standard deviation of -0.5"),
    ],
)
def test_normal_posteriors_that_make_no_sense(mean, sigma, message):
    with pytest.raises(InvalidInputError, match=message):
        PropertyArrays.from_normal(mean, sigma)


def test_samples_of_a_uniform_posterior():
    draws = np.linspace(0.0, 100.0, 1001)[:, None, None] * np.array([[1.0, 2.0]])
    arrays = PropertyArrays.from_samples(draws)
    np.testing.assert_allclose(arrays.percentiles[:, 0, 0], PERCENTILES)
    np.testing.assert_allclose(arrays.percentiles[:, 0, 1], 2 * np.array(PERCENTILES))
    np.testing.assert_allclose(arrays.mean, [[50.0, 100.0]])
    assert arrays.samples is None


def test_samples_are_kept_only_when_asked():
    draws = np.random.default_rng(1).normal(size=(7, 2, 3)).astype(np.float32)
    mean = np.zeros((2, 3), np.float32)
    arrays = PropertyArrays.from_samples(draws, keep_samples=True, mean=mean)
    np.testing.assert_array_equal(arrays.samples, draws)
    assert arrays.mean is mean
    assert arrays.percentiles.dtype == np.float32


def test_a_missing_sample_means_not_estimated():
    draws = np.ones((4, 1, 2))
    draws[2, 0, 0] = np.nan
    arrays = PropertyArrays.from_samples(draws)
    assert np.isnan(arrays.percentiles[:, 0, 0]).all()
    np.testing.assert_array_equal(arrays.percentiles[:, 0, 1], 1.0)


@pytest.mark.parametrize("shape", [(0, 2, 2), (2, 2), (3,)])
def test_samples_that_are_none(shape):
    with pytest.raises(InvalidInputError, match=r"expected \(n, y, x\)"):
        PropertyArrays.from_samples(np.zeros(shape))
