"""The record of the dust of our own Galaxy in front of the target."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from picasssso.exceptions import InvalidInputError, InvalidTypeError

#: SFD98: Schlegel, Finkbeiner & Davis (1998) as published; SF11: Schlafly & Finkbeiner
#: (2011), who found those color excesses 14 % too large.
SCALES = ("SFD98", "SF11")

#: Arguments, what they are called, their least and largest values, and why.
_RANGES = (
    ("ebv", "E(B-V)", 0.0, 10.0,
     " of mag: no galaxy is seen through more dust. Check that it is E(B-V), not A(V) or a "
     "percentage."),
    ("r_v", "R_V", 1.0, 10.0, ": A(V) / E(B-V), 3.1 in most directions."),
)  # fmt: skip


@dataclass(frozen=True)
class GalacticExtinction:
    """Foreground extinction, and whether the fluxes are already corrected for it.

    Parameters
    ----------
    ebv : float
        Color excess E(B-V), mag.
    scale : {"SFD98", "SF11"}
        Scale of ``ebv``: Schlegel et al. (1998, ApJ 500, 525) as published, or recalibrated
        by Schlafly & Finkbeiner (2011, ApJ 737, 103), who multiply it by 0.86.
    law : str, optional
        Extinction law, such as ``"F99"`` (Fitzpatrick 1999, PASP 111, 63).
    r_v : float, optional
        Total to selective extinction A(V) / E(B-V).
    applied : bool
        Whether the fluxes are already corrected.

    Raises
    ------
    InvalidInputError
        If a number is out of range or the scale unknown.
    InvalidTypeError
        If ``applied`` is not a bool.

    Examples
    --------
    >>> from picasssso.bands import GalacticExtinction
    >>> dust = GalacticExtinction(0.03, scale="SFD98", applied=False)
    >>> dust.law, dust.r_v
    ('F99', 3.1)
    """

    ebv: float
    scale: str
    law: str = "F99"
    r_v: float = 3.1
    applied: bool | None = None

    def __post_init__(self) -> None:
        for name, words, low, high, why in _RANGES:
            value = getattr(self, name)
            try:
                number = float(value)
            except (TypeError, ValueError):
                number = np.nan
            if not low <= number <= high:
                raise InvalidInputError(
                    f"Galactic extinction: found {words} = {value!r}, expected a plain number "
                    f"from {low:g} to {high:g}{why}"
                )
            object.__setattr__(self, name, number)
        if self.scale not in SCALES:
            raise InvalidInputError(
                f"Galactic extinction: found scale={self.scale!r}, expected one of {SCALES}: the "
                "two differ by 14 %."
            )
        if not isinstance(self.law, str) or not self.law:
            raise InvalidInputError(
                f"Galactic extinction: found law={self.law!r}, expected a name such as 'F99'."
            )
        if not isinstance(self.applied, bool | np.bool_):
            raise InvalidTypeError(
                f"Galactic extinction: found applied={self.applied!r}, expected True if the "
                "fluxes are corrected for it already, False if not."
            )
        object.__setattr__(self, "applied", bool(self.applied))
