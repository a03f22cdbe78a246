"""Maps as a figure: a grid of panels on the sky, ready for a paper."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np
import numpy.typing as npt

from picasssso.exceptions import InvalidInputError, InvalidTypeError
from picasssso.properties import Property

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

    from picasssso.bands import BandImages
    from picasssso.maps.property_maps import PropertyMaps

#: Sizes in inches.
PANEL_WIDTH = 2.3
GAP = 0.14
BAR_HEIGHT = 0.085
BAR_SPACE = 0.62
MARGIN_LEFT, MARGIN_BOTTOM, MARGIN_RIGHT, MARGIN_TOP = 0.82, 0.42, 0.16, 0.06
#: Panels side by side, at most.
COLUMNS = 4
#: Logarithmic scales show at most this range below the brightest pixels.
DYNAMIC_RANGE = 1e3
MASKED_COLOR = "0.78"

_STYLE: dict[Any, Any] = {
    "font.size": 8.0,
    "axes.linewidth": 0.6,
    "mathtext.fontset": "dejavusans",
}


@dataclass(frozen=True)
class _Layout:
    """Where panels stand in a figure; all lengths in inches."""

    columns: int
    bands: int
    rows_per_band: int
    panel_height: float

    @property
    def band_height(self) -> float:
        """A band: colour bars above, then the rows of panels that share them."""
        return BAR_SPACE + self.rows_per_band * (self.panel_height + GAP) - GAP

    @property
    def size(self) -> tuple[float, float]:
        width = MARGIN_LEFT + self.columns * (PANEL_WIDTH + GAP) - GAP + MARGIN_RIGHT
        gaps = (self.bands - 1) * MARGIN_BOTTOM
        return width, MARGIN_TOP + self.bands * self.band_height + gaps + MARGIN_BOTTOM

    def panel(self, place: int, row: int) -> tuple[float, float, float, float]:
        """Left, bottom, width, height of a panel as fractions of the figure."""
        band, column = divmod(place, self.columns)
        left = MARGIN_LEFT + column * (PANEL_WIDTH + GAP)
        top = MARGIN_TOP + band * (self.band_height + MARGIN_BOTTOM) + BAR_SPACE
        top += row * (self.panel_height + GAP)
        return self._fractions(left, top + self.panel_height, PANEL_WIDTH, self.panel_height)

    def bar(self, place: int) -> tuple[float, float, float, float]:
        """Left, bottom, width, height of the colour bar above a panel."""
        band, column = divmod(place, self.columns)
        left = MARGIN_LEFT + column * (PANEL_WIDTH + GAP)
        bottom = MARGIN_TOP + band * (self.band_height + MARGIN_BOTTOM) + BAR_SPACE - 0.05
        # Narrower than the panel, so that numbers at its ends keep clear of the next one's.
        inset = 0.04 * PANEL_WIDTH
        return self._fractions(left + inset, bottom, PANEL_WIDTH - 2 * inset, BAR_HEIGHT)

    def _fractions(
        self, left: float, bottom_from_top: float, width: float, height: float
    ) -> tuple[float, float, float, float]:
        whole_width, whole_height = self.size
        return (
            left / whole_width,
            1 - bottom_from_top / whole_height,
            width / whole_width,
            height / whole_height,
        )


def plot_maps(
    maps: PropertyMaps,
    properties: Sequence[str] | None,
    truth: PropertyMaps | None,
    images: BandImages | None,
) -> Figure:
    """Draw maps as a grid of panels; see `PropertyMaps.plot`."""
    names = _checked_names(maps, properties)
    _check_truth(maps, truth)
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    first = 0 if images is None else 1
    n_panels = len(names) + first
    height, width = maps.shape
    n_bands = -(-n_panels // COLUMNS)
    layout = _Layout(
        # As full as the others: five panels are 3 + 2, not 4 + 1.
        columns=-(-n_panels // n_bands),
        bands=n_bands,
        rows_per_band=1 if truth is None else 2,
        panel_height=PANEL_WIDTH * min(max(height / width, 0.4), 2.5),
    )
    with mpl.rc_context(_STYLE):
        figure = plt.figure(figsize=layout.size, facecolor="white")
        if images is not None:
            _draw_images(figure, layout, maps, images)
        for place, name in enumerate(names, start=first):
            beside_image = first == place == 1
            _draw_property(figure, layout, place, name, maps, truth, beside_image)
        _draw_scale(figure.axes[0], maps)
    return figure


def _checked_names(maps: PropertyMaps, properties: Sequence[str] | None) -> tuple[str, ...]:
    if properties is None:
        return maps.properties
    names = (properties,) if isinstance(properties, str) else tuple(properties)
    if not names:
        raise InvalidInputError(f"properties is empty: expected some of {', '.join(maps)}.")
    for name in names:
        maps.definition(name)
    return names


def _check_truth(maps: PropertyMaps, truth: PropertyMaps | None) -> None:
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


# ---- panels ---------------------------------------------------------------------------------


def _add_axes(
    figure: Figure,
    layout: _Layout,
    place: int,
    row: int,
    maps: PropertyMaps,
    *,
    left: bool,
    last: bool,
) -> Any:
    """Add one panel; coordinates stand only along the left and the lower edge of a band."""
    rectangle = layout.panel(place, row)
    axes: Any
    if maps.wcs is None:
        axes = figure.add_axes(rectangle)
        axes.tick_params(labelleft=left, labelbottom=last, direction="in", labelsize=6.5)
        axes.locator_params(nbins=4)
        return axes
    axes = figure.add_axes(rectangle, projection=maps.wcs)
    for coordinate, side, shown in zip(axes.coords, "bl", (last, left), strict=True):
        coordinate.set_auto_axislabel(False)
        coordinate.set_ticks(number=4)
        coordinate.tick_params(direction="in", length=3, width=0.6, color="0.25")
        coordinate.set_ticks_position("bltr")
        coordinate.set_ticklabel(size=6.5, exclude_overlapping=True)
        coordinate.set_ticklabel_position(side)
        coordinate.set_ticklabel_visible(shown)
    return axes


def _draw_images(figure: Figure, layout: _Layout, maps: PropertyMaps, images: Any) -> None:
    axes = _add_axes(figure, layout, 0, 0, maps, left=True, last=True)
    images.plot(ax=axes)
    axes.set_title("image", fontsize=8.5, pad=4)
    axes.set(xlabel="", ylabel="")


def _draw_property(
    figure: Figure,
    layout: _Layout,
    place: int,
    name: str,
    maps: PropertyMaps,
    truth: PropertyMaps | None,
    beside_image: bool,
) -> None:
    definition = maps.definition(name)
    shown = [("", maps)] if truth is None else [("estimate", maps), ("truth", truth)]
    shown = [(label, these) for label, these in shown if name in these]
    planes = [_plane(these, name, definition) for _, these in shown]
    deciding = [_worth_scaling(these, name) for _, these in shown]
    norm = _norm(definition, [plane[d] for plane, d in zip(planes, deciding, strict=True)])
    for row, ((label, these), plane) in enumerate(zip(shown, planes, strict=True)):
        axes = _add_axes(
            figure,
            layout,
            place,
            row,
            these,
            # Only in the first row does the picture stand to the left.
            left=place % layout.columns == 0 or (beside_image and row > 0),
            last=row == layout.rows_per_band - 1,
        )
        picture = axes.imshow(
            _above_floor(plane, norm, definition),
            norm=norm,
            cmap=_color_map(definition.color_map),
            origin="lower",
            interpolation="nearest",
        )
        if label:
            _annotate(axes, label)
        if row == 0:
            _draw_bar(figure, layout.bar(place), picture, definition)


def _plane(maps: PropertyMaps, name: str, definition: Property) -> npt.NDArray[np.floating]:
    """Return the median in the unit shown, NaN where masked."""
    return maps.percentile(name, 50).to_value(definition.unit)


def _worth_scaling(maps: PropertyMaps, name: str) -> npt.NDArray[np.bool_]:
    """Return the pixels that decide on the colour scale.

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


def _norm(definition: Property, values: list[npt.NDArray[np.floating]]) -> Normalize:
    """Return the colour scale: logarithmic for surface densities, linear otherwise."""
    from matplotlib.colors import LogNorm, Normalize

    pool = np.concatenate([np.ravel(value) for value in values])
    pool = pool[np.isfinite(pool)].astype(np.float64)
    if definition.is_surface_density:
        pool = pool[pool > 0]
        if not len(pool):
            return LogNorm(1, 10)
        high = float(np.percentile(pool, 99.8))
        low = float(max(np.percentile(pool, 1), high / DYNAMIC_RANGE))
        return LogNorm(low, high) if low < 0.99 * high else LogNorm(high / 2, high * 2)
    if not len(pool):
        return Normalize(0, 1)
    low, high = (float(limit) for limit in np.percentile(pool, (2, 98)))
    if high - low <= 1e-6 * abs(high):
        low, high = low - 0.5 * abs(low or 1), high + 0.5 * abs(high or 1)
    return Normalize(low, high)


def _above_floor(
    plane: npt.NDArray[np.floating], norm: Normalize, definition: Property
) -> npt.NDArray[np.floating]:
    """Lift values that a logarithm cannot show to the floor: grey is for masked pixels."""
    if not definition.is_surface_density:
        return plane
    return np.maximum(plane, plane.dtype.type(norm.vmin))


def _color_map(name: str) -> Any:
    import matplotlib as mpl

    # A plugin may name a map of a package that is not here.
    return mpl.colormaps[name if name in mpl.colormaps else "viridis"].with_extremes(
        bad=MASKED_COLOR
    )


def _draw_bar(
    figure: Figure,
    rectangle: tuple[float, float, float, float],
    picture: Any,
    definition: Property,
) -> None:
    from matplotlib.ticker import MaxNLocator

    axes = figure.add_axes(rectangle)
    bar = figure.colorbar(picture, cax=axes, orientation="horizontal")
    bar.outline.set_linewidth(0.6)
    if not definition.is_surface_density:
        bar.locator = MaxNLocator(nbins=4)
        bar.update_ticks()
    axes.xaxis.set_ticks_position("top")
    axes.xaxis.set_label_position("top")
    axes.tick_params(labelsize=6.5, length=2, width=0.6, pad=1.5, which="major")
    axes.tick_params(length=1.2, width=0.4, which="minor")
    bar.set_label(_label(definition), fontsize=8.5, labelpad=4)


def _label(definition: Property) -> str:
    """Return label and unit, such as ``stellar mass [Msun kpc^-2]`` in mathematical type."""
    if definition.unit == u.dimensionless_unscaled:
        return definition.label
    unit = definition.unit.to_string("latex_inline").replace(r"\mathrm", r"\mathregular")
    return f"{definition.label} [{unit}]"


def _annotate(axes: Axes, text: str) -> None:
    axes.text(
        0.035,
        0.955,
        text,
        transform=axes.transAxes,
        va="top",
        fontsize=7.5,
        color="white",
        bbox={"facecolor": "0.1", "alpha": 0.55, "edgecolor": "none", "pad": 2.0},
    )


# ---- the scale ------------------------------------------------------------------------------


def _draw_scale(axes: Axes, maps: PropertyMaps) -> None:
    """Draw a bar of a round length in kpc, or in arcsec where there is no distance."""
    from matplotlib.patheffects import withStroke

    pixel = maps.pixel_solid_angle.to_value(u.rad**2) ** 0.5
    distance = maps.angular_diameter_distance
    if distance is None:
        pixel, unit = pixel * u.rad.to(u.arcsec), "″"
    else:
        pixel, unit = pixel * distance.to_value(u.kpc), " kpc"
    length = _round_length(maps.shape[1] * pixel / 3)
    span = length / pixel / maps.shape[1]
    outline = [withStroke(linewidth=2.6, foreground="0.15")]
    axes.plot(
        [0.05, 0.05 + span],
        [0.06, 0.06],
        transform=axes.transAxes,
        color="white",
        linewidth=1.4,
        solid_capstyle="butt",
        path_effects=outline,
        # A line may not change what part of the sky is shown.
        scalex=False,
        scaley=False,
    )
    axes.text(
        0.05 + span / 2,
        0.085,
        f"{length:g}{unit}",
        transform=axes.transAxes,
        ha="center",
        va="bottom",
        fontsize=7,
        color="white",
        path_effects=[withStroke(linewidth=1.8, foreground="0.15")],
    )


def _round_length(longest: float) -> float:
    """Return the largest of 1, 2, 5, 10, ... that is not longer."""
    power = 10.0 ** np.floor(np.log10(longest))
    return float(max(step * power for step in (1, 2, 5) if step * power <= longest * 1.000001))
