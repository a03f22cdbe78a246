"""Totals of maps, and how they compare to a truth, as lines of text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np

if TYPE_CHECKING:
    from picasssso.maps import PropertyMaps
    from picasssso.maps.totals import Total


#: Part of a region without an estimate that goes without saying.
_TOLD = 0.01


def describe_totals(
    maps: PropertyMaps, truth: PropertyMaps | None = None, *, region: Any = None, what: str = ""
) -> Iterator[str]:
    """Describe the total, or the weighted average, of every property.

    Joint samples tell the uncertainty where there are any. Else pixels are independent but for
    the error that the maps know to be shared, or, where they know of none, all err alike. Where
    the maps know of a target, among other galaxies, totals are the target's.

    ``truth``: what was to be found; its totals over the pixels that the maps have are given too;
    ``region``: where, instead, and ``what`` that is called.
    """
    from picasssso.maps.notices import like_prior
    from picasssso.maps.totals import known_correlation

    prior = like_prior(maps)
    if region is not None:
        yield f"  {what}:"
    elif maps.target is not None:
        yield "  inside the target's label:"
    missing = []
    for name in maps:
        definition = maps.definition(name)
        if definition.is_surface_density and maps.luminosity_distance is None:
            yield f"  {definition.label}: no total without a distance (--luminosity-distance)"
            continue
        total = maps.total(name, region, correlation=known_correlation(maps, name))
        missing.append(total.masked_fraction)
        kind = "total" if definition.is_surface_density else "average"
        line = f"  {definition.label + ', ' + kind:28} {_with_error(total)}"
        if name in prior:
            line += f" ({prior[name]})"
        if truth is not None and name in truth:
            there = ~maps.masks[name]
            if maps.target is not None:
                there &= maps.target
            known = truth.total(name, region=there, correlation="independent").value
            line += f"   truth {known.value:.4g}"
            deviation = float((total.value - known) / total.uncertainty)
            ratio = float(total.value / known)
            if definition.unit == u.mag:
                off = f"{(total.value - known).value:+.2f} mag, "
            else:
                off = f"{np.log10(ratio):+.2f} dex, " if ratio > 0 else ""
            line += f" ({off}{deviation:+.1f} sigma)"
        yield line
    if region is not None and missing and min(missing) > _TOLD:
        yield f"  {100 * min(missing):.0f} % of this region is masked or outside the image"


def _with_error(total: Total) -> str:
    if not np.isfinite(total.value.value):
        return "not estimated"
    return str(total).replace("+/-", "±")
