"""The sky beside galaxies that leave little of it: mock galaxies of known light."""

import warnings

import astropy.units as u
import numpy as np
import pytest
import survey_layouts as layouts
from astropy.nddata import CCDData, StdDevUncertainty
from scipy.ndimage import gaussian_filter
from scipy.special import gammaincinv

from picasssso import BandImages
from picasssso.exceptions import PicassssoWarning
from picasssso.preparation import prepare, subtract_background

SIGMA = 0.01
COLORS = {"sdss2010-g": 0.6, "sdss2010-i": 1.3}
CROPPED = ((150, 160), (120, 120), 30)  # shape, center (y, x), half-light radius
FILLING = ((150, 150), (75, 75), 75)
CENTERED = ((300, 310), (148, 155), 16)


def galaxy(shape, center, radius, index, light=1000.0, ratio=0.7, angle=0.5):
    """A Sersic profile that holds the light in all, in the seeing."""
    y, x = np.indices(shape, dtype=float) - np.reshape(center, (2, 1, 1))
    along = x * np.cos(angle) + y * np.sin(angle)
    across = y * np.cos(angle) - x * np.sin(angle)
    b = gammaincinv(2 * index, 0.5)
    reach = np.sqrt(along**2 + (across / ratio) ** 2 + 0.25) / radius
    profile = np.exp(-b * (reach ** (1 / index) - 1))
    whole = np.geomspace(1e-4, 1e3, 4000)
    norm = 2 * np.pi * np.trapezoid(whole * np.exp(-b * (whole ** (1 / index) - 1)), whole)
    return gaussian_filter(light * profile / (norm * ratio * radius**2), 1.7)


def field(light, *, seed=0, noise=SIGMA, sky=0.0, meta=None):
    rng = np.random.default_rng(seed)
    wcs = layouts.tangent_wcs(light.shape, 0.26)
    planes = {
        band: CCDData(
            light * color + sky + (rng.normal(0, noise, light.shape) if noise else 0.0),
            unit="nmgy",
            wcs=wcs,
            uncertainty=StdDevUncertainty(np.full(light.shape, noise or SIGMA)),
        )
        for band, color in COLORS.items()
    }
    return BandImages(planes, redshift=0.02, psf=1 * u.arcsec, meta=meta)


def bias(images, light):
    """Return what is wrong with the light of the pixels in which it stands out, by band."""
    bright = light > SIGMA
    return [
        float((images[band].data - color * light)[bright].sum() / (color * light[bright].sum()))
        for band, color in COLORS.items()
    ]


def pulls(images, light):
    """Return the error of the level over the stated one, by band."""
    return [
        float((images[band].data - color * light).mean() / images.sky_error_nmgy(band))
        for band, color in COLORS.items()
    ]


@pytest.mark.parametrize("index", [1, 4])
@pytest.mark.parametrize("sky", [0.0, 0.3])
def test_a_galaxy_cropped_off_center_keeps_its_light(index, sky):
    """It lost 3 and 8 % in the pixels that it has (n = 1 and 4), with errors that hid it."""
    light = galaxy(*CROPPED, index)
    clean = subtract_background(field(light, sky=sky))
    assert np.abs(bias(clean, light)).max() < 0.02
    assert np.abs(pulls(clean, light)).max() < 4


@pytest.mark.parametrize("index", [1, 4])
def test_a_galaxy_in_the_middle_of_plenty_of_sky(index):
    light = galaxy(*CENTERED, index, light=300.0)
    clean = subtract_background(field(light, sky=0.3))
    assert np.abs(bias(clean, light)).max() < 0.006
    for band in clean:
        assert clean.sky_error_nmgy(band) < 0.02 * SIGMA


@pytest.mark.parametrize("index", [1, 4])
def test_two_galaxies(index):
    shape = (240, 280)
    light = galaxy(shape, (120, 80), 18, index, 400.0)
    light += galaxy(shape, (110, 200), 12, index, 250.0, angle=2.0)
    clean = subtract_background(field(light))
    assert np.abs(bias(clean, light)).max() < 0.01


@pytest.mark.parametrize("index", [1, 4])
def test_a_galaxy_twice_the_frame_is_doubted_aloud(index):
    """Without a word of its survey the stated error covers the error, and a warning says so."""
    light = galaxy(*FILLING, index, light=6000.0, ratio=0.8)
    with pytest.warns(PicassssoWarning, match=r"is \d+ % of its light .* uncertain by [\d.]+ %"):
        clean = subtract_background(field(light))
    assert np.abs(pulls(clean, light)).max() < 3
    # 71 and 37 % were lost.
    assert np.abs(bias(clean, light)).max() < (0.25 if index == 1 else 0.1)


@pytest.mark.parametrize("index", [1, 4])
def test_what_a_survey_left_of_the_sky_is_little(index):
    light = galaxy(*FILLING, index, light=6000.0, ratio=0.8)
    source = {"source": {band: {"format": "des"} for band in COLORS}}
    clean = subtract_background(field(light, sky=0.1 * SIGMA, meta=source))
    assert np.abs(bias(clean, light)).max() < 0.015
    for band in clean:
        assert 0.05 * SIGMA < clean.sky_error_nmgy(band) < 0.15 * SIGMA


@pytest.mark.parametrize("sky", [0.05, -0.05])
def test_a_survey_that_left_more_is_contradicted(sky):
    light = galaxy(*CENTERED, 1, light=300.0)
    source = {"source": {band: {"format": "des"} for band in COLORS}}
    clean = subtract_background(field(light, sky=sky, meta=source))
    assert np.abs(bias(clean, light)).max() < 0.006


def test_blank_sky():
    light = np.zeros((200, 210))
    clean = subtract_background(field(light, sky=0.3))
    for band in clean:
        assert abs(clean[band].data.mean()) < 0.03 * SIGMA
    assert "galaxy_light_kept_out_of_it" not in clean.meta["preparation"][-1]


@pytest.mark.parametrize("index", [1, 4])
def test_nothing_is_taken_of_a_model_without_noise_and_sky(index):
    """A tilt of 2 % of the galaxy was, and 14 % of its outskirts."""
    light = galaxy((241, 241), (125, 118), 30, index)
    clean = prepare(field(light, noise=0.0), noise=False, mask=False, match=False)
    for band, color in COLORS.items():
        left = clean[band].data - color * light
        assert abs(left.sum()) < 0.005 * color * light.sum()
        halves = [left[:, :120].sum(), left[:, 121:].sum(), left[:120].sum(), left[121:].sum()]
        assert np.ptp(halves) < 0.002 * color * light.sum()


def test_a_plane_only_where_the_boxes_show_one():
    light = galaxy(*CENTERED, 1, light=300.0)
    y, x = np.indices(light.shape) / 300
    flat, sloped, bent = (
        subtract_background(field(light, sky=sky)).meta["preparation"][-1]["shape"]
        for sky in (0.0, SIGMA * (x - y), 4 * SIGMA * (x - 0.5) ** 2)
    )
    assert set(flat.values()) == {"level"}
    assert set(sloped.values()) == {"plane"}
    assert set(bent.values()) == {"surface"}


def test_cropped_real_des(shared_data):
    """Cut down to any quarter, a real galaxy keeps the light that its pixels had."""
    files = sorted((shared_data / "real/j0151_des").glob("DES_*.fits"))
    raw = BandImages.read(files, redshift=0.02)
    whole = subtract_background(raw).to_arrays()[0]
    for region in (np.s_[:150, :160], np.s_[91:, 81:], np.s_[60:180, 60:180]):
        cut = subtract_background(raw[region]).to_arrays()[0]
        expected = whole[(slice(None), *region)].sum((1, 2))
        assert np.abs(np.log10(cut.sum((1, 2)) / expected)).max() < 0.01


@pytest.mark.parametrize("index", [1, 4])
@pytest.mark.parametrize("width", [0.0, 1.0])
@pytest.mark.parametrize(("place", "light"), [(FILLING, 6000.0), (CROPPED, 1000.0)])
def test_noise_beneath_a_galaxy_that_fills_the_frame(index, width, place, light):
    """It was measured 2 to 5 times too large, and to grow 40 to 60 times with area."""
    shape = place[0]
    rng = np.random.default_rng(2)
    images = field(galaxy(*place, index, light=light, ratio=0.8), noise=0.0)

    def noise():
        values = (
            gaussian_filter(rng.normal(size=shape), width) if width else rng.normal(size=shape)
        )
        return SIGMA * values / values.std()

    planes = {band: images[band].data + noise() for band in images}
    images = images.with_planes(
        {
            band: CCDData(plane, unit="nmgy", uncertainty=images[band].uncertainty)
            for band, plane in planes.items()
        }
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PicassssoWarning)
        step = prepare(images, match=False, mask=False).meta["preparation"][-1]
    assert step["step"] == "noise"
    expected = 8.4 if width else 1.0  # sums of 10 x 10 pixels of such noise
    for band in images:
        assert step["measured_over_stated"][band] == pytest.approx(1, abs=0.05)
        assert step["inflation_of_100_pixels"][band] == pytest.approx(expected, rel=0.6)
