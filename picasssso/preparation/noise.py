"""Noise as the empty sky shows it: its size in each pixel, and how it grows with area.

Survey images are resampled, so neighboring pixels share noise and the sum of n pixels is
noisier than sqrt(n) times one. Both are measured on sums over square boxes of empty sky, each
in units of the stated standard deviation (Labbe et al. 2003, AJ 125, 1107; Quadri et al. 2007,
AJ 134, 1103).
"""

from __future__ import annotations

import inspect
import os
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np
import numpy.typing as npt
from astropy.nddata import NDData, StdDevUncertainty

from picasssso._core.blocks import Block
from picasssso.bands.noise_scaling import NoiseScaling
from picasssso.bands.slots import per_band, scalar_quantity
from picasssso.exceptions import InvalidInputError, PicassssoWarning
from picasssso.preparation.background import check_source_mask, mask_sky_sources
from picasssso.preparation.outskirts import Outskirts, fit_outskirts
from picasssso.preparation.sky_level import hides_no_sky
from picasssso.preparation.steps import with_step
from picasssso.preparation.storage import blocks_of, transform, variance_of

if TYPE_CHECKING:
    from picasssso.bands import BandImages

#: Pixels without sources that a noise estimate needs at least.
_MIN_PIXELS = 100
#: Of sources, over the noise that is to be measured.
_THRESHOLD = 2.5
#: Sides of the boxes, pixels.
_SIDES = (1, 2, 3, 4, 6, 8, 12, 16)
_SAMPLE_BLOCKS = 4
#: Boxes of a size that are needed to use it.
_MIN_BOXES = 40
#: Stated and measured noise may differ by this factor before the measured one is used.
_TOLERANCE = 1.05
#: Pixels between those that are compared where a galaxy's light lies beneath them: the last share
#: little noise, the others tell how far it is shared.
_LAGS = (1, 2, 4)
#: The same for boxes, and how much larger their scatter is where structure is seen.
_LAG, _SPOTTED = 8, 1.1
#: Widths of the Gaussians by which noise may be correlated, pixels.
_WIDTHS = np.linspace(0.0, 3.0, 61)
#: Part of the pixels beside the mask with such light from which on they are.
_LIT = 0.1

Array = npt.NDArray[Any]


def estimate_noise(
    images: BandImages,
    bands: Sequence[str] | None,
    *,
    box_size: int,
    gain: Any,
    source_mask: npt.NDArray[np.bool_] | None,
) -> BandImages:
    """Add standard deviations from the background; see `BandImages.with_estimated_noise`."""
    names = images.missing_uncertainty if bands is None else [images._find(b) for b in bands]
    if not names:
        return images
    if not (isinstance(box_size, int | np.integer) and box_size >= 8):
        raise InvalidInputError(
            f"with_estimated_noise: found box_size={box_size!r}, expected a whole number of at "
            "least 8 pixels."
        )
    # Peaks of the noise itself, where it is larger than elsewhere, must not count as sources.
    sources = (
        mask_sky_sources(images, threshold=_THRESHOLD)
        if source_mask is None
        else (check_source_mask(images, source_mask, None))
    )
    gains = per_band(gain, images.bands, survey=images.survey, name="gain")
    planes = {}
    for band in names:
        image = images[band]
        values, unit = np.asarray(image.data, dtype=float), image.unit
        invalid = ~np.isfinite(values) | (False if image.mask is None else image.mask)
        if band in images.asinh_softening:
            flux, precision = (plane[0] for plane in images.to_arrays(bands=[band]))
            values, unit, invalid = flux.astype(float), u.nmgy, precision == 0
        values = np.where(invalid, 0.0, values)
        sky, variance = _measure_background(band, values, invalid, sources, box_size)
        if band in gains:
            variance += np.maximum(values - sky, 0.0) / _electrons_per_unit(
                band, gains[band], unit
            )
        planes[band] = NDData(
            image.data if unit == image.unit else np.where(invalid, np.nan, values),
            unit=unit,
            mask=image.mask,
            uncertainty=StdDevUncertainty(np.sqrt(variance).astype(np.float32), copy=False),
        )
    return images.with_planes(planes)


def _measure_background(
    band: str, values: Array, invalid: Array, sources: Array, box_size: int
) -> tuple[Array, Array]:
    """Return level and variance of the background of every pixel."""
    from astropy.stats import SigmaClip
    from photutils.background import Background2D, MADStdBackgroundRMS, MedianBackground

    empty = ~(invalid | sources)
    if np.count_nonzero(empty) < _MIN_PIXELS:
        raise InvalidInputError(
            f"Band {band!r}: found fewer than {_MIN_PIXELS} pixels without sources, expected more "
            "to estimate the noise from. Use a larger image, or give an uncertainty."
        )
    # photutils 3 writes bkg_rms_estimator, 2 bkgrms_estimator.
    names = inspect.signature(Background2D).parameters
    keyword = next(name for name in names if name in ("bkg_rms_estimator", "bkgrms_estimator"))
    clip, median, scatter = SigmaClip(3.0, maxiters=10), MedianBackground(), MADStdBackgroundRMS()
    try:
        background = Background2D(
            values,
            box_size=tuple(min(box_size, side) for side in values.shape),
            mask=~empty,
            # A box full of galaxy says nothing of the noise; its neighbors do.
            exclude_percentile=80.0,
            sigma_clip=clip,
            bkg_estimator=median,
            **{keyword: scatter},
        )
        level, noise = background.background, background.background_rms
    except ValueError:  # too little sky in every box, as at the edge of a survey: one for all
        sky = clip(values[empty], masked=False)
        level, noise = (np.full(values.shape, measure(sky)) for measure in (median, scatter))
    variance = np.asarray(noise, dtype=float) ** 2
    if not np.any(variance > 0):
        raise InvalidInputError(
            f"Band {band!r}: found a background without any scatter, expected noise. Give an "
            "uncertainty: these images may be models."
        )
    return np.asarray(level), variance


def _electrons_per_unit(band: str, gain: Any, unit: u.UnitBase) -> float:
    example = f"4.5 * u.electron / u.Unit('{unit}')"
    found = scalar_quantity(gain, f"Band {band!r}: gain", example)
    if not (found.unit * unit).is_equivalent(u.electron) or not found.value > 0:
        raise InvalidInputError(
            f"Band {band!r}: found gain={gain!r}, expected electrons per image unit, {example}."
        )
    return float((found * u.Quantity(1.0, unit)).to_value(u.electron))


def measure_noise(
    images: BandImages,
    band: str,
    *,
    source_mask: npt.ArrayLike | None = None,
    outskirts: Outskirts | None = None,
) -> tuple[float, NoiseScaling]:
    """Measure the noise of empty sky against the stated one.

    Returns the scatter of single pixels over their stated standard deviation, and the variance
    of sums over boxes relative to that of independent pixels, constant beyond the largest box
    that could be measured: 1 and white where there is too little sky to tell.

    ``outskirts``: the galaxies' light beside the mask. Where it is more than noise it is taken
    off; what it leaves of arms and spots cancels in differences between pixels close to each
    other, whose correlation is taken to be that of smoothing by a Gaussian.
    """
    mask = check_source_mask(images, source_mask, None)
    lit = outskirts is not None and _is_lit(images.shape, mask, outskirts)
    if lit:
        assert outskirts is not None
        return _beneath_light(images, band, mask, outskirts)
    sums: dict[int, list[Array]] = {side: [] for side in _SIDES}
    for block in _sample(images.shape):
        flux, precision = (plane[0] for plane in images.to_arrays(block.core, bands=[band]))
        empty = (precision > 0) & ~np.asarray(mask[block.core])
        with np.errstate(invalid="ignore"):
            scaled = np.where(empty, flux * np.sqrt(precision), 0.0)
        for side, found in sums.items():
            boxes = _box_sums(scaled, empty, side) / side
            found.append(boxes[np.isfinite(boxes)])
    spread = _spread(sums, _MIN_BOXES)
    return _from_boxes(spread)


def _from_boxes(spread: dict[int, float]) -> tuple[float, NoiseScaling]:
    """Return noise and correlation, by the scatter of boxes of several sides."""
    if spread.get(1, 0.0) <= 0:
        return 1.0, NoiseScaling.white()
    inflation = [(spread[side] / spread[1]) ** 2 for side in spread]
    # The scatter of the scatter must not make sums less noisy than independent pixels.
    inflation = np.maximum.accumulate(np.maximum(inflation, 1.0)).tolist()
    return spread[1], NoiseScaling([side**2 for side in spread], inflation)


def _box_sums(values: Array, empty: Array, side: int) -> Array:
    """Return sums over boxes of a side, (y, x); NaN unless they are empty throughout."""
    height, width = (length // side * side for length in values.shape)
    if not height or not width:
        return np.zeros((0, 0))
    cut = np.s_[:height, :width]
    boxes = (height // side, side, width // side, side)
    whole = empty[cut].reshape(boxes).all(axis=(1, 3))
    return np.where(whole, values[cut].reshape(boxes).sum(axis=(1, 3), dtype=np.float64), np.nan)


def _sample(shape: tuple[int, int]) -> list[Block]:
    """Return blocks of a large field that are enough: box sums of four million pixels."""
    blocks = list(blocks_of(shape, stride=48, bytes_per_pixel=400))
    return blocks[:: -(-len(blocks) // _SAMPLE_BLOCKS)]


def _spread(found: dict[int, list[Array]], enough: int) -> dict[int, float]:
    """Return the scatter of values, of which there are enough."""
    whole = {k: np.concatenate(values) for k, values in found.items()}
    return {
        k: 1.4826 * float(np.median(np.abs(values - np.median(values))))
        for k, values in whole.items()
        if values.size >= enough
    }


def _beneath_light(
    images: BandImages, band: str, mask: Array, outskirts: Outskirts
) -> tuple[float, NoiseScaling]:
    """Return noise and correlation where a galaxy's light lies over all of the sky."""
    found: dict[int, list[Array]] = {lag: [] for lag in _LAGS}
    sums: dict[int, list[Array]] = {side: [] for side in _SIDES}
    for block in _sample(images.shape):
        flux, precision = (plane[0] for plane in images.to_arrays(block.core, bands=[band]))
        light = outskirts.light(Block(block.core, block.core, np.s_[:, :]))
        with np.errstate(invalid="ignore"):
            scaled = (flux - light) * np.sqrt(precision)
        empty = (precision > 0) & ~np.asarray(mask[block.core])
        for lag, values in found.items():
            differences = _differences(scaled, empty, lag)
            values.append(differences[np.isfinite(differences)])
        for side, values in sums.items():
            boxes = _box_sums(np.where(empty, scaled, 0.0), empty, side) / side
            values.append(_second_differences(boxes, side))
    # Nine pixels, each in nine of them: so many tell as much as one box.
    close = _spread(found, 9 * _MIN_BOXES)
    apart = _spread(sums, _MIN_BOXES)
    if len(close) < len(_LAGS):
        return 1.0, NoiseScaling.white()
    noise, scaling = _from_differences(close)
    # Pixels far from each other tell more, where no arms and spots are seen between them.
    return _from_boxes(apart) if 0 < apart.get(1, 0.0) < _SPOTTED * noise else (noise, scaling)


def _differences(values: Array, empty: Array, lag: int) -> Array:
    """Return second differences along both axes in turn, scaled to the noise of one pixel.

    They are free of light whose curvature along one axis changes little along the other.
    """
    found = np.where(empty, values, np.nan)
    for _ in range(2):
        found = (found[2 * lag :] - 2 * found[lag:-lag] + found[: -2 * lag]).T
    return found / 6


def _second_differences(boxes: Array, side: int) -> Array:
    """Return second differences between boxes that share no noise, scaled to that of one."""
    lag = -(-_LAG // side)
    found = [
        (part[2 * lag :] - 2 * part[lag:-lag] + part[: -2 * lag]).ravel() / np.sqrt(6)
        for part in (boxes, boxes.T)
        if len(part) > 2 * lag
    ]
    values = np.concatenate([*found, np.zeros(0)])
    return np.asarray(values[np.isfinite(values)])


def _from_differences(spread: dict[int, float]) -> tuple[float, NoiseScaling]:
    """Return noise and correlation, by the scatter of differences at several lags."""
    if not all(spread[lag] > 0 for lag in _LAGS):
        return 1.0, NoiseScaling.white()
    shared = np.exp(
        -(np.arange(2 * max(_LAGS) + 1) ** 2) / np.maximum(4 * _WIDTHS**2, 1e-3)[:, None]
    )
    # Of the variance that differences would have of independent pixels, by width and lag.
    left = {k: ((6 - 8 * shared[:, k] + 2 * shared[:, 2 * k]) / 6) ** 2 for k in _LAGS}
    near, far, _ = _LAGS
    expected = left[near] / left[far]
    best = int(np.argmin(np.abs(np.log(expected) - 2 * np.log(spread[near] / spread[far]))))
    # What arms and spots leave grows with the lag.
    noise = min(spread[k] / float(np.sqrt(left[k][best])) for k in _LAGS[1:])
    width = max(_WIDTHS[best], 1e-3)
    inflation = []
    for side in _SIDES:
        apart = np.arange(1 - side, side)
        inflation.append(
            np.sum((1 - np.abs(apart) / side) * np.exp(-(apart**2) / (4 * width**2))) ** 2
        )
    return noise, NoiseScaling([side**2 for side in _SIDES], inflation)


def _is_lit(shape: tuple[int, int], mask: Array, outskirts: Outskirts) -> bool:
    """Return whether the galaxies' light is more than noise in many pixels beside the mask."""
    beside = lit = 0
    for block in blocks_of(shape, stride=48, bytes_per_pixel=20):
        light = outskirts.light(Block(block.core, block.core, np.s_[:, :]))
        free = ~np.asarray(mask[block.core])
        beside += int(np.count_nonzero(free))
        lit += int(np.count_nonzero(free & ~hides_no_sky(light, outskirts)))
    return lit > _LIT * beside


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
    mask = check_source_mask(images, source_mask, folder)
    estimated = images.missing_uncertainty
    if estimated:
        images = images.with_estimated_noise(source_mask=np.asarray(mask))
    ratios, scalings, on_galaxy = {}, {}, []
    outskirts = fit_outskirts(images, np.asarray(mask))
    for band in images.bands:
        ratios[band], scaling = measure_noise(
            images, band, source_mask=mask, outskirts=outskirts[band]
        )
        if band in estimated and (ratios[band], scaling.is_white) == (1.0, True):
            if outskirts[band].profiles:
                everything = np.zeros(images.shape, dtype=bool)
                ratios[band], scaling = measure_noise(
                    images, band, source_mask=everything, outskirts=outskirts[band]
                )
                on_galaxy.append(band)
        scalings[band] = images.noise_scaling[band] if scaling.is_white else scaling
    if on_galaxy:
        warnings.warn(
            f"The noise of {', '.join(on_galaxy)} was measured on the galaxy itself, since too "
            "little sky is left beside it: it may be a third too large, or more where "
            "neighboring pixels share noise. Take a larger cutout, or give uncertainty=.",
            PicassssoWarning,
            stacklevel=2,
        )
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
