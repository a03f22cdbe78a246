"""Measure pixels per second on one core, beside what users would take instead.

In one run and one process, with one thread: `SEDFitEstimator.estimate` (50,000 models, five
bands, five properties with percentiles, means, chi2 and flags; the library is built before),
kcorrect's own ``fit_coeffs`` (point estimates), our `KCorrectEstimator` (Monte Carlo
errors), and a grid fit in plain numpy: two matrix products, an exponential, and a third
product for means and variances, no percentiles, no amplitude posterior.

The clock is the process's own CPU time, since other work on the machine lengthens the wall
clock, which is given too; it may lengthen CPU time as well (shared caches and cores), so
the best turn is given beside the median. Turns are taken in rounds, all in each.

Then, or alone with ``--shared``, what stated errors of sky and zero points cost, and how what
they do to the maps compares with fits of shifted images.
"""

from __future__ import annotations

import os
import statistics
import sys
import warnings
from collections.abc import Callable
from time import perf_counter, process_time

import astropy.units as u
import numpy as np
from records import options_of, record
from sed_fit_common import BANDS, INTENSIVE, PROPERTIES, SCALED, make_images, read_bc03

from picasssso import BandImages, SEDFitEstimator
from picasssso.sps import ModelLibrary, SEDPrior

REDSHIFT = 0.05
BARS = {"least": 4_000, "go_for": 15_000}


class NumpyGridFit:
    """Posterior means and variances over a library, float32, in blocks that fit a cache."""

    def __init__(self, library: ModelLibrary, block: int = 32) -> None:
        self.models = np.ascontiguousarray(library.fluxes.T, np.float32) * np.float32(1e8)
        self.square = self.models**2
        scaled = [library.properties[own] for own in SCALED.values()]
        constant = [library.properties[name] for name in INTENSIVE]
        # For amplitudes: the ratio goes with the amplitude.
        self.ratios = np.stack([x for v in scaled for x in (v, v**2)], 1).astype(np.float32)
        self.values = np.stack(
            [np.ones(len(library)), *(x for v in constant for x in (v, v**2))], 1
        ).astype(np.float32)
        self.block = block

    def moments(self, flux: np.ndarray, sigma: np.ndarray) -> np.ndarray:
        """Return sums over models by property, shape (n_pixel, 10), over the total."""
        weight = (sigma**-2.0).astype(np.float32)
        product = (flux * weight).astype(np.float32)
        results = []
        for start in range(0, len(flux), self.block):
            part = slice(start, start + self.block)
            amplitude = product[part] @ self.models
            norm = weight[part] @ self.square
            power = amplitude * amplitude
            power /= norm
            amplitude /= norm
            power -= power.max(axis=1, keepdims=True)
            power *= 0.5
            # Below e^-80 lie denormal numbers, which are slow.
            np.maximum(power, -80.0, out=power)
            np.exp(power, out=power)
            sums = power @ self.values
            power *= amplitude
            first = power @ self.ratios[:, ::2]
            power *= amplitude
            second = power @ self.ratios[:, 1::2]
            total = sums[:, :1]
            results.append(np.concatenate([sums[:, 1:], first, second], axis=1) / total)
        return np.concatenate(results)


def kcorrect_fits(flux: np.ndarray, sigma: np.ndarray) -> Callable[[], object]:
    """Return kcorrect's point fit of all pixels by its own call."""
    from kcorrect.kcorrect import Kcorrect

    responses = [f"sdss_{band[-1]}0" for band in BANDS]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitter = Kcorrect(responses=responses)
    maggies, inverse = flux * 1e-9, (sigma * 1e-9) ** -2.0
    redshift = np.full(len(flux), REDSHIFT)
    return lambda: fitter.fit_coeffs(redshift=redshift, maggies=maggies, ivar=inverse)


def pixels(kind: str, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return fluxes and errors, nmgy.

    ``five_percent``: errors of 5 % of each flux, delayed exponentials of BC03 if it is at
    hand (PopStar if not). ``disk``: such pixels in an exponential disk, from a
    signal-to-noise ratio of 50 in r at its center down to sky, errors the same everywhere.
    """
    grid = read_bc03()
    prior = SEDPrior(burst_probability=0.0, truncation_probability=0.0)
    draws = ModelLibrary.build(BANDS, REDSHIFT, n_models=n, prior=prior, grid=grid, seed=20_005)
    rng = np.random.default_rng(9)
    flux = draws.fluxes[rng.permutation(n)].astype(float)
    flux *= 1.0 / flux[:, 2:3]
    if kind == "five_percent":
        sigma = 0.05 * flux
        return flux + sigma * rng.standard_normal(flux.shape), sigma
    side = int(np.sqrt(n))
    y, x = np.indices((side, side)) - (side - 1) / 2
    light = np.exp(-np.hypot(y, x) / (side / 10)).ravel()
    flux = flux[: side**2] * light[:, None]
    sigma = np.broadcast_to(np.array([0.6, 0.8, 1.0, 1.2, 2.0]) / 50, flux.shape)
    return flux + sigma * rng.standard_normal(flux.shape), np.array(sigma)


def count_models(fit: Callable[[], object], n_pairs: int) -> dict[str, float]:
    """Return parts of ``n_pairs`` models and pixels: those computed, and those with a weight."""
    from picasssso.estimators._grid_posterior import bright

    weigh, counts = bright._weigh, [0, 0]

    def counted(models, flux, *rest):  # type: ignore[no-untyped-def]
        moments, best = weigh(models, flux, *rest)
        counts[0] += len(models.flux) * flux.shape[1]
        counts[1] += int((moments[: len(models.flux)] >= 1).sum())
        return moments, best

    bright._weigh = counted
    try:
        fit()
    finally:
        bright._weigh = weigh
    return {"computed": counts[0] / n_pairs, "with_weight": counts[1] / n_pairs}


class Refitted(SEDFitEstimator):
    """Fits the image once more for every shared error."""

    def _estimate(self, flux, inverse_variance, context):  # type: ignore[no-untyped-def]
        return super()._estimate(flux, inverse_variance, context)


def state_errors(images: BandImages, sky: float) -> dict[str, BandImages]:
    """Return images with errors of 0.02 mag in zero points and of ``sky``, nmgy per pixel."""
    stated = {"2 zero points, 2 skies": (BANDS[1:3], BANDS[2:4]), "all 5 and 5": (BANDS, BANDS)}
    return {
        name: images.replace(
            zero_point_error=dict.fromkeys(zero_points, 0.02 * u.mag),
            sky_error=dict.fromkeys(skies, sky * u.nmgy),
        )
        for name, (zero_points, skies) in stated.items()
    }


def measure_shared(n: int, rounds: int, n_models: int) -> dict[str, object]:
    """Return cost of shared errors, and how they compare with refits by signal-to-noise."""
    estimator = SEDFitEstimator(n_models=n_models, device="cpu")
    cost: dict[str, object] = {}
    for kind in ("five_percent", "disk"):
        plain = make_images(*pixels(kind, n), REDSHIFT)
        images = {"none": plain} | state_errors(plain, 0.003)
        estimator.estimate(images["all 5 and 5"][:64, :], progress=False)
        busy: dict[str, list[float]] = {name: [] for name in images}
        for _ in range(rounds):
            for name, some in images.items():
                start = process_time()
                estimator.estimate(some, progress=False)
                busy[name].append(process_time() - start)
        best = {name: min(times) for name, times in busy.items()}
        cost[kind] = {name: best[name] / best["none"] for name in best if name != "none"}
    flux, _ = pixels("five_percent", 400)
    found: dict[str, object] = {}
    for ratio in (3, 10, 50):
        sigma = np.broadcast_to(np.array([0.6, 0.8, 1.0, 1.2, 2.0]) / ratio, flux.shape)
        noisy = flux + sigma * np.random.default_rng(2).standard_normal(flux.shape)
        stated = state_errors(make_images(noisy, sigma, REDSHIFT), 0.2 / ratio)["all 5 and 5"]
        mine = estimator.estimate(stated, progress=False).systematics
        other = Refitted(n_models=n_models, device="cpu").estimate(stated, progress=False)
        for kind in ("sky", "zero_point"):
            modes = [mode for mode in mine if mode.startswith(kind)]
            for name in PROPERTIES:
                size, expected = (
                    np.sqrt(sum(np.square(planes[mode][name]) for mode in modes)).ravel()
                    for planes in (mine, other.systematics)
                )
                share = np.percentile(size / expected, [16, 50, 84])
                found[f"{kind}, {name}, S/N {ratio}"] = share.tolist()
    return {"cpu_time_over_none": cost, "over_refits_16_50_84": found}


def main() -> None:
    """Measure, print and write the result."""
    # Alone, shared: what errors of sky and zero points cost.
    options = options_of(__doc__, pixels=8_192, rounds=3, n_models=50_000, shared=False)
    if os.environ.get("OMP_NUM_THREADS") != "1":
        # Libraries read it when they are imported, so once more from the start.
        os.environ |= {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}
        os.execv(sys.executable, [sys.executable, *sys.argv])
    n = options.pixels
    shared = {"shared_errors": measure_shared(n, options.rounds, options.n_models)}
    if options.shared:
        record("sed_fit_speed.json", shared["shared_errors"], "shared_errors")
        return
    flux, sigma = pixels("five_percent", n)
    disk = pixels("disk", n)
    estimator = SEDFitEstimator(n_models=options.n_models, device="cpu")
    plain = SEDFitEstimator(
        n_models=options.n_models, error_floor=0.0, template_error=False, device="cpu"
    )
    library = ModelLibrary.build(BANDS, REDSHIFT, n_models=options.n_models)
    blocks = {}
    for block in (8, 16, 32, 64, 128):
        fit = NumpyGridFit(library, block)
        fit.moments(flux[:block], sigma[:block])
        start = process_time()
        fit.moments(flux[:512], sigma[:512])
        blocks[block] = process_time() - start
    reference = NumpyGridFit(library, min(blocks, key=lambda block: blocks[block]))

    def estimate(which: SEDFitEstimator, data: tuple[np.ndarray, np.ndarray]) -> Callable:
        images = make_images(*data, REDSHIFT)
        which.estimate(images[:32, :], progress=False)
        return lambda: which.estimate(images, progress=False)

    runs: dict[str, tuple[int, Callable[[], object]]] = {
        "SEDFitEstimator, 5 % errors": (n, estimate(plain, (flux, sigma))),
        "SEDFitEstimator, 5 % errors and floor": (n, estimate(estimator, (flux, sigma))),
        "SEDFitEstimator, exponential disk": (len(disk[0]), estimate(plain, disk)),
        "numpy grid, two products, moments only": (
            n // 8,
            lambda: reference.moments(flux[: n // 8], sigma[: n // 8]),
        ),
    }
    try:
        from picasssso.estimators.kcorrect import KCorrectEstimator

        runs["kcorrect fit_coeffs, point estimates"] = (
            n // 4,
            kcorrect_fits(flux[: n // 4], sigma[: n // 4]),
        )
        kcorrect = KCorrectEstimator()
        images = make_images(flux[: n // 32], sigma[: n // 32], REDSHIFT)
        kcorrect.estimate(images[:8, :], progress=False)
        runs["KCorrectEstimator, 32 Monte Carlo fits"] = (
            n // 32,
            lambda: kcorrect.estimate(images, progress=False),
        )
    except ImportError as error:
        print(f"kcorrect is left out: {error}")
    busy: dict[str, list[float]] = {name: [] for name in runs}
    wall: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(options.rounds):
        for name, (_, run) in runs.items():
            start, clock = process_time(), perf_counter()
            run()
            busy[name].append(process_time() - start)
            wall[name].append(perf_counter() - clock)

    def rates(choose: Callable, seconds: dict[str, list[float]]) -> dict[str, float]:
        return {name: count / choose(seconds[name]) for name, (count, _) in runs.items()}

    result = {
        "n_models": options.n_models,
        "bands": BANDS,
        "bars_pixels_per_s": BARS,
        "stars": "BC03" if read_bc03() is not None else "PopStar",
        "pixels_per_cpu_s": rates(statistics.median, busy),
        "pixels_per_cpu_s_best": rates(min, busy),
        "pixels_per_wall_s_best": rates(min, wall),
        "models_of_all": {
            name: count_models(run, count * options.n_models)
            for name, (count, run) in runs.items()
            if name.startswith("SEDFitEstimator")
        },
        "pixels": {name: count for name, (count, _) in runs.items()},
        "rounds": options.rounds,
        "numpy_block": reference.block,
        "load_1min": os.getloadavg()[0],
    } | shared
    record("sed_fit_speed.json", result)


if __name__ == "__main__":
    main()
