"""Where torch computes: checked when a parameter is set, resolved at each call."""

from __future__ import annotations

import re
from typing import Any

from picasssso.exceptions import InvalidInputError


def check_device(device: Any) -> None:
    """Check the name of a device, without importing torch."""
    if device is not None and not re.fullmatch(r"cpu|cuda(:\d+)?", str(device)):
        raise InvalidInputError(
            f"device={device!r}: expected 'cpu', 'cuda', 'cuda:1' ..., or None for CUDA if "
            "there is one."
        )


def resolve_device(device: str | None) -> str:
    """Return the device that is meant here and now."""
    import torch

    check_device(device)
    if device is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    number = int(device.partition(":")[2] or 0)
    if device != "cpu" and number >= torch.cuda.device_count():
        raise InvalidInputError(
            f"device={device!r}, but torch finds {torch.cuda.device_count()} CUDA devices here: "
            "use device='cpu', or None."
        )
    return device


def has_bfloat16(device: str) -> bool:
    """Return whether a device computes in bfloat16 faster than in single precision."""
    import torch

    if device != "cpu":
        return True
    asked = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return bool(asked is not None and asked())
