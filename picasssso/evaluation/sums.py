"""Totals and averages of maps in apertures and annuli, for many galaxies at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from picasssso.evaluation.apertures import Apertures
from picasssso.evaluation.stacks import MapStack, as_array, log10_positive
from picasssso.exceptions import InvalidInputError
from picasssso.maps.arrays import NORMAL_SCORES

FloatArray = npt.NDArray[np.floating]

#: Annuli of the paper: 0.5 half-mass radii wide, out to 5.
RADIAL_EDGES = tuple(np.arange(0, 5.01, 0.5).tolist())


def aperture_values(
    stack: MapStack, weights: Any, *, pixel_area: Any = 1.0, valid: Mapping[str, Any] | None = None
) -> dict[str, FloatArray]:
    """Integrate surface densities and average intensive properties over apertures.

    ``weights``: fraction of each pixel inside the aperture, as returned by `Apertures.weights`;
    ``pixel_area``: area of a pixel in kpc2; ``valid``: by property, pixels that are included, for
    example those of an estimate in sums of the truth. Returns totals in the unit of the property
    times kpc2, or averages weighted as in `picasssso.maps.PropertyMaps.total` (estimates with
    their own weight).
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
    """Return the stored percentiles of normal distributions."""
    mean, sigma = as_array(value), as_array(error)
    ladder = np.reshape(NORMAL_SCORES, (1, -1, *(1,) * (mean.ndim - 1)))
    return mean[:, None] + ladder * sigma[:, None]


def _parts(
    stack: MapStack, name: str, fractions: FloatArray, valid: Mapping[str, Any] | None
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the sums of the property, of its weight, and of included pixels, (n,) each."""
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


def radial_gradients(
    profiles: Any,
    edges: Sequence[float] = RADIAL_EDGES,
    *,
    inner: float = 0.0,
    outer: float = 2.0,
    logarithmic: bool = True,
) -> FloatArray:
    """Fit straight lines to radial profiles.

    Returns slope in dex (or units) per half-mass radius, against the mean radius of each
    annulus' area; NaN where fewer than two annuli have a value (a positive one, for a
    logarithm).
    """
    values: FloatArray = as_array(profiles).astype(np.float64)
    bounds = np.asarray(edges, dtype=float)
    if values.ndim != 2 or values.shape[1] != len(bounds) - 1:
        raise InvalidInputError(
            f"The profiles have shape {values.shape}: expected (n, {len(bounds) - 1}), one value "
            f"for each of the annuli between {len(bounds)} edges."
        )
    # Mean radius of the annulus' area.
    radius = 2 / 3 * np.diff(bounds**3) / np.diff(bounds**2)
    if logarithmic:
        values = log10_positive(values)
    used = np.isfinite(values) & (bounds[:-1] >= inner - 1e-9) & (bounds[1:] <= outer + 1e-9)
    number = used.sum(axis=1)
    safe = np.maximum(number, 1)
    filled = np.where(used, values, 0)
    mean_r = (used * radius).sum(axis=1) / safe
    mean_v = filled.sum(axis=1) / safe
    offset = np.where(used, radius - mean_r[:, None], 0)
    top = (offset * (filled - mean_v[:, None])).sum(axis=1)
    bottom = (offset**2).sum(axis=1)
    return np.where((number > 1) & (bottom > 0), top / np.maximum(bottom, 1e-30), np.nan)
