"""Quality bits never change, and astropy's tools understand them."""

import numpy as np
from astropy.nddata.bitmask import bitfield_to_boolean_mask

from picasssso.quality import QualityFlag, describe_quality

# Released values: files hold them, so they may be added to but never changed.
RELEASED = {
    "NO_DATA": 1,
    "MISSING_BAND": 2,
    "BAD_FIT": 4,
    "PRIOR_EDGE": 8,
    "UPPER_LIMIT": 16,
    "OUTSIDE_TRAINING": 32,
    "PSF_MISMATCH": 64,
    "LOW_SIGNAL": 128,
    "FEW_MODELS": 256,
}


def test_released_bits_keep_their_values():
    assert {name: int(getattr(QualityFlag, name)) for name in RELEASED} == RELEASED


def test_names_work_with_astropy():
    plane = np.array([[0, 1], [16, 17]], np.int32)
    mask = bitfield_to_boolean_mask(
        plane, ignore_flags="~UPPER_LIMIT", flag_name_map=QualityFlag, good_mask_value=False
    )
    np.testing.assert_array_equal(mask, [[False, False], [True, True]])


def test_description_names_every_bit():
    assert describe_quality(0) == []
    assert describe_quality(sum(RELEASED.values())) == list(RELEASED)
