"""Maps as a table with one row per pixel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from picasssso.maps.arrays import PERCENTILES

if TYPE_CHECKING:
    from astropy.table import QTable

    from picasssso.maps.property_maps import PropertyMaps


def make_table(maps: PropertyMaps) -> QTable:
    """Return maps as a table; see `PropertyMaps.to_table`.

    Returns one row for each pixel that is not masked in every property.
    """
    from astropy.table import QTable

    y, x = np.nonzero(~np.logical_and.reduce([maps.masks[name] for name in maps]))
    table = QTable({"y": y, "x": x}, meta=dict(maps.meta))
    if maps.wcs is not None:
        table["sky"] = maps.wcs.pixel_to_world(x, y)
    for name in maps:
        planes = maps._planes(name)
        table[name] = maps.percentile(name, 50)[y, x]
        if planes.mean is not None:
            table[f"{name}_mean"] = maps.mean(name)[y, x]
        for q in PERCENTILES:
            if q != 50:
                table[f"{name}_p{round(10 * q):03d}"] = maps.percentile(name, q)[y, x]
    table["quality"] = maps.quality[y, x]
    if maps.bins is not None:
        table["bin"] = maps.bins[y, x]
    return table
