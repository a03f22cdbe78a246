"""Torch's operations are not cut up, nothing of the process changes, and forks work."""

import os
import subprocess
import sys
import textwrap
import threading

import pytest
import torch

from picasssso._core.threads import map_calmly, run_calmly


def test_a_function_runs_apart_and_nothing_else_changes():
    before = torch.get_num_threads()
    name, threads = run_calmly(lambda: (threading.current_thread().name, torch.get_num_threads()))
    assert name != threading.current_thread().name
    assert threads == 1
    assert torch.get_num_threads() == before


def test_items_come_back_in_their_order():
    items = list(range(50))
    assert run_calmly(map_calmly, lambda item: item**2, items) == [k**2 for k in items]
    assert map_calmly(lambda item: item + 1, items) == [*items[1:], 50]
    assert run_calmly(map_calmly, str, []) == []


def test_calls_within_calls():
    assert run_calmly(
        map_calmly, lambda k: run_calmly(map_calmly, lambda j: k * j, [1, 2]), [1, 2, 3]
    ) == [[1, 2], [2, 4], [3, 6]]


def test_an_error_is_raised_where_the_call_was_made_and_stops_the_rest():
    done = []

    def piece(item):
        if item == 0:
            raise ValueError("a piece failed")
        done.append(item)

    with pytest.raises(ValueError, match="a piece failed"):
        run_calmly(map_calmly, piece, list(range(10_000)))
    assert len(done) < 10_000


def run(code, threads):
    """Run code in a process in which torch has some threads."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": "1"}
    environment.pop("MKL_NUM_THREADS", None)
    found = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        env=environment,
        timeout=150,
    )
    assert found.returncode == 0, found.stderr[-2000:]
    return found.stdout


ESTIMATORS = """
    from picasssso import CNNEstimator, SEDFitEstimator
    from picasssso.testing import make_galaxy
    import threading, warnings
    warnings.simplefilter("ignore")
    images = make_galaxy((20, 20))
    estimators = SEDFitEstimator(n_models=3000, device="cpu"), CNNEstimator(device="cpu")

    def mass(number):
        return float(estimators[number].estimate(images).mean("stellar_mass").value.sum())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counts threads in /proc")
def test_estimators_start_no_thread_of_openmp():
    code = """
    import os
    counts, ended = [], threading.Event()

    def count():
        while not ended.wait(0.001):
            counts.append(len(os.listdir("/proc/self/task")))

    watcher = threading.Thread(target=count)
    watcher.start()
    mass(0), mass(1)
    ended.set()
    watcher.join()
    print(max(counts))
    """
    # The main thread, the watcher, the calm thread and its three.
    assert int(run(ESTIMATORS + code, threads=3)) <= 6


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_fork_after_use_estimates_the_same():
    code = """
    import multiprocessing
    expected = [mass(0), mass(1)]
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map_async(mass, [0, 1, 0, 1]).get(timeout=100) == 2 * expected
    print("same")
    """
    assert run(ESTIMATORS + code, threads=2) == "same\n"
