"""Correlation of errors between pixels and properties, needed for the errors of sums."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch.nn import functional

from picasssso.networks.conformal import (
    N_COUNTS,
    ConformalCalibration,
    gaussian_kernel,
    normal_scores,
)
from picasssso.networks.mixture import hold_hydrogen, linear_values
from picasssso.networks.outputs import OUTPUT_NAMES, OUTPUTS
from picasssso.properties import PROPERTIES
from picasssso.training.held_out import Collected, each

#: Correlations are measured where the signal-to-noise ratio is at least this.
_LEAST_SIGNAL = 1.5

#: Sums are those within so many half-mass radii.
_APERTURE = 2.0

#: Galaxies that show how errors of pixels are correlated, and samples of each that sums are
#: compared with.
_N_CORRELATED, _N_SAMPLES = 1000, 24

#: Shared parts that are tried, and how far coverage may be off: 68 and 95 %.
_TRIALS = (0.05, 0.2, 0.45, 0.7, 0.97)
_TOLERANCES = {0.68: 0.02, 0.95: 0.01}

_MASS, _GAS = OUTPUT_NAMES.index("stellar_mass"), OUTPUT_NAMES.index("gas_mass")


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
    calibration: ConformalCalibration,
    n_samples: int,
    shape: Sequence[int],
    psf_pixels: float,
    generator: torch.Generator,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return normal scores of samples of one image of a shape (y, x); PSF's FWHM in pixels."""
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
    """Return the probability that truths (8,) lie in central ranges of samples (s, 8).

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

    def __init__(
        self, calibration: ConformalCalibration, trials: Sequence[float], n_samples: int
    ) -> None:
        self.calibration, self.trials, self.n_samples = calibration, trials, n_samples
        self.inside = {level: torch.zeros(len(trials), len(OUTPUTS)) for level in _TOLERANCES}
        self.counted = torch.zeros(len(OUTPUTS))

    def coverage(self) -> dict[float, torch.Tensor]:
        """Return coverage (trial, 8) by level."""
        return {level: table / self.counted.clamp(min=1) for level, table in self.inside.items()}

    def add(self, collected: Collected, galaxy: int, seed: int) -> None:
        """Count a galaxy, with samples drawn from a seed."""
        inside = (collected.radius[galaxy] <= _APERTURE) & collected.used[galaxy, _MASS]
        if not inside.any():
            return
        rows, columns = (inside.any(axis).nonzero()[:, 0] for axis in (1, 0))
        box = inside[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]

        def pixels(table: torch.Tensor) -> torch.Tensor:
            return table[galaxy][..., inside][None, ..., None, :]

        bands = torch.full((1,), N_COUNTS, device=inside.device)
        said = each(collected.prediction, pixels)
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
        """Return the true sums of a galaxy, and which of them are known (8,)."""
        used = collected.used[galaxy][:, inside]
        offsets = torch.tensor([output.offset for output in OUTPUTS], device=inside.device)
        values = 10.0 ** collected.log_truth[galaxy][:, inside] - offsets[:, None]
        known = collected.known[galaxy][:, inside].all(1)
        for k, output in enumerate(OUTPUTS):
            if output.carrier == "gas_mass" and not output.can_be_absent:
                # A property of gas means nothing without any.
                known[k] &= bool(used[_GAS].any())
        return _sums(torch.where(used, values, 0.0)[None])[0], known


def _fit_shared(
    maps: Iterable[Collected], calibration: ConformalCalibration, count: int
) -> ConformalCalibration:
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
def fit_correlations(
    maps: Callable[[], Iterable[Collected]],
    calibration: ConformalCalibration,
    *,
    aperture_galaxies: int = 1500,
) -> ConformalCalibration:
    """Fit the correlations of errors such that sums in apertures have correct intervals."""
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
