"""Regions on the sky as weights of pixels: all of them, a boolean mask, or an aperture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, Union

import numpy as np
import numpy.typing as npt

from picasssso.exceptions import InvalidInputError, InvalidTypeError

if TYPE_CHECKING:
    from astropy.wcs import WCS
    from photutils.aperture import PixelAperture, SkyAperture

#: Fractions of a pixel below this are none.
ROUNDING = 1e-9

#: What a region may be.
Region: TypeAlias = Union[
    npt.NDArray[np.bool_], "PixelAperture", "SkyAperture", Literal["frame"], None
]


@dataclass(frozen=True)
class PixelWeights:
    """How much of each pixel lies in a region.

    ``window``: the part ``(y, x)`` of the image that holds the region; ``weights``: for the
    pixels of the window: the fraction of the pixel inside the region; ``outside``: area of the
    region beyond the image, pixels.
    """

    window: tuple[slice, slice]
    weights: npt.NDArray[np.float64]
    outside: float = 0.0


def pixel_weights(region: Any, shape: tuple[int, int], wcs: WCS | None) -> PixelWeights:
    """Return how much of each pixel lies in a region.

    ``region``: apertures, in pixels or on the sky, must have a single position; the fraction of
    each pixel that they cover is worked out exactly; ``shape``: shape ``(y, x)`` of the image.
    """
    if region is None:
        return PixelWeights((slice(0, shape[0]), slice(0, shape[1])), np.ones(shape))
    # Whoever has an aperture has photutils imported; whoever has none need not wait for it.
    if hasattr(region, "to_mask") or hasattr(region, "to_pixel"):
        return _from_aperture(region, shape, wcs)
    return _from_mask(region, shape)


def _from_mask(region: Any, shape: tuple[int, int]) -> PixelWeights:
    mask = np.asanyarray(region)
    if mask.dtype != bool:
        raise InvalidTypeError(
            f"The region is of type {type(region).__name__} ({mask.dtype}): expected a boolean "
            "array, True inside, or a photutils aperture (in pixels or on the sky); totals also "
            'take "frame", the whole image.'
        )
    if mask.shape != shape:
        raise InvalidInputError(
            f"The region has shape {mask.shape}: expected {shape}, that of the maps."
        )
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        raise InvalidInputError("The region holds no pixel: no element of the mask is True.")
    window = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    return PixelWeights(window, mask[window].astype(np.float64))


def _from_aperture(region: Any, shape: tuple[int, int], wcs: WCS | None) -> PixelWeights:
    from photutils.aperture import PixelAperture, SkyAperture

    if not isinstance(region, PixelAperture | SkyAperture):
        raise InvalidTypeError(
            f"The region is of type {type(region).__name__}: expected a boolean array or a "
            "photutils aperture."
        )
    if not region.isscalar:
        raise InvalidInputError(
            f"The aperture has {len(region)} positions: expected one; make a total for each, "
            "[maps.total(name, one) for one in apertures]."
        )
    if isinstance(region, SkyAperture):
        if wcs is None:
            raise InvalidInputError(
                f"The region is a {type(region).__name__} on the sky, but the maps have no WCS: "
                "give an aperture in pixels."
            )
        region = region.to_pixel(wcs)
    covered = aperture_weights(region, shape)
    if covered is None:
        raise InvalidInputError(
            f"The aperture at pixel {tuple(np.round(region.positions, 1).tolist())} (x, y) does "
            f"not touch the image, whose shape is {shape} (y, x)."
        )
    return covered


def aperture_weights(aperture: PixelAperture, shape: tuple[int, int]) -> PixelWeights | None:
    """Return how much of each pixel an aperture covers.

    ``shape``: shape ``(y, x)`` of the image.
    """
    mask = aperture.to_mask(method="exact")
    inside, covered = mask.get_overlap_slices(shape)
    if covered is None:
        return None
    # An annulus is a difference of two ellipses, which leaves rounding errors inside.
    fractions = np.where(mask.data > ROUNDING, mask.data, 0).astype(np.float64)
    weights = fractions[covered]
    if not weights.any():
        return None
    return PixelWeights(inside, weights, float(fractions.sum() - weights.sum()))
