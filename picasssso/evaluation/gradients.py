"""Radial gradients: how fast a property falls or rises outwards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from picasssso.evaluation.stacks import as_array
from picasssso.evaluation.sums import RADIAL_EDGES
from picasssso.exceptions import InvalidInputError

FloatArray = npt.NDArray[np.floating]


def radial_gradients(
    profiles: Any,
    edges: Sequence[float] = RADIAL_EDGES,
    *,
    inner: float = 0.0,
    outer: float = 2.0,
    logarithmic: bool = True,
) -> FloatArray:
    """Fit straight lines to radial profiles.

    Returns slope in dex (or units) per half-mass radius, against the mean radius of each
    annulus' area; NaN where fewer than two annuli have a value (a positive one, for a
    logarithm).

    Examples
    --------
    >>> import numpy as np
    >>> from picasssso.evaluation.gradients import radial_gradients
    >>> radius = np.array([2 / 3, 14 / 9])
    >>> float(radial_gradients(10 ** (-0.2 * radius)[None], [0, 1, 2])[0])
    -0.2
    """
    values = as_array(profiles).astype(np.float64)
    bounds = np.asarray(edges, dtype=float)
    if values.ndim != 2 or values.shape[1] != len(bounds) - 1:
        raise InvalidInputError(
            f"The profiles have shape {values.shape}: expected (n, {len(bounds) - 1}), one value "
            f"for each of the annuli between {len(bounds)} edges."
        )
    # Mean radius of the annulus' area.
    radius = 2 / 3 * np.diff(bounds**3) / np.diff(bounds**2)
    if logarithmic:
        values = np.log10(np.where(values > 0, values, np.nan))
    used = np.isfinite(values) & (bounds[:-1] >= inner - 1e-9) & (bounds[1:] <= outer + 1e-9)
    number = used.sum(axis=1)
    safe = np.maximum(number, 1)
    filled = np.where(used, values, 0)
    mean_r = (used * radius).sum(axis=1) / safe
    mean_v = filled.sum(axis=1) / safe
    offset = np.where(used, radius - mean_r[:, None], 0)
    top = (offset * (filled - mean_v[:, None])).sum(axis=1)
    bottom = (offset**2).sum(axis=1)
    return np.where((number > 1) & (bottom > 0), top / np.maximum(bottom, 1e-30), np.nan)
