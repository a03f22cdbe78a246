"""Distributions of one parameter of a prior, each cut off at two ends.

All are frozen dataclasses that turn numbers uniform between 0 and 1 into values
(`Distribution.values`, the inverse of the cumulative distribution), so that a prior can
be sampled by a quasi-random sequence.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from picasssso.exceptions import InvalidInputError

__all__ = ["Exponential", "TruncatedLogNormal", "TruncatedNormal"]

FloatArray = npt.NDArray[np.floating]


@dataclass(frozen=True)
class Distribution(ABC):
    """Base class: a distribution between two ends; equal ends hold the parameter fixed."""

    #: Name in files.
    kind: ClassVar[str] = ""

    low: float
    high: float

    def __post_init__(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            try:
                number = float(value)
            except (TypeError, ValueError):
                number = np.nan
            if not np.isfinite(number):
                raise InvalidInputError(
                    f"{one.name}={value!r} in {type(self).__name__}: expected finite numbers."
                )
            object.__setattr__(self, one.name, number)
        if self.low > self.high:
            raise InvalidInputError(f"{self!r} is empty: expected low <= high.")
        self._check()

    def _check(self) -> None:  # noqa: B027
        """Raise an error where the parameters make no sense."""

    def values(self, cube: FloatArray, upper: Any = None) -> FloatArray:
        """Return values of the distribution.

        Parameters
        ----------
        cube : ndarray
            Numbers between 0 and 1: the cumulative distribution at the values.
        upper : float or ndarray, optional
            Cuts the distribution off at this value, which is all that is left of it where
            it lies below ``low``; an array (one number for each in ``cube``) does so value
            by value.

        Returns
        -------
        ndarray
            Values, of the shape of ``cube``.
        """
        low: Any = self.low
        high: Any = self.high
        if upper is not None:
            low, high = np.minimum(low, upper), np.minimum(high, upper)
        return np.asarray(self._values(np.asarray(cube), low, high))

    @abstractmethod
    def _values(self, cube: FloatArray, low: Any, high: Any) -> Any:
        """Return values of the distribution cut off at two ends."""

    def to_dict(self) -> dict[str, Any]:
        """Return the distribution as plain numbers, for files.

        Returns
        -------
        dict
            Suitable for JSON; `distribution_from_dict` is the inverse.
        """
        return {"distribution": self.kind, **asdict(self)}


@dataclass(frozen=True)
class Uniform(Distribution):
    """Uniform distribution between two limits."""

    kind: ClassVar[str] = "uniform"

    def _values(self, cube: FloatArray, low: Any, high: Any) -> Any:
        return low + (np.asarray(high) - low) * cube


@dataclass(frozen=True)
class LogUniform(Distribution):
    """Uniform in the logarithm, between two positive limits."""

    kind: ClassVar[str] = "log_uniform"

    def _check(self) -> None:
        _check_positive(self)

    def _values(self, cube: FloatArray, low: Any, high: Any) -> Any:
        return low * (np.asarray(high) / low) ** cube


@dataclass(frozen=True)
class Exponential(Distribution):
    """Exponential distribution above the lower limit.

    Parameters
    ----------
    scale : float
        Scale of the exponential; the mean, if the lower limit is 0 and the upper one is large.
    low, high : float
        The limits.

    Examples
    --------
    >>> import numpy as np
    >>> from picasssso.sps.distributions import Exponential
    >>> float(Exponential(0.4, high=3.0).values(np.array(0.5)).round(3))
    0.277
    """

    kind: ClassVar[str] = "exponential"

    scale: float
    low: float
    high: float

    def __init__(self, scale: float, low: float = 0.0, *, high: float) -> None:
        object.__setattr__(self, "scale", scale)
        object.__setattr__(self, "low", low)
        object.__setattr__(self, "high", high)
        self.__post_init__()

    def _check(self) -> None:
        if self.scale <= 0:
            raise InvalidInputError(f"scale={self.scale!r} in Exponential must be positive.")

    def _values(self, cube: FloatArray, low: Any, high: Any) -> Any:
        # cube times the probability between the ends of the distribution without an end.
        inside = -np.expm1(-(np.asarray(high) - low) / self.scale)
        return np.minimum(low - self.scale * np.log1p(-cube * inside), high)


@dataclass(frozen=True)
class TruncatedNormal(Distribution):
    """Normal distribution, truncated at two limits.

    Parameters
    ----------
    mean, sigma : float
        Mean and standard deviation before truncation; the mean may lie outside the limits.
    low, high : float
        The limits.

    Examples
    --------
    >>> import numpy as np
    >>> from picasssso.sps.distributions import TruncatedNormal
    >>> float(TruncatedNormal(12.0, 2.0, low=10.0, high=14.0).values(np.array(0.5)))
    12.0
    """

    kind: ClassVar[str] = "truncated_normal"

    mean: float
    sigma: float
    low: float = field(kw_only=True)
    high: float = field(kw_only=True)

    def _check(self) -> None:
        _check_width(self.sigma, type(self).__name__)

    def _values(self, cube: FloatArray, low: Any, high: Any) -> Any:
        return _truncated_normal(cube, self.mean, self.sigma, low, high)


@dataclass(frozen=True)
class TruncatedLogNormal(Distribution):
    """Log-normal distribution, truncated at two limits.

    Parameters
    ----------
    median : float
        Median before truncation.
    sigma_dex : float
        Standard deviation of the decimal logarithm before truncation.
    low, high : float
        The limits, both positive.

    Examples
    --------
    >>> import numpy as np
    >>> from picasssso.sps.distributions import TruncatedLogNormal
    >>> metals = TruncatedLogNormal(0.02, 0.2, low=0.001, high=0.05)
    >>> float(metals.values(np.array(0.5)).round(4))
    0.0197
    """

    kind: ClassVar[str] = "truncated_log_normal"

    median: float
    sigma_dex: float
    low: float = field(kw_only=True)
    high: float = field(kw_only=True)

    def _check(self) -> None:
        _check_positive(self)
        _check_width(self.sigma_dex, type(self).__name__)
        if self.median <= 0:
            raise InvalidInputError(f"median={self.median!r} in {self!r} must be positive.")

    def _values(self, cube: FloatArray, low: Any, high: Any) -> Any:
        logarithms = _truncated_normal(
            cube, np.log10(self.median), self.sigma_dex, np.log10(low), np.log10(high)
        )
        # Rounding of the logarithm must not leave the range.
        return np.clip(10.0**logarithms, low, high)


#: Classes by their names in files.
_KINDS: Mapping[str, type[Distribution]] = {
    kind.kind: kind
    for kind in (Uniform, LogUniform, Exponential, TruncatedNormal, TruncatedLogNormal)
}


def distribution_from_dict(record: Mapping[str, Any]) -> Distribution:
    """Make a distribution from what `Distribution.to_dict` returned."""
    parameters = dict(record)
    name = parameters.pop("distribution", None)
    if name not in _KINDS:
        raise InvalidInputError(
            f"There is no distribution {name!r}: expected one of {', '.join(_KINDS)}."
        )
    kind = _KINDS[name]
    expected = {one.name for one in fields(kind)}
    if set(parameters) != expected:
        raise InvalidInputError(
            f"The distribution {name!r} was given {sorted(parameters)}: expected "
            f"{sorted(expected)}."
        )
    return kind(**parameters)


def _truncated_normal(cube: FloatArray, mean: float, sigma: float, low: Any, high: Any) -> Any:
    from scipy.special import ndtr, ndtri

    below, inside = ndtr((low - mean) / sigma), (low + np.asarray(high)) / 2 > mean
    above = ndtr((high - mean) / sigma)
    # Far above the mean the upper tail is told by its complement.
    left = mean + sigma * ndtri(below + (above - below) * cube)
    under, over = ndtr((mean - low) / sigma), ndtr((mean - np.asarray(high)) / sigma)
    right = mean - sigma * ndtri(under + (over - under) * cube)
    return np.clip(np.where(inside, right, left), low, high)


def _check_positive(distribution: Distribution) -> None:
    if distribution.low <= 0:
        raise InvalidInputError(f"{distribution!r} must be positive: it is one of logarithms.")


def _check_width(sigma: float, name: str) -> None:
    if sigma <= 0:
        raise InvalidInputError(f"The standard deviation {sigma!r} in {name} must be positive.")
