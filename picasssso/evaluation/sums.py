"""Totals and averages of maps in apertures and annuli, for many galaxies at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from picasssso.evaluation.apertures import Apertures
from picasssso.evaluation.stacks import MapStack, as_array
from picasssso.exceptions import InvalidInputError
from picasssso.maps.arrays import NORMAL_SCORES

FloatArray = npt.NDArray[np.floating]

#: Annuli of the paper: 0.5 half-mass radii wide, out to 5.
RADIAL_EDGES = tuple(np.arange(0, 5.01, 0.5).tolist())


def aperture_values(
    stack: MapStack,
    weights: Any,
    *,
    pixel_area: Any = 1.0,
    valid: Mapping[str, Any] | None = None,
) -> dict[str, FloatArray]:
    """Integrate surface densities and average intensive properties over apertures.

    ``weights``: how much of each pixel counts, as `Apertures.weights` gives it; ``pixel_area``:
    area of a pixel, kpc2; ``valid``: by property, which pixels may count: to sum a truth over
    the pixels that the estimate has (`MapStack.values` that are not NaN); returns totals in the
    property's unit times kpc2, or averages weighted as in `picasssso.maps.PropertyMaps.total`
    (an estimate with its own weight).

    Examples
    --------
    >>> import numpy as np
    >>> from picasssso.evaluation.stacks import MapStack
    >>> from picasssso.evaluation.sums import aperture_values
    >>> stack = MapStack({"stellar_mass": np.full((1, 4, 4), 1e8)})
    >>> float(aperture_values(stack, np.ones((1, 4, 4)), pixel_area=0.25)["stellar_mass"][0])
    400000000.0
    """
    fractions = as_array(weights)
    if fractions.shape != (len(stack), *stack.shape):
        raise InvalidInputError(
            f"The weights have shape {fractions.shape}: expected {(len(stack), *stack.shape)}, "
            "that of the maps."
        )
    results = {}
    for name in stack.values:
        top, bottom, count = _parts(stack, name, fractions, None if valid is None else valid)
        results[name] = _ratio(stack, name, top, bottom, count, as_array(pixel_area))
    return results


def radial_profiles(
    stack: MapStack,
    apertures: Apertures,
    edges: Sequence[float] = RADIAL_EDGES,
    *,
    valid: Mapping[str, Any] | None = None,
) -> dict[str, FloatArray]:
    """Average maps in elliptical annuli."""
    bounds = np.asarray(edges, dtype=float)
    if bounds.ndim != 1 or len(bounds) < 2 or bounds[0] < 0 or not (np.diff(bounds) > 0).all():
        raise InvalidInputError(
            f"edges={edges!r}: expected at least two radii that increase, in half-mass radii."
        )
    # An annulus is what a larger ellipse holds more than a smaller one.
    parts: dict[str, list[FloatArray]] = {name: [] for name in stack.values}
    seen = []
    for bound in bounds:
        inside = (
            np.zeros((len(stack), *stack.shape), np.float32)
            if bound == 0
            else apertures.weights(bound)
        )
        seen.append(inside.sum(axis=(1, 2), dtype=np.float64))
        for name, kept in parts.items():
            kept.append(np.stack(_parts(stack, name, inside, valid)))
    whole = np.pi * (apertures.axis_ratio * apertures.half_mass_radius**2)[:, None]
    shown = np.diff(np.stack(seen, axis=1), axis=1) / (whole * np.diff(bounds**2)) >= 0.5
    results = {}
    for name, kept in parts.items():
        top, bottom, count = np.diff(np.stack(kept, axis=2), axis=2)
        if stack.definitions[name].is_surface_density:
            bottom = count
        with np.errstate(divide="ignore", invalid="ignore"):
            results[name] = np.where(shown & (bottom > 1e-9), top / bottom, np.nan)
    return results


def normal_percentiles(value: Any, error: Any) -> FloatArray:
    """Return the stored percentiles of normal distributions.

    Examples
    --------
    >>> from picasssso.evaluation.sums import normal_percentiles
    >>> normal_percentiles([10.0], [1.0]).round(2).tolist()
    [[8.04, 9.01, 10.0, 10.99, 11.96]]
    """
    mean, sigma = as_array(value), as_array(error)
    ladder = np.reshape(NORMAL_SCORES, (1, -1, *(1,) * (mean.ndim - 1)))
    return mean[:, None] + ladder * sigma[:, None]


def _parts(
    stack: MapStack, name: str, fractions: FloatArray, valid: Mapping[str, Any] | None
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the sum of the property, of its weight, and of pixels that count, (n,) each."""
    values = stack.values[name]
    definition = stack.definitions[name]
    good = np.isfinite(values)
    if valid is not None and name in valid:
        good &= as_array(valid[name])
    factor: FloatArray = np.where(good, fractions, 0.0).astype(np.float64)
    count = factor.sum(axis=(1, 2))
    if not definition.is_surface_density and definition.weight is not None:
        if definition.weight not in stack.values:
            raise InvalidInputError(
                f"The average of {name!r} is weighted by {definition.weight!r}, of which there "
                f"are no maps; there are {', '.join(stack.values)}."
            )
        factor = factor * np.nan_to_num(stack.values[definition.weight])
    bottom = factor.sum(axis=(1, 2))
    top = (np.where(good, values, 0.0) * factor).sum(axis=(1, 2))
    return top, bottom, count


def _ratio(
    stack: MapStack,
    name: str,
    top: FloatArray,
    bottom: FloatArray,
    count: FloatArray,
    pixel_area: npt.NDArray[Any],
) -> FloatArray:
    if stack.definitions[name].is_surface_density:
        return np.where(count > 0, top * pixel_area, np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(bottom > 0, top / bottom, np.nan)
