"""Measure what preparation does to colours, fluxes, noise and magnitudes, on made images.

- Readers: magnitudes of a source in files made to each survey's layout, against those put in.
- PSF matching: colours in apertures of one FWHM of a galaxy whose bands have different PSFs, and
  total fluxes, before and after; the PSFs known, measured from stars, or known by width only.
- Noise: scatter of empty apertures of whole pixels, of 1, 3 and 10 pixels radius, over what the
  images state, after resampling onto larger, rotated pixels and after PSF matching, for noise
  that was white and for noise that was correlated to begin with.
"""

from __future__ import annotations

import json
import sys
import tempfile
import warnings
from itertools import pairwise
from pathlib import Path

import astropy.units as u
import numpy as np
from astropy.nddata import CCDData, StdDevUncertainty
from photutils.aperture import CircularAperture
from scipy.ndimage import gaussian_filter
from scipy.signal import fftconvolve

import picasssso
from picasssso import BandImages
from picasssso.io import read_survey
from picasssso.preparation import align_bands, match_psf
from picasssso.preparation.noise import calibrate_noise
from picasssso.preparation.psf import model_psf, with_measured_psf

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "plugins"))
import survey_layouts as layouts  # noqa: E402

RESULT = ROOT / "benchmarks" / "results" / "preparation_accuracy.json"
SCALE = 0.4
FWHM = {"sdss2010-g": 4.2, "sdss2010-r": 3.2, "sdss2010-i": 2.8}
COLORS = {"sdss2010-g": 0.6, "sdss2010-r": 1.0, "sdss2010-i": 1.3}
UGRIZ = [f"sdss2010-{band}" for band in "ugriz"]


def source(magnitude: float, shape: tuple[int, int] = (48, 60)) -> np.ndarray:
    """Return one round source, nmgy."""
    y, x = np.indices(shape)
    light = np.exp(-((x - 29.3) ** 2 + (y - 23.8) ** 2) / 12)
    return 10 ** (0.4 * (22.5 - magnitude)) * light / light.sum()


def readers() -> dict[str, float]:
    """Return the largest error of a magnitude, by layout."""
    wcs, native = (layouts.tangent_wcs((48, 60), scale) for scale in (0.4, 0.262))
    truth = {"u": 19.2, "g": 17.6, "r": 17.0, "i": 16.7, "z": 16.4, "y": 16.3, "Y": 16.3}
    result = {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)

        def error(files: object, **options: object) -> float:
            images = read_survey(files, redshift=0.05, **options)
            found = {
                band: 22.5 - 2.5 * np.log10(images.to_arrays(bands=[band])[0].sum(dtype=float))
                for band in images
            }
            return max(abs(value - truth[band[-1]]) for band, value in found.items())

        result["sdss"] = error(
            [layouts.sdss_frame(folder / f"s{b}", b, source(truth[b]), wcs) for b in "ugriz"]
        )
        cube = np.stack([source(truth[b]) for b in "griz"])
        result["legacy"] = error(
            layouts.legacy_cutout(
                folder / "l", "griz", cube, native, inverse_variance=np.ones(cube.shape)
            )
        )
        result["des"] = error(
            [
                layouts.des_coadd(folder / f"d{b}", b, source(truth[b]), wcs, sigma=0.1)
                for b in "grizY"
            ]
        )
        for asinh in (True, False):
            out = folder / f"ps1-{asinh}"
            out.mkdir()
            paths = [
                layouts.ps1_stack(out, b, source(truth[b]), wcs, sigma=0.1, asinh=asinh)
                for b in "grizy"
            ]
            name = "panstarrs (asinh)" if asinh else "panstarrs (linear)"
            result[name] = error([path for three in paths for path in three])
        for camera in ("HSC", "LSST"):
            result[camera.lower()] = error(
                [
                    layouts.lsst_image(
                        folder / f"{camera}{b}", b, source(truth[b]), wcs, sigma=0.1,
                        camera=camera,
                    )
                    for b in "griz"
                ]
            )  # fmt: skip
        result["eso (KiDS)"] = error(
            [layouts.eso_image(folder / f"e{b}", b, source(truth[b]), wcs) for b in "ugri"]
        )
        result["generic (GAMA)"] = error(
            {b: layouts.gama_image(folder / f"g{b}", source(truth[b]), wcs) for b in "ugriz"},
            survey="sdss",
            zero_point=30 * u.ABmag,
        )
    return {name: float(f"{value:.1e}") for name, value in result.items()}


def galaxy_field(side: int = 401) -> tuple[BandImages, dict[str, np.ndarray]]:
    """Return a galaxy among stars, each band with its own PSF and a little noise."""
    rng = np.random.default_rng(6)
    y, x = np.indices((side, side)) - side // 2
    disc = np.exp(-np.hypot(x, y / 0.7) / 6)
    bulge = np.exp(-np.hypot(x, y) / 1.5)
    galaxy = 150 * (0.7 * disc / disc.sum() + 0.3 * bulge / bulge.sum())
    stars = np.zeros((side, side))
    while np.count_nonzero(stars) < 20:
        place = rng.integers(40, side - 40, 2)
        near = stars[place[0] - 25 : place[0] + 26, place[1] - 25 : place[1] + 26]
        if np.hypot(*(place - side // 2)) > 90 and not near.any():
            stars[tuple(place)] = rng.uniform(10, 50)
    wcs = layouts.tangent_wcs((side, side), SCALE)
    images, psf = {}, {}
    for band, width in FWHM.items():
        psf[band] = model_psf(width, 61)
        clean = fftconvolve(galaxy * COLORS[band] + stars, psf[band], mode="same")
        images[band] = CCDData(
            clean + rng.normal(0, 1e-3, clean.shape),
            unit="nmgy",
            wcs=wcs,
            uncertainty=StdDevUncertainty(np.full(clean.shape, 1e-3)),
        )
    return BandImages(images, redshift=0.03), psf


def psf_matching() -> dict[str, dict[str, float]]:
    """Return errors of colours at one FWHM and of total fluxes."""
    images, psf = galaxy_field()
    middle = images.shape[0] // 2
    small = CircularAperture((middle, middle), FWHM["sdss2010-g"] / 2)
    large = CircularAperture((middle, middle), 75)
    truth = {band: 150 * color for band, color in COLORS.items()}
    true_colors = [-2.5 * np.log10(a / b) for a, b in pairwise(truth.values())]

    def errors(found: BandImages) -> dict[str, float]:
        planes = [plane.astype(float) for plane in found.to_arrays()[0]]
        sums = [small.do_photometry(plane)[0][0] for plane in planes]
        totals = [large.do_photometry(plane)[0][0] for plane in planes]
        before = [large.do_photometry(p.astype(float))[0][0] for p in images.to_arrays()[0]]
        colors = [-2.5 * np.log10(a / b) for a, b in pairwise(sums)]
        return {
            "largest_colour_error_mag": round(
                float(np.abs(np.subtract(colors, true_colors)).max()), 4
            ),
            "largest_flux_change_percent": round(
                float(100 * np.abs(np.divide(totals, before) - 1).max()), 4
            ),
        }  # fmt: skip

    widths = {band: width * SCALE * u.arcsec for band, width in FWHM.items()}
    measured = with_measured_psf(images)
    return {
        "not matched": errors(images),
        "PSFs known": errors(match_psf(images.replace(psf=psf))),
        "PSFs measured from stars": errors(match_psf(measured)),
        "widths known": errors(match_psf(images.replace(psf=widths))),
        "widths known, wrong profile": errors(
            match_psf(images.replace(psf=widths), profile="gaussian")
        ),
    }


def aperture_ratio(images: BandImages, radius: int) -> float:
    """Return the scatter of empty apertures over what is stated, in all bands."""
    margin, step = radius + 8, 2 * radius + 2
    height, width = images.shape
    places = [
        (x, y)
        for x in range(margin, width - margin, step)
        for y in range(margin, height - margin, step)
    ]
    apertures = CircularAperture(places, radius + 0.01)
    n_pixels = apertures.to_mask(method="center")[0].data.sum()
    ratios = []
    for band, flux, precision in zip(images.bands, *images.to_arrays(), strict=True):
        with np.errstate(divide="ignore"):
            variance = np.where(precision > 0, 1 / precision.astype(float), 0)
        sums = apertures.do_photometry(flux.astype(float), method="center")[0]
        stated = apertures.do_photometry(variance, method="center")[0]
        ratios.append(sums / np.sqrt(stated * images.noise_scaling[band](n_pixels)))
    return float(np.std(ratios))


def noise() -> dict[str, dict[str, float]]:
    """Return scatter over stated noise by aperture radius, after each step."""
    result = {}
    for name, smooth in (("white", 0.0), ("correlated", 1.2)):
        rng = np.random.default_rng(11)
        shape = (400, 400)
        wcs = layouts.tangent_wcs(shape, SCALE)
        planes = {}
        for band in UGRIZ:
            sky = rng.normal(0, 1, shape)
            if smooth:
                sky = gaussian_filter(sky, smooth)
                sky /= sky.std()
            planes[band] = CCDData(
                sky, unit="nmgy", wcs=wcs, uncertainty=StdDevUncertainty(np.ones(shape))
            )
        images = BandImages(planes, redshift=0.05)
        images = calibrate_noise(images, source_mask=np.zeros(shape, bool))
        grid = layouts.tangent_wcs((240, 240), 0.47, rotation=20)
        resampled = align_bands(images, grid, (240, 240))
        matched = match_psf(images.replace(psf=model_psf(3.0)), 2.0 * u.arcsec)
        both = match_psf(resampled.replace(psf=model_psf(2.6)), 2.0 * u.arcsec)
        for step, found in (
            ("as measured", images),
            ("resampled", resampled),
            ("PSF matched", matched),
            ("resampled and PSF matched", both),
        ):
            result[f"{name}, {step}"] = {
                str(radius): round(aperture_ratio(found, radius), 3) for radius in (1, 3, 10)
            }
    return result


def main() -> None:
    """Measure, print and write the result."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = {
            "readers_largest_magnitude_error": readers(),
            "psf_matching": psf_matching(),
            "noise_scatter_over_stated": noise(),
            "picasssso": picasssso.__version__,
        }
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
