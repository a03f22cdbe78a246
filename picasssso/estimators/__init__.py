"""Estimators: from band images to property maps.

`base` holds the class that all share, `context` what passes between it and them, and
`registry` finds them by name. Each estimator is a module of its own.
"""

from picasssso.estimators.base import PropertyMapEstimator
from picasssso.estimators.context import EstimationContext
from picasssso.estimators.registry import get_estimator, list_estimators

__all__ = ["EstimationContext", "PropertyMapEstimator", "get_estimator", "list_estimators"]
