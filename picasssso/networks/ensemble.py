"""Ensembles of networks, whose raw outputs are averaged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import torch
from torch import nn
from torch.nn import functional

from picasssso._core.threads import map_calmly
from picasssso.networks.heads import PER_OUTPUT, Prediction, decode, limit_hydrogen
from picasssso.networks.inputs import Conditions, input_planes
from picasssso.networks.outputs import OUTPUTS


def turned(images: torch.Tensor, turn: int) -> torch.Tensor:
    """Return images in one of their eight orientations."""
    if turn >= 4:
        images = images.transpose(-1, -2)
    # Not turning is a copy too, to torch.
    return torch.rot90(images, turn % 4, (-2, -1)) if turn % 4 else images


def turned_back(images: torch.Tensor, turn: int) -> torch.Tensor:
    """Undo `turned`."""
    images = torch.rot90(images, -(turn % 4), (-2, -1)) if turn % 4 else images
    return images.transpose(-1, -2) if turn >= 4 else images


@dataclass(frozen=True)
class EnsemblePrediction:
    """Prediction of an ensemble, and the standard deviation of its members' medians in dex."""

    prediction: Prediction
    disagreement: torch.Tensor


class Ensemble:
    """Trained networks that are used together.

    Each member merges pixels on a different, shifted grid. The raw outputs of the members, medians
    and logits, are averaged with equal weights, so that quantiles are as narrow as those of one
    member if all agree.
    """

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        self.networks = [network.eval() for network in networks]
        self.stride = int(self.networks[0].stride)  # type: ignore[arg-type]
        reach = self.networks[0].reach
        # None where the whole image matters to every pixel.
        self.reach = None if reach is None else int(reach)  # type: ignore[arg-type]

    def _offset(self, number: int) -> tuple[int, int]:
        """Return where the grid of a member begins, in pixels before the image."""
        # Pixels that a network merges on its lower levels leave squares in the maps. With
        # every member's grid elsewhere they do not add up, at no cost.
        return 3 * number % self.stride, 5 * number % self.stride

    @torch.inference_mode()
    def predict(
        self,
        flux: torch.Tensor,
        inverse_variance: torch.Tensor,
        conditions: Conditions,
        has_band: torch.Tensor,
        *,
        orientations: int = 1,
        mixed_precision: bool = False,
    ) -> EnsemblePrediction:
        """Predict images (nmgy per pixel, in slots, on the networks' device), in float32."""
        planes = input_planes(flux, inverse_variance, conditions)
        vector = conditions.vector(has_band)

        @torch.inference_mode()
        def predict_one(job: tuple[int, int]) -> torch.Tensor:
            turn, number = job
            image = turned(planes, turn)
            height, width = image.shape[-2:]
            y, x = self._offset(number)
            sides = (x, -(width + x) % self.stride, y, -(height + y) % self.stride)
            # Outside the image its edge goes on: a border without data would be a sight
            # that no galaxy was trained with.
            seen = functional.pad(image, sides, mode="replicate")
            seen = seen.contiguous(memory_format=torch.channels_last)
            with torch.autocast(planes.device.type, torch.bfloat16, enabled=mixed_precision):
                raw = self.networks[number](seen, vector)
            return turned_back(raw.float()[..., y : y + height, x : x + width], turn)

        medians = []
        total: torch.Tensor | None = None
        numbers = range(len(self.networks))
        for turn in range(orientations):
            for raw in map_calmly(predict_one, [(turn, number) for number in numbers]):
                medians.append(raw[:, : PER_OUTPUT * len(OUTPUTS) : PER_OUTPUT].clone())
                total = raw if total is None else total.add_(raw)
        assert total is not None
        raw = total.div_(len(medians))
        # Of few maps this is many times faster than torch.std.
        mean = reduce(torch.add, medians) / len(medians)
        squares = reduce(torch.add, [(median - mean).square_() for median in medians])
        disagreement = (squares / len(medians)).sqrt_()
        return EnsemblePrediction(limit_hydrogen(decode(raw)), disagreement)
