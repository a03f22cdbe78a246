"""Whether what is stated of images can be: distances by redshifts, PSFs by the images."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from typing import Any

import astropy.units as u
import numpy as np
import numpy.typing as npt

from picasssso.bands.psf_width import BROADEST
from picasssso.exceptions import InvalidInputError, PicassssoWarning

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


def check_stated(
    psf: Mapping[str, Any],
    pixel_scale: float,
    shape: tuple[int, int],
    facts: Mapping[str, Any],
    changes: Iterable[str] | None = None,
) -> None:
    """Refuse a PSF broader than the images, and warn of a distance of no such redshift.

    ``psf``: by band; ``pixel_scale`` in arcsec; ``facts``: the galaxy's distance and redshift;
    ``changes``: what is stated now; by default all. What was accepted once stays accepted, such
    as the PSF of a small part.
    """
    for band, one in psf.items() if changes is None or "psf" in changes else ():
        if isinstance(one, u.Quantity):
            _check_width(one, band, pixel_scale, shape)
    if changes is None or not _FACTS.isdisjoint(changes):
        _warn_of_distance(facts)


def _check_width(psf: u.Quantity, band: str, scale: float, shape: tuple[int, int]) -> None:
    fwhm, most = float(psf.to_value(u.arcsec)) / scale, max(*shape, BROADEST)
    if fwhm > most:
        raise InvalidInputError(
            f"Band {band!r}: PSF: found a FWHM of {psf:g}, {fwhm:.3g} pixels of {scale:.3g} "
            f"arcsec, for images of {shape[1]} x {shape[0]}, expected at most {most} pixels. "
            "Check its unit, and the pixel scale."
        )


def _warn_of_distance(facts: Mapping[str, Any]) -> None:
    distance, redshift = facts["luminosity_distance"], facts["redshift"]
    if distance is None or redshift == 0:  # models may stand anywhere
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
        stacklevel=4,
    )
