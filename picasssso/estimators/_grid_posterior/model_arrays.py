"""Arguments of the posterior made ready: tensors in double precision, or what is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from picasssso.exceptions import InvalidInputError


def to_float64(values: Any) -> torch.Tensor:
    """Return values in double precision."""
    if isinstance(values, torch.Tensor):
        return values.to(torch.float64)
    # A copy: arrays may be read-only or of foreign byte order, which torch refuses.
    return torch.from_numpy(np.array(values, dtype=np.float64))


def which_count(used: Any, n_models: int) -> torch.Tensor:
    """Return 1 for models that count and 0 for others; all count if nothing is said."""
    ones = torch.ones(n_models, dtype=torch.float64)
    return ones if used is None else ones * torch.as_tensor(used)


def checked_models(
    model_flux: Any,
    amplitude_scaled: Mapping[str, Any],
    intensive: Mapping[str, Any],
    error_floor: Any,
) -> tuple[torch.Tensor, dict[str, torch.Tensor], dict[str, torch.Tensor], torch.Tensor]:
    """Return fluxes, both kinds of properties and the error floor, or say what is wrong."""
    flux = to_float64(model_flux)
    if flux.ndim != 2 or 0 in flux.shape:
        raise InvalidInputError(
            f"model_flux has shape {tuple(flux.shape)}: expected (n_model, n_band)."
        )
    if not (torch.isfinite(flux).all() and (flux >= 0).all() and (flux > 0).any(1).all()):
        raise InvalidInputError(
            "model_flux must be finite and not negative, with at least one positive flux "
            "for every model."
        )
    floor = to_float64(error_floor)
    if floor.shape not in ((), flux.shape[1:]) or not ((floor >= 0) & (floor < 1)).all():
        raise InvalidInputError(
            f"error_floor={error_floor!r} is not a fraction, or one for each of "
            f"{flux.shape[1]} bands: expected 0 <= error_floor < 1."
        )
    n = len(flux)
    scaled = {name: checked(name, v, n, True) for name, v in amplitude_scaled.items()}
    constant = {name: checked(name, v, n, False) for name, v in intensive.items()}
    return flux, scaled, constant, floor


def checked(name: str, values: Any, n_models: int, positive: bool) -> torch.Tensor:
    """Return a property of the models as float64, or say what is wrong with it."""
    tensor = to_float64(values).cpu()
    if tensor.shape != (n_models,):
        raise InvalidInputError(
            f"{name} has shape {tuple(tensor.shape)}: expected ({n_models},), one per model."
        )
    if not torch.isfinite(tensor).all() or (positive and (tensor < 0).any()):
        raise InvalidInputError(
            f"{name} must be finite{' and not negative' if positive else ''} for every model."
        )
    return tensor
