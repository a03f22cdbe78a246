"""How much of a posterior's width all pixels have in common.

Noise differs from pixel to pixel and averages out in sums. What is left of a posterior's
width without noise does not: the errors of the models (the error floor) and what the bands
cannot tell apart (old, dusty or metal-rich) are much the same all over a galaxy. It is
measured by fitting models of the library without noise.

Samples drawn for each pixel alone average out in sums, also that part of their scatter
which is the same error in every pixel. The samples of a pixel are therefore put into
another order, and nothing else is changed: the posterior of each pixel stays as it was,
and all properties of a sample stay together. In the new order the k-th samples of all
pixels lie to the same side of their medians as far as their errors are shared.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from picasssso.estimators._grid_posterior import GridPosterior

FloatArray = npt.NDArray[np.floating]

#: Models fitted, samples of each, and the error that stands for none.
_N_REFERENCE = 256
_N_SAMPLES = 64
_NOISE = 1e-3
#: How often pairs of samples are compared. More would gain little: what is left is that few
#: samples cannot be spread evenly in as many dimensions as there are properties.
_N_SWEEPS = 60
#: Weight of the first property, whose totals are asked for most, over that of the others.
_FIRST_WEIGHT = 2.0


@dataclass(frozen=True, eq=False)
class SharedError:
    """The error that all pixels share.

    ``correlation``: rank correlation of the errors of the properties, in the order of ``dex``.
    """

    dex: Mapping[str, float]
    correlation: FloatArray


def measure_shared_error(
    posterior: GridPosterior, model_flux: FloatArray, sums: Collection[str]
) -> SharedError:
    """Measure the width of posteriors without noise."""
    flux = np.asarray(model_flux[:_N_REFERENCE], dtype=np.float64)
    # Bands without any light (beyond the Lyman limit) get the noise of the others.
    noise = _NOISE * np.maximum(flux, 1e-2 * flux.mean(axis=1, keepdims=True))
    summary = posterior.evaluate(flux, noise**-2, n_samples=_N_SAMPLES)
    assert summary.samples is not None
    dex: dict[str, float] = {}
    ranks = []
    for name, samples in summary.samples.items():
        draws = samples.numpy().astype(np.float64)
        mean, width = draws.mean(axis=0), draws.std(axis=0, ddof=1)
        weight = mean if name in sums else np.ones_like(mean)
        relative = _weighted_median(width / np.where(mean > 0, mean, 1.0), weight * (mean > 0))
        dex[name] = float(np.sqrt(np.log1p(relative**2)) / np.log(10))
        rank = draws.argsort(axis=0).argsort(axis=0) - (_N_SAMPLES - 1) / 2
        ranks.append(rank / np.sqrt((_N_SAMPLES**2 - 1) / 12))
    stacked = np.stack(ranks)
    correlation = np.einsum("ikp,jkp->ij", stacked, stacked) / stacked[0].size
    return SharedError(dex, correlation)


def _weighted_median(values: FloatArray, weights: FloatArray) -> float:
    """Return the value with half of the weight below; 0 where there is no weight."""
    if not weights.any():
        return 0.0
    order = np.argsort(values)
    cumulative = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(cumulative, 0.5 * cumulative[-1])])


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
