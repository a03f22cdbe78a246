"""Pairs of one's own: images and maps, whole or not."""

import numpy as np
import pytest
import torch
from small_weights import make_model

from picasssso import CNNEstimator
from picasssso.data import load_example
from picasssso.exceptions import InvalidInputError
from picasssso.maps import PropertyMaps
from picasssso.networks.buck_wolf import BASELINE_PROPERTIES, predict_maps
from picasssso.pairs.from_maps import PairsFromMaps, known_sums, pairs_from_maps
from picasssso.pairs.truth import SUMS, TrueSums
from picasssso.training import TrainingConfig
from picasssso.training.batches import to_slots
from picasssso.training.trained_model import measure_residuals


@pytest.fixture(scope="module")
def example():
    return load_example()


def prepared(images, maps):
    estimator = CNNEstimator(weights=None)
    images, context = estimator._prepare(0, images, 0, 0)
    return images, context, maps


def some(maps, names):
    """Maps of only some properties."""
    from picasssso.maps.arrays import PropertyArrays

    arrays = {}
    for name in names:
        planes = np.stack([maps.percentile(name, q).value for q in (2.5, 16, 50, 84, 97.5)])
        surface = maps.definition(name).is_surface_density
        arrays[name] = PropertyArrays(planes, maps.mean(name).value if surface else None)
    return PropertyMaps(
        arrays, quality=maps.quality, wcs=maps.wcs, redshift=maps.redshift,
        luminosity_distance=maps.luminosity_distance,
    )  # fmt: skip


def test_sums_give_the_maps_back(example):
    _, truth = example
    found = TrueSums(torch.from_numpy(known_sums(truth))[None]).properties()
    for name, values in found.items():
        np.testing.assert_allclose(values[0], truth[name].data, rtol=1e-4, atol=1e-6)


def test_what_maps_lack_is_not_known(example):
    _, truth = example
    sums = known_sums(some(truth, ["stellar_mass", "stellar_age", "gas_metallicity"]))
    known = {name for name, plane in zip(SUMS, sums, strict=True) if np.isfinite(plane).all()}
    # The gas metallicity has no gas to be an average over.
    assert known == {"stellar_mass", "stellar_mass_age"}
    assert np.isnan(sums).sum() == 7 * sums[0].size


def test_squares_cover_the_image(example):
    images, truth = example
    part = np.s_[:50, :90]
    source = PairsFromMaps([prepared(images[part], truth[part])], size=40)
    assert len(source) == 2 * 3
    batch = source.batch(range(len(source)))
    assert batch["flux"].shape == (6, 5, 40, 40)
    assert batch["truth"].shape == (6, 9, 40, 40)
    # The second row and the last column reach back to stay inside.
    flux, _ = images[part].to_arrays()
    np.testing.assert_array_equal(batch["flux"][0], flux[:, :40, :40])
    np.testing.assert_array_equal(batch["flux"][-1], flux[:, 10:, 50:])
    assert torch.isfinite(batch["truth"]).all()
    assert batch["pixel_scale_kpc"][0] == pytest.approx(0.396 * 0.62, rel=0.03)
    slotted = to_slots(batch, source.bands, [5000.0] * 5)
    torch.testing.assert_close(slotted.flux, batch["flux"])


def test_small_images_are_framed(example):
    images, truth = example
    part = np.s_[:20, :30]
    batch = PairsFromMaps([prepared(images[part], truth[part])], size=32).batch([0])
    assert (batch["inverse_variance"][0, :, 20:] == 0).all()
    assert torch.isnan(batch["truth"][0, :, :, 30:]).all()
    assert torch.isfinite(batch["truth"][0, :, :20, :30]).all()


def test_pairs_that_do_not_fit(example):
    images, truth = example
    with pytest.raises(InvalidInputError, match="reproject_to"):
        PairsFromMaps([prepared(images, truth[:64, :])])
    fewer = prepared(images.select(["sdss2010-g"]), truth)
    with pytest.raises(InvalidInputError, match="Pair 1 has the bands"):
        PairsFromMaps([prepared(images, truth), fewer])


def test_fit_from_nothing_and_save(example, tmp_path):
    images, truth = (one[40:72, 32:96] for one in example)
    config = TrainingConfig(
        network={"widths": [8, 8], "depths": [1, 1]}, members=1, average_decay=0.5
    )
    pairs = [
        (images, truth),
        (images.select(["sdss2010-r", "sdss2010-g"]), some(truth, ["stellar_mass", "sfr"])),
    ]
    untrained = CNNEstimator(weights=None, device="cpu")
    with pytest.raises(InvalidInputError, match="untrained"):
        untrained.estimate(images)
    estimator = untrained.fit(
        pairs, steps=4, batch_size=4, size=32, config=config, calibrate_on=pairs[:1]
    )
    assert estimator is untrained
    assert estimator.model_.calibration is not None
    maps = estimator.estimate(images)
    estimator.save(tmp_path / "mine")
    read = CNNEstimator(weights=tmp_path / "mine", device="cpu")
    assert read.model_card["calibrated_on"] == {"ugriz": 2, "griz": 1, "gri": 1, "gr": 1, "r": 1}
    again = read.estimate(images)
    for name in maps:
        # Weights are stored in half precision.
        np.testing.assert_allclose(
            again[name].data, maps[name].data, rtol=0.05, atol=0.01 * maps[name].data.max()
        )
    with pytest.raises(InvalidInputError, match="multiple of 2"):
        CNNEstimator(weights=None).fit(pairs, steps=1, size=33, config=config)


def test_fine_tuning_goes_on_from_the_weights(example, tmp_path):
    images, truth = example
    start = CNNEstimator(weights=None, device="cpu")
    start.model_ = make_model(members=1)
    before = start.model_.ensemble.networks[0].state_dict()
    start.save(tmp_path / "start")
    tuned = CNNEstimator(weights=tmp_path / "start", device="cpu")
    tuned.fit([(images, truth)], steps=2, batch_size=4, size=32, learning_rate=1e-5)
    after = tuned.model_.ensemble.networks[0].state_dict()
    changes = [float((after[name] - before[name]).abs().max()) for name in before]
    assert 0 < max(changes) < 2e-3
    assert tuned.model_card["started_from"] == start.save(tmp_path / "x")["sha256"]
    # The calibration is kept, for want of anything better.
    assert tuned.model_.calibration is not None
    with pytest.raises(InvalidInputError, match="omit it"):
        tuned.fit([(images, truth)], config=TrainingConfig())


def test_fit_goes_on_from_its_checkpoint(example, tmp_path):
    images, truth = example
    options = {
        "steps": 3, "batch_size": 4, "size": 32,
        "config": TrainingConfig(network={"widths": [8, 8], "depths": [1, 1]}, members=1),
    }  # fmt: skip

    def fitted(**more):
        return CNNEstimator(weights=None, device="cpu").fit([(images, truth)], **options, **more)

    path = tmp_path / "checkpoint"
    fitted(checkpoint=path, time_limit=0.0)
    resumed, straight = fitted(checkpoint=path), fitted()
    for mine, theirs in zip(
        resumed.model_.ensemble.networks[0].parameters(),
        straight.model_.ensemble.networks[0].parameters(),
        strict=True,
    ):
        assert torch.equal(mine, theirs)
    with pytest.raises(InvalidInputError, match="other settings"):
        fitted(checkpoint=path, seed=5)


def test_errors_of_pairs_say_which(example):
    images, truth = example
    estimator = CNNEstimator(weights=None)
    with pytest.raises(InvalidInputError, match="no pairs"):
        estimator.fit([])
    with pytest.raises(InvalidInputError, match="Pair 0"):
        estimator.fit([images])
    with pytest.raises(InvalidInputError, match=r"Image 1: .*PSF"):
        estimator.fit([(images, truth), (images.replace(psf=None), truth)])


def test_residuals_of_the_papers_network(example):
    model = make_model(architecture="buck_wolf_2021", network={"first_features": 8}, members=1)
    images, truth = example
    source = PairsFromMaps([prepared(images, truth)], size=64)
    batch = to_slots(source.batch(range(4)), source.bands, [5000.0] * 5)
    table = measure_residuals(model.ensemble.networks, [batch])
    assert set(table) == set(BASELINE_PROPERTIES)
    found = predict_maps(
        model.ensemble.networks, batch.flux, batch.inverse_variance, batch.conditions
    )
    from picasssso.networks.conformal import local_signal

    bright = local_signal(batch.flux, batch.inverse_variance) >= 1
    truth_mass = batch.truth["stellar_mass"]
    residual = torch.log10(truth_mass / found["stellar_mass"])[bright]
    expected = np.quantile(residual, (0.025, 0.16, 0.5, 0.84, 0.975))
    np.testing.assert_allclose(table["stellar_mass"], expected, atol=0.01)


def test_stored_and_read_again(example, tmp_path):
    from picasssso.pairs import StoredPairs, write_pairs

    images, truth = (one[:64, :96] for one in example)
    source = pairs_from_maps([(images, truth)] * 12, size=32)
    write_pairs(source, tmp_path / "set", workers=0)
    stored = StoredPairs(tmp_path / "set")
    assert len(stored) == len(source) == 12 * 6
    for name in ("flux", "truth", "psf_fwhm", "pixel_scale_kpc"):
        torch.testing.assert_close(stored[7][name], source[7][name], equal_nan=True)
    # All squares of a galaxy are in one split.
    splits = {name: set(StoredPairs(tmp_path / "set", name).galaxy)
              for name in ("train", "validation", "test")}  # fmt: skip
    assert sum(map(len, splits.values())) == 12
    assert not splits["train"] & splits["test"]


def test_what_images_lack_is_said(example):
    from picasssso import GalacticExtinction

    images, truth = example
    dusty = images.replace(galactic_extinction=GalacticExtinction(0.1, "SF11", applied=False))
    with pytest.raises(InvalidInputError, match="Pair 1: expected a correction for the dust"):
        pairs_from_maps([(images, truth), (dusty, truth)])
    with pytest.raises(InvalidInputError, match="Pair 0: found BandImages, expected"):
        pairs_from_maps([images])
    with pytest.raises(InvalidInputError, match="no pairs"):
        pairs_from_maps([])
