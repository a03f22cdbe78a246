"""Blocks tile the image exactly once and start where they must."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from picasssso._core.blocks import choose_core_shape, count_blocks, iterate_blocks
from picasssso.exceptions import InvalidInputError

sides = st.integers(1, 70)


@given(
    shape=st.tuples(sides, sides),
    core_shape=st.tuples(sides, sides),
    halo=st.integers(0, 20),
    stride=st.sampled_from([1, 2, 4, 8]),
)
def test_cores_tile_and_halos_reach(shape, core_shape, halo, stride):
    image = np.arange(shape[0] * shape[1]).reshape(shape)
    seen = np.zeros(shape, int)
    blocks = list(iterate_blocks(shape, core_shape=core_shape, halo=halo, stride=stride))
    assert len(blocks) == count_blocks(shape, core_shape, stride)
    for block in blocks:
        seen[block.core] += 1
        np.testing.assert_array_equal(image[block.padded][block.inner], image[block.core])
        for core, padded, side in zip(block.core, block.padded, shape, strict=True):
            assert padded.start % stride == 0
            assert core.start - padded.start >= min(halo, core.start)
            assert padded.stop - core.stop >= min(halo, side - core.stop)
    assert (seen == 1).all()


@given(
    shape=st.tuples(st.integers(1, 3000), st.integers(1, 3000)),
    halo=st.integers(0, 64),
    stride=st.sampled_from([1, 4, 16]),
    budget=st.floats(1e3, 1e9),
)
def test_padded_blocks_stay_within_the_budget(shape, halo, stride, budget):
    core = choose_core_shape(
        shape, halo=halo, stride=stride, bytes_per_pixel=10, memory_budget=budget
    )
    assert min(core) >= 1
    halo = -(-halo // stride) * stride
    smallest = 3 * max(halo, stride)
    padded = [min(c + 2 * halo, s) for c, s in zip(core, shape, strict=True)]
    assert 10 * padded[0] * padded[1] <= max(budget, 10 * smallest**2)
    assert core == shape or all(
        c % stride == 0 or c == s for c, s in zip(core, shape, strict=True)
    )


@pytest.mark.parametrize(
    "arguments",
    [
        {"core_shape": (0, 4)},
        {"core_shape": (4, 4), "halo": -1},
        {"core_shape": (4, 4), "stride": 0},
    ],
)
def test_impossible_blocks_are_refused(arguments):
    with pytest.raises(InvalidInputError, match="expected cores of at least 1 x 1"):
        list(iterate_blocks((5, 5), **arguments))
