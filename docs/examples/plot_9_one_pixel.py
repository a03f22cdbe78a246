"""
What one pixel leaves open
==========================

Joint samples of a pixel's posterior show what goes with what: mass with age, star formation with
dust.
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
# Samples against each other (log10 of mass, star formation rate and metallicity); dotted lines at
# 16, 50 and 84 %, the truth in red. Models that have stopped to form stars stand at the lower end
# of the star formation rate.

names = ["stellar_mass", "sfr", "stellar_age", "stellar_metallicity", "attenuation_v"]
figure, axes = plt.subplots(5, 5, figsize=(10, 10), sharex="col", layout="constrained")
values = {}
for name in names:
    drawn = np.append(maps.samples(name).value[:, 0, 0], truth[name].data[y, x])
    if name in ("stellar_mass", "sfr", "stellar_metallicity"):
        drawn = np.log10(np.maximum(drawn, 1e-3 * np.percentile(drawn, 84)))
    values[name] = drawn[:-1], drawn[-1]
for row, (below, (vertical, true)) in zip(axes, values.items(), strict=True):
    for ax, (across, (horizontal, known)) in zip(row, values.items(), strict=True):
        ax.axvline(known, color="C3")
        ax.set(xlabel=across, ylabel=below)
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
