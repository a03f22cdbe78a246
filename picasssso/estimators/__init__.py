"""Estimators: from band images to property maps.

`base` holds the class that all share, `context` what passes between it and them, and
`registry` finds them by name. Each estimator is a module of its own.
"""

from picasssso.estimators.base import PropertyMapEstimator
from picasssso.estimators.context import EstimationContext
from picasssso.estimators.registry import get_estimator, iterate_estimators, list_estimators
from picasssso.maps.arrays import PERCENTILES, PropertyArrays

__all__ = [
    "PERCENTILES",
    "EstimationContext",
    "PropertyArrays",
    "PropertyMapEstimator",
    "get_estimator",
    "iterate_estimators",
    "list_estimators",
]
