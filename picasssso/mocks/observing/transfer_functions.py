"""Point-spread functions, and convolution that keeps flux.

Convolution is by Fourier transform on the padded grid. Kernels are normalized to a sum of
1 on that grid, so flux is kept to rounding; what the wings carry over one edge comes back
at the other, which is why images are made with a margin and cut afterwards.
"""

from __future__ import annotations

import numpy as np
import torch

from picasssso.exceptions import InvalidInputError

_FWHM_PER_SIGMA = 2.0 * np.sqrt(2.0 * np.log(2.0))


def _distance(n: int, device: torch.device) -> torch.Tensor:
    """Return distances in pixels from the origin of a periodic axis."""
    k = torch.arange(n, device=device)
    return torch.minimum(k, n - k).to(torch.float32)


def gaussian_transfer(fwhm: torch.Tensor, shape: tuple[int, int]) -> torch.Tensor:
    """Return Gaussian PSFs' transfer functions, (..., y, x // 2 + 1), of FWHM (...) in pixels."""
    sigma = (fwhm / _FWHM_PER_SIGMA)[..., None]
    fy = torch.fft.fftfreq(shape[0], device=fwhm.device)
    fx = torch.fft.rfftfreq(shape[1], device=fwhm.device)
    y = torch.exp(-2.0 * (np.pi * sigma * fy) ** 2)
    x = torch.exp(-2.0 * (np.pi * sigma * fx) ** 2)
    return y[..., :, None] * x[..., None, :]


def moffat_transfer(
    fwhm: torch.Tensor, shape: tuple[int, int], *, index: float = 3.0
) -> torch.Tensor:
    """Return those of Moffat PSFs (Moffat 1969, A&A 3, 455), as `gaussian_transfer`."""
    alpha = fwhm[..., None, None] / (2.0 * np.sqrt(2.0 ** (1.0 / index) - 1.0))
    y = _distance(shape[0], fwhm.device)[:, None]
    x = _distance(shape[1], fwhm.device)
    kernel = (1.0 + (y * y + x * x) / alpha**2) ** -index
    # Symmetric kernels have real transforms: half the work, and no shift by rounding.
    return torch.fft.rfft2(kernel / kernel.sum(dim=(-2, -1), keepdim=True)).real


def image_transfer(kernel: np.ndarray | torch.Tensor, shape: tuple[int, int]) -> torch.Tensor:
    """Return the transfer functions of PSFs given as images.

    ``kernel``: images with odd sides, of shape (..., ky, kx), centered, any scale; ``shape``:
    shape (y, x) of the images to convolve, at least that of the kernel; returns of shape (...,
    y, x // 2 + 1), complex.
    """
    kernel = torch.as_tensor(kernel, dtype=torch.float32)
    height, width = kernel.shape[-2:]
    if not (height % 2 and width % 2) or height > shape[0] or width > shape[1]:
        raise InvalidInputError(
            f"A PSF image of {height} x {width} pixels cannot be used for images of {shape[0]} x "
            f"{shape[1]}: expected odd sides no longer than those."
        )
    total = kernel.sum(dim=(-2, -1), keepdim=True)
    if not bool((torch.isfinite(total) & (total > 0)).all()):
        raise InvalidInputError("A PSF image must be finite, with a positive sum.")
    padded = torch.zeros(*kernel.shape[:-2], *shape, device=kernel.device)
    padded[..., :height, :width] = kernel / total
    return torch.fft.rfft2(torch.roll(padded, (-(height // 2), -(width // 2)), (-2, -1)))


def convolve(images: torch.Tensor, transfer: torch.Tensor) -> torch.Tensor:
    """Convolve images (..., y, x) with PSFs; their sums stay the same."""
    return torch.fft.irfft2(torch.fft.rfft2(images) * transfer, s=images.shape[-2:])
