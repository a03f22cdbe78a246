"""Measure whether the SED fit's posteriors mean what they say: fresh draws from the prior.

Populations drawn with another seed than the library's, never members of it, in five bands
at z = 0.05. Three ways to say "errors of 5 %":

- ``fixed``: the errors of a pixel are known beforehand, 5 % of a typical galaxy's flux in
  each band. Only here do the prior and the likelihood of the fit hold exactly, so the bars
  are judged by it. The fit's prior counts every model the same at the same brightness,
  B = amplitude x sqrt(sum (m / sigma)^2), and is flat in B. The improper prior is cut to
  20 < B < 70 for the draws (5 % in five bands is B = 45); the posterior's width is 1, so
  the cut touches few.
- ``of_true_flux``, ``of_measured_flux``: errors of 5 % of each pixel's own true or measured
  fluxes, which is what people simulate. The error then knows something of the truth that
  the likelihood does not use, and upward fluctuations have larger errors: a bias of up to
  0.5 % in mass.

The rank of the truth is its place among joint samples of the posterior, ties (no star formation
at all) split at random. A z-score is the normal deviate of the rank: mean 0 and standard
deviation 1 if the posterior is right, whatever its shape. Coverage is given of the stored
percentiles, and by rank: where part of the posterior is exactly zero (sfr), intervals hold more
than their nominal part whatever the method.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from records import number, options_of, record, write_table
from scipy.special import ndtri
from scipy.stats import kstest
from sed_fit_common import (
    BANDS,
    PROPERTIES,
    Posterior,
    brute_force,
    columns,
    coverage,
    make_images,
    recovery,
    truths,
)

from picasssso import SEDFitEstimator
from picasssso.sps import ModelLibrary

REDSHIFT = 0.05
ERROR = 0.05
LIBRARY_SEED, DRAW_SEED, REFERENCE_SEED = 0, 20_001, 20_002
BRIGHTNESS = (20.0, 70.0)

#: What issue 3 asks for.
BARS = {
    "relative_to_brute_force": 0.02,
    "z_mean": 0.03,
    "z_std": 0.03,
    "coverage_68": 0.02,
    "coverage_95": 0.01,
}


def observe(
    draws: ModelLibrary, errors: str, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return fluxes, errors and amplitudes of the draws."""
    models = np.asarray(draws.fluxes, float)
    amplitude = np.full(len(models), 1e8)
    flux = models * amplitude[:, None]
    noise = rng.standard_normal(models.shape)
    if errors == "of_true_flux":
        sigma = ERROR * flux
        return flux + sigma * noise, sigma, amplitude
    if errors == "of_measured_flux":
        measured = flux * (1 + ERROR * noise)
        return measured, ERROR * measured, amplitude
    typical = np.exp(np.log(models).mean(axis=0)) * 1e8
    sigma = np.broadcast_to(ERROR * typical, models.shape)
    brightness = rng.uniform(*BRIGHTNESS, len(models))
    amplitude = brightness / np.sqrt(((models / sigma) ** 2).sum(axis=1))
    return models * amplitude[:, None] + sigma * noise, sigma, amplitude


def ranks(samples: np.ndarray, truth: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the truth's place among samples, between 0 and 1, ties split at random."""
    below, ties = (samples < truth).sum(axis=0), (samples == truth).sum(axis=0)
    place = below + rng.integers(0, ties + 1)
    return (place + rng.uniform(size=len(truth))) / (len(samples) + 1)


def judge(posterior: Posterior, truth: dict[str, np.ndarray], rng: np.random.Generator) -> dict:
    """Return z-scores, coverage and the uniformity of ranks, by property."""
    result = {}
    for name in PROPERTIES:
        p, t = posterior.percentiles[name], truth[name]
        rank = ranks(posterior.samples[name], t, rng)
        z = ndtri(rank)
        result[name] = {
            "z_mean": float(z.mean()),
            "z_std": float(z.std()),
            "coverage_68": coverage(p, t),
            "coverage_95": coverage(p, t, inner=False),
            "coverage_68_by_rank": float(np.mean((rank > 0.16) & (rank < 0.84))),
            "coverage_95_by_rank": float(np.mean((rank > 0.025) & (rank < 0.975))),
            "rank_ks_p": float(kstest(rank, "uniform").pvalue),
            "zero_fraction_of_truth": float(np.mean(t == 0)),
        }
    return result


def compare(
    ours: Posterior, reference: Posterior, truth: dict[str, np.ndarray], n: int
) -> dict[str, dict]:
    """Return how the fit differs from brute force on the same pixels.

    The errors are those of pixels drawn with replacement: the two differ by the libraries,
    and a ratio of medians over pixels is uncertain by how the libraries' models happen to lie.
    """
    some = np.random.default_rng(8).integers(0, n, (200, n))
    result = {}
    for name in PROPERTIES:

        def differences(which: Any, name: str = name) -> tuple[dict, dict, list[float]]:
            a, b = (
                recovery(name, one.percentiles[name][:, which], truth[name][which])
                for one in (ours, reference)
            )
            ratios = [a[key] / b[key] for key in ("nmad", "half_width")]
            return a, b, [(a["offset"] - b["offset"]) / b["half_width"], *ratios]

        a, b, (offset, nmad, half_width) = differences(slice(n))
        drawn = [differences(which)[2] for which in some]
        result[name] = {
            "ours": a,
            "brute_force": b,
            "offset_difference_over_half_width": abs(offset),
            "nmad_ratio_minus_1": nmad - 1,
            "half_width_ratio_minus_1": half_width - 1,
            "errors_of_these": np.std(drawn, axis=0),
        }
    return result


def main() -> None:
    """Measure, print and write the result."""
    options = options_of(
        __doc__, pixels=20_000, samples=99, brute_force_pixels=1_000, brute_force_models=500_000
    )
    draws = ModelLibrary.build(BANDS, REDSHIFT, n_models=options.pixels, seed=DRAW_SEED)
    large = ModelLibrary.build(
        BANDS, REDSHIFT, n_models=options.brute_force_models, seed=REFERENCE_SEED
    )
    estimator = SEDFitEstimator(
        seed=LIBRARY_SEED, error_floor=0.0, template_error=False, device="cpu"
    )
    result: dict = vars(options) | {"library_models": estimator.n_models, "bars": BARS}
    for errors in ("fixed", "of_true_flux", "of_measured_flux"):
        rng = np.random.default_rng(5)
        flux, sigma, amplitude = observe(draws, errors, rng)
        maps = estimator.estimate(
            make_images(flux, sigma, REDSHIFT), n_samples=options.samples, seed=1, progress=False
        )
        ours, truth = columns(maps, options.samples), truths(draws, amplitude)
        result[errors] = {"posterior": judge(ours, truth, rng)}
        if errors != "fixed":
            continue
        n = options.brute_force_pixels
        reference = brute_force(large, flux[:n], sigma[:n], threshold=1e-6)
        result[errors]["against_brute_force"] = compare(ours, reference, truth, n)
    record("sed_fit_calibration.json", result)
    write_table("sed_fit_calibration", rows_of(result["fixed"]))


def rows_of(result: dict) -> list[list[str]]:
    """Return the rows of the documentation's table."""
    rows = ["property|z mean|z std|68 %|95 %|68 % stored|p (KS)|offset|NMAD|width".split("|")]
    for name, ours in result["posterior"].items():
        beside = result["against_brute_force"][name]
        nmad = [100 * beside["nmad_ratio_minus_1"], 100 * beside["errors_of_these"][1]]
        rows.append([
            f"``{name}``",
            number(ours["z_mean"], sign=True),
            *(number(ours[key]) for key in
              ("z_std", "coverage_68_by_rank", "coverage_95_by_rank", "coverage_68")),
            number(ours["rank_ks_p"], 2),
            f"{number(100 * beside['offset_difference_over_half_width'], 1)} %",
            f"{number(nmad, 1, sign=True)} %",
            f"{number(100 * beside['half_width_ratio_minus_1'], 1, sign=True)} %",
        ])  # fmt: skip
    return rows


if __name__ == "__main__":
    main()
