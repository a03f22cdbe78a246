"""Synthetic images: filters over a cube."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np
import numpy.typing as npt
from astropy.nddata import CCDData, InverseVariance, StdDevUncertainty, VarianceUncertainty

from picasssso.bands import BandImages
from picasssso.bands.band_names import resolve_band
from picasssso.exceptions import InvalidInputError
from picasssso.filters.curves import pivot_wavelength
from picasssso.ifu.coverage import LEAST_COVERED, BandWeights, cut_filter, weigh_band
from picasssso.ifu.cube import Cube, flux_factor

if TYPE_CHECKING:
    from specutils import Spectrum

FloatArray = npt.NDArray[np.float64]

_NMGY = float(u.nmgy.to(u.erg / u.s / u.cm**2 / u.Hz, 1.0, u.zero_point_flux(1 * u.ABflux)))
#: Wavelength pixels that are read at a time.
_CHUNK = 256


def synthetic_images(
    cube: Cube,
    bands: str | Sequence[str],
    *,
    survey: str | None = None,
    partly: str | None = None,
    noise_scaling: Any = None,
    **arguments: Any,
) -> BandImages:
    """Integrate filters over a cube.

    Wavelength pixels that are masked or not finite are excluded, and the band is rescaled
    accordingly; a spaxel is masked if more than a twentieth of the band is missing. Errors of
    wavelength pixels are assumed to be independent; noise correlation of spaxels, PSF,
    calibration error, Galactic extinction and bins are those of the cube.

    Parameters
    ----------
    cube : Cube
        The cube.
    bands : str or sequence of str
        Filters, such as ``"sdss2010-g"``, including user-defined ones.
    survey : str, optional
        Survey of bare band names.
    partly : {"cut", "leave"}, optional
        Treatment of filters of which the cube covers less than 95 %: ``"cut"`` replaces them by
        filters cut to the cube, as new bands; ``"leave"`` omits them. By default they raise an
        error.
    noise_scaling : NoiseScaling, optional
        Overrides that of the cube.
    **arguments : object
        Other arguments of `~picasssso.bands.BandImages`, such as ``zero_point_error`` or
        ``luminosity_distance``, in place of what the cube says.

    Returns
    -------
    BandImages
        In nmgy per spaxel, with standard deviations; ``meta["ifu"]`` records the coverage of
        each filter and missing information.

    Raises
    ------
    InvalidInputError
        If a filter is not covered, or no spaxel has data.

    Examples
    --------
    >>> from picasssso.ifu import synthetic_images
    >>> from picasssso.ifu.example_cube import flat_cube
    >>> images = synthetic_images(flat_cube(3600, 7600), ["g", "r", "i"], survey="sdss",
    ...                           partly="cut")
    >>> images.bands
    ('sdss2010-g', 'sdss2010-r', 'cut_3600_7600-sdss2010_i')
    >>> images.meta["ifu"]["covered"]["sdss2010-r"]
    1.0
    """
    if not isinstance(cube, Cube):
        raise InvalidInputError(
            f"Found {type(cube).__name__}: expected a picasssso.ifu.Cube, such as read_cube makes."
        )
    if not any(covered.any() for covered in cube.covered):
        raise InvalidInputError(
            f"{cube!r} has no data: expected wavelengths that at least half of the spaxels have. "
            "Are all pixels masked, or not finite?"
        )
    names = [bands] if isinstance(bands, str) else list(bands)
    if not names:
        raise InvalidInputError("bands: found none, expected filters such as 'sdss2010-g'.")
    chosen = _choose(cube, [resolve_band(band, survey) for band in names], partly)
    planes = _integrate(cube, chosen)
    open_questions = list(cube.meta.get("notes", ()))
    scaling = cube.noise_scaling if noise_scaling is None else noise_scaling
    if scaling is None and cube.bins is None:
        open_questions.append("correlation of the noise of spaxels not stated, taken as none")
    if not cube.psf_fwhm and "psf" not in arguments:
        open_questions.append("PSF not stated")
    given: dict[str, Any] = {
        "redshift": cube.redshift,
        "galactic_extinction": cube.galactic_extinction,
        "bins": cube.bins,
        "noise_scaling": scaling,
        "psf": _psf(cube, chosen),
        "zero_point_error": (
            None if cube.calibration_error is None else 100 * cube.calibration_error * u.percent
        ),
    }
    record = {
        "survey": cube.survey,
        "covered": {one.band: round(one.covered, 4) for one in chosen},
        "wavelength_frame": cube.wavelength_frame,
        "ranges": [list(one) for one in cube.ranges],
        "notes": open_questions,
    }
    notes = {key: value for key, value in cube.meta.items() if key != "notes"}
    given["meta"] = {**notes, **arguments.pop("meta", {}), "ifu": record}
    given = {name: value for name, value in (given | arguments).items() if value is not None}
    return BandImages(planes, **given)


def _choose(cube: Cube, bands: Sequence[str], partly: str | None) -> list[BandWeights]:
    """Return the weights of bands, of those that are not covered too if that is wanted."""
    if partly not in (None, "cut", "leave"):
        raise InvalidInputError(f"partly={partly!r}: expected 'cut', 'leave' or None.")
    chosen = []
    for band in bands:
        found = weigh_band(cube, band)
        if found.covered < LEAST_COVERED:
            if partly is None:
                ranges = ", ".join(f"{low:.0f}-{high:.0f}" for low, high in cube.ranges)
                raise InvalidInputError(
                    f"Band {band!r}: the cube covers {100 * found.covered:.0f} % of the filter "
                    f"(it has {ranges} AA), expected at least {100 * LEAST_COVERED:.0f} %. With "
                    "partly='cut' the filter is cut to the cube, as a band of its own; with "
                    "partly='leave' it is left out."
                )
            if partly == "leave":
                continue
            found = weigh_band(cube, cut_filter(cube, band).name)
        chosen.append(found)
    if not chosen:
        raise InvalidInputError(
            f"The cube covers none of {', '.join(bands)}: expected a band of which it has "
            f"{100 * LEAST_COVERED:.0f} %, or partly='cut'."
        )
    return chosen


def _psf(cube: Cube, chosen: Sequence[BandWeights]) -> dict[str, u.Quantity] | None:
    widths = {w.band: cube.resolution(pivot_wavelength(w.band).to_value(u.AA)) for w in chosen}
    return {band: fwhm * u.arcsec for band, fwhm in widths.items() if fwhm is not None} or None


def _integrate(cube: Cube, chosen: Sequence[BandWeights]) -> dict[str, CCDData]:
    """Return images of bands, nmgy per spaxel; wavelengths are read chunk by chunk."""
    shape = len(chosen), *cube.shape
    flux, variance, seen = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    whole = np.zeros(len(chosen))
    for number, arm in enumerate(cube.arms):
        factor = flux_factor(arm) / _NMGY
        weights = np.stack([one.arms[number] for one in chosen])
        # How much of the light of a flat f_lambda counts, to know how much of a band is masked.
        whole += np.abs(weights).sum(axis=1)
        used = np.flatnonzero(np.any(weights != 0, axis=0))
        if not used.size:
            continue
        for start in range(used[0], used[-1] + 1, _CHUNK):
            part = slice(start, min(start + _CHUNK, used[-1] + 1))
            values, errors, good = _read(arm, part)
            share = weights[:, part]
            flux += factor * np.tensordot(share, values, 1)
            variance += factor**2 * np.tensordot(share**2, errors, 1)
            seen += np.tensordot(np.abs(share), good, 1)
    images = {}
    for k, one in enumerate(chosen):
        fraction = seen[k] / whole[k]
        known = fraction >= LEAST_COVERED
        if not known.any():
            raise InvalidInputError(
                f"Band {one.band!r}: no spaxel has data over {100 * LEAST_COVERED:.0f} % of the "
                "band. Check the mask and the variances of the cube."
            )
        fraction = np.where(known, fraction, np.nan)
        images[one.band] = CCDData(
            flux[k] / fraction,
            unit=u.nmgy,
            wcs=cube.wcs,
            uncertainty=StdDevUncertainty(np.sqrt(variance[k]) / fraction),
            mask=~known,
        )
    return images


def _read(arm: Spectrum, part: slice) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return fluxes, variances, and 1 where both are known, else 0 in all three."""
    values = np.asarray(arm.data[part], float)
    raw = np.asarray(arm.uncertainty.array[part], float)
    good = np.isfinite(values) & np.isfinite(raw) & (raw > 0)
    if arm.mask is not None:
        good &= ~np.asarray(arm.mask[part], bool)
    kind = type(arm.uncertainty)
    powers = {VarianceUncertainty: 1, StdDevUncertainty: 2, InverseVariance: -1}
    errors = np.where(good, raw, 1.0) ** powers[kind]
    return np.where(good, values, 0.0), np.where(good, errors, 0.0), good.astype(float)
