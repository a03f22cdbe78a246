"""Identification of image, noise and mask HDUs in files of no known survey.

Noise planes of a defined kind take precedence: standard deviations (ERR), variances, inverse
variances, and last weights, which are used as inverse variances only if they agree with the
scatter of the image. Planes with the same EXTVER belong together.
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

from picasssso.exceptions import FileFormatError, PicassssoWarning
from picasssso.io.band_planes import BitMask, Mask, Noise
from picasssso.io.image_files import ImageFile
from picasssso.io.keywords import plane_kind
from picasssso.io.stated import NOISE_ARGUMENTS

_SCIENCE = ("SCI", "SCIENCE", "IMAGE", "DATA")
#: Pixels between two that are compared: noise of resampled pixels is correlated over a few.
_LAG = 8
#: Side of the boxes in which noise is measured, and how many there have to be.
_BOX, _MIN_BOXES = 16, 4
#: Side of the middle of the image that is looked at.
_SIDE = 1024
#: Scatter in units of the stated noise below which an image is a model without noise.
_MODEL = 0.02
#: Factor by which noise may be off before a file is doubted.
NOISE_FACTOR = 2.0


def science_hdu(file: ImageFile) -> int:
    """Return the number of the HDU of the image: as given by the user, or the only one."""
    if file.named is not None:
        return file.named
    planes = [k for k, n in enumerate(file.axes) if n == 2 and plane_kind(file.label(k)) is None]
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
    found = _paired(file, hdu, band)
    kind = next((kind for kind in ("std", "var", "ivar", "weight") if kind in found), None)

    def own_noise(shape: Sequence[int], unit: u.UnitBase) -> NDUncertainty | None:
        assert kind is not None
        if kind == "weight":
            return _weight_noise(file, hdu, found[kind], unit, shape, band)
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
        if "mask" in found:
            parts.append(file.bad_pixels(found["mask"], shape, bits if stated is None else stated))
        if kind == "weight":
            parts.append(~(file.array(found[kind], "weight", like=shape) > 0))
        if mask is not None:
            beside = mask(shape, stated) if isinstance(mask, BitMask) else mask(shape)
            parts += [] if beside is None else [beside]
        # A single one stays as it is in the file, memory-mapped if it is large.
        return parts[0] if len(parts) == 1 else np.any([part != 0 for part in parts], axis=0)

    own_mask: Mask | None = mask
    if "mask" in found or isinstance(mask, BitMask):
        own_mask = BitMask(bad)
    elif kind == "weight":
        own_mask = partial(bad, stated=None)
    return {
        "noise": noise or (None if kind is None else own_noise),
        "mask": own_mask,
        "psf": file.array(found["psf"], "PSF") if "psf" in found else None,
    }


def _paired(file: ImageFile, hdu: int, band: str) -> dict[str, int]:
    """Return the HDU of each kind of plane that belongs to an image, by EXTVER or by name.

    Planes that may belong to it, but are not marked as such, are omitted with a warning.
    """
    if plane_kind(file.label(hdu)) is not None:
        return {}
    kinds = {k: _split_name(file.label(k)) for k, axes in enumerate(file.axes) if axes == 2}
    versions = {k: _version(file.headers[k]) for k in kinds}
    own, name = versions[hdu], tuple(w for w in _words(file.label(hdu)) if w not in _SCIENCE)
    images = [k for k, (kind, _) in kinds.items() if k == hdu or kind is None]
    rivals = [k for k in images if versions[k] == own and _same_size(file, k, hdu)]
    rivals = [k for k in rivals if file.label(k) in _SCIENCE] or rivals
    found: dict[str, int] = {}
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
        elif versions[k] == own and rivals == [hdu]:
            if kind in found:
                second.append((kind, k))
            found.setdefault(kind, k)
        elif (
            versions[k] == own
            or versions[k] not in [versions[i] for i in images]
            or "EXTVER" not in file.headers[k]
        ):
            unclear.setdefault(kind, k)
    for kind, k in second:
        argument = _ARGUMENTS.get(kind)
        if argument is None or file.stated.of(argument, band) is not None:
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
    return found


#: Arguments that name a plane of each kind.
_ARGUMENTS = {kind: name for name, kind in NOISE_ARGUMENTS.items()} | {
    "weight": "weight",
    "mask": "mask",
}


def _words(label: str) -> list[str]:
    return [word for word in re.split(r"[-_. ]+", label) if word]


def _split_name(label: str) -> tuple[str | None, tuple[str, ...]]:
    """Return the kind of a plane, and its image: "ERR_G" is the noise of "SCI_G" or "G"."""
    if kind := plane_kind(label):
        return kind, ()
    words = _words(label)
    for k, word in enumerate(words):
        if (kind := plane_kind(word)) in _ARGUMENTS:
            return kind, tuple(words[:k] + words[k + 1 :])
    return None, ()


def _version(header: Any) -> int | str:
    """Return EXTVER; 1 if there is none, according to the standard."""
    text = str(header.get("EXTVER", 1)).strip()
    return int(float(text)) if re.fullmatch(r"\d+(\.0*)?", text) else text.upper()


def _same_size(file: ImageFile, one: int, other: int) -> bool:
    keys = ("NAXIS1", "NAXIS2")
    return all(file.headers[one].get(key) == file.headers[other].get(key) for key in keys)


def _weight_noise(
    file: ImageFile, hdu: int, weight: int, unit: u.UnitBase, shape: Sequence[int], band: str
) -> NDUncertainty | None:
    """Return weights as inverse variances if they agree with the scatter of the image."""
    found = file.noise("ivar", weight, unit, shape, band)
    part = middle(shape)
    ratio = noise_ratio(file.array(hdu)[part], found.array[part])
    if ratio is not None and 1 / NOISE_FACTOR < ratio < NOISE_FACTOR:
        return found
    how = "cannot be measured" if ratio is None else f"is {ratio:.3g} times what they would imply"
    warnings.warn(
        f"{file}: found weights in HDU {file.label(weight)}, which may be inverse variances "
        f"or exposure times; the noise of the image {how}. They are used only to mark pixels "
        "with data, and the noise has to be measured; if they are inverse variances, give "
        f"weight='{file.label(weight)}'.",
        PicassssoWarning,
        stacklevel=9,
    )
    return None


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
    far, near = (_scatter(data, variance, lag) for lag in (_LAG, 1))
    if min(len(far), len(near)) < _MIN_BOXES:
        return None
    measured = float(np.percentile(far, 25))
    # Images without noise, as models are, are smooth from pixel to pixel, or far below it.
    model = measured < _MODEL or np.percentile(near, 25) < 0.15 * measured
    return None if model else measured


def middle(shape: Sequence[int]) -> tuple[slice, slice]:
    """Return the part of an image that is examined."""
    y, x = (slice(max(0, (n - _SIDE) // 2), (n + _SIDE) // 2) for n in shape)
    return y, x


def _scatter(
    data: npt.NDArray[np.float64], variance: npt.NDArray[np.float64], lag: int
) -> list[float]:
    """Return the scatter of differences along x in units of the noise, box by box."""
    difference = (data[:, lag:] - data[:, :-lag]) / np.sqrt(variance[:, lag:] + variance[:, :-lag])
    found = []
    for y in range(0, difference.shape[0] - _BOX + 1, _BOX):
        for x in range(0, difference.shape[1] - _BOX + 1, _BOX):
            box = difference[y : y + _BOX, x : x + _BOX]
            valid = box[np.isfinite(box)]
            if valid.size > _BOX**2 // 2:
                found.append(1.4826 * float(np.median(np.abs(valid))))
    return found
