#!/usr/bin/env python
"""Write the tables of the summary of results, docs/results.rst, from benchmarks/results.

Run from the root of the repository; ``publish.py`` and ``write_accuracy.py`` run it at their end::

    python tools/write_results.py
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))
from records import load, number, write_table  # noqa: E402

MISSING = "–"

#: Columns of the table of real galaxies.
ESTIMATORS = {"cnn": "network", "sed_fit": "SED fit", "mass_to_light": "color M/L"}
#: Its rows: key, what it is, unit, and where published values come from.
REAL = (
    ("mass", "stellar mass", "dex", "GSWLC-X2"),
    ("mass_star_forming", "... star-forming", "dex", "GSWLC-X2"),
    ("mass_quiescent", "... quiescent", "dex", "GSWLC-X2"),
    ("attenuation", "A\\ :sub:`V`", "mag", "GSWLC-X2"),
    ("sfr_star_forming", "SFR, star-forming", "dex", "GSWLC-X2"),
    ("age_mass_weighted", "age at R\\ :sub:`e`", "dex", "MaNGA, Firefly"),
    ("hi", "HI mass, detected", "dex", "ALFALFA"),
)
RINGS = (("stars", "M74's rings, stars"), ("gas", "... gas"), ("sfr", "... SFR"))

#: Rows of the table of mocks.
MOCKS = {
    "stellar_mass": "stellar mass",
    "stellar_metallicity": "stellar metallicity",
    "stellar_age": "stellar age",
    "sfr": "SFR",
    "gas_mass": "gas mass",
    "hi_mass": "HI mass",
    "attenuation_v": "A\\ :sub:`V` (mag)",
}

#: Rows of the table of other worlds: key of a case, and what it is.
WORLDS = {
    "mocks, popstar": "mocks of the training's recipe, PopStar",
    "mocks, bc03": "... BC03",
    "illustris, popstar, no dust": "Illustris, PopStar, no dust",
    "illustris, bc03, no dust": "... BC03, no dust",
    "illustris, bc03, dust": "... BC03, up to 0.5 mag of dust",
    "particles, popstar, own dust": "few particles, PopStar, dust of their gas",
    "particles, bc03, dust": "... BC03, up to 0.5 mag of smooth dust",
}
COVERED = ("stellar_mass", "stellar_age", "stellar_metallicity", "attenuation_v")


def compared(entry: dict[str, Any] | None) -> str:
    """Return median offset with its error / scatter / part of values within the 68 % range."""
    if not entry or not entry.get("n"):
        return MISSING
    # Error of a median of normal deviates of this scatter.
    error = 1.2533 * entry["nmad"] / entry["n"] ** 0.5
    offset = number([entry["median"], error], 2, sign=True)
    return f"{offset} / {number(entry['nmad'], 2)} / {number(entry['in_68'], 2)}"


def write_real(content: dict[str, Any]) -> None:
    """Write the table of real galaxies."""
    parts = {name: part["estimators"] for name, part in content["parts"].items()}
    rows = [["", "published by", "galaxies", *ESTIMATORS.values()]]
    for key, what, unit, source in REAL:
        entries = [parts["galaxies"].get(name, {}).get(key) for name in ESTIMATORS]
        counts = str(max((entry["n"] for entry in entries if entry), default=0))
        rows.append([f"{what} ({unit})", source, counts, *map(compared, entries)])
    maps = {"cnn": "cnn", "sed_fit": "sed_fit_maps", "mass_to_light": "mass_to_light_maps"}
    for key, what in RINGS:
        entries = [parts["m74"].get(maps[name], {}).get(key) for name in ESTIMATORS]
        rings = max((entry["n"] for entry in entries if entry), default=0)
        cells = map(compared, entries)
        rows.append([f"{what} (dex)", "Leroy et al. (2008)", f"{rings} rings", *cells])
    write_table("results_real", rows)


def write_mocks(content: dict[str, Any]) -> None:
    """Write the table of the network on mocks of its own recipe."""
    rows = [["", "sums: mean", "sums: σ", "in 68 %", "pixels, S/N > 10: NMAD", "in 68 %"]]
    for name, what in MOCKS.items():
        found = content["default"]["properties"][name]
        ranges = content["coverage"]["properties"][name]
        cells = [
            number(found["aperture"]["mean"], sign=True),
            number(found["aperture"]["sigma"]),
            number(ranges["apertures"]["coverage_68"]),
            number(found["pixel"]["above 10"]["nmad"]),
            number(ranges["by_signal"]["above 10"]["coverage_68"]),
        ]
        rows.append([what, *cells])
    write_table("results_mocks", rows)


def write_worlds(content: dict[str, Any]) -> None:
    """Write the table of other worlds."""
    head = ["galaxies from", "images", "sum: bias", "rms", "in 68 %: mass", "age", "metallicity"]
    rows = [[*head, "A\\ :sub:`V`", "flagged"]]
    for key, what in WORLDS.items():
        found = content["default"].get(key)
        if found is not None:
            mass = found["stellar_mass"]
            cells = [number(mass["sum_bias"], 2, sign=True), number(mass["sum_rms"], 2)]
            cells += [number(found[name]["in_68"], 2) for name in COVERED]
            rows.append([what, str(found["galaxies"]), *cells, number(found["flagged"], 2)])
    write_table("results_worlds", rows)


def rounded(value: float) -> str:
    """Return a rate with two significant digits."""
    text = float(f"{value:.2g}")
    return f"{text:,.0f}" if text >= 10 else f"{text:g}"


def write_speed() -> None:
    """Write the table of speeds."""
    fit, fit_gpu = load("sed_fit_speed.json"), load("sed_fit_gpu.json")
    network, mocks = load("cnn_speed.json"), load("mocks_speed.json")

    def images(device: str, which: str) -> float:
        rows = network[device]["rows"]
        return max(r["images_per_s"] for r in rows if r["network"] == which and r["side"] == 64)

    threads = network["cpu"]["threads"]
    per_core = fit["pixels_per_cpu_s"]
    rates = [run["pixels_per_s"] for run in fit_gpu["runs"]]
    milliseconds = mocks["cpu"]["images_and_maps"]["processor_ms_per_galaxy"]
    rows = [
        ["", "unit", "one CPU core", "one H200"],
        ["SED fit, 50,000 models, *ugriz*", "pixels / s",
         rounded(per_core["SEDFitEstimator, exponential disk"]),
         f"{rounded(min(rates))} to {rounded(max(rates))}"],
        ["network of the package", "images of 64 x 64 / s",
         rounded(images("cpu", "ensemble") / threads), rounded(images("cuda", "ensemble"))],
        ["network of Buck & Wolf (2021)", "images of 64 x 64 / s",
         rounded(images("cpu", "buck_wolf_2021") / threads),
         rounded(images("cuda", "buck_wolf_2021"))],
        ["kcorrect, 32 Monte Carlo fits", "pixels / s",
         rounded(per_core["KCorrectEstimator, 32 Monte Carlo fits"]), MISSING],
        ["mock galaxies, images and maps", "galaxies of 64 x 64 / s",
         rounded(1e3 / milliseconds), rounded(mocks["cuda"]["best"]["galaxies_per_s"])],
    ]  # fmt: skip
    write_table("results_speed", rows)


def main() -> None:
    """Write all tables."""
    write_real(load("real_galaxies.json"))
    write_mocks(load("cnn_accuracy.json"))
    write_worlds(load("outside_worlds.json"))
    write_speed()


if __name__ == "__main__":
    main()
