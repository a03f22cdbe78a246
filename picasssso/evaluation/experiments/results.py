"""Writing what came out: JSON, tables for the documentation, pictures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from picasssso._core.files import atomic_write
from picasssso.evaluation.experiments.pictures import make_pictures
from picasssso.evaluation.experiments.tables import make_tables


def write_results(figures: Mapping[str, Any], folder: Path | str) -> list[Path]:
    """Write figures, tables and pictures."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / "evaluation.json"]
    with atomic_write(paths[0], True) as temporary:
        text = json.dumps(_rounded(figures), indent=1, allow_nan=False)
        temporary.write_text(text + "\n", encoding="utf-8")
    for name, table in make_tables(figures).items():
        if not table:
            continue
        paths.append(folder / f"{name}.inc")
        with atomic_write(paths[-1], True) as temporary:
            temporary.write_text(table, encoding="utf-8")
    for name, picture in make_pictures(figures).items():
        paths.append(folder / f"{name}.png")
        with atomic_write(paths[-1], True) as temporary:
            picture.savefig(temporary, dpi=110)
    return paths


def _rounded(content: Any) -> Any:
    """Leave five significant digits: no error is known better."""
    if isinstance(content, Mapping):
        return {key: _rounded(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_rounded(value) for value in content]
    return float(f"{content:.5g}") if isinstance(content, float) else content
