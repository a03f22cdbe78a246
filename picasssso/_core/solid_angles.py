"""Solid angles of pixels on the sky, and the local geometry of a WCS.

Surface densities are integrated over area, and the pixels of a real image do not all
have the same: a tangent plane shrinks towards its edge, and optical distortion changes
pixels by several per cent across a wide camera.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from astropy.wcs import WCS

#: Solid angles are worked out every so many pixels and interpolated linearly between.
GRID_STEP = 32

_CORNERS = ((-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5))
_ARCSEC2_PER_STERADIAN = (180.0 / np.pi * 3600.0) ** 2

FloatArray = npt.NDArray[np.float64]


def sky_directions(wcs: WCS, x: npt.ArrayLike, y: npt.ArrayLike) -> FloatArray:
    """Return unit vectors towards pixel positions, 0 at the center of the first pixel."""
    world = wcs.all_pix2world(np.ravel(x), np.ravel(y), 0)
    lon = np.deg2rad(world[wcs.wcs.lng]).reshape(np.shape(x))
    lat = np.deg2rad(world[wcs.wcs.lat]).reshape(np.shape(x))
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1)


def solid_angles(wcs: WCS, x: npt.ArrayLike, y: npt.ArrayLike) -> FloatArray:
    """Return the solid angles of the pixels at x, y, arcsec2; NaN outside the projection.

    Half the cross product of the diagonals: the area of the flat quadrilateral through
    the four corners. For pixels of an arcminute it differs from the sphere by 1e-8.
    """
    x, y = np.broadcast_arrays(np.asarray(x, dtype=float), np.asarray(y, dtype=float))
    corner = [sky_directions(wcs, x + dx, y + dy) for dx, dy in _CORNERS]
    area = np.cross(corner[2] - corner[0], corner[3] - corner[1])
    return 0.5 * np.linalg.norm(area, axis=-1) * _ARCSEC2_PER_STERADIAN


def _nodes(length: int) -> FloatArray:
    """Pixel positions, at most `GRID_STEP` apart, from the first pixel to the last."""
    return np.linspace(0, length - 1, 1 if length == 1 else 2 + (length - 2) // GRID_STEP)


class SolidAngles:
    """Solid angles of the pixels of an image, of which any part is worked out when asked for.

    In arcsec2; 0 where the WCS does not reach the sky. Worked out with all distortions for
    every 32nd pixel along both axes and interpolated linearly in between: in a camera of 2000
    pixels across whose pixels differ by 20 % in area (a cubic distortion) good to 5e-5.
    """

    def __init__(self, wcs: WCS, shape: tuple[int, int]) -> None:
        self._nodes = tuple(_nodes(length) for length in shape)
        y, x = self._nodes
        self._coarse = solid_angles(wcs, *np.meshgrid(x, y))
        #: Of all pixels, if the sky ends inside the image: NaN must not spread to those on it.
        self._all: FloatArray | None = None
        if not np.isfinite(self._coarse).all():
            self._all = np.empty(shape)
            for row in range(shape[0]):
                self._all[row] = np.nan_to_num(solid_angles(wcs, np.arange(shape[1]), row))

    def part(self, window: tuple[slice, slice]) -> FloatArray:
        """Return the solid angles of the pixels of a window with steps of 1."""
        if self._all is not None:
            return self._all[window]
        rows, columns = (np.arange(axis.start, axis.stop) for axis in window)
        along_x = _interpolate(self._coarse.T, self._nodes[1], columns)
        return _interpolate(along_x.T, self._nodes[0], rows)


def _interpolate(values: FloatArray, nodes: FloatArray, pixels: npt.NDArray[Any]) -> FloatArray:
    """Return rows that belong to nodes, interpolated linearly to pixels."""
    if len(nodes) == 1:
        return np.repeat(values, len(pixels), axis=0)
    lower = np.clip(np.searchsorted(nodes, pixels, side="right") - 1, 0, len(nodes) - 2)
    part = ((pixels - nodes[lower]) / (nodes[lower + 1] - nodes[lower]))[:, None]
    result = values[lower] * (1.0 - part)
    result += values[lower + 1] * part
    return result


def pixel_solid_angles(wcs: WCS, shape: tuple[int, int]) -> FloatArray:
    """Return the solid angle of every pixel, as `SolidAngles` has it."""
    return SolidAngles(wcs, shape).part((slice(0, shape[0]), slice(0, shape[1])))


def sky_jacobian(wcs: WCS, x: float, y: float, frame: Any = "icrs") -> FloatArray:
    """Return how a step in pixels along x and y (columns) moves east and north (rows), arcsec.

    East and north are those of ``frame``, or of the WCS where it knows no way there.
    """
    from astropy.coordinates import ConvertError

    half = np.array([0.5, -0.5, 0.0, 0.0])
    here, around = wcs.pixel_to_world(x, y), wcs.pixel_to_world(x + half, y + half[::-1])
    try:
        here, around = here.transform_to(frame), around.transform_to(frame)
    except ConvertError:
        pass
    offsets = np.array([offset.arcsec for offset in here.spherical_offsets_to(around)])
    # The steps along y are (-, +), after those along x (+, -).
    return np.stack([offsets[:, 0] - offsets[:, 1], offsets[:, 3] - offsets[:, 2]], axis=1)
