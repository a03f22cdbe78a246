"""From survey images to images that estimators can trust: each step alone, and all in order."""

from picasssso.preparation.alignment import align_bands, merge_bands
from picasssso.preparation.background import mask_sky_sources, subtract_background
from picasssso.preparation.binning import apply_bins, bin_images, grow_bins
from picasssso.preparation.extinction import band_extinction, correct_extinction, look_up_ebv
from picasssso.preparation.noise import calibrate_noise, measure_noise
from picasssso.preparation.pipeline import prepare
from picasssso.preparation.psf import MeasuredPSF, measure_psf, model_psf, with_measured_psf
from picasssso.preparation.psf_matching import (
    MatchQuality,
    match_psf,
    match_quality,
    matching_kernel,
)
from picasssso.preparation.sources import (
    Sources,
    Target,
    cutout_target,
    find_sources,
    mask_sources,
)

__all__ = [
    "MatchQuality",
    "MeasuredPSF",
    "Sources",
    "Target",
    "align_bands",
    "apply_bins",
    "band_extinction",
    "bin_images",
    "calibrate_noise",
    "correct_extinction",
    "cutout_target",
    "find_sources",
    "grow_bins",
    "look_up_ebv",
    "mask_sky_sources",
    "mask_sources",
    "match_psf",
    "match_quality",
    "matching_kernel",
    "measure_noise",
    "measure_psf",
    "merge_bands",
    "model_psf",
    "prepare",
    "subtract_background",
    "with_measured_psf",
]
