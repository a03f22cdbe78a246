#!/usr/bin/env python
"""Train the networks that ``training.toml`` asks for, one after the other.

Run from the root of the repository, where some hours are at hand (a GPU makes it minutes)::

    python benchmarks/experiments/train.py FOLDER/weights [--only c_ --seeds 1 2 3]

For each network (``networks.json``) and seed a recipe is written and handed to ``picasssso
train``. Interrupted, it goes on; what is trained is left alone. They fit two CPU cores: 16
features at first, 64 pixels, one member; ``--steps`` makes trainings longer or shorter, all
alike, and ``--full`` takes the paper's numbers of pixels, galaxies and features. Several of these
may run at once, each with a lock on what it trains.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

BATCH = 16
#: Galaxies that all are trained on, unless their number is what is asked about.
GALAXIES = 4800
NETWORKS = Path(__file__).with_name("networks.json")


def recipes(full: bool, seed: int, steps: int) -> Iterator[tuple[str, dict]]:
    """Yield name and recipe of each training."""
    content = json.loads(NETWORKS.read_text(encoding="utf-8"))
    common = content["common"]
    for name, changes in (content["networks"] | (content["full"] if full else {})).items():
        pairs = changes.get("pairs", common["pairs"])
        if letters := changes.get("bands"):
            pairs = {**pairs, "bands": [f"sdss2010-{letter}" for letter in letters]}
        # None: each galaxy is seen once. Else as many steps as others: the fewer galaxies, the
        # more often each is seen.
        known = changes.get("galaxies", GALAXIES)
        count = known or 64
        training = {
            **common["training"], "seed": seed, "steps": steps, "batch_size": BATCH,
            "pool_size": count, "replays": max(1, -(-steps * BATCH // count)) if known else 1,
            "warmup": min(100, steps // 4), **changes.get("training", {}),
        }  # fmt: skip
        numbers = {"pair_seed": 660_000 + seed, "first_pair": 10_000}
        yield name, {"training": training, "pairs": [pairs], **numbers}


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
        for name, plan in recipes(options.full, seed, steps):
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
                    train(output, plan)


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
