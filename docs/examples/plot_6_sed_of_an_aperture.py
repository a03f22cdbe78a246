"""
SED of an aperture
==================

The fluxes inside an aperture, what the fit says of them, and the sum of the fits of its pixels
beside it.
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
# All bands are summed over the same pixels, and errors hold the correlation of their noise. A
# pixel is given as ``(x, y)`` or by its position, and a table holds what the figure shows.

pixel = estimator.fit_sed(images, images.wcs.pixel_to_world(80, 70))
pixel.fluxes["band", "wavelength", "flux", "error", "model_p50", "residual"]

# %%
# The mass of the summed light beside the sum over the pixels, and the truth. Young stars outshine
# old ones, and sums of light know less of them than sums of pixels; here hardly so.

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
# Samples show what the bands cannot tell apart: older stars with less dust.

samples = sed.samples(2000, seed=1)
x, y = samples["stellar_age"], samples["attenuation_v"]
figure, ax = plt.subplots(figsize=(4.5, 3.6), layout="constrained")
ax.hexbin(x.value, y.value, gridsize=30, cmap="Greys", mincnt=1)
ax.set(xlabel=f"stellar age ({x.unit})", ylabel=f"attenuation at V ({y.unit})")
print(f"correlation {np.corrcoef(x.value, y.value)[0, 1]:.2f}")
