"""What all drawings of maps share: color scales, panels, color bars, scale bar and compass.

Gray is for pixels without an estimate; what a logarithm cannot show lies at the floor of the
color scale. Color maps rise in brightness from one end to the other, so that pictures can be
read without color.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from picasssso.exceptions import InvalidInputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

    from picasssso.properties import Property

FloatArray = npt.NDArray[np.floating]

MASKED_COLOR = "0.78"
#: Logarithmic scales show at most this range below the brightest pixels.
DYNAMIC_RANGE = 1e3
#: Offsets are shown to so many dex, or units of the map.
OFFSET_LIMIT = 0.5
#: Percentiles of a map that a color scale spans; an intensive property's noise has no floor.
_SHOWN, _SHOWN_LINEAR = (1.0, 99.8), (2.0, 98.0)
#: Of lines, to be told apart without color.
LINE_STYLES: tuple[dict[str, Any], ...] = (
    {"color": "black", "marker": "o", "ls": "-"},
    {"color": "#0072B2", "marker": "s", "ls": "--"},
    {"color": "#D55E00", "marker": "^", "ls": ":"},
    {"color": "#009E73", "marker": "D", "ls": "-."},
    {"color": "#CC79A7", "marker": "v", "ls": (0, (1, 3))},
    {"color": "#E69F00", "marker": "P", "ls": (0, (5, 1))},
    {"color": "#56B4E9", "marker": "X", "ls": (0, (3, 1, 1, 1))},
    {"color": "0.45", "marker": "<", "ls": "-"},
    {"color": "#8C510A", "marker": ">", "ls": "--"},
    {"color": "#542788", "marker": "h", "ls": ":"},
)


@dataclass(frozen=True)
class Scale:
    """How the values of a map become colors."""

    color_map: str
    low: float
    high: float
    logarithmic: bool = False
    label: str = ""
    extend: Literal["neither", "both", "min", "max"] = "neither"

    @property
    def norm(self) -> Normalize:
        """Matplotlib's normalization."""
        from matplotlib.colors import LogNorm, Normalize

        return (LogNorm if self.logarithmic else Normalize)(self.low, self.high)


def unit_label(definition: Property, *, brackets: bool = False) -> str:
    """Return the unit of a property, or with brackets its label and unit."""
    unit = f"{definition.unit:latex_inline}" if str(definition.unit) else ""
    if not brackets:
        return unit or ("mass fraction" if definition.name.endswith("metallicity") else "")
    unit = unit.replace(r"\mathrm", r"\mathregular")
    return f"{definition.label} [{unit}]" if unit else definition.label


def property_scale(definition: Property, planes: Iterable[FloatArray]) -> Scale:
    """Return one color scale for maps of a property: logarithmic for surface densities."""
    logarithmic = definition.is_surface_density
    pool = np.concatenate([np.ravel(plane).astype(float) for plane in planes])
    pool = pool[np.isfinite(pool) & ((pool > 0) | (not logarithmic))]
    label = unit_label(definition)
    if not len(pool):
        low, high = (1.0, 10.0) if logarithmic else (0.0, 1.0)
        return Scale(definition.color_map, low, high, logarithmic, label)
    low, high = map(float, np.percentile(pool, _SHOWN if logarithmic else _SHOWN_LINEAR))
    if logarithmic:
        low = max(low, high / DYNAMIC_RANGE)
        if low >= 0.99 * high:
            low, high = high / 2, high * 2
    elif high - low <= 1e-6 * abs(high):
        low, high = low - 0.5 * abs(low or 1), high + 0.5 * abs(high or 1)
    return Scale(definition.color_map, low, high, logarithmic, label)


def offset_scale(label: str = "dex") -> Scale:
    """Return the color scale of offsets: dark is too low, bright too high."""
    return Scale("cividis", -OFFSET_LIMIT, OFFSET_LIMIT, label=label, extend="both")


def draw_panel(axes: Axes, values: FloatArray, scale: Scale, title: str = "", **more: Any) -> Any:
    """Draw a map (y, x); return the image."""
    from matplotlib import colormaps

    # A plugin may name a color map of a package that is not here.
    name = scale.color_map if scale.color_map in colormaps else "viridis"
    if scale.logarithmic:
        values = np.maximum(values, np.asarray(values).dtype.type(scale.low))
    if title:
        axes.set_title(title)
    norm = more.pop("norm", None) or scale.norm
    colors = colormaps[name].with_extremes(bad=MASKED_COLOR)
    return axes.imshow(
        values, origin="lower", cmap=colors, norm=norm, interpolation="nearest", **more
    )


def draw_bar(
    figure: Figure, image: Any, axes: Axes | Sequence[Axes], scale: Scale, label: str | None = None
) -> Any:
    """Draw the color bar of an image below its panel or panels."""
    bar = figure.colorbar(
        image, ax=axes, location="bottom", shrink=0.9, pad=0.02, aspect=24, extend=scale.extend
    )
    bar.set_label(scale.label if label is None else label)
    set_bar_ticks(bar, scale, 3)
    return bar


def set_bar_ticks(bar: Any, scale: Scale, number: int) -> None:
    """Write few enough numbers on a color bar; ``number``: of steps, if linear."""
    from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

    if not scale.logarithmic:
        bar.locator = MaxNLocator(nbins=number)
    elif scale.high < 100 * scale.low:
        # Else matplotlib writes numbers at 2, 3, 4 and 6 too, over each other.
        bar.locator = LogLocator(subs=(1, 3))
        bar.minorformatter = NullFormatter()
    else:
        return
    bar.update_ticks()


def draw_scale_bar(
    axes: Axes, shape: tuple[int, int], pixel: float, distance: float | None, size: float = 8
) -> None:
    """Draw a bar of a round length: pixel in arcsec, distance (angular diameter) in kpc."""
    from matplotlib.patheffects import withStroke

    pixel, unit = (pixel, "″") if distance is None else (pixel / 206264.806 * distance, " kpc")
    length = round_length(shape[1] * pixel / 3)
    span = length / pixel / shape[1]
    style: dict[str, Any] = {"transform": axes.transAxes, "color": "white"}
    # A line may not change what part of the sky is shown.
    axes.plot(
        [0.05, 0.05 + span], [0.06, 0.06], lw=1.4, scalex=False, scaley=False,
        path_effects=[withStroke(linewidth=2.6, foreground="0.15")], **style,
    )  # fmt: skip
    # Readable on dark pixels and on the gray of those without an estimate.
    box = {"facecolor": "0.1", "alpha": 0.55, "edgecolor": "none", "pad": 1.5}
    axes.text(
        0.05 + span / 2, 0.095, f"{length:g}{unit}", ha="center", va="bottom", fontsize=size,
        bbox=box, **style,
    )  # fmt: skip


def round_length(longest: float) -> float:
    """Return the largest of 1, 2, 5, 10, ... that is not longer."""
    power = 10.0 ** np.floor(np.log10(longest))
    return float(max(step * power for step in (1, 2, 5) if step * power <= longest * 1.000001))


def draw_compass(axes: Axes, wcs: Any, shape: tuple[int, int]) -> None:
    """Draw arrows towards north and east."""
    if wcs is None:
        return
    import astropy.units as u

    height, width = shape
    x, y = 0.85 * width, 0.12 * height
    center = wcs.pixel_to_world(x, y).icrs
    for label, angle in (("N", 0.0), ("E", 90.0)):
        tip = center.directional_offset_by(angle * u.deg, 1 * u.arcsec)
        tip_x, tip_y = wcs.world_to_pixel(tip)
        scale = 0.09 * height / np.hypot(tip_x - x, tip_y - y)
        dx, dy = float(tip_x - x) * scale, float(tip_y - y) * scale
        arrow = {"arrowstyle": "->", "color": "white", "shrinkA": 0, "shrinkB": 0}
        axes.annotate("", (x + dx, y + dy), (x, y), arrowprops=arrow)
        axes.text(x + 1.4 * dx, y + 1.4 * dy, label, color="white", ha="center", va="center")


def label_arcsec(axes: Axes, shape: tuple[int, int], pixel: float, *, below: bool = True) -> None:
    """Label the axes of a panel in arcsec from its middle; pixel in arcsec."""
    axes.set_frame_on(True)
    for axis, side, name in ((axes.xaxis, shape[1], "x"), (axes.yaxis, shape[0], "y")):
        middle, step = (side - 1) / 2, round_length(side * pixel / 2.5)
        ticks = [k * step for k in (-1, 0, 1)]
        if name == "x" and not below:
            axis.set_ticks([middle + tick / pixel for tick in ticks], [])
            continue
        axis.set_ticks([middle + tick / pixel for tick in ticks], [f"{tick:g}" for tick in ticks])
        axis.set_label_text(f"{name} (arcsec)", fontsize="small")
        axis.labelpad = 1


def shared_legend(figure: Figure, axes: Iterable[Axes], columns: int = 3) -> None:
    """Put what all panels show below them, once."""
    found: dict[str, Any] = {}
    for axis in axes:
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    figure.legend(
        found.values(), found.keys(), loc="outside lower center", ncols=columns, fontsize=8,
        frameon=False,
    )  # fmt: skip


def check_picture_name(path: str | PathLike[str]) -> None:
    """Make sure that a picture can be written under a name, before it is drawn."""
    from matplotlib.backend_bases import FigureCanvasBase

    ending = Path(path).suffix.lower().removeprefix(".")
    known = FigureCanvasBase.get_supported_filetypes()
    if ending not in known:
        raise InvalidInputError(
            f"Cannot write the picture {path}: expected a name that ends in one of "
            f"{', '.join(sorted(known))}."
        )
