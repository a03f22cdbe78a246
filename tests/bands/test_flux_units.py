"""Known answers of unit conversion, and that all units give the same fluxes."""

import astropy.units as u
import numpy as np
import pytest
from astropy.nddata import CCDData, InverseVariance, StdDevUncertainty, VarianceUncertainty
from hypothesis import given, settings
from hypothesis import strategies as st

from picasssso._core.solid_angles import pixel_solid_angles
from picasssso.bands import BandImages
from picasssso.bands.band_names import SURVEYS, resolve_band
from picasssso.filters.curves import pivot_wavelength

R = "sdss2010-r"
PIXEL_AREA = 0.16  # arcsec2


def convert(data, unit, *, uncertainty=None, band=R, **arguments):
    ccd = CCDData(np.atleast_2d(data), unit=unit, uncertainty=uncertainty)
    images = BandImages({band: ccd}, redshift=0.1, pixel_scale=0.4 * u.arcsec, **arguments)
    return images, *(plane[0] for plane in images.to_arrays())


# ---- wavelengths --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("band", "nanometer"),
    # As ESA publishes them with the passbands of Riello et al. (2021, A&A 649, A3).
    [("G", 621.76), ("BP", 510.97), ("RP", 776.90)],
)
def test_pivot_wavelengths_of_gaia(band, nanometer):
    assert pivot_wavelength(f"gaiadr3-{band}").to_value(u.nm) == pytest.approx(nanometer, abs=0.1)


def test_pivot_wavelength_of_a_box():
    """For a constant response between a and b: lambda_p^2 = (b^2 - a^2) / (2 ln(b / a))."""
    from speclite.filters import FilterResponse

    wavelength = np.linspace(4000, 6000, 2001)
    response = np.ones_like(wavelength)
    response[[0, -1]] = 0
    FilterResponse(
        wavelength=wavelength, response=response, meta={"group_name": "test", "band_name": "box"}
    )
    expected = np.sqrt((6000**2 - 4000**2) / 2 / np.log(1.5))
    assert pivot_wavelength("test-box").value == pytest.approx(expected, rel=2e-5)
    # A filter made in this session is a band like any other.
    images, flux, _ = convert(1.0, "erg / (s cm2 AA)", band="test-box")
    assert images.bands == ("test-box",)
    # f_nu = f_lambda lambda^2 / c
    f_nu = 1.0 * expected**2 / 2.99792458e18 * u.erg / u.s / u.cm**2 / u.Hz
    expected_flux = f_nu.to_value(u.Jy) / 3.6307805477e-6
    assert flux[0, 0] == pytest.approx(expected_flux, rel=5e-5)


@pytest.mark.parametrize("survey", SURVEYS)
def test_every_survey_is_a_filter_group(survey):
    from speclite.filters import filter_group_names

    assert SURVEYS[survey] in filter_group_names


def test_names_of_bands():
    assert resolve_band("g", "SDSS") == "sdss2010-g"
    assert resolve_band("g", "sdss2010noatm") == "sdss2010noatm-g"
    assert resolve_band("twomass-J", "sdss") == "twomass-J"
    assert resolve_band("g") == "g"


# ---- known answers ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        # AB zero point: 10^(-48.6 / 2.5) erg/s/cm2/Hz (Oke & Gunn 1983) = 3630.78 Jy.
        (1.0, "nmgy", 1.0),
        (3.6307805477e-6, "Jy", 1.0),
        (3.6307805477, "uJy", 1.0),
        (10 ** (-48.6 / 2.5 - 9), "erg / (s cm2 Hz)", 1.0),
        (1e-9, "mgy", 1.0),
        (2.0, "nmgy / arcsec2", 2 * PIXEL_AREA),
        (2.0, "nmgy / pix", 2.0),
        (1.0, "MJy / sr", 1e6 * PIXEL_AREA / 206264.80624709636**2 / 3.6307805477e-6),
        # f_lambda of AB magnitude 20 at the pivot: 10^-0.4(20 + 48.6) c / lambda_p^2.
        (None, "erg / (s cm2 AA)", 10.0),
        (None, "W / (m2 um)", 10.0),
    ],
)
def test_known_fluxes(value, unit, expected):
    if value is None:
        pivot = pivot_wavelength(R).to_value(u.AA)
        value = 10 ** (-0.4 * (20 + 48.6)) * 2.99792458e18 / pivot**2  # erg/s/cm2/AA
        value *= {"erg / (s cm2 AA)": 1.0, "W / (m2 um)": 1e-3 * 1e4}[unit]
    _, flux, _ = convert(value, unit)
    assert flux[0, 0] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    "unit", ["adu", "electron", "ct", "DN", "photon", "", "adu / s", "electron / s", "DN / pix"]
)
def test_counts(unit):
    _, flux, _ = convert(100.0, unit, zero_point=30 * u.ABmag)
    # 100 counts of magnitude 30 make magnitude 25, which is 0.1 nmgy.
    assert flux[0, 0] == pytest.approx(0.1, rel=1e-6)


def test_counts_per_area():
    _, flux, _ = convert(100.0, "adu / arcsec2", zero_point=30 * u.ABmag)
    assert flux[0, 0] == pytest.approx(0.1 * PIXEL_AREA, rel=1e-6)


def test_zero_point_by_band_and_for_all():
    counts, flux = (CCDData(np.ones((1, 1)), unit=unit) for unit in ("adu", "nmgy"))
    for zero_point in ({"r": 22.5 * u.ABmag}, 22.5 * u.ABmag):
        images = BandImages(
            {"g": flux, "r": counts},
            survey="sdss",
            redshift=0.1,
            pixel_scale=1 * u.arcsec,
            zero_point=zero_point,
        )
        assert images.to_arrays()[0].ravel() == pytest.approx([1, 1], rel=1e-6)
        assert list(images.zero_point) == [R]


def test_zero_point_in_another_system():
    """ST magnitudes are of f_lambda: 21.1 is 10^(-0.4 (21.1 + 21.1)) erg/s/cm2/AA."""
    _, flux, _ = convert(1.0, "adu", zero_point=21.1 * u.STmag)
    _, expected, _ = convert(10 ** (-0.4 * 42.2), "erg / (s cm2 AA)")
    assert flux[0, 0] == pytest.approx(expected[0, 0], rel=1e-6)


def test_asinh_magnitudes():
    """Lupton et al. (1999): m(0) = -2.5 log10 b, and the ordinary magnitude when bright."""
    softening = 1.2e-10  # SDSS r
    values = [-2.5 * np.log10(softening), 15.0, 30.0, np.nan, -9999.0]
    sigma = [0.1, 0.01, 0.1, 0.1, 0.1]
    _, flux, inverse_variance = convert(
        values,
        "mag",
        uncertainty=StdDevUncertainty(np.atleast_2d(sigma)),
        asinh_softening=softening,
    )
    assert flux[0, 0] == pytest.approx(0, abs=1e-6)
    assert flux[0, 1] == pytest.approx(1e3, rel=1e-6)
    assert flux[0, 2] < 0
    assert inverse_variance[0, 3:].tolist() == [0, 0]
    # Bright: the relative error is 0.4 ln 10 sigma_m; at zero it is 2 b 0.4 ln 10 sigma_m.
    constant = 0.4 * np.log(10)
    expected = [2e9 * softening * constant * 0.1, 1e3 * constant * 0.01]
    np.testing.assert_allclose(inverse_variance[0, :2] ** -0.5, expected, rtol=1e-6)


def test_asinh_magnitudes_say_ab_or_nothing():
    _, flux, _ = convert(15.0, u.ABmag, asinh_softening=1e-10)
    assert flux[0, 0] == pytest.approx(1000, rel=1e-6)


# ---- invariances --------------------------------------------------------------------------

ZERO_POINT = 27.3 * u.ABmag
JANSKY = 10 ** (-48.6 / 2.5 + 23 - 9)  # of one nmgy, by the definition of AB
ARCSEC2_PER_SR = 206264.80624709636**2


def values_of_one_nanomaggy():
    """One nmgy in each unit, from the definitions, without astropy's conversions."""
    f_lambda = JANSKY * 1e-23 * 2.99792458e18 / pivot_wavelength(R).to_value(u.AA) ** 2
    counts = 10 ** (0.4 * (27.3 - 22.5))
    return {
        "nmgy": 1.0,
        "Jy": JANSKY,
        "erg / (s cm2 Hz)": JANSKY * 1e-23,
        "nmgy / arcsec2": 1 / PIXEL_AREA,
        "MJy / sr": JANSKY * 1e-6 / PIXEL_AREA * ARCSEC2_PER_SR,
        "1e-17 erg / (s cm2 AA)": f_lambda / 1e-17,
        "W / (m2 um arcsec2)": 10 * f_lambda / PIXEL_AREA,
        "adu": counts,
        "electron / (s arcsec2)": counts / PIXEL_AREA,
    }


UNITS = values_of_one_nanomaggy()
finite = st.floats(-1e3, 1e3).filter(lambda x: abs(x) > 1e-3)


@given(
    flux=st.lists(finite, min_size=1, max_size=6),
    sigma=st.floats(1e-3, 1e3),
    unit=st.sampled_from(list(UNITS)),
    kind=st.sampled_from([StdDevUncertainty, VarianceUncertainty, InverseVariance]),
)
@settings(max_examples=60)
def test_every_unit_and_kind_of_uncertainty_gives_the_same(flux, sigma, unit, kind):
    counts = "adu" in unit or "electron" in unit
    power = {StdDevUncertainty: 1, VarianceUncertainty: 2, InverseVariance: -2}[kind]
    images, found, inverse_variance = convert(
        np.array(flux) * UNITS[unit],
        unit,
        uncertainty=kind(np.full((1, len(flux)), sigma * UNITS[unit]) ** power),
        zero_point=ZERO_POINT if counts else None,
    )
    np.testing.assert_allclose(found[0], flux, rtol=1e-6)
    np.testing.assert_allclose(inverse_variance[0], sigma**-2.0, rtol=2e-6)
    assert images[R].unit == u.Unit(unit)


@pytest.mark.parametrize("unit", ["uJy", "Jy", "nmgy"])
@pytest.mark.parametrize("power", [1, 2, -2])
def test_uncertainty_in_its_own_unit(unit, power):
    kind = {1: StdDevUncertainty, 2: VarianceUncertainty, -2: InverseVariance}[power]
    own = u.Unit("mJy") if unit != "nmgy" else u.Unit("mgy")
    # 3 of own unit as standard deviation
    sigma = kind(np.full((1, 1), 3.0**power), unit=own**power)
    _, _, inverse_variance = convert(5.0, unit, uncertainty=sigma)
    expected = 3e9 if unit == "nmgy" else 3e-3 / 3.6307805477e-6
    assert inverse_variance[0, 0] ** -0.5 == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (0.01 * u.nmgy, 0.01),
        (0.01 * u.nmgy / u.arcsec**2, 0.01 * PIXEL_AREA),
        (3.6307805477 * u.uJy, 1.0),
        (2 * u.nmgy / u.pix, 2.0),
    ],
)
def test_sky_error(error, expected):
    images, *_ = convert(1.0, "nmgy", sky_error=error)
    assert images.sky_error_nmgy(R) == pytest.approx(expected, rel=1e-6)
    assert convert(1.0, "nmgy")[0].sky_error_nmgy(R) == 0


def test_sky_error_in_counts():
    images, *_ = convert(1.0, "adu", zero_point=22.5 * u.ABmag, sky_error={R: 0.3 * u.adu})
    assert images.sky_error_nmgy(R) == pytest.approx(0.3, rel=1e-6)


@pytest.mark.parametrize(
    ("error", "magnitudes"),
    [
        (0.02 * u.mag, 0.02),
        (20 * u.mmag, 0.02),
        (2 * u.percent, 0.02 * 2.5 / np.log(10)),
        (0.02 * u.one, 0.02 * 2.5 / np.log(10)),
    ],
)
def test_zero_point_error(error, magnitudes):
    images, *_ = convert(1.0, "nmgy", zero_point_error=error)
    assert images.zero_point_error[R].unit == u.mag
    assert images.zero_point_error[R].value == pytest.approx(magnitudes, rel=1e-12)


def test_pixel_area_counts_where_it_is(make_wcs):
    """In a distorted image a surface brightness is worth more where pixels are larger."""
    shape = (64, 300)
    ccd = CCDData(np.ones(shape), unit="nmgy / arcsec2", wcs=make_wcs(shape, sip=True))
    images = BandImages({R: ccd}, redshift=0.1)
    flux, _ = images.to_arrays()
    area = pixel_solid_angles(images.wcs, shape)
    assert np.ptp(area) / area.mean() > 0.01
    np.testing.assert_allclose(flux[0], area, rtol=1e-4)  # the map is interpolated
