"""The figure: what is drawn where, on which scale."""

import astropy.units as u
import numpy as np
import pytest
from astropy.visualization.wcsaxes import WCSAxes
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, to_rgba
from matplotlib.figure import Figure

from picasssso._plotting import round_length
from picasssso.maps import PropertyMaps
from picasssso.maps.arrays import PropertyArrays
from picasssso.properties import Property


class FakeImages:
    """Draws a picture as BandImages does."""

    def plot(self, ax):
        ax.imshow(np.zeros((20, 24, 3)), origin="lower")
        return ax


def pictures(figure):
    """The maps drawn, in order."""
    return [axes.images[0] for axes in figure.axes if axes.images]


def labels(figure):
    """What stands above the color bars."""
    return [axes.get_xlabel() for axes in figure.axes if not isinstance(axes, WCSAxes)]


def test_all_maps_with_their_units(maps, tmp_path):
    figure = maps.plot()
    assert isinstance(figure, Figure)
    assert len(pictures(figure)) == 3
    assert all(isinstance(picture.axes, WCSAxes) for picture in pictures(figure))
    for picture in pictures(figure):
        np.testing.assert_allclose(picture.axes.wcs.wcs.crval, maps.wcs.wcs.crval)
    texts = labels(figure)
    assert texts[0].startswith("stellar mass [")
    assert "odot" in texts[0]
    assert "kpc" in texts[0]
    assert "Gyr" in texts[2]
    figure.savefig(tmp_path / "maps.png", dpi=50)


def test_dimensionless_maps_have_no_brackets(normal_arrays):
    maps = PropertyMaps(
        {"stellar_metallicity": normal_arrays([[0.01, 0.02]], 1e-3, with_mean=False)},
        quality=None,
        pixel_solid_angle=1 * u.arcsec**2,
    )
    assert "stellar metallicity" in labels(maps.plot())


def test_scales(maps):
    mass, sfr, age = pictures(maps.plot())
    assert isinstance(mass.norm, LogNorm)
    assert isinstance(sfr.norm, LogNorm)
    assert not isinstance(age.norm, LogNorm)
    assert mass.norm.vmax / mass.norm.vmin <= 1001
    assert mass.norm.vmax == pytest.approx(np.nanmax(maps["stellar_mass"].data), rel=0.2)


def test_masked_pixels_are_gray_and_faint_ones_are_not(make_maps, normal_arrays):
    mean = np.full((20, 24), 1e8)
    mean[5, 5] = -1e7
    quality = np.zeros((20, 24), int)
    quality[10, 10] = 1
    maps = PropertyMaps(
        {"stellar_mass": normal_arrays(mean, 1e5)},
        quality=quality,
        pixel_solid_angle=1 * u.arcsec**2,
    )
    (picture,) = pictures(maps.plot())
    colors = picture.cmap(picture.norm(picture.get_array()))
    np.testing.assert_allclose(colors[10, 10], to_rgba("0.78"))
    np.testing.assert_allclose(colors[5, 5], picture.cmap(0.0))


def test_chosen_properties(maps):
    assert [text.split(" [")[0] for text in labels(maps.plot(["stellar_age", "sfr"]))] == [
        "stellar age",
        "star formation rate",
    ]
    assert len(pictures(maps.plot("sfr"))) == 1
    assert labels(maps.plot("stellar_age", "sfr")) == labels(maps.plot(["stellar_age", "sfr"]))


def test_truth_shares_the_scale(maps, make_maps):
    truth = make_maps((20, 24), dtype=np.float64)
    figure = maps.plot(["stellar_mass", "sfr"], truth=truth)
    drawn = pictures(figure)
    assert len(drawn) == 4
    for estimate, true in (drawn[:2], drawn[2:]):
        assert estimate.norm is true.norm
        assert estimate.axes.get_position().x0 == pytest.approx(true.axes.get_position().x0)
        assert estimate.axes.get_position().y0 > true.axes.get_position().y1
    # What a logarithm cannot show, or is too faint, lies at the floor.
    floor = drawn[3].norm.vmin
    expected = np.maximum(truth["sfr"].data, floor)
    np.testing.assert_array_equal(drawn[3].get_array().filled(np.nan), expected)
    written = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert written.count("estimate") == written.count("truth") == 2


def test_truth_may_lack_a_property(maps, make_maps):
    options = make_maps()._arguments()
    options["definitions"] = None
    truth = PropertyMaps({"sfr": maps._planes("sfr")}, **options)
    assert len(pictures(maps.plot(["stellar_mass", "sfr"], truth=truth))) == 3


def test_images_come_first(maps):
    figure = maps.plot(["sfr"], images=FakeImages())
    assert figure.axes[0].get_title() == "image"
    assert len(pictures(figure)) == 2


def test_panels_do_not_overlap(maps, make_maps):
    figure = maps.plot(truth=make_maps(), images=FakeImages())
    boxes = [axes.get_position() for axes in figure.axes]
    for k, one in enumerate(boxes):
        assert 0 <= one.x0 < one.x1 <= 1
        assert 0 <= one.y0 < one.y1 <= 1
        for two in boxes[:k]:
            apart = one.x0 > two.x1 or two.x0 > one.x1 or one.y0 > two.y1 or two.y0 > one.y1
            assert apart, "two panels overlap"


@pytest.mark.parametrize("shape", [(1, 1), (1, 24), (30, 2)])
def test_odd_shapes(make_maps, tmp_path, shape):
    maps = make_maps(shape, quality=np.zeros(shape, int))
    maps.plot(["stellar_mass", "stellar_age"]).savefig(tmp_path / "maps.png", dpi=40)


def test_without_wcs(make_maps, tmp_path):
    figure = make_maps(pixel_solid_angle=1 * u.arcsec**2).plot()
    assert all(type(picture.axes) is Axes for picture in pictures(figure))
    figure.savefig(tmp_path / "maps.png", dpi=40)


def test_all_masked(make_maps, tmp_path):
    maps = make_maps(quality=np.ones((20, 24), int))
    maps.plot().savefig(tmp_path / "maps.png", dpi=40)


def test_constant_maps_and_a_plugin_with_an_unknown_color_map(tmp_path):
    plane = np.ones((5, 6, 7))
    odd = Property("oddity", u.K, "intensive", None, "oddity", "odd", "no_such_map")
    maps = PropertyMaps(
        {"oddity": PropertyArrays(plane), "sfr": PropertyArrays(plane, plane[0])},
        quality=None,
        definitions={"oddity": odd},
        pixel_solid_angle=1 * u.arcsec**2,
    )
    figure = maps.plot()
    assert pictures(figure)[0].cmap.name == "viridis"
    for picture in pictures(figure):
        assert picture.norm.vmin < 1 < picture.norm.vmax
    figure.savefig(tmp_path / "maps.png", dpi=40)


def test_faint_pixels_do_not_decide_on_the_scale_of_ages(normal_arrays):
    mass = np.full((10, 10), 1e9)
    mass[:, 5:] = 1e3
    age = np.where(mass > 1e6, 5 + np.linspace(0, 1, 100).reshape(10, 10), 1e3)
    maps = PropertyMaps(
        {
            "stellar_mass": normal_arrays(mass, 1e2),
            "stellar_age": normal_arrays(age, 0.1, with_mean=False),
        },
        quality=None,
        pixel_solid_angle=1 * u.arcsec**2,
    )
    picture = pictures(maps.plot("stellar_age"))[0]
    assert 4.9 < picture.norm.vmin < picture.norm.vmax < 6.1


def test_scale_bar(maps, make_maps):
    def scale_text(figure):
        return figure.axes[0].texts[-1].get_text()

    # 24 pixels of 0.4 arcsec are 4.0 kpc.
    assert scale_text(maps.plot("sfr")) == "1 kpc"
    assert scale_text(make_maps(luminosity_distance=None).plot("sfr")) == "2″"


@pytest.mark.parametrize(
    ("longest", "expected"), [(1, 1), (1.99, 1), (2, 2), (7, 5), (0.03, 0.02), (999, 500)]
)
def test_round_lengths(longest, expected):
    assert round_length(longest) == pytest.approx(expected)
