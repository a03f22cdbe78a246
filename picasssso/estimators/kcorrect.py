"""Blanton's kcorrect behind our base class: a cross-check, and a model for plugins.

The outside package does the fitting; this module brings our bands to its responses, its
masses to surface densities, and its point estimates to percentiles. A plugin for another
package needs no more than what stands here.
"""

from __future__ import annotations

import importlib.util
import threading
import warnings
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from picasssso._core.arguments import check_integer
from picasssso.estimators.base import PropertyMapEstimator
from picasssso.estimators.context import EstimationContext
from picasssso.estimators.tags import EstimatorTags
from picasssso.exceptions import MissingBandError, MissingDependencyError
from picasssso.filters.curves import filter_hashes, load_filter
from picasssso.maps.arrays import NORMAL_SCORES, PERCENTILES, PropertyArrays
from picasssso.quality import QualityFlag

__all__ = ["KCorrectEstimator"]

FloatArray = npt.NDArray[np.floating]

#: kcorrect's coefficients refer to a source at 10 pc; in kpc.
TEN_PARSEC_KPC = 0.01
ARCSEC2_PER_STERADIAN = (180 / np.pi * 3600) ** 2
REDSHIFT_STEP = 1e-3
#: Error of masses from other stellar models and other templates, which all pixels share
#: and no Monte Carlo shows, dex (Conroy 2013, ARA&A 51, 393: 0.1 dex at best).
MODEL_ERROR = 0.1
#: A fit whose chi2 is larger than this is flagged (five bands, five templates).
MAXIMUM_CHI2 = 25.0


class KCorrectEstimator(PropertyMapEstimator):
    """Stellar mass and metallicity with the templates of kcorrect.

    For each pixel, kcorrect [1]_ finds the non-negative sum of five template spectra that best
    fits the fluxes. The errors come from fits to perturbed fluxes; the
    perturbations, in units of each pixel's noise, are the same for all pixels, so that the
    result for a pixel does not depend on its position in the image.

    Needs the extra ``kcorrect``: ``python -m pip install "picasssso[kcorrect]"``.

    Parameters
    ----------
    n_monte_carlo : int, optional
        Perturbed fits per pixel, at least 2.

    Raises
    ------
    MissingDependencyError
        If kcorrect is not installed.
    InvalidInputError
        If a parameter cannot be used.

    Notes
    -----
    The masses are those that kcorrect calls ``mremain`` (Chabrier initial mass function,
    Bruzual & Charlot 2003 models). A sum of non-negative fits to noise is not zero; the
    `mean` plane therefore is the fit to the fluxes minus the fit to the fluxes with the
    sign changed, which averages to zero on empty sky and is the fit itself where there
    is signal. The percentiles and totals include, in addition to the noise, an error of the
    stellar models of 0.1 dex that is common to all pixels.

    References
    ----------
    .. [1] Blanton, M. R. & Roweis, S. 2007, AJ 133, 734

    Examples
    --------
    >>> from picasssso.estimators.kcorrect import KCorrectEstimator
    >>> from picasssso.testing import make_galaxy
    >>> images = make_galaxy((4, 4))
    >>> maps = KCorrectEstimator(n_monte_carlo=4).estimate(images)  # doctest: +SKIP
    """

    tags = EstimatorTags(
        properties=("stellar_mass", "stellar_metallicity"), minimum_bands=2, models_stars_only=True
    )

    def __init__(self, *, n_monte_carlo: int = 32) -> None:
        if importlib.util.find_spec("kcorrect") is None:
            raise MissingDependencyError(
                "KCorrectEstimator needs the package kcorrect, which is not installed: "
                'python -m pip install "picasssso[kcorrect]".'
            )
        check_integer("n_monte_carlo", n_monte_carlo, 2, 100_000)
        self.n_monte_carlo = n_monte_carlo

    def _select_bands(self, available: tuple[str, ...]) -> tuple[str, ...]:
        if len(available) < self.tags.minimum_bands:
            raise MissingBandError(
                f"KCorrectEstimator needs at least {self.tags.minimum_bands} bands; the images "
                f"have {', '.join(available)}."
            )
        return tuple(available)

    def shared_error(self, context: EstimationContext) -> Mapping[str, float]:
        """Return the error that all pixels share, dex."""
        return {"stellar_mass": MODEL_ERROR}

    def describe(self, context: EstimationContext) -> Mapping[str, Any]:
        """Return additional metadata of the maps."""
        from importlib.metadata import version

        return {
            "kcorrect_version": version("kcorrect"),
            "reference": "2007AJ....133..734B",
            "mass_definition": "kcorrect's mremain, Chabrier initial mass function",
        }

    def _estimate(
        self, flux: FloatArray, inverse_variance: FloatArray, context: EstimationContext
    ) -> dict[str, PropertyArrays]:
        fitter = _fitter(context.bands, context.redshift)
        n_bands, height, width = flux.shape
        valid = (inverse_variance > 0).sum(axis=0) >= self.tags.minimum_bands
        maggies = 1e-9 * flux[:, valid].T.astype(np.float64)
        weights = 1e18 * inverse_variance[:, valid].T.astype(np.float64)
        sigma = np.zeros_like(weights)
        np.divide(1, np.sqrt(weights), out=sigma, where=weights > 0)

        best = _masses(fitter, maggies, weights)
        mirrored = _masses(fitter, -maggies, weights)
        draws = [
            _masses(fitter, maggies + sigma * step, weights)
            for step in _steps(self.n_monte_carlo, n_bands)
        ]
        # Source at 10 pc -> surface density: (D_L / 10 pc)^2 / (solid angle D_A^2).
        solid_angle = context.pixel_solid_angle_arcsec2 / ARCSEC2_PER_STERADIAN
        to_density = (1 + context.redshift) ** 4 / (solid_angle * TEN_PARSEC_KPC**2)

        mass = _widened(_shifted_percentiles(best.mass, [d.mass for d in draws]), MODEL_ERROR)
        mass *= to_density
        metallicity = np.clip(
            _shifted_percentiles(best.metallicity, [d.metallicity for d in draws]),
            fitter.metallicity.min(),
            fitter.metallicity.max(),
        )
        quality = np.zeros((height, width), np.int32)
        quality[valid] = np.where(best.chi2 > MAXIMUM_CHI2, int(QualityFlag.BAD_FIT), 0)
        quality[valid] |= np.where(best.mass <= 0, int(QualityFlag.UPPER_LIMIT), 0)
        return {
            "stellar_mass": PropertyArrays(
                _fill(mass, valid),
                mean=_fill(to_density * (best.mass - mirrored.mass), valid),
                quality=quality,
            ),
            "stellar_metallicity": PropertyArrays(
                _fill(metallicity, valid), mean=_fill(best.metallicity, valid)
            ),
        }


class _Fitter:
    """kcorrect for one set of bands at one redshift; read-only once made."""

    def __init__(self, bands: tuple[str, ...], redshift: float) -> None:
        from kcorrect.kcorrect import Kcorrect
        from kcorrect.response import Response, ResponseDict

        responses = ResponseDict()
        with warnings.catch_warnings():
            # kcorrect leaves closing its data files to the garbage collector.
            warnings.simplefilter("ignore", ResourceWarning)
            for band in bands:
                curve = load_filter(band)
                responses[band] = Response(
                    wave=np.asarray(curve.wavelength, float),
                    response=np.asarray(curve.response, float),
                )
            # kcorrect interpolates its design matrix in redshift: two nodes close by,
            # a little apart since it works in single precision.
            kcorrect = Kcorrect(
                responses=list(bands),
                redshift_range=[redshift - REDSHIFT_STEP, redshift + REDSHIFT_STEP],
                nredshift=2,
            )
        design = np.asarray(kcorrect.Amatrix(redshift), float)
        # Columns of order one: the solver's tolerances are absolute.
        norms = design.max(axis=0)
        #: Relative maggies in each band of the templates, shape (bands, templates).
        self.design = design / norms
        #: Remaining mass of a source at 10 pc per unit of each column of the design.
        self.remaining_mass = np.asarray(kcorrect.templates.mremain, float) / norms
        self.metallicity = np.asarray(kcorrect.templates.mets, float)


class _Masses(NamedTuple):
    """Masses at 10 pc, metallicities and chi2 of many fits, each of shape (pixels,)."""

    mass: FloatArray
    metallicity: FloatArray
    chi2: FloatArray


# kcorrect keeps its responses in one dictionary for the whole process and moves its
# templates while it works, so fitters are made under a lock, and kept.
_LOCK = threading.Lock()


_made = lru_cache(maxsize=16)(lambda bands, redshift, curves: _Fitter(bands, redshift))


def _fitter(bands: tuple[str, ...], redshift: float) -> _Fitter:
    with _LOCK:
        return _made(bands, redshift, filter_hashes(bands))


def _masses(fitter: _Fitter, maggies: FloatArray, weights: FloatArray) -> _Masses:
    """Fit many pixels; maggies and weights have shape (pixels, bands).

    The fit is the one of ``Kcorrect.fit_coeffs``, non-negative least squares, without
    its interpolation of the design matrix for every single pixel.
    """
    from scipy.optimize import nnls

    scale = np.abs(maggies).max(axis=1, initial=0, keepdims=True)
    scale[scale == 0] = 1
    inverse_sigma = np.sqrt(weights) * scale
    target = inverse_sigma * maggies / scale
    design = inverse_sigma[:, :, None] * fitter.design
    fits = [nnls(matrix, vector) for matrix, vector in zip(design, target, strict=True)]
    coefficients = np.array([c for c, _ in fits]).reshape(len(fits), fitter.design.shape[1])
    mass = coefficients @ fitter.remaining_mass
    metallicity = np.full(len(fits), fitter.metallicity.mean())
    metals = coefficients @ (fitter.remaining_mass * fitter.metallicity)
    np.divide(metals, mass, out=metallicity, where=mass > 0)
    chi2 = np.array([norm**2 for _, norm in fits])
    return _Masses(mass * scale[:, 0], metallicity, chi2)


def _steps(n_draws: int, n_bands: int) -> FloatArray:
    """Return perturbations in units of the noise, shape (draws, bands): a Sobol sequence."""
    from scipy.stats import norm, qmc

    with_start = qmc.Sobol(n_bands, scramble=True, rng=np.random.default_rng(20070734))
    # A power of two keeps the sequence balanced.
    points = with_start.random_base2(int(np.ceil(np.log2(n_draws))))[:n_draws]
    return norm.ppf(np.clip(points, 1e-6, 1 - 1e-6))


def _shifted_percentiles(best: FloatArray, draws: list[FloatArray]) -> FloatArray:
    """Percentiles of the draws, shifted so that their median is the best fit.

    Perturbing fluxes that are noisy already moves the median as well; what is wanted of
    the draws is the width.
    """
    percentiles = np.percentile(np.stack(draws), PERCENTILES, axis=0)
    return best + percentiles - percentiles[PERCENTILES.index(50.0)]


def _widened(percentiles: FloatArray, dex: float) -> FloatArray:
    """Widen percentiles about their median by a relative error, in quadrature."""
    median = percentiles[PERCENTILES.index(50.0)]
    z = np.array(NORMAL_SCORES)[:, None]
    offset = percentiles - median
    return median + np.sign(z) * np.hypot(offset, z * np.log(10) * dex * median)


def _fill(values: FloatArray, valid: npt.NDArray[np.bool_]) -> FloatArray:
    """Put values of the valid pixels, last axis, into planes that are NaN elsewhere."""
    planes = np.full(values.shape[:-1] + valid.shape, np.nan, np.float32)
    planes[..., valid] = values
    return planes
