"""Conversion of published maps to the definitions of this package.

Unit, initial mass function, weights, kind of average and inclination of a published map are
stated, never guessed, and converted where possible. An average with different weights, or of
logarithms, cannot be converted: it becomes a property with a different name, such as
``stellar_age_light_log``, unless the user accepts it as an approximation.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

import astropy.units as u
import numpy as np
import numpy.typing as npt
from astropy.wcs import WCS

from picasssso._core.quiet import silence
from picasssso.bands.slots import scalar_quantity
from picasssso.exceptions import InvalidInputError, InvalidTypeError
from picasssso.properties import Property, get_property

FloatArray = npt.NDArray[np.floating]

#: What a mass or rate of star formation is multiplied with: Madau & Dickinson (2014, ARA&A 52,
#: 415, section 3.1.1), who convert from Salpeter by 0.61 and 0.66 (masses) and 0.63 and 0.67
#: (rates) to Chabrier and Kroupa.
IMF_TO_CHABRIER: Mapping[str, Mapping[str, float]] = {
    "stellar_mass": {"chabrier": 1.0, "kroupa": 0.61 / 0.66, "salpeter": 0.61},
    "sfr": {"chabrier": 1.0, "kroupa": 0.63 / 0.67, "salpeter": 0.63},
}
#: Between which the median of a map lies, whatever the galaxy; beyond it is in another unit.
_PLAUSIBLE = {
    "stellar_mass": (1e-1, 1e13), "gas_mass": (1e-1, 1e13), "sfr": (1e-12, 1e6),
    "stellar_age": (1e-4, 30.0), "attenuation_v": (-10.0, 50.0),
    "stellar_metallicity": (1e-7, 1.0), "gas_metallicity": (1e-7, 1.0),
}  # fmt: skip
#: The package's star formation rate is a mean over this time.
_AVERAGING_TIME = 100 * u.Myr
#: Properties of which there are several kinds of average.
AVERAGED = ("stellar_age", "stellar_metallicity", "sfr")


@dataclass(frozen=True, eq=False)
class PublishedMap:
    """A published map with its definition.

    Parameters
    ----------
    values : array, shape (y, x), or str
        Values, NaN where missing; with a table in `convert_maps` the name of a column.
    unit : str or `~astropy.units.Unit`
        Unit of the values. Logarithms are ``u.dex(...)``; surface densities are per area (``"Msun
        / pc2"``) or per spaxel (``"Msun / pix"``).
    error : array or str, optional
        Standard deviation in the same unit (in dex for logarithms), or the name of a column.
    imf : {"chabrier", "kroupa", "salpeter"}, optional
        Initial mass function; required for masses and star formation rates.
    weighting : {"mass", "light"}, optional
        Weights of the average; required for stellar ages and metallicities.
    average : {"linear", "log"}, optional
        Whether it is the mean of values or of their logarithms; required for stellar ages and
        metallicities.
    deprojected : bool, optional
        Whether a surface density has been multiplied by the cosine of the inclination.
    averaging_time : `~astropy.units.Quantity`, optional
        Averaging time; required for star formation rates. About 10 Myr for H-alpha.
    solar_metallicity : float, optional
        Mass fraction of metals of the Sun, for metallicities in dex.
    r_v : float, optional
        A_V / E(B-V), for attenuation given as E(B-V).

    Examples
    --------
    >>> import astropy.units as u
    >>> import numpy as np
    >>> from picasssso.ifu import PublishedMap, convert_maps
    >>> mass = PublishedMap(np.full((4, 5), 2.0), u.dex(u.Msun / u.pc**2), imf="salpeter")
    >>> maps = convert_maps({"stellar_mass": mass}, pixel_solid_angle=1 * u.arcsec**2)
    >>> maps["stellar_mass"].data[0, 0]
    np.float64(61000000.0)
    """

    values: Any
    unit: Any
    error: Any = None
    imf: str | None = None
    weighting: str | None = None
    average: str | None = None
    deprojected: bool = False
    averaging_time: u.Quantity | None = None
    solar_metallicity: float | None = None
    r_v: float | None = None


@dataclass(frozen=True)
class Frame:
    """Quantities common to all maps of a galaxy; see `convert_maps`."""

    wcs: WCS | None
    solid_angle: u.Quantity | None
    redshift: float | None
    distance: u.Quantity | None
    inclination: u.Quantity | None

    def spaxel_area(self, name: str) -> u.Quantity:
        """Return the area of a spaxel at the galaxy."""
        if self.redshift is None or self.distance is None:
            raise InvalidInputError(
                f"{name!r} is per spaxel: expected redshift= and luminosity_distance=, from which "
                "the area of a spaxel follows."
            )
        angle = self.solid_angle
        if self.wcs is not None:
            from astropy.wcs.utils import proj_plane_pixel_area

            angle = proj_plane_pixel_area(self.wcs.celestial) * u.deg**2
        if angle is None:
            raise InvalidInputError(
                f"{name!r} is per spaxel: expected wcs= or pixel_solid_angle=."
            )
        across = self.distance / (1 + self.redshift) ** 2
        return angle.to_value(u.sr) * across.to(u.kpc) ** 2


def _need(name: str, plane: PublishedMap, what: str, choices: Collection[str] = ()) -> Any:
    """Return required information."""
    value = getattr(plane, what)
    if value is None or (choices and value not in choices):
        expected = f"one of {', '.join(choices)}" if choices else "a value"
        raise InvalidInputError(
            f"{name!r}: found {what}={value!r}, expected {expected}. The paper or data model of "
            "the survey states it; it is never guessed."
        )
    return value


def stated_unit(name: str, plane: PublishedMap) -> Any:
    """Return the unit given by the user."""
    try:
        with silence(u.UnitsWarning):  # of spellings that other standards have
            return u.Unit(plane.unit)
    except (ValueError, TypeError):
        raise InvalidInputError(
            f"{name!r}: found unit={plane.unit!r}, expected one that astropy knows, such as "
            "'Msun / pc2', or u.dex(...) of it. For files read by read_maps, give "
            f"stated={{{name!r}: {{'unit': ...}}}}."
        ) from None


def _floats(name: str, array: Any, unit: Any) -> FloatArray:
    """Return an array of numbers, NaN where masked; quantities are converted."""
    try:
        if isinstance(array, u.Quantity) and not isinstance(unit, u.DexUnit):
            array = array.to_value(unit)
        return np.array(np.ma.filled(np.ma.asarray(getattr(array, "value", array), float), np.nan))
    except (TypeError, ValueError, u.UnitConversionError):
        raise InvalidTypeError(
            f"{name!r}: found {str(array)[:60]!r}, expected an array of numbers in {unit}."
        ) from None


def convert_map(
    name: str, plane: PublishedMap, frame: Frame
) -> tuple[Property, FloatArray, FloatArray | None, list[str]]:
    """Return the definition, medians, errors (in dex, of logarithms) and notes of a map."""
    definition = get_property(name)
    unit = stated_unit(name, plane)
    values = _floats(name, plane.values, unit)
    errors = None if plane.error is None else _floats(name, plane.error, unit)
    if values.ndim != 2 or (errors is not None and errors.shape != values.shape):
        raise InvalidInputError(
            f"{name!r}: found values of shape {values.shape}"
            + (f" and errors of shape {errors.shape}" if errors is not None else "")
            + ", expected (y, x) of both."
        )
    notes: list[str] = []
    if name.endswith("metallicity") and unit == u.dex:
        solar = _need(name, plane, "solar_metallicity")
        unit, values = u.dex(u.one), values + np.log10(solar)
        notes.append(f"{name}: [Z/H] relative to {solar:g}")
    if name == "attenuation_v" and plane.r_v is not None:
        values, errors = values * plane.r_v, None if errors is None else errors * plane.r_v
        notes.append(f"attenuation_v: {plane.r_v:g} E(B-V)")
    logarithmic = isinstance(unit, u.DexUnit)
    if logarithmic:
        unit, values = unit.physical_unit, 10.0**values
    per_spaxel = [power for base, power in zip(unit.bases, unit.powers, strict=True)
                  if base == u.pix and power < 0]  # fmt: skip
    factor = 1.0
    if per_spaxel:
        unit = unit * u.pix ** -per_spaxel[0] / u.kpc**2
        area = frame.spaxel_area(name).to_value(u.kpc**2)
        factor /= area
        notes.append(f"{name}: per spaxel, divided by {area:.4g} kpc2")
    try:
        factor *= float(unit.to(definition.unit))
    except u.UnitConversionError:
        raise InvalidInputError(
            f"{name!r}: found the unit {plane.unit}, expected one that converts to "
            f"{definition.unit}, its logarithm u.dex(...), or per spaxel (/ u.pix)."
        ) from None
    if name in IMF_TO_CHABRIER:
        imf = _need(name, plane, "imf", ("chabrier", "kroupa", "salpeter"))
        factor *= IMF_TO_CHABRIER[name][imf]
        if imf != "chabrier":
            notes.append(f"{name}: {imf} to chabrier, times {IMF_TO_CHABRIER[name][imf]:.3f}")
    if plane.deprojected:
        if frame.inclination is None:
            raise InvalidInputError(
                f"{name!r} is deprojected: expected inclination=, to bring it back to the sky."
            )
        cosine = float(np.cos(frame.inclination.to_value(u.rad)))
        if not cosine > 1e-3:
            raise InvalidInputError(
                f"inclination: found {frame.inclination}, expected an angle below 90 deg, at "
                "which nothing can be deprojected."
            )
        factor /= cosine
        notes.append(f"{name}: deprojected by {frame.inclination:g}, brought back")
    if errors is not None and not logarithmic:
        errors = errors * factor
    values = values * factor
    _check_plausible(name, plane, values, definition)
    return _defined(definition, name, plane), values, errors, notes


def _check_plausible(
    name: str, plane: PublishedMap, values: FloatArray, definition: Property
) -> None:
    """Raise an error for a map whose values do not fit the stated unit, such as logarithms."""
    known = values[np.isfinite(values) & (values != 0)]
    low, high = _PLAUSIBLE.get(name, (-np.inf, np.inf))
    median = float(np.median(known)) if known.size else low
    if not low <= median <= high:
        raise InvalidInputError(
            f"{name!r}: found a median of {median:.3g} {definition.unit} after conversion from "
            f"{plane.unit}, expected one between {low:g} and {high:g}. Is it a logarithm, "
            "u.dex(...), or not one, or per another area?"
        )


def _defined(definition: Property, name: str, plane: PublishedMap) -> Property:
    """Return the definition of this package, or a new one if that of the map differs."""
    if name == "sfr":
        time = scalar_quantity(
            _need(name, plane, "averaging_time"), "averaging_time", "10 * u.Myr"
        )
        time = time.to(u.Myr)
        if np.isclose(time / _AVERAGING_TIME, 1):
            return definition
        text = f"{time.value:g}"
        return replace(
            definition,
            name=f"sfr_{text.replace('.', 'p')}myr",
            label=f"star formation rate over {text} Myr",
            definition=f"mass formed in the last {text} Myr, by that time",
        )
    if name not in AVERAGED:
        return definition
    by = _need(name, plane, "weighting", ("mass", "light"))
    how = _need(name, plane, "average", ("linear", "log"))
    if (by, how) == ("mass", "linear"):
        return definition
    suffix = ("_light" if by == "light" else "") + ("_log" if how == "log" else "")
    words = f"{'mean of logarithms' if how == 'log' else 'mean'} weighted by {by}"
    return replace(
        definition,
        name=name + suffix,
        weight="stellar_mass" if by == "mass" else None,
        label=f"{definition.label}, {words}",
        definition=words,
    )
