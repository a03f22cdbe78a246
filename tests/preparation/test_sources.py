"""The target stays whole; stars and neighbors go."""

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.nddata import CCDData
from astropy.wcs import WCS
from scipy.signal import fftconvolve

from picasssso.bands import BandImages
from picasssso.exceptions import InvalidInputError, PicassssoWarning
from picasssso.preparation import cutout_target, find_sources, mask_sources, prepare
from picasssso.preparation.psf import model_psf
from picasssso.preparation.sources import pixel_position

from .conftest import FWHM, galaxy_light, make_field

SHAPE = (201, 211)
CENTER = (100, 105)


@pytest.fixture(scope="module")
def crowded():
    """A galaxy with a star on its disk, a companion, knots in its arms, and stars around."""
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
    # The light masked on the galaxy's disk is the star's surroundings and no more.
    y, x = np.indices(SHAPE)
    disk = np.hypot(x - CENTER[1], (y - CENTER[0]) / 0.7) < 30
    assert np.count_nonzero(found.foreign & disk) < 250


def test_a_smooth_galaxy_keeps_everything():
    images, psf = make_field(SHAPE, n_stars=0, size=10)
    found = find_sources(images.replace(psf=psf))
    y, x = np.indices(SHAPE)
    inside = np.hypot(x - CENTER[1], (y - CENTER[0]) / 0.7) < 30
    assert found.target[inside].all()
    assert found.n_stars == 0
    assert np.count_nonzero(found.foreign & inside) == 0


def test_size_and_place(crowded):
    shape = find_sources(crowded).shape
    assert (shape.x, shape.y) == pytest.approx((105, 100), abs=1.5)
    # Of the disk and bulge made: half the light lies within 12 to 16 pixels, seeing included.
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


def test_the_record_says_how_much_of_the_target_is_masked(crowded):
    found = find_sources(crowded)
    record = mask_sources(crowded, sources=found).meta["preparation"][-1]
    assert record["step"] == "mask"
    assert record["part_of_target_area_masked"] == pytest.approx(found.hidden_area, abs=1e-4)
    outline = found.target | (found.foreign & disk(40))
    assert found.hidden_area == pytest.approx(1 - found.target.sum() / outline.sum(), rel=0.5)
    hole = np.zeros(SHAPE, bool)
    hole[90:111, 95:116] = True  # bad pixels on the brightest part
    holed = crowded.with_planes(
        {b: _masked(crowded[b], hole if b.endswith("r") else hole & False) for b in crowded}
    )
    worse = find_sources(holed)
    assert worse.hidden_area > found.hidden_area + 0.05
    assert worse.hidden_light > found.hidden_light + 0.25
    assert worse.center_hidden
    assert not found.center_hidden


@pytest.mark.parametrize("columns", [slice(95, 116), slice(106, 126)])
def test_light_in_holes_is_what_it_was_and_a_warning_says_so(columns):
    """Over the center, whose bulge cannot be known, and beside it."""
    images, _ = make_field(SHAPE, n_stars=0)
    whole = find_sources(images)
    hole = np.zeros(SHAPE, bool)
    hole[90:111, columns] = True
    holed = images.with_planes({band: _masked(images[band], hole) for band in images})
    light = np.sum(images.to_arrays()[0], axis=0)
    lost = light[hole & whole.target].sum() / light[whole.target].sum()
    assert lost > 0.1
    assert find_sources(holed).hidden_light == pytest.approx(lost, abs=0.08)
    center = " its center among it," if columns.start == 95 else " is in"
    with pytest.warns(PicassssoWarning, match=f"% of the target's light,?{center}"):
        prepare(holed, sky=None, noise=False, match=False)


def _masked(image, mask):
    image = image.copy()
    image.mask = mask
    return image


def disk(radius):
    y, x = np.indices(SHAPE)
    return np.hypot(x - CENTER[1], (y - CENTER[0]) / 0.7) < radius


# Offsets in pixels of 0.4 arcsec: 12 are 4.8 arcsec.
@pytest.mark.parametrize("off", [(0, 0), (12, 0), (0, -12), (9, 9)])
@pytest.mark.parametrize("seeing", [0.6, 1.0, 2.2])
def test_the_nucleus_stays_wherever_the_position_is(off, seeing):
    nucleus = galaxy_light(SHAPE, size=1.0, flux=40.0, center=CENTER)
    star = np.zeros(SHAPE)
    star[112, 127] = 30.0
    fwhm = {band: seeing * width for band, width in {"g": 4.2, "i": 2.8}.items()}
    images, psf = make_field(SHAPE, n_stars=0, extra=nucleus + star, fwhm=fwhm, center=CENTER)
    found = find_sources(images.replace(psf=psf), (CENTER[1] + off[0], CENTER[0] + off[1]))
    assert found.nucleus == pytest.approx((105, 100), abs=2)
    assert not found.foreign[97:104, 102:109].any()
    assert found.foreign[112, 127]


@pytest.mark.parametrize("flux", [1.0, 12.0, 40.0])
def test_a_cutout_around_a_supernova_keeps_the_nucleus(flux):
    supernova = np.zeros(SHAPE)
    supernova[112, 122] = flux
    images, psf = make_field(SHAPE, n_stars=0, extra=supernova, center=CENTER)
    found = find_sources(images.replace(psf=psf), (122, 112))
    assert found.target[CENTER]
    assert found.nucleus == pytest.approx((105, 100), abs=2)


@pytest.mark.parametrize("place", [(100, 105 + 75), (145, 140)])
def test_a_brighter_companion_behind_a_valley_is_masked(place):
    companion = galaxy_light(SHAPE, size=4.0, flux=300.0, center=place)
    images, psf = make_field(SHAPE, n_stars=0, extra=companion, size=6.0, center=CENTER)
    for position in (None, (CENTER[1] + 12, CENTER[0])):
        found = find_sources(images.replace(psf=psf), position or (CENTER[1], CENTER[0]))
        assert found.foreign[place]
        assert found.target[CENTER]
        assert (found.shape.x, found.shape.y) == pytest.approx((105, 100), abs=3)


@pytest.mark.parametrize("flux", [30.0, 300.0])
@pytest.mark.parametrize("off", [(0, 0), (7, -5)])
def test_a_star_whose_wings_cover_the_galaxy_is_not_its_nucleus(flux, off):
    star = np.zeros(SHAPE)
    star[CENTER[0] + 7, CENTER[1] + 10] = flux  # 5 arcsec away
    fwhm = dict.fromkeys("gri", 4.5)
    images, psf = make_field(
        SHAPE, n_stars=0, extra=star, fwhm=fwhm, flux=30.0, size=7.0, center=CENTER
    )
    found = find_sources(images.replace(psf=psf), (CENTER[1] + off[0], CENTER[0] + off[1]))
    assert found.nucleus == pytest.approx((105, 100), abs=2.5)
    assert found.target[CENTER]
    assert found.foreign[CENTER[0] + 7, CENTER[1] + 10]


@pytest.mark.parametrize(("side", "flux"), [(1, 60.0), (-1, 60.0), (1, 300.0), (-1, 900.0)])
def test_a_bright_nucleus_beside_a_companion_stays(side, flux):
    """Of less than half to six times the light of its galaxy."""
    nucleus = np.zeros(SHAPE)
    nucleus[CENTER] = flux
    companion = galaxy_light(
        SHAPE, size=4.0, flux=100.0, center=(CENTER[0], CENTER[1] + 40 * side)
    )
    images, psf = make_field(SHAPE, n_stars=0, extra=nucleus + companion, center=CENTER)
    for off in ((0, 0), (12 * side, 0), (-12 * side, 3)):
        found = find_sources(images.replace(psf=psf), (CENTER[1] + off[0], CENTER[0] + off[1]))
        assert not found.foreign[97:104, 102:109].any()
        assert found.nucleus == pytest.approx((105, 100), abs=2)


@pytest.mark.parametrize(("flux", "place"), [(20.0, (110, 114)), (60.0, (104, 118))])
def test_a_star_five_arcsec_from_the_nucleus_is_none_even_if_asked_for(flux, place):
    """The galaxy's light behind the nucleus is no sign that the star is around it."""
    star = np.zeros(SHAPE)
    star[place] = flux
    images, psf = make_field(SHAPE, n_stars=0, extra=star, center=CENTER)
    found = find_sources(images.replace(psf=psf), place[::-1])
    assert found.nucleus == pytest.approx((105, 100), abs=2)
    assert found.foreign[place]
    assert not found.foreign[CENTER]


def light_of(flux, size, center):
    light = galaxy_light(SHAPE, size=size, flux=flux, center=center)
    return light, fftconvolve(light, model_psf(FWHM["r"], 41), mode="same")


@pytest.mark.parametrize(
    ("size", "flux", "kept", "lost", "strange"),
    [(9.0, 150.0, 0.9, 0.06, 0.05), (9.0, 75.0, 0.9, 0.05, 0.04), (4.0, 50.0, 0.93, 0.02, 0.01)],
)
def test_two_galaxies_that_overlap_are_told_apart_and_how_well(size, flux, kept, lost, strange):
    """Twenty arcsec from one another, in parts of the light of the target."""
    place = CENTER[0], CENTER[1] + 50
    light, other = light_of(flux, size, place)
    _, own = light_of(150.0, 9.0, CENTER)
    images, psf = make_field(SHAPE, n_stars=0, extra=light, center=CENTER)
    found = find_sources(images.replace(psf=psf))
    assert own[found.target].sum() > kept * own.sum()
    assert other[found.target].sum() < strange * own[found.target].sum()
    assert found.foreign[place]
    assert (found.shape.x, found.shape.y) == pytest.approx((105, 100), abs=1.0)
    # What the target has under the other's mask is said, at least half of it.
    hidden = own[found.foreign].sum() / own.sum()
    assert hidden < lost
    assert 0.4 * hidden < found.hidden_light < 1.2 * hidden
    record = mask_sources(images, sources=found).meta["preparation"][-1]
    assert record["part_of_target_light_masked"] == pytest.approx(found.hidden_light, abs=1e-4)


def test_a_position_on_the_other_side_of_the_sky_is_told():
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = "RA---TAN", "DEC--TAN"
    wcs.wcs.crval, wcs.wcs.cdelt = (150.0, 2.0), (-1e-4, 1e-4)
    image = CCDData(np.ones((8, 8)), unit="nmgy", wcs=wcs)
    images = BandImages({"sdss2010-r": image}, redshift=0.03)
    with pytest.raises(InvalidInputError, match="25 60 in degrees, which is not on the part"):
        pixel_position(images, SkyCoord(25, 60, unit="deg"))
