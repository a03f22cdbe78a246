"""Parts of maps, maps of maps, and how both are shown."""

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS

from picasssso import PropertyMaps
from picasssso.data import load_example
from picasssso.exceptions import InvalidInputError
from picasssso.maps import PropertyArrays
from picasssso.maps.map_plots import _add_axes

SHAPE = (30, 40)


def make_wcs(turn=0.0):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval, wcs.wcs.crpix = ("RA---TAN", "DEC--TAN"), (150, 2), (20, 15)
    c, s = np.cos(np.deg2rad(turn)), np.sin(np.deg2rad(turn))
    wcs.wcs.cd = np.array([[c, -s], [s, c]]) @ np.diag([-1, 1]) * 0.4 / 3600
    return wcs


def make_maps(n_samples=0, turn=0.0):
    rng = np.random.default_rng(1)
    mass = rng.uniform(1e7, 1e9, SHAPE)
    rate = mass * 1e-10 * rng.uniform(0.5, 2, SHAPE)
    draws = {}
    if n_samples:
        z = rng.normal(size=(n_samples, *SHAPE))
        # Both scale with the light: their ratio is known better than either.
        draws = {"stellar_mass": mass * np.exp(0.2 * z), "sfr": rate * np.exp(0.2 * z)}
    age = PropertyArrays.from_normal(np.full(SHAPE, 5.0), 0.5)
    return PropertyMaps(
        {
            name: PropertyArrays.from_normal(plane, 0.2 * plane, samples=draws.get(name))
            for name, plane in (("stellar_mass", mass), ("sfr", rate))
        }
        | ({} if n_samples else {"stellar_age": age}),
        quality=None, wcs=make_wcs(turn), redshift=0.02, luminosity_distance=90 * u.Mpc,
        shared_error={"stellar_mass": 0.1},
        systematics={"zero point": {"sfr": 0.1 * rate, "stellar_mass": 0.1 * mass}},
        meta={"estimator": "Made", "bands": ["sdss2010-g", "sdss2010-i"],
              "resolution_fwhm_arcsec": 1.3},
    )  # fmt: skip


def test_a_cutout_is_the_slice_around_its_position():
    maps = make_maps()
    place = maps.wcs.pixel_to_world(25, 12)
    for part in (maps.cutout(place, 4 * u.arcsec), maps.cutout((25, 12), 10)):
        assert part.shape == (10, 10)
        x, y = part.wcs.world_to_pixel(place)
        np.testing.assert_array_equal(
            part["sfr"].data[round(float(y)), round(float(x))], maps["sfr"].data[12, 25]
        )
    assert maps.cutout((0, 0), (6, 8)).shape == (3, 4)
    with pytest.raises(InvalidInputError, match="outside"):
        maps.cutout(SkyCoord(160, 2, unit="deg"), 4 * u.arcsec)


def test_selected_maps_are_the_same_maps():
    maps = make_maps()
    part = maps.select(["sfr"])
    assert list(part) == ["sfr"]
    assert part.shared_error == {}
    assert list(part.systematics["zero point"]) == ["sfr"]
    one, two = (m.total("sfr", correlation="independent") for m in (maps, part))
    assert (one.value, one.uncertainty) == (two.value, two.uncertainty)
    assert list(maps.select("stellar_age")) == ["stellar_age"]
    with pytest.raises(InvalidInputError, match="hi_mass"):
        maps.select(["hi_mass"])


def test_specific_star_formation_is_rate_over_mass(tmp_path):
    maps = make_maps().with_specific_sfr()
    ratio = (maps["sfr"].data * maps["sfr"].unit) / (
        maps["stellar_mass"].data * maps["stellar_mass"].unit
    )
    median = maps.percentile("specific_sfr", 50)
    np.testing.assert_allclose(median.to_value("1/Gyr"), ratio.to_value("1/Gyr"), rtol=1e-6)
    # Errors of 20 % in both, in quadrature.
    low, high = (maps.percentile("specific_sfr", q).value for q in (16, 84))
    assert np.median(high / low) == pytest.approx(np.exp(2 * 0.2 * np.sqrt(2)), rel=0.05)
    rate, mass = (maps.total(n, correlation="full").value for n in ("sfr", "stellar_mass"))
    average = maps.total("specific_sfr", correlation="full")
    assert average.value.to_value("1/Gyr") == pytest.approx((rate / mass).to_value("1/Gyr"))
    assert "independent" in maps.meta["specific_sfr_from"]
    maps.write(tmp_path / "maps.fits")
    again = PropertyMaps.read(tmp_path / "maps.fits")
    assert again.definition("specific_sfr") == maps.definition("specific_sfr")
    with pytest.raises(InvalidInputError, match="needs sfr"):
        make_maps().select("stellar_mass").with_specific_sfr()


def test_specific_star_formation_of_joint_samples_knows_that_errors_cancel():
    maps = make_maps(n_samples=50).with_specific_sfr()
    assert maps.meta["specific_sfr_from"] == "joint samples"
    width = maps.percentile("specific_sfr", 84) / maps.percentile("specific_sfr", 16)
    assert np.abs(width - 1).max() < 1e-6


def test_notebooks_show_tables():
    maps = make_maps()
    for shown, words in (
        (maps, ("stellar_mass", "solMass / kpc2", "masked")),
        (maps.total("sfr", correlation="full"), ("sfr", "frame", "0.0 %")),
        (load_example()[0], ("sdss2010-r", "nmgy", "arcsec")),
    ):
        text = shown._repr_html_()
        assert text.startswith("<table>")
        assert text.count("<tr>") == text.count("</tr>") > 1
        assert all(word in text for word in words)


def test_the_file_names_estimator_bands_and_resolution(tmp_path):
    make_maps().write(tmp_path / "maps.fits")
    header = fits.getheader(tmp_path / "maps.fits")
    assert header["ESTIMATR"] == "Made"
    assert header["BANDS"] == "sdss2010-g,sdss2010-i"
    assert header["RESFWHM"] == 1.3


def test_one_map_on_axes_of_ones_own():
    import matplotlib.pyplot as plt

    maps = make_maps()
    figure, axes = plt.subplots(subplot_kw={"projection": maps.wcs})
    assert maps.plot("stellar_mass", ax=axes, vmin=1e8, vmax=5e8, log=False) is figure
    (picture,) = axes.images
    assert (picture.norm.vmin, picture.norm.vmax) == (1e8, 5e8)
    assert type(picture.norm).__name__ == "Normalize"
    logarithmic = maps.plot("stellar_age", log=True, vmin=1.0)
    assert type(logarithmic.axes[0].images[0].norm).__name__ == "LogNorm"
    for wrong in ({"vmin": 2e9, "vmax": 1e9}, {"vmin": -1.0}):
        with pytest.raises(InvalidInputError, match="vmin below vmax"):
            maps.plot("stellar_mass", **wrong)
    with pytest.raises(InvalidInputError, match="one map alone"):
        maps.plot(["stellar_mass", "sfr"], ax=axes)
    plt.close("all")


@pytest.mark.parametrize(("turn", "sides"), [(0, "bl"), (90, "lb"), (-80, "lb"), (170, "bl")])
def test_coordinates_stand_along_the_edges_they_change_along(turn, sides):
    import matplotlib.pyplot as plt

    maps = make_maps(turn=turn)
    axes = _add_axes(plt.figure(), 111, maps, left=True, last=True)
    found = "".join(c.get_ticklabel_position()[0] for c in axes.coords)
    assert found == sides
    plt.close("all")
