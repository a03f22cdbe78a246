"""Normal numbers with the correlations that the errors of a network have.

Those of one galaxy are the sum of a part that all its pixels share, a part that is smooth
over about a PSF, and a part of each pixel's own. All belong to the pixel's place in the
whole image, so that blocks equal the whole. One more number decides for all pixels together
whether there is gas, and what comes with it.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch

from picasssso._core.random import pixel_normals
from picasssso.estimators.context import EstimationContext
from picasssso.networks.conformal import ConformalCalibration, gaussian_kernel
from picasssso.networks.outputs import OUTPUTS

#: Numbers of the bands of `pixel_normals`: own parts from 0 on, smooth parts, shared parts,
#: presence, noise of the light.
_SMOOTH, _SHARED, _PRESENCE, _LIGHT = 1000, 2000, 3000, 4000

#: Smooth fields reach beyond the image's edge; counters must not be negative. A multiple of
#: four, as counters along a row are.
_MARGIN = 4096


def smooth_radius(fwhm: float) -> int:
    """Return where the smoothing kernel of a FWHM is cut, both in pixels."""
    return min(max(1, math.ceil(2.0 * fwhm)), _MARGIN)


def correlated_scores(
    calibration: ConformalCalibration | None,
    context: EstimationContext,
    shape: tuple[int, int],
    draw: int,
) -> npt.NDArray[np.float32]:
    """Return normal scores (y, x) of one sample of all properties; independent if uncalibrated."""
    own = _normals(shape, context.origin, context.seed, draw, 0)
    if calibration is None:
        return own
    fwhm = max(context.psf_fwhm_arcsec) / context.pixel_scale_arcsec
    radius = smooth_radius(fwhm)
    y, x = context.origin
    wide = (shape[0] + 2 * radius, shape[1] + 2 * radius)
    origin = (y + _MARGIN - radius, x + _MARGIN - radius)
    smooth = _smoothed(_normals(wide, origin, context.seed, draw, _SMOOTH), fwhm, radius)
    row = pixel_normals((1, len(own)), (0, 0), seed=context.seed, draw=draw, band=_SHARED)
    shared = row[0].astype(np.float32)[:, None, None]
    mixing = calibration.mixing.numpy()
    common, near = calibration.shared.numpy(), calibration.smooth.numpy()
    rest = np.clip(1.0 - common - near, 0.0, 1.0)
    total = np.zeros_like(own)
    for part, numbers in ((common, shared), (near, smooth), (rest, own)):
        mixed = np.einsum("kl,lyx->kyx", mixing, numbers)
        total += np.sqrt(part).astype(np.float32)[:, None, None] * mixed
    return total


def presence_score(context: EstimationContext, draw: int) -> float:
    """Return the sample's normal score of there being gas, star formation and dust."""
    number = pixel_normals((1, 1), (0, 0), seed=context.seed, draw=draw, band=_PRESENCE)
    return float(number[0, 0])


def light_score(
    context: EstimationContext, shape: tuple[int, ...], draw: int
) -> npt.NDArray[np.float32]:
    """Return independent normal scores (y, x) that stand for the noise of light."""
    numbers = pixel_normals(
        (shape[0], shape[1]), context.origin, seed=context.seed, draw=draw, band=_LIGHT
    )
    return numbers.astype(np.float32)


def _normals(
    shape: tuple[int, int], origin: tuple[int, int], seed: int, draw: int, first: int
) -> npt.NDArray[np.float32]:
    """Return a field of independent numbers for each of the eight properties."""
    out = np.empty((len(OUTPUTS), *shape), np.float32)
    for k in range(len(OUTPUTS)):
        out[k] = pixel_normals(shape, origin, seed=seed, draw=draw, band=first + k)
    return out


def _smoothed(
    fields: npt.NDArray[np.float32], fwhm: float, radius: int
) -> npt.NDArray[np.float32]:
    kernel = gaussian_kernel(fwhm, radius)
    wide = torch.from_numpy(fields)[:, None]
    along_x = torch.nn.functional.conv2d(wide, kernel[None, None, None, :])
    return torch.nn.functional.conv2d(along_x, kernel[None, None, :, None])[:, 0].numpy()
