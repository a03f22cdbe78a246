"""Errors of the images that all pixels of a band share: its zero point and its sky level."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import astropy.units as u
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from picasssso.bands import BandImages

FloatArray = npt.NDArray[np.floating]


@dataclass(frozen=True)
class FluxShift:
    """One such error, of one sigma: a factor on a band's flux and noise, or a flux added.

    ``name``: that of the systematic; ``band``: index of the band; ``offset``: nmgy per pixel.
    """

    name: str
    band: int
    factor: float = 1.0
    offset: float = 0.0

    def apply(
        self, flux: FloatArray, inverse_variance: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Return fluxes and inverse variances, (band, y, x), that are off by this error."""
        index, weights = self.band, inverse_variance
        shifted = flux.copy()
        shifted[index] = flux[index] * self.factor + np.float32(self.offset)
        shifted[index][inverse_variance[index] == 0] = 0
        if self.factor != 1:
            weights = inverse_variance.copy()
            weights[index] /= np.float32(self.factor**2)
        return shifted, weights


def flux_shifts(images: BandImages) -> Iterator[FluxShift]:
    """Yield the errors that images state."""
    for index, band in enumerate(images.bands):
        error = images.zero_point_error.get(band)
        if error is not None and error.to_value(u.mag) > 0:
            factor = float(10 ** (0.4 * error.to_value(u.mag)))
            yield FluxShift(f"zero_point:{band}", index, factor=factor)
        offset = images.sky_error_nmgy(band)
        if offset:
            yield FluxShift(f"sky:{band}", index, offset=float(offset))
