"""What else is in a field: foreground stars, background galaxies, an uneven background."""

from __future__ import annotations

import numpy as np
import torch

from picasssso._core.random import Stream

#: Surface density per arcmin2 brighter than r = 22 at high Galactic latitude (about what
#: star counts of Robin et al. 2003, A&A 409, 523 give there), and the slope of
#: log10(counts) with magnitude.
_STARS, _STAR_SLOPE = 1.5, 0.18

#: Of galaxies brighter than r = 22 (Yasuda et al. 2001, AJ 122, 1104), with their slope.
_GALAXIES, _GALAXY_SLOPE = 4.0, 0.38

_STAR_BRIGHT, _GALAXY_BRIGHT = 15.0, 18.0

#: Standard deviation in pixels of a point source before the PSF: the least that pixels hold.
_LEAST_WIDTH = 0.55

#: Colors relative to r by effective wavelength: slopes of AB mag per unit ln(wavelength).
_STAR_COLOR, _GALAXY_COLOR = (-1.6, 0.9), (-1.8, 0.8)


def field_sources(
    stream: Stream,
    shape: tuple[int, int],
    pixel_scale: torch.Tensor,
    wavelengths: np.ndarray,
    *,
    density: float = 1.0,
    faintest: float = 23.0,
) -> torch.Tensor:
    """Return other sources in nmgy before the PSF, (n, n_band, y, x); scale arcsec, bands AA."""
    device = stream.device
    arcsec = pixel_scale.double().cpu().numpy()
    area = shape[0] * shape[1] * arcsec**2 / 3600.0
    log_wavelength = np.log(wavelengths / 6200.0)
    height, width = shape
    y = torch.arange(height, device=device, dtype=torch.float32)
    x = torch.arange(width, device=device, dtype=torch.float32)
    result = torch.zeros(len(area), len(wavelengths), height * width, device=device)

    def tensor(array: np.ndarray) -> torch.Tensor:
        return torch.as_tensor(array, dtype=torch.float32, device=device)

    kinds = (
        ("star", _STARS, _STAR_SLOPE, _STAR_BRIGHT, _STAR_COLOR),
        ("galaxy", _GALAXIES, _GALAXY_SLOPE, _GALAXY_BRIGHT, _GALAXY_COLOR),
    )
    for name, counts, slope, bright, (color, scatter) in kinds:
        mean = density * counts * 10.0 ** (slope * (faintest - 22.0)) * area
        most = int(np.ceil(np.max(mean) + 4.0 * np.sqrt(np.max(mean)) + 1.0))
        # Source k is there if k is below a Poisson number, drawn as a sum of intervals, so
        # that a source does not depend on how many are looked at.
        intervals = -np.log(stream.uniform(f"{name} interval", most))
        image, which = np.nonzero(np.cumsum(intervals, axis=1) < mean[:, None])
        if image.size == 0:
            continue
        drawn = stream.uniform(f"{name} source", 6 * most).reshape(-1, most, 6)[image, which]
        normal = stream.normal(f"{name} scatter", 2 * most).reshape(-1, most, 2)[image, which]
        brightest = 10.0 ** (slope * (bright - faintest))
        counted = np.log10(drawn[:, 0] * (1.0 - brightest) + brightest)
        magnitude = faintest + counted / slope
        tint = (color + scatter * normal[:, 0])[:, None] * log_wavelength
        flux = 10.0 ** (0.4 * (22.5 - magnitude[:, None] - tint))
        size = np.full(image.size, _LEAST_WIDTH)
        minor, angle = size, np.pi * drawn[:, 4]
        if name == "galaxy":
            # Half-light radii of faint galaxies, about 0.5 arcsec at r = 22.
            radius = 0.5 * 10.0 ** (-0.12 * (magnitude - 22.0)) * np.exp(0.4 * normal[:, 1])
            major = radius / 1.18 / arcsec[image]
            size = np.hypot(_LEAST_WIDTH, major)
            minor = np.hypot(_LEAST_WIDTH, major * (0.3 + 0.7 * drawn[:, 3]))
        dx = x - tensor(drawn[:, 1] * width - 0.5)[:, None]
        dy = y - tensor(drawn[:, 2] * height - 0.5)[:, None]
        cosine, sine = np.cos(angle), np.sin(angle)
        xx = tensor(-0.5 * (cosine**2 / size**2 + sine**2 / minor**2))[:, None]
        yy = tensor(-0.5 * (sine**2 / size**2 + cosine**2 / minor**2))[:, None]
        xy = tensor(-cosine * sine * (1.0 / size**2 - 1.0 / minor**2))[:, None]
        exponent = (xy * dy)[:, :, None] * dx[:, None, :]
        exponent += (yy * dy * dy)[:, :, None]
        exponent += (xx * dx * dx)[:, None, :]
        shapes = exponent.clamp_(min=-30.0).exp_().flatten(1)
        weight = tensor(flux / (2.0 * np.pi * size * minor)[:, None])
        # The first source of all images, then the second: no two fall on one image.
        place = np.arange(image.size) - np.searchsorted(image, image)
        for k in range(int(place.max()) + 1):
            here = torch.as_tensor(np.flatnonzero(place == k), device=device)
            rows = torch.as_tensor(image[place == k], device=device)
            result.index_add_(0, rows, weight[here][:, :, None] * shapes[here][:, None, :])
    return result.reshape(len(area), len(wavelengths), height, width)


def uneven_background(
    stream: Stream, n_band: int, shape: tuple[int, int], *, gradient: float = 0.5
) -> torch.Tensor:
    """Return an offset, a tilt and a bend per band, (n, n_band, y, x), about 1 at the center."""
    y = torch.linspace(-1.0, 1.0, shape[0], device=stream.device)[:, None]
    x = torch.linspace(-1.0, 1.0, shape[1], device=stream.device)
    one = torch.ones(shape, device=stream.device)
    terms = torch.stack([one, gradient * x * one, gradient * y * one, gradient * x * y * one])
    numbers = stream.normal("background", n_band * len(terms)).reshape(-1, n_band, len(terms))
    weights = torch.as_tensor(numbers, dtype=torch.float32, device=stream.device)
    return torch.einsum("nbk,kyx->nbyx", weights, terms)
