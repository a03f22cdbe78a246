"""Train our network and the paper's on the same pairs, and compare them on other galaxies.

Both have 16 features on the first level, so that a CPU can train them; batches, optimiser,
learning rate (1e-3, falling as a cosine), averaging of weights and turning of images are the
same, and neither loses bands. Three runs for each seed of starts and order:

- ``paper``: the network of Buck & Wolf (2021) with its own loss;
- ``ours, same pairs``: as many passes over the pairs;
- ``ours, same time``: as much processor time.

Sums inside twice the half-mass radius are compared with the truth, without an oracle mask.
The result is written after every run, and runs that are in it already are left out:

    python benchmarks/cnn_against_paper.py [--pairs 512] [--passes 6] [--seeds 3]
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from cnn_common import (
    RESULTS,
    UGRIZ,
    UNSPOILT,
    Kept,
    apertures_of,
    batches,
    make_pairs,
    make_table,
    record,
    to_stack,
    train,
    true_stack,
    wavelengths,
)

from picasssso.evaluation import (
    MapStack,
    Settings,
    join_records,
    measure,
    residual_statistics,
    residuals,
)
from picasssso.networks.buck_wolf import BASELINE_PROPERTIES, predict_maps
from picasssso.networks.ensemble import Ensemble
from picasssso.pairs.source import Batch
from picasssso.training import TrainingConfig, TrainingState
from picasssso.training.batches import to_slots

NAME = "cnn_against_paper.json"
TRAINING_SEED, TEST_SEED = 31, 32
BATCH, RATE = 8, 1e-3
NETWORKS: dict[str, dict[str, Any]] = {
    "paper": {"architecture": "buck_wolf_2021", "network": {"first_features": 16}},
    "ours": {
        "architecture": "residual_unet",
        "network": {"widths": [16, 32, 64, 128], "depths": [1, 2, 2, 3]},
    },
}


def configuration(kind: str, seed: int, pairs: int, passes: int) -> TrainingConfig:
    """Return the settings of a run; all but the network are the same."""
    return TrainingConfig(
        **NETWORKS[kind],
        seed=seed,
        steps=pairs // BATCH * passes,
        batch_size=BATCH,
        learning_rate=RATE,
        **UNSPOILT,
        pool_size=pairs,
        replays=passes,
        compiled=False,
    )


def maps_of(state: TrainingState, batch: Batch) -> MapStack:
    """Return a network's maps: means of densities where it has them."""
    slotted = to_slots(batch, UGRIZ, wavelengths(UGRIZ))
    images = slotted.flux, slotted.inverse_variance, slotted.conditions
    if state.config.architecture == "buck_wolf_2021":
        return MapStack(predict_maps([n.eval() for n in state.averages], *images))
    with torch.inference_mode():
        said = Ensemble(state.averages).predict(*images, slotted.has_band())
        stack = to_stack(said.prediction)
    return MapStack({name: stack.values[name] for name in BASELINE_PROPERTIES})


def test(state: TrainingState, kept: Kept) -> dict[str, Any]:
    """Return scatter and bias of aperture sums, and NMAD of pixels with a signal."""
    settings = Settings(oracle=False, structure=False)
    records = []
    for batch in batches(kept, len(kept.content["flux"])):
        truth = true_stack(batch)
        signal = (batch["flux"][:, 3] * batch["inverse_variance"][:, 3].sqrt()).numpy()
        records.append(
            measure(
                truth,
                maps_of(state, batch),
                apertures_of(truth, batch),
                settings,
                galaxy=batch["number"],
                signal_to_noise=signal,
            )
        )
    joined = join_records(records)
    result = {}
    mass = joined["aperture.true.stellar_mass"]
    for name in BASELINE_PROPERTIES:
        true = joined[f"aperture.true.{name}"]
        # Where there is hardly any, neither network is asked how much.
        least = {"sfr": 1e-12, "gas_mass": 1e-3, "hi_mass": 1e-3, "gas_metallicity": 0}
        carrier = joined["aperture.true.gas_mass"] / mass if name == "gas_metallicity" else 1.0
        used = (true > least.get(name, 0) * (mass if name in least else 0)) & (carrier >= 0)
        error = np.where(used, residuals(joined[f"aperture.estimate.{name}"], true), np.nan)
        s = residual_statistics(error)
        entry = {
            "sigma": s.sigma,
            "sigma_error": s.sigma_error,
            "nmad": s.nmad,
            "nmad_error": s.nmad_error,
            "mean": s.mean,
            "galaxies": int(used.sum()),
        }
        bright = joined["pixel.snr"] > 3
        there = bright & (joined[f"pixel.true.{name}"] > 0)
        pixel = np.log10(joined[f"pixel.estimate.{name}"][there].clip(1e-30))
        pixel = pixel - np.log10(joined[f"pixel.true.{name}"][there])
        entry["pixel_nmad"] = float(1.4826 * np.median(np.abs(pixel - np.median(pixel))))
        result[name] = entry
    return result


def compare(runs: dict[str, Any], ours: str) -> dict[str, Any]:
    """Return ratios of scatters over seeds, and how significant the worst is."""
    seeds = sorted(
        {key.split()[-1] for key in runs if key.startswith(ours)}
        & {key.split()[-1] for key in runs if key.startswith("paper")}
    )
    result: dict[str, Any] = {"seeds": len(seeds)}
    for what in ("sigma", "nmad", "pixel_nmad"):
        logs = {}
        for name in BASELINE_PROPERTIES:
            pairs = np.array(
                [
                    (
                        runs[f"{ours}, seed {s}"]["test"][name][what],
                        runs[f"paper, seed {s}"]["test"][name][what],
                    )
                    for s in seeds
                ]
            )
            ratio = np.log(pairs[:, 0] / pairs[:, 1])
            logs[name] = float(ratio.mean())
            entry = result.setdefault(name, {})
            entry[f"{what}_ours"], entry[f"{what}_paper"] = pairs.mean(0).tolist()
            entry[f"{what}_ratio"] = float(np.exp(ratio.mean()))
            if len(seeds) > 1:
                # Errors of the two means over seeds, combined.
                error = np.sqrt((pairs.var(0, ddof=1) / len(seeds)).sum())
                entry[f"{what}_worse_by_errors"] = float(
                    (pairs[:, 0] - pairs[:, 1]).mean() / error
                )
        result[f"{what}_geometric_mean_ratio"] = float(np.exp(np.mean(list(logs.values()))))
    return result


def main() -> None:
    """Train, test, compare, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=512)
    parser.add_argument("--passes", type=int, default=6)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--galaxies", type=int, default=384, help="to test on")
    parser.add_argument("--table", type=Path, help="light table, kept there between runs")
    options = parser.parse_args()
    torch.set_num_threads(1)
    pairs = options.pairs // BATCH * BATCH
    setting = {
        "pairs": pairs,
        "passes": options.passes,
        "test_galaxies": options.galaxies,
        "batch": BATCH,
        "learning_rate": RATE,
        "schedule": "cosine, the same for both",
        "first_features": 16,
    }
    path = RESULTS / NAME
    runs: dict[str, Any] = {}
    if path.exists():
        before = json.loads(path.read_text())
        if before.get("setting") == setting:
            runs = before["runs"]
    table = make_table(options.table)
    kept = Kept(make_pairs(table, TRAINING_SEED), pairs)
    tested = Kept(make_pairs(table, TEST_SEED), options.galaxies)
    for seed in range(options.seeds):
        for run in ("paper", "ours, same pairs", "ours, same time"):
            key = f"{run}, seed {seed}"
            if key in runs:
                continue
            passes = options.passes
            if run == "ours, same time":
                times = [runs[f"{one}, seed {seed}"] for one in ("paper", "ours, same pairs")]
                passes = round(passes * times[0]["cpu_seconds"] / times[1]["cpu_seconds"])
            print(f"{key}: {passes} passes", flush=True)
            kind = run.split(",")[0]
            state = TrainingState(configuration(kind, seed, pairs, passes))
            seconds = train(state, kept)
            runs[key] = {"passes": passes, "cpu_seconds": seconds, "test": test(state, tested)}
            result: dict[str, Any] = {"setting": setting, "runs": runs}
            for ours in ("ours, same pairs", "ours, same time"):
                if f"{ours}, seed 0" in runs and "paper, seed 0" in runs:
                    result[ours] = compare(runs, ours)
            record(NAME, result)


if __name__ == "__main__":
    main()
