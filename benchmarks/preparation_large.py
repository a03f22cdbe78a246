"""Measure memory and time of preparing large fields, 10,000 x 1,000 and 10,000 x 2,000 pixels.

With ``--field`` only the processor time of one field of 900 x 900 pixels, and of its maps.

Five bands with a sloping sky, stars and a galaxy in the middle, memory-mapped, go through
``prepare`` with its defaults, the PSFs known and Galactic extinction removed, into memory-mapped
output. Each size runs in a process of its own. Peak memory is what is not backed by a file
(resident and not shared), so neither input nor output count, above what the process has after its
imports.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
import psutil
from astropy.nddata import CCDData, StdDevUncertainty
from astropy.wcs import WCS
from records import in_fresh_process, load, options_of, record, sampled

import picasssso
from picasssso.data import load_example
from picasssso.preparation import prepare
from picasssso.preparation.psf import model_psf

BANDS = [f"sdss2010-{band}" for band in "ugriz"]
FWHM = dict(zip(BANDS, (4.2, 3.9, 3.3, 3.1, 3.0), strict=True))
WIDTH = 10_000
HEIGHTS = (1_000, 2_000)
FIELD = 900


def anonymous_memory() -> int:
    """Return bytes of memory that no file backs."""
    found = psutil.Process().memory_info()
    return found.rss - found.shared


def make_input(folder: Path, shape: tuple[int, int]) -> dict[str, np.ndarray]:
    """Write one band after the other, a few rows at a time, and map them read-only."""
    rng = np.random.default_rng(3)
    far = (shape[0] - 30, shape[1] - 30)
    places = rng.uniform((30, 30), far, (shape[0] * shape[1] // 20_000, 2))
    light = 10 ** rng.uniform(0, 2, len(places))
    planes = {}
    for band, width in FWHM.items():
        path = folder / f"{band}.dat"
        plane = np.memmap(path, dtype=np.float32, mode="w+", shape=shape)
        columns = np.arange(shape[1], dtype=np.float32)
        for start in range(0, shape[0], 200):
            rows = np.arange(start, min(start + 200, shape[0]))[:, None]
            sky = 2 + 1e-5 * columns + 2e-5 * rows
            radius = np.hypot(columns - shape[1] / 2, (rows - shape[0] / 2) / 0.7)
            noise = rng.normal(0, 0.05, (len(rows), shape[1]))
            plane[rows[:, 0]] = sky + 5 * np.exp(-radius / 20) + noise
        kernel = model_psf(width, 41)
        for (y, x), flux in zip(places.astype(int), light, strict=True):
            y0, x0 = max(y - 20, 0), max(x - 20, 0)
            part = plane[y0 : y + 21, x0 : x + 21]
            shown = kernel[20 - (y - y0) :, 20 - (x - x0) :][: part.shape[0], : part.shape[1]]
            part += flux * shown
        plane.flush()
        planes[band] = np.memmap(path, dtype=np.float32, mode="r", shape=shape)
    return planes


def make_images(folder: Path, shape: tuple[int, int]) -> picasssso.BandImages:
    """Make the field, memory-mapped."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval = ("RA---TAN", "DEC--TAN"), (150, 2)
    wcs.wcs.cdelt, wcs.wcs.crpix = (-1e-4, 1e-4), (shape[1] / 2, shape[0] / 2)
    noise = np.memmap(folder / "noise.dat", dtype=np.float32, mode="w+", shape=shape)
    noise[:] = 0.05
    sigma = StdDevUncertainty(noise, copy=False)
    images = {
        band: CCDData(plane, unit=u.nmgy, wcs=wcs, uncertainty=sigma)
        for band, plane in make_input(folder, shape).items()
    }
    return picasssso.BandImages(images, redshift=0.02)


def run(height: int, scratch: str) -> dict[str, Any]:
    """Prepare one field; return memory and time."""
    folder = Path(scratch)
    prepare(load_example()[0])  # imports, and what they keep
    images = make_images(folder, (height, WIDTH))
    before = anonymous_memory()
    psf = {band: model_psf(width) for band, width in FWHM.items()}
    start, processor_start = time.perf_counter(), time.process_time()
    with sampled(anonymous_memory, 0.02) as seen:
        done = prepare(images, psf=psf, ebv=0.05, ebv_scale="SFD98", folder=folder)
        seconds = time.perf_counter() - start
        processor = time.process_time() - processor_start
    left = {band: float(np.median(done[band].data[::7, ::7])) for band in done}
    return {
        "peak_memory_GB": (max(seen) - before) / 1e9,
        "seconds": seconds,
        "processor_seconds": processor,
        "largest_median_sky_left_over_noise": max(map(abs, left.values())) / 0.05,
        "steps": [step["step"] for step in done.meta["preparation"]],
    }


def run_field(folder: Path) -> dict[str, float]:
    """Prepare a field of ordinary size and map it; return processor time, s."""
    psf = {band: model_psf(width) for band, width in FWHM.items()}
    warm = prepare(load_example()[0])  # imports, and what they keep
    images = make_images(folder, (FIELD, FIELD))
    start = time.process_time()
    done = prepare(images, psf=psf, ebv=0.05, ebv_scale="SFD98")
    seconds = {"prepare": time.process_time() - start}
    for name in ("mass_to_light", "cnn"):
        estimator = picasssso.get_estimator(name)()
        estimator.estimate(warm)
        start = time.process_time()
        estimator.estimate(done)
        seconds[name] = time.process_time() - start
    return seconds


def main() -> None:
    """Run each size in a process of its own; print and write the result."""
    options = options_of(__doc__, folder=Path, field=False)
    result: dict[str, Any] = load("preparation_large.json") | {"width": WIDTH, "bands": len(BANDS)}
    if options.field:
        with tempfile.TemporaryDirectory(dir=options.folder) as scratch:
            result[f"processor_seconds_{FIELD}"] = run_field(Path(scratch))
        record("preparation_large.json", result)
        return
    for height in HEIGHTS:
        with tempfile.TemporaryDirectory(dir=options.folder) as scratch:
            what = f"p.run({height}, {scratch!r})"
            code = f"import json, preparation_large as p; print(json.dumps({what}))"
            result[str(height)] = in_fresh_process(code)
    one, two = (result[str(height)] for height in HEIGHTS)
    result |= {
        "memory_growth_percent": 100 * (two["peak_memory_GB"] / one["peak_memory_GB"] - 1),
        "time_ratio": two["seconds"] / one["seconds"],
        "processor_time_ratio": two["processor_seconds"] / one["processor_seconds"],
    }
    record("preparation_large.json", result)


if __name__ == "__main__":
    main()
