"""Regions on the sky as weights of pixels: all of them, a boolean mask, or an aperture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, Union

import astropy.units as u
import numpy as np
import numpy.typing as npt

from picasssso._core.solid_angles import sky_jacobian
from picasssso._core.words import with_article
from picasssso.exceptions import InvalidInputError, InvalidTypeError

if TYPE_CHECKING:
    from astropy.wcs import WCS
    from photutils.aperture import PixelAperture, SkyAperture

#: Fractions of a pixel below this are none.
ROUNDING = 1e-9

#: Pixels of an aperture's frame from which it is looked at inside the image alone.
_LARGE = 10**6

#: What a region may be.
Region: TypeAlias = Union[
    npt.NDArray[np.bool_], "PixelAperture", "SkyAperture", Literal["frame"], None
]


@dataclass(frozen=True)
class PixelWeights:
    """How much of each pixel lies in a region.

    ``window``: the part ``(y, x)`` of the image that holds the region; ``weights``: for the
    pixels of the window: the fraction of the pixel inside the region, or for whole pixels
    whether they are; ``outside``: area of the region beyond the image, pixels.
    """

    window: tuple[slice, slice]
    weights: npt.NDArray[np.float64] | npt.NDArray[np.bool_]
    outside: float = 0.0


def pixel_weights(region: Any, shape: tuple[int, int], wcs: WCS | None) -> PixelWeights:
    """Return how much of each pixel of an image ``(y, x)`` lies in a region."""
    if isinstance(region, PixelWeights):
        return region
    if region is None:
        whole = np.broadcast_to(np.float64(1.0), shape)
        return PixelWeights((slice(0, shape[0]), slice(0, shape[1])), whole)
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
    return PixelWeights(window, mask[window])


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
                f"The region is {with_article(type(region).__name__)} on the sky, but the maps "
                "have no WCS: give an aperture in pixels."
            )
        region = _on_pixels(region, wcs)
    covered = aperture_weights(region, shape)
    if covered is None:
        raise InvalidInputError(
            f"The aperture at pixel {tuple(np.round(region.positions, 1).tolist())} (x, y) does "
            f"not touch the image, whose shape is {shape} (y, x)."
        )
    return covered


def _on_pixels(region: Any, wcs: WCS) -> PixelAperture:
    """Return a sky aperture on the pixels, which may be mirrored, turned and not square.

    Position angles count from the north of the aperture's own frame. photutils' own to_pixel
    mirrors apertures where east is not left of north (astropy/photutils#2287).
    """
    from photutils import aperture as kinds

    x, y = (float(value) for value in wcs.world_to_pixel(region.positions))
    jacobian = sky_jacobian(wcs, x, y, region.positions.frame)
    if not np.isfinite(jacobian).all():
        raise InvalidInputError(
            f"The aperture at {region.positions.to_string('decimal')} lies off the image's sky."
        )
    angle = getattr(region, "theta", 0.0 * u.deg).to_value(u.rad)
    along = np.array([[np.sin(angle), np.cos(angle)], [np.cos(angle), -np.sin(angle)]]).T
    steps = np.linalg.solve(jacobian, along)  # pixels per arcsec along both axes

    def size(name: str) -> float:
        return float(getattr(region, name).to_value(u.arcsec))

    def ellipse(major: str, minor: str) -> tuple[float, float, float]:
        # A linear map turns an ellipse into another; its axes are the singular vectors.
        directions, (a, b), _ = np.linalg.svd(steps * [size(major), size(minor)])
        return a, b, float(np.arctan2(directions[1, 0], directions[0, 0]))

    def rectangle(width: str, height: str) -> tuple[float, float, float]:
        w, h = np.hypot(*(steps * [size(width), size(height)]))
        return w, h, float(np.arctan2(steps[1, 0], steps[0, 0]))

    for name, axes, of in (
        ("Circular", ("r", "r"), ellipse),
        ("Elliptical", ("a", "b"), ellipse),
        ("Rectangular", ("w", "h"), rectangle),
    ):
        shape = "Rectangular" if of is rectangle else "Elliptical"
        if isinstance(region, getattr(kinds, f"Sky{name}Aperture")):
            first, second, theta = of(*axes)
            return getattr(kinds, f"{shape}Aperture")((x, y), first, second, theta=theta)
        if isinstance(region, getattr(kinds, f"Sky{name}Annulus")):
            first_in, second_in, _ = of(*(f"{axis}_in" for axis in axes))
            first, second, theta = of(*(f"{axis}_out" for axis in axes))
            inner = {"h_in" if of is rectangle else "b_in": second_in}
            annulus = getattr(kinds, f"{shape}Annulus")
            return annulus((x, y), first_in, first, second, **inner, theta=theta)
    raise InvalidTypeError(
        f"The region is {with_article(type(region).__name__)}: expected a circle, an ellipse, "
        "a rectangle or an annulus of one of them, or a boolean array."
    )


def aperture_weights(aperture: PixelAperture, shape: tuple[int, int]) -> PixelWeights | None:
    """Return how much of each pixel of an image ``(y, x)`` an aperture covers."""
    try:
        height, width = aperture.bbox.shape
    except (ValueError, OverflowError) as error:
        raise InvalidInputError(
            f"The region is {aperture!r}: expected a position and a size that are finite."
        ) from error
    if height * width > max(_LARGE, 4 * shape[0] * shape[1]):
        return _large_aperture_weights(aperture, shape)
    mask = aperture.to_mask(method="exact")
    inside, covered = mask.get_overlap_slices(shape)
    if covered is None:
        return None
    # An annulus is a difference of two ellipses, which leaves rounding errors inside.
    fractions = np.asarray(mask.data, np.float64)
    fractions[fractions <= ROUNDING] = 0.0
    weights = fractions[covered]
    if not weights.any():
        return None
    return PixelWeights(inside, weights, float(fractions.sum() - weights.sum()))


def _large_aperture_weights(
    aperture: PixelAperture, shape: tuple[int, int]
) -> PixelWeights | None:
    """Return the same for one much larger than the image, of which photutils masks it all."""
    from photutils import aperture as kinds
    from photutils.geometry import elliptical_overlap_grid, rectangular_overlap_grid

    x, y = aperture.positions
    extent = (-0.5 - x, shape[1] - 0.5 - x, -0.5 - y, shape[0] - 0.5 - y, shape[1], shape[0])
    theta = u.Quantity(getattr(aperture, "theta", 0.0), u.rad).value

    def ellipse(a: float, b: float) -> npt.NDArray[np.float64]:
        return elliptical_overlap_grid(*extent, a, b, theta, 1, 1)

    def rectangle(w: float, h: float) -> npt.NDArray[np.float64]:
        return rectangular_overlap_grid(*extent, w, h, theta, 0, 32)

    for name, overlap, axes in (
        ("Circular", ellipse, ("r", "r")),
        ("Elliptical", ellipse, ("a", "b")),
        ("Rectangular", rectangle, ("w", "h")),
    ):
        if isinstance(aperture, getattr(kinds, f"{name}Aperture")):
            weights = overlap(*(getattr(aperture, axis) for axis in axes))
            break
        if isinstance(aperture, getattr(kinds, f"{name}Annulus")):
            outer, inner = (
                overlap(*(getattr(aperture, f"{axis}_{end}") for axis in axes))
                for end in ("out", "in")
            )
            weights = outer - inner
            break
    else:
        raise InvalidInputError(
            f"The aperture is {' x '.join(map(str, aperture.bbox.shape))} pixels large, and the "
            f"image {shape[0]} x {shape[1]}: expected one of about its size. Is its unit right?"
        )
    weights[weights <= ROUNDING] = 0.0
    if not weights.any():
        return None
    window = (slice(0, shape[0]), slice(0, shape[1]))
    return PixelWeights(window, weights, max(float(aperture.area - weights.sum()), 0.0))
