"""Training the networks: configuration, batches, steps, checkpoints, the loop."""

from picasssso.networks.training.batches import PairPool, SlottedBatch, to_slots
from picasssso.networks.training.config import TrainingConfig
from picasssso.networks.training.loop import run_training
from picasssso.networks.training.state import TrainingState

__all__ = [
    "PairPool",
    "SlottedBatch",
    "TrainingConfig",
    "TrainingState",
    "run_training",
    "to_slots",
]
