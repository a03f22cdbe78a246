"""Radial profiles in elliptical annuli."""

from __future__ import annotations

import warnings
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np
import numpy.typing as npt

from picasssso.exceptions import InvalidInputError, PicassssoWarning
from picasssso.maps.ellipses import Ellipse, local_jacobian, measure_ellipse, parse_center
from picasssso.maps.regions import PixelWeights, aperture_weights
from picasssso.maps.totals import check_correlation, measure

if TYPE_CHECKING:
    from astropy.coordinates import SkyCoord
    from astropy.table import QTable

    from picasssso.maps.planes import MapPlanes

#: Default annuli reach this many standard deviations of the light along the major axis:
#: five scale lengths of an exponential disk.
DEFAULT_REACH = 3.0
#: There are at most so many of them, and none is thinner than this many pixels.
DEFAULT_NUMBER = 20
DEFAULT_WIDTH = 1.5
#: Minor over major axis above which a map does not tell how a galaxy is turned.
_ROUND = 0.9

#: Edges of annuli: for each pixel of the longer side, and in any case.
_MOST_FOR_EACH_PIXEL, _MOST = 10, 1000


def make_profile(
    maps: MapPlanes,
    name: str,
    *,
    center: SkyCoord | tuple[float, float] | None,
    position_angle: u.Quantity | None,
    axis_ratio: float | None,
    edges: u.Quantity | None,
    inclination: u.Quantity | None,
    correlation: str | None,
) -> QTable:
    """Average a property in elliptical annuli; see `PropertyMaps.profile`."""
    correlation = check_correlation(maps, name, correlation)
    cosine = 1.0 if inclination is None else _cosine(inclination)
    if axis_ratio is None and inclination is not None:
        axis_ratio = cosine
    ellipse = _ellipse(maps, name, center, position_angle, axis_ratio, edges is not None)
    jacobian = local_jacobian(maps, ellipse.center)
    bounds = _edges(maps, ellipse, edges)
    rows = []
    for inner, outer in pairwise(bounds):
        aperture = ellipse.annulus(inner, outer, jacobian)
        weights = aperture_weights(aperture, maps.shape)
        if weights is None:  # beyond the image: a row of NaN keeps the radii complete
            weights = PixelWeights((slice(0, 0), slice(0, 0)), np.ones((0, 0)), aperture.area)
        rows.append(measure(maps, name, weights, correlation))
    # A disk seen at an angle has more on each square kiloparsec of sky than face on.
    factor = cosine if maps.definition(name).is_surface_density else 1.0
    record = {
        "property": name,
        "center": [float(value) for value in ellipse.center],
        "position_angle": ellipse.position_angle,
        "axis_ratio": ellipse.axis_ratio,
        "inclination": None if inclination is None else float(np.rad2deg(np.arccos(cosine))),
        "correlation": correlation,
        "shared_error_dex": maps.shared_error.get(name, 0.0),
    }
    return _table(maps, name, bounds, rows, factor, record)


def _ellipse(
    maps: MapPlanes, name: str, center: Any, position_angle: Any, axis_ratio: Any, sized: bool
) -> Ellipse:
    """Return the shape asked for; what was not said is measured on the map."""
    changes: dict[str, Any] = {}
    if axis_ratio is not None:
        if not 0 < float(axis_ratio) <= 1:
            raise InvalidInputError(
                f"axis_ratio={axis_ratio!r}: expected minor over major axis, above 0 and up to 1."
            )
        changes["axis_ratio"] = float(axis_ratio)
    # A circle looks the same whichever way it is turned.
    if position_angle is None and changes.get("axis_ratio") == 1.0:
        position_angle = 0 * u.deg
    if center is not None:
        changes["center"] = parse_center(maps, center)
    if position_angle is not None:
        changes["position_angle"] = _angle(position_angle, "position_angle", u.deg) % 180
    if sized and len(changes) == 3:
        return Ellipse(semimajor_axis=float("nan"), **changes)
    measured = measure_ellipse(maps, name)
    flat = changes.get("axis_ratio", 1.0) < _ROUND
    if flat and "position_angle" not in changes and measured.axis_ratio > _ROUND:
        warnings.warn(
            f"profile: found a nearly round map (axis ratio {measured.axis_ratio:.2f}), by whose "
            f"position angle, {measured.position_angle:.0f} degrees, annuli of axis ratio "
            f"{changes['axis_ratio']:.2f} are turned: it says little. Give position_angle=.",
            PicassssoWarning,
            stacklevel=4,
        )
    return replace(measured, **changes)


def _angle(value: Any, name: str, unit: u.UnitBase) -> float:
    """Return one finite angle as a plain number."""
    try:
        angle = u.Quantity(value).to_value(unit)
    except (TypeError, ValueError):
        angle = np.array(np.nan)
    if np.ndim(angle) or not np.isfinite(angle):
        raise InvalidInputError(f"{name}={value!r}: expected an angle such as 35 * u.deg.")
    return float(angle)


def _cosine(inclination: u.Quantity) -> float:
    degrees = _angle(inclination, "inclination", u.deg)
    if not 0 <= degrees < 90:
        raise InvalidInputError(
            f"inclination={inclination!r}: expected 0 (face on) or more and less than 90 degrees; "
            "a disk seen edge on cannot be deprojected."
        )
    return float(np.cos(np.deg2rad(degrees)))


def _edges(maps: MapPlanes, ellipse: Ellipse, edges: u.Quantity | None) -> npt.NDArray[np.float64]:
    """Return the edges of the annuli along the major axis, arcsec."""
    if edges is None:
        pixel = float(np.sqrt(maps.pixel_solid_angle.to_value(u.arcsec**2)))
        reach = DEFAULT_REACH * ellipse.semimajor_axis
        number = min(max(int(reach / (DEFAULT_WIDTH * pixel)), 1), DEFAULT_NUMBER)
        return np.linspace(0, reach, number + 1)
    radii = u.Quantity(edges)
    if radii.unit.physical_type == "length":
        distance = maps.angular_diameter_distance
        if distance is None:
            raise InvalidInputError(
                f"edges are in {radii.unit}, and the maps have no distance: give them as angles, "
                "or the images luminosity_distance= before estimating."
            )
        radii = (radii / distance).to(u.arcsec, u.dimensionless_angles())
    try:
        bounds = np.asarray(radii.to_value(u.arcsec), dtype=np.float64)
    except u.UnitConversionError:
        raise InvalidInputError(
            f"edges={edges!r}: expected angles or lengths, such as np.arange(0, 30, 3) * u.arcsec."
        ) from None
    if bounds.ndim != 1 or len(bounds) < 2 or bounds[0] < 0 or not (np.diff(bounds) > 0).all():
        raise InvalidInputError(
            f"edges={edges!s:.100}: expected at least two radii that increase, the first 0 or "
            "more."
        )
    most = max(_MOST_FOR_EACH_PIXEL * max(maps.shape), _MOST)
    if len(bounds) > most:
        raise InvalidInputError(
            f"edges: found {len(bounds)} radii for maps of {maps.shape[1]} x {maps.shape[0]} "
            f"pixels, expected at most {most}, of annuli that pixels tell apart."
        )
    return bounds


def _table(
    maps: MapPlanes,
    name: str,
    bounds: npt.NDArray[np.float64],
    rows: list[Any],
    factor: float,
    record: dict[str, Any],
) -> QTable:
    from astropy.table import QTable

    radius = (bounds[1:] + bounds[:-1]) / 2
    table = QTable(meta=record)
    table["radius"] = radius * u.arcsec
    table["radius_inner"] = bounds[:-1] * u.arcsec
    table["radius_outer"] = bounds[1:] * u.arcsec
    distance = maps.angular_diameter_distance
    if distance is not None:
        table["radius_kpc"] = (table["radius"].to_value(u.rad) * distance).to(u.kpc)
    table[name] = u.Quantity([row.value for row in rows]) * factor
    table[f"{name}_error"] = u.Quantity([row.uncertainty for row in rows]) * factor
    for place, q in ((1, 16), (2, 50), (3, 84)):
        table[f"{name}_p{q}"] = u.Quantity([row.percentiles[place] for row in rows]) * factor
    table["n_pixels"] = [row.assumptions["n_pixels"] for row in rows]
    table["masked_fraction"] = [row.masked_fraction for row in rows]
    return table
