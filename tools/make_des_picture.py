#!/usr/bin/env python
"""Make docs/_static/des_j0151.png: stellar mass of a galaxy in real DES images.

The images are cutouts of the Dark Energy Survey's coadds, from the test data of
``temuller/hostphot`` (MIT license). They are no part of the repository: their folder, with
DES_g.fits, DES_r.fits and DES_i.fits in it, is the argument. docs/surveys.rst explains
the steps. ::

    python tools/make_des_picture.py FOLDER
"""

from __future__ import annotations

import argparse
from pathlib import Path

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord
from astropy.nddata import CCDData
from photutils.background import Background2D

from picasssso import BandImages, MassToLightEstimator, PropertyMaps
from picasssso.maps.pictures import save_picture

PICTURE = Path(__file__).resolve().parent.parent / "docs" / "_static" / "des_j0151.png"

#: The files give no redshift.
STAND_IN_REDSHIFT = 0.02
NUCLEUS = SkyCoord(27.9521 * u.deg, 0.2639 * u.deg)
#: Light beyond this from the nucleus is taken as sky.
GALAXY_RADIUS = 27 * u.arcsec
#: A foreground star on the disk, which is masked.
STAR, STAR_RADIUS = SkyCoord(27.9547 * u.deg, 0.2655 * u.deg), 3 * u.arcsec


def read_images(folder: Path, redshift: float = STAND_IN_REDSHIFT) -> BandImages:
    """Return the g, r and i images without sky, and with the star masked."""
    images = BandImages.read(
        {f"decam2014-{band}": f"{folder}/DES_{band}.fits[SCI]" for band in "gri"},
        redshift=redshift,
        zero_point=30 * u.ABmag,
        weight="WGT",
    )
    y, x = np.indices(images.shape)
    place = images.wcs.pixel_to_world(x, y)
    galaxy = place.separation(NUCLEUS) < GALAXY_RADIUS
    star = place.separation(STAR) < STAR_RADIUS
    clean = {}
    for band, image in images.items():
        sky = Background2D(image.data, 30, mask=galaxy, exclude_percentile=90).background
        clean[band] = CCDData(
            image.data - sky,
            unit=image.unit,
            wcs=image.wcs,
            uncertainty=image.uncertainty,
            mask=star,
        )
    return images.replace(images=clean)


def make_maps(images: BandImages) -> PropertyMaps:
    """Return the stellar mass by the default color-mass-to-light relation."""
    return MassToLightEstimator().estimate(images)


def main() -> None:
    """Make the picture and print the total."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("folder", type=Path, help="folder with DES_g.fits and so on")
    parser.add_argument("--output", type=Path, default=PICTURE)
    arguments = parser.parse_args()
    images = read_images(arguments.folder)
    maps = make_maps(images)
    total = maps.total("stellar_mass", correlation="independent")
    print(f"Stellar mass at z = {images.redshift}: {total.value:.3g}, +- {total.uncertainty:.2g}")
    save_picture(arguments.output, images, {"mass_to_light": maps}, overwrite=True)
    print(f"{arguments.output}: {arguments.output.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
