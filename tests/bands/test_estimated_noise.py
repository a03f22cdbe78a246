"""Noise measured from the background, and the color picture."""

import astropy.units as u
import matplotlib as mpl
import numpy as np
import pytest
from astropy.nddata import CCDData, InverseVariance
from matplotlib.figure import Figure

from picasssso.bands import BandImages
from picasssso.bands.plotting import choose_bands, color_picture

G, R = "sdss2010-g", "sdss2010-r"
SHAPE = (160, 200)


@pytest.fixture(scope="module")
def sky():
    """Sky of 300 +- 2 on the left and 300 +- 3 on the right; a galaxy, some stars."""
    rng = np.random.default_rng(12)
    y, x = np.indices(SHAPE)
    sigma = np.where(x < 100, 2.0, 3.0)
    sources = 400 * np.exp(-np.hypot(y - 80, x - 100) / 12)
    for y0, x0 in rng.uniform(10, 150, (12, 2)):
        sources += 200 * np.exp(-((y - y0) ** 2 + (x - x0) ** 2) / 8)
    return 300 + sources + rng.normal(0, sigma), sigma, sources


def images(values, unit="nmgy", **arguments):
    ccd = CCDData(values, unit=unit)
    return BandImages({R: ccd}, redshift=0.1, pixel_scale=0.4 * u.arcsec, **arguments)


def test_scatter_of_the_sky_is_found_beside_sources(sky):
    values, sigma, _ = sky
    found = images(values).with_estimated_noise(box_size=40)
    noise = found[R].uncertainty.array
    assert noise.shape == SHAPE
    for half in (slice(0, 60), slice(140, 200)):
        assert np.median(noise[:, half]) == pytest.approx(np.median(sigma[:, half]), rel=0.05)
    # Under the galaxy too there is the noise of the sky, not of its gradient.
    assert noise[80, 100] < 3.3
    assert found[R].data.max() == values.max()
    assert found.missing_uncertainty == ()


def test_photon_noise_of_sources(sky):
    values, _, sources = sky
    gain = 4 * u.electron / u.adu
    plain, photon = (
        images(values, "adu", zero_point=30 * u.ABmag).with_estimated_noise(gain=g)[R]
        for g in (None, gain)
    )
    added = photon.uncertainty.array**2 - plain.uncertainty.array**2
    bright = sources > 100
    np.testing.assert_allclose(np.median(added[bright] / (sources[bright] / 4)), 1, rtol=0.05)
    for gain in (4.0, 4 * u.electron, {R: -4 * u.electron / u.adu}):
        with pytest.raises((ValueError, TypeError), match="gain"):
            images(values, "adu", zero_point=30 * u.ABmag).with_estimated_noise(gain=gain)


def test_mask_of_sources_given_by_the_user(sky):
    values, *_ = sky
    everywhere = np.zeros(SHAPE, bool)
    spoiled = images(values).with_estimated_noise(box_size=160, source_mask=everywhere)
    clean = images(values).with_estimated_noise(box_size=160)
    assert np.median(spoiled[R].uncertainty.array) > np.median(clean[R].uncertainty.array)
    with pytest.raises(ValueError, match="source_mask of int64"):
        images(values).with_estimated_noise(source_mask=np.zeros(SHAPE, int))
    with pytest.raises(ValueError, match="box_size=2"):
        images(values).with_estimated_noise(box_size=2)


def test_invalid_pixels_do_not_count(sky):
    values, *_ = sky
    broken = values.copy()
    broken[::7, ::5] = np.nan
    broken[3::7, ::5] = 1e9
    mask = np.zeros(SHAPE, bool)
    mask[3::7, ::5] = True
    ccd = CCDData(broken, unit="nmgy", mask=mask)
    found = BandImages({R: ccd}, redshift=0.1, pixel_scale=1 * u.arcsec).with_estimated_noise()
    assert np.isfinite(found[R].uncertainty.array).all()
    expected = images(values).with_estimated_noise()
    ratio = found[R].uncertainty.array / expected[R].uncertainty.array
    assert np.median(ratio) == pytest.approx(1, rel=0.03)
    assert np.array_equal(found.to_arrays()[1][0] == 0, np.isnan(broken) | mask)


def test_only_bands_without_uncertainty_unless_named(sky):
    values, *_ = sky
    known = InverseVariance(np.ones(SHAPE))
    both = BandImages(
        {
            G: CCDData(values, unit="nmgy", uncertainty=known),
            R: CCDData(values, unit="uJy"),
        },
        redshift=0.1,
        pixel_scale=1 * u.arcsec,
    )
    found = both.with_estimated_noise()
    assert isinstance(found[G].uncertainty, InverseVariance)
    assert found[R].unit == u.uJy
    np.testing.assert_array_equal(found.with_estimated_noise()[R].data, found[R].data)
    named = both.with_estimated_noise([G])
    assert named.missing_uncertainty == (R,)
    assert np.median(named[G].uncertainty.array) == pytest.approx(2.5, rel=0.2)


def test_asinh_magnitudes_become_fluxes(sky):
    values, *_ = sky
    softening = 1e-9
    magnitudes = (
        -2.5 / np.log(10) * (np.arcsinh(values * 1e-9 / (2 * softening)) + np.log(softening))
    )
    found = images(magnitudes, "mag", asinh_softening=softening).with_estimated_noise()
    assert found[R].unit == u.nmgy
    assert not found.asinh_softening
    np.testing.assert_allclose(found[R].data, values, rtol=1e-5)
    assert np.median(found[R].uncertainty.array) == pytest.approx(2.5, rel=0.2)


# ---- pictures -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def colorful():
    """A red source on the left, a blue one on the right, over noise."""
    rng = np.random.default_rng(3)
    y, x = np.indices((40, 60))
    left, right = (np.exp(-((y - 20) ** 2 + (x - x0) ** 2) / 18) for x0 in (15, 45))
    bands = {"g": 10 * left + 100 * right, "r": 40 * left + 60 * right, "i": 100 * (left + right)}
    return BandImages(
        {
            band: CCDData(flux + 500 + rng.normal(0, 0.3, flux.shape), unit="nmgy")
            for band, flux in bands.items()
        },
        survey="sdss",
        redshift=0.1,
        pixel_scale=0.4 * u.arcsec,
    )


def test_colors(colorful):
    picture = color_picture(colorful, None, 99.7, 3.0).astype(int)
    assert picture.shape == (40, 60, 3)
    red, blue, sky = picture[20, 15], picture[20, 45], picture[2:8, 27:33].mean(axis=(0, 1))
    assert red[0] > red[1] > red[2]
    assert blue[2] > blue[0]
    assert red[0] > 200
    assert sky.max() < 60


def test_bands_of_a_picture(colorful):
    assert choose_bands(colorful) == ["sdss2010-i", "sdss2010-r", "sdss2010-g"]
    gray = color_picture(colorful, ["r"], 99.7, 3.0)
    assert np.array_equal(gray[..., 0], gray[..., 2])
    two = color_picture(colorful, ["i", "g"], 99.7, 3.0).astype(int)
    assert two[20, 15, 0] > two[20, 15, 1] > two[20, 15, 2]
    with pytest.raises(ValueError, match="0 bands"):
        colorful.plot(bands=[])
    swapped = color_picture(colorful, ["g", "r", "i"], 99.7, 3.0).astype(int)
    assert swapped[20, 15, 2] > swapped[20, 15, 0]


def test_plot_draws_on_given_axes(colorful):
    ax = Figure().add_subplot()
    assert colorful.plot(ax=ax) is ax
    assert ax.images[0].get_array().shape == (40, 60, 3)
    assert ax.images[0].origin == "lower"


def test_plot_makes_axes_with_the_wcs(full_images, colorful):
    backend = mpl.get_backend()
    ax = full_images.plot()
    assert ax.wcs.wcs.crval[0] == 150
    ax.figure.canvas.draw()
    assert colorful.plot().get_xlabel() == "x (pixels)"
    assert mpl.get_backend() == backend


def test_pictures_of_images_with_nothing_to_see(make_ccd):
    """Constant, tiny or masked images are drawn, not refused."""
    one = BandImages(
        {R: CCDData(np.ones((1, 1)), unit="nmgy")}, redshift=0.1, pixel_scale=1 * u.arcsec
    )
    assert color_picture(one, None, 99.7, 3.0).shape == (1, 1, 3)
    mask = np.zeros((24, 30), bool)
    mask[:, :9] = True
    part = BandImages({R: make_ccd(mask=mask)}, redshift=0.1)[:, :9]
    assert not color_picture(part, None, 99.7, 3.0).any()


def test_noise_at_the_edge_of_a_survey():
    """A strip of data, less than a fifth of any box."""
    values = np.full((96, 96), np.nan)
    values[43:53] = 3 + np.random.default_rng(1).normal(0, 0.2, (10, 96))
    noise = images(values).with_estimated_noise()[R].uncertainty.array
    assert np.ptp(noise) == 0
    assert noise[48, 48] == pytest.approx(0.2, rel=0.1)
