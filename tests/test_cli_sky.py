"""Sky in images: what is masked, what is left, and when it is suspected or refused."""

import astropy.units as u
import numpy as np
import pytest
from astropy.nddata import CCDData, StdDevUncertainty

from picasssso._cli.estimate import warn_of_sky
from picasssso.bands import BandImages
from picasssso.exceptions import InvalidInputError, PicassssoWarning
from picasssso.preparation import subtract_background
from picasssso.preparation.background import METHODS, mask_sky_sources

SHAPE = (90, 100)
NOISE = 0.5


def field(sky=0.0, *, size=6.0, bright=40.0, seed=5):
    """A galaxy and a star on a sky, in two bands, and the light without sky and noise."""
    rng = np.random.default_rng(seed)
    y, x = np.indices(SHAPE)
    light = bright * np.exp(-np.hypot(y - 45, x - 50) / size)
    light += bright * np.exp(-0.5 * ((y - 20) ** 2 + (x - 80) ** 2) / 2)
    images = {
        band: CCDData(
            light + sky + rng.normal(0, NOISE, SHAPE),
            unit="nmgy",
            uncertainty=StdDevUncertainty(np.full(SHAPE, NOISE)),
        )
        for band in ("sdss2010-g", "sdss2010-i")
    }
    return BandImages(images, redshift=0.02, pixel_scale=0.4 * u.arcsec), light


def test_sources_are_masked_with_their_surroundings():
    images, light = field()
    mask = mask_sky_sources(images)
    assert mask[light > 3 * NOISE].all()
    # What is left unmasked holds next to no light.
    assert np.mean(light[~mask]) < 0.1 * NOISE
    assert np.mean(~mask) > 0.3


def test_sky_that_is_still_in_is_suspected():
    with pytest.warns(PicassssoWarning, match=r"sky still in .*--sky median"):
        warn_of_sky(field(700.0)[0])
    with pytest.warns(PicassssoWarning, match=r"lie 3(\.\d)? times the noise above zero"):
        warn_of_sky(field(5 * NOISE)[0])  # too little to be bright, but flat
    # A galaxy that fills the image is brighter everywhere, and not flat.
    warn_of_sky(field(size=20.0)[0])
    # None of these is suspected: a warning would be an error here.
    for images in (field(0.0)[0], field(2 * NOISE)[0], field(-700.0)[0]):
        warn_of_sky(images)
    bare = {b: CCDData(ccd.data, unit=ccd.unit) for b, ccd in field(700.0)[0].items()}
    warn_of_sky(field()[0].replace(images=bare))


def test_empty_field_has_hardly_a_source():
    images, _ = field(bright=0.0)
    assert mask_sky_sources(images).mean() < 0.1


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("level", [0.0, 700.0, -3.0])
def test_flat_sky_goes_and_the_light_stays(method, level):
    images, light = field(level)
    clean = subtract_background(images, method)
    for band in clean:
        left = np.mean(clean[band].data - light)
        error = clean.sky_error[band].to_value(u.nmgy)
        assert 0 < error < 0.3 * NOISE
        assert abs(left) < 0.15 * NOISE
        np.testing.assert_array_equal(
            clean[band].uncertainty.array, images[band].uncertainty.array
        )
    assert clean.redshift == images.redshift


def test_slope_of_the_sky_needs_a_surface():
    y, _ = np.indices(SHAPE)
    slope = 2.0 * y / SHAPE[0]
    images, light = field(slope)
    left = {
        method: np.ptp(
            [
                np.mean(subtract_background(images, method)["sdss2010-g"].data[part] - light[part])
                for part in (np.s_[:10, :30], np.s_[-10:, :30])
            ]
        )
        for method in METHODS
    }
    assert left["median"] > 1.5
    assert left["background2d"] < 0.5


def test_sky_error_covers_the_error_made():
    # The level that is left over many skies, against the error stated.
    pulls = []
    for seed in range(25):
        images, light = field(100.0, seed=seed)
        clean = subtract_background(images, "median")
        left = np.median((clean["sdss2010-i"].data - light)[~mask_sky_sources(images)])
        pulls.append(left / clean.sky_error["sdss2010-i"].value)
    assert np.std(pulls) < 2.0


def test_masked_pixels_do_not_matter():
    images, light = field(50.0)
    bad = np.zeros(SHAPE, bool)
    bad[:20, :20] = True
    spoilt = {}
    for band, image in images.items():
        data = image.data.copy()
        data[bad] = 1e6
        data[2, 2] = np.nan
        spoilt[band] = CCDData(data, unit="nmgy", uncertainty=image.uncertainty, mask=bad)
    clean = subtract_background(images.replace(images=spoilt), "median")
    assert abs(np.median(clean["sdss2010-g"].data[~bad & (light < 0.01)])) < 0.1 * NOISE


@pytest.mark.parametrize("method", METHODS)
def test_too_little_sky_is_refused(method):
    images, _ = field()
    full = np.ones(SHAPE, bool)
    full[0, :5] = False
    with pytest.raises(InvalidInputError, match="larger cutout"):
        subtract_background(images, method, source_mask=full)


def test_band_without_any_sky_is_refused():
    images, _ = field()
    mask = mask_sky_sources(images)
    data = np.where(mask, images["sdss2010-i"].data, np.nan)
    spoilt = dict(images) | {"sdss2010-i": CCDData(data, unit="nmgy")}
    with pytest.raises(InvalidInputError, match="sdss2010-i"):
        subtract_background(images.replace(images=spoilt), "median", source_mask=mask)
