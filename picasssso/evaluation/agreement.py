"""Comparison of two estimates of one galaxy, relative to their errors."""

from __future__ import annotations

import itertools
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, overload

import astropy.units as u
import numpy as np
import numpy.typing as npt

from picasssso._core.arguments import check_choice
from picasssso.evaluation.apertures import common_ellipse
from picasssso.evaluation.evaluation import check_comparable
from picasssso.evaluation.matching import match_maps
from picasssso.exceptions import InvalidInputError, PicassssoWarning
from picasssso.maps.totals import known_correlation
from picasssso.quality import QualityFlag

if TYPE_CHECKING:
    from astropy.table import QTable

    from picasssso.maps import PropertyMaps
    from picasssso.maps.totals import Total

FloatArray = npt.NDArray[np.floating]

#: Pixels that statistics may be taken over: those in which both detect light, or all.
PIXELS = ("detected", "all")
_DARK = int(QualityFlag.NO_DATA | QualityFlag.NOT_DETECTED | QualityFlag.UPPER_LIMIT)


@dataclass(frozen=True)
class Agreement:
    """Comparison of two estimates of one property.

    ``first, second``: totals, or averages, over the common pixels; ``pixels_beyond``: fraction of
    pixels whose difference exceeds ``threshold`` times the combined error (of asymmetric errors,
    the sides facing each other). ``bias`` and ``scatter``: median and NMAD of log10(first /
    second), or of the difference in mag, over the ``n_pixels`` pixels where the mean of both is
    significant; ``coverage_68, coverage_95``: fraction of these pixels with a difference of less
    than 1 and 1.96 combined standard deviations.
    """

    name: str
    label: str
    first: Total
    second: Total
    deviation: float
    pixels_beyond: float
    threshold: float
    n_pixels: int
    bias: float
    scatter: float
    coverage_68: float
    coverage_95: float
    pixels: str = "detected"

    @property
    def disagrees(self) -> bool:
        """Whether the totals differ significantly, given both errors (bool)."""
        return abs(self.deviation) > self.threshold

    @property
    def dex(self) -> float:
        """Log10 of first / second; NaN if one is not positive (float)."""
        first, second = float(self.first.value.value), float(self.second.value.value)
        return float(np.log10(first / second)) if first > 0 and second > 0 else float("nan")

    @property
    def unit(self) -> str:
        """Unit of offset, bias and scatter: dex, or mag for maps in mag (str)."""
        return "mag" if self.first.value.unit == u.mag else "dex"

    @property
    def offset(self) -> str:
        """First minus second, in dex, or in mag for maps in mag (str)."""
        if self.unit == "mag":
            return f"{(self.first.value - self.second.value).value:+.2f} mag"
        return f"{self.dex:+.2f} dex"


class Comparison(Sequence[Agreement]):
    """Comparison of two estimates of one galaxy: a sequence of `Agreement`, one for each property.

    ``first`` and ``second`` are maps on the same pixels, ``threshold`` is the number of standard
    deviations above which totals disagree, and ``notes`` lists how the maps were matched.
    """

    def __init__(
        self,
        first: PropertyMaps,
        second: PropertyMaps,
        threshold: float = 3.0,
        notes: Sequence[str] = (),
        pixels: str = "detected",
    ) -> None:
        self.first, self.second, self.pixels = first, second, pixels
        self.threshold, self.notes = threshold, tuple(notes)

    @cached_property
    def _found(self) -> list[Agreement]:
        found = (self._agreement(name) for name in self.first if name in self.second)
        return [one for one in found if one is not None]

    @overload
    def __getitem__(self, key: int) -> Agreement: ...

    @overload
    def __getitem__(self, key: slice) -> list[Agreement]: ...

    def __getitem__(self, key: int | slice) -> Agreement | list[Agreement]:
        return self._found[key]

    def __len__(self) -> int:
        return len(self._found)

    def residual(self, name: str) -> u.Quantity:
        """Return log10(first / second), or the difference in mag; NaN where one is missing."""
        one, other = (maps.percentile(name, 50).value.astype(float) for maps in self._pair)
        if self.first.definition(name).unit == u.mag:
            return (one - other) * u.mag
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where((one > 0) & (other > 0), one / other, np.nan)
        return np.log10(ratio) * u.dex

    def profile(self, name: str) -> QTable:
        """Return ``radius``, ``first``, ``second``, errors and ``difference`` (dex or mag)."""
        from astropy.table import QTable

        shape = common_ellipse(self.first)
        tables = [maps.profile(name, correlation="independent", **shape) for maps in self._pair]
        values = [np.asarray(table[name].value, dtype=float) for table in tables]
        unit = tables[0][name].unit
        if unit == u.mag:
            difference = (values[0] - values[1]) * u.mag
        else:
            with np.errstate(divide="ignore", invalid="ignore"):
                difference = np.log10(values[0] / values[1]) * u.dex
        result = QTable({"radius": tables[0]["radius"]})
        for key, table, value in zip(("first", "second"), tables, values, strict=True):
            result[key] = value * (unit or u.one)
            result[f"{key}_error"] = table[f"{name}_error"]
        result["difference"] = difference
        return result

    def write(self, path: str | os.PathLike[str], overwrite: bool = False) -> None:
        """Write FITS: a residual map ``NAME`` and a table ``NAME_PROFILE`` by property."""
        from astropy.io import fits

        from picasssso._core.safe_files import atomic_write

        header = None if self.first.wcs is None else self.first.wcs.to_header()
        hdus = fits.HDUList([fits.PrimaryHDU()])
        for note in self.notes:
            hdus[0].header.add_history(note)
        for one in self:
            residual = self.residual(one.name)
            image = fits.ImageHDU(residual.value, header, name=one.name)
            image.header["BUNIT"] = one.unit
            image.header["BIAS"], image.header["SCATTER"] = one.bias, one.scatter
            hdus.append(image)
            try:
                profile = self.profile(one.name)
            except InvalidInputError:
                continue
            # FITS knows no dex.
            profile["difference"] = profile["difference"].value
            table = fits.table_to_hdu(profile)
            table.header["COMMENT"] = f"difference is in {one.unit}"
            table.name = f"{one.name}_PROFILE"
            hdus.append(table)
        with atomic_write(path, overwrite) as temporary, temporary.open("wb") as file:
            hdus.writeto(file)

    @property
    def _pair(self) -> tuple[PropertyMaps, PropertyMaps]:
        return self.first, self.second

    def _agreement(self, name: str) -> Agreement | None:
        region = ~self.first.masks[name] & ~self.second.masks[name]
        for maps in self._pair:
            if maps.target is not None:
                region &= maps.target
        if not region.any():
            return None
        try:
            one, other = (total_of(maps, name, region) for maps in self._pair)
        except InvalidInputError:
            return None  # no distance, or no weight
        difference = float((one.value - other.value).to_value(one.value.unit))
        error = float(np.hypot(one.uncertainty, other.uncertainty).to_value(one.value.unit))
        if not np.isfinite(difference):
            return None
        deviation = difference / error if error > 0 else (0.0 if difference == 0 else np.inf)
        deviations = self._deviations(name)
        seen = region & self._significant(name)
        if self.pixels == "detected":
            seen &= self._detected(name)
        residual = self.residual(name).value[seen]
        known = np.isfinite(residual)
        residual, within = residual[known], np.abs(deviations[seen][known])
        bias = float(np.median(residual)) if len(residual) else float("nan")
        scatter = 1.4826 * float(np.median(np.abs(residual - bias))) if len(residual) else bias
        covered = [
            float(np.mean(within <= n)) if len(within) else float("nan") for n in (1.0, 1.96)
        ]
        return Agreement(
            name, self.first.definition(name).label, one, other, deviation,
            float(np.mean(np.abs(deviations[seen]) > self.threshold)) if seen.any() else 0.0,
            self.threshold,
            len(residual), bias, scatter, covered[0], covered[1], self.pixels,
        )  # fmt: skip

    def _deviations(self, name: str) -> FloatArray:
        """Return differences in units of the combined error (of the sides facing each other)."""
        low, middle, high = (
            [maps.percentile(name, q).value.astype(float) for maps in self._pair]
            for q in (16, 50, 84)
        )
        difference = middle[0] - middle[1]
        above = difference > 0
        facing = np.hypot(
            np.where(above, middle[0] - low[0], high[0] - middle[0]),
            np.where(above, high[1] - middle[1], middle[1] - low[1]),
        )
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(difference == 0, 0.0, difference / facing)

    def _traced(self, name: str) -> str:
        """Return the surface density that a property is one of."""
        definition = self.first.definition(name)
        return name if definition.is_surface_density else definition.weight or "stellar_mass"

    def _detected(self, name: str) -> npt.NDArray[np.bool_]:
        """Return where neither map says that there is no light; of the traced property's flags."""
        traced = self._traced(name)
        none = np.zeros(self.first.shape, bool)
        for maps in self._pair:
            own = maps._planes(traced).quality if traced in maps else None
            none |= ((maps.quality if own is None else own) & _DARK) != 0
        return ~none

    def _significant(self, name: str) -> npt.NDArray[np.bool_]:
        """Return where the mean of both is significant: neither alone selects pixels."""
        traced = self._traced(name)
        if not all(traced in maps for maps in self._pair):
            return np.ones(self.first.shape, bool)
        value, error = (
            np.sum([maps[traced].data for maps in self._pair], axis=0, dtype=float),
            np.hypot(*(maps[traced].uncertainty.array.astype(float) for maps in self._pair)),
        )
        return value > error


def compare_estimates(
    first: PropertyMaps,
    second: PropertyMaps,
    *,
    threshold: float = 3.0,
    match: bool = True,
    pixels: str = "detected",
) -> Comparison:
    """Compare two sets of maps of one galaxy from any source, neither of which is the truth.

    Parameters
    ----------
    first, second : PropertyMaps
        Maps of the same galaxy.
    threshold : float, optional
        Number of combined standard deviations above which totals disagree.
    match : bool, optional
        Whether to bring the maps to the coarser pixels, the coarser resolution (according to
        ``meta``) and the units of the first. If False, they must be on the same pixels, and are
        compared without conversion.

    pixels : {"detected", "all"}, optional
        Where bias, scatter, coverage and ``pixels_beyond`` are measured: in pixels of which
        neither map's quality flags say that nothing is detected, or also in the others, such as
        empty sky. Totals are over all common pixels in either case.

    Returns
    -------
    Comparison
        A sequence of ``Agreement``, one for each common property, over the common pixels of the
        target (or of the image, if the maps have no target). It also provides residual maps and
        profiles, and ``notes`` on how the maps were matched. Errors of totals are those of joint
        samples if available; otherwise they include the shared error of the estimator, or, if it
        declares none, pixels are assumed to be fully correlated. The errors of the two estimates
        are assumed to be independent. Since both have noise and distance in common, disagreement
        is underestimated rather than overestimated.

    Raises
    ------
    InvalidInputError
        If the maps cannot be matched, define a property differently, or the threshold is not
        positive.

    Examples
    --------
    >>> from picasssso import MassToLightEstimator
    >>> from picasssso.data import load_example
    >>> from picasssso.evaluation import compare_estimates
    >>> maps = MassToLightEstimator().estimate(load_example()[0])
    >>> [(one.name, one.deviation, one.bias) for one in compare_estimates(maps, maps)]
    [('stellar_mass', 0.0, 0.0)]
    """
    if not threshold > 0:
        raise InvalidInputError(f"threshold={threshold!r}: expected a number above 0.")
    check_choice("pixels", pixels, PIXELS)
    notes: list[str] = []
    if match:
        first, second, notes = match_maps(first, second)
    check_comparable(first, second, any_resolution=True)
    comparison = Comparison(first, second, threshold, notes, pixels)
    if not comparison:
        distance = None in (first.luminosity_distance, second.luminosity_distance)
        why = "no distance, so no masses or rates" if distance else "no pixel that both have"
        comparison.notes += (f"nothing to compare: {why}",)
    return comparison


def total_of(maps: PropertyMaps, name: str, region: Any = None) -> Total:
    """Return a total with its complete error; NaN if there is no pixel."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PicassssoWarning)  # an empty average is NaN
        return maps.total(name, region, known_correlation(maps, name))


def disagreements(
    estimates: Mapping[str, PropertyMaps], *, threshold: float = 3.0
) -> Sequence[str]:
    """Return sentences on significant differences between estimates (maps by name)."""
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
