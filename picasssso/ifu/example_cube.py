"""A small cube for examples: a flat f_lambda, with noise."""

from __future__ import annotations

import astropy.units as u
import numpy as np
from astropy.nddata import VarianceUncertainty
from astropy.wcs import WCS

from picasssso.ifu.cube import Cube


def cube_wcs(low: float, step: float, pixel: float = 0.5, center: float = 3.5) -> WCS:
    """Return the WCS of a cube: first wavelength and step in AA, pixel in arcsec."""
    wcs = WCS(naxis=3)
    wcs.wcs.ctype = "RA---TAN", "DEC--TAN", "WAVE"
    wcs.wcs.cunit = "deg", "deg", "Angstrom"
    wcs.wcs.cdelt = -pixel / 3600, pixel / 3600, step
    wcs.wcs.crval = 150.0, 2.0, low
    wcs.wcs.crpix = center, center, 1
    wcs.wcs.set()
    return wcs


def flat_cube(low: float = 3600.0, high: float = 10300.0, *, level: float = 1.0) -> Cube:
    """Return 6 x 6 spaxels of f_lambda = ``level`` x 1e-17 erg/s/cm2/AA, in vacuum."""
    from specutils import Spectrum

    shape = int((high - low) / 2) + 1, 6, 6
    arm = Spectrum(
        flux=np.full(shape, level) * u.Unit("1e-17 erg / (s cm2 AA)"),
        wcs=cube_wcs(low, 2.0),
        uncertainty=VarianceUncertainty(np.full(shape, 0.01 * level**2)),
    )
    return Cube([arm], wavelength_frame="vacuum", redshift=0.02)
