"""From particles to the one description of a galaxy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from picasssso.exceptions import InvalidInputError
from picasssso.mocks.age_bins import AGE_CENTERS, AGE_EDGES, N_AGE, surviving_fraction
from picasssso.mocks.galaxies.scaling_relations import attenuation_per_surface_density
from picasssso.mocks.particles.components import GasParticles, StarParticles
from picasssso.mocks.particles.smoothing import deposit, neighbor_distance

if TYPE_CHECKING:
    from picasssso.sps import SSPGrid

#: Lowest mass fraction of metals; pristine stars have it.
LEAST_METALS = 1e-6

#: Layers along the line of sight in which dust is counted.
_LAYERS = 12

#: Optical depth at V of birth clouds at solar metallicity: of a total of 1 the clouds have
#: two thirds (Charlot & Fall 2000, ApJ 539, 718); slope of their dust law.
_CLOUD_DEPTH = 2.0 / 3.0
CLOUD_SLOPE = -0.7
_SOLAR = 0.0142

_PER_MAG = 0.4 * np.log(10.0)


def share_between_ages(age: np.ndarray) -> np.ndarray:
    """Return which parts of a star particle's mass count in which age bin.

    Stars up to 100 Myr count in their own bin, which keeps star formation rates. Older ones
    are shared between two bins such that the mean age is kept, from 200 Myr to 11.5 Gyr.

    ``age``: ages in Gyr, of shape (n,); returns of shape (n_age, n); sums to 1.
    """
    years = np.asarray(age, dtype=np.float64) * 1e9
    share = np.zeros((N_AGE, years.size))
    young = years < AGE_EDGES[2]
    share[0] = young & (years < AGE_EDGES[1])
    share[1] = young & (years >= AGE_EDGES[1])
    place = np.interp(years, AGE_CENTERS[2:], np.arange(2.0, N_AGE))
    hats = 1.0 - np.abs(place - np.arange(N_AGE)[:, None])
    return np.where(young, share, np.clip(hats, 0.0, 1.0))


class View:
    """Particles as an observer sees them: in pixels, with sizes."""

    def __init__(
        self, position: np.ndarray, matrix: np.ndarray, pixel: float, shape: tuple[int, int]
    ) -> None:
        seen = position @ matrix.T
        self.shape, self.area = shape, pixel**2
        self.x = seen[:, 0] / pixel + 0.5 * (shape[1] - 1)
        self.y = seen[:, 1] / pixel + 0.5 * (shape[0] - 1)
        #: Distance towards the observer.
        self.depth = seen[:, 2]
        self.size = neighbor_distance(position) / pixel

    def deposit(self, values: np.ndarray, chosen: np.ndarray | None = None) -> np.ndarray:
        """Return surface densities per kpc2, (k, y, x)."""
        values = np.atleast_2d(values)
        if chosen is None:
            chosen = np.ones(self.x.size, dtype=bool)
        chosen = chosen & (values != 0).any(axis=0)
        sums = deposit(
            self.x[chosen], self.y[chosen], self.size[chosen], values[:, chosen], self.shape
        )
        return np.maximum(sums, 0.0) / self.area


def means(weighted: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return means, and the mean of all where there is nothing."""
    total = weight.sum()
    overall = weighted.sum() / total if total > 0 else _SOLAR
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(weight > 0, weighted / np.where(weight > 0, weight, 1.0), overall)


def checked_shape(n_pixels: int | tuple[int, int]) -> tuple[int, int]:
    """Return the shape (y, x) that was asked for."""
    shape = (n_pixels, n_pixels) if isinstance(n_pixels, (int, np.integer)) else tuple(n_pixels)
    if len(shape) != 2 or any(
        isinstance(n, bool) or not isinstance(n, (int, np.integer)) or not 1 <= n <= 8192
        for n in shape
    ):
        raise InvalidInputError(
            f"n_pixels={n_pixels!r} cannot be used: expected an integer or (y, x), 1 to 8192."
        )
    return int(shape[0]), int(shape[1])


def stellar_maps(
    stars: StarParticles,
    gas: GasParticles,
    view: View,
    gas_view: View,
    stellar_mass: str,
    young_stars: str,
    grid: SSPGrid | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return mass formed and log metallicity in age bins, (n_age, y, x)."""
    formed_known = bool(np.isfinite(stars.initial_mass).all())
    keep_formed = stellar_mass == "formed" and formed_known
    weight = stars.initial_mass if keep_formed else stars.mass
    share = share_between_ages(stars.age)
    if young_stars == "gas":
        share[:2] = 0.0
    mass = np.zeros((N_AGE, *view.shape))
    metals = np.zeros((N_AGE, *view.shape))
    for k in range(N_AGE):
        part = share[k] * weight
        mass[k], metals[k] = view.deposit(np.stack([part, part * stars.metallicity]), part > 0)
    log_metallicity = _log_means(metals, mass)
    formed = mass if keep_formed else mass / surviving_fraction(log_metallicity, grid)
    if young_stars == "gas":
        rate, rate_metals = gas_view.deposit(
            np.stack([gas.star_formation_rate, gas.star_formation_rate * gas.metallicity])
        )
        formed[:2] = rate * np.diff(AGE_EDGES[:3])[:, None, None]
        log_metallicity[:2] = _log_means(rate_metals[None], rate[None])
    return formed, log_metallicity


def _log_means(metals: np.ndarray, mass: np.ndarray) -> np.ndarray:
    """Return log10 of mean metallicities; empty pixels get that of the galaxy."""
    everywhere = metals.sum() / mass.sum() if mass.sum() > 0 else _SOLAR
    means = np.where(mass > 0, metals / np.where(mass > 0, mass, 1.0), everywhere)
    return np.log10(np.clip(means, LEAST_METALS, 1.0))


def attenuation_maps(
    stars: StarParticles,
    gas: GasParticles,
    view: View,
    gas_view: View,
    formed: np.ndarray,
    gas_metallicity: np.ndarray,
    dust: float,
) -> np.ndarray:
    """Return the attenuation at V of all stars and of birth clouds, (2, y, x).

    Gas and stars are cut into layers along the line of sight. Light of a layer passes the
    dust of those in front of it; with that of its own layer stars are mixed.
    """
    result = np.zeros((2, *view.shape))
    dusty = (gas.hi_mass + gas.h2_mass) * gas.metallicity
    if dust == 0 or not dusty.sum() > 0:
        return result
    column = dusty * attenuation_per_surface_density() / _SOLAR * dust
    # Layers of equal dust, from the back to the front.
    order = np.argsort(gas_view.depth)
    total = np.cumsum(dusty[order])
    inner = np.searchsorted(total, total[-1] * np.arange(1, _LAYERS) / _LAYERS)
    edges = gas_view.depth[order][np.minimum(inner, len(order) - 1)]
    gas_layer = np.searchsorted(edges, gas_view.depth, side="right")
    star_layer = np.searchsorted(edges, view.depth, side="right")
    # V light per mass falls about as the 0.7th power of age from 10 Myr on.
    light = stars.mass * (stars.age + 0.01) ** -0.7
    seen, emitted, front = (np.zeros(view.shape) for _ in range(3))
    for layer in range(_LAYERS - 1, -1, -1):
        own = gas_view.deposit(column, gas_layer == layer)[0] * _PER_MAG
        stars_light = view.deposit(light, star_layer == layer)[0]
        mixed = -np.expm1(-np.maximum(own, 1e-9)) / np.maximum(own, 1e-9)
        seen += stars_light * np.exp(-front) * mixed
        emitted += stars_light
        front += own
    through = np.where(emitted > 0, seen / np.where(emitted > 0, emitted, 1.0), 1.0)
    result[0] = np.clip(-2.5 * np.log10(np.maximum(through, 1e-4)), 0.0, 8.0)
    clouds = _CLOUD_DEPTH / _PER_MAG * dust * gas_metallicity / _SOLAR
    result[1] = np.where(formed[0] > 0, np.clip(clouds, 0.0, 4.0), 0.0)
    return result
