"""Reading files of any format into `BandImages`."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from astropy.io import fits

from picasssso._core.fits_files import HDUKey, split_specification
from picasssso.bands import BandImages, align
from picasssso.bands.band_names import check_band, resolve_band
from picasssso.bands.files import read_images
from picasssso.bands.flux_units import is_count_like
from picasssso.bands.merging import merge_bands
from picasssso.bands.pixels import grid_offset
from picasssso.bands.slots import PER_BAND_SLOTS
from picasssso.exceptions import (
    FileFormatError,
    InvalidInputError,
    InvalidTypeError,
    PicassssoWarning,
)
from picasssso.io.band_planes import BandPlane
from picasssso.io.formats import Recognition, get_reader, identify
from picasssso.io.hdu_roles import NOISE_FACTOR, middle, noise_ratio
from picasssso.io.image_files import ImageFile
from picasssso.io.native import is_own
from picasssso.io.stated import NOISE_ARGUMENTS, Stated, path_of

PathLike = str | os.PathLike[str]
Files = PathLike | Iterable[PathLike] | Mapping[str, Any]

#: What the user can say of files, beside the arguments of `BandImages`.
ABOUT_FILES = ("survey", "format", "zero_point", "unit", *NOISE_ARGUMENTS, "mask", "mask_bits")
_SAME_GRID = 0.1  # pixels, as BandImages has it
#: Percentage of pixels with flux but without noise above which it is told.
_MOST_WITHOUT = 30


def read(files: Files, *, onto: Any = None, **arguments: Any) -> BandImages:
    """Read images; see `BandImages.read`."""
    parts = read_parts(files, **arguments)
    if len(parts) == 1 and onto is None:
        return parts[0]
    images = {band: image for part in parts for band, image in part.items()}
    kept = {key: value for key, value in parts[0]._arguments().items() if key != "pixel_scale"}
    for slot in PER_BAND_SLOTS:
        kept[slot] = {b: v for part in parts for b, v in getattr(part, slot).items()}
    kept["meta"]["source"] = {b: r for part in parts for b, r in part.meta["source"].items()}
    # On different grids without onto=, this is the error that says how they are aligned.
    return align(images, onto=onto, **kept) if onto is not None else BandImages(images, **kept)


def read_parts(files: Files, **arguments: Any) -> list[BandImages]:
    """Read images in groups of bands that share a pixel grid."""
    about = {key: arguments.pop(key, None) for key in ABOUT_FILES}
    survey, named = about.pop("survey"), about.pop("format")
    listed = _list_files(files, survey)
    own = len(listed) == 1 and (named == "picasssso" or (named is None and is_own(listed[0].path)))
    if own:
        return [_read_own(listed[0], {"survey": survey, **about}, arguments)]
    try:
        found = [(file, identify(file, named)) for file in listed]
        planes = _read_planes(found, Stated(survey, about))
    except fits.VerifyError as error:
        raise FileFormatError(
            f"{listed[0]}: found a header that cannot be read ({error}) Correct it, or "
            "download the file again."
        ) from error
    parts = []
    for group in _same_grids([(p.image.data.shape, p.image.wcs) for p in planes]):
        some, one = [planes[k] for k in group], len(group) == len(planes)
        parts.append(_to_images(some, one, survey, about["zero_point"], arguments))
    return parts


def _list_files(files: Any, survey: str | None) -> list[ImageFile]:
    """Return all files, with their band if given by the user."""
    expected = "expected the name of a file, a list of them, or {band: 'file.fits[HDU]'}"
    if isinstance(files, str | os.PathLike):
        files = [files]
    pairs: list[tuple[str | None, Any]]
    if isinstance(files, Mapping):
        pairs = []
        for given, path in files.items():
            name = resolve_band(given, survey)
            check_band(name, given, survey)
            several = isinstance(path, Iterable) and not isinstance(path, str)
            pairs.extend((name, one) for one in (path if several else [path]))
    elif isinstance(files, Iterable):
        pairs = [(None, path) for path in files]
    else:
        raise InvalidTypeError(f"read: found {files!r}, {expected}.")
    if not pairs:
        raise InvalidInputError(f"read: found no file, {expected}.")
    listed = []
    for band, path in pairs:
        what = "read" if band is None else f"Band {band!r}"
        place, hdu = split_specification(path_of(path, what))
        listed.append(ImageFile(place, band=band, hdu=hdu))
    return listed


def _read_own(file: ImageFile, about: dict[str, Any], arguments: dict[str, Any]) -> BandImages:
    path = file.path
    given = [f"{key}=" for key, value in about.items() if value is not None]
    if given:
        raise InvalidInputError(
            f"read: found {', '.join(given)} with {path}, a file written by BandImages.write, "
            "which contains them; expected them with other files only. Use "
            "BandImages.read(path).replace(...) to change something."
        )
    if file.hdu is not None:
        raise InvalidInputError(
            f"{file}: found HDU {file.hdu!r} of a file written by BandImages.write, which is read "
            "as a whole; expected its name alone. Take bands of it with images.select([...])."
        )
    images, stored = read_images(path)
    own = BandImages._restore(images, stored)
    if file.band is not None:
        if file.band not in own:
            raise InvalidInputError(
                f"{file}: found images of {', '.join(own)} in this file, written by "
                "BandImages.write, expected the band among them. Read it without a band."
            )
        own = own.select([file.band])
    changes = {key: value for key, value in arguments.items() if value is not None}
    return own.replace(**changes) if changes else own


# ---- planes --------------------------------------------------------------------------------


def _read_planes(found: list[tuple[ImageFile, Recognition]], stated: Stated) -> list[BandPlane]:
    """Read every image with its companion files."""
    companions: dict[tuple[str, str], dict[str, ImageFile]] = {}
    for file, what in found:
        if what.role is not None:
            some = companions.setdefault((what.format, file.band or what.group), {})
            if what.role in some:
                raise InvalidInputError(
                    f"{file}: found a second {what.role} file of the same band, expected one."
                )
            some[what.role] = file
    planes: dict[str, BandPlane] = {}
    used: set[tuple[str, str]] = set()
    read: set[str] = set()
    given: dict[str, str] = {}
    sources: dict[tuple[str, int | None], BandPlane] = {}
    for file, what in found:
        if what.role is not None:
            continue
        # Companions without a group of their own go with every image.
        groups = [(what.format, ""), (what.format, file.band or what.group)]
        used |= set(groups)
        together = _Companions(
            {role: f for group in groups for role, f in companions.get(group, {}).items()}
        )
        for plane in _read_file(replace(file, stated=stated, companions=together), what):
            if plane.band in planes:
                raise InvalidInputError(
                    f"{file}: found band {plane.band} twice, also in "
                    f"{planes[plane.band].record['file']}, expected one image for each band. If "
                    "a header names the wrong filter, give the bands: "
                    "BandImages.read({'sdss2010-r': path}, ...)."
                )
            planes[plane.band] = plane
            _doubt_band(file, plane, sources.setdefault((file.path, plane.hdu), plane))
        given |= {f.path: role for role, f in together.items()}
        read |= {together[role].path for role in together.asked}
    for path in sorted(set(given) - read):
        warnings.warn(
            f"{path}: found a file ({given[path]}) that belongs to an image, but is not its noise "
            "or mask according to the survey, or another file takes precedence: it is not used. "
            "To use it, give its name as uncertainty=, variance=, weight= or mask=.",
            PicassssoWarning,
            stacklevel=5,
        )
    left = [pair for key, some in companions.items() if key not in used for pair in some.items()]
    for role, file in left:
        raise InvalidInputError(
            f"{file}: found a file ({role}) that belongs to an image, and no image of its band. "
            "Give the image, too."
        )
    return list(planes.values())


def _doubt_band(file: ImageFile, plane: BandPlane, first: BandPlane) -> None:
    """Warn if the image of a band is that of another: one of the names is wrong."""
    one, other = plane.image.data, first.image.data
    if first is not plane and one.shape == other.shape and np.array_equal(one, other, True):
        warnings.warn(
            f"{file}: found the image that is also given as band {first.band!r}, expected one for "
            "each band. Check the names of the files.",
            PicassssoWarning,
            stacklevel=6,
        )


class _Companions(dict[str, ImageFile]):
    """Companion files of an image, by role; records which ones its reader has used."""

    def __init__(self, files: Mapping[str, ImageFile]) -> None:
        super().__init__(files)
        self.asked: set[str] = set()

    def get(self, role: str, default: Any = None) -> Any:
        """Return the file of a role."""
        if role in self:
            self.asked.add(role)
        return super().get(role, default)


def _read_file(file: ImageFile, what: Recognition) -> list[BandPlane]:
    planes = []
    # A named HDU is read as its format defines it, if that is the format's image.
    if file.named is None or what.format != "generic":
        planes = get_reader(what.format).read(file)
    if file.named is not None:
        planes = [plane for plane in planes if plane.hdu == file.named]
        if len(planes) != 1:
            planes, what = get_reader("generic").read(file), replace(what, format="generic")
    if file.band is not None and len(planes) == 1 and planes[0].band != file.band:
        planes = [replace(planes[0], band=file.band)]
    return [
        replace(_as_stated(file, plane), record={"format": what.format, **plane.record})
        for plane in planes
    ]


def _as_stated(file: ImageFile, plane: BandPlane) -> BandPlane:
    """Return a plane with the noise and the mask given by the user."""
    band, image = plane.band, plane.image
    stated = file.stated.noise(band)
    if len(stated) > 1 and set(stated) != {"weight", "uncertainty"}:
        raise InvalidInputError(
            f"Band {band!r}: found {' and '.join(f'{name}=' for name in stated)}, expected only "
            "one of them."
        )
    shape = image.data.shape
    if stated:
        # A weight in addition to an uncertainty only marks where there are data.
        name = "uncertainty" if len(stated) > 1 else next(iter(stated))
        source, hdu = _companion(file, stated[name], name, plane)
        image.uncertainty = source.noise(NOISE_ARGUMENTS[name], hdu, image.unit, shape)
    if len(stated) > 1:
        source, hdu = _companion(file, stated["weight"], "weight", plane)
        nothing = ~(source.array(hdu, "weight", like=shape) > 0)
        image.mask = nothing if image.mask is None else (image.mask != 0) | nothing
    mask = file.stated.of("mask", band)
    if mask is not None:
        source, hdu = _companion(file, mask, "mask", plane)
        found = source.bad_pixels(hdu, shape, file.stated.bits(band))
        image.mask = found if image.mask is None else image.mask | (found != 0)
    return plane


def _companion(file: ImageFile, value: Any, name: str, plane: BandPlane) -> tuple[ImageFile, int]:
    """Return file and HDU of a weight, uncertainty or mask given by the user."""
    hdu: HDUKey | None
    band = plane.band
    separate = isinstance(value, os.PathLike) or (
        isinstance(value, str) and re.search(r"[\[\].]|" + re.escape(os.sep), value)
    )
    if separate:
        path, hdu = split_specification(path_of(value, f"Band {band!r}: {name}"))
    elif isinstance(value, int | str):
        path, hdu = file.path, value
    else:
        raise InvalidTypeError(
            f"Band {band!r}: found {name}={value!r}, expected the name or number of an HDU in the "
            "same file, or 'file.fits[HDU]'."
        )
    source = ImageFile(path, band=band, hdu=hdu, layer=plane.layer)
    if source.named is not None:
        return source, source.named
    cubes = (3,) if plane.layer is not None else ()
    images = [k for k, axes in enumerate(source.axes) if axes in (2, *cubes)]
    if len(images) != 1:
        raise InvalidInputError(
            f"Band {band!r}: {name}: found {len(images)} 2-D images in {path} "
            f"({source.contents}), expected the name of one: '{source.name}[HDU]'."
        )
    return source, images[0]


# ---- images --------------------------------------------------------------------------------


def merge_parts(parts: Sequence[BandImages]) -> list[BandImages]:
    """Merge images on the same pixel grid."""
    grids = [(part.shape, part._wcs) for part in parts]
    return [merge_bands([parts[k] for k in group]) for group in _same_grids(grids)]


def _same_grids(grids: Sequence[tuple[Any, Any]]) -> list[list[int]]:
    """Return groups of indices of images with the same shape and WCS."""
    groups: list[list[int]] = []
    for k, (shape, wcs) in enumerate(grids):
        for group in groups:
            first_shape, first = grids[group[0]]
            if first_shape != shape or (first is None) != (wcs is None):
                continue
            if first is None or grid_offset(wcs, first, shape)[0] < _SAME_GRID:
                group.append(k)
                break
        else:
            groups.append([k])
    return groups


def _to_images(
    planes: list[BandPlane],
    whole: bool,
    survey: str | None,
    stated_zero_point: Any,
    arguments: Mapping[str, Any],
) -> BandImages:
    """Make `BandImages` of bands on one grid."""
    names = [plane.band for plane in planes]
    own: dict[str, Any] = dict(arguments)
    for slot in set(PER_BAND_SLOTS) & set(own):
        if isinstance(own[slot], Mapping) and not whole:
            by_band = {resolve_band(key, survey): value for key, value in own[slot].items()}
            own[slot] = {band: by_band[band] for band in names if band in by_band}
    files_psf = {p.band: p.psf for p in planes if p.psf is not None}
    if own.get("psf") is None:
        own["psf"] = files_psf or None
    elif isinstance(own["psf"], Mapping):
        own["psf"] = files_psf | {resolve_band(k, survey): v for k, v in own["psf"].items()}
    zero_points: Any = {p.band: p.zero_point for p in planes if p.zero_point is not None}
    if stated_zero_point is not None:
        # One that no band has a use for is refused at the door, with the reason.
        if isinstance(stated_zero_point, Mapping):
            by_band = {resolve_band(k, survey): v for k, v in stated_zero_point.items()}
            zero_points |= {b: v for b, v in by_band.items() if whole or b in names}
        elif not any(is_count_like(p.image.unit) for p in planes) and whole:
            zero_points = stated_zero_point
    own["meta"] = {"source": {p.band: p.record for p in planes}, **(own.get("meta") or {})}
    images = BandImages(
        [(p.band, p.image) for p in planes],
        survey=survey,
        zero_point=None if isinstance(zero_points, dict) and not zero_points else zero_points,
        **own,
    )
    _doubt_noise(images)
    return images


def _doubt_noise(images: BandImages) -> None:
    """Warn if stated noise differs strongly from the measured scatter of pixels."""
    for band in images:
        if band in images.missing_uncertainty:
            continue
        part = middle(images.shape)
        flux, precision = (p[0] for p in images.to_arrays(part, bands=[band]))
        image = images[band]
        there = np.isfinite(image.data[part]) & (image.data[part] != 0)
        there &= True if image.mask is None else image.mask[part] == 0
        without = 100 * np.mean(precision[there] == 0) if there.any() else 0
        if without > _MOST_WITHOUT:
            warnings.warn(
                f"Band {band!r}: found no positive noise of {without:.0f} % of the pixels with "
                "flux, which count as pixels without data. Check which plane is the uncertainty.",
                PicassssoWarning,
                stacklevel=5,
            )
        ratio = noise_ratio(flux, precision)
        if ratio is None or 1 / NOISE_FACTOR < ratio < NOISE_FACTOR:
            continue
        stated = float(np.median(precision[precision > 0])) ** -0.5
        warnings.warn(
            f"Band {band!r}: found a stated noise of {stated:.3g} nmgy per pixel, and a measured "
            f"one of {ratio * stated:.3g}, expected them to agree within a factor of "
            f"{NOISE_FACTOR:g}. Check the kind and the unit of the uncertainty; prepare() and "
            "with_estimated_noise(bands) measure it.",
            PicassssoWarning,
            stacklevel=5,
        )
