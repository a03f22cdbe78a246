"""Write the measured accuracy of the shipped weights into their model card.

Run after ``benchmarks/cnn_accuracy.py default coverage``; figures of other weights are refused.

    python tools/write_accuracy.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from picasssso.estimators._cnn.weights import weights_path

ROOT = Path(__file__).resolve().parents[1]
CARD = weights_path("default").with_name(weights_path("default").name + ".json")
RESULT = ROOT / "benchmarks" / "results" / "cnn_accuracy.json"

#: What the card says of pixels and of sums inside twice the half-mass radius.
KEPT = ("n", "mean", "sigma", "nmad")


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


def main() -> None:
    """Read, compare hashes, write."""
    card = json.loads(CARD.read_text(encoding="utf-8"))
    result = json.loads(RESULT.read_text(encoding="utf-8"))
    for part in ("default", "coverage"):
        measured = result[part]["weights_sha256"]
        if not card["sha256"].startswith(measured):
            raise SystemExit(
                f"{part} was measured with weights {measured[:12]}, the card is of "
                f"{card['sha256'][:12]}: run benchmarks/cnn_accuracy.py {part} again."
            )
    card["accuracy"] = summary(result["default"], result["coverage"])
    CARD.write_text(json.dumps(card, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
