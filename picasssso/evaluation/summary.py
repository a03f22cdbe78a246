"""From the measurements of each galaxy to the numbers of a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from picasssso.evaluation.calibration import (
    Calibration,
    calibration,
    half_widths,
    ranks_to_calibration,
)
from picasssso.evaluation.measures import Record, Settings
from picasssso.evaluation.residuals import (
    N_BOOTSTRAP,
    bootstrap_counts,
    for_json,
    residual_statistics,
    residuals,
    scatter_ratio,
)
from picasssso.evaluation.stacks import DERIVED, log10_positive
from picasssso.evaluation.sums import radial_gradients
from picasssso.properties import PROPERTIES

FloatArray = npt.NDArray[np.floating]

#: Truths at or below this much per stellar mass count as empty: no star formation, no gas.
#: Their logarithm means nothing. They are counted, and so is how often something is
#: claimed there.
PER_STELLAR_MASS: Mapping[str, float] = MappingProxyType(
    {
        "sfr": 1e-12,
        "specific_sfr": 1e-12,
        "gas_mass": 1e-3,
        "hi_mass": 1e-3,
        "gas_metal_mass": 1e-6,
    }
)
_IS_RATIO = ("specific_sfr",)
#: Metals of gas that is not there.
_FOLLOWS = MappingProxyType({"gas_metallicity": "gas_mass"})

#: Properties compared as differences.
_LINEAR = ("attenuation_v",)


@dataclass(frozen=True)
class Bins:
    """Edges of bins: S/N of pixels or in apertures, true age in Gyr, true V attenuation in mag."""

    snr: tuple[float, ...] = (-np.inf, 3.0, 10.0, 20.0, np.inf)
    radius: tuple[float, ...] = (0.0, 0.5, 1.0, 2.0, 3.0)
    density: tuple[float, ...] = (5.0, 6.0, 7.0, 8.0, 9.0, 10.0)
    age: tuple[float, ...] = (0.0, 2.0, 4.0, 6.0, 8.0, 14.0)
    attenuation: tuple[float, ...] = (0.0, 0.2, 0.5, 1.0, np.inf)
    n_bootstrap: int = field(default=N_BOOTSTRAP)


def measured_properties(record: Record) -> list[str]:
    """Return the properties that a record compares."""
    start = "aperture.estimate."
    return [name.removeprefix(start) for name in record if name.startswith(start)]


def summarize(
    record: Record, settings: Settings | None = None, bins: Bins | None = None
) -> dict[str, Any]:
    """Return the statistics of one estimator.

    Returns for each property: ``aperture`` (residual statistics of sums, with ``oracle`` and
    ``calibration`` where there are, and by true ``age``, true ``attenuation`` and signal to
    noise), ``radial``, ``gradient``, ``pixel`` (all, and by signal to noise, radius, density,
    age and attenuation, with calibration) and ``structure``.
    """
    settings, bins = settings or Settings(), bins or Bins()
    fitted = record["aperture.fitted"]
    figures = {
        "n_galaxies": len(np.unique(record["galaxy"])),
        "n_images": len(fitted),
        "n_ellipse_fallbacks": int((~fitted).sum()),
        "n_apertures_off_image": int((record["aperture.on_image"] < 0.99).sum()),
        "properties": {
            name: _summarize_property(record, name, settings, bins)
            for name in measured_properties(record)
        },
    }
    return for_json(figures)


def compare_scatter(
    record: Record, other: Record, name: str, bins: Bins | None = None
) -> dict[str, Any]:
    """Compare the scatter of one estimator with that of another on the same galaxies.

    Returns for JSON: ``aperture`` and ``pixel``, each with the ratios of `scatter_ratio` of all,
    and in bins of true age, true attenuation and signal to noise.
    """
    bins = bins or Bins()
    shared = np.intersect1d(record["galaxy"], other["galaxy"])
    result: dict[str, Any] = {"n_galaxies": len(shared)}
    for where in ("aperture", "pixel"):
        sides = []
        for one in (record, other):
            median = where == "pixel" and f"pixel.median.{name}" in one
            residual = _residual(one, name, where, "median" if median else "estimate")
            owner = one["galaxy" if where == "aperture" else "pixel.galaxy"]
            residual = np.where(np.isin(owner, shared), residual, np.nan)
            sides.append((residual, owner))
        entry: dict[str, Any] = dict(_ratio(sides, None, bins.n_bootstrap))
        for label, key, edges in _binning(where, bins):
            if key not in record or key not in other:
                continue
            rows = []
            for low, high in pairwise(edges):
                inside = [(one[key] >= low) & (one[key] < high) for one in (record, other)]
                rows.append({**_bounds(low, high), **_ratio(sides, inside, bins.n_bootstrap)})
            entry[f"by_{label}"] = rows
        result[where] = entry
    return for_json(result)


def _ratio(
    sides: Sequence[tuple[FloatArray, FloatArray]],
    inside: Sequence[npt.NDArray[np.bool_]] | None,
    n_bootstrap: int,
) -> dict[str, float]:
    (mine, who), (its, whose) = sides
    if inside is not None:
        mine, who, its, whose = mine[inside[0]], who[inside[0]], its[inside[1]], whose[inside[1]]
    return scatter_ratio(mine, its, who, whose, n_bootstrap=n_bootstrap)


def _summarize_property(
    record: Record, name: str, settings: Settings, bins: Bins
) -> dict[str, Any]:
    result = {
        "aperture": _apertures(record, name, bins),
        "radial": _radial(record, name, settings, bins),
        "gradient": _gradient(record, name, settings, bins),
        "pixel": _pixel(record, name, bins),
    }
    if f"structure.similarity.{name}" in record:
        result["structure"] = _structure(record, name, bins)
    return result


# ---- apertures ------------------------------------------------------------------------


def _is_empty(record: Record, name: str, where: str) -> npt.NDArray[np.bool_]:
    """Return where the truth has too little of a property for a logarithm."""
    traced = _FOLLOWS.get(name, name)
    limit = PER_STELLAR_MASS.get(traced)
    true = record.get(f"{where}.true.{traced}")
    mass = record.get(f"{where}.true.stellar_mass")
    if traced in _IS_RATIO:
        mass = np.ones(1)
    if true is None or limit is None or mass is None:
        return np.zeros(len(record[f"{where}.true.{name}"]), bool)
    return np.nan_to_num(true) <= limit * np.nan_to_num(mass)


def _claims(record: Record, name: str, where: str) -> npt.NDArray[np.bool_]:
    """Return where the estimate has more than what counts as empty."""
    limit = PER_STELLAR_MASS.get(name, 0.0)
    mass = record.get(f"{where}.true.stellar_mass")
    scale = 1.0 if name in _IS_RATIO or mass is None else np.nan_to_num(mass)
    return np.nan_to_num(record[f"{where}.estimate.{name}"]) > limit * scale


def _with_empty(record: Record, name: str, where: str, entry: dict[str, Any]) -> dict[str, Any]:
    if name in PER_STELLAR_MASS:
        empty = _is_empty(record, name, where)
        entry["n_empty"] = int(empty.sum())
        claimed = _claims(record, name, where)[empty]
        entry["claimed_where_empty"] = float(claimed.mean()) if empty.any() else None
    return entry


def _residual(record: Record, name: str, where: str, kind: str = "estimate") -> FloatArray:
    true, mine = record[f"{where}.true.{name}"], record[f"{where}.{kind}.{name}"]
    found = residuals(mine, true, logarithmic=name not in _LINEAR)
    return np.where(_is_empty(record, name, where), np.nan, found)


def _apertures(record: Record, name: str, bins: Bins) -> dict[str, Any]:
    galaxy, n = record["galaxy"], bins.n_bootstrap
    residual = _residual(record, name, "aperture")
    entry = residual_statistics(residual, galaxy, n_bootstrap=n).to_dict()
    _with_empty(record, name, "aperture", entry)
    if f"aperture.oracle.{name}" in record:
        with_mask = _residual(record, name, "aperture", "oracle")
        entry["oracle"] = residual_statistics(with_mask, galaxy, n_bootstrap=n).to_dict()
    planes = record.get(f"aperture.percentiles.{name}")
    if planes is not None:
        known = ~_is_empty(record, name, "aperture")
        entry["calibration"] = calibration(
            record[f"aperture.true.{name}"], planes, galaxy, where=known,
            logarithmic=name not in _LINEAR, n_bootstrap=n,
        ).to_dict()  # fmt: skip
    for label, key, edges in _binning("aperture", bins):
        if key in record:
            entry[f"by_{label}"] = _binned(residual, record[key], edges, galaxy, n)
    return entry


def _binning(where: str, bins: Bins) -> list[tuple[str, str, Sequence[float]]]:
    """Return what sums or pixels are binned by: label, name in a record, edges."""
    return [
        ("age", f"{where}.true.stellar_age", bins.age),
        ("attenuation", f"{where}.true.attenuation_v", bins.attenuation),
        ("snr", f"{where}.snr", bins.snr),
    ]


def _binned(
    residual: FloatArray, by: FloatArray, edges: Sequence[float], galaxy: Any, n_bootstrap: int
) -> list[dict[str, Any]]:
    rows = []
    for low, high in pairwise(edges):
        inside = (by >= low) & (by < high)
        found = residual_statistics(residual[inside], galaxy[inside], n_bootstrap=n_bootstrap)
        rows.append({**_bounds(low, high), **found.to_dict()})
    return rows


def _bounds(low: float, high: float) -> dict[str, float]:
    return {"low": float(low), "high": float(high)}


# ---- radial ---------------------------------------------------------------------------


def _radial(record: Record, name: str, settings: Settings, bins: Bins) -> list[dict[str, Any]]:
    true, mine = record[f"radial.true.{name}"], record[f"radial.estimate.{name}"]
    found = residuals(mine, true, logarithmic=name not in _LINEAR)
    found[_is_empty(record, name, "aperture")] = np.nan
    rows = []
    for k, (low, high) in enumerate(pairwise(settings.radial_edges)):
        statistics = residual_statistics(
            found[:, k], record["galaxy"], n_bootstrap=bins.n_bootstrap
        )
        rows.append({**_bounds(low, high), **statistics.to_dict()})
    return rows


def _gradient(record: Record, name: str, settings: Settings, bins: Bins) -> dict[str, Any]:
    """Statistics of the estimated gradient less the true one, and of the true one."""
    slopes = [
        radial_gradients(
            record[f"radial.{kind}.{name}"], settings.radial_edges,
            outer=settings.aperture_radius, logarithmic=name not in _LINEAR,
        )
        for kind in ("estimate", "true")
    ]  # fmt: skip
    empty = _is_empty(record, name, "aperture")
    galaxy, n = record["galaxy"], bins.n_bootstrap
    difference = np.where(empty, np.nan, slopes[0] - slopes[1])
    true = np.where(empty, np.nan, slopes[1])
    return {
        "difference": residual_statistics(difference, galaxy, n_bootstrap=n).to_dict(),
        "true": residual_statistics(true, galaxy, n_bootstrap=n).to_dict(),
    }


# ---- pixels ---------------------------------------------------------------------------


def _pixel(record: Record, name: str, bins: Bins) -> dict[str, Any]:
    galaxy, n = record["pixel.galaxy"], bins.n_bootstrap
    # One pixel is best described by its median; sums are made of means.
    kind = "median" if f"pixel.median.{name}" in record else "estimate"
    residual = _residual(record, name, "pixel", kind)
    entry = residual_statistics(residual, galaxy, n_bootstrap=n).to_dict()
    entry["of"] = kind
    _with_empty(record, name, "pixel", entry)
    calibrated = f"pixel.below.{name}" in record
    everything = np.ones(len(galaxy), bool)
    if calibrated:
        entry["calibration"] = _pixel_calibration(record, name, everything, n).to_dict()
    entry["slope"] = _slope_with_density(record, name, residual, n)
    for label, by, edges in _pixel_binning(record, name, bins):
        rows = _binned(residual, by, edges, galaxy, n)
        if calibrated:
            for row, (low, high) in zip(rows, pairwise(edges), strict=True):
                inside = (by >= low) & (by < high)
                row["calibration"] = _pixel_calibration(record, name, inside, n).to_dict()
        entry[f"by_{label}"] = rows
    return entry


def _log_density(record: Record, name: str) -> FloatArray:
    """Return log10 of the estimated density of the property, or of stellar mass."""
    definition = {**PROPERTIES, **DERIVED}.get(name)
    density = definition is not None and definition.is_surface_density
    traced = f"pixel.estimate.{name if density else 'stellar_mass'}"
    return log10_positive(record.get(traced, record["pixel.true.stellar_mass"]), None)


def _pixel_binning(
    record: Record, name: str, bins: Bins
) -> list[tuple[str, FloatArray, Sequence[float]]]:
    binning: list[tuple[str, FloatArray, Sequence[float]]] = [
        ("radius", record["pixel.radius"], bins.radius)
    ]
    if "pixel.true.stellar_mass" in record:
        density = _log_density(record, name)
        edges = bins.density if name != "sfr" else tuple(e - 9.0 for e in bins.density)
        binning.append(("density", density, edges))
    named = _binning("pixel", bins)
    binning += [(label, record[key], edges) for label, key, edges in named if key in record]
    return binning


def _pixel_calibration(
    record: Record, name: str, inside: npt.NDArray[np.bool_], n_bootstrap: int
) -> Calibration:
    below = record[f"pixel.below.{name}"]
    known = inside & (below >= 0)
    low, high = record[f"pixel.low.{name}"], record[f"pixel.high.{name}"]
    widths = half_widths(low, high, logarithmic=name not in _LINEAR)
    return ranks_to_calibration(
        below[known],
        record[f"pixel.up_to.{name}"][known],
        widths[known],
        record["pixel.galaxy"][known],
        n_bootstrap=n_bootstrap,
    )


def _slope_with_density(
    record: Record, name: str, residual: FloatArray, n_bootstrap: int
) -> dict[str, float | None]:
    """Slope of the residual against log10 of the estimated density, dex per dex."""
    nothing: dict[str, float | None] = {"value": None, "error": None}
    if "pixel.true.stellar_mass" not in record:
        return nothing
    density = _log_density(record, name)
    good = np.isfinite(residual) & np.isfinite(density)
    if good.sum() < 3:
        return nothing
    x, y = density[good].astype(np.float64), residual[good]
    unique, owner = np.unique(record["pixel.galaxy"][good], return_inverse=True)
    sums = np.stack(
        [np.bincount(owner, weights=w, minlength=len(unique)) for w in
         (np.ones(len(x)), x, y, x * x, x * y)], axis=1
    )  # fmt: skip

    def slope(s: FloatArray) -> FloatArray:
        with np.errstate(divide="ignore", invalid="ignore"):
            return (s[..., 4] * s[..., 0] - s[..., 1] * s[..., 2]) / (
                s[..., 3] * s[..., 0] - s[..., 1] ** 2
            )

    value = float(slope(sums.sum(axis=0)))
    error = None
    if len(unique) > 1:
        drawn = slope(bootstrap_counts(len(unique), n_bootstrap) @ sums)
        error = float(np.nanstd(drawn, ddof=1))
    return {"value": value if np.isfinite(value) else None, "error": error}


# ---- structure ------------------------------------------------------------------------


def _structure(record: Record, name: str, bins: Bins) -> dict[str, Any]:
    result: dict[str, Any] = {}
    similarity = record[f"structure.similarity.{name}"]
    statistics = residual_statistics(similarity, record["galaxy"], n_bootstrap=bins.n_bootstrap)
    result["similarity"] = {"median": statistics.median, "median_error": statistics.median_error}
    for kind in ("power", "coherence"):
        values = record[f"structure.{kind}.{name}"]
        known = np.isfinite(values).sum(axis=0) > 0
        medians = [
            float(np.nanmedian(values[:, k])) if known[k] else None for k in range(len(known))
        ]
        result[kind] = medians
    step = 0.5 / len(result["power"])
    result["frequency"] = [(k + 0.5) * step for k in range(len(result["power"]))]
    return result
