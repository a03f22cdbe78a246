"""Measure how accurate the shipped network is, and how true its uncertainties are.

Galaxies are the default SDSS mocks of a seed that was used in no training, calibration or
choice. Apertures are ellipses of twice the half-mass radius; pixels are those within three of
these radii, at most 400 of a galaxy; the signal-to-noise ratio (S/N) is that of a pixel in
the i band. Residuals are log10(estimate / truth), for attenuation in mag; errors are those of
resampled galaxies. Parts (all, or those that are named):

- ``default``: truth at the image's PSF, pixels by S/N, and aperture sums;
- ``coverage``: of 68 and 95 % ranges of pixels and of aperture sums (from joint samples);
- ``estimators``: beside M/L and SED fits, from what ``picasssso evaluate
  benchmarks/experiments/estimators.toml -x b -o FOLDER`` has kept (``--kept FOLDER``);
- ``one_redshift``: the same for galaxies of redshift 0.05, where models are made once;
- ``bands``: fewer bands, with the same weights;
- ``link``: the mocks' link between morphology and populations switched off;
- ``clean``: no stars and galaxies in front of or behind the galaxy;
- ``native``: truth at its own resolution, asked for (``resolution="native"``) or not;
- ``orientations``: what averaging over eight orientations gains;
- ``illustris``, ``particles``: simulated galaxies, painted by the mocks' code;
- ``real``: a DES and a GAMA galaxy beside the SED fit and M/L.

Run from the root of the repository: ``python benchmarks/cnn_accuracy.py [PART ...]``.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from cnn_common import (
    SEED,
    SHARED,
    UGRIZ,
    aperture_residual,
    apertures_of,
    batches,
    estimate,
    kept_of,
    make_pairs,
    make_table,
    pixel_residual,
    predict,
    record,
    to_stack,
    true_stack,
    wavelengths,
)

from picasssso.estimators._cnn.weights import weights_path
from picasssso.evaluation import (
    MapStack,
    fit_apertures,
    join_records,
    rank_intervals,
    residual_statistics,
    scatter_ratio,
)
from picasssso.evaluation.summary import PER_STELLAR_MASS, _is_empty
from picasssso.networks.heads import QUANTILES, Prediction
from picasssso.networks.mixture import hold_hydrogen, linear_values
from picasssso.networks.outputs import OUTPUT_NAMES, OUTPUTS
from picasssso.networks.weights import TrainedModel, read_weights
from picasssso.pairs import TrueSums
from picasssso.properties import PROPERTIES
from picasssso.training.batches import to_slots
from picasssso.training.error_correlation import sample_scores
from picasssso.training.targets import make_targets

NAME = "cnn_accuracy.json"
SIGNALS = {"below 3": (-np.inf, 3.0), "3 to 10": (3.0, 10.0), "above 10": (10.0, np.inf)}
FINER = {"3 to 10": (3.0, 10.0), "10 to 20": (10.0, 20.0), "above 20": (20.0, np.inf)}
RADII = {f"{low:g} to {low + 1:g}": (low, low + 1) for low in (0.0, 1.0, 2.0)}
DENSITIES = {f"1e{k} to 1e{k + 1}": (float(k), k + 1.0) for k in range(5, 10)}
BAND_SETS = ("ugriz", "ugri", "griz", "gri", "gr", "r")
PROPERTY_OUTPUTS = {output.name: output for output in OUTPUTS}
N_BOOTSTRAP = 100
BATCH = 50

#: Zeros are put in order below zero by numbers smaller than anything there is.
TINY = 1e-20


def progress(start: float, done: int, of: int) -> None:
    """Say how far it is."""
    print(f"  {done} of {of}, {time.process_time() - start:.0f} s of CPU", file=sys.stderr)


# ---- residuals --------------------------------------------------------------------------


def statistics(residual: np.ndarray, galaxy: np.ndarray) -> dict[str, Any]:
    """Return statistics with errors."""
    s = residual_statistics(residual, galaxy, n_bootstrap=N_BOOTSTRAP)
    names = ("mean", "sigma", "median", "nmad")
    return {
        "n": s.n,
        "galaxies": s.n_galaxies,
        **{name: [getattr(s, name), getattr(s, f"{name}_error")] for name in names},
        "beyond_0.3_dex": s.outlier_fraction,
    }


def slope(residual: np.ndarray, density: np.ndarray, galaxy: np.ndarray) -> list[float]:
    """Return the slope of residuals per decade of predicted density, and its error."""
    good = np.isfinite(residual) & np.isfinite(density)
    if good.sum() < 10:
        return [math.nan, math.nan]
    x, y = density[good].astype(float), residual[good].astype(float)
    _, owner = np.unique(galaxy[good], return_inverse=True)
    sums = np.stack(
        [np.bincount(owner, weights=w) for w in (np.ones(len(x)), x, y, x * x, x * y)], axis=1
    )
    drawn = np.random.default_rng(0).multinomial(
        len(sums), np.full(len(sums), 1 / len(sums)), size=N_BOOTSTRAP
    )
    n, sx, sy, sxx, sxy = np.concatenate([sums.sum(0)[None], drawn @ sums]).T
    found = (sxy * n - sx * sy) / (sxx * n - sx**2)
    return [float(found[0]), float(found[1:].std(ddof=1))]


def density_of(kept: dict[str, Any], name: str) -> np.ndarray:
    """Return log10 of predicted density: of the property, or of stellar mass."""
    traced = name if PROPERTIES[name].is_surface_density else "stellar_mass"
    kind = "median" if f"pixel.median.{traced}" in kept else "estimate"
    values = kept[f"pixel.{kind}.{traced}"]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log10(np.where(values > 0, values, np.nan))


def figures(kept: dict[str, Any], signals: dict[str, Any] = SIGNALS) -> dict[str, Any]:
    """Return all figures of all properties."""
    galaxy, snr = kept["pixel.galaxy"], kept["pixel.snr"]
    result: dict[str, Any] = {}
    for name in OUTPUT_NAMES:
        if f"aperture.estimate.{name}" not in kept:
            continue
        of_sums, of_pixels = aperture_residual(kept, name), pixel_residual(kept, name)
        if not np.isfinite(of_sums).any():
            continue
        entry: dict[str, Any] = {"aperture": statistics(of_sums, kept["galaxy"]), "pixel": {}}
        if name in PER_STELLAR_MASS:
            entry["aperture"]["empty"] = int(_is_empty(kept, name, "aperture").sum())
        for label, (low, high) in signals.items():
            some = (snr >= low) & (snr < high)
            found = statistics(of_pixels[some], galaxy[some])
            found["slope_per_decade"] = slope(
                of_pixels[some], density_of(kept, name)[some], galaxy[some]
            )
            entry["pixel"][label] = found
        result[name] = entry
    return result


# ---- parts ------------------------------------------------------------------------------


def kept_in(path: Path | None, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return what a file holds, or make it and write the file."""
    if path is not None and path.exists():
        with np.load(path) as file:
            return {name: file[name] for name in file.files}
    made = make()
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(path, **made)
    return made


def default(model: TrainedModel, pairs: Any, count: int, folder: Path | None) -> dict[str, Any]:
    """Everything against the truth at the image's PSF; apertures are fitted isophotes."""
    records, start = [], time.process_time()

    def one(first: int) -> dict[str, Any]:
        batch = pairs.batch(range(first, min(first + BATCH, count)))
        ellipses = apertures_of(true_stack(batch, native=True), batch, "isophote")
        return kept_of(batch, estimate(model, batch), true_stack(batch), apertures=ellipses)

    for first in range(0, count, BATCH):
        path = None if folder is None else folder / f"default_{first}.npz"
        records.append(kept_in(path, lambda first=first: one(first)))  # type: ignore[misc]
        progress(start, len(records) * BATCH, count)
    return {"galaxies": count, "properties": figures(join_records(records))}


def floored(batch: Any) -> MapStack:
    """Return the truth as the network is asked for it: nothing where there is too little."""
    targets = make_targets(TrueSums(batch["truth_at_psf"]))
    present, values = targets.held_together(), {}
    for k, output in enumerate(OUTPUTS):
        value = 10.0 ** targets.log_value[:, k] - output.offset
        empty = 0.0 if output.can_be_absent else math.nan
        values[output.name] = torch.where(present[:, k], value, empty)
    return MapStack(values)


def in_order(
    truth: MapStack, stack: MapStack, prediction: Prediction, seed: int
) -> tuple[MapStack, MapStack]:
    """Return truth and maps whose zeros are told apart.

    A distribution of which a part is zero has several percentiles of zero, and a true zero lies
    anywhere in that part: its place is drawn at random. A zero at a level becomes a number
    below zero that rises with the level.
    """
    random = np.random.default_rng(seed)
    levels = np.array(QUANTILES)[:, None, None]
    values, planes = dict(truth.values), dict(stack.percentiles)
    for k, output in enumerate(OUTPUTS):
        if not output.can_be_absent:
            continue
        name, absent = output.name, 1.0 - prediction.occupancy[:, k].numpy()
        level = absent * random.random(absent.shape)
        values[name] = np.where(values[name] == 0, (level - 1.0) * TINY, values[name])
        planes[name] = np.where(planes[name] == 0, (levels - 1.0) * TINY, planes[name])
    return MapStack(values), MapStack(stack.values, planes)


def sum_percentiles(
    model: TrainedModel, prediction: Prediction, weights: np.ndarray, batch: Any, n_samples: int
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return percentiles of sums from samples as `CNNEstimator` draws them, and how many are 0."""
    cal = model.calibration
    assert cal is not None
    mass, gas = OUTPUT_NAMES.index("stellar_mass"), OUTPUT_NAMES.index("gas_mass")
    widths = batch["psf_fwhm"].amax(1) / batch["pixel_scale"]
    found, zeros = [], []
    for k in range(len(weights)):
        y, x = np.nonzero(weights[k] > 0)
        box = (slice(y.min(), y.max() + 1), slice(x.min(), x.max() + 1))
        generator = torch.Generator().manual_seed(int(batch["number"][k]))
        w = torch.from_numpy(weights[k][box]).float()
        presence, scores = sample_scores(cal, n_samples, w.shape, float(widths[k]), generator)
        one = Prediction(
            prediction.quantiles[k][(..., *box)].expand(n_samples, -1, -1, -1, -1),
            prediction.log_mean[k][(..., *box)].expand(n_samples, -1, -1, -1),
            prediction.occupancy[k][(..., *box)].expand(n_samples, -1, -1, -1),
            prediction.occupancy_logit[k][(..., *box)].expand(n_samples, -1, -1, -1),
        )
        values = hold_hydrogen(linear_values(one, scores, presence))
        sums = []
        for p, name in enumerate(OUTPUT_NAMES):
            definition = PROPERTIES[name]
            v, weight = values[:, p], w.expand(n_samples, -1, -1)
            if definition.is_surface_density:
                sums.append((v * w).sum((1, 2)))
                continue
            if definition.weight is not None:
                weight = w * values[:, gas if definition.weight == "gas_mass" else mass]
            sums.append((v * weight).sum((1, 2)) / weight.sum((1, 2)).clamp(min=1e-30))
        drawn = torch.stack(sums, 1).numpy()
        # Of a hundred samples, other definitions' central 95 % hold but 93 % of what is like them.
        found.append(np.quantile(drawn, QUANTILES, axis=0, method="weibull"))
        zeros.append((drawn == 0).mean(axis=0))
    table, empty = np.stack(found), np.stack(zeros)
    return (
        {name: table[:, :, p] for p, name in enumerate(OUTPUT_NAMES)},
        {f"aperture.zero.{name}": empty[:, p] for p, name in enumerate(OUTPUT_NAMES)},
    )


def covered(rank: Any, galaxy: Any) -> dict[str, Any]:
    """Return coverage with errors, of truths above so many of the five percentiles."""
    known = rank >= 0
    rank = rank[known].astype(int)
    _, owner = np.unique(galaxy[known], return_inverse=True)
    columns = [np.ones(len(rank)), (rank == 2) | (rank == 3), (rank >= 1) & (rank <= 4)]
    sums = np.stack([np.bincount(owner, weights=column) for column in columns], axis=1)
    drawn = np.random.default_rng(0).multinomial(
        len(sums), np.full(len(sums), 1 / len(sums)), size=N_BOOTSTRAP
    )
    every = np.concatenate([sums.sum(0)[None], drawn @ sums])
    part = every[:, 1:] / every[:, :1]
    error = part[1:].std(axis=0, ddof=1)
    return {
        "n": len(rank),
        "coverage_68": [part[0, 0], error[0]],
        "coverage_95": [part[0, 1], error[1]],
    }


def ranks_of_sums(kept: dict[str, Any], name: str) -> np.ndarray:
    """Return above how many percentiles true sums are; zeros at random among sampled zeros."""
    true, planes = kept[f"aperture.true.{name}"], kept[f"aperture.percentiles.{name}"]
    ranks = rank_intervals(true, planes)[:, 0]
    level = kept[f"aperture.zero.{name}"] * np.random.default_rng(0).random(len(true))
    zero = (true <= 0) & PROPERTY_OUTPUTS[name].can_be_absent
    return np.where(zero, np.searchsorted(QUANTILES, level), ranks)


def coverage(
    model: TrainedModel,
    pairs: Any,
    count: int,
    n_samples: int,
    folder: Path | None,
    skip: int,
    as_kept: bool,
) -> dict[str, Any]:
    """Coverage of pixels and aperture sums; apertures by moments of the true mass."""
    records, start = [], time.process_time()
    bands = list(UGRIZ)
    for first in range(10_000 + skip, 10_000 + count, BATCH):
        path = None if folder is None else folder / f"coverage_{first}_{n_samples}.npz"
        if path is not None and path.exists():
            with np.load(path) as file:
                records.append({name: file[name] for name in file.files})
            continue
        if as_kept:
            continue
        batch = pairs.batch(range(first, min(first + BATCH, 10_000 + count)))
        slotted = to_slots(batch, bands, wavelengths(bands))
        with torch.inference_mode():
            prediction, _ = predict(model, slotted)
            ellipses = apertures_of(true_stack(batch, native=True), batch)
            weights = ellipses.weights(2.0)
            sums, zeros = sum_percentiles(model, prediction, weights, batch, n_samples)
            truth, stack = in_order(floored(batch), to_stack(prediction), prediction, first)
        kept = kept_of(batch, stack, truth, apertures=ellipses, sum_percentiles=sums) | zeros
        wanted = (
            "galaxy",
            "aperture.t",
            "aperture.p",
            "aperture.z",
            "pixel.g",
            "pixel.r",
            "pixel.s",
        )
        ends = (".below.", ".estimate.", ".median.")
        records.append(
            {
                name: values
                for name, values in kept.items()
                if name.startswith(wanted) or any(end in name for end in ends)
            }
        )
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            np.savez_compressed(path, **records[-1])
        progress(start, len(records) * BATCH, count)
    kept = join_records(records)
    return {"galaxies": len(kept["galaxy"]), "samples": n_samples, **coverage_figures(kept)}


def coverage_figures(kept: dict[str, Any]) -> dict[str, Any]:
    """Return coverage by property, and what is farthest from the bars."""
    result: dict[str, Any] = {"properties": {}}
    galaxy = kept["pixel.galaxy"]
    for name in OUTPUT_NAMES:
        ranks = kept[f"pixel.below.{name}"]
        entry: dict[str, Any] = {"pixels": covered(ranks, galaxy)}
        for label, by, bins in (
            ("by_signal", kept["pixel.snr"], {**SIGNALS, **FINER}),
            ("by_radius", kept["pixel.radius"], RADII),
            ("by_density", density_of(kept, "stellar_mass"), DENSITIES),
        ):
            entry[label] = {}
            for key, (low, high) in bins.items():
                some = (by >= low) & (by < high)
                if some.sum() > 500:
                    entry[label][key] = covered(ranks[some], galaxy[some])
        known = np.isfinite(kept[f"aperture.true.{name}"])
        entry["apertures"] = covered(ranks_of_sums(kept, name)[known], kept["galaxy"][known])
        result["properties"][name] = entry
    worst: dict[str, Any] = {}
    for label in ("pixels", "apertures", "by_signal", "by_radius", "by_density"):
        for level in ("68", "95"):
            offsets = {}
            for name, entry in result["properties"].items():
                rows = entry[label] if label.startswith("by_") else {"all": entry[label]}
                for key, row in rows.items():
                    value, error = row[f"coverage_{level}"]
                    offsets[f"{name}, {key}"] = (value - int(level) / 100, error)
            key = max(offsets, key=lambda k: abs(offsets[k][0]))
            worst[f"{label}, {level} %"] = {"where": key, "offset": list(offsets[key])}
            if not label.startswith("by_"):
                least = 0.02 if level == "68" else 0.01
                worst[f"{label}, {level} %"]["beyond_bar"] = [
                    k.split(",")[0] for k, (v, e) in offsets.items() if abs(v) > max(least, 2 * e)
                ]
            else:
                worst[f"{label}, {level} %"]["beyond_0.06"] = [
                    k for k, (v, _) in offsets.items() if abs(v) > 0.06
                ]
    result["worst"] = worst
    return result


def estimators(model: TrainedModel, table: Any, folder: Path, count: int) -> dict[str, Any]:
    """Beside other estimators on the same galaxies, as far as their maps are kept."""
    from picasssso.evaluation.apertures import Apertures
    from picasssso.evaluation.experiments.configuration import load_configuration
    from picasssso.evaluation.experiments.running import load_record

    path = Path(__file__).parent / "experiments" / "estimators.toml"
    configuration = load_configuration(path).select(("b",), ())
    kept = {}
    for run in configuration.runs:
        if run.estimator == "cnn":
            seed = int(run.source["seed"])
            continue
        found = load_record(run, configuration, folder)
        if found is not None:
            kept[run.estimator] = first_galaxies(found, count)
    pairs = make_pairs(table, seed)
    most = max(int(found["galaxy"].max()) + 1 for found in kept.values())
    records = []
    for batch in batches(pairs, most, BATCH):
        ellipses: Apertures = apertures_of(true_stack(batch, native=True), batch, "isophote")
        records.append(
            kept_of(batch, estimate(model, batch), true_stack(batch), apertures=ellipses)
        )
        progress(time.process_time(), len(records) * BATCH, most)
    ours = join_records(records)
    return {"seed": seed, "estimators": compared(ours, kept)}


def compared(ours: dict[str, Any], kept: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return figures of the network and others on the galaxies that both have."""
    result: dict[str, Any] = {}
    for key, theirs in kept.items():
        mine = first_galaxies(ours, int(theirs["galaxy"].max()) + 1)
        entry: dict[str, Any] = {"galaxies": len(theirs["galaxy"]), "properties": {}}
        for name in OUTPUT_NAMES:
            if f"aperture.estimate.{name}" not in theirs:
                continue
            row: dict[str, Any] = {}
            pairs_of = [(aperture_residual(one, name), one["galaxy"]) for one in (mine, theirs)]
            row["aperture"] = beside(pairs_of)
            for label, (low, high) in {
                **SIGNALS, "below 20": (-np.inf, 20.0), "10 to 20": (10.0, 20.0),
            }.items():  # fmt: skip
                both = []
                for one in (mine, theirs):
                    some = (one["pixel.snr"] >= low) & (one["pixel.snr"] < high)
                    both.append((pixel_residual(one, name)[some], one["pixel.galaxy"][some]))
                row[label] = beside(both)
            entry["properties"][name] = row
        result[key] = entry
    return result


def one_redshift(
    model: TrainedModel, table: Any, count: int, folder: Path | None, skip: int, as_kept: bool
) -> dict[str, Any]:
    """Beside other estimators on galaxies of redshift 0.05, whose models are made once."""
    from picasssso import MassToLightEstimator, SEDFitEstimator
    from picasssso.evaluation.experiments.batches import band_images
    from picasssso.preparation import bin_images, match_psf

    pairs = make_pairs(table, SEED, redshift=0.05)
    sed = SEDFitEstimator(device="cpu")
    light = MassToLightEstimator(relation="sps")
    others = {
        "mass_to_light_sps": (light, False),
        "mass_to_light_binned": (light, True),
        "sed_fit": (sed, False),
        "sed_fit_binned": (sed, True),
    }
    kinds = ("cnn", *others)

    def galaxies(first: int) -> Any:
        batch = pairs.batch(range(first, first + 10))
        return batch, apertures_of(true_stack(batch, native=True), batch, "isophote")

    def kept_as(key: str, stack: MapStack, batch: Any, ellipses: Any) -> dict[str, Any]:
        found = kept_of(batch, stack, true_stack(batch), apertures=ellipses)
        return {f"{key}/{name}": values for name, values in found.items()}

    def make(first: int) -> dict[str, Any]:
        batch, ellipses = galaxies(first)
        plain = [band_images(batch, k, UGRIZ) for k in range(len(batch["flux"]))]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            binned = [
                bin_images(match_psf(one), snr=10.0, bands=["sdss2010-g", "sdss2010-i"])
                for one in plain
            ]
            made: dict[str, Any] = {}
            for key, (estimator, is_binned) in others.items():
                some = binned if is_binned else plain
                stack = MapStack.from_maps(
                    [estimator.estimate(one, progress=False) for one in some]
                )
                made |= kept_as(key, stack, batch, ellipses)
        return made

    parts, start = [], time.process_time()
    for first in range(skip, count, 10):
        path = None if folder is None else folder / f"one_redshift_{first}.npz"
        if as_kept and (path is None or not path.exists()):
            continue
        others_there = kept_in(path, lambda first=first: make(first))  # type: ignore[misc]
        # What the others say is kept; the network may have changed.
        batch, ellipses = galaxies(first)
        parts.append(others_there | kept_as("cnn", estimate(model, batch), batch, ellipses))
        progress(start, len(parts) * 10, count - skip)
    records = {
        key: join_records(
            [{n.split("/")[1]: v for n, v in part.items() if n.split("/")[0] == key}
             for part in parts]
        )
        for key in kinds
    }  # fmt: skip
    ours = records.pop("cnn")
    return {"redshift": 0.05, "estimators": compared(ours, records)}


def first_galaxies(kept: dict[str, Any], count: int) -> dict[str, Any]:
    """Return what is kept of the first galaxies."""
    some = {True: kept["pixel.galaxy"] < count, False: kept["galaxy"] < count}
    return {name: values[some[name.startswith("pixel.")]] for name, values in kept.items()}


def beside(both: list[tuple[np.ndarray, np.ndarray]]) -> dict[str, Any]:
    """Return NMAD, sigma and bias of two estimators and the ratio of scatters."""
    (mine, my), (theirs, their) = both
    result: dict[str, Any] = {}
    for label, (residual, galaxy) in zip(("cnn", "other"), both, strict=True):
        s = residual_statistics(residual, galaxy, n_bootstrap=2)
        result[label] = {"n": s.n, "median": s.median, "nmad": s.nmad, "sigma": s.sigma}
    r = scatter_ratio(mine, theirs, my, their, n_bootstrap=N_BOOTSTRAP)
    for name in ("nmad", "sigma"):
        result[f"{name}_ratio"] = [r[name], r[f"{name}_error"]]
    return result


def brief(kept: dict[str, Any]) -> dict[str, Any]:
    """Return the figures that are compared between settings."""
    result = {}
    for name, entry in figures(kept).items():
        result[name] = {
            "aperture_sigma": entry["aperture"]["sigma"],
            "aperture_nmad": entry["aperture"]["nmad"],
            "aperture_mean": entry["aperture"]["mean"],
            **{
                f"pixel_{what}, {label}": row[what]
                for label, row in entry["pixel"].items()
                for what in ("nmad", "median")
                if label != "below 3"
            },
        }
    return result


def settings_compared(
    cases: dict[str, Any], pairs: Any, count: int, first: int = 0
) -> dict[str, Any]:
    """Return figures of several ways to estimate the same galaxies."""
    records: dict[str, list[Any]] = {key: [] for key in cases}
    start = time.process_time()
    for batch in batches(pairs, count, BATCH, first=first):
        ellipses = apertures_of(true_stack(batch, native=True), batch)
        for key, (make, native) in cases.items():
            truth = true_stack(batch, native=native)
            records[key].append(kept_of(batch, make(batch), truth, apertures=ellipses))
        progress(start, len(records[key]) * BATCH, count)
    return {
        "galaxies": count,
        **{key: brief(join_records(some)) for key, some in records.items()},
    }


def bands(model: TrainedModel, pairs: Any, count: int) -> dict[str, Any]:
    """Fewer bands with the same weights."""
    cases = {
        letters: (lambda batch, letters=letters: estimate(model, batch, letters=letters), False)
        for letters in BAND_SETS
    }
    return settings_compared(cases, pairs, count)


def native(model: TrainedModel, pairs: Any, count: int) -> dict[str, Any]:
    """Against the truth at its own resolution."""
    cases = {
        "resolution psf, truth at psf": (lambda batch: estimate(model, batch), False),
        "resolution psf, native truth": (lambda batch: estimate(model, batch), True),
        "resolution native, native truth": (
            lambda batch: estimate(model, batch, sharp=True), True,
        ),
    }  # fmt: skip
    return settings_compared(cases, pairs, count)


def orientations(model: TrainedModel, pairs: Any, count: int) -> dict[str, Any]:
    """Return what eight orientations gain."""
    cases = {
        f"{number} orientations": (
            lambda batch, number=number: estimate(model, batch, orientations=number), False,
        )
        for number in (1, 8)
    }  # fmt: skip
    return settings_compared(cases, pairs, count)


def link(model: TrainedModel, table: Any, count: int) -> dict[str, Any]:
    """Morphology that says nothing of populations, beside the default."""
    result = {}
    for key, linked in (("linked", True), ("not linked", False)):
        pairs = make_pairs(table, SEED, link_structure=linked)
        cases = {key: (lambda batch: estimate(model, batch), False)}
        result |= settings_compared(cases, pairs, count)
    return result


def clean(model: TrainedModel, table: Any, count: int) -> dict[str, Any]:
    """Without stars and other galaxies in front of or behind the galaxy."""
    result = {}
    for key, contaminants in (("as they come", 1.0), ("no foreground sources", 0.0)):
        pairs = make_pairs(table, SEED, observing={"contaminants": contaminants})
        cases = {key: (lambda batch: estimate(model, batch), False)}
        result |= settings_compared(cases, pairs, count)
    return result


# ---- outside its world ------------------------------------------------------------------


def observed_batch(galaxies: Any, table: Any, seed: int = 1) -> Any:
    """Return painted galaxies as a batch of pairs."""
    from picasssso.mocks import ObservedPairs, observe

    light = table.light(galaxies)
    observed = observe(galaxies, light, UGRIZ, "sdss", seed=seed, contaminants=0.0)
    return ObservedPairs(observed).batch([0])


def single(model: TrainedModel, made: Iterable[tuple[str, Any]], table: Any) -> dict[str, Any]:
    """Return residuals of single galaxies of any size, and statistics of all of them."""
    from picasssso.networks.training_range import is_outside
    from picasssso.networks.training_range import measure as look

    records, rows = [], {}
    for number, (key, galaxies) in enumerate(made):
        batch = observed_batch(galaxies, table)
        batch["number"] = torch.tensor([number])
        truth = true_stack(batch, native=True)
        radius = batch["half_mass_radius"] / batch["pixel_scale_kpc"]
        # Few particles make no isophotes: ellipses by moments.
        ellipses = fit_apertures(
            truth.values["stellar_mass"],
            half_mass_radius=radius.numpy() if bool(torch.isfinite(radius).all()) else None,
            method="moments",
        )
        stack = estimate(model, batch)
        kept = kept_of(batch, stack, true_stack(batch), apertures=ellipses)
        records.append(kept)
        slotted = to_slots(batch, list(UGRIZ), wavelengths(UGRIZ))
        measured = look(
            slotted.flux, slotted.inverse_variance, slotted.conditions, slotted.has_band()
        )
        image, outside = is_outside(measured, model.calibration.ranges)  # type: ignore[union-attr]
        rows[key] = {
            "log_mass_in_aperture": float(np.log10(kept["aperture.true.stellar_mass"][0]
                                                   * float(batch["pixel_scale_kpc"][0]) ** 2)),
            "pixels_flagged_outside": float(outside.float().mean()),
            "image_outside": bool(image.any()),
            "aperture_residual": {
                name: float(aperture_residual(kept, name)[0])
                for name in OUTPUT_NAMES
                if np.isfinite(aperture_residual(kept, name)[0])
            },
        }  # fmt: skip
        density = np.log10(np.maximum(kept["pixel.true.stellar_mass"], 1e-30))
        faint = density > 6
        error = pixel_residual(kept, "stellar_mass")[faint]
        rows[key]["stellar_mass_per_pixel_above_1e6"] = {
            "n": int(np.isfinite(error).sum()),
            "median": float(np.nanmedian(error)),
            "nmad": float(1.4826 * np.nanmedian(np.abs(error - np.nanmedian(error)))),
            "rms": float(np.sqrt(np.nanmean(error**2))),
        }
    return {"galaxies": rows, "all": brief(join_records(records))}


def illustris(model: TrainedModel, table: Any) -> dict[str, Any]:
    """Return figures of painted maps of Illustris galaxies."""
    from scipy.optimize import brentq

    from picasssso.mocks.distances import pixel_sizes
    from picasssso.mocks.illustris import read_illustris_maps

    paths = sorted((SHARED / "data" / "illustris").glob("*.h5"))
    if not paths:
        return {"skipped": "the maps are not beside the checkout"}
    made, redshifts = [], {}
    for path in paths:
        maps = read_illustris_maps(path)
        # As far away as makes the maps' pixels those of the survey.
        z = brentq(lambda z, kpc=maps.pixel_scale_kpc: pixel_sizes(None, z, kpc)[0] - 0.396,
                   0.005, 0.5)  # fmt: skip
        redshifts[path.stem] = z
        made.append((path.stem, maps.to_galaxies(redshift=z)))
    return {"redshifts": redshifts, **single(model, made, table)}


def particles(model: TrainedModel, table: Any) -> dict[str, Any]:
    """Return figures of galaxies made of particles."""
    import astropy.units as u

    from picasssso.mocks.particles import read_particles

    # Files of one galaxy each; the others hold a box of many, whose half-mass radius is no size.
    paths = sorted((SHARED / "data" / "particles").glob("SimSpin_*.hdf5"))
    if not paths:
        return {"skipped": "the particles are not beside the checkout"}
    made = (
        (
            path.stem,
            read_particles(path).to_galaxies(
                n_pixels=64, redshift=0.05, pixel_scale=0.396 * u.arcsec
            ),
        )
        for path in paths
    )
    return single(model, made, table)


PARTS = (
    "default", "illustris", "particles", "bands", "link", "clean", "native",
    "orientations", "coverage", "estimators", "one_redshift",
)  # fmt: skip


def main() -> None:
    """Measure the parts asked for and write them into the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"some of {', '.join(PARTS)}")
    parser.add_argument("--galaxies", type=int, default=1000)
    parser.add_argument("--samples", type=int, default=100, help="for coverage of sums")
    parser.add_argument("--weights", default="default", help="name or path")
    parser.add_argument("--table", type=Path, help="light table, kept there between runs")
    parser.add_argument("--records", type=Path, help="folder in which parts go on")
    parser.add_argument("--skip", type=int, default=0, help="galaxies, to fill records only")
    parser.add_argument("--as-kept", action="store_true", help="only what --records has already")
    parser.add_argument("--kept", type=Path, help="folder of 'picasssso evaluate'")
    options = parser.parse_args()
    unknown = set(options.parts) - set(PARTS)
    if unknown:
        parser.error(f"unknown {', '.join(unknown)}: expected some of {', '.join(PARTS)}")
    torch.set_num_threads(1)
    model = read_weights(weights_path(options.weights))
    sha = model.card["sha256"][:12]
    count = options.galaxies
    for part in options.parts or PARTS:
        result: dict[str, Any]
        if part in ("illustris", "particles"):
            if part == "illustris":
                result = illustris(model, make_table(None, (0.05, 0.1)))
            else:
                result = particles(model, make_table(None, 0.05))
        else:
            table = make_table(options.table)
            pairs = make_pairs(table)
            if part == "estimators":
                if options.kept is None:
                    result = {"skipped": "needs --kept"}
                else:
                    result = estimators(model, table, options.kept, count)
            elif part == "link":
                result = link(model, table, count)
            elif part == "one_redshift":
                more = options.records, options.skip, options.as_kept
                result = one_redshift(model, table, count, *more)
            elif part == "clean":
                result = clean(model, table, count)
            elif part == "default":
                result = default(model, pairs, count, options.records)
            elif part == "coverage":
                result = coverage(
                    model,
                    pairs,
                    count,
                    options.samples,
                    options.records,
                    options.skip,
                    options.as_kept,
                )
            else:
                functions = {
                    "bands": bands, "native": native,
                    "orientations": orientations,
                }  # fmt: skip
                result = functions[part](model, pairs, count)
        record(NAME, {"weights_sha256": sha, **result}, part)


if __name__ == "__main__":
    main()
