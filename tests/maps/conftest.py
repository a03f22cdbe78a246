"""Maps to test with: small, with known answers."""

import astropy.units as u
import numpy as np
import pytest

from picasssso.maps import PropertyMaps
from picasssso.maps.arrays import PropertyArrays

#: Standard normal deviates of the stored percentiles.
NORMAL_LADDER = np.array([-1.959964, -0.994458, 0.0, 0.994458, 1.959964])[:, None, None]


@pytest.fixture(scope="session")
def normal_arrays():
    """Make the arrays of a normal posterior: ``normal_arrays(mean, sigma, dtype=...)``."""

    def make(mean, sigma, *, with_mean=True, dtype=np.float64, samples=None, quality=None):
        mean = np.asarray(mean, dtype=dtype)
        percentiles = (mean + NORMAL_LADDER * np.broadcast_to(sigma, mean.shape)).astype(dtype)
        return PropertyArrays(percentiles, mean if with_mean else None, samples, quality)

    return make


@pytest.fixture(scope="session")
def make_maps(normal_arrays, make_wcs):
    """Make maps of mass, star formation rate and age of a small galaxy with a hole."""

    def make(shape=(20, 24), *, dtype=np.float32, **options):
        y, x = np.indices(shape)
        r = np.hypot(y - 0.45 * shape[0], (x - 0.5 * shape[1]) / 1.3)
        mass = 1e9 * np.exp(-r / 4)
        quality = np.zeros(shape, dtype=np.int32)
        quality[2:4, 3:5] = 1
        age = normal_arrays(3 + 0.2 * r, 0.5, with_mean=False, dtype=dtype)
        if min(shape) > 4:
            age.percentiles[:, -1, -2:] = np.nan
        arrays = {
            "stellar_mass": normal_arrays(mass, 0.1 * mass + 1e6, dtype=dtype),
            "sfr": normal_arrays(mass * 1e-10, 0.01 + 0 * mass, dtype=dtype),
            "stellar_age": age,
        }
        defaults = {"quality": quality, "redshift": 0.02, "luminosity_distance": 90 * u.Mpc}
        if "pixel_solid_angle" not in options:
            defaults["wcs"] = make_wcs(angle=30)
        return PropertyMaps(arrays, **(defaults | options))

    return make


@pytest.fixture
def maps(make_maps):
    """Maps of mass, star formation rate and age, 20 x 24 pixels."""
    return make_maps()
