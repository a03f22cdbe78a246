"""Geometry of pixels: solid angles, offsets between grids, shifted grids."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np
import numpy.typing as npt
from astropy.wcs import WCS

from picasssso._core.quiet import copy_wcs
from picasssso._core.solid_angles import solid_angles
from picasssso.exceptions import InvalidInputError, InvalidTypeError

if TYPE_CHECKING:
    from astropy.coordinates import SkyCoord

#: Grids closer than this, in pixels, are the same.
SAME_GRID = 1e-6
#: Relative variation over an image below which its pixels count as equal.
EQUAL_AREA = 1e-4
_CORNERS = ("lower left", "lower right", "upper left", "upper right")


def central_solid_angle(wcs: WCS, shape: tuple[int, int]) -> float:
    """Return the solid angle of a pixel at the center of an image ``(y, x)``, arcsec2."""
    return float(solid_angles(wcs, (shape[1] - 1) / 2, (shape[0] - 1) / 2))


def sky_center(wcs: WCS, shape: tuple[int, int]) -> SkyCoord:
    """Return where on the sky the middle of an image ``(y, x)`` is, in ICRS."""
    return wcs.pixel_to_world((shape[1] - 1) / 2, (shape[0] - 1) / 2).icrs


def sky_to_pixel(position: SkyCoord, wcs: WCS | None, what: str) -> tuple[float, float]:
    """Return the pixel (x, y) of a position on the sky; ``what``: who asks, for messages."""
    if wcs is None:
        raise InvalidInputError(
            f"{what}: found a position on the sky and images without WCS, expected a pixel (x, y)."
        )
    if not position.isscalar:
        raise InvalidInputError(
            f"{what}: found {position.size} positions, expected one, such as positions[0]."
        )
    x, y = (float(p) for p in wcs.world_to_pixel(position))
    if not (np.isfinite(x) and np.isfinite(y)):
        raise InvalidInputError(
            f"{what}: found the position {position.to_string()} in degrees, which is not on the "
            "part of the sky that the image shows. Check it, and that it is RA and Dec."
        )
    return x, y


def has_equal_pixels(wcs: WCS, shape: tuple[int, int], typical: float) -> bool:
    """Return whether all pixels of an image ``(y, x)`` have a solid angle, to 1 in 10^4."""
    y, x = (np.linspace(0, side - 1, 7) for side in shape)
    found = solid_angles(wcs, x[None, :], y[:, None])
    return bool(np.all(np.abs(found / typical - 1) < EQUAL_AREA))


def grid_offset(wcs: WCS, reference: WCS, shape: tuple[int, int]) -> tuple[float, str]:
    """Return how far two grids are apart, at the corners and the center of an image.

    The largest distance in pixels between where both put the same pixel on the sky (inf where
    only one of them knows a position), and which place that is.
    """
    if wcs is reference:
        return 0.0, "everywhere"
    bottom, left, top, right = -0.5, -0.5, shape[0] - 0.5, shape[1] - 0.5
    x = np.array([(left + right) / 2, left, right, left, right])
    y = np.array([(bottom + top) / 2, bottom, bottom, top, top])
    places = ("center", *(f"{side} corner" for side in _CORNERS))
    here, there = (w.pixel_to_world(x, y) for w in (wcs, reference))
    if not (hasattr(here, "separation") and hasattr(there, "separation")):
        return np.inf, "everywhere"  # not of the sky alone: refused where images are made of it
    separation = here.separation(there).arcsec
    offsets = separation / np.sqrt(solid_angles(reference, x[0], y[0]))
    known = [np.isfinite(w.all_pix2world(x, y, 0)).all(axis=0) for w in (wcs, reference)]
    offsets = np.where(known[0] != known[1], np.inf, np.where(known[0], offsets, 0.0))
    worst = int(np.argmax(offsets))
    return float(offsets[worst]), places[worst]


def slice_wcs(wcs: WCS, slices: tuple[slice, slice]) -> WCS:
    """Return the WCS of a part ``(y, x)`` of an image, with plain starts and stops."""
    part = shift_wcs(wcs, slices[1].start, slices[0].start)
    part.array_shape = tuple(s.stop - s.start for s in slices)
    return part


def shift_wcs(wcs: WCS, dx: float, dy: float) -> WCS:
    """Return a WCS whose pixel (0, 0) is the pixel (dx, dy) of the given one."""
    from astropy.wcs import DistortionLookupTable, Sip

    shifted = copy_wcs(wcs)
    shift = np.array([dx, dy], dtype=float)
    shifted.wcs.crpix = wcs.wcs.crpix - shift
    if wcs.sip is not None:
        sip: Any = wcs.sip
        shifted.sip = Sip(sip.a, sip.b, sip.ap, sip.bp, sip.crpix - shift)
    for name in ("cpdis1", "cpdis2", "det2im1", "det2im2"):
        table = getattr(wcs, name)
        if table is not None:
            at = tuple(np.subtract(table.crval, shift))
            setattr(shifted, name, DistortionLookupTable(table.data, table.crpix, at, table.cdelt))
    shifted.wcs.set()
    return shifted


def check_slices(key: Any, shape: tuple[int, int], what: str, other: str) -> tuple[slice, slice]:
    """Return a part of an image as slices with plain starts and stops, of at least a pixel."""
    if not (isinstance(key, tuple) and len(key) == 2 and all(type(k) is slice for k in key)):
        raise InvalidTypeError(
            f"Part of {what}: found {key!r}, expected {other} or two slices, as in "
            f"{what}[y0:y1, x0:x1]."
        )
    plain = []
    for part, side in zip(key, shape, strict=True):
        if part.step not in (None, 1):
            raise InvalidInputError(
                f"Part of {what}: found a step of {part.step}, expected none: skipping pixels "
                "loses flux. For larger pixels use the images' reproject_to()."
            )
        start, stop, _ = part.indices(side)
        if stop <= start:
            raise InvalidInputError(
                f"Part of {what}: found {part}, which holds no pixel of the {side} along that "
                "axis, expected at least one."
            )
        plain.append(slice(start, stop))
    return plain[0], plain[1]


def cutout_slices(
    wcs: WCS | None, shape: tuple[int, int], pixel_scale: u.Quantity, position: Any, size: Any
) -> tuple[slice, slice]:
    """Return the part of an image around a position, on the sky or a pixel ``(x, y)``."""
    from astropy.coordinates import SkyCoord
    from astropy.nddata import NoOverlapError, overlap_slices

    if isinstance(position, SkyCoord):
        x, y = sky_to_pixel(position, wcs, "cutout")
    else:
        try:
            x, y = (float(p) for p in position)
        except (TypeError, ValueError):
            raise InvalidTypeError(
                f"cutout: found position {position!r}, expected a SkyCoord or a pixel (x, y)."
            ) from None
    both = size if isinstance(size, tuple | list) or np.ndim(size) else (size, size)
    sides = [_side_in_pixels(side, pixel_scale, size) for side in both]
    if len(sides) != 2:
        raise InvalidInputError(f"cutout: found size={size!r}, expected one side or two, (y, x).")
    try:
        slices, _ = overlap_slices(shape, tuple(sides), (y, x), mode="trim")
    except (NoOverlapError, ValueError):
        raise InvalidInputError(
            f"cutout: found that {sides[0]} x {sides[1]} pixels around x = {x:.1f}, y = {y:.1f} "
            f"lie outside the image of {shape[0]} x {shape[1]} pixels, expected some on it."
        ) from None
    return slices


def _side_in_pixels(side: Any, pixel_scale: u.Quantity, size: Any) -> int:
    """Return the side of a cutout as a whole number of pixels, at least 1."""
    try:
        if isinstance(side, u.Quantity) and side.unit.is_equivalent(u.arcsec):
            side = (side / pixel_scale).to_value(u.dimensionless_unscaled)
        elif isinstance(side, u.Quantity):
            side = side.to_value(u.pix)
        pixels = float(side)
    except (TypeError, ValueError):  # UnitConversionError is both
        pixels = np.nan
    if not 0 < pixels < np.inf:
        raise InvalidInputError(
            f"cutout: found size={size!r}, expected positive sides as angles such as "
            "20 * u.arcsec, or in pixels."
        )
    return max(round(pixels), 1)


def common_pixels(
    good: npt.NDArray[np.bool_],
    group: npt.NDArray[np.integer],
    n_groups: int,
    weights: npt.NDArray[np.floating] | None = None,
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Return the bands that measure each group of pixels, and the pixels that they all have.

    Colors compare like with like only if all bands are summed over the same pixels. A band that
    has data in less than half of a group does not measure it, else it would leave little of it.

    ``good``: which pixels have data, (n_band, n_pixel); ``group``: number of each pixel's group;
    ``weights``: of the pixels, such as their part in an aperture; returns shapes (n_band,
    n_groups) and (n_pixel,).
    """
    part = np.ones(len(group)) if weights is None else weights

    def area(which: npt.NDArray[np.bool_]) -> npt.NDArray[np.floating]:
        return np.bincount(group, part * which, minlength=n_groups).astype(np.float64)

    measured = np.array([area(plane) for plane in good])
    used = (measured > 0) & (2 * measured >= area(np.any(good, axis=0)))
    common = np.all(good | ~used[:, group], axis=0) & np.any(used, axis=0)[group]
    return used, np.asarray(common)
