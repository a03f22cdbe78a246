"""Noise is what its plane's own unit says, whatever else is in the file."""

from contextlib import nullcontext

import astropy.units as u
import numpy as np
import pytest
import survey_layouts as layouts
from astropy.io import fits

from picasssso import BandImages
from picasssso.exceptions import PicassssoWarning

SHAPE = (32, 32)
#: One nmgy in uJy.
IN_UJY = 3.630780547701014


def write(path, name, value, bunit, *more):
    """An image of 10 nmgy with a plane of noise, and other planes (name, BUNIT)."""
    header = layouts.tangent_wcs(SHAPE, 0.4).to_header()
    planes = [(name, value, bunit), *((other, 7.0, unit) for other, unit in more)]
    hdus = [fits.PrimaryHDU(), fits.ImageHDU(np.full(SHAPE, 10.0), header, name="SCI")]
    hdus[1].header["BUNIT"] = "nmgy"
    for label, number, unit in planes:
        hdu = fits.ImageHDU(np.full(SHAPE, number), header, name=label)
        hdu.header["BUNIT"] = unit
        hdus.append(hdu)
    fits.HDUList(hdus).writeto(path)
    return path


def sigma(path):
    images = BandImages.read({"sdss2010-r": str(path)}, redshift=0.02)
    return images.to_arrays()[1][0, 5, 5] ** -0.5


@pytest.mark.parametrize(
    ("name", "value", "bunit"),
    [
        ("ERR", 0.5, "nmgy"),
        ("ERR", 0.5 * IN_UJY, "uJy"),
        ("ERR", 0.25, "nmgy2"),  # a variance by its unit
        ("ERR", 4.0, "nmgy-2"),  # a weight by its unit
        ("VAR", 4.0, "nmgy-2"),
        ("VAR", 0.25, "nmgy"),  # the image's BUNIT, repeated
    ],
)
def test_noise_by_its_unit(tmp_path, name, value, bunit):
    assert sigma(write(tmp_path / "a.fits", name, value, bunit)) == pytest.approx(0.5, rel=1e-5)


def test_another_plane_of_the_same_unit_changes_nothing(tmp_path):
    path = write(tmp_path / "a.fits", "ERR", 0.5 * IN_UJY, "uJy", ("SKY", "uJy"))
    assert sigma(path) == pytest.approx(0.5, rel=1e-5)


@pytest.mark.parametrize("bunit", ["%", "mag"])
def test_relative_noise_is_told_and_not_used(tmp_path, bunit):
    path = write(tmp_path / "a.fits", "ERR", 0.5, bunit)
    with pytest.warns(PicassssoWarning, match="relative to the flux, and not used"):
        images = BandImages.read({"sdss2010-r": str(path)}, redshift=0.02)
    assert images.missing_uncertainty == images.bands


@pytest.mark.parametrize(
    ("unit", "bunit", "told"),
    [("adu", "electron", True), ("electron/s", "electron", True), ("counts", "DN", False)],
)
def test_counts_that_differ_by_gain_or_time_are_told(tmp_path, unit, bunit, told):
    path = write(tmp_path / "a.fits", "ERR", 0.5, bunit)
    with fits.open(path, mode="update") as hdus:
        hdus["SCI"].header["BUNIT"] = unit
    with pytest.warns(PicassssoWarning, match="converted") if told else nullcontext():
        BandImages.read({"sdss2010-r": path}, redshift=0.02, zero_point=22.5 * u.ABmag)


@pytest.mark.parametrize("bunit", ["electron/s", "furlong", "per cent"])
def test_a_unit_that_cannot_be_converted_is_told(tmp_path, bunit):
    path = write(tmp_path / "a.fits", "ERR", 0.5, bunit)
    with pytest.warns(PicassssoWarning, match="which cannot be converted"):
        assert sigma(path) == pytest.approx(0.5, rel=1e-5)


def test_keywords_are_those_of_the_named_plane(tmp_path):
    header = layouts.tangent_wcs(SHAPE, 0.4).to_header()
    hdus = [fits.PrimaryHDU()]
    hdus[0].header.update(TELESCOP="HST", INSTRUME="WFC3", DETECTOR="UVIS", FILTER="F606W")
    for number in (1, 2):
        hdus.append(fits.ImageHDU(np.ones(SHAPE), header, name="SCI", ver=number))
        hdus[-1].header.update(PHOTFLAM=number * 1e-19, PHOTPLAM=5887.0, BUNIT="ELECTRONS/S")
    fits.HDUList(hdus).writeto(tmp_path / "flt.fits")
    first, second = (
        BandImages.read(f"{tmp_path / 'flt.fits'}[SCI,{number}]", redshift=0.1).to_arrays()[0]
        for number in (1, 2)
    )
    np.testing.assert_allclose(second, 2 * first, rtol=1e-6)
