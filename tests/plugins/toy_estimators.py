"""Estimators of a make-believe third party, small enough to know every answer."""

from dataclasses import replace

import numpy as np

from picasssso.estimators import EstimatorTags, PropertyMapEstimator
from picasssso.exceptions import InvalidInputError, MissingBandError
from picasssso.maps.arrays import PropertyArrays


class ConstantRatio(PropertyMapEstimator):
    """Mass proportional to the light of one band."""

    tags = EstimatorTags(properties=("stellar_mass",))

    def __init__(self, *, ratio=2.0, band="sdss2010-r"):
        if not ratio > 0:
            raise InvalidInputError(f"ratio={ratio!r}: expected a positive number.")
        self.ratio = ratio
        self.band = band

    def _select_bands(self, available):
        if self.band not in available:
            raise MissingBandError(f"ConstantRatio needs {self.band}; found {available}.")
        return (self.band,)

    def _estimate(self, flux, inverse_variance, context):
        scale = np.float32(self.ratio / context.pixel_solid_angle_arcsec2)
        with np.errstate(divide="ignore"):
            sigma = np.where(inverse_variance[0] > 0, inverse_variance[0] ** -0.5, np.nan)
        sigma = sigma.astype(np.float32)
        return {"stellar_mass": PropertyArrays.from_normal(scale * flux[0], scale * sigma)}


class Smoothed(ConstantRatio):
    """The same light averaged over the cells of a 4 x 4 grid and a 3 x 3 box of cells.

    Reaches 7 pixels and is shift-equivariant on multiples of 4 only, like a U-Net.
    """

    receptive_field = 7
    stride = 4
    tags = replace(ConstantRatio.tags, shift_tolerance=1e9)

    def _estimate(self, flux, inverse_variance, context):
        result = super()._estimate(flux, inverse_variance, context)["stellar_mass"]
        mass, sigma = self._smooth(result.mean), self._smooth(result.mean * 0 + 1)
        return {"stellar_mass": PropertyArrays.from_normal(mass, sigma)}

    @staticmethod
    def _smooth(plane):
        height, width = plane.shape
        padded = np.full((-(-height // 4) * 4 + 8, -(-width // 4) * 4 + 8), np.nan)
        padded[4 : 4 + height, 4 : 4 + width] = np.where(np.isfinite(plane), plane, 0)
        cells = padded.reshape(padded.shape[0] // 4, 4, -1, 4)
        total = np.nansum(cells, axis=(1, 3))
        count = np.isfinite(cells).sum(axis=(1, 3))
        total = sum(np.roll(total, (i, j), (0, 1)) for i in (-1, 0, 1) for j in (-1, 0, 1))
        count = sum(np.roll(count, (i, j), (0, 1)) for i in (-1, 0, 1) for j in (-1, 0, 1))
        mean = np.repeat(np.repeat(total / np.maximum(count, 1), 4, 0), 4, 1)
        return mean[4 : 4 + height, 4 : 4 + width].astype(np.float32)


class WholeImage(ConstantRatio):
    """Normalized by the brightest pixel, so that every pixel matters to every other."""

    receptive_field = None

    def _estimate(self, flux, inverse_variance, context):
        peak = float(np.max(np.abs(flux))) or 1.0
        result = super()._estimate(flux, inverse_variance, context)["stellar_mass"]
        return {"stellar_mass": PropertyArrays(result.percentiles / peak, mean=result.mean / peak)}


class Sampling(ConstantRatio):
    """Draws joint samples keyed by seed and place."""

    tags = replace(ConstantRatio.tags, supports_samples=True)

    def _estimate(self, flux, inverse_variance, context):
        result = super()._estimate(flux, inverse_variance, context)["stellar_mass"]
        sigma = (result.percentiles[3] - result.percentiles[1]) / 2
        y, x = np.indices(sigma.shape) + np.reshape(context.origin, (2, 1, 1))
        draws = [
            np.sin(12.9898 * x + 78.233 * y + k + context.seed) for k in range(context.n_samples)
        ]
        samples = np.stack([result.mean + sigma * d for d in draws]) if draws else None
        return {
            "stellar_mass": PropertyArrays(result.percentiles, mean=result.mean, samples=samples)
        }
