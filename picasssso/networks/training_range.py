"""Detection of images that are unlike the training set of a network.

Four groups of quantities are compared with those of the galaxies used for calibration:

- properties of the whole image: redshift, size of a pixel, width of the PSF, wavelengths;
- morphology of the whole image (`picasssso.networks.morphology`): frame, edge, texture ...;
- noise, brightness and colors, separately and jointly, of each pixel and its surroundings (5 x 5
  pixels), where the signal is significant;
- disagreement of the members of the ensemble, relative to their predicted widths.

`TrainingRange` collects the ranges, `is_outside` and `members_disagree` compare with them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations

import torch
from torch.nn import functional

from picasssso.networks.conformal import nearest_signal
from picasssso.networks.ensemble import EnsemblePrediction
from picasssso.networks.inputs import SLOT_WAVELENGTHS, SLOTS, Conditions, luminosity_per_flux
from picasssso.networks.morphology import STRUCTURES

#: Radius of the box in which brightness and colors are measured.
RADIUS = 2

#: Signal-to-noise ratio in that box from which they count.
_CLEAR = 10.0

_PAIRS = tuple(combinations(range(len(SLOTS)), 2))

#: What holds for whole images; lengths as log10.
IMAGE_QUANTITIES = (
    "redshift",
    "pixel in kpc",
    "PSF in kpc",
    *(f"PSF in pixels in {slot}" for slot in SLOTS),
    *(f"wavelength of {slot}" for slot in SLOTS),
)

#: What pixels show, log10: noise and brightness as luminosity surface densities, and flux
#: ratios.
PIXEL_QUANTITIES = (
    *(f"noise in {slot}" for slot in SLOTS),
    *(f"brightness in {slot}" for slot in SLOTS),
    *(f"color {SLOTS[a]}-{SLOTS[b]}" for a, b in _PAIRS),
)

#: The rows of ``ranges`` of the calibration.
QUANTITIES = (*IMAGE_QUANTITIES, *PIXEL_QUANTITIES)

_N_IMAGE = len(IMAGE_QUANTITIES)
_FIRST_BRIGHTNESS = len(SLOTS)

#: Part of the galaxies that lie beyond an end of a range of structure; of texture this many,
#: since galaxies without are what it is to tell from them. A frame may be half as large as
#: the smallest, since blocks of galaxies still say something, and noise a third of what is
#: stated, as neighbors' is alike where images were resampled.
_STRUCTURE_TAIL, _TEXTURE_TAIL = 0.003, 0.01
_SLACK = {"frame": 0.31, "noise": 0.5}

#: Colors are compared to this, dex, however well they are known: zero points and stellar
#: models are not known better.
_COLOR_FLOOR = 0.03

#: Part of the pixels, and of whole images, whose colors lie beyond their limit, and pixels
#: kept of each batch to find it.
_COLOR_TAIL, _KEPT_PIXELS = 1e-3, 4000

#: Fewer pixels, and images, than this do not tell what colors are like.
_FEWEST_COLORS, _FEWEST_IMAGES = 1000, 100

#: Part of the pixels that lie beyond either end of a range.
_TAIL = 1e-4

#: Pixels of one quantity are counted in this many bins between the two ends.
_N_BINS = 2400
_ENDS = tuple(
    (-4.0, 4.0) if name.startswith("color") else (-4.0, 20.0) for name in PIXEL_QUANTITIES
)


@dataclass(frozen=True)
class Measured:
    """Quantities that are compared with the training set; NaN if unavailable."""

    image: torch.Tensor
    pixel: torch.Tensor


def measure_image(conditions: Conditions, has_band: torch.Tensor) -> torch.Tensor:
    """Return properties of whole images, (n, 13), as `IMAGE_QUANTITIES`, NaN for empty slots."""
    nothing = torch.full_like(conditions.psf_fwhm, torch.nan)
    widest = torch.where(has_band, conditions.psf_fwhm, 0.0).amax(1)
    center = torch.tensor(SLOT_WAVELENGTHS, device=has_band.device)
    scalars = [
        conditions.redshift,
        torch.log10(conditions.pixel_scale_kpc),
        torch.log10(widest / conditions.pixel_scale * conditions.pixel_scale_kpc),
    ]
    bands = [
        torch.log10(conditions.psf_fwhm / conditions.pixel_scale[:, None]),
        torch.log10(conditions.wavelength / center),
    ]
    rows = [torch.where(has_band, values, nothing) for values in bands]
    return torch.cat([torch.stack(scalars, 1), *rows], 1).to(torch.float32)


def measure(
    flux: torch.Tensor,
    inverse_variance: torch.Tensor,
    conditions: Conditions,
    has_band: torch.Tensor,
) -> Measured:
    """Measure images in slots, (n, 5, y, x); local, so that results do not depend on blocks."""
    valid = inverse_variance > 0
    scale = luminosity_per_flux(conditions)[:, None, None, None]
    variance = 1.0 / torch.where(valid, inverse_variance, 1.0)
    noise = torch.log10(scale * variance.sqrt())
    # Colors of the same pixels: those that no band lacks.
    good = (valid | ~has_band[:, :, None, None]).all(1, keepdim=True) & has_band[:, :, None, None]
    amount = _box(good.to(flux.dtype))
    light = _box(torch.where(good, flux, 0.0))
    error = _box(torch.where(good, variance, 0.0)).sqrt()
    clear = (light > _CLEAR * error) & (amount > 0)
    brightness = torch.log10(torch.where(clear, light / amount.clamp(min=1.0) * scale, 1.0))
    nan = torch.full_like(noise, torch.nan)
    brightness = torch.where(clear, brightness, nan)
    first, second = [a for a, _ in _PAIRS], [b for _, b in _PAIRS]
    colors = brightness[:, first] - brightness[:, second]
    pixel = torch.cat([torch.where(valid, noise, nan), brightness, colors], 1)
    return Measured(measure_image(conditions, has_band), pixel)


def _box(values: torch.Tensor) -> torch.Tensor:
    """Return sums over 5 x 5 pixels."""
    side = 2 * RADIUS + 1
    return functional.avg_pool2d(values, side, stride=1, padding=RADIUS, divisor_override=1)


def is_outside(measured: Measured, ranges: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return images and pixels outside ``ranges`` of `QUANTITIES`; none if these are (0, 2)."""
    image = image_outside(measured.image, ranges)
    if not len(ranges):
        return image, torch.zeros_like(measured.pixel[:, 0], dtype=torch.bool)
    low, high = ranges.to(measured.image.device).T
    low, high = low[_N_IMAGE:, None, None], high[_N_IMAGE:, None, None]
    pixel = (measured.pixel < low) | (measured.pixel > high)
    return image, pixel.any(1)


def structure_outside(found: torch.Tensor, ranges: torch.Tensor | None) -> torch.Tensor:
    """Return which structures, (n, 5), are outside the training range, if that is known."""
    if ranges is None:
        return torch.zeros_like(found, dtype=torch.bool)
    low, high = ranges.to(found.device).T
    return (found < low) | (found > high)


def colors_outside(
    measured: Measured,
    has_band: torch.Tensor,
    colors: torch.Tensor | None,
    limits: torch.Tensor | None,
) -> torch.Tensor:
    """Return pixels (n, y, x) of colors unlike the training set; never without a clear signal."""
    brightness = measured.pixel[:, _FIRST_BRIGHTNESS : 2 * _FIRST_BRIGHTNESS]
    outside = torch.zeros_like(brightness[:, 0], dtype=torch.bool)
    if colors is None or limits is None:
        return outside
    for k, bands in enumerate(has_band.cpu()):
        number = _number(bands)
        if not bool(torch.isfinite(limits[number])):
            continue
        values = brightness[k, bands.to(brightness.device)].movedim(0, -1)
        there = torch.isfinite(values).all(-1)
        redshift = measured.image[k, 0].expand(int(there.sum()))
        square = _square_distance(values[there], redshift, bands, colors)
        outside[k][there] = square > float(limits[number])
    return outside


def whole_colors_outside(
    whole: torch.Tensor,
    redshift: torch.Tensor,
    colors: torch.Tensor | None,
    limits: torch.Tensor | None,
) -> torch.Tensor:
    """Return images (n,) of colors as a whole unlike the training set; never if not known."""
    outside = torch.zeros(len(whole), dtype=torch.bool)
    if colors is None or limits is None:
        return outside
    for k, values in enumerate(whole.cpu()):
        bands = torch.isfinite(values)
        limit = float(limits[_number(bands)])
        if math.isfinite(limit):
            square = _square_distance(values[None, bands], redshift[k : k + 1], bands, colors)
            outside[k] = bool(square > limit)
    return outside


def _number(bands: torch.Tensor) -> int:
    """Return the number of a set of bands (5 flags)."""
    return sum(2**k for k, flag in enumerate(bands.tolist()) if flag)


def _square_distance(
    values: torch.Tensor, redshift: torch.Tensor, bands: torch.Tensor, colors: torch.Tensor
) -> torch.Tensor:
    """Return squared distances (p,) of colors of pixels (p, number of bands) from the mean."""
    which = [*bands.nonzero()[:, 0].tolist(), len(SLOTS)]
    table = colors.double().cpu()
    mean, covariance = table[0, which], table[1:][which][:, which]
    # Colors to the first band, and the redshift; then colors at a given redshift.
    contrast = torch.eye(len(which), dtype=torch.float64)[1:]
    contrast[:-1, 0] = -1.0
    floor = torch.diag(torch.tensor([_COLOR_FLOOR**2] * (len(which) - 1) + [1e-8]).double())
    mean, covariance = contrast @ mean, contrast @ (covariance + floor) @ contrast.T
    slope = covariance[:-1, -1] / covariance[-1, -1]
    inner = covariance[:-1, :-1] - slope[:, None] * covariance[-1, :-1]
    inverse = torch.linalg.inv(inner).to(values.device, values.dtype)
    off = values[:, 1:] - values[:, :1] - mean[:-1].to(values.device, values.dtype)
    change = (redshift.to(values.dtype) - float(mean[-1]))[:, None]
    off = off - change * slope.to(values.device, values.dtype)
    return torch.einsum("pk,kl,pl->p", off, inverse, off)


def image_outside(image: torch.Tensor, ranges: torch.Tensor) -> torch.Tensor:
    """Return which quantities of images, (n, 13), lie outside the ranges; never if not known."""
    if not len(ranges):
        return torch.zeros_like(image, dtype=torch.bool)
    low, high = ranges[:_N_IMAGE].to(image.device).T
    return (image < low) | (image > high)


def disagreement_score(answer: EnsemblePrediction) -> torch.Tensor:
    """Return the members' disagreement over half their 16-84 range, (n, 8, y, x)."""
    quantiles = answer.prediction.quantiles
    return answer.disagreement / (0.5 * (quantiles[:, :, 3] - quantiles[:, :, 1]))


def members_disagree(
    score: torch.Tensor, signal: torch.Tensor, disagreement: torch.Tensor
) -> torch.Tensor:
    """Return where, (n, y, x), members disagree in any property more than in training."""
    limit = disagreement.to(score.device)[:, nearest_signal(signal)]
    return (score > limit.movedim(0, 1)).any(1)


class TrainingRange:
    """Collects, batch by batch, the properties of the galaxies used for calibration."""

    def __init__(self) -> None:
        self._low = torch.full((_N_IMAGE,), torch.inf)
        self._high = torch.full((_N_IMAGE,), -torch.inf)
        self._pixels = torch.zeros(len(PIXEL_QUANTITIES), _N_BINS, dtype=torch.float64)
        self._structure: list[torch.Tensor] = []
        self._colors: list[torch.Tensor] = []
        self._whole: list[torch.Tensor] = []

    def add(
        self,
        measured: Measured,
        structure: torch.Tensor | None = None,
        whole: torch.Tensor | None = None,
    ) -> None:
        """Add images."""
        if whole is not None:
            self._whole.append(torch.cat([whole, measured.image[:, :1]], 1).cpu())
        if structure is not None:
            self._structure.append(structure.cpu())
        self._colors.append(_some_colors(measured, len(self._colors)))
        image = measured.image.cpu()
        self._low = torch.minimum(self._low, torch.nan_to_num(image, nan=torch.inf).amin(0))
        self._high = torch.maximum(self._high, torch.nan_to_num(image, nan=-torch.inf).amax(0))
        for k, ends in enumerate(_ENDS):
            values = measured.pixel[:, k]
            self._pixels[k] += _histogram(values[torch.isfinite(values)], ends)

    def ranges(self) -> torch.Tensor:
        """Return the smallest and largest value of each of `QUANTITIES`, (33, 2)."""
        # The last galaxy need not lie at the very end of what is possible.
        margin = 1e-3 + 0.01 * (self._high - self._low).clamp(min=0.0)
        image = torch.stack([self._low - margin, self._high + margin], 1)
        rows = []
        for counts, ends in zip(self._pixels, _ENDS, strict=True):
            if counts.sum() == 0:
                rows.append([torch.inf, -torch.inf])
                continue
            edges = torch.linspace(*ends, _N_BINS + 1)
            part = counts.cumsum(0) / counts.sum()
            low = int((part <= _TAIL).sum())
            high = int((part < 1.0 - _TAIL).sum())
            # What lies beyond the outermost bin was counted in it.
            rows.append(
                [
                    float(edges[low]) if low else -torch.inf,
                    float(edges[high + 1]) if high + 1 < _N_BINS else torch.inf,
                ]
            )
        return torch.cat([image, torch.tensor(rows)]).to(torch.float32)

    def structure(self) -> torch.Tensor | None:
        """Return the ranges of `STRUCTURES`, (5, 2); None if none was added."""
        if not self._structure:
            return None
        table = torch.cat(self._structure).double()
        rows = []
        for k, name in enumerate(STRUCTURES):
            values = table[:, k][torch.isfinite(table[:, k])]
            tail = _TEXTURE_TAIL if name == "texture" else _STRUCTURE_TAIL
            if not len(values):
                rows.append([-torch.inf, torch.inf])
                continue
            low, high = (float(torch.quantile(values, level)) for level in (tail, 1.0 - tail))
            # Larger frames, empty borders, cusps, rich texture and noise that structure adds to
            # are no reason for doubt.
            if name in ("light at the edge", "flatness"):
                rows.append([-torch.inf, high])
            else:
                rows.append([low - _SLACK.get(name, 0.0), torch.inf])
        return torch.tensor(rows).float()

    def colors(self) -> tuple[torch.Tensor, torch.Tensor] | tuple[None, None]:
        """Return mean and covariance of pixels' colors with all bands, and their distances."""
        return _fitted_colors(self._colors, _COLOR_TAIL, _FEWEST_COLORS)

    def whole_colors(self) -> tuple[torch.Tensor, torch.Tensor] | tuple[None, None]:
        """Return the same for the light of whole images."""
        return _fitted_colors(self._whole, _COLOR_TAIL, _FEWEST_IMAGES)


def _fitted_colors(
    parts: list[torch.Tensor], tail: float, fewest: int
) -> tuple[torch.Tensor, torch.Tensor] | tuple[None, None]:
    vectors = torch.cat(parts).double() if parts else torch.zeros(0, len(SLOTS) + 1).double()
    whole = vectors[torch.isfinite(vectors).all(1)]
    if len(whole) < fewest:
        return None, None
    table = torch.cat([whole.mean(0, keepdim=True), torch.cov(whole.T)])
    limits = torch.full((2 ** len(SLOTS),), torch.inf)
    for number in range(2 ** len(SLOTS)):
        bands = torch.tensor([bool(number & 2**k) for k in range(len(SLOTS))])
        if bands.sum() < 2:
            continue
        some = vectors[torch.isfinite(vectors[:, :-1][:, bands]).all(1)]
        square = _square_distance(some[:, :-1][:, bands], some[:, -1], bands, table)
        limits[number] = torch.quantile(square, 1.0 - tail)
    return table.float(), limits.float()


def _some_colors(measured: Measured, number: int) -> torch.Tensor:
    """Return log brightness and redshift (p, 6) of some pixels with a clear signal."""
    brightness = measured.pixel[:, _FIRST_BRIGHTNESS : 2 * _FIRST_BRIGHTNESS]
    brightness = brightness.movedim(1, -1)
    clear = torch.isfinite(brightness).sum(-1) >= 2
    redshift = measured.image[:, :1, None].expand(-1, *clear.shape[1:])
    table = torch.cat([brightness[clear], redshift[clear][:, None]], 1).cpu()
    generator = torch.Generator().manual_seed(number)
    return table[torch.randperm(len(table), generator=generator)[:_KEPT_PIXELS]]


def _histogram(values: torch.Tensor, ends: tuple[float, float]) -> torch.Tensor:
    low, high = ends
    bins = ((values - low) * (_N_BINS / (high - low))).floor().clamp(0, _N_BINS - 1)
    return torch.bincount(bins.long().flatten(), minlength=_N_BINS).cpu().to(torch.float64)
