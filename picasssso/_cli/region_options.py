"""``--aperture`` and ``--region``: where totals are summed, and what is kept of images."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from picasssso._cli.image_options import Options
from picasssso.exceptions import InvalidInputError

if TYPE_CHECKING:
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
        if given["region_file"] is not None:
            from picasssso.maps.region_files import check_region_file

            check_region_file(given["region_file"])
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
    from picasssso.maps.region_files import read_region

    region = read_region(path, images.shape, images.wcs)
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


def keep_only(images: BandImages, region: Any) -> BandImages:
    """Return images masked outside a region."""
    import numpy as np
    from astropy.nddata import NDData

    from picasssso.maps.regions import pixel_weights

    weights = pixel_weights(region, images.shape, images.wcs)
    outside = np.ones(images.shape, bool)
    outside[weights.window] = weights.weights < 0.5
    if outside.all():
        raise InvalidInputError(
            "--aperture or --region: found no pixel that lies in it by half or more, expected "
            f"some. The pixels are {images.pixel_scale:.3g} wide: give a larger one."
        )
    planes = {}
    for band, image in images.items():
        mask = outside if image.mask is None else image.mask | outside
        planes[band] = NDData(
            image.data, unit=image.unit, uncertainty=image.uncertainty, mask=mask
        )
    return images.with_planes(planes)
