"""From pairs to the input of a training step: slots, degraded images, targets.

All random numbers depend only on the seed and the number of the step, so that an interrupted
training can be continued exactly.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache

import numpy as np
import torch

from picasssso.exceptions import InvalidInputError
from picasssso.networks.config import TrainingConfig
from picasssso.networks.inputs import SLOTS, Conditions, slot_letters, slot_of
from picasssso.pairs.source import Batch, PairSource
from picasssso.pairs.truth import TrueSums

#: What of pairs is used.
_NEEDED = {"flux", "inverse_variance", "truth", "truth_at_psf", "psf_fwhm", "redshift"} | {
    "pixel_scale", "pixel_scale_kpc"
}  # fmt: skip

#: Sets of bands that users come with, and how often they are drawn when bands are dropped;
#: else each band is kept with a probability of 0.6.
_USUAL = {"ugri": 0.15, "griz": 0.2, "gri": 0.15, "gr": 0.15, "r": 0.1}
_KEEP = 0.6


@dataclass(frozen=True)
class TrainingSource:
    """Pairs, the pivot wavelengths of their bands in AA, and how often they are drawn from."""

    pairs: PairSource
    wavelengths: Sequence[float]
    share: float = 1.0

    @property
    def count(self) -> int | None:
        """Number of pairs; None if unlimited."""
        return len(self.pairs) if hasattr(self.pairs, "__len__") else None

    @property
    def letters(self) -> str:
        """Which of `SLOTS` the bands fill."""
        return slot_letters(self.pairs.bands)


@dataclass(frozen=True)
class SlottedBatch:
    """Images in slots, (n, 5, y, x), with their conditions and truth."""

    flux: torch.Tensor
    inverse_variance: torch.Tensor
    conditions: Conditions
    truth: TrueSums

    def has_band(self) -> torch.Tensor:
        """Return which slots hold an image, (n, 5)."""
        return (self.inverse_variance > 0).any(-1).any(-1)

    def share(self, rank: int, world: int, device: torch.device) -> SlottedBatch:
        """Return the part of one of several processes, on its device."""
        part = slice(rank, None, world)
        conditions = self.conditions.select(part)
        return SlottedBatch(
            self.flux[part].to(device),
            self.inverse_variance[part].to(device),
            Conditions(*(getattr(conditions, f.name).to(device) for f in fields(conditions))),
            TrueSums(self.truth.sums[part]).to(device),
        )


def to_slots(
    batch: Batch, bands: Sequence[str], wavelengths: Sequence[float], *, sharp: bool = False
) -> SlottedBatch:
    """Put a batch of pairs into slots; ``wavelengths``: pivot wavelengths of the bands in AA."""
    places = {band: slot for band in bands if (slot := slot_of(band)) is not None}
    if not places or len(set(places.values())) < len(places):
        raise InvalidInputError(
            f"The bands {', '.join(bands)} do not fit the network's: expected at most one "
            f"each of {', '.join(SLOTS)}, and at least one."
        )
    source = [list(bands).index(band) for band in places]
    target = list(places.values())
    flux = batch["flux"]
    n = len(flux)

    def slotted(values: torch.Tensor, empty: float = 0.0) -> torch.Tensor:
        shape = (n, len(SLOTS), *values.shape[2:])
        out = torch.full(shape, empty, dtype=torch.float32, device=flux.device)
        out[:, target] = values[:, source].to(torch.float32)
        return out

    pivot = torch.tensor(list(wavelengths), dtype=torch.float32, device=flux.device)
    conditions = Conditions(
        redshift=batch["redshift"],
        pixel_scale=batch["pixel_scale"],
        pixel_scale_kpc=batch["pixel_scale_kpc"],
        psf_fwhm=slotted(batch["psf_fwhm"].expand(n, len(bands))),
        wavelength=slotted(pivot.expand(n, -1)),
        sharp=torch.full((n,), float(sharp), device=flux.device),
    )
    sums = batch["truth"] if sharp or "truth_at_psf" not in batch else batch["truth_at_psf"]
    truth = TrueSums(sums.to(torch.float32))
    return SlottedBatch(slotted(flux), slotted(batch["inverse_variance"]), conditions, truth)


def _turned(images: torch.Tensor, turn: int) -> torch.Tensor:
    if turn >= 4:
        images = images.transpose(-1, -2)
    return torch.rot90(images, turn % 4, (-2, -1))


def degrade(batch: SlottedBatch, config: TrainingConfig, step: int) -> SlottedBatch:
    """Rotate and flip images, add noise, and mask pixels and bands at random."""
    device = batch.flux.device
    numbers = np.random.default_rng([config.seed, step, 1])
    generator = torch.Generator(device).manual_seed(int(numbers.integers(2**62)))
    turn = int(numbers.integers(8))
    flux, weight = _turned(batch.flux, turn), _turned(batch.inverse_variance, turn)
    n, n_slots = flux.shape[:2]

    def uniform(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, device=device, generator=generator)

    # Shallower: noise of up to three times the image's own, the same in all bands.
    extra = 3.0 * uniform(n, 1, 1, 1) * (uniform(n, 1, 1, 1) < config.depth_noise)
    noise = torch.randn(flux.shape, device=device, generator=generator)
    flux = flux + extra * noise * weight.clamp(min=1e-30).rsqrt() * (weight > 0)
    weight = weight / (1.0 + extra.square())
    # Bands that are missing, in a few usual ways or any.
    keep = torch.from_numpy(_kept_bands(numbers, n, config.band_dropout)).to(device)
    present = (weight > 0).any(-1).any(-1)
    keep = keep & present
    # Never all: those that would lose everything keep what they have.
    keep = torch.where(keep.any(1, keepdim=True), keep, present)[:, :, None, None]
    good = uniform(n, n_slots, *flux.shape[-2:]) >= config.masked_pixels
    keep = keep & (good | (uniform(n, 1, 1, 1) < 0.5))
    weight = weight * keep
    flux = flux * (weight > 0)
    truth = TrueSums(_turned(batch.truth.sums, turn))
    return SlottedBatch(flux, weight, batch.conditions, truth)


def _kept_bands(numbers: np.random.Generator, n: int, dropout: float) -> np.ndarray:
    """Return which bands are kept, bool of shape (n, 5)."""
    keep = np.ones((n, len(SLOTS)), bool)
    dropped = numbers.random(n) < dropout
    some = numbers.random((n, len(SLOTS))) < _KEEP
    which = numbers.random(n)
    edges = np.cumsum(list(_USUAL.values()))
    kind = np.searchsorted(edges, which)
    for k, letters in enumerate(_USUAL):
        some[kind == k] = [slot in letters for slot in SLOTS]
    keep[dropped] = some[dropped]
    return keep


class PairPool:
    """Batches from sources of pairs, each pool of pairs used several times.

    Step j of a training always uses the same pairs, so that training can start at any step.
    """

    def __init__(
        self,
        sources: Sequence[TrainingSource],
        config: TrainingConfig,
        *,
        first: int = 0,
        device: torch.device | str = "cpu",
    ) -> None:
        self.sources = list(sources)
        self.config, self.first, self.device = config, first, torch.device(device)
        shares = np.array([source.share for source in self.sources], float)
        self._shares = shares / shares.sum()

    def batches(self, start: int = 0) -> Iterator[SlottedBatch]:
        """Yield batches from a step on, without end."""
        config = self.config
        per_pass = config.pool_size // config.batch_size
        per_pool = per_pass * config.replays
        step = start
        while True:
            number, within = divmod(step, per_pool)
            pool, bands, wavelengths = self._pool(number)
            for at in range(within, per_pool):
                turn, position = divmod(at, per_pass)
                order = np.random.default_rng([config.seed, number, turn, 2])
                rows = order.permutation(config.pool_size)
                rows = rows[position * config.batch_size : (position + 1) * config.batch_size]
                chosen = torch.from_numpy(rows).to(self.device)
                sharp = np.random.default_rng([config.seed, step, 3]).random() < config.sharp
                some = {name: value[chosen] for name, value in pool.items()}
                batch = to_slots(some, bands, wavelengths, sharp=sharp)
                yield degrade(batch, config, step)
                step += 1

    def _pool(self, number: int) -> tuple[Batch, Sequence[str], Sequence[float]]:
        config = self.config
        draw = np.random.default_rng([config.seed, number, 4])
        which = int(draw.choice(len(self.sources), p=self._shares))
        source, count = self.sources[which], self.sources[which].count
        start = self.first + number * config.pool_size
        numbers = np.arange(start, start + config.pool_size)
        if count is not None:
            # Stored pairs: every pass over the set has an order of its own.
            numbers = np.array([_shuffled(config.seed, int(k), count) for k in numbers])
        pool = {
            name: value.to(self.device)
            for name, value in source.pairs.batch(numbers).items()
            if name in _NEEDED
        }
        return pool, source.pairs.bands, source.wavelengths


def _shuffled(seed: int, number: int, count: int) -> int:
    """Return the pair at a place of an endless sequence of shuffled passes over a set."""
    turn, place = divmod(number, count)
    return int(_permutation(seed, turn, count)[place])


@lru_cache(maxsize=4)
def _permutation(seed: int, turn: int, count: int) -> np.ndarray:
    return np.random.default_rng([seed, turn, 5]).permutation(count)
