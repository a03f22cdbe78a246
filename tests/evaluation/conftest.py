"""Galaxies to evaluate on, with known answers."""

import numpy as np
import pytest


def make_disks(n=12, side=64, seed=5, noise=0.0):
    """Exponential disks of known center, shape and size: (maps, parameters)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    middle = (side - 1) / 2
    found = {
        "x": middle + rng.uniform(-1.5, 1.5, n),
        "y": middle + rng.uniform(-1.5, 1.5, n),
        "axis_ratio": rng.uniform(0.35, 0.85, n),
        "angle": rng.uniform(0.0, np.pi, n),
        "half_mass_radius": rng.uniform(0.09, 0.13, n) * side,
    }
    maps = []
    for k in range(n):
        dx, dy = x - found["x"][k], y - found["y"][k]
        cosine, sine = np.cos(found["angle"][k]), np.sin(found["angle"][k])
        across = (dy * cosine - dx * sine) / found["axis_ratio"][k]
        radius = np.hypot(dx * cosine + dy * sine, across)
        # Half of an exponential disk's mass is inside 1.678 scale lengths.
        maps.append(1e9 * np.exp(-1.678 * radius / found["half_mass_radius"][k]))
    maps = np.array(maps) * 10 ** rng.normal(0, noise, (n, side, side))
    return maps, found


@pytest.fixture(scope="session")
def large_disks():
    """Six exponential disks of 192 pixels and what they are."""
    return make_disks(n=6, side=192)


@pytest.fixture(scope="session")
def disks():
    """Twelve exponential disks of 64 pixels and what they are."""
    return make_disks()
