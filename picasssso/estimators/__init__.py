"""Estimators: from band images to property maps.

`base` holds the class that all share, `tags` and `context` what passes between it and them,
and `registry` finds them by name. Each estimator is a module of its own.
"""

from picasssso.estimators.base import PropertyMapEstimator
from picasssso.estimators.context import EstimationContext
from picasssso.estimators.registry import get_estimator, list_estimators
from picasssso.estimators.tags import EstimatorTags

# Where they were before.
from picasssso.maps.arrays import PERCENTILES, PropertyArrays  # noqa: F401

__all__ = [
    "EstimationContext",
    "EstimatorTags",
    "PropertyMapEstimator",
    "get_estimator",
    "list_estimators",
]
