"""Star formation histories of galaxies' components, as mass in the age bins."""

from __future__ import annotations

import numpy as np

from picasssso.mocks.age_bins import AGE_EDGES


def _younger(age: np.ndarray, start: np.ndarray, tau: np.ndarray) -> np.ndarray:
    """Return the fraction of the mass of delayed exponentials younger than ages, in Gyr."""
    x = np.clip(start - age, 0.0, None) / tau
    whole = start / tau
    return ((1.0 + x) * np.exp(-x) - (1.0 + whole) * np.exp(-whole)) / -np.expm1(
        np.log1p(whole) - whole
    )


def delayed_history(start: np.ndarray, tau: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Return the fractions of mass formed in the age bins.

    The rate is t exp(-t / tau) since the start, until a smooth end: within the last fifth of
    the time before ``end`` it drops.

    ``start``: when it began, in Gyr ago, of shape (n,); ``tau``: timescale in Gyr; ``end``: when
    it ended, in Gyr ago; 0 for never; returns of shape (n, n_age); rows sum to 1.
    """
    edges = AGE_EDGES / 1e9
    start, tau, end = (np.asarray(value)[:, None] for value in (start, tau, end))
    formed = np.diff(_younger(edges, start, tau), axis=1)
    # The part of each bin that is older than the end.
    kept = np.clip((edges[1:] - end) / np.diff(edges), 0.0, 1.0)
    formed = formed * np.where(end > 0, kept, 1.0) + 1e-12
    return formed / formed.sum(axis=1, keepdims=True)


def timescale_of_rate(specific_rate: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Return tau (0.8-50 Gyr) at which rates now per mass formed are those given, in 1/Gyr."""
    # In units of the start's time: rate x start = x^2 e^-x / (1 - (1 + x) e^-x), x = start/tau.
    x = np.geomspace(0.05, 20.0, 400)
    rate = x**2 * np.exp(-x) / -np.expm1(np.log1p(x) - x)
    wanted = np.clip(specific_rate * start, rate[-1], rate[0])
    found = np.exp(np.interp(-np.log(wanted), -np.log(rate), np.log(x)))
    return np.clip(start / found, 0.8, 50.0)
