"""Torch on the CPU without threads of its own: quick on busy machines, and after a fork.

Torch cuts each of thousands of small operations for OpenMP's threads, which spin while they
wait for each other: beside other processes a fit becomes many times slower, and after a
fork, which copies no threads, a child waits for them for ever. Here Python's threads work on
independent pieces of a task, and no operation is cut. OpenMP's number of threads belongs to
the thread that sets it, so that nothing changes for anybody else.
"""

from __future__ import annotations

import contextvars
import ctypes
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class _Here(threading.local):
    """What holds in this thread: how many pieces at a time, and whether to stop."""

    threads: int | None = None
    stopped = threading.Event()


_HERE = _Here()


def _calm_down(threads: int, stopped: threading.Event) -> None:
    """Keep torch from cutting the operations of this thread."""
    import torch

    # Torch sets OpenMP's number in every thread at its first use, over what was set before.
    torch.get_num_threads()
    try:
        ctypes.CDLL(None).omp_set_num_threads(1)
    except (AttributeError, OSError, TypeError):  # no OpenMP that all libraries share
        pass
    _HERE.threads, _HERE.stopped = threads, stopped


def run_calmly(function: Callable[..., Result], *arguments: Any, **options: Any) -> Result:
    """Return what a function returns, from a thread in which torch cuts no operation."""
    if _HERE.threads is not None:
        return function(*arguments, **options)
    import torch

    stopped = threading.Event()
    start = torch.get_num_threads(), stopped
    with ThreadPoolExecutor(1, initializer=_calm_down, initargs=start) as pool:
        run = contextvars.copy_context().run
        try:
            return pool.submit(run, function, *arguments, **options).result()
        except BaseException:  # an interrupt, too
            stopped.set()
            raise


def map_calmly(function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """Return what a function returns for each item, in their order.

    Under `run_calmly` as many items are worked on at a time as torch would have used threads;
    elsewhere one after the other. The function must set what belongs to a thread (such as
    `torch.no_grad`) itself.
    """
    stopped = _HERE.stopped

    def piece(item: Item) -> Result:
        if stopped.is_set():
            raise CancelledError
        return function(item)

    threads = min(_HERE.threads or 1, len(items))
    if threads < 2:
        return [piece(item) for item in items]
    with ThreadPoolExecutor(threads, initializer=_calm_down, initargs=(1, stopped)) as pool:
        return list(pool.map(piece, items))
