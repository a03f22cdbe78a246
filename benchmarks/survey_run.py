"""Images per second of a survey run, its overhead and memory, and what a million galaxies cost.

Mock cutouts of 64 x 64 pixels in u, g, r, i and z at 400 redshifts, ready for estimating, as a
plain loop in this process and over one and two workers of a cluster on this machine::

    python benchmarks/survey_run.py [--galaxies 2000]

With ``--kills 30`` nothing is timed: workers, the scheduler and the client of small runs are
ended by SIGKILL at random moments, as often as said, and started again. Every galaxy has to stand
in the table once, and its maps have to be readable::

    python benchmarks/survey_run.py --galaxies 40 --kills 30
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

import astropy.units as u
import psutil
from astropy.table import Table
from records import record, write_table

from picasssso import PropertyMaps
from picasssso.estimators import get_estimator
from picasssso.exceptions import FileFormatError
from picasssso.surveys import read_results, run
from picasssso.surveys.catalogs import read_catalog
from picasssso.surveys.galaxies import READ_ONLY, GalaxyWork
from picasssso.surveys.sources import FilePatterns
from picasssso.surveys.store import read_rows
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
    parser.add_argument("--kills", type=int, help="only kill processes, so many")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        catalog = make_cutouts(folder, given.galaxies)
        if given.kills:
            # Ended from outside, it ends what it has started.
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
            record("survey_run.json", kill_at_random(catalog, folder, given.kills), "kills")
            return
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
        if workers == 1:
            # The time of the run over that of its work, which a busy machine lengthens alike.
            busy = float(read_results(folder / f"{name}_1")["seconds"].to_value("s").sum())
            result["overhead_beside_work"] = (seconds - few) / busy / (1 - FEW / len(table)) - 1
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


#: A run in a process of its own: catalog, folder of the images, folder of results, scheduler.
CLIENT = """
import sys
from picasssso import MassToLightEstimator
from picasssso.surveys import run

catalog, images, folder, scheduler = sys.argv[1:]
run(catalog, MassToLightEstimator(), folder, images=images + "/{id}.fits", prepare=False,
    pictures=0, scheduler=scheduler, resume=True, progress=False)
"""
KINDS = ("worker", "worker", "scheduler", "client")


class Cluster:
    """A scheduler, two workers and a run, each a process that may be killed."""

    def __init__(self, catalog: Path, folder: Path) -> None:
        self.catalog, self.folder = catalog, folder
        self.processes: dict[str, list[subprocess.Popen]] = {}
        self.start("scheduler")

    def start(self, kind: str) -> None:
        """Start a process; after the scheduler all others, which end with it."""
        file = self.folder / "scheduler.json"
        if kind == "scheduler":
            self.end()
            file.unlink(missing_ok=True)
        arguments = {
            "scheduler": ["-m", "distributed.cli.dask_scheduler", "--port", "0",
                          "--host", "127.0.0.1", "--dashboard-address", "127.0.0.1:0",
                          "--scheduler-file", str(file)],
            "worker": ["-m", "distributed.cli.dask_worker", "--scheduler-file", str(file),
                       "--nthreads", "1", "--dashboard-address", "127.0.0.1:0"],
        }  # fmt: skip
        if kind == "client":
            address = json.loads(file.read_text())["address"]
            paths = (self.catalog, self.catalog.parent, self.folder / "run")
            arguments["client"] = ["-c", CLIENT, *map(str, paths), address]
        process = subprocess.Popen([sys.executable, *arguments[kind]], stderr=subprocess.DEVNULL)
        self.processes.setdefault(kind, []).append(process)
        if kind == "scheduler":
            while not (file.exists() and file.read_text().strip().endswith("}")):
                time.sleep(0.1)
            for other in ("worker", "worker", "client"):
                self.start(other)

    def kill(self, kind: str) -> None:
        """Kill a process and start it again."""
        process = self.processes[kind].pop(random.randrange(len(self.processes[kind])))
        process.kill()
        process.wait()
        self.start(kind)

    def end(self) -> None:
        """End everything."""
        for process in chain(*self.processes.values()):
            process.kill()
            process.wait()
        self.processes.clear()

    def rows(self) -> int:
        """Return how many galaxies are in the table."""
        try:
            return sum(1 for _ in read_rows(self.folder / "run"))
        except FileFormatError:
            return 0

    def is_done(self) -> bool:
        """Return whether the run has come to its end; start it again where it has failed."""
        client = self.processes["client"][0]
        if client.poll():
            self.processes["client"].clear()
            self.start("client")
        return client.returncode == 0


def kill_at_random(catalog: Path, folder: Path, kills: int) -> dict[str, Any]:
    """Kill processes of runs at random moments; return how often, and what became of the rows."""
    wanted = list(Table.read(catalog)["id"])
    counts = dict.fromkeys(KINDS, 0)
    rounds = failed = 0
    while sum(counts.values()) < kills:
        place = folder / f"kills_{rounds}"
        place.mkdir()
        cluster = Cluster(catalog, place)
        try:
            while not cluster.is_done():
                # No moment is spared, but some work gets done between two.
                before, until = cluster.rows(), time.monotonic() + 60.0
                while cluster.rows() == before and time.monotonic() < until:
                    time.sleep(0.5)
                    if cluster.is_done():
                        break
                time.sleep(random.uniform(0.0, 4.0))
                if sum(counts.values()) < kills and not cluster.is_done():
                    kind = random.choice(KINDS)
                    cluster.kill(kind)
                    counts[kind] += 1
                    print(f"{sum(counts.values())}: {kind}", file=sys.stderr, flush=True)
        finally:
            cluster.end()
        table = read_results(place / "run")
        assert list(table["id"]) == wanted, "a galaxy is missing, or there twice"
        for row in table:
            if row["failed"]:
                failed += 1
            else:
                PropertyMaps.read(place / "run" / str(row["maps"]))
        rounds += 1
    return {"killed": counts, "runs": rounds, "galaxies_each": len(wanted), "failed_rows": failed}


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
