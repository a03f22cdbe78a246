"""
Stellar mass of an SDSS galaxy, with its error
==============================================

From five SDSS frames to a stellar mass. `~picasssso.preparation.prepare` recognizes the
files, subtracts the sky, matches the PSFs, masks stars, corrects for Galactic extinction
and cuts out the target; `~picasssso.SEDFitEstimator` fits each pixel.
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
# The maps are posterior medians. (The default is 50,000 models; this example uses fewer to be
# fast.)

maps = SEDFitEstimator(n_models=5_000).estimate(images, progress=False)
maps.plot(["stellar_mass", "stellar_age", "attenuation_v"], images=images)

# %%
# The total mass of the target. The noise of pixels is assumed to be independent, apart from its
# measured correlation; errors that are common to all pixels are always added.

mass = maps.total("stellar_mass", correlation="independent")
mass

# %%
# The contributions to the error: the disagreement between stellar population codes for the same
# photometry (``models``), the uncertainty of the fit that is common to all pixels (``shared``),
# the sky, and the noise of the pixels, which is the smallest.

for source, error in mass.components.items():
    print(f"{source:24} {100 * float(error / mass.value):5.1f} %")

# %%
# The same from the shell:
#
# .. code-block:: console
#
#     $ picasssso prepare frame-*.fits.bz2 -z 0.03 --position '150.12 2.34' \
#           --ebv 0.03 --ebv-scale SFD98 --cutout 1.5 -o prepared.fits
#     $ picasssso estimate prepared.fits -e sed_fit -o maps.fits --plot maps.png
