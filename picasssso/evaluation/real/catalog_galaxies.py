"""Cataloged galaxies, painted from their profiles, through one estimator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np

from picasssso.bands import BandImages
from picasssso.evaluation.real.comparison import compare_values
from picasssso.evaluation.real.estimates import RealEstimator, describe_region, estimated
from picasssso.evaluation.real.painting import (
    PaintedGalaxy,
    corrected_images,
    major_axis_factor,
    observe_profile,
)
from picasssso.evaluation.real.published_tables import GALAXY_BANDS, GalaxyCatalog
from picasssso.evaluation.stacks import log10_positive
from picasssso.quality import QualityFlag

if TYPE_CHECKING:
    from astropy.cosmology import FLRW

#: u, g, r, i, z.
OPTICAL = GALAXY_BANDS[2:]
#: GSWLC's log10 of SFR / mass, per yr, of galaxies that form stars and of those that do not.
STAR_FORMING, QUIESCENT = -11.0, -11.5
#: log10 of the gas mass in Msun that a quiescent galaxy without detected HI should not exceed.
GAS_LIMIT = 9.5
#: Ages "at one effective radius" are averages between these.
_RING = (0.75, 1.25)
#: Least error of a total flux, as a fraction: calibration.
_CALIBRATION = 0.02


def paint_catalog_galaxy(
    catalog: GalaxyCatalog,
    number: int,
    *,
    seed: int = 0,
    cosmology: FLRW | None = None,
    bands: Sequence[str] = OPTICAL,
) -> PaintedGalaxy:
    """Paint a galaxy of a catalog as SDSS would see it."""
    redshift = float(catalog.table["redshift"][number])
    distance = None if cosmology is None else cosmology.luminosity_distance(redshift)
    extinction = catalog.per_band(number, "galactic_extinction", bands)
    # Of the catalog's fluxes, extinction is taken off already.
    total = catalog.per_band(number, "flux", bands) * 10.0 ** (-0.4 * extinction)
    return observe_profile(
        catalog.profile(number, bands).with_total_colors(total),
        redshift=redshift,
        luminosity_distance=distance,
        extinction=extinction,
        seed=(seed, int(catalog.table["nsa_id"][number])),
    )


def total_light(
    catalog: GalaxyCatalog,
    number: int,
    *,
    of: str = "total",
    cosmology: FLRW | None = None,
    bands: Sequence[str] = OPTICAL,
) -> BandImages:
    """Return the light of a galaxy as one pixel, with the total flux's error and 2 %.

    Bands without a measurement are left out.
    """
    profile = catalog.profile(number, bands)
    profile = profile.cut(max(profile.n_detected(), 1))
    if of == "total":
        flux = catalog.per_band(number, "flux", bands)
    else:
        lift = 10.0 ** (0.4 * catalog.per_band(number, "galactic_extinction", bands))
        flux = profile.fluxes.sum(axis=1) * lift
    weight = catalog.per_band(number, "flux_ivar", bands)
    known = np.where(weight > 0, 1.0 / np.sqrt(np.where(weight > 0, weight, 1.0)), np.inf)
    error = np.hypot(known, _CALIBRATION * np.abs(flux))
    redshift = float(catalog.table["redshift"][number])
    measured = np.isfinite(error) & np.isfinite(flux)
    return corrected_images(
        [band for band, there in zip(bands, measured, strict=True) if there],
        flux[measured, None, None],
        error[measured, None, None],
        redshift=redshift,
        luminosity_distance=None if cosmology is None else cosmology.luminosity_distance(redshift),
        pixel_scale=float(profile.radius[-1]) * np.sqrt(np.pi) * u.arcsec,
    )


def estimate_galaxies(
    catalog: GalaxyCatalog,
    numbers: Sequence[int],
    estimator: RealEstimator,
    *,
    seed: int = 0,
    cosmology: FLRW | None = None,
    bands: Sequence[str] = OPTICAL,
) -> list[dict[str, Any]]:
    """Estimate the properties of some galaxies of a catalog.

    Returns for JSON, of each galaxy: ``number``, ``nsa_id``, ``shape``, ``pixel_scale``;
    ``properties`` (`describe_region`) in the ellipse of the annuli with signal, ``ring`` between
    0.75 and 1.25 effective radii (as the total for one pixel), and ``outside_training``, the
    share of pixels in the ellipse that are flagged so.
    """
    one_pixel = estimator.images != "maps"
    how: dict[str, Any] = {"cosmology": cosmology, "bands": bands}
    painted = [
        None if one_pixel else paint_catalog_galaxy(catalog, k, seed=seed, **how) for k in numbers
    ]
    images = [
        total_light(catalog, k, of=estimator.images, **how) if galaxy is None else galaxy.images
        for k, galaxy in zip(numbers, painted, strict=True)
    ]
    records = []
    for k, galaxy, one, maps in zip(
        numbers, painted, images, estimator.estimate(images, seed), strict=True
    ):
        region = None if galaxy is None else galaxy.aperture
        properties = describe_region(maps, region)
        ring = properties
        if galaxy is not None:
            ring = describe_region(maps, _effective_ring(catalog, k, galaxy))
        flagged = (maps.quality & int(QualityFlag.OUTSIDE_TRAINING)) > 0
        inside = (
            np.ones(maps.shape, dtype=bool)
            if galaxy is None
            else galaxy.aperture.to_mask(method="center").to_image(maps.shape) > 0
        )
        records.append(
            {
                "number": int(k),
                "nsa_id": int(catalog.table["nsa_id"][k]),
                "shape": list(maps.shape),
                "pixel_scale": round(float(one.pixel_scale.to_value(u.arcsec)), 5),
                "properties": properties,
                "ring": {"stellar_age": ring["stellar_age"]} if "stellar_age" in ring else {},
                "outside_training": float(flagged[inside].mean()),
            }
        )
    return records


def _effective_ring(catalog: GalaxyCatalog, number: int, galaxy: PaintedGalaxy) -> Any:
    """Return the pixels between 0.75 and 1.25 effective radii, at least one pixel wide."""
    from photutils.aperture import EllipticalAnnulus

    scale = galaxy.images.pixel_scale.to_value(u.arcsec)
    ratio = galaxy.aperture.b / galaxy.aperture.a
    radius = float(catalog.table["sersic_r50"][number]) / scale
    radius = max(radius, 0.5) * (major_axis_factor(ratio) if ratio < 0.99 else 1.0)
    inner, outer = (x * radius for x in _RING)
    if outer - inner < 1.0:
        inner, outer = max(radius - 0.5, 0.05), radius + 0.5
    return EllipticalAnnulus(
        galaxy.aperture.positions, inner, outer, outer * ratio, theta=galaxy.aperture.theta
    )


def galaxy_figures(catalog: GalaxyCatalog, records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Compare estimates with the values of the catalogs.

    Returns results of `compare_values` in dex (attenuation: mag), as far as the estimator tells:
    ``mass``, ``mass_star_forming``, ``mass_quiescent``, ``attenuation``,
    ``attenuation_quiescent``, ``sfr_star_forming`` (GSWLC-X2), ``age_light_weighted``,
    ``age_mass_weighted`` (Firefly at one effective radius), ``hi`` (ALFALFA); and
    ``quiescent_recognized`` and ``quiescent_without_gas``: ``n`` and the ``share`` of quiescent
    galaxies with log SFR / mass below -11, and of those without HI detection with less gas than
    10^9.5 Msun; ``quiescent_without_gas_median`` by the median of the total, not its mean.
    """
    numbers = [record["number"] for record in records]
    mass, sfr = (catalog.values(name, numbers) for name in ("log_mass", "log_sfr"))
    hi = catalog.values("log_hi_mass", numbers)
    specific = sfr - mass
    forming, quiescent = specific > STAR_FORMING, specific < QUIESCENT
    everything = np.isfinite(mass)
    found: dict[str, Any] = {"n_galaxies": len(records)}
    points: dict[str, Any] = {"log_mass": mass.tolist(), "log_ssfr": specific.tolist()}

    def compare(
        key: str,
        name: str,
        published: Any,
        where: Any,
        logarithm: bool = True,
        of: str = "properties",
    ) -> None:
        if not any(name in record[of] for record in records):
            return
        value, low, high = (
            estimated(records, name, field, of) for field in ("value", "p16", "p84")
        )
        if logarithm:
            value, low, high = (log10_positive(x) for x in (value, low, high))
        target = np.where(where, published, np.nan)
        found[key] = compare_values(value, target, low, high)
        if key in ("mass", "attenuation"):
            points[key] = value.tolist()
            points[f"{key}_difference"] = (value - published).tolist()

    compare("mass", "stellar_mass", mass, everything)
    compare("mass_star_forming", "stellar_mass", mass, forming)
    compare("mass_quiescent", "stellar_mass", mass, quiescent)
    attenuation = catalog.values("attenuation_v", numbers)
    compare("attenuation", "attenuation_v", attenuation, everything, logarithm=False)
    compare("attenuation_quiescent", "attenuation_v", attenuation, quiescent, logarithm=False)
    compare("sfr_star_forming", "sfr", sfr, forming)
    for kind in ("light", "mass"):
        ages = catalog.values(f"firefly_{kind[0]}w_age_1re", numbers)
        compare(f"age_{kind}_weighted", "stellar_age", ages, np.isfinite(ages), of="ring")
    compare("hi", "hi_mass", hi, np.isfinite(hi))
    if any("sfr" in record["properties"] for record in records):
        ratio = estimated(records, "sfr", "value") / estimated(records, "stellar_mass", "value")
        # No star formation at all, or less than none, counts as little.
        quiet = ~(ratio >= 10.0**STAR_FORMING)
        found["quiescent_recognized"] = _share(quiet, quiescent)
        points["log_ssfr_estimate"] = log10_positive(ratio).tolist()
    if any("gas_mass" in record["properties"] for record in records):
        gas = estimated(records, "gas_mass", "value")
        for key, amount in (
            ("quiescent_without_gas", gas),
            ("quiescent_without_gas_median", estimated(records, "gas_mass", "p50")),
        ):
            poor = ~(amount >= 10.0**GAS_LIMIT)
            found[key] = _share(poor, quiescent & ~np.isfinite(hi))
    found["outside_training"] = float(np.mean([r["outside_training"] for r in records]))
    found["points"] = points
    return found


def _share(true: Any, where: Any) -> dict[str, Any]:
    n = int(np.sum(where))
    return {"n": n, "share": float(np.mean(true[where])) if n else None}
