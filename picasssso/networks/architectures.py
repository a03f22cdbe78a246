"""The architectures by name, as configurations and weights give them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from picasssso.exceptions import InvalidInputError
from picasssso.networks.buck_wolf import BuckWolfNetwork
from picasssso.networks.config import TrainingConfig
from picasssso.networks.unet import ResidualUNet

#: Channels of a level, blocks of a level, and levels, beyond those of any network.
_WIDEST, _DEEPEST, _LEVELS = 8192, 64, 12


def build_network(config: TrainingConfig) -> nn.Module:
    """Return an untrained network."""
    kinds: dict[str, type[nn.Module]] = {
        "residual_unet": ResidualUNet,
        "buck_wolf_2021": BuckWolfNetwork,
    }
    _check_size(config.network)
    try:
        return kinds[config.architecture](**config.network)
    except (TypeError, ValueError) as error:
        raise InvalidInputError(
            f"The network {config.architecture} cannot be created with {config.network}: {error}."
        ) from None


def _check_size(settings: Mapping[str, Any]) -> None:
    """Refuse widths and depths of which no machine makes a network."""
    for name, value in settings.items():
        values = value if isinstance(value, list | tuple) else [value]
        numbers = [n for n in values if isinstance(n, int)]
        most = _DEEPEST if name == "depths" else _WIDEST
        if len(values) > _LEVELS or any(n > most for n in numbers):
            raise InvalidInputError(
                f"The network's {name}={str(value)[:60]}: expected integers up to {most}, of at "
                f"most {_LEVELS} levels."
            )
