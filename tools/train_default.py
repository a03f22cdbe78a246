"""Train, calibrate and write the weights that ship: recipe in, weights and card out.

    python tools/train_default.py tools/recipes/default.json --tables tables -o default

With a GPU it takes minutes, on two CPU cores days: give ``--seconds`` to train for as many
steps as fit. Where the folder of tables is complete (``--only-tables`` makes it), torch,
numpy, h5py and safetensors are all it needs. Galaxies 0-99,999 of the recipe's seed are
never trained on: 0-3,999 calibrate, 10,000 and later are left for tests.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch

import picasssso
from picasssso.networks.calibrating import BAND_SETS, collect, fit_calibration, keep_bands
from picasssso.networks.ensemble import Ensemble
from picasssso.networks.training import (
    PairPool,
    SlottedBatch,
    TrainingState,
    run_training,
    to_slots,
)
from picasssso.networks.training.recipe import Recipe, make_sources, prepare_tables
from picasssso.networks.weights import TrainedModel, write_weights

#: Galaxies that calibrate, by the number of bands.
N_CALIBRATE = {5: 4000, 4: 1500, 3: 1500, 2: 1500, 1: 1500}


def seconds_per_step(recipe: Recipe, sources: list, device: torch.device) -> float:
    """Return how long a step takes, with its share of making galaxies."""
    config = recipe.training
    state = TrainingState(config, device)
    batches = PairPool(sources, config, first=recipe.first_pair, device=device).batches()
    for _ in range(10):
        state.train_step(next(batches))
    per_pool = config.pool_size // config.batch_size * config.replays
    # From the last step of a pool on, so that the next pool is made within.
    start = time.perf_counter()
    for _ in range(per_pool):
        loss = state.train_step(next(batches))
    float(loss)
    return (time.perf_counter() - start) / per_pool


def calibration_batches(
    sources: list, letters: str, count: int, device: torch.device, size: int
) -> Iterator[SlottedBatch]:
    """Yield galaxies as the recipe's surveys see them, in some bands."""
    fit = [
        (pairs, wavelengths, share)
        for pairs, wavelengths, share in sources
        if set(letters) <= {band.rpartition("-")[2][:1].lower() for band in pairs.bands}
    ]
    total = sum(share for *_, share in fit)
    start = 0
    for pairs, wavelengths, share in fit:
        stop = start + max(round(count * share / total), 1)
        for first in range(start, stop, size):
            batch = pairs.batch(range(first, min(first + size, stop)))
            batch = {name: values.to(device) for name, values in batch.items()}
            yield keep_bands(to_slots(batch, pairs.bands, wavelengths), letters)
        start = stop


def main() -> None:
    """Train, calibrate, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--tables", type=Path, required=True, help="folder of light tables")
    parser.add_argument("--only-tables", action="store_true", help="make those and stop")
    parser.add_argument("-o", "--output", type=Path, default=Path("default"))
    parser.add_argument("--seconds", type=float, help="train for as many steps as fit")
    parser.add_argument("--checkpoint", type=Path, help="go on from it, if it is there")
    parser.add_argument("--device", help="cpu, cuda ...")
    parser.add_argument("--calibrate", type=float, default=1.0, help="part of the galaxies")
    arguments = parser.parse_args()

    recipe = Recipe.from_json(arguments.recipe.read_text(encoding="utf-8"))
    if arguments.only_tables or not arguments.tables.exists():
        prepare_tables(recipe, arguments.tables, progress=True)
        if arguments.only_tables:
            return
    name = arguments.device or ("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    sources = make_sources(recipe, arguments.tables, device=device)
    log = []
    if arguments.seconds is not None and not (
        arguments.checkpoint and arguments.checkpoint.exists()
    ):
        each = seconds_per_step(recipe, sources, device)
        steps = max(int(arguments.seconds / each), 100)
        print(f"{each * 1e3:.2f} ms per step: {steps} steps", flush=True)
        recipe = replace(recipe, training=replace(recipe.training, steps=steps))
    if arguments.checkpoint and arguments.checkpoint.exists():
        state = TrainingState.load(arguments.checkpoint, device)
        recipe = replace(recipe, training=state.config)
    else:
        state = TrainingState(recipe.training, device)
    pool = PairPool(sources, recipe.training, first=recipe.first_pair, device=device)

    def report(step: int, loss: float) -> None:
        log.append((step, round(loss, 5)))
        print(f"step {step} loss {loss:.4f}", flush=True)

    start = time.perf_counter()
    run_training(
        state,
        pool,
        checkpoint=arguments.checkpoint,
        progress=False,
        report=report,
        report_every=200,
    )
    trained = time.perf_counter() - start
    ensemble = Ensemble(state.averages)
    card = {
        "package_version": picasssso.__version__,
        "date": datetime.date.today().isoformat(),
        "command": "python " + " ".join([os.path.basename(sys.argv[0]), *sys.argv[1:2]]),
        "recipe": recipe.to_dict(),
        "grid_hashes": sorted({pairs.generator.table.grid_hash for pairs, *_ in sources}),
        "hardware": torch.cuda.get_device_name() if device.type == "cuda" else platform.machine(),
        "torch": torch.__version__,
        "training_seconds": round(trained, 1),
        "pairs_seen": state.step * recipe.training.batch_size,
        "loss": log[:: max(len(log) // 50, 1)],
        "calibrated_on": {},
    }
    model = TrainedModel(ensemble, recipe.training, None, card)
    write_weights(
        arguments.output.with_name(arguments.output.name + "_raw"), model, overwrite=True
    )
    start = time.perf_counter()
    collections = {}
    size = 256 if device.type == "cuda" else 64
    for count, letters in BAND_SETS.items():
        wanted = max(int(N_CALIBRATE[count] * arguments.calibrate), 64)
        batches = calibration_batches(sources, letters, wanted, device, size)
        keep = "cpu" if device.type == "cpu" else device
        collections[count] = collect(ensemble, batches, keep_on=keep)
        card["calibrated_on"][letters] = len(collections[count].signal)
    model.calibration = fit_calibration(collections)
    print(f"calibrated in {time.perf_counter() - start:.1f} s", flush=True)
    card = write_weights(arguments.output, model, overwrite=True)
    print(json.dumps({k: card[k] for k in ("sha256", "training_seconds", "pairs_seen")}))


if __name__ == "__main__":
    main()
