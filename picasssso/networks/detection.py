"""Detection of light, and estimates that are linear in the flux, such that noise averages to zero.

A network that predicts positive quantities predicts them also for noise: some mass in every pixel
of empty sky. Far from any detected light, the mean plane, from which sums are computed, is
therefore derived from the flux itself.

- The *light* of a pixel is the amplitude of a typical spectrum (flux rising as the square of
  the wavelength) that fits its bands best: a weighted mean of fluxes, negative as often as
  positive where there is nothing.
- It is *detected* where it is significant in a smooth neighborhood 8 pixels wide (FWHM): the
  significance is the sum divided by its error, as for a matched filter.
- *Near* detected light, predictions for the outskirts and for gas beyond the stars are based on
  the training galaxies. The nearness is 1 within about 12 pixels of detected light, 0 beyond 26.
- Elsewhere a property is the light, multiplied by the ratio of that property to light that the
  network predicts for a typical faint galaxy (`typical_galaxy`).

All quantities are local, so that maps do not depend on the blocks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch.nn import functional

from picasssso.networks.inputs import SLOT_WAVELENGTHS

#: Full width at half maximum of the neighborhood in which light is looked for, and where it
#: is cut, pixels.
_FWHM, _RADIUS = 8.0, 8
_SIGMA = _FWHM / math.sqrt(8.0 * math.log(2.0))

#: Pixels that share a neighborhood: noise that is correlated over so many inflates its error.
NEIGHBORS = 4.0 * math.pi * _SIGMA**2

#: Significances at which light begins to count as detected, and does entirely. The highest
#: peak in 400 x 400 pixels of noise has about the first.
_FAINT, _CLEAR = 4.5, 7.0

#: How detected light spreads: a Gaussian of this standard deviation, cut where it has sunk to
#: 0.1, so that it reaches 26 pixels.
_SPREAD, _SPREAD_RADIUS = 12.0, 26
_NOT_NEAR, _NEAR = 0.1, 0.6

#: Farthest pixel that can change the nearness of another.
REACH = _RADIUS + _SPREAD_RADIUS

#: A typical spectrum, relative to r.
_SPECTRUM = tuple((wavelength / SLOT_WAVELENGTHS[2]) ** 2 for wavelength in SLOT_WAVELENGTHS)

#: The typical galaxy: a disk of this scale length, in a frame this large, this bright in its
#: middle in units of the noise of a pixel. The frame is as large as those of the training set:
#: in one of 24 pixels the network says a hundredth of the mass.
_DISK_SCALE, _DISK_SIDE, _DISK_SIGNAL = 3.0, 64, 8.0

#: Where the typical galaxy is in its frame, in rows and in columns.
TYPICAL_PART = slice(_DISK_SIDE // 2 - 12, _DISK_SIDE // 2 + 12)


@dataclass(frozen=True)
class Light:
    """The light of images in r, nmgy per pixel (0 without data), and how significant it is."""

    amplitude: torch.Tensor
    error: torch.Tensor
    significance: torch.Tensor


def measure_light(
    flux: torch.Tensor, inverse_variance: torch.Tensor, inflation: torch.Tensor | float = 1.0
) -> Light:
    """Measure the light of images; local, so that blocks equal the whole.

    ``inflation``: factor on the variance of the sum over a neighborhood (of `NEIGHBORS`
    pixels) where noise is correlated.
    """
    spectrum = torch.tensor(_SPECTRUM, device=flux.device)[:, None, None]
    weight = (inverse_variance * spectrum.square()).sum(1, keepdim=True)
    signal = (flux * inverse_variance * spectrum).sum(1, keepdim=True)
    x = torch.arange(-_RADIUS, _RADIUS + 1, device=flux.device, dtype=flux.dtype)
    kernel = torch.exp(-0.5 * (x / _SIGMA) ** 2)
    variance = _smoothed(weight, kernel.square())
    if isinstance(inflation, torch.Tensor):
        inflation = inflation[:, None, None, None]
    there = weight > 0
    safe = torch.where(there, weight, 1.0)
    significance = _smoothed(signal, kernel) * (variance * inflation).clamp(min=1e-30).rsqrt()
    return Light(
        torch.where(there, signal / safe, 0.0),
        torch.where(there, safe.rsqrt(), 0.0),
        torch.where(there, significance, 0.0),
    )


def _smoothed(planes: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
    radius = len(kernel) // 2
    planes = functional.conv2d(planes, kernel[None, None, :, None], padding=(radius, 0))
    return functional.conv2d(planes, kernel[None, None, None, :], padding=(0, radius))


def _step(values: torch.Tensor, low: float, high: float) -> torch.Tensor:
    """Return a smooth step from 0 to 1."""
    part = ((values - low) / (high - low)).clamp(0.0, 1.0)
    return part * part * (3.0 - 2.0 * part)


def detected_part(light: Light) -> torch.Tensor:
    """Return the degree of detection of light, (n, 1, y, x): from 0 (noise) to 1 (light)."""
    return _step(light.significance, _FAINT, _CLEAR)


def nearness(detected: torch.Tensor) -> torch.Tensor:
    """Return the nearness of detected light: from 0 (none within 26 pixels) to 1."""
    # The largest of what spreads from all pixels, one axis after the other.
    for axis in (-1, -2):
        spread = detected.clone()
        for distance in range(1, min(_SPREAD_RADIUS, detected.shape[axis] - 1) + 1):
            factor = math.exp(-0.5 * (distance / _SPREAD) ** 2)
            size = detected.shape[axis] - distance
            first, last = detected.narrow(axis, 0, size), detected.narrow(axis, distance, size)
            for to, source in (
                (spread.narrow(axis, distance, size), first),
                (spread.narrow(axis, 0, size), last),
            ):
                torch.maximum(to, factor * source, out=to)
        detected = spread
    return _step(detected, _NOT_NEAR, _NEAR)


def typical_galaxy(noise: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return images of a small faint disk with a typical spectrum.

    ``noise``: noise of each image's bands, nmgy per pixel; NaN where there is no band; returns
    without noise, as bright in the middle as eight times that of a pixel; nearly all of it is in
    the rows and columns of `TYPICAL_PART`.
    """
    spectrum = torch.tensor(_SPECTRUM, device=noise.device, dtype=noise.dtype)
    weight = torch.nan_to_num(noise.square().reciprocal(), nan=0.0, posinf=0.0)
    error = (weight * spectrum.square()).sum(1).clamp(min=1e-30).rsqrt()
    place = torch.arange(_DISK_SIDE, device=noise.device, dtype=noise.dtype)
    radius = torch.hypot(*torch.meshgrid(*2 * [place - 0.5 * (_DISK_SIDE - 1)], indexing="ij"))
    disk = torch.exp(-radius / _DISK_SCALE)
    flux = _DISK_SIGNAL * error[:, None, None, None] * spectrum[:, None, None] * disk
    planes = weight[:, :, None, None].expand(-1, -1, *disk.shape)
    return flux * (planes > 0), planes
