"""The training loop by pytorch-lightning: logs, mixed precision, several GPUs.

It drives the same `TrainingState` with the same batches as `run_training`, and writes the
same checkpoints, so that a training begun with one goes on with the other. With several
processes (DDP), each takes its share of every batch, and gradients are averaged.
"""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from picasssso.exceptions import MissingDependencyError
from picasssso.networks.training.batches import PairPool, SlottedBatch
from picasssso.networks.training.state import TrainingState, batch_loss

try:
    import pytorch_lightning as pl
except ImportError as error:
    raise MissingDependencyError(
        "Training with pytorch-lightning needs it: pip install 'picasssso[train]'."
    ) from error

__all__ = ["LightningTraining", "run_lightning"]


class _Batches(torch.utils.data.IterableDataset):
    """The pool's batches from a step on; of each, the part of one of several processes."""

    def __init__(self, pool: PairPool, start: int, stop: int) -> None:
        self.pool, self.start, self.stop = pool, start, stop

    def __iter__(self) -> Iterator[SlottedBatch]:
        batches = self.pool.batches(self.start)
        for _ in range(self.start, self.stop):
            yield _share(next(batches))


def _share(batch: SlottedBatch) -> SlottedBatch:
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return batch
    rank, world = torch.distributed.get_rank(), torch.distributed.get_world_size()
    part = slice(rank, None, world)
    return SlottedBatch(
        batch.flux[part],
        batch.inverse_variance[part],
        batch.conditions.select(part),
        batch.sums[part],
    )


def _moved(batch: SlottedBatch, device: torch.device) -> SlottedBatch:
    conditions = batch.conditions
    moved = replace(
        conditions, **{f.name: getattr(conditions, f.name).to(device) for f in fields(conditions)}
    )
    return SlottedBatch(
        batch.flux.to(device), batch.inverse_variance.to(device), moved, batch.sums.to(device)
    )


class LightningTraining(pl.LightningModule):
    """A `TrainingState` as a module of pytorch-lightning.

    Parameters
    ----------
    state : TrainingState
        What is trained: it is changed.
    """

    def __init__(self, state: TrainingState) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.state = state
        # Registered, so that they are moved and their gradients averaged.
        self.networks = nn.ModuleList(state.networks)
        self.averages = nn.ModuleList(state.averages)

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """Return the state's own optimisers.

        Returns
        -------
        list of torch.optim.Optimizer
            One for each member.
        """
        return list(self.state.optimisers)

    def transfer_batch_to_device(
        self, batch: SlottedBatch, device: torch.device, dataloader_idx: int
    ) -> SlottedBatch:
        """Return a batch on the device.

        Parameters
        ----------
        batch : SlottedBatch
            The batch.
        device : torch.device
            The device.
        dataloader_idx : int
            Not used.

        Returns
        -------
        SlottedBatch
            The same there.
        """
        return _moved(batch, device)

    def training_step(self, batch: SlottedBatch, batch_idx: int) -> None:
        """Take one step of every member, as `TrainingState.train_step` does.

        Parameters
        ----------
        batch : SlottedBatch
            The pairs.
        batch_idx : int
            Not used: the state counts its own steps.
        """
        for network, optimiser in zip(self.state.networks, self.state.optimisers, strict=True):
            network.train()
            optimiser.zero_grad(set_to_none=True)
        losses = torch.stack([batch_loss(network, batch) for network in self.state.networks])
        # Members share no weights: the gradient of the sum is that of each.
        self.manual_backward(losses.sum())
        self.state.update()
        rate = self.state.learning_rate(self.state.step - 1)
        size = len(batch.flux)
        self.log("loss", losses.detach().mean(), prog_bar=True, batch_size=size)
        self.log("learning_rate", rate, batch_size=size)


class _Checkpoints(pl.Callback):
    """Saves the state every so often, at the end, and when interrupted."""

    def __init__(self, path: Path | None, every: float, time_limit: float | None) -> None:
        self.path, self.every, self.time_limit = path, every, time_limit
        self.started = self.saved = time.monotonic()

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, *arguments: Any
    ) -> None:
        now = time.monotonic()
        if self.path is not None and now - self.saved > self.every:
            self._save(trainer, module)
            self.saved = now
        if self.time_limit is not None and now - self.started > self.time_limit:
            trainer.should_stop = True

    def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self._save(trainer, module)

    def on_exception(
        self, trainer: pl.Trainer, module: pl.LightningModule, exception: BaseException
    ) -> None:
        self._save(trainer, module)

    def _save(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        assert isinstance(module, LightningTraining)
        if self.path is not None and trainer.is_global_zero and module.state.is_whole:
            module.state.save(self.path)


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
    """Train with pytorch-lightning until the configuration's number of steps is done.

    Parameters
    ----------
    state : TrainingState
        New, or from a checkpoint: it goes on where it stopped.
    pool : PairPool
        Where the batches come from.
    checkpoint : str or path-like, optional
        File to save the state in, every so often and at the end, as `run_training` does.
    checkpoint_every : float, optional
        Seconds between two checkpoints.
    time_limit : float, optional
        Seconds after which to stop early.
    progress : bool, optional
        Whether to show a progress bar.
    devices : int or str, optional
        How many, as for `pytorch_lightning.Trainer`.
    strategy : str, optional
        Such as ``"ddp"`` for several devices.
    logger : object, optional
        A logger of pytorch-lightning; none by default.
    report_every : int, optional
        Steps between two logged values.

    Returns
    -------
    TrainingState
        The same, further on.

    Raises
    ------
    MissingDependencyError
        On import, if pytorch-lightning is not installed.
    """
    remaining = state.config.steps - state.step
    if remaining <= 0:
        return state
    accelerator = "gpu" if state.device.type == "cuda" else "cpu"
    mixed = state.config.mixed_precision and accelerator == "gpu"
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
            _Checkpoints(
                None if checkpoint is None else Path(checkpoint), checkpoint_every, time_limit
            )
        ],
    )
    loader = torch.utils.data.DataLoader(
        _Batches(pool, state.step, state.config.steps), batch_size=None, num_workers=0
    )
    with warnings.catch_warnings():
        # Advice that does not fit: batches are made here, and averages are meant to be idle.
        warnings.filterwarnings("ignore", message=".*(num_workers|in eval mode|LeafSpec).*")
        trainer.fit(LightningTraining(state), loader)
    return state
