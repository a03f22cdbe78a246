"""Percentiles and samples of what may be absent."""

import numpy as np
import torch

from picasssso.networks.conformal import NORMAL_SCORES
from picasssso.networks.heads import Prediction
from picasssso.networks.mixture import linear_means, linear_quantiles, linear_values
from picasssso.networks.outputs import OUTPUT_NAMES, OUTPUTS

GAS, MASS, DUST = (OUTPUT_NAMES.index(n) for n in ("gas_mass", "stellar_mass", "attenuation_v"))


def prediction(occupancy, width=0.3, center=7.0):
    """A log-normal distribution for every property, there with some probability."""
    steps = torch.tensor([-1.959964, -0.994458, 0.0, 0.994458, 1.959964]) * width
    shape = (1, len(OUTPUTS), len(occupancy), 1)
    quantiles = (center + steps)[None, None, :, None, None].expand(*shape[:2], 5, *shape[2:])
    p = torch.ones(shape)
    there = [k for k, output in enumerate(OUTPUTS) if output.has_occupancy]
    p[:, there] = torch.tensor(occupancy)[None, None, :, None]
    mean = torch.full(shape, center + 0.5 * width**2 * np.log(10))
    return Prediction(quantiles, mean, p, torch.zeros(1, 3, *shape[2:]))


def test_values_follow_the_mixture():
    # Against numbers drawn from the same mixture.
    rng = np.random.default_rng(1)
    occupancy = [1.0, 0.9, 0.6, 0.3, 0.05]
    found = prediction(occupancy)
    for k, p in enumerate(occupancy):
        draws = 10 ** (7 + 0.3 * rng.standard_normal(400_000))
        draws[rng.random(draws.size) > p] = 0.0
        for q, score in ((2.5, -1.96), (16, -0.9945), (50, 0.0), (84, 0.9945), (97.5, 1.96)):
            value = linear_values(found, torch.full((1, 8, len(occupancy), 1), score))
            expected = np.percentile(draws, q)
            # Just above absence the distribution is bent on purpose: see _RISE.
            if abs(q / 100 - (1 - p)) < 0.02 and p < 1:
                continue
            np.testing.assert_allclose(value[0, GAS, k, 0], expected, rtol=0.02)


def test_quantiles_are_values_at_their_scores():
    found = prediction([1.0, 0.9, 0.51, 0.3])
    quantiles = linear_quantiles(found)
    for k, score in enumerate(NORMAL_SCORES):
        value = linear_values(found, torch.full((1, 8, 4, 1), score))
        np.testing.assert_allclose(quantiles[:, :, k], value, rtol=1e-4)
    assert (quantiles.diff(dim=2) >= 0).all()


def test_what_cannot_be_absent_is_never_zero():
    value = linear_values(prediction([0.01]), torch.full((1, 8, 1, 1), -3.0))
    assert value[0, MASS] > 1e5
    assert value[0, GAS] == 0


def test_values_rise_with_their_score_and_never_jump():
    scores = torch.linspace(-4, 4, 4001)
    for p in (0.999, 0.98, 0.6, 0.2):
        found = prediction([p] * len(scores))
        value = linear_values(found, scores[None, None, :, None].expand(1, 8, -1, 1))
        gas = value[0, GAS, :, 0]
        steps = gas.diff()
        assert (steps >= 0).all()
        assert steps.max() < 0.05 * gas.max()


def test_mean_is_that_of_the_mixture():
    rng = np.random.default_rng(2)
    draws = 10 ** (7 + 0.3 * rng.standard_normal(400_000))
    draws[rng.random(draws.size) > 0.4] = 0.0
    mean = linear_means(prediction([0.4]))
    np.testing.assert_allclose(mean[0, GAS, 0, 0], draws.mean(), rtol=0.02)


def test_offset_of_the_attenuation_is_removed():
    found = prediction([1.0], width=1e-6, center=np.log10(0.52))
    values = linear_values(found, torch.zeros(1, 8, 1, 1))
    np.testing.assert_allclose(values[0, DUST, 0, 0], 0.5, rtol=1e-4)
    nothing = prediction([1.0], width=1e-6, center=-3.0)
    assert linear_values(nothing, torch.zeros(1, 8, 1, 1))[0, DUST] == 0


def test_samples_have_the_percentiles_of_the_whole_distribution():
    n = 40_000
    random = torch.Generator().manual_seed(3)
    scores = torch.randn(n, 8, 1, 1, generator=random)
    presence = torch.randn(n, 1, 1, 1, generator=random)
    for p in (0.97, 0.6, 0.3):
        found = prediction([p])
        draws = linear_values(found, scores, presence)[:, GAS, 0, 0]
        planes = linear_quantiles(found)[0, GAS, :, 0, 0]
        for level, plane in zip((0.025, 0.16, 0.5, 0.84, 0.975), planes, strict=True):
            if plane == 0:
                assert (draws == 0).float().mean() > level - 0.02
            elif abs(level - (1 - p)) > 0.02:
                np.testing.assert_allclose(draws.quantile(level), plane, rtol=0.05)


def test_one_number_decides_for_all_that_may_be_absent():
    found = prediction([0.7, 0.6, 0.5])
    there = [k for k, output in enumerate(OUTPUTS) if output.has_occupancy]
    scores = torch.randn(200, 8, 3, 1, generator=torch.Generator().manual_seed(4))
    presence = torch.linspace(-2, 2, 200)[:, None, None, None]
    some = linear_values(found, scores, presence)[:, there] > 0
    # The same for all properties; a pixel that is less likely empty is never empty alone.
    assert (some == some[:, :1]).all()
    assert (some[:, 0].int().diff(dim=1) <= 0).all()
    assert 0.4 < some.float().mean() < 0.8
    assert (linear_values(found, scores, presence)[:, MASS] > 0).all()


def test_an_attenuation_too_small_to_be_told_from_none_is_none():
    found = prediction([1.0])
    # log10(A_V + 0.02) of the five quantiles.
    depth = torch.tensor([0.0, 0.015, 0.03, 0.06, 0.5])
    found.quantiles[:, DUST] = torch.log10(depth + 0.02)[:, None, None]
    planes = linear_quantiles(found)[0, DUST, :, 0, 0]
    torch.testing.assert_close(
        planes, torch.tensor([0.0, 0.0, 0.02, 0.06, 0.5]), atol=2e-3, rtol=0
    )


def test_lower_limits_of_attenuation_that_errors_of_colors_look_like_are_none():
    found = prediction([1.0])
    depth = torch.tensor([0.045, 0.075, 0.09, 0.2, 0.5])
    found.quantiles[:, DUST] = torch.log10(depth + 0.02)[:, None, None]
    planes = linear_quantiles(found)[0, DUST, :, 0, 0]
    torch.testing.assert_close(
        planes, torch.tensor([0.0, 0.05, 0.09, 0.2, 0.5]), atol=2e-3, rtol=0
    )
