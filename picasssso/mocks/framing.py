"""Pixels of a galaxy from outside: their size in arcsec and in kpc, and mass that survives."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from picasssso.exceptions import InvalidInputError, InvalidTypeError
from picasssso.mocks.age_bins import AGE_EDGES, N_AGE
from picasssso.mocks.distances import angular_diameter_distance
from picasssso.mocks.galaxy import Galaxies

if TYPE_CHECKING:
    from collections.abc import Sequence

    import astropy.units as u

    from picasssso.sps import SSPGrid

_ARCSEC_PER_RAD = 648000.0 / np.pi

_SURVIVING: dict[str, tuple[np.ndarray, np.ndarray]] = {}


def checked_redshift(redshift: float | None, own: float, what: str) -> float:
    """Return the redshift at which something is observed."""
    chosen = own if redshift is None else redshift
    if isinstance(chosen, bool) or not isinstance(chosen, (int, float, np.number)):
        raise InvalidInputError(f"redshift={redshift!r} is no number.")
    if not 0.003 <= chosen <= 1.9:
        given = "was given" if redshift is not None else "is that of the simulation's file"
        raise InvalidInputError(
            f"{what} cannot be observed at redshift {chosen:.4g}, which {given}: expected 0.003 "
            "to 1.9; give redshift=, at which the galaxy is to be seen as it is in the snapshot."
        )
    return float(chosen)


def pixel_sizes(
    pixel_scale: u.Quantity | None, redshift: float, default_kpc: float
) -> tuple[float, float]:
    """Return the size of a pixel.

    ``default_kpc``: the default in kpc; returns in arcsec and in kpc.

    Examples
    --------
    >>> import astropy.units as u
    >>> from picasssso.mocks.framing import pixel_sizes
    >>> round(pixel_sizes(1.0 * u.kpc, 0.05, 1.0)[0], 2)
    0.99
    """
    import astropy.units as u

    kpc_per_arcsec = float(angular_diameter_distance(np.array(redshift))) * 1e3 / _ARCSEC_PER_RAD
    if pixel_scale is None:
        return default_kpc / kpc_per_arcsec, default_kpc
    if not isinstance(pixel_scale, u.Quantity):
        raise InvalidTypeError(
            f"pixel_scale={pixel_scale!r} has no unit: expected a Quantity such as "
            "0.396 * u.arcsec or 0.5 * u.kpc."
        )
    if not pixel_scale.isscalar or not np.isfinite(pixel_scale.value) or pixel_scale.value <= 0:
        raise InvalidInputError(f"pixel_scale={pixel_scale} cannot be used: expected above 0.")
    if pixel_scale.unit.is_equivalent(u.arcsec):
        arcsec = float(pixel_scale.to_value(u.arcsec))
        return arcsec, arcsec * kpc_per_arcsec
    if pixel_scale.unit.is_equivalent(u.kpc):
        kpc = float(pixel_scale.to_value(u.kpc))
        return kpc / kpc_per_arcsec, kpc
    raise InvalidInputError(
        f"pixel_scale={pixel_scale} is neither an angle nor a length: expected arcsec or kpc."
    )


def surviving_fraction(log_metallicity: np.ndarray, grid: SSPGrid | None = None) -> np.ndarray:
    """Return living stars and remnants per mass formed in each age bin.

    As `picasssso.mocks.LightTable` has it, so that masses of today given here come out of its
    true maps unchanged.

    ``log_metallicity``: log10 of the mass fraction of metals: of shape (n_age, ...), or (1, ...)
    for all ages; returns of shape (n_age, ...).
    """
    from picasssso.sps import SSPGrid
    from picasssso.sps.histories import AgeBins, StepHistories

    key = "" if grid is None else grid.hash
    if key not in _SURVIVING:
        chosen = SSPGrid.default() if grid is None else grid
        weights = StepHistories(AGE_EDGES, np.eye(N_AGE)).age_weights(AgeBins(chosen.ages))
        while len(_SURVIVING) > 3:
            _SURVIVING.pop(next(iter(_SURVIVING)))
        _SURVIVING[key] = (
            np.log10(chosen.metallicities), weights @ chosen.surviving_fraction.T,
        )  # fmt: skip
    nodes, table = _SURVIVING[key]
    return np.stack(
        [
            np.interp(log_metallicity[min(k, len(log_metallicity) - 1)], nodes, table[k])
            for k in range(N_AGE)
        ]
    )


def join_galaxies(parts: Sequence[Galaxies]) -> Galaxies:
    """Return several batches of galaxies as one.

    ``parts``: batches on pixel grids of one shape.
    """
    if not parts:
        raise InvalidInputError("No galaxies were given to be joined.")
    shapes = {part.shape for part in parts}
    if len(shapes) > 1:
        raise InvalidInputError(
            f"Galaxies on grids of {' and '.join(map(str, sorted(shapes)))} pixels cannot be "
            "joined: expected one shape."
        )
    ages = max(part.log_metallicity.shape[1] for part in parts)
    joined = {}
    for name in Galaxies.__dataclass_fields__:
        if name == "parameters":
            continue
        tensors = [getattr(part, name) for part in parts]
        if name == "log_metallicity":
            tensors = [t.expand(-1, ages, -1, -1) for t in tensors]
        joined[name] = torch.cat(tensors)
    common = set.intersection(*(set(part.parameters) for part in parts))
    parameters = {
        name: np.concatenate([np.atleast_1d(part.parameters[name]) for part in parts])
        for name in sorted(common)
    }
    return Galaxies(**joined, parameters=parameters)
