"""What is assumed of stellar populations before any measurement: the prior.

Every parameter is drawn from a distribution (`picasssso.sps.distributions`). A pair
(low, high) stands for the uninformative one between these ends, uniform in the parameter
or its logarithm as stated with it; a pair of two equal numbers holds the parameter fixed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from picasssso._core.arguments import check_choice
from picasssso.exceptions import InvalidInputError
from picasssso.sps.distributions import (
    Distribution,
    Exponential,
    LogUniform,
    TruncatedLogNormal,
    TruncatedNormal,
    Uniform,
    distribution_from_dict,
)
from picasssso.sps.histories import DelayedHistories, StarFormationHistories, StepHistories

if TYPE_CHECKING:
    from picasssso.sps.grid import SSPGrid

#: The kinds of star formation history a prior can draw.
HISTORIES = ("delayed", "steps")

#: What a parameter may be given as: a distribution, or a pair (low, high).
Parameter = Distribution | tuple[float, float]

_GYR = 1e9

#: Parameters whose pairs (low, high) are uniform in the logarithm.
_LOGARITHMIC = (
    "timescale",
    "truncation_age",
    "burst_fraction",
    "burst_age",
    "burst_duration",
    "metallicity",
)
_DISTRIBUTED = ("oldest_age", *_LOGARITHMIC, "attenuation", "birth_cloud_ratio", "escape_fraction")

#: The prior that holds no relation of galaxies (`SEDPrior.flat`).
_FLAT: dict[str, Any] = {
    "oldest_age": (1.0, 13.7),
    "timescale": (0.1, 20.0),
    "truncation_probability": 0.2,
    "truncation_age": (0.03, 2.0),
    "burst_probability": 0.3,
    "burst_fraction": (0.001, 0.3),
    "burst_age": (0.01, 2.0),
    "burst_duration": (0.01, 0.3),
    "step_scatter": 0.3,
    "metallicity": (0.001, 0.05),
    "attenuation": (0.0, 2.0),
    "birth_cloud_ratio": (1.0, 3.0),
    "escape_fraction": (0.0, 0.0),
}

#: What nearby galaxies have (`SEDPrior`, Notes).
_OLDEST_AGE = TruncatedNormal(6.5, 4.0, low=1.0, high=13.7)
_METALLICITY = TruncatedLogNormal(0.02, 0.25, low=0.001, high=0.05)
_ATTENUATION = Exponential(0.4, high=3.0)

#: A burst or a truncation is younger than this part of the oldest star's age.
_LATEST_START = 0.9

#: Edges in Gyr ago of the youngest steps, number of steps in all, and the part of the time
#: since the Big Bang when the oldest step ends (Leja et al. 2019, section 2.2).
_YOUNG_STEPS = (0.0, 0.03, 0.1)
N_STEPS = 7
_OLDEST_STEP = 0.85
_YOUNGEST_UNIVERSE = 0.5


@dataclass(frozen=True)
class SEDPrior:
    """Distributions of the parameters of stellar populations.

    The default describes nearby galaxies (see Notes); `flat` is uninformative. Each parameter is
    a distribution of `picasssso.sps.distributions`, or a pair (low, high) for an uninformative
    prior between these limits: uniform, or log-uniform where stated.

    Parameters
    ----------
    history : {"delayed", "steps"}, optional
        Kind of star formation history. ``"delayed"``: t exp(-t / tau) since a start, with
        a burst added in some models and a truncation in others
        (``picasssso.sps.histories.DelayedHistories``). ``"steps"``: constant rates in seven
        bins of age, the ratio of neighboring rates drawn from Student's t distribution
        (the continuity prior of Leja et al. 2019, ApJ 876, 3), in
        ``picasssso.sps.histories.StepHistories``. The two have different fractions of old stars,
        and thus show how much a result depends on the prior.
    oldest_age : Distribution or tuple of float, optional
        Age of the oldest stars in Gyr (pairs: uniform), limited to the age of the universe at
        the redshift. Only for ``"delayed"``; steps start at the Big Bang.
    timescale : Distribution or tuple of float, optional
        Its tau in Gyr (pairs: uniform in the logarithm). Only for ``"delayed"``.
    truncation_probability : float, optional
        Fraction of models that have stopped forming stars. Only for ``"delayed"``.
    truncation_age : Distribution or tuple of float, optional
        Time since then in Gyr (pairs: uniform in the logarithm), at most 0.9 of the oldest age.
    burst_probability : float, optional
        Fraction of models with a burst. Only for ``"delayed"``.
    burst_fraction : Distribution or tuple of float, optional
        Mass formed in the burst per mass formed in all (pairs: uniform in the logarithm).
    burst_age : Distribution or tuple of float, optional
        Age of the burst's oldest stars in Gyr (pairs: uniform in the logarithm), but at
        most 0.9 of the oldest age.
    burst_duration : Distribution or tuple of float, optional
        Duration of the burst in Gyr (pairs: uniform in the logarithm); it may still go on.
    step_scatter : float, optional
        Scale in dex of the distribution of log ratios between steps, which has 2 degrees
        of freedom. Only for ``"steps"``.
    metallicity : Distribution or tuple of float, optional
        Mass fraction of metals, the same for all stars of a model (pairs: uniform in the
        logarithm).
    attenuation : Distribution or tuple of float, optional
        Attenuation at V by diffuse dust in mag (pairs: uniform).
    birth_cloud_ratio : Distribution or tuple of float, optional
        Attenuation at V by birth clouds per that by diffuse dust (pairs: uniform); it
        counts only for a law with birth clouds. Charlot & Fall (2000) have 2.
    escape_fraction : Distribution or tuple of float, optional
        Fraction of ionizing photons that escape or are absorbed by dust (pairs: uniform).

    Raises
    ------
    InvalidInputError
        If a parameter is neither a distribution nor a pair of increasing finite numbers, or is
        invalid.

    Notes
    -----
    Origin of the default:

    - Attenuation: exponential of scale 0.4 mag. Nearby galaxies have stellar A_V of 0.1 to
      0.7 mag, quiescent ones of 0.1 to 0.3 (Salim et al. 2018, ApJ 859, 11); more than 2
      mag are found in few places.
    - Metallicity: log-normal around 0.02 with 0.25 dex. Galaxies of 10^10 to 10^11.5 Msun
      have medians of 0.012 to 0.028, with 0.1 to 0.4 dex around them (Gallazzi et al.
      2005, MNRAS 362, 41, table 2). Broadband fluxes constrain metallicity only weakly: in the
      flat prior two of five models have less than a quarter of solar.
    - Oldest stars: normal around 6.5 Gyr with 4 Gyr. Almost all nearby galaxies contain older
      stars (Weisz et al. 2014, ApJ 789, 147), but the start of a single smooth history
      represents its rise, not the first star. Masses on the scale of GSWLC-X2 require later
      starts: earlier ones give higher masses. Ages of quiescent galaxies are then about 3 Gyr
      below those from their spectra (Neumann et al. 2022,
      MNRAS 513, 5988); no grid agrees with both (``benchmarks/stellar_grids.py``).
    - Recent star formation: tau of at least 0.3 Gyr. Truncations lie 0.3 to 5 Gyr back and
      concern 15 % of the models: recently quenched galaxies are rare
      (0.2 % have spectra of post-starbursts, Zabludoff et al. 1996, ApJ 466, 104), but fit
      the colors of many that form stars. About a third of the models have a specific
      star formation rate below 1e-11 / yr.

    Scale, widths and limits were chosen among some thirty combinations by comparison with
    masses, A_V and star formation rates of 378 galaxies of the NASA-Sloan Atlas with GSWLC-X2
    (``benchmarks/sed_prior_real.py``), as a compromise: earlier starts give higher masses than
    GSWLC, as do flexible histories (Leja et al. 2019).

    Examples
    --------
    >>> from picasssso.sps import SEDPrior
    >>> from picasssso.sps.distributions import Exponential
    >>> prior = SEDPrior(metallicity=(0.004, 0.05), attenuation=Exponential(0.3, high=2.0))
    >>> prior.metallicity
    LogUniform(low=0.004, high=0.05)
    """

    history: str = "delayed"
    oldest_age: Parameter = _OLDEST_AGE
    timescale: Parameter = (0.3, 20.0)
    truncation_probability: float = 0.15
    truncation_age: Parameter = (0.3, 5.0)
    burst_probability: float = 0.3
    burst_fraction: Parameter = (0.001, 0.3)
    burst_age: Parameter = (0.01, 2.0)
    burst_duration: Parameter = (0.01, 0.3)
    step_scatter: float = 0.3
    metallicity: Parameter = _METALLICITY
    attenuation: Parameter = _ATTENUATION
    birth_cloud_ratio: Parameter = (1.0, 3.0)
    escape_fraction: Parameter = (0.0, 0.0)

    def __post_init__(self) -> None:
        check_choice("history", self.history, HISTORIES)
        for name in _DISTRIBUTED:
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

    @classmethod
    def flat(cls, history: str = "delayed") -> SEDPrior:
        """Return an uninformative prior.

        All parameters are uniform between wide limits, in the logarithm for scale parameters:
        A_V 0-2 mag, oldest stars of 1-13.7 Gyr, metallicities of 0.001-0.05.

        Parameters
        ----------
        history : {"delayed", "steps"}, optional
            Kind of star formation history.

        Returns
        -------
        SEDPrior
            The prior.

        Examples
        --------
        >>> from picasssso.sps import SEDPrior
        >>> SEDPrior.flat().attenuation
        Uniform(low=0.0, high=2.0)
        """
        return cls(history=history, **_FLAT)

    def _checked(self, name: str) -> Distribution:
        value = getattr(self, name)
        if not isinstance(value, Distribution):
            value = self._uninformative(name, value)
        positive = name in (*_LOGARITHMIC, "oldest_age")
        if value.low < 0 or (value.low == 0 and positive):
            expected = "positive" if positive else "not negative"
            raise InvalidInputError(f"{name}={value!r} of the prior must be {expected}.")
        if name in ("burst_fraction", "escape_fraction", "metallicity") and value.high > 1:
            raise InvalidInputError(f"{name}={value!r} of the prior must not exceed 1.")
        return value

    def _uninformative(self, name: str, value: Any) -> Distribution:
        """Return what a pair (low, high) stands for."""
        try:
            low, high = (float(end) for end in value)
        except (TypeError, ValueError):
            raise InvalidInputError(
                f"{name}={value!r} of the prior is not a range: expected a pair (low, high), or "
                "a distribution of picasssso.sps.distributions."
            ) from None
        if not (np.isfinite(low) and np.isfinite(high) and low <= high):
            raise InvalidInputError(
                f"{name}={value!r} of the prior is not a range: expected finite numbers with "
                "low <= high."
            )
        if name not in _LOGARITHMIC:
            return Uniform(low, high)
        if low <= 0:
            raise InvalidInputError(f"{name}={value!r} of the prior must be positive.")
        return LogUniform(low, high)

    @property
    def _n_dimensions(self) -> int:
        """Number of independent parameters of a model (int)."""
        return 4 + (7 if self.history == "delayed" else N_STEPS - 1)

    def to_dict(self) -> dict[str, Any]:
        """Return the prior as plain numbers, for files.

        Returns
        -------
        dict
            Suitable for JSON; `from_dict` is the inverse.
        """
        return {
            field.name: _plain(field.name, getattr(self, field.name)) for field in fields(self)
        }

    @classmethod
    def from_dict(cls, prior: Mapping[str, Any]) -> SEDPrior:
        """Make a prior from what `to_dict` returned.

        Parameters
        ----------
        prior : mapping
            What `to_dict` returned, of this or an earlier version. Missing parameters have the
            values of `flat`, the default of early versions.

        Returns
        -------
        SEDPrior
            The prior.

        Raises
        ------
        InvalidInputError
            If a name, or the name of a distribution, is unknown.
        """
        known = {field.name for field in fields(cls)}
        unknown = sorted(set(prior) - known)
        if unknown:
            raise InvalidInputError(
                f"A prior has no {', '.join(unknown)}: expected names among {sorted(known)}."
            )
        values = dict(_FLAT)
        for name, value in prior.items():
            if isinstance(value, Mapping):
                value = distribution_from_dict(value)
            values[name] = tuple(value) if isinstance(value, list) else value
        return cls(**values)

    def _check_covered(self, grid: SSPGrid) -> None:
        """Raise an error for ranges of metallicity and age that a grid does not cover."""
        metals, oldest = self.distribution("metallicity"), self.distribution("oldest_age")
        first, last = grid.metallicities[[0, -1]]
        if metals.low < first * (1 - 1e-9) or metals.high > last * (1 + 1e-9):
            raise InvalidInputError(
                f"metallicity={metals} of the prior leaves the grid {grid.name}, which "
                f"covers {first:g} to {last:g} (mass fractions): narrow the range."
            )
        if self.history == "delayed" and oldest.high * _GYR > grid.ages[-1] * (1 + 1e-9):
            raise InvalidInputError(
                f"oldest_age={oldest} Gyr of the prior leaves the grid {grid.name}, "
                f"whose oldest population has {grid.ages[-1] / _GYR:.4g} Gyr: narrow the range."
            )

    def _check_age_limit(self, age_limit: float) -> None:
        """Raise an error if the universe, of an age in Gyr, is too young for the histories."""
        if self.history == "steps" and age_limit < _YOUNGEST_UNIVERSE:
            raise InvalidInputError(
                f"The universe was {age_limit:.3g} Gyr old at this redshift: expected at least "
                f"{_YOUNGEST_UNIVERSE:g} Gyr for histories in steps. Use history='delayed'."
            )
        if self.history == "delayed" and age_limit < self.distribution("oldest_age").low:
            raise InvalidInputError(
                f"oldest_age={self.oldest_age} Gyr of the prior starts before the Big Bang: the "
                f"universe was {age_limit:.4g} Gyr old at this redshift. Lower the range."
            )

    def _drawing_range(self, age_limit: float) -> tuple[float, float]:
        """Return a range of ages of the universe, in Gyr, that share what is drawn for its end.

        At least half of the models drawn for the end have stars younger than the beginning, and
        so a place there. Steps depend on the age itself: twice the age where nothing is shared.
        """
        if self.history == "steps":
            return age_limit, age_limit
        start = self.distribution("oldest_age")
        limits = start.values(0.5 ** np.arange(20))
        k = np.count_nonzero(limits >= min(age_limit, start.high)) - 1
        return (limits[k + 1], limits[k]) if k + 1 < limits.size else (age_limit, age_limit)

    def distribution(self, name: str) -> Distribution:
        """Return the distribution of a parameter.

        Parameters
        ----------
        name : str
            Name of the parameter.

        Returns
        -------
        Distribution
            The given distribution, or the uninformative one of a pair.

        Examples
        --------
        >>> from picasssso.sps import SEDPrior
        >>> SEDPrior(attenuation=(0.0, 1.0)).distribution("attenuation").high
        1.0
        """
        distribution = getattr(self, name)
        assert isinstance(distribution, Distribution)
        return distribution

    def _parameters(self, cube: np.ndarray, age_limit: float) -> dict[str, np.ndarray]:
        """Return parameters (n,) from numbers (n, n_dimensions) uniform between 0 and 1.

        ``age_limit``: age in Gyr that no star exceeds; ages and times in Gyr, attenuation in mag.
        """
        names = ("metallicity", "attenuation", "birth_cloud_ratio", "escape_fraction")
        result = {name: self.distribution(name).values(cube[:, k]) for k, name in enumerate(names)}
        self._check_age_limit(age_limit)
        if self.history == "delayed":
            return result | self._delayed_parameters(cube[:, 4:], age_limit)
        from scipy.stats import t as student_t

        # The distribution's ends are infinite; nothing is learnt beyond 10 dex.
        ratios = np.clip(student_t.ppf(cube[:, 4:], 2) * self.step_scatter, -10.0, 10.0)
        return result | {f"log_rate_ratio_{i + 1}": ratios[:, i] for i in range(N_STEPS - 1)}

    def _delayed_parameters(self, cube: np.ndarray, age_limit: float) -> dict[str, np.ndarray]:
        start = self.distribution("oldest_age")
        oldest = start.values(cube[:, 0], age_limit)
        event = cube[:, 2]
        truncated = event < self.truncation_probability
        burst = event > 1.0 - self.burst_probability
        latest = _LATEST_START * oldest
        truncation = self.distribution("truncation_age").values(cube[:, 3], latest)
        fraction = self.distribution("burst_fraction").values(cube[:, 4])
        return {
            "oldest_age": oldest,
            "timescale": self.distribution("timescale").values(cube[:, 1]),
            "truncation_age": np.where(truncated, truncation, 0.0),
            "burst_fraction": np.where(burst, fraction, 0.0),
            "burst_age": self.distribution("burst_age").values(cube[:, 5], latest),
            "burst_duration": self.distribution("burst_duration").values(cube[:, 6]),
        }

    def _histories(
        self, parameters: Mapping[str, np.ndarray], age_limit: float
    ) -> StarFormationHistories:
        """Return the histories of `_parameters`; no star is older than a limit in Gyr."""
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


def _plain(name: str, value: Any) -> Any:
    """Return a value as JSON holds it; a pair for what a pair stands for."""
    if not isinstance(value, Distribution):
        return value
    if type(value) is (LogUniform if name in _LOGARITHMIC else Uniform):
        return [value.low, value.high]
    return value.to_dict()
