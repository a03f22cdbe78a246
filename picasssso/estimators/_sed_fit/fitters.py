"""Model libraries made ready for fitting, and kept: making the first one takes seconds.

A fitter holds all that depends on bands, redshift and the estimator's parameters, and
nothing that depends on pixels.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from astropy.cosmology import Planck18

from picasssso._core.quiet import silence
from picasssso._core.threads import run_calmly
from picasssso.estimators._grid_posterior import GridPosterior
from picasssso.estimators._sed_fit.shared_error import SharedError, measure_shared_error
from picasssso.exceptions import InvalidInputError, PicassssoWarning
from picasssso.filters.curves import filter_hashes
from picasssso.sps import AttenuationLaw, ModelLibrary, SEDPrior, SSPGrid, TemplateError
from picasssso.sps.photometry import GridPhotometry
from picasssso.sps.populations import age_of_universe, draw_populations

#: Fitters kept, of 20 to 80 MB with 50,000 models, and landmarks, of 200 MB: galaxies of a survey
#: come in order of redshift.
MAXIMUM_FITTERS, MAXIMUM_LANDMARKS = 8, 2
#: What takes long, and hardly depends on redshift, is done at redshifts whose ln(1 + z) is a
#: multiple of this, and serves those around.
LANDMARK_STEP = 0.04
#: Part of a parameter's range, at either end, that counts as its edge.
EDGE = 0.05


@dataclass(frozen=True)
class FitterOptions:
    """What a fitter is made from."""

    bands: tuple[str, ...]
    redshift: float
    n_models: int
    seed: int
    prior: SEDPrior
    grid: SSPGrid
    attenuation_law: AttenuationLaw
    nebular: bool
    error_floor: float
    template_error: TemplateError | None
    mass_definition: str
    device: str

    @property
    def key(self) -> tuple[Any, ...]:
        """What tells options apart (tuple)."""
        own = {"grid": self.grid.hash, "attenuation_law": self.attenuation_law.key}
        named = {field.name: getattr(self, field.name) for field in fields(self)} | own
        return (filter_hashes(self.bands), *named.values())

    @property
    def band_errors(self) -> tuple[float, ...]:
        """Errors of the models in each band as a fraction of the flux (tuple of float)."""
        if self.template_error is None:
            return (self.error_floor,) * len(self.bands)
        errors = self.template_error._band_errors(self.bands, self.redshift)
        return tuple(np.hypot(self.error_floor, errors).tolist())

    @property
    def landmark(self) -> tuple[FitterOptions, tuple[float, float]]:
        """The same at a redshift that serves all around, and the ages of the universe there."""
        step = round(np.log1p(self.redshift) / LANDMARK_STEP)
        ends = (step + np.array([0.5, 0.0, -0.5])) * LANDMARK_STEP
        low, middle, high = (age_of_universe(z, self.grid, Planck18) for z in np.expm1(ends))
        first, last = self.prior._drawing_range(
            age_of_universe(self.redshift, self.grid, Planck18)
        )
        # Models that are drawn anew for every age have the same numbers at all.
        ages = (middle, middle) if first == last else (max(low, first), min(high, last))
        return replace(self, redshift=float(np.expm1(ends[1]))), ages

    def library(self) -> ModelLibrary:
        """Return the library of models."""
        return ModelLibrary.build(
            self.bands,
            self.redshift,
            n_models=self.n_models,
            prior=self.prior,
            grid=self.grid,
            attenuation_law=self.attenuation_law,
            nebular=self.nebular,
            seed=self.seed,
        )

    def values(self, properties: Mapping[str, np.ndarray]) -> dict[str, dict[str, np.ndarray]]:
        """Return the models' values of what is fitted, as `GridPosterior` takes them."""
        formed = self.mass_definition == "formed"
        surviving = properties["surviving_fraction"]
        weighting = "_formed" if formed else ""
        return {
            # Per solar mass formed.
            "amplitude_scaled": {
                "stellar_mass": np.ones_like(surviving) if formed else surviving,
                "sfr": properties["ssfr100"],
            },
            "intensive": {
                "stellar_metallicity": properties[f"stellar_metallicity{weighting}"],
                "stellar_age": properties[f"stellar_age{weighting}"],
                "attenuation_v": properties["attenuation_v"],
            },
        }


class Landmark:
    """What takes long and hardly depends on redshift, done at one redshift for all around it.

    That is the order of the models and their bins, and the error that all pixels share.
    ``ages``: of the universe at all these redshifts, in Gyr; the models are those that have a
    place at any.
    """

    def __init__(self, options: FitterOptions, ages: tuple[float, float]) -> None:
        grid, law = options.grid, options.attenuation_law
        models = draw_populations(
            grid, options.prior, options.n_models, options.seed, ages[1], law, around=ages
        )
        photometry = GridPhotometry.build(
            grid, options.bands, options.redshift, nebular=options.nebular
        )
        assert models.numbers is not None
        self.numbers, self.fluxes = models.numbers, models.fluxes(photometry, law)
        self.values = options.values(models.properties)
        self.posterior = GridPosterior(
            self.fluxes,
            amplitude_scaled=self.values["amplitude_scaled"],
            intensive=self.values["intensive"],
            edge=models_at_edge(options.prior, models.parameters),
            used=np.arange(models.n_models) < options.n_models,
            error_floor=options.band_errors,
            device=options.device,
        )
        self.shared_error: SharedError = measure_shared_error(
            self.posterior, self.fluxes, tuple(self.values["amplitude_scaled"])
        )


class Fitter:
    """A library of models, its posterior and the error that all pixels share; read-only."""

    def __init__(self, options: FitterOptions, landmark: Landmark) -> None:
        library = options.library()
        assert library.numbers is not None
        place = np.searchsorted(landmark.numbers, library.numbers)

        def filled(before: np.ndarray, now: np.ndarray) -> np.ndarray:
            values = np.array(before)
            values[place] = now
            return values

        now = options.values(library.properties)
        values = {
            kind: {name: filled(old, now[kind][name]) for name, old in arrays.items()}
            for kind, arrays in landmark.values.items()
        }
        self.posterior: GridPosterior = landmark.posterior.moved(
            filled(landmark.fluxes, library.fluxes),
            **values,
            used=filled(np.zeros(len(landmark.numbers)), np.ones(len(place))),
            error_floor=options.band_errors,
        )
        self.shared_error: SharedError = landmark.shared_error
        self.options, self.library = options, library
        self.record: Mapping[str, Any] = {**library.meta, "hash": library.hash}
        #: Percentiles 16, 50 and 84 of the models, before any data, by property.
        self.prior: Mapping[str, list[float]] = {
            name: [float(f"{value:.5g}") for value in np.percentile(values, (16, 50, 84))]
            for name, values in now["intensive"].items()
        }


def models_at_edge(
    prior: SEDPrior, parameters: Mapping[str, npt.NDArray[np.floating]]
) -> npt.NDArray[np.bool_]:
    """Return which models lie where a wider prior might have fitted better.

    Those are the ends of metallicity, much attenuation and, for delayed histories, a late
    start. The other ends are physical: there is no attenuation below zero, and nothing is
    older than the universe.
    """
    metals = prior.distribution("metallicity")
    metallicity = _position(
        np.log(parameters["metallicity"]), np.log(metals.low), np.log(metals.high)
    )
    dust = prior.distribution("attenuation")
    attenuation = _position(parameters["attenuation"], dust.low, dust.high)
    edge = (metallicity < EDGE) | (metallicity > 1 - EDGE) | (attenuation > 1 - EDGE)
    if "oldest_age" in parameters:
        start = prior.distribution("oldest_age")
        edge |= _position(parameters["oldest_age"], start.low, start.high) < EDGE
    return edge


def _position(
    values: npt.NDArray[np.floating], low: float, high: float
) -> npt.NDArray[np.floating]:
    """Return where values lie between the ends of a range; the middle of one held fixed."""
    if low == high:
        return np.full(np.shape(values), 0.5)
    return (values - low) / (high - low)


_LOCK = threading.Lock()
_LANDMARKS: OrderedDict[tuple[Any, ...], Landmark] = OrderedDict()
_FITTERS: OrderedDict[tuple[Any, ...], Fitter] = OrderedDict()


def get_fitter(options: FitterOptions) -> Fitter:
    """Return the fitter of options, made now or kept from before."""
    with _LOCK:
        make = partial(run_calmly, _make_fitter, options)
        return _kept(_FITTERS, options.key, make, MAXIMUM_FITTERS)


def _make_fitter(options: FitterOptions) -> Fitter:
    at, ages = options.landmark
    try:
        # What there is to warn of is said for the redshift itself.
        with silence(PicassssoWarning):
            key = (at.key, ages)
            landmark = _kept(_LANDMARKS, key, lambda: Landmark(at, ages), MAXIMUM_LANDMARKS)
    except InvalidInputError:
        # A band that the grid covers here, but not there.
        age = age_of_universe(options.redshift, options.grid, Planck18)
        landmark = Landmark(options, (age, age))
    return Fitter(options, landmark)


def _kept(
    kept: OrderedDict[tuple[Any, ...], Any], key: tuple[Any, ...], make: Any, most: int
) -> Any:
    """Return what is kept under a key, or what is made, and kept."""
    if key not in kept:
        kept[key] = make()
    kept.move_to_end(key)
    while len(kept) > most:
        kept.popitem(last=False)
    return kept[key]
