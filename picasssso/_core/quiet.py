"""Warnings caught or silenced by one thread at a time.

`warnings.catch_warnings` changes state of the whole process: two threads that leave it in another
order than they entered leave the recorder of one behind, and later warnings are lost.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from astropy.wcs import WCS

_LOCK = RLock()


@contextmanager
def silence(*categories: type[Warning]) -> Iterator[None]:
    """Ignore warnings of some classes, or all of them; for short work in one thread."""
    with _LOCK, warnings.catch_warnings():
        for category in categories or (Warning,):
            warnings.simplefilter("ignore", category)
        yield


@contextmanager
def record_warnings() -> Iterator[list[warnings.WarningMessage]]:
    """Collect all warnings instead of showing them; for short work in one thread."""
    with _LOCK, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield caught


def copy_wcs(wcs: WCS) -> WCS:
    """Return a copy of a WCS; astropy catches warnings while it makes one."""
    with silence():
        return wcs.deepcopy()
