"""Arguments of the user about files: by name, for all bands or by band."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import astropy.units as u
import numpy as np

from picasssso.bands.band_names import resolve_band
from picasssso.exceptions import InvalidTypeError

#: Arguments that name a plane of noise, and the kind that each is.
NOISE_ARGUMENTS = {"weight": "ivar", "uncertainty": "std", "variance": "var"}


@dataclass(frozen=True)
class Stated:
    """Arguments of the user about files: one value for all bands, or values by band."""

    survey: str | None = None
    values: Mapping[str, Any] = field(default_factory=dict)

    def of(self, name: str, band: str) -> Any:
        """Return the value for a band."""
        value = self.values.get(name)
        if isinstance(value, Mapping):
            by_band = {resolve_band(key, self.survey): item for key, item in value.items()}
            return by_band.get(band)
        return value

    def noise(self, band: str) -> dict[str, Any]:
        """Return the noise planes given for a band, by argument."""
        found = {name: self.of(name, band) for name in NOISE_ARGUMENTS}
        return {name: value for name, value in found.items() if value is not None}

    def bits(self, band: str) -> int | None:
        """Return the mask bits of a band that mark bad pixels; None: those defined by the file."""
        value = self.of("mask_bits", band)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | np.integer):
            raise InvalidTypeError(
                f"Band {band!r}: found mask_bits={value!r}, expected a whole number, the sum of "
                "the bits that mean bad, such as mask_bits=4 or mask_bits=0b101."
            )
        # One number beside masks of some bands is of those masks.
        other = isinstance(self.values.get("mask"), Mapping) and self.of("mask", band) is None
        if other and not isinstance(self.values["mask_bits"], Mapping):
            return None
        return int(value)

    def zero_point(self, band: str) -> u.Quantity | None:
        """Return the AB magnitude of one count of a band."""
        value = self.of("zero_point", band)
        if value is not None and not isinstance(value, u.Quantity | u.Magnitude):
            raise InvalidTypeError(
                f"Band {band!r}: found zero_point={value!r} without a unit, whose magnitude "
                "system is not stated; expected the AB magnitude of one count such as 30 * "
                "u.ABmag (from astropy import units as u)."
            )
        return value


def path_of(value: Any, what: str) -> str:
    """Return the path of a file, with the home folder expanded."""
    if not isinstance(value, str | os.PathLike):
        raise InvalidTypeError(
            f"{what}: found {value!r}, expected the name of a file, such as 'file.fits' "
            "or 'file.fits[HDU]'."
        )
    return os.path.expanduser(os.fspath(value))
