import astropy.units as u
import numpy as np
import pytest
from astropy.nddata import StdDevUncertainty

from picasssso.exceptions import InvalidInputError, PicassssoWarning
from picasssso.preparation import background as module
from picasssso.preparation import storage, subtract_background
from picasssso.preparation.background import mask_sky_sources

from .conftest import SIGMA, make_field


@pytest.fixture(scope="module")
def sloped():
    shape = (260, 280)
    y, x = np.indices(shape)
    sky = 3.0 + 2e-3 * x - 1e-3 * y
    return make_field(shape, sky=sky)[0], make_field(shape)[0]


def test_a_sloping_sky_goes_and_the_light_stays(sloped):
    with_sky, without = sloped
    clean = subtract_background(with_sky)
    for band in clean:
        left = clean[band].data - without[band].data
        assert abs(np.median(left)) < 0.2 * SIGMA
        # Over the galaxy too, where the surface is bridged.
        assert np.abs(np.mean(left[100:160, 110:170])) < 0.1 * SIGMA
        assert 0 < clean.sky_error_nmgy(band) < 0.2 * SIGMA
    assert clean.wcs is not None
    assert clean.redshift == with_sky.redshift


def test_one_level(sloped):
    _, without = sloped
    raised = make_field((260, 280), sky=5.0)[0]
    clean = subtract_background(raised, "median")
    for band in clean:
        assert abs(np.median(clean[band].data - without[band].data)) < 0.2 * SIGMA


def test_a_given_mask_and_box(sloped):
    images, without = sloped
    mask = mask_sky_sources(images)
    clean = subtract_background(images, source_mask=mask, box_size=26)
    assert abs(np.median(clean["sdss2010-r"].data - without["sdss2010-r"].data)) < 0.2 * SIGMA


def test_block_by_block_is_the_same_within_the_noise(sloped, monkeypatch, tmp_path):
    images, _ = sloped
    mask = mask_sky_sources(images)
    whole = subtract_background(images, source_mask=mask, box_size=16)
    monkeypatch.setattr(
        module, "transform", lambda *a, **k: storage.transform(*a, **{**k, "bytes_per_pixel": 6e3})
    )
    blocks = subtract_background(images, source_mask=mask, box_size=16, folder=tmp_path)
    assert isinstance(blocks["sdss2010-r"].data.base, np.memmap) or isinstance(
        blocks._records["sdss2010-r"].data, np.memmap
    )
    difference = blocks["sdss2010-r"].data - whole["sdss2010-r"].data
    assert np.abs(difference).max() < SIGMA
    assert not list(tmp_path.iterdir())  # files without a name


@pytest.mark.parametrize("side", [1, 3, 5, 8, 12])
def test_a_galaxy_all_over_a_small_image_is_no_sky(sloped, side):
    galaxy = sloped[1][130 - side // 2 :, 140 - side // 2 :][:side, :side]
    with pytest.raises(InvalidInputError, match="light all over"):
        subtract_background(galaxy)


def test_the_sky_of_a_small_image_goes(sloped):
    corner = sloped[0][4:16, 4:16]
    clean = subtract_background(corner)
    for band in clean:
        assert abs(np.median(clean[band].data)) < SIGMA


def test_what_is_refused(sloped):
    images, _ = sloped
    with pytest.raises(InvalidInputError, match="background2d"):
        subtract_background(images, "flat")
    with pytest.raises(InvalidInputError, match="larger cutout"):
        subtract_background(images, source_mask=np.ones(images.shape, bool))
    with pytest.raises(InvalidInputError, match="booleans of shape"):
        subtract_background(images, source_mask=np.ones((3, 3), bool))


def test_counts_become_nmgy(sloped):
    _, without = sloped
    counts = without.select(["sdss2010-r"])
    image = counts["sdss2010-r"]
    factor = 10 ** (0.4 * (25 - 22.5))
    from astropy.nddata import CCDData, StdDevUncertainty

    from picasssso import BandImages

    counts = BandImages(
        {
            "sdss2010-r": CCDData(
                image.data * factor,
                unit="adu",
                wcs=image.wcs,
                uncertainty=StdDevUncertainty(image.uncertainty.array * factor),
            )
        },
        redshift=0.03,
        zero_point=25 * u.ABmag,
        sky_error=2 * u.adu,
    )
    one = subtract_background(counts, "median")
    two = subtract_background(without.select(["sdss2010-r"]), "median")
    assert one["sdss2010-r"].unit == u.nmgy
    np.testing.assert_allclose(
        one["sdss2010-r"].data, two["sdss2010-r"].data, atol=1e-4 * SIGMA, rtol=1e-5
    )


def test_an_image_of_one_value_is_refused(sloped):
    images = sloped[1][:30, :30]
    flat = images["sdss2010-r"]
    flat.data = np.full(images.shape, 5.0)
    flat.uncertainty = None
    with pytest.raises(InvalidInputError, match="one value, 5 nmgy, in all pixels"):
        module.mask_padding(images.with_planes({"sdss2010-r": flat}))
    # With noise that the file states, it may be a model.
    flat.uncertainty = StdDevUncertainty(np.ones(images.shape))
    with pytest.warns(PicassssoWarning, match="one value, 5 nmgy, in all pixels"):
        module.mask_padding(images.with_planes({"sdss2010-r": flat}))


def test_constant_padding_is_no_data():
    """Zeros beyond a survey's edge count as NaN does, in each band by itself."""
    from astropy.nddata import NDData

    from picasssso.preparation.background import mask_padding

    images, _ = make_field((90, 100), n_stars=0)
    filled = {}
    for band, image in images.items():
        data = np.array(image.data)
        data[:, : 30 if band.endswith("g") else 0] = -0.5
        filled[band] = NDData(data, unit=image.unit, uncertainty=image.uncertainty)
    padded = images.with_planes(filled)
    found = mask_padding(padded)
    expected = np.zeros((90, 100), bool)
    expected[:, :30] = True
    np.testing.assert_array_equal(found["sdss2010-g"].mask, expected)
    assert found["sdss2010-r"].mask is None or not found["sdss2010-r"].mask.any()
    (step,) = found.meta["preparation"]
    assert step == {"step": "no data", "part_of_image": {"sdss2010-g": 0.3}}
    assert mask_padding(images) is images


@pytest.mark.parametrize("fill", [-999.0, 1e30])
def test_constant_padding_is_no_data_to_its_tips(fill):
    """Where its edge is slanted no square fits in, and what is left there spoils sky and light."""
    from astropy.nddata import NDData

    images, _ = make_field((90, 100), n_stars=0)
    y, x = np.indices(images.shape)
    beyond = x + 3 * y < 60
    filled = {}
    for band, image in images.items():
        data = np.where(beyond, fill, image.data).astype(np.float32)
        filled[band] = NDData(data, unit=image.unit, uncertainty=image.uncertainty)
    found = module.mask_padding(images.with_planes(filled))
    for band in found:
        np.testing.assert_array_equal(found[band].mask, beyond)
