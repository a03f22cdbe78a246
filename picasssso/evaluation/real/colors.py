"""Cataloged absolute magnitudes in g and i through an estimator that needs the light alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np

from picasssso.evaluation.real.comparison import compare_values
from picasssso.evaluation.real.estimates import FIELDS, RealEstimator
from picasssso.evaluation.real.painting import corrected_images
from picasssso.evaluation.real.published_tables import column, read_table
from picasssso.evaluation.stacks import log10_positive

#: Of Durbala et al. (2020), AJ 160, 271, table 2: magnitudes are corrected for dust of the
#: Galaxy and of the galaxy itself; what was taken off for the latter is put back.
_COLUMNS = (
    "abs_mag_i", "g_minus_i", "internal_extinction_g", "internal_extinction_i",
    "log_mass_gswlc", "log_mass_taylor",
)  # fmt: skip
#: Where absolute magnitudes are seen from: so near that spectra are hardly shifted.
_REDSHIFT, _DISTANCE = 0.004, 10.0 * u.Mpc
#: Error of a magnitude: of SDSS's photometry of extended galaxies.
_ERROR = 0.05
#: log10 of masses outside these are no measurements; colors, mag.
_MASSES, _COLORS = (6.0, 13.0), (-0.5, 2.5)


def estimate_colors(
    table: Mapping[str, Any], data: Path, estimator: RealEstimator, seed: int = 0
) -> dict[str, Any]:
    """Estimate stellar masses from absolute magnitudes in g and i, all galaxies as one row.

    ``table``: ``catalog`` and ``count``, galaxies drawn at random from those with a mass of
    GSWLC-2; returns for JSON ``log_mass`` by field of `FIELDS`, and published masses.
    """
    found = read_table(Path(data) / table["catalog"], _COLUMNS)
    values = {name: column(found, name) for name in _COLUMNS}
    color = values["g_minus_i"] + values["internal_extinction_g"] - values["internal_extinction_i"]
    bright = values["abs_mag_i"] + values["internal_extinction_i"]
    mass = values["log_mass_gswlc"]
    good = (mass > _MASSES[0]) & (mass < _MASSES[1]) & np.isfinite(bright)
    good &= (color > _COLORS[0]) & (color < _COLORS[1])
    chosen = np.random.default_rng(seed).permutation(np.flatnonzero(good))
    chosen = np.sort(chosen[: int(table.get("count", 1000))])
    distance_modulus = 5.0 * np.log10(_DISTANCE / (10.0 * u.pc))
    apparent = np.array([bright + color, bright])[:, chosen] + float(distance_modulus)
    flux = 10.0 ** (0.4 * (22.5 - apparent))[:, None, :]
    # A pixel of one kpc2, so that surface densities are masses.
    side = np.sqrt(1.0 * u.kpc**2) / (_DISTANCE / (1.0 + _REDSHIFT) ** 2)
    images = corrected_images(
        ("sdss2010-g", "sdss2010-i"),
        flux,
        _ERROR * np.log(10.0) / 2.5 * flux,
        redshift=_REDSHIFT,
        luminosity_distance=_DISTANCE,
        pixel_scale=side.to(u.arcsec, u.dimensionless_angles()),
    )
    maps = estimator.estimate([images], seed)[0]
    planes = [maps.mean("stellar_mass"), *(maps.percentile("stellar_mass", float(f[1:]))
                                           for f in FIELDS[1:])]  # fmt: skip
    logs = [log10_positive(plane.to_value("solMass / kpc2")[0]) for plane in planes]
    return {
        "log_mass": {name: _listed(one) for name, one in zip(FIELDS, logs, strict=True)},
        "gswlc": _listed(mass[chosen]),
        "taylor": _listed(values["log_mass_taylor"][chosen]),
    }


def color_figures(record: Mapping[str, Any]) -> dict[str, Any]:
    """Compare with masses of GSWLC-2, and with those by the relation of Taylor et al. (2011)."""
    ours = {name: np.array(one, dtype=float) for name, one in record["log_mass"].items()}
    return {
        f"mass_{name}": compare_values(
            ours["value"], np.array(record[name], dtype=float), ours["p16"], ours["p84"]
        )
        for name in ("gswlc", "taylor")
    }


def _listed(values: Any) -> list[float | None]:
    return [round(float(v), 4) if np.isfinite(v) else None for v in values]
