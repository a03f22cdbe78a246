"""
Radial profiles
===============

Surface densities and ages of the example galaxy in elliptical annuli, with errors, compared with
the truth.
"""

import astropy.units as u
import matplotlib.pyplot as plt

from picasssso import CNNEstimator
from picasssso.data import load_example

images, truth = (one[16:112, 16:112] for one in load_example())
maps = CNNEstimator().estimate(images, progress=False)

# %%
# Center, axis ratio and position angle are measured on the stellar mass unless they are given.
# With an ``inclination``, surface densities are deprojected to face-on.

edges = range(0, 13, 1) * u.kpc
mass = maps.profile("stellar_mass", edges=edges)
for row in mass[:3]:
    print(
        f"{row['radius_kpc']:.1f}: {row['stellar_mass'].value:.2e} +/- "
        f"{row['stellar_mass_error']:.1e}"
    )

# %%
# The true profile in the same ellipses. The errors of annuli are not independent of each other,
# since part of the uncertainty is common to the whole galaxy.

ellipse = {
    "center": tuple(mass.meta["center"]),
    "axis_ratio": mass.meta["axis_ratio"],
    "position_angle": mass.meta["position_angle"] * u.deg,
    "edges": edges,
}
figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
for ax, name in zip(axes, ("stellar_mass", "stellar_age"), strict=True):
    found = maps.profile(name, **ellipse)
    true = truth.profile(name, correlation="independent", **ellipse)
    unit = found[name].unit
    ax.errorbar(
        found["radius_kpc"].value, found[name].value, found[f"{name}_error"].value,
        fmt="o", color="black", label="network",
    )  # fmt: skip
    ax.plot(true["radius_kpc"].value, true[name].value, color="0.5", label="truth")
    ax.set(xlabel="radius (kpc)", ylabel=f"{name.replace('_', ' ')} ({unit:unicode})")
axes[0].set_yscale("log")
axes[0].legend()
