"""Records: what may stand in meta, and that files give it back exactly."""

import astropy.units as u
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from picasssso._core.metadata import check_record, from_json, to_json
from picasssso.exceptions import InvalidInputError, InvalidTypeError

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
keys = st.text().filter(lambda key: key != "__type__")
records = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.dictionaries(keys, inner), max_leaves=12
)


@given(records)
def test_round_trip(record):
    text = to_json(check_record(record, "meta"))
    assert text.isascii()
    again = from_json(text)
    assert again == record
    assert repr(again) == repr(record), "types or signs of zero differ"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ((1, 2), [1, 2]),
        (np.float32(0.5), 0.5),
        (np.arange(3), [0, 1, 2]),
        (np.bool_(True), True),
        (np.str_("g"), "g"),
        ({"a": (np.int64(1),)}, {"a": [1]}),
    ],
)
def test_values_become_plain(value, expected):
    found = check_record(value, "meta")
    assert found == expected
    assert type(found) is type(expected)


def test_nan_survives():
    assert np.isnan(from_json(to_json(check_record(float("nan"), "meta"))))
    assert "NaN" not in to_json(float("nan")), "that is not JSON"


@pytest.mark.parametrize(
    "quantity",
    [3.086e22 * u.m, [1, np.inf] * u.Mpc, -21.1 * u.ABmag, 5 * u.percent, 2 * u.one],
)
def test_quantities(quantity):
    again = from_json(to_json(check_record({"q": quantity}, "meta")))["q"]
    assert again.unit == quantity.unit
    np.testing.assert_array_equal(again.value, quantity.value)


def test_what_cannot_be_held_is_named():
    with pytest.raises(InvalidTypeError, match=r"meta\['a'\]\[1\] is of type set"):
        check_record({"a": [1, {2}]}, "meta")
    with pytest.raises(InvalidInputError, match="has the key 1: expected text"):
        check_record({1: 2}, "meta")


def test_a_copy_is_made():
    inner = [1]
    copy = check_record({"a": inner}, "meta")
    inner.append(2)
    assert copy == {"a": [1]}
