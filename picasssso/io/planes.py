"""Which HDUs of a file are image, noise and mask, where no survey defines it.

A plane of noise whose kind is defined goes before one that may mean anything: standard
deviations (ERR), variances, inverse variances, and last weights, which are taken as inverse
variances only if the scatter of the image says so. Planes of one EXTVER belong together.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import astropy.units as u
import numpy as np
import numpy.typing as npt
from astropy.nddata import NDUncertainty

from picasssso.exceptions import FileFormatError, PicassssoWarning
from picasssso.io.image_files import ImageFile, Mask, Noise
from picasssso.io.keywords import plane_kind

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
    """Return the number of the HDU of the image: as the user said, or the only one."""
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


def companion_planes(file: ImageFile, hdu: int) -> tuple[Noise, Mask]:
    """Return what reads the noise and the mask that go with an image."""
    version = file.headers[hdu].get("EXTVER", 1)
    found: dict[str, int] = {}
    for k, axes in enumerate(file.axes):
        kind = plane_kind(file.label(k))
        if axes == 2 and kind and k != hdu and file.headers[k].get("EXTVER", 1) == version:
            found.setdefault(kind, k)

    def noise(shape: Sequence[int], unit: u.UnitBase) -> NDUncertainty | None:
        kind = next((kind for kind in ("std", "var", "ivar") if kind in found), None)
        if kind is not None:
            if file.headers[found[kind]].get("UTYPE") != "UnknownUncertainty":
                return file.noise(kind, found[kind], unit, shape)
            warnings.warn(
                f"{file}: found an uncertainty of unknown kind (UTYPE), which is not used. "
                "Say what it is, with uncertainty=, variance= or weight=.",
                PicassssoWarning,
                stacklevel=8,
            )
        elif "weight" in found:
            return _weight_noise(file, hdu, found["weight"], unit, shape)
        return None

    def mask(shape: Sequence[int]) -> npt.NDArray[Any] | None:
        bad = file.bad_pixels(found["mask"], shape) if "mask" in found else None
        if "weight" in found and not {"std", "var", "ivar"} & set(found):
            nothing = ~(file.array(found["weight"], "weight", like=shape) > 0)
            return nothing if bad is None else (bad != 0) | nothing
        return bad

    return noise, mask


def _weight_noise(
    file: ImageFile, hdu: int, weight: int, unit: u.UnitBase, shape: Sequence[int]
) -> NDUncertainty | None:
    """Return weights as inverse variances if the image's scatter says that they are."""
    found = file.noise("ivar", weight, unit, shape)
    part = middle(shape)
    ratio = noise_ratio(file.array(hdu)[part], found.array[part])
    if ratio is not None and 1 / NOISE_FACTOR < ratio < NOISE_FACTOR:
        return found
    how = "cannot be told" if ratio is None else f"is {ratio:.3g} times what they would mean"
    warnings.warn(
        f"{file}: found weights in HDU {file.label(weight)}, which may be inverse variances "
        f"or exposure times; the noise of the image {how}. They are used for which pixels have "
        "data, and the noise is left to be measured; say weight='"
        f"{file.label(weight)}' if they are inverse variances.",
        PicassssoWarning,
        stacklevel=9,
    )
    return None


def noise_ratio(values: npt.NDArray[Any], precision: npt.NDArray[Any]) -> float | None:
    """Return measured over stated noise; None where it cannot be told.

    From differences between pixels 8 apart, in units of what is stated, in the emptiest quarter
    of boxes of 16 x 16 pixels. ``precision``: inverse variances; not positive: no data.
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
    """Return the part of an image that is looked at."""
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
