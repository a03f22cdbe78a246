#!/usr/bin/env python
"""Make docs/_static/preparation_des.png: from survey files to a map of stellar mass.

The galaxy is that of the real DES coadds in the folder given (``temuller/hostphot`` test data,
MIT license; no part of the repository). ::

    python tools/make_preparation_pictures.py FOLDER
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import astropy.units as u
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS
from astropy.wcs.utils import proj_plane_pixel_scales
from photutils.aperture import SkyCircularAperture

from picasssso import BandImages, MassToLightEstimator, PropertyMaps
from picasssso._plotting import LINE_STYLES
from picasssso.io import read_survey, recognize
from picasssso.preparation import (
    bin_images,
    correct_extinction,
    cutout_target,
    find_sources,
    mask_sources,
    match_psf,
    subtract_background,
)
from picasssso.preparation.background import mask_sky_sources
from picasssso.preparation.noise import calibrate_noise

ROOT = Path(__file__).resolve().parent.parent
STATIC = ROOT / "docs" / "_static"
NUCLEUS = SkyCoord(27.9521 * u.deg, 0.2639 * u.deg)
#: The files give no redshift, and E(B-V) is a typical value away from the Galactic plane.
REDSHIFT, EBV = 0.02, 0.03
#: Median seeing of DES (Abbott et al. 2018, ApJS 239, 18), arcsec: the cutouts show no stars.
DES_SEEING = {"g": 1.12, "r": 0.96, "i": 0.88, "z": 0.84}
APERTURE = 24 * u.arcsec


def frame(ax: plt.Axes, title: str, color: str = "white") -> None:
    """Name a panel, and draw a bar of 10 arcsec instead of coordinates."""
    ax.set_title(title, fontsize=9)
    length = 10 / 3600 / proj_plane_pixel_scales(ax.wcs)[0]
    left, bottom = ax.get_xlim()[0], ax.get_ylim()[0]
    height = 0.05 * np.ptp(ax.get_ylim())
    ax.plot(left + height + np.array([0, length]), [bottom + height] * 2, color=color, lw=2)
    ax.text(left + height + length / 2, bottom + 1.4 * height, '10"', color=color, fontsize=7,
            ha="center", va="bottom")  # fmt: skip
    for axis in ax.coords:
        axis.set_ticklabel_visible(False)
        axis.set_ticks_visible(False)
        axis.set_axislabel("")


def show_images(figure: plt.Figure, place: int, images: BandImages, title: str) -> None:
    """Show images in a panel, in color."""
    frame(images.plot(figure.add_subplot(4, 3, place, projection=images.wcs)), title)


def show_plane(figure: plt.Figure, place: int, plane: np.ndarray, wcs: WCS,
               title: str, label: str, ink: str = "white", **options: object) -> None:  # fmt: skip
    """Show a map in a panel with a color bar."""
    ax = figure.add_subplot(4, 3, place, projection=wcs)
    picture = ax.imshow(plane, origin="lower", interpolation="nearest", **options)
    bar = figure.colorbar(picture, ax=ax, fraction=0.046, pad=0.02)
    bar.ax.tick_params(labelsize=7)
    bar.set_label(label, fontsize=7)
    frame(ax, title, ink)


def show_mass(figure: plt.Figure, place: int, maps: PropertyMaps, of: str) -> None:
    """Show the stellar mass surface density."""
    aperture = SkyCircularAperture(NUCLEUS, APERTURE)
    total = maps.total("stellar_mass", aperture, correlation="independent")
    title = f"{of}: log M = {np.log10(total.value.to_value(u.Msun)):.2f} in 24 arcsec"
    values = maps["stellar_mass"].data
    with np.errstate(divide="ignore", invalid="ignore"):
        plane = np.where(maps.masks["stellar_mass"], np.nan, np.log10(values))
    show_plane(
        figure, place, plane, maps.wcs, title, "log stellar mass (Msun / kpc$^2$)", "0.5",
        vmin=6.5, vmax=9.2, cmap="magma",
    )  # fmt: skip


def des_steps(folder: Path) -> None:
    """Draw one panel for each step of the DES files."""
    figure = plt.figure(figsize=(9, 12.3), layout="constrained")
    files = [folder / f"DES_{band}.fits" for band in "griz"]
    raw = read_survey(files, redshift=REDSHIFT)
    print({path.name: recognize(path).title for path in files})
    show_images(figure, 1, raw, "1. as read")
    hidden = mask_sky_sources(raw)
    band = "decam2014-i"
    flux = raw.to_arrays(bands=[band])[0][0]
    show_plane(figure, 2, np.where(hidden, np.nan, flux), raw.wcs,
               "2. sky beside sources, i band", "nmgy per pixel", "black",
               vmin=-0.02, vmax=0.02, cmap="cividis")  # fmt: skip
    clean = subtract_background(raw, source_mask=hidden)
    difference = flux - clean.to_arrays(bands=[band])[0][0]
    show_plane(figure, 3, difference, raw.wcs, "3. sky that is subtracted",
               "nmgy per pixel", vmin=-0.005, vmax=0.005, cmap="cividis")  # fmt: skip
    clean = calibrate_noise(clean, source_mask=hidden)
    ax = figure.add_subplot(4, 3, 4)
    n = np.geomspace(1, 300, 50)
    for (name, scaling), style in zip(clean.noise_scaling.items(), LINE_STYLES, strict=False):
        ax.plot(n, np.sqrt(scaling(n)), label=name, markevery=10, ms=4, **style)
    ax.set(xscale="log", xlabel="pixels summed", ylabel="noise / noise of independent pixels")
    ax.legend(fontsize=7)
    ax.set_title("4. measured noise of sums", fontsize=9)
    psf = {f"decam2014-{b}": width * u.arcsec for b, width in DES_SEEING.items()}
    matched = match_psf(clean.replace(psf=psf))
    for k, (images, title) in enumerate(
        ((clean, "5. color before ..."), (matched, "6. ... and after PSF matching"))
    ):
        flux = images.to_arrays(bands=["decam2014-g", band])[0]
        with np.errstate(divide="ignore", invalid="ignore"):
            color = -2.5 * np.log10(flux[0] / flux[1])
        middle = np.s_[85:166, 81:162]
        show_plane(figure, 5 + k, color[middle], images.wcs[middle], title, "g - i (mag)",
                   "black", vmin=0.8, vmax=1.6, cmap="viridis")  # fmt: skip
    corrected = correct_extinction(matched, EBV, scale="SFD98")
    found = find_sources(corrected, NUCLEUS)
    masked = mask_sources(corrected, sources=found)
    show_images(figure, 7, masked, "7. stars and neighbors")
    show_plane(figure, 8, found.target + 2.0 * found.foreign, masked.wcs,
               "8. segments", "1: target, 2: masked", cmap="viridis")  # fmt: skip
    target = cutout_target(masked, found, radii=2.5)
    show_images(figure, 9, target, "9. cut out")
    binned = bin_images(target, 30)
    shuffled = np.random.default_rng(1).permutation(int(binned.bins.max()) + 1)
    shown = np.where(binned.bins >= 0, shuffled[np.maximum(binned.bins, 0)], np.nan)
    show_plane(figure, 10, shown, binned.wcs, "10. bins of S/N 30", "number of the bin",
               "black", cmap="prism")  # fmt: skip
    for place, images, of in ((11, target, "pixels"), (12, binned, "bins")):
        show_mass(figure, place, MassToLightEstimator().estimate(images), of)
    figure.savefig(STATIC / "preparation_des.png", dpi=80)
    print(clean.meta["preparation"][-1]["measured_over_stated"])


def main() -> None:
    """Make the picture."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("folder", type=Path, help="folder with DES_g.fits ... DES_z.fits")
    folder = parser.parse_args().folder
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        des_steps(folder)


if __name__ == "__main__":
    main()
