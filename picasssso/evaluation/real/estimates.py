"""Estimates for one real galaxy: totals with their intervals."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from picasssso._core.arguments import check_choice
from picasssso.evaluation.agreement import total_of
from picasssso.evaluation.experiments.batch_estimates import estimate_all, make_estimator
from picasssso.exceptions import PicassssoWarning
from picasssso.maps.arrays import PERCENTILES
from picasssso.maps.regions import aperture_weights

if TYPE_CHECKING:
    from picasssso.bands import BandImages
    from picasssso.maps import PropertyMaps

#: What an estimator gets: images, or one pixel of light.
IMAGES = ("maps", "total", "annuli")
#: Value, then the percentiles.
FIELDS = ("value", *(f"p{q:g}" for q in PERCENTILES))


class RealEstimator:
    """An estimator described by a configuration.

    ``specification``: ``name`` of an estimator and its ``parameters``; ``bands`` to use (the
    letters after the last dash; all by default); ``images``, ``"maps"`` (default), or for the
    light alone, as one pixel, ``"total"`` (fluxes of the catalog) or ``"annuli"`` (their sum;
    in fields both are the light in the aperture); ``samples``, joint samples for the errors of
    totals (none by default); ``redshift_step``, to which redshifts are rounded where they shift
    spectra, the distance being kept.
    """

    def __init__(self, specification: Mapping[str, Any]) -> None:
        self.images = str(specification.get("images", "maps"))
        check_choice("images", self.images, IMAGES)
        self.estimator = make_estimator(specification)
        self.letters: str | None = specification.get("bands")
        self.samples = int(specification.get("samples", 0))
        self.step = float(specification.get("redshift_step", 0.0))

    def estimate(self, images: Sequence[BandImages], seed: int = 0) -> list[PropertyMaps]:
        """Return the maps of several galaxies."""
        ready = [self._prepare(one) for one in images]
        with warnings.catch_warnings():
            # Flags are kept; the same words for each of hundreds of galaxies help nobody.
            warnings.simplefilter("ignore", PicassssoWarning)
            return estimate_all(self.estimator, ready, self.samples, seed)

    def _prepare(self, images: BandImages) -> BandImages:
        if self.letters is not None:
            images = images.select([band for band in images if band[-1] in self.letters])
        if self.step:
            distance = images.luminosity_distance
            rounded = max(round(images.redshift / self.step), 1) * self.step
            if distance is not None:
                # The same luminosity for the same flux, which goes with D_L^2 / (1 + z).
                distance = distance * np.sqrt((1 + rounded) / (1 + images.redshift))
            images = images.replace(redshift=rounded, luminosity_distance=distance)
        return images


def describe_region(maps: PropertyMaps, region: Any = None) -> dict[str, list[float | None]]:
    """Return totals and averages in a region with their percentiles.

    Returns by property: the value of `PropertyMaps.total`, then the percentiles 2.5, 16, 50, 84
    and 97.5: of the pixel's posterior if there is but one pixel; else of the total, from joint
    samples where there are, else with pixels taken as independent beside what they share, or as
    fully correlated where nothing is known of that.
    """
    found = {}
    for name in maps:
        definition = maps.definition(name)
        if not definition.is_surface_density and definition.weight is None and region is not None:
            if "stellar_mass" in maps:
                found[name] = _mass_weighted(maps, name, region)
            continue
        if not definition.is_surface_density and definition.weight not in (None, *maps):
            continue
        total = total_of(maps, name, region)
        value = float(total.value.value)
        if maps.shape == (1, 1):
            planes = np.array([maps.percentile(name, q).value[0, 0] for q in PERCENTILES], float)
            area = value / maps.mean(name).value[0, 0] if definition.is_surface_density else 1.0
            numbers = [value, *(area * planes)]
        else:
            assert total.percentiles is not None
            numbers = [value, *total.percentiles.value]
        found[name] = [float(x) if np.isfinite(x) else None for x in numbers]
    return found


def _mass_weighted(maps: PropertyMaps, name: str, region: Any) -> list[float | None]:
    """Average the stored planes of a property, weighted with stellar mass."""
    covered = aperture_weights(region, maps.shape)
    if covered is None:
        return [None] * len(FIELDS)
    mass = np.asarray(maps.mean("stellar_mass").value, dtype=float)[covered.window]
    planes = [np.asarray(maps.percentile(name, q).value, dtype=float)[covered.window]
              for q in PERCENTILES]  # fmt: skip
    good = np.isfinite(mass) & np.all(np.isfinite(planes), axis=0)
    weight = np.where(good, mass * covered.weights, 0.0)
    if not weight.sum() > 0:
        return [None] * len(FIELDS)
    averages = [
        float((weight * np.where(good, plane, 0.0)).sum() / weight.sum()) for plane in planes
    ]
    return [averages[PERCENTILES.index(50.0)], *averages]


def estimated(
    records: Sequence[Mapping[str, Any]], name: str, field: str, of: str = "properties"
) -> Any:
    """Return one field of a property for all records, NaN where there is none."""
    place = FIELDS.index(field)
    values = [record[of].get(name, [None] * len(FIELDS))[place] for record in records]
    return np.array([np.nan if value is None else value for value in values], dtype=float)
