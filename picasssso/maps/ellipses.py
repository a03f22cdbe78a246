"""Ellipses on the sky: where a galaxy lies, how it is turned and how flat it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np
import numpy.typing as npt

from picasssso._core.solid_angles import sky_jacobian
from picasssso.exceptions import InvalidInputError
from picasssso.maps.arrays import PropertyArrays
from picasssso.maps.propagation import mean_square_error

if TYPE_CHECKING:
    from photutils.aperture import PixelAperture

    from picasssso.maps.planes import MapPlanes

#: Pixels take part in the moments if their mean is this many times its error.
SIGNIFICANCE = 3.0
#: Fewer significant pixels than this have no shape.
MINIMUM_PIXELS = 5


@dataclass(frozen=True)
class Ellipse:
    """An ellipse on the sky: pixel (x, y), degrees from north to east, arcsec."""

    center: tuple[float, float]
    position_angle: float
    axis_ratio: float
    semimajor_axis: float

    def annulus(
        self, inner: float, outer: float, jacobian: npt.NDArray[np.float64]
    ) -> PixelAperture:
        """Return the aperture between two semi-major axes, arcsec, on pixels of any shape."""
        from photutils.aperture import EllipticalAnnulus, EllipticalAperture

        angle = np.deg2rad(self.position_angle)
        axes = np.array([[np.sin(angle), np.cos(angle)], [np.cos(angle), -np.sin(angle)]]).T
        # A linear map turns an ellipse into another; its axes are the singular vectors.
        directions, (major, minor), _ = np.linalg.svd(
            np.linalg.solve(jacobian, axes * [1.0, self.axis_ratio])
        )
        theta = float(np.arctan2(directions[1, 0], directions[0, 0]))
        if inner == 0:
            return EllipticalAperture(self.center, a=outer * major, b=outer * minor, theta=theta)
        return EllipticalAnnulus(
            self.center,
            a_in=inner * major,
            a_out=outer * major,
            b_in=inner * minor,
            b_out=outer * minor,
            theta=theta,
        )


def local_jacobian(maps: MapPlanes, center: tuple[float, float]) -> npt.NDArray[np.float64]:
    """Return how pixels lie on the sky around a position ``(x, y)``."""
    if maps.wcs is None:
        scale = float(np.sqrt(maps.pixel_solid_angle.to_value(u.arcsec**2)))
        return np.array([[-scale, 0.0], [0.0, scale]])
    jacobian = sky_jacobian(maps.wcs, *center)
    if not np.isfinite(jacobian).all():
        raise InvalidInputError(f"The center, pixel {center} (x, y), does not lie on the sky.")
    return jacobian


def parse_center(maps: MapPlanes, center: Any) -> tuple[float, float]:
    """Return a center, on the sky or ``(x, y)``, as a pixel position ``(x, y)``."""
    from astropy.coordinates import SkyCoord

    if isinstance(center, SkyCoord):
        if maps.wcs is None:
            raise InvalidInputError(
                "center= is on the sky, but the maps have no WCS: give (x, y) in pixels."
            )
        center = maps.wcs.world_to_pixel(center)
    try:
        x, y = (float(value) for value in center)
    except (TypeError, ValueError):
        x = y = float("nan")
    if not np.isfinite([x, y]).all():
        raise InvalidInputError(
            f"center={center!r}: expected one SkyCoord on the maps' sky or (x, y) in pixels."
        )
    return x, y


def measure_ellipse(maps: MapPlanes, name: str) -> Ellipse:
    """Measure where a galaxy lies and its shape; see the notes of `PropertyMaps.profile`."""
    from photutils.morphology import data_properties

    tracer = _tracer(maps, name)
    planes = maps._planes(tracer)
    assert planes.mean is not None
    mean = np.nan_to_num(planes.mean.astype(np.float64))
    error = _own_error(maps, tracer, planes, mean)
    # False where masked, since the error is NaN there.
    galaxy = _largest_patch(mean, (mean > SIGNIFICANCE * error) & (mean > 0))
    if galaxy.sum() < MINIMUM_PIXELS:
        raise InvalidInputError(
            f"The map of {tracer!r} shows no galaxy to measure (fewer than {MINIMUM_PIXELS} "
            "connected pixels above three times their error): give center=, position_angle=, "
            "axis_ratio= and edges=."
        )
    # A patch that the image cuts off has the shape of the image.
    rim = _rim(~maps.masks[tracer])
    closed = _largest_patch(mean, galaxy & (mean > mean[galaxy & rim].max(initial=0)))
    if closed.sum() >= MINIMUM_PIXELS:
        galaxy = closed
    moments = data_properties(np.where(galaxy, mean, 0), mask=~galaxy)
    x, y = (float(value) for value in moments.centroid)
    jacobian = local_jacobian(maps, (x, y))
    covariance = jacobian @ u.Quantity(moments.covariance).value @ jacobian.T
    (minor, major), directions = np.linalg.eigh(covariance)
    position_angle = float(np.rad2deg(np.arctan2(*directions[:, 1]))) % 180
    return Ellipse((x, y), position_angle, float(np.sqrt(minor / major)), float(np.sqrt(major)))


def _own_error(
    maps: MapPlanes, tracer: str, planes: PropertyArrays, mean: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return pixels' errors, (y, x), without what all of them share.

    An uncertain mass-to-light ratio does not hide a galaxy. What is left is a third of the error
    at least, since how much is shared is not known exactly.
    """
    square = mean_square_error(planes.percentiles, mean)
    if planes.shared is not None:
        common = np.asarray(planes.shared, dtype=np.float64)
    else:
        common = mean * np.log(10.0) * maps.shared_error.get(tracer, 0.0)
    return np.sqrt(np.maximum(square - np.nan_to_num(common) ** 2, square / 9.0))


def _largest_patch(
    mean: npt.NDArray[np.float64], where: npt.NDArray[np.bool_]
) -> npt.NDArray[np.bool_]:
    """Return the connected pixels, among those allowed, with the largest sum."""
    from scipy import ndimage

    patches, n_patches = ndimage.label(where)
    if not n_patches:
        return np.zeros(mean.shape, dtype=bool)
    sums = ndimage.sum_labels(mean, patches, np.arange(1, n_patches + 1))
    return patches == 1 + int(np.argmax(sums))


def _rim(valid: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return the pixels along the outer edge of what is not masked; holes have no rim."""
    from scipy import ndimage

    whole = ndimage.binary_fill_holes(valid)
    return whole & ~ndimage.binary_erosion(whole)


def _tracer(maps: MapPlanes, name: str) -> str:
    """Return the surface density that shows where the galaxy is."""
    definition = maps.definition(name)
    densities = [other for other in maps if maps.definition(other).is_surface_density]
    for candidate in (name, definition.weight, *densities):
        if candidate in densities:
            return str(candidate)
    raise InvalidInputError(
        f"There is no surface density to find the galaxy in (the maps are {', '.join(maps)}): "
        "give center=, position_angle=, axis_ratio= and edges=."
    )
