"""
The host of a supernova
=======================

Stellar mass and specific star formation rate of the whole host, and within 2 kpc of the supernova.
"""

import astropy.units as u
from astropy.coordinates import SkyCoord
from photutils.aperture import SkyCircularAperture
from stand_ins import sdss_files

from picasssso import SEDFitEstimator
from picasssso.preparation import prepare

supernova = SkyCoord(150.1182 * u.deg, 2.3385 * u.deg)
host = SkyCoord(150.12 * u.deg, 2.34 * u.deg)
images = prepare(
    sdss_files(), redshift=0.03, position=host, ebv=0.03, ebv_scale="SFD98", cutout=1.5
)
fit = SEDFitEstimator(n_models=5_000)  # fewer than the default, to be fast
maps = fit.estimate(images, progress=False).with_specific_sfr()

# %%
# A region is a photutils aperture, in sky or pixel coordinates, or a mask. The default is the
# whole target. Specific rates are averages weighted by stellar mass.

kpc = (1 * u.rad * 1 * u.kpc / images.angular_diameter_distance).to(u.arcsec)
near = SkyCircularAperture(supernova, 2 * kpc)
for what, region in (("host", None), ("within 2 kpc", near)):
    mass = maps.total("stellar_mass", region, correlation="independent")
    rate = maps.total("specific_sfr", region, correlation="independent")
    print(f"{what:13} {mass}, {rate}")

# %%
# Regions should not be smaller than the resolution of the maps,
# ``maps.meta["resolution_fwhm_arcsec"]``.

print(f"{maps.meta['resolution_fwhm_arcsec'] / kpc.value:.1f} kpc")

figure = maps.plot(["stellar_mass", "specific_sfr"])
for axes in figure.axes[:2]:
    if hasattr(axes, "wcs"):
        near.to_pixel(maps.wcs).plot(ax=axes, color="black", lw=1.5)
