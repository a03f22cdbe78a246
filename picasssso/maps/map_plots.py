"""Maps as a figure: a grid of panels on the sky, ready for a paper."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np
import numpy.typing as npt

from picasssso._plotting import (
    DYNAMIC_RANGE,
    Scale,
    draw_panel,
    draw_scale_bar,
    property_scale,
    set_bar_ticks,
    unit_label,
)
from picasssso.exceptions import InvalidInputError, InvalidTypeError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from picasssso.bands import BandImages
    from picasssso.maps.planes import MapPlanes
    from picasssso.properties import Property

#: Sizes in inches.
PANEL_WIDTH = 2.3
GAP = 0.14
BAR_HEIGHT = 0.085
BAR_SPACE = 0.62
MARGIN_LEFT, MARGIN_BOTTOM, MARGIN_RIGHT, MARGIN_TOP = 0.82, 0.42, 0.16, 0.06
#: Panels side by side, at most.
COLUMNS = 4

_STYLE: dict[Any, Any] = {
    "font.size": 8.0,
    "axes.linewidth": 0.6,
    "mathtext.fontset": "dejavusans",
}


def _lay_out(number: int, rows: int, height: float) -> tuple[Figure, int, list[tuple[Any, Any]]]:
    """Return a figure, its columns, and the places of each panel's color bar and of its rows.

    Rows of panels, ``height`` inches high, share the color bar above them.
    """
    import matplotlib.pyplot as plt

    bands = -(-number // COLUMNS)
    # As full as the others: five panels are 3 + 2, not 4 + 1.
    columns = -(-number // bands)
    band = [BAR_SPACE - BAR_HEIGHT - 0.05, BAR_HEIGHT, 0.05, height]
    band += [GAP, height] * (rows - 1) + [MARGIN_BOTTOM]
    heights = [MARGIN_TOP, *band * bands]
    width = MARGIN_LEFT + columns * (PANEL_WIDTH + GAP) - GAP + MARGIN_RIGHT
    figure = plt.figure(figsize=(width, sum(heights)), facecolor="white")
    grid = figure.add_gridspec(
        len(heights), columns, height_ratios=heights, hspace=0, wspace=GAP / PANEL_WIDTH,
        left=MARGIN_LEFT / width, right=1 - MARGIN_RIGHT / width, bottom=0, top=1,
    )  # fmt: skip
    places = []
    for place in range(number):
        row, column = divmod(place, columns)
        top = 1 + row * len(band)
        places.append(
            (grid[top + 1, column], [grid[top + 3 + 2 * k, column] for k in range(rows)])
        )
    return figure, columns, places


def plot_maps(
    maps: MapPlanes,
    properties: Sequence[str] | None,
    truth: MapPlanes | None,
    images: BandImages | None,
    ax: Axes | None = None,
    wanted: tuple[float | None, float | None, bool | None] = (None, None, None),
) -> Figure:
    """Draw maps as a grid of panels; see `PropertyMaps.plot`. ``wanted``: vmin, vmax, log."""
    names = _checked_names(maps, properties)
    _check_truth(maps, truth)
    if ax is not None:
        if not hasattr(ax, "imshow"):
            raise InvalidTypeError(f"plot: found ax={ax!r:.100}, expected axes of matplotlib.")
        if len(names) != 1 or truth is not None or images is not None:
            raise InvalidInputError(
                f"plot: found ax= with {len(names)} maps{' and more' * bool(truth or images)}, "
                f"expected one map alone. Use maps.plot({names[0]!r}, ax=ax)."
            )
        (name,) = names
        plane = maps.percentile(name, 50).value
        scale = _scale(maps.definition(name), [plane[_worth_scaling(maps, name)]], wanted)
        picture = draw_panel(ax, plane, scale)
        bar = ax.figure.colorbar(picture, ax=ax)
        bar.set_label(unit_label(maps.definition(name), brackets=True))
        return ax.figure  # type: ignore[return-value]
    import matplotlib as mpl

    first = 0 if images is None else 1
    height, width = maps.shape
    panel_height = PANEL_WIDTH * min(max(height / width, 0.4), 2.5)
    with mpl.rc_context(_STYLE):
        rows = 1 if truth is None else 2
        figure, columns, places = _lay_out(len(names) + first, rows, panel_height)
        if images is not None:
            axes = _add_axes(figure, places[0][1][0], maps, left=True, last=True)
            images.plot(ax=axes)
            axes.set_title("image", fontsize=8.5, pad=4)
            axes.set(xlabel="", ylabel="")
        for k, name in enumerate(names, start=first):
            # Only in the first row does the picture stand to the left.
            left = [k % columns == 0 or (first == k == 1 and row > 0) for row in range(rows)]
            _draw_property(figure, places[k], left, name, maps, truth, wanted)
        draw_sky_scale(figure.axes[0], maps, 7)
    return figure


def draw_sky_scale(axes: Axes, maps: MapPlanes | BandImages, size: float = 8) -> None:
    """Draw a bar of a round length in kpc, or in arcsec where there is no distance."""
    pixel = float(maps.pixel_solid_angle.to_value(u.arcsec**2)) ** 0.5
    distance = maps.angular_diameter_distance
    kpc = None if distance is None else distance.to_value(u.kpc)
    draw_scale_bar(axes, maps.shape, pixel, kpc, size)


def _checked_names(maps: MapPlanes, properties: Sequence[str] | None) -> tuple[str, ...]:
    if properties is None:
        return maps.properties
    names = (properties,) if isinstance(properties, str) else tuple(properties)
    if not names:
        raise InvalidInputError(f"properties is empty: expected some of {', '.join(maps)}.")
    for name in names:
        maps.definition(name)
    return names


def _check_truth(maps: MapPlanes, truth: MapPlanes | None) -> None:
    if truth is None:
        return
    if not isinstance(truth, type(maps)):
        raise InvalidTypeError(
            f"truth is of type {type(truth).__name__}: expected PropertyMaps on the same pixels."
        )
    if truth.shape != maps.shape:
        raise InvalidInputError(
            f"truth has shape {truth.shape}: expected {maps.shape}, that of the maps."
        )


def _add_axes(figure: Figure, place: Any, maps: MapPlanes, *, left: bool, last: bool) -> Any:
    """Add one panel; coordinates on the sky are written at the first panel of a band only.

    All panels show the same sky, and right ascensions of neighbors would touch.
    """
    axes: Any
    if maps.wcs is None:
        axes = figure.add_subplot(place)
        axes.tick_params(labelleft=left, labelbottom=last, direction="in", labelsize=6.5)
        axes.locator_params(nbins=4)
        return axes
    axes = figure.add_subplot(place, projection=maps.wcs)
    # Each coordinate is written along the edge across which it changes most.
    turned = abs(maps.wcs.pixel_scale_matrix[0, 0]) < abs(maps.wcs.pixel_scale_matrix[0, 1])
    sides = ("lb", (left, last and left)) if turned else ("bl", (last and left, left))
    for coordinate, side, shown in zip(axes.coords, *sides, strict=True):
        coordinate.set_auto_axislabel(False)
        coordinate.set_ticks(number=4)
        coordinate.tick_params(direction="in", length=3, width=0.6, color="0.25")
        coordinate.set_ticks_position("bltr")
        coordinate.set_ticklabel(size=6.5, exclude_overlapping=True)
        coordinate.set_ticklabel_position(side)
        coordinate.set_ticklabel_visible(shown)
    return axes


def _draw_property(
    figure: Figure,
    place: tuple[Any, Any],
    left: Sequence[bool],
    name: str,
    maps: MapPlanes,
    truth: MapPlanes | None,
    wanted: tuple[float | None, float | None, bool | None],
) -> None:
    definition = maps.definition(name)
    shown = [("", maps)] if truth is None else [("estimate", maps), ("truth", truth)]
    shown = [(label, these) for label, these in shown if name in these]
    planes = [these.percentile(name, 50).to_value(definition.unit) for _, these in shown]
    deciding = [_worth_scaling(these, name) for _, these in shown]
    scale = _scale(
        definition, [plane[d] for plane, d in zip(planes, deciding, strict=True)], wanted
    )
    norm = scale.norm
    for row, ((label, these), plane) in enumerate(zip(shown, planes, strict=True)):
        last = row == len(left) - 1
        axes = _add_axes(figure, place[1][row], these, left=left[row], last=last)
        picture = draw_panel(axes, plane, scale, norm=norm)
        if label:
            box = {"facecolor": "0.1", "alpha": 0.55, "edgecolor": "none", "pad": 2.0}
            axes.text(
                0.035, 0.955, label, transform=axes.transAxes, va="top", fontsize=7.5,
                color="white", bbox=box,
            )  # fmt: skip
        if row == 0:
            _draw_bar(figure, place[0], picture, definition, scale)


def _scale(
    definition: Property,
    planes: list[npt.NDArray[np.floating]],
    wanted: tuple[float | None, float | None, bool | None],
) -> Scale:
    """Return the color scale, with its ends and kind as they are wanted."""
    vmin, vmax, log = wanted
    kind = definition
    if log is not None:
        # Positive values over three decades, as of a density; or linear.
        kind = replace(definition, kind="surface_density" if log else "intensive", weight=None)
    scale = property_scale(kind, planes)
    low = scale.low if vmin is None else float(vmin)
    high = scale.high if vmax is None else float(vmax)
    if not (low < high and (low > 0 or not scale.logarithmic)):
        raise InvalidInputError(
            f"plot: found a color scale of {definition.name!r} from {low:g} to {high:g}, expected "
            f"vmin below vmax{', both positive (or log=False)' * scale.logarithmic}."
        )
    return replace(scale, low=low, high=high)


def _worth_scaling(maps: MapPlanes, name: str) -> npt.NDArray[np.bool_]:
    """Return the pixels that decide on the color scale.

    Averages mean little where there is next to nothing to average: where the weight is
    below the range that its own map shows, they are noise.
    """
    weight = maps.definition(name).weight
    every = ~maps.masks[name]
    if weight is None or weight not in maps:
        return every
    plane = np.nan_to_num(maps.percentile(weight, 50).value)
    worth = every & (plane > 3 * plane.max(initial=0) / DYNAMIC_RANGE)
    return worth if worth.any() else every


def _draw_bar(
    figure: Figure, place: Any, picture: Any, definition: Property, scale: Scale
) -> None:
    axes = figure.add_subplot(place)
    # Narrower than the panel, so that numbers at its ends keep clear of the next one's.
    box = axes.get_position()
    axes.set_position((box.x0 + 0.04 * box.width, box.y0, 0.92 * box.width, box.height))
    bar = figure.colorbar(picture, cax=axes, orientation="horizontal")
    bar.outline.set_linewidth(0.6)
    set_bar_ticks(bar, scale, 4)
    axes.xaxis.set_ticks_position("top")
    axes.xaxis.set_label_position("top")
    axes.tick_params(labelsize=6.5, length=2, width=0.6, pad=1.5, which="major")
    axes.tick_params(length=1.2, width=0.4, which="minor")
    bar.set_label(unit_label(definition, brackets=True), fontsize=8.5, labelpad=4)
