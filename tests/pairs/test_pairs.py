"""Pairs: generated, in memory and stored; the same whatever the batches and interruptions."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from torch.utils.data import DataLoader

from picasssso.cli import cli
from picasssso.exceptions import FileFormatError, InvalidInputError
from picasssso.mocks import GeneratedPairs, observe
from picasssso.mocks.galaxy_maps import join_galaxies
from picasssso.mocks.illustris import IllustrisMaps
from picasssso.mocks.light import read_light_table, write_light_table
from picasssso.mocks.observing.observed import ObservedPairs
from picasssso.mocks.observing.surveys import get_survey
from picasssso.pairs import StoredPairs, write_pairs
from picasssso.pairs.source import FIELDS, PairStream
from picasssso.pairs.splits import split_of

SETTINGS = {"survey": "paper_field", "n_pixels": 16, "margin": 2, "device": "cpu"}


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    """Work as a process of `write_pairs` does: with other threads sums round differently."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def pairs(paper_table):
    return GeneratedPairs(11, table=paper_table, **SETTINGS)


@pytest.fixture(scope="module")
def stored(pairs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("stored") / "set"
    write_pairs(pairs, folder, 20, shard_size=8, batch_size=4, workers=0)
    return folder


#: Generates pairs with a stored table where nothing but torch, numpy and h5py is installed.
BARE = """
import sys
from pathlib import Path

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BLOCKED:
            raise ModuleNotFoundError(f"{name} is not installed here", name=name)

BLOCKED = {"astropy", "click", "erfa", "extinction", "matplotlib", "photutils", "pst", "reproject",
           "scipy", "speclite", "specutils", "tqdm", "yaml"}
sys.meta_path.insert(0, Absent())
from picasssso.mocks import GeneratedPairs
from picasssso.mocks.light import read_light_table
import torch
torch.set_num_threads(1)
table = read_light_table(Path(sys.argv[1]))
pairs = GeneratedPairs(11, table=table, survey="paper_field", n_pixels=16, margin=2, device="cpu")
torch.save(pairs.batch(range(3)), sys.argv[2])
"""


def same(first, second):
    return first.keys() == second.keys() and all(
        torch.equal(first[name], second[name]) for name in first
    )


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


# --- generated ---------------------------------------------------------------------------


def test_a_pair_has_every_field(pairs):
    pair = pairs[3]
    assert set(pair) == set(FIELDS)
    assert pair["flux"].shape == pair["inverse_variance"].shape == (5, 16, 16)
    assert pair["truth"].shape == pair["truth_at_psf"].shape == (9, 16, 16)
    assert (int(pair["number"]), int(pair["galaxy"])) == (3, 3)
    assert not hasattr(pairs, "__len__")


def test_a_pair_is_the_same_whatever_the_batch(pairs):
    whole = pairs.batch(range(20))
    for size in (1, 4, 5):
        parts = [pairs.batch(range(k, min(k + size, 20))) for k in range(0, 20, size)]
        assert same(whole, {n: torch.cat([part[n] for part in parts]) for n in whole})
    backwards = pairs.batch([7, 2])
    assert torch.equal(backwards["flux"], whole["flux"][[7, 2]])


@pytest.mark.parametrize(("n_pixels", "margin"), [(21, 2), (37, 1), (64, 4)])
def test_nor_does_it_depend_on_the_batch_in_odd_frames(paper_table, n_pixels, margin):
    # Functions may round differently in what is left over of an array after pieces of 32.
    survey = get_survey("sdss").varied(seeing=0.3, depth=0.3, pixel_scale=(0.3, 0.6))
    pairs = GeneratedPairs(
        11, table=paper_table, survey=survey, redshift=0.05, n_pixels=n_pixels, margin=margin,
        device="cpu",
    )  # fmt: skip
    whole = pairs.batch(range(12))
    for numbers in ([5], [11, 3], range(4, 9)):
        part = pairs.batch(numbers)
        for name, values in part.items():
            assert torch.equal(values, whole[name][list(numbers)]), name


def test_more_threads_change_no_more_than_the_rounding(pairs):
    alone = pairs.batch(range(4))
    torch.set_num_threads(2)
    try:
        together = pairs.batch(range(4))
    finally:
        torch.set_num_threads(1)
    for name, tensor in alone.items():
        torch.testing.assert_close(together[name], tensor, rtol=1e-3, atol=1e-4, msg=name)


def test_batches_of_a_stream_do_not_depend_on_the_workers(pairs):
    def first_batches(workers):
        loader = DataLoader(
            PairStream(pairs, 3, start=2, stop=15), batch_size=None, num_workers=workers
        )
        return list(loader)

    one, two = first_batches(1), first_batches(2)
    assert [batch["number"].tolist() for batch in two] == [
        [2, 3, 4], [5, 6, 7], [8, 9, 10], [11, 12, 13], [14],
    ]  # fmt: skip
    assert all(same(a, b) for a, b in zip(one, two, strict=True))


def test_a_stream_of_generated_pairs_has_no_end(pairs):
    stream = iter(PairStream(pairs, 2, start=10**6))
    assert [next(stream)["number"].tolist() for _ in range(3)][-1] == [10**6 + 4, 10**6 + 5]


def test_a_loader_makes_batches_of_any_source(pairs, stored):
    for source in (pairs, StoredPairs(stored)):
        loader = DataLoader(source, batch_size=4, sampler=[4, 0, 9, 9, 3])
        batches = list(loader)
        assert [b["number"].tolist() for b in batches] == [[4, 0, 9, 9], [3]]


# --- stored ------------------------------------------------------------------------------


def test_stored_pairs_are_those_generated(pairs, stored):
    reading = StoredPairs(stored)
    assert len(reading) == 20
    assert reading.bands == pairs.bands
    order = [19, 0, 8, 7, 7, -1]
    assert same(reading.batch(order), pairs.batch([19, 0, 8, 7, 7, 19]))
    reading.verify()
    reading.close()
    assert same(reading[5], pairs[5])
    with pytest.raises(IndexError, match="has 20"):
        reading.batch([20])
    assert reading.describe()["source"]["seed"] == 11


@pytest.mark.parametrize("batch_size", [4, 5, 64])
def test_bytes_do_not_depend_on_the_batch(pairs, stored, tmp_path, batch_size):
    write_pairs(pairs, tmp_path, 20, shard_size=8, batch_size=batch_size, workers=0)
    assert contents(tmp_path) == contents(stored)


def test_bytes_do_not_depend_on_growth_or_interruption(pairs, stored, tmp_path, monkeypatch):
    write_pairs(pairs, tmp_path, 7, shard_size=8, workers=0)
    assert len(StoredPairs(tmp_path)) == 7

    class Stop(Exception):
        pass

    drawn = []
    batch = pairs.batch

    def stop_at_18(numbers):
        drawn.extend(numbers)
        if 17 in numbers:
            raise Stop
        return batch(numbers)

    monkeypatch.setattr(pairs, "batch", stop_at_18)
    with pytest.raises(Stop):
        write_pairs(pairs, tmp_path, 20, shard_size=8, batch_size=2, workers=0)
    with pytest.raises(FileFormatError, match="not finished"):
        StoredPairs(tmp_path)
    monkeypatch.undo()
    drawn.clear()
    monkeypatch.setattr(pairs, "batch", lambda n: drawn.extend(n) or batch(n))
    write_pairs(pairs, tmp_path, 20, shard_size=8, batch_size=2, workers=0)
    assert drawn == [16, 17, 18, 19]  # what was whole is kept
    assert contents(tmp_path) == contents(stored)
    # A smaller number asks for nothing, and takes nothing away.
    write_pairs(pairs, tmp_path, 5, shard_size=8, workers=0)
    assert len(StoredPairs(tmp_path)) == 20


def test_bytes_do_not_depend_on_the_workers(pairs, tmp_path):
    folders = [tmp_path / str(workers) for workers in (1, 2)]
    for folder, workers in zip(folders, (1, 2), strict=True):
        write_pairs(pairs, folder, 12, shard_size=5, batch_size=2, workers=workers)
    assert contents(folders[0]) == contents(folders[1])


def test_a_lost_shard_is_made_again(pairs, stored, tmp_path):
    write_pairs(pairs, tmp_path, 20, shard_size=8, workers=0)
    (tmp_path / "shard_00001.h5").unlink()
    (tmp_path / ".0a1b2c3d-shard_00002.h5").write_bytes(b"left by a killed process")
    write_pairs(pairs, tmp_path, 20, shard_size=8, workers=0)
    assert contents(tmp_path) == contents(stored)


def test_a_killed_command_goes_on_where_it_stopped(paper_table, tmp_path):
    command = [
        sys.executable, "-m", "picasssso.cli", "simulate", "--survey", "paper_field",
        "--pixels", "16", "--shard-size", "4", "--workers", "1", "--seed", "5", "-q",
    ]  # fmt: skip
    folder = tmp_path / "set"
    folder.mkdir()
    source = GeneratedPairs(
        5, survey="paper_field", n_pixels=16, redshift=None, truth_at_psf=True, bands=None,
        table=paper_table, device="cpu",
    )  # fmt: skip
    # A set that is begun has its table of light, so that the command starts at once.
    write_pairs(source, folder, 7, shard_size=4, workers=1)
    # Not in the source tree: the command must be the same installation as this test.
    process = subprocess.Popen(
        [*command, str(folder), "-n", "9000"], start_new_session=True, cwd=tmp_path
    )
    deadline = time.monotonic() + 60
    while not (folder / "shard_00003.h5").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    with pytest.raises(FileFormatError, match="not finished"):
        StoredPairs(folder)
    # Asked for less, the set is what was whole, or that much.
    write_pairs(source, folder, 12, shard_size=4, workers=1)
    reading = StoredPairs(folder)
    reading.verify()
    assert 12 <= len(reading) < 9000
    at_once = tmp_path / "at once"
    write_pairs(source, at_once, len(reading), shard_size=4, workers=1)
    assert contents(folder) == contents(at_once)


def workers_of(process):
    """Return the processes that a process made (Linux)."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[1]) == process.pid and fields[0] != "Z":
                found.append(int(stat.parent.name))
    return found


def running(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc to find workers")
@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGKILL])
def test_an_ended_command_leaves_no_workers_and_no_lock(paper_table, tmp_path, ending):
    folder = tmp_path / "set"
    source = GeneratedPairs(
        5, survey="paper_field", n_pixels=16, redshift=None, truth_at_psf=True, bands=None,
        table=paper_table, device="cpu",
    )  # fmt: skip
    write_pairs(source, folder, 4, shard_size=4, workers=0)
    process = subprocess.Popen(
        [sys.executable, "-m", "picasssso.cli", "simulate", str(folder), "--survey", "paper_field",
         "--pixels", "16", "--shard-size", "4", "--workers", "2", "--seed", "5", "-q",
         "-n", "90000"],
        cwd=tmp_path,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not (folder / "shard_00003.h5").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    workers = workers_of(process)
    assert len(workers) >= 2
    # One set, one writer: what the first has under way is left alone.
    with pytest.raises(FileFormatError, match="Another process is writing"):
        write_pairs(source, folder, 12, shard_size=4, workers=0)
    assert process.poll() is None
    process.send_signal(ending)
    code = process.wait(30)
    deadline = time.monotonic() + 20
    while any(map(running, workers)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(running, workers))
    if ending == signal.SIGTERM:
        assert code == 143
        assert not [path for path in folder.iterdir() if path.name.startswith(".")]
    else:
        assert code == -signal.SIGKILL
    write_pairs(source, folder, 8, shard_size=4, workers=0)
    StoredPairs(folder).verify()


# --- splits ------------------------------------------------------------------------------


def test_splits_go_by_the_galaxy():
    galaxy = np.repeat(np.arange(500), 4)
    names = split_of(galaxy).reshape(500, 4)
    assert (names == names[:, :1]).all()
    fractions = {name: np.mean(names == name) for name in ("train", "validation", "test")}
    np.testing.assert_allclose(list(fractions.values()), [0.64, 0.16, 0.20], atol=0.06)
    assert (split_of(np.arange(500)) == names[:, 0]).all()
    assert (split_of(np.arange(500), seed=1) != names[:, 0]).any()
    with pytest.raises(InvalidInputError, match="add up to 1"):
        split_of(galaxy, fractions={"train": 0.5})


def test_splits_of_a_set_share_no_galaxy(stored):
    parts = {name: StoredPairs(stored, name) for name in ("train", "validation", "test")}
    assert sum(len(part) for part in parts.values()) == 20
    seen = [set(part.batch(range(len(part)))["galaxy"].tolist()) for part in parts.values()]
    assert set.union(*seen) == set(range(20))
    assert sum(map(len, seen)) == 20
    with pytest.raises(InvalidInputError, match="this set has"):
        StoredPairs(stored, "dev")


# --- galaxies of other sources -----------------------------------------------------------


def painted(paper_table, count=6):
    rng = np.random.default_rng(3)
    galaxies = []
    for k in range(count):
        y, x = np.indices((16, 16)) - 7.5
        mass = 1e8 * np.exp(-np.hypot(y, x * rng.uniform(1, 2)) / 2.0)
        maps = {
            "stellar_mass": mass,
            "stellar_metallicity": np.full((16, 16), 0.02),
            "stellar_age": np.full((16, 16), 5.0),
        }
        maps = IllustrisMaps(maps, pixel_scale_kpc=0.6, source=f"made {k}")
        galaxies.append(maps.to_galaxies(redshift=0.05, index=k))
    galaxies = join_galaxies(galaxies)
    light = paper_table.light(galaxies)
    return observe(galaxies, light, paper_table.bands, "paper_field", contaminants=0.0)


def test_painted_maps_become_pairs_and_views_stay_together(paper_table, tmp_path):
    source = ObservedPairs(
        painted(paper_table), galaxy=[12, 12, 12, 18, 18, 18], view=[0, 1, 2, 0, 1, 2]
    )
    assert len(source) == 6
    write_pairs(source, tmp_path, shard_size=4, workers=0)
    reading = StoredPairs(tmp_path)
    assert reading.batch(range(6))["view"].tolist() == [0, 1, 2, 0, 1, 2]
    assert same(reading[4], source[4])
    assert not (tmp_path / "light_table.h5").exists()
    for name in ("train", "validation", "test"):
        assert len(StoredPairs(tmp_path, name)) in (0, 3, 6)
    with pytest.raises(IndexError, match="has 6"):
        source.batch([6])
    with pytest.raises(InvalidInputError, match="more than the 6"):
        write_pairs(source, tmp_path / "more", 7)
    with pytest.raises(InvalidInputError, match="integer for each of the 6"):
        ObservedPairs(painted(paper_table), galaxy=[1, 2])


# --- what can be wrong -------------------------------------------------------------------


def test_a_set_made_otherwise_is_not_continued(pairs, stored, paper_table, tmp_path):
    write_pairs(pairs, tmp_path, 3, shard_size=8, workers=0)
    other = GeneratedPairs(12, table=paper_table, **SETTINGS)
    with pytest.raises(FileFormatError, match="seed was 11, now 12"):
        write_pairs(other, tmp_path, 9, shard_size=8, workers=0)
    with pytest.raises(FileFormatError, match="shard_size was 8, now 4"):
        write_pairs(pairs, tmp_path, 9, shard_size=4, workers=0)


def test_a_folder_with_something_else_is_left_alone(pairs, tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(FileFormatError, match=r"not empty.*thesis"):
        write_pairs(pairs, tmp_path, 3, workers=0)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"count": None}, "unlimited"),
        ({"count": 0}, "count=0"),
        ({"count": 3, "shard_size": 0}, "shard_size=0"),
        ({"count": 3, "workers": -1}, "workers=-1"),
        ({"count": 3, "splits": {"train": 2.0}}, "add up to 1"),
    ],
)
def test_impossible_numbers_are_refused(pairs, tmp_path, arguments, message):
    with pytest.raises(InvalidInputError, match=message):
        write_pairs(pairs, tmp_path / "set", **arguments)


def test_streams_refuse_impossible_numbers(pairs):
    with pytest.raises(InvalidInputError, match="batch_size=0"):
        PairStream(pairs, 0)
    with pytest.raises(InvalidInputError, match="before start"):
        PairStream(pairs, 2, start=5, stop=3)


def _index(**changes):
    def change(folder):
        index = json.loads((folder / "pairs.json").read_text())
        index.update(changes)
        for name in [name for name, value in changes.items() if value is None]:
            del index[name]
        (folder / "pairs.json").write_text(json.dumps(index))

    return change


def _shard(action):
    def change(folder):
        with h5py.File(folder / "shard_00000.h5", "a") as file:
            action(file)

    return change


def _cut(folder):
    path = folder / "shard_00000.h5"
    path.write_bytes(path.read_bytes()[:2000])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder: (folder / "pairs.json").unlink(), "no pairs.json"),
        (lambda folder: (folder / "pairs.json").write_text("{"), "not a valid index of a set"),
        (lambda folder: (folder / "pairs.json").write_text("[]"), "a JSON object"),
        (_index(format="1"), "no format number"),
        (_index(format=99), "format 99, this picasssso reads up to 1"),
        (_index(bands=None), "lacks bands"),
        (lambda folder: (folder / "shard_00000.h5").unlink(), "lacks shard_00000.h5"),
        (_shard(lambda file: file.__delitem__("flux")), "lacks flux"),
        (_index(count=8, shard_size=8), "too few pairs"),
        (_cut, "cannot be read as HDF5"),
    ],
)
def test_a_damaged_set_says_what_is_wrong(pairs, tmp_path, change, message):
    write_pairs(pairs, tmp_path, 4, shard_size=4, workers=0)
    change(tmp_path)
    with pytest.raises(FileFormatError, match=message):
        StoredPairs(tmp_path)


def test_changed_bytes_are_found(pairs, tmp_path):
    write_pairs(pairs, tmp_path, 4, shard_size=4, workers=0)

    def change(file):
        file["truth"][2, 0, 3, 3] += 1.0

    _shard(change)(tmp_path)
    reading = StoredPairs(tmp_path)
    with pytest.raises(FileFormatError, match="checksums of truth differ"):
        reading.verify()


def test_a_table_of_light_survives_its_file(paper_table, pairs, tmp_path):
    path = tmp_path / "table.h5"
    write_light_table(path, paper_table)
    again = GeneratedPairs(11, table=read_light_table(path), **SETTINGS)
    assert same(again[2], pairs[2])
    with h5py.File(path, "a") as file:
        file["stars"][0, 0, 0, 0] *= 2
    with pytest.raises(FileFormatError, match="checksums of stars"):
        read_light_table(path)
    with h5py.File(path, "a") as file:
        del file["gas"]
    with pytest.raises(FileFormatError, match="not a table of light"):
        read_light_table(path)


# --- the command -------------------------------------------------------------------------


def run(*arguments):
    return CliRunner().invoke(cli, ["simulate", *map(str, arguments)])


def test_the_command_writes_and_checks_a_set(tmp_path):
    folder = tmp_path / "set"
    result = run(folder, "-n", 3, "-s", "paper_field", "--pixels", 16, "-b", "sdss2010-r",
                 "--workers", 0, "--verify")  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "3 pairs in sdss2010-r, checksums right" in result.output
    assert StoredPairs(folder)[2]["flux"].shape == (1, 16, 16)
    other = run(folder, "-n", 3, "-s", "paper_field", "--pixels", 16, "--seed", 4, "-b",
                "sdss2010-r", "--workers", 0)  # fmt: skip
    assert other.exit_code == 1
    assert "seed was 0, now 4" in other.output


def test_wrong_use_of_the_command(tmp_path):
    assert run(tmp_path).exit_code == 2
    wrong = run(tmp_path, "-n", 2, "-s", "keck")
    assert wrong.exit_code == 2
    assert "paper_field" in wrong.output
    nothing = run(tmp_path, "--verify")
    assert nothing.exit_code == 1
    assert "holds no set of pairs" in nothing.output


def test_generation_needs_torch_and_numpy_only(pairs, paper_table, tmp_path):
    table, result = tmp_path / "table.h5", tmp_path / "batch.pt"
    write_light_table(table, paper_table)
    command = [sys.executable, "-c", BARE, str(table), str(result)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert same(torch.load(result), pairs.batch(range(3)))


def test_workers_leave_signals_of_a_terminal_to_their_parent():
    """One that dies of them makes torch raise errors in the middle of the parent's ending."""
    code = (
        "import os, signal; from picasssso.pairs.writing import _start_worker; _start_worker(0); "
        "[os.kill(os.getpid(), s) for s in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)]; "
        "print('alive')"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (run.returncode, run.stdout.strip()) == (0, "alive"), run.stderr
