"""What a FITS header says about a band, in words and as a suggestion.

Nothing here is ever used silently: `picasssso info` prints it for the user to check.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

#: Keywords in which files name their filter or camera.
FILTER_KEYWORDS = ("FILTER", "FILTER1", "FILTNAM", "FILTERS", "BAND")
_CAMERA_KEYWORDS = ("INSTRUME", "TELESCOP", "CAMERA", "SURVEY", "DETECTOR", "ORIGIN")

#: Keywords in which files give, in many senses, a zero point; beside those whose sense is
#: known (`picasssso.bands.reading`).
ZERO_POINT_KEYWORDS = (
    "MAGZERO",
    "MAGZPT",
    "MAGZP",
    "PHOTZP",
    "ZEROPT",
    "ZEROPNT",
    "ZPT",
    "MAGZEROP",
    "PHOTFNU",
    "PHOTFLAM",
    "NMGY",
    "EXPTIME",
)

# Camera or survey, as headers write it, and speclite's name for its filters. The first
# that fits wins: DECam calls its filters "g DECam SDSS".
_SURVEYS = (
    ("decam", "decam2014"),
    ("hyper suprime|hsc", "hsc2017"),
    ("gpc1|pan-?starrs|ps1", "panstarrs"),
    ("lsst|comcam", "lsst2023"),
    ("megacam|megaprime|cfht", "cfht_megacam"),
    ("2mass", "twomass"),
    ("galex", "galex"),
    ("wise", "wise2010"),
    ("euclid", "Euclid"),
    ("sdss", "sdss2010"),
)
_LETTER = re.compile(r"^\s*(?:sdss|hsc|cfht|ps1|lsst)?[-_. ]*([ugrizyYJHK])(?![A-Za-z])")

# How extensions that go with an image are usually called, and the option that reads them.
_ROLES = (
    (r"^(wgt|wht|weight|ivar|invvar|inverse_variance)", "weight"),
    (r"^(err|error|sigma|std|stddev|unc|uncert|noise|rms)", "uncertainty"),
    (r"^(msk|mask|dq|flag|flags|bpm)", "mask"),
    # Labels of bins or sources: no band, and read in Python only.
    (r"^(bin_?map|bins?$|bin_?id|segm|label)", "labels"),
)


def guess_band(header: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Guess a speclite filter name from a header.

    Examples
    --------
    >>> from picasssso._cli.guesses import guess_band
    >>> guess_band({"FILTER": "g DECam SDSS c0001 4720.0 1520.0"})
    ('decam2014', 'g')
    """
    texts = [str(header.get(key, "")) for key in (*FILTER_KEYWORDS, *_CAMERA_KEYWORDS)]
    everything = " ".join(texts)
    group = next((g for words, g in _SURVEYS if re.search(words, everything, re.I)), None)
    letters = (_LETTER.match(text) for text in texts[: len(FILTER_KEYWORDS)])
    letter = next((match.group(1) for match in letters if match), None)
    return group, letter


def guess_role(name: str) -> str | None:
    """Guess which option of ``picasssso estimate`` reads an extension.

    Examples
    --------
    >>> from picasssso._cli.guesses import guess_role
    >>> guess_role("WGT"), guess_role("SCI")
    ('weight', None)
    """
    return next((role for words, role in _ROLES if re.search(words, name.strip(), re.I)), None)
