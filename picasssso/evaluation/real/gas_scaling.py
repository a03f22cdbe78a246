"""Gas of estimated galaxies against xGASS and xCOLD GASS at the same stellar mass and type."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from picasssso._core.constants import HELIUM
from picasssso.evaluation.real.catalog_galaxies import QUIESCENT, STAR_FORMING
from picasssso.evaluation.real.estimates import estimated
from picasssso.evaluation.real.published_tables import GalaxyCatalog, column, read_table
from picasssso.evaluation.stacks import log10_positive

FloatArray = npt.NDArray[np.floating]

#: log10 of stellar mass in Msun.
MASS_EDGES = (9.0, 9.5, 10.0, 10.5, 11.3)
#: Fewer galaxies make no median.
_LEAST = 8
_COLUMNS = ("log_mass", "log_sfr", "log_hi_mass", "hi_flag", "log_h2_mass", "log_h2_limit")
_NOT_DETECTED = 99
_KINDS = ("star-forming", "quiescent")


def compare_gas(
    catalog: GalaxyCatalog, records: Sequence[Mapping[str, Any]], path: Path, seed: int = 0
) -> list[dict[str, Any]]:
    """Compare medians of log HI / M* and log H2 / M* in bins of mass and type, limits counted.

    A galaxy that xGASS (Catinella et al. 2018, MNRAS 476, 875) or xCOLD GASS (Saintonge et al.
    2017, ApJS 233, 22) do not see counts with its limit. Each estimate is given the limit of a
    galaxy of its mass at random, and counts with whichever is higher. Bins of which less than
    half is detected say only how far a limit is exceeded. H2 is with helium, as there.

    Returns ``of``, ``kind``, ``edges``, ``n``, ``n_published``, ``detected`` (share, of the
    survey), ``median`` and ``published`` in dex.
    """
    if not any("hi_mass" in record["properties"] for record in records):
        return []
    numbers = [record["number"] for record in records]
    mass = catalog.values("log_mass", numbers)
    specific = catalog.values("log_sfr", numbers) - mass
    hi = estimated(records, "hi_mass", "value")
    h2 = estimated(records, "gas_mass", "value") - HELIUM * hi
    rng = np.random.default_rng(seed)
    found = []
    for of, value in (("HI", hi), ("H2", h2)):
        # No gas, or less than none, counts as the limit.
        ratio = np.nan_to_num(log10_positive(value), nan=-np.inf) - mass
        theirs = _survey(path, of)
        for kind in _KINDS:
            for edges in pairwise(MASS_EDGES):
                ours = ratio[_bin(mass, specific, kind, edges)]
                there = _bin(theirs["mass"], theirs["specific"], kind, edges)
                there &= np.isfinite(theirs["ratio"])
                if min(len(ours), there.sum()) < _LEAST:
                    continue
                in_mass = (theirs["mass"] >= edges[0]) & (theirs["mass"] < edges[1])
                limits = theirs["ratio"][in_mass & ~theirs["seen"] & np.isfinite(theirs["ratio"])]
                if len(limits):
                    ours = np.maximum(ours, rng.choice(limits, len(ours)))
                found.append({
                    "of": of,
                    "kind": kind,
                    "edges": list(edges),
                    "n": len(ours),
                    "n_published": int(there.sum()),
                    "detected": float(theirs["seen"][there].mean()),
                    "median": float(np.median(ours)),
                    "published": float(np.median(theirs["ratio"][there])),
                })  # fmt: skip
    return found


def _survey(path: Path, of: str) -> dict[str, Any]:
    """Return masses, specific rates, log gas / mass with limits, and what is detected."""
    table = read_table(path, _COLUMNS)
    mass, sfr, hi, flag, h2, limit = (column(table, name) for name in _COLUMNS)
    seen = (flag != _NOT_DETECTED) if of == "HI" else h2 > 0
    gas = hi if of == "HI" else np.where(seen, h2, np.where(limit > 0, limit, np.nan))
    return {"mass": mass, "specific": sfr - mass, "ratio": gas - mass, "seen": seen}


def _bin(
    mass: FloatArray, specific: FloatArray, kind: str, edges: tuple[float, float]
) -> npt.NDArray[np.bool_]:
    of_kind = specific < QUIESCENT if kind == "quiescent" else specific > STAR_FORMING
    return of_kind & (mass >= edges[0]) & (mass < edges[1])
