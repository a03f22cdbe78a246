"""Measure the bars that images, maps and blocks have to keep, on real and made-up images.

Flux that `BandImages.reproject_to` keeps on a DES galaxy (half and 1.7 times its pixels,
rotated by 33 degrees; each method); totals of source-free pixels against their error; how
far blocks differ from the whole; whether every plane of a file of maps comes back exactly
and on the same sky, distortions included; the number of checks of the estimator contract;
and the bad inputs that the tests try.

The DES files (temuller/hostphot test data, MIT licence; Dark Energy Survey) are no part of
the repository: the folder with DES_r.fits is the argument.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.nddata import CCDData, StdDevUncertainty
from astropy.wcs import WCS, FITSFixedWarning, Sip
from photutils.aperture import SkyCircularAperture

import picasssso
from picasssso import BandImages, GalacticExtinction, MassToLightEstimator
from picasssso.maps import PropertyMaps
from picasssso.testing import check_names, make_galaxy

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "benchmarks" / "results" / "foundation.json"

#: Of the DES galaxy (see des_photometry.py).
NUCLEUS = SkyCoord(27.952, 0.264, unit="deg")
APERTURE = 24 * u.arcsec
PERCENTILES = (2.5, 16, 50, 84, 97.5)
#: Where bad input is tried.
BAD_INPUT_TESTS = (
    "tests/bands/test_bad_input.py",
    "tests/maps/test_map_errors.py",
    "tests/test_cli.py::test_bad_file_is_a_short_error",
    "tests/test_cli.py::test_wrong_use_exits_with_2",
)


def grid(side: int, scale: float, rotation: float) -> WCS:
    """Return a tangential grid around the DES galaxy; scale in arcsec, rotation in deg."""
    wcs = WCS(naxis=2)
    angle, step = np.radians(rotation), scale / 3600
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [NUCLEUS.ra.deg, NUCLEUS.dec.deg]
    wcs.wcs.crpix = [(side + 1) / 2] * 2
    wcs.wcs.cd = step * np.array([[-np.cos(angle), np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return wcs


def flux_kept(folder: Path) -> dict[str, float]:
    """Return the relative change of the flux in the aperture, for each new grid."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FITSFixedWarning)
        images = BandImages.read(
            {"decam2014-r": f"{folder}/DES_r.fits[SCI]"}, redshift=0.02, weight="WGT"
        )
    images = images.cutout(NUCLEUS, 186)

    def flux(each: BandImages) -> float:
        aperture = SkyCircularAperture(NUCLEUS, APERTURE).to_pixel(each.wcs)
        return float(aperture.do_photometry(each.to_arrays()[0][0].astype(float))[0][0])

    before, found = flux(images), {}
    for method in ("exact", "adaptive", "interp"):
        for factor in (0.5, 1.7):
            for rotation in (0.0, 33.0):
                side = int(188 / factor)
                new = images.reproject_to(
                    grid(side, 0.263 * factor, rotation),
                    (side, side),
                    method=method,
                    progress=False,
                )
                name = f"{method}, {factor} x the pixel scale, {rotation:g} deg"
                found[name] = float(f"{flux(new) / before - 1:.2e}")
    return found


def empty_sky(seed: int, side: int = 100) -> BandImages:
    """Return g and i images of nothing but noise, side x side pixels."""
    rng = np.random.default_rng(seed)
    sigma = 0.05
    return BandImages(
        {
            band: CCDData(
                rng.normal(0, sigma, (side, side)).astype(np.float32),
                unit=u.nmgy,
                uncertainty=StdDevUncertainty(np.full((side, side), sigma, np.float32)),
            )
            for band in ("sdss2010-g", "sdss2010-i")
        },
        redshift=0.05,
        pixel_scale=0.4 * u.arcsec,
        galactic_extinction=GalacticExtinction(ebv=0.0, scale="SF11", applied=True),
    )


def totals_of_nothing(repetitions: int = 40) -> dict[str, float]:
    """Return mean and scatter of total / error over many empty images of 10^4 pixels."""
    estimator = MassToLightEstimator()
    pulls = []
    for seed in range(repetitions):
        total = estimator.estimate(empty_sky(seed)).total(
            "stellar_mass", correlation="independent"
        )
        pulls.append(float(total.value / total.uncertainty))
    return {
        "pixels": 10_000,
        "images": repetitions,
        "mean_of_total_over_error": round(float(np.mean(pulls)), 3),
        "error_of_that_mean": round(float(np.std(pulls, ddof=1) / repetitions**0.5), 3),
        "scatter_of_total_over_error": round(float(np.std(pulls, ddof=1)), 3),
        "largest": round(float(np.max(np.abs(pulls))), 3),
    }


def planes(maps: PropertyMaps) -> dict[str, np.ndarray]:
    """Return every plane of the stellar mass."""
    found = {f"p{q:g}": maps.percentile("stellar_mass", q).value for q in PERCENTILES}
    found |= {"mean": maps.mean("stellar_mass").value, "quality": np.asarray(maps.quality)}
    if maps.meta["n_samples"]:
        found["samples"] = maps.samples("stellar_mass").value
    return found


def blocks_against_whole() -> dict[str, float]:
    """Return the largest difference, relative to the error of a pixel."""
    images = make_galaxy((150, 170))
    whole = MassToLightEstimator().estimate(images)
    frugal = MassToLightEstimator()
    frugal.memory_budget = 1_000_000
    _, n_blocks = frugal._blocks(images.select(("sdss2010-g", "sdss2010-i")), 0)
    parts = frugal.estimate(images, progress=False)
    sigma = whole["stellar_mass"].uncertainty.array
    one, two = planes(whole), planes(parts)
    worst = max(float(np.nanmax(np.abs(one[k].astype(float) - two[k]) / sigma)) for k in one)
    return {"blocks": n_blocks, "largest_difference_in_errors": worst}


def round_trip() -> dict[str, object]:
    """Return what a file of maps on a distorted grid gives back."""
    images = make_galaxy((40, 44))
    wcs = images.wcs
    assert wcs is not None
    wcs.wcs.ctype = ["RA---TAN-SIP", "DEC--TAN-SIP"]
    a, b = np.zeros((3, 3)), np.zeros((3, 3))
    a[2, 0], b[0, 2] = 1e-5, -2e-5
    wcs.sip = Sip(a, b, None, None, wcs.wcs.crpix)
    images = images.replace(
        images={
            band: CCDData(ccd.data, unit=ccd.unit, uncertainty=ccd.uncertainty, wcs=wcs)
            for band, ccd in images.items()
        }
    )
    maps = MassToLightEstimator().estimate(images, n_samples=3, seed=1)
    y, x = np.indices(images.shape)
    expected = wcs.all_pix2world(x, y, 0)
    with tempfile.TemporaryDirectory() as scratch:
        path = f"{scratch}/maps.fits"
        maps.write(path)
        again = PropertyMaps.read(path)
        before, after = planes(maps), planes(again)
        exact = {k: bool(np.array_equal(before[k], after[k], equal_nan=True)) for k in before}
        offsets = []
        with fits.open(path) as hdus:
            for hdu in hdus:
                # A cube of samples needs naxis=2 where there are distortions: it is no plane.
                if "CTYPE1" in hdu.header and hdu.header["NAXIS"] == 2:
                    found = WCS(hdu.header).all_pix2world(x, y, 0)
                    offsets.append(float(np.max(np.abs(np.subtract(found, expected)))))
    return {
        "planes_that_come_back_exactly": sum(exact.values()),
        "planes": len(exact),
        "extensions_with_wcs": len(offsets),
        "largest_wcs_offset_deg": max(offsets),
    }


def bad_inputs() -> dict[str, int]:
    """Count the bad inputs that the tests try, as pytest collects them."""
    listing = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", *BAD_INPUT_TESTS],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    cases = re.findall(r"^(tests/\S+?)::(\S+?)\[", listing, flags=re.MULTILINE)
    return {file: sum(name == file for name, _ in cases) for file, _ in dict(cases).items()}


def main() -> None:
    """Measure, print and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("folder", type=Path, help="folder with DES_r.fits")
    folder = parser.parse_args().folder
    result = {
        "flux_change_by_reprojection": flux_kept(folder),
        "totals_of_source_free_pixels": totals_of_nothing(),
        "blocks_against_whole": blocks_against_whole(),
        "file_round_trip": round_trip(),
        "contract_checks": len(check_names()),
        "bad_inputs_in_tests": bad_inputs(),
        "picasssso": picasssso.__version__,
    }
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
