"""From blocks of images to the slots of the networks, with a border where they are small."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from picasssso.estimators.context import EstimationContext
from picasssso.exceptions import InvalidInputError, MissingBandError
from picasssso.maps.arrays import PropertyArrays
from picasssso.networks.conformal import ConformalCalibration
from picasssso.networks.detection import NEIGHBORS
from picasssso.networks.inputs import SLOTS, Conditions, slot_of
from picasssso.networks.morphology import STRUCTURES, measure_structure, whole_light
from picasssso.networks.training_range import structure_outside, whole_colors_outside

if TYPE_CHECKING:
    from picasssso.bands import BandImages

FloatArray = npt.NDArray[np.floating]


@dataclass(frozen=True)
class NetworkInput:
    """Images in slots and their median noise, nmgy per pixel: 0, and NaN, where there are none."""

    flux: torch.Tensor
    inverse_variance: torch.Tensor
    conditions: Conditions
    has_band: torch.Tensor
    noise: torch.Tensor
    inflation: torch.Tensor


def select_slots(available: Sequence[str]) -> tuple[str, ...]:
    """Return the bands that have a slot."""
    found: dict[int, str] = {}
    for band in available:
        slot = slot_of(band)
        if slot is None:
            continue
        if slot in found:
            raise InvalidInputError(
                f"CNNEstimator takes one image each of u, g, r, i and z, but {found[slot]} and "
                f"{band} are both {SLOTS[slot]!r}: choose one, images.select([...])."
            )
        found[slot] = band
    if not found:
        raise MissingBandError(
            "CNNEstimator needs at least one band of 'u', 'g', 'r', 'i', 'z', of any survey; the "
            f"images have {', '.join(available) or 'none'}."
        )
    return tuple(found[slot] for slot in sorted(found))


def wavelength(band: str) -> float:
    """Return the pivot wavelength of a filter in AA."""
    from picasssso.filters.curves import pivot_wavelength

    return float(pivot_wavelength(band).to_value("AA"))


#: How many numbers say what images look like as a whole.
N_WHOLE = len(STRUCTURES) + len(SLOTS)

#: What images look like is measured on the pixels around their middle, up to so many a side.
_LARGEST_LOOK = 512


def middle_planes(images: BandImages) -> tuple[FloatArray, FloatArray]:
    """Return flux and inverse variance, (band, y, x), of what is looked at."""
    sizes = [min(length, _LARGEST_LOOK) for length in images.shape]
    starts = [(length - size) // 2 for length, size in zip(images.shape, sizes, strict=True)]
    rows, columns = (slice(k, k + size) for k, size in zip(starts, sizes, strict=True))
    return images.to_arrays((rows, columns))


def image_structure(images: BandImages, context: EstimationContext) -> tuple[float, ...]:
    """Measure how images look as a whole.

    Returns as `picasssso.networks.morphology.measure_structure` gives them, of at most 512 x 512
    pixels around the middle, the frame being that of the whole image; then the five of
    `picasssso.networks.morphology.whole_light`.
    """
    slots = [slot for band in context.bands if (slot := slot_of(band)) is not None]
    flux, weight = middle_planes(images)
    planes = np.zeros((2, 1, len(SLOTS), *flux.shape[1:]), np.float32)
    planes[0, 0, slots], planes[1, 0, slots] = flux, weight
    both = torch.from_numpy(planes)
    with torch.inference_mode():
        found = measure_structure(both[0], both[1])[0].tolist()
        found[STRUCTURES.index("frame")] = math.log10(min(images.shape))
        light = whole_light(both[0], both[1])[0].tolist()
    return (*found, *light)


def unlike_training(context: EstimationContext, calibration: ConformalCalibration) -> list[str]:
    """Return how an image, as a whole, is unlike those of the training set."""
    if not context.statistics:
        return []
    found = torch.tensor([context.statistics])
    looks, whole = found[:, : len(STRUCTURES)], found[:, len(STRUCTURES) : N_WHOLE]
    flags = structure_outside(looks, calibration.structure)[0].tolist()
    names = [name for name, flag in zip(STRUCTURES, flags, strict=True) if flag]
    strange = whole_colors_outside(
        whole,
        torch.tensor([context.redshift]),
        calibration.whole_colors,
        calibration.whole_color_limits,
    )
    return [*names, "colors"] if bool(strange) else names


def make_input(
    flux: Sequence[FloatArray],
    inverse_variance: Sequence[FloatArray],
    contexts: Sequence[EstimationContext],
    *,
    sharp: bool,
    device: str = "cpu",
) -> NetworkInput:
    """Put blocks of one shape into slots."""
    n, shape = len(flux), flux[0].shape[1:]
    planes = np.zeros((2, n, len(SLOTS), *shape), np.float32)
    widths, wavelengths = np.ones((2, n, len(SLOTS)), np.float32)
    noise = np.full((n, len(SLOTS)), np.nan, np.float32)
    for k, context in enumerate(contexts):
        slots = [slot for band in context.bands if (slot := slot_of(band)) is not None]
        planes[0, k, slots], planes[1, k, slots] = flux[k], inverse_variance[k]
        widths[k, slots] = context.psf_fwhm_arcsec
        wavelengths[k, slots] = [wavelength(band) for band in context.bands]
        # A band that is bad in the whole image counts as missing, as it did in training. Its
        # noise level tells so, of the whole image also where this is only a block of it.
        noise[k, slots] = context.noise_level

    def column(values: list[float]) -> torch.Tensor:
        return torch.tensor(values, dtype=torch.float32, device=device)

    # Checked at the door: without a distance one does not come this far.
    kpc = [c.pixel_scale_kpc for c in contexts if c.pixel_scale_kpc is not None]
    conditions = Conditions(
        redshift=column([context.redshift for context in contexts]),
        pixel_scale=column([context.pixel_scale_arcsec for context in contexts]),
        pixel_scale_kpc=column(kpc),
        psf_fwhm=torch.from_numpy(widths).to(device),
        wavelength=torch.from_numpy(wavelengths).to(device),
        sharp=column([float(sharp)] * n),
    )
    scalings = [context.noise_scaling for context in contexts]
    inflation = [1.0 if scaling is None else float(scaling(NEIGHBORS)) for scaling in scalings]
    both = torch.from_numpy(planes).to(device)
    has_band = torch.from_numpy(np.isfinite(noise)).to(device)
    return NetworkInput(
        both[0],
        both[1],
        conditions,
        has_band,
        torch.from_numpy(noise).to(device),
        column(inflation),
    )


#: A border for each axis, in pixels: before and after.
Frame = tuple[tuple[int, int], tuple[int, int]]

#: Sides of the images that networks are trained on, in pixels.
_SIDE = 64
#
# A network that has only seen frames of 64 pixels takes a smaller image for another scene, in
# which faint galaxies lose most of their mass. With pixels around that hold no data, of which
# every training image has some, it is the same scene, of which less is seen.


def frame_of(shape: Sequence[int], stride: int) -> Frame:
    """Return the border of images of a shape (y, x): none from 64 pixels a side on.

    Before the image it is a multiple of the stride, so that pixels keep their place in the
    groups that a network merges.
    """
    missing = [max(_SIDE - length, 0) for length in shape]
    before = [count // 2 // stride * stride for count in missing]
    (top, left), (bottom, right) = before, np.subtract(missing, before).tolist()
    return (top, bottom), (left, right)


def in_frame(planes: Sequence[FloatArray], frame: Frame) -> Sequence[FloatArray]:
    """Return images (bands, y, x) with a border of zeros."""
    if not any(sum(border) for border in frame):
        return planes
    return [np.pad(one, ((0, 0), *frame)) for one in planes]


def cut_frame(arrays: dict[str, PropertyArrays], frame: Frame) -> dict[str, PropertyArrays]:
    """Return arrays without the border."""
    if not any(sum(border) for border in frame):
        return arrays
    window = (..., *(slice(before, -after or None) for before, after in frame))
    return {name: one._mapped(lambda plane: plane[window]) for name, one in arrays.items()}
