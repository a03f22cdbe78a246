"""The state of a training, one step of it, and its checkpoints."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import nn

from picasssso._core.safe_files import atomic_write, short
from picasssso.exceptions import FileFormatError
from picasssso.networks.architectures import build_network
from picasssso.networks.buck_wolf import MAPS, BuckWolfNetwork, squared_loss
from picasssso.networks.config import TrainingConfig
from picasssso.networks.heads import decode
from picasssso.networks.inputs import input_planes
from picasssso.training.batches import SlottedBatch
from picasssso.training.losses import pixel_weights, quantile_loss
from picasssso.training.targets import make_targets

#: Format of checkpoints.
_FORMAT = 1

#: Gradients longer than this are shortened to it.
_LONGEST_GRADIENT = 1.0


def batch_loss(network: nn.Module, batch: SlottedBatch) -> torch.Tensor:
    """Return the loss of a network on a batch."""
    planes = input_planes(batch.flux, batch.inverse_variance, batch.conditions)
    planes = planes.contiguous(memory_format=torch.channels_last)
    if isinstance(network, BuckWolfNetwork):
        return squared_loss(network(planes), batch.truth.planes(MAPS))
    raw = network(planes, batch.conditions.vector(batch.has_band()))
    with torch.autocast(planes.device.type, enabled=False):
        weights = pixel_weights(batch.flux, batch.inverse_variance)
        return quantile_loss(decode(raw), make_targets(batch.truth), weights)


@lru_cache(maxsize=1)
def _compiled_loss() -> Callable[[nn.Module, SlottedBatch], torch.Tensor]:
    # Weights are inputs of what is compiled, so all members share it.
    return torch.compile(batch_loss, dynamic=False)


class TrainingState:
    """Networks that are being trained, their averages and optimizers, and the step."""

    def __init__(self, config: TrainingConfig, device: torch.device | str = "cpu") -> None:
        self.config, self.device, self.step = config, torch.device(device), 0
        self.is_whole = True
        self.networks, self.averages, self.optimizers = [], [], []
        for member in range(config.members):
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(1_000_003 * config.seed + member)
                network = build_network(config)
            network = network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
            average = build_network(config)
            average.load_state_dict(network.state_dict())
            average = average.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
            self.networks.append(network)
            self.averages.append(average.requires_grad_(False).eval())
            self.optimizers.append(
                torch.optim.AdamW(
                    _groups(network, config.weight_decay),
                    lr=config.learning_rate,
                    betas=(0.9, 0.99),
                    fused=self.device.type == "cuda",
                )
            )

    def learning_rate(self, step: int) -> float:
        """Return the learning rate of a step."""
        config = self.config
        rise = min(1.0, (step + 1) / max(config.warmup, 1))
        part = min(step / config.steps, 1.0)
        if config.schedule == "paper":
            return config.learning_rate * rise * 0.1 ** ((part >= 8 / 13) + (part >= 10 / 13))
        fall = 0.01 + 0.99 * 0.5 * (1.0 + math.cos(math.pi * part))
        return config.learning_rate * rise * fall

    def to(self, device: torch.device) -> None:
        """Move networks, averages and optimizers to a device."""
        self.device = device
        for network in (*self.networks, *self.averages):
            network.to(device)
        for optimizer in self.optimizers:
            # Reading its own state, an optimizer brings it to where its parameters are.
            optimizer.load_state_dict(optimizer.state_dict())

    def train_step(
        self, batch: SlottedBatch, average: Callable[[torch.Tensor], torch.Tensor] | None = None
    ) -> torch.Tensor:
        """Take one step of every member; ``average``: over processes that train together."""
        compiled = self.config.compiled and self.device.type == "cuda"
        loss_of = _compiled_loss() if compiled else batch_loss
        wanted = self.config.mixed_precision
        mixed = wanted == "always" or (bool(wanted) and self.device.type == "cuda")
        losses = []
        for network, optimizer in zip(self.networks, self.optimizers, strict=True):
            network.train()
            optimizer.zero_grad(set_to_none=True)
            with torch.autocast(self.device.type, torch.bfloat16, enabled=mixed):
                loss = loss_of(network, batch)
            loss.backward()
            if average is not None:
                gradients = [p.grad for p in network.parameters() if p.grad is not None]
                together = average(torch.cat([grad.flatten() for grad in gradients]))
                pieces = together.split([grad.numel() for grad in gradients])
                for grad, piece in zip(gradients, pieces, strict=True):
                    grad.copy_(piece.view_as(grad))
            losses.append(loss.detach())
        self.update()
        return torch.stack(losses).mean()

    def update(self) -> None:
        """Move the weights of all members along their gradients, and the averages after them."""
        self.is_whole = False
        rate = self.learning_rate(self.step)
        # Early averages would remember the start for too long.
        decay = min(self.config.average_decay, (1 + self.step) / (10 + self.step))
        for network, average, optimizer in zip(
            self.networks, self.averages, self.optimizers, strict=True
        ):
            for group in optimizer.param_groups:
                group["lr"] = rate
            nn.utils.clip_grad_norm_(network.parameters(), _LONGEST_GRADIENT)
            optimizer.step()
            with torch.no_grad():
                torch._foreach_lerp_(
                    list(average.parameters()), list(network.parameters()), 1.0 - decay
                )
        self.step += 1
        self.is_whole = True

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a checkpoint from which training goes on exactly."""
        content = {
            "format": _FORMAT,
            "config": self.config._to_json(),
            "step": self.step,
            "networks": [network.state_dict() for network in self.networks],
            "averages": [average.state_dict() for average in self.averages],
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
        }
        # Given a name, torch refuses hidden ones without ending.
        with atomic_write(Path(path), overwrite=True) as name, name.open("wb") as temporary:
            torch.save(content, temporary)

    @classmethod
    def load(
        cls, path: str | os.PathLike[str], device: torch.device | str = "cpu"
    ) -> TrainingState:
        """Read a checkpoint."""
        try:
            content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
            version = content["format"]
            if version == _FORMAT:
                state = cls(TrainingConfig._from_json(content["config"]), device)
                state.step = int(content["step"])
                # As spelled before 0.1.
                content.setdefault("optimizers", content.get("optimisers"))
                for name in ("networks", "averages", "optimizers"):
                    for mine, saved in zip(getattr(state, name), content[name], strict=True):
                        mine.load_state_dict(saved)
                return state
        except FileNotFoundError:
            raise FileFormatError(f"There is no checkpoint {path}.") from None
        # torch raises whatever its readers of zip files and pickles come upon.
        except Exception as error:
            raise FileFormatError(
                f"{path} is not a checkpoint of a training: {short(error)}."
            ) from error
        raise FileFormatError(f"{path} is a checkpoint of format {version}: expected {_FORMAT}.")


def _groups(network: nn.Module, decay: float) -> list[dict[str, Any]]:
    """Return parameters with and without weight decay: biases have none."""
    parameters = list(network.parameters())
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
