"""Change one thing about our network at a time, train it briefly, and measure what it costs.

All variants are trained on the same stored pairs, as often, with the same optimiser and the
same order (seed 0), on one core in bfloat16, and tested on the same other galaxies: a second
seed of the base says how far two trainings of one network lie apart. Ratios to the base (seed
0) have the errors of resampled galaxies, the same for both. Coverage is that of a single
network before any calibration, of what is there, in pixels with a signal; beside it, that of
the network that ships.

The result is written after every run, and runs that are in it already are left out (but for
the base, which others are compared with: it is trained anew, and gives the same). Twenty
minutes of one core; less than a minute, without writing anything, with ``--small``:

    OMP_NUM_THREADS=1 python benchmarks/cnn_ablations.py [--table FILE] [--small]
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from cnn_common import (
    RESULTS,
    UGRIZ,
    UNSPOILT,
    Kept,
    aperture_residual,
    batches,
    kept_of,
    make_pairs,
    make_table,
    pixel_residual,
    record,
    to_stack,
    train,
    true_stack,
    wavelengths,
)
from torch.nn import functional

from picasssso.estimators._cnn.weights import weights_path
from picasssso.evaluation import join_records, residual_statistics, scatter_ratio
from picasssso.evaluation.residuals import bootstrap_counts
from picasssso.networks.conformal import NORMAL_SCORES, local_signal
from picasssso.networks.heads import PER_OUTPUT, QUANTILES, Prediction, decode, limit_hydrogen
from picasssso.networks.inputs import input_planes
from picasssso.networks.outputs import OUTPUT_NAMES, OUTPUTS
from picasssso.networks.weights import read_weights
from picasssso.training import SlottedBatch, TrainingConfig, TrainingState, to_slots
from picasssso.training.losses import pixel_weights, quantile_loss
from picasssso.training.targets import make_targets

NAME = "cnn_ablations.json"
TRAINING_SEED, TEST_SEED = 41, 42
BASE = "base, seed 0"

#: Pixels with a signal (of all bands together, averaged over 5 x 5 pixels) lie above the
#: first; coverage is counted between these, too.
SIGNALS = (1.5, 5.0, 20.0, math.inf)

#: Pixels are compared one by one where the S/N in the i band is above this.
LEAST = 3.0


@dataclass(frozen=True)
class Variant:
    """What is other than in the base."""

    network: dict[str, Any] = field(default_factory=dict)
    seed: int = 0
    without: tuple[str, ...] = ()
    mixture: bool = False


VARIANTS = {
    BASE: Variant(),
    "base, seed 1": Variant(seed=1),
    "mixture of two": Variant(mixture=True),
    "depthwise blocks": Variant({"kind": "depthwise"}),
    "no conditions": Variant(without=("embed", "modulate.weight")),
    "no direct path": Variant(without=("direct",)),
    # As wide as deeper levels would be: colour must not lose for want of room.
    "each pixel alone": Variant({"widths": [64], "depths": [4], "kind": "pointwise"}),
    "two levels": Variant({"widths": [16, 32], "depths": [1, 2]}),
    "three levels": Variant({"widths": [16, 32, 64], "depths": [1, 2, 2]}),
    "half as wide": Variant({"widths": [8, 16, 32, 64]}),
    "1.5 times as wide": Variant({"widths": [24, 48, 96, 192]}),
}


def configuration(variant: Variant, pairs: int, passes: int) -> TrainingConfig:
    """Return the settings of a run."""
    batch = 8
    return TrainingConfig(
        network={"widths": [16, 32, 64, 128], "depths": [1, 2, 2, 3], **variant.network},
        seed=variant.seed,
        steps=pairs // batch * passes,
        batch_size=batch,
        learning_rate=2e-3,
        average_decay=0.99,
        **UNSPOILT,
        pool_size=pairs,
        replays=passes,
        mixed_precision="always",
    )


def leave_out(state: TrainingState, names: tuple[str, ...]) -> None:
    """Make parameters zero for good."""
    for network in (*state.networks, *state.averages):
        for name, parameter in network.named_parameters():
            if any(part in name for part in names):
                parameter.requires_grad_(False).zero_()


# ---- the other head ---------------------------------------------------------------------


@dataclass(frozen=True)
class Mixture:
    """Two normal distributions of the logarithm for each property, (n, 8, 2, y, x)."""

    mean: torch.Tensor
    width: torch.Tensor
    log_share: torch.Tensor
    log_mean: torch.Tensor
    occupancy_logit: torch.Tensor

    @property
    def centre(self) -> torch.Tensor:
        """Mean of the logarithm, (n, 8, y, x)."""
        return (self.log_share.exp() * self.mean).sum(2)

    def log_likelihood(self, log_value: torch.Tensor) -> torch.Tensor:
        """Return log densities (n, 8, y, x), but for a constant."""
        score = (log_value[:, :, None] - self.mean) / self.width
        return torch.logsumexp(self.log_share - self.width.log() - 0.5 * score.square(), 2)

    def quantiles(self) -> torch.Tensor:
        """Return quantiles (n, 8, 5, y, x), by bisection."""
        found = []
        for level, score in zip(QUANTILES, NORMAL_SCORES, strict=True):
            # A quantile of the mixture lies between those of its parts.
            ends = self.mean + score * self.width
            low, high = ends.amin(2), ends.amax(2)
            for _ in range(16):
                middle = 0.5 * (low + high)
                below = torch.special.ndtr((middle[:, :, None] - self.mean) / self.width)
                is_low = (self.log_share.exp() * below).sum(2) < level
                low, high = torch.where(is_low, middle, low), torch.where(is_low, high, middle)
            found.append(0.5 * (low + high))
        return torch.stack(found, 2)


def read_mixture(raw: torch.Tensor) -> Mixture:
    """Return the distributions that raw outputs stand for; cf. `networks.heads.decode`."""
    n, _, height, width = raw.shape
    split = PER_OUTPUT * len(OUTPUTS)
    table = raw[:, :split].reshape(n, len(OUTPUTS), PER_OUTPUT, height, width)

    def column(values: list[float]) -> torch.Tensor:
        return torch.tensor(values)[:, None, None, None]

    spread = column([output.spread for output in OUTPUTS])
    # Two that start as one would remain one.
    apart = torch.tensor([-0.5, 0.5])[:, None, None]
    mean = column([output.centre for output in OUTPUTS]) + spread * apart + table[:, :, :2]
    share = torch.stack([table[:, :, 4], -table[:, :, 4]], 2)
    log_share = functional.logsigmoid(share)
    centre = (log_share.exp() * mean).sum(2)
    # A ratio: what is learned of the child must not bend the parent.
    parents = torch.zeros_like(centre)
    for k, output in enumerate(OUTPUTS):
        if output.parent:
            parents[:, k] = centre[:, OUTPUT_NAMES.index(output.parent)].detach()
    shift = table[:, :, 5].clamp(-4.0, 4.0) / math.log(10.0)
    return Mixture(
        mean + parents[:, :, None],
        # Never a spike: the likelihood of a value on it would know no bound.
        0.01 + spread * torch.exp(table[:, :, 2:4].clamp(-4.0, 4.0) + 1.0),
        log_share,
        centre + parents + shift,
        raw[:, split:],
    )


def decode_mixture(raw: torch.Tensor) -> Prediction:
    """Return the same as quantiles."""
    mixture, like_all = read_mixture(raw), decode(raw)
    return Prediction(
        mixture.quantiles(), mixture.log_mean, like_all.occupancy, mixture.occupancy_logit
    )


def mixture_loss(network: torch.nn.Module, batch: SlottedBatch) -> torch.Tensor:
    """Return the negative log likelihood, and what the package learns beside quantiles."""
    raw = outputs(network, batch)
    with torch.autocast("cpu", enabled=False):
        mixture, targets = read_mixture(raw), make_targets(batch.truth)
        weights = pixel_weights(batch.flux, batch.inverse_variance)
        used = weights * targets.present
        surprise = -mixture.log_likelihood(targets.log_value) * used
        total = used.sum((0, 2, 3)).clamp(min=1.0)
        likelihood = (surprise.sum((0, 2, 3)) / total).mean()
        # Quantiles that cannot be moved leave the mean and the occupancy to be learned.
        centre = mixture.centre.detach()
        fixed = centre[:, :, None].expand(-1, -1, len(QUANTILES), -1, -1)
        shift = mixture.log_mean - mixture.centre
        rest = Prediction(fixed, centre + shift, torch.empty(0), mixture.occupancy_logit)
        return likelihood + quantile_loss(rest, targets, weights)


def mixture_step(state: TrainingState) -> Callable[[SlottedBatch], None]:
    """Return what takes a step, as `TrainingState.train_step` does with the package's loss."""

    def step(batch: SlottedBatch) -> None:
        state.networks[0].train()
        state.optimisers[0].zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            loss = mixture_loss(state.networks[0], batch)
        loss.backward()
        state.update()

    return step


# ---- measuring --------------------------------------------------------------------------


def outputs(network: torch.nn.Module, batch: SlottedBatch) -> torch.Tensor:
    """Return raw outputs."""
    planes = input_planes(batch.flux, batch.inverse_variance, batch.conditions)
    planes = planes.contiguous(memory_format=torch.channels_last)
    return network(planes, batch.conditions.vector(batch.has_band()))


def scores(prediction: Prediction, batch: SlottedBatch) -> np.ndarray:
    """Return sums over the pixels of each galaxy, (n, 2 + 3 x 3, 8).

    Of weights and of weighted quantile losses; of pixels and of those inside the 68 and the
    95 % range, for each range of signals.
    """
    targets = make_targets(batch.truth)
    used = pixel_weights(batch.flux, batch.inverse_variance) * targets.present
    levels = torch.tensor(QUANTILES)[:, None, None]
    error = targets.log_value[:, :, None] - prediction.quantiles
    pinball = torch.maximum(levels * error, (levels - 1.0) * error).mean(2)
    columns = [used, pinball * used]
    signal = local_signal(batch.flux, batch.inverse_variance)[:, None]
    lowest, low, _, high, highest = prediction.quantiles.unbind(2)
    for least, most in pairwise(SIGNALS):
        some = targets.present & (signal >= least) & (signal < most)
        columns.append(some)
        for start, stop in ((low, high), (lowest, highest)):
            inside = (targets.log_value >= start) & (targets.log_value <= stop)
            columns.append(some & inside)
    return torch.stack([c.sum((2, 3), dtype=torch.float64) for c in columns], 1).numpy()


def test(say: Callable[[SlottedBatch], Prediction], kept: Kept) -> dict[str, np.ndarray]:
    """Return what is kept of each galaxy."""
    records = []
    for batch in batches(kept, len(kept.content["flux"]), 50):
        slotted = to_slots(batch, UGRIZ, wavelengths(UGRIZ))
        with torch.inference_mode():
            prediction = limit_hydrogen(say(slotted))
            found = kept_of(batch, to_stack(prediction), true_stack(batch))
            found["scores"] = scores(prediction, slotted)
        records.append(found)
    return join_records(records)


def resampled(kept: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return figures of all galaxies and, after them, of resampled ones: (201, ..., 8)."""
    sums = kept["scores"]
    counts = np.concatenate([np.ones((1, len(sums))), bootstrap_counts(len(sums), 200)])
    drawn = np.einsum("bg,gck->bck", counts, sums)
    by_signal = drawn[:, 2:].reshape(len(drawn), len(SIGNALS) - 1, 3, len(OUTPUTS))
    pixels = by_signal.sum(1)
    return {
        "pinball": drawn[:, 1] / drawn[:, 0],
        "coverage_68": pixels[:, 1] / pixels[:, 0],
        "coverage_95": pixels[:, 2] / pixels[:, 0],
        "by_signal_68": by_signal[:, :, 1] / by_signal[:, :, 0],
        "by_signal_95": by_signal[:, :, 2] / by_signal[:, :, 0],
    }


def with_error(values: np.ndarray) -> list[Any]:
    """Return the first and the scatter of the others."""
    return [values[0].tolist(), values[1:].std(0, ddof=1).tolist()]


def coverage(drawn: dict[str, np.ndarray]) -> dict[str, Any]:
    """Return coverage by property, and how far it is from the nominal one on average."""
    found = {key: values for key, values in drawn.items() if key != "pinball"}
    result: dict[str, Any] = {
        "properties": {
            name: {key: with_error(values[..., k]) for key, values in found.items()}
            for k, name in enumerate(OUTPUT_NAMES)
        }
    }
    for key, values in found.items():
        offset = np.abs(values - int(key[-2:]) / 100).reshape(len(values), -1)
        result[f"{key}_mean_offset"] = with_error(offset.mean(1))
    return result


def figures(kept: dict[str, np.ndarray], base: dict[str, np.ndarray]) -> dict[str, Any]:
    """Return all figures with errors, and scatters and losses relative to the base's."""
    mine, other = resampled(kept), resampled(base)
    result = coverage(mine)
    losses = mine["pinball"] / other["pinball"]
    for k, (name, entry) in enumerate(result["properties"].items()):
        entry["pinball"] = with_error(mine["pinball"][:, k])
        entry["pinball_ratio"] = with_error(losses[:, k])
        for kind, residual, owner, where in (
            ("pixel", pixel_residual, "pixel.galaxy", kept["pixel.snr"] > LEAST),
            ("aperture", aperture_residual, "galaxy", slice(None)),
        ):
            both = [(residual(one, name)[where], one[owner][where]) for one in (kept, base)]
            s = residual_statistics(*both[0])
            ratio = scatter_ratio(both[0][0], both[1][0], both[0][1], both[1][1])
            for what in ("sigma", "nmad"):
                entry[f"{kind}_{what}"] = [getattr(s, what), getattr(s, f"{what}_error")]
                entry[f"{kind}_{what}_ratio"] = [ratio[what], ratio[f"{what}_error"]]
    result["pinball_mean_ratio"] = with_error(np.exp(np.log(losses).mean(1)))
    for what in ("pixel_nmad", "aperture_nmad", "aperture_sigma"):
        logs = [math.log(entry[f"{what}_ratio"][0]) for entry in result["properties"].values()]
        result[f"{what}_mean_ratio"] = math.exp(sum(logs) / len(logs))
    return result


def shipped(kept: Kept) -> dict[str, Any]:
    """Return the coverage of the network that ships, before its calibration."""
    model = read_weights(weights_path("default"))

    def say(batch: SlottedBatch) -> Prediction:
        images = batch.flux, batch.inverse_variance, batch.conditions
        return model.ensemble.predict(*images, batch.has_band()).prediction

    return {"weights_sha256": model.card["sha256"], **coverage(resampled(test(say, kept)))}


def run(variant: Variant, pairs: Kept, passes: int, tested: Kept) -> tuple[dict[str, Any], Any]:
    """Train and test a network; return what it costs, and what is kept of each galaxy."""
    count = len(pairs.content["flux"])
    state = TrainingState(configuration(variant, count, passes))
    leave_out(state, variant.without)
    seconds = train(state, pairs, mixture_step(state) if variant.mixture else None)
    network = state.averages[0].eval()
    read = decode_mixture if variant.mixture else decode
    used = [p for p in state.networks[0].parameters() if p.requires_grad]
    costs = {
        "parameters": sum(p.numel() for p in used),
        "reach": state.networks[0].reach,
        "cpu_seconds": seconds,
        "images_per_second": count * passes / seconds,
    }
    return costs, test(lambda batch: read(outputs(network, batch)), tested)


def main() -> None:
    """Train, test, compare, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", type=Path, help="light table, kept there between runs")
    parser.add_argument("--small", action="store_true", help="only see whether it runs")
    options = parser.parse_args()
    torch.set_num_threads(1)
    pairs, passes, galaxies = (64, 1, 24) if options.small else (1600, 2, 400)
    config = configuration(Variant(), pairs, passes).to_dict()
    setting = {
        "pairs": pairs,
        "passes": passes,
        "test_galaxies": galaxies,
        **{key: config[key] for key in ("steps", "batch_size", "learning_rate", "average_decay")},
    }
    path = RESULTS / NAME
    content: dict[str, Any] = {"setting": setting, "runs": {}}
    if path.exists() and not options.small:
        before = json.loads(path.read_text())
        content = before if before["setting"] == setting else content
    runs = content["runs"]

    def write() -> None:
        if not options.small:
            record(NAME, content)

    table = make_table(options.table)
    tested = Kept(make_pairs(table, TEST_SEED), galaxies)
    content["shipped"] = shipped(tested)
    write()
    if all(key in runs for key in VARIANTS):
        return
    kept = Kept(make_pairs(table, TRAINING_SEED), pairs)
    base: dict[str, np.ndarray] = {}
    for key, variant in VARIANTS.items():
        if key in runs and key != BASE:
            continue
        print(key, flush=True)
        costs, found = run(variant, kept, passes, tested)
        base = base or found
        runs[key] = {**costs, **figures(found, base)}
        write()


if __name__ == "__main__":
    main()
