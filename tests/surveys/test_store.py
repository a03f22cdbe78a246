"""Results survive, and one run writes at a time."""

import os
import signal
import subprocess
import sys
import time

import astropy.units as u
import numpy as np
import pytest
from astropy.table import Table
from hypothesis import given
from hypothesis import strategies as st

from picasssso.exceptions import FileFormatError, InvalidInputError
from picasssso.surveys.running import finish, read_results
from picasssso.surveys.store import RESULTS, Store, read_rows, record_value

SETTINGS = {"estimator": "E()"}
HOW = {"resume": False, "retry_failed": False}
AGAIN = {"resume": True, "retry_failed": False}


def test_rows_come_back_in_the_catalogs_order(tmp_path):
    with Store(tmp_path, SETTINGS, **HOW) as store:
        store.add([(5, {"id": "b", "sfr": 2.0}), (1, {"id": "a", "failed": "broken"})])
        assert [row["id"] for row in read_rows(tmp_path)] == ["a", "b"]  # while it is written
        store.add([(3, {"id": "é, '", "sfr": np.nan, "pictures": (b"1", b"2")})])
        assert store.done() == {"a", "b", "é, '"}
        assert store.count() == (3, 1)
    table = read_results(tmp_path)
    assert list(table["id"]) == ["a", "é, '", "b"]
    assert list(table["failed"]) == ["broken", "", ""]
    assert np.isnan(table["sfr"][:2]).all()
    assert table["sfr"].unit == "Msun / yr"
    assert next(read_rows(tmp_path, pictures=True, limit=1)).get("pictures") is None


def test_many_rows_are_read_in_parts_while_they_are_written(tmp_path):
    """Whoever reads slowly keeps no run from writing."""
    with Store(tmp_path, SETTINGS, **HOW) as store:
        store.add((k, {"id": f"g{k}", "sfr": float(k)}) for k in range(0, 2400, 2))
        reading = read_rows(tmp_path)
        assert next(reading)["id"] == "g0"
        store.add([(2401, {"id": "late"}), (1, {"id": "early"})])
        names = [row["id"] for row in reading]
    assert names == [f"g{k}" for k in range(2, 2400, 2)] + ["late"]
    assert [row["id"] for row in read_rows(tmp_path, limit=601)] == [
        "g0",
        "early",
        *(f"g{k}" for k in range(2, 1200, 2)),
    ]


def test_rows_move_with_a_catalog_that_has_grown(tmp_path):
    with Store(tmp_path, SETTINGS, **HOW) as store:
        store.add([(0, {"id": "a"}), (1, {"id": "b", "failed": "x"}), (2, {"id": "gone"})])
        store.renumber({"new": 0, "b": 1, "a": 2})
        assert store.count() == (3, 1)
        assert store.count({"a", "b", "new"}) == (2, 1)
    assert [row["id"] for row in read_rows(tmp_path)] == ["b", "a", "gone"]


def test_names_stay_different_in_fits(tmp_path):
    with Store(tmp_path, SETTINGS, **HOW) as store:
        store.add([(0, {"id": "é1"}), (1, {"id": "ö1"})])
    finish(tmp_path)
    assert list(Table.read(tmp_path / "results.fits")["id"]) == [r"\xe91", r"\xf61"]


def test_nothing_is_there_twice(tmp_path):
    with Store(tmp_path, SETTINGS, **HOW) as store:
        store.add([(0, {"id": "a"})])
        # As a run does that was ended between adding a galaxy and taking note of it.
        store.add([(1, {"id": "b"}), (5, {"id": "a", "failed": "x"})])
        assert store.done() == {"a", "b"}
        assert store.count() == (2, 0)


def test_resuming(tmp_path):
    with Store(tmp_path, SETTINGS, **HOW) as store:
        store.add([(0, {"id": "a"}), (1, {"id": "b", "failed": "x"})])
    left = tmp_path / "maps" / "0a1"
    left.mkdir(parents=True)
    (left / ".0123abcd-a.fits").write_text("half")
    with pytest.raises(InvalidInputError, match=r"with 2 results: continue it \(resume=True\)"):
        Store(tmp_path, SETTINGS, **HOW)
    with Store(tmp_path, SETTINGS, **AGAIN) as store:
        assert store.done() == {"a", "b"}
    assert not list(left.iterdir())
    with Store(tmp_path, SETTINGS, resume=True, retry_failed=True) as store:
        assert store.done() == {"a"}


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"estimator": "F"}, "estimator= was E in the run in {folder}, and is now F:"),
        ({"options": {"sky": "'median'"}},
         "sky= was 'background2d' in the run in {folder}, and is now 'median':"),
        ({"options": {}}, "sky= was 'background2d' in the run in {folder}, and is now not given:"),
        ({"parameters": {"n_models": "50"}, "seed": 3},
         "the estimator's parameter n_models was not given in the run in {folder}, and is now 50 "
         "(also changed: seed=):"),
        ({"options": {"sky": "'background2d'", "psf": record_value(np.eye(300))}},
         "psf= was not given in the run in {folder}, and is now array of (300, 300), SHA-256 "),
    ],
)  # fmt: skip
def test_another_setting_is_refused_by_name(tmp_path, changed, expected):
    settings = {
        "estimator": "E",
        "parameters": {},
        "options": {"sky": "'background2d'"},
        "seed": 0,
    }
    with Store(tmp_path, settings, **HOW):
        pass
    with pytest.raises(InvalidInputError) as caught:
        Store(tmp_path, {**settings, **changed}, **AGAIN)
    assert str(caught.value).startswith(expected.format(folder=tmp_path))
    assert str(caught.value).endswith("resume with the old value, or choose another folder.")
    with Store(tmp_path, settings, **AGAIN):
        pass


@given(where=st.integers(0, 99_999))
def test_settings_of_arrays_differ_by_any_element(where):
    array = np.zeros(100_000, "f4")
    changed = array.copy()
    changed[where] = 1e-9
    assert record_value(array) != record_value(changed)
    assert record_value(array * u.arcsec) != record_value(array)


def test_two_runs_refuse_each_other_and_a_dead_one_does_not(tmp_path):
    code = (
        "import sys, time; from picasssso.surveys.store import Store\n"
        f"store = Store(__import__('pathlib').Path({str(tmp_path)!r}), {SETTINGS!r}, **{HOW!r})\n"
        "store.add([(0, {'id': 'a'})]); print('ready', flush=True); time.sleep(300)"
    )
    other = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout.readline() == "ready\n"
        with pytest.raises(InvalidInputError, match=f"Another run.*process {other.pid} on"):
            Store(tmp_path, SETTINGS, **AGAIN)
    finally:
        os.kill(other.pid, signal.SIGKILL)
        other.communicate()
    for _ in range(50):  # the system needs a moment to clean up
        try:
            with Store(tmp_path, SETTINGS, **AGAIN) as store:
                assert store.done() == {"a"}
            break
        except InvalidInputError:
            time.sleep(0.1)
    else:
        pytest.fail("the lock of a dead process was not taken over")


@given(data=st.binary(min_size=1, max_size=200))
def test_a_damaged_file_is_an_error_in_words(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("damaged")
    (folder / RESULTS).write_bytes(data)
    with pytest.raises(FileFormatError, match="damaged, or no results"):
        list(read_rows(folder))


def test_a_run_without_rows_yet(tmp_path):
    with Store(tmp_path, SETTINGS, **HOW):
        table = read_results(tmp_path)
    assert (len(table), table.colnames) == (0, ["id", "failed", "notes"])


def test_no_results(tmp_path):
    with pytest.raises(FileFormatError, match="no results of a survey run"):
        read_results(tmp_path)
