"""What the checks need: images to try an estimator with, changed copies, and comparisons."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from astropy.nddata import CCDData, StdDevUncertainty

from picasssso.bands import BandImages
from picasssso.estimators import PropertyMapEstimator
from picasssso.maps import PropertyMaps
from picasssso.quality import QualityFlag
from picasssso.testing.galaxy import make_galaxy

Bands = tuple[str, ...]

#: Rounding of float32 arithmetic that is done in another order.
ROUNDING = 2e-4


def images_for(
    estimator: PropertyMapEstimator,
    bands: Bands,
    redshift: float,
    *,
    beyond_reach: bool = False,
    **options: Any,
) -> BandImages:
    """Make a small galaxy; ``beyond_reach``: so large that some pixels see no edge."""
    side = 40 + (2 * min(estimator.receptive_field or 0, 80) if beyond_reach else 0)
    side = -(-side // estimator.stride) * estimator.stride
    return make_galaxy((side, side + estimator.stride), bands=bands, redshift=redshift, **options)


def planes_of(maps: PropertyMaps) -> dict[str, np.ndarray]:
    """All numbers of the maps as plain arrays."""
    planes: dict[str, np.ndarray] = {"quality": np.asarray(maps.quality)}
    for name in maps:
        for q in (2.5, 16, 50, 84, 97.5):
            planes[f"{name} {q:g} %"] = maps.percentile(name, q).value
        if maps.definition(name).is_surface_density:
            planes[f"{name} mean"] = maps.mean(name).value
    return planes


def assert_same(
    first: PropertyMaps, second: PropertyMaps, what: str, rtol: float = 0.0, region: Any = ...
) -> None:
    """Assert that maps agree, relative to the posterior's own width as well.

    A mean that happens to lie near zero has no meaningful relative error, hence the
    second scale: the largest value of any of the property's planes times the rounding of
    float32 (a low percentile may be a small difference of larger numbers).
    """
    left, right = planes_of(first), planes_of(second)
    assert left.keys() == right.keys(), f"{what}: planes differ: {left.keys() ^ right.keys()}"
    for name, plane in left.items():
        a, b = plane[region], right[name][region]
        if rtol == 0 or a.dtype.kind in "iu":
            assert np.array_equal(a, b, equal_nan=a.dtype.kind == "f"), (
                f"{what}: {name} differs in {np.sum(a != b)} of {a.size} pixels"
            )
            continue
        of_property = [left[other] for other in left if other.split()[0] == name.split()[0]]
        finite = [np.nanmax(np.abs(one)) for one in of_property if np.isfinite(one).any()]
        scale = max(finite, default=1.0)
        np.testing.assert_allclose(
            a, b, rtol=rtol, atol=1e-6 * scale, equal_nan=True, err_msg=f"{what}: {name}"
        )


def assert_close(
    first: PropertyMaps, second: PropertyMaps, what: str, tolerance: float, region: Any
) -> None:
    """Assert that medians agree within a part of their value or 95 % range in 99 % of pixels.

    Of the quality plane, only what the data say is compared: other bits stand for a
    threshold, on whose two sides two nearly equal answers may lie.
    """
    bits = int(QualityFlag.NO_DATA) | int(QualityFlag.MISSING_BAND)
    same = (first.quality[region] & bits) == (second.quality[region] & bits)
    assert np.all(same), f"{what}: quality differs in {np.sum(~same)} pixels"
    for name in first:
        low, a, high = (first.percentile(name, q).value[region] for q in (2.5, 50, 97.5))
        b = second.percentile(name, 50).value[region]
        assert np.array_equal(np.isnan(a), np.isnan(b)), f"{what}: {name} is masked elsewhere"
        far = np.mean(np.abs(a - b) > tolerance * np.maximum(np.abs(a), high - low))
        assert far <= 0.01, (
            f"{what}: {name} differs by more than the shift_tolerance of {tolerance:g} of its "
            f"value or 95 % range in {far:.1%} of the pixels"
        )


def with_band(images: BandImages, band: str, **changes: Any) -> BandImages:
    """Replace one band's image by a changed copy."""
    return rebuild(
        images, {b: copy_of(images[b], **(changes if b == band else {})) for b in images}
    )


def rebuild(images: BandImages, ccds: dict[str, CCDData]) -> BandImages:
    """Return images of the same galaxy with other bands."""
    return BandImages(
        ccds,
        redshift=images.redshift,
        psf={band: images.psf_fwhm(band) for band in images.bands},
        galactic_extinction=images.galactic_extinction,
    )


def copy_of(
    ccd: CCDData, data: Any = None, mask: Any = None, unit: Any = None, sigma: Any = None
) -> CCDData:
    """Return a changed copy of an image."""
    sigma = ccd.uncertainty.array if sigma is None else sigma
    return CCDData(
        np.array(ccd.data) if data is None else data,
        unit=ccd.unit if unit is None else unit,
        wcs=ccd.wcs,
        mask=mask,
        uncertainty=StdDevUncertainty(np.array(sigma)),
    )


def message_of(error: type[Exception], call: Callable[..., Any], *arguments: Any) -> str | None:
    """Return the message of the error that a call raises, or None if it raises none."""
    try:
        call(*arguments)
    except error as raised:
        return str(raised)
    return None


def used_bands(estimator: PropertyMapEstimator, bands: tuple[str, ...]) -> tuple[str, ...]:
    """Return the bands that an estimator uses."""
    return tuple(estimator._select_bands(bands))
