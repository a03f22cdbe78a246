"""The bits of the quality plane: why a pixel is masked, and what to distrust.

The bits are append-only: a released bit never changes its value or meaning, so that
files stay readable. They are declared with `astropy.nddata.bitmask`, whose functions
(`~astropy.nddata.bitmask.interpret_bit_flags`,
`~astropy.nddata.bitmask.bitfield_to_boolean_mask`) therefore take their names.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from astropy.nddata.bitmask import BitFlagNameMap

__all__ = ["QualityFlag"]

#: The type of quality planes, in memory and in files.
QUALITY_DTYPE = np.dtype(np.int32)


class QualityFlag(BitFlagNameMap):
    """Names of the bits of the quality plane.

    Examples
    --------
    >>> from picasssso.quality import QualityFlag
    >>> int(QualityFlag.NO_DATA), int(QualityFlag.UPPER_LIMIT)
    (1, 16)
    """

    # Any, since the metaclass makes each tuple an integer that knows its description.
    NO_DATA: Any = 1, "fewer valid bands than the estimator needs; the pixel is masked"
    MISSING_BAND: Any = 2, "at least one of the bands used is masked here"
    BAD_FIT: Any = 4, "no model describes the fluxes (or they are not physical)"
    PRIOR_EDGE: Any = 8, "the answer lies at the edge of the prior or of a relation's range"
    UPPER_LIMIT: Any = 16, "not detected: the value is an upper limit"
    OUTSIDE_TRAINING: Any = 32, "the input is unlike anything the estimator was trained on"
    PSF_MISMATCH: Any = 64, "the bands differ in resolution; colors are distorted here"
    LOW_SIGNAL: Any = 128, "the signal asked for was not reached in the largest neighborhood"
    FEW_MODELS: Any = 256, "fewer models matter than the width of the posterior needs"
    NOT_DETECTED: Any = (
        512,
        "no light stands out of the noise here; averaged properties are masked",
    )


def describe_quality(quality: npt.ArrayLike) -> list[str]:
    """Return the names of the bits set in any of some quality values, lowest bit first."""
    value = int(np.bitwise_or.reduce(np.asarray(quality), axis=None))
    names = [name for name in vars(QualityFlag) if name.isupper()]
    flags = {name: int(getattr(QualityFlag, name)) for name in names}
    return [n for n, bit in sorted(flags.items(), key=lambda item: item[1]) if value & bit]
