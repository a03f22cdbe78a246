"""
Only two bands
==============

Stellar mass can be estimated from one color. Two bands constrain other properties only weakly, as
the errors show.
"""

import warnings

import numpy as np

from picasssso import CNNEstimator, MassToLightEstimator, SEDFitEstimator
from picasssso.data import load_example

images, truth = (one[40:88, 40:88] for one in load_example())
pair = images.select(["sdss2010-g", "sdss2010-i"])
true = truth.total("stellar_mass", region="frame", correlation="independent").value
print(f"log true mass {np.log10(true.value):.2f}\n")

estimators = (
    MassToLightEstimator(relation="taylor2011"),
    SEDFitEstimator(n_models=5_000),
    CNNEstimator(),
)
kept = {}
for estimator in estimators:
    for bands in (images, pair):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            maps = kept[bands.bands, type(estimator)] = estimator.estimate(bands, progress=False)
        correlation = None if isinstance(estimator, CNNEstimator) else "independent"
        mass = maps.total("stellar_mass", correlation=correlation)
        error = float(mass.uncertainty / mass.value) / np.log(10)
        print(
            f"{type(estimator).__name__:22} {len(bands)} bands:"
            f"  log mass {np.log10(mass.value.value):.2f} +/- {error:.2f}"
        )

# %%
# Age and dust both redden a galaxy, and one color cannot distinguish them. The 68 % interval of a
# bright pixel in the SED fit, with five bands and with two:

for bands in (images, pair):
    maps = kept[bands.bands, SEDFitEstimator]
    for name in ("stellar_age", "attenuation_v"):
        low, high = (maps.percentile(name, q)[24, 30] for q in (16, 84))
        print(f"{len(bands)} bands: {name:14} {low.value:.2f} to {high:.2f}")
