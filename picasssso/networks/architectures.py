"""The architectures by name, as configurations and weights give them."""

from __future__ import annotations

from torch import nn

from picasssso.exceptions import InvalidInputError
from picasssso.networks.buck_wolf import BuckWolfNetwork
from picasssso.networks.config import TrainingConfig
from picasssso.networks.unet import ResidualUNet


def build_network(config: TrainingConfig) -> nn.Module:
    """Return an untrained network."""
    kinds: dict[str, type[nn.Module]] = {
        "residual_unet": ResidualUNet,
        "buck_wolf_2021": BuckWolfNetwork,
    }
    try:
        return kinds[config.architecture](**config.network)
    except (TypeError, ValueError) as error:
        raise InvalidInputError(
            f"The network {config.architecture} cannot be created with {config.network}: {error}."
        ) from None
