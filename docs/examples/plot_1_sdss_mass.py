"""
Stellar mass of an SDSS galaxy, with its error
==============================================

From the five frames of SDSS to a stellar mass. `~picasssso.preparation.prepare` recognizes the
files, subtracts the sky, brings all bands to one PSF, masks stars, corrects for the dust of our
Galaxy and cuts out the target; `~picasssso.SEDFitEstimator` fits each pixel.
"""

from astropy.coordinates import SkyCoord
from stand_ins import sdss_files

from picasssso import SEDFitEstimator
from picasssso.preparation import prepare

files = sdss_files()  # your own: files = sorted(glob("frame-*.fits.bz2"))
images = prepare(
    files,
    redshift=0.03,
    position=SkyCoord("150.12d 2.34d"),
    ebv=0.03,
    ebv_scale="SFD98",
    cutout=1.5,
)
images

# %%
# The maps are medians of the posterior of each pixel. (By default 50,000 models are compared with
# it; fewer are quicker.)

maps = SEDFitEstimator(n_models=5_000).estimate(images, progress=False)
maps.plot(["stellar_mass", "stellar_age", "attenuation_v"], images=images)

# %%
# The total over the target. Noise is independent from pixel to pixel, as far as the measured
# correlation of the noise does not say otherwise; what all pixels share is added in any case.

mass = maps.total("stellar_mass", correlation="independent")
mass

# %%
# What the error is made of: how far codes disagree on the same photometry (``models``), what the
# fit cannot tell in any pixel alike (``shared``), the sky, and the noise of the pixels, which is
# the least of it.

for source, error in mass.components.items():
    print(f"{source:24} {100 * float(error / mass.value):5.1f} %")

# %%
# In the shell:
#
# .. code-block:: console
#
#     $ picasssso prepare frame-*.fits.bz2 -z 0.03 --position '150.12 2.34' \
#           --ebv 0.03 --ebv-scale SFD98 --cutout 1.5 -o prepared.fits
#     $ picasssso estimate prepared.fits -e sed_fit -o maps.fits --plot maps.png
