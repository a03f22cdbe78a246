"""
Files of the Legacy Surveys, Pan-STARRS1, DES, HSC and JWST
===========================================================

`BandImages.read <picasssso.bands.BandImages.read>` reads survey files as distributed. Unit, zero
point, noise and mask are determined from the header, as shown by ``picasssso info FILE``. Here the
files of each survey contain the same disk with known magnitudes.
"""

from stand_ins import MAGNITUDES, disk_files

from picasssso import BandImages, MassToLightEstimator

# %%
# **Legacy Surveys**: a cutout from the viewer is a cube of bands in nanomaggies, with inverse
# variances (``https://www.legacysurvey.org/viewer/fits-cutout?ra=...&layer=ls-dr10&invvar``).

found = {"legacy": BandImages.read(disk_files("legacy"), redshift=0.02)}
found["legacy"]

# %%
# **Pan-STARRS1**: stacks in counts on an asinh scale, with separate files for the variance
# (``wt``) and the mask. Give all of them in one list.

found["panstarrs"] = BandImages.read(disk_files("panstarrs"), redshift=0.02)

# %%
# **DES**: coadds in counts with a zero point of 30, with weights.

found["des"] = BandImages.read(disk_files("des"), redshift=0.02)

# %%
# **HSC** and LSST: image, mask bits and variance in one file.

found["hsc"] = BandImages.read(disk_files("hsc"), redshift=0.02)

# %%
# **JWST**: a combined image (``i2d``) in MJy/sr for each filter.

found["jwst"] = BandImages.read(disk_files("jwst"), redshift=0.02)

# %%
# Magnitudes inside 12 arcsec: measured, with the input in parentheses.

import numpy as np

for survey, images in found.items():
    flux, _ = images.to_arrays()
    inside = np.hypot(*(np.indices(images.shape) - 79.5)) * 0.26 < 12
    measured = 22.5 - 2.5 * np.log10(flux[:, inside].sum(axis=1))
    print(
        survey,
        ", ".join(
            f"{band.split('-')[1]} {one:.2f} ({MAGNITUDES[band.split('-')[1]]:.2f})"
            for band, one in zip(images.bands, measured, strict=True)
        ),
    )

# %%
# All further steps are the same for all surveys.

from picasssso import GalacticExtinction

# The simulated disk has no Galactic extinction.
dust = GalacticExtinction(ebv=0, scale="SF11", applied=True)
images = found["des"].replace(galactic_extinction=dust)
maps = MassToLightEstimator().estimate(images, progress=False)
maps.plot("stellar_mass", images=images)
