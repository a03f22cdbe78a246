"""Images cut from a cube with one plane per band."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import astropy.units as u
import numpy as np
from astropy.nddata import NDData, NDUncertainty, StdDevUncertainty
from astropy.wcs import WCS

from picasssso.bands.flux_units import parse_unit
from picasssso.exceptions import InvalidInputError


def list_cube(
    cube: Any,
    bands: Sequence[str] | None,
    unit: Any,
    *,
    wcs: WCS | None,
    uncertainty: Any,
    mask: Any,
) -> list[tuple[str, NDData]]:
    """Cut a cube (bands, y, x) into (band, NDData), views of it; see `BandImages.from_cube`."""
    expected = "expected the name of each plane, for example bands=['sdss2010-g', 'sdss2010-r']"
    if isinstance(bands, str) or not isinstance(bands, Sequence) or len(bands) == 0:
        raise InvalidInputError(
            f"Cube: found bands={bands!r}, {expected}. Some files list them as BAND0, BAND1 ... "
            "in the header."
        )
    own = cube.unit if isinstance(cube, NDData | u.Quantity) else None
    if None not in (own, unit) and parse_unit(unit, "all", "unit") != own:
        raise InvalidInputError(
            f"Cube: found a cube in {own} and unit={str(unit)!r}, expected one unit. Leave unit= "
            "out; or, if the cube's is wrong, give its plain numbers."
        )
    if isinstance(cube, NDData):
        wcs = cube.wcs if wcs is None else wcs
        unit = cube.unit if unit is None else unit
        uncertainty = cube.uncertainty if uncertainty is None else uncertainty
        mask = cube.mask if mask is None else mask
        cube = cube.data
    elif isinstance(cube, u.Quantity):
        unit = cube.unit if unit is None else unit
        cube = cube.value
    array = np.asanyarray(cube)
    if array.ndim != 3 or array.shape[0] != len(bands):
        hint = ""
        if array.ndim == 3 and array.shape[-1] == len(bands):
            hint = " Bring the bands first: np.moveaxis(cube, -1, 0)."
        raise InvalidInputError(
            f"Cube: found shape {array.shape} for {len(bands)} bands, expected "
            f"({len(bands)}, y, x).{hint}"
        )
    if unit is None:
        raise InvalidInputError(
            "Cube: found no unit, expected unit=, for example unit='nmgy'. It is never guessed."
        )
    if isinstance(wcs, WCS) and wcs.naxis > 2 and wcs.has_celestial:
        wcs = wcs.celestial
    if uncertainty is not None and not isinstance(uncertainty, NDUncertainty):
        uncertainty = StdDevUncertainty(np.asanyarray(uncertainty), copy=False)
    if uncertainty is not None and np.shape(uncertainty.array) != array.shape:
        raise InvalidInputError(
            f"Cube: found an uncertainty of shape {np.shape(uncertainty.array)}, expected that of "
            f"the cube, {array.shape}."
        )
    if mask is not None and np.shape(mask) not in (array.shape, array.shape[1:]):
        raise InvalidInputError(
            f"Cube: found a mask of shape {np.shape(mask)}, expected {array.shape} or "
            f"{array.shape[1:]}."
        )
    planes = None if mask is None else np.broadcast_to(mask, array.shape)
    images = []
    for k, band in enumerate(bands):
        one = NDData(
            array[k],
            unit=parse_unit(unit, str(band), "unit"),
            wcs=wcs,
            mask=None if planes is None else planes[k],
        )
        if uncertainty is not None:
            one.uncertainty = type(uncertainty)(
                uncertainty.array[k], unit=uncertainty.unit, copy=False
            )
        images.append((band, one))
    return images
