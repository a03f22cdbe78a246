"""Workers, scheduler and client of runs on a cluster killed at random moments: nothing is lost.

Run with ``--slow``; ``PICASSSSO_KILLED=30`` kills so many processes instead of four.
"""

import json
import os
import random
import subprocess
import sys
import time
from itertools import chain

import pytest
from astropy.table import Table

from picasssso import PropertyMaps
from picasssso.exceptions import FileFormatError
from picasssso.surveys import read_results
from picasssso.surveys.store import read_rows
from picasssso.testing import make_galaxy

pytest.importorskip("distributed")
pytestmark = pytest.mark.slow

KILLED = int(os.environ.get("PICASSSSO_KILLED", 4))
N_GALAXIES, SIDE = 40, 64

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

    def __init__(self, catalog, folder):
        self.catalog, self.folder = catalog, folder
        self.processes = {}
        self.start("scheduler")

    def start(self, kind):
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

    def kill(self, kind):
        """Kill a process and start it again."""
        process = self.processes[kind].pop(random.randrange(len(self.processes[kind])))
        process.kill()
        process.wait()
        self.start(kind)

    def end(self):
        """End everything."""
        for process in chain(*self.processes.values()):
            process.kill()
            process.wait()
        self.processes.clear()

    def rows(self):
        """Return how many galaxies are in the table."""
        try:
            return sum(1 for _ in read_rows(self.folder / "run"))
        except FileFormatError:
            return 0

    def is_done(self):
        """Return whether the run has come to its end; start it again where it has failed."""
        client = self.processes["client"][0]
        if client.poll():
            self.processes["client"].clear()
            self.start("client")
        return client.returncode == 0


@pytest.fixture
def catalog(tmp_path):
    names = [f"g{k:02d}" for k in range(N_GALAXIES)]
    redshifts = [0.02 + 0.001 * k for k in range(N_GALAXIES)]
    for k, (name, redshift) in enumerate(zip(names, redshifts, strict=True)):
        galaxy = make_galaxy((SIDE, SIDE), seed=k, redshift=redshift)
        galaxy.write(tmp_path / f"{name}.fits")
    Table({"id": names, "redshift": redshifts}).write(tmp_path / "galaxies.ecsv")
    return tmp_path / "galaxies.ecsv"


def test_kills_at_random_moments_lose_nothing(tmp_path, catalog):
    killed = rounds = 0
    while killed < KILLED:
        place = tmp_path / f"kills_{rounds}"
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
                if killed < KILLED and not cluster.is_done():
                    cluster.kill(random.choice(KINDS))
                    killed += 1
        finally:
            cluster.end()
        table = read_results(place / "run")
        assert list(table["id"]) == list(Table.read(catalog)["id"])
        for row in table:
            assert not row["failed"]
            PropertyMaps.read(place / "run" / str(row["maps"]))
        rounds += 1
