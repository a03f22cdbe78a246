"""The picture of a galaxy and its maps: what stands where, and what is gray."""

import astropy.units as u
import numpy as np
import pytest

from picasssso.maps import PropertyMaps
from picasssso.maps.arrays import PropertyArrays
from picasssso.maps.pictures import draw_picture
from picasssso.testing import make_galaxy

SHAPE = (20, 22)


def make_maps(mass, sigma=3e7, **intensive):
    arrays = {"stellar_mass": PropertyArrays.from_normal(mass, sigma)}
    for name, plane in intensive.items():
        arrays[name] = PropertyArrays.from_normal(plane, 0.1)
    return PropertyMaps(arrays, quality=None, pixel_solid_angle=0.16 * u.arcsec**2)


@pytest.fixture(scope="module")
def galaxy():
    return make_galaxy(SHAPE)


@pytest.fixture(scope="module")
def truth():
    y, x = np.indices(SHAPE)
    return make_maps(
        1e9 * np.exp(-np.hypot(y - 10, x - 11) / 2), sigma=1.0, stellar_age=np.full(SHAPE, 5.0)
    )


@pytest.fixture(scope="module")
def estimate(truth):
    noise = np.random.default_rng(1).normal(0, 3e7, SHAPE)
    return make_maps(truth["stellar_mass"].data + noise, stellar_age=np.full(SHAPE, 4.0))


def panels(figure):
    """Shown pixels by title; color bars have no title."""
    return {
        axes.get_title(): axes.images[0].get_array() for axes in figure.axes if axes.get_title()
    }


def test_one_estimator_beside_the_truth(galaxy, estimate, truth):
    shown = panels(draw_picture(galaxy, {"mine": estimate}, truth))
    assert {"galaxy, z = 0.05", "stellar mass (mine)", "stellar age (mine)", "truth"} < set(shown)
    ratio = shown["estimate / truth"]
    assert ratio.shape == SHAPE


def test_ratio_is_shown_where_the_truth_and_not_the_estimate_is_large(galaxy, estimate, truth):
    only_mass = {"mine": make_maps(estimate["stellar_mass"].data)}
    ratio = panels(draw_picture(galaxy, only_mass, truth))["estimate / truth"]
    sigma = only_mass["mine"]["stellar_mass"].uncertainty.array
    np.testing.assert_array_equal(ratio.mask, truth["stellar_mass"].data <= sigma)
    assert 0.1 < ratio.mask.mean() < 0.9
    # Where noise made the estimate negative it is far below, not left out.
    assert ratio.min() < -0.5


def test_gray_is_for_no_estimate_only(galaxy, truth):
    mass = truth["stellar_mass"].data.copy()
    mass[0, 0], mass[0, 1] = -1e6, np.nan
    shown = panels(draw_picture(galaxy, {"mine": make_maps(mass)}))
    for title in ("stellar mass (mine)", "relative uncertainty"):
        assert not shown[title].mask[0, 0], title
        assert shown[title].mask[0, 1], title


def test_intensive_properties_are_shown_where_there_is_something(galaxy, estimate):
    age = panels(draw_picture(galaxy, {"mine": estimate}))["stellar age (mine)"]
    mass = estimate["stellar_mass"]
    np.testing.assert_array_equal(age.mask, mass.data <= mass.uncertainty.array)


@pytest.mark.parametrize("with_truth", [True, False])
def test_several_estimators_share_a_column_and_its_colors(galaxy, estimate, truth, with_truth):
    mass_only = make_maps(estimate["stellar_mass"].data)
    figure = draw_picture(galaxy, {"a": estimate, "b": mass_only}, truth if with_truth else None)
    titles = [axes.get_title() for axes in figure.axes if axes.images]
    if with_truth:
        expected = ["galaxy, z = 0.05", "truth", "truth", "a / truth", "a", "a", "b / truth", "b"]
    else:
        what = "relative uncertainty"
        expected = ["galaxy, z = 0.05", what, "a", "a", what, "b"]
    assert titles == expected
    texts = {text.get_text() for axes in figure.axes for text in axes.texts}
    assert "b:\nnone" in texts  # and it says that there is no age
    mass = [axes.images[0] for axes in figure.axes[1:9:3] if axes.images]
    assert len({(image.norm.vmin, image.norm.vmax) for image in mass}) == 1
    labels = [axes.get_xlabel() for axes in figure.axes if axes.get_xlabel()]
    assert labels[0] == "x (arcsec)"
    assert len(labels) == 4  # and one color bar for each column
    assert labels[2].startswith("stellar mass\n[")


def test_three_estimators_fit_a_screen_and_can_be_read_in_gray(galaxy, estimate, truth):
    figure = draw_picture(galaxy, dict.fromkeys("abc", estimate), truth)
    assert figure.get_size_inches()[1] <= 9
    figure.canvas.draw()
    for axes in figure.axes:
        if axes.images and axes.images[0].get_array().ndim == 2:
            colors = axes.images[0].cmap(np.linspace(0, 1, 64))[:, :3]
            brightness = colors @ [0.299, 0.587, 0.114]
            assert np.all(np.diff(brightness) > 0), axes.images[0].cmap.name


def test_nothing_at_all_can_be_drawn(galaxy):
    empty = make_maps(np.full(SHAPE, np.nan), stellar_age=np.full(SHAPE, np.nan))
    for truth in (None, empty):
        for estimates in ({"a": empty}, {"a": empty, "b": empty}):
            figure = draw_picture(galaxy, estimates, truth)
            figure.canvas.draw()
