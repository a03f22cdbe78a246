"""Training the networks: configuration, batches, steps, checkpoints, the loop.

Recipes, calibration and further steps from a trained network to weights are in separate modules.
"""

from picasssso.networks.config import TrainingConfig

__all__ = ["TrainingConfig"]
