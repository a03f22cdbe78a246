"""
Writing an estimator
====================

A subclass with two methods inherits everything else from the base class: checks, masks, blocks,
units, WCS, files, plots and the command. This example uses one mass-to-light ratio for all pixels.
"""

import numpy as np

from picasssso.estimators import EstimatorTags, PropertyMapEstimator
from picasssso.exceptions import MissingBandError
from picasssso.maps import PropertyArrays


class FixedRatioEstimator(PropertyMapEstimator):
    """Stellar mass from the i band and one mass-to-light ratio for all pixels."""

    tags = EstimatorTags(properties=("stellar_mass",))

    def __init__(self, *, mass_to_light=1.2):
        self.mass_to_light = mass_to_light

    def _select_bands(self, available):
        if "sdss2010-i" not in available:
            raise MissingBandError(f"FixedRatioEstimator needs sdss2010-i, found {available}.")
        return ("sdss2010-i",)

    def _estimate(self, flux, inverse_variance, context):
        # Surface brightness in AB mag per square arcsec, corrected for cosmological dimming per
        # unit frequency, (1 + z)^3. The Sun's absolute magnitude in i is 4.53.
        magnitude = 22.5 + 2.5 * np.log10(context.pixel_solid_angle_arcsec2)
        magnitude -= 7.5 * np.log10(1 + context.redshift)
        scale = self.mass_to_light * 1e6 * 10 ** (-0.4 * (magnitude - 4.53 - 21.572))
        sigma = np.where(inverse_variance[0] > 0, inverse_variance[0], np.nan) ** -0.5
        return {"stellar_mass": PropertyArrays.from_normal(scale * flux[0], scale * sigma)}


# %%
# It is used like any other estimator.

from picasssso.data import load_example

images, truth = load_example()
maps = FixedRatioEstimator().estimate(images, progress=False)
print(maps.total("stellar_mass", correlation="independent"))
print(truth.total("stellar_mass", correlation="independent").value)
maps.plot("stellar_mass", truth=truth)

# %%
# The contract tests of the built-in estimators can also be used for yours:
# ``@parametrize_with_checks([FixedRatioEstimator()])``. :doc:`/plugins` explains this, and how to
# register the estimator.
