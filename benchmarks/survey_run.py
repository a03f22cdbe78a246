"""Images per second of a survey run, its overhead and memory, and what a million galaxies cost.

Mock cutouts of 64 x 64 pixels in u, g, r, i and z at 400 redshifts, ready for estimating, as a
plain loop in this process and over one and two workers of a cluster on this machine::

    python benchmarks/survey_run.py [--galaxies 2000]
"""

from __future__ import annotations

import argparse
import os
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import astropy.units as u
import psutil
from astropy.table import Table
from records import record, write_table

from picasssso.estimators import get_estimator
from picasssso.surveys import run
from picasssso.surveys.catalogs import read_catalog
from picasssso.surveys.galaxies import READ_ONLY, GalaxyWork
from picasssso.surveys.sources import FilePatterns
from picasssso.testing import make_galaxy

ESTIMATORS = ("mass_to_light", "cnn", "sed_fit")
SIDE, N_REDSHIFTS = 64, 400
#: Galaxies of a run that measures how long it takes to start.
FEW = 2


def main() -> None:
    """Measure, and write the result and the documentation's table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--galaxies", type=int, default=2000)
    parser.add_argument("--estimators", nargs="+", default=ESTIMATORS)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        catalog = make_cutouts(folder, given.galaxies)
        found = {one: measure(one, catalog, folder) for one in given.estimators}
    result = {"galaxies": given.galaxies, "load_before": LOAD, "estimators": found}
    record("survey_run.json", result)
    write_table("survey_run", rows_of(result))


def make_cutouts(folder: Path, number: int) -> Path:
    """Write mock galaxies and their catalog."""
    names, redshifts = [], []
    for k in range(number):
        images = make_galaxy((SIDE, SIDE), seed=k, redshift=0.02 + 0.0004 * (k % N_REDSHIFTS))
        names.append(f"g{k:06d}")
        redshifts.append(images.redshift)
        images.write(folder / f"{names[-1]}.fits")
    path = folder / "galaxies.ecsv"
    Table({"id": names, "redshift": redshifts}).write(path)
    return path


def measure(name: str, catalog: Path, folder: Path) -> dict[str, Any]:
    """Return figures of one estimator."""
    estimator = get_estimator(name)()
    table = read_catalog(catalog)
    work = GalaxyWork(estimator, folder / f"{name}_loop", READ_ONLY, 10 * u.kpc)
    source = FilePatterns(str(folder / "{id}.fits"), None)
    work([source.locate(table[0])])  # what is imported and read once
    started = time.perf_counter()
    order = sorted(range(len(table)), key=lambda k: table[k].redshift)
    for k in order:
        work([source.locate(table[k])])
    loop = time.perf_counter() - started
    result: dict[str, Any] = {"loop_per_s": len(table) / loop}
    for workers in (1, 2):
        few = run_once(estimator, catalog, folder, f"{name}_{workers}_few", workers, FEW)[0]
        seconds, memory = run_once(estimator, catalog, folder, f"{name}_{workers}", workers)
        rate = (len(table) - FEW) / (seconds - few)
        result[f"workers_{workers}_per_s"] = rate
        result[f"workers_{workers}_peak_gb"] = memory
    result["overhead"] = result["loop_per_s"] / result["workers_1_per_s"] - 1
    result["gain"] = result["workers_2_per_s"] / result["workers_1_per_s"]
    done = folder / f"{name}_2"
    maps = [path.stat().st_size for path in done.glob("maps/*/*.fits")]
    result["maps_kb"] = sum(maps) / len(maps) / 1e3
    result["row_kb"] = (done / "results.sqlite").stat().st_size / len(table) / 1e3
    # A core that works alone, as long as it takes for the rest.
    result["core_hours_million"] = 1e6 / result["workers_1_per_s"] / 3600
    result["core_hours_gigapixel"] = result["core_hours_million"] * 1e3 / SIDE**2
    return result


def run_once(
    estimator: Any, catalog: Path, folder: Path, name: str, workers: int, number: int | None = None
) -> tuple[float, list[float]]:
    """Return the time of a run, and the largest memory of a worker by quarters of it."""
    table = Table.read(catalog)[:number]
    started = time.perf_counter()
    with memory_of_children() as seen:
        summary = run(
            table, estimator, folder / name, images=str(folder / "{id}.fits"), prepare=False,
            pictures=0, workers=workers, progress=False,
        )  # fmt: skip
    assert (summary.done, summary.failed) == (len(table), 0)
    parts = [seen[k * len(seen) // 4 : (k + 1) * len(seen) // 4] for k in range(4)]
    return time.perf_counter() - started, [max(part, default=0.0) for part in parts]


@contextmanager
def memory_of_children() -> Iterator[list[float]]:
    """Sample the largest resident memory of a child process, GB."""
    seen: list[float] = []
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(0.5):
            sizes = [0.0]
            for child in psutil.Process().children(recursive=True):
                try:
                    sizes.append(child.memory_info().rss / 1e9)
                except psutil.Error:
                    continue
            seen.append(max(sizes))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join()


def rows_of(result: dict[str, Any]) -> list[list[str]]:
    """Return the documentation's table."""
    what = "estimator|images/s, one worker|two workers|over a plain loop|memory of a worker"
    rows = [f"{what}|10⁶ galaxies|10⁹ pixels|maps of 10⁶ galaxies".split("|")]
    for name, found in result["estimators"].items():
        rows.append(
            [
                f"``{name}``",
                f"{found['workers_1_per_s']:.2g}",
                f"{found['workers_2_per_s']:.2g}",
                f"{100 * found['overhead']:+.0f} %",
                f"{max(found['workers_2_peak_gb']):.1f} GB",
                f"{found['core_hours_million']:.3g} core hours",
                f"{found['core_hours_gigapixel']:.3g} core hours",
                f"{found['maps_kb'] / 1e3:.2g} TB",
            ]
        )
    return rows


LOAD = os.getloadavg()[0]

if __name__ == "__main__":
    main()
