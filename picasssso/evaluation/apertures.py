"""Ellipses around galaxies: fitted to their true stellar mass, as in Buck & Wolf (2021).

The paper sums each map inside an ellipse of semi-major axis 2 R_half, fitted once to the
true stellar-mass map with the isophotes of photutils, and averages in elliptical annuli of
the same shape. Where such a fit fails (the ellipse leaves the image, or the mass does not
fall outwards) an ellipse from the moments of the mass is taken instead, and counted.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np
import numpy.typing as npt

from picasssso._core.arguments import check_choice
from picasssso.evaluation.stacks import as_array
from picasssso.exceptions import InvalidInputError
from picasssso.maps.ellipses import local_jacobian

if TYPE_CHECKING:
    from picasssso.maps import PropertyMaps

FloatArray = npt.NDArray[np.floating]

#: How ellipses can be found.
METHODS = ("isophote", "moments")

#: Semi-major axis of the ellipse that is fitted, in half-mass radii.
FIT_RADIUS = 2.0
#: Codes of photutils for a fit that ended well, or at its largest number of iterations.
_GOOD_STOP = (0, 1, 2)
#: Flatter than this is the noise of a fit, not a galaxy.
_LEAST_AXIS_RATIO = 0.05
_ITERATIONS = 6
#: Half-mass radii are not smaller than this many pixels.
_LEAST_RADIUS = 0.5
#: Of profiles: pixels that they reach at least, half-mass radii, number of annuli.
_LEAST_REACH, _REACH, _N_ANNULI = 8.0, 3.0, 12


@dataclass(frozen=True, eq=False)
class Apertures:
    """One ellipse for each galaxy, on the pixel grid.

    ``x, y``: centers, pixels; ``angle``: of the major axis from the x axis, counter-clockwise,
    radians; ``half_mass_radius``: along the major axis, pixels: the unit of all radii here;
    ``shape``: shape ``(y, x)`` of the maps.
    """

    x: FloatArray
    y: FloatArray
    axis_ratio: FloatArray
    angle: FloatArray
    half_mass_radius: FloatArray
    fitted: npt.NDArray[np.bool_]
    shape: tuple[int, int]

    def __len__(self) -> int:
        return len(self.x)

    def select(self, galaxies: slice | npt.NDArray[Any]) -> Apertures:
        """Return the ellipses of some of the galaxies."""
        names = ("x", "y", "axis_ratio", "angle", "half_mass_radius", "fitted")
        return Apertures(**{n: getattr(self, n)[galaxies] for n in names}, shape=self.shape)

    def radius(self) -> FloatArray:
        """Return every pixel's semi-major axis in half-mass radii."""
        squared = _squared_radius(self.shape, self.x, self.y, self.axis_ratio, self.angle)
        return (np.sqrt(squared) / self.half_mass_radius[:, None, None]).astype(np.float32)

    def weights(self, outer: float, inner: float = 0.0) -> FloatArray:
        """Return exact fractions of pixels inside an ellipse, or between two."""
        if not 0 <= inner < outer:
            raise InvalidInputError(
                f"inner={inner!r} and outer={outer!r}: expected 0 <= inner < outer, in half-mass "
                "radii."
            )
        weights = self._inside(outer)
        return weights if inner == 0 else np.maximum(weights - self._inside(inner), 0)

    def fraction_on_image(self, outer: float) -> FloatArray:
        """Return how much of the area of an ellipse lies on the image."""
        area = np.pi * self.axis_ratio * (outer * self.half_mass_radius) ** 2
        return np.minimum(self._inside(outer).sum(axis=(1, 2)) / area, 1.0)

    def aperture(self, galaxy: int, outer: float = FIT_RADIUS) -> Any:
        """Return the ellipse of a galaxy, in pixels, for `PropertyMaps.total`."""
        from photutils.aperture import EllipticalAperture

        major = float(outer * self.half_mass_radius[galaxy])
        return EllipticalAperture(
            (float(self.x[galaxy]), float(self.y[galaxy])),
            a=major,
            b=major * float(self.axis_ratio[galaxy]),
            theta=float(self.angle[galaxy]),
        )

    def _inside(self, outer: float) -> FloatArray:
        from picasssso.maps.regions import aperture_weights

        inside = np.zeros((len(self), *self.shape), np.float32)
        for k in range(len(self)):
            covered = aperture_weights(self.aperture(k, outer), self.shape)
            if covered is not None:
                inside[(k, *covered.window)] = covered.weights
        return inside


def fit_apertures(
    mass: Any,
    *,
    half_mass_radius: Any = None,
    center: tuple[float, float] | None = None,
    method: str = "isophote",
) -> Apertures:
    """Fit an ellipse to each map of stellar mass.

    ``half_mass_radius``: radii with half of the stellar mass, pixels; ``center``: center ``(x,
    y)`` to start from, pixels.

    The ellipse of the moments is that of the mass inside itself (semi-major axis 2
    half-mass radii), found by iteration. A fit counts as failed if photutils ends without
    a solution, if the ellipse has moved by more than half a half-mass radius, or is flatter
    than 1 to 20.
    """
    maps = np.nan_to_num(as_array(mass).astype(np.float64), posinf=0.0, neginf=0.0)
    if maps.ndim != 3:
        raise InvalidInputError(
            f"The maps of stellar mass have shape {maps.shape}: expected (n, y, x)."
        )
    check_choice("method", method, METHODS)
    maps = np.maximum(maps, 0.0)
    empty = np.flatnonzero(~(maps.sum(axis=(1, 2)) > 0))
    if len(empty):
        raise InvalidInputError(
            f"There is no mass in map{'s' if len(empty) > 1 else ''} number "
            f"{', '.join(map(str, empty[:5]))}: leave them out."
        )
    given = None
    if half_mass_radius is not None:
        given = np.broadcast_to(as_array(half_mass_radius).astype(np.float64), len(maps))
        if not (np.isfinite(given).all() and (given > 0).all()):
            raise InvalidInputError(
                "half_mass_radius holds values that are not positive and finite: expected "
                "pixels; leave it out to measure it on the maps."
            )
    x, y, radius = _centers(maps, center, given)
    axis_ratio, angle = _moment_shapes(maps, x, y, radius)
    fitted = np.zeros(len(maps), bool)
    if method == "isophote":
        for k in range(len(maps)):
            ellipse = _fit_isophote(maps[k], x[k], y[k], axis_ratio[k], angle[k], radius[k])
            if ellipse is not None:
                x[k], y[k], axis_ratio[k], angle[k] = ellipse
                fitted[k] = True
    return Apertures(x, y, axis_ratio, angle, radius, fitted, maps.shape[1:])


def common_ellipse(maps: PropertyMaps) -> dict[str, Any]:
    """Return arguments of `PropertyMaps.profile` that are the same for all maps of a galaxy.

    Where the profile of the maps reaches less far than 8 pixels, an ellipse is measured that
    does not ask for significance; the annuli then reach 3 half-mass radii.
    """
    densities = [name for name in maps if maps.definition(name).is_surface_density]
    if not densities:
        raise InvalidInputError("There is no surface density to find the galaxy in.")
    name = "stellar_mass" if "stellar_mass" in densities else densities[0]
    pixel = np.sqrt(maps.pixel_solid_angle.to_value(u.arcsec**2))
    try:
        table = maps.profile(name, correlation="independent")
        edges = np.append(table["radius_inner"].value, table["radius_outer"].value[-1])
        if edges[-1] >= _LEAST_REACH * pixel:
            return {
                "center": tuple(table.meta["center"]),
                "position_angle": table.meta["position_angle"] * u.deg,
                "axis_ratio": table.meta["axis_ratio"],
                "edges": edges * u.arcsec,
            }
    except InvalidInputError:
        pass  # hardly a pixel is significant by itself where errors are large
    found = fit_apertures(maps.mean(name).value[None], method="moments")
    center = (float(found.x[0]), float(found.y[0]))
    direction = [np.cos(found.angle[0]), np.sin(found.angle[0])]
    east, north = local_jacobian(maps, center) @ direction
    reach = _REACH * float(found.half_mass_radius[0]) * pixel
    return {
        "center": center,
        "position_angle": float(np.rad2deg(np.arctan2(east, north)) % 180) * u.deg,
        "axis_ratio": float(found.axis_ratio[0]),
        "edges": np.linspace(0, reach, _N_ANNULI + 1) * u.arcsec,
    }


def _squared_radius(
    shape: tuple[int, int], x: FloatArray, y: FloatArray, axis_ratio: FloatArray, angle: FloatArray
) -> FloatArray:
    dx = np.arange(shape[1])[None, None, :] - x[:, None, None]
    dy = np.arange(shape[0])[None, :, None] - y[:, None, None]
    cosine, sine = np.cos(angle)[:, None, None], np.sin(angle)[:, None, None]
    along, across = dx * cosine + dy * sine, dy * cosine - dx * sine
    return along**2 + (across / axis_ratio[:, None, None]) ** 2


def _centers(
    maps: FloatArray, center: tuple[float, float] | None, radius: FloatArray | None
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return centroids inside the circle of the half-mass radius, and that radius."""
    n = len(maps)
    if center is not None:
        x, y = (np.full(n, float(value)) for value in center)
        return x, y, _half_mass_radii(maps, x, y) if radius is None else radius.copy()
    x, y = _centroids(maps)
    one, zero = np.ones(n), np.zeros(n)
    for _ in range(_ITERATIONS):
        half = _half_mass_radii(maps, x, y) if radius is None else radius
        inside = _squared_radius(maps.shape[1:], x, y, one, zero) <= half[:, None, None] ** 2
        part: FloatArray = np.where(inside, maps, 0.0)
        # A circle that holds nothing is off the galaxy: the centroid of all is better.
        x, y = _centroids(np.where(part.sum(axis=(1, 2), keepdims=True) > 0, part, maps))
    return x, y, _half_mass_radii(maps, x, y) if radius is None else radius.copy()


def _centroids(maps: FloatArray) -> tuple[FloatArray, FloatArray]:
    total = maps.sum(axis=(1, 2))
    x = maps.sum(axis=1) @ np.arange(maps.shape[2]) / total
    y = maps.sum(axis=2) @ np.arange(maps.shape[1]) / total
    return x, y


def _half_mass_radii(maps: FloatArray, x: FloatArray, y: FloatArray) -> FloatArray:
    """Return the radii of circles that hold half of the mass of the map."""
    n = len(maps)
    squared = _squared_radius(maps.shape[1:], x, y, np.ones(n), np.zeros(n)).reshape(n, -1)
    order = np.argsort(squared, axis=1)
    growth = np.cumsum(np.take_along_axis(maps.reshape(n, -1), order, axis=1), axis=1)
    # Pixels fill circles one after the other: the k-th completes an area of k pixels.
    place = (growth < growth[:, -1:] / 2).sum(axis=1)
    return np.maximum(np.sqrt((place + 0.5) / np.pi), _LEAST_RADIUS)


def _moment_shapes(
    maps: FloatArray, x: FloatArray, y: FloatArray, radius: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return axis ratios and angles of the mass inside ellipses of that very shape."""
    axis_ratio, angle = np.ones(len(maps)), np.zeros(len(maps))
    dx = np.arange(maps.shape[2])[None, None, :] - x[:, None, None]
    dy = np.arange(maps.shape[1])[None, :, None] - y[:, None, None]
    limit = (FIT_RADIUS * radius[:, None, None]) ** 2
    for _ in range(_ITERATIONS):
        inside = _squared_radius(maps.shape[1:], x, y, axis_ratio, angle) <= limit
        weights = np.where(inside, maps, 0)
        total = np.maximum(weights.sum(axis=(1, 2)), np.finfo(float).tiny)
        # What pixels smear out is 1/12 of a pixel squared along each axis.
        xx = (weights * dx**2).sum(axis=(1, 2)) / total + 1 / 12
        yy = (weights * dy**2).sum(axis=(1, 2)) / total + 1 / 12
        xy = (weights * dx * dy).sum(axis=(1, 2)) / total
        middle, half = (xx + yy) / 2, np.hypot((xx - yy) / 2, xy)
        ratio = np.sqrt(np.maximum(middle - half, 0) / (middle + half))
        axis_ratio = np.clip(ratio, _LEAST_AXIS_RATIO, 1.0)
        angle = np.arctan2(2 * xy, xx - yy) / 2
    return axis_ratio, angle


def _fit_isophote(
    mass: FloatArray, x: float, y: float, axis_ratio: float, angle: float, radius: float
) -> tuple[float, float, float, float] | None:
    from photutils.isophote import Ellipse, EllipseGeometry

    major = float(FIT_RADIUS * radius)
    # photutils divides by the ellipticity on its way.
    ellipticity = float(np.clip(1 - axis_ratio, 0.05, 0.95))
    geometry = EllipseGeometry(float(x), float(y), major, ellipticity, float(angle) % np.pi)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            isophote = Ellipse(mass, geometry).fit_isophote(major)
        except (ValueError, IndexError, ZeroDivisionError, FloatingPointError):
            return None
    if isophote.stop_code not in _GOOD_STOP:
        return None
    found = (isophote.x0, isophote.y0, 1 - isophote.eps, isophote.pa)
    if not np.isfinite(found).all() or not _LEAST_AXIS_RATIO <= found[2] <= 1:
        return None
    if np.hypot(found[0] - x, found[1] - y) > 0.5 * radius:
        return None
    return tuple(float(value) for value in found)  # type: ignore[return-value]
