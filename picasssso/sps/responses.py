"""The responses of filters, as plain arrays."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from picasssso.exceptions import InvalidInputError


@lru_cache(maxsize=64)
def load_response(band: str) -> tuple[np.ndarray, np.ndarray]:
    """Return a filter's response.

    Returns observed wavelengths in AA and the response to photons there (any scale), both of
    shape (k,), starting and ending with a response of 0.

    Examples
    --------
    >>> from picasssso.sps.responses import load_response
    >>> wavelength, response = load_response("sdss2010-r")
    >>> float(response[0]), float(response[-1])
    (0.0, 0.0)
    """
    import speclite.filters

    try:
        curve = speclite.filters.load_filter(band)
    except (ValueError, TypeError, AttributeError) as error:
        raise InvalidInputError(
            f"speclite has no filter {band!r} ({error}): expected a name such as 'sdss2010-g', "
            "'decam2014-i' or 'panstarrs-r'."
        ) from error
    wavelength = np.array(curve.wavelength, dtype=np.float64)
    response = np.array(curve.response, dtype=np.float64)
    # Trailing zeros would only add slices without light.
    seen = np.flatnonzero(response > 0)
    cut = slice(max(seen[0] - 1, 0), seen[-1] + 2)
    return wavelength[cut], response[cut]


def pivot_wavelength(band: str) -> float:
    """Return the pivot wavelength of a filter in AA."""
    wavelength, response = load_response(band)
    counts = np.trapezoid(response * wavelength, wavelength)
    return float(np.sqrt(counts / np.trapezoid(response / wavelength, wavelength)))
