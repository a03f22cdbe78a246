"""Writing what came out on real galaxies: JSON, tables for the documentation, pictures."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from picasssso._core.files import atomic_write
from picasssso.evaluation.real.pictures import make_real_pictures
from picasssso.evaluation.real.tables import make_real_tables


def write_real(figures: Mapping[str, Any], folder: Path | str) -> list[Path]:
    """Write figures, tables and pictures."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / "real.json"]
    with atomic_write(paths[0], True) as temporary:
        text = json.dumps(_plain(figures), indent=1, allow_nan=False)
        temporary.write_text(text + "\n", encoding="utf-8")
    for name, table in make_real_tables(figures).items():
        paths.append(folder / f"{name}.inc")
        with atomic_write(paths[-1], True) as temporary:
            temporary.write_text(table, encoding="utf-8")
    for name, picture in make_real_pictures(figures).items():
        paths.append(folder / f"{name}.png")
        with atomic_write(paths[-1], True) as temporary:
            picture.savefig(temporary, dpi=110)
    return paths


def _plain(content: Any) -> Any:
    """Leave five significant digits, and None for what is no number."""
    if isinstance(content, Mapping):
        return {key: _plain(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_plain(value) for value in content]
    if isinstance(content, float):
        return float(f"{content:.5g}") if math.isfinite(content) else None
    return content
