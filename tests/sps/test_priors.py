"""Priors: ranges, distributions, refusals."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from picasssso.exceptions import InvalidInputError
from picasssso.sps import SEDPrior, SSPGrid
from picasssso.sps.distributions import Exponential, Uniform
from picasssso.sps.populations import draw_populations, unit_cube

UNIFORM = ("attenuation", "birth_cloud_ratio")
LOGARITHMIC = ("timescale", "metallicity", "burst_duration")


def draw(prior, n=4096, age_limit=13.1):
    return prior._parameters(unit_cube(n, prior._n_dimensions, 7), age_limit)


@pytest.mark.parametrize("history", ["delayed", "steps"])
def test_parameters_stay_within_their_ranges(history):
    prior = SEDPrior(history=history)
    for name, values in draw(prior).items():
        assert np.all(np.isfinite(values)), name
        if hasattr(prior, name) and name not in ("truncation_age", "burst_fraction"):
            low, high = (getattr(getattr(prior, name), end) for end in ("low", "high"))
            assert np.all((values >= low * (1 - 1e-12)) & (values <= high * (1 + 1e-12))), name


@pytest.mark.parametrize("name", UNIFORM)
def test_uniform_parameters(name):
    prior = SEDPrior(**{name: (0.5, 2.5)})
    values = np.sort(draw(prior)[name])
    np.testing.assert_allclose(values, 0.5 + 2.0 * (np.arange(4096) + 0.5) / 4096, atol=2e-3)


@pytest.mark.parametrize("name", LOGARITHMIC)
def test_logarithmic_parameters(name):
    prior = SEDPrior(**{name: (0.002, 0.2)})
    values = np.log10(np.sort(draw(prior)[name]) / 0.002)
    np.testing.assert_allclose(values, 2.0 * (np.arange(4096) + 0.5) / 4096, atol=2e-3)


def test_events_come_as_often_as_asked():
    prior = SEDPrior(burst_probability=0.4, truncation_probability=0.25)
    drawn = draw(prior)
    burst, truncated = drawn["burst_fraction"] > 0, drawn["truncation_age"] > 0
    assert burst.mean() == pytest.approx(0.4, abs=0.01)
    assert truncated.mean() == pytest.approx(0.25, abs=0.01)
    assert not np.any(burst & truncated)
    assert np.all(drawn["truncation_age"] < drawn["oldest_age"])
    assert np.all(drawn["burst_age"] < drawn["oldest_age"])


def test_no_star_is_older_than_the_universe():
    assert draw(SEDPrior(), age_limit=6.0)["oldest_age"].max() <= 6.0
    for prior in (SEDPrior(), SEDPrior(history="steps")):
        histories = prior._histories(draw(prior, 64, 6.0), 6.0)
        assert histories.oldest_star().max() <= 6.0e9 * (1 + 1e-12)


def test_a_start_before_the_big_bang_is_refused():
    with pytest.raises(InvalidInputError, match="before the Big Bang"):
        draw(SEDPrior(), age_limit=0.9)
    with pytest.raises(InvalidInputError, match="history='delayed'"):
        draw(SEDPrior(history="steps"), age_limit=0.4)


def test_equal_ends_hold_a_parameter():
    assert np.ptp(draw(SEDPrior(metallicity=(0.02, 0.02)))["metallicity"]) < 1e-15


def test_steps_scatter_as_asked():
    """Student's t with 2 degrees of freedom: quartiles at 0.816 of the scale."""
    drawn = draw(SEDPrior(history="steps", step_scatter=0.5))
    for i in range(6):
        quartiles = np.percentile(drawn[f"log_rate_ratio_{i + 1}"], [25, 50, 75])
        np.testing.assert_allclose(quartiles, [-0.408, 0.0, 0.408], atol=0.01)


def test_equal_rates_are_a_constant_history():
    prior = SEDPrior(history="steps")
    ratios = {f"log_rate_ratio_{i + 1}": np.zeros(1) for i in range(6)}
    histories = prior._histories(ratios, 10.0)
    ages = np.array([3e7, 1e8, 1e9, 5e9, 8.5e9, 1e10])
    np.testing.assert_allclose(histories.fraction_younger(ages)[0], ages / 1e10, rtol=1e-12)


def test_a_positive_ratio_makes_the_younger_step_busier():
    prior = SEDPrior(history="steps")
    ratios = {f"log_rate_ratio_{i + 1}": np.zeros(1) for i in range(6)}
    ratios["log_rate_ratio_1"] = np.array([1.0])
    young, next_young = np.diff(
        prior._histories(ratios, 10.0).fraction_younger(np.array([0.0, 3e7, 1e8]))[0]
    )
    assert young / 3e7 == pytest.approx(10 * next_young / 7e7)


def test_the_flat_prior_draws_what_was_drawn_before_there_was_another():
    """The formulas of the first version, in which every parameter was a range."""
    cube = unit_cube(512, 11, 3)
    drawn = SEDPrior.flat()._parameters(cube, 13.1)

    def log_uniform(k, low, high):
        return low * (np.asarray(high) / low) ** cube[:, k]

    oldest = 1.0 + (13.1 - 1.0) * cube[:, 4]
    latest = 0.9 * oldest
    truncated = cube[:, 6] < 0.2
    expected = {
        "metallicity": log_uniform(0, 0.001, 0.05),
        "attenuation": 2.0 * cube[:, 1],
        "birth_cloud_ratio": 1.0 + 2.0 * cube[:, 2],
        "escape_fraction": np.zeros(512),
        "oldest_age": oldest,
        "timescale": log_uniform(5, 0.1, 20.0),
        "truncation_age": np.where(truncated, log_uniform(7, 0.03, np.minimum(2.0, latest)), 0.0),
        "burst_fraction": np.where(cube[:, 6] > 0.7, log_uniform(8, 0.001, 0.3), 0.0),
        "burst_age": log_uniform(9, 0.01, np.minimum(2.0, latest)),
        "burst_duration": log_uniform(10, 0.01, 0.3),
    }
    assert set(drawn) == set(expected)
    for name, values in expected.items():
        # The last bits of a power differ with where arrays lie in memory.
        np.testing.assert_allclose(drawn[name], values, rtol=1e-13, err_msg=name)


def test_files_of_the_first_version_are_read():
    """They hold pairs, and know no names that came later."""
    record = {"history": "steps", "metallicity": [0.004, 0.05], "attenuation": [0.0, 1.0]}
    prior = SEDPrior.from_dict(record)
    assert prior == replace(
        SEDPrior.flat("steps"), metallicity=(0.004, 0.05), attenuation=(0.0, 1.0)
    )
    assert SEDPrior.flat().to_dict()["attenuation"] == [0.0, 2.0]


def test_a_distribution_takes_the_place_of_a_pair():
    prior = SEDPrior(attenuation=Exponential(0.3, high=2.0), oldest_age=Uniform(5.0, 13.0))
    assert prior.oldest_age == SEDPrior(oldest_age=(5.0, 13.0)).oldest_age
    drawn = draw(prior)
    assert drawn["attenuation"].mean() == pytest.approx(0.3, rel=0.01)
    assert SEDPrior.from_dict(json.loads(json.dumps(prior.to_dict()))) == prior


def test_the_default_is_that_of_nearby_galaxies():
    grid = SSPGrid.default()
    galaxies, flat = (
        draw_populations(grid, prior, 8192, 0, 13.4) for prior in (SEDPrior(), SEDPrior.flat())
    )
    means = [drawn.parameters["attenuation"].mean() for drawn in (galaxies, flat)]
    assert means[0] < 0.5 * means[1]
    # Quiescent models are many, and few have formed their last stars within 300 Myr.
    rate = galaxies.properties["ssfr100"] / galaxies.properties["surviving_fraction"]
    assert np.mean(rate < 1e-11) > 0.3
    truncation = galaxies.parameters["truncation_age"]
    assert not np.any((truncation > 0) & (truncation < 0.3))
    # Metals: nearly all models between a fifth of the Sun's and two and a half times that.
    assert np.mean(galaxies.parameters["metallicity"] < 0.004) < 0.01
    assert np.mean(flat.parameters["metallicity"] < 0.005) == pytest.approx(0.41, abs=0.01)


@given(st.floats(0.0001, 0.02), st.floats(0.0, 2.0), st.sampled_from(["delayed", "steps"]))
def test_dictionaries_round_trip(metallicity, attenuation, history):
    prior = SEDPrior(
        history=history, metallicity=(metallicity, 0.05), attenuation=(attenuation, 2.0)
    )
    assert SEDPrior.from_dict(json.loads(json.dumps(prior.to_dict()))) == prior


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"history": "bursty"}, "delayed.*steps"),
        ({"metallicity": (0.05, 0.001)}, "low <= high"),
        ({"metallicity": 0.02}, "pair"),
        ({"metallicity": (0.01, 0.02, 0.03)}, "pair"),
        ({"metallicity": (0.0, 0.02)}, "metallicity.*positive"),
        ({"metallicity": ("solar", "twice")}, "pair"),
        ({"attenuation": (-0.1, 1.0)}, "not negative"),
        ({"attenuation": (0.0, np.inf)}, "finite"),
        ({"oldest_age": (0.0, 13.0)}, "positive"),
        ({"burst_fraction": (0.1, 2.0)}, "not exceed 1"),
        ({"escape_fraction": (0.0, 1.5)}, "not exceed 1"),
        ({"burst_probability": -0.1}, "at least 0"),
        ({"burst_probability": "often"}, "not a number"),
        ({"burst_probability": 0.7, "truncation_probability": 0.5}, "at most 1"),
        ({"step_scatter": np.nan}, "at least 0"),
    ],
)
def test_nonsense_is_refused(arguments, message):
    with pytest.raises(InvalidInputError, match=message):
        SEDPrior(**arguments)


def test_unknown_names_are_refused():
    with pytest.raises(InvalidInputError, match="no dust_mass"):
        SEDPrior.from_dict({"dust_mass": [0, 1]})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"metallicity": (0.00005, 0.02)}, "leaves the grid PopStar"),
        ({"metallicity": (0.01, 0.06)}, "0.0001 to 0.05"),
        ({"oldest_age": (1.0, 20.0)}, "15.14 Gyr"),
    ],
)
def test_what_the_grid_does_not_cover_is_refused(arguments, message):
    with pytest.raises(InvalidInputError, match=message):
        SEDPrior(**arguments)._check_covered(SSPGrid.default())


def test_the_grids_own_ends_are_covered():
    SEDPrior(metallicity=(0.0001, 0.05))._check_covered(SSPGrid.default())
