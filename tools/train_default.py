r"""Train, calibrate and write the weights that ship: recipe in, weights and card out.

    python tools/train_default.py tools/recipes/default.json --tables tables -o default

With a GPU it takes minutes, on two CPU cores days: give fewer ``--steps``. Where the folder of
tables is complete (``--only-tables`` makes it), torch, numpy, h5py and safetensors are all it
needs. Galaxies 0-99,999 of the recipe's seed are never trained on: 0-3,999 calibrate, 10,000 and
later are left for tests.

On a few CPU cores each member trains in a process of its own, with one thread, on pairs of its
own; then they are put together and calibrated::

    OMP_NUM_THREADS=1 python tools/train_default.py RECIPE --tables tables --initial WEIGHTS \
        --member 0 --checkpoint member_0.checkpoint -o member_0     (and 1, 2)
    python tools/train_default.py RECIPE --tables tables --join member_0 member_1 member_2 -o NAME
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import sys
import time
from dataclasses import replace
from pathlib import Path

import torch

from picasssso.mocks.worlds import Worlds
from picasssso.networks.ensemble import Ensemble
from picasssso.networks.weights import TrainedModel, filter_hashes, read_weights, write_weights
from picasssso.training.batches import PairPool
from picasssso.training.loop import run_training
from picasssso.training.recipe import Recipe, make_sources, prepare_tables
from picasssso.training.state import TrainingState
from picasssso.training.trained_model import calibrate, finish_training


def recalibrate(recipe: Recipe, arguments: argparse.Namespace, device: torch.device) -> None:
    """Calibrate trained weights anew."""
    model = read_weights(arguments.recalibrate)
    bands = (band for one in recipe.pairs for band in one.resolved_bands())
    model.card["filters"] = filter_hashes(bands)
    # It was measured with the calibration before.
    model.card.pop("accuracy", None)
    describe_calibration(model, recipe)
    calibrated(model, recipe, arguments, device)


def describe_calibration(model: TrainedModel, recipe: Recipe) -> None:
    """Write into the card by which recipe trained weights are calibrated anew."""
    model.card["date"] = datetime.date.today().isoformat()
    model.card["command"] += ", calibrated anew by --recalibrate"
    model.card["recipe"]["calibration"] = recipe.to_dict()["calibration"]
    model.card["worlds"]["calibration"] = worlds_of(recipe)["calibration"]


def worlds_of(recipe: Recipe) -> dict[str, list[dict]]:
    """Return how far zero points differ among the galaxies of each source, for the card."""
    return {
        part: [Worlds.from_value(one.settings.get("worlds")).to_dict() for one in some]
        for part, some in (("training", recipe.pairs), ("calibration", recipe.calibration))
    }


#: Pairs of one member begin so many after those of the one before.
MEMBER_PAIRS = 10_000_000


def of_member(recipe: Recipe, member: int) -> Recipe:
    """Return the recipe of one member alone: other pairs, another seed."""
    training = replace(recipe.training, members=1, seed=recipe.training.seed + member)
    first = recipe.first_pair + member * MEMBER_PAIRS
    return replace(recipe, training=training, first_pair=first)


def join_members(recipe: Recipe, arguments: argparse.Namespace, device: torch.device) -> None:
    """Put members together and calibrate them."""
    members = [read_weights(name) for name in arguments.join]
    ensemble = Ensemble([network for one in members for network in one.ensemble.networks])
    cards = [one.card for one in members]
    card = {
        **cards[0],
        "date": datetime.date.today().isoformat(),
        "command": "python tools/train_default.py, each member by --member, then --join",
        "recipe": recipe.to_dict(),
        "worlds": worlds_of(recipe),
        "grid_hashes": sorted({grid for one in cards for grid in one["grid_hashes"]}),
        **{key: [one[key] for one in cards] for key in ("training_seconds", "pairs_seen", "loss")},
    }
    calibrated(TrainedModel(ensemble, recipe.training, None, card), recipe, arguments, device)


def calibrated(
    model: TrainedModel, recipe: Recipe, arguments: argparse.Namespace, device: torch.device
) -> None:
    """Calibrate a model in place, write it and say on what."""
    start = time.perf_counter()
    for network in model.ensemble.networks:
        network.to(device)
    model.calibration, model.card["calibrated_on"] = calibrate(
        model.ensemble,
        make_sources(recipe, arguments.tables, device=device, calibration=True),
        recipe.training,
        known=make_sources(recipe, arguments.tables, device=device),
        galaxies=arguments.galaxies,
        device=device,
    )
    print(f"calibrated in {time.perf_counter() - start:.1f} s", flush=True)
    write_weights(arguments.output, model, overwrite=True)
    print(json.dumps(model.card["calibrated_on"]))


def main() -> None:
    """Train, calibrate, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--tables", type=Path, required=True, help="folder of light tables")
    parser.add_argument("--only-tables", action="store_true", help="make those and stop")
    parser.add_argument("-o", "--output", type=Path, default=Path("default"))
    parser.add_argument("--checkpoint", type=Path, help="go on from it, if it is there")
    parser.add_argument("--device", help="cpu, cuda ...")
    parser.add_argument("--galaxies", type=int, default=4000, help="galaxies that calibrate")
    parser.add_argument("--initial", type=Path, help="weights to start from")
    parser.add_argument("--recalibrate", type=Path, help="only calibrate these weights anew")
    parser.add_argument("--first-pair", type=int, help="instead of the recipe's")
    parser.add_argument("--steps", type=int, help="instead of the recipe's")
    parser.add_argument("--member", type=int, help="train one member alone, from 0 on")
    parser.add_argument("--join", nargs="+", type=Path, help="weights of members to put together")
    arguments = parser.parse_args()

    recipe = Recipe.from_json(arguments.recipe.read_text(encoding="utf-8"))
    if arguments.first_pair is not None:
        recipe = replace(recipe, first_pair=arguments.first_pair)
    if arguments.steps is not None:
        recipe = replace(recipe, training=replace(recipe.training, steps=arguments.steps))
    if arguments.only_tables or not arguments.tables.exists():
        prepare_tables(recipe, arguments.tables, progress=True)
        if arguments.only_tables:
            return
    name = arguments.device or ("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    if arguments.recalibrate is not None:
        recalibrate(recipe, arguments, device)
        return
    if arguments.join is not None:
        join_members(recipe, arguments, device)
        return
    if arguments.member is not None:
        recipe = of_member(recipe, arguments.member)
    sources = make_sources(recipe, arguments.tables, device=device)
    log = []
    going_on = bool(arguments.checkpoint and arguments.checkpoint.exists())
    if going_on:
        state = TrainingState.load(arguments.checkpoint, device)
        recipe = replace(recipe, training=state.config)
    else:
        state = TrainingState(recipe.training, device)
    initial = None
    if arguments.initial is not None:
        before = read_weights(arguments.initial)
        keys = ("sha256", "pairs_seen", "training_seconds", "hardware", "initial", "recipe")
        initial = {key: before.card.get(key) for key in keys}
        starts = before.ensemble.networks
        if arguments.member is not None and len(starts) > 1:
            starts = starts[arguments.member : arguments.member + 1]
        # A checkpoint holds what has come of them.
        for networks in () if going_on else (state.networks, state.averages):
            for mine, theirs in zip(networks, starts, strict=True):
                mine.load_state_dict(theirs.state_dict())
    pool = PairPool(sources, recipe.training, first=recipe.first_pair, device=device)

    def report(step: int, loss: float) -> None:
        log.append((step, round(loss, 5)))
        print(f"step {step} loss {loss:.4f}", flush=True)

    start = time.perf_counter()
    how = {"checkpoint": arguments.checkpoint, "progress": False, "report_every": 200}
    run_training(state, pool, report=report, **how)
    trained = time.perf_counter() - start
    card = {
        "command": " ".join(["python", os.path.basename(sys.argv[0]), *sys.argv[1:2]]),
        "recipe": recipe.to_dict(),
        "grid_hashes": sorted({source.pairs.generator.table.grid_hash for source in sources}),
        "training_seconds": round(trained, 1),
        "pairs_seen": state.step * recipe.training.batch_size,
        "loss": log[:: max(len(log) // 50, 1)],
        "initial": initial,
    }
    model = finish_training(state, sources, galaxies=0, card=card)
    raw = arguments.output.with_name(arguments.output.name + "_raw")
    write_weights(raw, model, overwrite=True)
    if arguments.member is None:
        calibrated(model, recipe, arguments, device)


if __name__ == "__main__":
    main()
