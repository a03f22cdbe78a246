"""Weights on disk: safetensors and a model card in JSON; no pickle.

``NAME.safetensors`` holds the tensors of all members (``member0.stem.weight``, half
precision) and of the calibration (``calibration.*``); ``NAME.json`` beside it says what they
are: format, architecture, scaling and order of inputs and outputs, filters, how they were
trained and how accurate they are. The card holds the hash of the tensors' file.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from picasssso._files import atomic_write
from picasssso.exceptions import FileFormatError
from picasssso.networks.calibration import Calibration
from picasssso.networks.ensemble import Ensemble
from picasssso.networks.inputs import SLOTS
from picasssso.networks.outputs import OUTPUT_NAMES
from picasssso.networks.training.config import TrainingConfig
from picasssso.networks.training.state import build_network

__all__ = ["FORMAT", "TrainedModel", "read_weights", "write_weights"]

#: Number of the format written here.
FORMAT = 1


@dataclass
class TrainedModel:
    """A trained ensemble with its calibration and card.

    Parameters
    ----------
    ensemble : Ensemble
        The networks, on the CPU.
    config : TrainingConfig
        What they were trained with.
    calibration : Calibration or None
        How their quantiles are corrected; None before calibration.
    card : dict
        The model card.
    """

    ensemble: Ensemble
    config: TrainingConfig
    calibration: Calibration | None
    card: dict[str, Any]


def _paths(path: str | os.PathLike[str]) -> tuple[Path, Path]:
    path = Path(path)
    if path.suffix in (".safetensors", ".json"):
        path = path.with_suffix("")
    return path.with_name(path.name + ".safetensors"), path.with_name(path.name + ".json")


def write_weights(
    path: str | os.PathLike[str], model: TrainedModel, *, overwrite: bool = False
) -> dict[str, Any]:
    """Write a trained model.

    Parameters
    ----------
    path : str or path-like
        Name of the two files, with or without ending.
    model : TrainedModel
        What to write.
    overwrite : bool, optional
        Whether files that are there are replaced.

    Returns
    -------
    dict
        The card as written.

    Raises
    ------
    FileFormatError
        If a file is there and may not be replaced.
    """
    from safetensors.torch import save

    tensors_path, card_path = _paths(path)
    tensors: dict[str, torch.Tensor] = {}
    for number, network in enumerate(model.ensemble.networks):
        for name, value in network.state_dict().items():
            tensors[f"member{number}.{name}"] = value.detach().cpu().half().contiguous()
    if model.calibration is not None:
        for name, value in model.calibration.to_tensors().items():
            tensors[f"calibration.{name}"] = value.detach().cpu().float().contiguous()
    data = save(tensors)
    card = {
        **model.card,
        "format": FORMAT,
        "sha256": hashlib.sha256(data).hexdigest(),
        "training": model.config.to_dict(),
        "members": len(model.ensemble.networks),
        "slots": list(SLOTS),
        "outputs": list(OUTPUT_NAMES),
    }
    with atomic_write(tensors_path, overwrite=overwrite) as temporary:
        temporary.write_bytes(data)
    with atomic_write(card_path, overwrite=overwrite) as temporary:
        temporary.write_text(json.dumps(card, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return card


def read_weights(path: str | os.PathLike[str]) -> TrainedModel:
    """Read a trained model.

    Parameters
    ----------
    path : str or path-like
        Name of the two files, with or without ending.

    Returns
    -------
    TrainedModel
        The model, on the CPU in single precision.

    Raises
    ------
    FileFormatError
        If a file is missing, damaged, of a newer format, or the two do not belong together.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    tensors_path, card_path = _paths(path)
    for needed in (tensors_path, card_path):
        if not needed.is_file():
            raise FileFormatError(
                f"There is no file {needed}: weights are a .safetensors file and a .json file "
                "of one name."
            )
    try:
        card = json.loads(card_path.read_text(encoding="utf-8"))
        version = card["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise FileFormatError(f"{card_path} is no model card: {error}.") from error
    if not isinstance(version, int):
        raise FileFormatError(f"{card_path} is no model card: its format is {version!r}.")
    if version > FORMAT:
        raise FileFormatError(
            f"{card_path} has format {version}, this picasssso reads up to {FORMAT}: the weights "
            f"were written by picasssso {card.get('package_version', '?')}; install that or newer."
        )
    data = tensors_path.read_bytes()
    if hashlib.sha256(data).hexdigest() != card.get("sha256"):
        raise FileFormatError(
            f"{tensors_path} is damaged or does not belong to {card_path}: its hash is not "
            "the one in the card (sha256)."
        )
    try:
        tensors = load(data)
        config = TrainingConfig.from_dict(card["training"])
        networks = []
        for number in range(int(card["members"])):
            prefix = f"member{number}."
            state = {
                name.removeprefix(prefix): value.float()
                for name, value in tensors.items()
                if name.startswith(prefix)
            }
            network = build_network(config)
            network.load_state_dict(state)
            networks.append(
                network.to(memory_format=torch.channels_last).requires_grad_(False)  # type: ignore[call-overload]
            )
    except (SafetensorError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise FileFormatError(
            f"{tensors_path} does not hold what its card says: {error}"
        ) from error
    kept = {
        name.removeprefix("calibration."): value
        for name, value in tensors.items()
        if name.startswith("calibration.")
    }
    calibration = Calibration.from_tensors(kept) if kept else None
    return TrainedModel(Ensemble(networks), config, calibration, card)
