"""From observed magnitudes to mass per unit of observed flux.

Everything that depends on color (color term, k-correction, mass-to-light ratio) is one
factor on the flux in the luminosity band, so that the luminosity can be a pixel's own
where the color is its neighborhood's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from picasssso.estimators._mass_to_light.k_corrections import k_correction, k_correction_scatter
from picasssso.estimators._mass_to_light.plan import BandPlan
from picasssso.estimators._mass_to_light.relations import COLOR_RANGES, Relation

FloatArray = npt.NDArray[np.floating]

#: Colors of typical galaxies relative to r (mag): what is assumed where nothing is
#: known of a pixel's color, half-way between the two, with half their difference
#: divided by the square root of three (a uniform distribution) as the error.
_BLUE = {"u": 1.05, "g": 0.25, "r": 0.0, "i": -0.12, "z": -0.20}
_RED = {"u": 2.60, "g": 0.85, "r": 0.0, "i": -0.40, "z": -0.70}

#: Square arcseconds in a steradian.
_ARCSEC2_PER_SR = (180 * 3600 / np.pi) ** 2


@dataclass(frozen=True)
class MassModel:
    """A relation at work on a survey's bands at a redshift."""

    relation: Relation
    plan: BandPlan
    redshift: float

    def log_factor(
        self, magnitudes: Mapping[str, FloatArray]
    ) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
        """Return the color-dependent part of log10(mass / flux).

        Returns log10(M/L) + 0.4 K - 0.4 (SDSS magnitude - observed magnitude), dex.
        """
        plan, z = self.plan, self.redshift
        sdss = plan.system.to_sdss(magnitudes)
        k = {
            letter: k_correction(letter, pair, z, sdss[pair[0]] - sdss[pair[1]])
            for letter, pair in plan.k_colors.items()
        }
        blue, red = plan.color
        rest = (sdss[blue] - k[blue]) - (sdss[red] - k[red])
        low, high = COLOR_RANGES[plan.color]
        outside = (rest < low) | (rest > high)
        log_ml = self.relation.log_mass_to_light(
            plan.color, plan.luminosity, np.clip(rest, low, high)
        )
        band = plan.luminosity
        return log_ml + 0.4 * (k[band] - (sdss[band] - magnitudes[band])), outside

    def surface_density_factor(self, pixel_solid_angle: float) -> float:
        """Return the part of mass surface density / flux that no color changes.

        With m = 22.5 - 2.5 log10(f), L = 10^(-0.4 (m - DM - K - M_sun)) and a pixel of
        D_A^2 Omega, the distance cancels: D_L^2 / D_A^2 = (1 + z)^4. (K holds a factor
        1 / (1 + z), which leaves the (1 + z)^3 of a surface brightness in f_nu.)

        ``pixel_solid_angle``: of a pixel, arcsec2; returns in Msun / kpc2 per nmgy, to be
        multiplied by 10^log_factor.
        """
        sun = self.relation.solar_magnitudes[self.plan.luminosity]
        ten_parsecs = 0.01  # kpc
        dilution = (1 + self.redshift) ** 4 * _ARCSEC2_PER_SR / pixel_solid_angle
        return float(10 ** (-0.4 * (22.5 - sun)) * dilution / ten_parsecs**2)

    def prior(self) -> tuple[float, float]:
        """Return log_factor and its error where nothing is known of the color. Returns in dex."""
        ends = []
        for colors in (_BLUE, _RED):
            magnitudes = {x: np.array(colors[x]) for x in self.plan.letters}
            ends.append(float(self.log_factor(magnitudes)[0]))
        return sum(ends) / 2, abs(ends[1] - ends[0]) / 12**0.5

    def shared_error(self) -> float:
        """Return the error that all pixels share, dex."""
        blue, red = self.plan.color
        slope = self.relation.coefficients[self.plan.color][self.plan.luminosity][1]
        # Color terms of different bands scatter independently; a band's enters through
        # the color and, if it is the luminosity band, through the luminosity as well.
        weights = {blue: slope, red: -slope}
        weights[self.plan.luminosity] = weights.get(self.plan.luminosity, 0.0) - 0.4
        terms = [w * self.plan.system.scatter(letter) for letter, w in weights.items()]
        parts = [self.relation.scatter, k_correction_scatter(self.redshift), *terms]
        return float(np.sqrt(np.sum(np.square(parts))))

    def describe(self) -> dict[str, Any]:
        """Return what the maps record of the relation."""
        relation, plan = self.relation, self.plan
        intercept, slope = relation.coefficients[plan.color][plan.luminosity]
        blue, red = plan.color
        return {
            "relation": {
                "formula": (
                    f"log10(M/L_{plan.luminosity}) = {intercept} + {slope} ({blue}-{red}), rest "
                    f"frame, then {relation.chabrier_offset:+g} dex to Chabrier 0.1-100 Msun"
                ),
                "reference": relation.reference,
                "bibcode": relation.bibcode,
                "imf": relation.imf,
                "mass": relation.remnants,
                "scatter_dex": relation.scatter,
                "solar_magnitude": relation.solar_magnitudes[plan.luminosity],
            },
            "mass_definition": "living stars and remnants, Chabrier 0.1-100 Msun",
            "color_terms": {
                "from": plan.system.name,
                "reference": plan.system.reference,
                "scatter_mag": {x: plan.system.scatter(x) for x in plan.k_colors},
            },
            "k_corrections": {
                "reference": "2010MNRAS.405.1409C, 2012MNRAS.419.1727C",
                "colors": {band: f"{x}-{y}" for band, (x, y) in plan.k_colors.items()},
                "scatter_dex": k_correction_scatter(self.redshift),
            },
        }
