"""Numbers that many arguments share."""

import numpy as np
import pytest

from picasssso._core.arguments import check_integer, check_memory, check_workers
from picasssso._core.safe_files import check_format, parse_json
from picasssso.exceptions import FileFormatError, InvalidInputError


@pytest.mark.parametrize("value", [3, np.int64(3), np.uint8(3)])
def test_whole_numbers_of_any_kind_are_plain_ones_afterwards(value):
    assert type(check_integer("n", value, 3)) is int


@pytest.mark.parametrize("value", [2, 3.0, True, "3", None, np.nan])
def test_anything_else_is_refused(value):
    with pytest.raises(InvalidInputError, match=r"n=.*: expected an integer of at least 3"):
        check_integer("n", value, 3)


@pytest.mark.parametrize(
    ("value", "shown"),
    [(11, "11"), (10**12, "1000000000000"), (10**5000, "1e[+]300")],
    ids=["11", "a trillion", "5000 digits"],
)
def test_absurd_numbers_are_refused(value, shown):
    with pytest.raises(InvalidInputError, match=f"n={shown}: expected an integer from 1 to 10"):
        check_integer("n", value, 1, 10)
    with pytest.raises(InvalidInputError, match=r"this machine has|from 0 to"):
        check_workers(max(value, 10**6))
    with pytest.raises(InvalidInputError, match=r"would take .* GB, more than the .* GB of this"):
        check_memory("n", value, value * 10**12, "a library", "Leave it out.")


@pytest.mark.parametrize(
    ("found", "message"), [(True, "no format number"), ("1", "no format number"), (3, "install")]
)
def test_formats_that_are_none_or_newer(found, message):
    check_format("a file", "card", 2, 2, "0.1")
    with pytest.raises(FileFormatError, match=message):
        check_format("a file", "card", found, 2, "0.1")


@pytest.mark.parametrize(
    ("text", "message"), [("{", "not valid JSON"), ("[1]", "not a JSON object")]
)
def test_json_that_is_no_object(text, message):
    assert parse_json('{"a": 1}', "recipe") == {"a": 1}
    with pytest.raises(InvalidInputError, match=message):
        parse_json(text, "recipe")
