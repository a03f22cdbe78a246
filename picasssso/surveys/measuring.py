"""The numbers that a row of results holds, measured on a galaxy's maps."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np
import numpy.typing as npt

from picasssso.evaluation.apertures import Apertures, fit_apertures
from picasssso.evaluation.stacks import MapStack
from picasssso.evaluation.sums import radial_gradients, radial_profiles
from picasssso.exceptions import InvalidInputError, PicassssoWarning
from picasssso.maps.missing import (
    TOLD,
    Growth,
    Isophotes,
    Smooth,
    curve_of_growth,
    galaxy_light,
    missing_part,
    smooth_light,
)
from picasssso.maps.region_files import read_region
from picasssso.maps.regions import pixel_weights
from picasssso.maps.totals import known_correlation, make_total
from picasssso.properties import PROPERTIES
from picasssso.quality import describe_quality

if TYPE_CHECKING:
    from picasssso.maps import PropertyMaps
    from picasssso.properties import Property

FloatArray = npt.NDArray[np.floating]

#: Semi-major axis of the ellipse that totals are summed in, in half-mass radii.
TOTALS = 2.0
#: Where the columns that are named after a property alone are measured: of galaxies, of labels.
ELLIPSE, LABEL = "inside 2 half-mass radii, not of the whole galaxy", "of the label"
#: What other columns hold.
_COLUMNS = {
    "failed": "why there are no numbers",
    "notes": "what was left out or is to be known",
    "half_mass_radius": "of the whole galaxy, along the major axis, PSF included",
    "half_mass_radius_kpc": "of the whole galaxy, along the major axis, PSF included",
    "missing": "part of the mass in pixels without an estimate, not in totals, {inside}",
    "unmeasured": "part of the whole galaxy that was not measured: missing, or too faint",
    "flagged": "part of the pixels with a quality flag, {inside}",
    "flags": "quality flags, {inside}",
    "masked": "part of the pixels without an estimate, {inside}",
}
#: Annuli between which gradients are fitted, in half-mass radii.
_EDGES = (0.0, 0.5, 1.0, 1.5, 2.0)


def measure_galaxy(maps: PropertyMaps, aperture: u.Quantity | str) -> dict[str, Any]:
    """Return totals, sizes and gradients.

    The aperture is a radius, an angle or a length, or the name of a region file of DS9.
    """
    from photutils.aperture import CircularAperture

    tracer = _tracer(maps)
    valid = ~maps.masks[tracer]
    light = galaxy_light(maps, tracer)
    smooth = None if valid.all() else smooth_light(light, valid)
    ellipse, growth = _shape(light, smooth, extrapolate=maps.target is not None)
    pixel = float(np.sqrt(maps.pixel_solid_angle.to_value(u.arcsec**2)))
    radius = float(ellipse.half_mass_radius[0]) * pixel
    distance = maps.angular_diameter_distance
    row: dict[str, Any] = {
        "half_mass_radius": radius,
        "half_mass_radius_kpc": np.nan,
        "axis_ratio": float(ellipse.axis_ratio[0]),
    }
    if distance is not None:
        row["half_mass_radius_kpc"] = float(
            (radius * u.arcsec).to_value(u.rad) * distance.to_value(u.kpc)
        )
    inner = ellipse.aperture(0, TOTALS)
    row |= measure_region(maps, inner)
    inside, measured = _inside(maps, inner, light, valid)
    row["missing"] = missing_part(smooth, valid, inside)
    row |= _whole(tracer, row, growth.total, measured, float(light.sum()))
    row["notes"] = _notes(row["missing"], smooth is not None and smooth.lacks(valid))
    middle = (float(ellipse.x[0]), float(ellipse.y[0]))
    fixed: dict[str, Any] = {}
    if isinstance(aperture, str):
        fixed_region = read_region(aperture, maps.shape, maps.wcs)
        fixed = measure_region(maps, fixed_region)
    elif (circle := _pixels(aperture, distance, pixel)) is not None:
        fixed_region = CircularAperture(middle, circle)
        fixed = measure_region(maps, fixed_region)
    if fixed:
        fixed["missing"] = missing_part(
            smooth, valid, _inside(maps, fixed_region, light, valid)[0]
        )
    for name, value in fixed.items():
        plain = name.removesuffix("_error")
        row[f"{plain}_aperture{name[len(plain) :]}"] = value
    stack = MapStack(
        {name: np.asarray(maps[name].data if maps._planes(name).mean is None
                          else maps.mean(name).value)[None] for name in maps},
        definitions={name: maps.definition(name) for name in maps},
    )  # fmt: skip
    for name, profile in radial_profiles(stack, ellipse, _EDGES).items():
        row[f"{name}_gradient"] = float(radial_gradients(profile, _EDGES)[0])
    return row


def _shape(
    light: FloatArray, smooth: Smooth | None, *, extrapolate: bool
) -> tuple[Apertures, Growth]:
    """Return the ellipse of the galaxy, whose radius holds half of it all, and how it grows."""
    whole = light if smooth is None else smooth.light
    ellipse = fit_apertures(whole[None], method="moments")
    shape = Isophotes(
        *(float(v[0]) for v in (ellipse.x, ellipse.y, ellipse.axis_ratio, ellipse.angle))
    )
    growth = curve_of_growth(whole, shape, extrapolate=extrapolate)
    return replace(ellipse, half_mass_radius=np.array([growth.half_radius])), growth


def _inside(
    maps: PropertyMaps, region: Any, light: FloatArray, valid: npt.NDArray[np.bool_]
) -> tuple[FloatArray, float]:
    """Return how much of each pixel is in a region, (y, x), and the light measured in there."""
    covered = pixel_weights(region, maps.shape, maps.wcs)
    inside = np.zeros(maps.shape)
    inside[covered.window] = covered.weights
    return inside, float((light * inside)[valid].sum())


def _whole(
    tracer: str, row: dict[str, Any], total: float, measured: float, seen: float
) -> dict[str, float]:
    """Return the total of the whole galaxy: what was measured, grown to all that there is.

    Half of what was not measured goes into the error.
    """
    factor = total / measured if measured > 0 else np.nan
    unmeasured = max(1 - seen / total, 0.0)
    value, error = row[tracer] * factor, row[f"{tracer}_error"] * factor
    return {
        f"{tracer}_total": value,
        f"{tracer}_total_error": float(np.hypot(error, 0.5 * unmeasured * value)),
        "unmeasured": unmeasured,
    }


def _notes(missing: float, nucleus: bool) -> list[str]:
    """Return what is to be known of pixels without an estimate."""
    where = ", the nucleus among it," if nucleus else ""
    if np.isnan(missing):
        return ["pixels without an estimate: how much they hold is not known"]
    if missing > TOLD or nucleus:
        return [f"{100 * missing:.0f} % of the mass{where} is in pixels without an estimate"]
    return []


def measure_region(maps: PropertyMaps, region: Any) -> dict[str, Any]:
    """Return totals and averages in a region with their errors, and how good they are."""
    row: dict[str, Any] = {}
    weights = pixel_weights(region, maps.shape, maps.wcs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PicassssoWarning)  # an empty average is a NaN
        for name in maps:
            try:
                total = make_total(maps, name, weights, known_correlation(maps, name))
            except InvalidInputError:  # no distance, or no weight
                row |= {name: np.nan, f"{name}_error": np.nan}
                continue
            unit = column_unit(name, maps.definition(name))
            row[name] = float(total.value.to_value(unit))
            row[f"{name}_error"] = float(total.uncertainty.to_value(unit))
            row["masked"] = min(float(total.masked_fraction), row.get("masked", 1.0))
    quality = maps.quality[weights.window]
    bad = float((weights.weights * (quality != 0)).sum() / weights.weights.sum())
    counted = quality[weights.weights > 0]
    flags = describe_quality(int(np.bitwise_or.reduce(counted, axis=None))) if counted.size else ()
    return row | {"flagged": bad, "flags": ",".join(flags)}


def column_unit(name: str, definition: Property | None = None) -> u.UnitBase:
    """Return the unit of a property's column: that of totals of surface densities."""
    known = definition or PROPERTIES[name]
    return known.total_unit if known.is_surface_density else known.unit


def describe_column(name: str, inside: str) -> str | None:
    """Return what a column holds; ``inside``: where those without a word more are measured."""
    if name.endswith("_gradient"):
        return "dex per half-mass radius, out to 2 of them"
    plain = name.removesuffix("_error").removesuffix("_aperture")
    if plain.endswith("_total"):
        error = "error of the " if name.endswith("_error") else ""
        return f"{error}total of the whole galaxy; `unmeasured` is the part not measured"
    if plain != name.removesuffix("_error"):
        inside = "inside the fixed aperture, or the region that was given"
    if plain in _COLUMNS:
        return _COLUMNS[plain].format(inside=inside)
    if plain not in PROPERTIES:
        return None
    kind = "total" if PROPERTIES[plain].is_surface_density else "average"
    return f"{'error of the ' if name.endswith('_error') else ''}{kind} {inside}"


def _tracer(maps: PropertyMaps) -> str:
    """Return the map that says where the galaxy is."""
    names = [name for name in maps if maps.definition(name).is_surface_density]
    if not names:
        raise InvalidInputError("There is no surface density to find the galaxy in.")
    return "stellar_mass" if "stellar_mass" in names else names[0]


def _pixels(aperture: u.Quantity, distance: u.Quantity | None, pixel: float) -> float | None:
    """Return a radius in pixels; None for a length where there is no distance."""
    if aperture.unit.physical_type == "length":
        if distance is None:
            return None
        aperture = float((aperture / distance).to_value(u.dimensionless_unscaled)) * u.rad
    return float(aperture.to_value(u.arcsec)) / pixel
