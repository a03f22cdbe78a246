"""Write the documentation's tables and figure of stellar grids judged on real galaxies.

Run after ``benchmarks/stellar_grids.py DATA_FOLDER --write``, from the root of the repository::

    python tools/write_stellar_grids.py
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

from picasssso.sps import TemplateError

mpl.use("Agg")
import matplotlib.pyplot as plt

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "benchmarks" / "results" / "stellar_grids.json"
sys.path.insert(0, str(ROOT / "benchmarks"))
from records import write_table  # noqa: E402

FIGURE = ROOT / "docs" / "_static" / "stellar_grids.png"

SHOWN = ("NUV", *"ugriz")
KINDS = {
    "quiescent, A_V of GSWLC": "quiescent, A\\ :sub:`V` of GSWLC",
    "quiescent, no dust": "quiescent, no dust",
    "star-forming, calzetti": "star-forming, Calzetti",
    "star-forming, steep calzetti": "star-forming, steeper law",
}
LINES = {
    "quiescent, A_V of GSWLC": "-",
    "quiescent, no dust": "--",
    "star-forming, steep calzetti": ":",
}


def face_value(result: dict[str, Any]) -> list[list[str]]:
    """Return rows of real minus model colors."""
    rows = []
    for kind, label in KINDS.items():
        for grid, found in result["face_value"].items():
            one = found[kind]
            bands = [f"{one['real_minus_model'][band]:+.2f}" for band in SHOWN]
            mass = f"{one['log_mass_minus_gswlc']:+.2f}"
            rows.append([f"{label} ({one['galaxies']})", grid, *bands, mass])
    return rows


def curves(result: dict[str, Any]) -> list[list[str]]:
    """Return rows of corrections and errors."""
    rows = []
    for grid, found in result["curves"].items():
        for key, label in (("correction", "correction"), ("error", "error")):
            sign = "+" if key == "correction" else ""
            bands = [f"{found[key][band]:{sign}.3f}" for band in ("FUV", *SHOWN)]
            rows.append([grid, label, *bands])
    return rows


def fits(result: dict[str, Any]) -> list[list[str]]:
    """Return rows of what fits make of M*, A_V and SFR."""
    rows = []
    for name, found in result["fits"].items():
        mass, dust, rate = (found[key] for key in ("mass", "attenuation", "sfr"))
        rows.append(
            [
                name,
                f"{mass['offset']:+.2f} / {mass['nmad']:.2f} / {mass['in_68']:.2f}",
                f"{dust['offset']:+.2f} / {dust['nmad']:.2f} / {dust['in_68']:.2f}",
                f"{dust['offset_quiescent']:+.2f}",
                f"{rate['offset']:+.2f} / {rate['nmad']:.2f} / {rate['in_68']:.2f}",
                f"{found['quiescent_below_-11']:.2f}",
                f"{found['chi2_per_degree_90']:.2f}",
            ]
        )
    return rows


def plot(result: dict[str, Any]) -> None:
    """Draw what grids get wrong, and the correction with its error."""
    figure, axes = plt.subplots(1, 2, figsize=(9.0, 3.8), constrained_layout=True, sharey=True)
    smooth = np.geomspace(3400.0, 9000.0, 200)
    for grid, color, marker in zip(result["curves"], ("black", "C1"), "os", strict=False):
        curve = TemplateError.for_grid(grid)
        nodes = np.array(curve.wavelength)[2:]
        for kind, style in LINES.items():
            found = result["face_value"][grid][kind]["real_minus_model"]
            label = f"{grid}, {kind.replace('A_V', 'A$_V$').replace(' calzetti', ' law')}"
            values = [found[band] for band in "ugriz"]
            axes[0].plot(nodes, values, style, c=color, marker=marker, ms=5, label=label)
        middle, error = curve.correction_at(smooth), curve.error_at(smooth)
        axes[1].plot(smooth, middle, c=color)
        axes[1].fill_between(smooth, middle - error, middle + error, color=color, alpha=0.2, lw=0)
        axes[1].plot(nodes, curve.correction_at(nodes), "-", c=color, marker=marker, ms=5, lw=0)
        axes[1].plot([], [], c=color, marker=marker, ms=5, label=grid)
    axes[0].set_title("real minus model, with age, metals and dust of catalogs", fontsize=10)
    axes[1].set_title("correction of old stars, with template error", fontsize=10)
    for ax in axes:
        ax.axhline(0.0, c="0.6", lw=0.8, zorder=0)
        ax.set_xlabel("rest wavelength (Angstrom)")
        ax.legend(fontsize=7, frameon=False)
    axes[0].set_ylabel("magnitude relative to r and i (mag)")
    figure.savefig(FIGURE, dpi=130)
    plt.close(figure)


def main() -> None:
    """Read, write, draw."""
    result = json.loads(RESULT.read_text(encoding="utf-8"))
    offsets = "offset / NMAD / in 68 %"
    write_table(
        "stellar_grids_colors",
        [("galaxies", "grid", *SHOWN, "log M\\ :sub:`*` (dex)"), *face_value(result)],
    )
    write_table("stellar_grids_curves", [("grid", "", "FUV", *SHOWN), *curves(result)])
    heads = (
        "fit",
        f"log M\\ :sub:`*`: {offsets}",
        f"A\\ :sub:`V`: {offsets}",
        "A\\ :sub:`V` of quiescent",
        f"log SFR of star-forming: {offsets}",
        "quiescent with log sSFR < -11",
        "chi\\ :sup:`2` per degree, 90 %",
    )
    write_table("stellar_grids_fits", [heads, *fits(result)])
    plot(result)


if __name__ == "__main__":
    main()
