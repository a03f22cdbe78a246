"""The contract holds for estimators that keep it and catches those that do not."""

import threading
from dataclasses import replace

import numpy as np
import pytest
from toy_estimators import ConstantRatio, Sampling, Smoothed, WholeImage

from picasssso import get_estimator, list_estimators
from picasssso.estimators import EstimatorTags
from picasssso.exceptions import InvalidInputError, InvalidTypeError
from picasssso.maps.arrays import PropertyArrays
from picasssso.testing import parametrize_with_checks
from picasssso.testing.contract import CHECKS
from picasssso.testing.galaxy import SDSS_BANDS

# Those that are optional or slow have their own run of the contract beside their tests.
OWN_RUN = ("cnn", "kcorrect", "sed_fit")
REGISTERED = [get_estimator(name)() for name in list_estimators() if name not in OWN_RUN]


@parametrize_with_checks(
    [ConstantRatio(), ConstantRatio(ratio=3.0), Smoothed(), WholeImage(), Sampling()]
)
def test_toy_estimators_keep_the_contract(estimator, check):
    check(estimator)


@parametrize_with_checks(REGISTERED)
def test_registered_estimators_keep_the_contract(estimator, check):
    check(estimator)


def test_only_instances_are_taken():
    with pytest.raises(InvalidTypeError, match="expected instances"):
        parametrize_with_checks([ConstantRatio])


# ---- estimators that break the contract, each in one way ---------------------------------


def _perturbed(result, factor):
    return {
        name: PropertyArrays(
            arrays.percentiles * factor,
            mean=arrays.mean * factor,
            samples=arrays.samples,
        )
        for name, arrays in result.items()
    }


class TakesAnything(ConstantRatio):
    def __init__(self, **options):
        super().__init__()


class ChangesParameters(ConstantRatio):
    def __init__(self, *, ratio=2.0, band="sdss2010-r"):
        super().__init__(ratio=float(ratio) * 1.0 + 1e-9, band=band)


class ForgetsProperties(ConstantRatio):
    tags = EstimatorTags()


class HidesParameters(ConstantRatio):
    def __repr__(self):
        return "HidesParameters()"


class LosesState(ConstantRatio):
    def __init__(self, *, ratio=2.0, band="sdss2010-r"):
        super().__init__(ratio=ratio, band=band)
        self._factor = 1.0

    def _estimate(self, flux, inverse_variance, context):
        factor, self._factor = self._factor, 2.0
        return _perturbed(super()._estimate(flux, inverse_variance, context), factor)


class ForgetsWhatItLearned(ConstantRatio):
    """Learns under a name without the trailing underscore, so pickling drops it."""

    def __init__(self, *, ratio=2.0, band="sdss2010-r"):
        super().__init__(ratio=ratio, band=band)
        self._offset = 0.0

    def fit(self, pairs):
        self._offset = 1.0
        return self

    def _estimate(self, flux, inverse_variance, context):
        result = super()._estimate(flux, inverse_variance, context)
        return _perturbed(result, 1 + self._offset)


class KnowsTheUnit(ConstantRatio):
    """Rounds the flux, as integer counts would."""

    calls = 0

    def _estimate(self, flux, inverse_variance, context):
        type(self).calls += 1
        factor = 1 + 1e-3 * type(self).calls
        return _perturbed(super()._estimate(flux, inverse_variance, context), factor)


class ReachesTooFar(ConstantRatio):
    def _estimate(self, flux, inverse_variance, context):
        result = super()._estimate(flux, inverse_variance, context)
        return _perturbed(result, np.float32(1 + flux.mean()))


class LeaksMaskedFlux(ConstantRatio):
    tags = replace(ConstantRatio.tags, minimum_bands=0)

    def _estimate(self, flux, inverse_variance, context):
        result = super()._estimate(flux, inverse_variance, context)
        leak = np.where(inverse_variance[0] == 0, np.float32(1e25), 0)
        return {
            name: PropertyArrays(
                np.nan_to_num(a.percentiles) + leak, mean=np.nan_to_num(a.mean) + leak
            )
            for name, a in result.items()
        }


class CrossesPercentiles(ConstantRatio):
    def _estimate(self, flux, inverse_variance, context):
        result = super()._estimate(flux, inverse_variance, context)["stellar_mass"]
        return {"stellar_mass": PropertyArrays(result.percentiles[::-1], mean=result.mean)}


class AcceptsSilently(ConstantRatio):
    def _select_bands(self, available):
        if self.band not in available:
            return ("sdss2010-nothing",)
        return (self.band,)


class SharesState(ConstantRatio):
    """Keeps the block in the instance while it works, which a second thread overwrites."""

    def _estimate(self, flux, inverse_variance, context):
        self._flux = flux
        self.__dict__.setdefault("_meeting", threading.Barrier(2))
        try:
            self._meeting.wait(0.2)
        except threading.BrokenBarrierError:
            self._meeting.reset()
        return super()._estimate(self._flux, inverse_variance, context)


class UnseededSamples(Sampling):
    def _estimate(self, flux, inverse_variance, context):
        result = super()._estimate(flux, inverse_variance, context)["stellar_mass"]
        samples = np.random.default_rng().normal(size=(context.n_samples, *flux.shape[1:]))
        return {
            "stellar_mass": PropertyArrays(result.percentiles, mean=result.mean, samples=samples)
        }


class IndependentSamples(Sampling):
    """Declares an error that all pixels share, and draws each pixel for itself."""

    def shared_error(self, context):
        return {"stellar_mass": 0.3}


class TouchesTorch(ConstantRatio):
    def _estimate(self, flux, inverse_variance, context):
        import torch

        torch.set_grad_enabled(not torch.is_grad_enabled())
        return super()._estimate(flux, inverse_variance, context)


@pytest.mark.parametrize(
    ("estimator", "check"),
    [
        (TakesAnything(), "parameters"),
        (ChangesParameters(), "parameters"),
        (ForgetsProperties(), "properties"),
        (HidesParameters(ratio=5.0), "repr"),
        (LosesState(), "same_answer_twice"),
        (ForgetsWhatItLearned().fit([]), "pickle"),
        (KnowsTheUnit(), "units"),
        (KnowsTheUnit(), "read_only_memory_mapped_big_endian"),
        (ReachesTooFar(), "masked_in_all_bands"),
        (ReachesTooFar(), "slicing"),
        (ReachesTooFar(), "blocks"),
        (LeaksMaskedFlux(), "masked_in_some_bands"),
        (LeaksMaskedFlux(), "all_masked"),
        (CrossesPercentiles(), "wcs_shape_units"),
        (SharesState(), "threads"),
        (UnseededSamples(), "samples"),
        (IndependentSamples(), "samples_share_the_shared_error"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_a_broken_estimator_is_caught(estimator, check):
    with pytest.raises((AssertionError, InvalidTypeError, InvalidInputError)):
        CHECKS[check](estimator, bands=SDSS_BANDS, redshift=0.05)


def test_selecting_a_band_that_is_not_there_is_caught():
    with pytest.raises(AssertionError, match="selected"):
        CHECKS["missing_band"](AcceptsSilently(), bands=SDSS_BANDS, redshift=0.05)


def test_touching_torch_is_caught():
    torch = pytest.importorskip("torch")
    before = torch.is_grad_enabled()
    try:
        with pytest.raises(AssertionError, match="global state changed"):
            CHECKS["torch_untouched"](TouchesTorch(), bands=SDSS_BANDS, redshift=0.05)
    finally:
        torch.set_grad_enabled(before)
