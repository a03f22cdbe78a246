"""Work over the workers of a Dask cluster: one on this machine, or one that is there.

Dask does the scheduling, the transport and the retries. Beside it there are three things:
the work travels to each worker once, as a plugin, and stays there; only so many tasks are
under way as keep the workers busy, so that memory does not grow with the catalog; and of
several galaxies in one task, those that failed are tried again one by one.
"""

from __future__ import annotations

import logging
import math
import os
import secrets
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from typing import Any

from picasssso._core.arguments import check_workers
from picasssso.exceptions import (
    InvalidInputError,
    MissingDependencyError,
    PicassssoError,
    PicassssoWarning,
)
from picasssso.filters.user_curves import adopt_curves, session_curves
from picasssso.surveys.galaxies import describe_failure

try:
    import dask
    import dask.system
    from distributed import (
        Client,
        KilledWorker,
        LocalCluster,
        WorkerPlugin,
        as_completed,
        get_worker,
    )
    from distributed.comm import CommClosedError
    from distributed.system import MEMORY_LIMIT
    from distributed.utils import LoopRunner
except ImportError as error:
    raise MissingDependencyError(
        "Survey runs need dask.distributed: python -m pip install 'picasssso[survey]'."
    ) from error

logger = logging.getLogger("picasssso.surveys")

#: How long a scheduler that others started may take to answer.
CONNECT = "20s"

#: Tasks under way for each thread of a worker: one that works and some that wait.
_AHEAD = 4
#: Seconds between looks at how many workers there are.
_LOOK = 2.0
#: What fails is tried once more.
_RETRIES = 1
#: A worker with several threads works on one task at a time, with all of them: what Python warns
#: of is noted for a galaxy, and Python keeps no warnings of threads apart.
_AT_WORK = threading.Lock()


class SurveyInterruptedError(PicassssoError, RuntimeError):
    """A run ended before its end; what it has is kept."""


class _KilledError(PicassssoError):
    """The worker of a galaxy was killed too often."""


class _Work(WorkerPlugin):
    """The work of a run on a worker, and the number of threads that it may use there."""

    def __init__(
        self, name: str, work: Callable[[Sequence[Any]], list[Any]], time_limit: float | None
    ) -> None:
        self.name, self.work, self.time_limit = name, work, time_limit
        self.client = os.getpid()
        self.curves = session_curves()

    def setup(self, worker: Any) -> None:
        if hasattr(self.work, "check_worker"):
            self.work.check_worker()
        adopt_curves(self.curves, "the run")
        if os.getpid() != self.client:  # a process of Dask's, not one of the user's
            threads = max(int(worker.state.nthreads), 1)
            if "torch" in sys.modules:
                sys.modules["torch"].set_num_threads(threads)
            else:  # which importing it reads; not every estimator does
                os.environ.update(OMP_NUM_THREADS=str(threads), MKL_NUM_THREADS=str(threads))


def _run(name: str, batch: Sequence[Any]) -> list[Any]:
    """Do the work on a batch; runs on a worker, which ends where that takes too long."""
    plugin: Any = get_worker().plugins[name]
    with _AT_WORK:
        if plugin.time_limit is None or os.getpid() == plugin.client:
            return plugin.work(batch)
        clock = threading.Timer(plugin.time_limit * len(batch), os._exit, (1,))
        clock.daemon = True
        clock.start()
        try:
            return plugin.work(batch)
        finally:
            clock.cancel()


@contextmanager
def connect(
    scheduler: str | None, workers: int | None, resources: Mapping[str, float] | None
) -> Iterator[Any]:
    """Connect to a Dask cluster, or start one on this machine and end it afterwards."""
    for name, amount in (resources or {}).items():
        if not 0 < amount < math.inf:  # which no worker would ever have
            raise InvalidInputError(
                f"resources={{{name!r}: {amount!r}}}: expected a positive amount, such as 1."
            )
    if scheduler is not None:
        if workers is not None:
            raise InvalidInputError(
                "workers= is for a cluster on this machine; that of scheduler= has its own."
            )
        try:
            client = Client(scheduler, timeout=CONNECT, set_as_default=False)
        except (OSError, ValueError) as error:
            raise InvalidInputError(
                f"There is no Dask scheduler at {scheduler} ({describe_failure(error)}): start "
                "one with `dask scheduler`, and workers with `dask worker ADDRESS`."
            ) from error
        with client:
            _warn_of_waiting(client, resources)
            yield client
        return
    number = dask.system.CPU_COUNT if workers is None else check_workers(workers, 1)
    settings = {
        # The tasks that a dead worker held are the one that it worked on, and no other.
        "distributed.scheduler.worker-saturation": 1.0,
        "distributed.scheduler.allowed-failures": _RETRIES,
        # A worker that was killed is started anew, however long that takes: where it is not back
        # after 15 s, as on a busy machine, Dask would give its place up, for ever.
        "distributed.deploy.lost-worker-timeout": "1000 days",
        # It looks at the stack every 10 ms and keeps what it saw for an hour: 0.1 MB a galaxy.
        "distributed.worker.profile.enabled": False,
        # By default a process that waits looks at itself 50 times a second: 3 % of a core.
        "distributed.admin.tick.interval": "1s",
        "distributed.admin.system-monitor.interval": "5s",
        "distributed.nanny.pre-spawn-environ": _environment(),
        # A worker that is paused because of what it keeps to itself never goes on; one that
        # takes all of its part of the memory is ended.
        "distributed.worker.memory.target": False,
        "distributed.worker.memory.spill": False,
        "distributed.worker.memory.pause": False,
    }
    with dask.config.set(settings), _deaf_loop() as loop, _ends_quietly():
        try:
            local = LocalCluster(
                loop=loop,
                n_workers=number,
                threads_per_worker=1,
                processes=True,
                memory_limit=MEMORY_LIMIT // number,
                dashboard_address="127.0.0.1:0",
                resources=dict(resources or {}),
                silence_logs=logging.CRITICAL,
            )
        except RuntimeError as error:
            raise InvalidInputError(
                f"The worker processes did not start ({describe_failure(error)}). They read the "
                "script that starts them: expected its work under `if __name__ == '__main__':`."
            ) from error
        with local as cluster, Client(cluster, set_as_default=False) as client:
            yield client


@contextmanager
def _ends_quietly() -> Iterator[None]:
    """Keep to itself which connections were closed by ending a run."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        ours = [name for name in logging.root.manager.loggerDict if name.startswith("distributed")]
        for name in ("asyncio", *ours):
            logging.getLogger(name).addFilter(_is_of_interest)
        raise


@contextmanager
def _deaf_loop() -> Iterator[Any]:
    """Run the loop of a cluster; the workers that it starts do not hear Ctrl-C or a hang-up.

    A terminal sends these to all processes; the run, which hears them, ends its workers.
    """
    runner = LoopRunner()
    if hasattr(signal, "pthread_sigmask"):
        blocked = {signal.SIGINT, signal.SIGHUP}
        heard = signal.pthread_sigmask(signal.SIG_BLOCK, blocked)
        try:
            # Python's tracker of semaphores, which lets SIGINT through again.
            resource_tracker.ensure_running()
            signal.pthread_sigmask(signal.SIG_BLOCK, blocked)
            runner.start()  # a thread, which inherits what is blocked, as processes do
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, heard)
    else:
        runner.start()
    try:
        yield runner.loop
    finally:
        runner.stop()


def _environment() -> dict[str, Any]:
    """Return Dask's environment of workers without its threshold of freeing memory.

    With it every array of a galaxy is taken from the system anew: a third more of a core's time.
    """
    known = dask.config.get("distributed.nanny.pre-spawn-environ")
    return {key: value for key, value in known.items() if key != "MALLOC_TRIM_THRESHOLD_"}


def _is_of_interest(record: logging.LogRecord) -> bool:
    """Return whether a message is not only of a connection that was closed on purpose."""
    closed = record.exc_info and isinstance(record.exc_info[1], CommClosedError)
    return not (
        closed or (record.name.startswith("distributed") and record.levelno < logging.ERROR)
    )


def _warn_of_waiting(client: Any, resources: Mapping[str, float] | None) -> None:
    """Say that no worker of a cluster can do anything yet, which may change."""
    there = [w.get("resources", {}) for w in client.scheduler_info()["workers"].values()]
    wanted = dict(resources or {})
    if any(all(has.get(name, 0) >= n for name, n in wanted.items()) for has in there):
        return
    what = " ".join(f"{name}={number:g}" for name, number in wanted.items())
    warnings.warn(
        f"The cluster at {client.scheduler.address} has {len(there)} workers"
        + (f", none of them with the resources {what}" if there else "")
        + ": waiting for some to start.",
        PicassssoWarning,
        stacklevel=2,
    )


def iterate_results(
    client: Any,
    work: Callable[[Sequence[Any]], list[Any]],
    batches: Iterable[Sequence[Any]],
    resources: Mapping[str, float] | None = None,
    time_limit: float | None = None,
) -> Iterator[tuple[Any, Any]]:
    """Yield (item, result) as they come; a result may be the exception that an item ended in.

    ``work``: returns a result for each item of a batch; a mapping with ``"failed"`` says that an
    item of several is to be tried alone; of a batch of one it raises. ``time_limit``: seconds for
    each item, after which its worker is ended.
    """
    plugin = _Work(f"picasssso-{secrets.token_hex(4)}", work, time_limit)
    address = client.scheduler.address
    _register(client, plugin, address)
    waiting = iter(batches)
    again: list[tuple[Sequence[Any], int]] = []
    # Where workers hold several tasks, one of these may not be what killed its worker. Those of a
    # cluster on this machine hold one, but for tasks with resources and groups of few tasks.
    suspects: list[Sequence[Any]] = []
    queued = client.cluster is not None and not resources
    alone: Any = None
    running = as_completed(loop=client.loop, raise_errors=False)
    under_way: dict[Any, Sequence[Any]] = {}
    threads, looked, submitted = 1, float("-inf"), 0

    def submit(batch: Sequence[Any], retries: int) -> None:
        nonlocal submitted
        submitted += 1
        # One group of tasks, which the scheduler hands out as workers become free.
        key = (plugin.name, len(under_way), secrets.token_hex(4))
        future = client.submit(
            _run, plugin.name, batch, key=key, retries=retries,
            resources=dict(resources) if resources else None, pure=False,
        )  # fmt: skip
        under_way[future.key] = batch
        running.add(future)

    def refill() -> None:
        nonlocal threads, looked, alone
        if time.monotonic() - looked > _LOOK:  # clusters grow and shrink
            threads, looked = max(sum(client.nthreads().values()), 1), time.monotonic()
        while len(under_way) < threads * _AHEAD:
            if again:
                submit(*again.pop())
                continue
            batch = next(waiting, None)
            if batch is None:
                if suspects and not under_way:  # nothing else is there to be blamed
                    alone = suspects.pop()
                    submit(alone, _RETRIES)
                return
            submit(batch, _RETRIES if len(batch) == 1 else 0)

    try:
        refill()
        while under_way:
            future = next(running)
            batch = under_way.pop(future.key)
            outcome = _outcome(future, address, time_limit)
            if isinstance(outcome, Exception):
                if len(batch) > 1:
                    again += [([item], _RETRIES) for item in batch]
                elif (
                    (queued and submitted > 2 * threads)
                    or batch is alone
                    or not isinstance(outcome, _KilledError)
                ):
                    yield batch[0], outcome
                else:
                    suspects.append(batch)
            else:
                for item, result in zip(batch, outcome, strict=True):
                    if len(batch) > 1 and isinstance(result, Mapping) and "failed" in result:
                        again.append(([item], _RETRIES - 1))  # alone
                    else:
                        yield item, result
            del future
            refill()
    except Exception as error:
        if client.status == "running" and not isinstance(error, OSError):
            raise
        raise _lost(address) from error
    finally:
        with suppress(OSError):
            if client.status == "running":
                client.cancel(list(running.futures), force=True)
                client.unregister_worker_plugin(plugin.name)


def _outcome(future: Any, address: str, time_limit: float | None) -> Any:
    """Return a task's results, or the exception that it ended in."""
    if future.status == "finished":
        return future.result()
    error = future.exception() if future.status == "error" else None
    if isinstance(error, KilledWorker):
        slow = "" if time_limit is None else f", longer than {time_limit:g} s"
        return _KilledError(
            f"its worker was killed each time it was tried ({error.allowed_failures + 1} times): "
            f"out of memory{slow}, or ended from outside"
        )
    if isinstance(error, Exception):
        return error
    raise _lost(address)


def _lost(address: str) -> SurveyInterruptedError:
    return SurveyInterruptedError(
        f"The connection to the scheduler at {address} was lost. What was done is kept: start a "
        "scheduler again, and go on with resume=True."
    )


def _register(client: Any, plugin: _Work, address: str) -> None:
    for again in (True, True, False):
        try:
            client.register_plugin(plugin)
            return
        except Exception as error:
            # A worker that dies just then ends it too, with an error of the connection.
            if client.status != "running" or not again:
                raise _lost(address) from error
            if not isinstance(error, OSError):
                raise
            time.sleep(_LOOK)
