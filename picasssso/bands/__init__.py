"""Images of one target in several bands, on one pixel grid."""

from picasssso.bands.extinction import GalacticExtinction
from picasssso.bands.images import BandImages
from picasssso.bands.merging import align
from picasssso.bands.noise import NoiseScaling

__all__ = ["BandImages", "GalacticExtinction", "NoiseScaling", "align"]
