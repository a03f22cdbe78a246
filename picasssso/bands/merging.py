"""Bands of several images put together on one pixel grid."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import astropy.units as u
import numpy as np
from astropy.io import fits
from astropy.nddata import CCDData
from astropy.wcs import WCS

from picasssso.bands.band_names import resolve_band
from picasssso.bands.checks import list_images
from picasssso.bands.flux_units import is_count_like
from picasssso.bands.images import BandImages
from picasssso.bands.slots import PER_BAND_SLOTS
from picasssso.exceptions import MissingBandError


def align(
    images: Mapping[str, CCDData] | Iterable[tuple[str, CCDData]],
    *,
    onto: str | WCS | fits.Header,
    shape: tuple[int, int] | None = None,
    method: str = "exact",
    redshift: float | None = None,
    survey: str | None = None,
    progress: bool | None = None,
    **arguments: Any,
) -> BandImages:
    """Resample images on different pixel grids to a common one, as `BandImages`.

    Parameters
    ----------
    images : mapping or iterable of pairs
        `~astropy.nddata.CCDData` by band, each with its own WCS and shape.
    onto : str, `~astropy.wcs.WCS` or `~astropy.io.fits.Header`
        The grid: that of a band, or another.
    shape : tuple of int, optional
        Shape ``(y, x)`` of the grid, if it does not say so itself.
    method : {"exact", "adaptive", "interp"}, optional
        As for `BandImages.reproject_to`, which describes the treatment of fluxes, masks, errors
        and PSFs. A band already on the grid is not changed.
    redshift : float
        Observed redshift. Required.
    survey : str, optional
        Survey of bare band names.
    progress : bool, optional
        Whether to show a progress bar; None: if the work is long and there is a terminal.
    **arguments : object
        Other arguments of `BandImages`. Those by band belong to the images as given; bins
        and labels to the new grid.

    Returns
    -------
    BandImages
        The bands on one grid.

    Raises
    ------
    InvalidInputError
        If a band has no WCS, does not overlap with the grid, or anything else is wrong with
        it.

    Examples
    --------
    >>> from picasssso.bands import align
    >>> from picasssso.data import load_example
    >>> galaxy = load_example()[0]
    >>> r, i = galaxy["sdss2010-r"], galaxy["sdss2010-i"]
    >>> align({"r": r, "i": i[20:90, 30:100]}, survey="sdss", onto="r", redshift=0.03)
    <BandImages: sdss2010-r, sdss2010-i; 128 x 128 pixels of 0.396 arcsec; z = 0.03>
    """
    pairs = [(resolve_band(band, survey), image) for band, image in list_images(images)]
    if isinstance(onto, str):
        name = resolve_band(onto, survey)
        found = [image for band, image in pairs if band == name]
        if not found:
            raise MissingBandError(
                f"align: found onto={onto!r}, which is not among the bands "
                f"{', '.join(band for band, _ in pairs)}."
            )
        grid, shape = found[0].wcs, np.shape(found[0].data)[:2] if shape is None else shape
    else:
        grid = onto
    parts = [
        BandImages(
            [(band, image)],
            redshift=redshift,
            survey=survey,
            **dict(_arguments_of_band(arguments, band, image, survey)),
        ).reproject_to(grid, shape, method=method, progress=progress)
        for band, image in pairs
    ]
    rest = {key: value for key, value in arguments.items() if key not in PER_BAND_SLOTS}
    return merge_bands(parts).replace(**rest)


def merge_bands(parts: Sequence[BandImages]) -> BandImages:
    """Put the bands of several images on one grid together."""
    first = parts[0]
    if len(parts) == 1:
        return first
    arguments = first._arguments()
    for slot in PER_BAND_SLOTS:
        arguments[slot] = {b: v for part in parts for b, v in getattr(part, slot).items()}
    arguments["meta"] = {key: value for part in parts for key, value in part.meta.items()}
    steps: list[Any] = []
    for part in parts:
        steps += [step for step in part.meta.get("preparation", []) if step not in steps]
    if steps:
        arguments["meta"]["preparation"] = steps
    source = {b: r for part in parts for b, r in part.meta.get("source", {}).items()}
    if source:
        arguments["meta"]["source"] = source
    images = {
        band: record.to_nddata(first._wcs)
        for part in parts
        for band, record in part._records.items()
    }
    return type(first)._restore(images, arguments)


def _arguments_of_band(
    arguments: Mapping[str, Any], band: str, image: Any, survey: str | None
) -> Iterator[tuple[str, Any]]:
    """Yield the arguments of one band, out of those of all."""
    for slot in PER_BAND_SLOTS:
        value = arguments.get(slot)
        if isinstance(value, Mapping):
            value = {resolve_band(key, survey): item for key, item in value.items()}.get(band)
        elif slot == "zero_point" and not is_count_like(getattr(image, "unit", u.nmgy)):
            value = None
        if value is not None:
            yield slot, value
