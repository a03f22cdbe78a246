"""Sizes and totals of galaxies with known answers, whole and with holes."""

import astropy.units as u
import numpy as np
import pytest

from picasssso import PropertyMaps
from picasssso.maps.arrays import PropertyArrays
from picasssso.surveys.measuring import describe_column, measure_galaxy

SHAPE, MIDDLE, SCALE = (100, 110), (52.3, 48.6), 6.0
#: Half of an exponential disk lies inside 1.678 scale lengths.
HALF = 1.67835 * SCALE
STEPS = 0.1 * np.array([-1.959964, -0.994458, 0, 0.994458, 1.959964])[:, None, None]


def exponential(axis_ratio, angle):
    """Return an exponential disk of total mass 1, (y, x), averaged over pixels."""
    y, x = np.indices(tuple(5 * n for n in SHAPE)) / 5 - 0.4
    dx, dy, turn = x - MIDDLE[0], y - MIDDLE[1], np.deg2rad(angle)
    along = dx * np.cos(turn) + dy * np.sin(turn)
    across = dy * np.cos(turn) - dx * np.sin(turn)
    light = np.exp(-np.hypot(along, across / axis_ratio) / SCALE)
    light = light.reshape(SHAPE[0], 5, SHAPE[1], 5).mean(axis=(1, 3))
    return light / (2 * np.pi * axis_ratio * SCALE**2)


def measure(mass, *, hole=None, faintest=2e-5, noise=3e-6):
    """Measure an image of a galaxy seen down to a surface density."""
    target = mass > faintest
    mass = mass + noise * np.random.default_rng(1).standard_normal(SHAPE)
    if hole is not None:
        mass = np.where(hole, np.nan, mass)
        target &= ~hole
    mass = 1e10 * mass
    maps = PropertyMaps(
        {"stellar_mass": PropertyArrays(mass + STEPS * np.abs(mass), mean=mass)},
        quality=None,
        pixel_solid_angle=0.25 * u.arcsec**2,
        redshift=0.02,
        luminosity_distance=90 * u.Mpc,
        target=target,
    )
    return measure_galaxy(maps, 1 * u.arcsec), maps


@pytest.mark.parametrize(("axis_ratio", "angle"), [(1.0, 0), (0.7, 30), (0.4, 120)])
@pytest.mark.parametrize("faintest", [2e-5, 2e-4])
def test_half_mass_radii_are_those_of_the_whole_galaxy(axis_ratio, angle, faintest):
    row, maps = measure(exponential(axis_ratio, angle), faintest=faintest)
    assert row["half_mass_radius"] == pytest.approx(0.5 * HALF, rel=0.05)
    assert row["axis_ratio"] == pytest.approx(axis_ratio, abs=0.05)
    area = (0.5 * u.arcsec).to_value(u.rad) ** 2 * maps.angular_diameter_distance.to(u.kpc) ** 2
    whole = 1e10 * area.value
    assert row["stellar_mass_total"] == pytest.approx(whole, rel=0.05)
    # Inside 2 half-mass radii there are 85 %.
    assert row["stellar_mass"] == pytest.approx(0.85 * whole, rel=0.04)
    assert row["missing"] == 0
    assert row["notes"] == []
    assert row["unmeasured"] < (0.05 if faintest < 1e-4 else 0.3)


HOLES = {
    "beside the nucleus": (slice(50, 70), slice(43, 63)),
    "on the nucleus": (slice(45, 53), slice(48, 57)),
    "half": (slice(50, 100), slice(0, 110)),
}


@pytest.mark.parametrize("where", HOLES)
def test_the_light_in_holes_is_estimated_and_said(where):
    mass = exponential(0.7, 30)
    hole = np.zeros(SHAPE, bool)
    hole[HOLES[where]] = True
    whole, _ = measure(mass)
    row, maps = measure(mass, hole=hole)
    lost = 1 - row["stellar_mass"] / whole["stellar_mass"]
    assert lost > 0.25
    assert row["missing"] == pytest.approx(lost, abs=0.06)
    assert row["unmeasured"] > 0.2
    assert row["half_mass_radius"] == pytest.approx(whole["half_mass_radius"], rel=0.1)
    assert row["stellar_mass_total"] == pytest.approx(whole["stellar_mass_total"], rel=0.12)
    # Half of what was not measured is doubt.
    relative = row["stellar_mass_total_error"] / row["stellar_mass_total"]
    assert relative > 0.45 * row["unmeasured"]
    (note,) = row["notes"]
    assert f"{100 * row['missing']:.0f} % of the mass" in note
    assert ("nucleus" in note) == (where == "on the nucleus")
    # Nothing is filled in.
    assert np.isnan(maps["stellar_mass"].data[hole]).all()


def test_a_small_hole_goes_without_a_note():
    hole = np.zeros(SHAPE, bool)
    hole[60:63, 60:63] = True
    row, _ = measure(exponential(0.7, 30), hole=hole)
    assert 0 < row["missing"] < 0.05
    assert row["notes"] == []


def test_columns_say_what_they_are_of():
    assert "of the whole galaxy" in describe_column("stellar_mass_total", "here")
    assert describe_column("stellar_mass_total_error", "here").startswith("error of the total")
    assert describe_column("missing_aperture", "here").endswith("region that was given")
    assert describe_column("missing", "here").endswith("here")
