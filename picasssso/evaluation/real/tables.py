"""Tables in reStructuredText of figures on real galaxies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from picasssso.evaluation.experiments.tables import _list_table

_NOTHING = "–"
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
_SHARES = (
    ("quiescent_recognised", "quiescent galaxies with log SFR / mass below -11"),
    (
        "quiescent_without_gas",
        "quiescent galaxies without HI detection, gas below 10\\ :sup:`9.5` Msun",
    ),
)  # fmt: skip


def make_real_tables(figures: Mapping[str, Any]) -> dict[str, str]:
    """Make the tables of real galaxies."""
    tables = {
        "real_requirements": _requirements(figures["requirements"]),
        "real_truths": _truths(figures["truths"]),
    }
    for name, part in figures["parts"].items():
        estimators = part["estimators"]
        if not estimators:
            continue
        if part["kind"] == "galaxies":
            tables[f"real_{name}"] = _galaxies(estimators)
            tables[f"real_{name}_shares"] = _galaxy_shares(estimators)
        elif part["kind"] == "rings":
            tables[f"real_{name}"] = _rings(estimators)
        else:
            tables[f"real_{name}"] = _named(estimators)
    return {name: text for name, text in tables.items() if text}


def _number(value: float | None, sign: bool = False, digits: int = 2) -> str:
    if value is None or value != value:
        return _NOTHING
    return f"{value:+.{digits}f}" if sign else f"{value:.{digits}f}"


def _table(header: Sequence[str], body: Iterable[Sequence[str]]) -> str:
    rows = list(body)
    return _list_table(header, rows) if rows else ""


def _requirements(requirements: Sequence[Mapping[str, Any]]) -> str:
    def body() -> Iterable[list[str]]:
        for one in requirements:
            low, high = one["between"]
            unit = one.get("unit", "")
            limits = f"within ± {high:g}" if low == -high else f"{low:g} to {high:g}"
            if low == 0 and not one["figure"].endswith((".in_68", ".share")):
                limits = f"≤ {high:g}"
            verdict = {True: "met", False: "**missed**", None: _NOTHING}[one["met"]]
            signed = low == -high
            yield [
                one["what"],
                f"{limits} {unit}".strip(),
                _number(one["value"], signed, 3),
                verdict,
            ]

    return _table(["what", "asked for", "measured", ""], body())


def _truths(truths: Sequence[Mapping[str, Any]]) -> str:
    header = ["published values", "galaxies", "mean", "median", "NMAD"]
    return _table(
        header,
        (
            [
                one["what"],
                f"{one['n']:,}",
                *(_number(one[k], k != "nmad") for k in ("mean", "median", "nmad")),
            ]
            for one in truths
        ),
    )


def _comparison(entry: Mapping[str, Any], unit: str) -> list[str]:
    offset = _number(entry["mean"], True)
    if entry["mean_error"] is not None:
        offset += f" ± {entry['mean_error']:.2f}"
    return [
        str(entry["n"]),
        f"{offset} {unit}" if entry["n"] else _NOTHING,
        _number(entry["median"], True),
        _number(entry["nmad"]),
        _number(entry["own_error"]),
        _number(entry["in_68"]),
    ]


_COMPARED = ["mean offset", "median", "NMAD", "own error", "in 68 %"]


def _galaxies(estimators: Mapping[str, Mapping[str, Any]]) -> str:
    def body() -> Iterable[list[str]]:
        for key, what, unit in _ROWS:
            for one in estimators.values():
                if key in one and one[key]["n"]:
                    yield [what, one["label"], *_comparison(one[key], unit)]

    return _table(["of", "estimator", "galaxies", *_COMPARED], body())


def _galaxy_shares(estimators: Mapping[str, Mapping[str, Any]]) -> str:
    def body() -> Iterable[list[str]]:
        for key, what in _SHARES:
            for one in estimators.values():
                if key in one and one[key]["n"]:
                    yield [what, one["label"], str(one[key]["n"]), _number(one[key]["share"])]

    return _table(["share of", "estimator", "galaxies", "share"], body())


def _rings(estimators: Mapping[str, Mapping[str, Any]]) -> str:
    names = {"stars": "stars", "gas": "gas (HI and H2, with helium)", "sfr": "star formation rate"}

    def body() -> Iterable[list[str]]:
        for key, what in names.items():
            for one in estimators.values():
                if key in one:
                    yield [what, one["label"], *_comparison(one[key], "dex")]

    return _table(["surface density of", "estimator", "rings", *_COMPARED], body())


def _named(estimators: Mapping[str, Mapping[str, Any]]) -> str:
    def body() -> Iterable[list[str]]:
        names = dict.fromkeys(
            name
            for one in estimators.values()
            for name, v in one.items()
            if isinstance(v, Mapping)
        )
        for name in names:
            for one in estimators.values():
                if name not in one:
                    continue
                entry = one[name]
                yield [
                    name,
                    one["label"],
                    f"{_number(entry['log_mass'])} ± {_number(entry['error'])}",
                    _number(entry["published"]),
                    _number(entry["difference"], True),
                    _number(entry.get("age"), digits=1),
                    _number(entry.get("attenuation")),
                ]

    return _table(
        [
            "galaxy",
            "estimator",
            "log mass",
            "published",
            "difference, dex",
            "age, Gyr",
            "A_V, mag",
        ],
        body(),
    )
