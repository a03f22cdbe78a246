"""How much of a posterior's width all pixels have in common.

Noise differs from pixel to pixel and averages out in sums. What is left of a posterior's
width without noise does not: the errors of the models (the error floor) and what the bands
cannot tell apart (old, dusty or metal-rich) are much the same all over a galaxy. It is
measured by fitting models of the library without noise.
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
