"""Fitting a `picasssso.networks.calibration.Calibration` to galaxies never trained on."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from torch.nn import functional

from picasssso.networks.calibration import (
    N_COUNTS,
    SIGNALS,
    Calibration,
    gaussian_kernel,
    local_signal,
    nearest_signal,
    normal_scores,
)
from picasssso.networks.ensemble import Ensemble
from picasssso.networks.heads import QUANTILES, Prediction
from picasssso.networks.inputs import SLOTS
from picasssso.networks.mixture import hold_hydrogen, linear_values
from picasssso.networks.outputs import OUTPUT_NAMES, OUTPUTS
from picasssso.networks.outside import disagreement_score
from picasssso.properties import PROPERTIES
from picasssso.training.batches import SlottedBatch
from picasssso.training.targets import make_targets

#: Sets of bands that are calibrated, by their number.
BAND_SETS = {5: "ugriz", 4: "griz", 3: "gri", 2: "gr", 1: "r"}

#: Scores are counted in bins even in asinh of them, up to this.
_N_SCORES, _LARGEST_SCORE = 1200, 6.0

#: Correlations are measured where the signal-to-noise ratio is at least this.
_LEAST_SIGNAL = 1.5

#: With fewer pixels than this, those of the neighbouring signal count.
_FEWEST = 500

#: Pixels are calibrated on up to so many of a galaxy, within so many half-mass radii: empty
#: sky must not outvote galaxies, nor large galaxies small ones.
_MOST_PIXELS, _FARTHEST_PIXEL = 400, 3.0

#: Sums are those within so many half-mass radii.
_APERTURE = 2.0

#: Probabilities stay as they are unless many more pixels than this say otherwise.
_PRIOR_PIXELS = 100.0

#: Galaxies that show how errors of pixels hang together, and samples of each that sums are
#: compared with.
_N_CORRELATED, _N_SAMPLES = 1000, 24

#: Shared parts that are tried, and how far coverage may be off: 68 and 95 %.
_TRIALS = (0.05, 0.2, 0.45, 0.7, 0.97)
_TOLERANCES = {0.68: 0.02, 0.95: 0.01}

_MASS, _GAS = OUTPUT_NAMES.index("stellar_mass"), OUTPUT_NAMES.index("gas_mass")
_OCCUPIED = [k for k, output in enumerate(OUTPUTS) if output.has_occupancy]


def keep_bands(batch: SlottedBatch, letters: str) -> SlottedBatch:
    """Return a batch of which only some bands are left."""
    keep = torch.tensor([slot in letters for slot in SLOTS], device=batch.flux.device)
    keep = keep[:, None, None]
    return replace(batch, flux=batch.flux * keep, inverse_variance=batch.inverse_variance * keep)


@dataclass
class Collected:
    """What was predicted for some galaxies, with their truth.

    ``prediction``: not calibrated; ``quantiles`` (n, 8, 5, y, x); ``psf_pixels``: FWHM of the
    widest PSF in pixels.
    """

    prediction: Prediction
    log_truth: torch.Tensor
    used: torch.Tensor
    known: torch.Tensor
    signal: torch.Tensor
    disagreement: torch.Tensor
    psf_pixels: torch.Tensor
    radius: torch.Tensor

    def pixels(self) -> Collected:
        """Return some pixels of each galaxy, each as an image of its own.

        Returns of shape (n, ..., 1, 1): at most 400 of a galaxy, within three half-mass radii.
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

        return Collected(
            _each(self.prediction, some),
            some(self.log_truth),
            some(self.used),
            some(self.known),
            some(self.signal),
            some(self.disagreement),
            self.psf_pixels[galaxy],
            some(self.radius),
        )


def join(parts: Sequence[Collected]) -> Collected:
    """Return several collections as one.

    ``parts``: of the same shape, save the number of images.
    """
    prediction = Prediction(
        *(torch.cat([getattr(part.prediction, f.name) for part in parts])
          for f in fields(Prediction))
    )  # fmt: skip
    rest = (f.name for f in fields(Collected) if f.name != "prediction")
    return Collected(prediction, *(torch.cat([getattr(p, name) for p in parts]) for name in rest))


def _each(prediction: Prediction, function: Callable[[torch.Tensor], torch.Tensor]) -> Prediction:
    """Return a prediction with a function of each of its tensors."""
    return Prediction(*(function(getattr(prediction, f.name)) for f in fields(prediction)))


def _radii(sums: torch.Tensor) -> torch.Tensor:
    """Return distances along ellipses (second moments) in half-mass radii, (n, y, x)."""
    mass = sums[:, 0].double().nan_to_num(0.0)
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
    """Predict galaxies whose truth is known.

    Returns everything, 1.3 MB for each galaxy of 64 x 64 pixels.
    """
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
        targets = make_targets(batch.sums)
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
            _radii(batch.sums),
        )
        parts.append(tuple(part.to(keep_on) for part in found))
    joined = [torch.cat(some) for some in zip(*parts, strict=True)]
    return Collected(Prediction(*joined[:4]), *joined[4:])


class _Counts:
    """Weighted quantiles of scores by property and signal, from counts in fine bins."""

    def __init__(self) -> None:
        self.table = torch.zeros(len(OUTPUTS), len(SIGNALS), _N_SCORES, dtype=torch.float64)

    def add(self, score: torch.Tensor, used: torch.Tensor, nearest: torch.Tensor) -> None:
        """Count scores (n, 8, y, x) where used, at points of `SIGNALS` (n, 8, y, x)."""
        part = (torch.asinh(score) / _LARGEST_SCORE + 1.0) * 0.5
        index = (part * _N_SCORES).long().clamp(0, _N_SCORES - 1)
        rows = torch.arange(len(OUTPUTS), device=score.device)[:, None, None]
        flat = (rows * len(SIGNALS) + nearest) * _N_SCORES + index
        counts = torch.bincount(flat[used], minlength=self.table.numel())
        self.table += counts.reshape(self.table.shape).cpu()

    def quantile(self, level: float) -> torch.Tensor:
        """Return quantiles (8, signal); NaN where too little was counted."""
        cumulative = torch.cumsum(self.table, -1)
        total = cumulative[..., -1:]
        first = (cumulative >= level * total).to(torch.int64).argmax(-1, keepdim=True)
        before = torch.gather(cumulative, -1, (first - 1).clamp(min=0)) * (first > 0)
        here = torch.gather(self.table, -1, first).clamp(min=1e-9)
        place = first + ((level * total - before) / here).clamp(0, 1)
        value = torch.sinh((place / _N_SCORES * 2.0 - 1.0) * _LARGEST_SCORE)[..., 0]
        return torch.where(total[..., 0] >= _FEWEST, value, torch.nan).float()


def _chunks(collected: Collected, pixels: int = 2**20) -> Iterable[slice]:
    n = len(collected.signal)
    size = max(pixels // collected.signal[0].numel(), 1)
    return (slice(k, min(k + size, n)) for k in range(0, n, size))


def _fit_presence(collected: Collected) -> torch.Tensor:
    """Return what makes probabilities of being there true (Platt 1999), (3, 2)."""
    found = []
    for place, k in enumerate(_OCCUPIED):
        known = collected.known[:, k]
        logit = collected.prediction.occupancy_logit[:, place][known].double()
        there = collected.used[:, k][known].double()
        columns = torch.stack([torch.ones_like(logit), logit], 1)
        start = torch.tensor([0.0, 1.0], dtype=logit.dtype, device=logit.device)
        solution = start
        for _ in range(25):
            p = torch.sigmoid(columns @ solution)
            slope = columns.T @ (there - p) - _PRIOR_PIXELS * (solution - start)
            curvature = columns.T @ (columns * (p * (1.0 - p))[:, None])
            curvature += _PRIOR_PIXELS * torch.eye(2, dtype=logit.dtype, device=logit.device)
            solution = solution + torch.linalg.solve(curvature, slope)
        found.append(solution)
    return torch.stack(found).float().cpu()


def _fit_factors(
    collected: Collected, calibration: Calibration
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return factors (8, 10, 5), shift of the mean (8, 10), and disagreement (8, 10)."""
    shifts, spread = _Counts(), _Counts()
    nearest_place = nearest_signal(calibration.places(collected.prediction, collected.signal))
    for part in _chunks(collected):
        quantiles = collected.prediction.quantiles[part]
        half = 0.5 * (quantiles[:, :, 3] - quantiles[:, :, 1])
        nearest, used = nearest_place[part], collected.used[part]
        shifts.add((collected.log_truth[part] - quantiles[:, :, 2]) / half, used, nearest)
        # Of raw predictions everywhere, as it is judged.
        by_signal = nearest_signal(collected.signal[part])[:, None].expand_as(used)
        spread.add(collected.disagreement[part], collected.known[part], by_signal)
    shift = _filled(shifts.quantile(0.5)).nan_to_num(0.0)
    disagreement = _filled(spread.quantile(0.999)).nan_to_num(1e3)
    levels = [k for k in range(len(QUANTILES)) if k != 2]
    scores = {k: _Counts() for k in levels}
    truth_sum = torch.zeros(len(OUTPUTS), len(SIGNALS), dtype=torch.float64)
    mean_sum = torch.zeros_like(truth_sum)
    for part in _chunks(collected):
        quantiles = collected.prediction.quantiles[part]
        half = 0.5 * (quantiles[:, :, 3] - quantiles[:, :, 1])
        nearest, used = nearest_place[part], collected.used[part]
        rows = torch.arange(len(OUTPUTS))[:, None, None].to(nearest.device)
        moved = shift.to(half.device)[rows, nearest] * half + quantiles[:, :, 2]
        distance = collected.log_truth[part] - moved
        for k in levels:
            width = (quantiles[:, :, k] - quantiles[:, :, 2]).abs()
            scores[k].add(distance / width * (1.0 if k > 2 else -1.0), used, nearest)
        flat = (rows * len(SIGNALS) + nearest)[used]
        for table, logs in (
            (truth_sum, collected.log_truth[part]),
            (mean_sum, collected.prediction.log_mean[part]),
        ):
            values = (10.0 ** logs[used].double()).cpu()
            table += torch.bincount(flat.cpu(), weights=values, minlength=table.numel()).reshape(
                table.shape
            )
    columns = []
    for k, level in enumerate(QUANTILES):
        if k == 2:
            columns.append(shift)
            continue
        factor = _filled(scores[k].quantile(max(level, 1.0 - level)))
        columns.append(factor.nan_to_num(1.0).clamp(0.05, 20.0))
    mean_shift = torch.log10((truth_sum / mean_sum).clamp(0.3, 3.0)).nan_to_num(0.0).float()
    return torch.stack(columns, -1), mean_shift, disagreement


def _filled(table: torch.Tensor) -> torch.Tensor:
    """Return the table (8, signal) with what is NaN taken from the nearest signal."""
    table = table.clone()
    for k in range(1, table.shape[1]):
        table[:, k] = torch.where(torch.isnan(table[:, k]), table[:, k - 1], table[:, k])
    for k in range(table.shape[1] - 2, -1, -1):
        table[:, k] = torch.where(torch.isnan(table[:, k]), table[:, k + 1], table[:, k])
    return table


def _correlations(
    scores: torch.Tensor, used: torch.Tensor, psf_pixels: float
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return shared and smooth parts of the variance (8,), and the mixing (8, 8)."""
    n, n_out, height, width = scores.shape
    weight = used.to(scores.dtype)
    field = scores * weight
    size = (2 * height, 2 * width)
    shared, smooth = [], []
    y = torch.minimum(torch.arange(size[0]), size[0] - torch.arange(size[0])).float()
    x = torch.minimum(torch.arange(size[1]), size[1] - torch.arange(size[1])).float()
    lag = torch.hypot(y[:, None], x[None, :]).to(scores.device)
    sigma2 = (psf_pixels / math.sqrt(8.0 * math.log(2.0))) ** 2
    for k in range(n_out):
        power = torch.zeros(size, device=scores.device)
        pairs = torch.zeros(size, device=scores.device)
        for part in range(0, n, 128):
            for total, some in ((power, field), (pairs, weight)):
                transform = torch.fft.rfft2(some[part : part + 128, k], s=size)
                total += torch.fft.irfft2(transform.abs().square(), s=size).sum(0)
        correlation, values, wanted = power / pairs.clamp(min=1.0), [], []
        for low in (0.5, 1.5, 2.5, 4.0, 6.0, 9.0, 13.0):
            ring = (lag >= low) & (lag < low * 1.5 + 0.5) & (pairs > 1e3)
            if ring.any():
                values.append(float((correlation * pairs)[ring].sum() / pairs[ring].sum()))
                typical = lag[ring].square().mean() / (4.0 * sigma2)
                wanted.append([1.0, float(torch.exp(-typical))])
        if len(values) < 2:
            shared.append(0.1)
            smooth.append(0.5)
            continue
        variance = max(float(correlation[0, 0]), 1e-3)
        solution = torch.linalg.lstsq(
            torch.tensor(wanted), torch.tensor(values)[:, None] / variance
        ).solution
        a = float(solution[0, 0].clamp(0.0, 0.95))
        shared.append(a)
        smooth.append(float(solution[1, 0].clamp(0.0, 0.98 - a)))
    flat = field.transpose(0, 1).reshape(n_out, -1)
    counts = weight.transpose(0, 1).reshape(n_out, -1)
    covariance = flat @ flat.T / (counts @ counts.T).clamp(min=1.0)
    scale = covariance.diagonal().clamp(min=1e-6).rsqrt()
    correlation = (covariance * scale[:, None] * scale[None, :]).double()
    eigenvalues, vectors = torch.linalg.eigh(correlation)
    correlation = vectors @ torch.diag(eigenvalues.clamp(min=1e-3)) @ vectors.T
    norm = correlation.diagonal().rsqrt()
    mixing = torch.linalg.cholesky(correlation * norm[:, None] * norm[None, :])
    return torch.tensor(shared), torch.tensor(smooth), mixing.float()


def sample_scores(
    calibration: Calibration,
    n_samples: int,
    shape: Sequence[int],
    psf_pixels: float,
    generator: torch.Generator,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return normal scores of samples of one image.

    ``shape``: shape ``(y, x)`` of the image; ``psf_pixels``: FWHM of the PSF in pixels.
    """
    presence = torch.randn(n_samples, 1, 1, 1, device=generator.device, generator=generator)
    parts = _score_parts(calibration.mixing, n_samples, shape, psf_pixels, generator)
    return presence, _combined(parts, calibration.shared, calibration.smooth)


def _score_parts(
    mixing: torch.Tensor,
    n_samples: int,
    shape: Sequence[int],
    psf_pixels: float,
    generator: torch.Generator,
) -> list[torch.Tensor]:
    """Return the shared, the smooth and the own part of scores, mixed between properties."""
    device = generator.device
    radius = max(1, math.ceil(2.0 * psf_pixels))
    kernel = gaussian_kernel(psf_pixels, radius).to(device)

    def normal(*size: int) -> torch.Tensor:
        return torch.randn(n_samples, len(OUTPUTS), *size, device=device, generator=generator)

    smooth = normal(shape[0] + 2 * radius, shape[1] + 2 * radius).flatten(0, 1)[:, None]
    smooth = functional.conv2d(smooth, kernel[None, None, :, None])
    smooth = functional.conv2d(smooth, kernel[None, None, None, :])
    smooth = smooth.reshape(n_samples, len(OUTPUTS), *shape)
    return [
        torch.einsum("pq,sqyx->spyx", mixing.to(device), part)
        for part in (normal(1, 1), smooth, normal(*shape))
    ]


def _combined(
    parts: Sequence[torch.Tensor], shared: torch.Tensor, smooth: torch.Tensor
) -> torch.Tensor:
    device = parts[0].device
    a, b = (part.to(device)[:, None, None] for part in (shared, smooth))
    rest = (1.0 - a - b).clamp(min=0).sqrt()
    return a.sqrt() * parts[0] + b.sqrt() * parts[1] + rest * parts[2]


def _sums(values: torch.Tensor) -> torch.Tensor:
    """Return sums of values (s, 8, pixels), or means weighted by the carrier, (s, 8)."""
    out = []
    for k, output in enumerate(OUTPUTS):
        value = values[:, k]
        if PROPERTIES[output.name].is_surface_density:
            out.append(value.sum(1))
        else:
            carrier = values[:, _GAS if output.carrier == "gas_mass" else _MASS]
            out.append((value * carrier).sum(1) / carrier.sum(1).clamp(min=1e-30))
    return torch.stack(out, 1)


def _chance_inside(truth: torch.Tensor, samples: torch.Tensor, level: float) -> torch.Tensor:
    """Return how likely truths (8,) lie in central ranges of samples (s, 8).

    Exactly ``level`` on average if the truth is like the samples, however few they are and
    however many of them are equal.
    """
    below, equal = (samples < truth).sum(0), (samples == truth).sum(0)
    n = len(samples) + 1
    low, high = below / n, (below + equal + 1) / n
    inside = high.clamp(max=0.5 + level / 2) - low.clamp(min=0.5 - level / 2)
    return inside.clamp(min=0.0) / (high - low)


class _CoverageOfSums:
    """Counts how often true sums lie in samples' ranges, for several shared parts."""

    def __init__(self, calibration: Calibration, trials: Sequence[float], n_samples: int) -> None:
        self.calibration, self.trials, self.n_samples = calibration, trials, n_samples
        self.inside = {level: torch.zeros(len(trials), len(OUTPUTS)) for level in _TOLERANCES}
        self.counted = torch.zeros(len(OUTPUTS))

    def coverage(self) -> dict[float, torch.Tensor]:
        """Return coverage (trial, 8) by level."""
        return {level: table / self.counted.clamp(min=1) for level, table in self.inside.items()}

    def add(self, collected: Collected, galaxy: int, seed: int) -> None:
        """Count a galaxy, samples of which come of a seed."""
        inside = (collected.radius[galaxy] <= _APERTURE) & collected.used[galaxy, _MASS]
        if not inside.any():
            return
        rows, columns = (inside.any(axis).nonzero()[:, 0] for axis in (1, 0))
        box = inside[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]

        def pixels(table: torch.Tensor) -> torch.Tensor:
            return table[galaxy][..., inside][None, ..., None, :]

        bands = torch.full((1,), N_COUNTS, device=inside.device)
        said = _each(collected.prediction, pixels)
        said = self.calibration.apply(said, pixels(collected.signal), bands)
        truth, known = self._truth(collected, galaxy, inside)
        generator = torch.Generator(inside.device).manual_seed(seed)
        presence = torch.randn(self.n_samples, 1, 1, 1, device=inside.device, generator=generator)
        psf_pixels = float(collected.psf_pixels[galaxy])
        parts = _score_parts(
            self.calibration.mixing, self.n_samples, box.shape, psf_pixels, generator
        )
        parts = [parts[0], *(part[..., box][..., None, :] for part in parts[1:])]
        for row, trial in enumerate(self.trials):
            shared = torch.full((len(OUTPUTS),), trial)
            smooth = torch.minimum(self.calibration.smooth, 0.98 - shared)
            values = linear_values(said, _combined(parts, shared, smooth), presence)
            samples = _sums(hold_hydrogen(values)[:, :, 0])
            for level, table in self.inside.items():
                table[row] += (_chance_inside(truth, samples, level) * known).cpu()
        self.counted += known.cpu()

    @staticmethod
    def _truth(
        collected: Collected, galaxy: int, inside: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the true sums of a galaxy, and which are known (8,)."""
        used = collected.used[galaxy][:, inside]
        offsets = torch.tensor([output.offset for output in OUTPUTS], device=inside.device)
        values = 10.0 ** collected.log_truth[galaxy][:, inside] - offsets[:, None]
        known = collected.known[galaxy][:, inside].all(1)
        for k, output in enumerate(OUTPUTS):
            if output.carrier == "gas_mass" and not output.can_be_absent:
                # A property of gas means nothing without any.
                known[k] &= bool(used[_GAS].any())
        return _sums(torch.where(used, values, 0.0)[None])[0], known


def _fit_shared(maps: Iterable[Collected], calibration: Calibration, count: int) -> Calibration:
    """Choose the shared part such that 68 and 95 % of sums lie in the samples' ranges."""
    counts, number = _CoverageOfSums(calibration, _TRIALS, _N_SAMPLES), 0
    for collected in maps:
        for galaxy in range(min(len(collected.signal), count - number)):
            counts.add(collected, galaxy, number + galaxy)
        number += len(collected.signal)
        if number >= count:
            break
    fine, chosen = np.linspace(_TRIALS[0], _TRIALS[-1], 200), []
    for k in range(len(OUTPUTS)):
        off = sum(
            ((np.interp(fine, _TRIALS, table[:, k].numpy()) - level) / _TOLERANCES[level]) ** 2
            for level, table in counts.coverage().items()
        )
        chosen.append(float(fine[np.argmin(off)]))
    shared = torch.tensor(chosen)
    return replace(
        calibration, shared=shared, smooth=torch.minimum(calibration.smooth, 0.98 - shared)
    )


@torch.inference_mode()
def fit_calibration(
    collections: dict[int, Collected],
    maps: Callable[[], Iterable[Collected]] | None = None,
    *,
    aperture_galaxies: int = 1500,
    ranges: torch.Tensor | None = None,
) -> Calibration:
    """Fit a calibration.

    ``collections``: pixels alone will do (`Collected.pixels`).
    """
    shape = (N_COUNTS, len(OUTPUTS), len(SIGNALS))
    calibration = Calibration(
        factors=torch.ones(*shape, len(QUANTILES)),
        mean_shift=torch.zeros(shape),
        shared=torch.full(shape[1:2], 0.1),
        smooth=torch.full(shape[1:2], 0.5),
        mixing=torch.eye(len(OUTPUTS)),
        disagreement=torch.zeros(shape[1:]),
        ranges=torch.zeros(0, 2) if ranges is None else ranges,
        presence=torch.tensor([0.0, 1.0]).expand(N_COUNTS, len(_OCCUPIED), 2).clone(),
    )
    assert calibration.presence is not None
    for count in range(N_COUNTS, 0, -1):
        if count not in collections:
            for table in (calibration.factors, calibration.mean_shift, calibration.presence):
                table[count - 1] = table[count]
            continue
        pixels = collections[count].pixels()
        calibration.presence[count - 1] = _fit_presence(pixels)
        bands = torch.full((len(pixels.signal),), count, device=pixels.signal.device)
        pixels.prediction = calibration.with_presence(pixels.prediction, bands)
        factors, mean_shift, disagreement = _fit_factors(pixels, calibration)
        calibration.factors[count - 1], calibration.mean_shift[count - 1] = factors, mean_shift
        if count == N_COUNTS:
            calibration.disagreement.copy_(disagreement)
    maps = maps or (lambda: [collections[N_COUNTS]])
    return fit_correlations(maps, calibration, aperture_galaxies=aperture_galaxies)


@torch.inference_mode()
def fit_correlations(
    maps: Callable[[], Iterable[Collected]],
    calibration: Calibration,
    *,
    aperture_galaxies: int = 1500,
) -> Calibration:
    """Fit how errors hang together, by the sums in apertures that follow."""
    scores, used, psf_pixels = [], [], []
    for collected in maps():
        bands = torch.full((len(collected.signal),), N_COUNTS, device=collected.signal.device)
        said = calibration.apply(collected.prediction, collected.signal, bands)
        scores.append(normal_scores(said.quantiles, collected.log_truth))
        used.append(collected.used & (collected.signal >= _LEAST_SIGNAL)[:, None])
        psf_pixels.append(collected.psf_pixels)
        if sum(len(some) for some in used) >= _N_CORRELATED:
            break
    width = float(torch.cat(psf_pixels).median())
    shared, smooth, mixing = _correlations(torch.cat(scores), torch.cat(used), width)
    calibration = replace(calibration, shared=shared, smooth=smooth, mixing=mixing)
    return _fit_shared(maps(), calibration, aperture_galaxies)
