"""Totals and averages over a region, with their uncertainty and what was assumed."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np
import numpy.typing as npt

from picasssso._core.html import html_table
from picasssso.exceptions import InvalidInputError, PicassssoWarning
from picasssso.maps.arrays import PERCENTILES
from picasssso.maps.propagation import Pixels, measurement_inflation, standard_deviations
from picasssso.maps.regions import PixelWeights, pixel_weights

if TYPE_CHECKING:
    from picasssso.maps.planes import MapPlanes
    from picasssso.maps.regions import Region

#: What may be said about the errors of different pixels.
CORRELATIONS = ("independent", "full")


@dataclass(frozen=True, repr=False, eq=False)
class Total:
    """A property integrated or averaged over a region, as `PropertyMaps.total` describes it."""

    value: u.Quantity
    uncertainty: u.Quantity
    masked_fraction: float
    assumptions: Mapping[str, Any]
    components: Mapping[str, u.Quantity] = field(default_factory=dict)

    def __repr__(self) -> str:
        name = self.assumptions.get("property", "")
        correlation = self.assumptions.get("correlation", "")
        return f"<Total {name} = {self}, {100 * self.masked_fraction:.1f} % masked, {correlation}>"

    def _repr_html_(self) -> str:
        known = self.assumptions
        rows = [
            (str(known.get("property", "")), str(self)),
            ("masked", f"{100 * self.masked_fraction:.1f} % of the area"),
            ("errors of pixels", str(known.get("correlation", ""))),
            ("region", str(known.get("region", ""))),
        ]
        return html_table("Total", ("", ""), rows)

    def __str__(self) -> str:
        value, error = float(self.value.value), float(self.uncertainty.value)
        if not error:  # none is stated: not that it is exact
            return f"{value:.4g} {self.value.unit}".rstrip()
        return f"{_with_error(value, error)} {self.value.unit}".rstrip()


def _with_error(value: float, error: float) -> str:
    """Write a value and its error with two significant digits of the error."""
    if not (np.isfinite(value) and np.isfinite(error)) or error <= 0:
        return f"{value:.4g} +/- {error:.2g}"
    exponent = int(np.floor(np.log10(max(abs(value), error))))
    exponent = 0 if -3 <= exponent < 4 else exponent
    digits = max(1 + exponent - int(np.floor(np.log10(error))), 0)
    scale = 10.0**exponent
    text = f"{value / scale:.{digits}f} +/- {error / scale:.{digits}f}"
    return f"({text})e{exponent:+03d}" if exponent else text


def check_correlation(maps: MapPlanes, name: str, correlation: str | None) -> str:
    """Return how pixel errors are correlated."""
    parts = _parts(maps, name)
    if correlation in CORRELATIONS:
        return correlation
    if correlation is not None:
        raise InvalidInputError(
            f"correlation={correlation!r}: expected one of {CORRELATIONS}, or None to use joint "
            "samples."
        )
    for part in parts:
        samples = maps._planes(part).samples
        if samples is None or len(samples) < 2:
            if maps._planes(name).shared is not None:
                return "joint"
            raise InvalidInputError(
                f"{part!r} has no joint samples, so the correlation of its pixel errors "
                'must be given: correlation="independent" if they are due to noise (the shared '
                'error is added), correlation="full" if they are fully correlated; or '
                "estimate with n_samples=100."
            )
    return "samples"


def known_correlation(maps: MapPlanes, name: str) -> str | None:
    """Return how pixel errors are correlated, as far as the maps know."""
    try:
        check_correlation(maps, name, None)
    except InvalidInputError:
        return "independent" if maps.shared_error.get(name, 0.0) > 0 else "full"
    return None


def _parts(maps: MapPlanes, name: str) -> tuple[str, ...]:
    """Names of the maps that a total of a property is made from; checks they are there."""
    definition = maps.definition(name)
    weight = definition.weight
    if definition.is_surface_density or weight is None:
        return (name,)
    if weight not in maps:
        raise InvalidInputError(
            f"The average of {name!r} is weighted by {weight!r}, of which there is no map: "
            f"estimate {weight!r} as well. The maps are {', '.join(maps)}."
        )
    if maps._planes(weight).mean is None:
        raise InvalidInputError(
            f"The average of {name!r} is weighted by {weight!r}, which has no mean: the weight "
            "must be a surface density."
        )
    return name, weight


def make_total(
    maps: MapPlanes, name: str, region: Region = None, correlation: str | None = None
) -> Total:
    """Integrate or average a property over a region; see `PropertyMaps.total`."""
    correlation = check_correlation(maps, name, correlation)
    region, where = _region(maps, region)
    weights = pixel_weights(region, maps.shape, maps._wcs)
    average = measure(maps, name, weights, correlation)
    average = replace(average, assumptions={**average.assumptions, "region": where})
    if not maps.definition(name).is_surface_density:
        if np.isnan(average.value) and average.masked_fraction < 1:
            warnings.warn(
                f"There is no average of {name!r} here: its weight, "
                f"{maps.definition(name).weight!r}, sums to zero or less in the region.",
                PicassssoWarning,
                stacklevel=3,
            )
        return average
    distance = maps.angular_diameter_distance
    if distance is None:
        raise InvalidInputError(
            f"The total of {name!r} needs a distance, and the maps have none: give the images "
            "luminosity_distance= (BandImages(..., luminosity_distance=40 * u.Mpc)) before "
            "estimating. Profiles and averages need none."
        )
    # The area that counts is the one with values in it.
    solid_angle = average.assumptions["solid_angle"]
    area = (solid_angle.to_value(u.rad**2) * distance**2).to(u.kpc**2)
    assumptions = {
        **average.assumptions,
        "combines": f"sum of mean {name} x area",
        "angular_diameter_distance": distance,
        "area": area,
    }
    unit = maps.definition(name).total_unit
    return Total(
        (average.value * area).to(unit),
        (average.uncertainty * area).to(unit),
        average.masked_fraction,
        assumptions,
        {source: (error * area).to(unit) for source, error in average.components.items()},
    )


def _region(maps: MapPlanes, region: Region) -> tuple[Any, str]:
    """Return the region that is meant, and its name in the record."""
    if isinstance(region, str) and region == "frame":
        return None, "frame"
    if region is not None:
        return region, "given"
    if maps.target is None:
        return None, "frame"
    if not maps.target.any():
        raise InvalidInputError(
            "These maps hold no pixel of their target: give a region, "
            'maps.total(name, region="frame") for all that they hold.'
        )
    return maps.target, "target"


def measure(maps: MapPlanes, name: str, region: PixelWeights, correlation: str) -> Total:
    """Average a property over a region, with area or its weight; NaN where nothing is left."""
    names = _parts(maps, name)
    solid_angles = maps._solid_angles[region.window] * region.weights
    valid = solid_angles > 0
    for part in names:
        valid &= ~maps.masks[part][region.window]
    areas = solid_angles[valid]
    off_image = region.outside * maps.pixel_solid_angle.to_value(u.arcsec**2)
    n_pixels = float(region.weights[valid].sum())
    bins, sizes = measurements(maps.bins, region.window, valid)
    inflation = measurement_inflation(sizes, n_pixels, maps.noise_scaling)
    estimates = [_estimate(maps, part)[region.window][valid].astype(float) for part in names]
    value, derivatives = _average(estimates, areas)
    if np.isnan(value):
        errors = {"pixels": np.nan}
    else:
        pixels = [
            _pixels(maps, part, region.window, valid, derivative)
            for part, derivative in zip(names, derivatives, strict=True)
        ]
        errors = standard_deviations(pixels, correlation, bins, inflation)
    assumptions = {
        "property": name,
        "combines": _describe_average(maps, names),
        "correlation": correlation,
        "shared_error_dex": maps.shared_error.get(name, 0.0),
        "variance_inflation": float(inflation.mean()) if len(inflation) else 1.0,
        "systematics": [source for source in errors if source in maps.systematics],
        "n_pixels": n_pixels,
        "n_measurements": len(sizes),
        "solid_angle": float(areas.sum()) * u.arcsec**2,
    }
    unit = maps.definition(name).unit
    whole = float(solid_angles.sum()) + off_image
    return Total(
        value * unit,
        float(np.sqrt(sum(error**2 for error in errors.values()))) * unit,
        max(1 - float(areas.sum()) / whole, 0.0) if len(areas) else 1.0,
        assumptions,
        {source: error * unit for source, error in errors.items()},
    )


def _estimate(maps: MapPlanes, name: str) -> npt.NDArray[np.floating]:
    """Return the plane that is summed: the mean, or the median where there is none."""
    planes = maps._planes(name)
    return planes.percentiles[PERCENTILES.index(50.0)] if planes.mean is None else planes.mean


def _describe_average(maps: MapPlanes, names: tuple[str, ...]) -> str:
    plane = "median" if maps._planes(names[0]).mean is None else "mean"
    weight = f"mean {names[1]} x area" if len(names) == 2 else "area"
    return f"average of {plane} {names[0]} weighted by {weight}"


def measurements(
    bins: npt.NDArray[np.int32] | None,
    window: tuple[slice, slice],
    valid: npt.NDArray[np.bool_],
) -> tuple[npt.NDArray[np.int64] | None, npt.NDArray[np.int64]]:
    """Return the number of each valid pixel's measurement (None: its own), and their sizes."""
    n = int(valid.sum())
    if bins is None:
        return None, np.broadcast_to(np.int64(1), n)
    labels = bins[window][valid].astype(np.int64)
    single = labels < 0
    labels[single] = -1 - np.arange(int(single.sum()))
    unique, measurement = np.unique(labels, return_inverse=True)
    whole, counts = np.unique(bins, return_counts=True)
    sizes = np.ones(len(unique), dtype=np.int64)
    sizes[unique >= 0] = counts[np.searchsorted(whole, unique[unique >= 0])]
    return measurement, sizes


def _average(
    estimates: list[npt.NDArray[np.float64]], areas: npt.NDArray[np.float64]
) -> tuple[float, list[npt.NDArray[np.float64]]]:
    """Return the average and its derivative by every pixel of every property."""
    weights = areas if len(estimates) == 1 else areas * estimates[1]
    norm = float(weights.sum())
    if not norm > 0:
        return float("nan"), []
    value = float(weights @ estimates[0]) / norm
    derivatives = [weights / norm]
    if len(estimates) == 2:
        derivatives.append(areas * (estimates[0] - value) / norm)
    return value, derivatives


def _pixels(
    maps: MapPlanes,
    name: str,
    window: tuple[slice, slice],
    valid: npt.NDArray[np.bool_],
    derivatives: npt.NDArray[np.float64],
) -> Pixels:
    """Collect what the error of a result needs to know about one property's pixels."""
    everything = bool(valid.all())

    def gather(array: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
        part = array[(..., *window)]
        # Without a copy where nothing is left out.
        return part.reshape(*part.shape[:-2], -1) if everything else part[..., valid]

    planes = maps._planes(name)
    return Pixels(
        derivatives,
        gather(_estimate(maps, name)),
        gather(planes.percentiles),
        None if planes.samples is None else gather(planes.samples),
        maps.shared_error.get(name, 0.0),
        {mode: gather(modes[name]) for mode, modes in maps.systematics.items() if name in modes},
        None if planes.shared is None else gather(planes.shared),
    )
