"""The SED of a pixel or a region: known answers, the same pixels in all bands, its pixels' sum."""

import astropy.units as u
import matplotlib.pyplot as plt
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.nddata import CCDData, StdDevUncertainty
from brute_force_posterior import BruteForce
from photutils.aperture import CircularAperture, RectangularAperture, SkyCircularAperture

from picasssso import BandImages, GalacticExtinction, NoiseScaling, SEDFitEstimator
from picasssso.estimators._sed_fit.ranges import describe_range
from picasssso.exceptions import (
    InvalidInputError,
    InvalidTypeError,
    MissingBandError,
    PicassssoWarning,
)
from picasssso.sps import ModelLibrary, SEDPrior
from picasssso.testing import make_galaxy
from picasssso.testing.galaxy import SDSS_BANDS, make_wcs

REDSHIFT, PIXEL = 0.05, 0.396**2
NO_EXTINCTION = GalacticExtinction(ebv=0.0, scale="SF11", applied=True)
#: Without the errors of the models, so that a library's model is found again.
SHARP = {"n_models": 3000, "device": "cpu", "error_floor": 0.0, "template_error": False}


def make_images(flux, sigma, mask=None, **options):
    """Images from fluxes in nmgy per pixel, (band, y, x)."""
    wcs = make_wcs(flux.shape[1:])
    sigma = np.broadcast_to(sigma, flux.shape)
    mask = np.zeros(flux.shape, bool) if mask is None else mask
    ccds = {
        band: CCDData(f, unit=u.nmgy, wcs=wcs, uncertainty=StdDevUncertainty(s), mask=m)
        for band, f, s, m in zip(SDSS_BANDS, flux, sigma, mask, strict=True)
    }
    options = {"galactic_extinction": NO_EXTINCTION, "psf": 1.3 * u.arcsec, **options}
    return BandImages(ccds, redshift=REDSHIFT, **options)


@pytest.fixture(scope="module")
def estimator():
    return SEDFitEstimator(n_models=4000, device="cpu")


@pytest.fixture(scope="module")
def galaxy():
    return make_galaxy((12, 14))


@pytest.fixture(scope="module")
def library():
    return ModelLibrary.build(SDSS_BANDS, REDSHIFT, n_models=3000)


def without(images, band, where):
    """The images with pixels of one band masked."""
    ccd = images[band]
    mask = np.zeros(images.shape, bool) if ccd.mask is None else ccd.mask.copy()
    mask[where] = True
    ccd.mask = mask
    return images.with_planes({band: ccd})


# ---- known answers ----------------------------------------------------------------------


@pytest.mark.parametrize("number", [3, 77, 1500])
def test_a_model_of_the_library_without_noise_is_found_again(library, number):
    mass = 2e8
    flux = PIXEL * mass * library.fluxes[number].astype(float)[:, None, None]
    sed = SEDFitEstimator(**SHARP).fit_sed(make_images(flux, flux / 2000), (0, 0))
    table = sed.fluxes
    np.testing.assert_allclose(table["best"].value, flux[:, 0, 0], rtol=1e-5)
    np.testing.assert_allclose(table["model_p50"].value, flux[:, 0, 0], rtol=1e-3)
    assert sed.chi2 < 1e-2
    assert abs(table["residual"]).max() < 0.1
    area = make_images(flux, flux).pixel_area.to_value(u.kpc**2)
    properties = {name: array[number] for name, array in library.properties.items()}
    best = sed.best_model
    assert best["stellar_mass"].to_value(u.Msun) == pytest.approx(
        mass * area * properties["surviving_fraction"], rel=1e-4
    )
    for name in ("stellar_age", "stellar_metallicity", "attenuation_v"):
        assert best[name].value == pytest.approx(properties[name], rel=1e-5)


def test_the_posterior_is_that_of_an_image_of_the_pixel(estimator, galaxy):
    sed = estimator.fit_sed(galaxy, (5, 7))
    alone = estimator.estimate(galaxy[7:8, 5:6])
    whole = estimator.estimate(galaxy)
    for name in alone:
        for q in (2.5, 16, 50, 84, 97.5):
            value = sed.maps.percentile(name, q)[0, 0]
            assert value == alone.percentile(name, q)[0, 0]
            assert value == whole.percentile(name, q)[7, 5]
    row = sed.posterior[0]
    area = galaxy.pixel_area.to_value(u.kpc**2)
    assert row["property"] == "stellar_mass"
    assert row["unit"] == "solMass"
    assert row["p84"] == pytest.approx(area * alone.percentile("stellar_mass", 84).value[0, 0])
    assert sed.reduced_chi2 == pytest.approx(alone["reduced_chi2"].data[0, 0], rel=1e-3)


def test_model_fluxes_and_samples_are_the_exact_posterior(estimator, galaxy):
    for dimmer in (1.0, 300.0):  # a galaxy and hardly any
        images = galaxy.with_planes(
            {
                band: CCDData(galaxy[band].data / dimmer, unit=galaxy[band].unit,
                              uncertainty=galaxy[band].uncertainty)
                for band in galaxy.bands
            }
        )  # fmt: skip
        sed = estimator.fit_sed(images, (5, 7))
        flux, precision = (plane[:, 7, 5] for plane in images.to_arrays())
        models = sed._fitter.library.fluxes.astype(float)
        floor = np.array(sed._fitter.options.band_errors)
        exact = BruteForce(models, flux, precision, floor)
        samples = sed.samples(20_000, seed=3)
        assert sed.chi2 == pytest.approx(exact.chi2, rel=1e-5)
        for k, band in enumerate(galaxy.bands):
            expected = exact.percentiles(models[:, k], True)[1:4]
            row = sed.fluxes[k]
            found = [row[f"model_p{q}"].value for q in (16, 50, 84)]
            width = expected[2] - expected[0]
            np.testing.assert_allclose(found, expected, atol=0.01 * width)
            drawn = np.percentile(samples[band].value, [16, 50, 84])
            np.testing.assert_allclose(drawn, expected, atol=0.03 * width)
        for row in sed.posterior:
            drawn = np.percentile(samples[row["property"]].value, [16, 50, 84])
            stored = np.array([row["p16"], row["p50"], row["p84"]])
            np.testing.assert_allclose(drawn, stored, atol=0.06 * (stored[2] - stored[0]))


def test_residuals_are_those_of_chi2(estimator, galaxy):
    sed = estimator.fit_sed(galaxy)
    assert np.sum(sed.fluxes["residual"] ** 2) == pytest.approx(sed.chi2, rel=1e-6)
    assert 0 <= sed.chi2 / 4 == pytest.approx(sed.reduced_chi2)


def test_samples_are_those_of_their_seed(estimator, galaxy):
    sed = estimator.fit_sed(galaxy, (5, 7))
    first, again, other = (sed.samples(50, seed=seed) for seed in (1, 1, 2))
    for name in first.colnames:
        np.testing.assert_array_equal(first[name].value, again[name].value)
    assert not np.array_equal(first["stellar_mass"].value, other["stellar_mass"].value)
    assert first["stellar_mass"].unit == u.Msun
    assert first[SDSS_BANDS[0]].unit == u.nmgy
    for wrong in ({"n": 0}, {"n": 2.5}, {"seed": -1}, {"n": True}):
        with pytest.raises(InvalidInputError, match="expected an integer"):
            sed.samples(**wrong)


# ---- regions ----------------------------------------------------------------------------


def test_an_aperture_of_a_pixel_is_the_pixel(estimator, galaxy):
    pixel = estimator.fit_sed(galaxy, (5, 7))
    mask = np.zeros(galaxy.shape, bool)
    mask[7, 5] = True
    sky = galaxy.wcs.pixel_to_world(5.2, 6.9)
    for region in (RectangularAperture((5, 7), 1, 1), mask, sky, (5.3, 6.8)):
        other = estimator.fit_sed(galaxy, region)
        np.testing.assert_allclose(other.fluxes["flux"], pixel.fluxes["flux"], rtol=1e-6)
        np.testing.assert_allclose(other.fluxes["error"], pixel.fluxes["error"], rtol=1e-6)
        for name in ("p16", "p50", "error"):
            np.testing.assert_allclose(other.posterior[name], pixel.posterior[name], rtol=1e-4)
        assert other.n_pixels == pytest.approx(1)


def test_the_flux_of_an_aperture_is_photutils_own(estimator, galaxy):
    center = galaxy.wcs.pixel_to_world(6.3, 5.1)
    in_pixels = CircularAperture((6.3, 5.1), 3.3)
    for aperture in (in_pixels, SkyCircularAperture(center, 3.3 * galaxy.pixel_scale)):
        sed = estimator.fit_sed(galaxy, aperture)
        for band, row in zip(galaxy.bands, sed.fluxes, strict=True):
            expected = in_pixels.do_photometry(galaxy.to_arrays(bands=[band])[0][0])[0][0]
            assert row["flux"].value == pytest.approx(expected, rel=1e-5)
        assert sed.n_pixels == pytest.approx(in_pixels.area, rel=1e-5)
        assert sed.masked_fraction == pytest.approx(0, abs=1e-6)


def test_the_whole_image_the_target_or_a_label(estimator, galaxy):
    flux = galaxy.to_arrays()[0].sum(axis=(1, 2), dtype=float)
    for region in (None, "frame"):
        sed = estimator.fit_sed(galaxy, region)
        np.testing.assert_allclose(sed.fluxes["flux"].value, flux, rtol=1e-6)
    labels = np.zeros(galaxy.shape, int)
    labels[4:8, 5:9], labels[0, 0] = 1, 2
    labeled = galaxy.replace(labels=labels)
    assert estimator.fit_sed(labeled).n_pixels == 16
    assert estimator.fit_sed(labeled, 2).n_pixels == 1
    assert estimator.fit_sed(labeled, "frame").n_pixels == 12 * 14
    with pytest.raises(InvalidInputError, match="expected one of 1, 2"):
        estimator.fit_sed(labeled, 3)
    with pytest.raises(InvalidInputError, match="no labels"):
        estimator.fit_sed(galaxy, 1)


def test_mass_does_not_depend_on_how_large_pixels_are_called(estimator, galaxy):
    """A quarter of the pixels with four times the flux hold the same mass."""
    flux, precision = galaxy.to_arrays()
    binned = flux.reshape(5, 6, 2, 7, 2).sum(axis=(2, 4))
    variance = (1 / precision).reshape(5, 6, 2, 7, 2).sum(axis=(2, 4))
    ccds = {
        band: CCDData(f, unit=u.nmgy, uncertainty=StdDevUncertainty(np.sqrt(v)))
        for band, f, v in zip(galaxy.bands, binned, variance, strict=True)
    }
    coarse = BandImages(
        ccds, redshift=galaxy.redshift, pixel_scale=2 * galaxy.pixel_scale,
        galactic_extinction=galaxy.galactic_extinction,
    )  # fmt: skip
    first, second = (estimator.fit_sed(images).posterior for images in (galaxy, coarse))
    np.testing.assert_allclose(first["p50"], second["p50"], rtol=1e-3)


# ---- noise ------------------------------------------------------------------------------


def test_correlated_noise_and_bins_count_as_in_totals(estimator, galaxy):
    white = estimator.fit_sed(galaxy).fluxes["error"]
    scaling = NoiseScaling.power_law(0.5)
    correlated = estimator.fit_sed(galaxy.replace(noise_scaling=scaling))
    n = np.prod(galaxy.shape)
    np.testing.assert_allclose(correlated.fluxes["error"] / white, n**0.25, rtol=1e-6)
    # A pixel has its own noise, whatever that of its neighbors is.
    one, other = (
        estimator.fit_sed(images, (5, 7)).fluxes["error"]
        for images in (galaxy, galaxy.replace(noise_scaling=NoiseScaling((1, 9), (2.0, 3.0))))
    )
    np.testing.assert_array_equal(one, other)
    # All pixels of a bin are one measurement.
    binned = galaxy.replace(bins=np.zeros(galaxy.shape, int))
    errors = 1 / np.sqrt(galaxy.to_arrays()[1])
    np.testing.assert_allclose(
        estimator.fit_sed(binned).fluxes["error"].value, errors.sum(axis=(1, 2)), rtol=1e-5
    )


def test_errors_that_pixels_share_add_up(estimator, galaxy):
    sky = 1e-3 * u.nmgy
    images = galaxy.replace(sky_error=sky, zero_point_error=0.02 * u.mag)
    sed = estimator.fit_sed(images)
    image = sed._light.image
    for band in galaxy.bands:
        assert image.sky_error_nmgy(band) == pytest.approx(1e-3 * np.prod(galaxy.shape))
    plain = estimator.fit_sed(galaxy)
    assert np.all(sed.posterior["error"][:2] > plain.posterior["error"][:2])


# ---- masks ------------------------------------------------------------------------------


def test_all_bands_are_summed_over_the_same_pixels(estimator, galaxy):
    bad = (slice(0, 12), slice(8, 12))
    masked = without(galaxy, "sdss2010-g", bad)
    sed = estimator.fit_sed(masked)
    kept = np.ones(galaxy.shape, bool)
    kept[bad] = False
    expected = galaxy.to_arrays()[0][:, kept].sum(axis=1, dtype=float)
    np.testing.assert_allclose(sed.fluxes["flux"].value, expected, rtol=1e-6)
    assert sed.n_pixels == kept.sum()
    assert sed.masked_fraction == pytest.approx(4 / 14)
    assert "masked" in str(sed)


def test_a_band_with_little_is_left_out_and_said(estimator, galaxy):
    masked = without(galaxy, "sdss2010-g", (slice(0, 12), slice(4, 14)))
    with pytest.warns(PicassssoWarning, match="sdss2010-g has data in 29 %"):
        sed = estimator.fit_sed(masked)
    assert sed.n_pixels == 12 * 14
    row = sed.fluxes[list(sed.bands).index("sdss2010-g")]
    assert np.isnan(row["flux"].value)
    assert np.isnan(row["residual"])
    assert row["model_p50"].value > 0
    assert "MISSING_BAND" in sed.quality
    assert "4 bands" in repr(sed)
    figure = sed.plot()
    plt.close(figure)
    # A pixel that lacks a band is fitted without it, as in the maps.
    pixel = estimator.fit_sed(masked, (9, 5))
    maps = estimator.estimate(masked)
    assert pixel.maps["stellar_mass"].data[0, 0] == maps["stellar_mass"].data[5, 9]


def test_regions_without_data(estimator, galaxy):
    masked = galaxy
    for band in galaxy.bands:
        masked = without(masked, band, (slice(0, 4), slice(0, 4)))
    with pytest.raises(InvalidInputError, match=r"SED of pixel \(1, 2\): found data in sdss2010-"):
        estimator.fit_sed(masked, (1, 2))
    left, right = (slice(0, 12), slice(0, 7)), (slice(0, 12), slice(7, 14))
    apart = without(galaxy.select(["sdss2010-g", "sdss2010-r"]), "sdss2010-g", left)
    with pytest.raises(InvalidInputError, match="at least two bands have together"):
        estimator.fit_sed(without(apart, "sdss2010-r", right))


# ---- beside the pixels ------------------------------------------------------------------


def test_an_aperture_beside_its_pixels(estimator, galaxy):
    aperture = CircularAperture((6, 5), 3.5)
    maps = estimator.estimate(galaxy)
    sed = estimator.fit_sed(galaxy, aperture)
    table = sed.compare(maps)
    assert list(table["property"]) == [name for name in maps if name != "reduced_chi2"]
    for row in table:
        total = maps.total(row["property"], aperture, correlation="independent")
        assert row["pixels"] == pytest.approx(total.value.value, rel=1e-5)
        assert row["pixels_error"] == pytest.approx(total.uncertainty.value, rel=1e-5)
        change = row["light"] - row["pixels"]
        if row["difference_unit"] == "dex":
            change = np.log10(row["light"] / row["pixels"])
        assert row["difference"] == pytest.approx(change)
    own = sed.compare()
    for name in ("light", "pixels", "difference"):
        np.testing.assert_allclose(own[name], table[name], rtol=1e-5, atol=1e-6)


def test_a_pixel_beside_itself(estimator, galaxy):
    np.testing.assert_allclose(
        estimator.fit_sed(galaxy, (5, 7)).compare()["difference"], 0, atol=1e-6
    )


def test_only_pixels_of_the_sum_are_compared(estimator, galaxy):
    masked = without(galaxy, "sdss2010-g", (slice(0, 12), slice(8, 12)))
    table = estimator.fit_sed(masked).compare()
    kept = np.ones(galaxy.shape, bool)
    kept[:, 8:12] = False
    expected = estimator.estimate(galaxy).total("stellar_mass", kept, correlation="independent")
    assert table["pixels"][0] == pytest.approx(expected.value.value, rel=1e-5)


def test_young_stars_outshine_the_mass_of_old_ones():
    """An old pixel of much mass beside a young one of much light."""
    common = {"timescale": (1.0, 1.0), "truncation_probability": 0.0, "burst_probability": 0.0,
              "metallicity": (0.015, 0.015)}  # fmt: skip
    flux = []
    for age, dust, mass in ((12.0, 0.5, 3e9), (0.5, 0.0, 1.5e8)):
        prior = SEDPrior(oldest_age=(age, age), attenuation=(dust, dust), **common)
        model = ModelLibrary.build(SDSS_BANDS, REDSHIFT, n_models=1, prior=prior)
        flux.append(PIXEL * mass * model.fluxes[0].astype(float))
    flux = np.array(flux).T[:, None]
    images = make_images(flux, flux / 50)
    table = SEDFitEstimator(n_models=6_000, device="cpu", prior=SEDPrior.flat()).fit_sed(images)
    row = table.compare()[0]
    assert row["property"] == "stellar_mass"
    assert row["difference"] < -0.1


def test_what_cannot_be_compared(estimator, galaxy):
    sed = estimator.fit_sed(galaxy)
    with pytest.raises(InvalidTypeError, match="expected PropertyMaps"):
        sed.compare(galaxy)
    with pytest.raises(InvalidInputError, match=r"shape \(6, 14\).*\(12, 14\)"):
        sed.compare(estimator.estimate(galaxy[:6, :]))
    near = galaxy.replace(redshift=0.001)
    with pytest.raises(InvalidInputError, match="distance"):
        sed.compare(estimator.estimate(near))


def test_without_a_distance_densities_are_given(estimator, galaxy):
    sed = estimator.fit_sed(galaxy.replace(redshift=0.001))
    assert sed.posterior["unit"][0] == "solMass / kpc2"
    assert sed.best_model["stellar_mass"].unit == u.Msun / u.kpc**2
    table = sed.compare()
    assert np.isfinite(table["difference"]).all()
    assert table["unit"][0] == "solMass / kpc2"


# ---- wrong input ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("region", "error", "match"),
    [
        ((20, 3), InvalidInputError, r"\(20\.0, 3\.0\), expected one inside the image of 14 x 12"),
        ((np.nan, 3), InvalidInputError, "expected one inside"),
        ((1, 2, 3), InvalidInputError, "two numbers"),
        (("a", 3), InvalidInputError, "two numbers"),
        ([3, 4], InvalidTypeError, "expected a pixel"),
        (2.5, InvalidTypeError, "expected a pixel"),
        (True, InvalidInputError, "shape"),
        ("everything", InvalidTypeError, "expected a pixel"),
        (np.ones((12, 14), int), InvalidTypeError, "boolean"),
        (np.ones((3, 4), bool), InvalidInputError, "shape"),
        (np.zeros((12, 14), bool), InvalidInputError, "no pixel"),
        (CircularAperture((200, 200), 3), InvalidInputError, "does not touch"),
        (CircularAperture([(3, 4), (5, 6)], 3), InvalidInputError, "2 positions"),
        (SkyCoord([1, 2], [3, 4], unit="deg"), InvalidInputError, "2 positions"),
        (SkyCoord(1, 2, unit="deg"), InvalidInputError, "position|pixel"),
    ],
)
def test_what_is_no_region(estimator, galaxy, region, error, match):
    with pytest.raises(error, match=match):
        estimator.fit_sed(galaxy, region)


def test_images_that_cannot_be_fitted(estimator, galaxy):
    with pytest.raises(MissingBandError):
        estimator.fit_sed(galaxy.select(["sdss2010-g"]), (3, 4))
    noiseless = {band: CCDData(galaxy[band].data, unit=u.nmgy, wcs=galaxy.wcs) for band in galaxy}
    with pytest.raises(InvalidInputError, match="needs an uncertainty"):
        estimator.fit_sed(noiseless, (3, 4), redshift=0.03)
    with pytest.raises(InvalidInputError, match="redshift"):
        estimator.fit_sed(galaxy, (3, 4), redshift=0.03)


# ---- shown ------------------------------------------------------------------------------


def test_the_figure(estimator, galaxy):
    figure = estimator.fit_sed(galaxy, CircularAperture((6, 5), 3)).plot()
    above, below, text = figure.axes
    assert above.get_ylabel() == "flux density (µJy)"
    assert below.get_xlabel() == "observed wavelength (μm)"
    assert below.get_ylabel() == "residual (σ)"
    words = text.texts[0].get_text()
    for word in ("aperture", "stellar mass", "M_", "chi", "z = "):
        assert word in words
    figure.canvas.draw()
    plt.close(figure)


def test_the_figure_in_other_units(estimator, galaxy):
    sed = estimator.fit_sed(galaxy, (5, 7))
    figure = sed.plot("erg / (s cm2 AA)")
    shown = figure.axes[0].get_lines()
    figure.canvas.draw()
    plt.close(figure)
    row = sed.fluxes[2]
    expected = (row["flux"].value * 3.631 * u.uJy).to_value(
        "erg / (s cm2 AA)", u.spectral_density(row["wavelength"])
    )
    found = [line.get_ydata() for line in shown if len(line.get_ydata()) == 5]
    assert any(np.isclose(data[2], expected, rtol=1e-4) for data in found)
    with pytest.raises(InvalidInputError, match="flux density"):
        sed.plot("kg")


def test_a_figure_of_noise(estimator, galaxy):
    ccds = {
        band: CCDData(
            np.full(galaxy.shape, -1e-3), unit=u.nmgy, uncertainty=galaxy[band].uncertainty
        )
        for band in galaxy.bands
    }
    sed = estimator.fit_sed(galaxy.with_planes(ccds), (5, 7))
    assert sed.best_model["stellar_mass"].value == 0
    figure = sed.plot()
    figure.canvas.draw()
    plt.close(figure)
    assert "UPPER_LIMIT" in sed.quality


def test_words(estimator, galaxy):
    sed = estimator.fit_sed(galaxy, (5, 7))
    lines = str(sed).splitlines()
    assert lines[0].startswith("SED of pixel (5, 7): 5 bands, chi2 = ")
    assert lines[1].startswith("  (error floor 3 % of the flux")
    assert lines[2] == "median and 68 % range of the posterior:"
    assert any("stellar mass" in line and "solMass" in line for line in lines)
    assert "stellar mass" in sed._repr_html_()
    assert repr(sed).startswith("<SEDFit of pixel (5, 7): 5 bands")


def test_the_figure_says_what_was_fitted(estimator, galaxy):
    sed = estimator.fit_sed(galaxy, CircularAperture((8, 8), 2))
    radius = 2 * galaxy.pixel_scale.to_value(u.arcsec)
    figure = sed.plot()
    words = " ".join(" ".join(t.get_text() for t in axes.texts) for axes in figure.axes)
    plt.close(figure)
    words = " ".join(words.split())
    assert f"The aperture of {radius:.3g} arcsec radius" in words
    assert "Median and 68 % range" in words
    assert "error floor 3 % of the flux" in words
    for band in galaxy.bands:
        assert band[-1] in words.split()


@pytest.mark.parametrize(
    ("low", "middle", "high", "unit", "text"),
    [
        (1e10, 2e10, 4.5e10, "solMass", "(2.0 +2.5 -1.0)e+10 solMass"),
        (0.4, 0.5, 0.62, "mag", "0.50 +0.12 -0.10 mag"),
        (0.008, 0.0123, 0.02, "", "0.0123 +0.0077 -0.0043"),
        (0.0, 2e-7, 5e-4, "solMass / yr", "(0.00 +5.00 -0.00)e-04 solMass / yr"),
        (0.0, 0.0, 0.0, "mag", "0.00 +0.00 -0.00 mag"),
        (np.nan, np.nan, np.nan, "mag", "not estimated"),
    ],
)
def test_ranges_in_words(low, middle, high, unit, text):
    assert describe_range({"p16": low, "p50": middle, "p84": high, "unit": unit}) == text
