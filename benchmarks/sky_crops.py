"""Measure the light that galaxies keep when little sky, or none, is left beside them.

A DES galaxy (the developers' data) is cut down from 241 x 241 pixels, and keeps the light that its
pixels had; mock galaxies of known light (Sersic, n = 1 and 4) lie off center, fill the frame and
reach twice as far. Light gained (positive) or lost in the pixels in which it is brighter than
their noise, per cent, with the error of the sky as stated, by band; with and without the word of
a survey that it subtracted the sky.
"""

from __future__ import annotations

import warnings
from typing import Any

import astropy.units as u
import numpy as np
from astropy.nddata import CCDData, StdDevUncertainty
from astropy.wcs import WCS
from records import SHARED, options_of, record
from scipy.ndimage import gaussian_filter
from scipy.special import gamma, gammaincinv

from picasssso import BandImages
from picasssso.exceptions import PicassssoWarning
from picasssso.preparation import subtract_background

SIGMA = 0.01
COLORS = {"sdss2010-g": 0.6, "sdss2010-i": 1.3}
#: Shape, center (y, x), half-light radius (pixels) and light of mocks.
MOCKS: dict[str, tuple[Any, ...]] = {
    "plenty of sky": ((300, 310), (148, 155), 16, 300),
    "cropped off center": ((150, 160), (120, 120), 30, 1000),
    "corner": ((150, 150), (30, 25), 25, 800),
    "fills the frame": ((150, 150), (75, 75), 35, 2000),
    "twice the frame": ((150, 150), (75, 75), 75, 6000),
}
CROPS = {
    "150 x 160": np.s_[:150, :160],
    "120 x 120": np.s_[60:180, 60:180],
    "90 x 90": np.s_[75:165, 75:165],
    "60 x 60": np.s_[90:150, 90:150],
}


def mock(shape: Any, center: Any, radius: float, light: float, index: float) -> Any:
    """Return a Sersic profile in the seeing."""
    y, x = np.indices(shape, dtype=float) - np.reshape(center, (2, 1, 1))
    b = gammaincinv(2 * index, 0.5)
    whole = 2 * np.pi * index * np.exp(b) * b ** (-2 * index) * gamma(2 * index) * 0.8 * radius**2
    reach = np.sqrt(x**2 + (y / 0.8) ** 2 + 0.25) / radius
    return gaussian_filter(light / whole * np.exp(-b * (reach ** (1 / index) - 1)), 1.7)


def observe(light: Any, seed: int, subtracted: bool) -> BandImages:
    """Return noisy images, of a survey that subtracted the sky or of none."""
    rng = np.random.default_rng(seed)
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.cdelt = ("RA---TAN", "DEC--TAN"), (-7e-5, 7e-5)
    sigma = StdDevUncertainty(np.full(light.shape, SIGMA))
    planes = {
        band: CCDData(
            light * color + rng.normal(0, SIGMA, light.shape), unit="nmgy", wcs=wcs,
            uncertainty=sigma,
        )
        for band, color in COLORS.items()
    }  # fmt: skip
    source = {"source": {band: {"format": "des"} for band in COLORS}} if subtracted else None
    return BandImages(planes, redshift=0.02, psf=1 * u.arcsec, meta=source)


def compare(images: BandImages, clean: BandImages, expected: Any) -> dict[str, list[float]]:
    """Return light gained and the error of the sky, per cent of the expected light."""
    found = clean.to_arrays()[0].astype(float)
    bright = expected > 1 / np.sqrt(np.maximum(images.to_arrays()[1], 1e-30))
    gained, error = [], []
    for k, band in enumerate(images):
        light = expected[k][bright[k]].sum() / 100
        gained.append(float((found[k] - expected[k])[bright[k]].sum() / light))
        error.append(float(clean.sky_error_nmgy(band) * bright[k].sum() / light))
    return {"gained": gained, "stated": error}


def main() -> None:
    """Measure all, print and write."""
    options = options_of(__doc__, seeds=4)
    result: dict[str, Any] = {}
    for name, place in MOCKS.items():
        for index in (1, 4):
            for subtracted in (False, True):
                light = mock(*place, index)
                expected = np.array([light * color for color in COLORS.values()])
                found = []
                for seed in range(options.seeds):
                    images = observe(light, seed, subtracted)
                    found.append(compare(images, subtract_background(images), expected))
                what = f"{name}, n = {index}, sky {'subtracted' if subtracted else 'unknown'}"
                result[what] = {
                    key: np.mean([one[key] for one in found], axis=0).tolist() for key in found[0]
                }
    files = sorted((SHARED / "data/real/j0151_des").glob("DES_*.fits"))
    if not files:
        print("No images of DES beside the checkout: their crops are left out.")
    else:
        raw = BandImages.read(files, redshift=0.02)
        whole = subtract_background(raw).to_arrays()[0].astype(float)
        for name, region in CROPS.items():
            images = raw[region]
            result[f"DES, {name}"] = compare(
                images, subtract_background(images), whole[(slice(None), *region)]
            )
    record("sky_crops.json", result)


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PicassssoWarning)
        main()
