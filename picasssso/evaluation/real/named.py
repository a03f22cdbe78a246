"""Single galaxies in images of a field, against published masses."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
from astropy.nddata import CCDData, StdDevUncertainty
from photutils.aperture import CircularAperture

from picasssso.bands import BandImages, GalacticExtinction
from picasssso.evaluation.real.comparison import log10_positive
from picasssso.evaluation.real.estimating import FIELDS, RealEstimator, describe_region
from picasssso.evaluation.real.fields import Field


def estimate_named(
    description: Mapping[str, Any], folder: Path | str, estimator: RealEstimator, seed: int = 0
) -> dict[str, Any]:
    """Estimate totals of galaxies in a field.

    ``description``: what `Field.read` needs, and ``redshift``, ``psf_fwhm`` (arcsec), ``side``
    (of the cutouts, pixels) and ``galaxies``: tables with ``name``, ``ra``, ``dec``, ``radius``
    (of the circle that is summed, arcsec) and ``log_mass``, a list of published ones.
    """
    field = Field.read(description, folder)
    found = []
    for galaxy in description["galaxies"]:
        images = field.cutout(
            float(galaxy["ra"]),
            float(galaxy["dec"]),
            int(description["side"]),
            redshift=float(description["redshift"]),
            psf_fwhm=float(description.get("psf_fwhm", 1.3)),
        )
        assert images.wcs is not None
        x, y = (float(v) for v in images.wcs.world_to_pixel_values(galaxy["ra"], galaxy["dec"]))
        reach = float(galaxy["radius"]) / images.pixel_scale.to_value(u.arcsec)
        aperture = CircularAperture((x, y), reach)
        region: Any = aperture
        if estimator.images != "maps":
            images, region = _one_pixel(images, aperture), None
        maps = estimator.estimate([images], seed)[0]
        found.append(
            {
                "name": galaxy["name"],
                "log_mass_published": float(np.mean(galaxy["log_mass"])),
                "properties": describe_region(maps, region),
            }
        )
    return {"galaxies": found}


def named_figures(record: Mapping[str, Any]) -> dict[str, Any]:
    """Compare the galaxies of one estimator with what is published.

    Returns by name of the galaxy: ``log_mass``, its ``error``, ``published``, and ``difference``
    in dex; ``attenuation`` and ``age`` where the estimator tells them.
    """
    found = {}
    for galaxy in record["galaxies"]:
        properties = galaxy["properties"]
        mass = [np.nan if x is None else x for x in properties["stellar_mass"]]
        value = float(log10_positive(mass[0]))
        low, high = (float(log10_positive(mass[FIELDS.index(q)])) for q in ("p16", "p84"))
        found[galaxy["name"]] = {
            "log_mass": value,
            "error": (high - low) / 2,
            "published": galaxy["log_mass_published"],
            "difference": value - galaxy["log_mass_published"],
            **{
                key: properties[name][0]
                for key, name in (("attenuation", "attenuation_v"), ("age", "stellar_age"))
                if name in properties
            },
        }
    return found


def _one_pixel(images: BandImages, aperture: CircularAperture) -> BandImages:
    """Return the light in an aperture as one pixel of its area."""
    flux, weight = images.to_arrays()
    inside = aperture.to_mask(method="exact").to_image(images.shape)
    summed = (flux * inside).sum(axis=(1, 2))
    error = np.sqrt((inside / weight).sum(axis=(1, 2)))
    return BandImages(
        {
            band: CCDData([[f]], unit=u.nmgy, uncertainty=StdDevUncertainty([[e]]))
            for band, f, e in zip(images.bands, summed, error, strict=True)
        },
        redshift=images.redshift,
        luminosity_distance=images.luminosity_distance,
        pixel_scale=np.sqrt(aperture.area) * images.pixel_scale,
        galactic_extinction=GalacticExtinction(0.0, scale="SF11", applied=True),
    )
