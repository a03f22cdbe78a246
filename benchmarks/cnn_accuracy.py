"""Measure how accurate the shipped network is, and how true its uncertainties are.

Galaxies are the default SDSS mocks of a seed that was used in no training, calibration or
choice. Apertures are ellipses of twice the half-mass radius; pixels are those within three of
these radii, at most 400 of a galaxy; the signal-to-noise ratio (S/N) is that of a pixel in
the i band. Residuals are log10(estimate / truth), for attenuation in mag; errors are those of
resampled galaxies. Parts (all, or those that are named):

- ``default``: truth at the image's PSF, pixels by S/N, and aperture sums;
- ``coverage``: of 68 and 95 % ranges of pixels and of aperture sums (from joint samples);
- ``totals``: of the ranges of `PropertyMaps.total` without samples, for the first half of these;
- ``bands``: fewer bands, with the same weights;
- ``worlds``: mocks that all live in one world, in which all zero points are known;
- ``link``: the mocks' link between morphology and populations switched off;
- ``clean``: no stars and galaxies in front of or behind the galaxy;
- ``native``: truth at its own resolution, asked for (``resolution="native"``) or not;
- ``zero_points``: how far errors of aperture sums follow the zero points of a galaxy's world,
  where nothing makes up for the age of worlds (``mass_at_age`` of `Worlds` is from here).

All is at the level of arrays, which costs a tenth of what `CNNEstimator` on single cutouts does;
that both give the same maps is tested. Other estimators and galaxies of simulations are
measured by ``picasssso evaluate`` (``benchmarks/experiments``).

Run from the root of the repository: ``python benchmarks/cnn_accuracy.py [--parts PART ...]``, then
``python tools/write_accuracy.py`` for the tables of the documentation and the model card.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from records import light_table, options_of, record
from tqdm.auto import tqdm

from picasssso import CNNEstimator
from picasssso.estimators._cnn.weight_files import weights_path
from picasssso.evaluation.apertures import Apertures, fit_apertures
from picasssso.evaluation.calibration import rank_intervals, ranks_to_calibration
from picasssso.evaluation.measures import Settings, join_records, measure
from picasssso.evaluation.residuals import residual_statistics
from picasssso.evaluation.stacks import MapStack, log10_positive
from picasssso.evaluation.summary import PER_STELLAR_MASS, _is_empty, _residual
from picasssso.evaluation.sums import aperture_values
from picasssso.filters.curves import pivot_wavelength
from picasssso.mocks import GeneratedPairs, ProceduralGalaxies
from picasssso.mocks.light import LightTable
from picasssso.networks.conformal import local_signal
from picasssso.networks.heads import QUANTILES, Prediction
from picasssso.networks.mixture import hold_hydrogen, linear_means, linear_quantiles, linear_values
from picasssso.networks.outputs import OUTPUT_NAMES, OUTPUTS
from picasssso.networks.weights import TrainedModel, read_weights
from picasssso.pairs.source import Batch
from picasssso.pairs.truth import TrueSums
from picasssso.properties import PROPERTIES
from picasssso.training.batches import SlottedBatch, to_slots
from picasssso.training.error_correlation import sample_scores
from picasssso.training.held_out import keep_bands
from picasssso.training.targets import make_targets

UGRIZ = tuple(f"sdss2010-{band}" for band in "ugriz")
WAVELENGTHS = [float(pivot_wavelength(band).to_value("AA")) for band in UGRIZ]
#: Used in no training, calibration or choice.
SEED = 555001
SETTINGS = Settings(oracle=False, structure=False)
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


# ---- galaxies and predictions ---------------------------------------------------------


def make_pairs(table: LightTable, seed: int = SEED, **settings: Any) -> GeneratedPairs:
    """Return the default SDSS mocks of 64 x 64 pixels."""
    return GeneratedPairs(
        seed, survey="sdss", n_pixels=64, device="cpu", table=table, bands=UGRIZ, **settings
    )


def batches(pairs: Any, count: int, size: int = BATCH, first: int = 0) -> Iterator[Batch]:
    """Yield galaxies a batch at a time."""
    for start in tqdm(range(first, first + count, size)):
        yield pairs.batch(range(start, min(start + size, first + count)))


def predict(model: TrainedModel, slotted: SlottedBatch) -> Prediction:
    """Return calibrated predictions."""
    has_band = slotted.has_band()
    planes = slotted.flux, slotted.inverse_variance
    said = model.ensemble.predict(*planes, slotted.conditions, has_band)
    assert model.calibration is not None
    return model.calibration.apply(said.prediction, local_signal(*planes), has_band.sum(1))


def to_stack(prediction: Prediction) -> MapStack:
    """Return the maps that `CNNEstimator` gives for predictions."""
    planes = hold_hydrogen(linear_quantiles(prediction))
    means = hold_hydrogen(linear_means(prediction))
    values = {
        name: means[:, k] if PROPERTIES[name].is_surface_density else planes[:, k, 2]
        for k, name in enumerate(OUTPUT_NAMES)
    }
    return MapStack(values, {name: planes[:, k] for k, name in enumerate(OUTPUT_NAMES)})


def estimate(
    model: TrainedModel, batch: Batch, letters: str = "ugriz", *, sharp: bool = False
) -> MapStack:
    """Return the shipped network's maps of a batch of pairs."""
    slotted = keep_bands(to_slots(batch, list(UGRIZ), WAVELENGTHS, sharp=sharp), letters)
    with torch.inference_mode():
        return to_stack(predict(model, slotted))


def true_stack(batch: Batch, *, native: bool = False) -> MapStack:
    """Return the truth at the image's PSF, or at its own resolution."""
    return MapStack(TrueSums(batch["truth" if native else "truth_at_psf"]).properties())


def apertures_of(truth: MapStack, batch: Batch, method: str = "moments") -> Apertures:
    """Return ellipses about true stellar masses."""
    return fit_apertures(
        truth.values["stellar_mass"],
        half_mass_radius=(batch["half_mass_radius"] / batch["pixel_scale_kpc"]).numpy(),
        method=method,
    )


def residual_of(kept: dict[str, Any], name: str, part: str) -> np.ndarray:
    """Return residuals of pixels' medians or of aperture sums; NaN where there is nothing."""
    kind = "median" if f"{part}.median.{name}" in kept else "estimate"
    found = _residual(kept, name, part, kind)
    # A median of zero where there is something is counted apart.
    return np.where(np.isfinite(found), found, np.nan)


def kept_of(batch: Any, stack: MapStack, truth: MapStack, *, apertures: Any, **more: Any) -> Any:
    """Return what `measure` keeps of a batch; signal to noise is that of the i band."""
    signal = (batch["flux"][:, 3] * batch["inverse_variance"][:, 3].sqrt()).numpy()
    return measure(
        truth, stack, apertures, SETTINGS,
        galaxy=batch["number"], signal_to_noise=signal, **more,
    )  # fmt: skip


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


def figures(kept: dict[str, Any], signals: dict[str, Any] = SIGNALS) -> dict[str, Any]:
    """Return all figures of all properties."""
    galaxy, snr = kept["pixel.galaxy"], kept["pixel.snr"]
    result: dict[str, Any] = {}
    for name in OUTPUT_NAMES:
        if f"aperture.estimate.{name}" not in kept:
            continue
        of_sums, of_pixels = (residual_of(kept, name, part) for part in ("aperture", "pixel"))
        if not np.isfinite(of_sums).any():
            continue
        entry: dict[str, Any] = {"aperture": statistics(of_sums, kept["galaxy"]), "pixel": {}}
        if name in PER_STELLAR_MASS:
            entry["aperture"]["empty"] = int(_is_empty(kept, name, "aperture").sum())
        for label, (low, high) in signals.items():
            some = (snr >= low) & (snr < high)
            entry["pixel"][label] = statistics(of_pixels[some], galaxy[some])
        result[name] = entry
    return result


# ---- parts ------------------------------------------------------------------------------


def default(model: TrainedModel, pairs: Any, count: int) -> dict[str, Any]:
    """Everything against the truth at the image's PSF; apertures are fitted isophotes."""
    records = []
    for batch in batches(pairs, count):
        ellipses = apertures_of(true_stack(batch, native=True), batch, "isophote")
        stack = estimate(model, batch)
        records.append(kept_of(batch, stack, true_stack(batch), apertures=ellipses))
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
    widths = batch["psf_fwhm"].amax(1) / batch["pixel_scale"]
    found, zeros = [], []
    for k in range(len(weights)):
        y, x = np.nonzero(weights[k] > 0)
        box = (slice(y.min(), y.max() + 1), slice(x.min(), x.max() + 1))
        generator = torch.Generator().manual_seed(int(batch["number"][k]))
        w = torch.from_numpy(weights[k][box]).float()
        presence, scores = sample_scores(cal, n_samples, w.shape, float(widths[k]), generator)
        one = Prediction(
            *(
                plane[k][(..., *box)].expand(n_samples, *[-1] * (plane.ndim - 1))
                for plane in vars(prediction).values()
            )
        )
        values = hold_hydrogen(linear_values(one, scores, presence))
        stack = MapStack({name: values[:, p] for p, name in enumerate(OUTPUT_NAMES)})
        sums = aperture_values(stack, w.expand(n_samples, -1, -1))
        # Metals of gas of which there is none are none.
        drawn = np.nan_to_num(np.stack([sums[name] for name in OUTPUT_NAMES], axis=1))
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
    ranks = rank[rank >= 0].astype(int)
    found = ranks_to_calibration(
        ranks, ranks, np.empty(0), galaxy[rank >= 0], n_bootstrap=N_BOOTSTRAP
    ).to_dict()
    shares = ("coverage_68", "coverage_95")
    return {"n": found["n"], **{k: [found[k], found[f"{k}_error"]] for k in shares}}


def ranks_of_sums(kept: dict[str, Any], name: str) -> np.ndarray:
    """Return above how many percentiles true sums are; zeros at random among sampled zeros."""
    true, planes = kept[f"aperture.true.{name}"], kept[f"aperture.percentiles.{name}"]
    ranks = rank_intervals(true, planes)[:, 0]
    level = kept[f"aperture.zero.{name}"] * np.random.default_rng(0).random(len(true))
    zero = (true <= 0) & PROPERTY_OUTPUTS[name].can_be_absent
    return np.where(zero, np.searchsorted(QUANTILES, level), ranks)


def coverage(model: TrainedModel, pairs: Any, count: int, n_samples: int) -> dict[str, Any]:
    """Coverage of pixels and aperture sums; apertures by moments of the true mass."""
    records = []
    for batch in batches(pairs, count, first=10_000):
        slotted = to_slots(batch, list(UGRIZ), WAVELENGTHS)
        with torch.inference_mode():
            prediction = predict(model, slotted)
            ellipses = apertures_of(true_stack(batch, native=True), batch)
            weights = ellipses.weights(2.0)
            sums, zeros = sum_percentiles(model, prediction, weights, batch, n_samples)
            seed = int(batch["number"][0])
            truth, stack = in_order(floored(batch), to_stack(prediction), prediction, seed)
        kept = kept_of(batch, stack, truth, apertures=ellipses, sum_percentiles=sums) | zeros
        records.append(kept)
    kept = join_records(records)
    return {"galaxies": len(kept["galaxy"]), "samples": n_samples, **coverage_figures(kept)}


def totals(weights: str, table: LightTable, count: int) -> dict[str, Any]:
    """Coverage of totals as maps give them by default; apertures by moments of the true mass."""
    pairs, estimator = make_pairs(table), CNNEstimator(weights=weights, device="cpu")
    ranks: dict[str, list[int]] = {name: [] for name in OUTPUT_NAMES}
    random = np.random.default_rng(0)
    for start in tqdm(range(10_000, 10_000 + count, BATCH)):
        numbers = range(start, min(start + BATCH, 10_000 + count))
        observed, batch = pairs.generator.draw(numbers), pairs.batch(numbers)
        weight = apertures_of(true_stack(batch, native=True), batch).weights(2.0)
        for k, inside in enumerate(weight > 0.5):
            maps = estimator.estimate(observed.to_band_images(k))
            truth = observed.to_property_maps(k, at_psf=True)
            for name in OUTPUT_NAMES:
                if PROPERTIES[name].weight is None and not PROPERTIES[name].is_surface_density:
                    continue
                true = truth.total(name, inside, correlation="independent").value.value
                found = maps.total(name, inside).percentiles
                assert found is not None
                # A true zero among percentiles of zero lies anywhere.
                low, high = (np.searchsorted(found.value, true, s) for s in ("left", "right"))
                ranks[name].append(-1 if np.isnan(true) else random.integers(low, high + 1))
    galaxy = np.arange(count)
    return {
        "galaxies": count,
        "properties": {n: covered(np.array(v), galaxy) for n, v in ranks.items() if v},
    }


def coverage_figures(kept: dict[str, Any]) -> dict[str, Any]:
    """Return coverage by property, and what is farthest from the bars."""
    result: dict[str, Any] = {"properties": {}}
    galaxy = kept["pixel.galaxy"]
    kind = "median" if "pixel.median.stellar_mass" in kept else "estimate"
    # What is predicted, so that nobody needs to know the truth.
    density = log10_positive(kept[f"pixel.{kind}.stellar_mass"])
    for name in OUTPUT_NAMES:
        ranks = kept[f"pixel.below.{name}"]
        entry: dict[str, Any] = {"pixels": covered(ranks, galaxy)}
        for label, by, bins in (
            ("by_signal", kept["pixel.snr"], {**SIGNALS, **FINER}),
            ("by_radius", kept["pixel.radius"], RADII),
            ("by_density", density, DENSITIES),
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
        in_bins = label.startswith("by_")
        for level, least in (("68", 0.02), ("95", 0.01)):
            offsets = {}
            for name, entry in result["properties"].items():
                for key, row in (entry[label] if in_bins else {"all": entry[label]}).items():
                    value, error = row[f"coverage_{level}"]
                    offsets[f"{name}, {key}"] = (value - int(level) / 100, error)
            key = max(offsets, key=lambda k: abs(offsets[k][0]))
            beyond = [
                k if in_bins else k.split(",")[0]
                for k, (v, e) in offsets.items()
                if abs(v) > (0.06 if in_bins else max(least, 2 * e))
            ]
            worst[f"{label}, {level} %"] = {
                "where": key,
                "offset": list(offsets[key]),
                "beyond_0.06" if in_bins else "beyond_bar": beyond,
            }
    result["worst"] = worst
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


def settings_compared(cases: dict[str, Any], pairs: Any, count: int) -> dict[str, Any]:
    """Return figures of several ways to estimate the same galaxies."""
    records: dict[str, list[Any]] = {key: [] for key in cases}
    for batch in batches(pairs, count):
        ellipses = apertures_of(true_stack(batch, native=True), batch)
        for key, (make, native) in cases.items():
            truth = true_stack(batch, native=native)
            records[key].append(kept_of(batch, make(batch), truth, apertures=ellipses))
    return {"galaxies": count, **{key: brief(join_records(some)) for key, some in records.items()}}


def settings(part: str, model: TrainedModel, table: Any, count: int) -> dict[str, Any]:
    """Return figures of a part that compares settings: bands, native, or some of `MOCKS`."""
    plain = (lambda batch: estimate(model, batch), False)
    if part == "bands":
        cases = {
            letters: (lambda batch, letters=letters: estimate(model, batch, letters), False)
            for letters in BAND_SETS
        }
        return settings_compared(cases, make_pairs(table), count)
    if part == "native":
        sharp = (lambda batch: estimate(model, batch, sharp=True), True)
        cases = {
            "resolution psf, truth at psf": plain,
            "resolution psf, native truth": (plain[0], True),
            "resolution native, native truth": sharp,
        }
        return settings_compared(cases, make_pairs(table), count)
    result: dict[str, Any] = {}
    for label, changes in MOCKS[part].items():
        result |= settings_compared({label: plain}, make_pairs(table, **changes), count)
    return result


def zero_points(model: TrainedModel, table: Any, count: int) -> dict[str, Any]:
    """Return slopes of log10(estimate / truth) with the zero points of worlds, and their rms."""
    worlds = {"mass_at_age": 0.0}
    records = []
    for batch in batches(make_pairs(table, worlds=worlds), count):
        ellipses = apertures_of(true_stack(batch, native=True), batch)
        stack = estimate(model, batch)
        records.append(kept_of(batch, stack, true_stack(batch), apertures=ellipses))
    kept = join_records(records)
    drawn = ProceduralGalaxies(SEED, survey="sdss", worlds=worlds).parameters(kept["galaxy"])
    result: dict[str, Any] = {"galaxies": count, "properties": {}}
    for name in ("stellar_mass", "stellar_age"):
        residual = residual_of(kept, name, "aperture")
        good = np.isfinite(residual)
        entry = {"rms": float(residual[good].std())}
        for key in ("world_age_scale", "world_age", "world_mass_to_light", "world_dust"):
            (slope, _), covariance = np.polyfit(drawn[key][good], residual[good], 1, cov=True)
            entry[key] = [float(slope), float(np.sqrt(covariance[0, 0]))]
        result["properties"][name] = entry
    return result


#: Mocks that are compared with the default ones.
MOCKS: dict[str, dict[str, dict[str, Any]]] = {
    "worlds": {"worlds that differ": {}, "one world": {"worlds": False}},
    "link": {"linked": {}, "not linked": {"link_structure": False}},
    "clean": {"as they come": {}, "no foreground sources": {"observing": {"contaminants": 0.0}}},
}
PARTS = ("default", "coverage", "totals", "bands", *MOCKS, "native", "zero_points")


def main() -> None:
    """Measure the parts asked for and write them into the result."""
    # Samples are for coverage of sums; the table of light is kept in its file.
    options = options_of(
        __doc__, parts=list(PARTS), galaxies=1000, samples=100, weights="default", table=Path
    )
    if unknown := set(options.parts) - set(PARTS):
        raise SystemExit(f"unknown {', '.join(unknown)}: expected some of {', '.join(PARTS)}")
    torch.set_num_threads(1)
    model = read_weights(weights_path(options.weights))
    redshifts = ProceduralGalaxies(survey="sdss").redshift_range
    table, count = light_table(options.table, UGRIZ, redshifts), options.galaxies
    for part in options.parts:
        if part == "default":
            result = default(model, make_pairs(table), count)
        elif part == "coverage":
            result = coverage(model, make_pairs(table), count, options.samples)
        elif part == "totals":
            result = totals(options.weights, table, max(count // 2, 1))
        elif part == "zero_points":
            result = zero_points(model, table, count)
        else:
            result = settings(part, model, table, count)
        sha = model.card["sha256"][:12]
        record("cnn_accuracy.json", {"weights_sha256": sha, **result}, part)


if __name__ == "__main__":
    main()
