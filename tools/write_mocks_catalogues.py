#!/usr/bin/env python
"""Write the documentation's tables and figure of mocks against catalogs of real galaxies.

Run after ``benchmarks/mocks_catalogues.py DATA_FOLDER``, from the root of the repository::

    python tools/write_mocks_catalogues.py
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))
from records import list_table, load

TABLE = Path("docs/_tables/mocks_catalogues.inc")
FIGURE = Path("docs/_static/mocks_catalogues.png")

QUIESCENT, STAR_FORMING = "quiescent", "star-forming"

#: Given with three digits, since their bars are narrow.
COLORS = ("u-r", "g-r", "r-i", "i-z")
GRADIENT = "g-i gradient"

#: What the tables call the quantities.
NAMES = {
    "attenuation": "A\\ :sub:`V`",
    "g-i gradient": "g-i inside half of r\\ :sub:`50` less outside",
    "log_ml": "log M/L\\ :sub:`i`, at g-i of",
    "log_age": "log age",
    "metallicity": "[Z/H]",
    "age_gradient": "gradient of log age",
    "metallicity_gradient": "gradient of [Z/H]",
    "log_ssfr": "log SFR/M\\ :sub:`*`",
    "log_hi": "log HI/M\\ :sub:`*`",
    "log_h2": "log H\\ :sub:`2`/M\\ :sub:`*`",
}

#: What the axes of the figure are called.
LABELS = {
    "u-r": "u - r (mag)",
    "g-r": "g - r (mag)",
    "i-z": "i - z (mag)",
    "attenuation": "A$_V$ (mag)",
    "log_ml": "log M/L$_i$ (M$_\\odot$/L$_\\odot$)",
    "log_age": "log age (Gyr), mass-weighted",
    "log_hi": "log HI / M$_*$, limits counted",
    "log_h2": "log H$_2$ / M$_*$, limits counted",
}

#: Color, marker and hatch by type: distinct in gray too.
STYLES: dict[str, dict[str, Any]] = {
    STAR_FORMING: {"color": "#7fb2e5", "line": "#2b6cb0", "marker": "o", "fill": "white"},
    QUIESCENT: {"color": "#c46a5a", "line": "#7a1f12", "marker": "s", "fill": "black"},
    "all": {"color": "#b5b5b5", "line": "#555555", "marker": "D", "fill": "black"},
}

Row = dict[str, Any]


def span(edges: Iterable[float]) -> str:
    """Return a bin in words."""
    low, high = edges
    return f"{low:g}-{high:g}"


def cell(row: Row | None) -> str:
    """Return the differences of both sets of mocks, bold where outside of the bar."""
    if row is None:
        return ""
    words = []
    for world in ("one_world", "worlds"):
        found = row[world].get("steps", [row[world]["difference"]])
        difference = row[world]["difference"]
        bar = row["bar"]
        missed = bar is not None and any(not bar[0] <= value <= bar[1] for value in found)
        text = f"{difference:+.{3 if row['quantity'] in COLORS else 2}f}"
        words.append(f"**{text}**" if missed else text)
    return " / ".join(words)


def wanted(bar: list[float] | None) -> str:
    """Return a bar in words."""
    if bar is None:
        return ""
    return f"± {bar[1]:g}" if bar[0] == -bar[1] else f"{bar[0]:g} to {bar[1]:g}"


def table_lines(
    rows: list[Row], asked: list[tuple[str, str]], heads: list[list[float]]
) -> list[str]:
    """Return a list-table of some quantities and types in bins."""
    lines = [["quantity", "galaxies", "bar", *map(span, heads)]]
    for quantity, kind in asked:
        some = [row for row in rows if (row["quantity"], row["type"]) == (quantity, kind)]
        by_bin = {tuple(row["bin"]): row for row in some}
        bins = [row["bin"] for row in some] if quantity == "log_ml" else heads
        found = [by_bin.get(tuple(edges)) for edges in bins]
        name = NAMES.get(quantity, quantity)
        cells = [cell(row) for row in found]
        if quantity == "log_ml":
            cells = [f"{span(b)}: {text}" for b, text in zip(bins, cells, strict=True)]
        else:
            name = f"{name}, {kind}"
        counts = ", ".join("-" if row is None else str(row["galaxies"]) for row in found)
        lines.append([name, counts, wanted(some[0]["bar"]), *cells])
    return list_table(lines)


def write_tables(rows: list[Row]) -> None:
    """Write all tables."""
    by_shape = [row for row in rows if row["along"] == "axis_ratio"]
    rows = [row for row in rows if row["along"] in ("log_mass", "g-i")]
    nsa = [row["bin"] for row in rows if (row["quantity"], row["type"]) == ("u-r", QUIESCENT)]
    others = [row["bin"] for row in rows if row["quantity"] == "log_age"]
    types = (QUIESCENT, STAR_FORMING)
    first = [(name, kind) for name in (*COLORS, "attenuation", GRADIENT) for kind in types]
    second = [
        (name, "all")
        for name in ("log_age", "metallicity", "age_gradient", "metallicity_gradient", "log_ssfr")
    ]
    second += [("log_ssfr", STAR_FORMING)]
    second += [(name, kind) for name in ("log_hi", "log_h2") for kind in ("all", *types)]
    lines = table_lines(rows, [*first, ("log_ml", "all")], nsa)
    lines += ["", *table_lines(rows, second, others)]
    lines += ["", "By axis ratio:", ""]
    heads = [row["bin"] for row in by_shape]
    lines += table_lines(by_shape, [("attenuation", STAR_FORMING)], heads)
    TABLE.write_text("\n".join(lines) + "\n", encoding="utf-8")


def panel(axis: Axes, rows: list[Row], quantity: str, kinds: tuple[str, ...]) -> None:
    """Draw a quantity in bins: catalogs as points, mocks of one world as a band."""
    for kind in kinds:
        some = [row for row in rows if (row["quantity"], row["type"]) == (quantity, kind)]
        style = STYLES[kind]
        middle = np.array([np.mean(row["bin"]) for row in some])
        low, center, high = np.array([row["one_world"]["percentiles"] for row in some]).T
        others = [row["worlds"]["percentiles"][1] for row in some]
        axis.fill_between(middle, low, high, color=style["color"], alpha=0.45, lw=0)
        axis.plot(middle, center, color=style["line"], lw=1.8)
        axis.plot(middle, others, color=style["line"], lw=1.2, ls="--")
        low, center, high = np.array([row["catalogue"] for row in some]).T
        shift = {QUIESCENT: 0.03, STAR_FORMING: -0.03}.get(kind, 0.0)
        axis.errorbar(
            middle + shift, center, [center - low, high - center], fmt=style["marker"], ms=5,
            color="black", mfc=style["fill"], lw=1, capsize=2,
        )  # fmt: skip
    axis.set_ylabel(LABELS[quantity])
    axis.set_xlabel("g - i (mag)" if quantity == "log_ml" else "log M$_*$ (M$_\\odot$)")


def draw(rows: list[Row]) -> None:
    """Draw the figure."""
    figure = Figure(figsize=(13, 6.4), layout="constrained")
    axes = figure.subplots(2, 4)
    types = (STAR_FORMING, QUIESCENT)
    for axis, (quantity, kinds) in zip(
        axes.flat,
        (
            ("u-r", types), ("g-r", types), ("i-z", types), ("attenuation", types),
            ("log_ml", ("all",)), ("log_age", ("all",)), ("log_hi", types), ("log_h2", types),
        ),
        strict=True,
    ):  # fmt: skip
        panel(axis, rows, quantity, kinds)
    handles = []
    for kind in (*types, "all"):
        style = STYLES[kind]
        handles += axes[0, 0].plot(
            [], [], color="black", marker=style["marker"], mfc=style["fill"], ls="",
            label=f"catalog, {kind} (median, 16-84 %)",
        )  # fmt: skip
    handles += [
        axes[0, 0].fill_between(
            [], [], [], color="0.7", label="mocks, fixed zero points (16-84 %)"
        ),
        *axes[0, 0].plot([], [], color="0.3", lw=1.8, label="median, fixed zero points"),
        *axes[0, 0].plot([], [], color="0.3", lw=1.2, ls="--", label="median, different worlds"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncol=3, fontsize=9, frameon=False)
    figure.savefig(FIGURE, dpi=90)


def main() -> None:
    """Write the tables and the figure."""
    rows = load("mocks_catalogues.json")["comparisons"]
    write_tables(rows)
    draw([row for row in rows if row["along"] in ("log_mass", "g-i")])


if __name__ == "__main__":
    main()
