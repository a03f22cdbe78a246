"""Linear interpolation between the nodes of a grid, as weights on the nodes.

Everything that is looked up in a stellar grid (a spectrum, a band's flux, a surviving
mass) is the same weighted sum over its nodes. Thus a population's spectrum and its
photometry can never disagree, and a node returns itself exactly.
"""

from __future__ import annotations

import numpy as np


def hat_weights(values: np.ndarray, nodes: np.ndarray) -> np.ndarray:
    """Return the weights of linear interpolation between nodes.

    ``values``: where to interpolate, of shape (n,); outside the nodes the nearest one is taken;
    ``nodes``: increasing nodes, of shape (k,); returns weights of shape (n, k), at most two of a
    row not 0; rows sum to 1.
    """
    values = np.clip(np.asarray(values, dtype=np.float64), nodes[0], nodes[-1])
    weights = np.zeros((values.size, nodes.size))
    rows = np.arange(values.size)
    if nodes.size == 1:
        weights[:, 0] = 1.0
        return weights
    left = np.clip(np.searchsorted(nodes, values, side="right") - 1, 0, nodes.size - 2)
    fraction = (values - nodes[left]) / (nodes[left + 1] - nodes[left])
    weights[rows, left] = 1.0 - fraction
    weights[rows, left + 1] = fraction
    return weights


def integrated_hat_weights(values: np.ndarray, nodes: np.ndarray, *, power: int = 0) -> np.ndarray:
    """Return the weights on nodes of log age, integrated from age 0.

    ``values``: ages up to which to integrate, of shape (n,), not above the last node; ``nodes``:
    increasing ages of the nodes, of shape (k,); returns integrals over age, of shape (n, k);
    rows sum to age**(power + 1) / (power + 1).
    """
    order = power + 1

    def pieces(low: np.ndarray, high: np.ndarray, to: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        # The integrals from one node to somewhere below the next, for both nodes' hats.
        whole = (to**order - low**order) / order
        upper = (to**order * np.log(to / low) - whole) / (order * np.log(high / low))
        return whole - upper, upper

    steps = np.zeros((nodes.size, nodes.size))
    rows = np.arange(1, nodes.size)
    steps[0, 0] = nodes[0] ** order / order
    steps[rows, rows - 1], steps[rows, rows] = pieces(nodes[:-1], nodes[1:], nodes[1:])
    values = np.clip(np.asarray(values, dtype=np.float64), 0.0, nodes[-1])
    left = np.clip(np.searchsorted(nodes, values, side="right") - 1, 0, nodes.size - 2)
    result = np.cumsum(steps, axis=0)[left]
    rows = np.arange(values.size)
    lower, upper = pieces(nodes[left], nodes[left + 1], np.maximum(values, nodes[0]))
    result[rows, left] += lower
    result[rows, left + 1] += upper
    young = np.flatnonzero(values < nodes[0])
    result[young] = 0.0
    result[young, 0] = values[young] ** order / order
    return result
