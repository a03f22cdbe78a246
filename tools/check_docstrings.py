"""Validate the docstrings of everything public with numpydoc.

Public is what the ``__all__`` of a module that docs/api.rst documents names, and the public
methods and properties defined in those classes. The objects are imported rather than parsed,
since numpydoc's parser knows neither dataclasses nor properties. The checks stand in
pyproject.toml. Beside them, each public class and function has an example; their members and
errors need none.

Run from the root of the repository: ``python tools/check_docstrings.py``.
"""

from __future__ import annotations

import importlib
import inspect
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

from numpydoc.validate import ERROR_MSGS, validate

ROOT = Path(__file__).resolve().parents[1]


def read_checks() -> set[str]:
    """Return the codes to check: those listed or, after "all", those not listed."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    listed = set(settings["tool"]["numpydoc_validation"]["checks"])
    return set(ERROR_MSGS) - listed if "all" in listed else listed


def public_modules() -> list[str]:
    """Return the names of the modules that docs/api.rst documents."""
    text = (ROOT / "docs" / "api.rst").read_text()
    return re.findall(r"^\.\. automodapi:: (\S+)$", text, flags=re.MULTILINE)


def public_objects(module_name: str) -> Iterator[tuple[str, object]]:
    """Yield the full names of what a module makes public, and of its members."""
    module = importlib.import_module(module_name)
    for name in module.__all__:
        thing = getattr(module, name)
        # A constant has no docstring of its own, and that of a click command is its help.
        if not (inspect.isclass(thing) or inspect.isroutine(thing)):
            continue
        yield f"{module_name}.{name}", thing
        if inspect.isclass(thing):
            for member, value in own_members(thing):
                documented = inspect.isroutine(value) or isinstance(
                    value, (property, classmethod, staticmethod)
                )
                if documented and not member.startswith("_"):
                    yield f"{module_name}.{name}.{member}", value


def is_error(thing: object) -> bool:
    """Return whether something is a class of errors or warnings."""
    return inspect.isclass(thing) and issubclass(thing, Exception)


def own_members(thing: type) -> Iterator[tuple[str, object]]:
    """Yield the members that a class has from the package, but for those documented in a base."""
    bases = [base for base in thing.__mro__ if base.__module__.startswith("picasssso")]
    rooms = {base: base.__module__.rpartition(".")[0] for base in bases}
    # A base that is not public itself is documented with the class.
    known = [
        base
        for base in bases[1:]
        if base.__name__ in getattr(importlib.import_module(rooms[base]), "__all__", ())
    ]
    for base in bases:
        for member, value in vars(base).items():
            if base not in known and not any(member in vars(public) for public in known):
                yield member, value


def main() -> int:
    """Print every failed check; return the exit code."""
    checks = read_checks()
    n_objects = 0
    failures = []
    for module_name in public_modules():
        for name, thing in public_objects(module_name):
            n_objects += 1
            # Errors take a message, as all errors do.
            known = {"PR01"} if is_error(thing) else set()
            wanted = checks - known
            # Members are shown in the example of their class.
            if name.rpartition(".")[0] == module_name and not is_error(thing):
                wanted |= {"EX01"}
            failures += [
                f"{name}: {code} {message}"
                for code, message in validate(name)["errors"]
                if code in wanted
            ]
    print("\n".join(failures))
    print(f"{n_objects} public docstrings checked, {len(failures)} problem(s)")
    return 1 if failures or not n_objects else 0


if __name__ == "__main__":
    sys.exit(main())
