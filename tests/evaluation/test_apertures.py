"""Ellipses around galaxies of known shape."""

import numpy as np
import pytest
import torch

from picasssso.evaluation.apertures import fit_apertures
from picasssso.exceptions import InvalidInputError


@pytest.mark.parametrize(
    ("method", "ratio", "turn"), [("isophote", 0.02, 0.03), ("moments", 0.04, 0.06)]
)
def test_known_shapes_are_found(disks, method, ratio, turn):
    maps, known = disks
    found = fit_apertures(maps, half_mass_radius=known["half_mass_radius"], method=method)
    assert np.abs(found.x - known["x"]).max() < 0.2
    assert np.abs(found.y - known["y"]).max() < 0.2
    assert np.abs(found.axis_ratio - known["axis_ratio"]).max() < ratio
    # Directions that differ by half a turn are the same.
    away = np.abs(np.sin(found.angle - known["angle"]))
    assert away[known["axis_ratio"] < 0.8].max() < turn
    assert found.fitted.all() == (method == "isophote")


def test_half_mass_radius_of_a_round_galaxy_is_measured():
    y, x = np.mgrid[:101, :101] - 50.0
    maps = np.exp(-1.678 * np.hypot(x, y) / 9)[None]
    found = fit_apertures(maps, method="moments")
    # The frame ends at 5.5 half-mass radii, which holds 99.9 % of the mass.
    assert found.half_mass_radius[0] == pytest.approx(9, rel=0.01)


def test_a_fit_that_fails_falls_back_and_is_counted(disks):
    rng = np.random.default_rng(3)
    maps = disks[0][:2].copy()
    maps[1] = rng.uniform(0, 1, maps[1].shape)  # no galaxy: no isophote falls outwards
    found = fit_apertures(maps, half_mass_radius=6.0)
    assert found.fitted.tolist() == [True, False]
    assert (~found.fitted).sum() == 1
    moments = fit_apertures(maps, half_mass_radius=6.0, method="moments")
    assert found.axis_ratio[1] == moments.axis_ratio[1]
    assert not found.select(np.array([1])).fitted.any()


def test_weights_are_areas(disks):
    maps, known = disks
    found = fit_apertures(maps, half_mass_radius=known["half_mass_radius"], method="moments")
    area = np.pi * found.axis_ratio * (2 * found.half_mass_radius) ** 2
    np.testing.assert_allclose(found.weights(2.0).sum(axis=(1, 2)), area, rtol=1e-4)
    ring = found.weights(2.0, inner=1.0).sum(axis=(1, 2))
    np.testing.assert_allclose(ring, 0.75 * area, rtol=1e-4)
    assert (found.fraction_on_image(2.0) > 0.999).all()
    # Pixels inside are those whose radius says so.
    radius = found.radius()
    assert found.weights(2.0)[radius < 1.5].min() == 1
    assert found.weights(2.0)[radius > 2.5].max() == 0


def test_an_ellipse_is_the_one_that_totals_take(disks):
    maps, known = disks
    found = fit_apertures(maps, half_mass_radius=known["half_mass_radius"], method="moments")
    mask = found.aperture(3, 2.0).to_mask(method="exact").to_image(found.shape)
    np.testing.assert_allclose(mask, found.weights(2.0)[3], atol=1e-6)


def test_tensors_and_masked_pixels_are_taken(disks):
    maps, known = disks
    holed = torch.tensor(maps, dtype=torch.float32)
    holed[:, 5, 5] = float("nan")
    found = fit_apertures(holed, half_mass_radius=torch.tensor(known["half_mass_radius"]),
                          method="moments")  # fmt: skip
    assert np.abs(found.axis_ratio - known["axis_ratio"]).max() < 0.05


@pytest.mark.parametrize(
    ("maps", "options", "words"),
    [
        (np.ones((4, 4)), {}, "expected \\(n, y, x\\)"),
        (np.zeros((2, 4, 4)), {}, "no mass in maps number 0, 1"),
        (np.ones((1, 4, 4)), {"half_mass_radius": -1.0}, "not positive"),
        (np.ones((1, 4, 4)), {"method": "guess"}, "expected one of"),
    ],
)
def test_bad_input_is_refused(maps, options, words):
    with pytest.raises(InvalidInputError, match=words):
        fit_apertures(maps, **options)


def test_impossible_annuli_are_refused(disks):
    found = fit_apertures(disks[0], method="moments")
    with pytest.raises(InvalidInputError, match="inner < outer"):
        found.weights(1.0, inner=2.0)
