"""Images per second of a survey run, its overhead and memory, and what a million galaxies cost.

Mock cutouts of 64 x 64 pixels in u, g, r, i and z at 400 redshifts, ready for estimating, as a
plain loop in this process and over one and two workers of a cluster on this machine::

    python benchmarks/survey_run.py [--galaxies 2000] [--estimators mass_to_light]

The loop and one worker take turns. Overhead and costs are of seconds of a core (user and system,
of the worker and of the process that hands out the work), which other work on the machine
lengthens less than the wall clock; both are recorded. Estimators that are not named keep their
figures.

With ``--mosaic HEIGHT WIDTH`` one large image of five bands is estimated by M/L over one and two
workers instead, with the largest memory of a worker::

    python benchmarks/survey_run.py --mosaic 10000 4000

With ``--memory 16`` nothing is timed: the memory of two workers by quarters of a run, on cutouts
of 16 x 16 pixels, which take less time but need as many model libraries::

    python benchmarks/survey_run.py --galaxies 2000 --estimators sed_fit --memory 16
"""

from __future__ import annotations

import os
import resource
import shutil
import statistics
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
import psutil
from astropy.nddata import NDData
from astropy.table import Table
from records import load, options_of, record, sampled, write_table

from picasssso import BandImages
from picasssso.estimators import get_estimator
from picasssso.surveys import run, run_mosaic
from picasssso.surveys.catalogs import read_catalog
from picasssso.surveys.galaxies import READ_ONLY, GalaxyWork
from picasssso.surveys.image_sources import FilePatterns
from picasssso.testing import make_galaxy

ESTIMATORS = ["mass_to_light", "cnn", "sed_fit"]
SIDE, N_REDSHIFTS = 64, 400
#: Galaxies of a run that measures how long it takes to start.
FEW = 2


def main() -> None:
    """Measure, and write the result and the documentation's tables."""
    # Mosaic: height and width; memory: nothing is timed; table: only the tables.
    given = options_of(
        __doc__, galaxies=2000, rounds=3, estimators=ESTIMATORS, mosaic=[0], memory=0,
        table=False,
    )  # fmt: skip
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if any(given.mosaic):
            record("survey_run.json", measure_mosaic(folder, *given.mosaic), "mosaic")
        elif not given.table:
            catalog = make_cutouts(folder, given.galaxies, given.memory or SIDE)
            if given.memory:
                kept = load("survey_run.json").get("memory", {})
                for one in given.estimators:
                    full = run_once(get_estimator(one)(), catalog, folder, f"{one}_memory", 2)
                    how = {"galaxies": given.galaxies, "side": given.memory}
                    kept[one] = {**how, "workers_2_memory_gb": full["memory_gb"]}
                record("survey_run.json", kept, "memory")
                return
            known = load("survey_run.json").get("estimators", {})
            found = {one: measure(one, catalog, folder, given.rounds) for one in given.estimators}
            record("survey_run.json", {**known, **found}, "estimators")
    result = load("survey_run.json")
    # Figures of older versions of this script stand there until they are measured again.
    result["estimators"] = {k: v for k, v in result["estimators"].items() if "overhead_cpu" in v}
    if result["estimators"]:
        write_table("survey_run", rows_of(result))
    write_table("survey_cost", costs_of(result))


def make_cutouts(folder: Path, number: int, side: int) -> Path:
    """Write mock galaxies and their catalog."""
    names, redshifts = [], []
    for k in range(number):
        images = make_galaxy((side, side), seed=k, redshift=0.02 + 0.0004 * (k % N_REDSHIFTS))
        names.append(f"g{k:06d}")
        redshifts.append(images.redshift)
        images.write(folder / f"{names[-1]}.fits")
    path = folder / "galaxies.ecsv"
    Table({"id": names, "redshift": redshifts}).write(path)
    return path


def measure(name: str, catalog: Path, folder: Path, rounds: int) -> dict[str, Any]:
    """Return figures of one estimator."""
    estimator = get_estimator(name)()
    table = read_catalog(catalog)
    work = GalaxyWork(estimator, folder / f"{name}_loop", READ_ONLY, 10 * u.kpc)
    source = FilePatterns(str(folder / "{id}.fits"), None)
    work([source.locate(table[0])])  # what is imported and read once
    order = sorted(range(len(table)), key=lambda k: table[k].redshift)
    more = len(table) - FEW
    turns: dict[str, list[float]] = {}
    memory: list[float] = []
    for k in range(rounds):
        load = os.getloadavg()[0]
        started, busy = time.perf_counter(), time.process_time()
        for number in order:
            work([source.locate(table[number])])
        turn = {
            "loop_s": (time.perf_counter() - started) / len(table),
            "loop_cpu_s": (time.process_time() - busy) / len(table),
        }
        few = run_once(estimator, catalog, folder, f"{name}_{k}_few", 1, FEW)
        full = run_once(estimator, catalog, folder, f"{name}_{k}", 1)
        memory = full.pop("memory_gb")
        turn |= {f"worker_1_{key}": (full[key] - few[key]) / more for key in full}
        turn["start_s"], turn["load_before"] = few["s"], load
        for key, value in turn.items():
            turns.setdefault(key, []).append(value)
    result: dict[str, Any] = {"galaxies": len(table), "rounds": rounds}
    result |= {key: statistics.median(values) for key, values in turns.items()}
    few = run_once(estimator, catalog, folder, f"{name}_two_few", 2, FEW)
    full = run_once(estimator, catalog, folder, f"{name}_two", 2)
    result["workers_2_s"] = (full["s"] - few["s"]) / more
    result["worker_1_memory_gb"], result["workers_2_memory_gb"] = memory, full["memory_gb"]
    each = [
        (worker + client) / loop - 1
        for worker, client, loop in zip(
            turns["worker_1_cpu_s"], turns["worker_1_client_cpu_s"], turns["loop_cpu_s"],
            strict=True,
        )
    ]  # fmt: skip
    result["overhead_cpu"] = statistics.median(each)
    result["overhead_cpu_by_round"] = each
    result["overhead_wall"] = result["worker_1_s"] / result["loop_s"] - 1
    result["gain_wall"] = result["worker_1_s"] / result["workers_2_s"]
    done = folder / f"{name}_two"
    maps = [path.stat().st_size for path in done.glob("maps/*/*.fits")]
    result["maps_kb"] = sum(maps) / len(maps) / 1e3
    result["row_kb"] = (done / "results.sqlite").stat().st_size / len(table) / 1e3
    return result


def run_once(
    estimator: Any, catalog: Path, folder: Path, name: str, workers: int, number: int | None = None
) -> dict[str, Any]:
    """Return seconds of a run, seconds of a core, and the memory of a worker by quarters."""
    table = Table.read(catalog)[:number]
    with costs() as found:
        summary = run(
            table, estimator, folder / name, images=str(folder / "{id}.fits"), prepare=False,
            pictures=0, workers=workers, progress=False,
        )  # fmt: skip
    assert (summary.done, summary.failed) == (len(table), 0)
    return found


def measure_mosaic(folder: Path, height: int, width: int) -> dict[str, Any]:
    """Return time and memory of one large image over one and two workers, by M/L."""
    make_mosaic(folder / "field.fits", height, width)
    result: dict[str, Any] = {"shape": [height, width], "load_before": os.getloadavg()[0]}
    for workers in (1, 2):
        with costs() as found:
            summary = run_mosaic(
                folder / "field.fits", get_estimator("mass_to_light")(), folder / f"m{workers}",
                workers=workers, progress=False,
            )  # fmt: skip
        assert summary.failed == 0
        maps = folder / f"m{workers}" / "maps.fits"
        result |= {
            f"workers_{workers}_s": found["s"],
            f"workers_{workers}_cpu_s": found["cpu_s"] + found["client_cpu_s"],
            f"workers_{workers}_peak_gb": max(found["memory_gb"]),
            "blocks": summary.done,
            "maps_gb": maps.stat().st_size / 1e9,
        }
        shutil.rmtree(folder / f"m{workers}")
    result["gain_wall"] = result["workers_1_s"] / result["workers_2_s"]
    return result


def make_mosaic(path: Path, height: int, width: int) -> None:
    """Write one large image: a mock galaxy over and over."""
    side = 250
    part = make_galaxy((side, side), seed=1, redshift=0.05)
    planes = {}
    for band in part:
        image = part[band]
        data, sigma = (
            np.tile(plane, (-(-height // side), -(-width // side)))[:height, :width]
            for plane in (np.float32(image.data), np.float32(image.uncertainty.array))
        )
        planes[band] = NDData(
            data, unit=image.unit, uncertainty=type(image.uncertainty)(sigma), wcs=image.wcs
        )
    BandImages(
        planes, redshift=0.05, galactic_extinction=part.galactic_extinction
    ).write(path)  # fmt: skip


@contextmanager
def costs() -> Iterator[dict[str, Any]]:
    """Measure seconds, seconds of a core of child processes and of this one, and memory."""
    found: dict[str, Any] = {}
    started, busy, children = time.perf_counter(), time.process_time(), _children_s()
    with sampled(memory_of_children, 0.5) as seen:
        yield found
    parts = [seen[k * len(seen) // 4 : (k + 1) * len(seen) // 4] for k in range(4)]
    found |= {
        "s": time.perf_counter() - started,
        "cpu_s": _children_s() - children,
        "client_cpu_s": time.process_time() - busy,
        "memory_gb": [max(part, default=0.0) for part in parts],
    }


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def memory_of_children() -> float:
    """Return the largest resident memory of a child process, GB."""
    sizes = [0.0]
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            sizes.append(child.memory_info().rss / 1e9)
    return max(sizes)


def rows_of(result: dict[str, Any]) -> list[list[str]]:
    """Return the documentation's table of speed."""
    what = (
        "estimator|galaxies|a core's seconds per galaxy|over a plain loop|images/s, one worker"
        "|two workers|memory of a worker"
    )
    rows = [what.split("|")]
    for name, found in result["estimators"].items():
        rows.append(
            [
                f"``{name}``",
                str(found["galaxies"]),
                f"{_core_s(found):.2g}",
                f"{100 * found['overhead_cpu']:+.0f} %",
                f"{1 / found['worker_1_s']:.2g}",
                f"{1 / found['workers_2_s']:.2g}",
                f"{max(found['workers_2_memory_gb']):.1f} GB",
            ]
        )
    return rows


def costs_of(result: dict[str, Any]) -> list[list[str]]:
    """Return the documentation's table of what large runs would cost at these rates."""
    rows = [["what", "estimator", "time of cores", "maps", "table"]]
    for name, found in result["estimators"].items():
        hours, size = _core_s(found) * 1e6 / 3600, found["maps_kb"] / 1e3
        rows.append(
            ["10⁶ galaxies", f"``{name}``", f"{hours:.2g} core hours", f"{size:.2g} TB",
             f"{found['row_kb']:.1g} GB"]
        )  # fmt: skip
    if mosaic := result.get("mosaic"):
        times = 1e9 / (mosaic["shape"][0] * mosaic["shape"][1])
        hours = mosaic["workers_1_cpu_s"] * times / 3600
        rows.append(
            ["10⁹ pixels", "``mass_to_light``", f"{hours:.2g} core hours",
             f"{mosaic['maps_gb'] * times:.2g} GB", "by labels"]
        )  # fmt: skip
    return rows


def _core_s(found: dict[str, Any]) -> float:
    return found["worker_1_cpu_s"] + found["worker_1_client_cpu_s"]


if __name__ == "__main__":
    main()
