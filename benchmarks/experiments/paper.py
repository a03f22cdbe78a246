#!/usr/bin/env python
"""The paper exactly: train its network on its files, evaluate it, print its table.

For whoever has the files of Buck & Wolf (2021), ``halo_{id}_camera_{c}_physical_data.h5`` and
``..._synthetic_image.h5``, in a folder::

    python benchmarks/experiments/paper.py FILES -o OUT

stores them as pairs in OUT/pairs, split by galaxy (64 % to train on, 16 % to validate, 20 % to
test), trains the paper's network with the paper's loss and schedule (13 epochs of batches of
16, learning rate 1e-5, divided by 10 after epochs 8 and 10, one member, 64 features at first),
and evaluates it on the galaxies kept for tests against the truth at its own resolution.
Interrupted, it goes on. ``--network residual_unet`` trains ours on the same pairs.

What differs from the paper: splits go by galaxy, not by view; ages are those of the stars
(``--raw-ages`` for the paper's); figures without its oracle mask stand first.
"""

from __future__ import annotations

import argparse
import tomllib
from pathlib import Path

from picasssso import CNNEstimator
from picasssso.evaluation.experiments import run_experiments
from picasssso.evaluation.experiments.configuration import parse_configuration
from picasssso.evaluation.experiments.experiment_runs import collect_figures
from picasssso.evaluation.experiments.paper_files import PaperPairs
from picasssso.evaluation.experiments.results import PAPER, write_results
from picasssso.pairs import StoredPairs, write_pairs
from picasssso.training import TrainingConfig

EPOCHS, BATCH = 13, 16
CONFIGURATION = Path(__file__).with_name("paper.toml")
COMMON = {
    "members": 1, "band_dropout": 0.0, "depth_noise": 0.0, "masked_pixels": 0.0, "sharp": 1.0,
    "warmup": 1,
}  # fmt: skip


def train(options: argparse.Namespace, weights: Path) -> None:
    """Train on the stored pairs, from the last checkpoint on."""
    training, validation = (
        StoredPairs(options.output / "pairs", split) for split in ("train", "validation")
    )
    config = TrainingConfig(**COMMON)
    rate = config.learning_rate
    if options.network == "buck_wolf_2021":
        network = {"first_features": options.features}
        config = TrainingConfig(
            architecture="buck_wolf_2021", network=network, schedule="paper", weight_decay=0.0,
            average_decay=0.0, **COMMON,
        )  # fmt: skip
        rate = 1e-5
    estimator = CNNEstimator(weights=None, device=options.device)
    estimator.fit(
        training, steps=options.steps or max(1, EPOCHS * len(training) // BATCH),
        batch_size=BATCH, learning_rate=rate, seed=options.seed, config=config,
        calibrate_on=validation, checkpoint=weights.with_name(weights.name + ".checkpoint"),
        progress=True,
    )  # fmt: skip
    estimator.save(weights, overwrite=True)


def evaluate(options: argparse.Namespace, weights: Path) -> None:
    """Evaluate on the galaxies kept for tests; print the paper's figures beside ours."""
    content = CONFIGURATION.read_text(encoding="utf-8")
    for word, value in (
        ("OUT", options.output), ("WEIGHTS", weights.name), ("NETWORK", options.network),
    ):  # fmt: skip
        content = content.replace(word, str(value))
    configuration = parse_configuration(tomllib.loads(content))
    run_experiments(configuration, options.output / "evaluation", progress=True)
    figures = collect_figures(configuration, options.output / "evaluation")
    write_results(figures, options.output / "results")
    row = next(r for r in figures["experiments"]["paper"]["rows"] if r["estimator"] == "network")
    print(f"\n{row['n_images']} images of {row['n_galaxies']} galaxies kept for tests")
    print(f"{'':22}{'paper':>16}{'with its mask':>18}{'without':>18}   sigma / bias, dex")
    for name in PAPER["ugriz"]:
        entry = row["properties"].get(name, {}).get("aperture")
        if entry is None:
            continue
        texts = [
            "–" if e.get("sigma") is None else f"{e['sigma']:.3f} / {e['mean']:+.3f}"
            for e in (PAPER["ugriz"][name], entry["oracle"], entry)
        ]
        print(f"{name:22}{texts[0]:>16}{texts[1]:>18}{texts[2]:>18}")


def main() -> None:
    """Store, train, evaluate; what is done is not done again."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    networks = ("buck_wolf_2021", "residual_unet")
    parser.add_argument("--network", choices=networks, default=networks[0])
    parser.add_argument("--features", type=int, default=64, help="of the paper's network")
    parser.add_argument("--steps", type=int, help="instead of 13 epochs")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--raw-ages", action="store_true", help="ages as the paper has them")
    parser.add_argument("--device", help="cuda, say", default="cpu")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    source = PaperPairs(options.files, correct_ages=not options.raw_ages)
    write_pairs(source, options.output / "pairs", batch_size=8, progress=True)
    weights = options.output / f"{options.network}_{options.seed}"
    if not weights.with_name(weights.name + ".safetensors").exists():
        train(options, weights)
    evaluate(options, weights)


if __name__ == "__main__":
    main()
