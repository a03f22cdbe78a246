"""Choosing the bands that a relation, its k-corrections and color terms need.

One survey at a time: mixing surveys would mix their calibrations and resolutions into
one color. SDSS itself is preferred, since it needs no color term.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

from picasssso.estimators._mass_to_light.k_corrections import k_correction_colors
from picasssso.estimators._mass_to_light.photometric_systems import (
    SYSTEMS,
    PhotometricSystem,
    find_system,
)
from picasssso.exceptions import MissingBandError
from picasssso.filters.curves import pivot_wavelength

Color = tuple[str, str]


@dataclass(frozen=True)
class BandPlan:
    """Which band plays which role."""

    system: PhotometricSystem
    bands: Mapping[str, str]
    color: Color
    luminosity: str
    k_colors: Mapping[str, Color]

    @property
    def letters(self) -> tuple[str, ...]:
        """Letters of the bands, in the order of the arrays."""
        return tuple(self.bands)


def _options(
    system: PhotometricSystem, color: Color, luminosity: str
) -> list[tuple[set[str], dict[str, Color]]]:
    """Return the sets of bands that would do, the best first.

    That is the one with the fewest bands; of those, the one that k-corrects most bands
    with the relation's own color, which is the one grown to be certain.
    """
    roles = tuple(dict.fromkeys((*color, luminosity)))
    options = []
    for colors in product(*(k_correction_colors(letter) for letter in roles)):
        choice = dict(zip(roles, colors, strict=True))
        wanted = set(roles).union(*choice.values())
        needed = system.needed(wanted)
        if needed is not None:
            options.append((needed, choice))

    def rank(option: tuple[set[str], dict[str, Color]]) -> tuple[int, int]:
        needed, choice = option
        return len(needed), sum(pair != color for pair in choice.values())

    return sorted(options, key=rank)


def _group(available: tuple[str, ...]) -> dict[tuple[PhotometricSystem | None, str], set[str]]:
    """Sort band names by system and prefix."""
    groups: dict[tuple[PhotometricSystem | None, str], set[str]] = {}
    for band in available:
        prefix, _, letter = band.rpartition("-")
        groups.setdefault((find_system(band), prefix), set()).add(letter)
    return groups


def make_plan(available: tuple[str, ...], color: Color, luminosity: str) -> BandPlan:
    """Choose the bands."""
    groups = _group(available)
    missing = []
    for system in SYSTEMS:
        for prefix in system.prefixes:
            letters = groups.get((system, prefix))
            if letters is None:
                continue
            options = _options(system, color, luminosity)
            for needed, choice in options:
                if needed <= letters:
                    ordered = [letter for letter in "ugriz" if letter in needed]
                    bands = {letter: f"{prefix}-{letter}" for letter in ordered}
                    return BandPlan(system, bands, color, luminosity, choice)
            missing.append(_explain(system, prefix, letters, options))
    missing += [
        f"there is no published color term from {prefix} ({', '.join(sorted(letters))}) to SDSS"
        for (system, prefix), letters in groups.items()
        if system is None
    ]
    blue, red = color
    raise MissingBandError(
        f"The relation needs the color {blue}-{red} and the luminosity in {luminosity} through "
        f"the SDSS bands, k-corrected, but from {', '.join(available) or 'no band'} they cannot "
        f"be had: {'; '.join(missing) or 'there is nothing to choose from'}. "
        f"{_advice(available, any(system is not None for system, _ in groups))}"
    )


def _advice(available: tuple[str, ...], known: bool) -> str:
    """Return what to do without the bands; ``known``: whether others of a survey would do."""
    if len(available) < 2:
        return "Add bands of one survey."
    ordered = sorted(available, key=lambda band: pivot_wavelength(band).value)
    first = "Add bands of one survey, or derive" if known else "Derive"
    return (
        f"{first} a relation for these bands from models: relation='sps', "
        f"color=({ordered[0]!r}, {ordered[-1]!r}), luminosity_band={ordered[-1]!r}; or use "
        "SEDFitEstimator."
    )


def _explain(
    system: PhotometricSystem,
    prefix: str,
    letters: set[str],
    options: list[tuple[set[str], dict[str, Color]]],
) -> str:
    if not options:
        return f"no color term from {system.name} to all the SDSS bands needed is published"
    lacking = min((needed - letters for needed, _ in options), key=len)
    return f"{' and '.join(f'{prefix}-{x}' for x in 'ugriz' if x in lacking)} missing"
