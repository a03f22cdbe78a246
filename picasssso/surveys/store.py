"""The results of a run in its folder: what is in there is whole, and one run writes at a time.

Rows stand in an SQLite file, each under the galaxy's name: a row is either committed or not
there, whatever happens to the process, and no galaxy can be there twice. The lock is the
operating system's, so that it ends with the process that holds it.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import socket
import sqlite3
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from picasssso.exceptions import FileFormatError, InvalidInputError, PicassssoError

#: Name of the file in a run's folder.
RESULTS = "results.sqlite"
#: Name of the log beside it.
LOG = "run.log"
#: Longest value of a setting in a message, and how many names are shown beside it.
_LONGEST, _SHOWN = 80, 5
#: Seconds to wait for others who read or write the file.
_WAIT = 600.0
#: Redshifts and degrees that differ by less are the same.
_SAME = 1e-6
#: Rows read with one query.
_AT_ONCE = 500
logger = logging.getLogger("picasssso.surveys")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS rows (id TEXT PRIMARY KEY, number INTEGER NOT NULL, failed TEXT,
                                 json TEXT NOT NULL, color BLOB, mass BLOB);
CREATE INDEX IF NOT EXISTS places ON rows (number, id);
"""


class _Log(logging.FileHandler):
    """A log that may miss lines: on a full disk the results say so."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Leave out the line."""


class Store:
    """A run's results, open for writing (a context manager), and the settings that decide them."""

    def __init__(
        self, folder: Path, settings: Mapping[str, Any], *, resume: bool, retry_failed: bool
    ) -> None:
        from filelock import FileLock, Timeout

        self.folder = folder
        self._lock = FileLock(folder / ".lock")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=0)
        except Timeout:
            raise InvalidInputError(
                f"Another run is writing to {folder} ({_read_holder(folder)}): wait for it, or "
                "choose another folder."
            ) from None
        except (OSError, NotImplementedError) as error:  # read-only, full, without locks
            raise self._cannot(error) from error
        try:
            with self._in_words():
                self._open(dict(settings), resume, retry_failed)
        except BaseException:
            self._lock.release()
            raise

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        """Turn what goes wrong with the database into an error in words."""
        try:
            yield
        except PicassssoError:
            raise
        except (sqlite3.Error, OSError, ValueError, TypeError, AttributeError) as error:
            raise self._cannot(error) from error

    def _cannot(self, error: Exception) -> FileFormatError:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        if not isinstance(error, sqlite3.OperationalError | OSError):
            return FileFormatError(f"{self.folder / RESULTS} is damaged, or no results: {reason}.")
        full = "full" in reason or getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)
        todo = "make room and resume the run" if full else "choose a folder that can be written to"
        return FileFormatError(
            f"Cannot write the results in {self.folder}: {reason}. What was written before is "
            f"kept: {todo}."
        )

    def _open(self, settings: dict[str, Any], resume: bool, retry_failed: bool) -> None:
        (self.folder / ".holder").write_text(f"process {os.getpid()} on {socket.gethostname()}")
        begun = (self.folder / RESULTS).exists()
        self._database = sqlite3.connect(self.folder / RESULTS, timeout=_WAIT)
        self._database.executescript(_SCHEMA)
        known = dict(self._database.execute("SELECT name, value FROM settings"))
        if begun and known and not resume:
            number = self._database.execute("SELECT COUNT(*) FROM rows").fetchone()[0]
            self._database.close()
            raise InvalidInputError(
                f"There is a run in {self.folder}, with {number} results: continue it "
                "(resume=True), or choose another folder."
            )
        new = {name: json.dumps(value, sort_keys=True) for name, value in settings.items()}
        before = {name: json.loads(value) for name, value in known.items()}
        if changed := list(_changes(before, settings)):
            name, old, now = changed[0]
            more = ", ".join(name for name, *_ in changed[1 : _SHOWN + 1])
            self._database.close()
            raise InvalidInputError(
                f"{name} was {old} in the run in {self.folder}, and is now {now}"
                + (f" (also changed: {more})" if more else "")
                + ": resume with the old value, or choose another folder."
            )
        with self._database as database:
            database.executemany("INSERT OR IGNORE INTO settings VALUES (?, ?)", new.items())
            if retry_failed:
                database.execute("DELETE FROM rows WHERE failed IS NOT NULL")
        self._handler = _Log(self.folder / LOG)
        self._handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        logger.addHandler(self._handler)
        self._level = logger.level
        logger.setLevel(min(logger.getEffectiveLevel(), logging.INFO))
        # What workers were writing when they were killed.
        for left in self.folder.glob("*/???/.????????-*"):
            left.unlink(missing_ok=True)

    def done(self) -> set[str]:
        """Return the names of the galaxies that have a row."""
        with self._in_words():
            return {name for (name,) in self._database.execute("SELECT id FROM rows")}

    def forget_moved(self, asked: Callable[[str], Sequence[float] | None]) -> int:
        """Forget the rows of galaxies whose redshift or position is another now; their number.

        ``asked``: redshift, right ascension and declination of a galaxy now, by its name; NaN
        where there is none, None for galaxies that are not asked for.
        """
        query = "SELECT id, json FROM rows WHERE failed IS NULL"
        moved = []
        with self._in_words():
            for name, text in self._database.execute(query):
                row, now = json.loads(text), asked(name)
                before = [row.get(key, np.nan) for key in ("redshift", "ra", "dec")]
                if now is not None and np.any(np.abs(np.subtract(before, now)) > _SAME):
                    moved.append((name,))
        if moved:
            with self._writing() as database:
                database.executemany("DELETE FROM rows WHERE id = ?", moved)
        return len(moved)

    def add(self, rows: Iterable[tuple[int, Mapping[str, Any]]]) -> None:
        """Append rows, each with the galaxy's number; all of them, or none.

        A signal may come when they are there already: they stay as they are.
        """
        values = []
        for number, row in rows:
            color, mass = row.get("pictures") or (None, None)
            plain = {key: value for key, value in row.items() if key not in ("id", "pictures")}
            values.append((row["id"], number, row.get("failed"), json.dumps(plain), color, mass))
        with self._writing() as database:
            database.executemany("INSERT OR IGNORE INTO rows VALUES (?, ?, ?, ?, ?, ?)", values)

    def clear(self) -> None:
        """Forget all rows."""
        with self._writing() as database:
            database.execute("DELETE FROM rows")

    def renumber(self, numbers: Mapping[str, int]) -> None:
        """Give rows the places of a catalog that has grown since."""
        with self._in_words():
            known = self._database.execute("SELECT id, number FROM rows")
            moved = [(numbers[k], k) for k, old in known if numbers.get(k, old) != old]
        if moved:
            with self._writing() as database:
                database.executemany("UPDATE rows SET number = ? WHERE id = ?", moved)

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """Commit what is done with the database; a full disk is an error in words."""
        with self._in_words(), self._database as database:
            yield database

    def count(self, names: Container[str] | None = None) -> tuple[int, int]:
        """Return the number of rows (of these names), and how many of them failed."""
        with self._in_words():
            if names is None:
                query = "SELECT COUNT(*), COUNT(failed) FROM rows"
                return self._database.execute(query).fetchone()
            rows = self._database.execute("SELECT id, failed IS NOT NULL FROM rows")
            of = [failed for name, failed in rows if name in names]
            return len(of), sum(of)

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        ending = "ended" if error is None else f"ended by {type(error).__name__}: {error}"
        try:
            logger.info("%s; %d rows, %d of them failed", ending, *self.count())
        except FileFormatError:
            if error is None:
                raise
        finally:
            logger.removeHandler(self._handler)
            logger.setLevel(self._level)
            self._handler.close()
            self._database.close()
            (self.folder / ".holder").unlink(missing_ok=True)
            self._lock.release()


def _changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield name, old and new value of settings that changed; of mappings, of their entries."""
    for name, new in now.items():
        if name not in before or before[name] == (new := json.loads(json.dumps(new))):
            continue
        old = before[name]
        if isinstance(old, dict) and isinstance(new, dict):
            for key in [key for key in {**old, **new} if old.get(key) != new.get(key)]:
                what = f"{key}=" if name == "options" else f"the estimator's parameter {key}"
                values = [_shorten(of.get(key, "not given")) for of in (old, new)]
                yield what, values[0], values[1]
        else:
            yield f"{name}=", _shorten(old), _shorten(new)


def _shorten(value: Any) -> str:
    text = str(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 4]} ..."


def record_value(value: Any) -> str:
    """Return a setting as text that differs where the value does."""
    from astropy.units import Quantity

    if isinstance(value, np.ndarray) and value.size > 1:
        digest = hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
        unit = f" {value.unit}" if isinstance(value, Quantity) else ""
        return f"array of {value.shape}{unit}, SHA-256 {digest[:8]}"
    if isinstance(value, Quantity):
        return f"'{value}'"
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {record_value(value[key])}" for key in sorted(value, key=str))
    return repr(value)


def _read_holder(folder: Path) -> str:
    try:
        return (folder / ".holder").read_text()
    except OSError:
        return "unknown process"


def read_rows(
    folder: str | os.PathLike[str], *, pictures: bool = False, limit: int = -1
) -> Iterator[dict[str, Any]]:
    """Yield the rows of a run in the catalog's order, while it works too.

    ``pictures``: whether to yield them too, as PNG; ``limit``: at most so many rows.
    """
    file = Path(folder).expanduser() / RESULTS
    if not file.is_file():
        raise FileFormatError(f"There are no results of a survey run in {folder} (no {RESULTS}).")
    images = "color, mass" if pictures else "NULL, NULL"
    # A few at a time: who reads on between two queries keeps no run from writing.
    query = (
        f"SELECT id, number, json, {images} FROM rows WHERE (number, id) > (?, ?) "
        "ORDER BY number, id LIMIT ?"
    )
    last, left = (-1, ""), limit
    try:
        with closing(sqlite3.connect(_address(file), uri=True, timeout=_WAIT)) as database:
            while left:
                number = _AT_ONCE if left < 0 else min(left, _AT_ONCE)
                found = database.execute(query, (*last, number)).fetchall()
                for name, place, text, color, mass in found:
                    row = {"id": name, "number": place, **json.loads(text)}
                    if color is not None:
                        row["pictures"] = (color, mass)
                    yield row
                if len(found) < _AT_ONCE:
                    return
                last, left = (found[-1][1], found[-1][0]), left - len(found)
    except (sqlite3.Error, ValueError, TypeError, RecursionError) as error:
        raise FileFormatError(f"{file} is damaged, or no results: {error}.") from error


def read_failures(folder: str | os.PathLike[str], limit: int) -> list[tuple[str, str]]:
    """Return name and reason of the first failures of a run, at most so many."""
    file = Path(folder).expanduser() / RESULTS
    query = "SELECT id, failed FROM rows WHERE failed IS NOT NULL ORDER BY number LIMIT ?"
    try:
        with closing(sqlite3.connect(_address(file), uri=True)) as database:
            return database.execute(query, (limit,)).fetchall()
    except sqlite3.Error as error:
        raise FileFormatError(f"{file} is damaged, or no results: {error}.") from error


def _address(path: Path) -> str:
    """Return a file as SQLite wants it, for reading and for putting right what was cut off."""
    from urllib.parse import quote

    return f"file:{quote(str(path.resolve()))}?mode=rw"
