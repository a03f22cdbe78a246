"""Fit three galaxies in real images, and compare with colour and mass-to-light ratio.

- DES J0151: coadds in g, r, i and z, stand-in redshift 0.02, sky by Background2D, the
  foreground star masked;
- a galaxy at z = 0.082 from SDSS and 2MASS: no WCS, 17 bins of one measurement each;
- a small galaxy of GAMA in u, g, r, i and z, stand-in redshift 0.1: its light summed in an
  aperture of 5 arcsec.

The totals are compared with `MassToLightEstimator`: the relation of Taylor et al. (2011) and
the library's own (``relation="sps"``). The files are no part of the repository; the script
says so where they are not beside the checkout.
"""

from __future__ import annotations

import argparse
import math
import sys
import warnings
from pathlib import Path

import astropy.units as u
import numpy as np
from astropy.io import fits
from astropy.nddata import CCDData, StdDevUncertainty
from photutils.aperture import CircularAperture
from sed_fit_common import HERE, SHARED, record

from picasssso import BandImages, MassToLightEstimator, PropertyMaps, SEDFitEstimator
from picasssso.bands import GalacticExtinction
from picasssso.exceptions import PicassssoWarning
from picasssso.preparation import subtract_background
from picasssso.quality import describe_quality
from picasssso.sps import SEDPrior

sys.path.insert(0, str(HERE.parent / "tools"))
from make_sed_pictures import read_des

BAR_DEX = 0.2


def read_pixbin(folder: Path) -> BandImages:
    """Return the binned galaxy; its bins hold total fluxes, ours mean fluxes per pixel."""
    with fits.open(folder / "pixbin_sdss2mass" / "pixbin_fluxmap_SDSS2MASS.fits") as hdus:
        bins, cube, noise = (np.array(hdu.data, float) for hdu in hdus)
        header = hdus[0].header
    bins = bins.astype(int)
    sizes = np.bincount(bins.ravel())[bins]
    bands = [f"sdss2010-{band}" for band in "ugriz"] + [f"twomass-{b}" for b in ("J", "H", "Ks")]
    return BandImages.from_cube(
        cube / sizes,
        bands,
        "1e-17 erg / (s cm2 AA)",
        redshift=header["Z"],
        pixel_scale=header["PIXSIZE"] * u.arcsec,
        psf=header["PSFFWHM"] * u.arcsec,
        bins=bins - 1,
        uncertainty=noise / sizes,
        mask=bins == 0,
        # piXedfit's maps are corrected for it.
        galactic_extinction=GalacticExtinction(header["GALEBV"], scale="SFD98", applied=True),
    )


def read_gama(folder: Path) -> BandImages:
    """Return one pixel that holds all light of the GAMA galaxy in 5 arcsec."""
    images = BandImages.read(
        {f"sdss2010-{band}": f"{folder}/gama_t10/{band}.fits[0]" for band in "ugriz"},
        redshift=0.1,
        zero_point=30 * u.ABmag,
        unit="adu",
    )
    images = subtract_background(images, "median").with_estimated_noise()
    aperture = CircularAperture(
        ((images.shape[1] - 1) / 2, (images.shape[0] - 1) / 2),
        5 / images.pixel_scale.to_value(u.arcsec),
    )
    flux, inverse = images.to_arrays()
    weight = aperture.to_mask(method="exact").to_image(images.shape)
    summed = (flux * weight).sum(axis=(1, 2))
    error = np.sqrt((weight / inverse).sum(axis=(1, 2)))
    return BandImages(
        {
            band: CCDData([[f]], unit=u.nmgy, uncertainty=StdDevUncertainty([[e]]))
            for band, f, e in zip(images.bands, summed, error, strict=True)
        },
        redshift=images.redshift,
        pixel_scale=math.sqrt(aperture.area) * images.pixel_scale,
        galactic_extinction=GalacticExtinction(0.0, scale="SF11", applied=True),
    )


def describe(maps: PropertyMaps, region: object = None) -> dict[str, object]:
    """Return total and averages."""
    total = maps.total("stellar_mass", region, correlation="independent")
    mass, error = (x.to_value(u.Msun) for x in (total.value, total.uncertainty))
    result: dict[str, object] = {
        "log_mass": math.log10(mass),
        "error_dex": error / mass / math.log(10),
    }
    for name in ("stellar_age", "stellar_metallicity", "attenuation_v", "sfr"):
        if name in maps:
            value = maps.total(name, region, correlation="independent").value
            result[name] = float(value.value)
    if "reduced_chi2" in maps:
        chi2 = maps["reduced_chi2"].data[~maps.masks["reduced_chi2"]]
        result["median_reduced_chi2"] = float(np.median(chi2))
        used = ~maps.masks["stellar_mass"]
        result["flags"] = {
            "|".join(describe_quality(int(value))) or "none": float(
                np.mean(maps.quality[used] == value)
            )
            for value in np.unique(maps.quality[used])
        }
    return result


def compare(images: BandImages, region: object = None) -> dict[str, object]:
    """Return what each estimator says of a galaxy."""
    optical = [band for band in images.bands if not band.startswith("twomass")]
    g, i = (next(band for band in optical if band.endswith(f"-{b}")) for b in "gi")
    fits_ = {
        "sed_fit": (SEDFitEstimator(device="cpu"), images),
        "sed_fit, steps prior": (
            SEDFitEstimator(prior=SEDPrior(history="steps"), device="cpu"),
            images,
        ),
        "mass_to_light, Taylor et al. 2011": (MassToLightEstimator(), images),
        "mass_to_light, sps": (
            MassToLightEstimator(
                relation="sps",
                color=(g, i),
                luminosity_band=i,
            ),
            images,
        ),
    }
    if len(optical) < len(images):
        fits_["sed_fit, ugriz only"] = (SEDFitEstimator(device="cpu"), images.select(optical))
    if images.shape == (1, 1):
        # Which bands make the difference.
        fits_["sed_fit, g and i only"] = (SEDFitEstimator(device="cpu"), images.select([g, i]))
        fits_["sed_fit, without u"] = (SEDFitEstimator(device="cpu"), images.select(optical[1:]))
    result: dict[str, object] = {}
    for name, (estimator, data) in fits_.items():
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Galactic extinction", PicassssoWarning)
            result[name] = describe(estimator.estimate(data, progress=False), region)
    ours, theirs = (
        result[name]["log_mass"] for name in ("sed_fit", "mass_to_light, Taylor et al. 2011")
    )
    result["sed_fit_minus_mass_to_light_dex"] = ours - theirs
    return result


def main() -> None:
    """Measure, print and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=SHARED / "data" / "real")
    folder = parser.parse_args().folder
    if not folder.exists():
        record("sed_fit_real.json", {"skipped": f"there are no images in {folder.name}"})
        return
    des = read_des(folder / "j0151_des")
    centre = des.wcs.world_to_pixel_values(27.9521, 0.2639)
    aperture = CircularAperture(
        (float(centre[0]), float(centre[1])), 24 / des.pixel_scale.to_value(u.arcsec)
    )
    record(
        "sed_fit_real.json",
        {
            "bar_dex": BAR_DEX,
            "des_j0151, z = 0.02 (stand-in), 24 arcsec": compare(des, aperture),
            "sdss2mass, z = 0.082, 17 bins": compare(read_pixbin(folder)),
            "gama_t10, z = 0.1 (stand-in), 5 arcsec summed": compare(read_gama(folder)),
        },
    )


if __name__ == "__main__":
    main()
