#!/usr/bin/env python
"""Train the networks that ``training.toml`` asks for, one after the other.

Run from the root of the repository, where some hours are at hand (a GPU makes it minutes)::

    python benchmarks/experiments/train.py FOLDER/weights [--only c_ --seeds 1 2 3]

For each setting and seed a recipe is written and handed to ``picasssso train``. Interrupted, it
goes on; what is trained is left alone. The settings fit two CPU cores: 16 features at first,
64 pixels, one member; ``--steps`` makes trainings longer or shorter, all alike, and ``--full``
takes the paper's numbers of pixels, galaxies and features. Several of these may run at once,
each with a lock on what it trains.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import resource
import subprocess
import sys
from pathlib import Path

BATCH = 16
OURS = {"widths": [16, 32, 64, 128], "depths": [1, 2, 2, 3]}
SDSS = {"survey": "sdss", "settings": {"n_pixels": 64}}

#: Galaxies that all settings are trained on, unless their number is what is asked about.
GALAXIES = 4800


def bands(letters: str) -> dict:
    """Return pairs in some bands of SDSS."""
    return {**SDSS, "bands": [f"sdss2010-{letter}" for letter in letters]}


def settings(full: bool) -> dict[str, dict]:
    """Return, by name, what differs from setting to setting."""
    found: dict[str, dict] = {"ugriz": {"pairs": SDSS}}
    for letters in ("ugri", "gr", "r"):
        found[letters] = {"pairs": bands(letters)}
    # One level of 1 x 1 kernels: every pixel by itself.
    alone = {"widths": [64], "depths": [4], "kind": "pointwise"}
    found["color"] = {"pairs": SDSS, "training": {"network": alone}}
    # One set of weights for all sets of bands, in the time of one of them.
    found["any"] = {"pairs": SDSS, "training": {"band_dropout": 0.5}}
    for pixels in (256, 128, 64, 32, 16) if full else (64, 32, 16):
        paper = {"survey": "paper_field", "settings": {"n_pixels": pixels}}
        found[f"pixels{pixels}"] = {"pairs": paper}
    # As many steps as the others: the fewer galaxies, the more often each is seen.
    counts = {"pairs400": 400, "pairs1500": 1504, "fresh": None}
    for name, count in (counts | ({"pairs17637": 17_632} if full else {})).items():
        found[name] = {"pairs": SDSS, "galaxies": count}
    found["paper"] = {
        "pairs": SDSS,
        "training": {
            "architecture": "buck_wolf_2021", "network": {"first_features": 64 if full else 16},
            "schedule": "paper", "weight_decay": 0.0, "depth_noise": 0.0, "masked_pixels": 0.0,
            "mixed_precision": False,
        },
    }  # fmt: skip
    return found


def recipe(changes: dict, seed: int, steps: int) -> dict:
    """Return the recipe of one training."""
    # None: each galaxy is seen once.
    count = changes.get("galaxies", GALAXIES) or 64
    replays = max(1, -(-steps * BATCH // count)) if changes.get("galaxies", GALAXIES) else 1
    training = {
        "network": OURS, "members": 1, "seed": seed, "steps": steps, "batch_size": BATCH,
        "pool_size": count, "replays": replays, "warmup": min(100, steps // 4),
        "average_decay": 0.99, "band_dropout": 0.0, "sharp": 0.0, "mixed_precision": "always",
    }  # fmt: skip
    training |= changes.get("training", {})
    pairs = {"pairs": [changes["pairs"]], "pair_seed": 660_000 + seed, "first_pair": 10_000}
    return {"training": training, **pairs}


def main() -> None:
    """Train what is not trained yet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, help="of 16 pairs each; 600, or 20,000")
    parser.add_argument("--full", action="store_true", help="the paper's sizes, for a GPU")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--only", nargs="+", help="names of settings")
    options = parser.parse_args()
    steps = options.steps or (20_000 if options.full else 600)
    options.folder.mkdir(parents=True, exist_ok=True)
    for seed in options.seeds:
        for name, changes in settings(options.full).items():
            if options.only and name not in options.only:
                continue
            output = options.folder / f"{name}_{seed}"
            with (options.folder / f"{output.name}.lock").open("w") as lock:
                try:
                    # Given up by itself when the process ends, in whatever way.
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                if not output.with_name(output.name + ".safetensors").exists():
                    train(output, recipe(changes, seed, steps))


def train(output: Path, plan: dict) -> None:
    """Train one network, from where it was interrupted if it was."""
    path = output.with_name(output.name + ".recipe")
    path.write_text(json.dumps(plan, indent=1) + "\n")
    # Scatter needs no calibration; the paper's network has no uncertainty without.
    galaxies = 256 if "architecture" in plan["training"] else 0
    command = ["picasssso", "train", path, "-o", output, "--quiet", "--calibrate", galaxies]
    command += ["--tables", output.parent / "tables"]
    if output.with_name(output.name + ".checkpoint").exists():
        command.append("--resume")
    command = [str(word) for word in command]
    print(" ".join(command), flush=True)
    start = resource.getrusage(resource.RUSAGE_CHILDREN)
    if subprocess.run(command).returncode:
        sys.exit(f"Training {output.name} failed.")
    end = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = end.ru_utime + end.ru_stime - start.ru_utime - start.ru_stime
    print(f"{output.name}: {seconds:.0f} s of processor time", flush=True)


if __name__ == "__main__":
    main()
