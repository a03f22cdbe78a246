"""Noise as the empty sky shows it: its size in a pixel, and how it grows with area.

Survey images are resampled, so neighbouring pixels share noise and the sum of n pixels is
noisier than sqrt(n) times one. Both are measured on sums over square boxes of empty sky, each
in units of the stated standard deviation (Labbe et al. 2003, AJ 125, 1107; Quadri et al. 2007,
AJ 134, 1103).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from picasssso._core.blocks import Block
from picasssso.bands.noise import NoiseScaling
from picasssso.preparation.background import _given_mask
from picasssso.preparation.steps import with_step
from picasssso.preparation.storage import blocks_of, transform, variance_of

if TYPE_CHECKING:
    from picasssso.bands import BandImages

#: Sides of the boxes, pixels.
_SIDES = (1, 2, 3, 4, 6, 8, 12, 16)
_SAMPLE_BLOCKS = 4
#: Boxes of a size that are needed to use it.
_MIN_BOXES = 40
#: Stated and measured noise may differ by this factor before the measured one is used.
_TOLERANCE = 1.05

Array = npt.NDArray[Any]


def measure_noise(
    images: BandImages,
    band: str,
    *,
    source_mask: npt.ArrayLike | None = None,
) -> tuple[float, NoiseScaling]:
    """Measure the noise of empty sky against the stated one.

    Parameters
    ----------
    images : BandImages
        Images with uncertainties, without sky.
    band : str
        The band.
    source_mask : array of bool, shape (y, x), optional
        True where there is no empty sky; default: `mask_sky_sources`.

    Returns
    -------
    ratio : float
        Scatter of single pixels over their stated standard deviation; 1 where there is too
        little sky to tell.
    scaling : NoiseScaling
        Variance of sums over boxes relative to that of independent pixels; white where there is
        too little sky to tell, and constant beyond the largest box that could be measured.

    Examples
    --------
    >>> import numpy as np
    >>> from astropy import units as u
    >>> from astropy.nddata import CCDData, StdDevUncertainty
    >>> from picasssso import BandImages
    >>> from picasssso.preparation import measure_noise
    >>> sky = np.random.default_rng(1).normal(0, 2.0, (200, 200))
    >>> image = CCDData(sky, unit="nmgy", uncertainty=StdDevUncertainty(np.ones_like(sky)))
    >>> images = BandImages({"sdss2010-r": image}, redshift=0.1, pixel_scale=0.4 * u.arcsec)
    >>> ratio, scaling = measure_noise(images, "sdss2010-r",
    ...                                source_mask=np.zeros(sky.shape, bool))
    >>> round(ratio, 1), bool(scaling(64) < 1.2)
    (2.0, True)
    """
    mask = _given_mask(images, source_mask, None)
    sums: dict[int, list[Array]] = {side: [] for side in _SIDES}
    # A sample of a large field is enough: box sums of four million pixels.
    blocks = list(blocks_of(images.shape, stride=48, bytes_per_pixel=400))
    for block in blocks[:: -(-len(blocks) // _SAMPLE_BLOCKS)]:
        flux, precision = (plane[0] for plane in images.to_arrays(block.core, bands=[band]))
        empty = (precision > 0) & ~np.asarray(mask[block.core])
        with np.errstate(invalid="ignore"):
            scaled = np.where(empty, flux * np.sqrt(precision), 0.0)
        for side in _SIDES:
            sums[side].append(_box_sums(scaled, empty, side))
    spread = {}
    for side in _SIDES:
        values = np.concatenate(sums[side]) / side
        if values.size >= _MIN_BOXES:
            spread[side] = 1.4826 * float(np.median(np.abs(values - np.median(values))))
    if spread.get(1, 0.0) <= 0:
        return 1.0, NoiseScaling.white()
    inflation = [(spread[side] / spread[1]) ** 2 for side in spread]
    # The scatter of the scatter must not make sums less noisy than independent pixels.
    inflation = np.maximum.accumulate(np.maximum(inflation, 1.0)).tolist()
    return spread[1], NoiseScaling([side**2 for side in spread], inflation)


def _box_sums(values: Array, empty: Array, side: int) -> Array:
    """Return sums over all boxes of a side that are empty throughout."""
    height, width = (length // side * side for length in values.shape)
    if not height or not width:
        return np.zeros(0)
    cut = np.s_[:height, :width]
    boxes = (height // side, side, width // side, side)
    whole = empty[cut].reshape(boxes).all(axis=(1, 3))
    return values[cut].reshape(boxes).sum(axis=(1, 3), dtype=np.float64)[whole]


def calibrate_noise(
    images: BandImages,
    *,
    source_mask: npt.ArrayLike | None = None,
    folder: str | os.PathLike[str] | None = None,
) -> BandImages:
    """Return images whose uncertainties agree with the scatter of the empty sky, in nmgy.

    Bands without uncertainty get one from their background first. Uncertainties that differ
    from the scatter by more than 5 % are scaled to it; ``noise_scaling`` becomes the measured
    one, where the image shows enough sky. The notes say what was measured and applied.
    """
    mask = _given_mask(images, source_mask, folder)
    estimated = images.missing_uncertainty
    if estimated:
        images = images.with_estimated_noise(source_mask=np.asarray(mask))
    ratios, scalings = {}, {}
    for band in images.bands:
        ratios[band], scaling = measure_noise(images, band, source_mask=mask)
        scalings[band] = images.noise_scaling[band] if scaling.is_white else scaling
    factors = {b: 1.0 if 1 / _TOLERANCE < r < _TOLERANCE else r for b, r in ratios.items()}

    def scale(band: str, flux: Array, precision: Array, block: Block) -> Any:
        return flux, variance_of(precision) * factors[band] ** 2, precision != 0

    if any(factor != 1.0 for factor in factors.values()):
        images = transform(images, scale, bytes_per_pixel=40, folder=folder)
    return with_step(
        images.replace(noise_scaling=scalings),
        "noise",
        estimated=list(estimated),
        measured_over_stated=ratios,
        applied_factor=factors,
        inflation_of_100_pixels={band: float(scalings[band](100)) for band in scalings},
    )
