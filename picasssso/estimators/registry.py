"""Finding estimators by name: the built-in ones and those that plugins bring.

A plugin declares an entry point in the group ``picasssso.estimators``::

    [project.entry-points."picasssso.estimators"]
    my_estimator = "my_package.module:MyEstimator"

Listing names imports nothing. A plugin that is broken must not break anything else.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Iterator
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points

from picasssso.estimators.base import PropertyMapEstimator
from picasssso.exceptions import InvalidInputError, PicassssoWarning

#: Entry-point group that third parties use.
ENTRY_POINT_GROUP = "picasssso.estimators"

#: The estimators of this package: ``name -> "module:Class"``.
BUILT_IN = {
    "cnn": "picasssso.estimators.cnn:CNNEstimator",
    "kcorrect": "picasssso.estimators.kcorrect:KCorrectEstimator",
    "mass_to_light": "picasssso.estimators.mass_to_light:MassToLightEstimator",
    "sed_fit": "picasssso.estimators.sed_fit:SEDFitEstimator",
}


@lru_cache(maxsize=1)
def _plugins() -> dict[str, EntryPoint]:
    """Read the installed plugins, once; a name that is taken already is ignored."""
    plugins: dict[str, EntryPoint] = {}
    found = entry_points(group=ENTRY_POINT_GROUP)
    for entry in sorted(found, key=lambda e: (e.name, e.value)):
        taken_by = BUILT_IN.get(entry.name)
        if taken_by is None and entry.name in plugins:
            taken_by = plugins[entry.name].value
        if taken_by is None:
            plugins[entry.name] = entry
        elif taken_by != entry.value:
            warnings.warn(
                f"The plugin estimator {entry.name!r} ({entry.value}) is ignored: the name is "
                f"taken by {taken_by}. Ask its author to rename the entry point.",
                PicassssoWarning,
                stacklevel=3,
            )
    return plugins


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
    return sorted({*BUILT_IN, *_plugins()})


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
        If there is no estimator of that name (the message lists those there are), or if
        its plugin cannot be imported or is not an estimator.

    Examples
    --------
    >>> from picasssso import get_estimator
    >>> get_estimator("mass_to_light").__name__
    'MassToLightEstimator'
    """
    if name in BUILT_IN:
        module, _, attribute = BUILT_IN[name].partition(":")
        return getattr(importlib.import_module(module), attribute)
    entry = _plugins().get(name)
    if entry is None:
        raise InvalidInputError(
            f"Unknown estimator {name!r}: installed are {', '.join(list_estimators())}. "
            f"Others come as plugins in the entry-point group {ENTRY_POINT_GROUP!r}."
        )
    try:
        estimator = entry.load()
    # A plugin is somebody else's code: whatever it raises on import is its own failure.
    except Exception as error:
        message = f"{type(error).__name__}: {error}"
        warnings.warn(
            f"The plugin estimator {name!r} ({entry.value}) cannot be imported: {message}",
            PicassssoWarning,
            stacklevel=2,
        )
        raise InvalidInputError(
            f"The plugin estimator {name!r} is installed but cannot be imported from "
            f"{entry.value} ({message}): repair or uninstall it."
        ) from error
    if not (isinstance(estimator, type) and issubclass(estimator, PropertyMapEstimator)):
        raise InvalidInputError(
            f"The plugin estimator {name!r} ({entry.value}) is {estimator!r}: expected a subclass "
            "of picasssso.PropertyMapEstimator."
        )
    return estimator


def iterate_estimators() -> Iterator[tuple[str, type[PropertyMapEstimator]]]:
    """Iterate over names and classes that can be imported; broken plugins only warn."""
    for name in list_estimators():
        try:
            yield name, get_estimator(name)
        except InvalidInputError as error:
            if name in BUILT_IN:
                raise
            if error.__cause__ is None:  # the import itself has warned already
                warnings.warn(str(error), PicassssoWarning, stacklevel=2)
