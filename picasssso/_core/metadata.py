"""Records that travel with images and maps: what may stand in ``meta``, and its form as JSON.

Files must give back exactly what was put in, so only values with an exact written form
are let in: text, numbers, truth values, None, quantities, lists and mappings of those.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import astropy.units as u
import numpy as np

from picasssso.exceptions import InvalidInputError, InvalidTypeError

#: Key that marks a mapping which stands for a value that JSON lacks.
TAG = "__type__"


def check_record(value: Any, where: str) -> Any:
    """Return a deep copy of a record in plain Python types."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, u.Quantity):
        # subok: magnitudes are a class of their own.
        return u.Quantity(np.array(value.value, dtype=float), value.unit, subok=True)
    if isinstance(value, np.ndarray | np.generic):
        return check_record(value.tolist(), where)
    # int() and float() turn subclasses, such as enumerations, into what JSON gives back.
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, list | tuple):
        return [check_record(entry, f"{where}[{k}]") for k, entry in enumerate(value)]
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str) or key == TAG:
                raise InvalidInputError(f"{where} has the key {key!r}: expected text.")
        return {str(key): check_record(entry, f"{where}[{key!r}]") for key, entry in value.items()}
    raise InvalidTypeError(
        f"{where} is of type {type(value).__name__}, which files cannot hold: expected text, "
        "numbers, quantities, None, or lists and mappings of those; use str() or a list."
    )


def _tagged(value: Any) -> Any:
    if isinstance(value, u.Quantity):
        return {TAG: "quantity", "value": _tagged(value.value.tolist()), "unit": str(value.unit)}
    if isinstance(value, float) and not math.isfinite(value):
        return {TAG: "float", "value": repr(value)}
    if isinstance(value, list):
        return [_tagged(entry) for entry in value]
    if isinstance(value, dict):
        return {key: _tagged(entry) for key, entry in value.items()}
    return value


def _untagged(mapping: dict[str, Any]) -> Any:
    kind = mapping.get(TAG)
    if kind == "quantity":
        return u.Quantity(mapping["value"], mapping["unit"], subok=True)
    if kind == "float":
        return float(mapping["value"])
    return mapping


def to_json(value: Any) -> str:
    """Write a record as JSON, in ASCII as FITS wants it."""
    return json.dumps(_tagged(value), allow_nan=False)


def from_json(text: str) -> Any:
    """Read what `to_json` wrote."""
    return json.loads(text, object_hook=_untagged)
