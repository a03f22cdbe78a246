"""Color and morphology are taken away as told."""

import numpy as np
import pytest
from small_weights import make_model

from picasssso import CNNEstimator, MassToLightEstimator
from picasssso.evaluation.attribution import VARIANTS, attribute, measure_sight, shuffle_pixels
from picasssso.exceptions import InvalidInputError
from picasssso.testing import make_galaxy

BANDS = ("sdss2010-g", "sdss2010-r", "sdss2010-i")


@pytest.fixture(scope="module")
def estimator():
    estimator = CNNEstimator(weights=None, device="cpu")
    estimator.model_ = make_model(members=1)
    return estimator


@pytest.fixture(scope="module")
def images():
    return make_galaxy((40, 44), bands=BANDS)


def test_shuffled_pixels_keep_their_colors_and_brightness(images):
    shuffled, order = shuffle_pixels(images, seed=1)
    before, after = images.to_arrays()[0], shuffled.to_arrays()[0]
    moved = np.mean(order != np.arange(order.size))
    assert moved > 0.9
    assert np.array_equal(np.sort(order), np.arange(order.size))
    back = after.reshape(3, -1)[:, order].reshape(before.shape)
    np.testing.assert_array_equal(back, before)
    # Pixels took the places of others as bright: the galaxy still looks like one.
    bright = before[1] > np.percentile(before[1], 90)
    assert np.corrcoef(before[1][bright], after[1][bright])[0, 1] > 0.8
    assert shuffled.psf_fwhm("sdss2010-r") == images.psf_fwhm("sdss2010-r")


def test_masked_pixels_stay(images):
    weights = images.to_arrays()[1]
    from picasssso.evaluation.attribution import _rebuilt

    flux, weights = images.to_arrays()
    weights[1, 10, 10] = 0
    holed = _rebuilt(images, flux, weights)
    shuffled, order = shuffle_pixels(holed, seed=2)
    place = 10 * images.shape[1] + 10
    assert order[place] == place
    assert shuffled.to_arrays()[1][1, 10, 10] == 0


def test_per_pixel_estimates_owe_nothing_to_morphology(images):
    found = attribute(MassToLightEstimatorOfOneBand(color_mode="pixel"), images, band="sdss2010-r")
    for variant in VARIANTS[:2]:
        assert found.scatter[variant]["stellar_mass"] == pytest.approx(0, abs=1e-4)


class MassToLightEstimatorOfOneBand(MassToLightEstimator):
    """Takes its mass from one band where there is no color."""

    def estimate(self, images, **options):
        if len(images.bands) == 1:
            images = images.replace(images={
                "sdss2010-g": images["sdss2010-r"], "sdss2010-i": images["sdss2010-r"]
            })  # fmt: skip
        return super().estimate(images, **options)


def test_the_network_uses_what_lies_around(estimator, images):
    found = attribute(estimator, images, seed=3)
    whole = estimator.estimate(images)
    np.testing.assert_allclose(
        found.medians[VARIANTS[0]]["stellar_mass"], whole["stellar_mass"].data, rtol=1e-6
    )
    assert found.band == "sdss2010-r"
    assert found.scatter[VARIANTS[0]]["stellar_mass"] == 0
    for variant in VARIANTS[1:]:
        assert found.scatter[variant]["stellar_mass"] > 0.01
    table = found.to_table()
    assert table.colnames == ["property", *VARIANTS]
    assert len(table) == 8
    # Against a truth: that of another estimate, in which some properties are missing.
    against = attribute(estimator, images, truth=MassToLightEstimator().estimate(images), seed=3)
    assert list(against.scatter[VARIANTS[0]]) == ["stellar_mass"]
    assert against.scatter[VARIANTS[0]]["stellar_mass"] > 0


def test_sight_ends_at_the_reach(estimator, images):
    reach = estimator.receptive_field
    found = measure_sight(estimator, images, radii=(0, 3, reach - 1, reach), n_pixels=6)
    change = found.change["stellar_mass"]
    assert found.n_pixels == 6
    assert change[0] > change[1] > change[2] >= change[3]
    assert change[3] == pytest.approx(0, abs=1e-5)
    assert change[0] > 1e-2


def test_nothing_bright_enough(estimator, images):
    for function in (attribute, measure_sight):
        with pytest.raises(InvalidInputError, match="signal_to_noise"):
            function(estimator, images, signal_to_noise=1e6)
