"""
SED of an aperture
==================

The fluxes inside an aperture, their fit, and the comparison with the sum of the fits of its
pixels.
"""

import astropy.units as u
import matplotlib.pyplot as plt
import numpy as np
from photutils.aperture import SkyCircularAperture

from picasssso import SEDFitEstimator
from picasssso.data import load_example

images, truth = load_example()
aperture = SkyCircularAperture(images.wcs.pixel_to_world(63.5, 63.5), 3 * u.arcsec)
estimator = SEDFitEstimator(n_models=5_000)
sed = estimator.fit_sed(images, aperture)
print(sed)
figure = sed.plot()

# %%
# All bands are summed over the same pixels, and errors include the correlation of the noise. A
# pixel is given as ``(x, y)`` or by its position; a table contains the data of the figure.

pixel = estimator.fit_sed(images, images.wcs.pixel_to_world(80, 70))
pixel.fluxes["band", "wavelength", "flux", "error", "model_p50", "residual"]

# %%
# Mass and star formation rate from the summed light, from the sum over pixels, and the truth.
# Young stars outshine old ones, so that fits of summed light can miss old stars; here the effect
# is small.

table = sed.compare()
for name in ("stellar_mass", "sfr"):
    row = table[list(table["property"]).index(name)]
    true = truth.total(name, aperture, correlation="independent").value
    print(
        f"{name:12} light {row['light']:.3g} +/- {row['light_error']:.2g}, pixels "
        f"{row['pixels']:.3g} +/- {row['pixels_error']:.2g}, {row['difference']:+.3f} dex; "
        f"truth {true.value:.3g} {row['unit']}"
    )

# %%
# Samples show the degeneracy between age and dust: older stars with less dust fit equally well.

samples = sed.samples(2000, seed=1)
x, y = samples["stellar_age"], samples["attenuation_v"]
figure, ax = plt.subplots(figsize=(4.5, 3.6), layout="constrained")
ax.hexbin(x.value, y.value, gridsize=30, cmap="gray_r", mincnt=1)
ax.set(xlabel=f"stellar age ({x.unit})", ylabel=f"attenuation at V ({y.unit})")
print(f"correlation {np.corrcoef(x.value, y.value)[0, 1]:.2f}")
