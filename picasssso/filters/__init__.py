"""Filters: their response curves, from speclite, from astro-sedpy, or of one's own.

A filter is called ``group-band``, such as ``sdss2010-g`` or ``jwst_nircam-f200w``. A curve is a
``speclite.filters.FilterResponse``: the response to photons, at any scale, by wavelength. Making
one defines the filter of its name for the session, in place of any curve of that name before; so
does `read_filter`. A curve of one's own is kept in the files of images and maps that rest on it.
"""

from typing import TYPE_CHECKING, Any

from picasssso.filters.curves import list_filters

if TYPE_CHECKING:
    from picasssso.filters.user_curves import read_filter

__all__ = ["list_filters", "read_filter"]


def __getattr__(name: str) -> Any:
    """Import what reads files on first use: mocks are made where there is no astropy."""
    if name == "read_filter":
        from picasssso.filters.user_curves import read_filter

        return read_filter
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
