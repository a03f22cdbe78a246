"""Worlds: zero points that differ from mock galaxy to mock galaxy."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
import torch

from picasssso._core.random import Stream
from picasssso.exceptions import InvalidInputError
from picasssso.mocks import MockGenerator, ProceduralGalaxies
from picasssso.mocks.galaxies import scaling_relations as relations
from picasssso.mocks.galaxies.render import spread_column
from picasssso.mocks.model_error import ModelErrors
from picasssso.mocks.worlds import Worlds


def test_zero_points_scatter_by_what_is_said_and_are_seeded():
    worlds = Worlds(mass_to_light=0.07, sfr=0.4, mass_scale=-0.2, mass_at_age=0.0, dust_free=0.25)
    drawn = worlds.draw(Stream(3, np.arange(20000)))
    assert drawn["world_mass_to_light"].mean() == pytest.approx(-0.2, abs=0.003)
    assert drawn["world_mass_to_light"].std() == pytest.approx(0.07, rel=0.03)
    assert drawn["world_sfr"].std() == pytest.approx(0.4, rel=0.03)
    assert drawn["world_dust_free"].mean() == pytest.approx(0.25, abs=0.01)
    again = worlds.draw(Stream(3, np.array([17, 4])))
    for name, values in again.items():
        np.testing.assert_array_equal(values, drawn[name][[17, 4]])


def test_a_single_world_has_no_zero_points():
    drawn = Worlds.single().draw(Stream(1, np.arange(50)))
    scale = drawn.pop("world_mass_to_light")
    np.testing.assert_array_equal(scale, Worlds().mass_scale)
    assert all((values == 0).all() for values in drawn.values())


def test_relations_shift_with_the_world_of_a_galaxy():
    p = ProceduralGalaxies(seed=1, worlds={"sfr": 0.5}).parameters(range(4000))
    blue = (p["quenched"] == 0) & (p["green"] == 0)
    offset = np.log10(p["sfr"][blue]) - relations.main_sequence(p["log_mass"][blue])
    assert np.corrcoef(offset, p["world_sfr"][blue])[0, 1] > 0.8
    alone = ProceduralGalaxies(seed=1, worlds=False).parameters(range(4000))
    shifted = np.log10(p["sfr"][blue] / alone["sfr"][blue])
    np.testing.assert_allclose(shifted, p["world_sfr"][blue], atol=1e-9)


def test_smooth_galaxies_have_no_structure_and_the_same_stars():
    smooth, drawn = (
        ProceduralGalaxies(seed=1, n_pixels=48, worlds={"smooth": part}) for part in (1.0, 0.0)
    )
    p, q = smooth.parameters(range(300)), drawn.parameters(range(300))
    for name in ("log_mass", "sfr", "hi_mass", "position_angle"):
        np.testing.assert_array_equal(p[name], q[name])
    # Disks seen face-on then look alike at all angles.
    one = np.flatnonzero(
        (p["cos_inclination"] > 0.9) & (p["quenched"] == 0) & (p["n_satellites"] == 0)
        & (p["companion"] == 0)
    )[:8]  # fmt: skip
    lopsided = []
    for source, values in ((smooth, p), (drawn, q)):
        values["offset_x"][:] = values["offset_y"][:] = 0.0
        (galaxies,) = source._render_chunks(one, {k: v[one] for k, v in values.items()}, len(one))
        young = galaxies.mass_formed[:, :3].sum(1)
        turned = (young - young.rot90(1, (1, 2))).abs().sum((1, 2)) / young.sum((1, 2))
        lopsided.append(float(turned.median()))
    assert lopsided[0] < 0.35 * lopsided[1]


def test_inclined_disks_lose_part_of_their_columns_of_dust():
    cosine = np.array([0.1, 0.6, 1.0])
    steady = relations.dust_inclination(cosine, -relations.DUST_INCLINATION)
    np.testing.assert_array_equal(steady, 1.0)
    factor = relations.dust_inclination(cosine, 0.0)
    assert factor[0] < factor[1] == 1.0 < factor[2]
    # The column still grows with inclination.
    assert (np.diff(factor / cosine) < 0).all()


def test_dust_is_spread_with_the_same_mean():
    generator = torch.Generator().manual_seed(1)
    column, weight = (torch.rand(3, 8, 8, generator=generator) + 0.01 for _ in range(2))
    column[:, 0] = 0.0
    power = torch.tensor([0.0, 0.4, 1.0])[:, None, None]
    spread = spread_column(column, weight, power)
    for one, before in zip(spread, column, strict=True):
        assert float(one[0].max()) == 0.0  # no dust where there is no gas
        assert float(one.max() / one[1:].min()) <= float(before.max() / before[1:].min()) * 1.001
    torch.testing.assert_close((spread * weight).sum((1, 2)), (column * weight).sum((1, 2)))
    torch.testing.assert_close(spread[2], column[2])


def test_histories_stretch_with_the_scale_of_age():
    source = ProceduralGalaxies(seed=1, worlds={"age_scale": 0.2, "age": 0.0})
    p, alone = source.parameters(range(3000)), ProceduralGalaxies(
        seed=1, worlds={"age_scale": 0.0, "age": 0.0}
    ).parameters(range(3000))  # fmt: skip
    younger = p["world_age_scale"] < -0.1
    for name in ("start", "early_start"):
        ratio = p[name][younger] / alone[name][younger]
        np.testing.assert_allclose(ratio, 10.0 ** p["world_age_scale"][younger], rtol=0.35)
    assert (p["early_start"] >= p["start"]).all()
    assert p["start"].max() <= 13.0


def test_mass_to_light_falls_where_times_are_longer():
    source = ProceduralGalaxies(seed=1, worlds={"age_scale": 0.2, "mass_to_light": 0.0})
    p = source.parameters(range(200))
    mean = Worlds().mass_scale
    expected = mean - Worlds().mass_at_age * p["world_age_scale"]
    np.testing.assert_allclose(p["world_mass_to_light"], expected, atol=1e-12)
    assert np.std(expected) > 0.05
    same = ProceduralGalaxies(
        seed=1, worlds={"age_scale": 0.2, "mass_to_light": 0.0, "mass_at_age": 0.0}
    ).parameters(range(200))  # fmt: skip
    np.testing.assert_array_equal(same["world_mass_to_light"], mean)
    np.testing.assert_array_equal(same["world_age_scale"], p["world_age_scale"])


def test_surroundings_quench_galaxies():
    fractions = [
        ProceduralGalaxies(seed=1, worlds={"environment": part})
        .parameters(range(4000))["quenched"]
        .mean()
        for part in (0.0, 0.3)
    ]
    assert fractions[1] == pytest.approx(1 - 0.7 * (1 - fractions[0]), abs=0.02)


def test_a_companion_is_in_the_world_of_its_host():
    galaxies = ProceduralGalaxies(seed=1, n_pixels=16)
    parameters = galaxies.parameters(np.arange(60))
    guests, rows = galaxies._companions(np.arange(60), parameters)
    assert rows.size > 0
    np.testing.assert_array_equal(guests["world_dust"], parameters["world_dust"][rows])


def test_mass_scales_change_light_and_not_the_truth():
    light = {}
    for scale in (0.0, -0.1):
        worlds = {one.name: 0.0 for one in fields(Worlds)} | {"mass_scale": scale}
        generator = MockGenerator(
            seed=2, survey="paper_field", bands=("sdss2010-r",), n_pixels=16, model_error=0.0,
            worlds=worlds,
        )  # fmt: skip
        galaxies = generator.galaxies.draw(range(3))
        errors = ModelErrors(np.zeros((3, 7, 6))).in_worlds(
            galaxies.parameters["world_mass_to_light"], galaxies.parameters["world_young_light"]
        )
        light[scale] = generator.table.light(galaxies, errors)
    ratio = light[-0.1].surface_brightness / light[0.0].surface_brightness
    np.testing.assert_allclose(ratio.numpy(), 10**0.1, rtol=1e-4)
    # Light in the sums counts only as the ratio with and without dust.
    for name, values in light[0.0].truth.properties().items():
        np.testing.assert_allclose(
            light[-0.1].truth.properties()[name].numpy(), values.numpy(), rtol=1e-3, atol=1e-3,
            err_msg=name,
        )  # fmt: skip


def test_young_light_changes_young_stars_only():
    import torch

    errors = ModelErrors(np.zeros((1, 7, 6))).in_worlds(np.zeros(1), np.full(1, 0.2))
    factor = errors.stars(torch.tensor([[5000.0]]))[0, :, 0, 0].numpy()
    assert factor[0] == pytest.approx(10**0.2, rel=1e-4)
    assert (np.diff(factor) <= 1e-6).all()
    np.testing.assert_allclose(factor[4:], 1.0, rtol=1e-5)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"sfr": -0.1}, "sfr=-0.1 of worlds cannot be used: expected 0 to 10"),
        ({"dust_free": 1.5}, "expected 0 to 1"),
        ({"sfr": "much"}, "is not a number"),
        ({"masses": 0.1}, "expected True, False or numbers"),
        (3, "expected True, False or numbers"),
    ],
)
def test_worlds_that_make_no_sense_are_refused(value, words):
    with pytest.raises(InvalidInputError, match=words):
        Worlds.from_value(value)


def test_worlds_survive_files():
    worlds = Worlds(sfr=0.3, mass_scale=-0.05)
    assert Worlds.from_value(worlds.to_dict()) == worlds
