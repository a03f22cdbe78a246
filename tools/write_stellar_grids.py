"""Write the documentation's tables and figure of stellar grids judged on real galaxies.

Run after ``benchmarks/stellar_grids.py DATA_FOLDER --write``, from the root of the repository::

    python tools/write_stellar_grids.py
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from picasssso.sps import TemplateError

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))
from records import load, number, write_table  # noqa: E402

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
            values = [*map(one["real_minus_model"].get, SHOWN), one["log_mass_minus_gswlc"]]
            cells = [number(value, 2, sign=True) for value in values]
            rows.append([f"{label} ({one['galaxies']})", grid, *cells])
    return rows


def curves(result: dict[str, Any]) -> list[list[str]]:
    """Return rows of corrections and errors."""
    rows = []
    for grid, found in result["curves"].items():
        for key in ("correction", "error"):
            bands = [number(found[key][b], sign=key == "correction") for b in ("FUV", *SHOWN)]
            rows.append([grid, key, *bands])
    return rows


def fits(result: dict[str, Any]) -> list[list[str]]:
    """Return rows of what fits make of M*, A_V and SFR."""
    rows = []
    for name, found in result["fits"].items():
        mass, dust, rate = (
            f"{one['offset']:+.2f} / {one['nmad']:.2f} / {one['in_68']:.2f}"
            for one in (found[key] for key in ("mass", "attenuation", "sfr"))
        )
        quiescent = number(found["attenuation"]["offset_quiescent"], 2, sign=True)
        others = [number(found[key], 2) for key in ("quiescent_below_-11", "chi2_per_degree_90")]
        rows.append([name, mass, dust, quiescent, rate, *others])
    return rows


def plot(result: dict[str, Any]) -> None:
    """Draw what grids get wrong, and the correction with its error."""
    figure = Figure(figsize=(9.0, 3.8), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
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


def main() -> None:
    """Read, write, draw."""
    result = load("stellar_grids.json")
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
