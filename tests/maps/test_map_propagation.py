"""From the errors of pixels to the error of their sum."""

import numpy as np
import pytest
from scipy import stats

from picasssso.maps.arrays import PERCENTILES
from picasssso.maps.propagation import (
    five_point_weights,
    mean_square_error,
    measurement_inflation,
    relative_variance,
)


def test_five_points_have_the_moments_of_a_normal_distribution():
    z = stats.norm.ppf(np.array(PERCENTILES) / 100)
    moments = [five_point_weights() @ z**k for k in range(6)]
    np.testing.assert_allclose(moments, [1, 0, 1, 0, 3, 0], atol=1e-12)
    assert (five_point_weights() > 0).all()


@pytest.mark.parametrize(
    ("distribution", "accuracy"),
    [
        (stats.norm(3, 2), 1e-12),
        (stats.lognorm(0.1 * np.log(10)), 0.01),
        (stats.lognorm(0.3 * np.log(10)), 0.05),
        (stats.uniform(1, 2), 0.05),
        (stats.gamma(4), 0.02),
    ],
)
def test_standard_deviation_from_percentiles(distribution, accuracy):
    points = distribution.ppf(np.array(PERCENTILES) / 100)
    found = np.sqrt(mean_square_error(points[:, None], np.array([distribution.mean()])))
    assert found[0] == pytest.approx(distribution.std(), rel=accuracy)


def test_half_range_would_be_worse_for_skewed_posteriors():
    distribution = stats.lognorm(0.3 * np.log(10))
    low, high = distribution.ppf([0.16, 0.84])
    assert (high - low) / 2 < 0.8 * distribution.std()


def test_distance_of_the_estimate_from_the_posterior_counts():
    """Percentiles held positive, an estimate that is not: the difference is error too."""
    points = np.array([0.1, 0.3, 0.5, 0.7, 0.9])[:, None]
    spread = mean_square_error(points, np.array([0.5]))
    np.testing.assert_allclose(mean_square_error(points, np.array([-2.0])), spread + 2.5**2)


def test_relative_variance_of_a_lognormal_factor():
    factor = stats.lognorm(0.2 * np.log(10))
    assert relative_variance(0.2) == pytest.approx(factor.var() / factor.mean() ** 2)
    assert relative_variance(0.0) == 0


def test_inflation():
    def scaling(n):
        return n**0.5

    np.testing.assert_array_equal(measurement_inflation(np.ones(3, int), 100, None), 1)
    np.testing.assert_array_equal(measurement_inflation(np.ones(3, int), 100, scaling), 10)
    # The error of a bin of 25 has the correlation of its own 25 pixels in it.
    np.testing.assert_allclose(
        measurement_inflation(np.array([1, 25, 400]), 100, scaling), [10, 2, 1]
    )
    assert len(measurement_inflation(np.ones(0, int), 0, scaling)) == 0
