"""The return values of readers: one band of a file, with its noise and mask."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import astropy.units as u
import numpy.typing as npt
from astropy.nddata import NDData, NDUncertainty

Noise = Callable[[Sequence[int], u.UnitBase], NDUncertainty | None]
Mask = Callable[[Sequence[int]], npt.NDArray[Any] | None]


@dataclass(frozen=True)
class BitMask:
    """A bit mask: returns where the image is bad.

    ``read`` is called with the shape and the bits that mark bad pixels; None: those that the
    format defines.
    """

    read: Callable[[Sequence[int], int | None], npt.NDArray[Any]]

    def __call__(self, shape: Sequence[int], bits: int | None = None) -> npt.NDArray[Any]:
        """Return where the image is bad: True, or not zero."""
        return self.read(shape, bits)


@dataclass(frozen=True, eq=False)
class BandPlane:
    """One band of a file, as `ImageFile.plane` returns it.

    ``image``: values with unit, WCS, uncertainty and mask, of shape (y, x); ``record``: origin and
    processing of the values, for ``meta``; ``zero_point``: AB magnitude of one count, for images
    in counts; ``psf``: FWHM or kernel; ``hdu`` and, in a cube of bands, ``layer`` of the values:
    planes of noise and masks that the user names may then be cubes too.
    """

    band: str
    image: NDData
    record: dict[str, Any] = field(default_factory=dict)
    zero_point: u.Quantity | None = None
    psf: Any = None
    hdu: int | None = None
    layer: int | None = None
