"""New pixels, and everything else as it was: `BandImages.with_planes`."""

import astropy.units as u
import numpy as np
import pytest
from astropy.nddata import NDData, StdDevUncertainty

from picasssso.bands.slots import PER_BAND_SLOTS
from picasssso.exceptions import InvalidInputError, InvalidTypeError, MissingBandError


def planes_in_nmgy(images):
    """The images' own pixels, converted to nmgy."""
    flux, weight = images.to_arrays()
    return {
        band: NDData(
            flux[k],
            unit=u.nmgy,
            mask=weight[k] == 0,
            uncertainty=StdDevUncertainty(1 / np.sqrt(np.where(weight[k] > 0, weight[k], 1))),
        )
        for k, band in enumerate(images)
    }


def test_nothing_known_is_lost(full_images):
    part = full_images[2:20, 3:25]
    new = part.with_planes(planes_in_nmgy(part))
    np.testing.assert_allclose(new.to_arrays()[0], part.to_arrays()[0], rtol=2e-7)
    for name in ("redshift", "survey", "luminosity_distance", "cosmology", "noise_scaling",
                 "zero_point_error", "galactic_extinction", "meta"):  # fmt: skip
        assert getattr(new, name) == getattr(part, name), name
    for band in part:
        assert np.all(new.psf.get(band) == part.psf.get(band))
        assert new.sky_error_nmgy(band) == pytest.approx(part.sky_error_nmgy(band), rel=1e-12)
        assert new.sky_error.keys() == part.sky_error.keys()
    assert np.array_equal(new.bins, part.bins)
    assert np.array_equal(new.labels, part.labels)
    assert not new.zero_point
    assert not new.asinh_softening
    assert new.pixel_solid_angle == part.pixel_solid_angle
    assert new["sdss2010-r"].meta["OBSERVER"] == "somebody"


def test_its_own_planes_change_nothing(full_images):
    new = full_images.with_planes(full_images)
    for slot in PER_BAND_SLOTS:
        assert getattr(new, slot).keys() == getattr(full_images, slot).keys()
    assert np.array_equal(new.to_arrays(), full_images.to_arrays(), equal_nan=True)


def test_bands_that_are_not_named_stay(full_images):
    some = {"g": planes_in_nmgy(full_images)["sdss2010-g"]}
    new = full_images.with_planes(some, psf={"g": 2 * u.arcsec})
    assert new.bands == full_images.bands
    assert new["r"].unit == u.adu
    assert new["g"].unit == u.nmgy
    assert new.psf == {"sdss2010-g": 2 * u.arcsec}


def test_a_band_may_be_masked_all_over(full_images):
    planes = planes_in_nmgy(full_images)
    planes["sdss2010-u"].mask[...] = True
    new = full_images.with_planes(planes)
    assert not new.to_arrays(bands=["u"])[1].any()
    assert not new.replace(redshift=0.033).to_arrays(bands=["u"])[1].any()


def test_another_grid_has_other_areas(full_images, make_wcs):
    planes = {
        band: NDData(np.ones((4, 5)), unit="nmgy", wcs=make_wcs((4, 5), scale=1.0))
        for band in full_images
    }
    with pytest.raises(InvalidInputError, match="bins"):
        full_images.with_planes(planes)
    new = full_images.with_planes(planes, bins=None, labels=None)
    assert new.pixel_solid_angle.value == pytest.approx(1.0, rel=1e-6)
    assert new.luminosity_distance == full_images.luminosity_distance


def test_what_is_refused(full_images):
    plane = NDData(np.ones(full_images.shape), unit="nmgy")
    with pytest.raises(MissingBandError, match=r"Band .y.: found none"):
        full_images.with_planes({"y": plane})
    with pytest.raises(InvalidTypeError, match="with_planes: found tint"):
        full_images.with_planes({"g": plane}, tint="red")
    with pytest.raises(InvalidInputError, match="shape"):
        full_images.with_planes({"g": NDData(np.ones((3, 3)), unit="nmgy")})
    with pytest.raises(InvalidTypeError, match="ndarray"):
        full_images.with_planes({"g": np.ones(full_images.shape)})
    with pytest.raises(InvalidInputError, match="no band"):
        full_images.with_planes({})
