"""Maps derived from other maps."""

from __future__ import annotations

from typing import Any, TypeVar

import astropy.units as u
import numpy as np

from picasssso.exceptions import InvalidInputError
from picasssso.maps.arrays import PERCENTILES, PropertyArrays
from picasssso.maps.planes import MapPlanes
from picasssso.properties import Property

Maps = TypeVar("Maps", bound=MapPlanes)

_MEDIAN = PERCENTILES.index(50.0)

SPECIFIC_SFR = Property(
    "specific_sfr",
    u.Unit("1 / Gyr"),
    "intensive",
    "stellar_mass",
    "specific star formation rate",
    "star formation rate over stellar mass, as both are defined",
    "plasma",
)


def add_specific_sfr(maps: Maps) -> Maps:
    """Return maps with the specific star formation rate; see `PropertyMaps.with_specific_sfr`."""
    missing = [name for name in ("sfr", "stellar_mass") if name not in maps]
    if missing:
        raise InvalidInputError(
            f"The specific star formation rate needs {' and '.join(missing)}, of which there is "
            f"no map: the maps are {', '.join(maps)}. Use an estimator that gives both."
        )
    rate, mass = maps._planes("sfr"), maps._planes("stellar_mass")
    units = maps.definition("sfr").unit / maps.definition("stellar_mass").unit
    factor = float(units.to(SPECIFIC_SFR.unit))
    assert rate.mean is not None
    assert mass.mean is not None
    samples, how = None, "independent errors of sfr and stellar_mass"
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.where(mass.mean > 0, factor * rate.mean / mass.mean, np.nan)
        if rate.samples is not None and mass.samples is not None and len(rate.samples) > 1:
            how = "joint samples"
            samples = np.where(mass.samples > 0, factor * rate.samples / mass.samples, np.nan)
            percentiles = np.percentile(samples, PERCENTILES, axis=0)
        else:
            # In logarithms, where both are closest to normal; no star formation stays none.
            r, m = rate.percentiles.astype(float), mass.percentiles.astype(float)
            middle = factor * r[_MEDIAN] / m[_MEDIAN]
            spread = np.hypot(np.log(r / r[_MEDIAN]), np.log(m[::-1] / m[_MEDIAN]))
            sign = np.sign(np.asarray(PERCENTILES) - 50.0)[:, None, None]
            percentiles = middle * np.exp(sign * spread)
            percentiles = np.where(r[_MEDIAN] > 0, percentiles, factor * r / m[_MEDIAN])
            percentiles = np.where(m[_MEDIAN] > 0, percentiles, np.nan)
    arrays = {name: maps._planes(name) for name in maps}
    dtype: Any = rate.percentiles.dtype
    arrays[SPECIFIC_SFR.name] = PropertyArrays(
        percentiles.astype(dtype),
        mean.astype(dtype),
        None if samples is None else samples.astype(dtype),
    )
    options = maps._arguments()
    options["definitions"] = {**options["definitions"], SPECIFIC_SFR.name: SPECIFIC_SFR}
    options["meta"] = {**options["meta"], "specific_sfr_from": how}
    return type(maps)(arrays, **options)
