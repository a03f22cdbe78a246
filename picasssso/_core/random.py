"""Random numbers that depend on what they are for, and not on when they are drawn.

Every number is a hash of a seed and of what it belongs to: of galaxy and name (`Stream`), of
pixel, sample and use (`uniform_numbers`), or of place, band and draw (`pixel_normals`).
Galaxy k of seed s is therefore the same whatever the batch, the worker or the order, and
an added parameter, having a name of its own, changes no other. The hash is integer
arithmetic, so the CPU and CUDA draw the same bits; floating-point functions of them
agree to rounding.

The hash is the finalizer of SplitMix64 (Steele, Lea & Flood 2014, OOPSLA, 453,
doi:10.1145/2660193.2660195); that of `pixel_normals` is numpy's Philox.
"""

from __future__ import annotations

import math
import zlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def _signed(value: int) -> int:
    """Return the 64-bit two's complement of an integer, which is what torch holds."""
    value &= (1 << 64) - 1
    return value - (1 << 64) if value >= 1 << 63 else value


_GOLDEN = _signed(0x9E3779B97F4A7C15)
_FIRST = _signed(0xBF58476D1CE4E5B9)
_SECOND = _signed(0x94D049BB133111EB)


def _shift(bits: torch.Tensor, by: int) -> torch.Tensor:
    # torch shifts signed integers arithmetically: the copies of the sign are cut off.
    return (bits >> by).bitwise_and_((1 << (64 - by)) - 1)


def _mix(bits: torch.Tensor) -> torch.Tensor:
    bits = bits + _GOLDEN
    bits = bits.bitwise_xor_(_shift(bits, 30)).mul_(_FIRST)
    bits = bits.bitwise_xor_(_shift(bits, 27)).mul_(_SECOND)
    return bits.bitwise_xor_(_shift(bits, 31))


def _mix_numpy(bits: np.ndarray) -> np.ndarray:
    """Do what `_mix` does, on arrays of uint64, which for few numbers is quicker."""
    bits = bits + np.uint64(0x9E3779B97F4A7C15)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))


class Stream:
    """Random numbers for some galaxies of a seed, by their numbers of shape (n,)."""

    def __init__(
        self, seed: int, index: np.ndarray | torch.Tensor, device: torch.device | str = "cpu"
    ) -> None:
        import torch

        self.seed = int(seed)
        self.index = torch.as_tensor(index, dtype=torch.int64)
        self.device = torch.device(device)
        self._mixed = _mix_numpy(self.index.cpu().numpy().astype(np.uint64))

    def _keys(self, name: str) -> np.ndarray:
        start = self.seed * 0x632BE59BD9B4E019 + zlib.crc32(name.encode()) * 0x9E3779B1
        return _mix_numpy(_mix_numpy(np.array([start % (1 << 64)], np.uint64)) ^ self._mixed)

    def _bits(self, name: str, count: int) -> torch.Tensor:
        import torch

        counter = torch.arange(count, device=self.device) * _GOLDEN
        keys = torch.from_numpy(self._keys(name).view(np.int64)).to(self.device)
        return _mix(keys[:, None] + counter)

    def uniform(self, name: str, count: int | None = None) -> np.ndarray:
        """Return numbers in (0, 1), of shape (n,) or (n, count), float64, on the CPU."""
        counter = np.arange(count or 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        bits = _mix_numpy(self._keys(name)[:, None] + counter)
        # 52 bits, so that adding a half is exact and neither 0 nor 1 can come.
        values = ((bits >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52
        return values if count is not None else values[:, 0]

    def normal(self, name: str, count: int | None = None) -> np.ndarray:
        """Return standard normal numbers, of shape (n,) or (n, count), float64, on the CPU."""
        import torch

        return torch.special.ndtri(torch.from_numpy(self.uniform(name, count))).numpy()

    def uniform_field(self, name: str, shape: tuple[int, ...]) -> torch.Tensor:
        """Return numbers in (0, 1) on the device, of shape (n, ...), float32."""
        bits = _shift(self._bits(name, math.prod(shape)), 41)
        return bits.float().add_(0.5).mul_(2.0**-23).reshape(-1, *shape)

    def normal_field(self, name: str, shape: tuple[int, ...]) -> torch.Tensor:
        """Return standard normal numbers on the device, of shape (n, ...), float32."""
        import torch

        count = math.prod(shape)
        half = (count + 1) // 2
        # Box & Muller's two numbers from the two halves of the bits of one hash.
        bits = self._bits(name, half)
        radius = _shift(bits, 41).float().add_(0.5).mul_(2.0**-23)
        radius = radius.log_().mul_(-2.0).sqrt_()
        angle = bits.bitwise_and_((1 << 24) - 1).float().mul_(2.0 * math.pi * 2.0**-24)
        both = torch.cat([torch.cos(angle) * radius, torch.sin(angle) * radius], dim=1)
        return both[:, :count].reshape(-1, *shape)


def uniform_numbers(seed: int, pixel: torch.Tensor, n_samples: int, use: int) -> torch.Tensor:
    """Return numbers between 0 and 1 of the samples of pixels, (n_pixel, n_samples), float64."""
    import torch

    key = _mix(torch.tensor([_signed(seed)], device=pixel.device))
    key = _mix(key ^ pixel)[:, None]
    key = _mix(key ^ torch.arange(n_samples, device=pixel.device))
    return (_shift(_mix(key ^ use), 11).double() + 0.5) * 2.0**-53


#: Philox gives four 64-bit words for each count; no band has the second number.
_WORDS, _NO_BAND = 4, 2**32


def _normals(words: np.ndarray) -> np.ndarray:
    """Turn random words into standard normal numbers, one for one."""
    from scipy.special import ndtri

    # The upper 53 bits, at the middle of their interval: never 0 or 1.
    return ndtri(((words >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53)


def pixel_normals(
    shape: tuple[int, int], origin: tuple[int, int], *, seed: int, draw: int, band: int
) -> np.ndarray:
    """Return standard normal numbers of the pixels of a block, whatever the block."""
    first, skip = divmod(origin[1], _WORDS)
    words = np.empty(shape, np.uint64)
    for row in range(shape[0]):
        counter = np.array([first, origin[0] + row, band, draw], np.uint64)
        generator = np.random.Philox(key=seed, counter=counter)
        words[row] = generator.random_raw(skip + shape[1])[skip:]
    return _normals(words)


def shared_normal(*, seed: int, draw: int) -> float:
    """Return the standard normal number that all pixels of a draw share."""
    counter = np.array([0, 0, _NO_BAND, draw], np.uint64)
    return float(_normals(np.random.Philox(key=seed, counter=counter).random_raw(1))[0])
