"""Nothing from nothing, and telling when not to trust the network."""

import warnings
from dataclasses import replace

import astropy.units as u
import numpy as np
import pytest
import torch
from astropy.nddata import CCDData, StdDevUncertainty
from small_weights import make_calibration

from picasssso import BandImages, CNNEstimator, GalacticExtinction, MassToLightEstimator
from picasssso.data import load_example
from picasssso.exceptions import OutsideTrainingWarning
from picasssso.networks.detection import detected_part, measure_light, nearness
from picasssso.networks.heads import N_RAW, decode
from picasssso.networks.mixture import linear_means, linear_values, shared_deviations
from picasssso.networks.outputs import OUTPUT_NAMES
from picasssso.quality import QualityFlag

pytestmark = pytest.mark.newest

SUMMED = ("stellar_mass", "sfr", "gas_mass", "hi_mass")


@pytest.fixture(scope="module")
def example():
    return load_example()[0]


@pytest.fixture(scope="module")
def estimator():
    return CNNEstimator(device="cpu")


def made(example, light, *, noise=True, seed=0):
    """Return images of some light (y, x) in r, nmgy, with the example's noise."""
    colors = dict(zip("ugriz", (0.25, 0.6, 1.0, 1.4, 1.7), strict=True))
    random = np.random.default_rng(seed)
    bands = {}
    for band in example:
        sigma = float(np.percentile(example[band].uncertainty.array, 2))
        flux = colors[band[-1]] * light + noise * random.normal(0, sigma, light.shape)
        error = StdDevUncertainty(np.full(light.shape, sigma))
        bands[band] = CCDData(flux, unit="nmgy", uncertainty=error)
    return BandImages(
        bands,
        redshift=0.03,
        pixel_scale=0.396 * u.arcsec,
        psf=1.3 * u.arcsec,
        galactic_extinction=GalacticExtinction(0, scale="SF11", applied=True),
    )


def disk(scale=12.0, size=128):
    y, x = np.indices((size, size)) - (size - 1) / 2
    return np.exp(-np.hypot(x, y) / scale)


# ---- nothing from nothing -----------------------------------------------------------------


@pytest.mark.parametrize("size", [128, pytest.param(400, marks=pytest.mark.slow)])
def test_blank_sky_holds_nothing(size, example, estimator):
    errors = []
    for side in (size // 2, size):
        maps = estimator.estimate(made(example, np.zeros((side, side)), seed=size))
        for name in SUMMED:
            total = maps.total(name)
            assert abs(total.value) < 2 * total.uncertainty, name
        errors.append(maps.total("stellar_mass").components["pixels"])
    # The noise of a sum grows with the root of its area, at least.
    assert 1.5 < float(errors[1] / errors[0]) < 4.5
    # Flat: means of boxes scatter as those of independent pixels do.
    mean = maps.mean("stellar_mass").value
    boxes = mean.reshape(size // 8, 8, size // 8, 8).mean((1, 3))
    assert boxes.std() == pytest.approx(mean.std() / 8, rel=0.2)
    assert np.abs(boxes - boxes.mean()).max() < 5 * mean.std() / 8


@pytest.mark.filterwarnings("ignore::picasssso.exceptions.OutsideTrainingWarning")
def test_light_too_faint_to_detect_is_in_the_total(example, estimator):
    # Per pixel 1e-3 nmgy in r, a fifteenth of the noise of all bands together.
    light = np.full((128, 128), 1e-3)
    maps = estimator.estimate(made(example, light))
    assert np.mean((maps.quality & QualityFlag.NOT_DETECTED) != 0) > 0.99
    known = MassToLightEstimator().estimate(made(example, light, noise=False))
    known = known.total("stellar_mass", correlation="full").value
    assert 1 / 3 < float(maps.total("stellar_mass").value / known) < 3


def test_blank_sky_is_an_upper_limit_without_age(example, estimator):
    maps = estimator.estimate(made(example, np.zeros((64, 64))))
    for flag in (QualityFlag.UPPER_LIMIT, QualityFlag.NOT_DETECTED):
        assert ((maps.quality & flag) > 0).mean() > 0.98
    nothing = (maps.quality & QualityFlag.NOT_DETECTED) > 0
    for name in maps:
        if name in SUMMED:
            assert not maps.masks[name].any()
            assert np.median(maps.percentile(name, 2.5).value) == 0
            assert np.median(maps.percentile(name, 16).value) == 0
        else:
            assert maps.masks[name][nothing].all()


def test_totals_of_a_galaxy_are_the_networks_own(example, estimator, monkeypatch):
    maps = estimator.estimate(example)
    monkeypatch.setattr(
        "picasssso.estimators._cnn.upper_limits.nearness",
        lambda detected: torch.ones_like(detected),
    )
    plain = estimator.estimate(example)
    for name in SUMMED:
        ratio = float(maps.total(name).value / plain.total(name).value)
        assert ratio == pytest.approx(1, abs=0.01), name


# A smooth disk has less texture than galaxies, which is not what this is about.
@pytest.mark.filterwarnings("ignore::picasssso.exceptions.OutsideTrainingWarning")
def test_blocks_equal_the_whole_on_sky_and_galaxy(example, estimator):
    light = np.zeros((160, 160))
    light[8:56, 8:56] = 0.5 * disk(5.0, 48)
    images = made(example, light)
    frugal = CNNEstimator(device="cpu")
    frugal.memory_budget = int(frugal.bytes_per_pixel(5, 0) * 160 * 160 / 2)
    assert frugal._blocks(images, 0)[1] > 1
    whole, cut = estimator.estimate(images), frugal.estimate(images)
    for name in SUMMED:
        for first, second in (
            (whole.mean(name).value, cut.mean(name).value),
            (whole._planes(name).shared, cut._planes(name).shared),
        ):
            np.testing.assert_allclose(first, second, rtol=2e-3, atol=1e-4 * np.abs(first).max())


@pytest.mark.parametrize("side", [32, 40, 56])
def test_a_small_frame_holds_the_mass_of_a_small_galaxy(example, estimator, side):
    light = np.zeros((96, 96))
    light[24:72, 24:72] = 0.5 * disk(2.5, 48)
    images = made(example, light, noise=False)
    part = slice(48 - side // 2, 48 + side // 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OutsideTrainingWarning)
        whole, cut = (estimator.estimate(one) for one in (images, images[part, part]))
    inside = np.nansum(whole.mean("stellar_mass").value[part, part])
    assert np.nansum(cut.mean("stellar_mass").value) == pytest.approx(inside, rel=0.25)
    assert cut.shape == (side, side)


def test_errors_far_from_all_light_are_those_of_noise(example, estimator):
    pulls = []
    for seed in range(5):
        sky = estimator.estimate(made(example, np.zeros((96, 96)), seed=seed))
        totals = [sky.total(name) for name in ("stellar_mass", "sfr", "gas_mass")]
        pulls.append([float(one.value / one.uncertainty) for one in totals])
    rms = np.sqrt(np.mean(np.square(pulls), axis=0))
    assert (rms > 0.3).all()
    assert (rms < 2.0).all()


def test_light_is_found_in_its_neighborhood():
    flux = torch.zeros(1, 5, 91, 91)
    flux[:, :, 45, 45] = 100.0
    light = measure_light(flux, torch.ones_like(flux))
    near = nearness(detected_part(light))[0, 0]
    assert near[45, 45] == 1
    assert near[45, 56] == 1
    assert near[0, 0] == 0
    # The largest of a Gaussian along both axes knows no direction.
    torch.testing.assert_close(near, near.T)
    # Noise that is correlated makes less of the same light.
    doubted = measure_light(flux, torch.ones_like(flux), torch.tensor([4.0]))
    torch.testing.assert_close(doubted.significance, light.significance / 2)


# ---- errors of totals -----------------------------------------------------------------------


def test_shared_errors_are_those_of_samples():
    random = torch.Generator().manual_seed(3)
    raw = 0.3 * torch.randn(1, N_RAW, 1, 1, generator=random)
    raw[:, 48:] += 1.0
    prediction = decode(raw)
    # Sums of many pixels with the same distribution: what is not shared averages out.
    draws = 4000
    score = torch.randn(draws, 8, 1, 1, generator=random)
    presence = torch.randn(draws, 1, 1, 1, generator=random)
    many = decode(raw.expand(draws, -1, -1, -1).contiguous())
    values = linear_values(many, score, presence)[:, :, 0, 0]
    declared = shared_deviations(prediction, torch.ones(8))[0, :, 0, 0]
    for name in SUMMED[:3]:
        k = OUTPUT_NAMES.index(name)
        relative = float(values[:, k].std() / values[:, k].mean())
        expected = float(declared[k] / linear_means(prediction)[0, k, 0, 0])
        assert expected == pytest.approx(relative, rel=0.35), name


def test_gas_that_may_be_absent_is_no_detection(example, estimator):
    maps = estimator.estimate(example)
    for name in ("gas_mass", "stellar_mass"):
        joint, independent = maps.total(name), maps.total(name, correlation="independent")
        assert joint.assumptions["correlation"] == "joint"
        assert joint.uncertainty == independent.uncertainty
        assert joint.components["shared"] > joint.components["pixels"]
    raw = torch.zeros(1, N_RAW, 1, 1)
    gas = OUTPUT_NAMES.index("gas_mass")
    relative = shared_deviations(decode(raw), make_calibration().shared) / linear_means(
        decode(raw)
    )
    # There with a probability of a half: the mean is no more than its error.
    assert relative[0, gas, 0, 0] >= 1


def test_samples_of_blank_sky_scatter_about_nothing(example, estimator):
    maps = estimator.estimate(made(example, np.zeros((64, 64))), n_samples=10, seed=1)
    sums = np.nansum(maps.samples("stellar_mass").value, axis=(1, 2))
    assert abs(sums.mean()) < 4 * sums.std()
    assert (maps.samples("stellar_mass").value < 0).any()


# ---- not to be trusted ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def watchful(tmp_path_factory):
    """The default network with ranges of galaxies as SDSS sees them."""
    from picasssso.mocks import GeneratedPairs, ProceduralGalaxies
    from picasssso.mocks.light import LightTable
    from picasssso.training.batches import TrainingSource
    from picasssso.training.trained_model import (
        measure_training_range,
        with_training_range,
    )

    estimator = CNNEstimator(device="cpu")
    model = estimator._model()
    bands = tuple(f"sdss2010-{letter}" for letter in "ugriz")
    with pytest.MonkeyPatch.context() as patch:
        # A coarse table, as building one is slow.
        patch.setattr("picasssso.mocks.light.REDSHIFT_STEP", 0.02)
        table = LightTable.build(bands, ProceduralGalaxies(survey="sdss").redshift_range)
    pairs = GeneratedPairs(7, survey="sdss", n_pixels=64, table=table, bands=bands, device="cpu")
    pivots = [3557.0, 4702.0, 6176.0, 7490.0, 8947.0]
    training = measure_training_range([TrainingSource(pairs, pivots)], model.config, galaxies=256)
    known = with_training_range(model.calibration, training)
    fitted = CNNEstimator(weights=None, device="cpu")
    fitted.model_ = replace(model, calibration=replace(known, ranges=model.calibration.ranges))
    return fitted, pairs


def causes(estimator, images):
    with pytest.warns(OutsideTrainingWarning, match="SEDFitEstimator"):
        maps = estimator.estimate(images)
    assert (maps.quality & QualityFlag.OUTSIDE_TRAINING > 0).all()
    return maps.meta["outside_training"]


def test_a_cut_out_of_a_galaxy(watchful, example):
    found = causes(watchful[0], example[56:72, 56:72])
    assert "frame" in found
    assert "light at the edge" in found


def test_a_disk_without_texture(watchful, example):
    assert "texture" in causes(watchful[0], made(example, 4.0 * disk()))
    assert "noise" in causes(watchful[0], made(example, 0.4 * disk(), noise=False))
    assert "flatness" in causes(watchful[0], made(example, 0.3 * (disk() > 0.2)))


def test_colors_of_no_galaxy(watchful, example):
    green = {
        band: CCDData(
            example[band].data * (4 if band.endswith("g") else 1),
            unit=example[band].unit,
            wcs=example[band].wcs,
            uncertainty=StdDevUncertainty(example[band].uncertainty.array),
        )
        for band in example
    }
    assert "colors" in causes(watchful[0], example.replace(images=green))


def test_redshift_beyond_all(watchful, example):
    far = example.replace(redshift=0.6)
    assert "redshift" in causes(watchful[0], far)
    with pytest.warns(OutsideTrainingWarning, match=r"Outside: redshift 0\.6 \(trained: 0.* to 0"):
        watchful[0].estimate(far)


def test_what_most_pixels_are_outside_in_is_named(watchful, example):
    """With the value that was found and what the training set has."""
    from picasssso.networks.training_range import QUANTITIES

    model = watchful[0].model_
    ranges = model.calibration.ranges.clone()
    ranges[QUANTITIES.index("noise in r")] = torch.tensor([1.0, 2.0])
    strict = CNNEstimator(weights=None, device="cpu")
    strict.model_ = replace(model, calibration=replace(model.calibration, ranges=ranges))
    with pytest.warns(OutsideTrainingWarning, match="pixels with light are unlike.*noise in r"):
        maps = strict.estimate(example)
    assert maps.meta["outside_training"] == []
    (reason,) = maps.meta["outside_training_reasons"]
    assert reason.startswith("noise in r in 100 % of the pixels (log10 ")
    assert reason.endswith("trained: 1 to 2)")


def test_the_example_galaxy_is_no_surprise(watchful, example):
    assert watchful[0].estimate(example).meta["outside_training"] == []


def test_mock_galaxies_are_rarely_strange(watchful):
    from picasssso.networks.morphology import measure_structure, whole_light
    from picasssso.networks.training_range import structure_outside, whole_colors_outside

    estimator, pairs = watchful
    batch = pairs.batch(range(1000, 1128))
    flux, weight = batch["flux"], batch["inverse_variance"]
    calibration = estimator.model_.calibration
    looks = structure_outside(measure_structure(flux, weight), calibration.structure).any(1)
    colors = whole_colors_outside(
        whole_light(flux, weight),
        batch["redshift"],
        calibration.whole_colors,
        calibration.whole_color_limits,
    )
    assert (looks | colors).float().mean() < 0.06


def test_calibrations_without_structure_judge_none(example):
    calibration = make_calibration()
    assert calibration.structure is None
    again = type(calibration).from_tensors(calibration.to_tensors())
    assert again.structure is None
    assert again.whole_colors is None
