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
#: Faintest pixels that are as far above zero are of the sky if they are as alike as its noise:
#: differences of percentiles (2 to 16, 16 to 40), which are 1.06 and 0.74 for a flat sky.
_FLAT, _ALIKE = 0.5, (1.6, 1.1)
_SUSPECT_SIDE = 1024  # pixels of the middle of the image that are looked at


def warn_of_sky(images: BandImages) -> None:
    """Warn if even the faintest pixels of every band are far above zero, or flat above it."""
    middle = tuple(
        slice(max(0, (side - _SUSPECT_SIDE) // 2), (side + _SUSPECT_SIDE) // 2)
        for side in images.shape
    )
    flux, inverse_variance = images.to_arrays((middle[0], middle[1]))
    levels, flat = [], True
    for plane, precision in zip(flux, inverse_variance, strict=True):
        valid = precision > 0  # never true without an uncertainty
        if not valid.any():
            return
        low, middle, high = np.percentile(plane[valid] * np.sqrt(precision[valid]), (2, 16, 40))
        levels.append(float(low))
        flat &= bool(low > _FLAT and middle - low < _ALIKE[0] and high - middle < _ALIKE[1])
    if min(levels) > _SUSPECT or flat:
        warnings.warn(
            f"Even the faintest pixels lie {min(levels):.2g} times the noise above zero in every "
            "band: is the sky still in the images? It would be counted as stars. Subtract it "
            "with --sky median, unless the galaxy fills the image.",
            PicassssoWarning,
            stacklevel=2,
        )
