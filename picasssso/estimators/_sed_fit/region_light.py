"""The light of a region as an image of one pixel, which an estimator takes like any other."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np
import numpy.typing as npt
from astropy.nddata import NDData, StdDevUncertainty

from picasssso.bands import BandImages, NoiseScaling
from picasssso.bands.pixels import common_pixels, sky_to_pixel
from picasssso.estimators._assembly import target_label
from picasssso.exceptions import InvalidInputError, InvalidTypeError, PicassssoWarning
from picasssso.maps.propagation import measurement_inflation
from picasssso.maps.regions import PixelWeights, pixel_weights
from picasssso.maps.totals import measurements

if TYPE_CHECKING:
    from astropy.coordinates import SkyCoord

FloatArray = npt.NDArray[np.floating]


@dataclass(frozen=True)
class Light:
    """The light of a region, summed over the same pixels in all bands.

    ``image``: of one pixel as large as these together, nmgy; ``weights``: the pixels summed, and
    their parts in the region; ``shape``: of the images they are of; ``n_pixels``: their number;
    ``masked_fraction``: of the region's area that is not in it; ``what``: the region in words.
    """

    image: BandImages
    weights: PixelWeights
    shape: tuple[int, int]
    n_pixels: float
    masked_fraction: float
    what: str


def sum_light(images: BandImages, region: Any) -> Light:
    """Sum the light of a region; see `SEDFitEstimator.fit_sed`."""
    region, what, single = _find_region(images, region)
    weights = pixel_weights(region, images.shape, images.wcs)
    flux, precision = images.to_arrays(weights.window)
    part = np.asarray(weights.weights, np.float64)
    good = (precision > 0) & (part > 0)
    used, common = common_pixels(
        good.reshape(len(flux), -1), np.zeros(part.size, np.intp), 1, part.ravel()
    )
    common, measured = common.reshape(part.shape), used[:, 0]
    _check_common(images, good, measured, common, part, what)
    _warn_of_bands(images, good, measured, part, what)
    chosen = part[common]
    bins: Any = images.bins
    numbers, sizes = measurements(bins, weights.window, common)
    n_pixels = float(chosen.sum())
    planes = {}
    for k, band in enumerate(images.bands):
        total, sigma = 0.0, 1.0
        if measured[k]:
            total = float(chosen @ flux[k][common].astype(np.float64))
            errors = chosen / np.sqrt(precision[k][common].astype(np.float64))
            if numbers is not None:  # all pixels of a bin are one measurement
                errors = np.bincount(numbers, errors)
            scaling: Any = None if single else images.noise_scaling[band]
            inflation = measurement_inflation(sizes, n_pixels, scaling)
            sigma = float(np.sqrt(errors**2 @ inflation))
        planes[band] = NDData(
            np.array([[total]]),
            unit=u.nmgy,
            uncertainty=StdDevUncertainty(np.array([[sigma]]), unit=u.nmgy),
            mask=np.array([[not measured[k]]]),
        )
    inside = float(part.sum())
    return Light(
        image=_one_pixel(images, planes, n_pixels),
        weights=PixelWeights(weights.window, np.where(common, part, 0.0)),
        shape=images.shape,
        n_pixels=n_pixels,
        masked_fraction=max(1 - n_pixels / (inside + weights.outside), 0.0),
        what=what,
    )


def _one_pixel(images: BandImages, planes: dict[str, NDData], n_pixels: float) -> BandImages:
    """Return images of one pixel, of which all is known that is known of the given ones."""
    sky = {band: n_pixels * images.sky_error_nmgy(band) for band in images.bands}
    widths = {band: images.psf_fwhm(band) for band in images.bands}
    solid_angle = n_pixels * images.pixel_solid_angle
    changes = {
        "psf": {band: width for band, width in widths.items() if width is not None},
        "sky_error": {band: error * u.nmgy for band, error in sky.items() if error},
        "noise_scaling": NoiseScaling.white(),  # it is in the errors now
        "pixel_scale": np.sqrt(solid_angle).to(u.arcsec),
        "pixel_solid_angle_arcsec2": solid_angle.to_value(u.arcsec**2),
        **dict.fromkeys(("zero_point", "asinh_softening", "bins", "labels")),
    }
    # A band may be masked all over, as in a pixel of the images.
    return BandImages._restore(planes, images._arguments() | changes)


def _find_region(images: BandImages, region: Any) -> tuple[Any, str, bool]:
    """Return what `pixel_weights` takes, what it is called, and whether it is a pixel."""
    if region is None and (label := target_label(images)) is not None:
        return images.labels == label, "the target's label", False
    if region is None or (isinstance(region, str) and region == "frame"):
        return None, "the whole image", False
    if isinstance(region, int | np.integer) and not isinstance(region, bool):
        if images.labels is None or not (images.labels == region).any():
            raise InvalidInputError(
                f"region={region!r}: found no pixel of that label in the images, expected one of "
                f"{_known_labels(images)}."
            )
        return images.labels == region, f"label {region}", False
    if hasattr(region, "transform_to") or isinstance(region, tuple):
        x, y = _find_pixel(images, region)
        pixel = PixelWeights((slice(y, y + 1), slice(x, x + 1)), np.ones((1, 1)))
        return pixel, f"pixel ({x}, {y})", True
    if isinstance(region, PixelWeights) or hasattr(region, "to_mask"):
        return region, f"the aperture{_radius(region, images)}", False
    if hasattr(region, "to_pixel"):
        return region, f"the aperture{_radius(region, images)} on the sky", False
    try:
        pixel_weights(region, images.shape, images.wcs)
    except InvalidTypeError as error:
        raise InvalidTypeError(
            f"region: found {type(region).__name__}, expected a pixel (x, y), a SkyCoord, a "
            "photutils aperture, a boolean array (True inside), or the number of a label."
        ) from error
    return region, "the mask", False


def _radius(region: Any, images: BandImages) -> str:
    """Return the radius of a circular aperture in words, if it is one."""
    from photutils.aperture import CircularAperture, SkyCircularAperture

    if isinstance(region, CircularAperture):
        return f" of {region.r * images.pixel_scale.to_value(u.arcsec):.3g} arcsec radius"
    if isinstance(region, SkyCircularAperture) and region.r.unit.is_equivalent(u.arcsec):
        return f" of {region.r.to_value(u.arcsec):.3g} arcsec radius"
    return ""


def _known_labels(images: BandImages) -> str:
    if images.labels is None:
        return "none: the images have no labels"
    return ", ".join(str(label) for label in np.unique(images.labels[images.labels != 0])[:10])


def _find_pixel(images: BandImages, place: SkyCoord | tuple[float, float]) -> tuple[int, int]:
    """Return the pixel (x, y) of a position."""
    if not isinstance(place, tuple):
        if not place.isscalar:
            raise InvalidInputError(
                f"region: found {len(place)} positions, expected one; fit one SED for each."
            )
        place = sky_to_pixel(place, images.wcs, "region")
    try:
        x, y = (float(value) for value in place)
    except (TypeError, ValueError):
        raise InvalidInputError(
            f"region={place!r}: expected the two numbers (x, y) of a pixel."
        ) from None
    height, width = images.shape
    if not (-0.5 <= x < width - 0.5 and -0.5 <= y < height - 0.5):
        raise InvalidInputError(
            f"SED: found the pixel (x, y) = ({x:.1f}, {y:.1f}), expected one inside the image of "
            f"{width} x {height}."
        )
    return int(np.floor(x + 0.5)), int(np.floor(y + 0.5))


def _check_common(
    images: BandImages,
    good: npt.NDArray[np.bool_],
    measured: npt.NDArray[np.bool_],
    common: npt.NDArray[np.bool_],
    part: FloatArray,
    what: str,
) -> None:
    """Refuse regions without pixels that at least two bands have."""
    bands = [band for band, one in zip(images.bands, measured, strict=True) if one]
    if len(bands) >= 2 and common.any():
        return
    areas = ", ".join(
        f"{band} {part[plane].sum():.4g}" for band, plane in zip(images.bands, good, strict=True)
    )
    raise InvalidInputError(
        f"SED of {what}: found data in {areas} of {part.sum():.4g} pixels, expected pixels that "
        "at least two bands have together. Choose another region, or leave out a band."
    )


def _warn_of_bands(
    images: BandImages,
    good: npt.NDArray[np.bool_],
    measured: npt.NDArray[np.bool_],
    part: FloatArray,
    what: str,
) -> None:
    """Say which bands are left out for what they lack."""
    for band, plane, one in zip(images.bands, good, measured, strict=True):
        if not one and plane.any():
            share = 100 * part[plane].sum() / part[good.any(axis=0)].sum()
            warnings.warn(
                f"SED of {what}: {band} has data in {share:.0f} % of the area, less than half, "
                "and is left out. Choose a smaller region to have it.",
                PicassssoWarning,
                stacklevel=5,
            )
