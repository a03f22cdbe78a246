"""Integral-field spectroscopy: cubes, images made from them, and published maps.

`read_cube` reads a cube, `synthetic_images` integrates filters over it into
`~picasssso.bands.BandImages`, and `read_maps` and `maps_from_table` turn what others published
into `~picasssso.maps.PropertyMaps`.
"""

from picasssso.ifu.coverage import box_filter, coverage, cut_filter
from picasssso.ifu.cube import Cube
from picasssso.ifu.cube_formats import CubeReader, list_cube_formats, read_cube
from picasssso.ifu.map_formats import (
    MapReader,
    PublishedSet,
    list_map_formats,
    maps_from_table,
    read_maps,
)
from picasssso.ifu.published import PublishedMap, convert_maps
from picasssso.ifu.synthetic import synthetic_images

__all__ = [
    "Cube",
    "CubeReader",
    "MapReader",
    "PublishedMap",
    "PublishedSet",
    "box_filter",
    "convert_maps",
    "coverage",
    "cut_filter",
    "list_cube_formats",
    "list_map_formats",
    "maps_from_table",
    "read_cube",
    "read_maps",
    "synthetic_images",
]
