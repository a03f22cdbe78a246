"""Tables of light that several tests share: building them is the slow part."""

import pytest

from picasssso.mocks.light import LightTable

UGRIZ = tuple(f"sdss2010-{band}" for band in "ugriz")


@pytest.fixture(scope="session")
def near_table():
    return LightTable.build(UGRIZ, (0.05, 0.0525))
