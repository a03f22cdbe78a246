"""Noise estimated from the images themselves."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np
import numpy.typing as npt
from astropy.nddata import NDData, StdDevUncertainty

from picasssso.bands.records import BandRecord
from picasssso.bands.slots import per_band, scalar_quantity
from picasssso.exceptions import InvalidInputError

if TYPE_CHECKING:
    from picasssso.bands.images import BandImages

#: Pixels without sources that a noise estimate needs at least.
_MIN_PIXELS = 100


def estimate_noise(
    images: BandImages,
    bands: Sequence[str] | None,
    *,
    box_size: int,
    gain: Any,
    source_mask: npt.NDArray[np.bool_] | None,
) -> BandImages:
    """Add standard deviations; see `BandImages.with_estimated_noise`.

    ``box_size``: side of the boxes, pixels.
    """
    names = images.missing_uncertainty if bands is None else [images._find(b) for b in bands]
    if not names:
        return images
    if not (isinstance(box_size, int | np.integer) and box_size >= 8):
        raise InvalidInputError(
            f"with_estimated_noise: found box_size={box_size!r}, expected a whole number of at "
            "least 8 pixels."
        )
    if source_mask is not None:
        source_mask = np.asarray(source_mask)
        if source_mask.dtype.kind != "b" or source_mask.shape != images.shape:
            raise InvalidInputError(
                f"with_estimated_noise: found source_mask of {source_mask.dtype} and shape "
                f"{source_mask.shape}, expected booleans of shape {images.shape}."
            )
    gains = per_band(gain, images.bands, survey=images.survey, name="gain")
    planes = {}
    for band in names:
        record = images._records[band]
        values, unit = _linear(images, band, record)
        sigma = _noise_map(band, values, box_size, source_mask, gains.get(band), unit)
        planes[band] = NDData(
            record.data if unit == record.unit else values,
            unit=unit,
            mask=record.mask,
            uncertainty=StdDevUncertainty(sigma.astype(np.float32), copy=False),
        )
    return images.with_planes(planes)


def _linear(
    images: BandImages, band: str, record: BandRecord
) -> tuple[npt.NDArray[np.floating], u.UnitBase]:
    """Return valid values in a linear unit, others as NaN."""
    everything = (slice(None), slice(None))
    if record.scale.softening is None:
        values, unit = np.array(record.data, dtype=np.float64), record.unit
        valid = np.isfinite(values)
        if record.mask is not None:
            valid &= record.mask == 0
    else:
        flux, inverse_variance = images.to_arrays(everything, bands=(band,))
        values, unit, valid = flux[0].astype(np.float64), u.nmgy, inverse_variance[0] != 0
    values[~valid] = np.nan
    return values, unit


def _noise_map(
    band: str,
    values: npt.NDArray[np.floating],
    box_size: int,
    source_mask: npt.NDArray[np.bool_] | None,
    gain: Any,
    unit: u.UnitBase,
) -> npt.NDArray[np.floating]:
    """Return the standard deviation of every pixel, in the image's unit."""
    from astropy.stats import SigmaClip
    from photutils.background import Background2D, MADStdBackgroundRMS, MedianBackground

    invalid = ~np.isfinite(values)
    sources = _find_sources(values, invalid) if source_mask is None else source_mask
    if np.count_nonzero(~(invalid | sources)) < _MIN_PIXELS:
        raise InvalidInputError(
            f"Band {band!r}: found fewer than {_MIN_PIXELS} pixels without sources, expected more "
            "to estimate the noise from. Use a larger image, or give an uncertainty."
        )
    # photutils 3 writes bkg_rms_estimator, 2 bkgrms_estimator.
    names = inspect.signature(Background2D).parameters
    keyword = next(name for name in names if name in ("bkg_rms_estimator", "bkgrms_estimator"))
    background = Background2D(
        np.where(invalid, 0.0, values),
        box_size=tuple(min(box_size, side) for side in values.shape),
        mask=sources | invalid,
        # A box full of galaxy says nothing of the noise; its neighbours do.
        exclude_percentile=80.0,
        sigma_clip=SigmaClip(sigma=3.0, maxiters=10),
        bkg_estimator=MedianBackground(),
        **{keyword: MADStdBackgroundRMS()},
    )
    variance = np.asarray(background.background_rms, dtype=float) ** 2
    if gain is not None:
        photons = np.nan_to_num(np.maximum(values - background.background, 0.0))
        variance = variance + photons / _electrons_per_unit(band, gain, unit)
    if not np.any(variance > 0):
        raise InvalidInputError(
            f"Band {band!r}: found a background without any scatter, expected noise. Give an "
            "uncertainty: these images may be models."
        )
    return np.sqrt(variance)


def _find_sources(
    values: npt.NDArray[np.floating], invalid: npt.NDArray[np.bool_]
) -> npt.NDArray[np.bool_]:
    """Return where sources stand out of the background, with a margin."""
    from astropy.convolution import Gaussian2DKernel, convolve_fft
    from astropy.stats import sigma_clipped_stats
    from photutils.segmentation import detect_sources
    from photutils.utils.exceptions import NoDetectionsWarning

    smooth = convolve_fft(
        np.where(invalid, np.nan, values),
        Gaussian2DKernel(2.0),
        nan_treatment="interpolate",
        boundary="wrap",
        allow_huge=True,
    )
    _, level, scatter = sigma_clipped_stats(smooth, mask=invalid, sigma=3.0, stdfunc="mad_std")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoDetectionsWarning)  # empty sky is fine
        found = detect_sources(smooth, level + 2 * scatter, 9, mask=invalid)
    return np.zeros(values.shape, bool) if found is None else found.make_source_mask(size=7)


def _electrons_per_unit(band: str, gain: Any, unit: u.UnitBase) -> float:
    example = f"4.5 * u.electron / u.Unit('{unit}')"
    found = scalar_quantity(gain, f"Band {band!r}: gain", example)
    if not (found.unit * unit).is_equivalent(u.electron) or not found.value > 0:
        raise InvalidInputError(
            f"Band {band!r}: found gain={gain!r}, expected electrons per image unit, {example}."
        )
    return float((found * u.Quantity(1.0, unit)).to_value(u.electron))
