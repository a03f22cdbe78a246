"""Populations drawn from a prior: histories, metallicities, dust; no photometry yet.

Drawing is the part of a model library that does not depend on the bands, and on the
redshift only through the age of the universe. It is cached, so that another redshift or
set of bands repeats the photometry alone.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from picasssso.exceptions import InvalidInputError
from picasssso.sps.grid import SSPGrid
from picasssso.sps.histories import AgeBins
from picasssso.sps.priors import SEDPrior

#: The age of the universe is rounded down to this, in Gyr, so that near redshifts share draws.
AGE_LIMIT_STEP = 0.1

#: Models worked on at once.
CHUNK = 4096

_GYR = 1e9
_cache: OrderedDict[tuple, Populations] = OrderedDict()
_lock = threading.Lock()
_CACHED = 2


def unit_cube(n: int, n_dimensions: int, seed: int) -> np.ndarray:
    """Return points that fill the unit cube evenly: a scrambled Sobol sequence.

    Returns points of shape (n, n_dimensions), between 0 and 1 and never 0 or 1.
    """
    from scipy.stats import qmc

    sequence = qmc.Sobol(n_dimensions, scramble=True, rng=np.random.default_rng(seed))
    # A power of two, since fewer are not balanced and SciPy warns of it.
    points = sequence.random_base2(int(np.ceil(np.log2(max(n, 1)))))[:n]
    return np.clip(points, 1e-10, 1.0 - 1e-10)


def limit_age(age: float, grid: SSPGrid) -> float:
    """Return the age that no star exceeds.

    ``age``: age of the universe in Gyr; returns age in Gyr, rounded down to a tenth so that near
    redshifts share their draws.
    """
    # Where a tenth would be much of the whole, nothing is rounded.
    if age >= 10 * AGE_LIMIT_STEP:
        age = round(int(age / AGE_LIMIT_STEP + 1e-9) * AGE_LIMIT_STEP, 9)
    return min(float(age), float(grid.ages[-1]) / _GYR)


@dataclass(frozen=True, eq=False)
class Populations:
    """Stellar populations drawn from a prior, per mass formed.

    ``parameters``: the prior's parameters: names to arrays of shape (n,); ``age_weights``: mass
    formed at each of the grid's ages, of shape (n, n_age); rows sum to 1;
    ``metallicity_weights``: weights of the grid's metallicities, of shape (n, n_metallicity);
    rows sum to 1; ``properties``: what follows from the history: names to arrays of shape (n,).
    """

    parameters: Mapping[str, np.ndarray]
    age_weights: np.ndarray
    metallicity_weights: np.ndarray
    properties: Mapping[str, np.ndarray]

    @property
    def n_models(self) -> int:
        """Number of models (int)."""
        return len(self.age_weights)

    def chunks_by_metallicity(self) -> Iterator[np.ndarray]:
        """Iterate over the models in chunks of similar metallicity."""
        order = np.argsort(self.parameters["metallicity"], kind="stable")
        for start in range(0, order.size, CHUNK):
            yield order[start : start + CHUNK]


def draw_populations(
    grid: SSPGrid, prior: SEDPrior, n_models: int, seed: int, age_limit: float
) -> Populations:
    """Draw populations from a prior.

    ``age_limit``: age in Gyr that no star exceeds (`limit_age`).
    """
    for name, value, least in (("n_models", n_models, 1), ("seed", seed, 0)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
            raise InvalidInputError(f"{name}={value!r} must be an integer of at least {least}.")
    prior.check_covered(grid)
    key = (grid.hash, prior, int(n_models), int(seed), age_limit)
    with _lock:
        if key in _cache:
            _cache.move_to_end(key)
            return _cache[key]
    drawn = _draw(grid, prior, int(n_models), int(seed), age_limit)
    with _lock:
        _cache[key] = drawn
        while len(_cache) > _CACHED:
            _cache.popitem(last=False)
    return drawn


def _draw(grid: SSPGrid, prior: SEDPrior, n: int, seed: int, age_limit: float) -> Populations:
    parameters = prior.parameters(unit_cube(n, prior.n_dimensions, seed), age_limit)
    histories = prior.histories(parameters, age_limit)
    bins = AgeBins(grid.ages)
    metallicity_weights = grid.metallicity_weights(parameters["metallicity"])
    age_weights = np.empty((n, grid.ages.size))
    surviving, surviving_age = np.empty(n), np.empty(n)
    for start in range(0, n, CHUNK):
        part = slice(start, start + CHUNK)
        some = histories.select(part)
        age_weights[part], ages = some.age_moments(bins)
        fraction = metallicity_weights[part] @ grid.surviving_fraction
        surviving[part] = np.sum(age_weights[part] * fraction, axis=1)
        surviving_age[part] = np.sum(ages * fraction, axis=1) / surviving[part]
    rate = histories.specific_rate()
    properties = {
        "surviving_fraction": surviving,
        # One metallicity per model: weighting by any mass gives the same.
        "stellar_metallicity": parameters["metallicity"],
        "stellar_metallicity_formed": parameters["metallicity"],
        "stellar_age": surviving_age / _GYR,
        "stellar_age_formed": histories.mean_age() / _GYR,
        # Rates that will never matter would become denormal, and slow, in float32.
        "ssfr100": np.where(rate > 1e-20, rate, 0.0),
    }
    for array in (age_weights, metallicity_weights, *parameters.values(), *properties.values()):
        array.flags.writeable = False
    return Populations(
        parameters=MappingProxyType(parameters),
        age_weights=age_weights,
        metallicity_weights=metallicity_weights,
        properties=MappingProxyType(properties),
    )
