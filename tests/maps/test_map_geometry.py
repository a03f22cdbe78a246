"""Regions and angles are those on the sky, however the pixels lie on it."""

import astropy.units as u
import numpy as np
import photutils.aperture as kinds
import pytest
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS, DistortionLookupTable
from hypothesis import given, settings
from hypothesis import strategies as st

from picasssso import PropertyMaps
from picasssso.bands.pixels import shift_wcs
from picasssso.exceptions import InvalidInputError
from picasssso.maps import PropertyArrays

SIDE = 121
PLACE = SkyCoord(202.47, 47.2, unit="deg")
ANGLE = 30.0  # of the galaxy, from north through east
ARCSEC = u.arcsec


def make_wcs(matrix, ctype=("RA---TAN", "DEC--TAN"), place=PLACE):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crpix = ctype, (SIDE // 2 + 1, SIDE // 2 + 1)
    frame = place.galactic if ctype[0].startswith("GLON") else place
    wcs.wcs.crval = frame.spherical.lon.deg, frame.spherical.lat.deg
    wcs.wcs.cd = np.asarray(matrix) * 0.3 / 3600
    return wcs


def turned(degrees, parity=-1, stretch=1.0):
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return np.array([[c, -s], [s, c]]) @ np.diag([parity, stretch])


def on_sky(wcs):
    """Return where pixels lie along and across the galaxy, arcsec."""
    y, x = np.indices((SIDE, SIDE))
    east, north = (d.arcsec for d in PLACE.spherical_offsets_to(wcs.pixel_to_world(x, y).icrs))
    pa = np.deg2rad(ANGLE)
    return east * np.sin(pa) + north * np.cos(pa), east * np.cos(pa) - north * np.sin(pa)


def make_maps(wcs):
    along, across = on_sky(wcs)
    mass = 1e9 * np.exp(-np.hypot(along / 4, across / 1.5))
    return PropertyMaps(
        {"stellar_mass": PropertyArrays.from_normal(mass, 0.05 * mass)},
        quality=None, wcs=wcs, redshift=0.02, luminosity_distance=90 * u.Mpc,
    )  # fmt: skip


def total(maps, region):
    return maps.total("stellar_mass", region, correlation="independent").value.value


MATRICES = {
    "east left": turned(0),
    "east right": turned(0, parity=1),
    "north down": np.diag([-1.0, -1.0]),
    "turned": turned(100),
    "turned and mirrored": turned(-35, parity=1),
    "flat pixels, mirrored": turned(20, parity=1, stretch=0.7),
}
THETA = {"theta": ANGLE * u.deg}
SHAPES = {
    "circle": (kinds.SkyCircularAperture(PLACE, 6 * ARCSEC), lambda a, b: np.hypot(a, b) < 6),
    "ring": (
        kinds.SkyCircularAnnulus(PLACE, 3 * ARCSEC, 8 * ARCSEC),
        lambda a, b: (np.hypot(a, b) > 3) & (np.hypot(a, b) < 8),
    ),
    "ellipse": (
        kinds.SkyEllipticalAperture(PLACE, a=9 * ARCSEC, b=3 * ARCSEC, **THETA),
        lambda a, b: np.hypot(a / 9, b / 3) < 1,
    ),
    "elliptical ring": (
        kinds.SkyEllipticalAnnulus(
            PLACE, a_in=4 * ARCSEC, a_out=10 * ARCSEC, b_out=5 * ARCSEC, **THETA
        ),
        lambda a, b: (np.hypot(a / 10, b / 5) < 1) & (np.hypot(a / 4, b / 2) > 1),
    ),
    "rectangle": (
        kinds.SkyRectangularAperture(PLACE, w=16 * ARCSEC, h=4 * ARCSEC, **THETA),
        lambda a, b: (abs(a) < 8) & (abs(b) < 2),
    ),
    "frame": (
        kinds.SkyRectangularAnnulus(
            PLACE, w_in=8 * ARCSEC, w_out=16 * ARCSEC, h_out=8 * ARCSEC, **THETA
        ),
        lambda a, b: (abs(a) < 8) & (abs(b) < 4) & ~((abs(a) < 4) & (abs(b) < 2)),
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("pixels", MATRICES)
def test_sky_apertures_hold_what_lies_in_them_on_the_sky(pixels, shape):
    wcs = make_wcs(MATRICES[pixels])
    maps = make_maps(wcs)
    aperture, inside = SHAPES[shape]
    if "flat" in pixels and "rect" in repr(aperture).lower():
        pytest.skip("a rectangle on flat pixels is no rectangle for photutils")
    expected = total(maps, inside(*on_sky(wcs)))
    # A boolean mask has a ragged edge.
    assert total(maps, aperture) == pytest.approx(expected, rel=0.025)


@settings(max_examples=25, deadline=None)
@given(st.floats(0, 360), st.sampled_from([-1, 1]), st.sampled_from(["RA---TAN", "GLON-TAN"]))
def test_a_total_in_an_ellipse_does_not_depend_on_how_pixels_lie(angle, parity, name):
    ctype = (name, name.replace("GLON", "GLAT").replace("RA--", "DEC-"))
    found = total(make_maps(make_wcs(turned(angle, parity), ctype)), SHAPES["ellipse"][0])
    assert found == pytest.approx(
        total(make_maps(make_wcs(turned(0))), SHAPES["ellipse"][0]), rel=2e-3
    )


@pytest.mark.parametrize("ctype", [("RA---TAN", "DEC--TAN"), ("GLON-TAN", "GLAT-TAN")])
@pytest.mark.parametrize("pixels", MATRICES)
def test_position_angles_count_from_celestial_north(ctype, pixels):
    maps = make_maps(make_wcs(MATRICES[pixels], ctype))
    measured = maps.profile("stellar_mass", correlation="independent")
    assert measured.meta["position_angle"] == pytest.approx(ANGLE, abs=1.0)
    given_angle = maps.profile(
        "stellar_mass", center=PLACE, position_angle=ANGLE * u.deg, axis_ratio=1.5 / 4,
        edges=[3, 4, 5] * ARCSEC, correlation="independent",
    )  # fmt: skip
    for radius, found in zip((3.5, 4.5), given_angle["stellar_mass"].value, strict=True):
        assert found == pytest.approx(1e9 * np.exp(-radius / 4), rel=0.02)


def test_the_angle_of_an_aperture_counts_from_its_own_north():
    wcs = make_wcs(turned(15))
    turn = PLACE.galactic.position_angle(
        PLACE.directional_offset_by(0 * u.deg, 1 * ARCSEC).galactic
    )
    galactic = kinds.SkyEllipticalAperture(
        PLACE.galactic, a=9 * ARCSEC, b=3 * ARCSEC, theta=ANGLE * u.deg + turn
    )
    maps = make_maps(wcs)
    assert total(maps, galactic) == pytest.approx(total(maps, SHAPES["ellipse"][0]), rel=1e-4)


def test_parts_of_maps_with_look_up_distortions_stay_where_they_are():
    wcs = make_wcs(turned(0))
    bend = np.linspace(0, 3, 8 * 8, dtype=np.float32).reshape(8, 8)
    wcs.cpdis1 = DistortionLookupTable(bend, (1, 1), (1, 1), (SIDE / 7, SIDE / 7))
    maps = make_maps(wcs)
    part = maps[40:90, 30:100]
    here, there = maps.wcs.pixel_to_world(70, 65), part.wcs.pixel_to_world(40, 25)
    assert here.separation(there).arcsec < 1e-6
    moved = shift_wcs(wcs, 2.5, -1.5).pixel_to_world(10, 20)
    assert moved.separation(wcs.pixel_to_world(12.5, 18.5)).arcsec < 1e-6


def test_an_aperture_on_the_other_side_of_the_sky():
    far = kinds.SkyCircularAperture(SkyCoord(22.0, -47.0, unit="deg"), 3 * ARCSEC)
    with pytest.raises(InvalidInputError, match="aperture"):
        total(make_maps(make_wcs(turned(0))), far)
