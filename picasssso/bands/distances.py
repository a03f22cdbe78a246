"""Whether a distance that is given can be that of a galaxy of the redshift."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from typing import Any

import astropy.units as u
import numpy as np
import numpy.typing as npt

from picasssso.exceptions import PicassssoWarning

#: What motions of galaxies add to a redshift (1500 km/s), and the factor by which measured
#: distances and cosmologies may differ beyond that.
_MOTION, _FACTOR = 0.005, 1.25
#: No galaxy whose images are of use is nearer than this, Mpc.
_NEAREST = 0.02
_FACTS = frozenset({"redshift", "luminosity_distance", "cosmology"})


def distances_of(redshifts: npt.ArrayLike, cosmology: Any = None) -> npt.NDArray[np.float64]:
    """Return the least distance for redshifts, that of the cosmology and the largest, Mpc."""
    from astropy.cosmology import Planck18

    z = np.maximum(np.asarray(redshifts, float), 0.0)
    near, middle, far = (
        np.asarray((cosmology or Planck18).luminosity_distance(one).to_value(u.Mpc))
        for one in (np.maximum(z - _MOTION, 0.0), z, z + _MOTION)
    )
    return np.array([np.maximum(near / _FACTOR, _NEAREST), middle, far * _FACTOR])


def describe_doubt(distance: float, of_redshift: Any, redshift: float, cosmology: str) -> str:
    """Return both distances of a galaxy, Mpc; ``of_redshift``: as of `distances_of`."""
    low, middle, high = of_redshift
    return (
        f"found {distance:.4g} Mpc, and {middle:.4g} Mpc for the redshift {redshift:g} "
        f"({cosmology}), expected {low:.3g} to {high:.3g} Mpc, which leaves room for peculiar "
        "velocities."
    )


def warn_of_distance(facts: Mapping[str, Any], changes: Iterable[str] = _FACTS) -> None:
    """Warn of a distance that was given with images and contradicts their redshift.

    A redshift of exactly 0 is that of models, which may stand anywhere.
    """
    distance, redshift = facts["luminosity_distance"], facts["redshift"]
    if distance is None or redshift == 0 or _FACTS.isdisjoint(changes):
        return
    cosmology = facts["cosmology"]
    known, found = distances_of(redshift, cosmology), float(distance.to_value(u.Mpc))
    if known[0] <= found <= known[2]:
        return
    name = "Planck18" if cosmology is None else cosmology.name or "the cosmology"
    warnings.warn(
        f"luminosity_distance: {describe_doubt(found, known, redshift, name)} Check its unit; "
        "masses go with its square.",
        PicassssoWarning,
        stacklevel=3,
    )
