"""What is said where there is no light: sums of the flux, and upper limits.

Near light that is detected the means are the network's. Far from all, they are proportional to
the flux, so that noise sums to nothing. Where a pixel's own neighborhood holds no light that
is detected, surface densities are upper limits, and there is nothing to have an age.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from picasssso.estimators._cnn.block_inputs import NetworkInput
from picasssso.maps.arrays import NORMAL_SCORES
from picasssso.networks.conformal import local_signal
from picasssso.networks.detection import (
    TYPICAL_PART,
    detected_part,
    measure_light,
    nearness,
    typical_galaxy,
)
from picasssso.networks.mixture import hold_hydrogen, linear_means
from picasssso.networks.outputs import OUTPUTS
from picasssso.networks.weights import TrainedModel
from picasssso.properties import PROPERTIES

#: Places of the properties that are averaged, and of those that are summed.
_AVERAGED = [
    k for k, output in enumerate(OUTPUTS) if not PROPERTIES[output.name].is_surface_density
]
_SUMMED = [k for k in range(len(OUTPUTS)) if k not in _AVERAGED]

#: The ratio of a property to the light, where nothing is near, is taken to be this uncertain at
#: most: more, and the noise of a pixel would count as an error that all pixels share.
_RATIO_ERROR = 0.5

#: Places of the 2.5 and 16 % planes.
_LOWER = 2


@dataclass(frozen=True)
class Faintness:
    """Where images have light, and what stands in for the network where they have none."""

    detected: torch.Tensor
    near: torch.Tensor
    amplitude: torch.Tensor
    error: torch.Tensor
    ratio: torch.Tensor | None

    def of_one(self, number: int) -> Faintness:
        """Return what belongs to one of the images."""
        one = slice(number, number + 1)
        ratio = None if self.ratio is None else self.ratio[one]
        return Faintness(
            self.detected[one], self.near[one], self.amplitude[one], self.error[one], ratio
        )

    @property
    def undetected(self) -> torch.Tensor:
        """Where there is no light that is detected (Tensor of bool, shape (n, y, x))."""
        return self.detected[:, 0] < 0.5

    def limit(self, percentiles: torch.Tensor) -> torch.Tensor:
        """Turn percentiles into upper limits where there is no light."""
        if self.ratio is not None:
            score = torch.tensor(NORMAL_SCORES, device=percentiles.device)[:, None, None]
            light = (self.amplitude + self.error * score)[:, None]
            of_light = (self.ratio[:, _SUMMED, None] * light).clamp(min=0.0)
            near = self.near[:, None]
            percentiles[:, _SUMMED] = near * percentiles[:, _SUMMED] + (1.0 - near) * of_light
        percentiles[:, _SUMMED, :_LOWER] *= self.detected[:, None]
        return self._without_averages(percentiles)

    def sums(self, values: torch.Tensor, score: torch.Tensor | None = None) -> torch.Tensor:
        """Return planes whose sums over noise are zero."""
        if self.ratio is not None:
            light = self.amplitude if score is None else self.amplitude + self.error * score
            mixed = self.near * values + (1.0 - self.near) * self.ratio * light
            mixed[:, _AVERAGED] = values[:, _AVERAGED]
            values = mixed
        return self._without_averages(values)

    def shared(self, shared: torch.Tensor, means: torch.Tensor) -> torch.Tensor:
        """Return the part of errors that all pixels share, for `sums` of means."""
        if self.ratio is not None:
            relative = shared / means.clamp(min=1e-30)
            far = (
                (1.0 - self.near) * self.ratio * self.amplitude * relative.clamp(max=_RATIO_ERROR)
            )
            mixed = self.near * shared + far
            mixed[:, _AVERAGED] = shared[:, _AVERAGED]
            shared = mixed
        return self._without_averages(shared)

    def _without_averages(self, planes: torch.Tensor) -> torch.Tensor:
        """Return planes (n, 8, ..., y, x) without averages where there is nothing."""
        nothing = self.undetected
        if not nothing.any():
            return planes
        for k in _AVERAGED:
            plane = planes[:, k]
            where = nothing if plane.ndim == nothing.ndim else nothing[:, None]
            planes[:, k] = plane.masked_fill(where, torch.nan)
        return planes


def look_for_light(model: TrainedModel, inputs: NetworkInput) -> Faintness:
    """Look for light in images."""
    light = measure_light(inputs.flux, inputs.inverse_variance, inputs.inflation)
    detected = detected_part(light)
    near = nearness(detected)
    ratio = None if bool((near >= 1.0).all()) else _typical_ratio(model, inputs)
    return Faintness(detected, near, light.amplitude, light.error, ratio)


def _typical_ratio(model: TrainedModel, inputs: NetworkInput) -> torch.Tensor:
    """Return what the network says of a typical faint galaxy per light, (n, 8, 1, 1)."""
    flux, weight = typical_galaxy(inputs.noise)
    prediction = model.ensemble.predict(
        flux, weight, inputs.conditions, inputs.has_band
    ).prediction
    if model.calibration is not None:
        signal = local_signal(flux, weight)
        prediction = model.calibration.apply(prediction, signal, inputs.has_band.sum(1))
    # Not of the empty sky around it, of which the network says a little in each pixel.
    galaxy = (..., TYPICAL_PART, TYPICAL_PART)
    light = measure_light(flux, weight).amplitude[galaxy].sum((2, 3), keepdim=True)
    means = hold_hydrogen(linear_means(prediction))[galaxy].sum((2, 3), keepdim=True)
    ratio = torch.where(light > 0, means / light.clamp(min=1e-30), 0.0)
    ratio[:, _AVERAGED] = 0.0
    return ratio
