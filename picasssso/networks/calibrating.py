"""Fitting a `picasssso.networks.calibration.Calibration` to galaxies never trained on."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

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
from picasssso.networks.heads import QUANTILES, Prediction, limit_hydrogen
from picasssso.networks.inputs import SLOTS
from picasssso.networks.mixture import linear_values
from picasssso.networks.outputs import OUTPUT_NAMES, OUTPUTS, make_targets
from picasssso.networks.training.batches import SlottedBatch

__all__ = [
    "BAND_SETS",
    "Collected",
    "collect",
    "fit_calibration",
    "fit_correlations",
    "keep_bands",
]

#: Sets of bands that are calibrated, by their number.
BAND_SETS = {5: "ugriz", 4: "griz", 3: "gri", 2: "gr", 1: "r"}

#: Scores are counted in bins even in asinh of them, up to this.
_N_SCORES, _LARGEST_SCORE = 1200, 6.0

#: Correlations are measured where the signal-to-noise ratio is at least this.
_LEAST_SIGNAL = 1.5

#: With fewer pixels than this, those of the neighbouring signal count.
_FEWEST = 500

_MASS, _GAS = OUTPUT_NAMES.index("stellar_mass"), OUTPUT_NAMES.index("gas_mass")


def keep_bands(batch: SlottedBatch, letters: str) -> SlottedBatch:
    """Return a batch of which only some bands are left.

    Parameters
    ----------
    batch : SlottedBatch
        Any.
    letters : str
        Slots to keep, such as ``"gri"``.

    Returns
    -------
    SlottedBatch
        The same galaxies.
    """
    keep = torch.tensor([slot in letters for slot in SLOTS], device=batch.flux.device)
    keep = keep[:, None, None]
    return replace(batch, flux=batch.flux * keep, inverse_variance=batch.inverse_variance * keep)


@dataclass
class Collected:
    """What was predicted for some galaxies, with their truth.

    Parameters
    ----------
    prediction : Prediction
        Not calibrated; ``quantiles`` (n, 8, 5, y, x).
    log_truth : Tensor, shape (n, 8, y, x)
        The truth.
    used : Tensor of bool, shape (n, 8, y, x)
        Where there is something, and data.
    signal : Tensor, shape (n, y, x)
        From `local_signal`.
    disagreement : Tensor, shape (n, 8, y, x)
        Of the ensemble's members.
    psf_pixels : Tensor, shape (n,)
        FWHM of the widest PSF in pixels.
    weights : Tensor, shape (n, y, x)
        Pixels of an aperture: within twice the half-mass radius, as far as the frame goes.
    """

    prediction: Prediction
    log_truth: torch.Tensor
    used: torch.Tensor
    signal: torch.Tensor
    disagreement: torch.Tensor
    psf_pixels: torch.Tensor
    weights: torch.Tensor


def _apertures(sums: torch.Tensor) -> torch.Tensor:
    """Return pixels inside ellipses of twice the half-mass radius (second moments)."""
    mass = sums[:, 0].double()
    height, width = mass.shape[-2:]
    y = torch.arange(height, device=mass.device, dtype=mass.dtype)[None, :, None]
    x = torch.arange(width, device=mass.device, dtype=mass.dtype)[None, None, :]
    # The densest pixels alone: satellites must not stretch the ellipse.
    bright = mass * (mass > 0.02 * mass.amax((1, 2), keepdim=True))
    total = bright.sum((1, 2), keepdim=True)

    def moment(values: torch.Tensor) -> torch.Tensor:
        return (bright * values).sum((1, 2), keepdim=True) / total

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
    return (radius <= 2.0 * half_radius).float()


@torch.inference_mode()
def collect(
    ensemble: Ensemble,
    batches: Iterable[SlottedBatch],
    *,
    orientations: int = 1,
    keep_on: torch.device | str = "cpu",
) -> Collected:
    """Predict galaxies whose truth is known.

    Parameters
    ----------
    ensemble : Ensemble
        The networks.
    batches : iterable of SlottedBatch
        The galaxies, on the networks' device.
    orientations : int, optional
        As for `Ensemble.predict`.
    keep_on : torch.device or str, optional
        Where to collect.

    Returns
    -------
    Collected
        Everything, 1.2 MB for each galaxy of 64 x 64 pixels.
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
            targets.present & data,
            local_signal(batch.flux, batch.inverse_variance),
            said.disagreement,
            widest / batch.conditions.pixel_scale,
            _apertures(batch.sums),
        )
        parts.append(tuple(part.to(keep_on) for part in found))
    joined = [torch.cat(some) for some in zip(*parts, strict=True)]
    return Collected(Prediction(*joined[:4]), *joined[4:])


class _Counts:
    """Weighted quantiles of scores by property and signal, from counts in fine bins."""

    def __init__(self) -> None:
        self.table = torch.zeros(len(OUTPUTS), len(SIGNALS), _N_SCORES, dtype=torch.float64)

    def add(self, score: torch.Tensor, used: torch.Tensor, nearest: torch.Tensor) -> None:
        """Count scores (n, 8, y, x) where used, at signals (n, y, x)."""
        part = (torch.asinh(score) / _LARGEST_SCORE + 1.0) * 0.5
        index = (part * _N_SCORES).long().clamp(0, _N_SCORES - 1)
        rows = torch.arange(len(OUTPUTS), device=score.device)[:, None, None]
        flat = (rows * len(SIGNALS) + nearest[:, None]) * _N_SCORES + index
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


def _chunks(collected: Collected, size: int = 256) -> Iterable[slice]:
    n = len(collected.signal)
    return (slice(k, min(k + size, n)) for k in range(0, n, size))


def _fit_factors(collected: Collected) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return factors (8, 10, 5), shift of the mean (8, 10), and disagreement (8, 10)."""
    shifts, spread = _Counts(), _Counts()
    for part in _chunks(collected):
        quantiles = collected.prediction.quantiles[part]
        half = 0.5 * (quantiles[:, :, 3] - quantiles[:, :, 1])
        nearest, used = nearest_signal(collected.signal[part]), collected.used[part]
        shifts.add((collected.log_truth[part] - quantiles[:, :, 2]) / half, used, nearest)
        spread.add(collected.disagreement[part] / half, used, nearest)
    shift = _filled(shifts.quantile(0.5)).nan_to_num(0.0)
    disagreement = _filled(spread.quantile(0.999)).nan_to_num(1e3)
    levels = [k for k in range(len(QUANTILES)) if k != 2]
    scores = {k: _Counts() for k in levels}
    truth_sum = torch.zeros(len(OUTPUTS), len(SIGNALS), dtype=torch.float64)
    mean_sum = torch.zeros_like(truth_sum)
    for part in _chunks(collected):
        quantiles = collected.prediction.quantiles[part]
        half = 0.5 * (quantiles[:, :, 3] - quantiles[:, :, 1])
        nearest, used = nearest_signal(collected.signal[part]), collected.used[part]
        rows = torch.arange(len(OUTPUTS))[:, None, None].to(nearest.device)
        moved = shift.to(half.device)[rows, nearest[:, None]] * half + quantiles[:, :, 2]
        distance = collected.log_truth[part] - moved
        for k in levels:
            width = (quantiles[:, :, k] - quantiles[:, :, 2]).abs()
            scores[k].add(distance / width * (1.0 if k > 2 else -1.0), used, nearest)
        flat = (rows * len(SIGNALS) + nearest[:, None]).expand_as(used)[used]
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
) -> torch.Tensor:
    """Return normal scores of samples of one image, (n_samples, 8, y, x)."""
    device = generator.device
    radius = max(1, math.ceil(2.0 * psf_pixels))
    kernel = gaussian_kernel(psf_pixels, radius).to(device)

    def normal(*size: int) -> torch.Tensor:
        return torch.randn(n_samples, len(OUTPUTS), *size, device=device, generator=generator)

    smooth = normal(shape[0] + 2 * radius, shape[1] + 2 * radius).flatten(0, 1)[:, None]
    smooth = functional.conv2d(smooth, kernel[None, None, :, None])
    smooth = functional.conv2d(smooth, kernel[None, None, None, :])
    smooth = smooth.reshape(n_samples, len(OUTPUTS), *shape)
    a, b = (part.to(device)[:, None, None] for part in (calibration.shared, calibration.smooth))
    mixing = calibration.mixing.to(device)
    mixed = [
        torch.einsum("pq,sqyx->spyx", mixing, part)
        for part in (normal(1, 1), smooth, normal(*shape))
    ]
    return a.sqrt() * mixed[0] + b.sqrt() * mixed[1] + (1.0 - a - b).clamp(min=0).sqrt() * mixed[2]


def aperture_truth_and_samples(
    collected: Collected,
    calibrated: torch.Tensor,
    calibration: Calibration,
    galaxies: Sequence[int],
    *,
    n_samples: int = 100,
    seed: int = 0,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return sums (or weighted means) in apertures: true (g, 8), sampled (g, s, 8).

    Logarithms of them; what is absent counts as zero.
    """
    truths, samples = [], []
    offsets = torch.tensor([output.offset for output in OUTPUTS], device=calibrated.device)
    offsets = offsets[:, None, None]
    for galaxy in galaxies:
        inside = collected.weights[galaxy] > 0
        rows, columns = inside.any(1).nonzero()[:, 0], inside.any(0).nonzero()[:, 0]
        box = (
            slice(int(rows[0]), int(rows[-1]) + 1),
            slice(int(columns[0]), int(columns[-1]) + 1),
        )
        inside = inside[box]
        generator = torch.Generator(calibrated.device).manual_seed(seed * 1_000_003 + galaxy)
        scores = sample_scores(
            calibration, n_samples, inside.shape, float(collected.psf_pixels[galaxy]), generator
        )
        said = collected.prediction
        part = Prediction(
            *(
                table[galaxy][(..., *box)].expand(
                    n_samples, *([-1] * (table.ndim - 3)), *inside.shape
                )
                for table in (calibrated, said.log_mean, said.occupancy, said.occupancy_logit)
            )
        )
        values = linear_values(limit_hydrogen(part), scores)
        truth = torch.where(
            collected.used[galaxy][(..., *box)],
            10.0 ** collected.log_truth[galaxy][(..., *box)] - offsets,
            0.0,
        )
        truths.append(_sums(truth[None], inside)[0])
        samples.append(_sums(values, inside))
    return torch.stack(truths), torch.stack(samples)


def _sums(values: torch.Tensor, inside: torch.Tensor) -> torch.Tensor:
    """Return log10 of sums over pixels, of means weighted by the carrier, (s, 8)."""
    out = []
    for k, output in enumerate(OUTPUTS):
        value = values[:, k][:, inside]
        if output.name in ("stellar_mass", "sfr", "gas_mass", "hi_mass"):
            out.append(value.sum(1))
        else:
            carrier = values[:, _GAS if output.carrier == "gas_mass" else _MASS][:, inside]
            carrier = carrier * (value > 0)
            out.append((value * carrier).sum(1) / carrier.sum(1).clamp(min=1e-30))
    return torch.log10(torch.stack(out, 1).clamp(min=1e-30))


def _fit_shared(
    collected: Collected, calibrated: torch.Tensor, calibration: Calibration, count: int
) -> Calibration:
    """Choose the shared part such that 68 % of apertures lie in the samples' 68 %."""
    galaxies = range(min(count, len(collected.signal)))
    trials = (0.0, 0.04, 0.1, 0.2, 0.35, 0.55, 0.8, 0.97)
    covered = []
    for trial in trials:
        shared = torch.full((len(OUTPUTS),), trial)
        smooth = torch.minimum(calibration.smooth, 0.98 - shared)
        tried = replace(calibration, shared=shared, smooth=smooth)
        truth, samples = aperture_truth_and_samples(
            collected, calibrated, tried, galaxies, n_samples=60
        )
        low, high = (torch.quantile(samples, q, dim=1) for q in (0.16, 0.84))
        there = truth > -20
        inside = (truth >= low) & (truth <= high)
        covered.append((inside & there).sum(0) / there.sum(0).clamp(min=1))
    table = torch.stack(covered)
    fitted: list[float] = []
    for k in range(len(OUTPUTS)):
        column = torch.cummax(table[:, k].cpu(), 0).values
        above = int((column < 0.68).sum())
        if above == 0:
            fitted.append(trials[0])
        elif above == len(trials):
            fitted.append(trials[-1])
        else:
            low, high = column[above - 1], column[above]
            part = float((0.68 - low) / (high - low).clamp(min=1e-6))
            fitted.append(trials[above - 1] + part * (trials[above] - trials[above - 1]))
    chosen = torch.tensor(fitted)
    return replace(
        calibration, shared=chosen, smooth=torch.minimum(calibration.smooth, 0.98 - chosen)
    )


@torch.inference_mode()
def fit_calibration(
    collections: dict[int, Collected],
    *,
    aperture_galaxies: int = 400,
    ranges: torch.Tensor | None = None,
) -> Calibration:
    """Fit a calibration.

    Parameters
    ----------
    collections : dict
        Number of bands to what was predicted with so many (`collect`); 5 must be there,
        the others take the factors of the next number where they are missing.
    aperture_galaxies : int, optional
        How many galaxies the correlation of errors is fitted to.
    ranges : Tensor, optional
        `Calibration.ranges`.

    Returns
    -------
    Calibration
        The calibration.
    """
    full = collections[N_COUNTS]
    factors, mean_shift, disagreement = {}, {}, None
    for count, collected in collections.items():
        factors[count], mean_shift[count], spread = _fit_factors(collected)
        if count == N_COUNTS:
            disagreement = spread
    assert disagreement is not None
    for count in range(N_COUNTS - 1, 0, -1):
        for table in (factors, mean_shift):
            table.setdefault(count, table[count + 1])
    order = range(1, N_COUNTS + 1)
    n_out = len(OUTPUTS)
    calibration = Calibration(
        factors=torch.stack([factors[count] for count in order]),
        mean_shift=torch.stack([mean_shift[count] for count in order]),
        shared=torch.full((n_out,), 0.1),
        smooth=torch.full((n_out,), 0.5),
        mixing=torch.eye(n_out),
        disagreement=disagreement,
        ranges=torch.zeros(0, 2) if ranges is None else ranges,
    )
    return fit_correlations(full, calibration, aperture_galaxies=aperture_galaxies)


@torch.inference_mode()
def fit_correlations(
    collected: Collected, calibration: Calibration, *, aperture_galaxies: int = 400
) -> Calibration:
    """Fit how errors hang together, by the sums in apertures that follow.

    Parameters
    ----------
    collected : Collected
        What was predicted in all bands.
    calibration : Calibration
        With the factors of these predictions.
    aperture_galaxies : int, optional
        How many galaxies to fit to.

    Returns
    -------
    Calibration
        The same with other `shared`, `smooth` and `mixing`.
    """
    full = collected
    some = slice(0, min(1000, len(full.signal)))
    pieces = []
    for part in _chunks(full):
        if part.start >= some.stop:
            break
        p = full.prediction
        pieces.append(
            calibration.apply(
                Prediction(
                    p.quantiles[part], p.log_mean[part], p.occupancy[part], p.occupancy_logit[part]
                ),
                full.signal[part],
                torch.full((part.stop - part.start,), N_COUNTS, device=full.signal.device),
            ).quantiles
        )
    calibrated = torch.cat(pieces)
    count = len(calibrated)
    scores = normal_scores(calibrated, full.log_truth[:count])
    used = full.used[:count] & (full.signal[:count] >= _LEAST_SIGNAL)[:, None]
    shared, smooth, mixing = _correlations(scores, used, float(full.psf_pixels[:count].median()))
    calibration = replace(calibration, shared=shared, smooth=smooth, mixing=mixing)
    return _fit_shared(full, calibrated, calibration, min(aperture_galaxies, count))
