"""The contract that every estimator keeps, as tests that anyone can run.

A plugin's own test suite needs four lines::

    from picasssso.testing import parametrize_with_checks
    from my_package import MyEstimator

    @parametrize_with_checks([MyEstimator(), MyEstimator(option=2)])
    def test_contract(estimator, check):
        check(estimator)

`checks` holds the checks, `galaxy` the images that they use.
"""

from picasssso.testing.galaxy import make_galaxy
from picasssso.testing.parametrize import parametrize_with_checks
from picasssso.testing.readers import check_reader

__all__ = ["check_reader", "make_galaxy", "parametrize_with_checks"]
