"""The figures of Buck & Wolf (2021, arXiv:2111.01154) that ours stand beside.

Scatter (sigma) and *our* bias, log10(predicted / true), which is minus the paper's mu, of
sums inside 2 half-mass radii, in dex; with the oracle mask, on Illustris-1 galaxies. For
"metallicity" the paper has metal masses.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

#: The columns of the paper's table.
PAPER_PROPERTIES = (
    "stellar_mass",
    "stellar_metal_mass",
    "stellar_age",
    "gas_mass",
    "gas_metal_mass",
    "sfr",
)

_TABLE = {
    "ugriz": (0.090, 0.103, 0.143, 0.158, 0.086, 0.028, 0.128, 0.069, 0.195, 0.100, 0.220, 0.082),
    "ugri": (0.163, 0.031, 0.219, 0.127, 0.165, 0.089, 0.150, 0.046, 0.227, 0.097, 0.271, 0.070),
    "gr": (0.111, 0.069, 0.183, 0.135, 0.115, 0.063, 0.132, 0.058, 0.187, 0.101, 0.247, 0.121),
    "r": (0.152, 0.081, 0.220, 0.158, 0.125, 0.063, 0.154, 0.050, 0.212, 0.108, 0.245, 0.114),
    "128 px": (
        0.196, 0.194, 0.174, 0.146, 0.162, -0.118, 0.743, 1.243, 0.554, 0.926, 0.141, 0.244,
    ),
    "64 px": (
        0.204, 0.131, 0.203, 0.100, 0.166, -0.090, 0.783, 1.039, 0.591, 0.777, 0.146, 0.235,
    ),
    "16 px": (
        0.363, 0.126, 0.362, 0.138, 0.284, -0.045, 0.856, 0.771, 0.630, 0.578, 0.093, 0.102,
    ),
    "10000 pairs": (
        0.103, 0.089, 0.151, 0.132, 0.089, 0.007, 0.112, 0.080, 0.182, 0.123, 0.221, 0.115,
    ),
    "5000 pairs": (
        0.085, 0.080, 0.130, 0.113, 0.085, 0.018, 0.121, 0.082, 0.190, 0.113, 0.230, 0.087,
    ),
    "2500 pairs": (
        0.096, 0.100, 0.152, 0.159, 0.093, 0.033, 0.114, 0.066, 0.181, 0.102, 0.232, 0.093,
    ),
    "1500 pairs": (
        0.087, 0.098, 0.132, 0.153, 0.085, 0.033, 0.104, 0.069, 0.171, 0.110, 0.213, 0.102,
    ),
}  # fmt: skip

#: By run and property: ``sigma`` and ``mean``.
PAPER: Mapping[str, Mapping[str, Mapping[str, float]]] = MappingProxyType(
    {
        run: {
            name: {"sigma": numbers[2 * k], "mean": -numbers[2 * k + 1]}
            for k, name in enumerate(PAPER_PROPERTIES)
        }
        for run, numbers in _TABLE.items()
    }
)
