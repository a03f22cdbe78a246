"""The files that `BandImages.write` writes; `picasssso.bands.files` defines them."""

from __future__ import annotations

import os

from astropy.io import fits

from picasssso._core.before_opening import check_before_opening
from picasssso._core.fits_files import DAMAGE
from picasssso._core.headers import IMAGES_FORMAT, MAPS_FORMAT
from picasssso._core.quiet import silence
from picasssso.exceptions import InvalidInputError
from picasssso.io.band_planes import BandPlane
from picasssso.io.formats import ImageReader, Recognition
from picasssso.io.image_files import ImageFile


class OwnReader(ImageReader):
    """Recognizes files of this package, which contain complete `BandImages`."""

    title = "file of BandImages"

    def recognize(self, file: ImageFile) -> Recognition | None:
        """Recognize by the number of the format."""
        if MAPS_FORMAT in file.headers[0]:
            raise InvalidInputError(
                f"{file}: found maps of properties, expected images. Read them with "
                "PropertyMaps.read."
            )
        return Recognition(IMAGES_FORMAT, 1.0) if IMAGES_FORMAT in file.headers[0] else None

    def read(self, file: ImageFile) -> list[BandPlane]:
        """Raise an error: such a file is read as a whole, by itself."""
        raise InvalidInputError(
            f"{file}: found a file that BandImages.write wrote among others, expected it "
            "alone. Read it with BandImages.read(path)."
        )


def is_own(path: str | os.PathLike[str]) -> bool:
    """Return whether a file was written by this package, from its first header."""
    try:
        check_before_opening(path, "File")
        with silence(), fits.open(os.path.expanduser(path), lazy_load_hdus=True) as hdus:
            return IMAGES_FORMAT in hdus[0].header
    except (OSError, ValueError, *DAMAGE):
        return False  # whoever reads it says what is wrong
