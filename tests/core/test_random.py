import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from picasssso._core.random import Stream


@given(seed=st.integers(0, 2**63), index=st.integers(0, 2**62), name=st.text(max_size=8))
def test_a_number_depends_on_seed_index_and_name_only(seed, index, name):
    alone = Stream(seed, np.array([index])).uniform(name, 3)
    among = Stream(seed, np.array([5, index, 7])).uniform(name, 4)
    np.testing.assert_array_equal(alone[0], among[1, :3])
    assert np.all((alone > 0) & (alone < 1))


def test_other_seed_name_or_index_gives_other_numbers():
    base = Stream(1, np.array([2])).uniform("a")
    for other in (
        Stream(2, np.array([2])).uniform("a"),
        Stream(1, np.array([3])).uniform("a"),
        Stream(1, np.array([2])).uniform("b"),
    ):
        assert base[0] != other[0]


def test_uniform_numbers_are_uniform_and_uncorrelated():
    stream = Stream(3, np.arange(40_000))
    a, b = stream.uniform("a"), stream.uniform("b")
    counts = np.histogram(a, 20, (0, 1))[0]
    assert np.sum((counts - 2000) ** 2 / 2000) < 45  # chi2 of 19 degrees of freedom
    assert abs(np.corrcoef(a, b)[0, 1]) < 0.02
    assert abs(np.corrcoef(a[1:], a[:-1])[0, 1]) < 0.02


@pytest.mark.parametrize("draw", ["normal_field", "normal"])
def test_normal_numbers_are_normal(draw):
    stream = Stream(4, np.arange(100))
    shape = (2000,) if draw == "normal_field" else 2000
    values = np.asarray(getattr(stream, draw)("noise", shape)).ravel()
    assert abs(values.mean()) < 0.01
    assert abs(values.std() - 1) < 0.01
    assert abs((np.abs(values) > 2).mean() - 0.0455) < 0.003


def test_fields_have_the_same_numbers_whatever_the_batch():
    one = Stream(5, np.array([8])).normal_field("x", (3, 5))
    many = Stream(5, np.arange(10)).normal_field("x", (3, 5))
    np.testing.assert_allclose(one[0], many[8], rtol=1e-5, atol=1e-6)
    flat = Stream(5, np.array([8])).uniform_field("x", (4,))
    assert flat.shape == (1, 4)
    assert bool(((flat > 0) & (flat < 1)).all())
