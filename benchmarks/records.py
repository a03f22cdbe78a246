"""Results of the benchmarks as JSON, with what they were measured on. No benchmark of its own."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
TABLES = ROOT / "docs" / "_tables"
SHARED = ROOT.parent / "shared"


def record(name: str, result: dict[str, Any], part: str | None = None) -> None:
    """Write figures, into a part of what is there if one is given, and print them."""
    import torch

    import picasssso

    path = RESULTS / name
    content = json.loads(path.read_text()) if part is not None and path.exists() else {}
    content |= result if part is None else {part: result}
    content["made_with"] = {
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "torch": torch.__version__,
        "picasssso": picasssso.__version__,
    }
    temporary = path.with_suffix(".part")
    temporary.write_text(json.dumps(rounded(content), indent=1) + "\n")
    temporary.replace(path)
    print(json.dumps(rounded(result), indent=1), flush=True)


def rounded(value: Any) -> Any:
    """Return nested results with four significant digits, which is what they are good for."""
    if isinstance(value, Mapping):
        return {str(key): rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [rounded(item) for item in value]
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(f"{value:.4g}") if np.isfinite(value) else None
    return value


def list_table(rows: Iterable[Iterable[str]]) -> list[str]:
    """Return the lines of a list-table of the documentation; the first row is the header."""
    lines = [".. list-table::", "   :header-rows: 1", ""]
    for row in rows:
        lines += [f"   {'*' if k == 0 else ' '} - {cell}".rstrip() for k, cell in enumerate(row)]
    return lines


def write_table(name: str, rows: Iterable[Iterable[str]]) -> None:
    """Write a list-table to the documentation's tables."""
    text = "\n".join(list_table(rows)) + "\n"
    (TABLES / f"{name}.inc").write_text(text, encoding="utf-8")
