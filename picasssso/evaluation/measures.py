"""Measurements of each galaxy that are stored: sums, profiles, a sample of pixels, structure.

These suffice for the figures and tables of an evaluation, are small enough to be stored for
thousands of galaxies, and can be combined from many batches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from picasssso.evaluation.apertures import FIT_RADIUS, Apertures
from picasssso.evaluation.calibration import rank_intervals
from picasssso.evaluation.stacks import MapStack, as_array
from picasssso.evaluation.structure import power_spectra, structural_similarity
from picasssso.evaluation.sums import RADIAL_EDGES, aperture_values, radial_profiles
from picasssso.exceptions import InvalidInputError

FloatArray = npt.NDArray[np.floating]

#: Arrays by name: what `measure` returns.
Record = dict[str, npt.NDArray[Any]]

#: Structure is measured of these properties.
_STRUCTURE = ("stellar_mass", "sfr", "gas_mass", "stellar_age")


@dataclass(frozen=True)
class Settings:
    """Settings of the measurements of an evaluation.

    ``pixels_per_galaxy``: maximum number of stored pixels of a galaxy, drawn at random (the same
    for all estimators, unless they are masked).
    """

    aperture_radius: float = FIT_RADIUS
    radial_edges: tuple[float, ...] = RADIAL_EDGES
    pixel_radius: float = 3.0
    pixels_per_galaxy: int = 400
    seed: int = 0
    oracle: bool = True
    structure: bool = True


def measure(
    truth: MapStack,
    estimate: MapStack,
    apertures: Apertures,
    settings: Settings | None = None,
    *,
    galaxy: Any = None,
    signal_to_noise: Any = None,
    pixel_area: Any = 1.0,
    sum_percentiles: Mapping[str, Any] | None = None,
) -> Record:
    """Return the measurements of n galaxies: arrays by name.

    The common properties are compared, and derived quantities (`DERIVED`) are computed. ``galaxy``
    (n,) is a number common to all views of one galaxy (default: 0, 1, ...), ``signal_to_noise``
    (n, y, x) the image's, ``pixel_area`` in kpc2, a number or (n,), and ``sum_percentiles``, by
    property (n, 5), percentiles of the aperture's sum in the unit of the map times kpc2. The part
    of a name before the first dot says what the first axis is: ``galaxy``, ``aperture``,
    ``radial``, ``structure`` (galaxies), ``pixel`` (pixels).
    """
    settings = settings or Settings()
    n = len(truth)
    if len(estimate) != n or estimate.shape != truth.shape or len(apertures) != n:
        raise InvalidInputError(
            f"The truth holds {n} maps of shape {truth.shape}, the estimate {len(estimate)} of "
            f"{estimate.shape}, and there are {len(apertures)} apertures: expected the same."
        )
    truth, estimate = truth.with_derived(), estimate.with_derived()
    names = [name for name in estimate.values if name in truth.values]
    if not names:
        raise InvalidInputError(
            f"Nothing can be compared: the truth has {', '.join(truth.values)}, the estimate "
            f"{', '.join(estimate.values)}."
        )
    valid = {name: np.isfinite(estimate.values[name]) for name in names}
    weights = apertures.weights(settings.aperture_radius)
    numbers = np.arange(n) if galaxy is None else as_array(galaxy)
    record: Record = {
        "galaxy": numbers,
        "aperture.fitted": apertures.fitted,
        "aperture.on_image": apertures.fraction_on_image(settings.aperture_radius),
    }
    totals = {
        "true": aperture_values(truth, weights, pixel_area=pixel_area, valid=valid),
        "estimate": aperture_values(estimate, weights, pixel_area=pixel_area),
    }
    if settings.oracle:
        totals["oracle"] = aperture_values(
            estimate.with_oracle_mask(truth), weights, pixel_area=pixel_area
        )
    for kind, values in totals.items():
        # Truths that are not estimated still say which galaxies these are.
        kept = values if kind == "true" else {name: values[name] for name in names}
        record |= {f"aperture.{kind}.{name}": array for name, array in kept.items()}
    for name, planes in (sum_percentiles or {}).items():
        if name in names:
            record[f"aperture.percentiles.{name}"] = as_array(planes)
    edges = settings.radial_edges
    for kind, stack in (("true", truth), ("estimate", estimate)):
        profiles = radial_profiles(stack, apertures, edges, valid=valid)
        record |= {f"radial.{kind}.{name}": profiles[name] for name in names}
    if settings.structure:
        record |= _structure(truth, estimate, apertures, names)
    snr = None if signal_to_noise is None else as_array(signal_to_noise)
    if snr is not None:
        seen = weights * np.isfinite(snr)
        area = np.maximum(seen.sum(axis=(1, 2)), np.finfo(np.float32).tiny)
        record["aperture.snr"] = (seen * np.nan_to_num(snr)).sum(axis=(1, 2)) / area
    return record | _pixels(truth, estimate, apertures, names, settings, numbers, snr)


def join_records(records: Sequence[Record]) -> Record:
    """Return the measurements of several batches as one record."""
    if not records:
        raise InvalidInputError("There are no measurements to join: no galaxy was measured.")
    first = records[0]
    for other in records[1:]:
        different = set(first) ^ set(other)
        if different:
            raise InvalidInputError(
                f"Batches contain different measurements, such as {min(different)!r}: they were "
                "measured "
                "with other settings or another estimator."
            )
    return {name: np.concatenate([record[name] for record in records]) for name in first}


def _structure(
    truth: MapStack, estimate: MapStack, apertures: Apertures, names: Sequence[str]
) -> Record:
    record: Record = {}
    for name in names:
        if name not in _STRUCTURE:
            continue
        mine, true = estimate.values[name], truth.values[name]
        record[f"structure.similarity.{name}"] = structural_similarity(mine, true, apertures)
        spectra = power_spectra(mine, true, apertures)
        record[f"structure.power.{name}"] = spectra.ratio
        record[f"structure.coherence.{name}"] = spectra.coherence
    return record


def _pixels(
    truth: MapStack,
    estimate: MapStack,
    apertures: Apertures,
    names: Sequence[str],
    settings: Settings,
    numbers: npt.NDArray[Any],
    snr: FloatArray | None,
) -> Record:
    radius = apertures.radius()
    usable = radius <= settings.pixel_radius
    # Pixels without any estimate, such as bad ones, say nothing.
    usable &= np.any([np.isfinite(estimate.values[name]) for name in names], axis=0)
    chosen = np.zeros_like(usable)
    for k in range(len(truth)):
        place = np.flatnonzero(usable[k])
        rng = np.random.default_rng([settings.seed, int(numbers[k])])
        # A score for each pixel of the frame, so that estimators keep the same ones.
        score = rng.random(usable[k].size)[place]
        keep = place[np.argsort(score)[: settings.pixels_per_galaxy]]
        chosen[k].flat[keep] = True
    owner = np.broadcast_to(numbers[:, None, None], usable.shape)
    record: Record = {
        "pixel.galaxy": owner[chosen],
        "pixel.radius": radius[chosen].astype(np.float32),
    }
    if snr is not None:
        record["pixel.snr"] = snr[chosen].astype(np.float32)
    for name, array in truth.values.items():
        record[f"pixel.true.{name}"] = array[chosen].astype(np.float32)
    for name in names:
        record[f"pixel.estimate.{name}"] = estimate.values[name][chosen].astype(np.float32)
        planes = estimate.percentiles.get(name)
        if planes is None:
            continue
        median = planes[:, 2][chosen].astype(np.float32)
        record[f"pixel.median.{name}"] = median
        ranks = np.moveaxis(rank_intervals(truth.values[name], planes), 1, 0)
        record[f"pixel.below.{name}"] = ranks[0][chosen]
        record[f"pixel.up_to.{name}"] = ranks[1][chosen]
        record[f"pixel.low.{name}"] = planes[:, 1][chosen].astype(np.float32)
        record[f"pixel.high.{name}"] = planes[:, 3][chosen].astype(np.float32)
    return record
