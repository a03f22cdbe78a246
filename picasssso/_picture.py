"""The picture that the command and the demo leave: a galaxy, its maps and, if known, the truth."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from picasssso._files import atomic_write
from picasssso.exceptions import InvalidInputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from picasssso.bands import BandImages
    from picasssso.maps import PropertyMaps

__all__ = ["check_picture_name", "draw_picture", "save_picture"]

FloatArray = npt.NDArray[np.floating]

_PANEL, _ROW = 3.1, 4.0  # inches; a row holds title, panel and colour bar
_BAD = "0.85"  # grey of pixels without an estimate
_SHOW = (1.0, 99.8)  # percentiles of a map that its colour scale spans
_RATIO_LIMIT = 0.5  # dex, or the unit of the map where differences are shown


def check_picture_name(path: str | PathLike[str]) -> None:
    """Make sure that a picture can be written under a name, before it is drawn.

    Parameters
    ----------
    path : str or path-like
        The name; its ending decides the format.

    Raises
    ------
    InvalidInputError
        If pictures of that ending cannot be written.

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
    """Draw a galaxy in colour and one row of panels for each map of each estimator.

    Parameters
    ----------
    images : BandImages
        The galaxy.
    estimates : mapping of str to PropertyMaps
        Maps by the name of the estimator.
    truth : PropertyMaps, optional
        What was to be found. Properties that it holds get two more panels: the truth on
        the estimate's colour scale, and the estimate over the truth.

    Returns
    -------
    `~matplotlib.figure.Figure`
        Not known to pyplot, so nothing needs to be closed.
    """
    from matplotlib.figure import Figure

    rows = [(who, maps, name) for who, maps in estimates.items() for name in maps]
    n_columns = 3 if truth is None else 5
    figure = Figure(figsize=(_PANEL * n_columns, _ROW * len(rows)), layout="compressed")
    axes = figure.subplots(len(rows), n_columns, squeeze=False)
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[], anchor="N")
        axis.set_frame_on(False)
    _draw_galaxy(axes[0, 0], images)
    for row, (who, maps, name) in zip(axes, rows, strict=True):
        _draw_row(figure, row[1:], who, maps, name, truth)
    return figure


def save_picture(
    path: str | PathLike[str],
    images: BandImages,
    estimates: Mapping[str, PropertyMaps],
    truth: PropertyMaps | None = None,
    *,
    overwrite: bool = False,
) -> None:
    """Draw the picture of `draw_picture` into a file.

    Parameters
    ----------
    path : str or path-like
        The file; its ending decides the format.
    images, estimates, truth
        As for `draw_picture`.
    overwrite : bool, optional
        Whether an existing file may be replaced.
    """
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
    definition = maps.definition(name)
    logarithmic = definition.is_surface_density
    value = _filled(maps, name)
    deviation = maps[name].uncertainty.array
    known = None if truth is None or name not in truth else _filled(truth, name)
    scale = _limits(value if known is None else known, logarithmic)
    unit = f"{definition.unit:latex_inline}" if str(definition.unit) else "mass fraction"

    _panel(
        figure, axes[0], f"{definition.label} ({who})", unit, _shown(value, logarithmic),
        definition.color_map, scale, logarithmic,
    )  # fmt: skip
    if known is not None:
        _panel(
            figure, axes[1], "truth", unit, _shown(known, logarithmic),
            definition.color_map, scale, logarithmic,
        )  # fmt: skip
        in_dex = str(definition.unit) != "mag"
        with np.errstate(divide="ignore", invalid="ignore"):
            offset = np.log10(value / known) if in_dex else value - known
        title, label = ("estimate / truth", "dex") if in_dex else ("estimate - truth", unit)
        limits = (-_RATIO_LIMIT, _RATIO_LIMIT)
        _panel(figure, axes[2], title, label, offset, "RdBu_r", limits)
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = np.where(value > 0, deviation / value, np.nan) if logarithmic else deviation
    title = "relative uncertainty" if logarithmic else "uncertainty"
    limits = (0.0, 1.0) if logarithmic else _limits(relative, False)
    _panel(figure, axes[-1], title, "" if logarithmic else unit, relative, "viridis", limits)


def _filled(maps: PropertyMaps, name: str) -> FloatArray:
    """Return the median with NaN where masked."""
    return np.where(maps.masks[name], np.nan, maps[name].data)


def _shown(values: FloatArray, logarithmic: bool) -> FloatArray:
    return np.where(values > 0, values, np.nan) if logarithmic else values


def _limits(values: FloatArray, logarithmic: bool) -> tuple[float, float]:
    usable = values[np.isfinite(values) & ((values > 0) | (not logarithmic))]
    if usable.size == 0:
        return 1.0, 10.0
    low, high = np.percentile(usable, _SHOW)
    if logarithmic:
        low = max(low, high / 1e4)
    return float(low), float(high if high > low else low + 1.0)


def _panel(
    figure: Figure,
    axis: Axes,
    title: str,
    label: str,
    values: FloatArray,
    color_map: str,
    limits: tuple[float, float],
    logarithmic: bool = False,
) -> None:
    from matplotlib import colormaps
    from matplotlib.colors import LogNorm, Normalize

    colors = colormaps[color_map].with_extremes(bad=_BAD)
    norm = LogNorm(*limits) if logarithmic else Normalize(*limits)
    shown = axis.imshow(values, origin="lower", cmap=colors, norm=norm, interpolation="nearest")
    axis.set_title(title)
    bar = figure.colorbar(shown, ax=axis, location="bottom", shrink=0.9, pad=0.02)
    bar.set_label(label)
