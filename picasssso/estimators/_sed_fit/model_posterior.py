"""The posterior of one measurement over all models of a library, each of them looked at.

What `GridPosterior` does for millions of pixels without holding a model's weight, done for one
of them in double precision: the weights are kept, and with them what any function of the models
is, such as the flux in each band.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

#: Models below this part of the largest weight do not matter.
_LEAST_WEIGHT = 1e-9
#: Points that stand for the amplitudes of a model.
_N_POINTS = 33


@dataclass(frozen=True, eq=False)
class ModelPosterior:
    """Weights and amplitudes of models, given fluxes.

    ``models``: fluxes of the models, (n_model, n_band); ``flux``, ``variance``: what was
    measured, (n_band,), of an infinite variance where it was not; the variance holds the error
    of the models.
    """

    models: FloatArray
    flux: FloatArray
    variance: FloatArray

    @cached_property
    def amplitude(self) -> FloatArray:
        """The best amplitude of each model, of either sign."""
        return (self.models * (self.flux / self.variance)).sum(1) * self.sigma**2

    @cached_property
    def sigma(self) -> FloatArray:
        """Its error."""
        return (self.models**2 / self.variance).sum(1) ** -0.5

    @cached_property
    def chi2(self) -> FloatArray:
        """The chi2 of each model at an amplitude that is not negative."""
        best = np.maximum(self.amplitude, 0)[:, None] * self.models
        return ((self.flux - best) ** 2 / self.variance).sum(1)

    @property
    def best(self) -> int:
        """The model of the least chi2."""
        return int(self.chi2.argmin())

    @cached_property
    def weight(self) -> FloatArray:
        """Posterior of each model, with amplitudes above zero alone."""
        from scipy.special import log_ndtr

        ratio = self.amplitude / self.sigma
        logarithm = 0.5 * ratio**2 + log_ndtr(ratio)
        weight = np.exp(logarithm - logarithm.max())
        return weight / weight.sum()

    def _amplitudes(self, which: npt.NDArray[np.intp], uniform: FloatArray) -> FloatArray:
        """Return amplitudes above zero of some models, falling with numbers from 0 to 1."""
        from scipy.special import log_ndtr, ndtri_exp

        ratio = self.amplitude[which] / self.sigma[which]
        # By the tail above, which does not cancel where amplitudes are negative.
        above = ndtri_exp(np.log(uniform) + log_ndtr(ratio))
        return np.maximum(self.amplitude[which] - self.sigma[which] * above, 0)

    def percentiles(self, q: FloatArray) -> FloatArray:
        """Return percentiles of the flux of the models in each band, (n_q, n_band)."""
        kept = np.flatnonzero(self.weight > _LEAST_WEIGHT * self.weight.max())
        points = (np.arange(_N_POINTS) + 0.5) / _N_POINTS
        amplitude = self._amplitudes(kept[:, None], points)
        weight = np.repeat(self.weight[kept], _N_POINTS)
        found = []
        for model in self.models[kept].T:
            values = (amplitude * model[:, None]).ravel()
            order = np.argsort(values)
            cumulative = np.cumsum(weight[order])
            middle = (cumulative - 0.5 * weight[order]) / cumulative[-1]
            found.append(np.interp(np.asarray(q) / 100, middle, values[order]))
        return np.array(found).T

    def draw(self, n: int, seed: int) -> tuple[npt.NDArray[np.intp], FloatArray]:
        """Return models drawn from the posterior and their amplitudes, both of shape (n,)."""
        uniform = np.random.default_rng(seed).random((2, n))
        cumulative = np.cumsum(self.weight)
        chosen = np.searchsorted(cumulative, uniform[0] * cumulative[-1], side="right")
        chosen = np.minimum(chosen, len(cumulative) - 1)
        return chosen, self._amplitudes(chosen, 1 - uniform[1])
