"""Comparison of maps from any source with a truth, or with each other.

`compare_maps` takes pairs of truth and estimate as `~picasssso.maps.PropertyMaps`;
`compare_estimates` takes two estimates without a truth. For thousands of galaxies, maps are stored
as plain arrays (``MapStack``), with one function for each statistic.
"""

from picasssso.evaluation.agreement import compare_estimates
from picasssso.evaluation.evaluation import compare_maps

__all__ = ["compare_estimates", "compare_maps"]
