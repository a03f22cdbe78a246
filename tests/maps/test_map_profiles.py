"""Radial profiles: known disks on turned and skewed pixel grids."""

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS

from picasssso.exceptions import PicassssoWarning
from picasssso.maps import PropertyMaps
from picasssso.maps.arrays import PropertyArrays

LADDER = 0.02 * np.array([-1.96, -0.994, 0, 0.994, 1.96])[:, None, None]
CENTER = SkyCoord(150.1 * u.deg, 2.2 * u.deg)
SCALE_LENGTH = 6.0  # arcsec
OPTIONS = {"redshift": 0.02, "luminosity_distance": 90 * u.Mpc}


def skewed_wcs(shape):
    """Pixels that are neither square nor aligned, and mirrored."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = "RA---TAN", "DEC--TAN"
    wcs.wcs.crval = 150.1, 2.2
    wcs.wcs.crpix = 0.48 * shape[1], 0.53 * shape[0]
    wcs.wcs.cd = np.array([[0.38, 0.14], [-0.06, 0.55]]) / 3600
    wcs.wcs.set()
    return wcs


def make_disk(position_angle=35.0, axis_ratio=0.5, shape=(150, 130)):
    """An exponential disk of known shape, evaluated on the sky (arcsec to east and north)."""
    wcs = skewed_wcs(shape)
    y, x = np.indices(shape)
    east, north = (
        offset.to_value(u.arcsec)
        for offset in CENTER.spherical_offsets_to(wcs.pixel_to_world(x, y))
    )
    t = np.deg2rad(position_angle)
    major = east * np.sin(t) + north * np.cos(t)
    minor = east * np.cos(t) - north * np.sin(t)
    radius = np.hypot(major, minor / axis_ratio)
    mass = 1e9 * np.exp(-radius / SCALE_LENGTH)
    arrays = {
        "stellar_mass": PropertyArrays(mass * (1 + LADDER), mass),
        "stellar_age": PropertyArrays((2 + radius / 10) + LADDER),
    }
    return PropertyMaps(arrays, quality=None, wcs=wcs, **OPTIONS)


@pytest.fixture(scope="module")
def disk():
    return make_disk()


def shape_of(maps, **options):
    return maps.profile("stellar_mass", correlation="independent", **options).meta


def test_default_ellipse_is_that_of_the_galaxy(disk):
    meta = shape_of(disk)
    assert meta["position_angle"] == pytest.approx(35, abs=1)
    assert meta["axis_ratio"] == pytest.approx(0.5, abs=0.01)
    found = disk.wcs.pixel_to_world(*meta["center"])
    assert found.separation(CENTER).to_value(u.arcsec) < 0.05


@pytest.mark.parametrize("position_angle", [0.0, 80.0, 145.0])
def test_default_ellipse_at_other_angles(position_angle):
    meta = shape_of(make_disk(position_angle, shape=(240, 280)))
    difference = (meta["position_angle"] - position_angle + 90) % 180 - 90
    assert difference == pytest.approx(0, abs=1)


def test_profile_of_an_exponential_disk(disk):
    edges = np.arange(0, 24, 2.0) * u.arcsec
    table = disk.profile(
        "stellar_mass",
        center=CENTER,
        position_angle=35 * u.deg,
        axis_ratio=0.5,
        edges=edges,
        correlation="independent",
    )
    # The mean over an annulus of exp(-r / h), exactly.
    inner, outer = edges[:-1].value / SCALE_LENGTH, edges[1:].value / SCALE_LENGTH
    mass = (1 + inner) * np.exp(-inner) - (1 + outer) * np.exp(-outer)
    expected = 1e9 * mass / ((outer**2 - inner**2) / 2)
    np.testing.assert_allclose(table["stellar_mass"].value, expected, rtol=0.01)
    assert table["stellar_mass"].unit == u.Msun / u.kpc**2
    np.testing.assert_allclose(table["masked_fraction"], 0, atol=1e-12)
    # The pixels' errors are 2 %: a ring of n of them has about 2 % / sqrt(n).
    low, middle, high = (table[f"stellar_mass_p{q}"] for q in (16, 50, 84))
    assert (low < middle).all()
    assert (middle < high).all()
    relative = table["stellar_mass_error"] / table["stellar_mass"]
    np.testing.assert_allclose(relative * table["n_pixels"] ** 0.5, 0.02, rtol=0.3)


def test_rings_add_up_to_the_total(disk):
    edges = np.linspace(0, 15, 11) * u.arcsec
    table = disk.profile(
        "stellar_mass", center=CENTER, axis_ratio=1, edges=edges, correlation="independent"
    )
    area = np.pi * (table["radius_outer"] ** 2 - table["radius_inner"] ** 2)
    distance = disk.angular_diameter_distance
    mass = (table["stellar_mass"] * area.to_value(u.rad**2) * distance**2).to(u.Msun).sum()
    # The same circle on the sky, as an ellipse in pixels of odd shape.
    last = disk.profile(
        "stellar_mass", center=CENTER, axis_ratio=1, edges=[0, 15] * u.arcsec, correlation="full"
    )
    whole = last["stellar_mass"][0] * (np.pi * (15 * u.arcsec).to_value(u.rad) ** 2) * distance**2
    assert mass.value == pytest.approx(whole.to_value(u.Msun), rel=1e-4)
    assert last["n_pixels"][0] * disk.pixel_solid_angle.value == pytest.approx(
        np.pi * 15**2, rel=1e-3
    )


def test_deprojection_turns_the_disk_face_on(disk):
    edges = np.arange(0, 20, 4.0) * u.arcsec
    options = {"center": CENTER, "position_angle": 35 * u.deg, "edges": edges}
    seen = disk.profile("stellar_mass", axis_ratio=0.5, correlation="full", **options)
    face_on = disk.profile("stellar_mass", inclination=60 * u.deg, correlation="full", **options)
    assert face_on.meta["axis_ratio"] == pytest.approx(0.5)
    assert face_on.meta["inclination"] == pytest.approx(60)
    for column in ("stellar_mass", "stellar_mass_error"):
        np.testing.assert_allclose(face_on[column].value, 0.5 * seen[column].value)
    # Ages do not change by turning a galaxy.
    ages = [
        disk.profile("stellar_age", axis_ratio=0.5, inclination=i, correlation="full", **options)
        for i in (None, 60 * u.deg)
    ]
    np.testing.assert_allclose(ages[0]["stellar_age"], ages[1]["stellar_age"])


def test_intensive_properties_are_weighted(disk):
    table = disk.profile(
        "stellar_age",
        center=CENTER,
        position_angle=35 * u.deg,
        axis_ratio=0.5,
        edges=np.arange(0, 20, 2.0) * u.arcsec,
        correlation="independent",
    )
    assert table["stellar_age"].unit == u.Gyr
    # The mass in a ring lies a little inside its middle.
    middle = 2 + table["radius"].value / 10
    np.testing.assert_allclose(table["stellar_age"].value, middle, atol=0.07)
    assert (table["stellar_age"].value[3:] < middle[3:]).all()


def test_default_edges(disk):
    table = disk.profile("stellar_mass", correlation="independent")
    assert len(table) <= 20
    assert table["radius_inner"][0] == 0
    np.testing.assert_array_equal(table["radius_inner"][1:], table["radius_outer"][:-1])
    # Second moments of an exponential disk: sqrt(3) scale lengths along the major axis,
    # a little less where the pixels end.
    reach = table["radius_outer"][-1].to_value(u.arcsec) / SCALE_LENGTH
    assert 4.3 < reach < 5.3
    np.testing.assert_allclose(
        table["radius_kpc"].to_value(u.kpc),
        table["radius"].to_value(u.rad) * 90e3 / 1.02**2,
    )


def test_edges_in_kpc(disk):
    distance = disk.angular_diameter_distance
    edges = np.arange(0, 20, 4.0) * u.arcsec
    lengths = (edges.to_value(u.rad) * distance).to(u.kpc)
    options = {"center": CENTER, "axis_ratio": 1, "correlation": "full"}
    one, two = (disk.profile("stellar_mass", edges=e, **options) for e in (edges, lengths))
    np.testing.assert_allclose(one["stellar_mass"], two["stellar_mass"])


def test_rings_beyond_the_image_are_nan(disk):
    table = disk[60:100, 40:90].profile(
        "stellar_mass",
        center=CENTER,
        axis_ratio=1,
        edges=[0, 5, 40, 60, 80] * u.arcsec,
        correlation="independent",
    )
    assert table["masked_fraction"][0] == pytest.approx(0, abs=1e-9)
    assert 0.5 < table["masked_fraction"][1] < 1
    np.testing.assert_array_equal(table["masked_fraction"][2:], 1)
    assert np.isnan(table["stellar_mass"][2:]).all()
    np.testing.assert_array_equal(table["n_pixels"][2:], 0)


def test_without_wcs_north_is_up_and_east_left():
    y, x = np.mgrid[:121, :121] - 60.0
    t = np.deg2rad(30)
    major, minor = -x * np.sin(t) + y * np.cos(t), -x * np.cos(t) - y * np.sin(t)
    mass = 1e9 * np.exp(-np.hypot(major, minor / 0.6) / 5)
    maps = PropertyMaps(
        {"stellar_mass": PropertyArrays(mass * (1 + LADDER), mass)},
        quality=None,
        pixel_solid_angle=0.25 * u.arcsec**2,
    )
    table = maps.profile("stellar_mass", correlation="independent")
    assert table.meta["position_angle"] == pytest.approx(30, abs=0.5)
    assert table.meta["axis_ratio"] == pytest.approx(0.6, abs=0.01)
    assert table.meta["center"] == pytest.approx([60, 60], abs=0.01)
    assert "radius_kpc" not in table.colnames
    given = maps.profile(
        "stellar_mass",
        center=(60, 60),
        position_angle=30 * u.deg,
        axis_ratio=0.6,
        edges=[9, 10] * u.arcsec,
        correlation="full",
    )
    # 9.5 arcsec are 19 pixels along the major axis.
    assert given["stellar_mass"][0].value == pytest.approx(1e9 * np.exp(-19 / 5), rel=0.02)


def test_noise_around_the_galaxy_does_not_move_its_ellipse():
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:120, :140] - 60.0
    mass = 1e9 * np.exp(-np.hypot(y, x / 0.5) / 6)
    noise = 2e7
    mean = mass + noise * rng.normal(size=mass.shape)
    percentiles = mean + noise * LADDER / 0.02
    percentiles[:, :5] = np.nan
    maps = PropertyMaps(
        {"stellar_mass": PropertyArrays(percentiles, mean)},
        quality=None,
        pixel_solid_angle=1 * u.arcsec**2,
    )
    meta = shape_of(maps)
    assert meta["center"] == pytest.approx([60, 60], abs=0.3)
    assert meta["axis_ratio"] == pytest.approx(0.5, abs=0.04)
    assert (meta["position_angle"] + 90) % 180 - 90 == pytest.approx(0, abs=3)


def test_shape_of_a_property_without_weight_is_that_of_a_surface_density(disk):
    mass = disk.mean("stellar_mass").value
    maps = PropertyMaps(
        {
            "attenuation_v": PropertyArrays(np.ones_like(mass) + LADDER),
            "stellar_mass": PropertyArrays(mass * (1 + LADDER), mass),
        },
        quality=None,
        wcs=disk.wcs,
    )
    meta = maps.profile("attenuation_v", correlation="full").meta
    assert meta["axis_ratio"] == pytest.approx(0.5, abs=0.01)


def test_table_can_be_written(disk, tmp_path):
    from astropy.table import QTable

    table = disk.profile("stellar_mass", correlation="independent")
    table.write(tmp_path / "profile.ecsv")
    again = QTable.read(tmp_path / "profile.ecsv")
    assert again.meta["position_angle"] == table.meta["position_angle"]
    assert again["stellar_mass"].unit == table["stellar_mass"].unit


@pytest.mark.parametrize("frame", [0, 9])
def test_a_galaxy_larger_than_the_image_keeps_its_shape(frame):
    """Where every pixel has signal, moments over all of them would measure the image."""
    y, x = np.mgrid[:81, :121] - np.array([40.0, 60.0])[:, None, None]
    t = np.deg2rad(30)
    major, minor = x * np.cos(t) + y * np.sin(t), -x * np.sin(t) + y * np.cos(t)
    mass = 1e9 * np.exp(-np.hypot(major, minor / 0.45) / 15)
    percentiles = mass * (1 + LADDER)
    # A star is cut out near the center; reprojected images have an empty frame.
    percentiles[:, 42:45, 50:53] = np.nan
    percentiles[:, :frame] = np.nan
    maps = PropertyMaps(
        {"stellar_mass": PropertyArrays(percentiles, mass)},
        quality=None,
        pixel_solid_angle=1 * u.arcsec**2,
    )
    meta = shape_of(maps)
    # 30 degrees from the x axis is 120 from north through east.
    assert meta["position_angle"] == pytest.approx(120, abs=1.5)
    assert meta["axis_ratio"] == pytest.approx(0.45, abs=0.03)


def test_an_error_that_all_pixels_share_does_not_hide_the_galaxy(disk):
    mass = disk.mean("stellar_mass").value
    # A mass-to-light ratio that is known within 0.17 dex, and little noise.
    width = 0.4 * mass
    ladder = np.array([-1.96, -0.994, 0, 0.994, 1.96])[:, None, None]
    arrays = {
        "stellar_mass": PropertyArrays(
            np.maximum(mass + ladder * width, 1.0), mass, shared=0.39 * mass
        )
    }
    maps = PropertyMaps(arrays, quality=None, wcs=disk.wcs, **OPTIONS)
    assert shape_of(maps)["position_angle"] == pytest.approx(35, abs=1)
    assert shape_of(maps)["axis_ratio"] == pytest.approx(0.5, abs=0.02)


def test_annuli_that_are_turned_by_a_round_map_warn():
    maps = make_disk(axis_ratio=0.97)
    with pytest.warns(PicassssoWarning, match=r"nearly round map \(axis ratio 0\.9\d\)"):
        shape_of(maps, inclination=60 * u.deg)
    # A warning is an error here.
    shape_of(maps)
    shape_of(maps, inclination=60 * u.deg, position_angle=35 * u.deg)
    shape_of(make_disk(), inclination=60 * u.deg)
