"""Property maps: what an estimator gives out, and what one does with it.

`PropertyMaps` holds the maps of one galaxy on one pixel grid, made from `PropertyArrays`;
`Total` is what its ``total`` method returns. Nothing here knows how the maps were made.
"""

from picasssso.maps.arrays import PropertyArrays
from picasssso.maps.property_maps import PropertyMaps
from picasssso.maps.totals import Total

__all__ = ["PropertyArrays", "PropertyMaps", "Total"]
