"""Putting bands on different pixel grids onto one, in blocks.

`picasssso.bands.align` does it for images that fit into memory; this does the same block by
block, into memory-mapped arrays. Flux, mask and variance follow from the same weights, and so
does the noise that resampled pixels share, which goes into ``noise_scaling``.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.nddata import NDData, StdDevUncertainty
from astropy.wcs import WCS

from picasssso.bands.pixels import grid_offset, slice_wcs
from picasssso.exceptions import InvalidInputError
from picasssso.preparation.storage import allocate, blocks_of

if TYPE_CHECKING:
    from picasssso.bands import BandImages

_SAME_GRID = 1e-3  # pixels


def align_bands(
    images: BandImages,
    wcs: WCS,
    shape: tuple[int, int],
    *,
    method: str = "exact",
    folder: str | os.PathLike[str] | None = None,
) -> BandImages:
    """Resample images to a grid, block by block.

    Parameters
    ----------
    images : BandImages
        The images.
    wcs : `~astropy.wcs.WCS`
        The new grid.
    shape : tuple of int
        Its shape ``(y, x)``.
    method : {"exact", "adaptive", "interp"}, optional
        As for `BandImages.reproject_to`, which does the work.
    folder : path, optional
        Where to keep the output of a large field; default: in memory.

    Returns
    -------
    BandImages
        On the new grid. Images that are on it already are returned as they are.

    Raises
    ------
    InvalidInputError
        If they do not overlap with the grid.
    """
    if images.wcs is None:
        raise InvalidInputError(
            "Alignment: found images without WCS, expected one: it is not known where their "
            "pixels are."
        )
    if shape == images.shape and grid_offset(wcs, images.wcs, shape)[0] < _SAME_GRID:
        return images
    blocks = list(blocks_of(shape, bytes_per_pixel=400))
    if len(blocks) == 1 and folder is None:
        return images.reproject_to(wcs, shape, method=method, progress=False)
    planes: dict[str, dict[str, Any]] = {
        band: {
            "data": allocate(shape, np.float32, folder),
            "sigma": None
            if band in images.missing_uncertainty
            else allocate(shape, np.float32, folder),
            "mask": allocate(shape, bool, folder),
        }
        for band in images
    }
    middle: BandImages | None = None
    # From the middle, whose weights say what resampling does to noise and PSF.
    for block in sorted(blocks, key=lambda b: abs(b.core[0].start + b.core[0].stop - shape[0])):
        size = tuple(part.stop - part.start for part in block.core)
        try:
            part = images.reproject_to(
                slice_wcs(wcs, block.core), (size[0], size[1]), method=method, progress=False
            )
        except InvalidInputError as error:
            if middle is None or "overlap" not in str(error):
                raise
            for plane in planes.values():
                plane["mask"][block.core] = True
            continue
        middle = part if middle is None else middle
        for band, plane in planes.items():
            image = part[band]
            plane["data"][block.core] = image.data
            plane["mask"][block.core] = image.mask
            if plane["sigma"] is not None:
                plane["sigma"][block.core] = image.uncertainty.array
    assert middle is not None
    found = {
        band: NDData(
            plane["data"],
            unit=middle[band].unit,
            mask=plane["mask"],
            uncertainty=None
            if plane["sigma"] is None
            else StdDevUncertainty(plane["sigma"], copy=False),
            wcs=wcs,
        )
        for band, plane in planes.items()
    }
    return middle.with_planes(found, bins=None, labels=None)
