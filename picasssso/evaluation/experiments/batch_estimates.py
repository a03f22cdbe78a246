"""Application of any estimator to a batch of images.

Estimators process one galaxy at a time, while networks are more efficient with many. Therefore a
configuration can name a function of batches, and an estimator can have a method
``estimate_many(images)``, such as `picasssso.CNNEstimator`; for all others, galaxies are processed
one by one.
"""

from __future__ import annotations

import functools
import importlib
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from picasssso.evaluation.apertures import Apertures
from picasssso.evaluation.evaluation import total_percentiles
from picasssso.evaluation.stacks import MapStack
from picasssso.exceptions import InvalidInputError, PicassssoWarning
from picasssso.mocks.observing.observed import survey_images

if TYPE_CHECKING:
    from picasssso.bands import BandImages
    from picasssso.estimators.base import PropertyMapEstimator
    from picasssso.maps import PropertyMaps
    from picasssso.pairs.source import Batch

#: By property: percentiles of sums, shape (n, 5).
SumPercentiles = Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class BatchEstimate:
    """Estimates for a batch.

    ``sum_percentiles``: ``sum_percentiles(apertures, radius, pixel_area)`` returns, by property,
    the percentiles of the sums inside ``radius`` half-mass radii, shape (n, 5), in the units of
    maps times kpc2 (``pixel_area``, shape (n,), in kpc2).
    """

    maps: MapStack
    sum_percentiles: Callable[[Apertures, float, Any], SumPercentiles] | None = None


#: What a configuration's ``batch_function`` must return when it is called with the
#: parameters: a function of a batch (`picasssso.pairs.source.FIELDS`, truth left out)
#: and the names of its bands.
BatchFunction = Callable[["Batch", tuple[str, ...]], BatchEstimate]


def estimate_with(specification: Mapping[str, Any]) -> BatchFunction:
    """Return ``function(batch, bands)``, which makes a `BatchEstimate`, of a description."""
    if "batch_function" in specification:
        return _find(specification["batch_function"])(**_parameters(specification))
    return functools.partial(
        _with_images,
        make_estimator(specification),
        steps=[_step(**one) for one in specification.get("prepare", ())],
        n_samples=int(specification.get("samples", 0)),
        sums=bool(specification.get("sums", True)),
        redshift_step=float(specification.get("redshift_step", 0.0)),
    )


def _parameters(specification: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in specification.get("parameters", {}).items()
    }


def make_estimator(specification: Mapping[str, Any]) -> PropertyMapEstimator:
    """Return the estimator of a configuration: its ``name``, and ``parameters`` if there are."""
    from picasssso.estimators import get_estimator

    return get_estimator(specification["name"])(**_parameters(specification))


def estimate_all(
    estimator: PropertyMapEstimator, images: Sequence[BandImages], n_samples: int, seed: int
) -> list[PropertyMaps]:
    """Return maps of several galaxies, together if the estimator can."""
    how: dict[str, Any] = {"progress": False}
    if n_samples:
        how |= {"n_samples": n_samples, "seed": seed}
    if hasattr(estimator, "estimate_many") and len(images) > 1:
        return list(estimator.estimate_many(images, **how))
    # By redshift: what estimators keep from one to the next serves those beside it.
    order = np.argsort([one.redshift for one in images], kind="stable")
    found = {int(k): estimator.estimate(images[k], **how) for k in order}
    return [found[k] for k in range(len(images))]


def select_bands(
    batch: Batch, available: tuple[str, ...], wanted: tuple[str, ...] | None
) -> tuple[Batch, tuple[str, ...]]:
    """Return a batch without its truth, in some of its bands."""
    known = {name: values for name, values in batch.items() if not name.startswith("truth")}
    # What a survey would not say of a galaxy.
    for name in ("half_mass_radius", "log_mass"):
        known.pop(name, None)
    if wanted is None:
        return known, available
    short = {band.rpartition("-")[2]: k for k, band in enumerate(available)}
    short |= {band: k for k, band in enumerate(available)}
    missing = [band for band in wanted if band not in short]
    if missing:
        raise InvalidInputError(
            f"There is no band {', '.join(map(repr, missing))} in the images: expected some of "
            f"{', '.join(available)}."
        )
    order = [short[band] for band in wanted]
    for name in ("flux", "inverse_variance", "psf_fwhm"):
        known[name] = known[name][:, order]
    return known, tuple(available[k] for k in order)


def band_images(batch: Batch, galaxy: int, bands: tuple[str, ...]) -> BandImages:
    """Return one galaxy of a batch as `~picasssso.bands.BandImages`, without WCS."""
    import astropy.units as u

    return survey_images(
        bands,
        batch["flux"][galaxy],
        batch["inverse_variance"][galaxy],
        batch["psf_fwhm"][galaxy].tolist(),
        redshift=float(batch["redshift"][galaxy]),
        pixel_scale=float(batch["pixel_scale"][galaxy]) * u.arcsec,
    )


def _with_images(
    estimator: PropertyMapEstimator,
    batch: Batch,
    bands: tuple[str, ...],
    *,
    steps: Sequence[Callable[[BandImages], BandImages]] = (),
    n_samples: int = 0,
    sums: bool = True,
    redshift_step: float = 0.0,
) -> BatchEstimate:
    """Hand the galaxies of a batch to an estimator as images."""
    if redshift_step:
        rounded = (batch["redshift"] / redshift_step).round() * redshift_step
        batch = {**batch, "redshift": rounded}
    images = [band_images(batch, k, bands) for k in range(len(batch["flux"]))]
    with warnings.catch_warnings():
        # How well a step did is seen in the result.
        warnings.simplefilter("ignore", PicassssoWarning)
        for step in steps:
            images = [step(one) for one in images]
    maps = estimate_all(estimator, images, n_samples, int(batch["number"][0]))
    totals = functools.partial(_sum_percentiles, maps) if sums else None
    return BatchEstimate(MapStack.from_maps(maps), totals)


def _step(*, step: str, **arguments: Any) -> Callable[[BandImages], BandImages]:
    """Return a step of the preparation with its arguments."""
    import picasssso.preparation

    if step not in picasssso.preparation.__all__:
        raise InvalidInputError(
            f"prepare names the step {step!r}: expected a function of picasssso.preparation, "
            "such as 'match_psf' or 'bin_images'."
        )
    return functools.partial(getattr(picasssso.preparation, step), **arguments)


def _sum_percentiles(
    maps: list[PropertyMaps], apertures: Apertures, radius: float, pixel_area: Any
) -> SumPercentiles:
    """Return percentiles of sums from the totals of maps."""
    areas = np.broadcast_to(np.asarray(pixel_area, dtype=float), len(maps))
    with warnings.catch_warnings():
        # Sums of nothing are left out of the statistics; no need to say so each time.
        warnings.simplefilter("ignore", PicassssoWarning)
        found = [
            total_percentiles(one, apertures.aperture(k, radius), float(areas[k]))
            for k, one in enumerate(maps)
        ]
    names = [name for name in found[0] if all(name in other for other in found)]
    return {name: np.concatenate([other[name] for other in found]) for name in names}


def _find(path: str) -> Callable[..., BatchFunction]:
    module, _, name = path.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise InvalidInputError(
            f"batch_function={path!r} cannot be used ({error}): expected 'package.module:name' "
            "of something that can be imported."
        ) from error
