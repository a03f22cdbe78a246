"""What a reader of maps must be told before anything else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import astropy.units as u
import numpy as np

from picasssso.maps.missing import TOLD, galaxy_light, missing_part, smooth_light
from picasssso.maps.regions import pixel_weights
from picasssso.quality import QualityFlag

if TYPE_CHECKING:
    from picasssso.maps.planes import MapPlanes

#: Part of the pixels with light that may be flagged without a notice.
_PART = 0.3

#: Of what ``maps.meta["outside_training"]`` names, what does not say enough in a sentence, and
#: what a larger cutout would mend.
_IN_WORDS = {"frame": "size", "flatness": "flatness of the light"}
_TOO_SMALL = ("frame", "light at the edge")
#: Of the width of the prior: how wide an interval is, and how near, that says no more than it.
_WIDE, _NEAR = 0.9, 0.15
#: Pixels of a map that is no longer of one galaxy; with light, that a galaxy has at least; part
#: of it that may be missing in its center without a word.
_FIELD, _FEWEST_LIT, _TOLD_OF_CENTER = 4_000_000, 30, 0.01
#: With fewer bands these lean on the prior.
_FEW_BANDS = 3
_LEANS = ("stellar_mass", "sfr", "stellar_age", "stellar_metallicity", "attenuation_v")


def outside_notice(maps: MapPlanes) -> str | None:
    """Return what of the images was unlike the estimator's training set, as a sentence.

    Returns none where images as a whole are like those of the training set, and at most three
    tenths of the pixels with light are flagged OUTSIDE_TRAINING; also for binned images, which
    are always flagged.
    """
    causes = [str(name) for name in maps.meta.get("outside_training") or ()]
    if causes:
        words = [_IN_WORDS.get(name, name) for name in causes]
        listed = " and ".join([", ".join(words[:-1]), words[-1]] if words[:-1] else words)
        found = f"{listed} of the image {'is' if len(causes) == 1 else 'are'}"
    else:
        if maps.bins is not None:
            return None
        dark = int(QualityFlag.NO_DATA) | int(QualityFlag.NOT_DETECTED)
        light = (maps.quality & dark) == 0
        outside = (maps.quality & int(QualityFlag.OUTSIDE_TRAINING)) != 0
        part = float(outside[light].mean()) if np.any(light) else 0.0
        if part <= _PART:
            return None
        found = f"{100 * part:.0f} % of the pixels with light are"
    larger = any(name in _TOO_SMALL for name in causes)
    advice = "Take a cutout with more sky around the galaxy, or compare" if larger else "Compare"
    return (
        f"{found} unlike anything that {maps.meta.get('estimator', 'the estimator')} was trained "
        "on (OUTSIDE_TRAINING): the maps may be wrong by more than their stated errors. "
        f"{_reasons(maps)}{advice} with an estimator that is not trained, such as SEDFitEstimator."
    )


def _reasons(maps: MapPlanes) -> str:
    """Return what was found and what the training set has, as a sentence."""
    if "outside_training_reasons" not in maps.meta:
        return ""
    reasons = [str(reason) for reason in maps.meta["outside_training_reasons"]]
    if reasons:
        return f"Outside: {'; '.join(reasons)}. "
    if maps.meta.get("outside_training"):
        return ""
    return "No measure of the images is outside: the members of the ensemble disagree. "


def psf_notice(maps: MapPlanes) -> str | None:
    """Return that the bands' PSFs differ, or which are unknown, as a sentence; None if neither.

    Colors are distorted by PSFs that differ, most of all near the middle of the galaxy.
    """
    bands, widths = (list(maps.meta.get(key) or ()) for key in ("bands", "psf_fwhm_arcsec"))
    if len(bands) < 2 or len(widths) != len(bands):
        return None
    unknown = [band for band, width in zip(bands, widths, strict=True) if width is None]
    if unknown:
        found = f"the PSF of {', '.join(unknown)} is unknown, so the bands are not matched"
    elif np.any(np.asarray(maps.quality) & int(QualityFlag.PSF_MISMATCH)):
        found = (
            f"the PSFs of the bands are not matched, {min(widths):.3g} to {max(widths):.3g} "
            "arcsec (PSF_MISMATCH)"
        )
    else:
        return None
    return f"{found}: colors near the middle may be wrong."


def missing_notice(maps: MapPlanes) -> str | None:
    """Return how much of the target lies in pixels without an estimate, as a sentence.

    Returns none if it is less than 5 %, and 1 % with the galaxy's center; where it is not known;
    and for fields of many galaxies.
    """
    names = [name for name in maps if maps.definition(name).is_surface_density]
    names = [name for name in names if maps._planes(name).mean is not None]
    if not names or maps.shape[0] * maps.shape[1] > _FIELD:
        return None
    name = "stellar_mass" if "stellar_mass" in names else names[0]
    dark = QualityFlag.NO_DATA | QualityFlag.NOT_DETECTED | QualityFlag.UPPER_LIMIT
    if np.count_nonzero((maps.quality & int(dark)) == 0) < _FEWEST_LIT:
        return None
    if maps.target is not None and not maps.target.any():
        return None
    region = pixel_weights(maps.target, maps.shape, maps._wcs)
    valid, weights = ~maps.masks[name], np.zeros(maps.shape)
    weights[region.window] = region.weights
    if not np.any(weights * ~valid):
        return None
    smooth = smooth_light(galaxy_light(maps, name), valid)
    center = smooth is not None and smooth.lacks(valid) and not smooth.lacks(weights > 0)
    part = missing_part(smooth, valid, weights)
    if not part > (_TOLD_OF_CENTER if center else TOLD):
        return None
    label = maps.definition(name).label
    where = ", its center among it," if center else ""
    return (
        f"about {100 * part:.0f} % of the target's {label}{where} is in pixels that are masked "
        "or without data. It is not filled in: totals lack it."
    )


def like_prior(maps: MapPlanes) -> dict[str, str]:
    """Return of which properties the maps say no more than the estimator's prior, in words.

    That is where, in the median of the pixels with detected light, an interval of 68 % is nearly
    as wide as the prior's (``maps.meta["prior"]``) and lies where that does. Widths are those of
    logarithms, but of attenuation. With fewer than three bands all lean on the prior.
    """
    faint = QualityFlag.NO_DATA | QualityFlag.NOT_DETECTED | QualityFlag.UPPER_LIMIT
    light = (maps.quality & int(faint)) == 0
    found = {}
    for name, prior in dict(maps.meta.get("prior") or {}).items():
        if name not in maps or not np.any(good := light & ~maps.masks[name]):
            continue
        planes = np.stack([maps.percentile(name, q).value[good] for q in (16, 50, 84)])
        ends, (low, middle, high) = np.array(prior, float), planes.astype(float)
        if maps.definition(name).unit != u.mag:
            with np.errstate(divide="ignore", invalid="ignore"):
                ends, low, middle, high = (np.log(x) for x in (ends, low, middle, high))
        whole = ends[2] - ends[0]
        if not whole > 1e-6:
            found[name] = f"fixed by the prior, {prior[1]:.2g}"
            continue
        width, shift = (high - low) / whole, (middle - ends[1]) / whole
        if np.nanmedian(width) > _WIDE and abs(np.nanmedian(shift)) < _NEAR:
            found[name] = f"hardly more than the prior, {prior[0]:.2g} to {prior[2]:.2g}"
    if maps.meta.get("prior") and 0 < len(maps.meta.get("bands") or ()) < _FEW_BANDS:
        # One color cannot tell them apart, however narrow the interval is.
        words = "fewer than three bands: the prior has a part in it"
        found |= {name: words for name in _LEANS if name in maps and name not in found}
    return found
