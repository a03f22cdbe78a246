"""
A real spiral: NGC 6977 in Hickson 88
=====================================

SDSS images of a spiral of the compact group Hickson 88, in g, r and i: the files of Astropy's
example of a color image. `~astropy.utils.data.download_file` fetches them once and keeps them
in Astropy's cache.
"""

import warnings

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.nddata import CCDData, Cutout2D
from astropy.utils.data import download_file
from astropy.wcs import WCS, FITSFixedWarning
from stand_ins import hickson88_files

from picasssso import BandImages, CNNEstimator, MassToLightEstimator
from picasssso.preparation import prepare

server = "http://data.astropy.org/visualization"
try:
    files = {
        band: download_file(f"{server}/reprojected_sdss_{band}.fits.bz2", cache=True)
        for band in "gri"
    }
    print("Files of data.astropy.org")
except OSError:  # no network
    files = hickson88_files()
    print("No network: cut-outs of the same files, kept beside this example")

# %%
# The files have been resampled to pixels of 1.188 arcsec, but their values are still
# nanomaggies per original pixel of 0.396 arcsec. The ratio of the areas makes them fluxes per
# pixel. A header cannot say this, so it is worth comparing the flux of a known galaxy with a
# catalog whenever images come from elsewhere.

position = SkyCoord("313.12378d -5.74609d")
bands = {}
for band, path in files.items():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FITSFixedWarning)  # keywords of 2009
        hdu = next(hdu for hdu in fits.open(path) if hdu.data is not None)
        part = Cutout2D(hdu.data, position, 160, wcs=WCS(hdu.header))
    flux = part.data * (1.188 / 0.396) ** 2
    bands[f"sdss2010-{band}"] = CCDData(flux, unit="nmgy", wcs=part.wcs)

images = prepare(
    BandImages(bands, redshift=0.020), position=position, ebv=0.081, ebv_scale="SFD98", cutout=3
)
images

# %%
# Maps of the network. Stars and a neighbor are masked (gray).

maps = CNNEstimator().estimate(images, progress=False)
maps.plot(["stellar_mass", "stellar_age"], images=images)

# %%
# The stellar mass. Published values of log mass are 10.96 (z0MGS; Leroy et al. 2019) and 10.92
# (Pipe3D of CALIFA; Sanchez et al. 2016, converted to a Chabrier initial mass function). Light
# below the masks, about 4 %, is missing here.

colored = MassToLightEstimator(relation="taylor2011").estimate(images)
for label, found in {"network": maps, "color relation": colored}.items():
    mass = found.total("stellar_mass", correlation="independent")
    error = float(mass.uncertainty / mass.value) / np.log(10)
    print(f"{label:15} log mass = {np.log10(mass.value.to_value('Msun')):.2f} +/- {error:.2f}")

# %%
# One galaxy says little about accuracy; :ref:`results` compares 378 galaxies with published
# values.
