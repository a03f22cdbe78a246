"""Make the picture of a report that stands in the documentation, with headless Chromium.

Run from the root of the repository: ``python tools/make_report_picture.py``.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

from picasssso import MassToLightEstimator
from picasssso.data import load_example
from picasssso.evaluation.report import write_report

PICTURE = Path("docs/_static/report.png")
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


def main() -> None:
    """Write a report of the example galaxy and photograph its upper part."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        sys.exit(f"Needs a browser, one of {', '.join(BROWSERS)}.")
    images, truth = load_example()
    maps = MassToLightEstimator().estimate(images)
    with tempfile.TemporaryDirectory() as name:
        page = Path(name) / "report.html"
        write_report(maps, page, truth=truth, images=images, title="The example galaxy")
        subprocess.run(
            [browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
             "--disable-background-networking", "--disable-component-update", "--disable-sync",
             "--hide-scrollbars", f"--user-data-dir={name}/profile", "--window-size=1100,1300",
             f"--screenshot={PICTURE.resolve()}", page.as_uri()],
            check=True, capture_output=True, timeout=120,
        )  # fmt: skip
    # A palette is enough for text and maps, and a third of the size.
    with Image.open(PICTURE) as picture:
        picture.convert("RGB").quantize(160).save(PICTURE, optimize=True)
    print(f"Written: {PICTURE}")


if __name__ == "__main__":
    main()
