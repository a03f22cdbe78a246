"""Totals and averages over a region, with their uncertainty and what was assumed."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import astropy.units as u
import numpy as np
import numpy.typing as npt

from picasssso._core.html import html_table
from picasssso.exceptions import InvalidInputError, PicassssoWarning
from picasssso.maps.arrays import PERCENTILES
from picasssso.maps.propagation import ErrorSums, Pixels, measurement_inflation
from picasssso.maps.regions import PixelWeights, pixel_weights
from picasssso.quality import QualityFlag

if TYPE_CHECKING:
    from picasssso.maps.planes import MapPlanes
    from picasssso.maps.regions import Region

#: What may be said about the errors of different pixels.
CORRELATIONS = ("independent", "full")

#: Errors beyond this part of the value are given with the central 68 %.
_WIDE = 0.5

#: Working memory of sums over pixels, in bytes, and how much a pixel takes.
MEMORY_BUDGET, BYTES_PER_PIXEL = 64 * 2**20, 256


@dataclass(frozen=True, repr=False, eq=False)
class Total:
    """A property integrated or averaged over a region, as `PropertyMaps.total` describes it."""

    value: u.Quantity
    uncertainty: u.Quantity
    masked_fraction: float
    assumptions: Mapping[str, Any]
    components: Mapping[str, u.Quantity] = field(default_factory=dict)
    percentiles: u.Quantity | None = None

    def log10(self) -> tuple[float, float]:
        """Return log10 of the value, the mean, in its unit, and its error in dex.

        Returns
        -------
        tuple of float
            Logarithm and error; NaN where the value is not positive.

        Examples
        --------
        >>> import astropy.units as u
        >>> from picasssso.maps.totals import Total
        >>> total = Total(2e10 * u.Msun, 5e9 * u.Msun, 0.0, {})
        >>> mass, error = total.log10()
        >>> print(f"log10(M / Msun) = {mass:.2f} +/- {error:.2f}")
        log10(M / Msun) = 10.30 +/- 0.11
        """
        value, error = float(self.value.value), float(self.uncertainty.value)
        if not value > 0:
            return float("nan"), float("nan")
        return float(np.log10(value)), error / (value * float(np.log(10.0)))

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
        text = f"{_with_error(value, error)} {self.value.unit}".rstrip()
        return text + self._range() if error > _WIDE * abs(value) else text

    def _range(self) -> str:
        """Return the central 68 % in words, as wide errors are skewed; nothing if unknown."""
        if self.percentiles is None or not np.isfinite(self.percentiles.value).all():
            return ""
        low, high = (float(self.percentiles.value[PERCENTILES.index(p)]) for p in (16.0, 84.0))
        return f" (68 %: {low:.2g} to {high:.2g})"


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
        None if average.percentiles is None else (average.percentiles * area).to(unit),
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
    strips = _Strips(maps, names, region)
    found = _look_through(strips)
    sizes = bin_sizes(maps.bins, found.bins)
    # Of pixels that are measurements themselves, and of bins.
    single, inflation = (
        measurement_inflation(n, found.n_pixels, maps.noise_scaling)
        for n in (np.ones(1, np.int64), sizes)
    )
    errors, percentiles = {"pixels": np.nan}, np.full(len(PERCENTILES), np.nan)
    if not np.isnan(found.value):
        sums = ErrorSums(correlation, len(sizes))
        lowest = np.inf
        for pixels, bins in strips.pixels(found):
            sums.add(pixels, bins)
            lowest = min(lowest, float(pixels[0].percentiles[0].min(initial=np.inf)))
        if correlation == "samples" and len(sizes):
            for pixels, bins in strips.pixels(found):
                assert bins is not None
                sums.add_samples_of_bins(pixels, bins)
        errors = sums.standard_deviations(float(single[0]), inflation)
        percentiles = sums.percentiles(found.value, errors)
        if not maps.definition(name).is_surface_density:
            # No average of what is nowhere below zero is.
            percentiles = np.maximum(percentiles, min(lowest, found.value))
    n_measurements = found.n_single + len(sizes)
    factors = found.n_single * float(single[0]) + float(inflation.sum())
    plane = "median" if maps._planes(name).mean is None else "mean"
    weight = f"mean {names[1]} x area" if len(names) == 2 else "area"
    assumptions = {
        "property": name,
        "combines": f"average of {plane} {name} weighted by {weight}",
        "correlation": correlation,
        "shared_error_dex": maps.shared_error.get(name, 0.0),
        "variance_inflation": factors / n_measurements if n_measurements else 1.0,
        "systematics": [source for source in errors if source in maps.systematics],
        "n_pixels": found.n_pixels,
        "n_measurements": n_measurements,
        "solid_angle": found.area * u.arcsec**2,
    }
    unit = maps.definition(name).unit
    whole = found.whole_area + region.outside * maps.pixel_solid_angle.to_value(u.arcsec**2)
    return Total(
        found.value * unit,
        float(np.sqrt(sum(error**2 for error in errors.values()))) * unit,
        max(1 - found.area / whole, 0.0) if n_measurements else 1.0,
        assumptions,
        {source: error * unit for source, error in errors.items()},
        percentiles * unit,
    )


class _Strip(NamedTuple):
    """The pixels in some rows of a region.

    ``window``: where; ``valid``: which have values there; then for those, of shape (n,): how much
    of each is inside, its solid angle, estimates of the property and of its weight, and the
    number of its bin. ``whole_area``: of all, valid or not.
    """

    window: tuple[slice, slice]
    valid: npt.NDArray[np.bool_]
    inside: npt.NDArray[Any]
    areas: npt.NDArray[np.float64]
    estimates: list[npt.NDArray[np.float64]]
    bins: npt.NDArray[np.int64] | None
    whole_area: float

    @property
    def weights(self) -> npt.NDArray[np.float64]:
        """What the property is weighted with."""
        return self.areas if len(self.estimates) == 1 else self.areas * self.estimates[1]


class _Found(NamedTuple):
    """What there is in a region.

    ``value``: the average, and ``norm``, the sum of weights; ``n_pixels, area``: of what is valid,
    and of it all; ``bins``: their numbers, in order; ``n_single``: pixels that are in none.
    """

    value: float
    norm: float
    n_pixels: float
    area: float
    whole_area: float
    bins: npt.NDArray[np.int64]
    n_single: int


def _look_through(strips: _Strips) -> _Found:
    """Average, and count what there is."""
    sums = np.zeros(5)
    bins, n_single = np.zeros(0, np.int64), 0
    for strip in strips:
        weights = strip.weights
        sums += (
            float(weights @ strip.estimates[0]),
            float(weights.sum()),
            float(strip.inside.sum()),
            float(strip.areas.sum()),
            strip.whole_area,
        )
        n_single += len(weights)
        if strip.bins is not None:
            binned = strip.bins[strip.bins >= 0]
            n_single -= len(binned)
            bins = np.union1d(bins, binned)
    total, norm, n_pixels, area, whole = (float(value) for value in sums)
    value = total / norm if norm > 0 else float("nan")
    return _Found(value, norm, n_pixels, area, whole, bins, n_single)


class _Strips:
    """The pixels of a region, a few rows at a time, so that memory is bounded.

    ``names``: the property, and its weight if it has one.
    """

    def __init__(self, maps: MapPlanes, names: tuple[str, ...], region: PixelWeights) -> None:
        self._maps, self._names, self._region = maps, names, region
        columns = region.window[1]
        samples = (maps._planes(name).samples for name in names)
        n_samples = sum(0 if some is None else len(some) for some in samples)
        bytes_per_row = (columns.stop - columns.start) * (BYTES_PER_PIXEL + 8 * n_samples)
        self._step = max(MEMORY_BUDGET // max(bytes_per_row, 1), 1)
        self._only: _Strip | None = None

    def __iter__(self) -> Iterator[_Strip]:
        if self._only is not None:
            yield self._only
            return
        rows, columns = self._region.window
        for start in range(rows.start, rows.stop, self._step):
            strip = self._take(slice(start, min(start + self._step, rows.stop)), columns)
            if strip.window[0] == rows:
                self._only = strip
            yield strip

    def _take(self, rows: slice, columns: slice) -> _Strip:
        maps, window, first = self._maps, (rows, columns), self._region.window[0].start
        inside = self._region.weights[rows.start - first : rows.stop - first]
        areas = maps._solid_angles(window) * inside
        valid = areas > 0
        for name in self._names:
            valid &= ~np.isnan(maps._planes(name).percentiles[PERCENTILES.index(50.0)][window])
        return _Strip(
            window,
            valid,
            inside[valid],
            areas[valid],
            [_estimate(maps, name)[window][valid].astype(float) for name in self._names],
            None if maps.bins is None else maps.bins[window][valid].astype(np.int64),
            float(areas.sum()),
        )

    def pixels(self, found: _Found) -> Iterator[tuple[list[Pixels], npt.NDArray[np.int64] | None]]:
        """Yield what errors need to know about the pixels, and which of the bins they are in."""
        for strip in self:
            derivatives = [strip.weights / found.norm]
            if len(self._names) == 2:
                derivatives.append(strip.areas * (strip.estimates[0] - found.value) / found.norm)
            bins = None
            if strip.bins is not None:
                bins = np.where(strip.bins < 0, -1, np.searchsorted(found.bins, strip.bins))
            parts = [
                _pixels(self._maps, name, strip, derivative)
                for name, derivative in zip(self._names, derivatives, strict=True)
            ]
            yield parts, bins


def _estimate(maps: MapPlanes, name: str) -> npt.NDArray[np.floating]:
    """Return the plane that is summed: the mean, or the median where there is none."""
    planes = maps._planes(name)
    return planes.percentiles[PERCENTILES.index(50.0)] if planes.mean is None else planes.mean


def measurements(
    bins: npt.NDArray[np.int32] | None, window: tuple[slice, slice], valid: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.int64] | None, npt.NDArray[np.int64]]:
    """Return the number of each valid pixel's measurement (None: its own), and their sizes."""
    n = int(valid.sum())
    if bins is None:
        return None, np.broadcast_to(np.int64(1), n)
    labels = bins[window][valid].astype(np.int64)
    single = labels < 0
    labels[single] = -1 - np.arange(int(single.sum()))
    unique, measurement = np.unique(labels, return_inverse=True)
    sizes = np.ones(len(unique), dtype=np.int64)
    sizes[unique >= 0] = bin_sizes(bins, unique[unique >= 0])
    return measurement, sizes


def bin_sizes(
    bins: npt.NDArray[np.int32] | None, wanted: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Return how many pixels some bins, in order, have in the whole image."""
    sizes = np.zeros(len(wanted), np.int64)
    if bins is None or not len(wanted):
        return sizes
    step = max(MEMORY_BUDGET // (BYTES_PER_PIXEL * bins.shape[1]), 1)
    for start in range(0, len(bins), step):
        numbers, counts = np.unique(bins[start : start + step], return_counts=True)
        place = np.minimum(np.searchsorted(wanted, numbers), len(wanted) - 1)
        known = wanted[place] == numbers
        sizes[place[known]] += counts[known]
    return sizes


def _pixels(
    maps: MapPlanes, name: str, strip: _Strip, derivatives: npt.NDArray[np.float64]
) -> Pixels:
    """Collect what the error of a result needs to know about one property's pixels."""
    everything = bool(strip.valid.all())

    def gather(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        part = array[(..., *strip.window)]
        # Without a copy where nothing is left out.
        return part.reshape(*part.shape[:-2], -1) if everything else part[..., strip.valid]

    planes = maps._planes(name)
    return Pixels(
        derivatives,
        gather(_estimate(maps, name)),
        gather(planes.percentiles),
        None if planes.samples is None else gather(planes.samples),
        maps.shared_error.get(name, 0.0),
        {mode: gather(modes[name]) for mode, modes in maps.systematics.items() if name in modes},
        None if planes.shared is None else gather(planes.shared),
        None if planes.shared is None else (gather(maps.quality) & QualityFlag.NOT_DETECTED) == 0,
    )
