"""The decorator that runs the contract on estimators."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from picasssso.estimators import PropertyMapEstimator
from picasssso.exceptions import InvalidTypeError
from picasssso.testing.contract import CHECKS
from picasssso.testing.galaxy import SDSS_BANDS


def parametrize_with_checks(
    estimators: Sequence[PropertyMapEstimator],
    *,
    bands: Sequence[str] = SDSS_BANDS,
    redshift: float = 0.05,
) -> Callable[[Callable[..., Any]], Any]:
    """Decorate a test so that pytest runs every contract check on every estimator.

    The test takes ``estimator`` and ``check`` and calls ``check(estimator)``. A check that does
    not apply to an estimator is skipped with a reason.

    Parameters
    ----------
    estimators : sequence of PropertyMapEstimator
        Instances, not classes.
    bands : sequence of str, optional
        Bands of the test images.
    redshift : float, optional
        Redshift of those images.

    Returns
    -------
    decorator
        A `pytest.mark.parametrize`.

    Raises
    ------
    InvalidTypeError
        If something other than estimator instances is given.

    Examples
    --------
    >>> from picasssso import MassToLightEstimator
    >>> from picasssso.testing import parametrize_with_checks
    >>> @parametrize_with_checks([MassToLightEstimator()])
    ... def test_contract(estimator, check):
    ...     check(estimator)
    """
    import pytest

    for estimator in estimators:
        if not isinstance(estimator, PropertyMapEstimator):
            raise InvalidTypeError(
                f"parametrize_with_checks got {estimator!r}: expected instances of subclasses of "
                "PropertyMapEstimator, such as [MyEstimator()]."
            )
    names = [type(estimator).__name__ for estimator in estimators]
    # No parameters: paths in them would give a test another name in every process.
    labels = [
        name if names.count(name) == 1 else f"{name}{names[:k].count(name)}"
        for k, name in enumerate(names)
    ]
    cases = [
        pytest.param(
            estimator, partial(check, bands=tuple(bands), redshift=redshift), id=f"{label}-{name}"
        )
        for label, estimator in zip(labels, estimators, strict=True)
        for name, check in CHECKS.items()
    ]
    return pytest.mark.parametrize(("estimator", "check"), cases)
