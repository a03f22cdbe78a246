"""Whether two estimates of one galaxy agree, as far as their errors allow."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import astropy.units as u
import numpy as np

from picasssso.evaluation.evaluation import check_comparable
from picasssso.exceptions import InvalidInputError, PicassssoWarning
from picasssso.maps.totals import known_correlation

if TYPE_CHECKING:
    from picasssso.maps import PropertyMaps, Total


@dataclass(frozen=True)
class Agreement:
    """How two estimates of one property compare.

    ``first, second``: totals, or averages, over the pixels that both have; ``pixels_beyond``:
    part of the pixels whose difference is larger than ``threshold`` times both errors in
    quadrature, each on the side that faces the other.
    """

    name: str
    label: str
    first: Total
    second: Total
    deviation: float
    pixels_beyond: float
    threshold: float

    @property
    def disagrees(self) -> bool:
        """Whether the totals differ by more than both errors allow (bool)."""
        return abs(self.deviation) > self.threshold

    @property
    def dex(self) -> float:
        """Log10 of the ratio of first to second; NaN if one is not positive (float)."""
        first, second = float(self.first.value.value), float(self.second.value.value)
        return float(np.log10(first / second)) if first > 0 and second > 0 else float("nan")

    @property
    def offset(self) -> str:
        """First less second, in dex, or in mag where that is the unit (str)."""
        if self.first.value.unit == u.mag:
            return f"{(self.first.value - self.second.value).value:+.2f} mag"
        return f"{self.dex:+.2f} dex"


def compare_estimates(
    first: PropertyMaps, second: PropertyMaps, *, threshold: float = 3.0
) -> list[Agreement]:
    """Compare two estimates of one galaxy, neither of which is the truth.

    Parameters
    ----------
    first, second : PropertyMaps
        Maps by two estimators, on the same pixels.
    threshold : float, optional
        Standard deviations, of both errors together, beyond which they disagree.

    Returns
    -------
    list of Agreement
        For each property that both have, where they share pixels: over the target where the
        maps know of one. Errors of totals are those of joint samples where there are any, else
        those that the estimators know to be shared are included, and where they know of none
        all pixels err alike. Errors of the two are taken to be independent, though noise and
        distance are the same for both: true disagreement is, if anything, larger.

    Raises
    ------
    InvalidInputError
        If the maps are not on the same pixels, or the threshold is not positive.

    Examples
    --------
    >>> from picasssso import MassToLightEstimator
    >>> from picasssso.data import load_example_images
    >>> from picasssso.evaluation import compare_estimates
    >>> maps = MassToLightEstimator().estimate(load_example_images())
    >>> [(one.name, one.deviation) for one in compare_estimates(maps, maps)]
    [('stellar_mass', 0.0)]
    """
    if not threshold > 0:
        raise InvalidInputError(f"threshold={threshold!r}: expected a number above 0.")
    check_comparable(first, second, any_resolution=True)
    found = []
    for name in first:
        if name not in second:
            continue
        region = ~first.masks[name] & ~second.masks[name]
        for maps in (first, second):
            if maps.target is not None:
                region &= maps.target
        if not region.any():
            continue
        try:
            totals = [_total(maps, name, region) for maps in (first, second)]
        except InvalidInputError:
            continue  # no distance, or no weight
        one, other = totals
        difference = float((one.value - other.value).to_value(one.value.unit))
        error = float(np.hypot(one.uncertainty, other.uncertainty).to_value(one.value.unit))
        if not np.isfinite(difference):
            continue
        deviation = difference / error if error > 0 else (0.0 if difference == 0 else np.inf)
        beyond = _pixels_beyond(first, second, name, region, threshold)
        label = first.definition(name).label
        found.append(Agreement(name, label, one, other, deviation, beyond, threshold))
    return found


def _total(maps: PropertyMaps, name: str, region: np.ndarray) -> Total:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PicassssoWarning)  # an empty average is NaN
        return maps.total(name, region, known_correlation(maps, name))


def _pixels_beyond(
    first: PropertyMaps, second: PropertyMaps, name: str, region: np.ndarray, threshold: float
) -> float:
    """Return the part of pixels that differ by more than both errors allow."""
    low, middle, high = (
        [maps.percentile(name, q).value[region].astype(float) for maps in (first, second)]
        for q in (16, 50, 84)
    )
    difference = middle[0] - middle[1]
    above = difference > 0
    facing = np.hypot(
        np.where(above, middle[0] - low[0], high[0] - middle[0]),
        np.where(above, high[1] - middle[1], middle[1] - low[1]),
    )
    return float(np.mean(np.abs(difference) > threshold * facing))


def disagreements(
    estimates: Mapping[str, PropertyMaps], *, threshold: float = 3.0
) -> Sequence[str]:
    """Return what estimates of one galaxy disagree about, as sentences.

    ``estimates``: maps by the names of the estimators, on the same pixels.
    """
    lines = []
    for (one, first), (other, second) in itertools.combinations(estimates.items(), 2):
        for found in compare_estimates(first, second, threshold=threshold):
            if found.disagrees:
                offset = "" if np.isnan(found.dex) else f" ({found.offset})"
                lines.append(
                    f"{one} and {other} differ in {found.label} by more than both errors allow: "
                    f"{found.first} against {found.second}{offset}, "
                    f"{abs(found.deviation):.1f} sigma; at least one is wrong."
                )
    return lines
