"""
The galaxies of a cluster
=========================

Galaxies at the redshift of the Coma cluster, a table of their masses, and the sum.
Mock galaxies represent the cutouts of a survey. For thousands of galaxies,
``picasssso survey CATALOG`` does the same on all cores and can be resumed:
:doc:`/survey_runs`.
"""

import matplotlib.pyplot as plt
import numpy as np
from astropy.table import Table

from picasssso import CNNEstimator
from picasssso.mocks import MockGenerator

mocks = MockGenerator(seed=5, survey="sdss", n_pixels=64, redshift=0.023).draw(range(12))
cutouts = [mocks.to_band_images(k) for k in range(12)]
true = [mocks.to_property_maps(k, at_psf=True) for k in range(12)]

# %%
# Many small images are best estimated together. Totals are those inside the frame.

estimates = CNNEstimator().estimate_many(cutouts, progress=False)
rows = []
for k, (maps, known) in enumerate(zip(estimates, true, strict=True)):
    mass, rate = maps.total("stellar_mass"), maps.total("sfr")
    rows.append((
        k, mass.value.value, mass.uncertainty.value, rate.value.value,
        known.total("stellar_mass", correlation="independent").value.value,
    ))  # fmt: skip
table = Table(rows=rows, names=("galaxy", "mass", "mass_error", "sfr", "true_mass"))
for name in table.colnames[1:]:
    table[name].format = ".2e" if "mass" in name else ".2f"
table[:5].pprint()

# %%
# Random errors average out in a sum; the error common to all galaxies (0.1 dex, the disagreement
# between stellar population codes) does not.

total = table["mass"].sum()
noise = np.sqrt((table["mass_error"] ** 2).sum())
print(f"sum  {total:.2e} +/- {noise:.1e} Msun, if errors were independent")
print(f"true {table['true_mass'].sum():.2e} Msun")

figure, ax = plt.subplots(figsize=(4.6, 4.2), layout="constrained")
ax.errorbar(table["true_mass"], table["mass"], table["mass_error"], fmt="o", color="black")
ax.axline((1e10, 1e10), slope=1, color="0.6")
ax.set(xscale="log", yscale="log", xlabel="true stellar mass (Msun)",
       ylabel="estimated stellar mass (Msun)")  # fmt: skip
