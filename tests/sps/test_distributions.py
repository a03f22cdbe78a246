"""Distributions of a prior: moments, ends, files and errors."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from picasssso.exceptions import InvalidInputError
from picasssso.sps import SEDPrior
from picasssso.sps.distributions import (
    Exponential,
    LogUniform,
    TruncatedLogNormal,
    TruncatedNormal,
    Uniform,
    distribution_from_dict,
)
from picasssso.sps.mass_metallicity import metallicity_of_mass

#: Each with the same distribution of SciPy, of the value or of its logarithm.
CASES = [
    (Uniform(1.0, 3.0), stats.uniform(1.0, 2.0), False),
    (LogUniform(0.01, 2.0), stats.loguniform(0.01, 2.0), False),
    (Exponential(0.4, high=3.0), stats.truncexpon(7.5, scale=0.4), False),
    (Exponential(2.0, 0.5, high=1.5), stats.truncexpon(0.5, loc=0.5, scale=2.0), False),
    (
        TruncatedNormal(9.0, 4.0, low=1.0, high=13.7),
        stats.truncnorm(-2.0, 1.175, loc=9.0, scale=4.0),
        False,
    ),
    (
        TruncatedNormal(-1.0, 0.2, low=0.0, high=2.0),
        stats.truncnorm(5.0, 15.0, loc=-1.0, scale=0.2),
        False,
    ),
    (
        TruncatedNormal(5.0, 0.2, low=0.0, high=2.0),
        stats.truncnorm(-25.0, -15.0, loc=5.0, scale=0.2),
        False,
    ),
    (
        TruncatedLogNormal(0.02, 0.25, low=0.001, high=0.05),
        stats.truncnorm(
            np.log10(0.05) / 0.25, np.log10(2.5) / 0.25, loc=np.log10(0.02), scale=0.25
        ),
        True,
    ),
]
EVEN = (np.arange(2**16) + 0.5) / 2**16


@pytest.mark.parametrize(("distribution", "reference", "logarithmic"), CASES)
def test_values_follow_the_distribution(distribution, reference, logarithmic):
    values = distribution.values(EVEN)
    assert values.min() >= distribution.low
    assert values.max() <= distribution.high
    assert np.all(np.diff(values) >= 0)
    if logarithmic:
        values = np.log10(values)
    assert values.mean() == pytest.approx(reference.mean(), rel=1e-4)
    assert values.std() == pytest.approx(reference.std(), rel=1e-3)
    np.testing.assert_allclose(values[::4096], reference.ppf(EVEN[::4096]), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("distribution", [case[0] for case in CASES])
def test_an_upper_limit_cuts_off(distribution):
    middle = (distribution.low + distribution.high) / 2
    upper = np.where(np.arange(EVEN.size) % 2, middle, 2 * distribution.high)
    values = distribution.values(EVEN, upper)
    assert np.all(values <= upper)
    np.testing.assert_array_equal(values[::2], distribution.values(EVEN[::2]))
    shorter = replace(distribution, high=middle)
    np.testing.assert_array_equal(distribution.values(EVEN, middle), shorter.values(EVEN))


@pytest.mark.parametrize("distribution", [case[0] for case in CASES])
def test_a_limit_below_all_values_is_all_that_is_left(distribution):
    upper = 0.5 * distribution.low
    values = distribution.values(EVEN[:: 2**12], upper)
    np.testing.assert_allclose(values, upper, rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize(
    "distribution",
    [
        Uniform(0.3, 0.3),
        LogUniform(0.3, 0.3),
        Exponential(1.0, 0.3, high=0.3),
        TruncatedNormal(1.0, 0.5, low=0.3, high=0.3),
        TruncatedLogNormal(1.0, 0.5, low=0.3, high=0.3),
    ],
)
def test_equal_ends_hold_a_parameter(distribution):
    np.testing.assert_allclose(distribution.values(EVEN[::1024]), 0.3, rtol=1e-12)


@pytest.mark.parametrize("distribution", [case[0] for case in CASES])
def test_dictionaries_round_trip(distribution):
    record = json.loads(json.dumps(distribution.to_dict()))
    assert distribution_from_dict(record) == distribution
    assert hash(distribution_from_dict(record)) == hash(distribution)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Uniform(2.0, 1.0), "low <= high"),
        (lambda: Uniform(0.0, np.inf), "finite"),
        (lambda: Uniform("low", 1.0), "low='low'.*finite numbers"),
        (lambda: LogUniform(0.0, 1.0), "positive"),
        (lambda: Exponential(0.0, high=1.0), "scale=0.0.*positive"),
        (lambda: TruncatedNormal(0.0, -1.0, low=0.0, high=1.0), "standard deviation"),
        (lambda: TruncatedLogNormal(0.0, 0.2, low=0.1, high=1.0), "median"),
        (lambda: TruncatedLogNormal(1.0, 0.2, low=0.0, high=1.0), "positive"),
        (lambda: distribution_from_dict({"distribution": "cauchy"}), "cauchy.*uniform"),
        (lambda: distribution_from_dict({"low": 0, "high": 1}), "no distribution None"),
        (lambda: distribution_from_dict({"distribution": "uniform", "low": 0}), "expected"),
    ],
)
def test_nonsense_is_refused(make, message):
    with pytest.raises(InvalidInputError, match=message):
        make()


# ---- metallicity and mass -----------------------------------------------------------------


def test_massive_galaxies_are_rich_in_metals():
    masses = np.linspace(9.4, 11.8, 13)
    medians = [metallicity_of_mass(mass).median for mass in masses]
    assert np.all(np.diff(medians) > 0)
    # Gallazzi et al. (2005), table 2, at 10^10.91 Msun.
    assert np.log10(metallicity_of_mass(10.91).median / 0.02) == pytest.approx(0.07)
    assert metallicity_of_mass(10.91).sigma_dex == pytest.approx(0.19)


@given(st.floats(4.0, 14.0))
def test_any_mass_makes_a_prior(log_mass):
    prior = SEDPrior(metallicity=metallicity_of_mass(log_mass))
    assert SEDPrior.from_dict(json.loads(json.dumps(prior.to_dict()))) == prior


def test_a_mass_that_is_no_logarithm_is_refused():
    with pytest.raises(InvalidInputError, match="log10 of a stellar mass"):
        metallicity_of_mass(1e10)
