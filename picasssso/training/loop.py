"""The training loop: steps, checkpoints, progress, on one device or several."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from picasssso.exceptions import MissingDependencyError
from picasssso.training.batches import PairPool
from picasssso.training.state import TrainingState


def check_lightning() -> None:
    """Check that pytorch-lightning is installed, which runs several devices together."""
    if find_spec("lightning_fabric") is None:
        raise MissingDependencyError(
            "Training on several devices needs pytorch-lightning: pip install 'picasssso[train]'."
        )


def is_first_process() -> bool:
    """Return whether this is the first, or only, training process."""
    import torch

    together = torch.distributed.is_available() and torch.distributed.is_initialized()
    return not together or torch.distributed.get_rank() == 0


def _launched(state: TrainingState, devices: int) -> Any:
    """Start the other processes; return their communicator, and the state on its device."""
    check_lightning()
    from lightning_fabric import Fabric

    accelerator = "gpu" if state.device.type == "cuda" else "cpu"
    fabric = Fabric(accelerator=accelerator, devices=devices, strategy="ddp")
    fabric.launch()
    state.to(fabric.device)
    return fabric


def run_training(
    state: TrainingState,
    pool: PairPool,
    *,
    checkpoint: str | os.PathLike[str] | None = None,
    checkpoint_every: float = 120.0,
    time_limit: float | None = None,
    progress: bool = True,
    report: Callable[[int, float], None] | None = None,
    report_every: int = 100,
    devices: int = 1,
) -> TrainingState:
    """Train up to the number of steps in the configuration; return the updated state.

    The state, new or from a checkpoint, is continued. It is saved every ``checkpoint_every``
    seconds and at the end, or at the ``time_limit`` (in seconds). ``report`` is called every
    ``report_every`` steps with the step and the mean loss since. With several ``devices`` of the
    state's kind each has a process of its own, which runs the same script (Lightning Fabric, DDP);
    gradients are averaged.
    """
    from tqdm import tqdm

    start = saved = time.monotonic()
    losses = []
    remaining = range(state.step, state.config.steps)
    fabric = _launched(state, devices) if devices > 1 and remaining else None
    average = None if fabric is None else fabric.all_reduce
    first = fabric is None or fabric.is_global_zero
    batches = pool.batches(state.step)
    with tqdm(total=len(remaining), disable=not (progress and first), unit="step") as bar:
        try:
            for _ in remaining:
                batch = next(batches)
                if fabric is not None:
                    batch = batch.share(fabric.global_rank, fabric.world_size, fabric.device)
                losses.append(state.train_step(batch, average))
                bar.update()
                if len(losses) == report_every:
                    # Only now is the device waited for.
                    mean = float(sum(losses)) / len(losses)
                    losses.clear()
                    bar.set_postfix(loss=f"{mean:.4f}")
                    if report is not None and first:
                        report(state.step, mean)
                now = time.monotonic()
                if checkpoint is not None and first and now - saved > checkpoint_every:
                    state.save(Path(checkpoint))
                    saved = now
                if time_limit is not None:
                    over = now - start > time_limit
                    # All must stop at the same step, by the clock of the first.
                    if over if fabric is None else fabric.broadcast(over):
                        break
        finally:
            # Also when interrupted, unless in the midst of moving weights.
            if checkpoint is not None and first and state.is_whole:
                state.save(Path(checkpoint))
    return state
