"""Worlds: what nobody knows about galaxies, drawn anew for each mock galaxy.

Relations between the properties of galaxies have zero points that surveys and codes do not
agree on. Stellar masses from the same photometry differ by 0.1 dex between codes, star
formation rates by 0.3 dex and attenuations by 0.3 mag (Pacifici et al. 2023, ApJ 944, 141);
nonparametric histories give masses 0.1-0.2 dex above parametric ones (Leja et al. 2019, ApJ
877, 140); gas metallicities depend on the calibration by up to 0.7 dex (Kewley & Ellison
2008, ApJ 681, 1183), of which the choice made here (direct method) leaves about 0.1. A network
trained in one such world states errors that hold in no other. So each mock galaxy comes from
a world of its own: zero points that its population shares and no other galaxy does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from picasssso._core.random import Stream
from picasssso.exceptions import InvalidInputError

#: Normal numbers are cut at this many standard deviations, as in `population`.
_CUT = 3.0

#: Numbers that are fractions of galaxies.
_FRACTIONS = ("dust_free", "unusual_history", "smooth", "environment")


@dataclass(frozen=True)
class Worlds:
    """Variation of zero points and laws from one mock galaxy to the next.

    All are standard deviations of normal distributions, unless said otherwise.
    """

    #: Stellar mass at a given light and history, in dex: remnants, giants. Most of the difference
    #: between codes is due to histories and dust, below. Chosen for the scatter of the network's
    #: masses of real galaxies relative to GSWLC-X2.
    mass_to_light: float = 0.05
    #: Its mean, in dex, relative to the stellar grid. For the ages of MaNGA spectra, both PopStar
    #: and BC03 give masses 0.1-0.2 dex above GSWLC-X2 at the same colors; nonparametric histories
    #: exceed it by about as much. The default is a mass scale 0.075 dex above GSWLC.
    mass_scale: float = -0.115
    #: Light of stars below 100 Myr at a given star formation rate, in dex.
    young_light: float = 0.10
    #: Onset of star formation, in Gyr.
    age: float = 1.5
    #: All times of a history, including its early phase, in dex. Illustris galaxies are 0.25 dex
    #: younger than those of MaNGA of the same mass by Firefly, to which the mocks are calibrated.
    age_scale: float = 0.20
    #: How much log mass-to-light falls where all times are longer, dex per dex. Of galaxies with
    #: the same images, those of worlds older by 1 dex have 0.33 dex more mass, as
    #: measured with the network. Masses of real galaxies are known better than that, ages are not.
    mass_at_age: float = 0.33
    #: Fraction of stars of the early phase.
    old_fraction: float = 0.15
    #: Zero points of the relations of mass and metallicity, in dex.
    stellar_metallicity: float = 0.25
    gas_metallicity: float = 0.10
    #: In dex at a given mass; HI too; molecular gas at a given star formation rate.
    sfr: float = 0.20
    hi_mass: float = 0.15
    depletion_time: float = 0.20
    #: Optical depth at a given column of metals, in dex.
    dust: float = 0.30
    #: Fraction of galaxies without any dust.
    dust_free: float = 0.05
    #: Exponent of the attenuation law.
    dust_slope: float = 0.20
    #: Power of the cosine of the inclination by which dust columns increase.
    dust_inclination: float = 0.20
    #: Fraction of galaxies with a burst or rejuvenation 0.1-3 Gyr ago, or different star formation
    #: rates in the last 300 and 100 Myr.
    unusual_history: float = 0.30
    #: Fraction without arms, clumps, bars, rings and dust lanes: morphology is not all there is.
    smooth: float = 0.30
    #: Fraction of star-forming galaxies that are quenched by their environment: about 0.3 of
    #: satellites in groups (Wetzel et al. 2012, MNRAS 424, 232). Between 0 and twice this.
    environment: float = 0.0

    def __post_init__(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            highest = 1.0 if one.name in _FRACTIONS else 10.0
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise InvalidInputError(f"{one.name}={value!r} of worlds is not a number.")
            lowest = -1.0 if one.name == "mass_scale" else 0.0
            if not lowest <= value <= highest:
                raise InvalidInputError(
                    f"{one.name}={value!r} of worlds cannot be used: expected {lowest:g} to "
                    f"{highest:g}."
                )

    @classmethod
    def single(cls) -> Worlds:
        """Return one world for all galaxies, with fixed zero points."""
        return cls(**{one.name: 0.0 for one in fields(cls) if one.name != "mass_scale"})

    @classmethod
    def from_value(cls, value: Worlds | Mapping[str, float] | bool | None) -> Worlds:
        """Return worlds of numbers by name, of True or None (default) or of False (single)."""
        if isinstance(value, Worlds):
            return value
        if value is None or value is True:
            return cls()
        if value is False:
            return cls.single()
        known = {one.name for one in fields(cls)}
        if not isinstance(value, Mapping) or set(value) - known:
            raise InvalidInputError(
                f"worlds={value!r} cannot be used: expected True, False or numbers for some of "
                f"{', '.join(sorted(known))}."
            )
        return cls(**value)

    def to_dict(self) -> dict[str, Any]:
        """Return names and numbers, for files; `from_value` is the inverse."""
        return asdict(self)

    def draw(self, stream: Stream) -> dict[str, np.ndarray]:
        """Draw the world of each galaxy, of shape (n,): ``"world_age"`` ..., in the units above.

        ``"world_dust_free"`` and ``"world_unusual"`` are 0 or 1.
        """
        shifts = {
            f"world_{name}": getattr(self, name)
            * np.clip(stream.normal(f"world {name}"), -_CUT, _CUT)
            for name in (
                "mass_to_light", "young_light", "age", "age_scale", "old_fraction",
                "stellar_metallicity", "gas_metallicity", "sfr", "hi_mass", "depletion_time",
                "dust", "dust_slope", "dust_inclination",
            )
        }  # fmt: skip
        shifts["world_mass_to_light"] += (
            self.mass_scale - self.mass_at_age * shifts["world_age_scale"]
        )
        for short, name in (
            ("dust_free", "dust_free"), ("unusual", "unusual_history"), ("smooth", "smooth")
        ):  # fmt: skip
            happens = stream.uniform(f"world {name}") < getattr(self, name)
            shifts[f"world_{short}"] = happens * 1.0
        shifts["world_environment"] = 2.0 * self.environment * stream.uniform("world environment")
        return shifts
