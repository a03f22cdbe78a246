"""Measure how much the stellar mass of one galaxy depends on how it was observed.

The DES coadds of one galaxy are degraded to 2 and 3 times their pixels and PSF, rotated, and
deprived of one band after the other; each set goes from files through ``prepare`` and every
estimator, with defaults. Given are the differences of log10 stellar mass inside 24 arcsec of the
nucleus from that of the files as they are. The redshift is a stand-in.

The files (temuller/hostphot test data, MIT licence; Dark Energy Survey) are no part of the
repository: their folder is the argument.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
import warnings
from pathlib import Path

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS
from photutils.aperture import SkyCircularAperture
from reproject import reproject_exact
from scipy.ndimage import gaussian_filter

import picasssso
from picasssso.estimators import get_estimator
from picasssso.preparation import prepare

RESULT = Path(__file__).resolve().parent / "results" / "preparation_galaxy.json"
BANDS = "griz"
NUCLEUS = SkyCoord(27.9521 * u.deg, 0.2639 * u.deg)
APERTURE = 24 * u.arcsec
REDSHIFT = 0.02
#: Assumed seeing, only to make the degraded PSF about so many times as wide.
SEEING = 1.0  # arcsec
BARS = {"sed_fit": 0.06, "mass_to_light": 0.08, "kcorrect": 0.08}
OPTIONS = {"sed_fit": {"n_models": 10_000}, "mass_to_light": {}, "kcorrect": {}}


def degrade(folder: Path, out: Path, factor: float, angle: float, seed: int) -> list[Path]:
    """Write the files with larger pixels, a broader PSF and turned; noise to the new depth."""
    rng = np.random.default_rng(seed)
    paths = []
    for band in BANDS:
        with fits.open(folder / f"DES_{band}.fits") as hdus:
            header, data = hdus["SCI"].header.copy(), hdus["SCI"].data.astype(float)
            weight = hdus["WGT"].data.astype(float)
            old = WCS(header)
        scale = 0.263
        if factor > 1:
            sigma = SEEING / scale * math.sqrt(factor**2 - 1) / 2.3548
            data = gaussian_filter(data, sigma)
        side = round(data.shape[0] / factor)
        new = WCS(naxis=2)
        new.wcs.ctype = "RA---TAN", "DEC--TAN"
        new.wcs.crval = old.wcs_pix2world([[120, 120]], 0)[0]
        new.wcs.crpix = (side + 1) / 2, (side + 1) / 2
        turn = np.deg2rad(angle)
        new.wcs.cd = (factor * scale / 3600) * np.array(
            [[-np.cos(turn), np.sin(turn)], [np.sin(turn), np.cos(turn)]]
        )
        image, covered = reproject_exact((data, old), new, shape_out=(side, side))
        image = np.nan_to_num(image) * factor**2
        variance, _ = reproject_exact((1 / weight, old), new, shape_out=(side, side))
        variance = np.nan_to_num(variance) * factor**2
        # Smoothing took the noise away: a survey of such pixels would have it.
        if factor > 1:
            image = image + rng.normal(0, 1, image.shape) * np.sqrt(variance)
        ivar = np.where(covered > 0.99, 1 / np.maximum(variance, 1e-12), 0.0)
        for key in set(header):
            if key.startswith(("CD", "CRPIX", "CRVAL", "CTYPE", "CUNIT", "CHECKSUM", "DATASUM")):
                header.remove(key, ignore_missing=True, remove_all=True)
        header.update(new.to_header())
        science = fits.PrimaryHDU(image.astype(np.float32), header)
        science.name = "SCI"
        path = out / f"DES_{band}.fits"
        fits.HDUList(
            [science, fits.ImageHDU(ivar.astype(np.float32), new.to_header(), name="WGT")]
        ).writeto(path)
        paths.append(path)
    return paths


def masses(paths: list[Path], names: list[str]) -> dict[str, float | None]:
    """Return log10 of the mass in the aperture by every estimator."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        images = prepare(paths, redshift=REDSHIFT, position=NUCLEUS)
        x, y = (float(c) for c in images.wcs.world_to_pixel(NUCLEUS))
        half = 25 / images.pixel_scale.value
        images = images.cutout((x, y), (2 * half, 2 * half))
        aperture = SkyCircularAperture(NUCLEUS, APERTURE)
        result: dict[str, float | None] = {}
        for name in names:
            try:
                maps = get_estimator(name)(**OPTIONS[name]).estimate(images, progress=False)
            except picasssso.exceptions.MissingBandError:
                result[name] = None
                continue
            total = maps.total("stellar_mass", aperture, correlation="independent")
            result[name] = math.log10(total.value.to_value(u.Msun))
    return result


def measure(folder: Path) -> dict[str, object]:
    """Return all figures."""
    names = list(BARS)
    files = [folder / f"DES_{band}.fits" for band in BANDS]
    base = masses(files, names)
    print("as they are", base, flush=True)
    cases: dict[str, dict[str, float | None]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for label, factor, angle in (
            ("rotated by 30 degrees", 1.0, 30.0),
            ("2 times pixels and PSF", 2.0, 0.0),
            ("3 times pixels and PSF", 3.0, 0.0),
            ("2 times, rotated by 30 degrees", 2.0, 30.0),
        ):
            out = Path(scratch, f"{factor}-{angle}")
            out.mkdir()
            cases[label] = masses(degrade(folder, out, factor, angle, 1), names)
            print(label, cases[label], flush=True)
    for band in "giz":
        kept = [path for path in files if path.stem[-1] != band]
        cases[f"without {band}"] = masses(kept, names)
        print(f"without {band}", cases[f"without {band}"], flush=True)
    result: dict[str, object] = {
        "redshift": REDSHIFT,
        "bars_dex": BARS,
        "options": OPTIONS,
        "log_mass_as_they_are": {n: round(v, 4) for n, v in base.items() if v is not None},
        "difference_dex": {
            label: {
                n: None if v is None or base[n] is None else round(v - base[n], 4)
                for n, v in values.items()
            }
            for label, values in cases.items()
        },
    }
    result["largest_dex"] = {
        name: max(
            (abs(v[name]) for v in result["difference_dex"].values() if v[name] is not None),
            default=None,
        )
        for name in names
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
