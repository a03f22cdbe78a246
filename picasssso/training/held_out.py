"""Galaxies that were not used in training, and the predictions for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch

from picasssso.networks.conformal import local_signal
from picasssso.networks.ensemble import Ensemble
from picasssso.networks.heads import Prediction
from picasssso.networks.inputs import SLOTS
from picasssso.networks.training_range import disagreement_score
from picasssso.pairs.truth import TrueSums
from picasssso.training.batches import SlottedBatch, TrainingSource, to_slots
from picasssso.training.targets import make_targets

#: Sets of bands that are calibrated, by their number.
BAND_SETS = {5: "ugriz", 4: "griz", 3: "gri", 2: "gr", 1: "r"}

#: Pixels are calibrated on up to so many of a galaxy, within so many half-mass radii: empty
#: sky must not outvote galaxies, nor large galaxies small ones.
_MOST_PIXELS, _FARTHEST_PIXEL = 400, 3.0


def keep_bands(batch: SlottedBatch, letters: str) -> SlottedBatch:
    """Return a batch with only some of its bands."""
    keep = torch.tensor([slot in letters for slot in SLOTS], device=batch.flux.device)
    keep = keep[:, None, None]
    return replace(batch, flux=batch.flux * keep, inverse_variance=batch.inverse_variance * keep)


def known_batches(
    sources: Sequence[TrainingSource],
    letters: str,
    count: int,
    *,
    device: torch.device | str = "cpu",
    size: int = 64,
) -> Iterator[SlottedBatch]:
    """Yield the first galaxies of some sources, in some bands."""
    fit = [one for one in sources if set(letters) <= set(one.letters)]
    total = sum(one.share for one in fit)
    start = 0
    for one in fit:
        wanted = max(round(count * one.share / total), 1)
        # Made galaxies must not repeat from source to source; stored ones are counted anew.
        stored = one.count
        numbers = range(start, start + wanted) if stored is None else range(min(wanted, stored))
        start += wanted
        for first in range(numbers.start, numbers.stop, size):
            batch = one.pairs.batch(range(first, min(first + size, numbers.stop)))
            batch = {name: values.to(device) for name, values in batch.items()}
            slotted = to_slots(batch, one.pairs.bands, one.wavelengths)
            yield keep_bands(slotted, letters) if letters else slotted


@dataclass
class Collected:
    """Uncalibrated predictions for galaxies, with their truth; FWHM of the PSFs in pixels."""

    prediction: Prediction
    log_truth: torch.Tensor
    used: torch.Tensor
    known: torch.Tensor
    signal: torch.Tensor
    disagreement: torch.Tensor
    psf_pixels: torch.Tensor
    radius: torch.Tensor

    def pixels(self) -> Collected:
        """Return some pixels of each galaxy, each as an image of its own (n, ..., 1, 1).

        At most 400 of a galaxy, within three half-mass radii.
        """
        near = (self.radius <= _FARTHEST_PIXEL).flatten(1)
        generator = torch.Generator().manual_seed(0)
        order = torch.rand(near.shape, generator=generator).to(near.device)
        order = order.masked_fill(~near, 2.0).argsort(1)[:, :_MOST_PIXELS]
        galaxy = torch.arange(len(near), device=near.device)[:, None].expand_as(order)
        found = near.gather(1, order)
        galaxy, place = galaxy[found], order[found]

        def some(table: torch.Tensor) -> torch.Tensor:
            return table.flatten(-2)[galaxy, ..., place][..., None, None]

        rest = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "prediction"}
        return Collected(
            each(self.prediction, some),
            **{k: v[galaxy] if k == "psf_pixels" else some(v) for k, v in rest.items()},
        )


def join(parts: Sequence[Collected]) -> Collected:
    """Return several collections of images of one shape as one."""

    def joined(some: Sequence[Any]) -> list[torch.Tensor]:
        names = [f.name for f in fields(some[0]) if f.name != "prediction"]
        return [torch.cat([getattr(one, name) for one in some]) for name in names]

    return Collected(Prediction(*joined([part.prediction for part in parts])), *joined(parts))


def each(prediction: Prediction, function: Callable[[torch.Tensor], torch.Tensor]) -> Prediction:
    """Return a prediction with a function of each of its tensors."""
    return Prediction(*(function(getattr(prediction, f.name)) for f in fields(prediction)))


def _radii(truth: TrueSums) -> torch.Tensor:
    """Return distances along ellipses (second moments) in half-mass radii, (n, y, x)."""
    mass = truth["stellar_mass"].double().nan_to_num(0.0)
    height, width = mass.shape[-2:]
    y = torch.arange(height, device=mass.device, dtype=mass.dtype)[None, :, None]
    x = torch.arange(width, device=mass.device, dtype=mass.dtype)[None, None, :]
    # The densest pixels alone: satellites must not stretch the ellipse.
    bright = mass * (mass > 0.02 * mass.amax((1, 2), keepdim=True))
    total = bright.sum((1, 2), keepdim=True)

    def moment(values: torch.Tensor) -> torch.Tensor:
        return (bright * values).sum((1, 2), keepdim=True) / total.clamp(min=1e-30)

    dx, dy = x - moment(x + 0 * y), y - moment(y + 0 * x)
    xx, yy, xy = moment(dx * dx) + 0.1, moment(dy * dy) + 0.1, moment(dx * dy)
    determinant = xx * yy - xy * xy
    radius = torch.sqrt((yy * dx * dx - 2 * xy * dx * dy + xx * dy * dy) / determinant.sqrt())
    flat = radius.reshape(len(mass), -1)
    order = flat.argsort(1)
    cumulative = torch.gather(mass.reshape(len(mass), -1), 1, order).cumsum(1)
    half = (
        (cumulative < 0.5 * cumulative[:, -1:]).sum(1, keepdim=True).clamp(max=flat.shape[1] - 1)
    )
    half_radius = torch.gather(torch.gather(flat, 1, order), 1, half)[:, :, None]
    # Where the mass is not known, all pixels are as good as any other.
    return torch.where(total > 0, radius / half_radius.clamp(min=0.5), 0.0).float()


@torch.inference_mode()
def collect(
    ensemble: Ensemble,
    batches: Iterable[SlottedBatch],
    *,
    orientations: int = 1,
    keep_on: torch.device | str = "cpu",
) -> Collected:
    """Predict galaxies whose truth is known: 1.3 MB for each of 64 x 64 pixels."""
    parts: list[tuple[torch.Tensor, ...]] = []
    for batch in batches:
        has_band = batch.has_band()
        said = ensemble.predict(
            batch.flux,
            batch.inverse_variance,
            batch.conditions,
            has_band,
            orientations=orientations,
        )
        targets = make_targets(batch.truth)
        data = (batch.inverse_variance > 0).any(1, keepdim=True)
        widest = torch.where(has_band, batch.conditions.psf_fwhm, 0.0).amax(1)
        p = said.prediction
        found = (
            p.quantiles,
            p.log_mean,
            p.occupancy,
            p.occupancy_logit,
            targets.log_value,
            targets.held_together() & data,
            targets.known & data,
            local_signal(batch.flux, batch.inverse_variance),
            disagreement_score(said),
            widest / batch.conditions.pixel_scale,
            _radii(batch.truth),
        )
        parts.append(tuple(part.to(keep_on) for part in found))
    joined = [torch.cat(some) for some in zip(*parts, strict=True)]
    return Collected(Prediction(*joined[:4]), *joined[4:])
