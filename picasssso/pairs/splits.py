"""Assignment of galaxies to training, validation and test sets."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from picasssso._core.random import Stream
from picasssso.exceptions import InvalidInputError

#: Names and fractions: a fifth for testing, and a fifth of the rest for validation, as in
#: Buck & Wolf (2021).
SPLITS: dict[str, float] = {"train": 0.64, "validation": 0.16, "test": 0.20}


def check_fractions(fractions: Mapping[str, float]) -> dict[str, float]:
    """Return the fractions of splits, checked."""
    values = {str(name): float(value) for name, value in fractions.items()}
    if not values or min(values.values()) < 0 or abs(sum(values.values()) - 1.0) > 1e-6:
        raise InvalidInputError(
            f"splits={dict(fractions)!r} cannot be used: expected names with fractions that add "
            "up to 1."
        )
    return values


def split_of(
    galaxy: np.ndarray, seed: int = 0, fractions: Mapping[str, float] | None = None
) -> np.ndarray:
    """Return the split of galaxies; all views of a galaxy are in the same split.

    It depends only on the number of the galaxy and the seed, so that it remains the same when the
    set grows.

    ``galaxy``: numbers of galaxies, of shape (n,); returns names, of shape (n,).
    """
    chosen = check_fractions(SPLITS if fractions is None else fractions)
    place = Stream(seed, np.asarray(galaxy, dtype=np.int64)).uniform("split")
    edges = np.cumsum(list(chosen.values()))[:-1]
    return np.array(list(chosen))[np.searchsorted(edges, place, side="right")]
