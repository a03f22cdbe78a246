"""Checks of numbers that many arguments share."""

from __future__ import annotations

from numbers import Integral
from typing import Any

from picasssso.exceptions import InvalidInputError


def check_integer(name: str, value: Any, least: int = 0) -> int:
    """Return a whole number of at least ``least``; anything else is refused."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise InvalidInputError(f"{name}={value!r}: expected an integer of at least {least}.")
    return int(value)
