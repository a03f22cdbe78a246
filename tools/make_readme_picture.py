#!/usr/bin/env python
"""Make docs/_static/demo.png, the picture in the README, through the demo itself."""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

from picasssso.demo import run_demo

PICTURE = Path(__file__).resolve().parent.parent / "docs" / "_static" / "demo.png"


def main() -> None:
    """Run the demo in a temporary folder and keep its picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--estimator", nargs="*", default=["mass_to_light", "sed_fit", "cnn"])
    parser.add_argument("--output", type=Path, default=PICTURE)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = run_demo(folder, arguments.estimator)
        shutil.copyfile(result.picture, arguments.output)
    print(f"{arguments.output}: {arguments.output.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
