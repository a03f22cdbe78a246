"""Working through images block by block, into memory or into memory-mapped files.

Steps of preparation are functions of one block of one band. What they need beside the block
itself is a halo; what they make goes into arrays that may lie on disk, so that a field much
larger than the memory can be prepared. Flux is in nmgy per pixel, as float32.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np
import numpy.typing as npt
from astropy.nddata import NDData, StdDevUncertainty

from picasssso._core.blocks import Block, iterate_blocks
from picasssso._core.safe_files import allocate

if TYPE_CHECKING:
    from picasssso.bands import BandImages

#: Bytes that one block may take while it is worked on.
MEMORY_BUDGET = 4e8

Array = npt.NDArray[Any]
#: (band, flux, inverse variance, block) -> (flux, variance, valid), all of the padded shape.
Function = Callable[[str, Array, Array, Block], tuple[Array, Array, Array]]


def blocks_of(
    shape: tuple[int, int],
    *,
    halo: int = 0,
    stride: int = 1,
    bytes_per_pixel: float = 100.0,
    memory_budget: float = MEMORY_BUDGET,
) -> Iterator[Block]:
    """Cut an image into blocks that fit the memory budget.

    Padded blocks have as many pixels in a flat image as in a square one.
    """
    pixels = memory_budget / bytes_per_pixel
    core = [0, 0]
    short, long = (0, 1) if shape[0] <= shape[1] else (1, 0)
    # What the shorter axis does not need, the longer one gets.
    side = np.sqrt(pixels)
    for axis in (short, long):
        if shape[axis] <= side:
            core[axis] = shape[axis]
        else:
            core[axis] = max(int(side - 2 * halo) // stride * stride, halo, stride)
        side = pixels / min(core[axis] + 2 * halo, shape[axis])
    return iterate_blocks(shape, core_shape=(core[0], core[1]), halo=halo, stride=stride)


def transform(
    images: BandImages,
    function: Function,
    *,
    halo: int = 0,
    stride: int = 1,
    bytes_per_pixel: float = 100.0,
    folder: str | os.PathLike[str] | None = None,
    changes: Mapping[str, Any] | None = None,
) -> BandImages:
    """Return images of which every block went through a function.

    In nmgy, with standard deviations where there were uncertainties; ``bytes_per_pixel``:
    working memory.
    """
    planes = {}
    for band in images.bands:
        with_noise = band not in images.missing_uncertainty
        flux_out = allocate(images.shape, np.float32, folder)
        sigma_out = allocate(images.shape, np.float32, folder) if with_noise else None
        mask_out = allocate(images.shape, bool, folder)
        for block in blocks_of(
            images.shape, halo=halo, stride=stride, bytes_per_pixel=bytes_per_pixel
        ):
            flux, precision = images.to_arrays(block.padded, bands=[band])
            flux, variance, valid = function(band, flux[0], precision[0], block)
            core, inner = block.core, block.inner
            good = np.asarray(valid[inner], dtype=bool)
            flux_out[core] = np.where(good, flux[inner], 0.0)
            mask_out[core] = ~good
            if sigma_out is not None:
                with np.errstate(invalid="ignore"):
                    sigma_out[core] = np.where(good, np.sqrt(variance[inner]), 1.0)
        planes[band] = NDData(
            flux_out,
            unit=u.nmgy,
            uncertainty=None
            if sigma_out is None
            else StdDevUncertainty(sigma_out, unit=u.nmgy, copy=False),
            mask=mask_out,
        )
    return images.with_planes(planes, **dict(changes or {}))


def variance_of(inverse_variance: Array) -> Array:
    """Return variances of inverse variances; 0 where there is no data, NaN where unknown."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(inverse_variance == 0, 0.0, 1.0 / inverse_variance)
