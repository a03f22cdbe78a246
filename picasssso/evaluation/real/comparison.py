"""Estimates compared with published values: offset, scatter, coverage of stated errors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from picasssso.evaluation.real.published_tables import column, read_table
from picasssso.exceptions import InvalidInputError

FloatArray = npt.NDArray[np.floating]


def compare_values(
    estimate: npt.ArrayLike,
    published: npt.ArrayLike,
    low: npt.ArrayLike | None = None,
    high: npt.ArrayLike | None = None,
) -> dict[str, Any]:
    """Compare estimates with published values, galaxy by galaxy."""
    ours, theirs = (np.asarray(x, dtype=float) for x in (estimate, published))
    if ours.shape != theirs.shape:
        raise InvalidInputError(
            f"There are {ours.size} estimates and {theirs.size} published values: expected one "
            "for each."
        )
    good = np.isfinite(ours) & np.isfinite(theirs)
    difference = (ours - theirs)[good]
    n = len(difference)
    found: dict[str, Any] = dict.fromkeys(
        ("mean", "mean_error", "median", "nmad", "rms", "own_error", "in_68")
    )
    found["n"] = n
    if not n:
        return found
    median = float(np.median(difference))
    found |= {
        "mean": float(difference.mean()),
        "mean_error": float(difference.std(ddof=1) / np.sqrt(n)) if n > 1 else None,
        "median": median,
        "nmad": float(1.4826 * np.median(np.abs(difference - median))),
        "rms": float(np.sqrt(np.mean(difference**2))),
    }
    if low is not None and high is not None:
        bottom, top = (np.asarray(x, dtype=float)[good] for x in (low, high))
        inside = ~(theirs[good] < bottom) & (theirs[good] <= top)
        width = (top - bottom) / 2
        found["in_68"] = float(inside.mean())
        if np.isfinite(width).any():
            found["own_error"] = float(np.nanmedian(width))
    return found


#: Of each table: what is compared, and the two columns.
_PAIRS = {
    "alfalfa": (
        ("stellar mass: Taylor et al. (2011) less GSWLC-2", "log_mass_taylor", "log_mass_gswlc"),
        ("stellar mass: McGaugh less GSWLC-2", "log_mass_mcgaugh", "log_mass_gswlc"),
        ("stellar mass: McGaugh less Taylor et al. (2011)", "log_mass_mcgaugh", "log_mass_taylor"),
        ("star formation rate: 22 micron less GSWLC-2", "log_sfr_22", "log_sfr_gswlc"),
        ("star formation rate: NUV and infrared less GSWLC-2", "log_sfr_nuvir", "log_sfr_gswlc"),
        ("star formation rate: 22 micron less NUV and infrared", "log_sfr_22", "log_sfr_nuvir"),
    ),
    "firefly": (
        ("age at one effective radius: light- less mass-weighted", "lw_age_1re", "mw_age_1re"),
        ("metallicity at one effective radius: light- less mass-weighted", "lw_z_1re", "mw_z_1re"),
    ),
}  # fmt: skip
#: Logarithms outside these are no measurements.
_SENSIBLE = (-6.0, 14.0)


def compare_truths(truths: Mapping[str, Any], folder: Path | str) -> list[dict[str, Any]]:
    """Compare published values of one quantity: ``what`` it is, and `compare_values` in dex."""
    found = []
    for name, pairs in _PAIRS.items():
        if name not in truths:
            continue
        needed = list(dict.fromkeys(one for _, *both in pairs for one in both))
        table = read_table(Path(folder) / truths[name], needed)
        for what, first, second in pairs:
            values = [column(table, one) for one in (first, second)]
            values = [np.where((v > _SENSIBLE[0]) & (v < _SENSIBLE[1]), v, np.nan) for v in values]
            found.append({"what": what, **compare_values(*values)})
    return found
