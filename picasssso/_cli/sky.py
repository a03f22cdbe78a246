"""Noticing sky that survey images may still hold.

It is subtracted by `picasssso.preparation.subtract_background`.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np

from picasssso.exceptions import PicassssoWarning

if TYPE_CHECKING:
    from picasssso.bands import BandImages

_SUSPECT = 10.0  # sigma by which the faintest pixels of an image lie above zero
_SUSPECT_SIDE = 1024  # pixels of the middle of the image that are looked at


def warn_of_sky(images: BandImages) -> None:
    """Warn if even the faintest pixels of every band are far above zero."""
    middle = tuple(
        slice(max(0, (side - _SUSPECT_SIDE) // 2), (side + _SUSPECT_SIDE) // 2)
        for side in images.shape
    )
    flux, inverse_variance = images.to_arrays((middle[0], middle[1]))
    lowest = []
    for plane, precision in zip(flux, inverse_variance, strict=True):
        valid = precision > 0  # never true without an uncertainty
        if not valid.any():
            return
        lowest.append(float(np.percentile(plane[valid] * np.sqrt(precision[valid]), 2.0)))
    if min(lowest) > _SUSPECT:
        warnings.warn(
            f"Even the faintest pixels lie {min(lowest):.0f} times the noise above zero in every "
            "band: is the sky still in the images? It would be counted as stars. Subtract it "
            "with --subtract-sky median, unless the galaxy fills the image.",
            PicassssoWarning,
            stacklevel=2,
        )
