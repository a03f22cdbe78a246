"""The pictures of a report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np
import numpy.typing as npt

from picasssso.quality import QualityFlag, describe_quality

if TYPE_CHECKING:
    from astropy.table import QTable
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from picasssso.bands import BandImages
    from picasssso.maps import PropertyMaps
    from picasssso.properties import Property

FloatArray = npt.NDArray[np.floating]

_PANEL = 3.3  # inches
_BAD = "0.82"  # grey of pixels without an estimate
_SHOWN = (1.0, 99.8)  # percentiles of a map that its colour scale spans
_DYNAMIC_RANGE = 1e4
_RATIO_LIMIT = 0.5  # dex, or the unit of the map
_ESTIMATE, _TRUTH = "#0072B2", "#D55E00"


def draw_galaxy(images: BandImages) -> Figure:
    """Draw the galaxy in colour."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.4, 4.4), layout="constrained")
    axis = figure.subplots()
    images.plot(ax=axis, brightest=99.9)
    axis.set(xticks=[], yticks=[], title="")
    _scale_bar(axis, images.shape, images.pixel_scale, images.angular_diameter_distance)
    _compass(axis, images.wcs, images.shape)
    return figure


def draw_maps(maps: PropertyMaps, name: str, truth: PropertyMaps | None = None) -> Figure:
    """Draw one property: estimate, uncertainty, and where it is known the truth."""
    from matplotlib.figure import Figure

    definition = maps.definition(name)
    logarithmic = definition.is_surface_density
    value = np.where(maps.masks[name], np.nan, maps[name].data)
    low, high = (np.asarray(maps.percentile(name, q).value) for q in (16, 84))
    known = None
    if truth is not None and name in truth:
        known = np.where(truth.masks[name], np.nan, truth[name].data)
    panels = 2 if known is None else 4
    figure = Figure(figsize=(_PANEL * panels, _PANEL + 0.9), layout="constrained")
    axes = np.atleast_1d(figure.subplots(1, panels))
    unit = _unit_label(definition)
    limits = _limits(value if known is None else np.stack([value, known]), logarithmic)
    _panel(figure, axes[0], "estimate (median)", value, unit, definition.color_map, limits,
           logarithmic)  # fmt: skip
    pixel = np.sqrt(maps.pixel_solid_angle)
    _scale_bar(axes[0], maps.shape, pixel, maps.angular_diameter_distance)
    width, label, span = _width(value, low, high, logarithmic, unit)
    _panel(figure, axes[1], "uncertainty, half of 16–84 %", width, label, "viridis", span, False)
    if known is not None:
        _panel(figure, axes[2], "truth", known, unit, definition.color_map, limits, logarithmic)
        in_dex = str(definition.unit) != "mag"
        with np.errstate(divide="ignore", invalid="ignore"):
            offset = np.log10(value / known) if in_dex else value - known
        title = "log10 (estimate / truth)" if in_dex else "estimate − truth"
        _panel(figure, axes[3], title, offset, "dex" if in_dex else unit, "RdBu_r",
               (-_RATIO_LIMIT, _RATIO_LIMIT), False)  # fmt: skip
    return figure


def draw_profiles(
    maps: PropertyMaps, tables: Mapping[str, QTable], true_tables: Mapping[str, QTable]
) -> Figure:
    """Draw radial profiles with their errors."""
    from matplotlib.figure import Figure

    columns = min(len(tables), 4)
    lines = -(-len(tables) // columns)
    figure = Figure(figsize=(3.2 * columns + 0.3, 2.7 * lines), layout="constrained")
    axes = np.atleast_1d(figure.subplots(lines, columns, squeeze=False)).ravel()
    for axis in axes[len(tables) :]:
        axis.set_visible(False)
    for axis, (name, table) in zip(axes, tables.items(), strict=False):
        definition = maps.definition(name)
        radius = "radius_kpc" if "radius_kpc" in table.colnames else "radius"
        x = table[radius].value
        y, error = table[name].value, table[f"{name}_error"].value
        axis.plot(x, y, color=_ESTIMATE, lw=1.5, label="estimate")
        axis.fill_between(x, y - error, y + error, color=_ESTIMATE, alpha=0.25, lw=0)
        if name in true_tables:
            true = true_tables[name][name].value
            axis.plot(x, true, color=_TRUTH, lw=1.2, ls="--", label="truth")
        if definition.is_surface_density and np.nanmax(y, initial=0) > 0:
            axis.set_yscale("log")
            top = float(np.nanmax(y))
            bottom = float(np.nanmin(np.where(y > 0, y, np.nan)))
            axis.set_ylim(max(bottom, top / 1e5) / 2, 2 * top)
        axis.set_title(definition.label, fontsize=9)
        axis.set_xlabel(f"radius along the major axis, {table[radius].unit}", fontsize=8)
        axis.set_ylabel(_unit_label(definition), fontsize=8)
        axis.tick_params(labelsize=8)
    if true_tables:
        axes[0].legend(fontsize=8, frameon=False)
    return figure


def draw_quality(maps: PropertyMaps) -> Figure:
    """Draw for every pixel the flag that matters most.

    Returns one panel with a legend; of several flags the one that fewest pixels have is shown.
    """
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap, to_hex
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    quality = maps.quality
    names = describe_quality(int(np.bitwise_or.reduce(quality, axis=None)))
    shown = np.zeros(quality.shape, int)
    counts = {name: int((quality & int(getattr(QualityFlag, name)) != 0).sum()) for name in names}
    for name in sorted(names, key=lambda n: -counts[n]):
        shown[(quality & int(getattr(QualityFlag, name))) != 0] = 1 + names.index(name)
    colors = ["white", *(to_hex(colormaps["tab10"](k)) for k in range(len(names)))]
    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    axis = figure.subplots()
    axis.imshow(
        shown, origin="lower", cmap=ListedColormap(colors), vmin=-0.5, vmax=len(colors) - 0.5,
        interpolation="nearest",
    )  # fmt: skip
    axis.set(xticks=[], yticks=[])
    patches = [
        Patch(facecolor=color, edgecolor="0.6", label=word)
        for color, word in zip(colors, ["no flag", *names], strict=True)
    ]
    figure.legend(handles=patches, loc="outside right center", fontsize=8, frameon=False)
    return figure


def _unit_label(definition: Property) -> str:
    if str(definition.unit):
        return f"{definition.unit:latex_inline}"
    return "mass fraction" if definition.name.endswith("metallicity") else ""


def _width(
    value: FloatArray, low: FloatArray, high: FloatArray, logarithmic: bool, unit: str
) -> tuple[FloatArray, str, tuple[float, float]]:
    """Return the uncertainty as it is shown, its label and its limits."""
    width = (high - low) / 2
    if not logarithmic:
        return width, unit, _limits(width, False)
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = np.where(value > 0, width / value, np.nan)
    return relative, "fraction of the median", (0.0, 1.0)


def _limits(values: FloatArray, logarithmic: bool) -> tuple[float, float]:
    usable = values[np.isfinite(values) & ((values > 0) | (not logarithmic))]
    if usable.size == 0:
        return 1.0, 10.0
    low, high = np.percentile(usable, _SHOWN)
    if logarithmic:
        low = max(low, high / _DYNAMIC_RANGE)
    return float(low), float(high if high > low else low + 1.0)


def _panel(
    figure: Figure,
    axis: Axes,
    title: str,
    values: FloatArray,
    label: str,
    color_map: str,
    limits: tuple[float, float],
    logarithmic: bool,
) -> None:
    from matplotlib import colormaps
    from matplotlib.colors import LogNorm, Normalize

    shown = np.where(values > 0, values, np.nan) if logarithmic else values
    colors = colormaps[color_map].with_extremes(bad=_BAD)
    norm = LogNorm(*limits) if logarithmic else Normalize(*limits)
    image = axis.imshow(shown, origin="lower", cmap=colors, norm=norm, interpolation="nearest")
    axis.set(xticks=[], yticks=[])
    axis.set_title(title, fontsize=10)
    bar = figure.colorbar(image, ax=axis, location="bottom", shrink=0.9, pad=0.02)
    bar.set_label(label, fontsize=9)
    bar.ax.tick_params(labelsize=8)


def _scale_bar(
    axis: Axes, shape: tuple[int, int], pixel: u.Quantity, distance: u.Quantity | None
) -> None:
    """Draw a bar of a round length, in kpc where there is a distance."""
    from matplotlib.patheffects import withStroke

    length, unit = pixel.to_value(u.arcsec), "″"
    if distance is not None:
        length, unit = length / 206264.806 * distance.to_value(u.kpc), " kpc"
    wanted = 0.3 * shape[1] * length
    step = 10 ** np.floor(np.log10(wanted))
    bar = step * max(factor for factor in (1, 2, 5) if factor * step <= wanted)
    start, height = 0.06 * shape[1], 0.06 * shape[0]
    end = start + bar / length
    # To be seen on any map.
    outline = [withStroke(linewidth=3, foreground="black")]
    axis.plot([start, end], [height, height], color="white", lw=2, path_effects=outline)
    axis.text((start + end) / 2, height + 0.015 * shape[0], f"{bar:g}{unit}", color="white",
              ha="center", va="bottom", fontsize=9, path_effects=outline)  # fmt: skip


def _compass(axis: Axes, wcs: Any, shape: tuple[int, int]) -> None:
    """Draw arrows towards north and east."""
    if wcs is None:
        return
    height, width = shape
    x, y = 0.85 * width, 0.12 * height
    centre = wcs.pixel_to_world(x, y)
    for label, angle in (("N", 0.0), ("E", 90.0)):
        tip = centre.directional_offset_by(angle * u.deg, 1 * u.arcsec)
        tip_x, tip_y = wcs.world_to_pixel(tip)
        scale = 0.09 * height / np.hypot(tip_x - x, tip_y - y)
        dx, dy = float(tip_x - x) * scale, float(tip_y - y) * scale
        axis.annotate("", (x + dx, y + dy), (x, y),
                      arrowprops={"arrowstyle": "->", "color": "white"})  # fmt: skip
        axis.text(x + 1.4 * dx, y + 1.4 * dy, label, color="white", ha="center", va="center")
