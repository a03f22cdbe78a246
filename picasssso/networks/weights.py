"""Weights files: tensors in safetensors and a model card in JSON; no pickle.

``NAME.safetensors`` contains the tensors of all members (``member0.stem.weight``, half precision)
and of the calibration (``calibration.*``). ``NAME.json``, in the same folder, describes them:
format, architecture, scaling and order of inputs and outputs, filters, training and accuracy. It
includes the hash of the tensor file.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from picasssso._core.safe_files import atomic_write, check_format, read_json, short, write_json
from picasssso.exceptions import FileFormatError
from picasssso.networks.architectures import build_network
from picasssso.networks.config import TrainingConfig
from picasssso.networks.conformal import ConformalCalibration
from picasssso.networks.ensemble import Ensemble
from picasssso.networks.inputs import SLOT_WAVELENGTHS, SLOTS
from picasssso.networks.outputs import OUTPUT_NAMES

#: Number of the format written here. 1 had no `presence`, and dust everywhere.
FORMAT = 2

#: What cards say of `picasssso.networks.inputs.input_planes`.
_INPUT_SCALING = {
    "flux": "f in nmgy per pixel, its standard deviation s",
    "luminosity": "L(f) = f 1e-9 10^(0.4 4.58) 1e4 (180 3600 / pi)^2 (1 + z)^3 / scale^2 in "
    "Lsun/kpc2, with the size of a pixel in arcsec",
    "planes_per_slot": [
        "log10 L(s) + asinh(f / 2 s) / ln 10 - 7",
        "0.5 asinh(f / 2 s)",
        "log10 L(s) - 6",
        "1 where valid; else 0, as are the others",
    ],
    "conditions": [
        "10 z - 0.5",
        "2 log10(kpc per pixel) + 1",
        "2 log10(widest PSF in kpc)",
        "1 for native resolution, else 0",
        "for each slot: 1 if there",
        "for each slot: log2(PSF in pixels) - 1.5",
        "for each slot: 10 (pivot wavelength / that of the slot - 1)",
    ],
    "slot_wavelengths_angstrom": list(SLOT_WAVELENGTHS),
}


@dataclass
class TrainedModel:
    """A trained ensemble on the CPU: configuration, calibration (None: not yet) and model card."""

    ensemble: Ensemble
    config: TrainingConfig
    calibration: ConformalCalibration | None
    card: dict[str, Any]


def _paths(path: str | os.PathLike[str]) -> tuple[Path, Path]:
    path = Path(path)
    if path.suffix in (".safetensors", ".json"):
        path = path.with_suffix("")
    return path.with_name(path.name + ".safetensors"), path.with_name(path.name + ".json")


def filter_hashes(bands: Iterable[str]) -> dict[str, str | None]:
    """Return hashes of the response curves of filters.

    Returns, by name, the SHA-256 of the wavelengths in AA and the responses, as little-endian
    double precision; None if speclite is not installed.
    """
    names = sorted(set(bands))
    try:
        import speclite.filters  # noqa: F401

        from picasssso.filters.curves import filter_hash, load_filter
    except ImportError:
        return dict.fromkeys(names)
    return {name: filter_hash(load_filter(name)) for name in names}


def write_weights(
    path: str | os.PathLike[str], model: TrainedModel, *, overwrite: bool = False
) -> dict[str, Any]:
    """Write a trained model into two files, named with or without extension; return the card."""
    from safetensors.torch import save

    # Machines that only train need no astropy.
    from picasssso.properties import PROPERTIES

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
        "training": model.config._to_dict(),
        "members": len(model.ensemble.networks),
        "slots": list(SLOTS),
        "input_scaling": _INPUT_SCALING,
        "outputs": list(OUTPUT_NAMES),
        "output_units": [PROPERTIES[name].unit.to_string("vounit") for name in OUTPUT_NAMES],
    }
    with atomic_write(tensors_path, overwrite=overwrite) as temporary:
        temporary.write_bytes(data)
    write_json(card_path, card, overwrite=overwrite)
    return card


def read_weights(path: str | os.PathLike[str]) -> TrainedModel:
    """Read a trained model from its two files; the extension of the name is optional.

    The model is on the CPU, in single precision. A `FileFormatError` is raised if a file is
    missing, damaged or of a newer format, or if the two files do not belong together.
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
    card = read_json(card_path, "model card")
    writer = card.get("package_version", "?")
    check_format(card_path, "model card", card.get("format"), FORMAT, writer)
    data = tensors_path.read_bytes()
    if hashlib.sha256(data).hexdigest() != card.get("sha256"):
        raise FileFormatError(
            f"{tensors_path} is damaged or does not belong to {card_path}: its hash is not "
            "the one in the card (sha256)."
        )
    try:
        tensors = load(data)
        config = TrainingConfig._from_dict(card["training"])
        networks = [_network(config, tensors, k) for k in range(_members(card, tensors))]
        kept = _named(tensors, "calibration.")
        calibration = ConformalCalibration.from_tensors(kept) if kept else None
    except (SafetensorError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise FileFormatError(
            f"{tensors_path} does not match its model card: {short(error)}"
        ) from error
    return TrainedModel(Ensemble(networks), config, calibration, card)


def _named(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    """Return the tensors with a prefix, in single precision, under their names without it."""
    found = {
        name.removeprefix(prefix): value.float()
        for name, value in tensors.items()
        if name.startswith(prefix)
    }
    for name, value in found.items():
        if bool(torch.isnan(value).any()) or (prefix[0] == "m" and bool(torch.isinf(value).any())):
            raise ValueError(f"{prefix}{name} holds values that are not numbers.")
    return found


def _members(card: dict[str, Any], tensors: dict[str, torch.Tensor]) -> int:
    there = len({name.partition(".")[0] for name in tensors if name.startswith("member")})
    if card["members"] != there or there == 0:
        raise ValueError(f"members={card['members']!r}, found those of {there}.")
    return there


def _network(
    config: TrainingConfig, tensors: dict[str, torch.Tensor], number: int
) -> torch.nn.Module:
    """Return a member of the ensemble; its size must be that of its tensors."""
    state = _named(tensors, f"member{number}.")
    largest = max([len(state), *(n for value in state.values() for n in value.shape)])
    for name, value in config.network.items():
        numbers = value if isinstance(value, list) else [value]
        sizes = [n for n in numbers if not isinstance(n, str)]
        # Blocks have tensors of their own; channels are as many as a tensor's side.
        asked = max([len(numbers), *sizes, sum(sizes) if name == "depths" else 0])
        if asked > largest:
            raise ValueError(f"{name}={value!r} exceeds the size of the tensors.")
    with torch.device("meta"):
        # Its sizes are compared before there is memory for them.
        wanted = {name: value.shape for name, value in build_network(config).state_dict().items()}
    if wanted != {name: value.shape for name, value in state.items()}:
        raise ValueError("the network's tensors have other names or shapes.")
    network = build_network(config)
    network.load_state_dict(state)
    return network.to(memory_format=torch.channels_last).requires_grad_(False)  # type: ignore[call-overload]
