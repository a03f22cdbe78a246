"""
Maps from an integral-field cube
================================

Images in SDSS filters are computed from a MaNGA cube, fitted, and compared with published maps of
the same galaxy. Here the galaxy is a disk of known populations, and its true maps take the place
of published maps. CALIFA, SAMI and MUSE cubes are read in the same way: :doc:`/ifu`.
"""

import matplotlib.pyplot as plt
from stand_ins import manga_cube

from picasssso.ifu import read_cube, synthetic_images
from picasssso.preparation import correct_extinction

path, truth = manga_cube()  # your own: path = "manga-8138-12704-LINCUBE.fits"
cube = read_cube(path, redshift=0.03)
cube

# %%
# The photon flux of each spaxel in each filter, with noise from the inverse variances of the cube.
# A small part of the z band is outside the wavelength range; a coverage below 95 % would raise an
# error.

images = synthetic_images(cube, ["g", "r", "i", "z"], survey="sdss")
for band, covered in images.meta["ifu"]["covered"].items():
    print(f"{band}: {100 * covered:.1f} % of the filter covered")
images = correct_extinction(images)  # MaNGA cubes are not corrected for Galactic extinction

# %%
# From here on they are used like any other images.

from picasssso import SEDFitEstimator

maps = SEDFitEstimator(n_models=5_000).estimate(images, progress=False)
maps.plot(["stellar_mass", "stellar_age", "attenuation_v"], images=images)

# %%
# Comparison with the true maps. For published maps, use
# ``truth = read_maps("manga-8138-12704.Pipe3D.cube.fits", redshift=0.03)``.

from picasssso.evaluation import compare_estimates

found = compare_estimates(maps, truth)
for one in found:
    print(
        f"{one.label}: median offset {one.bias:+.2f} {one.unit}, scatter {one.scatter:.2f}, "
        f"{100 * one.coverage_68:.0f} % of the pixels within 1 sigma"
    )

# %%
# Mass and age decrease with radius, as in the truth. The age of the center is not constrained by
# four broad bands and follows the prior, which is younger; the errors reflect this.

figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
for ax, name in zip(axes, ("stellar_mass", "stellar_age"), strict=True):
    profile = found.profile(name)
    radius = profile["radius"].value
    ax.errorbar(
        radius, profile["first"].value, profile["first_error"].value,
        fmt="o", color="black", label="SED fit",
    )  # fmt: skip
    ax.plot(radius, profile["second"].value, color="0.5", label="truth")
    ax.set(
        xlabel=f"radius ({profile['radius'].unit:unicode})",
        ylabel=f"{name.replace('_', ' ')} ({profile['first'].unit:unicode})",
    )
axes[0].set_yscale("log")
axes[0].legend()
