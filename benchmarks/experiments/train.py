#!/usr/bin/env python
"""Train the networks that ``training.toml`` asks for, one after the other.

Run from the root of the repository, where some hours are at hand (a GPU makes it minutes)::

    python benchmarks/experiments/train.py FOLDER/weights [--only c_ --seeds 1 2 3]

For each setting and seed a recipe is written and handed to ``picasssso train``. Interrupted, it
goes on; what is trained is left alone. The settings fit two CPU cores: 16 features at first,
64 pixels, one member; ``--steps`` makes trainings longer or shorter, all alike.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

BATCH = 16
OURS = {"widths": [16, 32, 64, 128], "depths": [1, 2, 2, 3]}
PAPERS = {"first_features": 16}
SDSS = {"survey": "sdss", "settings": {"n_pixels": 64}}


def bands(letters: str) -> dict:
    """Return pairs in some bands of SDSS."""
    return {**SDSS, "bands": [f"sdss2010-{letter}" for letter in letters]}


def settings(steps: int) -> dict[str, dict]:
    """Return, by name, what differs from setting to setting."""
    found: dict[str, dict] = {"ugriz": {"pairs": SDSS}}
    found["paper"] = {
        "pairs": SDSS,
        "training": {
            "architecture": "buck_wolf_2021",
            "network": PAPERS,
            "schedule": "paper",
            "weight_decay": 0.0,
            "depth_noise": 0.0,
            "masked_pixels": 0.0,
        },
    }
    for letters in ("ugri", "gr", "r"):
        found[letters] = {"pairs": bands(letters)}
    for pixels in (64, 32, 16):
        paper = {"survey": "paper_field", "settings": {"n_pixels": pixels}}
        found[f"pixels{pixels}"] = {"pairs": paper}
    for name, count in (("pairs400", 400), ("pairs1500", 1504), ("pairs5000", 4800)):
        # One pool, used again and again: as many steps as the others.
        replays = max(1, round(steps * BATCH / count))
        found[name] = {"pairs": SDSS, "training": {"pool_size": count, "replays": replays}}
    return found


def recipe(changes: dict, seed: int, steps: int) -> dict:
    """Return the recipe of one training."""
    training = {
        "network": OURS,
        "members": 1,
        "seed": seed,
        "steps": steps,
        "batch_size": BATCH,
        "pool_size": 64,
        "replays": 1,
        "warmup": min(100, steps // 4),
        "average_decay": 0.995,
        "band_dropout": 0.0,
        "sharp": 0.0,
        **changes.get("training", {}),
    }
    return {
        "training": training,
        "pairs": [changes["pairs"]],
        "pair_seed": 660_000 + seed,
        "first_pair": 10_000,
    }


def main() -> None:
    """Train what is not trained yet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, default=3000, help="of 16 pairs each")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--only", nargs="+", help="names of settings")
    parser.add_argument("--calibrate", type=int, default=1000, help="galaxies")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    for seed in options.seeds:
        for name, changes in settings(options.steps).items():
            if options.only and name not in options.only:
                continue
            output = options.folder / f"{name}_{seed}"
            if output.with_name(output.name + ".safetensors").exists():
                continue
            plan = options.folder / f"{output.name}.recipe"
            plan.write_text(json.dumps(recipe(changes, seed, options.steps), indent=1) + "\n")
            command = ["picasssso", "train", str(plan), "-o", str(output),
                       "--tables", str(options.folder / "tables"),
                       "--calibrate", str(options.calibrate)]  # fmt: skip
            if output.with_name(output.name + ".checkpoint").exists():
                command.append("--resume")
            print(" ".join(command), flush=True)
            if subprocess.run(command).returncode:
                sys.exit(f"Training {output.name} failed.")


if __name__ == "__main__":
    main()
