"""Region files of DS9 as apertures and masks, by the package regions."""

from __future__ import annotations

import os
import re
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from picasssso._core.quiet import record_warnings
from picasssso._core.words import with_article
from picasssso.bands.pixels import sky_center
from picasssso.exceptions import FileFormatError, InvalidInputError, MissingDependencyError
from picasssso.maps.regions import pixel_weights

if TYPE_CHECKING:
    from astropy.wcs import WCS

#: Regions of DS9 that cover no pixel.
_WITHOUT_AREA = ("point", "line", "text")
#: Names of regions, and how many numbers those have of which it is fixed.
_SHAPE = re.compile(
    r"\b(circle|ellipse|box|annulus|polygon|line|point|text|[be]?panda|vector|ruler|compass)\b"
)
_NUMBERS = {"circle": 3, "point": 2, "line": 4}
#: What the package says of regions that it leaves out.
_LEFT_OUT = "frame or shape is not|frame was not found|^Cannot parse"


def region_reader() -> Any:
    """Return what reads region files, or say what is missing."""
    try:
        from regions import Regions
    except ImportError as error:
        raise MissingDependencyError(
            "--region needs the package regions: python -m pip install 'picasssso[regions]'."
        ) from error
    return Regions


def check_region_file(path: str) -> None:
    """Refuse a region file that is not there, or that nothing can read."""
    region_reader()
    if not os.path.isfile(os.path.expanduser(path)):
        raise FileFormatError(f"--region: found no file {path}. Check the name and the folder.")


def read_region(path: str, shape: tuple[int, int], wcs: WCS | None) -> Any:
    """Return a region file of DS9 as an aperture, if it is a single one, or as a mask."""
    from astropy.utils.data import get_readable_fileobj

    Regions = region_reader()
    check_region_file(path)
    try:
        with get_readable_fileobj(os.path.expanduser(path)) as stream:
            text = stream.read().removeprefix("\ufeff")
        _check_commands(text, path)
        with record_warnings() as told:
            found = list(Regions.parse(text, format="ds9"))
    except InvalidInputError:
        raise
    # What it raises of other files is an open list.
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise FileFormatError(
            f"--region: cannot read {path} as a region file of DS9 ({reason}). Save it in DS9 as "
            "ds9, in fk5 or image coordinates."
        ) from error
    # It leaves out what it does not know, with a warning: other regions would be meant.
    if left := [str(one.message) for one in told if re.search(_LEFT_OUT, str(one.message))]:
        if left[0].startswith("Cannot parse"):
            raise FileFormatError(
                f"--region: cannot read a region in {path} ({left[0][:150]}), expected numbers in "
                "the system of the file. Save it in DS9 as ds9, in fk5 or image coordinates."
            )
        name = re.match(r'"(\w+)"', left[0])
        what = f"{name[1]!r} in {path}, which cannot be used" if name else f"no system in {path}"
        raise InvalidInputError(
            f"--region: found {what}, expected circles, ellipses, boxes, annuli or polygons in "
            "fk5, icrs, galactic or image coordinates. Save them so in DS9, as fk5 for example."
        )
    for one in told:
        warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
    included = [one for one in found if one.meta.get("include", True)]
    if not included:
        raise InvalidInputError(
            f"--region: found no region in {path} that includes something, expected one."
        )
    for one in found:
        kind = type(one).__name__.replace("SkyRegion", "").replace("PixelRegion", "").lower()
        if kind in _WITHOUT_AREA:
            raise InvalidInputError(
                f"--region: found {with_article(kind)} in {path}, expected regions with an area, "
                "such as a circle, an ellipse, a box or a polygon."
            )
    if len(found) == 1 and (aperture := _aperture(found[0])) is not None:
        try:
            pixel_weights(aperture, shape, wcs)
        except InvalidInputError as error:  # beyond the image
            raise _nothing_inside(path, shape, wcs) from error
        return aperture
    mask = np.zeros(shape, bool)
    for one in included:
        mask |= _mask(one, shape, wcs)
    for one in found:
        if not one.meta.get("include", True):
            mask &= ~_mask(one, shape, wcs)
    if not mask.any():
        raise _nothing_inside(path, shape, wcs)
    return mask


def _check_commands(text: str, path: str) -> None:
    """Refuse several regions in one command, of which the package reads the first alone."""
    # Semicolons separate commands, but not in texts and tags.
    plain = re.sub(r"""=\s*(\{[^}]*\}|"[^"]*"|'[^']*')""", "=x", text.lower())
    for command in re.split(r"[;\n]", plain):
        words = command.partition("#")[0].strip()
        shapes = list(_SHAPE.finditer(words))
        if not shapes or words.startswith("global"):
            continue
        if len(shapes) > 1 or words.count("(") > 1 or words[: shapes[0].start()].strip("+- "):
            raise InvalidInputError(
                f"--region: found {words[:80]!r} in {path}, expected one region in a line. Write "
                "each in a line of its own, its system in a line before; what is excluded begins "
                "with -."
            )
        numbers = re.findall(r"[^\s,()|]+", words[shapes[0].end() :])
        if endless := [n for n in numbers if re.match(r"[-+]?(nan|inf)", n)]:
            raise InvalidInputError(
                f"--region: found {endless[0]!r} in {words[:80]!r} in {path}, expected finite "
                "numbers. Save the region again in DS9."
            )
        most = _NUMBERS.get(shapes[0][0], len(numbers))
        if len(numbers) > most:
            raise InvalidInputError(
                f"--region: found {len(numbers)} numbers in {words[:80]!r} in {path}, expected "
                f"{most}. Save the region again in DS9."
            )


def _nothing_inside(path: str, shape: tuple[int, int], wcs: WCS | None) -> InvalidInputError:
    """Return the error of a file whose regions lie elsewhere."""
    where = ""
    if wcs is not None:
        center = sky_center(wcs, shape).to_string("decimal", precision=4)
        where = f", which lie around {center} (degrees)"
    return InvalidInputError(
        f"--region: found none of the images' pixels{where}, inside {path}, expected some. Is it "
        "of another field?"
    )


def _aperture(region: Any) -> Any:
    """Return the aperture that a region is; None if it is none, as polygons."""
    from photutils.aperture import region_to_aperture

    try:
        return region_to_aperture(region)
    except TypeError:
        return None


def _mask(region: Any, shape: tuple[int, int], wcs: WCS | None) -> npt.NDArray[np.bool_]:
    """Return the pixels of which a region covers half or more, or the center of a polygon."""
    mask = np.zeros(shape, bool)
    aperture = _aperture(region)
    if aperture is not None:
        try:
            weights = pixel_weights(aperture, shape, wcs)
        except InvalidInputError:  # beyond the image
            return mask
        mask[weights.window] = weights.weights >= 0.5
        return mask
    if hasattr(region, "to_pixel"):
        if wcs is None:
            raise InvalidInputError(
                "--region: found a region on the sky and images without WCS, expected one in "
                "image coordinates."
            )
        region = region.to_pixel(wcs)
    from regions import PixCoord

    y, x = np.indices(shape)
    try:
        return np.asarray(region.contains(PixCoord(x, y)), bool)
    except ValueError:  # on the other side of the sky
        return mask
