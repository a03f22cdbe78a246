"""Files of weights: where they are, and what their cards say (without torch)."""

from __future__ import annotations

import os
from importlib.resources import files
from pathlib import Path
from typing import Any

from picasssso._core.safe_files import read_json
from picasssso.exceptions import FileFormatError, InvalidTypeError

#: Names that stand for packaged weights of a version. Weights never change under a version's
#: name; what ``"default"`` stands for may change with a release, and the maps record which.
ALIASES = {"default": "worlds-6"}


def _folder() -> Path:
    return Path(str(files("picasssso.data") / "weights"))


def list_packaged() -> list[str]:
    """Return the names of the weights that come with the package."""
    return sorted(
        path.stem
        for path in _folder().glob("*.json")
        if path.with_suffix(".safetensors").is_file()
    )


def check_weights(weights: Any) -> None:
    """Check that weights are there."""
    if weights is None:
        return
    if not isinstance(weights, str | os.PathLike):
        raise InvalidTypeError(
            f"weights={weights!r}: expected the name of packaged weights "
            f"({', '.join(list_packaged()) or 'none in this installation'}), the path of your own "
            "(.safetensors and .json), or None for an untrained network."
        )
    path = weights_path(weights)
    missing = [
        name
        for suffix in (".safetensors", ".json")
        if not (name := path.with_name(path.name + suffix)).is_file()
    ]
    if not missing:
        return
    packaged = ", ".join(list_packaged()) or "none"
    if path.parent == _folder():
        raise FileFormatError(
            f"weights={weights!r}: this installation lacks the packaged weights {missing[0].name} "
            f"(it has: {packaged}). Reinstall picasssso, or give the path of weights of your own: "
            "CNNEstimator(weights='my_weights')."
        )
    raise FileFormatError(
        f"weights={os.fspath(weights)!r}: there is no file {missing[0]}. Weights are two files of "
        f"one name, .safetensors and .json; packaged are: {packaged}."
    )


def weights_path(weights: str | os.PathLike[str]) -> Path:
    """Return the path of weights, without ending."""
    if isinstance(weights, str) and (weights in ALIASES or weights in list_packaged()):
        return _folder() / ALIASES.get(weights, weights)
    path = Path(weights).expanduser()
    return path.with_suffix("") if path.suffix in (".safetensors", ".json") else path


def read_card(weights: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the model card of weights."""
    path = weights_path(weights)
    path = path.with_name(path.name + ".json")
    return read_json(path, "model card")
