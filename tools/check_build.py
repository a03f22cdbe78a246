"""Check what was built: one sdist and one wheel, small, and the wheel alone imports.

Run from the root of the repository after ``python -m build``: ``python tools/check_build.py``.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

LARGEST = 20e6  # bytes


def main(folder: str = "dist") -> int:
    """Print what was found; return the exit code."""
    built = sorted(Path(folder).glob("*.whl")) + sorted(Path(folder).glob("*.tar.gz"))
    if [path.suffix for path in built] != [".whl", ".gz"]:
        print(f"found {[path.name for path in built]}, expected one wheel and one sdist")
        return 1
    for path in built:
        print(f"{path.name}: {path.stat().st_size / 1e6:.1f} MB")
    if any(path.stat().st_size > LARGEST for path in built):
        print(f"expected at most {LARGEST / 1e6:.0f} MB each")
        return 1
    with tempfile.TemporaryDirectory() as place:
        venv.create(place, with_pip=True)
        python = Path(place, "Scripts" if sys.platform == "win32" else "bin", "python")
        install = ["-m", "pip", "install", "--quiet", "--no-deps", built[0].resolve()]
        subprocess.run([python, "-I", *install], check=True)
        code = (
            "import picasssso, importlib.resources as r; print(picasssso.__version__);"
            "assert (r.files('picasssso') / 'py.typed').is_file();"
            "assert any((r.files('picasssso') / 'data').iterdir())"
        )
        subprocess.run([python, "-I", "-c", code], check=True, cwd=place)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
