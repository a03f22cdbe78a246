"""Training the networks: configuration, batches, steps, checkpoints, the loop.

Recipes, calibration and what else makes weights of a trained network are modules of their own.
"""

from picasssso.networks.config import TrainingConfig
from picasssso.training.batches import PairPool, SlottedBatch, TrainingSource, to_slots
from picasssso.training.loop import run_training
from picasssso.training.state import TrainingState

__all__ = [
    "PairPool",
    "SlottedBatch",
    "TrainingConfig",
    "TrainingSource",
    "TrainingState",
    "run_training",
    "to_slots",
]
