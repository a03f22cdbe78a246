"""Signals end a command as an error does: what is half-written goes, and workers end with it."""

from __future__ import annotations

import atexit
import os
import signal
import sys
from typing import Any

#: Seconds that a command may take to put things right, and after which a lost signal comes again.
_GRACE, _AGAIN = 20.0, 0.1


class Ended(SystemExit):
    """A signal ends the command; its code is 128 and the signal's number."""

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)
        self.number = number


def ending_of(number: int) -> str:
    """Return what a signal did."""
    name = signal.Signals(number).name
    return "Interrupted" if name == "SIGINT" else f"Ended by {name}"


def signal_behind(error: BaseException | None) -> Ended | None:
    """Return the signal that an error comes from, such as those that Python makes of others."""
    while error is not None and not isinstance(error, Ended):
        error = error.__cause__ or error.__context__
    return error


class _Ending:
    """The handler of signals of a process and of those that it forks."""

    def __init__(self) -> None:
        self.process, self.begun, self.over = os.getpid(), False, False

    def end(self, number: int, frame: Any) -> None:
        """End the command where it is; what comes later would stop its tidying up."""
        if os.getpid() != self.process:  # what the parent of a worker holds is not the worker's
            os._exit(128 + number)
        if self.begun:
            return
        self.begun = True
        _set_clock(_GRACE, signal.SIG_DFL)  # the last resort: it ends there
        raise Ended(number)

    def lost(self, what: Any) -> bool:
        """Send a signal again, later, that came while Python ignores errors; whether it was."""
        if not isinstance(what.exc_value, Ended) or os.getpid() != self.process:
            return False
        if self.over:
            return True
        number = what.exc_value.number
        self.begun = False
        _set_clock(_AGAIN, lambda *_: self.end(number, None))
        return True

    def finish(self) -> None:
        """Send no lost signal again: Python is about to end, and so are its handlers."""
        self.over = True
        if not self.begun and hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, 0.0)


def _set_clock(seconds: float, handler: Any) -> None:
    """Have a handler called in the main thread after a while; not on Windows.

    No thread: the handler of a signal must not wait for the locks of what it interrupts.
    """
    if hasattr(signal, "setitimer"):
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, seconds)


def end_by_signals() -> None:
    """Let SIGINT, SIGTERM and SIGHUP raise `Ended`, once."""
    ending, report = _Ending(), sys.unraisablehook

    def end_again(what: Any) -> None:
        # Python ignores errors while an object is deleted, this one too.
        if not ending.lost(what):
            report(what)

    sys.unraisablehook = end_again
    atexit.register(ending.finish)
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        # Who is started with signals ignored, as by nohup, keeps ignoring them.
        if number and signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, ending.end)
