"""Commands that signals end at random moments: they end, say so, and leave nothing behind.

Survey runs of 20 small galaxies with two workers, by M/L and by the SED fit, get SIGTERM, SIGINT
or SIGHUP (to the process, or to its whole group, as from a terminal) while the cluster starts, at
the first galaxy, in the middle, while the table is written, at the end, and while another signal
is being handled; the same is done to `simulate`, `estimate`, `prepare` and `train`. They are run
with ``--slow``; ``PICASSSSO_ENDED=21`` ends so many runs instead of seven, and each other command
as often as that over four.
"""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import h5py
import pytest
from astropy.table import Table

from picasssso import BandImages, PropertyMaps
from picasssso.data import load_example
from picasssso.exceptions import FileFormatError
from picasssso.surveys import read_results
from picasssso.surveys.store import read_rows
from picasssso.testing import make_galaxy

pytest.importorskip("distributed")
psutil = pytest.importorskip("psutil")  # distributed brings it

NUMBER, SIDE = 20, 32
#: Survey runs that are ended.
ENDED = int(os.environ.get("PICASSSSO_ENDED", 7))
SIGNALS = ("SIGTERM", "SIGINT", "SIGHUP")
#: When a survey run is ended: rows in the table, longest wait after it, whether twice.
MOMENTS: dict[str, tuple[int, float, bool]] = {
    "start": (-1, 5.0, False),
    "first galaxy": (1, 0.3, False),
    "middle": (NUMBER // 2, 1.0, False),
    "table": (NUMBER, 0.2, False),
    "end": (NUMBER, 1.5, False),
    "twice": (NUMBER // 2, 1.0, True),
    "twice at the start": (-1, 5.0, True),
}
#: Seconds within which a command has to end.
LONGEST = 15.0
#: Tells the processes of a command from all others.
MARK = "PICASSSSO_ENDED"
TRACKER = re.compile(r"Traceback.*\n.*resource_tracker\.py(?:.*\n)*?KeyError: .*\n?")


@pytest.fixture(scope="module")
def cutouts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cutouts")
    return make_cutouts(folder), folder


@pytest.mark.slow
@pytest.mark.parametrize("k", range(ENDED))
def test_an_ended_survey_run_leaves_nothing_behind_and_goes_on(k, cutouts):
    catalog, folder = cutouts
    assert end_survey(k, catalog, folder, random.Random(k))["wrong"] == []


@pytest.mark.slow
@pytest.mark.parametrize("what", ["simulate", "estimate", "prepare", "train"])
def test_another_command_that_is_ended_leaves_nothing_behind(what, tmp_path):
    command, check = OTHERS[what](tmp_path)
    time_of(command(-2), tmp_path)  # with all that is made or read once
    whole = time_of(command(-1), tmp_path)
    for k in range(max(ENDED // 4, 1)):
        found = end_other(what, command(k), check, tmp_path, random.Random(k), whole, k)
        assert found["wrong"] == []


def make_cutouts(folder: Path) -> Path:
    """Write mock galaxies and their catalog."""
    names = [f"g{k:02d}" for k in range(NUMBER)]
    for k, name in enumerate(names):
        make_galaxy((SIDE, SIDE), seed=k, redshift=0.02 + 0.002 * k).write(folder / f"{name}.fits")
    path = folder / "galaxies.ecsv"
    Table({"id": names, "redshift": [0.02 + 0.002 * k for k in range(NUMBER)]}).write(path)
    return path


class Command:
    """A command under way, in a session of its own."""

    def __init__(self, arguments: list[str], folder: Path) -> None:
        self.mark = f"{os.getpid()}-{time.monotonic_ns()}"
        self.log = folder / f"stderr_{self.mark}.txt"
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "picasssso.cli", *arguments],
                stdout=subprocess.DEVNULL, stderr=log, cwd=folder, start_new_session=True,
                env={**os.environ, MARK: self.mark}, preexec_fn=default_signals,
            )  # fmt: skip

    def send(self, name: str, group: bool) -> None:
        """Send a signal, to all processes of the command or to the first."""
        send = os.killpg if group else os.kill
        with suppress(ProcessLookupError):
            send(self.process.pid, getattr(signal, name))

    def left(self) -> list[int]:
        """Return the processes that are there."""
        found = []
        for one in psutil.process_iter():
            with suppress(psutil.Error):
                if one.environ().get(MARK) == self.mark and one.status() != "zombie":
                    found.append(one.pid)
        return found

    def end(self, name: str, again: str | None, wait: float, group: bool) -> dict[str, Any]:
        """Send a signal, and others after a while; return what became of the command."""
        started = time.monotonic()
        self.send(name, group)
        if again is not None:
            for _ in range(3):
                time.sleep(wait / 3)
                self.send(again, group)
        wrong = []
        try:
            status = self.process.wait(60)
        except subprocess.TimeoutExpired:
            wrong.append(f"did not end: {self.stack()}")
            self.process.kill()
            status = self.process.wait()
        seconds = time.monotonic() - started
        time.sleep(0.2)
        while (left := self.left()) and time.monotonic() - started < LONGEST:
            time.sleep(0.2)
        if seconds > LONGEST:
            wrong.append(f"took {seconds:.1f} s")
        for pid in left:
            with suppress(psutil.Error):
                wrong.append(f"left {' '.join(psutil.Process(pid).cmdline())[:200]}")
                psutil.Process(pid).kill()
        sent = {getattr(signal, one).value for one in (name, again) if one}
        if status not in {0, *(-n for n in sent), *(128 + n for n in sent)}:
            wrong.append(f"status {status}")
        # Python's own tracker of semaphores does not survive a terminal that is closed.
        output = TRACKER.sub("", self.log.read_text())
        if "Traceback" in output and status > 0:
            wrong.append("a traceback")
        return {"status": status, "seconds": seconds, "output": output, "wrong": wrong}

    def stack(self) -> str:
        """Return where the process is."""
        with suppress(OSError):
            return Path(f"/proc/{self.process.pid}/wchan").read_text()
        return ""


def default_signals() -> None:
    """Take signals as from a terminal, also where this script is started without one."""
    for name in SIGNALS:
        signal.signal(getattr(signal, name), signal.SIG_DFL)


def hidden(folder: Path) -> list[str]:
    """Return hidden files and those of unfinished work, but for the lock of a run."""
    return [
        str(path.relative_to(folder))
        for path in folder.rglob(".*")
        if path.name != ".lock" and path.is_file()
    ]


def end_survey(k: int, catalog: Path, folder: Path, dice: random.Random) -> dict[str, Any]:
    """End a survey run, resume it and return what was wrong."""
    moment = list(MOMENTS)[k % len(MOMENTS)]
    rows, wait, twice = MOMENTS[moment]
    estimator = ["mass_to_light", "sed_fit"][(k + k // len(MOMENTS)) % 2]
    name, group = SIGNALS[dice.randrange(3)], dice.random() < 0.5
    again = SIGNALS[dice.randrange(3)] if twice else None
    out = folder / f"run{k}"
    arguments = ["survey", str(catalog), "-e", estimator, "-o", str(out), "--no-prepare",
                 "--images", str(folder / "{id}.fits"), "--workers", "2"]  # fmt: skip
    if estimator == "sed_fit":
        arguments += ["--option", "n_models=2000"]
    command = Command(arguments, folder)
    while command.process.poll() is None and number_of_rows(out) < rows:
        time.sleep(0.02)
    time.sleep(dice.uniform(0.0, wait))
    result = command.end(name, again, dice.uniform(0.0, 2.0), group)
    output, wrong = result.pop("output"), result["wrong"]
    lines = output.strip().splitlines()
    done = number_of_rows(out)
    started = (out / "run.log").exists()
    if result["status"] > 0 and started:
        if not (lines and "--resume goes on" in lines[-1]):
            wrong.append(f"last line {lines[-3:]}")
        elif rows > 0 and f"{done} of {NUMBER} done" not in lines[-1]:
            wrong.append(f"{done} rows, and the last line {lines[-1]}")
    if left := hidden(folder):
        wrong.append(f"left {left}")
    resumed = Command([*arguments, "--resume"], folder)
    if resumed.process.wait(300):
        wrong.append(f"resumed: {resumed.log.read_text()[-300:]}")
    else:
        table = read_results(out)
        if list(table["id"]) != [f"g{n:02d}" for n in range(NUMBER)] or any(table["failed"]):
            wrong.append("rows after --resume")
        for row in table:
            PropertyMaps.read(out / str(row["maps"]))
        if not (out / "index.html").exists():
            wrong.append("no page after --resume")
    result |= {"moment": moment, "signal": name, "again": again, "group": group, "rows": done}
    return result


def number_of_rows(folder: Path) -> int:
    """Return how many galaxies are in the table."""
    try:
        return sum(1 for _ in read_rows(folder))
    except FileFormatError:
        return 0


def end_other(
    what: str, command: list[str], check: Callable[[], None], folder: Path, dice: random.Random,
    whole: float, k: int,
) -> dict[str, Any]:  # fmt: skip
    """End another command at a random moment of its time; return what was wrong."""
    name, group, twice = SIGNALS[k % 3], dice.random() < 0.5, k % 2 == 1
    again = SIGNALS[dice.randrange(3)] if twice else None
    running = Command(command, folder)
    time.sleep(dice.uniform(0.2, 1.0) * whole)
    result = running.end(name, again, dice.uniform(0.0, 1.0), group)
    wrong = result["wrong"]
    if left := hidden(folder):
        wrong.append(f"left {left}")
    try:
        check()
    except Exception as error:
        wrong.append(f"half-written: {error!r}")
    result |= {"signal": name, "again": again, "group": group}
    return result


def time_of(command: list[str], folder: Path) -> float:
    """Return the seconds of a command that nothing ends."""
    started = time.monotonic()
    running = Command(command, folder)
    if running.process.wait():
        raise RuntimeError(running.log.read_text())
    return time.monotonic() - started


def make_simulate(folder: Path) -> tuple[Callable[[int], list[str]], Callable[[], None]]:
    """Return how pairs are made in two processes, and how they are checked."""

    def check() -> None:
        for shard in folder.glob("pairs*/shard_*.h5"):
            with h5py.File(shard) as file:
                assert file.keys()

    return lambda k: ["simulate", str(folder / f"pairs{k}"), "-n", "192", "--shard-size", "16",
                      "--workers", "2", "--pixels", "32"], check  # fmt: skip


def make_estimate(folder: Path) -> tuple[Callable[[int], list[str]], Callable[[], None]]:
    """Return how maps of the example are made, and how they are checked."""
    load_example()[0].write(folder / "example.fits")
    out = folder / "maps.fits"

    def check() -> None:
        if out.exists():
            PropertyMaps.read(out)

    return lambda k: ["estimate", str(folder / "example.fits"), "-e", "sed_fit", "-o", str(out),
                      "--plot", str(folder / "maps.png"), "--overwrite"], check  # fmt: skip


def make_prepare(folder: Path) -> tuple[Callable[[int], list[str]], Callable[[], None]]:
    """Return how images of the example are prepared, and how they are checked."""
    out = folder / "prepared.fits"

    def check() -> None:
        if out.exists():
            BandImages.read(out)

    return lambda k: ["prepare", str(folder / "example.fits"), "-o", str(out),
                      "--overwrite"], check  # fmt: skip


def make_train(folder: Path) -> tuple[Callable[[int], list[str]], Callable[[], None]]:
    """Return how a small network is trained, and how it is checked."""
    from picasssso.networks.weights import read_weights

    recipe = {
        "pairs": [{"survey": "sdss", "settings": {"n_pixels": 32}}],
        "training": {"network": {"widths": [8, 8], "depths": [1, 1]}, "members": 1, "steps": 40,
                     "batch_size": 8, "pool_size": 16, "warmup": 1},
    }  # fmt: skip
    (folder / "recipe.json").write_text(json.dumps(recipe))
    out = folder / "net"

    def check() -> None:
        if Path(f"{out}.safetensors").exists() and Path(f"{out}.json").exists():
            read_weights(out)

    return lambda k: ["train", str(folder / "recipe.json"), "-o", str(out), "--overwrite",
                      "--calibrate", "8"], check  # fmt: skip


OTHERS = {
    "simulate": make_simulate,
    "estimate": make_estimate,
    "prepare": make_prepare,
    "train": make_train,
}
