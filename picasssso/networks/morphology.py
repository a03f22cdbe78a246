"""Morphology of whole images: size of the frame, light at its edge, texture and noise.

Five numbers for an image, compared with those of the training set in
`picasssso.networks.training_range`:

- the shorter side of the *frame*, log10 of pixels: a cut-out of a part of a galaxy shows no
  galaxy;
- the *light at the edge* of the frame over the brightest light in it: a galaxy that goes on
  beyond the frame;
- *flatness*: the mean light, weighted by light, over the brightest, log10: 0 for a disk of one
  brightness with a sharp edge, -0.6 for an exponential disk;
- *texture*: how much structure there can be beside smooth isophotes, log10 of the relative rms
  at most. Small-scale residuals that the brightness does not explain, less what noise makes of
  them, plus half the error of that: small only where images are good enough to show texture
  and there is none. Disks have arms and clumps, and no galaxy has perfect isophotes;
- *noise*: the rms of differences of neighboring pixels over that of the stated errors, log10.
"""

from __future__ import annotations

import torch
from torch.nn import functional

from picasssso.networks.detection import detected_part, measure_light

#: Names of the numbers.
STRUCTURES = ("frame", "light at the edge", "flatness", "texture", "noise")

#: Light is smoothed like this to see texture, and with a Gaussian of this standard deviation
#: (cut at this radius) to see what it is relative to, pixels.
_FINE = (1.0, 4.0, 6.0, 4.0, 1.0)
_COARSE_SIGMA, _COARSE_RADIUS = 3.0, 8

#: Texture is looked for in pixels this clear after smoothing, if there are so many of them;
#: so many share a patch of smoothed noise.
_CLEAR, _FEWEST, _PATCH = 10.0, 60, 12.0

#: Part of the variance of finely smoothed noise that is left beside the coarsely smoothed.
_NOISE_LEFT = 0.75

#: Signal-to-noise ratio from which the light of a whole image counts.
_WHOLE_SIGNAL = 20.0

#: Width of the border of the frame, pixels.
_BORDER = 3


def measure_structure(flux: torch.Tensor, inverse_variance: torch.Tensor) -> torch.Tensor:
    """Measure the morphology of images: (n, 5), as `STRUCTURES`, NaN if impossible."""
    n, _, height, width = flux.shape
    light = measure_light(flux, inverse_variance)
    fine = _fine(light.amplitude)
    variance = _fine(light.error.square(), squared=True)
    side = torch.full((n,), float(min(height, width)), device=flux.device).log10()
    columns = [
        side,
        _edge(fine, variance),
        _flatness(fine, variance),
        _texture(light.amplitude, fine, variance),
        _noise(flux, inverse_variance),
    ]
    return torch.stack(columns, 1).to(torch.float32)


def whole_light(flux: torch.Tensor, inverse_variance: torch.Tensor) -> torch.Tensor:
    """Return log10 nmgy of detected light, (n, 5); NaN below 20 sigma or without the band."""
    detected = (detected_part(measure_light(flux, inverse_variance)) >= 0.5) & (
        (inverse_variance > 0) | ~(inverse_variance > 0).any(-1, keepdim=True).any(-2, True)
    ).all(1, keepdim=True)
    valid = detected & (inverse_variance > 0)
    light = torch.where(valid, flux, 0.0).sum((2, 3))
    safe = torch.where(valid, inverse_variance, 1.0)
    error = torch.where(valid, 1.0 / safe, 0.0).sum((2, 3)).sqrt()
    clear = light > _WHOLE_SIGNAL * error.clamp(min=1e-30)
    return torch.where(clear, torch.log10(light.clamp(min=1e-30)), torch.nan)


def _filtered(planes: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
    """Return planes (n, 1, y, x) smoothed along both axes; the edge goes on outside."""
    radius = len(kernel) // 2
    planes = functional.pad(planes, (radius, radius, radius, radius), mode="replicate")
    planes = functional.conv2d(planes, kernel[None, None, :, None])
    return functional.conv2d(planes, kernel[None, None, None, :])


def _fine(planes: torch.Tensor, squared: bool = False) -> torch.Tensor:
    kernel = torch.tensor(_FINE, device=planes.device)
    kernel = kernel / kernel.sum()
    return _filtered(planes, kernel.square() if squared else kernel)


def _edge(fine: torch.Tensor, variance: torch.Tensor) -> torch.Tensor:
    """Return the mean light along the edge over the brightest."""
    inner = fine[:, :, _BORDER:-_BORDER, _BORDER:-_BORDER].sum((1, 2, 3))
    height, width = fine.shape[-2:]
    number = height * width - max(height - 2 * _BORDER, 0) * max(width - 2 * _BORDER, 0)
    border = (fine.sum((1, 2, 3)) - inner) / number
    brightest = fine.amax((1, 2, 3))
    noise = variance.mean((1, 2, 3)).sqrt()
    return torch.where(brightest > _CLEAR * noise, border / brightest, torch.nan)


def _flatness(fine: torch.Tensor, variance: torch.Tensor) -> torch.Tensor:
    clear = fine > _CLEAR * variance.sqrt()
    light = torch.where(clear, fine, 0.0)
    total = light.sum((1, 2, 3)) * light.amax((1, 2, 3))
    enough = clear.sum((1, 2, 3)) >= _FEWEST
    flat = torch.log10(light.square().sum((1, 2, 3)) / total.clamp(min=1e-30))
    return torch.where(enough, flat, torch.nan)


def _texture(amplitude: torch.Tensor, fine: torch.Tensor, variance: torch.Tensor) -> torch.Tensor:
    x = torch.arange(-_COARSE_RADIUS, _COARSE_RADIUS + 1, device=fine.device, dtype=fine.dtype)
    kernel = torch.exp(-0.5 * (x / _COARSE_SIGMA) ** 2)
    coarse = _filtered(amplitude, kernel / kernel.sum())
    clear = (fine > _CLEAR * variance.sqrt()) & (coarse > 0) & (variance > 0)
    # What lies beyond the frame would be made up.
    inside = torch.zeros_like(clear)
    inside[..., _COARSE_RADIUS:-_COARSE_RADIUS, _COARSE_RADIUS:-_COARSE_RADIUS] = True
    clear &= inside
    found = []
    for k in range(len(fine)):
        where = clear[k, 0]
        number = int(where.sum())
        if number < _FEWEST:
            found.append(float("nan"))
            continue
        one, base = fine[k, 0][where].double(), coarse[k, 0][where].double()
        residual, level = torch.log(one / base), torch.log(base)
        level = level - level.mean()
        # Smooth isophotes: what depends on the brightness alone.
        columns = torch.stack([level**power for power in range(4)], 1)
        matrix = columns.T @ columns
        matrix = matrix + 1e-9 * matrix.diagonal().mean() * torch.eye(4, dtype=matrix.dtype)
        residual = residual - columns @ torch.linalg.solve(matrix, columns.T @ residual)
        noise = float((variance[k, 0][where].double() / one.square()).mean()) * _NOISE_LEFT
        square = max(float(residual.square().mean()) - noise, 0.0)
        most = square + 0.5 * noise * (2.0 * _PATCH / number) ** 0.5
        found.append(0.5 * float(torch.log10(torch.tensor(max(most, 1e-12)))))
    return torch.tensor(found, device=fine.device)


def _noise(flux: torch.Tensor, inverse_variance: torch.Tensor) -> torch.Tensor:
    """Return the rms of pixels less the mean of their neighbors, in units of its error."""
    height, width = flux.shape[-2:]
    if min(height, width) < 3:
        return torch.full((len(flux),), torch.nan, device=flux.device)
    valid = inverse_variance > 0
    variance = torch.where(valid, 1.0 / torch.where(valid, inverse_variance, 1.0), torch.nan)
    rows = []
    for first, middle, last in (
        (flux[..., :-2], flux[..., 1:-1], flux[..., 2:]),
        (flux[..., :-2, :], flux[..., 1:-1, :], flux[..., 2:, :]),
    ):
        change = middle - 0.5 * (first + last)
        across = variance[..., 1:-1] if middle.shape[-1] < width else variance[..., 1:-1, :]
        score = (change.square() / (1.5 * across)).flatten(1)
        rows.append(score)
    # The median: edges and nuclei are no noise. That of a squared normal number is 0.455.
    middle = torch.cat(rows, 1).nanmedian(1).values
    return 0.5 * torch.log10((middle / 0.455).clamp(min=1e-12))
