"""Weights of linear interpolation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from picasssso.sps.interpolation import hat_weights, integrated_hat_weights

NODES = np.array([1.0, 2.0, 5.0, 7.0])


def test_weights_at_nodes_are_exactly_one():
    np.testing.assert_array_equal(hat_weights(NODES, NODES), np.eye(4))


@given(npst.arrays(float, st.integers(1, 20), elements=st.floats(1.0, 7.0)))
def test_weights_give_back_a_straight_line(values):
    weights = hat_weights(values, NODES)
    np.testing.assert_allclose(weights.sum(axis=1), 1.0, rtol=1e-14)
    np.testing.assert_allclose(weights @ NODES, values, rtol=1e-13)


def test_outside_the_nodes_the_nearest_counts():
    np.testing.assert_array_equal(hat_weights(np.array([0.0, 9.0]), NODES), np.eye(4)[[0, 3]])


def test_one_node_takes_all():
    np.testing.assert_array_equal(hat_weights(np.array([3.0, 4.0]), NODES[:1]), [[1.0], [1.0]])


@pytest.mark.parametrize("power", [0, 1])
def test_integrated_weights_are_the_integrals_of_weights(power):
    """Against sums over many ages, evenly spread."""
    ages = (np.arange(70_000) + 0.5) * 1e-4
    weights = hat_weights(np.log(ages), np.log(NODES)) * ages[:, None] ** power * 1e-4
    sums = np.cumsum(weights, axis=0)
    upto = np.array([0.4, 1.0, 1.7, 2.0, 4.9, 7.0])
    found = integrated_hat_weights(upto, NODES, power=power)
    expected = sums[np.round(upto * 1e4).astype(int) - 1]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_allclose(found.sum(axis=1), upto ** (power + 1) / (power + 1))


def test_integrated_weights_start_with_nothing():
    np.testing.assert_array_equal(integrated_hat_weights(np.zeros(1), NODES), np.zeros((1, 4)))
