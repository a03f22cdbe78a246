#!/usr/bin/env python
"""How many mock galaxies are made per second, from numbers to images and true maps.

One galaxy is everything: its parameters, its description with margins, light in *ugriz*
with the errors of the stellar model, PSF, noise, other sources, and the true maps, all at 64 x
64 pixels for the survey "sdss".

On the CPU: worker processes of one thread each, as data loaders have; the median of several
rounds. Processor time is given as well, since other work on the machine changes it less. On
CUDA: batches after a warm-up, the device waited for, and how long the host is busy per galaxy.

Run from the root of the repository: ``python benchmarks/mocks_speed.py`` for the CPU,
``--cuda`` for a GPU. With ``--table FILE`` the table of light is kept in a file: with it,
torch, numpy and h5py are all that ``--cuda`` needs. Each part replaces its own entry of the
result only.
"""

from __future__ import annotations

import multiprocessing
import os
import statistics
import time
from pathlib import Path
from typing import Any

from records import light_table, options_of, record

CPU_BATCH = 64
BANDS = [f"sdss2010-{band}" for band in "ugriz"]


def work(arguments: tuple) -> tuple[float, float]:
    """Make batches in one process; return wall and processor seconds."""
    start, batches, truth_at_psf, table = arguments
    import torch

    torch.set_num_threads(1)
    from picasssso.mocks import MockGenerator

    generator = MockGenerator(1, table=table, truth_at_psf=truth_at_psf, device="cpu")
    generator.draw(range(CPU_BATCH))
    wall, processor = time.perf_counter(), time.process_time()
    for k in range(batches):
        first = start + k * CPU_BATCH
        generator.draw(range(first, first + CPU_BATCH)).truth.properties()
    return time.perf_counter() - wall, time.process_time() - processor


def measure_cpu(table: object, workers: int, batches: int, rounds: int) -> dict[str, Any]:
    """Return rates on the CPU."""
    os.environ["OMP_NUM_THREADS"] = "1"
    result: dict[str, Any] = {"workers": workers, "load_before": os.getloadavg()[0]}
    n = batches * CPU_BATCH
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        for name, at_psf in (("images_and_maps", False), ("and_maps_at_psf", True)):
            jobs = [(w * 10_000, batches, at_psf, table) for w in range(workers)]
            done = [pool.map(work, jobs, chunksize=1) for _ in range(rounds)]
            rates = [sum(n / wall for wall, _ in one) for one in done]
            seconds = [sum(cpu for _, cpu in one) / (n * workers) for one in done]
            result[name] = {
                "galaxies_per_s": statistics.median(rates),
                "fastest_round_per_s": max(rates),
                "processor_ms_per_galaxy": 1e3 * statistics.median(seconds),
                "least_processor_ms_per_galaxy": 1e3 * min(seconds),
                "per_s_if_two_cores_were_free": 2.0 / statistics.median(seconds),
            }
    return result


def cuda_rates(table: object, at_psf: bool, batch: int, repeats: int) -> dict[str, float]:
    """Return galaxies per second, and the time in which the host has queued them all."""
    import torch

    from picasssso.mocks import MockGenerator

    torch.cuda.reset_peak_memory_stats()
    generator = MockGenerator(1, table=table, truth_at_psf=at_psf, device="cuda")  # type: ignore
    rates, queued = [], []
    for k in range(repeats + 2):
        torch.cuda.synchronize()
        start = time.perf_counter()
        generator.draw(range(k * batch, (k + 1) * batch)).truth.properties()
        done = time.perf_counter()
        torch.cuda.synchronize()
        rates.append(batch / (time.perf_counter() - start))
        queued.append((done - start) / batch)
    return {
        "batch": batch,
        "galaxies_per_s": statistics.median(rates[2:]),
        "host_ms_per_galaxy": 1e3 * statistics.median(queued[2:]),
        "peak_gib": torch.cuda.max_memory_allocated() / 2**30,
    }


def measure_cuda(table: object, batches: list[int], repeats: int) -> dict[str, Any]:
    """Return rates on CUDA for sizes of batches."""
    import torch

    if not torch.cuda.is_available():
        raise SystemExit("--cuda needs a CUDA device, and torch finds none.")
    tried = [cuda_rates(table, False, batch, repeats) for batch in batches]
    best = max(tried, key=lambda entry: entry["galaxies_per_s"])
    return {
        "device": torch.cuda.get_device_name(),
        "best": best,
        "best_with_maps_at_psf": cuda_rates(table, True, int(best["batch"]), repeats),
        "tried": tried,
    }


def main() -> None:
    """Measure and write the result."""
    options = options_of(
        __doc__, table=Path, workers=2, batches=4, rounds=5, cuda=False,
        cuda_batch=[2048, 4096], repeats=6,
    )  # fmt: skip
    table = light_table(options.table, BANDS, (0.01, 0.15))
    if options.cuda:
        result = measure_cuda(table, options.cuda_batch, options.repeats)
    else:
        result = measure_cpu(table, options.workers, options.batches, options.rounds)
    record("mocks_speed.json", result, part="cuda" if options.cuda else "cpu")


if __name__ == "__main__":
    main()
