"""
Fine-tuning the network on known maps
=====================================

Suppose maps of some galaxies are known, for example from an IFU survey, for a Salpeter initial
mass function: masses are larger by 0.24 dex than those of this package. A few training steps teach
the network that definition. Mock galaxies represent the survey.
"""

import numpy as np

from picasssso import CNNEstimator, PropertyMaps
from picasssso.maps import PropertyArrays
from picasssso.mocks import MockGenerator

SALPETER = 0.24  # dex
mocks = MockGenerator(seed=9, survey="sdss", n_pixels=64, redshift=0.04).draw(range(12))


def known_maps(k):
    """Return the map of the survey, which contains only stellar mass."""
    maps = mocks.to_property_maps(k, at_psf=True)
    mass = maps["stellar_mass"].data * 10**SALPETER
    planes = {"stellar_mass": PropertyArrays.from_normal(mass, 0.01 * mass)}
    return PropertyMaps(
        planes,
        quality=None,
        pixel_solid_angle=maps.pixel_solid_angle,
        redshift=maps.redshift,
        luminosity_distance=maps.luminosity_distance,
    )


pairs = [(mocks.to_band_images(k), known_maps(k)) for k in range(12)]
train, test = pairs[:8], pairs[8:]


def masses(estimator):
    """Return log total masses of galaxies that were not trained on."""
    found = estimator.estimate_many([images for images, _ in test], progress=False)
    return np.log10([maps.total("stellar_mass").value.value for maps in found])


# %%
# The change of the estimates for other galaxies. Real applications need hundreds of galaxies,
# thousands of steps, and galaxies for the calibration (``calibrate_on``). Otherwise a warning may
# say that the members of the tuned ensemble disagree more than before: see :doc:`/training`.

before = masses(CNNEstimator(device="cpu"))
tuned = CNNEstimator(device="cpu").fit(train, steps=10, batch_size=4, learning_rate=1e-4)
shift = masses(tuned) - before
print(f"masses move by {shift.mean():+.2f} dex, expected {SALPETER:+.2f}")
