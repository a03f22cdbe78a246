"""The configuration of a training, which is saved with the weights."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from picasssso._core.arguments import check_choice, check_integer
from picasssso._core.safe_files import parse_json
from picasssso._core.words import with_article
from picasssso.exceptions import InvalidInputError

#: The architectures there are.
ARCHITECTURES = ("residual_unet", "buck_wolf_2021")


_TYPES: dict[str, tuple[type, ...]] = {
    "float": (int, float), "str": (str,), "dict": (dict,), "bool": (bool,)
}  # fmt: skip


#: More than any training has.
_MOST = {
    "members": 100, "steps": 10**8, "batch_size": 65_536, "pool_size": 10**6, "replays": 10**6,
    "warmup": 10**8,
}  # fmt: skip


@dataclass(frozen=True)
class TrainingConfig:
    """All settings of a training, except its pairs.

    Parameters
    ----------
    architecture : {"residual_unet", "buck_wolf_2021"}
        Architecture of the network.
    network : dict
        Arguments of the class of the network.
    members : int
        Number of networks that are trained on the same pairs, with different initial weights.
    seed : int
        Seed of initial weights, order of the pairs and augmentation.
    steps : int
        Number of steps.
    batch_size : int
        Number of pairs per step.
    learning_rate : float
        Largest learning rate, reached after ``warmup`` steps.
    schedule : {"cosine", "paper"}
        How the learning rate decreases: ``"cosine"`` to a hundredth, ``"paper"`` by a factor of 10
        after 8/13 and 10/13 of the steps.
    warmup : int
        Number of steps at the start during which the learning rate increases.
    weight_decay : float
        Weight decay of the AdamW optimizer.
    average_decay : float
        Decay of the exponential moving average of the weights, over about 1 / (1 - average_decay)
        steps. The average is the result of the training.
    band_dropout : float
        Fraction of images from which bands are removed.
    depth_noise : float
        Fraction of images to which noise is added, up to three times their own.
    masked_pixels : float
        Fraction of the pixels of a band that are masked.
    sharp : float
        Fraction of images whose truth has its native resolution.
    pool_size, replays : int
        Number of pairs that are made at a time, and how often each is used, with different
        rotations, flips and degradations.
    mixed_precision : bool or "always"
        Whether to compute in bfloat16 on CUDA devices; ``"always"``: also on CPUs, which is faster
        only on CPUs with bfloat16 instructions.
    compiled : bool
        Whether to compile the loss on CUDA devices: takes a minute, and makes steps several times
        faster.

    Examples
    --------
    >>> from picasssso.training import TrainingConfig
    >>> TrainingConfig(steps=10).steps
    10
    """

    architecture: str = "residual_unet"
    network: dict[str, Any] = field(default_factory=dict)
    members: int = 3
    seed: int = 0
    steps: int = 10_000
    batch_size: int = 64
    learning_rate: float = 2e-3
    schedule: str = "cosine"
    warmup: int = 200
    weight_decay: float = 1e-2
    average_decay: float = 0.999
    band_dropout: float = 0.5
    depth_noise: float = 0.3
    masked_pixels: float = 0.01
    sharp: float = 0.2
    pool_size: int = 512
    replays: int = 1
    mixed_precision: bool | str = True
    compiled: bool = False

    def __post_init__(self) -> None:
        for f in fields(self):
            value, kind = getattr(self, f.name), str(f.type).partition("[")[0]
            right = isinstance(value, _TYPES.get(kind, (object,)))
            if kind == "float":
                right = right and not isinstance(value, bool) and abs(value) < math.inf
            if not right:
                raise InvalidInputError(f"{f.name}={value!r}: expected {with_article(kind)}.")
        check_choice("architecture", self.architecture, ARCHITECTURES)
        if self.schedule not in ("cosine", "paper"):
            raise InvalidInputError(f"schedule={self.schedule!r}: expected 'cosine' or 'paper'.")
        if self.mixed_precision not in (True, False, "always"):
            raise InvalidInputError(
                f"mixed_precision={self.mixed_precision!r}: expected True, False or 'always'."
            )
        for name, most in _MOST.items():
            check_integer(name, getattr(self, name), 0 if name == "warmup" else 1, most)
        check_integer("seed", self.seed)
        for name in ("band_dropout", "depth_noise", "masked_pixels", "sharp"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise InvalidInputError(f"{name}={getattr(self, name)!r}: expected 0 to 1.")
        if not 0.0 < self.learning_rate:
            raise InvalidInputError(f"learning_rate={self.learning_rate!r}: expected above 0.")
        if not 0.0 <= self.average_decay < 1.0:
            raise InvalidInputError(
                f"average_decay={self.average_decay!r}: expected at least 0 and below 1."
            )
        if self.pool_size % self.batch_size:
            raise InvalidInputError(
                f"pool_size={self.pool_size} is no multiple of batch_size={self.batch_size}."
            )

    def _to_dict(self) -> dict[str, Any]:
        """Return the settings, which JSON can represent."""
        return asdict(self)

    def _to_json(self) -> str:
        return json.dumps(self._to_dict(), indent=1, sort_keys=True) + "\n"

    @classmethod
    def _from_dict(cls, settings: dict[str, Any]) -> TrainingConfig:
        """Return a configuration from settings by name; missing ones have their defaults."""
        known = {f.name for f in fields(cls)}
        unknown = sorted(set(settings) - known)
        if unknown:
            raise InvalidInputError(
                f"Unknown setting {', '.join(unknown)}: expected some of "
                f"{', '.join(sorted(known))}."
            )
        return cls(**settings)

    @classmethod
    def _from_json(cls, text: str) -> TrainingConfig:
        return cls._from_dict(parse_json(text, "configuration"))
