"""Workers, the scheduler and the run itself killed at random moments: nothing is lost or twice."""

import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest

from picasssso import PropertyMaps
from picasssso.surveys import read_results

pytest.importorskip("distributed")
psutil = pytest.importorskip("psutil")  # distributed brings it
pytestmark = pytest.mark.slow

#: A run of its own, in a process that can be killed.
RUN = """
import json, sys, astropy.units as u
from survey_estimators import Quick
from picasssso.surveys import run
if __name__ == "__main__":
    how = json.loads(sys.argv[1])
    how["options"]["psf"] = 1.3 * u.arcsec
    print(run(estimator=Quick(seconds=0.3), progress=False, **how))
"""


@pytest.fixture
def start(tmp_path, how):
    """Start a run, with some arguments; everything that is left of it ends with the test."""
    started = []
    script = tmp_path / "survey_script.py"
    script.write_text(RUN)
    given = {**how, "catalog": str(how["catalog"]), "folder": str(tmp_path / "run")}
    given["options"] = {"survey": "sdss"}
    del given["progress"]
    paths = [os.path.join(os.path.dirname(__file__), "..", "plugins"), *sys.path]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}

    def begin(command, **more):
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
        )
        started.append(process)
        return process

    def begin_run(**more):
        return begin([sys.executable, str(script), json.dumps({**given, **more})])

    begin_run.command = begin
    yield begin_run
    for process in started:
        if process.poll() is None:
            for child in psutil.Process(process.pid).children(recursive=True):
                child.kill()
            process.kill()
        process.wait(timeout=60)
        process.stdout.close()


def check(folder, failed=0):
    """Every galaxy is there exactly once, and its maps can be read."""
    table = read_results(folder)
    assert list(table["id"]) == [f"galaxy {k}" for k in range(6)]
    assert sum(table["failed"] != "") == failed
    for row in table:
        if not row["failed"]:
            PropertyMaps.read(folder / str(row["maps"]))


def wait_for_work(process, folder):
    """Wait until the first row is there or the run ends, then for a random while."""
    log = folder / "run.log"
    while process.poll() is None and not (log.exists() and "to do" in log.read_text()):
        time.sleep(0.1)
    moment = random.SystemRandom().uniform(0, 6)
    print(f"killed {moment:.2f} s after the beginning")  # noqa: T201 - shown if it fails
    time.sleep(moment)


def test_the_run_killed_and_resumed(tmp_path, start):
    process = start(workers=2)
    wait_for_work(process, tmp_path / "run")
    children = (
        psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    )
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    # Its workers end with it.
    _, alive = psutil.wait_procs(children, timeout=60)
    assert not alive
    again = start(workers=2, resume=True)
    output, _ = again.communicate(timeout=240)
    assert again.returncode == 0, output
    check(tmp_path / "run")


def test_a_worker_killed(tmp_path, start):
    process = start(workers=2)
    wait_for_work(process, tmp_path / "run")
    workers = [
        child
        for child in psutil.Process(process.pid).children(recursive=True)
        if "spawn_main" in " ".join(child.cmdline())
    ]
    if workers:
        random.SystemRandom().choice(workers).kill()
    output, _ = process.communicate(timeout=240)
    assert process.returncode == 0, output
    check(tmp_path / "run")


def test_the_scheduler_killed(tmp_path, start):
    def cluster(name):
        file = tmp_path / f"{name}.json"
        scheduler = start.command(
            [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1",
             "--port", "0", "--dashboard-address", "127.0.0.1:0", "--scheduler-file", str(file)]
        )  # fmt: skip
        start.command(
            [sys.executable, "-m", "distributed.cli.dask_worker", "--scheduler-file", str(file),
             "--nthreads", "1", "--dashboard-address", "127.0.0.1:0"]
        )  # fmt: skip
        while not (file.exists() and file.read_text().strip().endswith("}")):
            time.sleep(0.1)
        return scheduler, json.loads(file.read_text())["address"]

    scheduler, address = cluster("first")
    process = start(scheduler=address)
    wait_for_work(process, tmp_path / "run")
    os.kill(scheduler.pid, signal.SIGKILL)
    output, _ = process.communicate(timeout=240)
    if process.returncode:  # it may have been done before
        assert "The connection to the scheduler" in output
    _, address = cluster("second")
    again = start(scheduler=address, resume=True)
    output, _ = again.communicate(timeout=240)
    assert again.returncode == 0, output
    check(tmp_path / "run")
