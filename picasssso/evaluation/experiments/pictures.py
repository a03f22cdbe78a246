"""Pictures of a set of experiments, made from the figures and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from picasssso._plotting import LINE_STYLES, shared_legend
from picasssso.evaluation.experiments.paper import PAPER
from picasssso.evaluation.stacks import DERIVED
from picasssso.properties import PROPERTIES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Panels, as far as there are such properties.
_SHOWN = ("stellar_mass", "stellar_metallicity", "stellar_age", "sfr", "gas_mass",
          "gas_metallicity", "hi_mass", "attenuation_v")  # fmt: skip
_COLUMNS = 4


def make_pictures(figures: Mapping[str, Any]) -> dict[str, Figure]:
    """Draw the pictures of a set of experiments."""
    pictures = {}
    for identifier, experiment in figures["experiments"].items():
        rows = experiment["rows"]
        if not rows:
            continue
        if any(row["x"] is not None for row in rows):
            pictures[f"{identifier}_curve"] = _curve(rows, experiment.get("axis") or "")
            continue
        pictures[f"{identifier}_radial"] = _radial(rows)
        pictures[f"{identifier}_snr"] = _snr(rows)
        pictures[f"{identifier}_structure"] = _structure(rows)
    return pictures


def _label(name: str) -> str:
    known = {**PROPERTIES, **DERIVED}.get(name)
    return known.label if known is not None else name


def _unit(name: str) -> str:
    return "mag" if name == "attenuation_v" else "dex"


def _panels(rows: Sequence[Mapping[str, Any]]) -> tuple[Figure, list[tuple[str, Axes]]]:
    from matplotlib.figure import Figure

    names = [name for name in _SHOWN if any(name in row["properties"] for row in rows)]
    columns = min(len(names), _COLUMNS)
    lines = -(-len(names) // columns)
    figure = Figure(figsize=(3.0 * columns + 0.4, 2.6 * lines + 0.5), layout="constrained")
    axes = np.atleast_1d(figure.subplots(lines, columns, squeeze=False)).ravel()
    for axis in axes[len(names) :]:
        axis.set_visible(False)
    for name, axis in zip(names, axes, strict=False):
        axis.set_title(_label(name), fontsize=9)
        axis.tick_params(labelsize=8)
    return figure, list(zip(names, axes, strict=False))


def _styles(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    labels = dict.fromkeys(_name(row) for row in rows)
    return {label: LINE_STYLES[k % len(LINE_STYLES)] for k, label in enumerate(labels)}


def _name(row: Mapping[str, Any]) -> str:
    return ", ".join(filter(None, (row["label"], row["setting"])))


def _series(entries: Sequence[Mapping[str, Any]], key: str) -> np.ndarray:
    return np.array([np.nan if e[key] is None else e[key] for e in entries], dtype=float)


def _radial(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Bias (line) and scatter (band) against radius."""
    figure, panels = _panels(rows)
    styles = _styles(rows)
    for name, axis in panels:
        for row in rows:
            entries = row["properties"].get(name, {}).get("radial")
            if not entries:
                continue
            radius = np.array([(e["low"] + e["high"]) / 2 for e in entries])
            mean, sigma = _series(entries, "median"), _series(entries, "nmad")
            style = styles[_name(row)]
            axis.plot(radius, mean, label=_name(row), lw=1.4, ms=3, **style)
            band = {"color": style["color"], "alpha": 0.15, "lw": 0}
            axis.fill_between(radius, mean - sigma, mean + sigma, **band)
        axis.axhline(0, color="0.5", lw=0.7)
        axis.set_xlabel("radius / half-mass radius", fontsize=8)
        axis.set_ylabel(f"estimate - truth, {_unit(name)}", fontsize=8)
        axis.set_ylim(-0.8, 0.8)
    shared_legend(figure, [axis for _, axis in panels])
    return figure


def _snr(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Scatter of pixels against signal to noise."""
    figure, panels = _panels(rows)
    styles = _styles(rows)
    for name, axis in panels:
        for row in rows:
            entries = row["properties"].get(name, {}).get("pixel", {}).get("by_snr")
            if not entries:
                continue
            place = np.arange(len(entries))
            axis.errorbar(
                place, _series(entries, "nmad"), _series(entries, "nmad_error"),
                label=_name(row), ms=3, lw=1.2, capsize=2, **styles[_name(row)],
            )  # fmt: skip
            axis.set_xticks(place, [_bin_name(entry) for entry in entries])
        axis.set_ylim(bottom=0)
        axis.set_xlabel("i-band S/N of the pixel", fontsize=8)
        axis.set_ylabel(f"NMAD, {_unit(name)}", fontsize=8)
    shared_legend(figure, [axis for _, axis in panels])
    return figure


def _bin_name(row: Mapping[str, Any]) -> str:
    low, high = row["low"], row["high"]
    if low is None:
        return f"< {high:g}"
    return f"> {low:g}" if high is None else f"{low:g}-{high:g}"


def _structure(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Power of the estimate over that of the truth, and coherence, against frequency."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.4, 3.3), layout="constrained")
    axes = figure.subplots(1, 2)
    styles = _styles(rows)
    for row in rows:
        entry = row["properties"].get("stellar_mass", {}).get("structure")
        if entry is None:
            continue
        for axis, kind in zip(axes, ("power", "coherence"), strict=True):
            values = [np.nan if v is None else v for v in entry[kind]]
            axis.plot(entry["frequency"], values, label=_name(row), ms=3, **styles[_name(row)])
    axes[0].set_yscale("log")
    for axis, what in zip(axes, ("power / true power", "coherence"), strict=True):
        axis.axhline(1, color="0.5", lw=0.7)
        axis.set_xlabel("spatial frequency, cycles per pixel", fontsize=8)
        axis.set_ylabel(f"{what}, log stellar mass density", fontsize=8)
        axis.tick_params(labelsize=8)
    shared_legend(figure, axes[:1])
    return figure


def _curve(rows: Sequence[Mapping[str, Any]], what: str) -> Figure:
    """Scatter of sums against the settings' place on an axis."""
    figure, panels = _panels(rows)
    labels = list(dict.fromkeys(row["label"] for row in rows))
    for name, axis in panels:
        for k, label in enumerate(labels):
            own = [
                row
                for row in rows
                if row["label"] == label and row["x"] is not None and name in row["properties"]
            ]
            if not own:
                continue
            entries = [row["properties"][name]["aperture"] for row in own]
            axis.errorbar(
                [row["x"] for row in own], _series(entries, "sigma"),
                _series(entries, "sigma_error"), label=label, ms=3, lw=1.2, capsize=2,
                **LINE_STYLES[k % len(LINE_STYLES)],
            )  # fmt: skip
        paper = {row["x"]: PAPER[row["paper"]][name]["sigma"] for row in rows
                 if row["paper"] in PAPER and name in PAPER[row["paper"]]
                 and row["x"] is not None}  # fmt: skip
        if paper:
            places = sorted(paper)
            axis.plot(places, [paper[x] for x in places], "k:", label="Buck & Wolf (2021)", lw=1)
        measured = sorted({row["x"] for row in rows if row["x"] is not None})
        if len(measured) > 1 and measured[0] > 0:
            axis.set_xscale("log")
            # Only where something was measured, and in full: powers of ten say little here.
            axis.set_xticks(measured, [f"{x:,g}" for x in measured])
            axis.minorticks_off()
        axis.set_ylim(bottom=0)
        axis.set_xlabel(what, fontsize=8)
        axis.set_ylabel(f"sigma of sums, {_unit(name)}", fontsize=8)
    shared_legend(figure, [axis for _, axis in panels])
    return figure
