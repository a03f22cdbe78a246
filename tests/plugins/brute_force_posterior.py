"""The posterior of pixels over a library, the slow and obvious way, in double precision.

Nothing is shared with the package: one pixel after the other, all models, chi2 from its
definition, percentiles of amplitude-scaled properties by bisection in the exact mixture of
normal distributions cut off at zero.
"""

import numpy as np
from scipy.special import log_ndtr

PROBABILITIES = np.array([2.5, 16.0, 50.0, 84.0, 97.5]) / 100


class BruteForce:
    """One pixel's posterior over all models."""

    def __init__(self, model_flux, flux, inverse_variance, error_floor=0.0):
        valid = inverse_variance > 0
        models = np.asarray(model_flux, float)[:, valid]
        flux = np.asarray(flux, float)[valid]
        variance = 1 / np.asarray(inverse_variance, float)[valid]
        variance = variance + (error_floor * np.maximum(flux, 0)) ** 2
        norm = (models**2 / variance).sum(1)
        self.amplitude = (models * flux / variance).sum(1) / norm
        self.sigma = 1 / np.sqrt(norm)
        self.chi2_of = ((flux - self.amplitude[:, None] * models) ** 2 / variance).sum(1)
        zero = (flux**2 / variance).sum()
        self.chi2 = min(self.chi2_of[self.amplitude > 0].min(initial=np.inf), zero)
        # Flat in amplitude over its error, of either sign ...
        log_weight = -0.5 * self.chi2_of
        self.signed = _normalized(log_weight)
        # ... and above zero.
        self.weight = _normalized(log_weight + log_ndtr(self.amplitude / self.sigma))

    def mean(self, values, scaled):
        """Mean over amplitudes of either sign, or of what does not depend on them."""
        if scaled:
            return float(self.signed @ (values * self.amplitude))
        return float(self.weight @ values)

    def cumulative(self, values, scaled, x):
        """Probability of a property below x, amplitudes above zero."""
        if not scaled:
            return float(self.weight @ (values <= x))
        positive = values > 0
        z = np.full(len(values), np.inf)
        limit = x / values[positive]
        z[positive] = (limit - self.amplitude[positive]) / self.sigma[positive]
        # P(0 < a < limit) / P(0 < a), by the tails, which do not cancel.
        above = np.exp(log_ndtr(-z) - log_ndtr(self.amplitude / self.sigma))
        return float(self.weight @ np.where(positive, 1 - np.minimum(above, 1), 1.0))

    def percentiles(self, values, scaled):
        """The 2.5, 16, 50, 84 and 97.5 % points."""
        if not scaled:
            order = np.argsort(values)
            cumulative = np.cumsum(self.weight[order])
            return np.interp(PROBABILITIES, cumulative - 0.5 * self.weight[order], values[order])
        # Models without weight would only take time.
        matters = self.weight > 1e-12 * self.weight.max()
        values, weight = values[matters], self.weight[matters]
        amplitude, sigma = self.amplitude[matters], self.sigma[matters]
        positive = values > 0
        nothing = weight[~positive].sum()
        if not positive.any():
            return np.zeros(len(PROBABILITIES))
        values, weight = values[positive], weight[positive]
        amplitude, sigma = amplitude[positive], sigma[positive]
        uncut = log_ndtr(amplitude / sigma)

        def below(x):
            z = (x[:, None] / values - amplitude) / sigma
            above = np.exp(np.minimum(log_ndtr(-z) - uncut, 0))
            return nothing + (1 - above) @ weight

        high = np.full(len(PROBABILITIES), (values * (np.maximum(amplitude, 0) + 9 * sigma)).max())
        low = 1e-12 * high
        for _ in range(36):
            middle = np.sqrt(low * high)
            less = below(middle) < PROBABILITIES
            low, high = np.where(less, middle, low), np.where(less, high, middle)
        # Between two points the distribution is as good as linear.
        return np.where(nothing >= PROBABILITIES, 0.0, np.sqrt(low * high))

    @property
    def n_effective(self):
        """Effective number of models."""
        return 1 / np.sum(self.weight**2)


def _normalized(log_weight):
    weight = np.exp(log_weight - log_weight.max())
    return weight / weight.sum()
