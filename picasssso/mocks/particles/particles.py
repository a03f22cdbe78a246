"""A simulated galaxy, and what an observer sees of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from picasssso._core.arguments import check_choice
from picasssso._core.constants import HELIUM
from picasssso.exceptions import InvalidInputError
from picasssso.mocks.distances import checked_redshift, pixel_sizes
from picasssso.mocks.galaxies.scaling_relations import attenuation_slope
from picasssso.mocks.galaxy_maps import Galaxies, one_galaxy
from picasssso.mocks.particles.components import GasParticles, StarParticles
from picasssso.mocks.particles.gridding import (
    CLOUD_SLOPE,
    LEAST_METALS,
    View,
    attenuation_maps,
    checked_shape,
    means,
    stellar_maps,
)
from picasssso.mocks.particles.header import SimulationCosmology
from picasssso.mocks.particles.orientation import viewing_matrix

if TYPE_CHECKING:
    import astropy.units as u

    from picasssso.sps import SSPGrid


def _select(particles: Any, chosen: np.ndarray) -> Any:
    return replace(
        particles,
        **{
            f.name: None if (value := getattr(particles, f.name)) is None else value[chosen]
            for f in fields(particles)
        },
    )


@dataclass(frozen=True, eq=False)
class Particles:
    """A simulated galaxy; see `read_particles`.

    Stars and gas, positions relative to its center; redshift of the snapshot, and the
    expansion of the simulation; ``layout``, the kind of the file, and ``source``, its name;
    ``notes``, what was assumed or computed for want of it in the file.
    """

    stars: StarParticles
    gas: GasParticles
    redshift: float
    cosmology: SimulationCosmology
    layout: str = ""
    source: str = ""
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return (
            f"<Particles of {self.layout} {self.source!r}: {len(self.stars.mass)} stars of "
            f"{self.stars.mass.sum():.3g} Msun, {len(self.gas.mass)} gas of "
            f"{self.gas.mass.sum():.3g} Msun, z = {self.redshift:.3g}>"
        )

    def within(self, radius: float) -> Particles:
        """Return what is inside a sphere of a radius in kpc."""
        return replace(
            self,
            stars=_select(self.stars, (self.stars.position**2).sum(axis=1) <= radius**2),
            gas=_select(self.gas, (self.gas.position**2).sum(axis=1) <= radius**2),
        )

    def half_mass_radius(self) -> float:
        """Return the radius of the sphere with half of the mass of the stars, in kpc."""
        radius = np.sqrt((self.stars.position**2).sum(axis=1))
        order = np.argsort(radius)
        mass = np.cumsum(self.stars.mass[order])
        return float(np.interp(0.5 * mass[-1], mass, radius[order]))

    def to_galaxies(
        self,
        *,
        n_pixels: int | tuple[int, int] = 64,
        pixel_scale: u.Quantity | None = None,
        redshift: float | None = None,
        line_of_sight: str | Sequence[float] | np.ndarray = "z",
        position_angle: float = 0.0,
        phase: str = "cold",
        stellar_mass: str = "current",
        young_stars: str = "particles",
        dust: float = 1.0,
        grid: SSPGrid | None = None,
        index: int = 0,
    ) -> Galaxies:
        """Describe the galaxy on a pixel grid, as every mock galaxy is described.

        Particles are spread over the distance of their 16th nearest neighbor. Sums over
        pixels are those of the particles (but for what lies outside the grid).

        Parameters
        ----------
        n_pixels : int or tuple of int
            Pixels along each side, or (y, x).
        pixel_scale : Quantity, optional
            Size of a pixel, as an angle or a length. 10 half-mass radii over the shorter
            side if not given.
        redshift : float, optional
            Redshift at which it is observed, with the stars as they are in the snapshot;
            the snapshot's own if not given.
        line_of_sight : str or sequence of float, optional
            Direction from the galaxy to the observer: "x", "y", "z", "face-on", "edge-on"
            (by the angular momentum of the stars), or three numbers.
        position_angle : float, optional
            Turns the sky by so many degrees, from x towards y.
        phase : {"cold", "all"}, optional
            Which gas counts: the cold one, 1.36 (HI + H2), or all gas, as in the maps of
            Buck & Wolf (2021). With "all", what is not HI counts as molecular.
        stellar_mass : {"current", "formed"}, optional
            Which masses of the file are kept: those of today, from which the masses formed
            follow with the stellar grid, or those at formation.
        young_stars : {"particles", "gas"}, optional
            Where stars younger than 100 Myr come from: from star particles, or from the star
            formation rate of the gas, which replaces them (Trayford et al. 2017, MNRAS 470,
            771): smoother, but the stellar mass is then not exactly that of the particles.
        dust : float, optional
            Dust per mass of metals in cold gas, relative to the Milky Way; 0 for none.
        grid : SSPGrid, optional
            The stellar grid that light will come from; PopStar if not given.
        index : int, optional
            Number of the galaxy, which keys its noise when it is observed.

        Returns
        -------
        Galaxies
            One galaxy.

        Raises
        ------
        InvalidInputError
            If an argument makes no sense.
        InvalidTypeError
            If ``pixel_scale`` has no unit.
        """
        stars, gas, half_mass = self.stars, self.gas, self.half_mass_radius()
        for name, value, allowed in (
            ("phase", phase, ("cold", "all")),
            ("stellar_mass", stellar_mass, ("current", "formed")),
            ("young_stars", young_stars, ("particles", "gas")),
        ):
            check_choice(name, value, allowed)
        if not 0.0 <= dust <= 10.0:
            raise InvalidInputError(f"dust={dust!r} cannot be used: expected 0 to 10.")
        shape = checked_shape(n_pixels)
        z = checked_redshift(redshift, self.redshift, self.source or "the galaxy")
        default = 10.0 * half_mass / min(shape)
        if pixel_scale is None and not default > 0:
            raise InvalidInputError(
                f"{self.source} has no extent, so no pixel scale follows: give pixel_scale=."
            )
        arcsec, kpc = pixel_sizes(pixel_scale, z, default)
        matrix = viewing_matrix(line_of_sight, stars, max(3.0 * half_mass, 1e-6), position_angle)
        view = View(stars.position, matrix, kpc, shape)
        gas_view = View(gas.position, matrix, kpc, shape)

        formed, log_metallicity = stellar_maps(
            stars, gas, view, gas_view, stellar_mass, young_stars, grid
        )
        hi, h2 = gas_view.deposit(np.stack([gas.hi_mass, gas.h2_mass]))
        if phase == "all":
            counted = gas.mass / HELIUM
            h2 = np.maximum(gas_view.deposit(counted)[0] - hi, 0.0)
        else:
            counted = gas.hi_mass + gas.h2_mass
        metals = gas_view.deposit(counted * gas.metallicity)[0]
        gas_metallicity = np.clip(means(metals, hi + h2), LEAST_METALS, 1.0)
        attenuation = attenuation_maps(stars, gas, view, gas_view, formed, gas_metallicity, dust)
        light = formed.sum(axis=0)
        typical = float((attenuation[0] * light).sum() / max(light.sum(), 1e-30))

        slope = float(np.clip(attenuation_slope(np.array(typical)), -1.5, -0.35))
        return one_galaxy(
            {
                "mass_formed": formed,
                "log_metallicity": log_metallicity,
                "attenuation": attenuation,
                "attenuation_slope": np.array([slope, CLOUD_SLOPE]),
                "hi_mass": hi,
                "h2_mass": h2,
                "gas_metallicity": gas_metallicity,
            },
            (z, arcsec, kpc),
            index,
            half_mass_radius=half_mass,
            log_mass=np.log10(stars.mass.sum()),
            source=self.source,
        )
