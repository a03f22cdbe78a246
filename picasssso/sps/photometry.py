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
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby

import numpy as np

from picasssso.exceptions import InvalidInputError, PicassssoWarning
from picasssso.filters.curves import load_filter
from picasssso.sps.dust import AttenuationLaw
from picasssso.sps.grid import SOLAR_LUMINOSITY, SSPGrid
from picasssso.sps.nebular import LINES, nebular_lines

#: Wavelength over the largest width of a slice of a band.
SLICE_RESOLUTION = 70.0

#: Slices are gathered (`GridPhotometry.behind`) so that up to this attenuation at V, in mag of
#: diffuse dust and of birth clouds, models keep their flux to this part.
_MOST_DUST = np.array([3.0, 6.0])
_TOLERANCE = 1e-3

#: Models worked on at once: few enough for what is computed of them to stay in cache.
_MODELS = 1024

#: Natural logarithm of transmission per magnitude.
_MAG = -0.4 * np.log(10.0)

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
    """Return observed wavelengths in AA and a filter's response there, (k,), 0 at both ends."""
    curve = load_filter(band)
    return np.array(curve.wavelength, np.float64), np.array(curve.response, np.float64)


class _Band:
    """A band at rest, cut into slices, and how to integrate L_lambda over each of them.

    Both the spectrum and the response are piecewise linear: between all their nodes the
    integrand is a cubic in wavelength, which Gauss' rule with two points integrates
    exactly. What comes out is (1 + z) L_nu averaged over the band as AB magnitudes ask.
    """

    def __init__(self, grid: SSPGrid, name: str, redshift: float) -> None:
        wavelength, self.response = load_response(name)
        self.rest = rest = wavelength / (1.0 + redshift)
        _check_range(grid, name, rest, redshift)
        self.n_slice = int(np.ceil(np.log(rest[-1] / rest[0]) * SLICE_RESOLUTION))
        borders = np.geomspace(rest[0], rest[-1], self.n_slice + 1)
        borders[[0, -1]] = rest[[0, -1]]
        self.borders = borders
        nodes = np.concatenate([rest, grid.wavelength, borders])
        nodes = np.unique(nodes[(nodes >= rest[0]) & (nodes <= rest[-1])])
        middle, half = 0.5 * (nodes[1:] + nodes[:-1]), 0.5 * np.diff(nodes)
        points = np.stack([middle - half / np.sqrt(3.0), middle + half / np.sqrt(3.0)], axis=1)
        self._points, width = points.ravel(), np.repeat(half, 2)
        seen = np.interp(self._points, rest, self.response)
        # <f_nu> = int f_lambda R lambda dlambda / int (c / lambda^2) R lambda dlambda, observed.
        # The second is int c R / lambda dlambda, which needs no redshift. In the first,
        # f_lambda dlambda is the luminosity at rest, and lambda is (1 + z) times that at rest.
        photons = SPEED_OF_LIGHT * np.sum(seen / self._points * width)
        self._per_photon = (1.0 + redshift) / photons
        # The spectrum is linear between the grid's wavelengths: weights on these integrate it,
        # and its product with wavelength.
        right = np.clip(np.searchsorted(grid.wavelength, self._points), 1, None)
        low, high = grid.wavelength[right - 1], grid.wavelength[right]
        part = (self._points - low) / (high - low)
        first = right[0] - 1
        self._nodes = slice(first, right[-1] + 1)
        self._weights = np.zeros((right[-1] + 1 - first, 2, self.n_slice))
        piece = self.slices_of(self._points)
        for power in (0, 1):
            weights = seen * self._points ** (1 + power) * width * self._per_photon
            np.add.at(self._weights[:, power], (right - 1 - first, piece), weights * (1.0 - part))
            np.add.at(self._weights[:, power], (right - first, piece), weights * part)

    def slices_of(self, wavelength: np.ndarray) -> np.ndarray:
        """Return which slices rest wavelengths in AA lie in."""
        return np.searchsorted(self.borders[1:-1], wavelength, side="right")

    def integrate(self, light: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the fluxes of spectra (..., n_wavelength) in all slices, and their moments.

        Moments are sums over all spectra of flux times wavelength, of shape (n_slice,).
        """
        light = light[..., self._nodes]
        return light @ self._weights[:, 0], light.sum(axis=(0, 1)) @ self._weights[:, 1]

    def lines(self, light: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the same for the light of `LINES`, of shape (..., n_line)."""
        inside = np.flatnonzero((self.rest[0] <= LINES) & (self.rest[-1] > LINES))
        seen = np.interp(LINES[inside], self.rest, self.response) * LINES[inside]
        piece = self.slices_of(LINES[inside])[:, None] == np.arange(self.n_slice)
        flux = light[..., inside] * (seen * self._per_photon)
        return flux @ piece, (flux.sum(axis=(0, 1)) * LINES[inside]) @ piece


def _check_range(grid: SSPGrid, band: str, rest: np.ndarray, redshift: float) -> None:
    """Refuse a band that the grid does not cover; warn where light is absorbed on its way."""
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


def _integrate(
    grid: SSPGrid, band: _Band, lines: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return stars' and gas' fluxes in the slices of a band, and mean wavelengths of both."""
    stars, moment = band.integrate(grid.luminosity)
    total = stars.sum(axis=(0, 1))
    middle = 0.5 * (band.borders[1:] + band.borders[:-1])
    wavelength = np.divide(moment, total, out=middle, where=total > 0)
    if lines is None:
        return stars, np.zeros_like(stars), np.stack([wavelength, wavelength])
    gas, moment = band.lines(lines)
    if grid.nebular_continuum is not None:
        continuum, more = band.integrate(grid.nebular_continuum)
        gas, moment = gas + continuum, moment + more
    # Where the gas shines in a slice matters more, since it may be one line.
    total = gas.sum(axis=(0, 1))
    glow = np.divide(moment, total, out=wavelength.copy(), where=total > 0)
    return stars, gas, np.stack([wavelength, glow])


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
        cut = [_Band(grid, name, float(redshift)) for name in names]
        lines = nebular_lines(grid) if nebular else None
        parts = [_integrate(grid, band, lines) for band in cut]
        stars, gas, wavelength = (
            np.concatenate(tables, axis=-1) for tables in zip(*parts, strict=True)
        )
        unit = SOLAR_SURFACE_BRIGHTNESS / (1.0 + redshift) ** 4
        return cls(
            bands=names,
            redshift=float(redshift),
            band_of_slice=np.repeat(np.arange(len(cut)), [band.n_slice for band in cut]),
            wavelength=wavelength,
            stars=stars * unit,
            gas=gas * unit,
            ages=grid.ages,
        )

    def fluxes(
        self,
        age_weights: np.ndarray,
        metallicity_weights: np.ndarray,
        *,
        law: AttenuationLaw,
        **dust: np.ndarray | float,
    ) -> np.ndarray:
        """Return the fluxes (n, n_band) of models, as `DustyPhotometry.fluxes`, slice by slice."""
        return self._behind(law).fluxes(age_weights, metallicity_weights, **dust)

    def fluxes_of_weights(
        self, weights: np.ndarray, *, law: AttenuationLaw, **dust: np.ndarray | float
    ) -> np.ndarray:
        """Return the fluxes (n, n_band) of models with any mixture of ages and metallicities.

        ``weights``: mass formed at each node of the grid, of shape (n, n_metallicity * n_age),
        ages running fastest; ``dust`` as for `DustyPhotometry.fluxes`.
        """
        return self._behind(law).fluxes_of_weights(weights, **dust)

    def behind(self, law: AttenuationLaw) -> DustyPhotometry:
        """Return the photometry behind dust of a law, with few numbers for each band."""
        return self._behind(law).condensed()

    def _behind(self, law: AttenuationLaw) -> DustyPhotometry:
        stars, gas = (law.curves(wavelength) for wavelength in self.wavelength)
        groups = [_Group(self.stars, stars[:, 0], self.band_of_slice)]
        if law.has_birth_clouds:
            young = (self.ages < law.birth_cloud_age)[:, None]
            groups = [
                replace(groups[0], table=np.where(young, 0.0, self.stars)),
                _Group(np.where(young, self.stars, 0.0), stars[:, 1], self.band_of_slice),
            ]
        if np.any(self.gas):
            groups.append(_Group(self.gas, gas[:, 2], self.band_of_slice, is_gas=True))
        return DustyPhotometry(groups, len(self.bands))


@dataclass(frozen=True, eq=False)
class _Group:
    """Light sources that dust dims alike: fluxes in parts of bands, and the dust's curve there.

    ``table``: of shape (n_metallicity, n_age, n_part); ``curve``: mag per mag of diffuse dust and
    of birth clouds, of shape (2, n_part); ``band``: each part's band, of shape (n_part,).
    """

    table: np.ndarray
    curve: np.ndarray
    band: np.ndarray
    is_gas: bool = False

    @cached_property
    def lit(self) -> slice:
        """The ages from the first to the last at which it shines at all."""
        lit = np.flatnonzero(np.any(self.table != 0, axis=(0, 2)))
        return slice(lit[0], lit[-1] + 1) if lit.size else slice(0, 0)

    def condensed(self) -> _Group:
        """Return the same with the slices of each band gathered on a few nodes.

        What dust lets pass is an exponential of the curve, which a polynomial through a few of
        its values follows, whatever the curve: a slice counts at each node as the polynomial
        does.
        """
        from scipy.interpolate import BarycentricInterpolator

        tables, curves, bands = [], [], []
        for band in np.unique(self.band):
            table, curve = (t[..., self.band == band] for t in (self.table, self.curve))
            depth = _MAG * (_MOST_DUST @ curve)
            middle, half = 0.5 * (depth.max() + depth.min()), 0.5 * np.ptp(depth)
            # The error of a polynomial through the zeros of Chebyshev's.
            count = np.arange(1, 40)
            error = 2.0 * np.cumprod(0.5 * half / count)
            n_node = count[error < _TOLERANCE][0] if error[-1] < _TOLERANCE else depth.size
            if n_node < depth.size:
                nodes = middle + half * np.cos((np.arange(n_node) + 0.5) * np.pi / n_node)
                share = np.ones((depth.size, 1))
                if n_node > 1:
                    share = BarycentricInterpolator(nodes, np.eye(n_node))(depth)
                table = table @ share
                order = np.argsort(depth)
                curve = np.stack([np.interp(nodes, depth[order], row[order]) for row in curve])
            tables.append(table)
            curves.append(curve)
            bands.append(np.full(curve.shape[1], band))
        return _Group(
            np.concatenate(tables, axis=-1),
            np.concatenate(curves, axis=-1),
            np.concatenate(bands),
            self.is_gas,
        )


@dataclass(frozen=True, eq=False)
class DustyPhotometry:
    """The photometry of a grid behind dust of one law; make it with `GridPhotometry.behind`."""

    groups: Sequence[_Group]
    n_band: int

    def condensed(self) -> DustyPhotometry:
        """Return the same with few numbers for each band."""
        return replace(self, groups=[group.condensed() for group in self.groups])

    def fluxes(
        self, age_weights: np.ndarray, metallicity_weights: np.ndarray, **dust: np.ndarray | float
    ) -> np.ndarray:
        """Return the fluxes of models with one metallicity each.

        ``age_weights``: mass formed at each of the grid's ages, of shape (n, n_age);
        ``metallicity_weights``: weights of the grid's metallicities, of shape (n,
        n_metallicity); ``diffuse, birth_clouds``: attenuation at V of either kind of dust in
        mag, of shape (n,) or one for all; ``escape_fraction``: fraction of the ionizing photons
        that make no gas shine, of shape (n,) or one for all; returns fluxes of shape (n,
        n_band), in nmgy/arcsec2 per Msun/kpc2 of unit weight, as precise as ``age_weights``.
        """
        # Few metallicities matter if the models come sorted by it.
        used = np.flatnonzero(metallicity_weights.sum(axis=0))
        share = np.ascontiguousarray(metallicity_weights[:, used].T, age_weights.dtype)
        # Parts of bands run down and models across: numpy works along what is long.
        tables = [
            (ages, table[used].swapaxes(1, 2).astype(share.dtype).reshape(-1, table.shape[1]))
            for ages, table in self._sources
        ]
        # Fresh pages of memory cost more than what is computed in them.
        spaces = [np.empty((len(table), _MODELS), share.dtype) for _, table in tables]

        def light(rows: slice) -> np.ndarray:
            lights = []
            for (ages, table), space in zip(tables, spaces, strict=True):
                some = age_weights[rows, ages].T
                seen = np.matmul(table, some, out=space[:, : some.shape[1]])
                seen = seen.reshape(used.size, -1, seen.shape[1])
                seen *= share[:, None, rows]
                for one in seen[1:]:
                    seen[0] += one
                lights.append(seen[0])
            return lights[0] if len(lights) == 1 else np.concatenate(lights)

        return self._dimmed(light, age_weights, **dust)

    def fluxes_of_weights(self, weights: np.ndarray, **dust: np.ndarray | float) -> np.ndarray:
        """Return what `GridPhotometry.fluxes_of_weights` does."""
        tables = [group.table.reshape(weights.shape[1], -1) for group in self.groups]
        lit = [np.any(table != 0, axis=1) for table in tables]

        def light(rows: slice) -> np.ndarray:
            some = weights[rows]
            return np.concatenate(
                [t[k].T @ some[:, k].T for t, k in zip(tables, lit, strict=True)]
            )

        return self._dimmed(light, weights, **dust)

    @cached_property
    def _sources(self) -> list[tuple[slice, np.ndarray]]:
        """Ages at which groups shine, and tables there: of those with the same ages as one."""
        sources = []
        for ages, some in groupby(self.groups, lambda group: group.lit):
            tables = [group.table[:, ages] for group in some]
            sources.append((ages, np.concatenate(tables, axis=-1)))
        return sources

    def _dimmed(
        self,
        light: Callable[[slice], np.ndarray],
        weights: np.ndarray,
        diffuse: np.ndarray | float = 0.0,
        birth_clouds: np.ndarray | float = 0.0,
        escape_fraction: np.ndarray | float = 0.0,
    ) -> np.ndarray:
        """Return fluxes (n, n_band), with what gives the light (n_part, k) of some models."""
        n, kind = len(weights), weights.dtype
        curve, band = (
            np.concatenate([getattr(group, name) for group in self.groups], axis=-1)
            for name in ("curve", "band")
        )
        is_gas = np.repeat([g.is_gas for g in self.groups], [g.band.size for g in self.groups])
        some_gas = is_gas.any() and np.any(escape_fraction)
        dust = [np.broadcast_to(np.asarray(d, kind), (n,)) for d in (diffuse, birth_clouds)]
        kinds = [k for k in (0, 1) if np.any(dust[k]) and np.any(curve[k])]
        curve = (curve * _MAG).astype(kind)[..., None]
        kept = np.broadcast_to(np.asarray(1.0 - np.asarray(escape_fraction), kind), (n,))
        gathered = (band == np.arange(self.n_band)[:, None]).astype(kind)
        result = np.empty((n, self.n_band), kind)
        space = np.empty((len(band), _MODELS), kind)
        for start in range(0, n, _MODELS):
            rows = slice(start, min(start + _MODELS, n))
            seen = light(rows)
            if some_gas:
                seen[is_gas] *= kept[rows]
            depth = space[:, : seen.shape[1]]
            for number, k in enumerate(kinds):
                if not number:
                    np.multiply(curve[k], dust[k][rows], out=depth)
                else:
                    depth += curve[k] * dust[k][rows]
            if kinds:
                seen *= np.exp(depth, out=depth)
            result[rows] = (gathered @ seen).T
        return result
