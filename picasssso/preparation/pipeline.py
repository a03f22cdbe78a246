"""All steps of preparation in the right order, with a record of each."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import astropy.units as u

from picasssso._core.arguments import check_flag
from picasssso.bands import BandImages
from picasssso.bands.band_names import resolve_band
from picasssso.bands.merging import merge_bands
from picasssso.bands.pixels import grid_offset
from picasssso.exceptions import InvalidInputError, InvalidTypeError, PicassssoWarning
from picasssso.io.reading import merge_parts, read_parts
from picasssso.maps.missing import TOLD
from picasssso.preparation.background import (
    METHODS,
    mask_padding,
    mask_sky_sources,
    subtract_background,
)
from picasssso.preparation.binning import bin_images
from picasssso.preparation.extinction import correct_extinction, look_up_ebv
from picasssso.preparation.noise import calibrate_noise
from picasssso.preparation.psf import with_measured_psf
from picasssso.preparation.psf_matching import match_psf
from picasssso.preparation.registration import register_bands
from picasssso.preparation.sources import (
    Sources,
    cutout_target,
    find_sources,
    mask_sources,
    warnings_of_others,
)
from picasssso.preparation.steps import with_step

if TYPE_CHECKING:
    from astropy.coordinates import SkyCoord

_SAME_GRID = 1e-3  # pixels
#: Light of another source over the target's from which on the wrong one may be meant.
_OUTSHONE = 20.0


def prepare(
    images: Any,
    *,
    redshift: float | None = None,
    position: SkyCoord | tuple[float, float] | None = None,
    onto: Any = None,
    resampling: str = "exact",
    register: bool = False,
    sky: str | None = "background2d",
    noise: bool = True,
    psf: Any = None,
    match: bool | str | u.Quantity = True,
    ebv: float | str | None = None,
    ebv_scale: str | None = None,
    law: str = "F99",
    r_v: float = 3.1,
    mask: bool = True,
    cutout: float | None = None,
    snr: float | None = None,
    folder: str | os.PathLike[str] | None = None,
    **arguments: Any,
) -> BandImages:
    """Turn survey files into images that estimators can use.

    The steps are: read; subtract the sky and calibrate the noise, on the original pixels of each
    band; align all bands; measure unknown PSFs; match all bands to the broadest PSF; correct for
    Galactic extinction; find the target, and mask stars and neighbors; cut out the target; bin.
    Each step can be skipped, and is also available as a function of `picasssso.preparation`.

    Parameters
    ----------
    images : path, sequence of paths, mapping, BandImages, or sequence of BandImages
        Files, as for `BandImages.read`, or images, which may have different pixel grids.
    redshift : float
        Observed redshift. Required with files.
    position : `~astropy.coordinates.SkyCoord` or tuple of float, optional
        Position of the target, on the sky or as pixel ``(x, y)`` of the aligned images; default:
        the center of the image.
    onto : str, `~astropy.wcs.WCS` or `~astropy.io.fits.Header`, optional
        Grid to align to: that of a band, or another; default: that with the largest pixels.
        Nothing is resampled if all bands have the same grid.
    resampling : {"exact", "adaptive", "interp"}, optional
        Method of resampling, as for `BandImages.reproject_to`.
    register : bool, optional
        Whether to correct shifts of the target between bands above 0.3 pixel (by
        cross-correlation with the deepest band); by default they raise a warning.
    sky : {"background2d", "median"} or None, optional
        Method of sky subtraction, as for `subtract_background`; None: no subtraction.
    noise : bool, optional
        Whether to calibrate the noise and its correlation with empty sky (`calibrate_noise`).
    psf : `~astropy.units.Quantity`, array-like or mapping, optional
        PSF of the bands, on their original pixels; default: that of the files, or measured.
    match : bool, str or `~astropy.units.Quantity`, optional
        Whether to match all bands to one PSF, or the target: a band, or a FWHM.
    ebv : float or "dustmaps", optional
        Galactic E(B-V); ``"dustmaps"`` looks it up. Default: not corrected.
    ebv_scale : {"SFD98", "SF11"}
        Scale of a number given as ``ebv``. Required with it.
    law, r_v : str and float, optional
        Extinction law, as for `correct_extinction`.
    mask : bool, optional
        Whether to mask stars and neighbors.
    cutout : float, optional
        Cut out the target to this number of half-light radii; default: no cutout.
    snr : float, optional
        Bin the target to this signal-to-noise ratio in every band; default: no binning.
    folder : path, optional
        Folder for memory-mapped images of a large field; default: in memory. The result refers
        to temporary files there: write it to keep it.
    **arguments : object
        Other arguments of `BandImages.read`, for images read from files: ``survey``, ``format``,
        ``zero_point``, ``unit``, ``weight`` ...

    Returns
    -------
    BandImages
        In nmgy. ``meta["preparation"]`` records every step.

    Raises
    ------
    PicassssoError
        If the files cannot be used, or a requested step is not possible.

    Warns
    -----
    PicassssoWarning
        If a default step is not possible and was skipped: no stars for the PSF, no sky around
        the galaxy, or no source at the position. Also if about 5 % of the target's light or its
        center is in pixels that are masked or without data, and if more than 2 % of it is that of
        masked stars and neighbors, or of a source that was not masked in doubt.

    Examples
    --------
    >>> from picasssso.data import load_example
    >>> from picasssso.preparation import prepare
    >>> images = prepare(load_example()[0], cutout=3)
    >>> [step["step"] for step in images.meta["preparation"]]
    ['background', 'noise', 'psf matching', 'mask', 'cutout']
    """
    if sky is not None and sky not in METHODS:
        raise InvalidInputError(
            f"prepare: found sky={sky!r}, expected one of {', '.join(METHODS)}, or None."
        )
    check_flag("noise", noise)
    if isinstance(position, str):
        raise InvalidTypeError(
            f"prepare: found position={position!r}, expected a SkyCoord, such as SkyCoord("
            f"{position!r}, unit='deg'), or a pixel (x, y)."
        )
    if not isinstance(mask, bool):
        raise InvalidTypeError(
            f"prepare: found mask={mask!r:.100}, expected whether to mask stars and neighbors. "
            "For masks in files use prepare(BandImages.read(files, mask=...))."
        )
    parts = _parts(images, {"redshift": redshift, "psf": psf, **arguments})
    whole = _align([_clean(part, sky, noise, folder) for part in parts], onto, resampling, folder)
    whole = register_bands(whole, position, mend=register, method=resampling, folder=folder)
    whole = _psf(whole, match, position, folder)
    known = whole.galactic_extinction
    if ebv is not None or (known is not None and not known.applied):
        if isinstance(ebv, str):
            if ebv != "dustmaps":
                raise InvalidInputError(
                    f"prepare: found ebv={ebv!r}, expected a number or 'dustmaps'."
                )
            ebv, ebv_scale = look_up_ebv(_sky_position(whole, position)), "SFD98"
        whole = correct_extinction(whole, ebv, scale=ebv_scale, law=law, r_v=r_v, folder=folder)
    whole = _target(whole, position, mask, cutout, folder)
    return whole if snr is None else bin_images(whole, snr)


def _parts(images: Any, given: dict[str, Any]) -> list[BandImages]:
    """Return the bands in groups that share a pixel grid."""
    parts = [images] if isinstance(images, BandImages) else images
    if isinstance(parts, Sequence) and parts and all(isinstance(p, BandImages) for p in parts):
        known = ("psf", "redshift")
        more = [key for key in given if given[key] is not None and key not in known]
        if more:
            raise InvalidInputError(
                f"prepare: found {', '.join(more)} with BandImages, which know all of it; "
                "expected them with files only. Use images.replace(...)."
            )
        changes = {key: given[key] for key in known if given[key] is not None}
        parts = merge_parts([part.replace(**changes) if changes else part for part in parts])
    elif isinstance(images, str | os.PathLike | Mapping | Iterable):
        parts = read_parts(images, **given)
    else:
        raise InvalidTypeError(
            f"prepare: found {type(images).__name__}, expected files or BandImages."
        )
    files = [{b: r.get("file") for b, r in p.meta.get("source", {}).items()} for p in parts]
    return [
        with_step(part, "read", files=names) if names and "preparation" not in part.meta else part
        for part, names in zip(parts, files, strict=True)
    ]


def _clean(images: BandImages, sky: str | None, noise: bool, folder: Any) -> BandImages:
    """Subtract the sky and calibrate the noise, on the images' own pixels."""
    images = mask_padding(images, folder=folder)
    if sky is None and not (noise or images.missing_uncertainty):
        return images
    hidden = mask_sky_sources(images, folder=folder)
    if sky is not None:
        try:
            images = subtract_background(images, sky, source_mask=hidden, folder=folder)
        except InvalidInputError as error:
            warnings.warn(f"The sky was not subtracted: {error}", PicassssoWarning, stacklevel=3)
    if noise or images.missing_uncertainty:
        try:
            images = calibrate_noise(images, source_mask=hidden, folder=folder)
        except InvalidInputError as error:
            warnings.warn(f"The noise was not measured: {error}", PicassssoWarning, stacklevel=3)
    return images


def _align(parts: list[BandImages], onto: Any, method: str, folder: Any) -> BandImages:
    if len(parts) == 1 and onto is None:
        return parts[0]
    if isinstance(onto, str) or onto is None:
        largest = max(part.pixel_solid_angle for part in parts)
        # Of those that are as large to a per cent, the first.
        at = next(part for part in parts if part.pixel_solid_angle > 0.99 * largest)
        name = at.bands[0] if onto is None else resolve_band(onto, parts[0].survey)
        found = [part for part in parts if name in part]
        if not found:
            raise InvalidInputError(
                f"prepare: found onto={onto!r}, expected one of the bands "
                f"{', '.join(b for part in parts for b in part)}."
            )
        if any(part.wcs is None for part in parts):
            raise InvalidInputError(
                "prepare: found bands without WCS, expected one to align them."
            )
        wcs, shape = found[0].wcs, found[0].shape
    else:
        from astropy.io import fits
        from astropy.wcs import WCS

        name, wcs = "given grid", onto if isinstance(onto, WCS) else WCS(fits.Header(onto))
        if wcs.array_shape is None:
            raise InvalidInputError(
                "prepare: found onto= without the size of the image, expected a header with "
                "NAXIS1 and NAXIS2, or a WCS with array_shape set."
            )
        shape = tuple(wcs.array_shape)
    aligned = [
        part
        if shape == part.shape and grid_offset(wcs, part.wcs, shape)[0] < _SAME_GRID
        else part.reproject_to(wcs, shape, method=method, progress=False, folder=folder)
        for part in parts
    ]
    resampled = [b for old, new in zip(parts, aligned, strict=True) if new is not old for b in new]
    return with_step(
        merge_bands(aligned), "alignment", onto=name, method=method, resampled=resampled
    )


def _find(images: BandImages, position: Any, folder: Any = None) -> Sources | None:
    try:
        return find_sources(images, position, folder=folder)
    except InvalidInputError:
        if position is not None:
            raise
        return None


def _psf(images: BandImages, match: Any, position: Any, folder: Any) -> BandImages:
    if match is False or len(images) == 1:
        return images
    missing = [band for band in images if band not in images.psf]
    if missing:
        found = _find(images, position)
        images = with_measured_psf(images, missing, avoid=None if found is None else found.target)
        missing = [band for band in images if band not in images.psf]
    if not missing:
        return match_psf(images, None if match is True else match, folder=folder)
    if match is not True:
        raise InvalidInputError(
            f"prepare: found no PSF of {', '.join(missing)}, and it could not be measured; "
            "expected one of every band to match them. Give psf={band: 1.2 * u.arcsec}."
        )
    return with_step(images, "psf matching", left_out=f"no PSF of {', '.join(missing)}")


def _sky_position(images: BandImages, position: Any) -> SkyCoord:
    if hasattr(position, "transform_to"):
        return position
    if images.wcs is None:
        raise InvalidInputError(
            "prepare: found images without WCS, expected one to look up E(B-V). Give ebv=."
        )
    middle = [(side - 1) / 2 for side in reversed(images.shape)]
    return images.wcs.pixel_to_world(*(middle if position is None else position))


def _target(
    images: BandImages, position: Any, mask: bool, cutout: float | None, folder: Any
) -> BandImages:
    if not (mask or cutout is not None):
        return images
    found = _find(images, position, folder)
    if found is None:
        if cutout is not None:
            raise InvalidInputError(
                "prepare: found no source in the middle of the image, expected the target there "
                "to cut it out. Give position=."
            )
        warnings.warn(
            "Nothing was masked: there is no source in the middle of the image. Give position=.",
            PicassssoWarning,
            stacklevel=3,
        )
        return images
    x, y, ratio = found.brightest
    if position is None and ratio > _OUTSHONE:
        warnings.warn(
            f"The target is the source in the middle, at pixel ({found.nucleus[0]:.0f}, "
            f"{found.nucleus[1]:.0f}), with {100 / ratio:.1g} % of the light of the brightest, at "
            f"({x:.0f}, {y:.0f}). Give position= if another is meant.",
            PicassssoWarning,
            stacklevel=3,
        )
    if found.hidden_light > TOLD or found.center_hidden:
        where = ", its center among it," if found.center_hidden else ""
        warnings.warn(
            f"About {100 * found.hidden_light:.0f} % of the target's light{where} is in pixels "
            "that are masked or without data in a band. It is not filled in: totals lack it.",
            PicassssoWarning,
            stacklevel=3,
        )
    if mask:
        for said in warnings_of_others(found):
            warnings.warn(said, PicassssoWarning, stacklevel=3)
        images = mask_sources(images, sources=found, folder=folder)
    return images if cutout is None else cutout_target(images, found, radii=cutout)
