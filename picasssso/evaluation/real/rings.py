"""Rings of a nearby galaxy, against published surface densities."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np

from picasssso.evaluation.real.catalog_galaxies import QUIESCENT
from picasssso.evaluation.real.comparison import compare_values
from picasssso.evaluation.real.estimates import RealEstimator
from picasssso.evaluation.real.fields import Field, move_to_redshift
from picasssso.evaluation.real.published_tables import (
    GALAXY_BANDS,
    GalaxyCatalog,
    column,
    read_table,
)
from picasssso.evaluation.residuals import for_json
from picasssso.evaluation.stacks import log10_positive
from picasssso.exceptions import InvalidInputError, PicassssoWarning
from picasssso.maps.totals import known_correlation

#: Of a table of rings, after Leroy et al. (2008, AJ 136, 2782), table 7.
_COLUMNS = ("galaxy", "radius_kpc", "sigma_hi", "sigma_h2", "sigma_star", "sigma_sfr")
#: Msun/pc2, and 1e-4 Msun/yr/kpc2, in units of maps.
_PER_PC2, _RATE = 1e6, 1e-4
#: Galaxies whose g-r differs by less are alike.
_SAME_COLOR = 0.04
#: What is compared.
RING_PROPERTIES = {"stellar_mass": "stars", "gas_mass": "gas", "sfr": "sfr"}


def read_rings(
    path: str | os.PathLike[str], galaxy: str, *, distance_ratio: float = 1.0, imf: float = 1.0
) -> dict[str, np.ndarray]:
    """Read the rings of a galaxy.

    ``path``: (2008): ``galaxy``, ``radius_kpc``, ``sigma_hi``, ``sigma_h2``, ``sigma_star``
    (deprojected, Msun/pc2, gas with helium) and ``sigma_sfr`` (1e-4 Msun/yr/kpc2); returns
    ``radius`` in kpc, and in units of maps ``stellar_mass``, ``gas_mass`` (HI and H2; no H2
    where none is listed) and ``sfr``; NaN where there is no value.
    """
    table = read_table(path, _COLUMNS)
    here = np.asarray(table["galaxy"]).astype(str) == galaxy
    if here.sum() < 2:
        known = sorted(set(np.asarray(table["galaxy"]).astype(str)))
        raise InvalidInputError(
            f"{path} holds no rings of {galaxy!r}: its galaxies are {', '.join(known)}."
        )
    values = {name: column(table[here], name) for name in _COLUMNS[1:]}
    gas = values["sigma_hi"] + np.nan_to_num(values["sigma_h2"])
    return {
        "radius": values["radius_kpc"] * distance_ratio,
        "stellar_mass": values["sigma_star"] * _PER_PC2 * imf,
        "gas_mass": gas * _PER_PC2,
        "sfr": values["sigma_sfr"] * _RATE * imf,
    }


def estimate_rings(
    description: Mapping[str, Any], folder: Path | str, estimator: RealEstimator, seed: int = 0
) -> dict[str, Any]:
    """Estimate surface densities of the rings of a galaxy moved to a redshift.

    ``description``: what `Field.read` needs, and ``distance`` in Mpc, ``redshift`` to which the
    galaxy is moved, ``block``, ``psf_fwhm`` (arcsec), ``center`` (ra and dec, degrees),
    ``inclination`` and ``position_angle`` (degrees), and ``rings``: ``file``, ``galaxy``,
    ``distance`` (Mpc), ``imf`` and ``beyond`` and ``within`` (kpc); returns for JSON: ``radius``
    in kpc, and by property ``estimate``, its ``error`` and ``published``, all in units of maps,
    deprojected.
    """
    if estimator.images != "maps":
        raise InvalidInputError(
            f"Rings need maps: this estimator has images = {estimator.images!r}."
        )
    field = Field.read(description, folder)
    block = int(description.get("block", 1))
    distance = float(description["distance"])
    images, kpc = move_to_redshift(
        field,
        distance=distance * u.Mpc,
        redshift=float(description["redshift"]),
        block=block,
        psf_fwhm=float(description.get("psf_fwhm", 1.3)),
        seed=seed,
    )
    rings = description["rings"]
    published = read_rings(
        Path(folder) / rings["file"],
        rings["galaxy"],
        distance_ratio=distance / float(rings.get("distance", distance)),
        imf=float(rings.get("imf", 1.0)),
    )
    radius = published["radius"]
    edges = np.concatenate(
        [[0.0], (radius[1:] + radius[:-1]) / 2, [1.5 * radius[-1] - 0.5 * radius[-2]]]
    )
    x, y = field.pixel(*description["center"])
    center = ((x + 0.5) / block - 0.5, (y + 0.5) / block - 0.5)
    maps = estimator.estimate([images], seed)[0]
    used = (radius >= float(rings.get("beyond", 0.0))) & (
        radius <= float(rings.get("within", np.inf))
    )
    found: dict[str, Any] = {"radius": radius[used].tolist(), "pixel_kpc": kpc, "properties": {}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PicassssoWarning)
        for name in RING_PROPERTIES:
            if name not in maps:
                continue
            table = maps.profile(
                name,
                center=center,
                position_angle=float(description["position_angle"]) * u.deg,
                inclination=float(description["inclination"]) * u.deg,
                # Rings in kpc at the galaxy's distance are rings of pixels.
                edges=edges / kpc * images.pixel_scale,
                correlation=known_correlation(maps, name),
            )
            found["properties"][name] = {
                "estimate": for_json(np.asarray(table[name].value)[used].tolist()),
                "error": for_json(np.asarray(table[f"{name}_error"].value)[used].tolist()),
                "published": for_json(published[name][used].tolist()),
            }
    return found


def compare_rates(
    description: Mapping[str, Any], catalog: GalaxyCatalog, folder: Path | str
) -> dict[str, Any]:
    """Compare the published specific rate of a galaxy with those of a catalog of its g-r.

    Returns ``what`` it is, and `compare_values` in dex: the galaxy less each of those.
    """
    rings = description["rings"]
    published = read_rings(Path(folder) / rings["file"], rings["galaxy"])
    radius = published["radius"]
    within = float(rings.get("within", np.inf))
    # Radii and limits of the description are for its distance, those of the table for another.
    ratio = float(description["distance"]) / float(rings.get("distance", description["distance"]))
    area = radius * np.gradient(radius) * (ratio * radius <= within)
    rate = np.nansum(area * published["sfr"]) / np.nansum(area * published["stellar_mass"])
    field = Field.read(description, folder)
    y, x = np.indices(field.flux.shape[1:])
    middle_x, middle_y = field.pixel(*description["center"])
    inside = min(within, ratio * radius[-1]) / (float(description["distance"]) * 1e3)
    near = np.hypot(x - middle_x, y - middle_y) * field.pixel_scale < np.degrees(inside) * 3600.0
    flux = {band[-1]: np.nansum(plane[near])
            for band, plane in zip(field.bands, field.flux, strict=True)}  # fmt: skip
    color = float(-2.5 * np.log10(flux["g"] / flux["r"]))
    numbers = np.arange(len(catalog.table))
    g, r = (
        np.asarray(catalog.table["flux"], dtype=float)[:, GALAXY_BANDS.index(f"sdss2010-{band}")]
        for band in "gr"
    )
    specific = catalog.values("log_sfr", numbers) - catalog.values("log_mass", numbers)
    with np.errstate(divide="ignore", invalid="ignore"):
        alike = np.abs(-2.5 * np.log10(g / r) - color) < _SAME_COLOR
    alike &= specific > QUIESCENT
    title = str(description.get("name", rings["galaxy"]))
    return {
        "what": f"{title}: SFR per mass less GSWLC-X2's of galaxies of its g-r, {color:.2f}",
        **compare_values(np.full(int(alike.sum()), np.log10(rate)), specific[alike]),
    }


def ring_figures(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return `compare_values` in dex of ``stars``, ``gas``, ``sfr`` over rings, and ``points``."""
    found: dict[str, Any] = {}
    for name, key in RING_PROPERTIES.items():
        entry = record["properties"].get(name)
        if entry is None:
            continue
        ours, error, theirs = (
            np.array(entry[k], dtype=float) for k in ("estimate", "error", "published")
        )
        found[key] = compare_values(
            log10_positive(ours),
            log10_positive(theirs),
            log10_positive(ours - error),
            log10_positive(ours + error),
        )
    found["points"] = dict(record)
    return found
