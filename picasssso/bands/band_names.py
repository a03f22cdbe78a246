"""Band names: those of the filters that speclite holds, and survey shorthands for them."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

import astropy.units as u
import numpy as np
import numpy.typing as npt

from picasssso.exceptions import InvalidInputError, InvalidTypeError

#: Filter group that bare band names of a survey stand for.
SURVEYS = {
    "sdss": "sdss2010",
    "des": "decam2014",
    "decals": "decam2014",
    "panstarrs": "panstarrs",
    "ps1": "panstarrs",
    "hsc": "hsc2017",
    "lsst": "lsst2023",
    "cfht": "cfht_megacam",
    "2mass": "twomass",
    "galex": "galex",
    "wise": "wise2010",
    "euclid": "Euclid",
}


def resolve_band(name: Any, survey: str | None = None) -> str:
    """Return the full name of a band, without checking that such a filter exists.

    Examples
    --------
    >>> from picasssso.bands.band_names import resolve_band
    >>> resolve_band("g", "sdss")
    'sdss2010-g'
    >>> resolve_band("decam2014-g", "sdss")
    'decam2014-g'
    """
    if not isinstance(name, str):
        raise InvalidTypeError(
            f"Band name: found {name!r} of type {type(name).__name__}, expected text such as "
            "'sdss2010-g'."
        )
    if "-" in name or survey is None:
        return str(name)
    return f"{SURVEYS.get(str(survey).lower(), survey)}-{name}"


def check_band(name: str, given: str, survey: str | None) -> None:
    """Check that a band is a filter that speclite knows."""
    if "-" not in name:
        raise InvalidInputError(
            f"Band {given!r}: a bare band name needs the survey whose filter it is. Pass "
            f"survey='sdss' (or one of {', '.join(sorted(SURVEYS))}), or a full name such as "
            f"'sdss2010-{given}'."
        )
    if _load_filter(name) is not None:
        return
    import speclite.filters

    groups = speclite.filters.filter_group_names
    group = name.partition("-")[0]
    if group in groups:
        bands = speclite.filters.load_filters(f"{group}-*").names
        hint = f"The filters of {group!r} are {', '.join(bands)}."
    elif survey is not None and group == survey:
        hint = (
            f"survey={survey!r} is unknown too: expected one of {', '.join(sorted(SURVEYS))}, "
            "or a filter group of speclite."
        )
    else:
        close = get_close_matches(group, groups, n=1)
        hint = f"Did you mean the group {close[0]!r}? " if close else ""
        hint += f"The groups are {', '.join(sorted(groups))}."
    shown = repr(given) if given == name else f"{given!r} ({name!r})"
    raise InvalidInputError(f"Band {shown}: found no such filter in speclite. {hint}")


def _load_filter(name: str) -> Any | None:
    """Return speclite's filter of a name (also one made in this session), or None."""
    import speclite.filters

    # A name that ends like a file would be read as one.
    if name.endswith(".ecsv"):
        return None
    try:
        return speclite.filters.load_filter(name)
    except (ValueError, OSError):
        return None


def pivot_wavelength(name: str) -> u.Quantity:
    """Return the pivot wavelength of a band.

    It turns a mean f_lambda into the mean f_nu of the same photons (Bessell & Murphy 2012,
    PASP 124, 140, equation A11): lambda_p^2 = int R lambda dlambda / int R dlambda / lambda
    with the photon response R.

    Examples
    --------
    >>> from picasssso.bands.band_names import pivot_wavelength
    >>> pivot_wavelength("sdss2010-g").round()
    <Quantity 4701. Angstrom>
    """
    from scipy.integrate import trapezoid  # numpy has it under one name since 2.0 only

    check_band(name, name, None)
    response: Any = _load_filter(name)
    wavelength: npt.NDArray[np.float64] = np.asarray(response.wavelength, dtype=np.float64)
    weight: npt.NDArray[np.float64] = np.asarray(response.response, dtype=np.float64)
    squared = trapezoid(weight * wavelength, wavelength)
    squared /= trapezoid(weight / wavelength, wavelength)
    return float(np.sqrt(squared)) * u.AA
