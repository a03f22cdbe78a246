"""Pictures of a galaxy and its maps, for the command, the demo and the report.

Of one estimator: estimate, truth, the one over the other, and the uncertainty of each property.
Of several: a column for each property with the truth and what each estimator makes of it on one
color scale. Gray is for pixels without an estimate, or where there is too little to compare.
"""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from picasssso._core.safe_files import atomic_write
from picasssso._plotting import (
    Scale,
    draw_bar,
    draw_compass,
    draw_panel,
    label_arcsec,
    offset_scale,
    property_scale,
    unit_label,
)
from picasssso.exceptions import InvalidInputError
from picasssso.maps.map_plots import draw_sky_scale
from picasssso.quality import QualityFlag

if TYPE_CHECKING:
    from astropy.table import QTable
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from picasssso.bands import BandImages
    from picasssso.maps.planes import MapPlanes

FloatArray = npt.NDArray[np.floating]
Panel = tuple[str, FloatArray, Scale]

_PANEL, _ROW = 2.4, 3.0  # inches; a row holds title, panel and color bar
_SMALL_PANEL, _SMALL_ROW = 1.75, 2.0  # of a picture of several estimators
_MOST = 5  # properties in a picture of several estimators: one screen
_TWO_TILES = 3  # more properties than this stand in two columns
_ESTIMATE, _TRUTH = {"color": "#0072B2", "lw": 1.6}, {"color": "0.1", "lw": 1.2, "ls": "--"}
_SMALL_FONT: dict[Any, Any] = {
    "font.size": 8.0, "axes.titlesize": 9.0, "axes.titlepad": 3.0,
    "xtick.labelsize": 7.0, "ytick.labelsize": 7.0,
}  # fmt: skip


def draw_picture(
    images: BandImages, estimates: Mapping[str, MapPlanes], truth: MapPlanes | None = None
) -> Figure:
    """Draw a galaxy in color and its maps by the estimators of the names given."""
    import matplotlib as mpl

    with mpl.rc_context(_SMALL_FONT):
        if len(estimates) > 1:
            return _draw_comparison(images, estimates, truth)
        ((who, maps),) = estimates.items()
        return _draw_one(images, who, maps, truth)


def save_picture(
    path: str | PathLike[str],
    images: BandImages,
    estimates: Mapping[str, MapPlanes],
    truth: MapPlanes | None = None,
    *,
    overwrite: bool = False,
) -> None:
    """Draw the picture of `draw_picture` into a file."""
    figure = draw_picture(images, estimates, truth)
    with atomic_write(path, overwrite) as temporary:
        figure.savefig(temporary, dpi=130)


def draw_galaxy(images: BandImages, axis: Axes | None = None, *, below: bool = True) -> Any:
    """Draw the galaxy in color, with scale, compass and axes in arcsec; return the figure."""
    from matplotlib.figure import Figure

    if axis is None:
        axis = Figure(figsize=(4.4, 4.4), layout="constrained").subplots()
    images.plot(ax=axis, brightest=99.9)
    axis.set_title(f"galaxy, z = {images.redshift:g}")
    draw_sky_scale(axis, images)
    draw_compass(axis, images.wcs, images.shape)
    label_arcsec(axis, images.shape, images.pixel_scale.to_value("arcsec"), below=below)
    return axis.figure


def draw_property(maps: MapPlanes, name: str, truth: MapPlanes | None = None) -> Figure:
    """Draw one property: estimate, uncertainty, and where it is known the truth."""
    from matplotlib.figure import Figure

    panels = _panels_of("estimate", maps, name, truth)
    figure = Figure(figsize=(3.3 * len(panels), 4.2), layout="constrained")
    axes = np.atleast_1d(figure.subplots(1, len(panels)))
    _draw_tile(figure, axes, panels)
    draw_sky_scale(axes[0], maps)
    return figure


def _draw_one(images: BandImages, who: str, maps: MapPlanes, truth: MapPlanes | None) -> Figure:
    """Draw the panels of each property side by side, in two columns if there are many."""
    tiles = 1 if len(maps) <= _TWO_TILES else 2
    wide = 2 if truth is None else 4
    n_rows, n_columns = -(-len(maps) // tiles), 1 + tiles * wide
    figure, axes = _grid(n_rows, n_columns, (_PANEL, _ROW))
    draw_galaxy(images, axes[0, 0])
    for number, name in enumerate(maps):
        row, tile = divmod(number, tiles)
        first = 1 + tile * wide
        panels = _panels_of(who, maps, name, truth)
        _draw_tile(figure, axes[row, first : first + wide], panels)
    return figure


def _grid(n_rows: int, n_columns: int, size: tuple[float, float]) -> tuple[Figure, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(size[0] * n_columns + 0.6, size[1] * n_rows), layout="compressed")
    axes = figure.subplots(n_rows, n_columns, squeeze=False)
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[], anchor="N")
        axis.set_frame_on(False)
    return figure, axes


def _draw_tile(figure: Figure, axes: Any, panels: list[Panel]) -> None:
    for axis, (title, plane, scale) in zip(axes, panels, strict=False):
        axis.set(xticks=[], yticks=[])
        draw_bar(figure, draw_panel(axis, plane, scale, title), axis, scale)


def _panels_of(who: str, maps: MapPlanes, name: str, truth: MapPlanes | None) -> list[Panel]:
    """Return what is drawn of one property: estimate, truth, ratio, uncertainty."""
    known = truth if truth is not None and name in truth else None
    scale = _scale_of(name, [maps], known)
    panels = [(f"{maps.definition(name).label} ({who})", _plane(maps, name), scale)]
    if known is not None:
        offset, its_scale = _offset(maps, known, name)
        title = "estimate / truth" if its_scale.label == "dex" else "estimate - truth"
        panels += [("truth", _plane(known, name), scale), (title, offset, its_scale)]
    return [*panels, _uncertainty(maps, name)]


def _draw_comparison(
    images: BandImages, estimates: Mapping[str, MapPlanes], truth: MapPlanes | None
) -> Figure:
    """Draw several estimators: a row for each below the truth, a column for each property.

    The galaxy stands beside the truth; below it is how each estimator's first map, of a
    property that all have if there is one, compares with the truth.
    """
    names = _names_in_order(estimates, truth)[:_MOST]
    rows: dict[str, MapPlanes | None] = {"truth": truth, **estimates}
    figure, axes = _grid(len(rows), 1 + len(names), (_SMALL_PANEL, _SMALL_ROW))
    draw_galaxy(images, axes[0, 0], below=False)
    first = names[0]
    definition = next(maps for maps in estimates.values() if first in maps).definition(first)
    drawn: Any = None
    scale, what = offset_scale(), ""
    for axis, (who, maps) in zip(axes[1:, 0], estimates.items(), strict=True):
        if first not in maps:
            continue
        if truth is not None and first in truth:
            plane, scale = _offset(maps, truth, first)
            title, what = f"{who} / truth", f"estimate / truth [{scale.label}]"
        else:
            title, plane, scale = _uncertainty(maps, first)
            what = title
        drawn = draw_panel(axis, plane, scale, title)
        below = axis is axes[-1, 0]
        label_arcsec(axis, maps.shape, images.pixel_scale.to_value("arcsec"), below=below)
    if drawn is not None:
        draw_bar(figure, drawn, list(axes[:, 0]), scale, f"{definition.label}:\n{what}")
    for column, name in zip(axes.T[1:], names, strict=True):
        having = [maps for maps in estimates.values() if name in maps]
        scale = _scale_of(name, having, truth if truth is not None and name in truth else None)
        for axis, (who, one) in zip(column, rows.items(), strict=True):
            if one is not None and name in one:
                drawn = draw_panel(axis, _plane(one, name), scale, who)
            else:
                axis.set_box_aspect(images.shape[0] / images.shape[1])
                axis.text(
                    0.5, 0.5, f"{who}:\nnone", transform=axis.transAxes, ha="center",
                    va="center", color="0.5",
                )  # fmt: skip
        label = unit_label(having[0].definition(name), brackets=True).replace(" [", "\n[")
        draw_bar(figure, drawn, list(column), scale, label)
    return figure


def _names_in_order(estimates: Mapping[str, MapPlanes], truth: MapPlanes | None) -> list[str]:
    """Return the properties of all estimators; those that most have come first."""
    names = dict.fromkeys(name for maps in estimates.values() for name in maps)
    order = list(truth or ())

    def rank(name: str) -> tuple[int, int]:
        number = sum(name in maps for maps in estimates.values())
        return -number, order.index(name) if name in order else len(order)

    return sorted(names, key=rank)


def _plane(maps: MapPlanes, name: str) -> FloatArray:
    """Return the median as it is shown: NaN where masked or not worth showing."""
    return np.where(_worth_showing(maps, name), maps[name].data, np.nan)


def _worth_showing(maps: MapPlanes, name: str) -> npt.NDArray[np.bool_]:
    """Return where a map means something.

    Averages of next to nothing are noise, or the prior: an intensive property is shown
    where its weight (or else the stellar mass) is larger than its own uncertainty.
    """
    worth = ~maps.masks[name]
    weight = maps.definition(name).weight or "stellar_mass"
    if not maps.definition(name).is_surface_density and weight in maps:
        worth = worth & (maps[weight].data > maps[weight].uncertainty.array)
    return worth


def _scale_of(name: str, estimates: list[MapPlanes], truth: MapPlanes | None) -> Scale:
    """Return the color scale of a property.

    That of the truth, where it is known; for an intensive property, whose range is small,
    one wide enough for every estimate.
    """
    definition = estimates[0].definition(name)
    if truth is None:
        return property_scale(definition, [_plane(maps, name) for maps in estimates])
    known = property_scale(definition, [_plane(truth, name)])
    if definition.is_surface_density:
        return known
    scales = [property_scale(definition, [_plane(maps, name)]) for maps in estimates]
    low, high = min(s.low for s in [known, *scales]), max(s.high for s in [known, *scales])
    return Scale(known.color_map, low, high, label=known.label)


def _offset(maps: MapPlanes, truth: MapPlanes, name: str) -> tuple[FloatArray, Scale]:
    """Return estimate over truth, in dex, or the difference of magnitudes, and its scale.

    A surface density is compared where the truth exceeds the estimate's uncertainty: a
    choice by the estimate itself would favor those that noise made larger.
    """
    value, known = maps[name].data, truth[name].data
    definition = maps.definition(name)
    in_dex = str(definition.unit) != "mag"
    with np.errstate(divide="ignore", invalid="ignore"):
        # A logarithm of what noise made negative lies below every scale.
        offset = np.log10(np.maximum(value, 1e-30) / known) if in_dex else value - known
        worth = _worth_showing(maps, name)
        if definition.is_surface_density:
            worth = worth & (known > maps[name].uncertainty.array)
    scale = offset_scale("dex" if in_dex else unit_label(definition))
    return np.where(worth & np.isfinite(known), offset, np.nan), scale


def _uncertainty(maps: MapPlanes, name: str) -> Panel:
    """Return title, plane and scale of the uncertainty; relative for surface densities."""
    deviation = np.where(_worth_showing(maps, name), maps[name].uncertainty.array, np.nan)
    definition = maps.definition(name)
    if definition.is_surface_density:
        value = maps[name].data
        with np.errstate(divide="ignore", invalid="ignore"):
            # Of no mass at all, the uncertainty is larger than any mass.
            relative = np.where(value > 0, deviation / value, np.where(value <= 0, 1e30, np.nan))
        return "relative uncertainty", relative, Scale("viridis", 0.0, 1.0, extend="max")
    scale = property_scale(definition, [deviation])
    return "uncertainty", deviation, Scale("viridis", scale.low, scale.high, label=scale.label)


def draw_profiles(
    maps: MapPlanes, tables: Mapping[str, QTable], others: Mapping[str, QTable], other: str
) -> Figure:
    """Draw radial profiles of maps with their errors, and of others such as the truth."""
    from matplotlib.figure import Figure

    columns = min(len(tables), 4)
    lines = -(-len(tables) // columns)
    figure = Figure(figsize=(3.2 * columns + 0.3, 2.7 * lines), layout="constrained")
    axes = figure.subplots(lines, columns, squeeze=False).ravel()
    for axis in axes[len(tables) :]:
        axis.set_visible(False)
    for axis, (name, table) in zip(axes, tables.items(), strict=False):
        definition = maps.definition(name)
        radius = table["radius_kpc" if "radius_kpc" in table.colnames else "radius"]
        y, error = table[name].value, table[f"{name}_error"].value
        axis.plot(radius.value, y, label="estimate", **_ESTIMATE)
        axis.fill_between(radius.value, y - error, y + error, color="#0072B2", alpha=0.25, lw=0)
        if name in others:
            axis.plot(radius.value, others[name][name].value, label=other, **_TRUTH)
        if definition.is_surface_density and np.nanmax(y, initial=0) > 0:
            axis.set_yscale("log")
            top = float(np.nanmax(y))
            bottom = float(np.nanmin(np.where(y > 0, y, np.nan)))
            axis.set_ylim(max(bottom, top / 1e5) / 2, 2 * top)
        axis.set_title(definition.label, fontsize=9)
        axis.set_xlabel(f"radius along the major axis, {radius.unit}", fontsize=8)
        axis.set_ylabel(unit_label(definition), fontsize=8)
        axis.tick_params(labelsize=8)
    if others:
        axes[0].legend(fontsize=8, frameon=False)
    return figure


def draw_residuals(comparison: Any, names: tuple[str, str]) -> Figure:
    """Draw two sets of maps that were compared: both, the residual, and profiles."""
    import matplotlib as mpl

    with mpl.rc_context(_SMALL_FONT):
        figure, axes = _grid(max(len(comparison), 1), 4, (2.6, 2.6))
        for row, one in zip(axes, comparison, strict=False):
            definition = comparison.first.definition(one.name)
            pair = (comparison.first, comparison.second)
            planes = [_plane(maps, one.name) for maps in pair]
            scale = property_scale(definition, planes)
            offset = np.where(np.isnan(sum(planes)), np.nan, comparison.residual(one.name).value)
            title = "first / second" if one.unit == "dex" else "first - second"
            panels = [(name, plane, scale) for name, plane in zip(names, planes, strict=True)]
            _draw_tile(figure, row[:3], [*panels, (title, offset, offset_scale(one.unit))])
            row[0].set_ylabel(definition.label, fontsize="large")
            try:
                table = comparison.profile(one.name)
            except InvalidInputError:
                continue
            axis, radius = row[3], table["radius"]
            axis.set_frame_on(True)
            axis.xaxis.set_major_locator(mpl.ticker.MaxNLocator(4))
            axis.yaxis.set_major_locator(mpl.ticker.AutoLocator())
            for key, style, name in zip(
                ("first", "second"), (_ESTIMATE, _TRUTH), names, strict=True
            ):
                axis.plot(radius.value, table[key].value, label=name, **style)
            if definition.is_surface_density:
                axis.set_yscale("log")
            axis.set_title("profile")
            axis.set_ylabel(unit_label(definition))
            axis.set_xlabel(f"radius ({radius.unit})")
            axis.legend(fontsize=6, frameon=False)
    return figure


def draw_quality(maps: MapPlanes) -> Figure:
    """Draw for every pixel the flag that matters most: of several, the rarest."""
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap, to_hex
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    quality, names = maps.quality, maps.flags
    shown = np.zeros(quality.shape, int)
    has = {name: quality & int(getattr(QualityFlag, name)) != 0 for name in names}
    for name in sorted(names, key=lambda n: -int(has[n].sum())):
        shown[has[name]] = 1 + names.index(name)
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
