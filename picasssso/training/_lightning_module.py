"""A training as a module of pytorch-lightning, with its batches and checkpoints.

Imports pytorch-lightning, so it is imported only by `picasssso.training.lightning`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import nn

from picasssso.training.batches import PairPool, SlottedBatch
from picasssso.training.state import TrainingState, batch_loss


class Batches(torch.utils.data.IterableDataset):
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
    """A `TrainingState` as a module of pytorch-lightning."""

    def __init__(self, state: TrainingState) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.state = state
        # Registered, so that they are moved and their gradients averaged.
        self.networks = nn.ModuleList(state.networks)
        self.averages = nn.ModuleList(state.averages)

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """Return the state's own optimisers."""
        return list(self.state.optimisers)

    def transfer_batch_to_device(
        self, batch: SlottedBatch, device: torch.device, dataloader_idx: int
    ) -> SlottedBatch:
        """Return a batch on the device."""
        return _moved(batch, device)

    def training_step(self, batch: SlottedBatch, batch_idx: int) -> None:
        """Take one step of every member, as `TrainingState.train_step` does."""
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


class Checkpoints(pl.Callback):
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
