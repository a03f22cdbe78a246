"""Blocks of large fields, and where their images lie."""

import numpy as np
import pytest

from picasssso.exceptions import FileFormatError
from picasssso.preparation.storage import allocate, blocks_of


@pytest.mark.parametrize("shape", [(1000, 10_000), (2000, 10_000), (10_000, 1500), (4000, 4000)])
def test_blocks_cover_everything_in_the_same_memory(shape):
    seen = np.zeros(shape, np.uint8)
    largest = 0
    for block in blocks_of(shape, halo=100, bytes_per_pixel=100, memory_budget=2e8):
        seen[block.core] += 1
        largest = max(largest, seen[block.padded].size)
    assert (seen == 1).all()
    # Flat or square, a block takes what it may, and not more.
    assert 1.5e6 < largest <= 2e6


def test_small_images_are_one_block():
    (block,) = blocks_of((300, 200), halo=50)
    assert block.core == block.padded == (slice(0, 300), slice(0, 200))


def test_arrays_in_files_without_names(tmp_path):
    array = allocate((4, 5), np.float32, tmp_path)
    array[2] = 3
    assert isinstance(array, np.memmap)
    assert array.sum() == 15
    assert not list(tmp_path.iterdir())
    assert not isinstance(allocate((2, 2), bool, None), np.memmap)
    with pytest.raises(FileFormatError, match="folder"):
        allocate((2, 2), bool, tmp_path / "nowhere")
