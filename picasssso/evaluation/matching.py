"""Two sets of maps of one galaxy on the same pixels, at the same resolution, in the same units."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import product
from typing import Any

import astropy.units as u
import numpy as np
import numpy.typing as npt

from picasssso.bands.pixels import sky_center
from picasssso.evaluation.evaluation import LARGEST_OFFSET, corner_offset, resolution_of
from picasssso.exceptions import InvalidInputError, InvalidTypeError, PicassssoWarning
from picasssso.maps import PropertyMaps
from picasssso.maps.arrays import PERCENTILES

FloatArray = npt.NDArray[np.floating]

_FWHM = 2.3548
_WORDS = ("first", "second")
#: Part of a pixel that must be known for it to have a value.
_LEAST_COVERED = 0.5
#: Relative difference up to which two sides of pixels are the same.
_SAME_SCALE = 0.02
#: Relative difference up to which two redshifts or distances are one.
_SAME_DISTANCE = 0.02


def match_maps(
    first: PropertyMaps, second: PropertyMaps
) -> tuple[PropertyMaps, PropertyMaps, list[str]]:
    """Return both maps at the coarser pixels and resolution, in the units of the first.

    Also returns a description of the steps. Surface densities are averaged over area, other
    properties with their weights; errors of the pixels that are averaged are taken to be fully
    correlated unless there are joint samples. Matching maps are returned unchanged.
    """
    notes: list[str] = []
    for word, maps in zip(_WORDS, (first, second), strict=True):
        if not isinstance(maps, PropertyMaps):
            raise InvalidTypeError(
                f"The {word} is of type {type(maps).__name__}: expected PropertyMaps, such as "
                "PropertyMaps.read or picasssso.ifu.read_maps return."
            )
    first, second = _with_distances(first, second, notes)
    if supposed := _suppose_one_distance(first, second):
        notes.append(supposed)
        warnings.warn(f"{supposed[0].upper()}{supposed[1:]}.", PicassssoWarning, stacklevel=3)
    second = _in_units_of(first, second, notes)
    pair = [first, second]
    widths = [0.0, 0.0]
    fwhm = [resolution_of(maps) for maps in pair]
    sharp, blurred = fwhm
    if sharp is None or blurred is None:
        which = "both" if sharp == blurred else ("the second", "the first")[sharp is None]
        notes.append(f"resolution of {which} unknown: compared as they are")
    elif abs(sharp - blurred) > 0.1 * max(sharp, blurred):
        k = int(sharp > blurred)
        sharp, blurred = sorted((sharp, blurred))
        widths[k] = float(np.sqrt(blurred**2 - sharp**2))
        notes.append(f'{_WORDS[k]} blurred from {sharp:.3g}" to {blurred:.3g}" (FWHM)')
    regrid: list[_Regrid | None] = [None, None]
    offset = corner_offset(first, second)
    scale = [float(maps.pixel_solid_angle.to_value(u.arcsec**2)) ** 0.5 for maps in pair]
    if None in (first.wcs, second.wcs) and abs(scale[0] - scale[1]) > _SAME_SCALE * max(scale):
        raise InvalidInputError(
            f'The maps have pixels of {scale[0]:.3g}" and {scale[1]:.3g}", and not both have a '
            "WCS: expected the same pixels, or a WCS to match them by."
        )
    if first.shape != second.shape or offset > LARGEST_OFFSET:
        if first.wcs is None or second.wcs is None:
            raise InvalidInputError(
                f"The maps have shapes {first.shape} and {second.shape}, and not both have a "
                "WCS: expected the same pixels, or a WCS to match them by."
            )
        k = 0 if scale[0] < 0.99 * scale[1] else 1  # which is brought to the other's pixels
        grid = _Regrid(pair[k], pair[1 - k])
        if not grid.matrix.nnz:
            raise _elsewhere(first, second)
        regrid[k] = grid
        notes.append(
            f'{_WORDS[k]} brought from pixels of {scale[k]:.3g}" to those of the '
            f'{_WORDS[1 - k]}, {scale[1 - k]:.3g}"'
        )
    moved = [
        _moved(maps, width, grid) if width or grid is not None else maps
        for maps, width, grid in zip(pair, widths, regrid, strict=True)
    ]
    return moved[0], moved[1], notes


def _elsewhere(first: PropertyMaps, second: PropertyMaps) -> InvalidInputError:
    """Return the error for two sets of maps without common area on the sky."""
    centers = [sky_center(maps.wcs, maps.shape) for maps in (first, second) if maps.wcs]
    one, other = (center.to_string("decimal", precision=4) for center in centers)
    apart = centers[0].separation(centers[1])
    apart = apart.to(u.deg if apart > 0.1 * u.deg else u.arcsec)
    return InvalidInputError(
        f"The maps lie elsewhere on the sky: the first around {one}, the second around {other} "
        f"(degrees), {apart:.3g} apart. Expected two sets of maps of one galaxy."
    )


def _with_distances(
    first: PropertyMaps, second: PropertyMaps, notes: list[str]
) -> tuple[PropertyMaps, PropertyMaps]:
    """Assign the distance of one set of maps to the other if that has none."""
    pair = [first, second]
    for k in (0, 1):
        known = pair[1 - k]
        if pair[k].luminosity_distance is not None or known.luminosity_distance is None:
            continue
        arguments = pair[k]._arguments()
        arguments |= {"redshift": known.redshift, "luminosity_distance": known.luminosity_distance}
        pair[k] = PropertyMaps({name: pair[k]._planes(name) for name in pair[k]}, **arguments)
        notes.append(f"no distance in the {_WORDS[k]}: that of the {_WORDS[1 - k]}")
    return pair[0], pair[1]


def _suppose_one_distance(first: PropertyMaps, second: PropertyMaps) -> str | None:
    """Return notes on different redshifts or distances of two sets of maps."""
    names = ("redshift", "luminosity_distance")
    for name in names:
        one, other = getattr(first, name), getattr(second, name)
        if one is None or other is None or abs(one - other) <= _SAME_DISTANCE * max(one, other):
            continue
        return (
            f"the {name.replace('_', ' ')} is {one:.4g} in the first and {other:.4g} in the "
            "second: masses and rates differ by that alone"
        )
    return None


def _in_units_of(first: PropertyMaps, second: PropertyMaps, notes: list[str]) -> PropertyMaps:
    """Convert maps to the units of others."""
    factors = {}
    for name in second:
        if name not in first or first.definition(name).unit == second.definition(name).unit:
            continue
        units = [maps.definition(name).unit for maps in (second, first)]
        try:
            factors[name] = float(units[0].to(units[1]))
        except u.UnitConversionError:
            raise InvalidInputError(
                f"{name!r} is in {units[1]} in the first and in {units[0]} in the second: "
                "expected units that can be converted."
            ) from None
        notes.append(f"second: {name} converted from {units[0]} to {units[1]}")
    if not factors:
        return second
    scale = {name: factors.get(name, 1.0) for name in second}
    options = second._arguments()
    options["definitions"] = {
        name: (first if name in factors else second).definition(name) for name in second
    }
    return _with_arrays(
        second, lambda name, planes: planes * planes.dtype.type(scale[name]), options
    )


class _Regrid:
    """Averages planes (n, y, x) over the pixels of another grid.

    Each pixel is sampled at as many places as it has source pixels, interpolated linearly: exact
    for whole shifts and whole numbers of pixels, and the overlap of areas for other shifts.
    """

    def __init__(self, source: PropertyMaps, target: PropertyMaps) -> None:
        from scipy.sparse import csr_array

        self.wcs, self.shape = target.wcs, target.shape
        assert source.wcs is not None
        assert self.wcs is not None
        area = target.pixel_solid_angle / source.pixel_solid_angle
        number = max(1, round(float(area) ** 0.5))
        steps = (np.arange(number) + 0.5) / number - 0.5
        y, x = np.indices(self.shape).reshape(2, -1)
        height, width = source.shape
        rows, columns, shares = [], [], []
        for dy, dx in product(steps, steps):
            at = source.wcs.world_to_pixel(self.wcs.pixel_to_world(x + dx, y + dy))
            # Rounding of coordinates is no shift.
            low = [np.floor(np.nan_to_num(k, nan=-9.0) + 1e-6).astype(int) for k in at]
            for right, up in product((0, 1), (0, 1)):
                column, row = low[0] + right, low[1] + up
                share = np.maximum(1 - abs(at[0] - column), 0) * np.maximum(
                    1 - abs(at[1] - row), 0
                )
                good = (share > 1e-6) & (column >= 0) & (column < width) & (row >= 0)
                good &= row < height
                rows.append(np.flatnonzero(good))
                columns.append((row * width + column)[good])
                shares.append(share[good] / number**2)
        entries = np.concatenate(shares), (np.concatenate(rows), np.concatenate(columns))
        self.matrix = csr_array(entries, shape=(x.size, height * width))

    def __call__(self, planes: FloatArray) -> FloatArray:
        found = self.matrix @ planes.reshape(len(planes), -1).T.astype(float)
        return np.ascontiguousarray(found.T).reshape(-1, *self.shape)


def _moved(maps: PropertyMaps, fwhm: float, regrid: _Regrid | None) -> PropertyMaps:
    """Return maps blurred (fwhm in arcsec) and on another grid."""
    from scipy.ndimage import gaussian_filter

    pixel = float(maps.pixel_solid_angle.to_value(u.arcsec**2)) ** 0.5
    sigma = fwhm / _FWHM / pixel

    def average(planes: FloatArray) -> FloatArray:
        if sigma:
            planes = gaussian_filter(planes, (0, sigma, sigma), mode="constant", truncate=5)
        return planes if regrid is None else regrid(planes)

    inside = average(np.ones((1, *maps.shape)))[0]
    norms: dict[str, tuple[FloatArray, FloatArray]] = {}

    def move(name: str, planes: FloatArray) -> FloatArray:
        if name not in norms:
            weight = _weight(maps, name)
            known = average(np.stack([weight, (weight > 0).astype(float)]))
            bad = known[1] < _LEAST_COVERED * np.maximum(inside, 1e-9)
            bad |= (inside < _LEAST_COVERED) & (regrid is not None)
            norms[name] = weight, np.where(bad | (known[0] <= 0), np.nan, known[0])
        weight, norm = norms[name]
        return average(np.where(weight > 0, planes, 0.0) * weight) / norm

    options = maps._arguments()
    target = None if maps.target is None else average(maps.target[None].astype(float))[0] > 0.5
    options |= {"bins": None, "target": target}
    if regrid is not None:
        options |= {"wcs": regrid.wcs, "pixel_solid_angle": None}
    return _with_arrays(maps, move, options)


def _weight(maps: PropertyMaps, name: str) -> FloatArray:
    """Return the weights for averaging pixels; 0 where there is no value."""
    definition = maps.definition(name)
    known = ~maps.masks[name]
    weight = definition.weight or "stellar_mass"
    if definition.is_surface_density or weight not in maps:
        return known.astype(float)
    values = np.maximum(np.nan_to_num(maps.mean(weight).value.astype(float)), 0.0)
    return np.where(known, values, 0.0)


def _with_arrays(
    maps: PropertyMaps, change: Callable[[str, FloatArray], FloatArray], options: dict[str, Any]
) -> PropertyMaps:
    """Return maps with changed planes; percentiles follow from samples where there are any."""

    def changed(name: str, plane: FloatArray) -> FloatArray:
        return change(name, plane) if plane.ndim == 3 else change(name, plane[None])[0]

    arrays = {name: maps._planes(name)._mapped(partial(changed, name)) for name in maps}
    for name, planes in arrays.items():
        if planes.samples is not None:
            percentiles = np.percentile(planes.samples, PERCENTILES, axis=0)
            arrays[name] = replace(planes, percentiles=percentiles)
    options["systematics"] = {
        mode: {name: changed(name, np.asarray(plane)) for name, plane in planes.items()}
        for mode, planes in maps.systematics.items()
    }
    return PropertyMaps(arrays, **options | {"quality": None})
