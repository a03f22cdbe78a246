"""Training an estimator on pairs of one's own."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from picasssso.exceptions import InvalidInputError
from picasssso.networks.architectures import build_network
from picasssso.networks.config import TrainingConfig
from picasssso.networks.conformal import ConformalCalibration
from picasssso.networks.weights import TrainedModel
from picasssso.pairs.from_maps import PairsFromMaps, numbered
from picasssso.pairs.source import PairSource
from picasssso.training.batches import PairPool, TrainingSource
from picasssso.training.loop import run_training
from picasssso.training.state import TrainingState
from picasssso.training.trained_model import check_band_sets, finish_training

Sources = list[TrainingSource]

#: Pairs held ready at a time, at most.
_LARGEST_POOL = 512


def make_sources(prepare: Callable[..., Any], pairs: Any, size: int) -> Sources:
    """Return sources of pairs for `PairPool`; ``prepare`` makes the network's form of images."""
    from picasssso.estimators._cnn.block_inputs import wavelength

    if isinstance(pairs, PairSource):
        return [TrainingSource(pairs, [wavelength(band) for band in pairs.bands])]
    groups: dict[tuple[str, ...], list[Any]] = {}
    for number, images, maps in numbered(pairs):
        images, context = prepare(number, images, 0, 0)
        groups.setdefault(images.bands, []).append((images, context, maps))
    if not groups:
        raise InvalidInputError("There are no pairs: expected at least one to train on.")
    sources: Sources = []
    for bands, members in groups.items():
        source = PairsFromMaps(members, size=size)
        pivots = [wavelength(band) for band in bands]
        sources.append(TrainingSource(source, pivots, float(len(source))))
    return sources


def configuration(
    former: TrainingConfig | None,
    sources: Sources,
    *,
    steps: int,
    batch_size: int,
    learning_rate: float,
    seed: int,
) -> TrainingConfig:
    """Return the configuration of a training on some pairs."""
    base = TrainingConfig() if former is None else former
    count = sum(_LARGEST_POOL if s.count is None else s.count for s in sources)
    own = any(isinstance(source.pairs, PairsFromMaps) for source in sources)
    return replace(
        base,
        steps=steps,
        batch_size=batch_size,
        pool_size=batch_size * max(1, min(count, _LARGEST_POOL) // batch_size),
        replays=1,
        learning_rate=learning_rate,
        warmup=min(base.warmup, max(steps // 10, 1)),
        # Short trainings must not be averaged with where they came from.
        average_decay=min(base.average_decay, max(1.0 - 10.0 / steps, 0.0)),
        # Maps are known at one resolution, that of the images.
        sharp=0.0 if own else base.sharp,
        seed=seed,
    )


def train(
    config: TrainingConfig,
    sources: Sources,
    start: TrainedModel | None,
    *,
    calibration: Sources | None,
    device: str,
    checkpoint: str | os.PathLike[str] | None,
    time_limit: float | None,
    progress: bool,
) -> TrainedModel:
    """Train, from a start or from nothing."""
    if calibration is not None:
        check_band_sets(config, [source.letters for source in calibration])
    stride = int(build_network(config).stride)  # type: ignore[arg-type]
    for source in sources:
        if isinstance(source.pairs, PairsFromMaps) and source.pairs.size % stride:
            raise InvalidInputError(
                f"size={source.pairs.size}: expected a multiple of {stride}, for this network."
            )
    if checkpoint is not None and Path(checkpoint).exists():
        state = TrainingState.load(checkpoint, device)
        if state.config != config:
            raise InvalidInputError(
                f"{checkpoint} belongs to a training with other settings: remove it, or give the "
                "settings it was begun with."
            )
    else:
        state = TrainingState(config, device)
        if start is not None:
            for networks in (state.networks, state.averages):
                for mine, theirs in zip(networks, start.ensemble.networks, strict=True):
                    mine.load_state_dict(theirs.state_dict())
    run_training(
        state,
        PairPool(sources, config, device=device),
        checkpoint=checkpoint,
        time_limit=time_limit,
        progress=progress,
    )
    card: dict[str, Any] = {"pairs": [source.pairs.describe() for source in sources]}
    if start is not None:
        card["started_from"] = start.card.get("sha256")
    galaxies = 0
    if calibration is not None:
        galaxies = sum(1000 if s.count is None else s.count for s in calibration)
    model = finish_training(
        state, calibration or sources, galaxies=galaxies, card=card, progress=progress
    )
    if calibration is None and start is not None:
        kept = start.calibration
        model.calibration = None if kept is None else ConformalCalibration(**kept.to_tensors())
        for name in ("calibrated_on", "residual_quantiles"):
            if name in start.card:
                model.card[name] = start.card[name]
    return model
