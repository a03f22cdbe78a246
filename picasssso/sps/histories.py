"""Star formation histories: when a population's stars were formed.

A history answers one question exactly: what fraction of the mass formed is younger than
an age. All else follows from it: the mass in any bin of age (and so the weights of the
simple stellar populations, which sum to the mass formed to rounding), the star formation
rate averaged over any time, the mean age.

Many histories are held at once, one per model, with their parameters as arrays.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from picasssso.exceptions import InvalidInputError
from picasssso.sps.interpolation import hat_weights, integrated_hat_weights

#: The time, in yr, over which star formation rates are averaged.
SFR_AVERAGING_TIME = 1e8

#: Bins of age are at most this wide, in dex.
_BIN_WIDTH = 0.05


#: Time since the start per tau below which series take the place of closed forms.
_SHORT = 0.01

#: Fraction of the mass, times the width of a bin in tau, below which rounding spoils the
#: quotient of differences that is the bin's mean age.
_SMALL = 1e-9


class AgeBins:
    """Bins of age that a history's mass is sorted into, on its way to a grid's ages.

    Within a bin the interpolation between the grid's ages is linear in log age, so that
    nothing but the mean log age of the bin's mass matters. It is exact for a constant
    rate, and follows the mean age otherwise; constant rates between any two ages, such as
    a burst's, are integrated exactly (`uniform`). No mass is lost or made.

    ``nodes``: increasing ages of a grid in yr, of shape (n_age,); ``edges``: edges in yr, of
    shape (n_bin + 1,), from 0 to the oldest node; ``nodes``: ages of the grid in yr.
    """

    def __init__(self, nodes: np.ndarray) -> None:
        nodes = np.asarray(nodes, dtype=np.float64)
        pieces = [np.array([0.0])]
        for low, high in pairwise(nodes):
            count = int(np.ceil(np.log10(high / low) / _BIN_WIDTH - 1e-9))
            pieces.append(np.geomspace(low, high, count + 1)[:-1])
        self.nodes = nodes
        self.edges = np.concatenate([*pieces, nodes[-1:]])
        log_edges = np.log(np.maximum(self.edges, nodes[0]))
        weights = hat_weights(log_edges, np.log(nodes))
        self._low, self._step = weights[:-1], np.diff(weights, axis=0)
        # Where a constant rate has its mean log age, between the edges' logarithms; in the
        # bin below the youngest node it does not matter.
        low, high = self.edges[1:-1], self.edges[2:]
        mean = (high * np.log(high) - low * np.log(low)) / (high - low) - 1.0
        self._middle = np.append(0.5, (mean - np.log(low)) / np.log(high / low))

    def of_masses(
        self, masses: np.ndarray, means: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return weights (n, n_age) of masses (n, n_bin), and of mass times age; means in yr."""
        low, width = self.edges[:-1], np.diff(self.edges)
        if means is None:
            position = self._middle
            means = low + 0.5 * width
        else:
            part = np.clip((means - low) / width, 0.0, 1.0)
            # The parabola through both edges and the constant rate.
            position = part * (1.0 + (4.0 * self._middle - 2.0) * (1.0 - part))
        aged = masses * means
        return (
            masses @ self._low + (masses * position) @ self._step,
            aged @ self._low + (aged * position) @ self._step,
        )

    def uniform(self, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return weights (n, n_age), and of mass times age, of constant rates between yr."""
        results = []
        for power, mean in ((0, np.ones_like(high)), (1, 0.5 * (low + high))):
            weights = integrated_hat_weights(high, self.nodes, power=power)
            weights -= integrated_hat_weights(low, self.nodes, power=power)
            np.maximum(weights, 0.0, out=weights)
            # What rounding took where the ages are close.
            results.append(weights * (mean / weights.sum(axis=1))[:, None])
        return results[0], results[1]


class StarFormationHistories(ABC):
    """Histories of n models per mass formed; subclasses have `fraction_younger`, `mean_age`."""

    @property
    @abstractmethod
    def n_models(self) -> int:
        """Number of models (int)."""

    @abstractmethod
    def fraction_younger(self, age: np.ndarray) -> np.ndarray:
        """Return the part of mass younger than ages (k,) in yr, (n_models, k)."""

    @abstractmethod
    def mean_age(self) -> np.ndarray:
        """Return mean ages weighted by the mass formed in yr, of shape (n_models,)."""

    @abstractmethod
    def oldest_star(self) -> np.ndarray:
        """Return the ages of the oldest stars in yr, of shape (n_models,)."""

    @abstractmethod
    def select(self, models: Any) -> StarFormationHistories:
        """Return some of the models."""

    def mass_in_bins(self, edges: np.ndarray) -> np.ndarray:
        """Return the part of the mass formed in bins, (n_models, k), of ``edges`` in yr."""
        # Rounding may leave a difference of -1e-17 where no star was formed.
        return np.maximum(np.diff(self.fraction_younger(edges), axis=1), 0.0)

    def age_weights(self, bins: AgeBins) -> np.ndarray:
        """Return the mass formed at a grid's ages, (n_models, n_age); rows sum to 1."""
        return self.age_moments(bins)[0]

    def age_moments(self, bins: AgeBins) -> tuple[np.ndarray, np.ndarray]:
        """Return the mass formed, and mass times age, sorted onto a grid's ages.

        The second is what is needed for mean ages weighted by anything that the grid
        tabulates, such as surviving mass.

        Returns both of shape (n_models, n_age); rows sum to 1 and to the mean age in yr.
        """
        oldest = float(np.max(self.oldest_star(), initial=0.0))
        if oldest > bins.edges[-1] * (1 + 1e-9):
            raise InvalidInputError(
                f"Stars of {oldest:.4g} yr were asked for: the grid covers ages up to "
                f"{bins.edges[-1]:.4g} yr."
            )
        return self._age_moments(bins)

    def _age_moments(self, bins: AgeBins) -> tuple[np.ndarray, np.ndarray]:
        return bins.of_masses(self.mass_in_bins(bins.edges))

    def specific_rate(self, averaging_time: float = SFR_AVERAGING_TIME) -> np.ndarray:
        """Return rates in 1/yr per mass formed, (n_models,), averaged over the last time in yr."""
        return self.fraction_younger(np.array([averaging_time]))[:, 0] / averaging_time


def _parameters(**values: Any) -> dict[str, np.ndarray]:
    """Broadcast parameters to one length and check that they are finite."""
    arrays = {
        name: np.atleast_1d(np.asarray(value, dtype=np.float64)) for name, value in values.items()
    }
    try:
        shape = np.broadcast_shapes(*(array.shape for array in arrays.values()))
    except ValueError as error:
        shapes = {name: array.shape for name, array in arrays.items()}
        raise InvalidInputError(
            f"The parameters of the histories have shapes {shapes}: expected one length."
        ) from error
    if len(shape) != 1:
        raise InvalidInputError(f"Histories expect 1-D parameters, not of shape {shape}.")
    for name, array in arrays.items():
        if not np.all(np.isfinite(array)):
            raise InvalidInputError(f"{name} of the histories holds values that are not finite.")
    return {name: np.broadcast_to(array, shape) for name, array in arrays.items()}


@dataclass(frozen=True, eq=False)
class DelayedHistories(StarFormationHistories):
    """Delayed exponentials with an old start, plus a recent burst or a truncation.

    The main component forms stars at the rate t exp(-t / tau), t being the time since its
    start, until its truncation. The burst forms its stars at a constant rate. The mass
    younger than any age is known in closed form.

    ``oldest_age``: age of the oldest stars in yr: when the main component started;
    ``timescale``: its tau in yr; ``truncation_age``: since when the main component has formed no
    stars, in yr ago; 0 for never truncated; ``burst_age``: age of the burst's oldest stars in
    yr; ``burst_duration``: how long the burst lasted in yr; cut at ``burst_age``.
    """

    oldest_age: Any
    timescale: Any
    truncation_age: Any = 0.0
    burst_fraction: Any = 0.0
    burst_age: Any = 1e8
    burst_duration: Any = 1e8

    def __post_init__(self) -> None:
        names = self.__dataclass_fields__
        values = _parameters(**{name: getattr(self, name) for name in names})
        for name, value in values.items():
            object.__setattr__(self, name, value)
        for name in ("oldest_age", "timescale", "burst_age", "burst_duration"):
            if np.any(getattr(self, name) <= 0):
                raise InvalidInputError(f"{name} of the histories must be positive.")
        if np.any((self.truncation_age < 0) | (self.truncation_age >= self.oldest_age)):
            raise InvalidInputError(
                "truncation_age must be at least 0 and less than oldest_age: a history that is "
                "truncated before it starts forms no stars."
            )
        if np.any((self.burst_fraction < 0) | (self.burst_fraction > 1)):
            raise InvalidInputError("burst_fraction must lie between 0 and 1.")

    @property
    def n_models(self) -> int:
        """Number of models (int)."""
        return len(self.oldest_age)

    def select(self, models: Any) -> DelayedHistories:
        """Return some of the models."""
        return DelayedHistories(
            **{name: getattr(self, name)[models] for name in self.__dataclass_fields__}
        )

    def oldest_star(self) -> np.ndarray:
        """Return the ages of the oldest stars in yr, of shape (n_models,)."""
        burst = np.where(self.burst_fraction > 0, self.burst_age, 0.0)
        main = np.where(self.burst_fraction < 1, self.oldest_age, 0.0)
        return np.maximum(burst, main)

    @staticmethod
    def _formed(x: np.ndarray) -> np.ndarray:
        """Return 1 - (1 + x) exp(-x), the mass formed until x, as a series for small x."""
        return x**2 * (1 / 2 - x * (1 / 3 - x * (1 / 8 - x * (1 / 30 - x / 144))))

    def _burst_ends(self) -> tuple[np.ndarray, np.ndarray]:
        length = np.minimum(self.burst_duration, self.burst_age)
        return self.burst_age - length, self.burst_age

    def _main_younger(self, age: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return `fraction_younger` for the main component alone, and what follows.

        The second array is the time since the start of stars younger than the age, in
        units of tau, times their fraction, up to a constant: its differences over those of
        the first are mean times. It is NaN where rounding spoils these.
        """
        start, tau = self.oldest_age[:, None], self.timescale[:, None]
        end = self.truncation_age[:, None]
        last = (start - end) / tau
        x = (start - np.clip(age, end, start)) / tau
        left = np.exp(-x)
        whole = 1.0 - (1.0 + last) * np.exp(-last)
        with np.errstate(divide="ignore", invalid="ignore"):
            younger = (1.0 + x) * left
            younger -= (1.0 + last) * np.exp(-last)
            younger /= whole
            times = (2.0 + x * (2.0 + x)) * left / whole
        # A start short ago in units of tau: such differences are too small to be taken.
        short = np.flatnonzero(last[:, 0] < _SHORT)
        if short.size:
            younger[short] = 1.0 - self._formed(x[short]) / self._formed(last[short])
            times[short] = np.nan
        return younger, times

    def fraction_younger(self, age: np.ndarray) -> np.ndarray:
        """Return the fractions of mass younger than ages in yr (k,): (n_models, k)."""
        age = np.atleast_1d(np.asarray(age, dtype=np.float64))
        main = self._main_younger(age)[0]
        if not np.any(self.burst_fraction):
            return main
        low, high = (end[:, None] for end in self._burst_ends())
        burst = np.clip((age - low) / (high - low), 0.0, 1.0)
        return main + self.burst_fraction[:, None] * (burst - main)

    def _age_moments(self, bins: AgeBins) -> tuple[np.ndarray, np.ndarray]:
        younger, times = self._main_younger(bins.edges)
        masses = np.maximum(np.diff(younger, axis=1), 0.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            time = np.diff(times, axis=1) / masses
        means = self.oldest_age[:, None] - self.timescale[:, None] * time
        # Where too little is formed for a quotient of differences, the rate is taken to rise
        # in proportion to time, as it does early on.
        start = self.oldest_age[:, None]
        since = start - np.clip(bins.edges, self.truncation_age[:, None], start)
        first, last = since[:, 1:], since[:, :-1]
        good = (masses * (last - first) > _SMALL * self.timescale[:, None]) & np.isfinite(means)
        rising = (first**2 + first * last + last**2) / np.maximum(1.5 * (first + last), 1e-300)
        means = np.where(good, means, start - rising)
        weights, aged = bins.of_masses(masses, means)
        # A burst may be shorter than a bin.
        rows = np.flatnonzero(self.burst_fraction)
        if rows.size:
            low, high = (end[rows] for end in self._burst_ends())
            part = self.burst_fraction[rows, None]
            burst, burst_aged = bins.uniform(low, high)
            weights[rows] += part * (burst - weights[rows])
            aged[rows] += part * (burst_aged - aged[rows])
        return weights, aged

    def mean_age(self) -> np.ndarray:
        """Return mean ages weighted by the mass formed in yr, of shape (n_models,)."""
        x = (self.oldest_age - self.truncation_age) / self.timescale
        with np.errstate(divide="ignore", invalid="ignore"):
            left = np.exp(-x)
            time = (2.0 - (2.0 + x * (2.0 + x)) * left) / (1.0 - (1.0 + x) * left)
        series = x * (2 / 3) * (1 - x * (3 / 4 - 3 / 10 * x)) / (1 - x * (2 / 3 - x / 4))
        main = self.oldest_age - self.timescale * np.where(x < _SHORT, series, time)
        low, high = self._burst_ends()
        return main + self.burst_fraction * (0.5 * (low + high) - main)


@dataclass(frozen=True, eq=False)
class StepHistories(StarFormationHistories):
    """Constant rates within bins of age.

    ``edges``: increasing edges of the bins in yr ago, of shape (k + 1,) for all models or
    (n_models, k + 1), starting with 0; ``masses``: mass formed in each bin, of shape (n_models,
    k); only the ratios count.
    """

    edges: Any
    masses: Any

    def __post_init__(self) -> None:
        masses = np.atleast_2d(np.asarray(self.masses, dtype=np.float64))
        edges = np.atleast_2d(np.asarray(self.edges, dtype=np.float64))
        if masses.ndim != 2 or edges.shape not in (
            (1, masses.shape[1] + 1),
            (masses.shape[0], masses.shape[1] + 1),
        ):
            raise InvalidInputError(
                f"Step histories got edges of shape {edges.shape} and masses of shape "
                f"{masses.shape}: expected (k + 1,) or (n, k + 1), and (n, k)."
            )
        if not np.all(np.isfinite(edges)) or np.any(edges[:, 0] != 0):
            raise InvalidInputError("edges of the histories must be finite and start with 0.")
        if np.any(np.diff(edges, axis=1) <= 0):
            raise InvalidInputError("edges of the histories must increase.")
        total = masses.sum(axis=1, keepdims=True)
        if not np.all(np.isfinite(total)) or np.any(masses < 0) or np.any(total <= 0):
            raise InvalidInputError(
                "masses of the histories must be finite, none negative, and not all 0."
            )
        object.__setattr__(self, "masses", masses / total)
        object.__setattr__(self, "edges", np.broadcast_to(edges, (len(masses), edges.shape[1])))

    @property
    def n_models(self) -> int:
        """Number of models (int)."""
        return len(self.masses)

    def select(self, models: Any) -> StepHistories:
        """Return some of the models."""
        return StepHistories(self.edges[models], self.masses[models])

    def oldest_star(self) -> np.ndarray:
        """Return the ages of the oldest stars in yr, of shape (n_models,)."""
        return np.max(np.where(self.masses > 0, self.edges[:, 1:], 0.0), axis=1)

    def fraction_younger(self, age: np.ndarray) -> np.ndarray:
        """Return the fractions of mass younger than ages in yr (k,): (n_models, k)."""
        age = np.atleast_1d(np.asarray(age, dtype=np.float64))
        result = np.zeros((self.n_models, age.size))
        for low, high, mass in zip(
            self.edges[:, :-1].T, self.edges[:, 1:].T, self.masses.T, strict=True
        ):
            part = (age - low[:, None]) / (high - low)[:, None]
            result += mass[:, None] * np.clip(part, 0.0, 1.0)
        return result

    def _age_moments(self, bins: AgeBins) -> tuple[np.ndarray, np.ndarray]:
        weights = np.zeros((self.n_models, bins.nodes.size))
        aged = np.zeros_like(weights)
        # Most often all models have the same steps: strides of 0 say so.
        rows = slice(0, 1) if self.edges.strides[0] == 0 else slice(None)
        for low, high, mass in zip(
            self.edges[rows, :-1].T, self.edges[rows, 1:].T, self.masses.T, strict=True
        ):
            if not np.any(mass):
                continue
            # A step without stars may reach beyond the grid.
            top = np.minimum(high, bins.nodes[-1])
            step, step_aged = bins.uniform(np.minimum(low, 0.999 * top), top)
            weights += mass[:, None] * step
            aged += mass[:, None] * step_aged
        return weights, aged

    def mean_age(self) -> np.ndarray:
        """Return mean ages weighted by the mass formed in yr, of shape (n_models,)."""
        centers = 0.5 * (self.edges[:, 1:] + self.edges[:, :-1])
        return np.sum(self.masses * centers, axis=1)
