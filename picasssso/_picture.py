"""The picture that the command and the demo leave: a galaxy, its maps and, if known, the truth.

Of one estimator, a row of panels for each map: estimate, truth, the one over the other, and
the uncertainty. Of several, a row for each property with the truth and what each estimator
makes of it on one colour scale. Grey is for pixels without an estimate, or where there is
too little to compare.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from picasssso._core.files import atomic_write
from picasssso.exceptions import InvalidInputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from picasssso.bands import BandImages
    from picasssso.maps import PropertyMaps

FloatArray = npt.NDArray[np.floating]

_PANEL, _ROW = 3.1, 4.0  # inches; a row holds title, panel and colour bar
_SMALL_PANEL, _SMALL_ROW = 2.5, 2.75  # of a picture of several estimators
_BAD = "0.85"  # grey of pixels without an estimate
_SHOW = (1.0, 99.8)  # percentiles of a map that its colour scale spans
_SHOW_LINEAR = (2.0, 98.0)  # the same of an intensive property, whose noise has no floor
_DYNAMIC_RANGE = 1e3  # of logarithmic colour scales, at most
_RATIO_LIMIT = 0.5  # dex, or the unit of the map where differences are shown


@dataclass(frozen=True)
class _Scale:
    """How the values of a map become colours."""

    color_map: str
    low: float
    high: float
    logarithmic: bool = False
    label: str = ""
    extend: Literal["neither", "both", "min", "max"] = "neither"


def check_picture_name(path: str | PathLike[str]) -> None:
    """Make sure that a picture can be written under a name, before it is drawn.

    Examples
    --------
    >>> from picasssso._picture import check_picture_name
    >>> check_picture_name("maps.png")
    """
    from matplotlib.backend_bases import FigureCanvasBase

    ending = Path(path).suffix.lower().removeprefix(".")
    known = FigureCanvasBase.get_supported_filetypes()
    if ending not in known:
        raise InvalidInputError(
            f"Cannot write the picture {path}: expected a name that ends in one of "
            f"{', '.join(sorted(known))}."
        )


def draw_picture(
    images: BandImages,
    estimates: Mapping[str, PropertyMaps],
    truth: PropertyMaps | None = None,
) -> Figure:
    """Draw a galaxy in colour and its maps."""
    if len(estimates) > 1:
        return _draw_comparison(images, estimates, truth)
    from matplotlib.figure import Figure

    ((who, maps),) = estimates.items()
    n_columns = 3 if truth is None else 5
    figure = Figure(figsize=(_PANEL * n_columns, _ROW * len(maps)), layout="compressed")
    axes = _panels(figure, len(maps), n_columns)
    _draw_galaxy(axes[0, 0], images)
    for row, name in zip(axes, maps, strict=True):
        _draw_row(figure, row[1:], who, maps, name, truth)
    return figure


def _panels(figure: Figure, n_rows: int, n_columns: int) -> Any:
    axes = figure.subplots(n_rows, n_columns, squeeze=False)
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[], anchor="N")
        axis.set_frame_on(False)
    return axes


def save_picture(
    path: str | PathLike[str],
    images: BandImages,
    estimates: Mapping[str, PropertyMaps],
    truth: PropertyMaps | None = None,
    *,
    overwrite: bool = False,
) -> None:
    """Draw the picture of `draw_picture` into a file."""
    figure = draw_picture(images, estimates, truth)
    with atomic_write(path, overwrite) as temporary:
        figure.savefig(temporary, dpi=130)


def _draw_galaxy(axis: Axes, images: BandImages) -> None:
    images.plot(ax=axis, brightest=99.9)
    axis.set(xticks=[], yticks=[])
    axis.set_title(f"galaxy, z = {images.redshift:g}")
    _scale_bar(axis, images)
    _compass(axis, images)


def _scale_bar(axis: Axes, images: BandImages) -> None:
    """Draw a bar of a round length, in kpc where there is a distance."""
    pixel = images.pixel_scale.to_value("arcsec")
    distance = images.angular_diameter_distance
    unit = "″"
    if distance is not None:
        pixel *= distance.to_value("kpc") * np.pi / (180 * 3600)
        unit = " kpc"
    width = images.shape[1]
    wanted = 0.28 * width * pixel
    step = 10 ** np.floor(np.log10(wanted))
    length = step * max(factor for factor in (1, 2, 5) if factor * step <= wanted)
    start, height = 0.06 * width, 0.07 * images.shape[0]
    axis.plot([start, start + length / pixel], [height, height], color="white", lw=2)
    axis.text(
        start + length / pixel / 2, 1.35 * height, f"{length:g}{unit}",
        color="white", ha="center", va="bottom",
    )  # fmt: skip


def _compass(axis: Axes, images: BandImages) -> None:
    """Draw arrows towards north and east."""
    if images.wcs is None:
        return
    from astropy.coordinates import Angle

    height, width = images.shape
    x, y = 0.82 * width, 0.14 * height
    centre = images.wcs.pixel_to_world(x, y)
    for label, angle in (("N", 0.0), ("E", 90.0)):
        tip = centre.directional_offset_by(Angle(angle, "deg"), images.pixel_scale)
        tip_x, tip_y = images.wcs.world_to_pixel(tip)
        length = 0.09 * height / np.hypot(tip_x - x, tip_y - y)
        dx, dy = float(tip_x - x) * length, float(tip_y - y) * length
        axis.annotate(
            "", (x + dx, y + dy), (x, y),
            arrowprops={"arrowstyle": "->", "color": "white", "shrinkA": 0, "shrinkB": 0},
        )  # fmt: skip
        axis.text(x + 1.4 * dx, y + 1.4 * dy, label, color="white", ha="center", va="center")


def _draw_row(
    figure: Figure,
    axes: Any,
    who: str,
    maps: PropertyMaps,
    name: str,
    truth: PropertyMaps | None,
) -> None:
    """Draw one map of one estimator: estimate, truth, ratio, uncertainty."""
    known = truth is not None and name in truth
    scale = _scale_of(name, [maps], truth)
    shown = [(f"{maps.definition(name).label} ({who})", _plane(maps, name), scale)]
    if truth is not None and known:
        ratio, ratio_scale = _offset(maps, truth, name)
        title = "estimate / truth" if ratio_scale.label == "dex" else "estimate - truth"
        shown += [("truth", _plane(truth, name), scale), (title, ratio, ratio_scale)]
    for axis, (title, plane, its_scale) in zip(axes, shown, strict=False):
        _draw_panel(axis, title, plane, its_scale, figure)
    _draw_panel(axes[-1], *_uncertainty(maps, name), figure)


def _draw_comparison(
    images: BandImages, estimates: Mapping[str, PropertyMaps], truth: PropertyMaps | None
) -> Figure:
    """Draw several estimators side by side: a column for each, a row for each property.

    The galaxy stands above the truth; beside it is how each estimator's first map, of a
    property that all have if there is one, compares with the truth.
    """
    from matplotlib.figure import Figure

    names = _names_in_order(estimates, truth)
    n_columns, n_rows = 1 + len(estimates), 1 + len(names)
    size = (_SMALL_PANEL * n_columns + 0.8, _SMALL_ROW * n_rows)
    figure = Figure(figsize=size, layout="compressed")
    axes = _panels(figure, n_rows, n_columns)
    _draw_galaxy(axes[0, 0], images)
    first = names[0]
    label = next(maps for maps in estimates.values() if first in maps).definition(first).label
    drawn: Any = None
    for axis, (who, maps) in zip(axes[0, 1:], estimates.items(), strict=True):
        if first not in maps:
            continue
        if truth is not None and first in truth:
            plane, scale = _offset(maps, truth, first)
            title = f"{who} / truth"
        else:
            title, plane, scale = _uncertainty(maps, first)
        drawn = _draw_panel(axis, title, plane, scale)
        drawn_label = f"{label}: {scale.label or title}"
    if drawn is not None:
        _draw_bar(figure, drawn, axes[0], drawn_label, scale.extend)
    for row, name in zip(axes[1:], names, strict=True):
        scale = _scale_of(name, list(estimates.values()), truth)
        columns = {"truth": truth, **estimates}
        for axis, (who, maps_or_none) in zip(row, columns.items(), strict=True):
            if maps_or_none is not None and name in maps_or_none:
                drawn = _draw_panel(axis, who, _plane(maps_or_none, name), scale)
            else:
                axis.set_box_aspect(1)
                axis.text(
                    0.5, 0.5, f"{who}:\nnone", transform=axis.transAxes, ha="center",
                    va="center", color="0.5",
                )  # fmt: skip
        definition = next(maps for maps in estimates.values() if name in maps).definition(name)
        unit = f" [{scale.label}]" if scale.label else ""
        _draw_bar(figure, drawn, row, f"{definition.label}{unit}", scale.extend)
    return figure


def _names_in_order(
    estimates: Mapping[str, PropertyMaps], truth: PropertyMaps | None
) -> list[str]:
    """Return the properties of all estimators; those of which most is known come first."""
    names = dict.fromkeys(name for maps in estimates.values() for name in maps)
    order = list(truth or ())

    def rank(name: str) -> tuple[int, int]:
        number = sum(name in maps for maps in estimates.values())
        return (order.index(name) if name in order else len(order), -number)

    return sorted(names, key=rank)


def _plane(maps: PropertyMaps, name: str) -> FloatArray:
    """Return the median as it is shown: NaN where masked or not worth showing."""
    return np.where(_worth_showing(maps, name), maps[name].data, np.nan)


def _worth_showing(maps: PropertyMaps, name: str) -> npt.NDArray[np.bool_]:
    """Return where a map means something.

    Averages of next to nothing are noise, or the prior: an intensive property is shown
    where its weight (or else the stellar mass) is larger than its own uncertainty.
    """
    worth = ~maps.masks[name]
    weight = maps.definition(name).weight or "stellar_mass"
    if not maps.definition(name).is_surface_density and weight in maps:
        worth = worth & (maps[weight].data > maps[weight].uncertainty.array)
    return worth


def _unit_label(maps: PropertyMaps, name: str) -> str:
    unit = maps.definition(name).unit
    return f"{unit:latex_inline}" if str(unit) else ""


def _scale_of(name: str, estimates: list[PropertyMaps], truth: PropertyMaps | None) -> _Scale:
    """Return the colour scale of a property.

    That of the truth, where it is known; for an intensive property, whose range is small,
    one wide enough for every estimate.
    """
    having = [maps for maps in estimates if name in maps]
    definition = having[0].definition(name)
    logarithmic = definition.is_surface_density
    known = [truth] if truth is not None and name in truth else []
    limits = []
    for maps in known if known and logarithmic else [*known, *having]:
        values = _plane(maps, name)
        usable = values[np.isfinite(values) & ((values > 0) | (not logarithmic))]
        if usable.size:
            limits.append(np.percentile(usable, _SHOW if logarithmic else _SHOW_LINEAR))
    low = min((pair[0] for pair in limits), default=1.0)
    high = max((pair[1] for pair in limits), default=10.0)
    if logarithmic:
        low = max(low, high / _DYNAMIC_RANGE)
    return _Scale(
        definition.color_map,
        float(low),
        float(high if high > low else low + abs(low or 1.0)),
        logarithmic,
        _unit_label(having[0], name),
    )


def _offset(maps: PropertyMaps, truth: PropertyMaps, name: str) -> tuple[FloatArray, _Scale]:
    """Return estimate over truth, in dex, or the difference of magnitudes, and its scale.

    A surface density is compared where the truth exceeds the estimate's uncertainty: a
    choice by the estimate itself would favour those that noise made larger.
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
    label = "dex" if in_dex else _unit_label(maps, name)
    scale = _Scale("RdBu_r", -_RATIO_LIMIT, _RATIO_LIMIT, label=label, extend="both")
    return np.where(worth & np.isfinite(known), offset, np.nan), scale


def _uncertainty(maps: PropertyMaps, name: str) -> tuple[str, FloatArray, _Scale]:
    """Return title, plane and scale of the uncertainty; relative for surface densities."""
    deviation = np.where(_worth_showing(maps, name), maps[name].uncertainty.array, np.nan)
    if maps.definition(name).is_surface_density:
        value = maps[name].data
        with np.errstate(divide="ignore", invalid="ignore"):
            # Of no mass at all, the uncertainty is larger than any mass.
            relative = np.where(value > 0, deviation / value, np.where(value <= 0, 1e30, np.nan))
        return "relative uncertainty", relative, _Scale("viridis", 0.0, 1.0, extend="max")
    usable = deviation[np.isfinite(deviation)]
    low, high = np.percentile(usable, _SHOW) if usable.size else (0.0, 1.0)
    high = float(high if high > low else low + abs(low or 1.0))
    return "uncertainty", deviation, _Scale(
        "viridis", float(low), high, label=_unit_label(maps, name)
    )  # fmt: skip


def _draw_panel(
    axis: Axes, title: str, values: FloatArray, scale: _Scale, figure: Figure | None = None
) -> Any:
    """Draw one panel; with a colour bar below it if the figure is given."""
    from matplotlib import colormaps
    from matplotlib.colors import LogNorm, Normalize
    from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

    colors = colormaps[scale.color_map].with_extremes(bad=_BAD)
    norm = (LogNorm if scale.logarithmic else Normalize)(scale.low, scale.high)
    if scale.logarithmic:
        # What a logarithm cannot show is lifted to the floor: grey is for no estimate.
        values = np.maximum(values, scale.low)
    shown = axis.imshow(values, origin="lower", cmap=colors, norm=norm, interpolation="nearest")
    axis.set_title(title)
    if figure is not None:
        bar = figure.colorbar(
            shown, ax=axis, location="bottom", shrink=0.9, pad=0.02, extend=scale.extend
        )
        bar.set_label(scale.label)
        if not scale.logarithmic:
            bar.locator = MaxNLocator(nbins=5)
            bar.update_ticks()
        elif scale.high < 100 * scale.low:
            # Else matplotlib writes numbers at 2, 3, 4 and 6 too, over each other.
            bar.locator = LogLocator(subs=(1, 3))
            bar.minorformatter = NullFormatter()
            bar.update_ticks()
    return shown


def _draw_bar(figure: Figure, drawn: Any, axes: Any, label: str, extend: str) -> None:
    """Draw one colour bar to the right of a row of panels."""
    bar = figure.colorbar(
        drawn, ax=list(axes), location="right", shrink=0.85, pad=0.01, extend=extend
    )
    bar.set_label(label)
