"""picasssso: paint what a galaxy is made of onto its images.

Multi-band images of a galaxy in (`BandImages`), maps of its physical properties out
(`PropertyMaps`), through any `PropertyMapEstimator`. The public names are imported when
they are first used, so that importing the package is quick.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from picasssso._core.version import __version__

if TYPE_CHECKING:
    from picasssso.bands import BandImages, GalacticExtinction, NoiseScaling
    from picasssso.estimators import PropertyMapEstimator, get_estimator, list_estimators
    from picasssso.estimators.cnn import CNNEstimator
    from picasssso.estimators.kcorrect import KCorrectEstimator
    from picasssso.estimators.mass_to_light import MassToLightEstimator
    from picasssso.estimators.sed_fit import SEDFitEstimator
    from picasssso.maps import PropertyMaps
    from picasssso.properties import PROPERTIES, Property
    from picasssso.quality import QualityFlag

#: Where each public name lives.
_LAZY = {
    "BandImages": "picasssso.bands",
    "GalacticExtinction": "picasssso.bands",
    "NoiseScaling": "picasssso.bands",
    "PropertyMapEstimator": "picasssso.estimators",
    "get_estimator": "picasssso.estimators",
    "list_estimators": "picasssso.estimators",
    "CNNEstimator": "picasssso.estimators.cnn",
    "KCorrectEstimator": "picasssso.estimators.kcorrect",
    "MassToLightEstimator": "picasssso.estimators.mass_to_light",
    "SEDFitEstimator": "picasssso.estimators.sed_fit",
    "PropertyMaps": "picasssso.maps",
    "PROPERTIES": "picasssso.properties",
    "Property": "picasssso.properties",
    "QualityFlag": "picasssso.quality",
}

__all__ = [
    "PROPERTIES",
    "BandImages",
    "CNNEstimator",
    "GalacticExtinction",
    "KCorrectEstimator",
    "MassToLightEstimator",
    "NoiseScaling",
    "Property",
    "PropertyMapEstimator",
    "PropertyMaps",
    "QualityFlag",
    "SEDFitEstimator",
    "__version__",
    "get_estimator",
    "list_estimators",
]


def __getattr__(name: str) -> Any:
    try:
        module = _LAZY[name]
    except KeyError:
        raise AttributeError(f"module 'picasssso' has no attribute {name!r}") from None
    value = getattr(importlib.import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
