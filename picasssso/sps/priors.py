"""What is assumed of stellar populations before any measurement: the prior.

Every parameter is drawn from a named range. A range is a pair (low, high); a pair of two
equal numbers holds the parameter fixed. Which distribution holds between the ends is
stated with each range and does not change.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from picasssso.exceptions import InvalidInputError
from picasssso.sps.histories import DelayedHistories, StarFormationHistories, StepHistories

if TYPE_CHECKING:
    from picasssso.sps.grid import SSPGrid

__all__ = ["HISTORIES", "SEDPrior"]

#: The kinds of star formation history a prior can draw.
HISTORIES = ("delayed", "steps")

Range = tuple[float, float]

_GYR = 1e9

#: Ranges that must be positive since the logarithm is uniform in them.
_LOGARITHMIC = (
    "timescale",
    "truncation_age",
    "burst_fraction",
    "burst_age",
    "burst_duration",
    "metallicity",
)
_RANGES = ("oldest_age", *_LOGARITHMIC, "attenuation", "birth_cloud_ratio", "escape_fraction")

#: A burst or a truncation is younger than this part of the oldest star's age.
_LATEST_START = 0.9

#: Edges in Gyr ago of the youngest steps, number of steps in all, and the part of the time
#: since the Big Bang when the oldest step ends (Leja et al. 2019, section 2.2).
_YOUNG_STEPS = (0.0, 0.03, 0.1)
N_STEPS = 7
_OLDEST_STEP = 0.85
_YOUNGEST_UNIVERSE = 0.5


def _uniform(cube: np.ndarray, low: Any, high: Any) -> np.ndarray:
    return np.asarray(low + (np.asarray(high) - low) * cube)


def _log_uniform(cube: np.ndarray, low: Any, high: Any) -> np.ndarray:
    return np.asarray(low * (np.asarray(high) / low) ** cube)


@dataclass(frozen=True)
class SEDPrior:
    """Ranges of the parameters of stellar populations.

    Parameters
    ----------
    history : {"delayed", "steps"}, optional
        Kind of star formation history. ``"delayed"``: t exp(-t / tau) since an old start,
        with a burst added in some models and a truncation in others
        (`picasssso.sps.histories.DelayedHistories`). ``"steps"``: constant rates in seven
        bins of age, the ratio of neighbouring rates drawn from Student's t distribution
        (the continuity prior of Leja et al. 2019, ApJ 876, 3), in
        `picasssso.sps.histories.StepHistories`. The two weigh old stars differently, and
        thus show how far an answer rests on the prior.
    oldest_age : tuple of float, optional
        Age of the oldest stars in Gyr, uniform. The upper end is lowered to the age of
        the universe at the redshift. Only for ``"delayed"``; steps start at the Big Bang.
    timescale : tuple of float, optional
        Its tau in Gyr, uniform in its logarithm. Only for ``"delayed"``.
    truncation_probability : float, optional
        Part of the models that stopped to form stars. Only for ``"delayed"``.
    truncation_age : tuple of float, optional
        Since when they have formed none, in Gyr, uniform in its logarithm, but at most 0.9
        of the oldest age.
    burst_probability : float, optional
        Part of the models with a burst. Only for ``"delayed"``.
    burst_fraction : tuple of float, optional
        Mass formed in the burst per mass formed in all, uniform in its logarithm.
    burst_age : tuple of float, optional
        Age of the burst's oldest stars in Gyr, uniform in its logarithm, but at most 0.9
        of the oldest age.
    burst_duration : tuple of float, optional
        Duration of the burst in Gyr, uniform in its logarithm; it may still go on.
    step_scatter : float, optional
        Scale in dex of the distribution of log ratios between steps, which has 2 degrees
        of freedom. Only for ``"steps"``.
    metallicity : tuple of float, optional
        Mass fraction of metals, the same for all stars of a model, uniform in its
        logarithm.
    attenuation : tuple of float, optional
        Attenuation at V by diffuse dust in mag, uniform.
    birth_cloud_ratio : tuple of float, optional
        Attenuation at V by birth clouds per that by diffuse dust, uniform; it counts only
        for a law with birth clouds. Charlot & Fall (2000) have 2.
    escape_fraction : tuple of float, optional
        Fraction of the ionising photons that make no gas shine (they escape or fall on
        dust), uniform.

    Raises
    ------
    InvalidInputError
        If a range is not a pair of finite numbers in order, or makes no sense.

    Examples
    --------
    >>> from picasssso.sps import SEDPrior
    >>> prior = SEDPrior(metallicity=(0.004, 0.05), attenuation=(0.0, 1.0))
    >>> prior.metallicity
    (0.004, 0.05)
    """

    history: str = "delayed"
    oldest_age: Range = (1.0, 13.7)
    timescale: Range = (0.1, 20.0)
    truncation_probability: float = 0.2
    truncation_age: Range = (0.03, 2.0)
    burst_probability: float = 0.3
    burst_fraction: Range = (0.001, 0.3)
    burst_age: Range = (0.01, 2.0)
    burst_duration: Range = (0.01, 0.3)
    step_scatter: float = 0.3
    metallicity: Range = (0.001, 0.05)
    attenuation: Range = (0.0, 2.0)
    birth_cloud_ratio: Range = (1.0, 3.0)
    escape_fraction: Range = (0.0, 0.0)

    def __post_init__(self) -> None:
        if self.history not in HISTORIES:
            raise InvalidInputError(
                f"Unknown history {self.history!r} in the prior: expected one of {HISTORIES}."
            )
        for name in _RANGES:
            object.__setattr__(self, name, self._checked(name))
        for name in ("truncation_probability", "burst_probability", "step_scatter"):
            value = getattr(self, name)
            try:
                value = float(value)
            except (TypeError, ValueError):
                raise InvalidInputError(
                    f"{name}={value!r} of the prior is not a number."
                ) from None
            if not (np.isfinite(value) and value >= 0):
                raise InvalidInputError(f"{name}={value!r} of the prior must be at least 0.")
            object.__setattr__(self, name, value)
        if self.truncation_probability + self.burst_probability > 1 + 1e-12:
            raise InvalidInputError(
                "truncation_probability and burst_probability of the prior add up to "
                f"{self.truncation_probability + self.burst_probability:g}: expected at most 1, "
                "since no model has both."
            )

    def _checked(self, name: str) -> Range:
        value = getattr(self, name)
        try:
            low, high = (float(end) for end in value)
        except (TypeError, ValueError):
            raise InvalidInputError(
                f"{name}={value!r} of the prior is not a range: expected a pair (low, high)."
            ) from None
        if not (np.isfinite(low) and np.isfinite(high) and low <= high):
            raise InvalidInputError(
                f"{name}={value!r} of the prior is not a range: expected finite numbers with "
                "low <= high."
            )
        if low < 0 or (low == 0 and (name in _LOGARITHMIC or name == "oldest_age")):
            expected = "positive" if name in (*_LOGARITHMIC, "oldest_age") else "not negative"
            raise InvalidInputError(f"{name}={value!r} of the prior must be {expected}.")
        if name in ("burst_fraction", "escape_fraction", "metallicity") and high > 1:
            raise InvalidInputError(f"{name}={value!r} of the prior must not exceed 1.")
        return low, high

    @property
    def n_dimensions(self) -> int:
        """How many independent numbers make one model (int)."""
        return 4 + (7 if self.history == "delayed" else N_STEPS - 1)

    def to_dict(self) -> dict[str, Any]:
        """Return the prior as plain numbers, for files.

        Returns
        -------
        dict
            Suitable for JSON; `from_dict` is the inverse.
        """
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(self).items()
        }

    @classmethod
    def from_dict(cls, prior: Mapping[str, Any]) -> SEDPrior:
        """Make a prior from what `to_dict` returned.

        Parameters
        ----------
        prior : mapping
            What `to_dict` returned.

        Returns
        -------
        SEDPrior
            The prior.

        Raises
        ------
        InvalidInputError
            If a name is unknown.
        """
        known = {field.name for field in fields(cls)}
        unknown = sorted(set(prior) - known)
        if unknown:
            raise InvalidInputError(
                f"A prior has no {', '.join(unknown)}: expected names among {sorted(known)}."
            )
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in prior.items()
        }
        return cls(**values)

    def check_covered(self, grid: SSPGrid) -> None:
        """Refuse ranges that a grid does not cover.

        Parameters
        ----------
        grid : SSPGrid
            The grid.

        Raises
        ------
        InvalidInputError
            If the metallicity or the age leaves the grid.
        """
        low, high = self.metallicity
        first, last = grid.metallicities[[0, -1]]
        if low < first * (1 - 1e-9) or high > last * (1 + 1e-9):
            raise InvalidInputError(
                f"metallicity={self.metallicity} of the prior leaves the grid {grid.name}, which "
                f"covers {first:g} to {last:g} (mass fractions): narrow the range."
            )
        if self.history == "delayed" and self.oldest_age[1] * _GYR > grid.ages[-1] * (1 + 1e-9):
            raise InvalidInputError(
                f"oldest_age={self.oldest_age} Gyr of the prior leaves the grid {grid.name}, "
                f"whose oldest population has {grid.ages[-1] / _GYR:.4g} Gyr: narrow the range."
            )

    def parameters(self, cube: np.ndarray, age_limit: float) -> dict[str, np.ndarray]:
        """Return parameters from numbers uniform between 0 and 1.

        Parameters
        ----------
        cube : ndarray
            Numbers of shape (n, n_dimensions).
        age_limit : float
            Age in Gyr that no star exceeds.

        Returns
        -------
        dict
            Names to arrays of shape (n,); ages, times in Gyr, attenuation in mag.

        Raises
        ------
        InvalidInputError
            If the youngest start allowed is before ``age_limit``.
        """
        result = {
            "metallicity": _log_uniform(cube[:, 0], *self.metallicity),
            "attenuation": _uniform(cube[:, 1], *self.attenuation),
            "birth_cloud_ratio": _uniform(cube[:, 2], *self.birth_cloud_ratio),
            "escape_fraction": _uniform(cube[:, 3], *self.escape_fraction),
        }
        if self.history == "delayed":
            return result | self._delayed_parameters(cube[:, 4:], age_limit)
        if age_limit < _YOUNGEST_UNIVERSE:
            raise InvalidInputError(
                f"The universe was {age_limit:.3g} Gyr old at this redshift: expected at least "
                f"{_YOUNGEST_UNIVERSE:g} Gyr for histories in steps. Use history='delayed'."
            )
        from scipy.stats import t as student_t

        # The distribution's ends are infinite; nothing is learnt beyond 10 dex.
        ratios = np.clip(student_t.ppf(cube[:, 4:], 2) * self.step_scatter, -10.0, 10.0)
        return result | {f"log_rate_ratio_{i + 1}": ratios[:, i] for i in range(N_STEPS - 1)}

    def _delayed_parameters(self, cube: np.ndarray, age_limit: float) -> dict[str, np.ndarray]:
        low, high = self.oldest_age
        if low > age_limit:
            raise InvalidInputError(
                f"oldest_age={self.oldest_age} Gyr of the prior starts before the Big Bang: the "
                f"universe was {age_limit:.4g} Gyr old at this redshift. Lower the range."
            )
        oldest = _uniform(cube[:, 0], low, min(high, age_limit))
        event = cube[:, 2]
        truncated = event < self.truncation_probability
        burst = event > 1.0 - self.burst_probability
        latest = _LATEST_START * oldest

        def limited(values: np.ndarray, bounds: Range) -> np.ndarray:
            return _log_uniform(
                values, np.minimum(bounds[0], latest), np.minimum(bounds[1], latest)
            )

        return {
            "oldest_age": oldest,
            "timescale": _log_uniform(cube[:, 1], *self.timescale),
            "truncation_age": np.where(truncated, limited(cube[:, 3], self.truncation_age), 0.0),
            "burst_fraction": np.where(burst, _log_uniform(cube[:, 4], *self.burst_fraction), 0.0),
            "burst_age": limited(cube[:, 5], self.burst_age),
            "burst_duration": _log_uniform(cube[:, 6], *self.burst_duration),
        }

    def histories(
        self, parameters: Mapping[str, np.ndarray], age_limit: float
    ) -> StarFormationHistories:
        """Return the star formation histories of drawn parameters.

        Parameters
        ----------
        parameters : mapping
            What `parameters` returned.
        age_limit : float
            Age in Gyr that no star exceeds.

        Returns
        -------
        StarFormationHistories
            The histories.
        """
        if self.history == "delayed":
            return DelayedHistories(
                oldest_age=parameters["oldest_age"] * _GYR,
                timescale=parameters["timescale"] * _GYR,
                truncation_age=parameters["truncation_age"] * _GYR,
                burst_fraction=parameters["burst_fraction"],
                burst_age=parameters["burst_age"] * _GYR,
                burst_duration=parameters["burst_duration"] * _GYR,
            )
        old = np.geomspace(
            _YOUNG_STEPS[-1], _OLDEST_STEP * age_limit, N_STEPS - len(_YOUNG_STEPS) + 1
        )
        edges = np.concatenate([_YOUNG_STEPS[:-1], old, [age_limit]]) * _GYR
        ratios = np.stack(
            [parameters[f"log_rate_ratio_{i + 1}"] for i in range(N_STEPS - 1)], axis=1
        )
        # log_rate_ratio_i is the log of the rate in step i over that in the next older one.
        log_rate = np.concatenate([np.zeros((len(ratios), 1)), -np.cumsum(ratios, axis=1)], axis=1)
        log_rate -= log_rate.max(axis=1, keepdims=True)
        return StepHistories(edges, 10.0**log_rate * np.diff(edges))
