#!/usr/bin/env python
"""Make docs/_tables/cnn_*.inc and docs/_static/cnn_*.png from the benchmarks' results.

Everything in the tables and in ``cnn_accuracy.png`` is read from
``benchmarks/results/cnn_accuracy.json``, ``cnn_against_paper.json`` and ``cnn_ablations.json``.
``cnn_des.png`` shows a galaxy in DES images, whose folder (DES_g.fits and so on; no part of the
repository) is the argument. ::

    python tools/make_cnn_pictures.py [FOLDER]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
TABLES = ROOT / "docs" / "_tables"
PICTURES = ROOT / "docs" / "_static"

LABELS = {
    "stellar_mass": "stellar mass",
    "stellar_metallicity": "stellar metallicity",
    "stellar_age": "stellar age",
    "sfr": "SFR",
    "gas_mass": "gas mass",
    "gas_metallicity": "gas metallicity",
    "hi_mass": "HI mass",
    "attenuation_v": "V attenuation (mag)",
}
OTHERS = {
    "mass_to_light": "colour M/L, Taylor et al. (2011)",
    "mass_to_light_sps": "colour M/L, own stellar model",
    "mass_to_light_binned": "colour M/L, own stellar model, PSF matched and binned",
    "sed_fit": "SED fit",
    "sed_fit_binned": "SED fit, PSF matched and binned",
    "kcorrect": "kcorrect",
}
BASE = "base, seed 0"
MISSING = "–"


def number(value: Any, digits: int = 3, sign: bool = False) -> str:
    """Return a number or, of two, a number with its error."""
    if isinstance(value, list):
        return f"{number(value[0], digits, sign)} ± {number(value[1], digits)}"
    if value is None:
        return MISSING
    return f"{value:+.{digits}f}" if sign else f"{value:.{digits}f}"


def table(name: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Write a list-table."""
    lines = [".. list-table::", "   :header-rows: 1", ""]
    for row in (header, *rows):
        lines += [f"   {'*' if k == 0 else ' '} - {cell}" for k, cell in enumerate(row)]
    TABLES.mkdir(exist_ok=True)
    (TABLES / f"cnn_{name}.inc").write_text("\n".join(lines) + "\n", encoding="utf-8")


def nothing(name: str) -> None:
    """Write that something was not measured."""
    table(name, ["figure"], [["not measured"]])


def default_tables(part: dict[str, Any]) -> None:
    """Write the tables of pixels and aperture sums."""
    rows = []
    for key, label in LABELS.items():
        for signal, row in part["properties"][key]["pixel"].items():
            rows.append(
                [
                    label,
                    signal,
                    number(row["nmad"]),
                    number(row["median"], sign=True),
                    number(row["slope_per_decade"], sign=True),
                ]
            )
            label = ""
    header = ["property", "S/N (i)", "NMAD", "bias (median)", "slope per decade of density"]
    table("pixels", header, rows)
    rows = []
    for key, label in LABELS.items():
        row = part["properties"][key]["aperture"]
        figures = [number(row[w], sign=w == "mean") for w in ("sigma", "nmad", "mean")]
        rows.append([label, *figures, number(row["beyond_0.3_dex"], 3), str(row["n"])])
    table("apertures", ["property", "σ", "NMAD", "mean", "beyond 0.3", "galaxies"], rows)


def coverage_table(part: dict[str, Any]) -> None:
    """Write the table of coverage."""
    rows = []
    for key, label in LABELS.items():
        entry = part["properties"][key]
        rows.append(
            [label]
            + [
                number(entry[kind][f"coverage_{level}"])
                for kind in ("pixels", "apertures")
                for level in ("68", "95")
            ]
        )
    header = ["property", "pixels, 68 %", "pixels, 95 %", "sums, 68 %", "sums, 95 %"]
    table("coverage", header, rows)
    rows = []
    for key, entry in part["worst"].items():
        if not key.startswith("by_"):
            continue
        beyond = entry["beyond_0.06"]
        rows.append([key, entry["where"], number(entry["offset"], sign=True), str(len(beyond))])
    header = ["bins", "farthest off", "offset", "bins off by more than 0.06"]
    table("coverage_bins", header, rows)


def beside(content: dict[str, Any]) -> dict[str, Any]:
    """Return, for each other estimator, the comparison with the most galaxies."""
    found: dict[str, Any] = {}
    for part in ("estimators", "one_redshift"):
        for key, entry in content.get(part, {}).get("estimators", {}).items():
            if key not in found or entry["galaxies"] > found[key]["galaxies"]:
                found[key] = {**entry, "part": part}
    return found


def estimators_table(name: str, part: dict[str, Any]) -> None:
    """Write the table beside other estimators."""
    rows = []
    for other, label in OTHERS.items():
        entry = part["estimators"].get(other)
        if entry is None:
            continue
        for key, row in entry["properties"].items():
            cells = [f"{label} ({entry['galaxies']} galaxies)", LABELS[key]]
            for signal in ("3 to 10", "above 10", "below 20", "aperture"):
                figures = row[signal]
                of_sums = signal == "aperture"
                what = "sigma" if of_sums else "nmad"
                cells.append(
                    f"{number(figures['cnn'][what])} / {number(figures['other'][what])} "
                    f"({number(figures[what + '_ratio'], 2)})"
                )
            rows.append(cells)
    header = ["beside", "property", "S/N 3 to 10", "above 10", "below 20", "σ of sums"]
    table(name, header, rows)


def settings_table(name: str, part: dict[str, Any]) -> None:
    """Write the table of several ways to estimate the same galaxies."""
    cases = [key for key, value in part.items() if isinstance(value, dict)]
    rows = []
    for key, label in LABELS.items():
        for what, kind in (
            ("pixels, S/N 3 to 10", "pixel_nmad, 3 to 10"),
            ("pixels, S/N above 10", "pixel_nmad, above 10"),
            ("sums", "aperture_nmad"),
            ("sums: σ instead of NMAD", "aperture_sigma"),
        ):
            rows.append([label, what, *(number(part[case][key][kind]) for case in cases)])
            label = ""
    table(name, ["property", "NMAD of", *cases], rows)


def outside_table(part: dict[str, Any]) -> None:
    """Write the table of simulated galaxies."""
    rows = []
    for kind, content in part.items():
        for key, row in content.get("galaxies", {}).items():
            residual, pixel = row["aperture_residual"], row["stellar_mass_per_pixel_above_1e6"]
            rows.append(
                [
                    f"{kind}: {key}".replace("_", " "),
                    number(row["log_mass_in_aperture"], 2),
                    number(residual.get("stellar_mass"), sign=True),
                    number(residual.get("stellar_age"), sign=True),
                    number(residual.get("stellar_metallicity"), sign=True),
                    number(pixel["median"], sign=True),
                    number(pixel["nmad"]),
                    number(pixel["rms"]),
                    number(row["pixels_flagged_outside"], 2),
                ]
            )
    header = [
        "galaxy",
        "log mass",
        "sum: mass",
        "age",
        "metallicity",
        "pixels: bias",
        "NMAD",
        "rms",
        "flagged",
    ]
    table("outside", header, rows)


def paper_table(content: dict[str, Any]) -> None:
    """Write the table beside the paper's network."""
    rows = []
    for run in ("ours, same pairs", "ours, same time"):
        for key, label in LABELS.items():
            row = content.get(run, {}).get(key)
            if row:
                rows.append(
                    [
                        f"{run} ({content[run]['seeds']} seeds)",
                        label,
                        number(row["sigma_ours"]),
                        number(row["sigma_paper"]),
                        number(row["sigma_ratio"], 2),
                        number(row["nmad_ratio"], 2),
                    ]
                )
        if run in content:
            mean = content[run]
            rows.append(
                [
                    run,
                    "geometric mean",
                    MISSING,
                    MISSING,
                    number(mean["sigma_geometric_mean_ratio"], 2),
                    number(mean["nmad_geometric_mean_ratio"], 2),
                ]
            )
    header = ["run", "property", "σ, ours", "σ, paper's", "ratio", "ratio of NMAD"]
    table("against_paper", header, rows)


def ablation_tables(content: dict[str, Any]) -> None:
    """Write the tables of variants of the network: costs and means, pixels, sums, coverage."""
    runs = content["runs"]
    base = runs[BASE]
    shown = ("stellar_mass", "sfr", "stellar_metallicity", "stellar_age", "gas_mass")

    def beside_base(run: dict[str, Any], name: str, what: str) -> str:
        is_base = run is base
        value = run["properties"][name][what if is_base else f"{what}_ratio"]
        return number(value, 3 if is_base else 2)

    costs, pixels, sums = [], [], []
    for key, run in runs.items():
        costs.append(
            [
                key,
                f"{run['parameters'] / 1000:.0f}",
                str(run["reach"]),
                number(run["images_per_second"], 0),
                number(run["pinball_mean_ratio"], 3),
                *(
                    number(run[f"{what}_mean_ratio"], 2)
                    for what in ("pixel_nmad", "aperture_nmad", "aperture_sigma")
                ),
            ]
        )
        pixels.append([key, *(beside_base(run, name, "pixel_nmad") for name in shown)])
        for what, label in (("aperture_sigma", "σ"), ("aperture_nmad", "NMAD")):
            sums.append([key, label, *(beside_base(run, name, what) for name in shown)])
            key = ""
    header = ["network", "parameters (1000)", "reach (pixels)", "images/s", "loss",
              "NMAD of pixels", "NMAD of sums", "σ of sums"]  # fmt: skip
    table("ablations", header, costs)
    labels = [LABELS[name] for name in shown]
    table("ablations_pixels", ["network", *labels], pixels)
    table("ablations_sums", ["network", "", *labels], sums)

    heads = {"quantiles": base, "quantiles, seed 1": runs["base, seed 1"],
             "mixture": runs["mixture of two"], "as shipped": content["shipped"]}  # fmt: skip
    rows = [
        [f"{label}, {level} %"]
        + [number(head["properties"][name][f"coverage_{level}"]) for head in heads.values()]
        for level in ("68", "95")
        for name, label in LABELS.items()
    ]
    for what, label in (("coverage", "mean distance"), ("by_signal", "mean distance by S/N")):
        for level in ("68", "95"):
            key = f"{what}_{level}_mean_offset"
            rows.append([f"{label}, {level} %", *(number(h[key]) for h in heads.values())])
    table("heads", ["coverage of", *heads], rows)


def bars_table(content: dict[str, Any], paper: dict[str, Any]) -> None:
    """Write what was asked for beside what was found."""
    rows: list[list[str]] = []

    def add(what: str, asked: str, found: str, met: bool | None) -> None:
        verdict = {True: "met", False: "missed", None: "not measured"}[met]
        rows.append([what, asked, found, verdict])

    def at_most(what: str, value: list[float], limit: float, digits: int = 3) -> None:
        add(what, f"at most {limit:g}", number(value, digits), value[0] <= limit)

    if "default" in content:
        mass = content["default"]["properties"]["stellar_mass"]
        for signal, limit in (("above 10", 0.12), ("3 to 10", 0.16)):
            at_most(f"NMAD of stellar mass, pixels of S/N {signal}", mass["pixel"][signal]["nmad"],
                    limit)  # fmt: skip
            slope = mass["pixel"][signal]["slope_per_decade"]
            add(f"slope of its bias per decade, S/N {signal}", "within 0.02",
                number(slope, sign=True), abs(slope[0]) <= 0.02)  # fmt: skip
        at_most("σ of stellar mass inside 2 half-mass radii", mass["aperture"]["sigma"], 0.09)
    if "clean" in content:
        sums = content["clean"]["no foreground sources"]["stellar_mass"]["aperture_sigma"]
        at_most("the same without foreground sources", sums, 0.09)
    others = beside(content)
    for key in ("mass_to_light_sps", "mass_to_light_binned"):
        row = others.get(key, {}).get("properties", {}).get("stellar_mass")
        for signal, limit in (("above 10", 0.8), ("3 to 10", 0.6)):
            what = f"NMAD over that of {OTHERS[key]}, S/N {signal}"
            if row is None:
                add(what, f"at most {limit:g}", MISSING, None)
            else:
                at_most(what, row[signal]["nmad_ratio"], limit, 2)
    for key in ("sed_fit", "sed_fit_binned"):
        found = others.get(key, {}).get("properties", {})
        what = f"NMAD over that of {OTHERS[key]}, S/N below 20"
        if not found:
            add(what, "below 1, every property", MISSING, None)
            continue
        ratios = {name: row["below 20"]["nmad_ratio"] for name, row in found.items()}
        text = ", ".join(f"{LABELS[n].split(' (')[0]} {number(r, 2)}" for n, r in ratios.items())
        add(what, "below 1, every property", text, all(r[0] < 1 for r in ratios.values()))
    worst = content.get("coverage", {}).get("worst", {})
    for key, entry in worst.items():
        names = entry.get("beyond_bar", entry.get("beyond_0.06"))
        asked = "within 0.06" if key.startswith("by_") else (
            f"within max({0.02 if '68' in key else 0.01}, 2 errors)"
        )  # fmt: skip
        text = f"farthest off: {entry['where']}, {number(entry['offset'], sign=True)}"
        add(f"coverage of {key}".replace("_", " "), asked, text.replace("_", " "), not names)
    for run in ("ours, same pairs", "ours, same time"):
        if run in paper:
            ratio = paper[run]["sigma_geometric_mean_ratio"]
            seeds = paper[run]["seeds"]
            add(f"σ of sums over those of the paper's network ({run}; {seeds} seeds)",
                "at most 0.8", number(ratio, 2), ratio <= 0.8)  # fmt: skip
        else:
            add(f"σ of sums over those of the paper's network ({run})", "at most 0.8", MISSING,
                None)  # fmt: skip
    losses = losses_of_any_bands()
    worst = max(losses, key=losses.__getitem__, default=None)
    add("σ of sums in fewer bands against networks trained for just those, in as little time",
        "at most 10 % worse",
        ", ".join(f"{bands} {100 * loss:+.0f} %" for bands, loss in losses.items()) or MISSING,
        None if worst is None else losses[worst] <= 0.1)  # fmt: skip
    table("bars", ["bar", "asked", "found", ""], rows)


def losses_of_any_bands() -> dict[str, float]:
    """Return by how much one network for any bands scatters more than one for just those."""
    path = RESULTS / "evaluation_training.json"
    if not path.exists():
        return {}
    rows = json.loads(path.read_text())["experiments"]["c"]["rows"]

    def scatter(bands: str, prefix: str) -> float | None:
        sigmas = [
            row["properties"]["stellar_mass"]["aperture"]["sigma"]
            for row in rows
            if row["setting"] == bands and row["estimator"].startswith(prefix)
        ]
        return sum(sigmas) / len(sigmas) if sigmas else None

    losses = {}
    for bands in ("ugri", "gr", "r"):
        own, shared = scatter(bands, "seed"), scatter(bands, "any")
        if own and shared:
            losses[bands] = shared / own - 1.0
    return losses


def picture(content: dict[str, Any]) -> None:
    """Draw scatter of stellar mass by S/N, coverage, and scatter by bands."""
    figure = Figure(figsize=(13, 4), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    if beside(content):
        signals = ("below 3", "3 to 10", "10 to 20", "above 10")
        drawn = False
        for other, label in OTHERS.items():
            entry = beside(content).get(other)
            if entry is None or "stellar_mass" not in entry["properties"]:
                continue
            row = entry["properties"]["stellar_mass"]
            if not drawn:
                ours = [row[s]["cnn"]["nmad"] for s in signals]
                left.plot(signals, ours, "ko-", lw=2, label="CNN")
                drawn = True
            left.plot(signals, [row[s]["other"]["nmad"] for s in signals], "o--", label=label)
        left.legend(fontsize=7)
    left.set(xlabel="S/N of the pixel (i band)", ylabel="NMAD of stellar mass (dex)", yscale="log")
    if "properties" in content.get("coverage", {}):
        names = list(LABELS)
        for level, shade in (("68", "tab:blue"), ("95", "tab:orange")):
            for kind, marker in (("pixels", "o"), ("apertures", "s")):
                values = [
                    content["coverage"]["properties"][n][kind][f"coverage_{level}"] for n in names
                ]
                middle.errorbar(
                    range(len(names)),
                    [v[0] for v in values],
                    [v[1] for v in values],
                    fmt=marker,
                    color=shade,
                    mfc="none" if kind == "apertures" else shade,
                    label=f"{kind}, {level} %",
                )
            middle.axhline(int(level) / 100, color=shade, lw=0.8)
        middle.set_xticks(range(len(names)), [LABELS[n].split(" (")[0] for n in names])
        middle.tick_params(axis="x", rotation=40)
        middle.legend(fontsize=7)
    middle.set(ylabel="part of truths inside", ylim=(0.4, 1.0))
    if "ugriz" in content.get("bands", {}):
        part = content["bands"]
        cases = [key for key, value in part.items() if isinstance(value, dict)]
        for key, label in LABELS.items():
            right.plot(cases, [part[c][key]["pixel_nmad, 3 to 10"][0] for c in cases], "o-",
                       label=label)  # fmt: skip
        right.legend(fontsize=7)
    right.set(ylabel="NMAD of pixels, S/N 3 to 10 (dex)", xlabel="bands")
    figure.savefig(PICTURES / "cnn_accuracy.png", dpi=80)


def des_picture(folder: Path) -> None:
    """Draw the network's maps of the DES galaxy beside those of the SED fit."""
    import astropy.units as u
    from make_sed_pictures import read_des
    from matplotlib.colors import LogNorm, Normalize

    from picasssso import CNNEstimator, SEDFitEstimator

    des = read_des(folder)
    seeing = dict(zip("griz", (1.12, 0.96, 0.88, 0.84), strict=True))
    des = des.replace(psf={band: seeing[band[-1]] * u.arcsec for band in des.bands})
    maps = {
        "CNN": CNNEstimator(device="cpu").estimate(des, progress=False),
        "SED fit": SEDFitEstimator(device="cpu").estimate(des, progress=False),
    }
    shown = ("stellar_mass", "stellar_age", "stellar_metallicity", "sfr", "attenuation_v",
             "gas_mass")  # fmt: skip
    figure = Figure(figsize=(15, 5.2), layout="constrained")
    panels = figure.subplots(2, len(shown))
    bright = maps["CNN"]["stellar_mass"].data > 1e6
    for column, name in enumerate(shown):
        values = maps["CNN"][name].data[bright]
        low, high = np.nanpercentile(values[values > 0], (2, 99.5))
        logarithmic = name in ("stellar_mass", "sfr", "gas_mass", "stellar_metallicity")
        norm = (LogNorm if logarithmic else Normalize)(low, high)
        for row, (method, found) in enumerate(maps.items()):
            panel = panels[row, column]
            panel.set(xticks=[], yticks=[])
            if name not in found:
                panel.set_axis_off()
                continue
            plane = np.where(bright, found[name].data, np.nan)
            image = panel.imshow(plane, origin="lower", norm=norm, cmap="viridis")
            if row == 0:
                panel.set_title(f"{LABELS[name]}", fontsize=9)
                figure.colorbar(image, ax=panels[:, column], location="bottom", shrink=0.9)
            if column == 0:
                panel.set_ylabel(method)
    figure.savefig(PICTURES / "cnn_des.png", dpi=70)


def main() -> None:
    """Make everything."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", help="folder with DES images")
    options = parser.parse_args()
    content = json.loads((RESULTS / "cnn_accuracy.json").read_text())
    known = {
        "default": default_tables,
        "coverage": coverage_table,
    }
    names = {"default": ("pixels", "apertures"), "coverage": ("coverage", "coverage_bins")}
    for part, make in known.items():
        if part in content and "skipped" not in content[part]:
            make(content[part])
        else:
            for name in names.get(part, (part,)):
                nothing(name)
    for part in ("estimators", "one_redshift"):
        if content.get(part, {}).get("estimators"):
            estimators_table(part, content[part])
        else:
            nothing(part)
    outside_table({part: content.get(part, {}) for part in ("illustris", "particles")})
    for part in ("bands", "link", "clean", "native", "orientations"):
        if part in content:
            settings_table(part, content[part])
        else:
            nothing(part)
    path = RESULTS / "cnn_against_paper.json"
    if path.exists():
        paper = json.loads(path.read_text())
        paper_table(paper)
    else:
        paper = {}
        nothing("against_paper")
    path = RESULTS / "cnn_ablations.json"
    if path.exists():
        ablation_tables(json.loads(path.read_text()))
    bars_table(content, paper)
    picture(content)
    if options.folder is not None:
        des_picture(options.folder)


if __name__ == "__main__":
    main()
