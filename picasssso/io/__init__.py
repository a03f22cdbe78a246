"""Reading images: the registry of file formats, and the base classes for plugins that add formats.

Files are read with `picasssso.BandImages.read`, which finds the format of each.
"""

from picasssso.bands.images import BandImages
from picasssso.io.formats import ImageReader, Recognition, list_formats, recognize
from picasssso.io.image_files import ImageFile

__all__ = ["ImageFile", "ImageReader", "Recognition", "list_formats", "recognize"]

#: Its name before there was one way in.
read_survey = BandImages.read
