"""Ordering the samples of pixels so that their sums scatter by what pixels share.

Samples drawn for each pixel alone average out in sums, also that part of their scatter
which is the same error in every pixel. The samples of a pixel are therefore put into
another order, and nothing else is changed: the posterior of each pixel stays as it was,
and all properties of a sample stay together. In the new order the k-th samples of all
pixels lie to the same side of their medians as far as their errors are shared.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.floating]

#: How often pairs of samples are compared. More would gain little: what is left is that few
#: samples cannot be spread evenly in as many dimensions as there are properties.
_N_SWEEPS = 60
#: Weight of the first property, whose totals are asked for most, over that of the others.
_FIRST_WEIGHT = 2.0


def order_draws(
    draws: FloatArray,
    shared_part: FloatArray,
    correlation: FloatArray,
    noise: FloatArray,
    *,
    seed: int,
) -> npt.NDArray[np.intp]:
    """Return the order that the samples of each pixel are to be put in.

    Every place in the order has a wish for the errors of all properties, partly that of
    all pixels, partly the pixel's own. Samples go where they come closest to the wishes:
    sorted by the first property, then swapped in pairs as long as that helps.

    ``draws``: joint samples, independent between pixels; ``shared_part``: part of the variance
    that all pixels share, 0 to 1; ``noise``: standard normal numbers that belong to the pixels;
    ``seed``: seed of what pixels share.
    """
    n_properties, n_samples, _ = draws.shape
    rng = np.random.default_rng((seed, n_samples))
    # Not Cholesky's: properties that always go together make the matrix singular.
    values, vectors = np.linalg.eigh(correlation)
    root = vectors * np.sqrt(np.maximum(values, 0))
    shared = root @ rng.standard_normal((n_properties, n_samples))
    own = np.einsum("ij,jkp->ikp", root, noise)
    part = shared_part[:, None]
    wish = np.sqrt(part) * shared[:, :, None] + np.sqrt(1 - part) * own
    wish[0] *= _FIRST_WEIGHT
    order = np.empty(draws.shape[1:], np.intp)
    np.put_along_axis(order, wish[0].argsort(axis=0), draws[0].argsort(axis=0), axis=0)
    error = _normal_scores(np.take_along_axis(draws, order[None], axis=1))
    error[0] *= _FIRST_WEIGHT
    half = n_samples // 2
    for _ in range(_N_SWEEPS):
        first, second = rng.permutation(n_samples)[: 2 * half].reshape(2, half)
        apart = error[:, first] - error[:, second]
        helps = np.einsum("ikp,ikp->kp", apart, wish[:, first] - wish[:, second]) < 0
        for table in (error, order[None]):
            one, other = table[:, first], table[:, second]
            table[:, first] = np.where(helps, other, one)
            table[:, second] = np.where(helps, one, other)
    return order


def _normal_scores(draws: FloatArray) -> npt.NDArray[np.float64]:
    """Return what samples would be if they were normal, along axis 1."""
    from scipy.special import ndtri

    rank = draws.argsort(axis=1, kind="stable").argsort(axis=1)
    return ndtri((rank + 0.5) / draws.shape[1])
