"""Writing of results: JSON, tables for the documentation, pictures."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from picasssso._core.safe_files import atomic_write, packaged_text
from picasssso._core.words import NOTHING, number_text
from picasssso._plotting import LINE_STYLES, shared_legend
from picasssso.evaluation.stacks import DERIVED
from picasssso.properties import PROPERTIES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def write_results(figures: Mapping[str, Any], folder: Path | str) -> list[Path]:
    """Write figures, tables and pictures."""
    tables, pictures = make_tables(figures), make_pictures(figures)
    return write_files(folder, "evaluation.json", figures, tables, pictures)


def write_files(
    folder: Path | str,
    name: str,
    figures: Mapping[str, Any],
    tables: Mapping[str, str],
    pictures: Mapping[str, Figure],
) -> list[Path]:
    """Write figures as JSON, tables (those that are not empty) and pictures into a folder."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    texts = {name: json.dumps(_rounded(figures), indent=1, allow_nan=False) + "\n"}
    texts |= {f"{key}.inc": table for key, table in tables.items() if table}
    for file, text in texts.items():
        with atomic_write(folder / file, True) as temporary:
            temporary.write_text(text, encoding="utf-8")
    for key, picture in pictures.items():
        with atomic_write(folder / f"{key}.png", True) as temporary:
            picture.savefig(temporary, dpi=110)
    return [folder / file for file in (*texts, *(f"{key}.png" for key in pictures))]


def _rounded(content: Any) -> Any:
    """Leave five significant digits, no error is known better; None for what is not a number."""
    if isinstance(content, Mapping):
        return {key: _rounded(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_rounded(value) for value in content]
    if isinstance(content, float):
        return float(f"{content:.5g}") if np.isfinite(content) else None
    return content


#: What Buck & Wolf (2021) found, with our sign of the bias, by run and property, in dex.
PAPER = {
    run: {name: {"sigma": sigma, "mean": -mu} for name, (sigma, mu) in found.items()}
    for run, found in tomllib.loads(packaged_text("buck_wolf_2021.toml")).items()
}

#: In this order, as far as there are.
_ORDER = (
    "stellar_mass", "stellar_metal_mass", "stellar_metallicity", "stellar_age", "sfr",
    "specific_sfr", "gas_mass", "gas_metal_mass", "gas_metallicity", "hi_mass",
    "total_metal_mass", "attenuation_v",
)  # fmt: skip


def make_tables(figures: Mapping[str, Any]) -> dict[str, str]:
    """Make the tables of a set of experiments."""
    tables = {}
    for identifier, experiment in figures["experiments"].items():
        rows = experiment["rows"]
        if not rows:
            continue
        tables[f"{identifier}_galaxies"] = _galaxies(rows)
        tables[f"{identifier}_aperture"] = _statistics(rows, "aperture", "sigma", "mean")
        tables[f"{identifier}_aperture_robust"] = _statistics(rows, "aperture", "nmad", "median")
        tables[f"{identifier}_pixel"] = _statistics(rows, "pixel", "nmad", "median")
        tables[f"{identifier}_snr"] = _by(rows, "snr", "i-band S/N per pixel")
        tables[f"{identifier}_calibration"] = _calibration(rows)
        tables[f"{identifier}_structure"] = _structure(rows)
        if experiment.get("ratios"):
            tables[f"{identifier}_ranges"] = _ranges(rows)
            tables[f"{identifier}_ratios"] = _ratios(experiment["ratios"], rows)
    return tables


def _label(name: str) -> str:
    known = {**PROPERTIES, **DERIVED}.get(name)
    return known.label if known is not None else name


def _properties(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    there = {name for row in rows for name in row["properties"]}
    return [name for name in _ORDER if name in there] + sorted(there - set(_ORDER))


def _name(row: Mapping[str, Any]) -> str:
    return ", ".join(filter(None, (row["label"], row["setting"])))


def list_table(header: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """Return a table in reStructuredText; nothing, if it has no rows."""
    if not body:
        return ""
    lines = [".. list-table::", "   :header-rows: 1", ""]
    for row in (header, *body):
        for k, cell in enumerate(row):
            lines.append(f"   {'* -' if k == 0 else '  -'} {cell}".rstrip())
    return "\n".join(lines) + "\n"


def _number(value: float | None, error: float | None = None, digits: int = 3) -> str:
    text = number_text(value, f".{digits}f")
    return text if value is None or error is None else f"{text} ± {error:.{digits}f}"


def _statistics(rows: Sequence[Mapping[str, Any]], where: str, scatter: str, middle: str) -> str:
    """One row per property, one column per estimator and setting: scatter, then bias."""
    names = _properties(rows)
    header = ["property"]
    columns: list[list[str]] = []
    shown: set[str] = set()
    for row in rows:
        header.append(_name(row))
        columns.append([_cell(row, name, where, scatter, middle) for name in names])
        run = row.get("paper") or ""
        if where == "aperture" and scatter == "sigma" and run in PAPER and run not in shown:
            shown.add(run)
            header.append(f"*Buck & Wolf (2021), {run}*")
            columns.append([_paper_cell(run, name) for name in names])
    body = [[_label(name), *cells] for name, *cells in zip(names, *columns, strict=True)]
    return list_table(header, body)


def _cell(row: Mapping[str, Any], name: str, where: str, scatter: str, middle: str) -> str:
    entry = row["properties"].get(name, {}).get(where)
    if entry is None or entry.get(scatter) is None:
        return NOTHING
    error = entry.get(f"{scatter}_error")
    return f"{_number(entry[scatter], error)} / {number_text(entry[middle], '+.3f')}"


def _paper_cell(run: str, name: str) -> str:
    entry = PAPER[run].get(name)
    if entry is None:
        return NOTHING
    return f"*{entry['sigma']:.3f} / {entry['mean']:+.3f}*"


def _galaxies(rows: Sequence[Mapping[str, Any]]) -> str:
    body = []
    for row in rows:
        source = row["source"]
        words = ", ".join(f"{k} {v}" for k, v in source.items() if k != "kind")
        body.append(
            [
                _name(row),
                f"{source.get('kind', 'mocks')} ({words})",
                str(row["n_galaxies"]),
                str(row["n_images"]),
                str(row["n_ellipse_fallbacks"]),
                row["truth"],
            ]
        )
    header = ["estimator", "galaxies from", "galaxies", "images", "ellipses by moments", "truth"]
    return list_table(header, body)


def _bin_name(row: Mapping[str, Any]) -> str:
    low, high = row["low"], row["high"]
    if low is None:
        return f"< {high:g}"
    return f"> {low:g}" if high is None else f"{low:g} – {high:g}"


def _by(rows: Sequence[Mapping[str, Any]], label: str, what: str) -> str:
    """Stellar mass per pixel: scatter and bias in bins."""
    body = []
    header: list[str] = []
    for row in rows:
        entries = row["properties"].get("stellar_mass", {}).get("pixel", {}).get(f"by_{label}")
        if not entries:
            continue
        header = header or [what, *map(_bin_name, entries)]
        cells = (
            NOTHING
            if entry["nmad"] is None
            else f"{_number(entry['nmad'], entry['nmad_error'])} / {entry['median']:+.3f}"
            for entry in entries
        )
        body.append([_name(row), *cells])
    return list_table(header, body)


def _calibration(rows: Sequence[Mapping[str, Any]]) -> str:
    """Coverage of pixels and of sums."""
    body = []
    for row in rows:
        for name in _properties([row]):
            figures = row["properties"][name]
            cells = []
            for where in ("pixel", "aperture"):
                entry = figures[where].get("calibration")
                for level in ("68", "95"):
                    value = None if entry is None else entry[f"coverage_{level}"]
                    error = None if entry is None else entry[f"coverage_{level}_error"]
                    cells.append(_number(value, error, 2))
            if any(cell != NOTHING for cell in cells):
                width = figures["pixel"].get("calibration", {}).get("sharpness")
                body.append([_name(row), _label(name), *cells, _number(width)])
    header = ["estimator", "property", "pixels, 68 %", "pixels, 95 %", "sums, 68 %", "sums, 95 %",
              "half 16-84 of pixels"]  # fmt: skip
    return list_table(header, body)


def _structure(rows: Sequence[Mapping[str, Any]]) -> str:
    body = []
    for row in rows:
        for name in _properties([row]):
            entry = row["properties"][name].get("structure")
            if entry is None:
                continue
            # A quarter of a cycle per pixel: structure of four pixels.
            k = min(
                range(len(entry["frequency"])), key=lambda j: abs(entry["frequency"][j] - 0.25)
            )
            similarity = entry["similarity"]
            body.append(
                [
                    _name(row),
                    _label(name),
                    _number(similarity["median"], similarity["median_error"]),
                    _number(entry["power"][0], digits=2),
                    _number(entry["power"][k], digits=2),
                    _number(entry["coherence"][k], digits=2),
                ]
            )
    header = ["estimator", "property", "structural similarity", "power, largest scales",
              "power, 4 pixels", "coherence, 4 pixels"]  # fmt: skip
    return list_table(header, body)


def _ratios(ratios: Sequence[Mapping[str, Any]], rows: Sequence[Mapping[str, Any]]) -> str:
    """Scatter in stellar mass over that of the reference: sums, and pixels by S/N etc."""
    labels = {row["estimator"]: row["label"] for row in rows}
    against = ", ".join(dict.fromkeys(labels.get(r["reference"], r["reference"]) for r in ratios))
    return _ranged(ratios, f"over {against}", ("sigma", "nmad", "rms"), 2)


def _ranges(rows: Sequence[Mapping[str, Any]]) -> str:
    """Stellar mass: scatter without and with bias, of sums and pixels, in ranges."""
    return _ranged(rows, "in the range", ("sigma", "rms"), 3)


def _ranged(
    rows: Sequence[Mapping[str, Any]], what: str, kinds: Sequence[str], digits: int
) -> str:
    """Figures of stellar mass in ranges, in the order in which they come."""
    columns = [row for row in rows if "stellar_mass" in row["properties"]]
    found = [
        {(where, what): entry for where, what, entry in _ranged_entries(row["properties"])}
        for row in columns
    ]
    body = []
    for place in dict.fromkeys(place for entries in found for place in entries):
        numbers = [entries[place].get("n_galaxies") for entries in found if place in entries]
        number = max((n for n in numbers if n is not None), default=None)
        cells = [
            " / ".join(_number(entry[k], entry[f"{k}_error"], digits) for k in kinds)
            if (entry := entries.get(place))
            else NOTHING
            for entries in found
        ]
        body.append([*place, NOTHING if number is None else str(number), *cells])
    counts = [
        row.get("n_galaxies", row["properties"]["stellar_mass"].get("n_galaxies"))
        for row in columns
    ]
    names = [f"{_name(row)} ({n} galaxies)" for row, n in zip(columns, counts, strict=True)]
    return list_table(["of", what, "galaxies", *names], body)


def _ranged_entries(properties: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Yield what a figure of stellar mass is of, in which range, and its numbers."""
    found = properties["stellar_mass"]
    what = {"age": "age in Gyr", "attenuation": "A_V", "snr": "S/N"}
    for where, label in (("aperture", "sums"), ("pixel", "pixels")):
        entry = found[where]
        yield label, "all", entry
        for key, words in what.items():
            for row in entry.get(f"by_{key}", ()):
                if row["sigma"] is not None:
                    yield label, f"{words} {_bin_name(row)}", row


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
            pictures[f"{identifier}_curve"] = _draw_curve(rows, experiment.get("axis") or "")
            continue
        pictures[f"{identifier}_radial"] = _draw_radial(rows)
        pictures[f"{identifier}_snr"] = _draw_snr(rows)
        pictures[f"{identifier}_structure"] = _draw_structure(rows)
    return pictures


def _unit(name: str) -> str:
    return "mag" if name == "attenuation_v" else "dex"


def _panels(
    rows: Sequence[Mapping[str, Any]], where: str, part: str | None = None
) -> tuple[Figure, list[tuple[str, Axes]]]:
    """Return a panel for each property that has what is to be drawn."""
    from matplotlib.figure import Figure

    def has(row: Mapping[str, Any], name: str) -> bool:
        found = row["properties"].get(name, {}).get(where)
        if part is None or not found:
            return bool(found)
        return any(entry["nmad"] is not None for entry in found.get(part, ()))

    names = [name for name in _SHOWN if any(has(row, name) for row in rows)]
    columns = max(1, min(len(names), _COLUMNS))
    lines = max(1, -(-len(names) // columns))
    # The legend below a single panel is wider than the panel.
    size = max(3.0 * columns + 0.4, 7.0), 2.6 * lines + 0.5
    figure = Figure(figsize=size, layout="constrained")
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


def _series(entries: Sequence[Mapping[str, Any]], key: str) -> np.ndarray:
    return np.array([np.nan if e[key] is None else e[key] for e in entries], dtype=float)


def _draw_radial(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Bias (line) and scatter (band) against radius."""
    figure, panels = _panels(rows, "radial")
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
        axis.set_ylabel(f"estimate - truth ({_unit(name)})", fontsize=8)
        axis.set_ylim(-0.8, 0.8)
    shared_legend(figure, [axis for _, axis in panels])
    return figure


def _draw_snr(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Scatter of pixels against signal to noise."""
    figure, panels = _panels(rows, "pixel", "by_snr")
    styles = _styles(rows)
    for name, axis in panels:
        for row in rows:
            entries = row["properties"].get(name, {}).get("pixel", {}).get("by_snr")
            if not entries:
                continue
            place = np.arange(len(entries))
            nmad = _series(entries, "nmad")
            axis.errorbar(  # a single galaxy has no scatter
                place, np.where(nmad > 0, nmad, np.nan), _series(entries, "nmad_error"),
                label=_name(row), ms=5, lw=1.2, capsize=2, **styles[_name(row)],
            )  # fmt: skip
            axis.set_xticks(place, [_bin_name(entry) for entry in entries])
        axis.set_ylim(bottom=0)
        axis.set_xlabel("S/N per pixel in i", fontsize=8)
        axis.set_ylabel(f"NMAD ({_unit(name)})", fontsize=8)
    shared_legend(figure, [axis for _, axis in panels], columns=2 if len(panels) == 1 else 3)
    return figure


def _draw_structure(rows: Sequence[Mapping[str, Any]]) -> Figure:
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


def _draw_curve(rows: Sequence[Mapping[str, Any]], what: str) -> Figure:
    """Scatter of sums against the settings' place on an axis."""
    figure, panels = _panels(rows, "aperture")
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
                _series(entries, "sigma_error"), label=label, ms=5, lw=1.2, capsize=2,
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
        axis.set_ylabel(f"scatter of sums ({_unit(name)})", fontsize=8)
    shared_legend(figure, [axis for _, axis in panels])
    return figure
