"""The target stays whole; stars and neighbours go."""

import numpy as np
import pytest

from picasssso.exceptions import InvalidInputError
from picasssso.preparation import cutout_target, find_sources, mask_sources

from .conftest import galaxy_light, make_field

SHAPE = (201, 211)
CENTRE = (100, 105)


@pytest.fixture(scope="module")
def crowded():
    """A galaxy with a star on its disc, a companion, knots in its arms, and stars around."""
    extra = np.zeros(SHAPE)
    extra[112, 122] = 12.0  # a foreground star
    extra += galaxy_light(SHAPE, size=3.0, flux=20.0, center=(100, 165))
    for y, x in ((90, 95), (113, 100), (95, 118)):
        extra[y, x] += 0.6  # star-forming regions
    images, psf = make_field(SHAPE, n_stars=5, extra=extra)
    return images.replace(psf=psf)


def test_star_and_companion_go_and_the_galaxy_stays(crowded):
    found = find_sources(crowded)
    assert found.foreign[112, 122]
    assert found.foreign[100, 165]
    assert found.n_stars == 1
    for y, x in ((100, 105), (90, 95), (113, 100), (95, 118), (100, 125)):
        assert found.target[y, x]
        assert not found.foreign[y, x]
    assert not (found.target & found.foreign).any()
    # The light masked on the galaxy's disc is the star's surroundings and no more.
    y, x = np.indices(SHAPE)
    disc = np.hypot(x - CENTRE[1], (y - CENTRE[0]) / 0.7) < 30
    assert np.count_nonzero(found.foreign & disc) < 250


def test_a_smooth_galaxy_keeps_everything():
    images, psf = make_field(SHAPE, n_stars=0, size=10)
    found = find_sources(images.replace(psf=psf))
    y, x = np.indices(SHAPE)
    inside = np.hypot(x - CENTRE[1], (y - CENTRE[0]) / 0.7) < 30
    assert found.target[inside].all()
    assert found.n_stars == 0
    assert np.count_nonzero(found.foreign & inside) == 0


def test_size_and_place(crowded):
    shape = find_sources(crowded).shape
    assert (shape.x, shape.y) == pytest.approx((105, 100), abs=1.5)
    # Of the disc and bulge made: half the light lies within 12 to 16 pixels, seeing included.
    assert 9 < shape.half_light_radius < 17
    assert shape.axis_ratio == pytest.approx(0.75, abs=0.1)


def test_images_with_masks_and_labels(crowded):
    masked = mask_sources(crowded)
    for band in crowded:
        assert masked[band].mask[112, 122]
        assert not masked[band].mask[100, 105]
    assert masked.labels[100, 105] == 1
    assert masked.labels[112, 122] == 0
    picture = masked.plot().images[0].get_array()
    assert not np.any(picture[112, 122])


def test_another_position(crowded):
    found = find_sources(crowded, (165, 100))
    assert found.target[100, 165]
    where = crowded.wcs.pixel_to_world(165, 100)
    np.testing.assert_array_equal(find_sources(crowded, where).target, found.target)


def test_cutouts_in_units_of_size(crowded):
    found = find_sources(crowded)
    small, large = (cutout_target(crowded, found, radii=n) for n in (2, 3))
    assert small.shape[0] == pytest.approx(4 * found.shape.half_light_radius, abs=2)
    assert large.shape[0] == pytest.approx(6 * found.shape.half_light_radius, abs=2)
    assert set(large.psf) == set(crowded.psf)
    # The middle of the cutout is the target.
    middle = small.wcs.pixel_to_world(*((side - 1) / 2 for side in reversed(small.shape)))
    assert crowded.wcs.pixel_to_world(105, 100).separation(middle).arcsec < 1.0


def test_what_is_refused(crowded):
    empty, _ = make_field((100, 100), n_stars=0, flux=1e-9)
    with pytest.raises(InvalidInputError, match="no source"):
        find_sources(empty)
    with pytest.raises(InvalidInputError, match="inside the image"):
        find_sources(crowded, (1000, 3))
    with pytest.raises(InvalidInputError, match="radii"):
        cutout_target(crowded, radii=0)
