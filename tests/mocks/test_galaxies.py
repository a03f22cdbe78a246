from dataclasses import replace

import numpy as np
import pytest
import torch
from astropy.table import Table
from scipy.integrate import quad

from picasssso._core.random import Stream
from picasssso.exceptions import InvalidInputError
from picasssso.mocks import ProceduralGalaxies
from picasssso.mocks.distances import angular_diameter_distance, redshift_of_distance
from picasssso.mocks.galaxies import population
from picasssso.mocks.galaxies import scaling_relations as relations
from picasssso.mocks.galaxies.disk_structure import draw_structure
from picasssso.mocks.galaxies.formation import delayed_history, timescale_of_rate
from picasssso.mocks.galaxies.projection import inclining_matrix
from picasssso.mocks.galaxies.render import _histories
from picasssso.mocks.galaxies.sersic import sersic_fraction, sersic_weights
from picasssso.mocks.observing.surveys import get_survey

MAPS = ("mass_formed", "log_metallicity", "attenuation", "hi_mass", "h2_mass", "gas_metallicity")


def wide(frame=14.0, n_pixels=192, **keywords):
    """Galaxies in frames of so many half-mass radii, which hold all of them."""
    survey = replace(get_survey("paper_field"), frame=frame)
    return ProceduralGalaxies(seed=3, survey=survey, n_pixels=n_pixels, **keywords)


def test_a_galaxy_does_not_depend_on_its_batch():
    source = ProceduralGalaxies(seed=11, n_pixels=32)
    together = source.draw(range(20))
    for k in (0, 7, 19):
        alone = source.draw([k])
        for name in MAPS:
            torch.testing.assert_close(
                getattr(alone, name)[0], getattr(together, name)[k], rtol=1e-4, atol=1e-3
            )
        for name, value in alone.parameters.items():
            assert value[0] == together.parameters[name][k], name


def test_another_seed_or_number_is_another_galaxy():
    masses = [
        ProceduralGalaxies(seed=s, n_pixels=16).parameters([k])["log_mass"][0]
        for s, k in ((0, 0), (0, 1), (1, 0))
    ]
    assert len(set(masses)) == 3


@pytest.mark.parametrize("pixels", [3, 5])
def test_the_mass_put_in_is_the_sum_of_the_map(pixels):
    # Frames of 48 half-mass radii hold all of a galaxy, however few pixels it has.
    source = wide(48.0, 48 * pixels, mass_range=(9.0, 11.5))
    parameters = source.parameters(range(24))
    assert (parameters["tidal"] > 0).any()
    assert (parameters["bar_fraction"] > 0.1).any()
    assert (parameters["bulge_fraction"] == 1).any()
    # A companion and satellites are more than the galaxy.
    parameters["companion"][:] = 0
    parameters["n_satellites"][:] = 0
    galaxies = source._render(np.arange(24), parameters)
    _, masses = _histories(parameters)
    expected = masses["bulge"] + masses["disk"] + masses["bar"] + masses["young"]
    area = parameters["pixel_scale_kpc"] ** 2
    found = galaxies.mass_formed.double().sum((1, 2, 3)).numpy() * area
    np.testing.assert_allclose(found, expected, rtol=1e-3)
    sfr = galaxies.mass_formed[:, :2].double().sum((1, 2, 3)).numpy() * area / 1e8
    np.testing.assert_allclose(sfr, parameters["sfr"], rtol=5e-3, atol=1e-6)


def test_turning_a_galaxy_turns_its_maps():
    source = ProceduralGalaxies(seed=2, n_pixels=32)
    every = source.parameters(range(60))
    index = np.concatenate([np.flatnonzero(every["companion"])[:3], np.arange(9)])
    assert index.size == 12
    parameters = source.parameters(index)
    straight = source._render(index, parameters)
    turned = source._render(
        index, {**parameters, "position_angle": parameters["position_angle"] + np.pi / 2}
    )
    for name in MAPS:
        expected = getattr(straight.rotate(1), name)
        scale = float(expected.abs().amax())
        assert float((getattr(turned, name) - expected).abs().max()) < 2e-3 * scale, name


def test_shapes_are_selected_cropped_and_moved():
    galaxies = ProceduralGalaxies(n_pixels=24, margin=3).draw(range(4))
    assert galaxies.shape == (30, 30)
    assert galaxies.crop(3).shape == (24, 24)
    assert galaxies.crop(0) is galaxies
    some = galaxies.select(np.array([2, 0])).to("cpu")
    assert some.index.tolist() == [2, 0]
    assert some.parameters["log_mass"][0] == galaxies.parameters["log_mass"][2]
    torch.testing.assert_close(galaxies.rotate(4).hi_mass, galaxies.hi_mass)


def test_all_maps_are_finite_and_make_sense():
    galaxies = ProceduralGalaxies(seed=8, n_pixels=32, widen=2.0).draw(range(60))
    for name in MAPS:
        assert bool(torch.isfinite(getattr(galaxies, name)).all()), name
    assert float(galaxies.mass_formed.min()) >= 0
    assert float(galaxies.attenuation.min()) >= 0
    assert float(galaxies.gas_metallicity.max()) < 0.051


def test_structure_moves_mass_and_makes_none():
    source = ProceduralGalaxies(seed=4, n_pixels=16)
    for linked in (True, False):
        source.link_structure = linked
        values = {
            k: torch.as_tensor(v, dtype=torch.float32)
            for k, v in source.parameters(range(6)).items()
        }
        structure = draw_structure(values, Stream(4, np.arange(6)))
        torch.testing.assert_close(structure.factors.mean(-1), torch.ones(6, 5, 72))
        assert bool((structure.factors > 0).all())


def test_arms_are_young_and_gas_rich_only_where_structure_is_linked():
    def correlation(linked):
        source = ProceduralGalaxies(seed=6, n_pixels=16, link_structure=linked)
        parameters = source.parameters(range(200))
        grand = np.flatnonzero((parameters["arm_old"] > 0.4) & (parameters["irregular"] == 0))
        values = {k: torch.as_tensor(v[grand], dtype=torch.float32) for k, v in parameters.items()}
        factors = draw_structure(values, Stream(6, grand)).factors[:, :, 44:56]
        logs = torch.log(factors).flatten(2)
        logs = logs - logs.mean(-1, keepdim=True)
        product = (
            (logs[:, 0] * logs[:, 1]).mean(-1) / logs.std(-1).prod(1) * logs.std(-1)[:, 2:].prod(1)
        )
        return float(product.mean())

    assert correlation(True) > 0.3
    assert abs(correlation(False)) < 0.15


def test_dust_is_all_that_its_factor_changes():
    dusty, doubled, clear = (
        ProceduralGalaxies(seed=6, n_pixels=16, dust=factor).draw(range(4))
        for factor in (1.0, 2.0, 0.0)
    )
    assert float(dusty.attenuation.max()) > 0.1
    torch.testing.assert_close(doubled.attenuation, 2.0 * dusty.attenuation)
    assert float(clear.attenuation.abs().max()) == 0.0
    for name in set(MAPS) - {"attenuation"}:
        torch.testing.assert_close(getattr(clear, name), getattr(dusty, name))


def test_unlinked_shapes_know_nothing_of_populations():
    for linked in (True, False):
        p = ProceduralGalaxies(seed=9, link_structure=linked).parameters(range(3000))
        middle = (p["log_mass"] > 9.8) & (p["log_mass"] < 10.6)
        found = np.corrcoef(p["bulge_fraction"][middle], p["end"][middle])[0, 1]
        assert found > 0.4 if linked else abs(found) < 0.15


@pytest.mark.parametrize(("linked", "low", "high"), [(True, 1.25, 1.8), (False, 0.8, 1.2)])
def test_dust_rises_with_inclination_only_where_structure_is_linked(
    monkeypatch, linked, low, high
):
    draw = population._draw_shape

    def seen_at(cosine):
        def draw_shape(*args):
            return draw(*args) | {"cos_inclination": np.full(60, cosine)}

        monkeypatch.setattr(population, "_draw_shape", draw_shape)
        source = ProceduralGalaxies(
            seed=21, n_pixels=32, survey="paper_field", redshift=0.03, link_structure=linked,
            worlds=False, device="cpu",
        )  # fmt: skip
        parameters = source.parameters(range(60))
        disks = np.flatnonzero((parameters["spheroid"] == 0) & (parameters["sfr"] > 0))
        parameters = {name: values[disks] for name, values in parameters.items()}
        parameters["companion"][:] = 0.0
        galaxies = source._render(disks, parameters)
        mass = galaxies.mass_formed.sum(1)
        return (galaxies.attenuation[:, 0] * mass).sum((1, 2)) / mass.sum((1, 2))

    # The same disks, all else alike, from 18 to 73 degrees.
    ratio = seen_at(0.3) / seen_at(0.95)
    assert low < float(ratio[ratio.isfinite()].median()) < high


def test_slopes_of_attenuation_follow_gswlc_from_1500_to_5500_angstrom():
    depth = np.array([0.3, 0.5, 0.8])
    slope = relations.attenuation_slope(depth)
    # Calzetti's law is 2.55 at 1500 over 5500 AA, and a power of -0.93 between u and r.
    ratio = 2.55 * (1500 / 5500) ** (slope + 0.93)
    np.testing.assert_allclose(np.log10(ratio), 0.424 - 0.68 * np.log10(depth), atol=0.002)
    np.testing.assert_allclose(relations.attenuation_slope(torch.as_tensor(depth)), slope)
    assert relations.attenuation_slope(np.array([0.0, 1e-4])).tolist() == [-1.6, -1.6]


def test_populations_follow_the_relations_they_are_drawn_from():
    p = ProceduralGalaxies(seed=1, mass_weight=0.0, worlds=False).parameters(range(6000))
    blue = (p["quenched"] == 0) & (p["green"] == 0)
    offset = np.log10(p["sfr"][blue]) - relations.main_sequence(p["log_mass"][blue])
    assert abs(offset.mean()) < 0.02
    assert abs(offset.std() - 0.3) < 0.02
    for low, high in ((8.5, 9.5), (9.5, 10.5), (10.5, 11.6)):
        some = (p["log_mass"] >= low) & (p["log_mass"] < high)
        expected = relations.quenched_fraction(p["log_mass"][some]).mean()
        assert p["quenched"][some].mean() == pytest.approx(expected, abs=0.03)
        green = p["green"][some & (p["quenched"] == 0)].mean()
        still = some & (p["quenched"] == 0)
        expected = relations.green_fraction(p["log_mass"][still]).mean()
        assert green == pytest.approx(expected, abs=0.03)
    specific = np.log10(p["sfr"][p["green"] > 0]) - p["log_mass"][p["green"] > 0]
    assert abs(specific.mean() - relations.LOG_GREEN_RATE) < 0.03


def test_disks_that_their_environment_quenched_stay_disks():
    keywords = {"mass_range": (9.6, 10.4), "mass_weight": 0.0}
    dense = ProceduralGalaxies(seed=3, worlds={"environment": 0.4}, **keywords)
    drawn = dense.parameters(range(6000))
    quenched, faded = drawn["quenched"] > 0, drawn["faded"] > 0
    assert quenched[faded].all()
    assert not drawn["spheroid"][faded].any()
    bulge = drawn["bulge_fraction"]
    spirals, lenticulars = ~quenched, quenched & ~faded & (drawn["spheroid"] == 0)
    assert np.median(bulge[faded]) == pytest.approx(np.median(bulge[spirals]), abs=0.02)
    assert np.median(bulge[lenticulars]) > np.median(bulge[faded]) + 0.15
    field = ProceduralGalaxies(seed=3, worlds={"environment": 0.0}, **keywords)
    assert not field.parameters(range(2000))["faded"].any()


def _axis_ratio(image):
    """Return the axis ratio of the light's moments, weighted by a Gaussian of its own shape."""
    y, x = np.indices(image.shape) - (np.array(image.shape)[:, None, None] - 1) / 2
    place = np.stack([x.ravel(), y.ravel()])
    moments = 25.0 * np.eye(2)
    for _ in range(30):
        weight = image.ravel() * np.exp(-0.5 * (place * np.linalg.solve(moments, place)).sum(0))
        moments = 2.0 * (weight * place) @ place.T / weight.sum()
        low, high = np.linalg.eigvalsh(moments)
        moments *= min(1.0, 100.0 / high)  # Gaussians of a disk's edge have no end.
    return np.sqrt(low / high)


def test_quiescent_galaxies_are_as_flat_as_those_of_the_nsa(shared_data):
    table = Table.read(shared_data / "truth" / "nsa_galaxies.fits")
    table = table[~np.ma.getmaskarray(table["log_mass"])]
    real = np.array(table["axis_ratio"][table["log_sfr"] - table["log_mass"] < -11.5])
    source = wide(8.0, 48, mass_range=(9.0, 11.2), mass_weight=0.8, worlds=False)
    parameters = source.parameters(range(900))
    alone = (parameters["quenched"] > 0) & (parameters["companion"] == 0)
    chosen = np.flatnonzero(alone)[:200]
    drawn = source._render(chosen, {name: value[chosen] for name, value in parameters.items()})
    mass = drawn.mass_formed.sum(1).double().numpy()
    mocks = np.array([_axis_ratio(image) for image in mass])
    # A third of the atlas's.
    assert np.mean(mocks < 0.45) == pytest.approx(np.mean(real < 0.45), abs=0.13)


def test_hi_falls_faster_far_below_the_sequence():
    change = relations.hi_below_sequence(np.array([0.3, 0.0, -0.5, -1.0, -3.0]))
    np.testing.assert_allclose(change, [0.12, 0.0, -0.2, -0.6, -0.84])


def test_masses_follow_the_mass_function():
    p = ProceduralGalaxies(seed=1, mass_weight=0.0, worlds=False).parameters(range(6000))

    def number(low, high):
        def per_dex(log_mass):
            x = 10 ** (log_mass - 10.66)
            return np.exp(-x) * (3.96 * x**0.65 + 0.79 * x**-0.47)

        return quad(per_dex, low, high)[0]

    expected = number(8.5, 9.1) / number(8.5, 11.6)
    assert (p["log_mass"] < 9.1).mean() == pytest.approx(expected, abs=0.02)


def test_wider_populations_are_wider():
    def spread(widen):
        p = ProceduralGalaxies(seed=1, widen=widen, worlds=False).parameters(range(1500))
        blue = (p["quenched"] == 0) & (p["green"] == 0)
        return np.std(np.log10(p["sfr"][blue]) - relations.main_sequence(p["log_mass"][blue]))

    assert spread(2.0) == pytest.approx(2 * spread(1.0), rel=1e-6)
    assert spread(0.0) == pytest.approx(0.0, abs=1e-9)


def test_sums_of_gaussians_are_sersic_profiles():
    for index in (0.7, 1.0, 2.5, 4.0, 6.0):
        n = np.array([index])
        assert sersic_weights(n).sum() == pytest.approx(1.0)
        assert sersic_fraction(n, np.array([1.0]))[0] == pytest.approx(0.5, abs=0.025)
    # 1 - (1 + x) exp(-x) with x = 1.678 r.
    radius = np.array([0.3, 0.6, 1.5, 3.0])
    x = 1.678 * radius
    expected = 1 - (1 + x) * np.exp(-x)
    found = sersic_fraction(np.ones(4), radius)
    np.testing.assert_allclose(found, expected, atol=0.015)


def test_inclining_conserves_mass_and_thins_to_a_line():
    rows = torch.linspace(-20, 20, 161)[None]
    for cosine in (1.0, 0.5, 0.05):
        matrix = inclining_matrix(rows, rows, torch.tensor([cosine]), torch.tensor([0.5]))[0]
        central = matrix[:, 60:101].sum(0)
        torch.testing.assert_close(central, torch.ones(41), rtol=1e-3, atol=1e-3)
    spread = (matrix[:, 80] / matrix[:, 80].sum() * rows[0] ** 2).sum().sqrt()
    assert float(spread) == pytest.approx(0.5, rel=0.1)


def test_histories_hold_all_mass_and_the_rate_asked_for():
    start = np.array([12.0, 12.0, 9.0])
    rate = np.array([0.05, 0.1, 0.02])
    tau = timescale_of_rate(rate, start)
    history = delayed_history(start, tau, np.zeros(3))
    np.testing.assert_allclose(history.sum(1), 1.0)
    np.testing.assert_allclose(history[:, 0] / 0.01, rate, rtol=0.03)
    stopped = delayed_history(start, tau, np.full(3, 2.0))
    assert stopped[:, :4].max() < 1e-9


def test_distances_agree_with_astropy():
    from astropy.cosmology import Planck18

    redshift = np.array([0.01, 0.05, 0.15, 0.5, 1.2])
    expected = Planck18.angular_diameter_distance(redshift).to_value("Mpc")
    np.testing.assert_allclose(angular_diameter_distance(redshift), expected, rtol=2e-4)
    back = redshift_of_distance(angular_diameter_distance(redshift), (0.0, 1.5))
    np.testing.assert_allclose(back, redshift, rtol=1e-4)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"n_pixels": 4}, "n_pixels"),
        ({"n_pixels": 32.5}, "n_pixels"),
        ({"margin": -1}, "margin"),
        ({"mass_range": (11, 9)}, "mass_range"),
        ({"widen": -1}, "widen"),
        ({"dust": -1}, "dust"),
        ({"redshift": 0.0}, "redshift"),
        ({"survey": "palomar"}, "palomar"),
    ],
)
def test_what_makes_no_sense_is_refused(keywords, message):
    with pytest.raises(InvalidInputError, match=message):
        ProceduralGalaxies(**keywords)


@pytest.mark.parametrize("index", [[-1], [1.5], []])
def test_bad_numbers_of_galaxies_are_refused(index):
    with pytest.raises(InvalidInputError, match="expected"):
        ProceduralGalaxies().draw(index)


@pytest.mark.gpu
def test_cuda_draws_the_same_galaxies():
    cpu = ProceduralGalaxies(seed=1, n_pixels=32, device="cpu").draw(range(8))
    cuda = ProceduralGalaxies(seed=1, n_pixels=32, device="cuda").draw(range(8)).to("cpu")
    for name in MAPS:
        one, other = getattr(cpu, name), getattr(cuda, name)
        assert float((one - other).abs().max()) < 1e-2 * float(one.abs().max()), name


def test_redshifts_of_a_range_come_by_apparent_size():
    source = ProceduralGalaxies(
        seed=2, n_pixels=128, redshift=(0.01, 0.3), apparent_radius=(2.0, 20.0)
    )
    assert source.redshift_range == (0.01, 0.3)
    drawn = source.parameters(range(3000))
    redshift = drawn["redshift"]
    pixels = drawn["half_mass_radius"] / drawn["pixel_scale_kpc"]
    assert 0.01 <= redshift.min() < 0.012
    assert 0.25 < redshift.max() <= 0.3
    # A frame of 128 has twice the pixels; nobody is heaped up at an end of the range.
    allowed = (redshift > 0.01001) & (redshift < 0.2999)
    assert allowed.mean() > 0.97
    assert np.all((pixels[allowed] > 3.9) & (pixels[allowed] < 40.5))
    assert pixels.max() > 30


@pytest.mark.parametrize(
    "wrong", [{"redshift": (0.3, 0.1)}, {"redshift": (0.001, 0.1)}, {"redshift": (0.1, 1.8)},
              {"apparent_radius": (13.0, 3.0)}, {"apparent_radius": (0.0, 3.0)}],
)  # fmt: skip
def test_ranges_that_make_no_sense(wrong):
    with pytest.raises(InvalidInputError, match=next(iter(wrong))):
        ProceduralGalaxies(**wrong)
