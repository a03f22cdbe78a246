"""Star formation histories: exact masses, whatever the parameters."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from picasssso.exceptions import InvalidInputError
from picasssso.sps import SSPGrid
from picasssso.sps.histories import (
    AgeBins,
    DelayedHistories,
    StarFormationHistories,
    StepHistories,
)

AGES = SSPGrid.default().ages
BINS = AgeBins(AGES)


@st.composite
def delayed(draw):
    oldest = draw(st.floats(1e7, 1.5e10))
    return DelayedHistories(
        oldest_age=oldest,
        timescale=draw(st.floats(1e6, 1e14)),
        truncation_age=draw(st.floats(0.0, 0.95)) * oldest,
        burst_fraction=draw(st.floats(0.0, 1.0)),
        burst_age=draw(st.floats(1e5, 1.5e10)),
        burst_duration=draw(st.floats(1e5, 1e10)),
    )


@st.composite
def steps(draw):
    masses = draw(st.lists(st.floats(0.0, 1e3), min_size=1, max_size=8))
    assume(sum(masses) > 0)
    edges = np.concatenate([[0.0], np.geomspace(1e7, 1.5e10, len(masses))])
    return StepHistories(edges, [masses])


HISTORIES = st.one_of(delayed(), steps())


@given(HISTORIES)
def test_weights_sum_to_the_mass_formed(history):
    weights = history.age_weights(BINS)
    assert np.all(weights >= 0)
    np.testing.assert_allclose(weights.sum(axis=1), 1.0, atol=1e-10)


@given(HISTORIES)
def test_weights_follow_the_integral_over_ages(history):
    """Light that is a power law of age, against a sum over two hundred times finer bins."""
    edges = np.concatenate([[0.0], np.geomspace(AGES[0], AGES[-1], 30_001)])
    middle = 0.5 * (edges[1:] + edges[:-1])
    light = np.interp(np.log(middle), np.log(AGES), AGES**-0.7)
    expected = history.mass_in_bins(edges) @ light
    assert history.age_weights(BINS) @ AGES**-0.7 == pytest.approx(expected, rel=2e-3)


@given(HISTORIES)
def test_age_moments_give_the_mean_age(history):
    weights, aged = history.age_moments(BINS)
    np.testing.assert_array_equal(weights, history.age_weights(BINS))
    assert aged.sum() == pytest.approx(history.mean_age()[0], rel=2e-3)


@given(HISTORIES)
def test_fraction_younger_rises_from_none_to_all(history):
    fraction = history.fraction_younger(np.concatenate([[0.0], np.geomspace(1e3, 2e10, 200)]))
    assert fraction[0, 0] == pytest.approx(0.0, abs=1e-12)
    assert np.all(np.diff(fraction[0]) >= -1e-12)
    assert fraction[0, -1] == pytest.approx(1.0, abs=1e-12)


@given(HISTORIES)
def test_mean_age_is_the_integral_of_the_older_fraction(history):
    """<t> = integral of (1 - F(t)) dt, for any distribution."""
    edges = np.concatenate([[0.0], np.geomspace(1e4, 1.5e10, 20_001)])
    older = 1.0 - history.fraction_younger(edges)[0]
    expected = np.sum(0.5 * (older[1:] + older[:-1]) * np.diff(edges))
    # A burst shorter than a step of the grid may lie anywhere in it: half a step, 3.6e-4.
    assert history.mean_age()[0] == pytest.approx(expected, rel=4e-4, abs=1e4)


@given(HISTORIES)
def test_rate_is_the_young_mass_over_the_time(history):
    expected = history.fraction_younger(np.array([1e8]))[0, 0] / 1e8
    assert history.specific_rate()[0] == expected


def test_delayed_fraction_against_numerical_integration():
    from scipy.integrate import quad

    oldest, tau, end = 9e9, 2.5e9, 1e9
    history = DelayedHistories(oldest, tau, truncation_age=end)

    def rate(age):
        time = (oldest - age) / tau
        return time * np.exp(-time) / 1e9

    whole = quad(rate, end, oldest, epsrel=1e-12)[0]
    for age in (1.2e9, 3e9, 8e9):
        expected = quad(rate, end, age, epsrel=1e-12)[0] / whole
        assert history.fraction_younger([age])[0, 0] == pytest.approx(expected, rel=1e-10)
    assert history.fraction_younger([end])[0, 0] == 0.0
    assert history.specific_rate()[0] == 0.0


def test_delayed_series_meets_the_closed_form():
    """On either side of where the series takes over, and far beyond."""
    ages = np.array([1e7, 5e8, 9e8])
    near = DelayedHistories(1e9, 1e9 / np.array([0.00999, 0.01001]))
    fraction, mean = near.fraction_younger(ages), near.mean_age()
    np.testing.assert_allclose(fraction[0], fraction[1], rtol=2e-5)
    np.testing.assert_allclose(mean[0], mean[1], rtol=2e-5)
    # The rate then rises linearly: the older fraction goes as the square of time.
    limit = DelayedHistories(1e9, 1e18)
    np.testing.assert_allclose(1 - limit.fraction_younger(ages)[0], (1 - ages / 1e9) ** 2)
    assert limit.mean_age()[0] == pytest.approx(1e9 / 3)


def test_constant_rate_is_sorted_exactly_onto_the_ages():
    """The closed form of the hat functions' integrals for a constant rate since 10 Gyr ago."""
    oldest = AGES[AGES <= 1.01e10][-1]
    found = StepHistories([0.0, oldest], [[1.0]]).age_weights(BINS)[0]
    expected = np.zeros_like(AGES)
    expected[0] = AGES[0]
    for i in range(np.searchsorted(AGES, oldest)):
        low, high = AGES[i], AGES[i + 1]
        step = np.log(high / low)
        # Integral of ln(t / low) / step from low to high.
        upper = (high * step - (high - low)) / step
        expected[i + 1] += upper
        expected[i] += (high - low) - upper
    np.testing.assert_allclose(found, expected / oldest, atol=1e-13)


def test_burst_adds_its_mass_at_its_time():
    quiet = DelayedHistories(1e10, 1e9)
    burst = DelayedHistories(1e10, 1e9, burst_fraction=0.2, burst_age=3e8, burst_duration=1e8)
    ages = np.array([2e8, 2.5e8, 3e8])
    found = burst.fraction_younger(ages) - 0.8 * quiet.fraction_younger(ages)
    np.testing.assert_allclose(found, [[0.0, 0.1, 0.2]], atol=1e-12)


def test_burst_longer_than_its_age_still_goes_on():
    history = DelayedHistories(
        1e10, 1e8, truncation_age=1e9, burst_fraction=1.0, burst_age=5e7, burst_duration=1e9
    )
    assert history.fraction_younger([2.5e7])[0, 0] == pytest.approx(0.5)
    assert history.oldest_star()[0] == 5e7


def test_select_is_what_was_selected():
    whole = DelayedHistories(np.linspace(1e9, 1e10, 7), 2e9)
    part = whole.select(slice(2, 5))
    assert part.n_models == 3
    np.testing.assert_array_equal(part.fraction_younger(AGES), whole.fraction_younger(AGES)[2:5])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DelayedHistories(-1.0, 1e9), "oldest_age.*positive"),
        (lambda: DelayedHistories(1e9, 0.0), "timescale.*positive"),
        (lambda: DelayedHistories(1e9, np.nan), "timescale.*not finite"),
        (lambda: DelayedHistories(1e9, 1e9, truncation_age=1e9), "truncated before it starts"),
        (lambda: DelayedHistories(1e9, 1e9, burst_fraction=1.5), "between 0 and 1"),
        (lambda: DelayedHistories([1e9, 2e9], [1e9, 2e9, 3e9]), r"shapes.*\(2,\).*\(3,\)"),
        (lambda: DelayedHistories([[1e9]], 1e9), "1-D"),
        (lambda: StepHistories([0.0, 1e9], [[1.0, 2.0]]), "shape"),
        (lambda: StepHistories([1e6, 1e9], [[1.0]]), "start with 0"),
        (lambda: StepHistories([0.0, 1e9, 1e8], [[1.0, 1.0]]), "increase"),
        (lambda: StepHistories([0.0, 1e9], [[0.0]]), "not all 0"),
        (lambda: StepHistories([0.0, 1e9, 2e9], [[-1.0, 2.0]]), "none negative"),
    ],
)
def test_nonsense_is_refused(make, message):
    with pytest.raises(InvalidInputError, match=message):
        make()


def test_stars_older_than_the_grid_are_refused():
    with pytest.raises(InvalidInputError, match=r"2e\+10 yr.*grid covers"):
        DelayedHistories(2e10, 1e9).age_weights(BINS)


class Constant(StarFormationHistories):
    """A history of somebody's own: a constant rate since an age."""

    def __init__(self, oldest):
        self.oldest = np.atleast_1d(oldest)

    @property
    def n_models(self):
        return len(self.oldest)

    def fraction_younger(self, age):
        return np.clip(np.asarray(age) / self.oldest[:, None], 0.0, 1.0)

    def mean_age(self):
        return 0.5 * self.oldest

    def oldest_star(self):
        return self.oldest

    def select(self, models):
        return Constant(self.oldest[models])


def test_a_history_of_ones_own_needs_no_more_than_its_fractions():
    oldest = AGES[[60, 100]]
    found = Constant(oldest).age_moments(BINS)
    for row, age in enumerate(oldest):
        expected = StepHistories([0.0, age], [[1.0]]).age_moments(BINS)
        np.testing.assert_allclose(found[0][row], expected[0][0], atol=1e-12)
        # Within a bin, age and its weight vary together; that is left out.
        np.testing.assert_allclose(found[1][row], expected[1][0], rtol=0.02, atol=1e-4 * age)
