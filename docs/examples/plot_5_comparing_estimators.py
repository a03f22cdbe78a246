"""
Do two estimators agree?
========================

Where two estimates for a galaxy differ by more than the combined error, at least one of them is
wrong. Where they agree, they may still have an error in common.
"""

import matplotlib.pyplot as plt

from picasssso import CNNEstimator, SEDFitEstimator
from picasssso.data import load_example
from picasssso.evaluation import compare_estimates

images, truth = (one[32:96, 32:96] for one in load_example())
network = CNNEstimator().estimate(images, progress=False)
fitted = SEDFitEstimator(n_models=5_000).estimate(images, progress=False)
found = compare_estimates(network, fitted)

# %%
# Differences of totals (averages for intensive properties), also in units of the combined error,
# and the scatter of pixels. ``picasssso compare network.fits fitted.fits`` prints the same.

print(f"{'':22} network - fit   sigma   scatter of pixels")
for one in found:
    print(
        f"{one.label:22} {one.offset:>13}   {one.deviation:+5.1f}   {one.scatter:.2f} {one.unit}"
    )

# %%
# Maps of the difference. Since the truth is known here, each estimate is also compared with it.

panels = {
    "network - SED fit": found,
    "network - truth": compare_estimates(network, truth),
    "SED fit - truth": compare_estimates(fitted, truth),
}
figure, axes = plt.subplots(1, 3, figsize=(10, 3.4), layout="constrained")
for ax, (title, pair) in zip(axes, panels.items(), strict=True):
    shown = ax.imshow(pair.residual("stellar_mass").value, origin="lower", cmap="cividis",
                      vmin=-0.5, vmax=0.5)  # fmt: skip
    ax.set(title=title, xlabel="x (pixel)", ylabel="y (pixel)")
figure.colorbar(shown, ax=axes, label="log stellar mass, difference (dex)")
