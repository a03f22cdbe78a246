"""The published numbers of `color_mass_to_light.toml` in the package's data, with sources."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from picasssso._core.safe_files import packaged_text


@lru_cache(maxsize=1)
def literature() -> Mapping[str, Any]:
    """Return what the file holds."""
    return tomllib.loads(packaged_text("color_mass_to_light.toml"))


def color_ranges(name: str) -> Mapping[tuple[str, str], tuple[float, float]]:
    """Return lowest and highest colors (mag) by band letters, ``("g", "r")``."""
    ranges = literature()[name]
    return MappingProxyType({(key[0], key[2]): (low, high) for key, (low, high) in ranges.items()})
