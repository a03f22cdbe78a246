"""Words in messages."""

import pytest

from picasssso._core.words import with_article


@pytest.mark.parametrize(
    "words",
    ["an uncertainty", "an inverse variance", "a unit", "a mask", "an EllipticalAperture",
     "an ndarray", "an int", "an hour", "a float", "a user", "an underflow",
     "a one-dimensional array"],
)  # fmt: skip
def test_articles(words):
    assert with_article(words.partition(" ")[2]) == words
