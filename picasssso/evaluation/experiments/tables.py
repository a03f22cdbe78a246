"""Tables in reStructuredText, made from the figures and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from picasssso.evaluation.experiments.paper import PAPER
from picasssso.evaluation.stacks import DERIVED
from picasssso.properties import PROPERTIES

#: In this order, as far as there are.
_ORDER = (
    "stellar_mass",
    "stellar_metal_mass",
    "stellar_metallicity",
    "stellar_age",
    "sfr",
    "specific_sfr",
    "gas_mass",
    "gas_metal_mass",
    "gas_metallicity",
    "hi_mass",
    "total_metal_mass",
    "attenuation_v",
)
_NOTHING = "–"


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


def _list_table(header: Sequence[str], body: Iterable[Sequence[str]]) -> str:
    lines = [".. list-table::", "   :header-rows: 1", ""]
    for row in (header, *body):
        for k, cell in enumerate(row):
            lines.append(f"   {'* -' if k == 0 else '  -'} {cell}".rstrip())
    return "\n".join(lines) + "\n"


def _number(value: float | None, error: float | None = None, digits: int = 3) -> str:
    if value is None:
        return _NOTHING
    text = f"{value:.{digits}f}"
    return text if error is None else f"{text} ± {error:.{digits}f}"


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
    return _list_table(header, body)


def _cell(row: Mapping[str, Any], name: str, where: str, scatter: str, middle: str) -> str:
    entry = row["properties"].get(name, {}).get(where)
    if entry is None or entry.get(scatter) is None:
        return _NOTHING
    error = entry.get(f"{scatter}_error")
    return f"{_number(entry[scatter], error)} / {_signed(entry[middle])}"


def _paper_cell(run: str, name: str) -> str:
    entry = PAPER[run].get(name)
    if entry is None:
        return _NOTHING
    return f"*{entry['sigma']:.3f} / {_signed(entry['mean'])}*"


def _signed(value: float | None) -> str:
    return _NOTHING if value is None else f"{value:+.3f}"


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
    return _list_table(header, body)


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
            _NOTHING
            if entry["nmad"] is None
            else f"{_number(entry['nmad'], entry['nmad_error'])} / {_signed(entry['median'])}"
            for entry in entries
        )
        body.append([_name(row), *cells])
    return _list_table(header, body) if body else ""


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
            if any(cell != _NOTHING for cell in cells):
                width = figures["pixel"].get("calibration", {}).get("sharpness")
                body.append([_name(row), _label(name), *cells, _number(width)])
    header = ["estimator", "property", "pixels, 68 %", "pixels, 95 %", "sums, 68 %", "sums, 95 %",
              "half 16-84 of pixels"]  # fmt: skip
    return _list_table(header, body) if body else ""


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
    return _list_table(header, body) if body else ""


def _ratios(ratios: Sequence[Mapping[str, Any]], rows: Sequence[Mapping[str, Any]]) -> str:
    """Scatter in stellar mass over that of the reference: sums, and pixels by S/N etc."""
    labels = {row["estimator"]: row["label"] for row in rows}
    against = ", ".join(dict.fromkeys(labels.get(r["reference"], r["reference"]) for r in ratios))
    columns = [row for row in ratios if "stellar_mass" in row["properties"]]
    found = [
        {(where, what): entry for where, what, entry in _ranged_entries(row["properties"])}
        for row in columns
    ]
    # In the order in which they come, whichever estimator has them.
    places = list(dict.fromkeys(place for entries in found for place in entries))
    body = []
    for where, what in places:
        cells = []
        for entries in found:
            entry = entries.get((where, what))
            if entry is None:
                cells.append(_NOTHING)
                continue
            parts = (_number(entry[k], entry[f"{k}_error"], 2) for k in ("sigma", "nmad", "rms"))
            cells.append(" / ".join(parts))
        body.append([where, what, *cells])
    names = [f"{_name(row)} ({row['n_galaxies']} galaxies)" for row in map(_with_number, columns)]
    return _list_table(["of", f"over {against}", *names], body) if body else ""


def _ranges(rows: Sequence[Mapping[str, Any]]) -> str:
    """Stellar mass: scatter without and with bias, of sums and pixels, in ranges."""
    columns = [row for row in rows if "stellar_mass" in row["properties"]]
    found = [
        {(where, what): entry for where, what, entry in _ranged_entries(row["properties"])}
        for row in columns
    ]
    places = list(dict.fromkeys(place for entries in found for place in entries))
    body = []
    for place in places:
        number = max(entries[place]["n_galaxies"] for entries in found if place in entries)
        cells = [_both_scatters(entries.get(place)) for entries in found]
        body.append([*place, str(number), *cells])
    names = [f"{_name(row)} ({row['n_galaxies']} galaxies)" for row in columns]
    header = ["of", "in the range", "galaxies", *names]
    return _list_table(header, body) if body else ""


def _both_scatters(entry: Mapping[str, Any] | None) -> str:
    if entry is None:
        return _NOTHING
    return " / ".join(_number(entry[k], entry[f"{k}_error"]) for k in ("sigma", "rms"))


def _with_number(row: Mapping[str, Any]) -> dict[str, Any]:
    return {**row, "n_galaxies": row["properties"]["stellar_mass"]["n_galaxies"]}


def _ranged_entries(
    properties: Mapping[str, Any],
) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
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
