"""Calibration: probabilities, quantiles and sums that come true on galaxies of known making."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from small_weights import make_calibration

from picasssso.networks.conformal import NORMAL_SCORES, ConformalCalibration, normal_scores
from picasssso.networks.heads import Prediction
from picasssso.networks.mixture import linear_means, linear_values
from picasssso.networks.outputs import OUTPUT_NAMES, OUTPUTS
from picasssso.training.calibration_fit import fit_calibration
from picasssso.training.error_correlation import sample_scores
from picasssso.training.held_out import Collected

pytestmark = pytest.mark.newest

MASS, RATE, GAS, HYDROGEN, DUST = (
    OUTPUT_NAMES.index(name)
    for name in ("stellar_mass", "sfr", "gas_mass", "hi_mass", "attenuation_v")
)
SIZE = 12


def center_of(k):
    """Return log10 of a property's typical value; hydrogen is well below gas."""
    return {DUST: -0.3, HYDROGEN: 5.5}.get(k, 7.0 if k in (MASS, GAS) else -2.0)


def galaxies(count, seed, *, boldness=1.0, sigma=0.2, width=1.0, shared=0.6):
    """Return galaxies, many without any gas, and what a network would say of them.

    Errors have a part that a galaxy shares. Said are logits that are bolder than the truth,
    and quantiles that are wider.
    """
    rng = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=rng)

    n_out = len(OUTPUTS)
    true_logit = 1.5 * normal(count, 1, 1, 1) + 0.02 * normal(count, 1, SIZE, SIZE)
    chance = torch.rand(count, 1, 1, 1, generator=rng)
    with_gas = chance < torch.sigmoid(true_logit.mean((2, 3), keepdim=True))
    error = shared**0.5 * normal(count, n_out, 1, 1)
    error = error + (1 - shared) ** 0.5 * normal(count, n_out, SIZE, SIZE)
    center = torch.tensor([center_of(k) for k in range(n_out)])[:, None, None]
    log_truth = center + sigma * error
    used = torch.ones(count, n_out, SIZE, SIZE, dtype=torch.bool)
    for k, output in enumerate(OUTPUTS):
        if output.can_be_absent or output.carrier == "gas_mass":
            used[:, k] = with_gas[:, 0]
    log_truth[:, DUST][~used[:, DUST]] = np.log10(OUTPUTS[DUST].offset)
    steps = torch.tensor(NORMAL_SCORES)[:, None, None] * sigma * width
    quantiles = (center[:, None] + steps).expand(count, -1, -1, SIZE, SIZE).clone()
    # Of dust a network knows the whole distribution: none, or as much as where there is some.
    absent = 1.0 - torch.sigmoid(true_logit[:, 0])
    for j, score in enumerate(NORMAL_SCORES):
        level = torch.special.ndtr(torch.tensor(score))
        of_there = torch.special.ndtri(((level - absent) / (1 - absent)).clamp(1e-6, 1.0))
        log_dust = center_of(DUST) + sigma * width * of_there
        quantiles[:, DUST, j] = torch.where(
            level < absent, np.log10(OUTPUTS[DUST].offset), log_dust
        )
    logit = boldness * true_logit.expand(-1, 3, -1, -1)
    occupancy = torch.ones(count, n_out, SIZE, SIZE)
    occupancy[:, [RATE, GAS, HYDROGEN]] = torch.sigmoid(logit)
    log_mean = center.expand(count, -1, SIZE, SIZE) + 0.5 * np.log(10) * sigma**2
    return Collected(
        Prediction(quantiles, log_mean.clone(), occupancy, logit.clone()),
        log_truth,
        used,
        torch.ones_like(used),
        torch.full((count, SIZE, SIZE), 10.0),
        torch.zeros(count, n_out, SIZE, SIZE),
        torch.full((count,), 2.0),
        torch.ones(count, SIZE, SIZE),
    )


@pytest.fixture(scope="module")
def fitted():
    made = galaxies(600, 1, boldness=2.0, width=1.5)
    return fit_calibration({5: made}, aperture_galaxies=150)


def applied(calibration, made):
    bands = torch.full((len(made.signal),), 5)
    return calibration.apply(made.prediction, made.signal, bands)


def test_probabilities_come_true(fitted):
    others = galaxies(3000, 2, boldness=2.0, width=1.5)
    said = applied(fitted, others).occupancy[:, GAS].mean((1, 2))
    there = others.used[:, GAS, 0, 0].float()
    for low, high in ((0.1, 0.3), (0.3, 0.7), (0.7, 0.9)):
        some = (said > low) & (said < high)
        assert there[some].mean() == pytest.approx(said[some].mean(), abs=0.06)
    bold = others.prediction.occupancy[:, GAS].mean((1, 2))
    some = (bold > 0.05) & (bold < 0.2)
    assert there[some].mean() > bold[some].mean() + 0.06


def test_quantiles_of_what_is_there_come_true(fitted):
    others = galaxies(600, 3, boldness=2.0, width=1.5)
    scores = normal_scores(applied(fitted, others).quantiles, others.log_truth)
    for k in (MASS, RATE, GAS):
        inside = scores[:, k][others.used[:, k]].abs() < -NORMAL_SCORES[1]
        # Said were quantiles half again too wide, which hold 86 %.
        assert inside.float().mean() == pytest.approx(0.68, abs=0.06)


def test_sums_come_true_though_many_galaxies_are_empty(fitted):
    # Sums of independent pixels would be ten times too sure, and never be zero.
    others = galaxies(500, 4, boldness=2.0, width=1.5)
    said = applied(fitted, others)
    offsets = torch.tensor([output.offset for output in OUTPUTS])[:, None, None]
    n_samples, chances, empty = 60, [], []
    for galaxy in range(len(others.signal)):
        generator = torch.Generator().manual_seed(galaxy)
        presence, scores = sample_scores(fitted, n_samples, (SIZE, SIZE), 2.0, generator)
        one = Prediction(
            *(getattr(said, name)[galaxy : galaxy + 1] for name in
              ("quantiles", "log_mean", "occupancy", "occupancy_logit"))
        )  # fmt: skip
        samples = linear_values(one, scores, presence).sum((2, 3))
        truth = 10.0 ** others.log_truth[galaxy] - offsets
        truth = torch.where(others.used[galaxy], truth, 0.0).sum((1, 2))
        below, equal = (samples < truth).sum(0), (samples == truth).sum(0)
        # A truth among equal samples is at a random place among them.
        place = (below + torch.rand(8, generator=generator) * (equal + 1)) / (n_samples + 1)
        chances.append(place)
        empty.append(
            torch.stack([(samples[:, GAS] == 0).float().mean(), (truth[GAS] == 0).float()])
        )
    place = torch.stack(chances)
    for k in (MASS, RATE, GAS, DUST):
        assert ((place[:, k] - 0.5).abs() < 0.34).float().mean() == pytest.approx(0.68, abs=0.07)
        assert ((place[:, k] - 0.5).abs() < 0.475).float().mean() > 0.91
    said_empty, is_empty = torch.stack(empty).T
    assert said_empty.mean() == pytest.approx(is_empty.mean(), abs=0.06)


def test_what_is_not_known_to_be_there_or_not_changes_nothing():
    made = galaxies(50, 5)
    made.known[:] = False
    made.used[:, [RATE, GAS, HYDROGEN]] = False
    calibration = fit_calibration({5: made}, aperture_galaxies=2)
    expected = torch.tensor([0.0, 1.0]).expand(5, 3, 2)
    torch.testing.assert_close(calibration.presence, expected)


def with_presence(**changes):
    presence = torch.tensor([0.0, 1.0]).expand(5, 3, 2).clone()
    return replace(make_calibration(), presence=presence, **changes)


def test_dust_comes_with_gas():
    made = galaxies(40, 6)
    said = with_presence().with_presence(made.prediction, torch.full((40,), 5))
    assert torch.equal(said.occupancy[:, DUST], said.occupancy[:, GAS].clamp(min=1e-4))
    assert (said.quantiles[:, DUST].diff(dim=1) > 0).all()
    # The median of what is there is the 75th percentile of all where half have none.
    half = torch.full((1, 1, 1), 0.5)
    logit = torch.zeros(1, 3, 1, 1)
    occupancy = torch.ones(1, len(OUTPUTS), 1, 1)
    steps = 0.2 * torch.tensor(NORMAL_SCORES)[None, None, :, None, None]
    one = Prediction(
        steps.expand(1, len(OUTPUTS), -1, 1, 1), torch.zeros_like(occupancy), occupancy, logit
    )
    found = with_presence().with_presence(one, torch.tensor([5]))
    assert torch.equal(found.occupancy[:, DUST], half)
    assert found.quantiles[0, DUST, 2, 0, 0] == pytest.approx(0.2 * 0.6745, abs=0.01)
    assert torch.equal(found.quantiles[0, MASS], one.quantiles[0, MASS])
    # The mean of all is what it was.
    mean = linear_means(made.prediction)[:, DUST]
    torch.testing.assert_close(linear_means(said)[:, DUST], mean, rtol=1e-3, atol=1e-5)


def test_no_stars_form_without_gas():
    made = galaxies(10, 7)
    made.prediction.occupancy_logit[:, 0] = 5.0
    said = with_presence().with_presence(made.prediction, torch.full((10,), 5))
    assert (said.occupancy[:, RATE] <= said.occupancy[:, GAS]).all()


def test_older_calibrations_are_read_and_leave_presence_alone():
    tensors = with_presence().to_tensors()
    del tensors["presence"]
    old = ConformalCalibration.from_tensors(tensors)
    assert "presence" not in old.to_tensors()
    made = galaxies(5, 8)
    said = applied(old, made)
    assert torch.equal(said.occupancy[:, GAS], made.prediction.occupancy[:, GAS])
    assert (said.occupancy[:, DUST] == 1).all()
    torch.testing.assert_close(said.quantiles[:, DUST], made.prediction.quantiles[:, DUST])


def test_pixels_of_galaxies():
    made = galaxies(3, 9)
    made.radius[0] = 9.0
    made.radius[1, :2] = 9.0
    pixels = made.pixels()
    assert len(pixels.signal) == SIZE * (SIZE - 2) + SIZE * SIZE
    assert pixels.prediction.quantiles.shape == (len(pixels.signal), len(OUTPUTS), 5, 1, 1)
    # Each pixel keeps its own truth.
    known = {tuple(row) for row in made.log_truth.permute(0, 2, 3, 1).reshape(-1, 8).tolist()}
    assert {tuple(row) for row in pixels.log_truth[..., 0, 0].tolist()} <= known
