"""Solid angles of pixels against exact geometry."""

import numpy as np
import pytest
from astropy.wcs import WCS

from picasssso._core.solid_angles import pixel_solid_angles, sky_directions, sky_jacobian

ARCSEC2 = (np.pi / 180 / 3600) ** 2


def spherical_quadrilaterals(wcs, shape):
    """Exact solid angles from the corners of every pixel, arcsec2 (two spherical triangles)."""
    y, x = np.indices((shape[0] + 1, shape[1] + 1)) - 0.5
    n = sky_directions(wcs, x, y)
    a, b, c, d = n[:-1, :-1], n[:-1, 1:], n[1:, 1:], n[1:, :-1]
    total = 0
    for p, q, r in ((a, b, c), (a, c, d)):
        # Van Oosterom & Strackee (1983); differences keep the digits of small triangles.
        triple = np.einsum("...i,...i", p, np.cross(q - p, r - p))
        dot = 1 + sum(np.einsum("...i,...i", s, t) for s, t in ((p, q), (q, r), (r, p)))
        total = total + 2 * np.arctan2(np.abs(triple), dot)
    return total / ARCSEC2


def test_small_plain_image(make_wcs):
    areas = pixel_solid_angles(make_wcs(scale=0.25, angle=33), (30, 40))
    np.testing.assert_allclose(areas, 0.0625, rtol=1e-6)


def test_distorted_image_against_every_pixel(make_wcs):
    wcs = make_wcs(sip=True, angle=15, crpix=(40.0, 120.0))
    shape = (150, 210)
    exact = spherical_quadrilaterals(wcs, shape)
    assert exact.max() / exact.min() > 1.01, "no distortion to speak of"
    np.testing.assert_allclose(pixel_solid_angles(wcs, shape), exact, rtol=2e-5)


@pytest.mark.parametrize("shape", [(1, 1), (1, 70), (33, 1), (34, 65)])
def test_odd_shapes(make_wcs, shape):
    wcs = make_wcs(sip=True)
    areas = pixel_solid_angles(wcs, shape)
    assert areas.shape == shape
    np.testing.assert_allclose(areas, spherical_quadrilaterals(wcs, shape), rtol=1e-5)


def test_wide_tangent_plane(make_wcs):
    """A pixel at angle theta from the tangent point has cos^3(theta) of the area there."""
    wcs = make_wcs(scale=60.0, crpix=(150.0, 150.0))
    y, x = np.indices((300, 300)) - 149.0
    theta = np.arctan(np.hypot(x, y) * np.pi / 180 / 60)
    assert theta.max() > 0.06
    np.testing.assert_allclose(
        pixel_solid_angles(wcs, (300, 300)), 3600 * np.cos(theta) ** 3, rtol=1e-4
    )


def test_pixels_off_the_sky_have_no_area():
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = "RA---AIT", "DEC--AIT"
    wcs.wcs.cdelt = -5.0, 5.0
    wcs.wcs.crpix = 36.5, 18.5
    areas = pixel_solid_angles(wcs, (36, 72))
    assert areas[0, 0] == 0
    # An equal-area projection: what is on the sky covers all of it but for the rim.
    inside = areas > 0
    np.testing.assert_allclose(areas[8:28, 20:50], areas[18, 36], rtol=3e-3)
    assert 0.9 < areas[inside].sum() * ARCSEC2 / (4 * np.pi) < 1.0


@pytest.mark.parametrize("angle", [0, 40, -130])
def test_jacobian(make_wcs, angle):
    t = np.deg2rad(angle)
    rotation = np.array([[np.cos(t), -np.sin(t)], [np.sin(t), np.cos(t)]])
    jacobian = sky_jacobian(make_wcs(scale=0.4, angle=angle), 10.0, 8.5)
    np.testing.assert_allclose(jacobian, 0.4 * rotation @ np.diag([-1, 1]), atol=1e-6)
    assert abs(np.linalg.det(jacobian)) == pytest.approx(0.16, rel=1e-6)


def test_jacobian_at_the_pole(make_wcs):
    jacobian = sky_jacobian(make_wcs(scale=0.4, crval=(0.0, 90.0)), 10.0, 8.5)
    assert abs(np.linalg.det(jacobian)) == pytest.approx(0.16, rel=1e-6)
