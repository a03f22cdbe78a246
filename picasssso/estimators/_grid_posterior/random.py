"""Random numbers that depend on what they are for, not on when they are drawn.

A counter-based generator: the number for (seed, pixel, sample, use) is a hash of those
four, so it is the same in any chunk, order, thread or device.
"""

from __future__ import annotations

import torch

# SplitMix64 (Steele, Lea & Flood 2014, OOPSLA, doi:10.1145/2660193.2660195): the golden
# ratio and the finalizer's multipliers, as signed 64-bit integers.
_GOLDEN = 0x9E3779B97F4A7C15 - 2**64
_FIRST = 0xBF58476D1CE4E5B9 - 2**64
_SECOND = 0x94D049BB133111EB - 2**64


def _shift(number: torch.Tensor, bits: int) -> torch.Tensor:
    """Shift right without the sign."""
    return (number >> bits) & ((1 << (64 - bits)) - 1)


def _mix(number: torch.Tensor) -> torch.Tensor:
    """Return the finalizer of SplitMix64, a bijection whose every bit depends on all."""
    number = (number ^ _shift(number, 30)) * _FIRST
    number = (number ^ _shift(number, 27)) * _SECOND
    return number ^ _shift(number, 31)


def uniform_numbers(seed: int, pixel: torch.Tensor, n_samples: int, use: int) -> torch.Tensor:
    """Return uniform random numbers.

    ``pixel``: numbers of the pixels; ``n_samples``: samples per pixel.

    Examples
    --------
    >>> import torch
    >>> pixels = torch.arange(3)
    >>> few, many = (uniform_numbers(1, pixels, n, 0) for n in (2, 4))
    >>> torch.equal(few, many[:, :2])
    True
    """
    start = (seed + 2**63) % 2**64 - 2**63
    key = _mix(torch.tensor([start], dtype=torch.int64, device=pixel.device) + _GOLDEN)
    key = _mix((key ^ pixel) + _GOLDEN)[:, None]
    sample = torch.arange(n_samples, dtype=torch.int64, device=pixel.device)
    key = _mix((key ^ sample) + _GOLDEN)
    key = _mix((key ^ use) + _GOLDEN)
    return (_shift(key, 11).double() + 0.5) * 2.0**-53
