"""How good maps are: against a truth, whatever made them.

`compare_maps` takes pairs of `~picasssso.maps.PropertyMaps`; `compare_estimates` two estimates
neither of which is the truth. For thousands of
galaxies there are plain arrays, `MapStack`, and one function for each measure.
"""

from picasssso.evaluation.agreement import compare_estimates
from picasssso.evaluation.evaluation import compare_maps

__all__ = ["compare_estimates", "compare_maps"]
