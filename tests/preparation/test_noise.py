"""Stated noise against the scatter of empty apertures, before and after resampling."""

import astropy.units as u
import numpy as np
import pytest
import survey_layouts as layouts
from astropy.nddata import CCDData, StdDevUncertainty
from scipy.ndimage import gaussian_filter

from picasssso import BandImages
from picasssso.bands import resampling
from picasssso.exceptions import PicassssoWarning
from picasssso.preparation import match_psf
from picasssso.preparation.background import mask_sky_sources
from picasssso.preparation.noise import calibrate_noise, measure_noise
from picasssso.preparation.outskirts import fit_outskirts
from picasssso.preparation.psf import model_psf

BAND = "sdss2010-r"


def empty_sky(shape=(300, 300), sigma=1.0, smooth=0.0, stated=None, seed=4, bands=(BAND,)):
    """Independent noise in every band."""
    rng = np.random.default_rng(seed)
    wcs = layouts.tangent_wcs(shape, 0.4)
    images = {}
    for band in bands:
        sky = rng.normal(0, 1, shape)
        if smooth:
            sky = gaussian_filter(sky, smooth)
            sky /= sky.std()
        images[band] = CCDData(
            sky * sigma,
            unit="nmgy",
            wcs=wcs,
            uncertainty=StdDevUncertainty(np.full(shape, sigma if stated is None else stated)),
        )
    return BandImages(images, redshift=0.05)


def aperture_ratio(images, radius):
    """Scatter of empty apertures of whole pixels, in all bands, over what the images state."""
    from photutils.aperture import CircularAperture

    margin, step = int(radius) + 8, int(2 * radius) + 2
    height, width = images.shape
    places = [
        (x, y)
        for x in range(margin, width - margin, step)
        for y in range(margin, height - margin, step)
    ]
    apertures = CircularAperture(places, radius + 0.01)
    n_pixels = apertures.to_mask(method="center")[0].data.sum()
    ratios = []
    for band, flux, precision in zip(images.bands, *images.to_arrays(), strict=True):
        with np.errstate(divide="ignore"):
            variance = np.where(precision > 0, 1 / precision.astype(float), 0)
        sums = apertures.do_photometry(flux.astype(float), method="center")[0]
        stated = apertures.do_photometry(variance, method="center")[0]
        stated = np.sqrt(stated * images.noise_scaling[band](n_pixels))
        ratios.append(sums / stated)
    return np.std(ratios)


UGRIZ = [f"sdss2010-{band}" for band in "ugriz"]


@pytest.fixture(scope="module", params=[0.0, 1.2], ids=["white", "correlated"])
def skies(request):
    images = empty_sky((200, 200), smooth=request.param, bands=UGRIZ)
    return calibrate_noise(images, source_mask=np.zeros(images.shape, bool))


@pytest.fixture(scope="module")
def resampled(skies):
    return skies.reproject_to(layouts.tangent_wcs((140, 140), 0.45, rotation=20), (140, 140))


@pytest.fixture(scope="module")
def matched(skies):
    return match_psf(skies.replace(psf=model_psf(3.0)), target=2.0 * u.arcsec)


@pytest.mark.parametrize("radius", [1, 3, 10])
def test_empty_apertures_after_resampling(resampled, radius):
    assert aperture_ratio(resampled, radius) == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize("radius", [1, 3, 10])
def test_empty_apertures_after_psf_matching(matched, radius):
    assert aperture_ratio(matched, radius) == pytest.approx(1, abs=0.15)


def noted(images):
    """Return what was noted of the last step."""
    return images.meta["preparation"][-1]


def test_noise_that_is_stated_too_small_is_scaled():
    images = empty_sky(sigma=2.0, stated=1.0)
    calibrated = calibrate_noise(images, source_mask=np.zeros(images.shape, bool))
    assert noted(calibrated)["applied_factor"][BAND] == pytest.approx(2, rel=0.03)
    assert calibrated[BAND].uncertainty.array[5, 5] == pytest.approx(2, rel=0.03)


def test_noise_that_is_right_stays():
    images = empty_sky(sigma=2.0)
    calibrated = calibrate_noise(images, source_mask=np.zeros(images.shape, bool))
    assert noted(calibrated)["applied_factor"][BAND] == 1
    assert calibrated[BAND].uncertainty.array[5, 5] == 2


def test_noise_where_there_is_none():
    bare = empty_sky(sigma=0.5)
    images = BandImages({BAND: CCDData(bare[BAND].data, unit="nmgy", wcs=bare.wcs)}, redshift=0.05)
    calibrated = calibrate_noise(images)
    assert noted(calibrated)["estimated"] == [BAND]
    assert np.median(calibrated[BAND].uncertainty.array) == pytest.approx(0.5, rel=0.05)


def test_correlation_is_measured():
    images = empty_sky(smooth=1.5)
    ratio, scaling = measure_noise(images, BAND, source_mask=np.zeros(images.shape, bool))
    assert ratio == pytest.approx(1, abs=0.03)
    # A Gaussian of sigma s correlates 4 pi s^2 pixels.
    assert scaling(256) == pytest.approx(4 * np.pi * 1.5**2, rel=0.35)


def test_too_little_sky_says_nothing():
    images = empty_sky((20, 20))
    ratio, scaling = measure_noise(images, BAND, source_mask=np.ones(images.shape, bool))
    assert (ratio, scaling.is_white) == (1.0, True)


def spiral_on_noise(side, *, size=25.0, smooth=0.0, stated=True, seed=0):
    """A spiral with knots that fills its frame, forty times brighter than noise of 1."""
    y, x = np.indices((side, side), dtype=float) - side / 2
    radius, angle = np.hypot(x, y / 0.7), np.arctan2(y / 0.7, x)
    disk = np.exp(-radius / size)
    knots = np.random.default_rng(1).random(disk.shape) < 0.01
    light = disk * (1 + 0.6 * np.cos(2 * angle - radius / 4) + 8 * knots)
    light = gaussian_filter(light + 2 * np.exp(-np.hypot(x, y) / 5), 1.7)
    noise = empty_sky(disk.shape, smooth=smooth, seed=seed)[BAND]
    image = CCDData(40 * light + noise.data, unit="nmgy", wcs=noise.wcs)
    if stated:
        image.uncertainty = StdDevUncertainty(np.ones(disk.shape))
    return BandImages({BAND: image}, redshift=0.02)


@pytest.mark.parametrize("smooth", [0.0, 0.6, 1.0])
@pytest.mark.parametrize("side", [120, 90, 60])
def test_noise_beneath_a_galaxy_that_fills_the_frame(side, smooth):
    images = spiral_on_noise(side, smooth=smooth)
    hidden = mask_sky_sources(images)
    found, scaling = measure_noise(
        images, BAND, source_mask=hidden, outskirts=fit_outskirts(images, hidden)[BAND]
    )
    assert 1 / 1.2 < found < 1.2
    # What a Gaussian of that width leaves of a hundred independent pixels.
    expected = max(4 * np.pi * smooth**2, 1.0)
    assert scaling(100) == pytest.approx(expected, rel=0.4)


@pytest.mark.parametrize("side", [90, 60])
def test_noise_of_no_file_beneath_a_galaxy(side):
    calibrated = calibrate_noise(spiral_on_noise(side, stated=False))
    assert 1 / 1.2 < np.median(calibrated[BAND].uncertainty.array) < 1.2


def test_noise_on_the_galaxy_itself_is_told():
    images = spiral_on_noise(40, stated=False)
    with pytest.warns(PicassssoWarning, match="was measured on the galaxy itself"):
        calibrated = calibrate_noise(images)
    assert 1 / 1.5 < np.median(calibrated[BAND].uncertainty.array) < 1.5
    # What a file states is better than that.
    stated = calibrate_noise(spiral_on_noise(40))
    assert noted(stated)["applied_factor"][BAND] == 1


def test_alignment_in_blocks_is_alignment(monkeypatch, tmp_path):
    images = empty_sky((90, 100)).replace(psf=1.2 * u.arcsec)
    grid = layouts.tangent_wcs((70, 80), 0.5, rotation=10)
    whole = images.reproject_to(grid, (70, 80))
    monkeypatch.setattr(resampling, "_STACK_SIZE", 1e4)
    blocks = images.reproject_to(grid, (70, 80), folder=tmp_path)
    assert isinstance(blocks._records[BAND].data, np.memmap)
    np.testing.assert_array_equal(blocks[BAND].mask, whole[BAND].mask)
    good = ~whole[BAND].mask
    np.testing.assert_allclose(
        blocks[BAND].data[good], whole[BAND].data[good], rtol=1e-3, atol=1e-4
    )
    assert blocks.psf_fwhm(BAND).value == pytest.approx(whole.psf_fwhm(BAND).value, rel=1e-3)
