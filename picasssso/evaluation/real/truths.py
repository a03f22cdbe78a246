"""How far published values of the same galaxies differ from each other."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from picasssso.evaluation.real.catalogues import column, read_catalogue
from picasssso.evaluation.real.comparison import compare_values

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
    """Compare the published values of one quantity with each other.

    Returns ``what`` is compared, and results of `compare_values` in dex.
    """
    found = []
    for name, pairs in _PAIRS.items():
        if name not in truths:
            continue
        needed = list(dict.fromkeys(one for _, *both in pairs for one in both))
        table = read_catalogue(Path(folder) / truths[name], needed)
        for what, first, second in pairs:
            values = [column(table, one) for one in (first, second)]
            values = [np.where((v > _SENSIBLE[0]) & (v < _SENSIBLE[1]), v, np.nan) for v in values]
            found.append({"what": what, **compare_values(*values)})
    return found
