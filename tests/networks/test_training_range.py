"""Images and pixels unlike those of the training set are found."""

import torch
from small_weights import WAVELENGTHS, ToyPairs, make_calibration

from picasssso.networks.training_range import (
    IMAGE_QUANTITIES,
    PIXEL_QUANTITIES,
    QUANTITIES,
    TrainingRange,
    is_outside,
    measure,
    members_disagree,
)
from picasssso.training.batches import to_slots


def known(numbers=range(40)):
    pairs = ToyPairs()
    batch = to_slots(pairs.batch(numbers), pairs.bands, WAVELENGTHS)
    return batch, measure(batch.flux, batch.inverse_variance, batch.conditions, batch.has_band())


def test_training_set_is_inside_its_own_ranges():
    training = TrainingRange()
    _, measured = known()
    training.add(measured)
    ranges = training.ranges()
    assert ranges.shape == (len(QUANTITIES), 2)
    image, pixel = is_outside(measured, ranges)
    assert not image.any()
    # One in ten thousand on each side of each of twenty quantities, which go together.
    assert pixel.float().mean() < 0.004


def test_each_quantity_is_watched():
    training = TrainingRange()
    _, measured = known()
    training.add(measured)
    ranges = training.ranges()
    for number, name in enumerate(IMAGE_QUANTITIES):
        for by in (-1.0, 1.0):
            changed = measured.image.clone()
            changed[:, number] += by
            found, _ = is_outside(type(measured)(changed, measured.pixel), ranges)
            assert found[:, number].all(), name
            assert found.sum() == len(found), name
    for number, name in enumerate(PIXEL_QUANTITIES):
        changed = measured.pixel.clone()
        changed[:, number] += 3.0
        _, found = is_outside(type(measured)(measured.image, changed), ranges)
        there = torch.isfinite(measured.pixel[:, number])
        assert there.any(), name
        assert found[there].all(), name


def test_colors_do_not_depend_on_brightness():
    batch, measured = known()
    bright = measure(
        10 * batch.flux, 0.01 * batch.inverse_variance, batch.conditions, batch.has_band()
    )
    first = PIXEL_QUANTITIES.index("color u-g")
    torch.testing.assert_close(
        bright.pixel[:, first:], measured.pixel[:, first:], equal_nan=True, rtol=0, atol=1e-4
    )


def test_missing_bands_are_not_judged():
    training = TrainingRange()
    batch, measured = known()
    training.add(measured)
    flux, weight = batch.flux.clone(), batch.inverse_variance.clone()
    flux[:, [0, 4]] = 0.0
    weight[:, [0, 4]] = 0.0
    has_band = (weight > 0).any(-1).any(-1)
    fewer = measure(flux, weight, batch.conditions, has_band)
    image, pixel = is_outside(fewer, training.ranges())
    assert not image.any()
    assert pixel.float().mean() < 0.004


def test_a_band_that_was_never_seen_is_outside():
    training = TrainingRange()
    batch, _ = known()
    flux, weight = batch.flux.clone(), batch.inverse_variance.clone()
    flux[:, 0] = 0.0
    weight[:, 0] = 0.0
    has_band = (weight > 0).any(-1).any(-1)
    training.add(measure(flux, weight, batch.conditions, has_band))
    _, measured = known()
    image, pixel = is_outside(measured, training.ranges())
    assert image.any(1).all()
    assert pixel.all()


def test_unknown_ranges_flag_nothing():
    _, measured = known([0])
    image, pixel = is_outside(measured, torch.zeros(0, 2))
    assert not image.any()
    assert not pixel.any()


def test_disagreement_is_judged_by_signal():
    calibration = make_calibration()
    limit = calibration.disagreement.clone()
    limit[:, :5], limit[:, 5:] = 2.0, 0.5
    score = torch.zeros(1, 8, 1, 2)
    score[:, 3] = 1.0
    signal = torch.tensor([[[0.0, 80.0]]])
    assert members_disagree(score, signal, limit).tolist() == [[[False, True]]]
