"""``picasssso info``: what a FITS file holds, and which options would read it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from picasssso._cli.guesses import (
    FILTER_KEYWORDS,
    ZERO_POINT_KEYWORDS,
    guess_band,
    guess_role,
)
from picasssso._cli.running import common_options

if TYPE_CHECKING:
    from astropy.io.fits import Header

    from picasssso.bands import BandImages
    from picasssso.maps import PropertyMaps


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@common_options
def info(files: tuple[str, ...], quiet: bool) -> None:
    """Say what FITS files hold and how to read them.

    For a survey's image: units, zero points, filter, pixel scale and centre of each
    extension, and a `--band` line that would read it. Guesses are marked as guesses: check
    them. For files of picasssso's own: bands or maps, and how they were made. With --quiet
    only the `--band` lines.
    """
    for index, name in enumerate(files):
        if index and not quiet:
            click.echo()
        for line in _describe(name, quiet):
            click.echo(line)


def _describe(name: str, quiet: bool) -> Iterator[str]:
    from picasssso.bands.reading import open_fits

    with open_fits(name, "File") as hdus:
        kind = _own_format(hdus[0].header)
        if kind is None:
            extensions = [_extension(index, hdu) for index, hdu in enumerate(hdus)]
            headers = [hdu.header.copy() for hdu in hdus]
    if kind == "maps":
        from picasssso.maps import PropertyMaps

        if not quiet:
            yield from _describe_maps(name, PropertyMaps.read(name))
    elif kind == "images":
        from picasssso.bands import BandImages

        yield from _describe_images(name, BandImages.read(name), quiet)
    else:
        if not quiet:
            yield f"{name}: FITS file, {len(extensions)} HDU{'s' * (len(extensions) > 1)}"
            for lines in extensions:
                yield from lines
            yield from _recognised(name)
        yield from _suggestion(name, headers, quiet)


def _recognised(name: str) -> Iterator[str]:
    """Say which survey's layout it is, if any."""
    from picasssso.exceptions import PicassssoError
    from picasssso.io import recognise

    try:
        found = recognise(name)
    except PicassssoError:
        return
    if found.layout == "generic":
        return
    role = f": its {found.role}" if found.role else ""
    yield f"Recognised as {found.title}{role}. As it stands, with the survey's noise and mask:"
    yield f"  picasssso prepare {shlex.quote(name)} ..."


def _own_format(header: Header) -> str | None:
    """Return which of picasssso's own files this is: "maps", "images" or None."""
    from picasssso._core.headers import IMAGES_FORMAT, MAPS_FORMAT

    return "maps" if MAPS_FORMAT in header else "images" if IMAGES_FORMAT in header else None


# ---- files of other people ----------------------------------------------------------


def _extension(index: int, hdu: Any) -> list[str]:
    from picasssso.bands.reading import ZERO_POINT_KEYWORDS as DEFINED

    header = hdu.header
    shape = " x ".join(str(header[f"NAXIS{k}"]) for k in range(1, header.get("NAXIS", 0) + 1))
    if not hdu.is_image:
        return [f"  [{index}] {hdu.name}: table"]
    if not shape:
        return [f"  [{index}] {hdu.name}: no data"]
    lines = [f"  [{index}] {hdu.name or '(no name)'}: image, {shape} pixels"]
    role = guess_role(hdu.name)
    if role:
        lines[0] += f", by its name the {role}"
    lines.append(f"      unit        {_unit(header)}")
    keywords = dict.fromkeys((*DEFINED, *ZERO_POINT_KEYWORDS))
    found = [f"{k} = {header[k]}" for k in keywords if k in header]
    lines.append(f"      zero point  {', '.join(found) or 'no keyword known for it'}")
    found = [f"{k} = {str(header[k])!r}" for k in FILTER_KEYWORDS if k in header]
    lines.append(f"      filter      {', '.join(found) or 'no keyword known for it'}")
    lines.append(f"      WCS         {_wcs(header)}")
    if header["NAXIS"] > 2:
        lines.append("      A cube is read in Python, with BandImages.from_cube.")
    return lines


def _unit(header: Header) -> str:
    from picasssso.bands.flux_units import is_count_like
    from picasssso.bands.reading import parse_unit
    from picasssso.exceptions import InvalidInputError

    text = str(header.get("BUNIT", "")).strip()
    if not text:
        return "no BUNIT: give --unit"
    try:
        unit = parse_unit(text, "", "BUNIT")
    except InvalidInputError:
        return f"{text} (not understood: give --unit)"
    return f"{text} (counts: need a zero point)" if is_count_like(unit) else text


def _wcs(header: Header) -> str:
    from astropy.coordinates import SkyCoord
    from astropy.wcs import WCS
    from astropy.wcs.utils import proj_plane_pixel_scales

    try:
        wcs = WCS(header).celestial
    # Whatever a broken header makes wcslib raise, it means the same to the user.
    except Exception as error:
        return f"not readable ({error})"
    if not wcs.has_celestial:
        return "none: give --pixel-scale"
    scales = proj_plane_pixel_scales(wcs) * 3600
    centre = wcs.pixel_to_world((header["NAXIS1"] - 1) / 2, (header["NAXIS2"] - 1) / 2)
    assert isinstance(centre, SkyCoord)
    scale = " x ".join(dict.fromkeys(f"{value:.4g}" for value in scales))
    position = centre.icrs.to_string("decimal", precision=5)
    return f"{wcs.wcs.ctype[0]}, {scale} arcsec per pixel, centre RA Dec {position}"


def _suggestion(name: str, headers: list[Header], quiet: bool) -> Iterator[str]:
    """Return the options that would read the file."""
    images = [
        (index, header)
        for index, header in enumerate(headers)
        if header.get("NAXIS") == 2 and header.get("XTENSION", "IMAGE").strip() != "BINTABLE"
    ]
    planes = [(i, h) for i, h in images if guess_role(str(h.get("EXTNAME", ""))) is None]
    if not planes:
        if not quiet:
            yield "There is no two-dimensional image in it that could be a band."
        return
    extras = {
        guess_role(str(h.get("EXTNAME", ""))): h["EXTNAME"]
        for i, h in images
        if (i, h) not in planes
    }
    extras.pop(None, None)
    extras.pop("labels", None)
    if not quiet:
        yield "To read it (the filter is a guess from the header: check it):"
    for index, header in planes:
        group, letter = guess_band(header)
        hdu = header.get("EXTNAME") or index
        band = f"{group or 'GROUP'}-{letter or 'BAND'}"
        line = f"--band {band}={shlex.quote(f'{name}[{hdu}]')}{_needed(header, band)}"
        for role, extension in extras.items():
            line += f" --{role} {extension}"
        yield line if quiet else f"  {line}"


def _needed(header: Header, band: str) -> str:
    """Return options without which the image has no meaning, for the user to fill in."""
    from picasssso.bands.flux_units import is_count_like
    from picasssso.bands.reading import find_zero_point, parse_unit
    from picasssso.exceptions import InvalidInputError

    try:
        unit = parse_unit(header.get("BUNIT", ""), band, "BUNIT")
    except InvalidInputError:
        return " --unit UNIT"
    if "BUNIT" not in header:
        return " --unit UNIT"
    try:
        if is_count_like(unit):
            find_zero_point(header, band, band, unit)
    except InvalidInputError:
        return " --zero-point MAG"
    return ""


# ---- picasssso's own files ----------------------------------------------------------


def _describe_images(name: str, images: BandImages, quiet: bool) -> Iterator[str]:
    if quiet:
        return
    yield f"{name}: images of picasssso (BandImages), {images.shape[1]} x {images.shape[0]} pixels"
    yield from _geometry(images)
    for band in images.bands:
        fwhm = images.psf_fwhm(band)
        seeing = "PSF unknown" if fwhm is None else f"PSF {fwhm:.2f}"
        noise = "no uncertainty" if band in images.missing_uncertainty else "with uncertainty"
        yield f"  {band:20} {images[band].unit}, {seeing}, {noise}"
    yield "To read it:"
    yield f"  picasssso estimate {shlex.quote(name)} ..."


def _describe_maps(name: str, maps: PropertyMaps) -> Iterator[str]:
    yield f"{name}: maps of picasssso (PropertyMaps), {maps.shape[1]} x {maps.shape[0]} pixels"
    yield from _geometry(maps)
    for key, value in maps.meta.items():
        if isinstance(value, str) or key == "bands":
            yield f"  {key:20} {value if isinstance(value, str) else ', '.join(value)}"
    for prop in maps:
        definition = maps.definition(prop)
        masked = maps.masks[prop].mean()
        unit = str(definition.unit) or "mass fraction"
        yield f"  {prop:20} {unit}, {100 * masked:.1f} % masked"


def _geometry(thing: BandImages | PropertyMaps) -> Iterator[str]:
    if thing.redshift is not None:
        yield f"  {'redshift':20} {thing.redshift:g}"
    if thing.luminosity_distance is not None:
        yield f"  {'distance':20} {thing.luminosity_distance:.4g} (luminosity distance)"
    if thing.wcs is None:
        yield f"  {'WCS':20} none"
        return
    header = thing.wcs.to_header()
    header["NAXIS1"], header["NAXIS2"] = thing.shape[::-1]
    yield f"  {'WCS':20} {_wcs(header)}"
