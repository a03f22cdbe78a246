"""Writing of results for real galaxies: JSON, tables for the documentation, pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from picasssso._core.words import NOTHING, number_text
from picasssso._plotting import LINE_STYLES, shared_legend
from picasssso.evaluation.experiments.results import list_table, write_files

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def write_real(figures: Mapping[str, Any], folder: Path | str) -> list[Path]:
    """Write figures, tables and pictures."""
    tables, pictures = make_real_tables(figures), make_real_pictures(figures)
    return write_files(folder, "real.json", figures, tables, pictures)


#: Of galaxies, in this order: key, what it is, unit.
_ROWS = (
    ("mass", "stellar mass, all (GSWLC-X2)", "dex"),
    ("mass_star_forming", "stellar mass, star-forming (GSWLC-X2)", "dex"),
    ("mass_quiescent", "stellar mass, quiescent (GSWLC-X2)", "dex"),
    ("attenuation", "A_V, all (GSWLC-X2)", "mag"),
    ("attenuation_quiescent", "A_V, quiescent (GSWLC-X2)", "mag"),
    ("sfr_star_forming", "star formation rate, star-forming (GSWLC-X2)", "dex"),
    ("age_light_weighted", "age, light-weighted at R_e (Firefly)", "dex"),
    ("age_mass_weighted", "age, mass-weighted at R_e (Firefly)", "dex"),
    ("hi", "neutral hydrogen, detected (ALFALFA)", "dex"),
)
_COLOR_ROWS = (
    ("mass_gswlc", "GSWLC-2", "dex"),
    ("mass_taylor", "Taylor et al. (2011)", "dex"),
)
_RING_ROWS = (
    ("stars", "stars", "dex"),
    ("gas", "gas (HI and H2, with helium)", "dex"),
    ("sfr", "star formation rate", "dex"),
)
_SHARES = (
    ("quiescent_recognized", "quiescent galaxies with log SFR / mass below -11"),
    (
        "quiescent_without_gas",
        "quiescent galaxies without HI detection, gas below 10\\ :sup:`9.5` Msun",
    ),
    ("quiescent_without_gas_median", "the same, by the median of the total"),
)  # fmt: skip


def make_real_tables(figures: Mapping[str, Any]) -> dict[str, str]:
    """Make the tables of real galaxies."""
    tables = {
        "real_requirements": _requirements(figures["requirements"]),
        "real_truths": _truths(figures["truths"]),
    }
    for name, part in figures["parts"].items():
        if part["estimators"]:
            made = _TABLES[part["kind"]]
            tables |= {f"real_{name}{end}": make(part["estimators"]) for end, make in made.items()}
    return {name: text for name, text in tables.items() if text}


def _number(value: float | None, sign: bool = False, digits: int = 2) -> str:
    return number_text(value, f"{'+' * sign}.{digits}f")


def _requirements(requirements: Sequence[Mapping[str, Any]]) -> str:
    rows = []
    for one in requirements:
        low, high = one["between"]
        limits = f"within ± {high:g}" if low == -high else f"{low:g} to {high:g}"
        if low == 0 and not one["figure"].endswith((".in_68", ".share")):
            limits = f"≤ {high:g}"
        asked = f"{limits} {one.get('unit', '')}".strip()
        verdict = {True: "met", False: "**missed**", None: NOTHING}[one["met"]]
        rows.append([one["what"], asked, _number(one["value"], low == -high, 3), verdict])
    return list_table(["what", "asked for", "measured", ""], rows)


def _truths(truths: Sequence[Mapping[str, Any]]) -> str:
    rows = []
    for one in truths:
        cells = [_number(one[k], k != "nmad") for k in ("mean", "median", "nmad")]
        rows.append([one["what"], f"{one['n']:,}", *cells])
    return list_table(["published values", "galaxies", "mean", "median", "NMAD"], rows)


def _comparison(entry: Mapping[str, Any], unit: str) -> list[str]:
    offset = _number(entry["mean"], True)
    if entry["mean_error"] is not None:
        offset += f" ± {entry['mean_error']:.2f}"
    return [
        str(entry["n"]),
        f"{offset} {unit}" if entry["n"] else NOTHING,
        _number(entry["median"], True),
        _number(entry["nmad"]),
        _number(entry["own_error"]),
        _number(entry["in_68"]),
    ]


_COMPARED = ["mean offset", "median", "NMAD", "own error", "in 68 %"]


def _compared(
    estimators: Mapping[str, Mapping[str, Any]], of: str, objects: str, rows: Sequence[Any]
) -> str:
    """Return a table of comparisons: key, what it is and unit of each row."""
    body = [
        [what, one["label"], *_comparison(one[key], unit)]
        for key, what, unit in rows
        for one in estimators.values()
        if key in one and one[key]["n"]
    ]
    return list_table([of, "estimator", objects, *_COMPARED], body)


def _galaxy_shares(estimators: Mapping[str, Mapping[str, Any]]) -> str:
    rows = [
        [what, one["label"], str(one[key]["n"]), _number(one[key]["share"])]
        for key, what in _SHARES
        for one in estimators.values()
        if key in one and one[key]["n"]
    ]
    return list_table(["share of", "estimator", "galaxies", "share"], rows)


def _gas(estimators: Mapping[str, Mapping[str, Any]]) -> str:
    rows = [
        [
            f"{bin['of']}, {bin['kind']}", "{:g} to {:g}".format(*bin["edges"]), one["label"],
            f"{bin['n']} / {bin['n_published']}", _number(bin["detected"]),
            _number(bin["published"], True), _number(bin["median"], True),
            _number(bin["median"] - bin["published"], True),
        ]
        for one in estimators.values()
        for bin in one.get("gas", ())
    ]  # fmt: skip
    header = ["gas over stars of", "log mass, Msun", "estimator", "galaxies / in xGASS",
              "detected", "xGASS, dex", "estimate, dex", "difference"]  # fmt: skip
    return list_table(header, rows)


def _named(estimators: Mapping[str, Mapping[str, Any]]) -> str:
    found = [(name, one["label"], entry) for one in estimators.values()
             for name, entry in one.items() if isinstance(entry, Mapping)]  # fmt: skip
    order = list(dict.fromkeys(name for name, _, _ in found))
    rows = [
        [
            name, label, f"{_number(entry['log_mass'])} ± {_number(entry['error'])}",
            _number(entry["published"]), _number(entry["difference"], True),
            _number(entry.get("age"), digits=1), _number(entry.get("attenuation")),
        ]
        for name, label, entry in sorted(found, key=lambda row: order.index(row[0]))
    ]  # fmt: skip
    header = ["galaxy", "estimator", "log mass", "published", "difference, dex", "age, Gyr",
              "A_V, mag"]  # fmt: skip
    return list_table(header, rows)


#: By kind of a part: ends of the names of its tables, and what makes them.
_TABLES: dict[str, dict[str, Callable[[Mapping[str, Mapping[str, Any]]], str]]] = {
    "galaxies": {
        "": lambda found: _compared(found, "of", "galaxies", _ROWS),
        "_shares": _galaxy_shares,
        "_gas": _gas,
    },
    "colors": {"": lambda found: _compared(found, "mass of", "galaxies", _COLOR_ROWS)},
    "rings": {"": lambda found: _compared(found, "surface density of", "rings", _RING_ROWS)},
    "fields": {"": _named},
}

_COLUMNS = 3
_RINGS = (
    ("stellar_mass", "stars, Msun / kpc$^2$"),
    ("gas_mass", "gas, Msun / kpc$^2$"),
    ("sfr", "star formation rate, Msun / yr / kpc$^2$"),
)


def make_real_pictures(figures: Mapping[str, Any]) -> dict[str, Figure]:
    """Draw the pictures of real galaxies."""
    pictures = {}
    for name, part in figures["parts"].items():
        estimators = part["estimators"]
        if part["kind"] == "galaxies" and estimators:
            pictures[f"real_{name}_mass"] = _masses(estimators)
            if any("attenuation" in one["points"] for one in estimators.values()):
                pictures[f"real_{name}_dust"] = _dust_and_rates(estimators)
        elif part["kind"] == "rings" and estimators:
            pictures[f"real_{name}"] = _draw_rings(estimators)
    return pictures


def _array(values: Any) -> np.ndarray:
    return np.array([np.nan if v is None else v for v in values], dtype=float)


def _panels(number: int) -> tuple[Figure, np.ndarray]:
    """Return panels with common axes, at most three beside each other."""
    from matplotlib.figure import Figure

    columns = min(number, _COLUMNS)
    lines = -(-number // columns)
    figure = Figure(figsize=(2.9 * columns + 0.3, 2.5 * lines + 0.4), layout="constrained")
    axes = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)
    for axis in axes.ravel()[number:]:
        axis.set_visible(False)
    return figure, axes.ravel()[:number]


def _masses(estimators: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Difference of masses against mass: star-forming galaxies open, quiescent ones filled."""
    figure, axes = _panels(len(estimators))
    for axis, one in zip(axes, estimators.values(), strict=True):
        points = one["points"]
        published, specific = _array(points["log_mass"]), _array(points["log_ssfr"])
        difference = _array(points["mass"]) - published
        kinds: tuple[tuple[np.ndarray, dict[str, Any], str], ...] = (
            (specific > -11.5, {"mfc": "none", "mec": "0.4"}, "others"),
            (specific < -11.5, {"mfc": "black", "mec": "black"}, "quiescent"),
        )
        for where, style, label in kinds:
            axis.plot(
                published[where], difference[where], "o", ms=3, mew=0.6, label=label, **style
            )
        axis.axhline(0, color="0.5", lw=0.8)
        axis.set_ylim(-1.0, 1.0)
        axis.set_title(one["label"], fontsize=8, wrap=True)
        axis.set_xlabel("log mass (GSWLC-X2), Msun", fontsize=8)
        axis.tick_params(labelsize=8)
    for axis in axes[:: min(len(axes), _COLUMNS)]:
        axis.set_ylabel("estimate - GSWLC-X2, dex", fontsize=8)
    shared_legend(figure, axes, 2)
    return figure


def _dust_and_rates(estimators: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Medians of A_V and of the specific star formation rate against GSWLC's."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.4, 3.7), layout="constrained")
    axes = figure.subplots(1, 2)
    shown = [one for one in estimators.values() if "attenuation" in one["points"]]
    for one, style in zip(shown, LINE_STYLES, strict=False):
        points = one["points"]
        pairs = (
            (axes[0], points["log_ssfr"], points["attenuation_difference"]),
            (axes[1], points["log_ssfr"], points.get("log_ssfr_estimate", ())),
        )
        for axis, x, y in pairs:
            if len(y):
                _running(axis, _array(x), _array(y), label=one["label"], **style)
    axes[0].axhline(0, color="0.5", lw=0.8)
    axes[1].plot([-13.5, -9], [-13.5, -9], color="0.5", lw=0.8)
    axes[0].set_ylabel("A_V, estimate - GSWLC-X2, mag", fontsize=8)
    axes[1].set_ylabel("log SFR / mass, estimate, 1 / yr", fontsize=8)
    for axis in axes:
        axis.set_xticks(range(-13, -8))
        axis.set_xlabel("log SFR / mass (GSWLC-X2), 1 / yr", fontsize=8)
        axis.tick_params(labelsize=8)
    shared_legend(figure, axes, 2)
    return figure


def _running(axis: Any, x: np.ndarray, y: np.ndarray, **style: Any) -> None:
    """Medians and 16-84 ranges in bins of half a dex."""
    edges = np.arange(-13.5, -8.9, 0.5)
    places, middles, lows, highs = [], [], [], []
    for low, high in pairwise(edges):
        here = y[(x >= low) & (x < high) & np.isfinite(y)]
        if len(here) >= 5:
            bottom, middle, top = np.percentile(here, [16, 50, 84])
            places.append((low + high) / 2)
            middles.append(middle)
            lows.append(middle - bottom)
            highs.append(top - middle)
    axis.errorbar(places, middles, [lows, highs], ms=4, lw=1.1, capsize=2, **style)


def _draw_rings(estimators: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Surface densities against radius, and those published."""
    from matplotlib.figure import Figure

    names = [
        n for n, _ in _RINGS if any(n in e["points"]["properties"] for e in estimators.values())
    ]
    figure = Figure(figsize=(3.3 * len(names) + 0.2, 3.6), layout="constrained")
    axes = np.atleast_1d(figure.subplots(1, len(names)))
    labels = dict(_RINGS)
    for axis, name in zip(axes, names, strict=True):
        drawn = False
        for one, style in zip(estimators.values(), LINE_STYLES, strict=False):
            points = one["points"]
            if name not in points["properties"]:
                continue
            radius, entry = _array(points["radius"]), points["properties"][name]
            if not drawn:
                axis.plot(radius, _array(entry["published"]), "x", color="black", ms=5,
                          label="published")  # fmt: skip
                drawn = True
            value, error = _array(entry["estimate"]), _array(entry["error"])
            good = value > 0
            axis.plot(radius[good], value[good], ms=3, lw=1.2, label=one["label"], **style)
            axis.fill_between(
                radius[good], np.maximum(value - error, 1e-3 * value)[good], (value + error)[good],
                color=style["color"], alpha=0.15, lw=0,
            )  # fmt: skip
        axis.set_yscale("log")
        axis.set_xlabel("radius, kpc", fontsize=8)
        axis.set_ylabel(labels[name], fontsize=8)
        axis.tick_params(labelsize=8)
    shared_legend(figure, axes, 3)
    return figure
