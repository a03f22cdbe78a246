#!/usr/bin/env python
"""How many mock galaxies are made per second, from numbers to images and true maps.

One galaxy is everything: its parameters, its description with margins, light in *ugriz*
with the errors of the stellar model, PSF, noise, other sources, and the true maps. Two
worker processes of one thread each, as data loaders have; the median of several rounds.
Processor time is given as well, since other work on the machine does not change it much.

Run from the root of the repository: ``python benchmarks/mocks_speed.py``.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import statistics
import time
from pathlib import Path

RESULT = Path("benchmarks/results/mocks_speed.json")
BATCH = 64


def work(arguments: tuple) -> tuple[float, float]:
    """Make batches in one process; return wall and processor seconds."""
    start, batches, n_pixels, truth_at_psf, table = arguments
    import torch

    torch.set_num_threads(1)
    from picasssso.mocks import MockGenerator

    generator = MockGenerator(
        1, table=table, n_pixels=n_pixels, truth_at_psf=truth_at_psf, device="cpu"
    )
    generator.draw(range(BATCH))
    wall, processor = time.perf_counter(), time.process_time()
    for k in range(batches):
        generator.draw(range(start + k * BATCH, start + (k + 1) * BATCH)).truth.properties()
    return time.perf_counter() - wall, time.process_time() - processor


def gpu_rate(table: object, n_pixels: int) -> float | None:
    """Return galaxies per second on CUDA, or None where there is none."""
    import torch

    if not torch.cuda.is_available():
        return None
    from picasssso.mocks import MockGenerator

    generator = MockGenerator(1, table=table, n_pixels=n_pixels, truth_at_psf=False)  # type: ignore
    rates = []
    for k in range(8):
        torch.cuda.synchronize()
        start = time.perf_counter()
        generator.draw(range(k * 2048, (k + 1) * 2048)).truth.properties()
        torch.cuda.synchronize()
        rates.append(2048 / (time.perf_counter() - start))
    return statistics.median(rates[2:])


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--batches", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    import torch

    from picasssso.mocks import LightTable

    table = LightTable.build([f"sdss2010-{band}" for band in "ugriz"], (0.01, 0.15))
    results = {}
    context = multiprocessing.get_context("spawn")
    load = os.getloadavg()[0]
    with context.Pool(options.workers) as pool:
        for name, at_psf in (("images_and_maps", False), ("and_maps_at_psf", True)):
            rates, seconds = [], []
            for _ in range(options.rounds):
                jobs = [
                    (w * 10_000, options.batches, 64, at_psf, table)
                    for w in range(options.workers)
                ]
                done = pool.map(work, jobs, chunksize=1)
                n = options.batches * BATCH
                rates.append(sum(n / wall for wall, _ in done))
                seconds.append(sum(cpu for _, cpu in done) / (n * options.workers))
            results[name] = {
                "galaxies_per_s": round(statistics.median(rates), 1),
                "fastest_round_per_s": round(max(rates), 1),
                "processor_ms_per_galaxy": round(1e3 * statistics.median(seconds), 2),
                "per_s_if_two_cores_were_free": round(2.0 / statistics.median(seconds), 1),
            }
    content = {
        "what": "64 x 64 ugriz images and true maps, survey sdss",
        "workers": options.workers,
        "load_before": round(load, 2),
        "cpu_count": os.cpu_count(),
        "machine": platform.machine(),
        "torch": torch.__version__,
        "cuda_galaxies_per_s": gpu_rate(table, 64),
        **results,
    }
    RESULT.write_text(json.dumps(content, indent=1) + "\n")
    print(RESULT.read_text())


if __name__ == "__main__":
    main()
