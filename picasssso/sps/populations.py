"""Populations drawn from a prior: histories, metallicities, dust; no photometry yet.

A prior is an endless sequence of models. Those whose stars are older than the universe at a
redshift are left out there, and later ones of the sequence take their places: what is left is
drawn from the prior cut off at that age. So a model is the same at all redshifts where it can
be, and redshifts share what is drawn; another one repeats the photometry alone.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from picasssso._core.arguments import check_integer, check_memory
from picasssso.sps.dust import AttenuationLaw, Calzetti
from picasssso.sps.grid import SSPGrid
from picasssso.sps.histories import AgeBins
from picasssso.sps.photometry import V_BAND, GridPhotometry
from picasssso.sps.priors import SEDPrior

if TYPE_CHECKING:
    from astropy.cosmology import FLRW

#: Memory that a model takes at the most, bytes.
_BYTES = 1000
#: Models worked on at once.
CHUNK = 4096
#: Where more than this part of a chunk has a place, all of it is computed: no copy of weights.
_MOSTLY = 0.85

#: The sequence grows by at least this part of the models asked for.
_STEPS = 8

_GYR = 1e9
_pools: OrderedDict[tuple, _Pool] = OrderedDict()
_lock = threading.RLock()
#: Sequences kept. Each takes 30 to 60 MB with 50,000 models.
_CACHED = 3


def unit_cube(n: int, n_dimensions: int, seed: int) -> np.ndarray:
    """Return a scrambled Sobol sequence of shape (n, n_dimensions), between 0 and 1."""
    from scipy.stats import qmc

    sequence = qmc.Sobol(n_dimensions, scramble=True, rng=np.random.default_rng(seed))
    # A power of two, since fewer are not balanced and SciPy warns of it.
    points = sequence.random_base2(int(np.ceil(np.log2(max(n, 1)))))[:n]
    return np.clip(points, 1e-10, 1.0 - 1e-10)


@dataclass(frozen=True, eq=False)
class Populations:
    """Stellar populations drawn from a prior, per mass formed.

    ``numbers``: of the models in the sequence, of shape (n,); ``parameters``: the prior's
    parameters, and ``properties``: what follows from history and dust: names to arrays of shape
    (n,); ``parts``: models by metallicity, and their two kinds of weights.
    """

    numbers: np.ndarray
    parameters: Mapping[str, np.ndarray]
    properties: Mapping[str, np.ndarray]
    parts: Sequence[_Part]

    @property
    def n_models(self) -> int:
        """Number of models (int)."""
        return len(self.numbers)

    def fluxes(self, photometry: GridPhotometry, law: AttenuationLaw) -> np.ndarray:
        """Return the models' fluxes, float32 of shape (n, n_band)."""
        # One more, for models without a place.
        result = np.empty((self.n_models + 1, len(photometry.bands)), np.float32)
        dusty = photometry.behind(law)
        for models, ages, metals in self.chunks():
            escape = self.parameters["escape_fraction"][models]
            dust = dust_of(self.parameters, models, law)
            result[models] = dusty.fluxes(ages, metals, escape_fraction=escape, **dust)
        return result[:-1]

    def chunks(self) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Iterate over models of similar metallicity, with their two kinds of weights.

        Yields which models they are, mass formed at each of the grid's ages, float32 of shape
        (k, n_age), and weights of the grid's metallicities, of shape (k, n_metallicity); rows
        sum to 1. Models of number -1 have no place here; leaving out a few takes longer than they.
        """
        place = np.full(max(int(part.numbers.max()) for part in self.parts) + 1, -1)
        place[self.numbers] = np.arange(self.n_models)
        for part in self.parts:
            for start in range(0, len(part.numbers), CHUNK):
                rows = slice(start, start + CHUNK)
                models = place[part.numbers[rows]]
                kept = models >= 0
                if kept.mean() > _MOSTLY:
                    yield models, part.ages[rows], part.metals[rows]
                elif kept.any():
                    yield models[kept], part.ages[rows][kept], part.metals[rows][kept]


@dataclass(frozen=True, eq=False)
class _Part:
    """Models that were drawn together, by metallicity: numbers in the sequence, and weights."""

    numbers: np.ndarray
    ages: np.ndarray
    metals: np.ndarray


class _Pool:
    """The sequence of models as far as it was drawn; none has stars older than a limit in Gyr."""

    def __init__(
        self, grid: SSPGrid, prior: SEDPrior, seed: int, limit: float, law: AttenuationLaw
    ) -> None:
        self._grid, self._prior, self._seed = grid, prior, seed
        self._limit, self._law = limit, law
        self._bins = AgeBins(grid.ages)
        self._tables: list[tuple[dict[str, np.ndarray], dict[str, np.ndarray]]] = []
        self._parts: list[_Part] = []
        self._oldest = np.empty(0)

    def select(self, n: int, youngest: float, oldest: float) -> Populations:
        """Return what `draw_populations` returns."""
        while (missing := n - np.count_nonzero(self._oldest <= youngest)) > 0:
            drawn = self._oldest.size
            share = max((n - missing) / drawn, 0.25) if drawn else 1.0
            more = int(np.ceil(1.02 * missing / share))
            # At a little less age a few are missing again: many small parts would take long.
            self._extend(max(more, n // _STEPS) if drawn else n)
        last = np.flatnonzero(self._oldest <= youngest)[n - 1]
        numbers = np.flatnonzero(self._oldest[: last + 1] <= oldest)
        parameters, properties = (
            MappingProxyType(
                {
                    name: np.concatenate([tables[k][name] for tables in self._tables])[numbers]
                    for name in self._tables[0][k]
                }
            )
            for k in (0, 1)
        )
        return Populations(numbers, parameters, properties, tuple(self._parts))

    def _extend(self, n: int) -> None:
        grid, prior, first = self._grid, self._prior, self._oldest.size
        cube = unit_cube(first + n, prior._n_dimensions, self._seed)[first:]
        parameters = prior._parameters(cube, self._limit)
        histories = prior._histories(parameters, self._limit)
        order = np.argsort(parameters["metallicity"], kind="stable")
        metals = grid._metallicity_weights(parameters["metallicity"])[order]
        age_weights = np.empty((n, grid.ages.size), np.float32)
        surviving, surviving_age = np.empty(n), np.empty(n)
        for start in range(0, n, CHUNK):
            rows = slice(start, start + CHUNK)
            models = order[rows]
            weights, ages = histories.select(models).age_moments(self._bins)
            age_weights[rows] = weights
            fraction = metals[rows] @ grid.surviving_fraction
            surviving[models] = np.sum(weights * fraction, axis=1)
            surviving_age[models] = np.sum(ages * fraction, axis=1) / surviving[models]
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
        for array in (age_weights, metals):
            array.flags.writeable = False
        part = _Part(order, age_weights, metals)
        drawn = Populations(np.arange(n), parameters, properties, (part,))
        properties["attenuation_v"] = _attenuation(drawn, grid, self._law)
        self._tables.append((parameters, properties))
        self._parts.append(replace(part, numbers=order + first))
        # Steps begin at the Big Bang, whenever it was.
        oldest = parameters.get("oldest_age", np.zeros(n))
        self._oldest = np.concatenate([self._oldest, oldest])


def age_of_universe(redshift: float, grid: SSPGrid, cosmology: FLRW) -> float:
    """Return the age in Gyr that no star exceeds at a redshift: the grid's oldest, if less."""
    age = cosmology.age(max(float(redshift), 0.0)).to_value("Gyr")
    return min(float(age), float(grid.ages[-1]) / _GYR)


def check_models(n_models: Any) -> None:
    """Refuse a number of models that no library of this machine can hold."""
    check_integer("n_models", n_models, 1)
    check_memory(
        "n_models", n_models, _BYTES * int(n_models), "a library of models",
        "The default is 50000.",
    )  # fmt: skip


def draw_populations(
    grid: SSPGrid,
    prior: SEDPrior,
    n_models: int,
    seed: int,
    age_limit: float,
    law: AttenuationLaw | None = None,
    *,
    around: tuple[float, float] | None = None,
) -> Populations:
    """Draw populations from a prior.

    ``age_limit``: age in Gyr that no star exceeds; ``law``: of the dust, Calzetti's if not given;
    ``around``: two ages, to draw all models that have a place at any limit between, which may be
    more than ``n_models``; both must lie within `SEDPrior._drawing_range`.
    """
    check_models(n_models)
    check_integer("seed", seed)
    prior._check_covered(grid)
    prior._check_age_limit(age_limit)
    law = Calzetti() if law is None else law
    limit = prior._drawing_range(age_limit)[1]
    key = (grid.hash, prior, int(seed), limit, law.key)
    with _lock:
        if key not in _pools:
            _pools[key] = _Pool(grid, prior, int(seed), limit, law)
        _pools.move_to_end(key)
        while len(_pools) > _CACHED:
            _pools.popitem(last=False)
        return _pools[key].select(int(n_models), *(around or (age_limit, age_limit)))


def dust_of(
    parameters: Mapping[str, np.ndarray], models: np.ndarray, law: AttenuationLaw
) -> dict[str, np.ndarray]:
    """Return the dust of some models: attenuation at V by either kind of dust, in mag."""
    diffuse = parameters["attenuation"][models]
    clouds = diffuse * parameters["birth_cloud_ratio"][models] * law.has_birth_clouds
    return {"diffuse": diffuse, "birth_clouds": clouds}


def _attenuation(populations: Populations, grid: SSPGrid, law: AttenuationLaw) -> np.ndarray:
    """Return the attenuation in mag of the V flux of the models' stars."""
    photometry = GridPhotometry.build(grid, [V_BAND], 0.0, nebular=False).behind(law)
    result = np.empty(populations.n_models)
    for models, ages, metals in populations.chunks():
        dust = dust_of(populations.parameters, models, law)
        seen, emitted = photometry.fluxes(ages, metals, **dust), photometry.fluxes(ages, metals)
        result[models] = -2.5 * np.log10(seen[:, 0] / emitted[:, 0])
    # Without dust the ratio may round to just above 1.
    return np.maximum(result, 0.0)
