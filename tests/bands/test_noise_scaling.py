"""Noise of sums, and the record of Galactic extinction."""

import json
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from picasssso.bands import GalacticExtinction, NoiseScaling

positive = st.floats(0.01, 100)


@st.composite
def scalings(draw):
    n = sorted(draw(st.sets(st.integers(1, 10**6), min_size=1, max_size=6)))
    return NoiseScaling(n, [draw(positive) for _ in n])


def test_white_noise():
    white = NoiseScaling.white()
    assert white.is_white
    assert white([1, 7, 1e9]).tolist() == [1, 1, 1]
    assert not NoiseScaling.power_law(0.1).is_white


def test_power_law():
    scaling = NoiseScaling.power_law(0.4, largest=1000)
    n = np.array([1, 2.5, 10, 999])
    np.testing.assert_allclose(scaling(n), n**0.4)
    assert scaling(1e5) == pytest.approx(1000**0.4)
    assert scaling(0.3) == 1
    with pytest.raises(ValueError, match="from 0"):
        NoiseScaling.power_law(1.2)


@pytest.mark.parametrize(
    ("n", "inflation"),
    [
        ([], []),
        ([1, 2], [1]),
        ([1, 1], [1, 1]),
        ([0.5], [1]),
        ([1], [0]),
        ([1], [np.nan]),
        ([1, np.inf], [1, 1]),
        (["a"], [1]),
    ],
)
def test_tables_that_make_no_sense(n, inflation):
    with pytest.raises(ValueError, match="Noise scaling: found"):
        NoiseScaling(n, inflation)


@given(scaling=scalings())
def test_round_trip_is_exact(scaling):
    assert NoiseScaling(**json.loads(json.dumps(asdict(scaling)))) == scaling
    np.testing.assert_allclose(scaling(scaling.n_pixels), scaling.variance_inflation, rtol=1e-12)


@settings(max_examples=40)
@given(one=scalings(), two=scalings(), n=st.floats(1, 1e7))
def test_combination_is_the_product(one, two, n):
    np.testing.assert_allclose(one._combine(two)(n), one(n) * two(n), rtol=1e-6)


@settings(max_examples=40)
@given(one=scalings(), two=scalings(), n=st.floats(1, 1e4), ratio=st.sampled_from([0.25, 1, 4]))
def test_combination_with_other_pixels(one, two, n, ratio):
    """Pixels four times as large hold four of the others; what those share is their variance."""
    found = one._combine(two, ratio)(n)
    single = two(ratio) / two(1) if ratio > 1 else 1
    np.testing.assert_allclose(found, one(n) * two(n * ratio) / single, rtol=1e-6)


def test_meaning():
    """n sigma^2 inflation(n) is the variance of a sum, for noise that is a running mean."""
    # Mean of 2 x 2 white pixels: sum of k x k has variance (2 / 4^2 k ...)^2, exactly.
    rng = np.random.default_rng(1)
    white = rng.normal(size=(900, 901))
    mean = (white[1:, 1:] + white[:-1, 1:] + white[1:, :-1] + white[:-1, :-1]) / 4
    sums = mean[:890, :900].reshape(89, 10, 90, 10).sum(axis=(1, 3))
    scaling = NoiseScaling([1, 100], [1, sums.var() / (100 * mean.var())])
    # One axis: sums over k of [1, 1]/2 have the variance (2 (1/4) + (k - 1)).
    expected = (9 + 0.5) ** 2 / (100 * 0.25)
    assert scaling(100) == pytest.approx(expected, rel=0.05)


def test_galactic_extinction():
    dust = GalacticExtinction(np.float32(0.5), scale="SF11", law="CCM89", r_v=3, applied=np.True_)
    assert GalacticExtinction(**json.loads(json.dumps(asdict(dust)))) == dust
    assert (type(dust.ebv), type(dust.r_v), dust.applied) == (float, float, True)


@pytest.mark.parametrize(
    "change",
    [{"ebv": -0.1}, {"ebv": np.nan}, {"ebv": "much"}, {"r_v": 0}, {"law": ""}, {"applied": "no"}],
)
def test_galactic_extinction_that_makes_no_sense(change):
    name = next(iter(change))
    words = {"ebv": r"E\(B-V\) =", "r_v": "R_V ="}.get(name, name)
    sound = {"ebv": 0.1, "scale": "SF11", "law": "F99", "r_v": 3.1, "applied": True}
    with pytest.raises((ValueError, TypeError), match=f"found ({words}|{name}=)"):
        GalacticExtinction(**(sound | change))
