"""From survey images to images that estimators can trust: each step alone, and all in order."""

from picasssso.preparation.background import subtract_background
from picasssso.preparation.binning import bin_images
from picasssso.preparation.extinction import correct_extinction
from picasssso.preparation.pipeline import prepare
from picasssso.preparation.psf_matching import match_psf
from picasssso.preparation.sources import cutout_target, find_sources, mask_sources

__all__ = [
    "bin_images",
    "correct_extinction",
    "cutout_target",
    "find_sources",
    "mask_sources",
    "match_psf",
    "prepare",
    "subtract_background",
]
