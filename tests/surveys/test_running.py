"""Runs over a cluster: every galaxy once, whatever fails on the way."""

import faulthandler
import logging
import os
import re
import signal
import subprocess
import sys
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import QTable, Table
from click.testing import CliRunner
from survey_estimators import Quick

from picasssso import PropertyMaps
from picasssso._cli.signals import Ended
from picasssso.bands import GalacticExtinction
from picasssso.cli import cli
from picasssso.exceptions import InvalidInputError, InvalidTypeError, PicassssoWarning
from picasssso.surveys import read_results, run, run_mosaic
from picasssso.testing import make_galaxy

pytest.importorskip("distributed")
import dask

from picasssso.surveys.engine import _run, connect

NAMES = [f"galaxy {k}" for k in range(6)]


@pytest.fixture
def seen(tmp_path):
    """Folder where `Quick` counts, by redshift."""
    (tmp_path / "seen").mkdir()
    return tmp_path / "seen"


def counts(seen):
    return {path.name: len(path.read_text()) for path in seen.iterdir()}


def test_a_run_and_its_table(tmp_path, how, scheduler, seen):
    summary = run(estimator=Quick(seen=str(seen)), folder=tmp_path / "run",
                  scheduler=scheduler, **how)  # fmt: skip
    assert (summary.done, summary.failed, summary.asked) == (6, 0, 6)
    assert set(counts(seen).values()) == {1}
    table = read_results(tmp_path / "run")
    assert list(table["id"]) == NAMES
    assert (np.diff(table["stellar_mass"].value) > 0).all()
    assert "2 half-mass radii, not of the whole" in table["stellar_mass"].info.description
    assert table["stellar_mass_aperture_error"].info.description == (
        "error of the total inside the fixed aperture, or the region that was given"
    )
    stored = QTable.read(tmp_path / "run" / "results.fits")
    assert stored["stellar_mass"].info.description == table["stellar_mass"].info.description
    assert stored["stellar_mass"].unit == u.Msun
    np.testing.assert_array_equal(stored["stellar_mass"].value, table["stellar_mass"].value)
    for row in table:
        maps = PropertyMaps.read(tmp_path / "run" / str(row["maps"]))
        assert maps.redshift == pytest.approx(row["redshift"])
    # Nothing is done twice.
    again = run(estimator=Quick(seen=str(seen)), folder=tmp_path / "run", scheduler=scheduler,
                resume=True, **how)  # fmt: skip
    assert again == summary
    assert set(counts(seen).values()) == {1}
    # A galaxy whose redshift is another now is done again, and no other.
    catalog = Table.read(how["catalog"])
    catalog["redshift"][2] = 0.08
    with pytest.warns(PicassssoWarning, match="1 of the galaxies .* another redshift"):
        run(estimator=Quick(seen=str(seen)), folder=tmp_path / "run", scheduler=scheduler,
            resume=True, **{**how, "catalog": catalog})  # fmt: skip
    assert sorted(counts(seen).values()) == [1] * 7
    table = read_results(tmp_path / "run")
    assert list(table["id"]) == NAMES
    assert table["redshift"][2] == 0.08


@pytest.mark.parametrize("batch_size", [1, 3])
def test_what_fails_gets_a_row_after_a_retry(
    tmp_path, how, galaxies, scheduler, seen, batch_size, caplog
):
    table = Table.read(galaxies / "galaxies.ecsv")
    table["redshift"][4] = np.nan
    table.add_row(["missing", 0.3, "x"])
    broken = tmp_path / "broken_g.fits"
    broken.write_bytes(b"SIMPLE  = ")
    how |= {"catalog": table, "batch_size": batch_size}
    estimator = Quick(seen=str(seen), wrong=(0.052,))
    with caplog.at_level(logging.WARNING, "picasssso.surveys"):
        summary = run(estimator=estimator, folder=tmp_path / "run", scheduler=scheduler, **how)
    assert (summary.done, summary.failed) == (7, 3)
    assert counts(seen) == {"0.05": 1, "0.051": 1, "0.052": 2, "0.053": 1, "0.055": 1}
    results = read_results(tmp_path / "run")
    failed = dict(zip(results["id"], results["failed"], strict=True))
    assert failed["galaxy 2"] == "RuntimeError: an estimator's own mistake"
    assert "redshift: found nan" in failed["galaxy 4"]
    assert "missing_g.fits" in failed["missing"]
    assert all("\n" not in text and len(text) <= 320 for text in failed.values())
    assert "galaxy 2 failed" in caplog.text
    log = (tmp_path / "run" / "run.log").read_text()
    assert "7 galaxies to do; dashboard: http" in log
    assert "missing failed: " in log
    assert log.splitlines()[-1].endswith("ended; 7 rows, 3 of them failed")
    # Once the reason is gone.
    run(estimator=estimator, folder=tmp_path / "run", scheduler=scheduler, resume=True,
        retry_failed=True, **how)  # fmt: skip
    assert counts(seen)["0.052"] == 4
    assert counts(seen)["0.05"] == 1


def test_resources_reach_the_worker(tmp_path, how, scheduler):
    how |= {"resources": {"GPU": 1}, "scheduler": scheduler}
    assert run(estimator=Quick(), folder=tmp_path / "gpu", **how).failed == 0


def test_a_galaxy_that_kills_its_worker_twice_costs_no_other(tmp_path, how, seen):
    summary = run(estimator=Quick(seen=str(seen), deadly=(0.053,)), folder=tmp_path / "run",
                  workers=2, **how)  # fmt: skip
    assert (summary.done, summary.failed) == (6, 1)
    assert counts(seen)["0.053"] == 2
    table = read_results(tmp_path / "run")
    assert list(table["id"]) == NAMES
    assert "worker was killed each time it was tried (2 times)" in table["failed"][3]
    assert np.isfinite(np.delete(table["stellar_mass"].value, 3)).all()


def test_a_galaxy_is_not_blamed_for_another_beside_it(tmp_path, how):
    """Dask gives a worker several tasks that need resources, and blames all if it dies."""
    how = {**how, "resources": {"GPU": 1}, "workers": 1}
    summary = run(estimator=Quick(deadly=(0.051,)), folder=tmp_path / "run", **how)
    assert summary.failed == 1
    assert "worker was killed" in read_results(tmp_path / "run")["failed"][1]


def test_a_worker_that_is_slow_to_start_again_is_waited_for(tmp_path, how):
    """Where it is not back in time, Dask gives it up, and the run would wait for ever."""
    faulthandler.dump_traceback_later(300, exit=True)
    try:
        with dask.config.set({"distributed.deploy.lost-worker-timeout": "10 ms"}):
            summary = run(estimator=Quick(deadly=(0.051,)), folder=tmp_path / "run",
                          **{**how, "workers": 1})  # fmt: skip
    finally:
        faulthandler.cancel_dump_traceback_later()
    assert (summary.done, summary.failed) == (6, 1)


def test_a_galaxy_that_takes_all_memory_costs_no_other(tmp_path, how, seen, monkeypatch):
    monkeypatch.setattr("picasssso.surveys.engine.MEMORY_LIMIT", 2 * 900_000_000)
    summary = run(estimator=Quick(seen=str(seen), hungry=(0.053,)), folder=tmp_path / "run",
                  workers=2, **how)  # fmt: skip
    assert (summary.done, summary.failed) == (6, 1)
    assert counts(seen)["0.053"] == 2
    assert "out of memory, or ended" in read_results(tmp_path / "run")["failed"][3]


def test_a_worker_that_keeps_much_memory_works_on(tmp_path, how, monkeypatch):
    """Nine tenths of its part: Dask would pause it, for ever."""
    monkeypatch.setattr("picasssso.surveys.engine.MEMORY_LIMIT", 1_200_000_000)
    # Beside 0.2 GB of libraries.
    assert run(estimator=Quick(leak=17, seconds=0.5), folder=tmp_path / "run", workers=1,
               **how).failed == 0  # fmt: skip


@pytest.mark.slow
def test_a_galaxy_that_hangs_fails_after_the_time_limit(tmp_path, how, seen):
    summary = run(estimator=Quick(seen=str(seen), hanging=(0.053,)), folder=tmp_path / "run",
                  workers=2, time_limit=15 * u.s, **how)  # fmt: skip
    assert (summary.done, summary.failed) == (6, 1)
    assert counts(seen)["0.053"] == 2
    assert "longer than 15 s" in read_results(tmp_path / "run")["failed"][3]


def test_two_runs_in_one_folder(tmp_path, how, scheduler):
    from picasssso.surveys.store import Store

    with Store(tmp_path, {}, resume=False, retry_failed=False):
        with pytest.raises(InvalidInputError, match="Another run"):
            run(estimator=Quick(), folder=tmp_path, scheduler=scheduler, resume=True, **how)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tiles": {"g": "x"}}, "found both"),
        ({"images": None}, "found neither"),
        ({"images": None, "tiles": "x*.fits"}, "expected a mapping"),
        ({"ebv_scale": "SF11"}, "has no such column"),
        ({"options": {"redshift": 1.0}}, "comes from the catalog"),
        ({"aperture": 3}, "expected a radius"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"n_samples": 3}, "Quick has no joint samples"),
        ({"options": {"survey": "sdss", "matching": False}}, "options= holds matching: expected"),
        ({"bands": ["g", "q"]}, "'q'"),
        ({"options": {}}, "bare band name needs the survey"),
        ({"workers": 2, "scheduler": "tcp://127.0.0.1:1"}, "has its own"),
        ({"workers": 0}, "expected an integer of at least 1"),
        ({"time_limit": 3.0}, "expected a time"),
        ({"time_limit": 3 * u.m}, "expected a time"),
        ({"estimator": "mass_to_light"}, "expected an estimator"),
        ({"size": 40 * u.arcsec}, "expected it with tiles="),
        ({"resources": {"GPU": np.nan}}, "expected a positive amount"),
    ],
)
def test_what_cannot_be_is_said_at_once(tmp_path, how, changes, message):
    how = {**how, "estimator": Quick(), **changes}
    with pytest.raises((InvalidInputError, InvalidTypeError), match=message):
        run(folder=tmp_path / "run", **how)


def test_an_ebv_is_never_applied_silently(tmp_path, how, galaxies):
    table = Table.read(galaxies / "galaxies.ecsv")
    table["ebv"] = 0.1
    with pytest.raises(InvalidInputError, match="expected 'SFD98'"):
        run(estimator=Quick(), folder=tmp_path / "run", **{**how, "catalog": table})


def test_two_answers_to_one_extinction_are_refused_at_once(tmp_path, how, galaxies):
    table = Table.read(galaxies / "galaxies.ecsv")
    table["ebv"] = 0.1
    removed = GalacticExtinction(0.2, scale="SF11", applied=True)
    how |= {"catalog": table, "options": {"survey": "sdss", "galactic_extinction": removed}}
    with pytest.raises(InvalidInputError, match="expected one of them"):
        run(estimator=Quick(), folder=tmp_path / "run", ebv_scale="SFD98", **how)


def test_a_script_without_its_guard_is_told(tmp_path, monkeypatch):
    def fails(**k):
        raise RuntimeError("Nanny failed to start.")

    monkeypatch.setattr("picasssso.surveys.engine.LocalCluster", fails)
    with pytest.raises(InvalidInputError, match="__main__"), connect(None, 1, None):
        pass


def test_no_scheduler_there(tmp_path, how, monkeypatch):
    monkeypatch.setattr("picasssso.surveys.engine.CONNECT", "2s")
    with pytest.raises(InvalidInputError, match=r"no Dask scheduler at tcp://127.0.0.1:1 "):
        run(estimator=Quick(), folder=tmp_path / "run", scheduler="tcp://127.0.0.1:1", **how)


def test_the_command(tmp_path, galaxies, scheduler):
    folder = tmp_path / "run"
    command = ["survey", str(galaxies / "galaxies.ecsv"), "-e", "mass_to_light", "-o", str(folder),
               "--images", str(galaxies / "cutouts" / "{id}_{band}.fits"), "-b", "g", "-b", "i",
               "--survey", "sdss", "--psf", "1.3 arcsec", "--no-prepare", "--page", "2",
               "--scheduler", scheduler]  # fmt: skip
    result = CliRunner().invoke(cli, command)
    assert result.exit_code == 0, result.output
    assert result.output.splitlines()[-1] == f"{folder}: 6 of 6 done, 0 failed."
    page = (folder / "index.html").read_text()
    assert len(re.findall("<tr", page)) == 3
    assert page.count("data:image/png") == 4
    result = CliRunner().invoke(cli, command)
    assert result.exit_code == 1
    assert "--resume" in result.output
    result = CliRunner().invoke(
        cli, [text.replace("1.3 arcsec", "1.4 arcsec") for text in command] + ["--resume"]
    )
    assert result.exit_code == 1
    assert result.output.splitlines()[-1] == (
        f"Error: --psf was '1.3 arcsec' in the run in {folder}, and is now '1.4 arcsec': resume "
        "with the old value, or choose another folder."
    )
    (galaxies / "cutouts" / "galaxy 1_g.fits").rename(tmp_path / "away.fits")
    try:
        result = CliRunner().invoke(cli, [*command[:5], str(tmp_path / "other"), *command[6:]])
    finally:
        (tmp_path / "away.fits").rename(galaxies / "cutouts" / "galaxy 1_g.fits")
    assert result.exit_code == 1
    assert "galaxy 1 failed: " in result.output
    assert "same command with --resume --retry-failed" in result.output
    assert result.output.splitlines()[-1].endswith("5 of 6 done, 1 failed.")


def test_failures_name_options_of_the_command(tmp_path, galaxies, scheduler):
    for path in (galaxies / "cutouts").glob("*.fits"):
        with fits.open(path) as hdus:
            hdus[0].header["BUNIT"] = "adu"
            hdus.writeto(tmp_path / path.name)
    result = CliRunner().invoke(cli, [
        "survey", str(galaxies / "galaxies.ecsv"), "-e", "mass_to_light", "-o",
        str(tmp_path / "run"), "--images", str(tmp_path / "{id}_{band}.fits"), "-b", "g", "-b",
        "i", "--survey", "sdss", "--scheduler", scheduler])  # fmt: skip
    assert result.exit_code == 1
    failed = [line for line in result.output.splitlines() if " failed: " in line]
    assert len(failed) == 5
    for line in failed:
        assert "zero_point=" not in line
        assert line.endswith("--zero-point 30.")
    # So do the table and the log, which are what remains.
    kept = list(read_results(tmp_path / "run")["failed"])
    with fits.open(tmp_path / "run" / "results.fits") as hdus:
        kept += list(hdus[1].data["failed"])
    kept += [line for line in (tmp_path / "run" / "run.log").read_text().splitlines()
             if " failed: " in line]  # fmt: skip
    assert len(kept) == 18
    for text in kept:
        assert "zero_point=" not in text
        assert text.endswith("--zero-point 30.")


@pytest.mark.parametrize("ending", [KeyboardInterrupt(), Ended(signal.SIGTERM)])
def test_a_command_that_is_ended_says_how_to_go_on(tmp_path, galaxies, monkeypatch, ending):
    def end(*args, **kwargs):
        raise ending

    monkeypatch.setattr("picasssso.surveys.run", end)
    command = ["survey", str(galaxies / "galaxies.ecsv"), "-e", "mass_to_light",
               "-o", str(tmp_path / "run"), "--images", "{id}.fits"]  # fmt: skip
    result = CliRunner().invoke(cli, command)
    assert result.exit_code in (130, 143)
    assert result.output.splitlines()[-1] == (
        "What is done is kept: the same command with --resume goes on."
    )


#: A run that gets a signal, with its workers, at a moment: when something is called.
ENDED = """
import os, signal, sys
from picasssso import cli
from picasssso.surveys import engine, run_page
from picasssso.surveys.store import Store

MOMENTS = {"cluster": (engine.LocalCluster, "_start"), "row": (Store, "add"),
           "page": (run_page, "write_page")}

def end(*args, **kwargs):
    if name == "add":
        called(*args, **kwargs)
    os.killpg(0, number)  # as a terminal and batch systems do
    return called(*args, **kwargs)

if __name__ == "__main__":
    owner, name = MOMENTS[sys.argv.pop(1)]
    number = getattr(signal, sys.argv.pop(1))
    called = getattr(owner, name)
    setattr(owner, name, end)
    cli.main()
"""


@pytest.mark.newest
@pytest.mark.parametrize(
    ("moment", "name"),
    [("cluster", "SIGTERM"), ("row", "SIGINT"), ("page", "SIGHUP")],
)
def test_a_run_that_a_signal_ends_goes_on(tmp_path, galaxies, moment, name):
    psutil = pytest.importorskip("psutil")  # distributed brings it
    number = getattr(signal, name, None)
    if not hasattr(os, "killpg") or signal.getsignal(number) == signal.SIG_IGN:
        pytest.skip(f"no {name} here, or it is ignored, as under nohup")
    (tmp_path / "ended.py").write_text(ENDED)
    folder = tmp_path / "run"
    command = ["survey", str(galaxies / "galaxies.ecsv"), "-e", "mass_to_light", "-o", str(folder),
               "--images", str(galaxies / "cutouts" / "{id}_{band}.fits"), "-b", "g", "-b", "i",
               "--survey", "sdss", "--psf", "1.3 arcsec", "--no-prepare", "--workers", "2",
               "-q"]  # fmt: skip
    mark = {"PICASSSSO_TEST_MARK": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, str(tmp_path / "ended.py"), moment, name, *command], check=False,
        capture_output=True, text=True, timeout=300, env={**os.environ, **mark},
        start_new_session=True,
    )  # fmt: skip
    assert done.returncode == 128 + number, done.stderr
    assert "Traceback" not in done.stderr
    rows = len(read_results(folder))
    missing = f", {6 - rows} missing" if rows < 6 else ""
    assert done.stderr.splitlines()[-1] == (
        f"{rows} of 6 done, 0 failed{missing}: what is done is kept, and the same with --resume "
        "goes on."
    )
    assert (rows > 0) == (moment != "cluster")

    def is_of_it(process):
        try:
            return process.environ().get("PICASSSSO_TEST_MARK") == str(tmp_path)
        except psutil.Error:
            return False

    deadline = time.monotonic() + 60
    while any(map(is_of_it, psutil.process_iter())) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not [p.cmdline() for p in psutil.process_iter() if is_of_it(p)]
    assert {path.name for path in folder.rglob(".*")} <= {".lock"}
    result = CliRunner().invoke(cli, [*command, "--resume"])
    assert result.exit_code == 0, result.output
    assert list(read_results(folder)["id"]) == NAMES
    assert (folder / "index.html").exists()


@pytest.fixture
def field(tmp_path):
    """File of a field with two labels, which blocks cut apart."""
    labels = np.zeros((50, 44), int)
    labels[15:40, 12:30], labels[:6, :9] = 1, 5
    images = make_galaxy((50, 44), bands=("sdss2010-g", "sdss2010-i")).replace(labels=labels)
    images.write(tmp_path / "field.fits")
    return tmp_path / "field.fits", images


def test_a_mosaic_is_the_whole_in_blocks(tmp_path, field, scheduler, monkeypatch):
    from picasssso import MassToLightEstimator

    path, images = field
    monkeypatch.setattr(MassToLightEstimator, "memory_budget", 40_000)
    estimator = MassToLightEstimator()
    summary = run_mosaic(path, estimator, tmp_path / "run", scheduler=scheduler, progress=False)
    assert summary.done == summary.asked > 8
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = estimator.estimate(images.replace(labels=None), progress=False)
    maps = PropertyMaps.read(tmp_path / "run" / "maps.fits")
    np.testing.assert_array_equal(maps.mean("stellar_mass"), expected.mean("stellar_mass"))
    for q in (2.5, 16, 50, 84, 97.5):
        np.testing.assert_array_equal(maps.percentile("stellar_mass", q),
                                      expected.percentile("stellar_mass", q))  # fmt: skip
    np.testing.assert_array_equal(maps.quality, expected.quality)
    expected.write(tmp_path / "expected.fits")
    assert maps.wcs.wcs.compare(PropertyMaps.read(tmp_path / "expected.fits").wcs.wcs)
    assert dict(maps.meta) == dict(expected.meta)
    table = read_results(tmp_path / "run")
    assert list(table["id"]) == ["1", "5"]
    total = expected.total("stellar_mass", images.labels == 5, "full")
    assert u.isclose(table["stellar_mass"][1], total.value, rtol=1e-5)
    # Begun again it has nothing left to do.
    command = ["survey", str(path), "--mosaic", "-e", "mass_to_light", "-o", str(tmp_path / "run"),
               "--scheduler", scheduler, "--resume"]  # fmt: skip
    result = CliRunner().invoke(cli, command)
    assert result.exit_code == 0, result.output
    assert result.output.splitlines()[-1] == f"{tmp_path / 'run'}: blocks: {summary}."


def test_blocks_that_failed_leave_no_maps(tmp_path, field, scheduler, monkeypatch):
    path, _ = field
    monkeypatch.setattr(Quick, "memory_budget", 40_000)
    good = Quick()
    folder = tmp_path / "run"
    from picasssso.surveys import mosaics

    # One block cannot be written: what is there is whole, or not there.
    kept = mosaics._read_layout
    monkeypatch.setattr(mosaics, "_read_layout", lambda file: {"QUALITY": (0, "broken", (1,))})
    summary = run_mosaic(path, good, folder, scheduler=scheduler, progress=False)
    assert summary.failed == summary.asked
    assert not (folder / "maps.fits").exists()
    monkeypatch.setattr(mosaics, "_read_layout", kept)
    summary = run_mosaic(path, good, folder, scheduler=scheduler, progress=False, resume=True,
                         retry_failed=True)  # fmt: skip
    assert summary.failed == 0
    assert (PropertyMaps.read(folder / "maps.fits").mean("stellar_mass").value != 0).any()


def test_a_mosaic_that_cannot_be_in_blocks(tmp_path, field, monkeypatch):
    monkeypatch.setattr(Quick, "receptive_field", None)
    with pytest.raises(InvalidInputError, match="whole image at once"):
        run_mosaic(field[0], Quick(), tmp_path / "run")


def test_a_worker_with_several_threads_keeps_galaxies_apart(monkeypatch):
    """Python keeps no warnings of threads apart: one galaxy at a time."""
    at_work, seen = [], []

    def work(batch):
        at_work.append(batch)
        time.sleep(0.02)
        seen.append(len(at_work))
        at_work.remove(batch)
        return batch

    plugin = SimpleNamespace(work=work, time_limit=60.0, client=-1)
    worker = SimpleNamespace(plugins={"run": plugin})
    monkeypatch.setattr("picasssso.surveys.engine.get_worker", lambda: worker)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda k: _run("run", [k]), range(8))) == [[k] for k in range(8)]
    assert set(seen) == {1}


def test_a_cluster_without_fitting_workers_is_told(scheduler):
    with pytest.warns(PicassssoWarning, match=r"has 2 workers, none .* TPU=2: waiting"):
        with connect(scheduler, None, {"TPU": 2}):
            pass


def test_options_that_do_nothing_for_a_mosaic_are_refused(tmp_path):
    command = ["survey", "field.fits", "--mosaic", "-e", "mass_to_light", "-o", str(tmp_path),
               "--sky", "none", "--psf", "1 arcsec", "--workers", "2"]  # fmt: skip
    result = CliRunner().invoke(cli, command)
    assert result.exit_code == 2
    assert "without a catalog: omit --psf, --sky." in result.output


def test_maps_that_stand_in_the_folder_already_are_no_result(tmp_path, field):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "maps.fits").write_text("of somebody else")
    with pytest.raises(InvalidInputError, match="not written by a run in this folder"):
        run_mosaic(field[0], Quick(), tmp_path / "run")
