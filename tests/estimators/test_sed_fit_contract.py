"""The contract of estimators, kept by the SED fit with a small library."""

from picasssso import SEDFitEstimator
from picasssso.testing import parametrize_with_checks


@parametrize_with_checks([SEDFitEstimator(n_models=1000, device="cpu")])
def test_contract(estimator, check):
    check(estimator)
