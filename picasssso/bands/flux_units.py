"""From an image's own unit to nanomaggies per pixel.

One nanomaggy is 1e-9 of the AB zero-point flux density, about 3.63 microjansky.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import astropy.units as u
import numpy as np
import numpy.typing as npt

from picasssso._core.quiet import silence
from picasssso.exceptions import InvalidInputError

_NANOMAGGY = u.nmgy
_AB = u.zero_point_flux(1 * u.ABflux)
_F_LAMBDA = u.erg / u.s / u.cm**2 / u.AA
_COUNTS = (u.adu, u.electron, u.ct, u.DN, u.photon, u.dimensionless_unscaled)
_MAGNITUDE_PER_LOG = 2.5 / np.log(10)


#: Spellings in headers that astropy does not read and that can mean nothing else, by the unit.
_SPELLINGS = {
    word: unit
    for unit, words in {
        "nmgy": "nanomaggies nanomaggys nmgy",
        "mgy": "maggies mgy",
        "adu": "adu adus",
        "ct": "count counts cts",
        "ct s-1": "cps",
        "DN": "dns",
        "electron": "electron electrons e",
        "photon": "photons",
        "s": "s sec seconds",  # upper-case headers mean seconds, not siemens
        "pix": "pixel pixels px spaxel",
        "Jy": "jy jansky janskys",
        "mJy": "millijy",
        "uJy": "ujy mujy microjy",
        "nJy": "njy nanojy",
        "erg": "erg ergs",
        "cm": "cm",
        "Hz": "hz",
        "sr": "sr ster str",
        "beam": "beam",
        "AA": "a ang angstroms",  # nothing is measured per ampere
        "erg s-1 cm-2 AA-1": "flam",
        "erg s-1 cm-2 Hz-1": "fnu",
    }.items()
    for word in words.split()
}
#: Magnitudes so large stand for none: headers have -99, 99 or 999 where nothing was measured.
#: The largest that mean something are those of one W/m2/Hz, -56, and of one photon.
NO_MAGNITUDE = 90.0
#: A power of something in parentheses, or one over it.
_POWER = re.compile(r"(1 */ *)?\(((?:[^()]|\([^()]*\))+)\) *(?:\*\*|\^) *\(?(-?\d)\)?")


def parse_unit(text: Any, band: str, source: str) -> u.UnitBase:
    """Return the unit of a text such as ``"nanomaggies/arcsec^2"``."""
    if isinstance(text, u.UnitBase | u.FunctionUnitBase):
        return text
    plain = str(text).strip()
    if power := _POWER.fullmatch(plain):
        exponent = -int(power[3]) if power[1] else int(power[3])
        return parse_unit(power[2], band, source) ** exponent
    # In capitals it may be milli or mega, but nothing is measured in mJy/sr.
    plain = re.sub(r"\bM(JY(?= *(/|\*?) *(SR|sr|STE?R)\b)|jy\b)", "MJy", plain)
    # Not the e of 1e-20.
    plain = re.sub(r"(?<![\d.\w])e-(?=$|[\s/*])", "electron", plain, flags=re.IGNORECASE)
    plain = re.sub(
        r"(?<![\d.])[A-Za-z]+", lambda word: _SPELLINGS.get(word[0].lower(), word[0]), plain
    )
    try:
        with silence(u.UnitsWarning):
            return u.Unit(plain)
    except (ValueError, TypeError):
        either = "; in capitals it may be mJy or MJy" if "MJY" in plain else ""
        raise InvalidInputError(
            f"Band {band!r}: found {source}={text!r}, which astropy does not know as a unit"
            f"{either}. Give the unit: unit='nmgy' (or 'Jy', 'erg/s/cm2/AA', 'adu' with "
            "zero_point= ...)."
        ) from None


@dataclass(frozen=True)
class FluxScale:
    """How values of one unit become nmgy, or nmgy / arcsec2 (``per_area``)."""

    factor: float
    per_area: bool = False
    softening: float | None = None

    def to_flux(self, values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Convert values to nmgy (per arcsec2 if `per_area`), without the pixel's area."""
        values = np.asarray(values, dtype=np.float64)
        if self.softening is None:
            return values * self.factor
        with np.errstate(over="ignore", invalid="ignore"):
            return 2e9 * self.softening * np.sinh(self._argument(values))

    def slope(self, values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Return |d flux / d magnitude| of asinh magnitudes, nmgy per mag."""
        assert self.softening is not None
        with np.errstate(over="ignore", invalid="ignore"):
            cosh = np.cosh(self._argument(np.asarray(values, dtype=np.float64)))
            return 2e9 * self.softening * cosh / _MAGNITUDE_PER_LOG

    def _argument(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        # Lupton, Gunn & Szalay (1999, AJ 118, 1406), equation 3, solved for the flux.
        assert self.softening is not None
        return -values / _MAGNITUDE_PER_LOG - np.log(self.softening)


def is_magnitude(unit: u.UnitBase) -> bool:
    """Return whether a unit is a magnitude of any kind."""
    return unit == u.mag or isinstance(unit, u.LogUnit)


def is_count_like(unit: u.UnitBase) -> bool:
    """Return whether a unit needs a zero point: counts or numbers, also per s, pixel or area."""
    return _count_factor(unit) is not None


@lru_cache(maxsize=64)
def _count_factor(unit: u.UnitBase) -> tuple[float, bool] | None:
    """Return (number of counts, per arcsec2) of a count-like unit, else None."""
    if is_magnitude(unit) or unit == u.percent:
        return None
    for area, per_area in ((u.dimensionless_unscaled, False), (u.arcsec**2, True)):
        for time in (u.dimensionless_unscaled, u.s):
            for pixel in (u.dimensionless_unscaled, u.pix):
                for count in _COUNTS:
                    whole = unit * area * time * pixel
                    if whole.is_equivalent(count):
                        return float(whole.to(count)), per_area
    return None


def flux_scale(
    unit: u.UnitBase,
    *,
    band: str,
    zero_point: u.Quantity | None = None,
    softening: float | None = None,
    pivot: Callable[[], u.Quantity],
    what: str = "unit",
) -> FluxScale:
    """Return how an image in a unit becomes nanomaggies."""
    if is_magnitude(unit):
        if softening is not None and what == "unit":
            return FluxScale(1.0, softening=softening)
        raise InvalidInputError(
            f"Band {band!r}: found {what} {unit}, expected a flux density. Magnitude images lose "
            "negative fluxes: give the fluxes, or for asinh magnitudes their softening as "
            f"asinh_softening={{{band!r}: b}}."
        )
    counts = _count_factor(unit)
    if counts is not None:
        if zero_point is None:
            raise InvalidInputError(
                f"Band {band!r}: found {what} {str(unit) or 'dimensionless'!r}, which is not a "
                "flux density by itself. Give the AB magnitude of one such unit, for example "
                "zero_point=30 * u.ABmag, or the image in nmgy, Jy or erg/s/cm2/Hz."
            )
        one_count = _to_nanomaggies(zero_point.physical, u.dimensionless_unscaled, pivot)
        assert one_count is not None  # parse_zero_point has seen to it
        return FluxScale(counts[0] * one_count, per_area=counts[1])
    one = u.Quantity(1.0, unit)
    # Flux per pixel is often written with the pixel.
    for area, per_area in ((u.dimensionless_unscaled, False), (u.arcsec**2, True)):
        for pixel in (u.dimensionless_unscaled, u.pix):
            factor = _to_nanomaggies(one, area * pixel, pivot)
            if factor is not None:
                return FluxScale(factor, per_area=per_area)
    hint = ""
    if any(base == u.A for base in unit.decompose().bases):
        hint = " Its A is the ampere: Angstrom is written AA or Angstrom."
    raise InvalidInputError(
        f"Band {band!r}: found {what} {str(unit)!r}, expected a flux density per pixel, per "
        "arcsec2 or per sr (nmgy, Jy, erg/s/cm2/Hz, erg/s/cm2/AA ...), or counts with "
        f"zero_point=. Convert the image, or correct its unit.{hint}"
    )


def _to_nanomaggies(
    flux: u.Quantity, area: u.UnitBase, pivot: Callable[[], u.Quantity]
) -> float | None:
    """Return a flux (times an area) in nmgy, or None if it is none."""
    flux = flux * area
    if flux.unit.is_equivalent(_NANOMAGGY, _AB):
        return float(flux.to_value(_NANOMAGGY, _AB))
    if flux.unit.is_equivalent(_F_LAMBDA):
        flux = flux.to(u.Jy, u.spectral_density(pivot()))
        return float(flux.to_value(_NANOMAGGY, _AB))
    return None


def parse_zero_point(value: Any, band: str) -> u.Quantity:
    """Check a zero point: the magnitude, in a stated system, of one count."""
    hint = "Pass for example zero_point=30 * u.ABmag (from astropy import units as u)."
    if not isinstance(value, u.Magnitude):
        raise InvalidInputError(
            f"Band {band!r}: found zero_point={value!r}, whose magnitude system is not stated; "
            f"expected a Quantity in AB magnitudes. {hint}"
        )
    physical = value.physical
    if not (
        physical.isscalar
        and np.isfinite(physical.value)
        and abs(value.value) < NO_MAGNITUDE
        and (
            physical.unit.is_equivalent(_NANOMAGGY, _AB) or physical.unit.is_equivalent(_F_LAMBDA)
        )
    ):
        raise InvalidInputError(
            f"Band {band!r}: found zero_point={value!r}, expected one finite magnitude, within "
            f"{NO_MAGNITUDE:g} of 0, that defines a flux density. {hint}"
        )
    return value
