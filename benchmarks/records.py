"""What the scripts share: options, results as JSON, tables. No benchmark of its own."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
TABLES = ROOT / "docs" / "_tables"
SHARED = ROOT.parent / "shared"


def options_of(text: str | None, *positional: str, **defaults: Any) -> argparse.Namespace:
    """Return the options of a script: flags named and typed as their defaults, or of a type.

    A flag of False is switched on; a list takes several values. ``positional`` are paths.
    """
    parser = argparse.ArgumentParser(description=str(text).split("\n", 1)[0])
    for name in positional:
        parser.add_argument(name, type=Path)
    for name, default in defaults.items():
        flag = "--" + name.replace("_", "-")
        if default is False:
            parser.add_argument(flag, action="store_true")
        elif isinstance(default, list):
            parser.add_argument(flag, nargs="+", type=type(default[0]), default=default)
        elif isinstance(default, type):
            parser.add_argument(flag, type=default)
        else:
            parser.add_argument(flag, type=type(default), default=default)
    return parser.parse_args()


def load(name: str) -> dict[str, Any]:
    """Return the results of a benchmark; none yet, nothing."""
    path = RESULTS / name
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def in_fresh_process(code: str, *arguments: str, **environment: str) -> Any:
    """Return the JSON that code prints last, run by an interpreter of its own."""
    run = subprocess.run(
        [sys.executable, "-c", code, *arguments], check=True, capture_output=True, text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))} | environment,
    )  # fmt: skip
    return json.loads(run.stdout.splitlines()[-1])


@contextmanager
def sampled(look: Callable[[], float], seconds: float) -> Iterator[list[float]]:
    """Collect what ``look`` returns again and again while something else runs."""
    seen: list[float] = []
    ended = threading.Event()

    def sample() -> None:
        while not ended.wait(seconds):
            seen.append(look())

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join()


def light_table(path: Path | None, bands: Sequence[str], redshifts: tuple[float, float]) -> Any:
    """Return a table of light, read from a file if it is there, else kept in it."""
    from picasssso.mocks.light import LightTable, read_light_table, write_light_table

    if path is not None and path.exists():
        return read_light_table(path)
    table = LightTable.build(bands, redshifts)
    if path is not None:
        write_light_table(path, table)
    return table


def record(name: str, result: dict[str, Any], part: str | None = None) -> None:
    """Write figures, into a part of what is there if one is given, and print them."""
    import torch

    import picasssso

    path = RESULTS / name
    content = load(name) if part is not None else {}
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


def number(value: Any, digits: int = 3, sign: bool = False) -> str:
    """Return a number or, of two, a number with its error; a dash for None."""
    if value is None:
        return "–"
    if isinstance(value, Sequence):
        return f"{number(value[0], digits, sign)} ± {number(value[1], digits)}"
    return f"{value:{'+' if sign else ''}.{digits}f}"


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
