"""Reading configurations in TOML, with checks of tables, names and numbers."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Collection, Mapping
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from picasssso.exceptions import FileFormatError, InvalidInputError, PicassssoError

P = ParamSpec("P")
T = TypeVar("T")

#: No configuration is larger, in bytes.
_LARGEST = 10_000_000
#: Files are named after it: no separator, nothing hidden, nothing that a shell would change.
_NAME = re.compile(r"\w[\w.+-]{0,79}")


def read_toml(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return what a configuration holds."""
    file = Path(path)
    if not file.exists():
        raise FileFormatError(f"There is no configuration {file}.")
    if not file.is_file() or file.stat().st_size > _LARGEST:
        raise FileFormatError(
            f"{file} is not a configuration: expected a file in TOML of at most "
            f"{_LARGEST / 1e6:g} MB."
        )
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError, OSError) as error:
        raise FileFormatError(f"{file} is not valid TOML: {error}.") from error


def check_table(
    where: str, table: Any, known: Collection[str], needed: Collection[str] = ()
) -> None:
    """Raise an error for a value that is not a table, or has unknown or missing entries."""
    if not isinstance(table, Mapping):
        raise InvalidInputError(f"{where} is {table!r}: expected a table.")
    unknown = sorted(set(table) - set(known))
    if unknown:
        raise InvalidInputError(
            f"{where} holds {', '.join(map(repr, unknown))}: expected some of "
            f"{', '.join(sorted(known))}."
        )
    missing = [name for name in needed if name not in table]
    if missing:
        raise InvalidInputError(f"{where} lacks {', '.join(missing)}.")


def check_name(what: str, name: Any) -> str:
    """Raise an error for a name that would write outside the output folder."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InvalidInputError(
            f"{what} {name!r} cannot be used in names of files: expected up to 80 letters, "
            "digits, '_', '-', '+' and '.', the first a letter or a digit."
        )
    return name


def check_known(kind: str, asked: Collection[str], there: Collection[str]) -> None:
    """Raise an error for experiments or estimators that are not in the configuration."""
    unknown = [name for name in asked if name not in there]
    if unknown:
        raise InvalidInputError(
            f"There is no {kind} {', '.join(map(repr, unknown))} in the configuration: "
            f"expected some of {', '.join(sorted(there))}."
        )


def own_errors(function: Callable[P, T]) -> Callable[P, T]:
    """Turn errors due to values of a wrong type into an error of picasssso."""

    @wraps(function)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except PicassssoError:
            raise
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise InvalidInputError(
                f"The configuration holds a value of a wrong kind ({error}): compare it with "
                "the documentation of picasssso.evaluation.experiments.configuration, or of "
                "picasssso.evaluation.real.samples."
            ) from error

    return guarded
