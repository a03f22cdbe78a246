"""``--aperture`` and ``--region``: where totals are summed, and what is kept of images."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from picasssso._cli.reading import Options
from picasssso.exceptions import FileFormatError, InvalidInputError, MissingDependencyError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from astropy.coordinates import SkyCoord

    from picasssso.bands import BandImages
    from picasssso.maps.regions import Region

REGION: Options = (
    (("--aperture", "aperture_text"), "'R arcsec'",
     "Circular aperture around the nucleus, with this radius in arcsec or kpc.", {}),
    (("--region", "region_file"), "FILE.reg",
     "DS9 region file (needs the package regions): the union of its regions, without excluded "
     "ones.", {}),
)  # fmt: skip


#: Regions of DS9 that cover no pixel.
_WITHOUT_AREA = ("point", "line", "text")


def parse_radius(text: str, option: str = "--aperture") -> Any:
    """Return the radius of an aperture: an angle or a length."""
    import astropy.units as u

    try:
        radius = u.Quantity(text)
        good = radius.isscalar and 0 < radius.value < float("inf")
        good &= radius.unit.physical_type in ("length", "angle")
    except (TypeError, ValueError):
        good = False
    if not good:
        raise click.BadParameter(
            f"{text!r}: expected a radius, such as '10 kpc' or '3 arcsec'.", param_hint=option
        )
    return radius


def check_region(given: dict[str, Any]) -> Any:
    """Return the radius that was asked for, if any; refuse it beside a region."""
    if given["aperture_text"] is None:
        return None
    if given["region_file"] is not None:
        raise click.UsageError("Give either --aperture or --region, not both.")
    return parse_radius(given["aperture_text"])


def find_region(
    given: dict[str, Any], images: BandImages, position: SkyCoord | None
) -> tuple[Region, str]:
    """Return where totals are asked for and what that is called; (None, "") if nowhere."""
    radius = check_region(given)
    if radius is not None:
        return circle(images, radius, position), f"inside {given['aperture_text']} of the nucleus"
    path = given["region_file"]
    if path is None:
        return None, ""
    from picasssso.maps.regions import pixel_weights

    region = read_region(path, images)
    try:
        pixel_weights(region, images.shape, images.wcs)
    except InvalidInputError as error:  # beyond the image: before the work
        raise _nothing_inside(path, images) from error
    return region, f"inside the region of {os.path.basename(path)}"


def circle(images: BandImages, radius: Any, position: SkyCoord | None) -> Any:
    """Return an aperture around the target's nucleus, or, where nothing is seen, the position."""
    import astropy.units as u
    from photutils.aperture import CircularAperture

    from picasssso.preparation.sources import find_sources, pixel_position

    if radius.unit.physical_type == "length":
        distance = images.angular_diameter_distance
        if distance is None:
            raise InvalidInputError(
                f"--aperture: found a radius of {radius} and no distance (redshift below 0.003), "
                "expected an angle, or --luminosity-distance."
            )
        radius = (radius / distance).to(u.rad, u.dimensionless_angles())
    try:
        middle = find_sources(images, position).nucleus
    except InvalidInputError:  # no source there
        middle = pixel_position(images, position)
    return CircularAperture(middle, float((radius / images.pixel_scale).to(u.one)))


def read_region(path: str, images: BandImages) -> Any:
    """Return a region file of DS9 as an aperture, if it is a single one, or as a mask."""
    import numpy as np

    try:
        from regions import Regions
    except ImportError as error:
        raise MissingDependencyError(
            "--region needs the package regions: python -m pip install 'picasssso[regions]'."
        ) from error
    if not os.path.isfile(os.path.expanduser(path)):
        raise FileFormatError(f"--region: found no file {path}. Check the name and the folder.")
    try:
        found = list(Regions.read(os.path.expanduser(path), format="ds9"))
    # What it raises of other files is an open list.
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise FileFormatError(
            f"--region: cannot read {path} as a region file of DS9 ({reason}). Save it in DS9 as "
            "ds9, in fk5 or image coordinates."
        ) from error
    included = [one for one in found if one.meta.get("include", True)]
    if not included:
        raise InvalidInputError(
            f"--region: found no region in {path} that includes something, expected one."
        )
    for one in found:
        kind = type(one).__name__.replace("SkyRegion", "").replace("PixelRegion", "").lower()
        if kind in _WITHOUT_AREA:
            raise InvalidInputError(
                f"--region: found a {kind} in {path}, expected regions with an area, such as a "
                "circle, an ellipse, a box or a polygon."
            )
    if len(found) == 1 and (aperture := _aperture(found[0])) is not None:
        return aperture
    mask = np.zeros(images.shape, bool)
    for one in included:
        mask |= _mask(one, images)
    for one in found:
        mask &= ~_mask(one, images) if one not in included else True
    if not mask.any():
        raise _nothing_inside(path, images)
    return mask


def _nothing_inside(path: str, images: BandImages) -> InvalidInputError:
    """Return the error of a file whose regions lie elsewhere."""
    from picasssso.bands.pixels import sky_center

    where = ""
    if images.wcs is not None:
        center = sky_center(images.wcs, images.shape).to_string("decimal", precision=4)
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


def _mask(region: Any, images: BandImages) -> npt.NDArray[np.bool_]:
    """Return the pixels of which a region covers half or more, or the center of a polygon."""
    import numpy as np

    from picasssso.maps.regions import pixel_weights

    mask = np.zeros(images.shape, bool)
    aperture = _aperture(region)
    if aperture is not None:
        try:
            weights = pixel_weights(aperture, images.shape, images.wcs)
        except InvalidInputError:  # beyond the image
            return mask
        mask[weights.window] = weights.weights >= 0.5
        return mask
    if hasattr(region, "to_pixel"):
        if images.wcs is None:
            raise InvalidInputError(
                "--region: found a region on the sky and images without WCS, expected one in "
                "image coordinates."
            )
        region = region.to_pixel(images.wcs)
    try:
        covered = region.to_mask(mode="center").to_image(images.shape)
    except ValueError:  # on the other side of the sky
        covered = None
    return mask if covered is None else np.asarray(covered, bool)


def keep_only(images: BandImages, region: Any) -> BandImages:
    """Return images masked outside a region."""
    import numpy as np
    from astropy.nddata import NDData

    from picasssso.maps.regions import pixel_weights

    weights = pixel_weights(region, images.shape, images.wcs)
    outside = np.ones(images.shape, bool)
    outside[weights.window] = weights.weights < 0.5
    planes = {}
    for band, image in images.items():
        mask = outside if image.mask is None else image.mask | outside
        planes[band] = NDData(
            image.data, unit=image.unit, uncertainty=image.uncertainty, mask=mask
        )
    return images.with_planes(planes)
