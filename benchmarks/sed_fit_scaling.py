"""Measure memory, and how the time grows with pixels and with models.

Memory: `SEDFitEstimator.estimate` of some rows of an image of 4096 x 4096 pixels in five
bands, each count of rows in a process of its own; the peak of its resident memory less what
it held before (with everything imported, the library built and a first fit done), less the
input and the output, whose sizes are known. If that does not grow with the rows, neither
would it for all 4096. The image: exponential disks 200 pixels apart, signal-to-noise ratio
20 in r at their centers.

Time: CPU time per pixel of one process with one thread for images of 10^3 to 10^6 pixels,
and of 16,384 pixels with libraries of 12,500 to 200,000 models.
"""

from __future__ import annotations

import os
from time import perf_counter, process_time

import astropy.units as u
import numpy as np
from astropy.nddata import CCDData, StdDevUncertainty
from records import in_fresh_process, options_of, record
from sed_fit_common import BANDS, NO_EXTINCTION

from picasssso import BandImages, SEDFitEstimator

WIDTH = 4096
REDSHIFT = 0.05
BAR_GB = 3.0
COLORS = np.array([0.25, 0.6, 1.0, 1.35, 1.6], np.float32)
NOISE = np.array([0.6, 0.8, 1.0, 1.2, 2.0], np.float32) / 20


def image(rows: int, width: int) -> BandImages:
    """Return rows of the large image, float32 throughout."""
    rng = np.random.default_rng(3)
    y, x = np.ogrid[:rows, :width]
    radius = np.hypot((y + 100) % 200 - 100, x % 200 - 100).astype(np.float32)
    light = np.exp(-radius / 25)
    images = {}
    for band, color, noise in zip(BANDS, COLORS, NOISE, strict=True):
        data = rng.standard_normal((rows, width), dtype=np.float32)
        data *= noise
        data += color * light ** (1 + 0.1 * (color - 1))
        sigma = np.full_like(data, noise)
        images[band] = CCDData(data, unit=u.nmgy, uncertainty=StdDevUncertainty(sigma))
    return BandImages(
        images, redshift=REDSHIFT, pixel_scale=1 * u.arcsec, galactic_extinction=NO_EXTINCTION
    )


def resident(key: str) -> float:
    """Return resident memory now (VmRSS) or at its peak (VmHWM), MB."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(key)) / 1024


def one_run(rows: int, width: int, n_models: int) -> dict[str, float]:
    """Estimate rows of the image, and say what it took."""
    estimator = SEDFitEstimator(n_models=n_models, device="cpu")
    estimator.estimate(image(8, 64), progress=False)
    before = resident("VmRSS")
    images = image(rows, width)
    held = resident("VmRSS")
    # Forget the peak so far.
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")
    busy, clock = process_time(), perf_counter()
    maps = estimator.estimate(images, progress=False)
    busy, clock = process_time() - busy, perf_counter() - clock
    given = sum(im.data.nbytes + im.uncertainty.array.nbytes for im in images.values())
    planes = [maps.quality]
    for name in maps:
        arrays = maps._planes(name)
        planes += [arrays.percentiles, *([] if arrays.mean is None else [arrays.mean])]
    # Planes that are views of one another count once.
    owners = {id(plane.base): plane for plane in planes if plane.base is not None}
    owners |= {id(plane): plane for plane in planes if plane.base is None}
    returned = sum(plane.nbytes for plane in owners.values())
    peak = resident("VmHWM")
    return {
        "rows": rows,
        "pixels": rows * width,
        "input_mb": given / 2**20,
        "output_mb": returned / 2**20,
        "before_mb": before,
        "with_input_mb": held,
        "peak_mb": peak,
        "beside_input_and_output_mb": peak - before - (given + returned) / 2**20,
        "process_beside_input_and_output_mb": peak - (given + returned) / 2**20,
        "cpu_us_per_pixel": 1e6 * busy / (rows * width),
        "wall_us_per_pixel": 1e6 * clock / (rows * width),
    }


def in_process(rows: int, width: int, n_models: int) -> dict[str, float]:
    """Return `one_run` of a fresh process with one thread."""
    threads = {f"{n}_NUM_THREADS": "1" for n in ("OMP", "OPENBLAS", "MKL")}
    code = (
        f"import json, sed_fit_scaling as s; print(json.dumps(s.one_run{rows, width, n_models}))"
    )
    return in_fresh_process(code, **threads)


def main() -> None:
    """Measure, print and write the result."""
    options = options_of(__doc__, rows=[16, 64, 256])
    memory = [in_process(rows, WIDTH, 50_000) for rows in options.rows]
    last = memory[-1]
    by_pixels = {
        str(side * side): in_process(side, side, 50_000)["cpu_us_per_pixel"]
        for side in (32, 100, 317)
    }
    by_pixels[str(last["pixels"])] = last["cpu_us_per_pixel"]
    record(
        "sed_fit_scaling.json",
        {
            "bar_gb": BAR_GB,
            "memory": memory,
            "hours_for_4096_rows_on_one_core": last["cpu_us_per_pixel"] * 4096 * WIDTH / 3.6e9,
            "cpu_us_per_pixel_by_pixels": by_pixels,
            "cpu_us_per_pixel_by_models": {
                str(n): in_process(128, 128, n)["cpu_us_per_pixel"]
                for n in (12_500, 25_000, 50_000, 100_000, 200_000)
            },
            "load_1min": os.getloadavg()[0],
        },
    )


if __name__ == "__main__":
    main()
