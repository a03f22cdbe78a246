"""Checks at the door of `PropertyMaps`: what goes in is consistent, or it is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import astropy.units as u
import numpy as np
import numpy.typing as npt
from astropy.wcs import WCS

from picasssso._core.quiet import copy_wcs
from picasssso.exceptions import InvalidInputError, InvalidTypeError
from picasssso.maps.arrays import PERCENTILES, PropertyArrays
from picasssso.properties import Property, get_property
from picasssso.quality import QUALITY_DTYPE, QualityFlag

#: Percentiles may cross by rounding: by this fraction of their size, not more.
CROSSING_TOLERANCE = 1e-4

#: Relative difference allowed between a stated pixel solid angle and the WCS's.
SOLID_ANGLE_TOLERANCE = 0.05

Shape = tuple[int, int]


def read_only(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return a read-only view in native byte order; a copy only if the order is foreign."""
    view = array.astype(array.dtype.newbyteorder("="), copy=False).view()
    view.flags.writeable = False
    return view


def check_definitions(
    names: Iterable[str], definitions: Mapping[str, Property] | None
) -> dict[str, Property]:
    """Return the definition of every property mapped."""
    given = dict(definitions or {})
    for name, definition in given.items():
        if not isinstance(definition, Property):
            raise InvalidTypeError(
                f"definitions[{name!r}] is of type {type(definition).__name__}: expected a "
                "picasssso.properties.Property."
            )
        if definition.name != name:
            raise InvalidInputError(
                f"definitions[{name!r}] defines {definition.name!r}: expected the same name."
            )
    names = tuple(names)
    unused = sorted(set(given) - set(names))
    if unused:
        raise InvalidInputError(
            f"definitions hold {', '.join(unused)}, of which there is no map: the maps are "
            f"{', '.join(names)}."
        )
    return {name: given[name] if name in given else get_property(name) for name in names}


def _as_planes(array: Any, name: str) -> npt.NDArray[np.floating]:
    """Return an array of floats of at least 32 bits in native byte order."""
    planes = np.asarray(array)
    if planes.dtype.kind not in "fiu":
        raise InvalidTypeError(
            f"{name} has the type {planes.dtype}: expected real numbers in the property's unit."
        )
    if planes.dtype.kind != "f":
        return planes.astype(np.float64)
    wide = np.promote_types(planes.dtype, np.float32).newbyteorder("=")
    return planes.astype(wide, copy=False)


def check_arrays(
    arrays: Mapping[str, PropertyArrays],
    definitions: Mapping[str, Property],
    quality: npt.NDArray[np.int32],
) -> dict[str, PropertyArrays]:
    """Check the planes and make NaN whatever is masked, in all planes alike."""
    checked = {}
    no_data = (quality & int(QualityFlag.NO_DATA)) != 0
    for name, planes in arrays.items():
        held = {
            key: _as_planes(array, f"{key} of {name!r}")
            for key, array in vars(planes).items()
            if array is not None and key != "quality"
        }
        if "mean" not in held and definitions[name].is_surface_density:
            raise InvalidInputError(
                f"{name!r} is a surface density without a mean: give PropertyArrays(..., "
                "mean=...), since sums of medians are not totals."
            )
        masked = no_data | ~np.isfinite(held["percentiles"]).all(axis=0)
        if "mean" in held:
            masked |= ~np.isfinite(held["mean"])
        checked[name] = PropertyArrays(**{k: _with_nan(a, masked) for k, a in held.items()})
        _check_order(name, checked[name].percentiles)
    _check_sample_numbers(checked)
    return checked


def _with_nan(planes: npt.NDArray[Any], masked: npt.NDArray[np.bool_]) -> npt.NDArray[Any]:
    """Return read-only planes, NaN where masked; no copy if they are NaN there already."""
    if np.isnan(planes[..., masked]).all():
        return read_only(planes)
    return read_only(np.where(masked, planes.dtype.type(np.nan), planes))


def _check_order(name: str, percentiles: npt.NDArray[np.floating]) -> None:
    for low, high, lower, upper in zip(
        PERCENTILES, PERCENTILES[1:], percentiles, percentiles[1:], strict=False
    ):
        tolerance = CROSSING_TOLERANCE * np.maximum(np.abs(lower), np.abs(upper))
        crossing = np.argwhere(lower - upper > tolerance)
        if len(crossing):
            y, x = crossing[0]
            raise InvalidInputError(
                f"Percentiles of {name!r} cross in {len(crossing)} pixels: at (y, x) = ({y}, {x}) "
                f"the {low:g} % point is {lower[y, x]:g} and the {high:g} % point "
                f"{upper[y, x]:g}; expected planes in the order {PERCENTILES}."
            )


def _check_sample_numbers(arrays: Mapping[str, PropertyArrays]) -> None:
    numbers = {name: len(a.samples) for name, a in arrays.items() if a.samples is not None}
    if len(set(numbers.values())) > 1 or 0 in numbers.values():
        raise InvalidInputError(
            f"Properties hold these numbers of samples: {numbers}; expected the same number of "
            "at least 1 for all, since the k-th of each belong together."
        )


def check_quality(
    quality: npt.ArrayLike | None, arrays: Mapping[str, PropertyArrays]
) -> npt.NDArray[np.int32]:
    """Return the quality plane; all properties must have one shape."""
    if not isinstance(arrays, Mapping):
        raise InvalidTypeError(
            f"The arrays are of type {type(arrays).__name__}: expected a mapping from property "
            "name to PropertyArrays."
        )
    if not arrays:
        raise InvalidInputError("There are no arrays: expected at least one property.")
    for name, planes in arrays.items():
        if not isinstance(planes, PropertyArrays):
            raise InvalidTypeError(
                f"{name!r} is of type {type(planes).__name__}: expected "
                "picasssso.maps.PropertyArrays(percentiles, mean=...)."
            )
    first, planes = next(iter(arrays.items()))
    shape = planes.shape
    for name, planes in arrays.items():
        if planes.shape != shape:
            raise InvalidInputError(
                f"{name!r} has shape {planes.shape} and {first!r} has {shape}: expected one "
                "shape for all properties."
            )
    if 0 in shape:
        raise InvalidInputError(f"The maps have shape {shape}: expected at least one pixel.")
    if quality is None:
        combined = np.zeros(shape, QUALITY_DTYPE)
        for planes in arrays.values():
            if planes.quality is not None:
                combined |= planes.quality.astype(QUALITY_DTYPE)
        return read_only(combined)
    return _whole_number_plane(quality, "quality", shape)


def _whole_number_plane(plane: npt.ArrayLike, name: str, shape: Shape) -> npt.NDArray[np.int32]:
    array = np.asarray(plane)
    if array.dtype.kind not in "iu":
        raise InvalidTypeError(f"{name} has the type {array.dtype}: expected whole numbers.")
    if array.shape != shape:
        raise InvalidInputError(
            f"{name} has shape {array.shape}: expected {shape}, that of the maps."
        )
    limits = np.iinfo(np.int32)
    if array.min() < limits.min or array.max() > limits.max:
        raise InvalidInputError(f"{name} holds numbers that do not fit 32 bits.")
    return read_only(array.astype(np.int32, copy=False))


def check_bins(bins: npt.ArrayLike | None, shape: Shape) -> npt.NDArray[np.int32] | None:
    """Return the plane of bin numbers, negative for none, read-only."""
    return None if bins is None else _whole_number_plane(bins, "bins", shape)


def check_target(target: npt.ArrayLike | None, shape: Shape) -> npt.NDArray[np.bool_] | None:
    """Return the plane of the target's pixels, read-only."""
    if target is None:
        return None
    plane = np.asarray(target)
    if plane.dtype != bool:
        raise InvalidTypeError(f"target has the type {plane.dtype}: expected booleans.")
    if plane.shape != shape:
        raise InvalidInputError(
            f"target has shape {plane.shape}: expected {shape}, that of the maps."
        )
    return read_only(plane)


def check_wcs(wcs: Any) -> WCS | None:
    """Return the WCS if maps can stand on it."""
    if wcs is None:
        return None
    if not isinstance(wcs, WCS):
        raise InvalidTypeError(
            f"wcs is of type {type(wcs).__name__}: expected an astropy.wcs.WCS or None."
        )
    if wcs.naxis != 2 or not wcs.has_celestial:
        raise InvalidInputError(
            f"wcs has {wcs.naxis} axes of types {list(wcs.wcs.ctype)}: expected two celestial "
            "axes; wcs.celestial selects them."
        )
    return copy_wcs(wcs)


def check_solid_angle(
    solid_angle: u.Quantity | None, from_wcs: u.Quantity | None
) -> u.Quantity | None:
    """Return the solid angle of a pixel in arcsec2, where there is no WCS to tell it."""
    if solid_angle is None:
        if from_wcs is None:
            raise InvalidInputError(
                "There is neither wcs= nor pixel_solid_angle=: expected one of them, since areas "
                "are needed; for example pixel_solid_angle=(0.396 * u.arcsec) ** 2."
            )
        return from_wcs
    given = _positive(solid_angle, "pixel_solid_angle", u.arcsec**2, "0.157 * u.arcsec**2")
    if from_wcs is None:
        return given
    if abs(given / from_wcs - 1) > SOLID_ANGLE_TOLERANCE:
        raise InvalidInputError(
            f"pixel_solid_angle={given:.4g} contradicts the WCS, whose central pixel has "
            f"{from_wcs:.4g}: leave it out."
        )
    return from_wcs


def _positive(value: Any, name: str, unit: u.UnitBase, example: str) -> u.Quantity:
    try:
        given = u.Quantity(value).to(unit)
    except (u.UnitConversionError, TypeError):
        raise InvalidInputError(
            f"{name}={value!r}: expected a Quantity such as {example}."
        ) from None
    if not given.isscalar or not np.isfinite(given) or given <= 0:
        raise InvalidInputError(f"{name}={value!r}: expected one positive, finite value.")
    return given


def check_distance(
    redshift: float | None, luminosity_distance: u.Quantity | None
) -> tuple[float | None, u.Quantity | None]:
    """Return redshift and luminosity distance in Mpc."""
    if redshift is not None:
        try:
            redshift = float(u.Quantity(redshift).to_value(u.dimensionless_unscaled))
        except (TypeError, ValueError):
            raise InvalidInputError(f"redshift={redshift!r}: expected a number.") from None
        if not np.isfinite(redshift) or redshift <= -1:
            raise InvalidInputError(f"redshift={redshift!r}: expected a finite value above -1.")
    if luminosity_distance is None:
        return redshift, None
    distance = _positive(luminosity_distance, "luminosity_distance", u.Mpc, "40 * u.Mpc")
    if redshift is None:
        raise InvalidInputError(
            "There is a luminosity_distance= without redshift=: expected both, since areas need "
            "the angular diameter distance, D_L / (1 + z)^2."
        )
    return redshift, distance


def check_shared_error(
    shared_error: Mapping[str, float] | None, names: Iterable[str]
) -> dict[str, float]:
    """Return the errors that all pixels share, dex, by property."""
    errors = {name: float(value) for name, value in (shared_error or {}).items()}
    for name, value in errors.items():
        if name not in tuple(names):
            raise InvalidInputError(
                f"shared_error has {name!r}, of which there is no map: the maps are "
                f"{', '.join(names)}."
            )
        if not np.isfinite(value) or value < 0:
            raise InvalidInputError(
                f"shared_error[{name!r}] is {value}: expected a finite number of dex, 0 or more."
            )
    return errors


def check_systematics(
    systematics: Mapping[str, Mapping[str, npt.ArrayLike]] | None,
    names: Iterable[str],
    shape: Shape,
) -> dict[str, dict[str, npt.NDArray[np.floating]]]:
    """Return the maps of how properties move with errors that pixels share."""
    names = tuple(names)
    checked: dict[str, dict[str, npt.NDArray[np.floating]]] = {}
    for mode, planes in (systematics or {}).items():
        checked[str(mode)] = {}
        for name, plane in planes.items():
            if name not in names:
                raise InvalidInputError(
                    f"systematics[{mode!r}] has {name!r}, of which there is no map: the maps are "
                    f"{', '.join(names)}."
                )
            array = _as_planes(plane, f"systematics[{mode!r}][{name!r}]")
            if array.shape != shape:
                raise InvalidInputError(
                    f"systematics[{mode!r}][{name!r}] has shape {array.shape}: expected {shape}, "
                    "that of the maps."
                )
            checked[str(mode)][name] = read_only(array)
    return checked


def check_noise_scaling(noise_scaling: Any) -> Callable[[float], float] | None:
    """Return the variance inflation if it can be called."""
    if noise_scaling is not None and not callable(noise_scaling):
        raise InvalidTypeError(
            f"noise_scaling is of type {type(noise_scaling).__name__}: expected a NoiseScaling, "
            "or a function from the number of pixels to the variance inflation."
        )
    return noise_scaling


def percentile_extensions(name: str) -> list[str]:
    """Return the extensions of the percentiles of a property; the median has the bare name."""
    names = [f"{name}_P{round(10 * q):03d}".upper() for q in PERCENTILES]
    names[PERCENTILES.index(50.0)] = name.upper()
    return names


def check_extension_names(names: tuple[str, ...]) -> None:
    """Make sure that no two planes of a file would have the same name."""
    taken = {
        "QUALITY": "the quality plane",
        "BINS": "the bins",
        "TARGET": "the target",
        "META": "the records",
    }
    for name in names:
        suffixes = ("MEAN", "MASK", "SAMPLES", "SHARED")
        for extension in (
            *percentile_extensions(name),
            *(f"{name}_{suffix}".upper() for suffix in suffixes),
        ):
            if extension in taken:
                raise InvalidInputError(
                    f"The property {name!r} needs the plane {extension}, which is that of "
                    f"{taken[extension]}: choose another name."
                )
            taken[extension] = f"{name!r}"
