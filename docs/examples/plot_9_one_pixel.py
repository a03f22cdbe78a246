"""
Degeneracies in one pixel
=========================

Joint posterior samples of a pixel show how properties are correlated: mass with age, and star
formation rate with dust.
"""

import matplotlib.pyplot as plt
import numpy as np

from picasssso import SEDFitEstimator
from picasssso.data import load_example

images, truth = load_example()
y, x = 66, 82
pixel = images[y : y + 1, x : x + 1]
maps = SEDFitEstimator(n_models=20_000).estimate(pixel, n_samples=4_000, seed=1, progress=False)

# %%
# Samples of all pairs of properties (log10 of mass, star formation rate and metallicity), with
# dotted lines at 16, 50 and 84 % and solid red lines at the truth. Models that have stopped
# forming stars are at the lower end of the star formation rate.

labels = {
    "stellar_mass": "log mass\n(Msun / kpc2)",
    "sfr": "log SFR\n(Msun / yr / kpc2)",
    "stellar_age": "age\n(Gyr)",
    "stellar_metallicity": "log metallicity\n(mass fraction)",
    "attenuation_v": "A$_V$\n(mag)",
}
figure, axes = plt.subplots(5, 5, figsize=(10, 10), sharex="col", layout="constrained")
values = {}
for name in labels:
    drawn = np.append(maps.samples(name).value[:, 0, 0], truth[name].data[y, x])
    if name in ("stellar_mass", "sfr", "stellar_metallicity"):
        drawn = np.log10(np.maximum(drawn, 1e-3 * np.percentile(drawn, 84)))
    values[name] = drawn[:-1], drawn[-1]
for row, (below, (vertical, true)) in zip(axes, values.items(), strict=True):
    for ax, (across, (horizontal, known)) in zip(row, values.items(), strict=True):
        ax.axvline(known, color="C3")
        ax.set(xlabel=labels[across], ylabel=labels[below])
        ax.label_outer()
        if across == below:
            ax.hist(horizontal, 40, histtype="stepfilled", alpha=0.6)
            for q in np.percentile(horizontal, [16, 50, 84]):
                ax.axvline(q, color="0.2", ls=":")
            break
        ax.hexbin(horizontal, vertical, gridsize=28, cmap="Blues", mincnt=1)
        ax.axhline(true, color="C3")
for ax in axes[np.triu_indices(5, 1)]:
    ax.set_axis_off()
