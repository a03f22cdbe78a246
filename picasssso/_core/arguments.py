"""Checks that many arguments share."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from numbers import Integral
from typing import Any

from picasssso.exceptions import InvalidInputError, InvalidTypeError

#: Processes for each core beyond which they only wait for each other, and what any machine may
#: be asked for.
_FOR_EACH_CORE, _PROCESSES = 8, 32


def check_integer(name: str, value: Any, least: int = 0, most: int | None = None) -> int:
    """Return a whole number of at least ``least`` and at most ``most``; else it is refused."""
    whole = isinstance(value, Integral) and not isinstance(value, bool)
    if not whole or value < least or (most is not None and value > most):
        span = f"of at least {least}" if most is None else f"from {least} to {most}"
        raise InvalidInputError(f"{name}={_shown(value)}: expected an integer {span}.")
    return int(value)


def check_workers(value: Any, least: int = 0) -> int:
    """Return a number of processes that this machine can be asked for."""
    cores = os.cpu_count() or 1
    most = max(_FOR_EACH_CORE * cores, _PROCESSES)
    if check_integer("workers", value, least) > most:
        raise InvalidInputError(
            f"workers={_shown(value)}: expected an integer from {least} to {most}: this machine "
            f"has {cores} cores, and more processes only wait for each other. Leave it out for "
            "one each."
        )
    return int(value)


def check_memory(name: str, value: int, needed: int, what: str, instead: str) -> None:
    """Refuse a number of things that take more memory, in bytes, than this machine has."""
    memory = machine_memory()
    if needed > memory:
        room = float(min(needed, 10**300))
        raise InvalidInputError(
            f"{name}={_shown(value)}: {what} would take {room / 1e9:.3g} GB, more than the "
            f"{memory / 1e9:.3g} GB of this machine. {instead}"
        )


def machine_memory() -> float:
    """Return the memory of this machine in bytes; infinite where that is not known."""
    try:
        return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, OSError, ValueError):
        return math.inf


def _shown(value: Any) -> str:
    """Return a value as Python writes it; of large integers the size."""
    if isinstance(value, Integral) and abs(int(value)) > 10**15:
        return f"{float(max(min(int(value), 10**300), -(10**300))):.6g}"
    return f"{value!r:.100}"


def check_choice(name: str, value: Any, options: Iterable[Any]) -> None:
    """Refuse what is none of the options."""
    known = tuple(options)
    if value not in known:
        listed = ", ".join(map(repr, known))
        raise InvalidInputError(f"{name}={value!r}: expected one of {listed}.")


def check_flag(name: str, value: Any) -> None:
    """Refuse what is neither True nor False."""
    if type(value).__name__ not in ("bool", "bool_"):  # numpy's own too
        raise InvalidTypeError(f"{name}={value!r}: expected True or False.")
