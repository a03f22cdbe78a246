"""Property maps: what an estimator gives out, and what one does with it.

`PropertyMaps` holds the maps of one galaxy on one pixel grid, made from `PropertyArrays`;
nothing here knows how the maps were made.
"""

from picasssso.maps.arrays import PropertyArrays
from picasssso.maps.property_maps import PropertyMaps

__all__ = ["PropertyArrays", "PropertyMaps"]
