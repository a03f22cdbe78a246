"""A border without data around images smaller than those of the training set.

A network that has only seen frames of 64 pixels takes a smaller one for another scene, in which
faint galaxies lose most of their mass. With pixels around that hold no data, of which
every training image has some, it is the same scene, of which less is seen.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from picasssso.maps.arrays import PropertyArrays

FloatArray = npt.NDArray[np.floating]

#: A border for each axis, in pixels: before and after.
Frame = tuple[tuple[int, int], tuple[int, int]]

#: Sides of the images that networks are trained on, in pixels.
_SIDE = 64


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

    def cut(plane: npt.NDArray | None) -> npt.NDArray | None:
        return None if plane is None else plane[window]

    return {
        name: PropertyArrays(
            one.percentiles[window],
            mean=cut(one.mean),
            samples=cut(one.samples),
            quality=cut(one.quality),
            shared=cut(one.shared),
        )
        for name, one in arrays.items()
    }
