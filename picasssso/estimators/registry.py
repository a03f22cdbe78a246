"""Finding estimators by name: the built-in ones and those that plugins bring.

A plugin declares an entry point in the group ``picasssso.estimators``::

    [project.entry-points."picasssso.estimators"]
    my_estimator = "my_package.module:MyEstimator"

Listing names imports nothing. A plugin that is broken must not break anything else.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator

from picasssso._core.plugins import Registry
from picasssso.estimators.base import PropertyMapEstimator
from picasssso.exceptions import InvalidInputError, PicassssoWarning

#: The estimators of this package, and those that third parties bring.
REGISTRY = Registry(
    what="estimator",
    group="picasssso.estimators",
    built_in={
        "cnn": "picasssso.estimators.cnn:CNNEstimator",
        "kcorrect": "picasssso.estimators.kcorrect:KCorrectEstimator",
        "mass_to_light": "picasssso.estimators.mass_to_light:MassToLightEstimator",
        "sed_fit": "picasssso.estimators.sed_fit:SEDFitEstimator",
    },
    base="picasssso.estimators.base:PropertyMapEstimator",
)


def list_estimators() -> list[str]:
    """Return the names of all estimators, built in and from plugins.

    Returns
    -------
    list of str
        Sorted names; nothing is imported to find them.

    Examples
    --------
    >>> from picasssso import list_estimators
    >>> "mass_to_light" in list_estimators()
    True
    """
    return sorted(REGISTRY.names())


def get_estimator(name: str) -> type[PropertyMapEstimator]:
    """Return an estimator class by name.

    Parameters
    ----------
    name : str
        One of `list_estimators`.

    Returns
    -------
    type
        A subclass of `PropertyMapEstimator`.

    Raises
    ------
    InvalidInputError
        If there is no estimator of that name (the message lists the available ones), or if its
        plugin cannot be imported or is not an estimator.

    Examples
    --------
    >>> from picasssso import get_estimator
    >>> get_estimator("mass_to_light").__name__
    'MassToLightEstimator'
    """
    return REGISTRY.get(name)


def iterate_estimators() -> Iterator[tuple[str, type[PropertyMapEstimator]]]:
    """Iterate over names and classes that can be imported; broken plugins only warn."""
    for name in list_estimators():
        try:
            yield name, get_estimator(name)
        except InvalidInputError as error:
            if name in REGISTRY.built_in:
                raise
            if error.__cause__ is None:  # the import itself has warned already
                warnings.warn(str(error), PicassssoWarning, stacklevel=2)
