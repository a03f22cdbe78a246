"""From images in slots to percentiles, means, samples and quality.

Of networks that learn no uncertainty it is what was measured elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from picasssso.estimators._cnn.block_inputs import NetworkInput, unlike_training
from picasssso.estimators._cnn.draws import correlated_scores, light_score, presence_score
from picasssso.estimators._cnn.upper_limits import Faintness, look_for_light
from picasssso.estimators.context import EstimationContext
from picasssso.exceptions import FileFormatError
from picasssso.maps.arrays import PropertyArrays
from picasssso.networks.buck_wolf import BASELINE_PROPERTIES, predict_maps
from picasssso.networks.conformal import local_signal
from picasssso.networks.ensemble import EnsemblePrediction
from picasssso.networks.heads import QUANTILES, Prediction
from picasssso.networks.mixture import (
    hold_hydrogen,
    linear_means,
    linear_quantiles,
    linear_values,
    shared_deviations,
)
from picasssso.networks.outputs import OUTPUTS
from picasssso.networks.training_range import (
    colors_outside,
    disagreement_score,
    is_outside,
    measure,
    members_disagree,
)
from picasssso.networks.weights import TrainedModel
from picasssso.quality import QUALITY_DTYPE, QualityFlag


@torch.inference_mode()
def answer(
    model: TrainedModel,
    inputs: NetworkInput,
    contexts: Sequence[EstimationContext],
    *,
    orientations: int = 1,
    mixed_precision: bool = False,
) -> list[dict[str, PropertyArrays]]:
    """Estimate blocks of one shape."""
    said = model.ensemble.predict(
        inputs.flux,
        inputs.inverse_variance,
        inputs.conditions,
        inputs.has_band,
        orientations=orientations,
        mixed_precision=mixed_precision,
    )
    signal = local_signal(inputs.flux, inputs.inverse_variance)
    prediction = said.prediction
    if model.calibration is not None:
        prediction = model.calibration.apply(prediction, signal, inputs.has_band.sum(1))
    faint = look_for_light(model, inputs)
    percentiles = faint.limit(hold_hydrogen(linear_quantiles(prediction)))
    said_means = hold_hydrogen(linear_means(prediction))
    shared = None
    if model.calibration is not None:
        deviations = shared_deviations(prediction, model.calibration.shared)
        shared = faint.shared(deviations, said_means)
    means = faint.sums(said_means)
    quality = _quality(model, inputs, said, prediction, signal, contexts)
    nothing = faint.undetected.cpu().numpy()
    quality[:, 0][nothing] |= int(QualityFlag.UPPER_LIMIT) | int(QualityFlag.NOT_DETECTED)
    arrays: tuple[Any, ...] = tuple(
        None if planes is None else planes.cpu().numpy() for planes in (percentiles, means, shared)
    )
    results = []
    for k, context in enumerate(contexts):
        samples = _samples(model, prediction, faint, k, context)
        results.append(
            {
                output.name: PropertyArrays(
                    arrays[0][k, place],
                    mean=arrays[1][k, place],
                    samples=None if samples is None else samples[:, place],
                    quality=quality[k, place],
                    shared=None if shared is None else arrays[2][k, place],
                )
                for place, output in enumerate(OUTPUTS)
            }
        )
    return results


def _samples(
    model: TrainedModel,
    prediction: Prediction,
    faint: Faintness,
    number: int,
    context: EstimationContext,
) -> npt.NDArray[np.float32] | None:
    """Return joint samples (n_samples, 8, y, x) of one block."""
    if not context.n_samples:
        return None
    one = Prediction(
        *(getattr(prediction, f.name)[number : number + 1] for f in fields(prediction))
    )
    height, width = one.log_mean.shape[-2:]
    there = faint.of_one(number)
    out = np.empty((context.n_samples, len(OUTPUTS), height, width), np.float32)
    for draw in range(context.n_samples):
        scores = correlated_scores(model.calibration, context, (height, width), draw)
        score = torch.from_numpy(scores)[None].to(one.log_mean.device)
        presence = torch.full_like(score[:, :1, :1, :1], presence_score(context, draw))
        values = hold_hydrogen(linear_values(one, score, presence))
        light = None
        if there.ratio is not None:
            numbers = light_score(context, tuple(there.error.shape[-2:]), draw)
            light = torch.from_numpy(numbers)[None, None].to(there.error.device)
        out[draw] = there.sums(values, light)[0].cpu().numpy()
    return out


def _quality(
    model: TrainedModel,
    inputs: NetworkInput,
    said: EnsemblePrediction,
    prediction: Prediction,
    signal: torch.Tensor,
    contexts: Sequence[EstimationContext],
) -> npt.NDArray[np.int32]:
    """Return the quality bits by block and property, (n, 8, y, x)."""
    shape = prediction.occupancy.shape
    quality = np.zeros(shape, QUALITY_DTYPE)
    absent = (prediction.occupancy < 0.5).cpu().numpy()
    quality[absent] |= int(QualityFlag.UPPER_LIMIT)
    outside = torch.zeros_like(signal, dtype=torch.bool)
    calibration = model.calibration
    if calibration is not None:
        measured = measure(
            inputs.flux, inputs.inverse_variance, inputs.conditions, inputs.has_band
        )
        image, outside = is_outside(measured, calibration.ranges)
        outside = outside | image.any(1)[:, None, None]
        outside = outside | colors_outside(
            measured, inputs.has_band, calibration.colors, calibration.color_limits
        )
        for k, context in enumerate(contexts):
            outside[k] |= bool(unlike_training(context, calibration))
        score = disagreement_score(said)
        outside = outside | members_disagree(score, signal, calibration.disagreement)
    # Bins of many pixels look like no image that was trained on.
    binned = torch.tensor([context.binned for context in contexts], device=outside.device)
    where = (outside | binned[:, None, None]).cpu().numpy()
    quality[:, 0][where] |= int(QualityFlag.OUTSIDE_TRAINING)
    return quality


def baseline_answer(
    model: TrainedModel, inputs: NetworkInput, *, orientations: int = 1
) -> list[dict[str, PropertyArrays]]:
    """Estimate blocks of one shape with the network of Buck & Wolf (2021).

    The prediction is the median and the mean; the other percentiles lie around it as
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
