#!/usr/bin/env python
"""Write the surveys' parameters that the mocks use, as kept by the package surveycodex.

surveycodex (https://github.com/LSSTDESC/surveycodex, MIT license) keeps pixel scales, zero
points, exposure times, sky brightness and seeing of surveys, each with its reference. The
numbers used are copied from the installed package into ``picasssso/data/surveys.json``,
with its version and those references, so that mocks need neither it nor PyYAML.

Run from the root of the repository, with surveycodex installed::

    python tools/make_mocks_surveys.py
"""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

import surveycodex
import yaml

OUTPUT = Path("picasssso/data/surveys.json")

#: surveycodex's name, our name, prefix of speclite's filter names, bands.
SURVEYS = (
    ("SDSS", "sdss", "sdss2010", "ugriz"),
    ("DES", "des", "decam2014", "grizY"),
    ("PanSTARRS", "ps1", "panstarrs", "grizy"),
    ("HSC", "hsc", "hsc2017", "grizy"),
    ("LSST", "lsst", "lsst2023", "ugrizy"),
)
UNITS = {
    "pixel_scale": "arcsec", "sky_brightness": "AB mag / arcsec2", "full_exposure_time": "s",
    "zeropoint": "AB mag of 1 electron/s", "psf_fwhm": "arcsec",
}  # fmt: skip
BAND_KEYS = tuple(UNITS)[1:]


def main() -> None:
    """Write the file."""
    folder = Path(surveycodex.__file__).parent / "data"
    surveys = {}
    for theirs, ours, prefix, bands in SURVEYS:
        kept = yaml.safe_load((folder / f"{theirs}.yaml").read_text())
        surveys[ours] = {
            "description": kept["description"],
            "pixel_scale": kept["pixel_scale"],
            "bands": {
                f"{prefix}-{band}": {key: kept["filters"][band][key] for key in BAND_KEYS}
                for band in bands
            },
            "references": {k: kept["references"][k]["link"] for k in ("pixel_scale", *BAND_KEYS)},
        }
    content = {
        "source": f"surveycodex {version('surveycodex')} (MIT license)",
        "units": UNITS,
        "surveys": surveys,
    }
    OUTPUT.write_text(json.dumps(content, indent=1) + "\n")
    print(f"{OUTPUT}: {', '.join(surveys)} from {content['source']}")


if __name__ == "__main__":
    main()
