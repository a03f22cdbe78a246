"""Band names: those of filters, and survey shorthands for them."""

from __future__ import annotations

from typing import Any

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
    """Return the full name of a band, without checking that such a filter exists."""
    if not isinstance(name, str):
        raise InvalidTypeError(
            f"Band name: found {name!r} of type {type(name).__name__}, expected text such as "
            "'sdss2010-g'."
        )
    if "-" in name or survey is None:
        return str(name)
    return f"{SURVEYS.get(str(survey).lower(), survey)}-{name}"


def check_band(name: str, given: str, survey: str | None) -> None:
    """Check that a band is a filter."""
    if "-" not in name:
        raise InvalidInputError(
            f"Band {given!r}: a bare band name needs the survey whose filter it is. Pass "
            f"survey='sdss' (or one of {', '.join(sorted(SURVEYS))}), or a full name such as "
            f"'sdss2010-{given}'."
        )
    from picasssso.filters.curves import hint, load_filter

    try:
        load_filter(name)
    except InvalidInputError:
        text = hint(name)
        if survey is not None and name.partition("-")[0] == survey:
            text = (
                f"survey={survey!r} is unknown too: expected one of {', '.join(sorted(SURVEYS))}, "
                f"or a group of filters. {text}"
            )
        shown = repr(given) if given == name else f"{given!r} ({name!r})"
        raise InvalidInputError(f"Band {shown}: found no such filter. {text}") from None
