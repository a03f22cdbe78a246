"""Medians of mocks against catalogs of real galaxies, with bars wide enough for few mocks."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "mocks_catalogs.py"


@pytest.fixture(scope="module")
def script():
    specification = importlib.util.spec_from_file_location("mocks_catalogs", SCRIPT)
    module = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module
    sys.path.insert(0, str(SCRIPT.parent))
    specification.loader.exec_module(module)
    sys.path.remove(str(SCRIPT.parent))
    yield module
    del sys.modules[specification.name]


def galaxies(script, rng, n, shift=0.0):
    """Return made-up galaxies of both types, their colors redder by a shift."""
    log_mass = rng.uniform(8.8, 11.5, n)
    log_ssfr = np.where(rng.random(n) < 0.5, -12.5, rng.uniform(-10.9, -9.5, n))
    base = 0.3 * (log_mass - 10.0) - 0.4 * (log_ssfr + 10.0)
    names = (*script.COLORS, "g-i", "attenuation", "log_ml")
    return {
        "log_mass": log_mass,
        "log_ssfr": log_ssfr,
        **{name: base + shift + 0.02 * rng.normal(size=n) for name in names},
        "axis_ratio": rng.uniform(0.2, 1.0, n),
    }


def test_differences_allow_for_rates_that_mocks_have_and_a_catalog_does_not(script):
    rng = np.random.default_rng(0)
    real = galaxies(script, rng, 400)
    fewer = real["log_ssfr"] < -10.2
    real = script.select(real, fewer)
    mocks = galaxies(script, rng, 4000, shift=0.1)
    found = [
        row
        for row in script.colors({"mocks": mocks}, real)
        if row["type"] == "star-forming" and row["quantity"] == "g-r"
        if row["along"] == "log_mass"
    ]
    assert sum(row["galaxies"] for row in found) == (real["log_ssfr"] > -11).sum()
    for row in found:
        assert row["mocks"]["difference"] == pytest.approx(0.1, abs=0.025)
        # Mocks of all rates are bluer than galaxies of low rates only.
        assert row["mocks"]["not_matched"] < 0.05


def test_limits_count_on_both_sides(script):
    n = 2000
    rng = np.random.default_rng(1)
    true = rng.normal(-1.5, 0.5, n)
    limit = rng.normal(-1.5, 0.1, n)
    real = {
        "log_mass": rng.uniform(9.0, 11.5, n),
        "log_ssfr": np.full(n, -10.0),
        "log_hi": np.maximum(true, limit),
        "seen_hi": true > limit,
        "log_h2": np.full(n, np.nan),
        "seen_h2": np.zeros(n, dtype=bool),
    }
    mocks = {name: real[name] for name in ("log_mass", "log_ssfr", "log_h2")}
    mocks["log_hi"] = rng.normal(-1.5, 0.5, n)
    types = ("all", *script.TYPES)
    rows = list(script.binned({"mocks": mocks}, real, ("log_hi",), types, script.MASS_EDGES))
    assert {row["type"] for row in rows} == {"all", "star-forming"}
    for row in rows:
        assert row["mocks"]["difference"] == pytest.approx(0.0, abs=0.06)
        assert row["mocks"]["detected"] == pytest.approx(row["detected"], abs=0.1)
        assert row["detected"] == pytest.approx(0.5, abs=0.1)


def test_radii_of_rings_follow_the_ellipse_of_a_galaxy(script):
    names = ("pixel_scale_kpc", "position_angle", "offset_x", "offset_y", "cos_inclination",
             "spheroid", "bulge_axis_ratio", "thickness", "half_mass_radius")  # fmt: skip
    values = (0.5, np.pi / 2, 0.0, 0.0, 0.5, 0.0, 1.0, 0.0, 4.0 / script.LIGHT_RADIUS)
    radius = script.elliptical_radius(
        {name: np.array([value]) for name, value in zip(names, values, strict=True)}, 17
    )[0]
    assert radius[8, 8] == 0.0
    # The major axis is vertical: 8 pixels of 0.5 kpc are one radius there, 4 across it.
    assert radius[16, 8] == pytest.approx(1.0)
    assert radius[8, 12] == pytest.approx(1.0)


def test_medians_stay_near_those_of_catalogs(script, shared_data):
    sample = script.mocks(2500, worlds=False, n_pixels=24)
    rows = script.compare(shared_data / "truth", {"mocks": sample})
    judged = [row for row in rows if row["bar"] is not None and row["galaxies"] >= 20]
    # Galaxies that are being quenched have other colors than their rates: docs/mocks.rst.
    judged = [row for row in judged if row["along"] != "log_ssfr"]
    assert {row["quantity"] for row in judged} == set(script.BARS)
    for row in judged:
        if row["quantity"] == "log_hi" and row["type"] == "all" and row["bin"][1] > 11.0:
            continue  # The median lies between galaxies with gas and those without.
        low, high = row["bar"]
        # Half as much again, and 0.03 for the scatter of few mocks.
        room = 0.25 * (high - low) + 0.03
        assert low - room <= row["mocks"]["difference"] <= high + room, row


def test_a_color_gradient_is_that_of_the_inner_and_the_outer_light(script):
    radius = np.linspace(0.0, 4.0, 401)
    inside = np.minimum(radius, 1.0) ** 2
    outside = np.clip(radius**2 - 1.0, 0.0, 3.0) / 3.0
    # Half of the light in r is inside 2, so that the inner part ends at 1 and the outer one at 4.
    red = inside / 3 + outside + np.maximum(radius**2 - 4, 0) / 9
    growth = np.array([inside + outside, red, 2.0 * inside + outside])
    assert script.color_gradient(growth, radius) == pytest.approx(2.5 * np.log10(2.0), abs=0.01)
    gray = np.tile(inside + outside + np.maximum(radius**2 - 4, 0), (3, 1))
    assert script.color_gradient(gray, radius) == pytest.approx(0.0, abs=1e-9)
