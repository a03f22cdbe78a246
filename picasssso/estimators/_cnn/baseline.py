"""Answers of networks that learn no uncertainty: it is what was measured elsewhere."""

from __future__ import annotations

from typing import Any

import torch

from picasssso.estimators._cnn.inputs import NetworkInput
from picasssso.exceptions import FileFormatError
from picasssso.maps.arrays import PropertyArrays
from picasssso.networks.buck_wolf import BASELINE_PROPERTIES, predict_maps
from picasssso.networks.heads import QUANTILES
from picasssso.networks.weights import TrainedModel


def baseline_answer(
    model: TrainedModel, inputs: NetworkInput, *, orientations: int = 1
) -> list[dict[str, PropertyArrays]]:
    """Estimate blocks of one shape with the network of Buck & Wolf (2021).

    Returns the prediction is the median and the mean; the other percentiles lie around it as
    residuals did about theirs, alike in all pixels.
    """
    widths = _widths(model.card)
    maps = predict_maps(
        model.ensemble.networks,
        inputs.flux,
        inputs.inverse_variance,
        inputs.conditions,
        orientations=orientations,
    )
    arrays: dict[str, tuple[Any, Any]] = {}
    for name, values in maps.items():
        planes = values[:, None] * 10.0 ** widths[name].to(values.device)[:, None, None]
        arrays[name] = planes.cpu().numpy(), values.cpu().numpy()
    return [
        {
            name: PropertyArrays(percentiles[k], mean=mean[k])
            for name, (percentiles, mean) in arrays.items()
        }
        for k in range(len(inputs.flux))
    ]


def _widths(card: dict[str, Any]) -> dict[str, torch.Tensor]:
    """Return residuals relative to their median, dex, by property."""
    table = card.get("residual_quantiles")
    if not isinstance(table, dict) or set(table) != set(BASELINE_PROPERTIES):
        raise FileFormatError(
            "These weights of the architecture buck_wolf_2021 carry no measured residuals, so "
            "that their maps would have no uncertainty: measure them with "
            "picasssso.training.trained_model.measure_residuals and put them into the card as "
            "'residual_quantiles'."
        )
    widths = {name: torch.tensor(values, dtype=torch.float32) for name, values in table.items()}
    return {name: values - values[len(QUANTILES) // 2] for name, values in widths.items()}
