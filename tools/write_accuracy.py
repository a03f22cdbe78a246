"""Write the measured accuracy of the shipped weights into the documentation and the model card.

Run after ``benchmarks/cnn_accuracy.py``: writes ``docs/_tables/cnn_*``,
``docs/_static/cnn_accuracy.png``, the tables of ``docs/results.rst`` and, from the parts
``default`` and ``coverage``, the card beside the weights. Figures of other weights than those of
the card are refused there.

    python tools/write_accuracy.py [--only docs|card]
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from picasssso.estimators._cnn.weight_files import weights_path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))
import write_results  # noqa: E402
from records import TABLES, load, number, write_table  # noqa: E402

CARD = weights_path("default").with_name(weights_path("default").name + ".json")
PICTURE = ROOT / "docs" / "_static" / "cnn_accuracy.png"
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
#: What short tables hold of each way to estimate.
SHORT = ("pixels, S/N above 10", "sums")
#: What the card says of pixels and of sums inside twice the half-mass radius.
KEPT = ("n", "mean", "sigma", "nmad")


def accuracy_tables(part: dict[str, Any]) -> None:
    """Write the tables of pixels and of aperture sums."""
    pixels = [["property", "S/N (i)", "NMAD", "bias (median)"]]
    sums = [["property", "σ", "NMAD", "mean", "beyond 0.3", "galaxies"]]
    for name, label in LABELS.items():
        found = part["properties"][name]
        row = found["aperture"]
        cells = [number(row[w], sign=w == "mean") for w in ("sigma", "nmad", "mean")]
        sums.append([label, *cells, number(row["beyond_0.3_dex"]), str(row["n"])])
        for signal, row in found["pixel"].items():
            bias = number(row["median"], sign=True)
            pixels.append([label, signal, number(row["nmad"]), bias])
            label = ""
    write_table("cnn_pixels", pixels)
    write_table("cnn_apertures", sums)


def coverage_tables(part: dict[str, Any], totals: dict[str, Any]) -> None:
    """Write the tables of coverage: of all pixels and sums, and where it is farthest off."""
    kinds = {"pixels": "pixels", "apertures": "sums", "totals": "default totals"}
    columns = [(kind, level) for kind in kinds for level in ("68", "95")]
    rows = [["property", *(f"{kinds[kind]}, {level} %" for kind, level in columns)]]
    for name, label in LABELS.items():
        unknown = {f"coverage_{level}": None for level in ("68", "95")}
        found = {**part["properties"][name], "totals": totals["properties"].get(name, unknown)}
        rows.append([label, *(number(found[k][f"coverage_{level}"]) for k, level in columns)])
    write_table("cnn_coverage", rows)
    rows = [["bins", "farthest off", "offset", "bins off by more than 0.06"]]
    for key, row in part["worst"].items():
        if key.startswith("by_"):
            beyond = str(len(row["beyond_0.06"]))
            rows.append([key, row["where"], number(row["offset"], sign=True), beyond])
    write_table("cnn_coverage_bins", rows)


def settings_table(name: str, part: dict[str, Any]) -> None:
    """Write several ways to estimate the same galaxies: a short table, and all of it as CSV."""
    cases = [key for key, value in part.items() if isinstance(value, dict)]
    kinds = {
        "pixels, S/N 3 to 10": "pixel_nmad, 3 to 10",
        "pixels, S/N above 10": "pixel_nmad, above 10",
        "sums": "aperture_nmad",
        "sums: σ instead of NMAD": "aperture_sigma",
    }
    head = ["property", "NMAD of", *cases]
    rows = [
        [label, what, *(number(part[case][key][kind]) for case in cases)]
        for key, label in LABELS.items()
        for what, kind in kinds.items()
    ]
    with (TABLES / f"cnn_{name}.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([head, *rows])
    write_table(f"cnn_{name}", [head, *(row for row in rows if row[1] in SHORT)])


def draw(content: dict[str, Any]) -> None:
    """Draw coverage of pixels and sums, and the scatter of pixels by bands."""
    figure = Figure(figsize=(11, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    properties, names = content["coverage"]["properties"], list(LABELS)
    for level, color in (("68", "0.1"), ("95", "0.55")):
        for kind, marker in (("pixels", "o"), ("apertures", "s")):
            values, errors = zip(
                *(properties[n][kind][f"coverage_{level}"] for n in names), strict=True
            )
            face = "none" if kind == "apertures" else color
            label = f"{'sums' if kind == 'apertures' else kind}, {level} %"
            left.errorbar(names, values, errors, fmt=marker, color=color, mfc=face, label=label)
        left.axhline(int(level) / 100, color=color, lw=0.8)
    left.set_xticks(range(len(names)), [LABELS[n].split(" (")[0] for n in names], rotation=40)
    left.set(ylabel="fraction of truths inside", ylim=(0.4, 1.0))
    left.legend(fontsize=7)
    cases = [key for key, value in content["bands"].items() if isinstance(value, dict)]
    for k, (name, label) in enumerate(LABELS.items()):
        values = [content["bands"][c][name]["pixel_nmad, 3 to 10"][0] for c in cases]
        right.plot(cases, values, marker="osv^D<>p"[k], label=label)
    right.set(ylabel="NMAD of pixels, S/N 3 to 10 (dex; mag)", xlabel="bands")
    right.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1, 1))
    figure.savefig(PICTURE, dpi=80)


def summary(default: dict[str, Any], coverage: dict[str, Any]) -> dict[str, Any]:
    """Return what the card is to hold."""
    properties = {}
    for name, found in default["properties"].items():
        pixels = {
            signal: {key: rows[key] for key in KEPT} for signal, rows in found["pixel"].items()
        }
        sums = {key: found["aperture"][key] for key in KEPT}
        properties[name] = {"pixels_by_signal_to_noise": pixels, "sums": sums}
    return {
        "what": "log10(estimate / truth) in dex (attenuation in mag) with errors, on default SDSS "
        "mocks of an unseen seed, truth at the PSF; benchmarks/cnn_accuracy.py",
        "galaxies": default["galaxies"],
        "properties": properties,
        "coverage_galaxies": coverage["galaxies"],
        "coverage": {
            name: {part: found[part] for part in ("pixels", "apertures")}
            for name, found in coverage["properties"].items()
        },
    }


def write_card(content: dict[str, Any]) -> None:
    """Compare hashes, and write the accuracy into the card."""
    card = json.loads(CARD.read_text(encoding="utf-8"))
    for part in ("default", "coverage"):
        measured = content[part]["weights_sha256"]
        if not card["sha256"].startswith(measured):
            raise SystemExit(
                f"{part} was measured with weights {measured[:12]}, the card is of "
                f"{card['sha256'][:12]}: run benchmarks/cnn_accuracy.py --parts {part} again."
            )
    card["accuracy"] = summary(content["default"], content["coverage"])
    CARD.write_text(json.dumps(card, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def main() -> None:
    """Read the results and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=("docs", "card"))
    only = parser.parse_args().only
    content = load("cnn_accuracy.json")
    if only != "card":
        accuracy_tables(content["default"])
        coverage_tables(content["coverage"], content["totals"])
        for part in ("bands", "worlds", "link", "clean", "native"):
            settings_table(part, content[part])
        draw(content)
        write_results.main()
    if only != "docs":
        write_card(content)


if __name__ == "__main__":
    main()
