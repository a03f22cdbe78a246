"""Checks that many arguments share."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Integral
from typing import Any

from picasssso.exceptions import InvalidInputError, InvalidTypeError


def check_integer(name: str, value: Any, least: int = 0) -> int:
    """Return a whole number of at least ``least``; anything else is refused."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise InvalidInputError(f"{name}={value!r}: expected an integer of at least {least}.")
    return int(value)


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
