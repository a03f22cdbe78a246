"""Integral-field spectroscopy: cubes, images made from them, and published maps.

`read_cube` reads a cube, `synthetic_images` integrates filters over it into
`~picasssso.bands.BandImages`, and `read_maps` and `convert_maps` convert published maps into
`~picasssso.maps.PropertyMaps`.
"""

from picasssso.ifu.conversion import convert_maps
from picasssso.ifu.coverage import box_filter
from picasssso.ifu.cube import Cube
from picasssso.ifu.cube_formats import read_cube
from picasssso.ifu.map_formats import read_maps
from picasssso.ifu.published import PublishedMap
from picasssso.ifu.synthetic import synthetic_images

__all__ = [
    "Cube",
    "PublishedMap",
    "box_filter",
    "convert_maps",
    "read_cube",
    "read_maps",
    "synthetic_images",
]
