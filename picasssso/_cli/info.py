"""``picasssso info``: what a FITS file holds, and a line that reads it."""

from __future__ import annotations

import re
import shlex
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import click

from picasssso._cli.advice import with_options
from picasssso._cli.shared_options import common_options

if TYPE_CHECKING:
    from astropy.io.fits import Header

    from picasssso.bands import BandImages
    from picasssso.io import ImageFile, Recognition
    from picasssso.io.band_planes import BandPlane
    from picasssso.maps import PropertyMaps

#: What extensions are called here, by the kind of plane.
_KINDS = {
    "std": "the uncertainty",
    "var": "the variance",
    "ivar": "the inverse variance",
    "weight": "a weight",
    "mask": "the mask",
    "labels": "the labels",
    "psf": "the PSF",
    "other": "no image of a band",
}
#: Options that name a file of each kind of plane.
_OPTIONS = {"std": "--uncertainty", "var": "--variance", "ivar": "--weight", "weight": "--weight",
            "mask": "--mask"}  # fmt: skip
#: The band with which a file is tried whose filter is unknown.
_ANY_BAND = "sdss2010-r"


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@common_options
def info(files: tuple[str, ...], quiet: bool) -> None:
    """Show the contents of FITS files and how to read them.

    For images: the recognized format; the unit, zero point, filter, pixel scale and center of
    each extension; and the options that read the file, which have been tried. Guesses are
    marked: check them. For files written by picasssso: the bands or maps, and how they were
    made. For several files, also the command that uses them together. With --quiet, only the
    options that read the files.
    """
    from picasssso._core.fits_files import damage_said

    proposed: list[_Proposed] = []
    for index, name in enumerate(files):
        if index and not quiet:
            click.echo()
        with damage_said(name, "a FITS file"):
            lines = list(_describe(name, quiet, proposed))
        for line in lines:
            click.echo(line)
    for line in [] if quiet else _together(proposed):
        click.echo(line)


@dataclass(frozen=True)
class _Proposed:
    """How one image is read: its name, as given to a command, its band, and options."""

    name: str
    band: str | None = None
    #: Options that it needs, with what stands for their values.
    needs: Mapping[str, str] = field(default_factory=dict)
    #: The band that its header names, if it is read without --band.
    found: str | None = None

    def __str__(self) -> str:
        name = shlex.quote(self.name)
        words = [name if self.band is None else f"--band {self.band}={name}"]
        return " ".join([*words, *(f"{key} {value}" for key, value in self.needs.items())])


def _together(proposed: list[_Proposed]) -> Iterator[str]:
    """Return the command that reads several images at once, or why none does."""
    if len({one.band is not None for one in proposed}) > 1:
        # A command takes files by their bands or by their headers.
        proposed = [replace(one, band=one.band or one.found) for one in proposed]
        proposed = proposed if all(one.band for one in proposed) else []
    if len(proposed) < 2:
        return
    bands = [one.band for one in proposed if one.band is not None]
    words = [str(replace(one, needs={})) for one in proposed]
    # Said once for all bands, or for each that needs it.
    for key, value in dict(item for one in proposed for item in one.needs.items()).items():
        needing = [one.band for one in proposed if key in one.needs]
        every = len(needing) == len(proposed) or key == "--pixel-scale"
        words += [f"{key} {value}"] if every else [f"{key} {band}={value}" for band in needing]
    twice = [band for band in dict.fromkeys(bands) if bands.count(band) > 1 and _is_known(band)]
    problem = f"band {twice[0]} is there twice." if twice else None
    how, single = " --prepare", False
    if not bands:
        parts, problem = _try([one.name for one in proposed], {})
        how, single = "", len({band for part in parts or () for band in part}) == 1
    if problem is not None:
        yield f"\nThey cannot be read together: {problem}"
        return
    command = f"estimate{how} -z Z -e ESTIMATOR -o maps.fits"
    what, command = ("Image", "prepare -z Z -o bands.fits") if single else ("Maps", command)
    yield f"\n{what} of them together:\n  picasssso {command} \\"
    yield f"    {' '.join(words)}"


def _describe(name: str, quiet: bool, proposed: list[_Proposed]) -> Iterator[str]:
    from picasssso._core.headers import IMAGES_FORMAT, MAPS_FORMAT
    from picasssso.exceptions import FileFormatError, InvalidInputError
    from picasssso.io import ImageFile, recognize

    file = ImageFile(name)
    if MAPS_FORMAT in file.headers[0]:
        from picasssso.maps import PropertyMaps

        yield from [] if quiet else _describe_maps(name, PropertyMaps.read(name))
        return
    if IMAGES_FORMAT in file.headers[0]:
        from picasssso.bands import BandImages

        yield from [] if quiet else _describe_images(name, BandImages.read(name))
        return
    try:
        found = recognize(name)
    except (FileFormatError, InvalidInputError):
        found = None
    if not quiet:
        yield f"{name}: FITS file, {len(file.headers)} HDU{'s' * (len(file.headers) > 1)}"
        read = _as_read(file, found)
        beside = None if found is None else found.role
        for hdu in range(len(file.headers)):
            yield from _extension(file, hdu, [p for p in read if p.hdu == hdu], beside)
        if found is not None and found.format != "generic":
            role = f": its {found.role}" if found.role else ""
            yield f"Recognized as {found.title}{role}, by {found.why}."
    yield from _proposal(file, found, quiet, proposed)


# ---- files of other people ----------------------------------------------------------


def _as_read(file: ImageFile, found: Recognition | None) -> list[BandPlane]:
    """Return the bands as the reader of a survey makes them; none if it cannot, or is generic."""
    from picasssso.exceptions import PicassssoError
    from picasssso.io.formats import get_reader

    if found is None or found.role is not None or found.format == "generic":
        return []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return get_reader(found.format).read(file)
    except PicassssoError:
        return []


def _extension(
    file: ImageFile, hdu: int, read: list[BandPlane], beside: str | None
) -> Iterator[str]:
    """Describe an extension, as its survey's reader takes it (``read``) or as its header says.

    ``beside``: what a file is that goes with an image.
    """
    from picasssso.io.hdu_roles import hdu_kind

    header = file.headers[hdu]
    axes = [header.get(f"ZNAXIS{k}", header.get(f"NAXIS{k}")) for k in range(1, 10)]
    shape = " x ".join(str(axis) for axis in axes if axis is not None)
    name = file.label(hdu) or "(no name)"
    if not file.axes[hdu]:
        table = str(header.get("XTENSION", "")).strip() == "BINTABLE"
        yield f"  [{hdu}] {name}: {'table' if table else 'no data'}"
        return
    kind = hdu_kind(file, hdu)
    role = f", by its name {_KINDS[kind]}" if kind else ""
    yield f"  [{hdu}] {name}: image, {shape} pixels{role}"
    kind = kind or beside
    yield f"      unit        {_unit(file, hdu, read, kind)}"
    if kind is None:
        yield f"      zero point  {_zero_point(file, hdu, read)}"
        yield f"      filter      {_filter(file, hdu, read)}"
    place = _wcs(header)
    own = kind is None or not place.startswith("none")
    yield f"      WCS         {place if own else 'none: that of the image'}"
    if file.axes[hdu] > 2 and not read and kind is None:
        yield "      A cube is read in Python, with BandImages.from_cube."


def _stated(file: ImageFile, hdu: int, keys: Iterable[str]) -> list[str]:
    """Return keywords with their values, of this header or of the first."""
    both = {key: h[key] for h in (file.headers[0], file.headers[hdu]) for key in keys if key in h}
    return [f"{key} = {value!r}" for key, value in both.items()]


def _unit(file: ImageFile, hdu: int, read: list[BandPlane], kind: str | None) -> str:
    from picasssso.bands.flux_units import is_count_like, parse_unit
    from picasssso.exceptions import FileFormatError, InvalidInputError
    from picasssso.io.keywords import find_zero_point, guess_band

    text = file.bunit(hdu)
    if read:
        return text or f"no BUNIT: {read[0].image.unit}, as files of this survey are"
    if not text:
        return "no BUNIT"
    try:
        unit = parse_unit(text, "", "BUNIT")
    except InvalidInputError:
        return f"{text} (not understood: give --unit)"
    if kind is not None or not is_count_like(unit):
        return text
    try:
        band = "-".join(name or "" for name in guess_band(file.headers[hdu]))
        find_zero_point(file.header(hdu), band, unit)
    except (FileFormatError, InvalidInputError):
        return f"{text} (counts: give --zero-point)"
    return text


def _zero_point(file: ImageFile, hdu: int, read: list[BandPlane]) -> str:
    from picasssso.io import keywords

    if not read:
        known = (*keywords.ZERO_POINT_KEYWORDS, *keywords.VAGUE_KEYWORDS)
        found = _stated(file, hdu, dict.fromkeys((*known, *keywords.SCALE_KEYWORDS)))
        return ", ".join(found) or "no keyword known for it"
    value = read[0].zero_point
    if value is None:
        return "none needed"
    source = str(read[0].record.get("zero_point_source", ""))
    found = _stated(file, hdu, dict.fromkeys(re.findall(r"[A-Z][A-Z0-9_]+", source)))
    if re.fullmatch(r"[A-Z0-9_, ]+", source) and found:
        return f"{value.value:.5g} AB, from {', '.join(found)}"
    return f"{value.value:.5g} AB, {source}" + (f", {', '.join(found)}" if found else "")


def _filter(file: ImageFile, hdu: int, read: list[BandPlane]) -> str:
    from picasssso.io.keywords import ALL_FILTER_KEYWORDS

    found = ", ".join(_stated(file, hdu, ALL_FILTER_KEYWORDS))
    if not read:
        return found or "no keyword known for it"
    return ", ".join(plane.band for plane in read) + (f", from {found}" if found else "")


def _wcs(header: Header) -> str:
    from astropy.wcs.utils import proj_plane_pixel_scales

    from picasssso._core.fits_files import celestial_wcs
    from picasssso.bands.pixels import sky_center
    from picasssso.exceptions import FileFormatError

    try:
        wcs = celestial_wcs(header, "WCS")
    except FileFormatError as error:
        return f"not readable ({error})"
    if wcs is None:
        return "none: give --pixel-scale"
    scales = proj_plane_pixel_scales(wcs) * 3600
    center = sky_center(wcs, (header["NAXIS2"], header["NAXIS1"]))
    scale = " x ".join(dict.fromkeys(f"{value:.4g}" for value in scales))
    position = center.to_string("decimal", precision=5)
    return f"{wcs.wcs.ctype[0]}, {scale} arcsec per pixel, center RA Dec {position}"


def _proposal(
    file: ImageFile, found: Recognition | None, quiet: bool, proposed: list[_Proposed]
) -> Iterator[str]:
    """Return a line that reads the file, which was tried, and add it to those proposed."""
    from picasssso.io.hdu_roles import hdu_kind
    from picasssso.io.keywords import guess_band, plane_kind

    if found is not None and found.role is not None:
        proposed.append(_Proposed(file.path))
        yield from [] if quiet else ["It goes with an image: give both."]
        return
    planes = [k for k, n in enumerate(file.axes) if n == 2 and not hdu_kind(file, k)]
    if found is not None and found.format != "generic":
        yield from _survey_proposal(file, planes, quiet, proposed)
        return
    if not planes:
        if not quiet:
            yield "There is no two-dimensional image in it that could be a band."
        return
    stem = re.sub(r"(\.(fits?|fts|fz|gz|bz2|xz|zip|z))+$", "", file.name, flags=re.IGNORECASE)
    # PRODTYPE: of NOIRLab's pipelines.
    kinds = [
        plane_kind(word) or "" for word in (re.split(r"[-_.]", stem)[-1], file.text("PRODTYPE"))
    ]
    option = next((_OPTIONS[kind] for kind in kinds if kind in _OPTIONS), None)
    if option is not None and len(planes) == 1:
        if not quiet:
            yield f"By its name it goes with an image: {option} BAND={file.path} beside it."
        return
    guesses = [guess_band({**file.headers[0], **file.headers[hdu]}) for hdu in planes]
    if not quiet:
        guessed = "the filter is a guess from the header: check it"
        lacking = "its header does not name the filter: put it for BAND, such as sdss2010-r"
        some = any(letter for _, letter in guesses)
        yield f"To read it ({guessed if some else lacking}):"
    for hdu, (group, letter) in zip(planes, guesses, strict=True):
        band = f"{group or 'GROUP'}-{letter or 'BAND'}" if group or letter else "BAND"
        label, labels = _hdu_name(file, hdu), [file.label(k) for k in planes]
        # Alone, its noise and mask are found by themselves.
        alone = len(planes) == 1 or (labels.count("SCI") == 1 and label == "SCI")
        name = file.path if alone else f"{file.path}[{label}]"
        options: dict[str, Any] = {}
        needs = _needed(file, hdu, band if group and letter else _ANY_BAND, options)
        one = _Proposed(name, band, needs)
        parts, problem = _try({band if _is_known(band) else _ANY_BAND: name}, options)
        if parts is None:
            yield from [] if quiet else [f"  {label}: cannot be read: {problem}"]
            continue
        proposed.append(one)
        yield from _lines(one, parts, quiet)


def _hdu_name(file: ImageFile, hdu: int) -> str:
    """Return what names an HDU and no other: its name, with EXTVER if need be, or its number."""
    names = [(file.label(k), header.get("EXTVER", 1)) for k, header in enumerate(file.headers)]
    label, version = names[hdu]
    if not re.fullmatch(r"[^\[\],]*[^\[\],\d][^\[\],]*", label) or names.count(names[hdu]) > 1:
        return str(hdu)
    return label if [name for name, _ in names].count(label) == 1 else f"{label},{version}"


def _is_known(band: str) -> bool:
    """Return whether a band is the name of one, and not what stands for it."""
    return not re.search("GROUP|BAND", band)


def _survey_proposal(
    file: ImageFile, planes: list[int], quiet: bool, proposed: list[_Proposed]
) -> Iterator[str]:
    """Return lines that read a survey's file: whole, image by image, or with what it lacks."""
    import astropy.units as u

    chips = [f"{file.path}[{k}]" for k in planes] if planes[1:] else []
    parts, problem = _try([file.path], {})
    names = [file.path] if parts is not None else [n for n in chips if _try([n], {})[0]]
    if names:
        yield from [] if quiet else ["To read it, with the survey's noise and mask:"]
        for name in names:
            read = parts or _try([name], {})[0] or []
            bands = [band for images in read for band in images]
            proposed.append(_Proposed(name, found=bands[0] if len(bands) == 1 else None))
            yield from _lines(proposed[-1], read, quiet)
        return
    yield from [] if quiet else [f"Cannot be read without further options: {problem}"]
    lacks: tuple[tuple[dict[str, Any], dict[str, str]], ...] = (
        ({}, {}),
        ({"zero_point": 30 * u.ABmag}, {"--zero-point": "MAG"}),
        ({"unit": "nmgy"}, {"--unit": "UNIT"}),
        ({"pixel_scale": 1 * u.arcsec}, {"--pixel-scale": "'P arcsec'"}),
    )
    for band, names in ((None, [file.path]), ("BAND", [file.path]), ("BAND", chips)):
        for options, needs in lacks:
            how = [(name, [name] if band is None else {_ANY_BAND: name}) for name in names]
            found = [(name, parts) for name, files in how if (parts := _try(files, options)[0])]
            if found:
                yield from [] if quiet else ["With what it lacks:"]
                for name, parts in found:
                    proposed.append(_Proposed(name, band, needs))
                    yield from _lines(proposed[-1], parts, quiet)
                return


def _lines(one: _Proposed, parts: list[BandImages], quiet: bool) -> Iterator[str]:
    if quiet:
        yield str(one)
        return
    if sum(map(len, parts)) > 1:
        yield f"  picasssso estimate {one} -z Z -e ESTIMATOR -o maps.fits"
    else:
        # No estimator makes much of a single band.
        yield f"  picasssso prepare {one} -z Z -o bands.fits"
        if one.band is None:
            yield "    (with the files of other bands beside it)"
    read = _what_was_read(parts)
    yield f"    {read.replace(_ANY_BAND, one.band) if one.band else read}"
    for key, words in (
        ("--unit", "UNIT: nmgy, Jy, erg/s/cm2/AA ...; of counts give --zero-point MAG instead, "
         "the AB magnitude of one"),
        ("--zero-point", "MAG: the AB magnitude of one count"),
        ("--pixel-scale", "P: arcsec per pixel"),
    ):  # fmt: skip
        if key in one.needs:
            yield f"    {words}"


def _what_was_read(parts: list[BandImages]) -> str:
    noise = ", ".join(band for images in parts for band in images.missing_uncertainty)
    masked = any(image.mask is not None for images in parts for image in images.values())
    return (
        f"bands {', '.join(band for images in parts for band in images)}; "
        f"{f'no uncertainty of {noise}' if noise else 'uncertainties'}"
        f"; {'a mask' if masked else 'no mask'}"
    )


def _try(files: Any, options: dict[str, Any]) -> tuple[list[BandImages] | None, str | None]:
    """Read the files as proposed; return images on each grid, or why they cannot be read."""
    from picasssso.exceptions import PicassssoError
    from picasssso.io.reading import read_parts

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return read_parts(files, redshift=0.1, **options), None
    except PicassssoError as error:
        return None, with_options(str(error))


def _needed(file: ImageFile, hdu: int, band: str, options: dict[str, Any]) -> dict[str, str]:
    """Return options without which the image has no meaning, for the user to fill in."""
    import astropy.units as u

    from picasssso.bands.flux_units import is_count_like, parse_unit
    from picasssso.exceptions import FileFormatError, InvalidInputError
    from picasssso.io.keywords import find_zero_point

    header, needs = file.header(hdu), {}
    try:
        unit = parse_unit(header.get("BUNIT", ""), band, "BUNIT") if "BUNIT" in header else None
    except InvalidInputError:
        unit = None
    if unit is None:
        options["unit"], needs["--unit"] = "nmgy", "UNIT"
    else:
        try:
            if is_count_like(unit):
                find_zero_point(header, band, unit)
        except (FileFormatError, InvalidInputError):
            options["zero_point"], needs["--zero-point"] = 30 * u.ABmag, "MAG"
    try:
        if file.wcs(hdu) is None:
            options["pixel_scale"], needs["--pixel-scale"] = 1 * u.arcsec, "'P arcsec'"
    except FileFormatError:
        pass
    return needs


# ---- picasssso's own files ----------------------------------------------------------


def _describe_images(name: str, images: BandImages) -> Iterator[str]:
    yield f"{name}: images of picasssso (BandImages), {images.shape[1]} x {images.shape[0]} pixels"
    yield from _geometry(images)
    for band in images.bands:
        fwhm = images.psf_fwhm(band)
        seeing = "PSF unknown" if fwhm is None else f"PSF {fwhm:.2f}"
        noise = "no uncertainty" if band in images.missing_uncertainty else "with uncertainty"
        yield f"  {band:20} {images[band].unit}, {seeing}, {noise}"
    yield "To read it:"
    yield f"  picasssso estimate {shlex.quote(name)} -e ESTIMATOR -o maps.fits"


def _describe_maps(name: str, maps: PropertyMaps) -> Iterator[str]:
    yield f"{name}: maps of picasssso (PropertyMaps), {maps.shape[1]} x {maps.shape[0]} pixels"
    yield from _geometry(maps)
    for key, value in maps.meta.items():
        if isinstance(value, str) or key == "bands":
            yield f"  {key:20} {value if isinstance(value, str) else ', '.join(value)}"
    for prop in maps:
        definition = maps.definition(prop)
        masked = maps.masks[prop].mean()
        fraction = "mass fraction" if prop.endswith("metallicity") else "no unit"
        unit = str(definition.unit) or fraction
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
