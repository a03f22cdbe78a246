"""Integral-field spectroscopy: cubes, images made from them, and published maps.

`read_cube` reads a cube, `synthetic_images` integrates filters over it into
`~picasssso.bands.BandImages`, and `read_maps` and `maps_from_table` turn what others published
into `~picasssso.maps.PropertyMaps`.
"""

from picasssso.ifu.coverage import box_filter, coverage, cut_filter
from picasssso.ifu.cube import Cube
from picasssso.ifu.cube_formats import CubeReader, list_cube_formats, read_cube
from picasssso.ifu.synthetic import synthetic_images

__all__ = [
    "Cube",
    "CubeReader",
    "box_filter",
    "coverage",
    "cut_filter",
    "list_cube_formats",
    "read_cube",
    "synthetic_images",
]
