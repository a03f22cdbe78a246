"""Images of one target in several bands, on one pixel grid."""

from picasssso.bands.galactic_extinction import GalacticExtinction
from picasssso.bands.images import BandImages
from picasssso.bands.merging import align
from picasssso.bands.noise_scaling import NoiseScaling

__all__ = ["BandImages", "GalacticExtinction", "NoiseScaling", "align"]
