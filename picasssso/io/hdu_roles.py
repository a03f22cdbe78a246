"""Identification of image, noise and mask HDUs in files of no known survey.

Noise planes of a defined kind take precedence: standard deviations (ERR), variances, inverse
variances, and last weights, which are used as inverse variances only if they agree with the
scatter of the image. Beside noise of a defined kind they only mark where there are data. Planes
without a positive value are not used. Planes with the same EXTVER belong together. Of several
masks, such as MASK and DQ, a pixel is bad if any of them marks it.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from functools import partial
from typing import Any

import astropy.units as u
import numpy as np
import numpy.typing as npt
from astropy.nddata import NDUncertainty

from picasssso.bands.band_record import UNCERTAINTY_TYPES
from picasssso.bands.flux_units import parse_unit
from picasssso.exceptions import FileFormatError, InvalidInputError, PicassssoWarning
from picasssso.io.band_planes import BitMask, Mask, Noise
from picasssso.io.image_files import ImageFile
from picasssso.io.keywords import bad_bits, plane_kind
from picasssso.io.stated import NOISE_ARGUMENTS

_SCIENCE = ("SCI", "SCIENCE", "IMAGE", "DATA")
#: Pixels between two that are compared: noise of resampled pixels is correlated over a few.
_LAG = 8
#: Side of the boxes in which noise is measured, and how many there have to be.
_BOX, _MIN_BOXES = 16, 4
#: Number of boxes from which on a quarter of them has sky.
_SKY_BOXES = 16
#: Side of the middle of the image that is looked at.
_SIDE = 1024
#: Scatter in units of the stated noise below which an image may be a model without noise.
_MODEL = 0.02
#: Scatter above the level of the image that is light, pixels of it that tell, and the part of them
#: that bad pixels never are.
_LIGHT, _FEWEST_LIT, _HIDDEN = 5.0, 30, 0.8
#: Percentage of an image above which a mask may be the wrong way round.
_INVERTED = 90
#: Kinds of uncertainties by what UTYPE calls them.
_UTYPES = {cls.__name__: kind for kind, cls in UNCERTAINTY_TYPES.items()}
_UTYPES["UnknownUncertainty"] = "std"
#: Factor by which noise may be off before a file is doubted.
NOISE_FACTOR = 2.0


def science_hdu(file: ImageFile) -> int:
    """Return the number of the HDU of the image: as given by the user, or the only one."""
    if file.named is not None:
        return file.named
    planes = [k for k, n in enumerate(file.axes) if n == 2 and hdu_kind(file, k) is None]
    if len(planes) > 1:
        named = [k for k in planes if file.label(k) in _SCIENCE]
        planes = named if len(named) == 1 else planes
    if len(planes) == 1:
        return planes[0]
    cube = ", or BandImages.from_cube for a cube" if max(file.axes) > 2 and not planes else ""
    raise FileFormatError(
        f"{file}: found {len(planes)} 2-D images among {file.contents}, expected one. Name "
        f"it in brackets: BandImages.read({{band: '{file.name}[HDU]'}}, ...){cube}."
    )


def companion_planes(
    file: ImageFile,
    hdu: int,
    band: str,
    *,
    noise: Noise | None = None,
    mask: Mask | None = None,
    bits: int | None = None,
) -> dict[str, Any]:
    """Return noise, mask and PSF that belong to an image, as arguments of `ImageFile.plane`.

    ``noise``, ``mask``: of companion files; noise in the same file is used if there is none, and a
    mask in the same file is combined with ``mask``. ``bits``: bits of the mask in the file that
    mark bad pixels, as defined by the survey.
    """
    found, masks = _paired(file, hdu, band)
    kind = None if noise is not None else _noise_kind(file, found, band)
    # Beside noise of a defined kind, weights say where there are data.
    weight = found.get("weight")
    if weight is not None and kind != "weight" and not _same_size(file, weight, hdu):
        weight = None

    def own_noise(shape: Sequence[int], unit: u.UnitBase) -> NDUncertainty | None:
        assert kind is not None
        if kind == "weight":
            return weight_noise(file, hdu, file, found[kind], unit, shape, band)
        if file.headers[found[kind]].get("UTYPE") != "UnknownUncertainty":
            return file.noise(kind, found[kind], unit, shape, band)
        warnings.warn(
            f"{file}: found an uncertainty of unknown kind (UTYPE), which is not used. "
            "Give it as uncertainty=, variance= or weight=.",
            PicassssoWarning,
            stacklevel=8,
        )
        return None

    def bad(shape: Sequence[int], stated: int | None) -> npt.NDArray[Any]:
        parts = []
        flagged = masks if stated is None else _of_bits(file, masks, shape, stated)
        for own in masks:
            wanted = bits if stated is None else stated if own in flagged else None
            if stated is None and bits is None:
                wanted = _bits_but_sources(file, hdu, own, shape, several=len(masks) > 1)
            parts.append(file.bad_pixels(own, shape, wanted))
        if weight is not None:
            some = file.array(weight, "weight", like=shape)
            some = (some > 0) & np.isfinite(some)
            # A plane that was never filled says nothing.
            parts += [~some] if kind == "weight" or some.any() else []
        if mask is not None:
            beside = mask(shape, stated) if isinstance(mask, BitMask) else mask(shape)
            parts += [] if beside is None else [beside]
        if not parts:
            return np.zeros(tuple(shape), dtype=bool)
        # A single one stays as it is in the file, memory-mapped if it is large.
        return parts[0] if len(parts) == 1 else np.any([part != 0 for part in parts], axis=0)

    own_mask: Mask | None = mask
    if masks or isinstance(mask, BitMask):
        own_mask = BitMask(bad)
    elif weight is not None:
        own_mask = partial(bad, stated=None)
    return {
        "noise": noise or (None if kind is None else own_noise),
        "mask": own_mask,
        "psf": file.array(found["psf"], "PSF") if "psf" in found else None,
    }


def _of_bits(file: ImageFile, masks: list[int], shape: Sequence[int], stated: int) -> list[int]:
    """Return the mask whose bits the user names: of several, the one with more than 0 and 1."""
    if len(masks) < 2:
        return masks
    planes = {k: file.array(k, "mask", like=shape) for k in masks}
    flags = [k for k, plane in planes.items() if ((plane != 0) & (plane != 1)).any()]
    if len(flags) > 1:
        names = " and ".join(f"{file.label(k)} (HDU {k})" for k in flags)
        raise InvalidInputError(
            f"{file}: found mask_bits={stated} and the bit masks {names}, expected one of them. "
            f"Name the one whose bits they are: mask={flags[0]}."
        )
    return flags or masks[:1]


def _bits_but_sources(
    file: ImageFile, hdu: int, mask: int, shape: Sequence[int], *, several: bool = False
) -> int | None:
    """Return the bits of a mask without names that are not those of detected sources.

    None: all. A bit, set on nearly all pixels with light, is none of bad pixels; if it is the
    first, only where there are ``several`` masks: alone it may be all that the file says.
    """
    part, flags = middle(shape), file.array(mask, "mask", like=shape)
    if flags.dtype.kind not in "iu" or bad_bits(file.headers[mask]) != ~0:
        return None
    values, flags = np.asarray(file.array(hdu)[part], dtype=float), flags[part]
    with np.errstate(invalid="ignore"):
        with_data = np.isfinite(values) & (values != 0)
        known = values[with_data]
        if not known.size:
            return None
        level = np.median(known)
        noise = 1.4826 * np.median(np.abs(known[known <= level] - level))
        light = flags[values > level + _LIGHT * noise]
    if light.size < _FEWEST_LIT:
        return None
    size = 8 * flags.dtype.itemsize
    bits = range(0 if several else 1, size - 1)
    found = [k for k in bits if np.mean((light >> k) & 1) > _HIDDEN]
    if not found:
        marked = 100 * np.mean(flags[with_data] != 0)
        if marked > _INVERTED:
            warnings.warn(
                f"{file}: found {file.label(mask)} (HDU {mask}) nonzero on {marked:.0f} % of the "
                "pixels with data, and nonzero means bad. If it marks the good ones, exchange 0 "
                "and 1 in the file.",
                PicassssoWarning,
                stacklevel=9,
            )
        return None
    shown = " and ".join(str(1 << k) for k in found)
    warnings.warn(
        f"{file}: found mask bits without names in {file.label(mask)} (HDU {mask}), of which "
        f"{shown} is set on nearly all pixels with light, as of detected sources: it is not used. "
        "If it marks bad pixels, give mask_bits=, the sum of the bits that do.",
        PicassssoWarning,
        stacklevel=9,
    )
    return ~sum(1 << k for k in found)


def _noise_kind(file: ImageFile, found: dict[str, int], band: str) -> str | None:
    """Return the kind of the first noise plane that was ever filled; others are told."""
    negative = None
    for kind in ("std", "var", "ivar", "weight"):
        if kind not in found:
            continue
        if kind == "weight" or file.stated.noise(band):
            return kind
        plane = file.array(found[kind], kind)
        if (plane[middle(plane.shape)] > 0).any() or (plane > 0).any():
            return kind
        if (plane < 0).any() and found.keys() <= {kind, "mask"}:
            negative = kind  # no other: an error, told where it is read
            continue
        warnings.warn(
            f"{file}: found no positive value in {file.label(found[kind])} (HDU {found[kind]}), "
            "expected noise: it is not used.",
            PicassssoWarning,
            stacklevel=6,
        )
    return negative


def _paired(file: ImageFile, hdu: int, band: str) -> tuple[dict[str, int], list[int]]:
    """Return the HDU of each kind of plane that belongs to an image, and those of all masks.

    They belong to it by EXTVER or by name. Planes that may, but are not marked as such, are
    omitted with a warning.
    """
    if hdu_kind(file, hdu) is not None:
        return {}, []
    kinds = {k: _kind_and_image(file, k) for k, axes in enumerate(file.axes) if axes == 2}
    versions = {k: _version(file.headers[k]) for k in kinds}
    own, name = versions[hdu], _name(file, hdu)
    images = [k for k, (kind, _) in kinds.items() if k == hdu or kind is None]
    rivals = [k for k in images if versions[k] == own and _same_size(file, k, hdu)]
    rivals = [k for k in rivals if file.label(k) in _SCIENCE] or rivals
    found: dict[str, int] = {}
    masks: list[int] = []
    unclear: dict[str, int] = {}
    second: list[tuple[str, int]] = []
    for k, (kind, rest) in kinds.items():
        if kind is None or k == hdu:
            continue
        if rest:
            if rest == name:
                # A name goes before a number.
                if kind in found:
                    second.append((kind, found[kind]))
                found[kind] = k
                masks += [k] * (kind == "mask")
        elif versions[k] == own and rivals == [hdu]:
            if kind in found:
                second.append((kind, k))
            found.setdefault(kind, k)
            masks += [k] * (kind == "mask")
        elif (
            versions[k] == own
            or versions[k] not in [versions[i] for i in images]
            or "EXTVER" not in file.headers[k]
        ):
            unclear.setdefault(kind, k)
    for kind, k in second:
        argument = _ARGUMENTS.get(kind)
        if kind == "mask" or argument is None or file.stated.of(argument, band) is not None:
            continue
        warnings.warn(
            f"{file}: found a second plane of the same kind, {file.label(k)} (HDU {k}), beside "
            f"{file.label(found[kind])} (HDU {found[kind]}), which is used; the second is not. "
            f"If it is the right one, give {argument}={k}.",
            PicassssoWarning,
            stacklevel=6,
        )
    for kind, k in unclear.items():
        argument = _ARGUMENTS.get(kind)
        if kind in found or argument is None or file.stated.of(argument, band) is not None:
            continue
        warnings.warn(
            f"{file}: found {file.label(k)} (HDU {k}, EXTVER {versions[k]}) beside the image in "
            f"HDU {hdu} ({file.label(hdu) or 'no name'}, EXTVER {own}), and neither EXTVER "
            "nor its name assigns it to this image: it is not used. If it belongs to it, give "
            f"{argument}={k}.",
            PicassssoWarning,
            stacklevel=6,
        )
    return found, masks


#: Arguments that name a plane of each kind.
_ARGUMENTS = {kind: name for name, kind in NOISE_ARGUMENTS.items()} | {
    "weight": "weight",
    "mask": "mask",
}


def _name(file: ImageFile, hdu: int) -> tuple[str, ...]:
    """Return the name of an image: "SCI_G" and "G" are the same."""
    return tuple(word for word in _words(file.label(hdu)) if word not in _SCIENCE)


def _words(label: str) -> list[str]:
    label = re.sub(rf"^({'|'.join(_SCIENCE)})(?=\d+$)", r"\1 ", label)  # "SCI2"
    return [word for word in re.split(r"[-_. ]+", label) if word]


def hdu_kind(file: ImageFile, hdu: int) -> str | None:
    """Return the content of an HDU that belongs to an image, by UTYPE or else by its name.

    `~astropy.nddata.CCDData` writes UTYPE with an uncertainty. None: an image, as one called
    ERR_G is in a file without an image G or SCI_G.
    """
    kind, image = _kind_and_image(file, hdu)
    others = [k for k, axes in enumerate(file.axes) if axes == 2 and k != hdu] if image else []
    own = any(_name(file, k) == image and _kind_and_image(file, k)[0] is None for k in others)
    return kind if own or not image else None


def _kind_and_image(file: ImageFile, hdu: int) -> tuple[str | None, tuple[str, ...]]:
    kind, rest = _split_name(file.label(hdu))
    number = (re.findall(r"\d+$", file.label(hdu)) if kind and not rest else [])[:1]
    if number and any(_name(file, k) == (number[0],) for k in file.images):
        rest = (number[0],)  # "ERR2" beside "SCI2"
    stated = _UTYPES.get(str(file.headers[hdu].get("UTYPE", "")).strip())
    return (kind, rest) if stated is None else (stated, () if kind is None else rest)


def _split_name(label: str) -> tuple[str | None, tuple[str, ...]]:
    """Return the kind of a plane, and its image: "ERR_G" is the noise of "SCI_G" or "G"."""
    if kind := plane_kind(label):
        return kind, ()
    words = _words(label)
    for k, word in enumerate(words):
        if (kind := plane_kind(word)) in _ARGUMENTS:
            rest = words[:k] + words[k + 1 :]
            return kind, tuple(w for w in rest if w not in _SCIENCE)
    return None, ()


def _version(header: Any) -> int | str:
    """Return EXTVER; 1 if there is none, according to the standard."""
    text = str(header.get("EXTVER", 1)).strip()
    return int(float(text)) if re.fullmatch(r"\d+(\.0*)?", text) else text.upper()


def _same_size(file: ImageFile, one: int, other: int) -> bool:
    keys = ("NAXIS1", "NAXIS2")
    return all(file.headers[one].get(key) == file.headers[other].get(key) for key in keys)


def weight_noise(
    file: ImageFile,
    hdu: int,
    source: ImageFile,
    weight: int,
    unit: u.UnitBase,
    shape: Sequence[int],
    band: str,
) -> NDUncertainty | None:
    """Return weights as inverse variances if they agree with the scatter of the image.

    ``source``, ``weight``: the file and the HDU that hold them.
    """
    if re.match("conf", source.label(weight), re.IGNORECASE):
        return None  # confidence maps are no noise, in whatever units
    ratio, part = None, middle(shape)
    time = _is_time(source, weight)
    found = None if time else source.noise("ivar", weight, unit, shape, band)
    if found is not None:
        ratio = noise_ratio(file.array(hdu)[part], found.array[part])
        if ratio is not None and 1 / NOISE_FACTOR < ratio < NOISE_FACTOR:
            return found
    how = "cannot be measured" if ratio is None else f"is {ratio:.3g} times what they would imply"
    name = source.label(weight) or str(weight)
    where, given = f"HDU {name}", f"weight='{name}'"
    if source is not file:
        where, given = source.path, f"weight='{source.path}'"
    warnings.warn(
        f"{file}: found weights in {where}, which may be inverse variances "
        f"or exposure times; the noise of the image {how}. They are used only to mark pixels "
        f"with data, and the noise has to be measured; if they are inverse variances, give "
        f"{given}.",
        PicassssoWarning,
        stacklevel=9,
    )
    return None


def _is_time(source: ImageFile, weight: int) -> bool:
    """Return whether BUNIT says that weights are exposure times."""
    try:
        unit = parse_unit(source.headers[weight].get("BUNIT", ""), "", "BUNIT")
    except InvalidInputError:
        return False
    return bool(unit.is_equivalent(u.s))


def noise_ratio(values: npt.NDArray[Any], precision: npt.NDArray[Any]) -> float | None:
    """Return the ratio of measured to stated noise; None if it cannot be measured.

    From differences between pixels separated by 8, in units of the stated noise, in the quarter of
    boxes of 16 x 16 pixels with the least light. ``precision``: inverse variances; not positive:
    no data.
    """
    good = np.isfinite(values) & np.isfinite(precision) & (precision > 0)
    with np.errstate(all="ignore"):
        variance = np.where(good, 1.0 / precision, np.nan).astype(float)
    data = np.where(good, values, np.nan).astype(float)
    far, near, curved = (_scatter(data, variance, *how) for how in ((_LAG,), (1,), (1, 2)))
    if min(len(far), len(near), len(curved)) < _MIN_BOXES:
        return None
    measured, near_by, curvature = (float(np.percentile(f, 25)) for f in (far, near, curved))
    # Images without noise, as models are, are smooth from pixel to pixel, but for their digits.
    with np.errstate(all="ignore"):
        digits = 10 * np.finfo(np.float32).eps * np.nanmedian(np.abs(data) / np.sqrt(variance))
    smooth = near_by < 0.15 * measured or (measured < _MODEL and curvature < 0.6 * near_by)
    # In a small image, all boxes may be on the slopes of a galaxy.
    smooth |= len(far) < _SKY_BOXES and curvature < 0.5 * measured
    return None if smooth or not measured > digits else measured


def middle(shape: Sequence[int]) -> tuple[slice, slice]:
    """Return the part of an image that is examined."""
    y, x = (slice(max(0, (n - _SIDE) // 2), (n + _SIDE) // 2) for n in shape)
    return y, x


def _scatter(
    data: npt.NDArray[np.float64], variance: npt.NDArray[np.float64], lag: int, order: int = 1
) -> list[float]:
    """Return the scatter of differences along x in units of the noise, box by box.

    ``order``: 2 for differences of differences.
    """
    difference = data
    for _ in range(order):
        difference = difference[:, lag:] - difference[:, :-lag]
    middle = variance[:, lag:-lag] if order == 2 else 0.0
    difference = difference / np.sqrt(
        variance[:, order * lag :] + 4 * middle + variance[:, : -order * lag]
    )
    found = []
    for y in range(0, difference.shape[0] - _BOX + 1, _BOX):
        for x in range(0, difference.shape[1] - _BOX + 1, _BOX):
            box = difference[y : y + _BOX, x : x + _BOX]
            valid = box[np.isfinite(box)]
            if valid.size > _BOX**2 // 2:
                found.append(1.4826 * float(np.median(np.abs(valid))))
    return found
