"""Measure the DES galaxy's magnitudes through BandImages, against those known.

The known magnitudes, inside 24 arcsec of the nucleus with the sky as the median of all
pixels beyond 27 arcsec of it and the foreground star left in, stand in the README beside
the files, to two decimals. The difference that a sky from photutils' Background2D makes,
with the galaxy masked, is given beside them.

The files (temuller/hostphot test data, MIT licence; Dark Energy Survey) are no part of the
repository: their folder is the argument.
"""

from __future__ import annotations

import argparse
import json
import warnings
from pathlib import Path

import astropy.units as u
import numpy as np
from astropy.wcs import FITSFixedWarning
from photutils.aperture import CircularAperture
from photutils.background import Background2D

import picasssso
from picasssso import BandImages

RESULT = Path(__file__).resolve().parent / "results" / "des_photometry.json"

KNOWN = {"g": 14.96, "r": 14.12, "i": 13.75, "z": 13.47}
#: Largest difference allowed, mag.
BAR = 0.01
APERTURE = 24 * u.arcsec
SKY_BEYOND = 27 * u.arcsec


def read(folder: Path) -> BandImages:
    """Return the four bands; the redshift is a stand-in, and photometry needs none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FITSFixedWarning)
        return BandImages.read(
            {f"decam2014-{band}": f"{folder}/DES_{band}.fits[SCI]" for band in KNOWN},
            redshift=0.02,
            zero_point=30 * u.ABmag,
            weight="WGT",
        )


def nucleus(images: BandImages) -> tuple[float, float]:
    """Return x, y of the brightest spot of the i band near the middle of the image."""
    data = images["decam2014-i"].data
    middle = tuple(slice(side // 2 - 15, side // 2 + 16) for side in data.shape)
    part = data[middle].astype(float)
    y, x = np.indices(part.shape)
    weight = np.where(part > 0.5 * part.max(), part, 0.0)
    return (
        float(np.average(x, weights=weight)) + middle[1].start,
        float(np.average(y, weights=weight)) + middle[0].start,
    )


def magnitudes(images: BandImages, centre: tuple[float, float]) -> dict[str, dict[str, float]]:
    """Return the magnitudes with the sky defined above, and with Background2D."""
    flux, _ = images.to_arrays()
    scale = images.pixel_scale.to_value(u.arcsec)
    y, x = np.indices(images.shape)
    radius = np.hypot(x - centre[0], y - centre[1]) * scale
    galaxy = radius <= SKY_BEYOND.to_value(u.arcsec)
    aperture = CircularAperture(centre, APERTURE.to_value(u.arcsec) / scale)
    result = {}
    for name, plane in zip(images.bands, flux.astype(float), strict=True):
        skies = {
            "median_beyond_27_arcsec": np.median(plane[~galaxy]),
            "background2d": Background2D(plane, 30, mask=galaxy, exclude_percentile=90).background,
        }
        result[name[-1]] = {
            sky: 22.5 - 2.5 * np.log10(aperture.do_photometry(plane - level)[0][0])
            for sky, level in skies.items()
        }
    return result


def rounded(values: dict[str, float]) -> dict[str, float]:
    """Return the values to a tenth of a millimagnitude."""
    return {band: round(float(value), 4) for band, value in values.items()}


def measure(folder: Path) -> dict[str, object]:
    """Return all figures."""
    images = read(folder)
    centres = {
        "nucleus": nucleus(images),
        "middle_of_cutout": ((images.shape[1] - 1) / 2, (images.shape[0] - 1) / 2),
    }
    result: dict[str, object] = {"known_mag": KNOWN, "bar_mag": BAR}
    for name, centre in centres.items():
        measured = magnitudes(images, centre)
        plain = {band: skies["median_beyond_27_arcsec"] for band, skies in measured.items()}
        offset = {band: plain[band] - KNOWN[band] for band in KNOWN}
        smooth = {band: skies["background2d"] - plain[band] for band, skies in measured.items()}
        result[name] = {
            "x_y_pixel": [round(value, 2) for value in centre],
            "mag": rounded(plain),
            "difference_from_known_mag": rounded(offset),
            "largest_difference_mag": round(max(map(abs, offset.values())), 4),
            "background2d_minus_median_sky_mag": rounded(smooth),
        }
    result["picasssso"] = picasssso.__version__
    return result


def main() -> None:
    """Measure, print and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("folder", type=Path, help="folder with DES_g.fits ... DES_z.fits")
    result = measure(parser.parse_args().folder)
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
