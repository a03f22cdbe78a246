"""Which models of a library lie at the edge of the prior."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from picasssso.sps import SEDPrior

#: Part of a parameter's range, at either end, that counts as its edge.
EDGE = 0.05


def models_at_edge(
    prior: SEDPrior, parameters: Mapping[str, npt.NDArray[np.floating]]
) -> npt.NDArray[np.bool_]:
    """Return which models lie where a wider prior might have fitted better.

    Those are the ends of metallicity, much attenuation and, for delayed histories, a late
    start. The other ends are physical: there is no attenuation below zero, and nothing is
    older than the universe.

    Examples
    --------
    >>> import numpy as np
    >>> from picasssso.estimators._sed_fit.prior_edges import models_at_edge
    >>> from picasssso.sps import SEDPrior
    >>> parameters = {"metallicity": np.array([0.01, 0.049]), "attenuation": np.array([0.0, 1.0])}
    >>> models_at_edge(SEDPrior(history="steps"), parameters)
    array([False,  True])
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
