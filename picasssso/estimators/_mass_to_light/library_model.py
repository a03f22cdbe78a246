"""A color-mass-to-light relation derived from stellar population models.

The relation is taken between the observed bands at the galaxy's redshift, so that no
k-correction, color term or SDSS band is needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from picasssso.exceptions import MissingBandError
from picasssso.filters.curves import filter_hashes

FloatArray = npt.NDArray[np.floating]

#: Models that the relation is taken from, and colors that it is tabulated at.
N_MODELS = 20_000
N_KNOTS = 24
#: Part of the models left out at either end of the range of colors.
TAIL = 0.005


@dataclass(frozen=True)
class LibraryPlan:
    """Which band plays which role."""

    bands: Mapping[str, str]
    color: tuple[str, str]
    luminosity: str

    @property
    def letters(self) -> tuple[str, ...]:
        """Names of the bands, in the order of the arrays."""
        return tuple(self.bands)


def make_library_plan(
    available: tuple[str, ...], color: tuple[str, str], luminosity: str
) -> LibraryPlan:
    """Choose the bands: full names as given, letters from the first survey that has all."""
    roles = tuple(dict.fromkeys((*color, luminosity)))
    prefixes = dict.fromkeys(band.rpartition("-")[0] for band in available)
    for prefix in prefixes:
        bands = {role: role if "-" in role else f"{prefix}-{role}" for role in roles}
        if set(bands.values()) <= set(available):
            return LibraryPlan(bands, color, luminosity)
    raise MissingBandError(
        f"The color {color[0]!r}-{color[1]!r} and the luminosity in {luminosity!r} need bands "
        f"of one survey, or full names; the images have {', '.join(available) or 'none'}. "
        "Choose another color= and luminosity_band=."
    )


@dataclass(frozen=True, eq=False)
class LibraryMassModel:
    """The median mass-to-flux ratio of model populations as a function of color.

    ``colors``: observed colors, ascending, mag; ``log_ratios``: median log10 of mass surface
    density over surface brightness at these colors, Msun/kpc2 per nmgy/arcsec2; ``scatter``:
    standard deviation of the models about it, dex.
    """

    plan: LibraryPlan
    colors: FloatArray
    log_ratios: FloatArray
    scatter: float
    overall: tuple[float, float]
    record: Mapping[str, Any]

    def log_factor(
        self, magnitudes: Mapping[str, FloatArray]
    ) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
        """Return log10(mass / flux) by color, and where the color is off the models."""
        blue, red = self.plan.color
        color = magnitudes[blue] - magnitudes[red]
        outside = (color < self.colors[0]) | (color > self.colors[-1])
        return np.interp(color, self.colors, self.log_ratios), outside

    def surface_density_factor(self, pixel_solid_angle: float) -> float:
        """Return what turns a pixel's flux into the surface brightness of the ratio.

        ``pixel_solid_angle``: of a pixel, arcsec2; returns in 1 / arcsec2.
        """
        return 1 / pixel_solid_angle

    def prior(self) -> tuple[float, float]:
        """Return log_factor and its error where nothing is known of the color. Returns in dex."""
        return self.overall

    def shared_error(self) -> float:
        """Return the error that all pixels share, dex: the scatter of the models.

        Returns in dex.
        """
        return self.scatter

    def describe(self) -> dict[str, Any]:
        """Return what the maps record of the relation."""
        blue, red = (self.plan.bands[name] for name in self.plan.color)
        return {
            "relation": {
                "formula": f"median mass/flux in {self.plan.bands[self.plan.luminosity]} against "
                f"the observed color {blue} - {red}",
                "colors_mag": self.colors.tolist(),
                "log_ratios": self.log_ratios.tolist(),
                "scatter_dex": self.scatter,
                "library": dict(self.record),
            },
            "mass_definition": "living stars and remnants, Chabrier 0.1-100 Msun",
        }


@lru_cache(maxsize=16)
def _tabulate(
    color: tuple[str, str], luminosity: str, redshift: float, curves: tuple[str, ...]
) -> tuple[FloatArray, FloatArray, float, tuple[float, float], Mapping[str, Any]]:
    """Tabulate the relation between bands of these curves; kept, since models take seconds."""
    from picasssso.sps import ModelLibrary

    bands = tuple(dict.fromkeys((*color, luminosity)))
    library = ModelLibrary.build(bands, redshift, n_models=N_MODELS)
    flux = {band: library.fluxes[:, k].astype(float) for k, band in enumerate(bands)}
    log_ratio = np.log10(library.properties["surviving_fraction"] / flux[luminosity])
    value = -2.5 * np.log10(flux[color[0]] / flux[color[1]])
    edges = np.quantile(value, np.linspace(TAIL, 1 - TAIL, N_KNOTS + 1))
    cell = np.digitize(value, edges[1:-1])
    knots = np.array([np.median(value[cell == k]) for k in range(N_KNOTS)])
    medians = np.array([np.median(log_ratio[cell == k]) for k in range(N_KNOTS)])
    # The outermost knots lie inside the outermost cells: carried on to their edges.
    ends = edges[[0, -1]]
    outer = [
        float(np.polyval(np.polyfit(knots[part], medians[part], 1), end))
        for part, end in ((slice(0, 2), ends[0]), (slice(-2, None), ends[1]))
    ]
    knots = np.concatenate([ends[:1], knots, ends[1:]])
    medians = np.concatenate([outer[:1], medians, outer[1:]])
    scatter = float(np.std(log_ratio - np.interp(value, knots, medians)))
    overall = float(log_ratio.mean()), float(log_ratio.std())
    return knots, medians, scatter, overall, library.meta


def make_library_model(plan: LibraryPlan, redshift: float) -> LibraryMassModel:
    """Derive the relation for a plan at a redshift."""
    blue, red = (plan.bands[name] for name in plan.color)
    bands = (blue, red, plan.bands[plan.luminosity])
    table = _tabulate(bands[:2], bands[2], redshift, filter_hashes(bands))
    return LibraryMassModel(plan, *table)
