"""Model libraries made ready for fitting, and kept: making one takes seconds.

A fitter holds all that depends on bands, redshift and the estimator's parameters, and
nothing that depends on pixels.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from picasssso._core.threads import run_calmly
from picasssso.estimators._grid_posterior import GridPosterior
from picasssso.estimators._sed_fit.shared_error import SharedError, measure_shared_error
from picasssso.filters.library import filter_hashes
from picasssso.sps import ModelLibrary, SEDPrior, SSPGrid
from picasssso.sps.dust import AttenuationLaw, get_law

#: Fitters kept; each takes about 80 MB with 50,000 models.
MAXIMUM_FITTERS = 8
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
    error_floor: tuple[float, ...]
    mass_definition: str
    device: str

    @property
    def key(self) -> tuple[Any, ...]:
        """What tells options apart (tuple)."""
        law = get_law(self.attenuation_law)
        return (
            self.bands,
            filter_hashes(self.bands),
            self.redshift,
            self.n_models,
            self.seed,
            self.prior,
            self.grid.hash,
            (type(law), json.dumps(law.to_dict(), sort_keys=True, default=repr)),
            self.nebular,
            self.error_floor,
            self.mass_definition,
            self.device,
        )


class Fitter:
    """A library of models, its posterior and the error that all pixels share; read-only."""

    def __init__(self, options: FitterOptions) -> None:
        library = ModelLibrary.build(
            options.bands,
            options.redshift,
            n_models=options.n_models,
            prior=options.prior,
            grid=options.grid,
            attenuation_law=options.attenuation_law,
            nebular=options.nebular,
            seed=options.seed,
        )
        properties = library.properties
        formed = options.mass_definition == "formed"
        surviving = properties["surviving_fraction"]
        weighting = "_formed" if formed else ""
        #: Names to values per solar mass formed.
        amplitude_scaled = {
            "stellar_mass": np.ones_like(surviving) if formed else surviving,
            "sfr": properties["ssfr100"],
        }
        intensive = {
            "stellar_metallicity": properties[f"stellar_metallicity{weighting}"],
            "stellar_age": properties[f"stellar_age{weighting}"],
            "attenuation_v": properties["attenuation_v"],
        }
        self.posterior = GridPosterior(
            library.fluxes,
            amplitude_scaled=amplitude_scaled,
            intensive=intensive,
            edge=models_at_edge(options.prior, library.parameters),
            error_floor=options.error_floor,
            device=options.device,
        )
        self.shared_error: SharedError = measure_shared_error(
            self.posterior, library.fluxes, tuple(amplitude_scaled)
        )
        self.record: Mapping[str, Any] = {**library.meta, "hash": library.hash}


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
_FITTERS: OrderedDict[tuple[Any, ...], Fitter] = OrderedDict()


def get_fitter(options: FitterOptions) -> Fitter:
    """Return the fitter of options, made now or kept from before."""
    key = options.key
    with _LOCK:
        fitter = _FITTERS.get(key)
        if fitter is None:
            fitter = run_calmly(Fitter, options)
            _FITTERS[key] = fitter
            while len(_FITTERS) > MAXIMUM_FITTERS:
                _FITTERS.popitem(last=False)
        _FITTERS.move_to_end(key)
        return fitter
