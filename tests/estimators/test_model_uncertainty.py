"""How far models disagree: the amounts, and where they end up in the errors of maps."""

import numpy as np
import pytest

from picasssso import MassToLightEstimator, SEDFitEstimator
from picasssso.estimators._model_uncertainty import IN_MAGNITUDES, MODEL_UNCERTAINTY, model_shift
from picasssso.exceptions import InvalidInputError, InvalidTypeError
from picasssso.properties import PROPERTIES
from picasssso.testing import make_galaxy

PARAMETERS = {"n_models": 2000, "device": "cpu"}


@pytest.fixture(scope="module")
def images():
    return make_galaxy((6, 7))


@pytest.fixture(scope="module", params=["sed_fit", "mass_to_light"])
def pair(request, images):
    """Maps with the model uncertainty, and without."""
    kind, parameters = {
        "sed_fit": (SEDFitEstimator, PARAMETERS),
        "mass_to_light": (MassToLightEstimator, {}),
    }[request.param]
    return tuple(
        kind(**parameters, model_uncertainty=used).estimate(images) for used in (True, False)
    )


def test_the_table_knows_its_properties():
    assert set(MODEL_UNCERTAINTY) <= set(PROPERTIES)
    assert set(IN_MAGNITUDES) <= set(MODEL_UNCERTAINTY)
    # Pacifici et al. (2023).
    assert [MODEL_UNCERTAINTY[x] for x in ("stellar_mass", "sfr", "attenuation_v")] == [
        0.1,
        0.3,
        0.3,
    ]


def test_a_shift_in_dex_is_the_width_of_a_log_normal_factor():
    factors = 10 ** (0.3 * np.random.default_rng(1).standard_normal(400_000))
    expected = factors.std() / factors.mean()
    shift = model_shift("sfr", np.array([1.0, -2.0, 0.0, np.nan]))
    np.testing.assert_allclose(shift, [expected, -2 * expected, 0.0, np.nan], rtol=0.02)


def test_magnitudes_are_added():
    values = np.array([0.0, 1.0, np.nan], np.float32)
    shift = model_shift("attenuation_v", values)
    np.testing.assert_array_equal(shift, np.array([0.3, 0.3, np.nan], np.float32))
    assert shift.dtype == np.float32


def test_unknown_properties_are_refused():
    with pytest.raises(InvalidInputError, match=r"disagree on 'gas_mass'.*stellar_mass"):
        model_shift("gas_mass", np.ones(2))


def test_totals_hold_it_whatever_is_assumed_of_pixels(pair):
    for name in sorted(set(pair[0]) & set(MODEL_UNCERTAINTY)):
        for correlation in ("independent", "full"):
            total, without = (maps.total(name, correlation=correlation) for maps in pair)
            assert total.value == without.value
            added = np.sqrt(total.uncertainty**2 - without.uncertainty**2)
            shift = model_shift(name, np.array(abs(total.value.value)))
            assert added.value == pytest.approx(float(shift), rel=2e-3), name
            assert total.components["models"].value == pytest.approx(float(shift), rel=1e-4)
            assert "models" not in without.components


def test_pixels_are_the_posteriors_own(pair):
    counted, ignored = pair
    for name in counted:
        for q in (2.5, 16, 50, 84, 97.5):
            np.testing.assert_array_equal(
                counted.percentile(name, q).value, ignored.percentile(name, q).value
            )
    assert counted.shared_error == ignored.shared_error
    assert set(counted.systematics) == {"models"}
    assert not ignored.systematics


def test_the_profile_holds_it(pair):
    counted, ignored = (maps.profile("stellar_mass", correlation="independent") for maps in pair)
    errors = [np.asarray(p["stellar_mass_error"]) for p in (counted, ignored)]
    assert np.all(errors[0] > errors[1])


@pytest.mark.parametrize("estimator", [SEDFitEstimator, MassToLightEstimator])
def test_neither_true_nor_false_is_refused(estimator):
    with pytest.raises(InvalidTypeError, match=r"model_uncertainty=0\.1: expected True or False"):
        estimator(model_uncertainty=0.1)
