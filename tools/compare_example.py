#!/usr/bin/env python
"""Measure what every estimator makes of the example galaxy that comes with the package.

Writes ``benchmarks/results/sed_fit_example.json`` and ``docs/_tables/compare.inc``, the table of
docs/compare.rst. The picture there and in the README, ``docs/_static/demo.png``, is the one that
``picasssso demo`` leaves. ::

    python tools/compare_example.py
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from picasssso import BandImages, PropertyMaps, SEDFitEstimator
from picasssso.data import load_example
from picasssso.demo import usable_estimators
from picasssso.evaluation.residuals import residual_statistics, residuals
from picasssso.sps import SEDPrior

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "benchmarks"))
from records import record, write_table

SHOWN = ("stellar_mass", "sfr", "stellar_age", "stellar_metallicity", "attenuation_v")
#: Compared where the r band has at least this signal-to-noise ratio per pixel.
BRIGHT = 5.0
FRACTIONS = (16, 50, 84)


def estimate_all(images: BandImages) -> dict[str, PropertyMaps]:
    """Return maps of every estimator that can be used, and of the fit with another prior."""
    result = {}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The demo leaves out")
        for name, estimator in usable_estimators():
            result[name] = estimator.estimate(images, progress=False)
    steps = SEDFitEstimator(prior=SEDPrior(history="steps"))
    result["sed_fit, steps prior"] = steps.estimate(images, progress=False)
    order = ["sed_fit", "sed_fit, steps prior"]
    return {name: result[name] for name in [*order, *(k for k in result if k not in order)]}


def compare(
    maps: Mapping[str, PropertyMaps], truth: PropertyMaps, where: np.ndarray
) -> dict[str, dict]:
    """Return offset, scatter and coverage per property and estimator, and mass totals."""
    result: dict[str, dict] = {}
    for who, estimate in maps.items():
        own = result[who] = {}
        for name in SHOWN:
            if name not in estimate or name not in truth:
                continue
            used = where & ~estimate.masks[name] & ~truth.masks[name]
            true = truth[name].data[used]
            low, median, high = (estimate.percentile(name, q).value[used] for q in FRACTIONS)
            residual = residuals(median, true, logarithmic=name != "attenuation_v")
            found = residual_statistics(residual, n_bootstrap=0)
            own[name] = {
                "offset": found.median,
                "nmad": found.nmad,
                "coverage_68": float(np.mean((true >= low) & (true <= high))),
            }
        if "stellar_mass" in estimate:
            both = (m.total("stellar_mass", where, "independent").value for m in (estimate, truth))
            own["log_total_mass_over_truth"] = float(np.log10(next(both) / next(both)))
    return result


def table_rows(estimators: Mapping[str, Mapping]) -> list[list[str]]:
    """Return the rows of the table of docs/compare.rst."""
    rows = [["estimator", "property", "offset", "NMAD", "in 68 %"]]
    for estimator, found in estimators.items():
        for name, figures in found.items():
            if name == "log_total_mass_over_truth":
                rows.append([estimator, "total stellar mass", f"{figures:+.2f}", "", ""])
                continue
            cells = [f"{figures[key]:.2f}" for key in ("nmad", "coverage_68")]
            rows.append([estimator, f"``{name}``", f"{figures['offset']:+.2f}", *cells])
    return rows


def main() -> None:
    """Measure, print and write the figures."""
    images, truth = load_example()
    flux, inverse_variance = images.to_arrays(bands=["sdss2010-r"])
    where = (flux * np.sqrt(inverse_variance))[0] > BRIGHT
    result = {
        "pixels": int(where.sum()),
        "least_signal_to_noise_in_r": BRIGHT,
        "estimators": compare(estimate_all(images), truth, where),
    }
    record("sed_fit_example.json", result)
    write_table("compare", table_rows(result["estimators"]))


if __name__ == "__main__":
    main()
