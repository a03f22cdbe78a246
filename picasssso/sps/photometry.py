r"""Synthetic photometry of a stellar grid through any filters at any redshift.

A band is cut into narrow slices in wavelength. For each slice the light of every simple
stellar population is integrated once, exactly for the tabulated spectrum and response;
what is left for each of many thousand models is a matrix product of its weights with
those numbers, and a multiplication by the dust's transmission in each slice. Slices are
at most a seventieth of the wavelength wide, so that attenuation hardly changes within:
that is the only approximation, and it stays below 0.002 mag.

**The unit.** A source of surface density S (in Msun/kpc2) and luminosity per mass
:math:`L_\nu`, seen at redshift z, has

.. math:: f_\nu(\nu) = (1 + z) L_\nu(\nu (1 + z)) / (4 \pi D_L^2)

per unit mass, and covers a solid angle of (area / :math:`D_A^2`) per unit area. With
:math:`D_L = (1 + z)^2 D_A` the distance drops out:

.. math:: f_\nu / \Omega = S L_\nu(\nu (1 + z)) / (4 \pi (1 + z)^3)

Fluxes here are such surface brightnesses, in nmgy/arcsec2 for 1 Msun/kpc2 formed.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from picasssso.exceptions import InvalidInputError, PicassssoWarning
from picasssso.filters.library import load_filter
from picasssso.sps.dust import AttenuationLaw
from picasssso.sps.grid import SOLAR_LUMINOSITY, SSPGrid
from picasssso.sps.nebular import LINES, nebular_lines

#: Wavelength over the largest width of a slice of a band.
SLICE_RESOLUTION = 70.0

#: The filter of ``attenuation_v``, at rest.
V_BAND = "bessell-V"

SPEED_OF_LIGHT = 2.99792458e18  # AA/s
_KPC = 3.0856775814913673e21  # cm
_ARCSEC2 = (np.pi / 648000.0) ** 2  # sr
_NMGY = 3.631e-29  # erg/s/cm2/Hz

#: nmgy/arcsec2 at z = 0 of 1 Lsun/Hz/kpc2.
SOLAR_SURFACE_BRIGHTNESS = SOLAR_LUMINOSITY * _ARCSEC2 / (4.0 * np.pi * _KPC**2 * _NMGY)

#: Light of shorter wavelength at rest is absorbed between the galaxies, in AA.
LYMAN_ALPHA = 1215.67


def load_response(band: str) -> tuple[np.ndarray, np.ndarray]:
    """Return a filter's response.

    Returns observed wavelengths in AA and the response to photons there (any scale), both of
    shape (k,), starting and ending with a response of 0.
    """
    curve = load_filter(band)
    return np.array(curve.wavelength, np.float64), np.array(curve.response, np.float64)


@dataclass(frozen=True)
class _Slice:
    """Part of a band: where it lies at rest, and how to integrate over it."""

    band: int
    low: float
    high: float
    points: np.ndarray
    weights: np.ndarray
    response: tuple[np.ndarray, np.ndarray]
    per_photon: float


def _cut(grid: SSPGrid, band: str, index: int, redshift: float) -> list[_Slice]:
    """Cut a band into slices, each with rest wavelengths and weights to integrate L_lambda.

    Both the spectrum and the response are piecewise linear: between all their nodes the
    integrand is a cubic in wavelength, which Gauss' rule with two points integrates
    exactly. What comes out is (1 + z) L_nu averaged over the band as AB magnitudes ask.
    """
    wavelength, response = load_response(band)
    rest = wavelength / (1.0 + redshift)
    if rest[0] < grid.wavelength[0] or rest[-1] > grid.wavelength[-1]:
        raise InvalidInputError(
            f"The filter {band} covers {rest[0]:.0f}-{rest[-1]:.0f} AA at rest at redshift "
            f"{redshift:g}: the grid {grid.name} reaches from {grid.wavelength[0]:.0f} to "
            f"{grid.wavelength[-1]:.0f} AA. Leave out the band, or use another grid."
        )
    if redshift > 0 and rest[0] < LYMAN_ALPHA:
        warnings.warn(
            f"The filter {band} begins at {rest[0]:.0f} AA at rest at redshift {redshift:g}: the "
            "absorption between the galaxies shortward of Lyman alpha is not modeled, so its "
            "model fluxes are too bright.",
            PicassssoWarning,
            stacklevel=2,
        )
    n_slice = int(np.ceil(np.log(rest[-1] / rest[0]) * SLICE_RESOLUTION))
    borders = np.geomspace(rest[0], rest[-1], n_slice + 1)
    borders[[0, -1]] = rest[[0, -1]]
    nodes = np.concatenate([rest, grid.wavelength, borders])
    nodes = np.unique(nodes[(nodes >= rest[0]) & (nodes <= rest[-1])])
    middle, half = 0.5 * (nodes[1:] + nodes[:-1]), 0.5 * np.diff(nodes)
    points = np.stack([middle - half / np.sqrt(3.0), middle + half / np.sqrt(3.0)], axis=1).ravel()
    width = np.repeat(half, 2)
    seen = np.interp(points, rest, response)
    # <f_nu> = int f_lambda R lambda dlambda / int (c / lambda^2) R lambda dlambda, observed.
    # The second is int c R / lambda dlambda, which needs no redshift. In the first,
    # f_lambda dlambda is the luminosity at rest, and lambda is (1 + z) times that at rest.
    per_photon = (1.0 + redshift) / (SPEED_OF_LIGHT * np.sum(seen / points * width))
    weights = seen * points * width * per_photon
    ends = np.searchsorted(points, borders)
    return [
        _Slice(
            band=index,
            low=borders[i],
            high=borders[i + 1],
            points=points[ends[i] : ends[i + 1]],
            weights=weights[ends[i] : ends[i + 1]],
            response=(rest, response),
            per_photon=per_photon,
        )
        for i in range(borders.size - 1)
    ]


def _on_nodes(grid: SSPGrid, piece: _Slice) -> tuple[slice, np.ndarray]:
    """Return which of the grid's wavelengths a slice needs, and their weights.

    The weights, of shape (2, n), integrate the spectrum, which is linear between the
    wavelengths, and its product with wavelength.
    """
    right = np.clip(np.searchsorted(grid.wavelength, piece.points), 1, grid.wavelength.size - 1)
    low, high = grid.wavelength[right - 1], grid.wavelength[right]
    part = (piece.points - low) / (high - low)
    first, count = right[0] - 1, right[-1] - right[0] + 2

    def collected(weights: np.ndarray) -> np.ndarray:
        return np.bincount(right - 1 - first, weights * (1.0 - part), count) + np.bincount(
            right - first, weights * part, count
        )

    weights = np.stack([collected(piece.weights), collected(piece.weights * piece.points)])
    return slice(first, first + count), weights


def _integrate(
    grid: SSPGrid, slices: list[_Slice], redshift: float, *, nebular: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return stars' and gas' fluxes in all slices, and the mean wavelengths of both."""
    shape = (grid.metallicities.size, grid.ages.size, len(slices))
    stars, gas = np.zeros(shape), np.zeros(shape)
    wavelength = np.empty((2, len(slices)))
    lines = nebular_lines(grid) if nebular else None
    for k, piece in enumerate(slices):
        nodes, weights = _on_nodes(grid, piece)
        light = grid.luminosity[..., nodes] @ weights.T
        stars[..., k] = light[..., 0]
        total, moment = light.sum(axis=(0, 1))
        wavelength[:, k] = moment / total if total > 0 else 0.5 * (piece.low + piece.high)
        if lines is None:
            continue
        # Where the gas shines in a slice matters more, since it may be one line.
        moment = 0.0
        if grid.nebular_continuum is not None:
            light = grid.nebular_continuum[..., nodes] @ weights.T
            gas[..., k] = light[..., 0]
            moment = light[..., 1].sum()
        for line in np.flatnonzero((piece.low <= LINES) & (piece.high > LINES)):
            seen = np.interp(LINES[line], *piece.response) * LINES[line] * piece.per_photon
            gas[..., k] += lines[..., line] * seen
            moment += lines[..., line].sum() * seen * LINES[line]
        total = gas[..., k].sum()
        if total > 0:
            wavelength[1, k] = moment / total
    unit = SOLAR_SURFACE_BRIGHTNESS / (1.0 + redshift) ** 4
    return stars * unit, gas * unit, wavelength


@dataclass(frozen=True, eq=False)
class GridPhotometry:
    """The photometry of every simple stellar population of a grid, in slices of bands.

    Make one with `GridPhotometry.build`. All arrays are plain float64 numpy and
    read-only in spirit; the model fluxes are matrix products with them, so the same can
    be done with torch (see ``docs/sps.rst``).

    ``band_of_slice``: index of each slice's band, of shape (n_slice,); ``wavelength``: mean rest
    wavelengths in AA of the light of stars and of gas in each slice, of shape (2, n_slice);
    ``stars, gas``: flux of each population in each slice, in nmgy/arcsec2 per Msun/kpc2 formed,
    of shape (n_metallicity, n_age, n_slice); ``ages``: the grid's ages in yr.
    """

    bands: tuple[str, ...]
    redshift: float
    band_of_slice: np.ndarray
    wavelength: np.ndarray
    stars: np.ndarray
    gas: np.ndarray
    ages: np.ndarray

    @classmethod
    def build(
        cls, grid: SSPGrid, bands: Sequence[str], redshift: float, *, nebular: bool = True
    ) -> GridPhotometry:
        """Integrate a grid's spectra over the slices of bands."""
        names = (bands,) if isinstance(bands, str) else tuple(bands)
        if not names or len(set(names)) != len(names):
            raise InvalidInputError(
                f"bands={bands!r} cannot be used: expected at least one filter name, each once."
            )
        if not np.isfinite(redshift) or redshift <= -1:
            raise InvalidInputError(f"redshift={redshift!r} must be a number above -1.")
        slices = [
            piece
            for index, band in enumerate(names)
            for piece in _cut(grid, band, index, float(redshift))
        ]
        stars, gas, wavelength = _integrate(grid, slices, float(redshift), nebular=nebular)
        return cls(
            bands=names,
            redshift=float(redshift),
            band_of_slice=np.array([piece.band for piece in slices]),
            wavelength=wavelength,
            stars=stars,
            gas=gas,
            ages=grid.ages,
        )

    def fluxes(
        self,
        age_weights: np.ndarray,
        metallicity_weights: np.ndarray,
        *,
        law: AttenuationLaw,
        diffuse: np.ndarray | float = 0.0,
        birth_clouds: np.ndarray | float = 0.0,
        escape_fraction: np.ndarray | float = 0.0,
    ) -> np.ndarray:
        """Return the fluxes of models with one metallicity each.

        ``age_weights``: mass formed at each of the grid's ages, of shape (n, n_age);
        ``metallicity_weights``: weights of the grid's metallicities, of shape (n,
        n_metallicity); ``diffuse, birth_clouds``: attenuation at V of either kind of dust in
        mag, of shape (n,) or one for all; ``escape_fraction``: fraction of the ionizing photons
        that make no gas shine, of shape (n,) or one for all; returns fluxes of shape (n,
        n_band), in nmgy/arcsec2 per Msun/kpc2 of unit weight.
        """
        # Few metallicities matter if the models come sorted by it.
        used = np.flatnonzero(np.any(metallicity_weights > 0, axis=0))
        n_model, n_age = age_weights.shape
        weights = (metallicity_weights[:, used, None] * age_weights[:, None, :]).reshape(
            n_model, used.size * n_age
        )
        return self.fluxes_of_weights(
            weights,
            law=law,
            diffuse=diffuse,
            birth_clouds=birth_clouds,
            escape_fraction=escape_fraction,
            metallicities=used,
        )

    def fluxes_of_weights(
        self,
        weights: np.ndarray,
        *,
        law: AttenuationLaw,
        diffuse: np.ndarray | float = 0.0,
        birth_clouds: np.ndarray | float = 0.0,
        escape_fraction: np.ndarray | float = 0.0,
        metallicities: np.ndarray | slice = slice(None),
    ) -> np.ndarray:
        """Return the fluxes of models with any mixture of ages and metallicities.

        ``weights``: mass formed at each node of the grid, of shape (n, n_metallicity * n_age),
        ages running fastest; ``diffuse, birth_clouds``: attenuation at V of either kind of dust
        in mag, of shape (n,) or one for all; returns fluxes of shape (n, n_band), in
        nmgy/arcsec2 per Msun/kpc2 of unit weight.
        """
        dust = np.stack(np.broadcast_arrays(diffuse, birth_clouds), axis=-1).reshape(-1, 2)
        n_slice = self.band_of_slice.size
        stars = self.stars[metallicities]
        young = np.broadcast_to((self.ages < law.birth_cloud_age)[:, None], stars.shape)
        curves = np.stack(
            [
                law.curves(self.wavelength[0])[:, 0],
                law.curves(self.wavelength[0])[:, 1],
                law.curves(self.wavelength[1])[:, 2],
            ]
        )
        groups: list[tuple[np.ndarray, np.ndarray, Any]]
        if law.has_birth_clouds:
            groups = [
                (np.where(young, 0.0, stars), curves[0], 1.0),
                (np.where(young, stars, 0.0), curves[1], 1.0),
            ]
        else:
            groups = [(stars, curves[0], 1.0)]
        if np.any(self.gas):
            kept = 1.0 - np.asarray(escape_fraction, dtype=np.float64).reshape(-1, 1)
            groups.append((self.gas[metallicities], curves[2], kept))
        first = np.flatnonzero(np.diff(self.band_of_slice, prepend=-1))
        result = np.zeros((len(weights), len(self.bands)))
        for table, curve, factor in groups:
            table = table.reshape(-1, n_slice)
            lit = np.any(table != 0, axis=1)
            light = weights[:, lit] @ table[lit]
            light *= factor
            if np.any(dust):
                light *= np.exp(dust @ curve * (-0.4 * np.log(10.0)))
            result += np.add.reduceat(light, first, axis=1)
        return result
