"""Training the networks: configuration, batches, steps, checkpoints, the loop.

Recipes, calibration and what else makes weights of a trained network are modules of their own.
"""

from picasssso.networks.config import TrainingConfig

__all__ = ["TrainingConfig"]
