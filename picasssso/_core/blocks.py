"""Cutting an image into blocks whose results, put together, equal the whole.

One iterator serves estimation and image preparation. A block has a *core*, which it
alone answers for, and a *halo* around it, which it may look at. Cores tile the image
without overlap. Blocks start on multiples of ``stride`` so that an operation which is
shift-equivariant only on a coarser grid (a U-Net) gives what it gives on the whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from picasssso.exceptions import InvalidInputError

Slices = tuple[slice, slice]


@dataclass(frozen=True)
class Block:
    """One block: slices (y, x) of its ``core``, and of the core with its halo, ``padded``."""

    core: Slices
    padded: Slices
    inner: Slices


def _round_up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple


def _intervals(length: int, core: int, halo: int) -> list[tuple[slice, slice, slice]]:
    """Cut one axis: (core, padded, inner) slices."""
    pieces = []
    for start in range(0, length, core):
        stop = min(start + core, length)
        low, high = max(start - halo, 0), min(stop + halo, length)
        pieces.append((slice(start, stop), slice(low, high), slice(start - low, stop - low)))
    return pieces


def iterate_blocks(
    shape: tuple[int, int], *, core_shape: tuple[int, int], halo: int = 0, stride: int = 1
) -> Iterator[Block]:
    """Yield the blocks of an image, row by row; cores are rounded up to ``stride``."""
    if stride < 1 or halo < 0 or min(core_shape) < 1:
        raise InvalidInputError(
            f"Cannot cut blocks with core_shape={core_shape}, halo={halo}, stride={stride}: "
            "expected cores of at least 1 x 1, a halo of at least 0 and a stride of at least 1."
        )
    halo = _round_up(halo, stride)
    height, width = (_round_up(side, stride) for side in core_shape)
    columns = _intervals(shape[1], width, halo)
    for y_core, y_padded, y_inner in _intervals(shape[0], height, halo):
        for x_core, x_padded, x_inner in columns:
            yield Block((y_core, x_core), (y_padded, x_padded), (y_inner, x_inner))


def count_blocks(shape: tuple[int, int], core_shape: tuple[int, int], stride: int = 1) -> int:
    """Return how many blocks `iterate_blocks` yields."""
    height, width = (_round_up(side, stride) for side in core_shape)
    return -(-shape[0] // height) * -(-shape[1] // width)


def choose_core_shape(
    shape: tuple[int, int], *, halo: int, stride: int, bytes_per_pixel: float, memory_budget: float
) -> tuple[int, int]:
    """Return the largest core for which a padded block stays within the memory budget.

    Full rows are preferred while the halo is small beside them, since reading rows is
    what files are good at; otherwise cores are square, since that wastes the least halo.
    """
    halo = _round_up(halo, stride)
    pixels = memory_budget / bytes_per_pixel
    if shape[0] * shape[1] <= pixels:
        return shape
    rows = int(pixels // shape[1]) - 2 * halo
    if rows >= max(stride, 4 * halo):
        return rows // stride * stride, shape[1]
    # A budget too small for halo and core is overrun rather than refused: the smallest
    # block that makes any headway has a core as wide as its halo.
    side = max(int(pixels**0.5) - 2 * halo, halo, stride)
    side = side // stride * stride
    return min(side, _round_up(shape[0], stride)), min(side, _round_up(shape[1], stride))
