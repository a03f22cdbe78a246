"""Measure how far the fit is from a brute-force posterior over the same library.

The fit works in single precision where that is enough, rules models out, sorts properties
into bins, and interpolates between nodes where the signal is faint. Brute force sums all
models in double precision from the definition. Both have the same library, so all that
differs is arithmetic. The signal-to-noise ratio is that of each band of a typical galaxy.

A percentile of a posterior that consists of few models is a step: between two models that
are 0.1 dex apart a difference of 1e-6 in probability decides. So two figures are given: the
difference itself, and the distance to the nearest percentile within 1e-3 of the same
probability.
"""

from __future__ import annotations

import argparse

import numpy as np
from sed_fit_common import (
    BANDS,
    PROPERTIES,
    brute_force,
    columns,
    make_images,
    record,
    scale,
)

from picasssso import SEDFitEstimator
from picasssso.sps import ModelLibrary

REDSHIFT = 0.05
BAR = 2e-3
SIGNAL_TO_NOISE = (0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 30.0, 100.0, 300.0, 1000.0)
#: Half of the range of probabilities within which a percentile may lie.
SLACK = 1e-3


def observe(draws: ModelLibrary, ratio: float, rng: np.random.Generator) -> tuple:
    """Return fluxes and errors: the same errors for all pixels, equal brightness."""
    models = np.asarray(draws.fluxes, float)
    sigma = np.exp(np.log(models).mean(axis=0)) * 1e8 / ratio
    brightness = ratio * np.sqrt(len(sigma))
    amplitude = brightness / np.sqrt(((models / sigma) ** 2).sum(axis=1))
    flux = models * amplitude[:, None] + sigma * rng.standard_normal(models.shape)
    return flux, np.broadcast_to(sigma, flux.shape)


def differences(name: str, found: np.ndarray, exact: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return absolute differences and distances, (5, n), in dex (mag for attenuation).

    Star formation rates more than 3 dex below the pixel's own 97.5 % point count as equal: the
    distribution's tail towards none at all is so shallow that 1e-5 in probability moves a
    percentile there by decades.
    """
    e, lo, hi = np.split(exact, 3)
    if name == "sfr":
        least = 1e-3 * e[4]
        found, e, lo, hi = (np.maximum(x, least) for x in (found, e, lo, hi))
    # Where there is no star formation at all both are zero.
    a, e, lo, hi = (np.nan_to_num(scale(name, x), nan=-99.0) for x in (found, e, lo, hi))
    return np.abs(a - e), np.maximum(np.maximum(lo - a, a - hi), 0)


def main() -> None:
    """Measure, print and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pixels", type=int, default=60, help="for each ratio")
    options = parser.parse_args()
    draws = ModelLibrary.build(BANDS, REDSHIFT, n_models=options.pixels, seed=20_004)
    library = ModelLibrary.build(BANDS, REDSHIFT)
    estimator = SEDFitEstimator(error_floor=0.0, template_error=False, device="cpu")
    result: dict = {"pixels_each": options.pixels, "bar_dex": BAR, "slack": SLACK}
    for ratio in SIGNAL_TO_NOISE:
        flux, sigma = observe(draws, ratio, np.random.default_rng(7))
        # Single precision at the door: both see the same numbers.
        flux, sigma = (np.asarray(x, np.float32).astype(float) for x in (flux, sigma))
        found = columns(estimator.estimate(make_images(flux, sigma, REDSHIFT), progress=False))
        exact = brute_force(library, flux, sigma, threshold=1e-8, slack=SLACK)
        own = result[f"signal to noise {ratio:g}"] = {}
        for name in PROPERTIES:
            plain, distance = differences(name, found.percentiles[name], exact.percentiles[name])
            own[name] = {
                "median": float(np.median(plain)),
                "99 %": float(np.percentile(plain, 99)),
                "largest": float(plain.max()),
                "largest_distance": float(distance.max()),
                "fraction_beyond_bar": float(np.mean(plain > BAR)),
                "fraction_of_distances_beyond_bar": float(np.mean(distance > BAR)),
            }
            if name in exact.mean:
                scatter = 0.5 * (exact.percentiles[name][3] - exact.percentiles[name][1])
                error = np.abs(found.mean[name] - exact.mean[name])
                own[name]["largest_error_of_mean_over_half_width"] = float((error / scatter).max())
    record("sed_fit_accuracy.json", result)


if __name__ == "__main__":
    main()
