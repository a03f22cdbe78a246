"""Things found by name: those of this package, and those that plugins bring by entry points.

A name stands for ``"module:attribute"``, which is imported when it is asked for. So a room can
offer what a room above it holds, and a broken plugin disturbs nothing else.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from picasssso.exceptions import InvalidInputError, PicassssoWarning


def load(place: str) -> Any:
    """Return what ``"module:attribute"`` names."""
    module, _, attribute = place.partition(":")
    return getattr(importlib.import_module(module), attribute)


@dataclass(frozen=True, eq=False)
class Registry:
    """What can be found by name.

    ``what``: a word for it, in messages; ``group``: the plugins' entry-point group; ``built_in``:
    places of the package's own by name; ``base``: the class that a plugin's class must have.
    """

    what: str
    group: str
    built_in: Mapping[str, str]
    base: str

    @cached_property
    def plugins(self) -> dict[str, EntryPoint]:
        """The installed plugins, read once; a name that is taken already is ignored."""
        plugins: dict[str, EntryPoint] = {}
        for entry in sorted(entry_points(group=self.group), key=lambda e: (e.name, e.value)):
            taken_by = self.built_in.get(entry.name)
            if taken_by is None and entry.name in plugins:
                taken_by = plugins[entry.name].value
            if taken_by is None:
                plugins[entry.name] = entry
            elif taken_by != entry.value:
                warnings.warn(
                    f"The plugin {self.what} {entry.name!r} ({entry.value}) is ignored: the name "
                    f"is taken by {taken_by}. Ask its author to rename the entry point.",
                    PicassssoWarning,
                    stacklevel=4,
                )
        return plugins

    def names(self) -> list[str]:
        """Return all names, those of the package first, each sorted; nothing is imported."""
        return [*sorted(self.built_in), *self.plugins]

    def get(self, name: str) -> Any:
        """Return the class of a name, or an error that lists what there is."""
        if name in self.built_in:
            return load(self.built_in[name])
        entry = self.plugins.get(name)
        if entry is None:
            raise InvalidInputError(
                f"Unknown {self.what} {name!r}: installed are {', '.join(sorted(self.names()))}. "
                f"Others come as plugins in the entry-point group {self.group!r}."
            )
        try:
            found = entry.load()
        # A plugin is somebody else's code: whatever it raises on import is its own failure.
        except Exception as error:
            message = f"{type(error).__name__}: {error}"
            warnings.warn(
                f"The plugin {self.what} {name!r} ({entry.value}) cannot be imported: {message}",
                PicassssoWarning,
                stacklevel=3,
            )
            raise InvalidInputError(
                f"The plugin {self.what} {name!r} is installed but cannot be imported from "
                f"{entry.value} ({message}): repair or uninstall it."
            ) from error
        if not (isinstance(found, type) and issubclass(found, load(self.base))):
            raise InvalidInputError(
                f"The plugin {self.what} {name!r} ({entry.value}) is {found!r}: expected a "
                f"subclass of picasssso.{self.base.rpartition(':')[2]}."
            )
        return found
