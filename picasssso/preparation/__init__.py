"""From survey images to images that estimators can trust: each step alone, and all in order."""

from picasssso.preparation.alignment import align_bands
from picasssso.preparation.background import subtract_background
from picasssso.preparation.binning import bin_images
from picasssso.preparation.extinction import correct_extinction
from picasssso.preparation.noise import measure_noise
from picasssso.preparation.pipeline import prepare
from picasssso.preparation.psf import MeasuredPSF, measure_psf
from picasssso.preparation.psf_matching import MatchQuality, match_psf
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
    "bin_images",
    "correct_extinction",
    "cutout_target",
    "find_sources",
    "mask_sources",
    "match_psf",
    "measure_noise",
    "measure_psf",
    "prepare",
    "subtract_background",
]
