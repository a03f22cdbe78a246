"""The training loop by pytorch-lightning: logs, mixed precision, several GPUs.

It drives the same `TrainingState` with the same batches as `run_training`, and writes the
same checkpoints, so that a training begun with one goes on with the other. With several
processes (DDP), each takes its share of every batch, and gradients are averaged.
"""

from __future__ import annotations

import os
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from picasssso.exceptions import MissingDependencyError
from picasssso.training.batches import PairPool
from picasssso.training.state import TrainingState


def check_lightning() -> None:
    """Check that pytorch-lightning is installed."""
    if find_spec("pytorch_lightning") is None:
        raise MissingDependencyError(
            "Training with pytorch-lightning needs it: pip install 'picasssso[train]'."
        )


def is_first_process() -> bool:
    """Return whether this is the first, or only, of the processes that train together."""
    import torch

    together = torch.distributed.is_available() and torch.distributed.is_initialized()
    return not together or torch.distributed.get_rank() == 0


def run_lightning(
    state: TrainingState,
    pool: PairPool,
    *,
    checkpoint: str | os.PathLike[str] | None = None,
    checkpoint_every: float = 120.0,
    time_limit: float | None = None,
    progress: bool = True,
    devices: int | str = 1,
    strategy: str = "auto",
    logger: Any = False,
    report_every: int = 100,
) -> TrainingState:
    """Train with pytorch-lightning until the configuration's number of steps is done."""
    check_lightning()
    import pytorch_lightning as pl
    import torch

    from picasssso.training._lightning_module import (
        Batches,
        Checkpoints,
        LightningTraining,
    )

    remaining = state.config.steps - state.step
    if remaining <= 0:
        return state
    accelerator = "gpu" if state.device.type == "cuda" else "cpu"
    wanted = state.config.mixed_precision
    mixed = wanted == "always" or (bool(wanted) and accelerator == "gpu")
    if devices == 1 and state.device.index is not None:
        devices = f"{state.device.index},"
    trainer = pl.Trainer(
        accelerator=accelerator,
        devices=devices,
        strategy=strategy,
        precision="bf16-mixed" if mixed else "32-true",
        max_epochs=1,
        logger=logger,
        log_every_n_steps=report_every,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=progress,
        use_distributed_sampler=False,
        callbacks=[
            Checkpoints(
                None if checkpoint is None else Path(checkpoint), checkpoint_every, time_limit
            )
        ],
    )
    loader = torch.utils.data.DataLoader(
        Batches(pool, state.step, state.config.steps), batch_size=None, num_workers=0
    )
    with warnings.catch_warnings():
        # Advice that does not fit: batches are made here, and averages are meant to be idle.
        warnings.filterwarnings("ignore", message=".*(num_workers|in eval mode|LeafSpec).*")
        trainer.fit(LightningTraining(state), loader)
    return state
