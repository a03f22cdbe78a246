"""The SED and its fit as a figure."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np

from picasssso.estimators._sed_fit.ranges import describe_range
from picasssso.exceptions import InvalidInputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_OBSERVED, _MODEL, _SPECTRUM = "black", "#D55E00", "0.72"
#: What is shown beyond the outermost bands, as a factor on wavelength.
_MARGIN = 1.25
#: Letters in a line of the text beside the panels.
_WIDTH = 30
_STYLE: dict[Any, Any] = {"font.size": 9.0, "axes.linewidth": 0.7}


#: An `SEDFit`, whose module imports this one.
SED = Any


def plot_sed(sed: SED, unit: Any) -> Figure:
    """Draw an SED; see `SEDFit.plot`."""
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    table = sed.fluxes
    wavelength = table["wavelength"].to_value(u.um)
    scale = _scale(table["wavelength"], unit)
    with mpl.rc_context(_STYLE):
        figure = plt.figure(figsize=(7.2, 4.4), facecolor="white", layout="constrained")
        grid = figure.add_gridspec(2, 2, height_ratios=(3, 1), width_ratios=(2.4, 1))
        above = figure.add_subplot(grid[0, 0])
        below = figure.add_subplot(grid[1, 0], sharex=above)
        _draw_fluxes(above, sed, scale, unit)
        _draw_residuals(below, sed, wavelength)
        above.tick_params(labelbottom=False)
        _write_answers(figure.add_subplot(grid[:, 1]), sed)
    return figure


def _scale(wavelength: u.Quantity, unit: Any) -> Any:
    """Return what makes nmgy a unit at each wavelength."""
    try:
        return (
            (1 * u.nmgy)
            .to(u.Jy, u.zero_point_flux(1 * u.ABflux))
            .to_value(u.Unit(unit), u.spectral_density(wavelength))
        )
    except (u.UnitConversionError, TypeError, ValueError):
        raise InvalidInputError(
            f"plot: found unit={unit!r}, expected one of flux density, such as 'uJy' or "
            "'erg / (s cm2 AA)'."
        ) from None


def _draw_fluxes(axes: Axes, sed: SED, scale: Any, unit: Any) -> None:
    table = sed.fluxes
    x = table["wavelength"].to_value(u.um)
    columns = {name: table[name].value * scale for name in table.colnames[2:-1]}
    flux, error = columns["flux"], columns["error"]
    ends = x.min() / _MARGIN, x.max() * _MARGIN
    seen, light = _best_spectrum(sed)
    shown = (seen > ends[0]) & (seen < ends[1])
    per_nmgy = np.broadcast_to(_scale(seen[shown] * u.um, unit), seen[shown].shape)
    spectrum = light[shown] * per_nmgy
    if spectrum.size and spectrum.max() > 0:
        axes.plot(seen[shown], spectrum, color=_SPECTRUM, lw=0.7, label="best model", zorder=1)
    middle = columns["model_p50"]
    away = middle - columns["model_p16"], columns["model_p84"] - middle
    axes.errorbar(
        x, middle, np.maximum(away, 0), fmt="s", mfc="none", ms=8, color=_MODEL, elinewidth=4,
        alpha=0.65, label="models, median and 68 %", zorder=2,
    )  # fmt: skip
    style: dict[str, Any] = {"fmt": "none", "color": _OBSERVED, "zorder": 3}
    axes.errorbar(x, flux, np.hypot(error, columns["model_error"]), elinewidth=0.6, **style)
    axes.errorbar(
        x, flux, error, fmt="o", color=_OBSERVED, ms=4, elinewidth=1.6, label="observed", zorder=4
    )
    values = np.concatenate([flux[np.isfinite(flux)], middle])
    if (values > 0).all():
        axes.set_yscale("log")
        axes.set_ylim(values.min() / 2.2, values.max() * 2.2)
    axes.set_xlim(*ends)
    for at, top, band in zip(x, np.where(np.isfinite(flux), flux, middle), sed.bands, strict=True):
        axes.annotate(
            band.rpartition("-")[2], (at, top), (0, 9), textcoords="offset points", ha="center",
            fontsize=8, color=_OBSERVED,
        )  # fmt: skip
    axes.set_ylabel(f"flux density ({u.Unit(unit):unicode})")
    axes.legend(fontsize=8, frameon=False, loc="lower right")


def _best_spectrum(sed: SED) -> tuple[Any, Any]:
    """Return observed wavelengths, um, and fluxes of the best model there, nmgy."""
    fitter = sed._fitter
    spectrum = fitter.library.spectrum(sed._posterior.best, grid=fitter.options.grid)
    area = sed._light.image.pixel_solid_angle.to_value(u.arcsec**2)
    light = spectrum.flux.value * sed._best_amplitude * area
    return spectrum.spectral_axis.to_value(u.um), light


def _draw_residuals(axes: Axes, sed: SED, x: Any) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    table = sed.fluxes
    residual = np.asarray(table["residual"])
    columns = {name: table[name].value for name in table.colnames[2:-1]}
    error = np.hypot(columns["error"], columns["model_error"])
    middle, low, high = (columns[f"model_p{q}"] for q in (50, 16, 84))
    away = np.maximum((high - middle, middle - low), 0) / error
    axes.axhline(0, color="0.5", lw=0.7)
    axes.axhspan(-1, 1, color="0.93", zorder=0)
    axes.errorbar(
        x, (columns["flux"] - middle) / error, away, fmt="none", color=_MODEL, elinewidth=4,
        alpha=0.65,
    )  # fmt: skip
    axes.plot(x, residual, "o", color=_OBSERVED, ms=4)
    most = max(1.15 * np.nanmax(np.abs(residual)), 2.2)
    axes.set_ylim(-most, most)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("observed wavelength (μm)")
    axes.set_ylabel("residual (σ)")


def _write_answers(axes: Axes, sed: SED) -> None:
    """Write what comes of it beside the panels."""
    axes.set_axis_off()
    n_bands = int(np.isfinite(np.asarray(sed.fluxes["residual"])).sum())
    size = "" if sed.n_pixels == 1 else f"{sed.n_pixels:.4g} pixels"
    if sed.masked_fraction > 5e-4:
        size += f", {100 * sed.masked_fraction:.1f} % masked"
    lines = [sed.region[:1].upper() + sed.region[1:], size, f"z = {sed.maps.redshift:g}", ""]
    lines = ["\n".join(wrap(line, _WIDTH)) for line in lines]
    lines += ["Median and 68 % range"]
    for row in sed.posterior:
        lines += [sed._definition(row["property"]).label, f"   {_range(row)}"]
    lines += ["", rf"$\chi^2$ = {sed.chi2:.2f} in {n_bands} bands", *sed.quality]
    lines += wrap(sed._model_errors(), _WIDTH)
    text = "\n".join(line for k, line in enumerate(lines) if line or k > 1)
    axes.text(0, 1, text, va="top", ha="left", linespacing=1.35, transform=axes.transAxes)


def _range(row: Any) -> str:
    """Return a row of `SEDFit.posterior` as mathematics."""
    text = describe_range({**{name: row[name] for name in row.colnames}, "unit": ""})
    power = ""
    if text.startswith("("):
        text, _, exponent = text[1:].partition(")e")
        power = rf"\times 10^{{{int(exponent)}}}"
    middle, *errors = text.split()
    if len(errors) != 2 or not middle[-1].isdigit():
        return text
    unit = f"{u.Unit(row['unit']):latex_inline}".strip("$") if row["unit"] else ""
    return rf"${middle}^{{{errors[0]}}}_{{{errors[1]}}}{power}\ {unit}$"
