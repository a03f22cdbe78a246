"""Estimates against published values: offset, scatter, and whether stated errors hold."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from picasssso.exceptions import InvalidInputError

FloatArray = npt.NDArray[np.floating]


def log10_positive(values: npt.ArrayLike) -> FloatArray:
    """Return logarithms, NaN where a value is not above zero.

    Examples
    --------
    >>> from picasssso.evaluation.real.comparison import log10_positive
    >>> log10_positive([10.0, 0.0]).tolist()
    [1.0, nan]
    """
    array = np.asarray(values, dtype=float)
    good = array > 0
    return np.where(good, np.log10(np.where(good, array, 1.0)), np.nan)


def compare_values(
    estimate: npt.ArrayLike,
    published: npt.ArrayLike,
    low: npt.ArrayLike | None = None,
    high: npt.ArrayLike | None = None,
) -> dict[str, Any]:
    """Compare estimates with published values, galaxy by galaxy.

    Examples
    --------
    >>> from picasssso.evaluation.real.comparison import compare_values
    >>> found = compare_values([10.1, 9.3, 11.1], [10.0, 9.2, 11.0], [10.0] * 3, [10.2] * 3)
    >>> found["n"], round(found["median"], 3), round(found["own_error"], 3)
    (3, 0.1, 0.1)
    """
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
