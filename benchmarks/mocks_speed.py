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

import argparse
import json
import multiprocessing
import os
import platform
import statistics
import sys
import time
from pathlib import Path

RESULT = Path("benchmarks/results/mocks_speed.json")
CPU_BATCH = 64
REDSHIFTS = (0.01, 0.15)


def light_table(path: Path | None):
    """Return the table of light, from a file if it is there; write it if it is not."""
    from picasssso.mocks.light import LightTable, read_light_table, write_light_table

    if path is not None and path.exists():
        return read_light_table(path)
    table = LightTable.build([f"sdss2010-{band}" for band in "ugriz"], REDSHIFTS)
    if path is not None:
        write_light_table(path, table)
    return table


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


def measure_cpu(table: object, workers: int, batches: int, rounds: int) -> dict:
    """Return rates on the CPU."""
    os.environ["OMP_NUM_THREADS"] = "1"
    import torch

    result = {
        "workers": workers,
        "load_before": round(os.getloadavg()[0], 2),
        "cpu_count": os.cpu_count(),
        "machine": platform.machine(),
        "torch": torch.__version__,
    }
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        for name, at_psf in (("images_and_maps", False), ("and_maps_at_psf", True)):
            rates, seconds = [], []
            for _ in range(rounds):
                jobs = [(w * 10_000, batches, at_psf, table) for w in range(workers)]
                done = pool.map(work, jobs, chunksize=1)
                n = batches * CPU_BATCH
                rates.append(sum(n / wall for wall, _ in done))
                seconds.append(sum(cpu for _, cpu in done) / (n * workers))
            result[name] = {
                "galaxies_per_s": round(statistics.median(rates), 1),
                "fastest_round_per_s": round(max(rates), 1),
                "processor_ms_per_galaxy": round(1e3 * statistics.median(seconds), 2),
                "least_processor_ms_per_galaxy": round(1e3 * min(seconds), 2),
                "per_s_if_two_cores_were_free": round(2.0 / statistics.median(seconds), 1),
            }
    return result


def cuda_rates(generator: object, batch: int, repeats: int) -> dict[str, float]:
    """Return galaxies per second, and the time in which the host has queued them all."""
    import torch

    rates, queued = [], []
    for k in range(repeats + 2):
        torch.cuda.synchronize()
        start = time.perf_counter()
        generator.draw(range(k * batch, (k + 1) * batch)).truth.properties()  # type: ignore
        done = time.perf_counter()
        torch.cuda.synchronize()
        rates.append(batch / (time.perf_counter() - start))
        queued.append((done - start) / batch)
    return {
        "galaxies_per_s": round(statistics.median(rates[2:]), 0),
        "host_ms_per_galaxy": round(1e3 * statistics.median(queued[2:]), 4),
        "peak_gib": round(torch.cuda.max_memory_allocated() / 2**30, 2),
    }


def measure_cuda(table: object, batches: list[int], repeats: int) -> dict:
    """Return rates on CUDA for sizes of batches."""
    import torch

    from picasssso.mocks import MockGenerator

    if not torch.cuda.is_available():
        raise SystemExit("--cuda needs a CUDA device, and torch finds none.")
    tried = []
    for batch in batches:
        torch.cuda.reset_peak_memory_stats()
        generator = MockGenerator(1, table=table, truth_at_psf=False, device="cuda")  # type: ignore
        tried.append({"batch": batch, **cuda_rates(generator, batch, repeats)})
        print(tried[-1], flush=True)
    best = max(tried, key=lambda entry: entry["galaxies_per_s"])
    generator = MockGenerator(1, table=table, truth_at_psf=True, device="cuda")  # type: ignore
    return {
        "device": torch.cuda.get_device_name(),
        "torch": torch.__version__,
        "best": best,
        "best_with_maps_at_psf": cuda_rates(generator, best["batch"], repeats),
        "tried": tried,
    }


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--table", type=Path, help="file of the table of light")
    parser.add_argument("--output", type=Path, default=RESULT, help="JSON file of results")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--batches", type=int, default=4, help="per worker and round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cuda", action="store_true", help="measure on CUDA instead")
    parser.add_argument("--cuda-batch", type=int, nargs="+", default=[2048, 4096])
    parser.add_argument("--repeats", type=int, default=6, help="batches timed on CUDA")
    options = parser.parse_args()
    table = light_table(options.table)
    before = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    content = {name: before[name] for name in ("cpu", "cuda") if name in before}
    content["what"] = "64 x 64 ugriz images and true maps, survey sdss"
    if options.cuda:
        content["cuda"] = measure_cuda(table, options.cuda_batch, options.repeats)
    else:
        content["cpu"] = measure_cpu(table, options.workers, options.batches, options.rounds)
    options.output.write_text(json.dumps(content, indent=1) + "\n")
    json.dump(content, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
