"""Reading the values of options: everything that can be judged without opening a file.

What is wrong here is wrong use of the command, exit code 2.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from picasssso._cli.advice import with_options

#: Example of a value, by physical type, for messages and help.
QUANTITY_EXAMPLES = {"length": "80 Mpc", "angle": "1.3 arcsec", "time": "10 min"}


@contextmanager
def wrong_use(option: str) -> Iterator[None]:
    """Turn an input that the package refuses into a wrong value of an option."""
    from picasssso.exceptions import InvalidInputError, InvalidTypeError

    try:
        yield
    except (InvalidInputError, InvalidTypeError) as error:
        context = click.get_current_context(silent=True)
        message = with_options(str(error), None if context is None else context.command)
        raise click.BadParameter(message, param_hint=option) from error


class QuantityType(click.ParamType):
    """A number with a unit of one physical type, such as ``80 Mpc``."""

    def __init__(self, physical_type: str) -> None:
        self.physical_type = physical_type
        self.name = physical_type

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the `~astropy.units.Quantity`, or fail."""
        import astropy.units as u

        example = QUANTITY_EXAMPLES[self.physical_type]
        try:
            quantity = u.Quantity(value)
        except (TypeError, ValueError):
            self.fail(f"{value!r} is not a number with a unit, such as {example!r}.", param, ctx)
        if not (quantity.isscalar and 0 < quantity.value < float("inf")):
            self.fail(f"{value!r}: expected one positive number with a unit.", param, ctx)
        if quantity.unit.physical_type != self.physical_type:
            self.fail(
                f"{value!r} is no {self.physical_type}: expected something like {example!r}.",
                param,
                ctx,
            )
        return quantity


class PSFType(click.ParamType):
    """A full width at half maximum, an image of a PSF, or ``median``."""

    name = "psf"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return an angle, a kernel, or ``"median"``."""
        import os

        from picasssso._core.fits_files import read_array, split_specification

        path, hdu = split_specification(value)
        if os.path.isfile(os.path.expanduser(path)):
            return read_array(path, hdu, "--psf")[0]
        if value == "median" or value[:1].isdigit() or value[:1] in "-.":
            return value if value == "median" else QuantityType("angle").convert(value, param, ctx)
        self.fail(
            f"{value!r}: found no such file, expected a width such as '1.3 arcsec', an image of "
            "the PSF, FILE[HDU], or 'median'.",
            param,
            ctx,
        )


class PositiveType(click.FloatRange):
    """A positive number that is finite."""

    def __init__(self) -> None:
        super().__init__(min=0, min_open=True, max=sys.float_info.max)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number, or fail."""
        number = super().convert(value, param, ctx)
        if number != number:
            self.fail(f"{value!r} is no number.", param, ctx)
        return number

    def _describe_range(self) -> str:
        return "x>0"


class UnitType(click.ParamType):
    """A unit that astropy understands."""

    name = "unit"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the unit, or fail."""
        from picasssso.bands.flux_units import parse_unit
        from picasssso.exceptions import InvalidInputError

        try:
            return parse_unit(value, "all", "--unit")
        except InvalidInputError:
            self.fail(
                f"{value!r} is no unit that astropy knows: expected nmgy, Jy, erg/s/cm2/AA ..., "
                "or adu with --zero-point.",
                param,
                ctx,
            )


class MagnitudeType(click.ParamType):
    """An AB magnitude, without a unit."""

    name = "magnitude"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the magnitude with its unit, or fail."""
        import astropy.units as u

        try:
            return float(value) * u.ABmag
        except ValueError:
            self.fail(
                f"{value!r} is not a number: expected the AB magnitude of one count, such as 30.",
                param,
                ctx,
            )


class RedshiftType(click.ParamType):
    """A redshift that images may have."""

    name = "redshift"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the redshift as a float, or fail."""
        try:
            redshift = float(value)
        except ValueError:
            self.fail(
                f"{value!r} is not a number: expected the observed redshift, such as 0.03.",
                param,
                ctx,
            )
        if not -0.005 < redshift < float("inf"):
            self.fail(f"{value} is not a redshift: expected a number above -0.005.", param, ctx)
        return redshift


def check_estimator(name: str) -> None:
    """Make sure that there is an estimator of a name."""
    from picasssso.estimators import list_estimators

    names = list_estimators()
    if name not in names:
        raise click.BadParameter(
            f"{name!r}: there are {', '.join(names)}.", param_hint="--estimator"
        )


def parse_bands(assignments: Iterable[str], option: str = "--band") -> dict[str, str]:
    """Return file specifications by band from ``BAND=FILE[HDU]``."""
    bands: dict[str, str] = {}
    for text in assignments:
        band, equals, value = text.partition("=")
        if not (band and equals and value):
            raise click.BadParameter(
                f"{text!r}: expected BAND=FILE or BAND=FILE[HDU], such as "
                "sdss2010-g=frame-g.fits[0].",
                param_hint=option,
            )
        if band in bands:
            raise click.BadParameter(
                f"band {band!r} is given twice, as {bands[band]} and as {value}.",
                param_hint=option,
            )
        _check_band_name(band, option)
        bands[band] = value
    return bands


def _check_band_name(band: str, option: str) -> None:
    from picasssso.bands.band_names import check_band

    with wrong_use(option):
        check_band(band, band, None)


def parse_per_band(
    texts: Iterable[str], bands: Iterable[str], convert: click.ParamType | None, option: str
) -> Any:
    """Return one value for all bands, or a mapping, from ``VALUE`` or ``BAND=VALUE``."""
    texts, bands = list(texts), list(bands)
    context = click.get_current_context(silent=True)

    def value_of(text: str) -> Any:
        if convert is None:
            return text
        try:
            return convert.convert(text, None, context)
        except click.BadParameter as error:
            raise click.BadParameter(error.message, param_hint=option) from error

    if not texts:
        return None
    if len(texts) == 1 and texts[0].partition("=")[0] not in bands:
        if "=" in texts[0]:
            raise _unknown_band(texts[0], bands, option)
        return value_of(texts[0])
    values: dict[str, Any] = {}
    for text in texts:
        band, _, value = text.partition("=")
        if band not in bands or not value:
            raise _unknown_band(text, bands, option)
        if band in values:
            raise click.BadParameter(f"band {band!r} is given twice.", param_hint=option)
        values[band] = value_of(value)
    return values


def _unknown_band(text: str, bands: list[str], option: str) -> click.BadParameter:
    return click.BadParameter(
        f"{text!r}: expected one VALUE for all bands, or BAND=VALUE with one of the bands "
        f"given ({', '.join(bands)}).",
        param_hint=option,
    )


def parse_parameters(assignments: Iterable[str], defaults: dict[str, Any]) -> dict[str, Any]:
    """Return an estimator's parameters from ``NAME=VALUE``.

    Values are written as in Python; what is no Python value is text.
    """
    parameters: dict[str, Any] = {}
    for text in assignments:
        name, equals, value = text.partition("=")
        name, _, part = name.partition(".")
        if not equals:
            raise click.BadParameter(f"{text!r}: expected NAME=VALUE.", param_hint="--option")
        if name not in defaults:
            known = ", ".join(defaults) or "none"
            raise click.BadParameter(
                f"the estimator has no parameter {name!r}: there are {known}.",
                param_hint="--option",
            )
        try:
            found = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            found = value
        if not part:
            parameters[name] = found
        elif isinstance(inner := parameters.setdefault(name, {}), dict):
            inner[part] = found
        else:
            raise click.BadParameter(
                f"{text!r}: {name} is given as {inner!r} too, expected one of them.",
                param_hint="--option",
            )
    return parameters
