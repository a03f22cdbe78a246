"""Damage to files, and what reading them then costs: errors, time and memory."""

import random
import signal
import time
import traceback
import tracemalloc
from dataclasses import dataclass, field
from pathlib import Path

import click

from picasssso.exceptions import PicassssoError

#: Files, or the file, below which 20 times their size is no bound, in bytes.
LEAST_SIZE = 2**20


class TooLong(BaseException):
    """Reading did not end."""


@dataclass
class Outcome:
    """What came of reading damaged files: how many, their errors, and the largest costs.

    ``said``: messages of the package's own errors; ``foreign``: others, by what and where, with
    the number of the first such file and how many there are; ``longest``: CPU seconds;
    ``peak``: bytes; both with the number of the file; ``size``: bytes of the whole file.
    """

    number: int = 0
    size: int = 0
    said: list[str] = field(default_factory=list)
    foreign: dict[str, list[int]] = field(default_factory=dict)
    longest: tuple[float, int] = (0.0, -1)
    peak: tuple[int, int] = (0, -1)

    @property
    def peak_over_size(self):
        return self.peak[0] / max(self.size, LEAST_SIZE)

    @property
    def longest_message(self):
        return max(map(len, self.said), default=0)


def damaged(data, draw):
    """Return bytes of which a few bits are others, or a part is cut off or something else."""
    data = bytearray(data)
    # Where a header says what follows, a bit counts more than among numbers.
    span = len(data) if draw.random() < 0.5 else min(len(data), 4096)
    way = draw.randrange(6)
    if way == 0:
        return bytes(data[: draw.randrange(len(data))])
    if way == 1:
        start = draw.randrange(span)
        data[start : start + draw.choice([1, 8, 64, 512])] = bytes(draw.choice([1, 8, 64]))
    elif way == 2:
        digits = [k for k, byte in enumerate(data[:span]) if 48 <= byte <= 57]
        for place in draw.sample(digits, min(len(digits), 1)):
            data[place : place + 1] = draw.choice(
                [b"-1", b"0", b"9" * 12, b"1e999", b"null", b"[]", b"{}", b'"a"', b"true", b"NaN"]
            )
    else:
        for _ in range(draw.choice([1, 1, 2, 8])):
            data[draw.randrange(span)] ^= 1 << draw.randrange(8)
    return bytes(data)


def read_damaged(kind, paths, read, numbers):
    """Damage one of the files at a time, and read them all; return the `Outcome`."""
    whole = {path: path.read_bytes() for path in paths}
    read(paths)
    outcome = Outcome(size=max(map(len, whole.values())))
    former = signal.signal(signal.SIGALRM, _stop)
    try:
        for number in numbers:
            path = paths[number % len(paths)]
            path.write_bytes(damaged(whole[path], random.Random(f"{kind} {number}")))
            _read_one(paths, read, number, outcome)
            path.write_bytes(whole[path])
    finally:
        signal.signal(signal.SIGALRM, former)
    return outcome


def _stop(number, frame):
    raise TooLong


def _read_one(paths, read, number, outcome):
    foreign = None
    tracemalloc.start(1)
    signal.setitimer(signal.ITIMER_REAL, 60.0)
    start = time.thread_time()
    try:
        read(paths)
    except (PicassssoError, click.ClickException) as error:
        outcome.said.append(str(error))
    except (Exception, TooLong) as error:
        foreign = error
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        used, peak = time.thread_time() - start, tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    outcome.number += 1
    outcome.longest = max(outcome.longest, (used, number))
    outcome.peak = max(outcome.peak, (peak, number))
    if foreign is not None:
        known = outcome.foreign.setdefault(_where(foreign), [number, 0])
        known[1] += 1


def _where(error):
    """Return what an error is, and in which line of the package it came up."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if "picasssso" in Path(f.filename).parts] or frames[:1]
    places = [f"{Path(f.filename).name}:{f.lineno}" for f in (own[-1], frames[-1])]
    return f"{type(error).__name__} in {' <- '.join(places)}: {str(error)[:120]}"
