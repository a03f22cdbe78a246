"""Model libraries: draws, properties, known relations, files."""

import pickle
import threading
from itertools import pairwise

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from picasssso.exceptions import FileFormatError, InvalidInputError
from picasssso.sps import ModelLibrary, SEDPrior, SSPGrid, TwoComponent, populations
from picasssso.sps.dust import get_law
from picasssso.sps.histories import AgeBins, StepHistories
from picasssso.sps.photometry import GridPhotometry
from picasssso.sps.populations import draw_populations, unit_cube

UGRIZ = tuple(f"sdss2010-{band}" for band in "ugriz")
SURVEYS = (*UGRIZ, "Euclid-VIS", "twomass-Ks")
PROPERTIES = {
    "surviving_fraction",
    "stellar_metallicity",
    "stellar_metallicity_formed",
    "stellar_age",
    "stellar_age_formed",
    "ssfr100",
    "attenuation_v",
}


@pytest.fixture(scope="module")
def library():
    return ModelLibrary.build(UGRIZ, 0.05, n_models=2000)


# ---- draws ----------------------------------------------------------------------------------


def test_the_cube_is_filled_evenly():
    points = unit_cube(1024, 11, 0)
    assert points.shape == (1024, 11)
    assert points.min() > 0
    assert points.max() < 1
    counts = np.stack([np.histogram(column, 32, (0, 1))[0] for column in points.T])
    assert np.all(counts == 32)


def test_the_cube_depends_on_the_seed():
    assert not np.any(unit_cube(8, 3, 0) == unit_cube(8, 3, 1))


@pytest.mark.parametrize("history", ["delayed", "steps"])
def test_model_k_is_the_same_whatever_the_number(history):
    prior = SEDPrior(history=history)
    few = ModelLibrary.build(UGRIZ[:2], 0.1, n_models=37, prior=prior, seed=3)
    many = ModelLibrary.build(UGRIZ[:2], 0.1, n_models=5000, prior=prior, seed=3)
    np.testing.assert_allclose(many.fluxes[:37], few.fluxes, rtol=3e-6)
    for name in PROPERTIES:
        np.testing.assert_allclose(many.properties[name][:37], few.properties[name], rtol=3e-6)
    other = ModelLibrary.build(UGRIZ[:2], 0.1, n_models=37, prior=prior, seed=4)
    assert not np.any(other.fluxes == few.fluxes)


def test_another_redshift_reuses_the_draw(monkeypatch):
    ModelLibrary.build(["sdss2010-r"], 0.05, n_models=50, seed=91)
    monkeypatch.setattr(populations._Pool, "_extend", None)
    ModelLibrary.build(["sdss2010-g"], 0.0505, n_models=50, seed=91)
    with pytest.raises(TypeError):
        ModelLibrary.build(["sdss2010-g"], 0.5, n_models=50, seed=91)


def test_the_cache_is_bounded_and_survives_threads():
    grid, prior = SSPGrid.default(), SEDPrior()
    found = {}

    def work(seed):
        found[seed] = draw_populations(grid, prior, 20, seed, 13.0)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(populations._pools) <= populations._CACHED
    for seed, drawn in found.items():
        again = draw_populations(grid, prior, 20, seed, 13.0)
        for (_, one, _), (_, two, _) in zip(again.chunks(), drawn.chunks(), strict=True):
            # Last bits depend on where arrays lie in memory; another seed's differ by far more.
            np.testing.assert_allclose(one, two, rtol=1e-6, atol=1e-7)


def test_drawn_weights_conserve_mass():
    for history in ("delayed", "steps"):
        drawn = draw_populations(SSPGrid.default(), SEDPrior(history=history), 3000, 0, 13.0)
        for _, ages, metals in drawn.chunks():
            assert np.all(ages >= 0)
            np.testing.assert_allclose(ages.sum(axis=1, dtype=float), 1.0, atol=1e-6)
            np.testing.assert_allclose(metals.sum(axis=1), 1.0, atol=1e-12)
        assert not any(part.ages.flags.writeable for part in drawn.parts)


def test_chunks_hold_every_model_once():
    drawn = draw_populations(SSPGrid.default(), SEDPrior(), 5000, 0, 13.0)
    chunks = [models[models >= 0] for models, _, _ in drawn.chunks()]
    np.testing.assert_array_equal(np.sort(np.concatenate(chunks)), np.arange(5000))


# ---- another redshift -----------------------------------------------------------------------


@pytest.mark.parametrize("law", ["calzetti", "two_component"])
@pytest.mark.parametrize("history", ["delayed", "steps"])
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(redshift=st.floats(0.0, 1.0))
def test_any_redshift_is_as_if_made_for_it(history, law, redshift):
    """Against histories worked out from the parameters, slice by slice of the bands."""
    prior = SEDPrior(history=history, attenuation=(0.0, 3.0))
    library = ModelLibrary.build(SURVEYS, redshift, n_models=300, prior=prior, attenuation_law=law)
    grid, law = SSPGrid.default(), get_law(law)
    parameters = {name: values.astype(float) for name, values in library.parameters.items()}
    histories = prior._histories(parameters, library.meta["age_limit"])
    assert histories.oldest_star().max() <= 1.0001e9 * library.meta["age_limit"]
    expected = GridPhotometry.build(grid, library.bands, redshift).fluxes(
        histories.age_weights(AgeBins(grid.ages)),
        grid._metallicity_weights(parameters["metallicity"]),
        law=law,
        escape_fraction=parameters["escape_fraction"],
        **populations.dust_of(parameters, slice(None), law),
    )
    assert np.abs(2.5 * np.log10(library.fluxes / expected)).max() < 0.005


@pytest.mark.parametrize("age_limit", [13.6, 13.0, 9.0, 6.9, 4.0, 1.5])
@pytest.mark.parametrize("prior", [SEDPrior(), SEDPrior.flat()])
def test_ages_follow_the_prior_cut_off_at_the_universes(prior, age_limit):
    drawn = draw_populations(SSPGrid.default(), prior, 4096, 0, age_limit)
    expected = prior.distribution("oldest_age").values(np.linspace(0, 1, 4096), age_limit)
    np.testing.assert_allclose(np.sort(drawn.parameters["oldest_age"]), expected, atol=0.25)
    assert drawn.parameters["oldest_age"].max() <= age_limit
    assert abs(drawn.parameters["oldest_age"].mean() - expected.mean()) < 0.02 * age_limit


def test_redshifts_share_their_models():
    near, far = (ModelLibrary.build(UGRIZ[:2], z, n_models=2000) for z in (0.05, 0.07))
    _, here, there = np.intersect1d(near.numbers, far.numbers, return_indices=True)
    assert len(here) > 1950
    for name in ("oldest_age", "timescale", "metallicity"):
        np.testing.assert_array_equal(near.parameters[name][here], far.parameters[name][there])
    # One after the other leaves, so that nothing jumps.
    steps = [
        ModelLibrary.build(UGRIZ[:2], z, n_models=2000).numbers
        for z in np.linspace(0.05, 0.0502, 5)
    ]
    assert all(len(np.setdiff1d(a, b)) <= 2 for a, b in pairwise(steps))


def test_the_order_of_redshifts_does_not_matter():
    def build(redshift):
        return ModelLibrary.build(UGRIZ, redshift, n_models=100, seed=17)

    first = build(0.21)
    build(0.5)
    populations._pools.clear()
    build(0.9)
    again = build(0.21)
    np.testing.assert_array_equal(again.numbers, first.numbers)
    np.testing.assert_allclose(again.fluxes, first.fluxes, rtol=3e-6)


# ---- contents -------------------------------------------------------------------------------


def test_contents(library):
    assert library.fluxes.shape == (2000, 5)
    assert library.fluxes.dtype == np.float32
    assert np.all(library.fluxes > 0)
    assert np.all(np.isfinite(library.fluxes))
    assert set(library.properties) == PROPERTIES
    for name, values in (*library.properties.items(), *library.parameters.items()):
        assert values.shape == (2000,), name
        assert values.dtype == np.float32, name
        assert np.all(np.isfinite(values)), name
        assert not values.flags.writeable
    assert len(library) == library.n_models == 2000
    assert library.bands == UGRIZ
    assert "PopStar" in repr(library)
    assert "0.05" in repr(library)


def test_meta_says_how_it_was_made(library):
    assert SEDPrior.from_dict(library.meta["prior"]) == SEDPrior()
    assert library.meta["grid_hash"] == SSPGrid.default().hash
    assert library.meta["cosmology"] == "Planck18"
    assert library.meta["attenuation_law"]["name"] == "calzetti"


def test_properties_are_possible(library):
    values = library.properties
    assert np.all((values["surviving_fraction"] > 0.5) & (values["surviving_fraction"] <= 1.0))
    # Older stars have lost more of their mass: what survives is younger than what was formed.
    assert np.all(values["stellar_age"] <= values["stellar_age_formed"] * 1.02)
    assert np.all(values["stellar_age_formed"] < library.parameters["oldest_age"])
    assert np.all(values["ssfr100"] <= 1e-8)
    no_young = library.parameters["truncation_age"] > 0.1
    assert not np.any(values["ssfr100"][no_young])


def test_metallicity_has_one_value_per_model(library):
    for name in ("stellar_metallicity", "stellar_metallicity_formed"):
        np.testing.assert_array_equal(library.properties[name], library.parameters["metallicity"])


def test_surviving_age_is_weighted_by_what_survives():
    """Against a sum over fine bins of age, for one constant history."""
    grid = SSPGrid.default()
    prior = SEDPrior(
        oldest_age=(10.0, 10.0),
        timescale=(1e7, 1e7),
        burst_probability=0.0,
        truncation_probability=0.0,
        metallicity=(0.02, 0.02),
    )
    library = ModelLibrary.build(["sdss2010-r"], 0.0, n_models=1, prior=prior)
    edges = np.concatenate([[0.0], np.geomspace(1e4, 1e10, 20_001)])
    middle = 0.5 * (edges[1:] + edges[:-1])
    # A rate that rises linearly: an endless tau.
    mass = np.diff(1.0 - (1.0 - edges / 1e10) ** 2)
    left = np.interp(np.log(middle), np.log(grid.ages), grid.surviving_fraction[4])
    assert library.properties["surviving_fraction"][0] == pytest.approx(mass @ left, rel=1e-4)
    expected = (mass * left) @ middle / (mass @ left) / 1e9
    assert library.properties["stellar_age"][0] == pytest.approx(expected, rel=1e-3)
    assert library.properties["stellar_age_formed"][0] == pytest.approx(10 / 3, rel=1e-5)


def test_attenuation_is_that_of_the_v_flux(library):
    """Nearly the parameter for one screen, more than it where young stars sit in clouds."""
    parameter = library.parameters["attenuation"]
    np.testing.assert_allclose(
        library.properties["attenuation_v"], parameter, rtol=0.015, atol=0.01
    )
    cloudy = ModelLibrary.build(
        ["sdss2010-g"], 0.05, n_models=2000, attenuation_law=TwoComponent()
    )
    more = cloudy.properties["attenuation_v"] - parameter
    assert more.min() > -0.03
    assert more.max() > 0.2


def test_no_dust_no_attenuation():
    library = ModelLibrary.build(
        ["sdss2010-r"], 0.0, n_models=10, prior=SEDPrior(attenuation=(0.0, 0.0))
    )
    assert not np.any(library.properties["attenuation_v"])


@pytest.mark.parametrize("history", ["delayed", "steps"])
@pytest.mark.parametrize("law", ["calzetti", "two_component"])
def test_fluxes_are_those_of_the_models_spectra(history, law):
    """The whole way round: whole spectra with dust and lines, integrated by speclite."""
    import speclite.filters

    library = ModelLibrary.build(
        UGRIZ,
        0.1,
        n_models=40,
        prior=SEDPrior(history=history, escape_fraction=(0.0, 0.5)),
        attenuation_law=law,
    )
    filters = speclite.filters.load_filters(*UGRIZ)
    observed = np.arange(2500.0, 12_500.0, 1.0)
    for model in (0, 7, 21, 39):
        spectrum = library.spectrum(model)
        f_nu = np.interp(
            observed,
            spectrum.spectral_axis.to_value(u.AA),
            spectrum.flux.to_value("nmgy / arcsec2"),
        )
        f_lambda = f_nu * 3.631e-29 * 2.99792458e18 / observed**2
        table = filters.get_ab_magnitudes(f_lambda * u.erg / u.s / u.cm**2 / u.AA, observed * u.AA)
        expected = np.array([table[band][0] for band in UGRIZ])
        found = 22.5 - 2.5 * np.log10(library.fluxes[model].astype(float))
        np.testing.assert_allclose(found, expected, atol=0.003)


def test_younger_universe_younger_stars():
    library = ModelLibrary.build(["sdss2010-z"], 0.9, n_models=500)
    assert library.parameters["oldest_age"].max() < 6.5
    from astropy.cosmology import FlatLambdaCDM

    # An Einstein-de Sitter universe of H0 = 100 is 6.5 Gyr old now.
    young = ModelLibrary.build(
        ["sdss2010-z"], 0.0, n_models=500, cosmology=FlatLambdaCDM(100.0, 1.0, name="EdS")
    )
    assert young.parameters["oldest_age"].max() < 6.6
    assert young.meta["cosmology"] == "EdS"


# ---- known relations ------------------------------------------------------------------------


def test_color_and_mass_to_light_of_exponential_histories():
    """log(M/L_i) = -0.72 + 0.785 (g-i), scatter 0.10, for such histories on this grid.

    The zero point moves by 0.1 dex with the ranges of age and dust that are assumed.
    """
    n = 6000
    grid = SSPGrid.from_popstar()
    rng = np.random.default_rng(8)
    oldest, tau = rng.uniform(1e9, 1.35e10, n), 10 ** rng.uniform(8.0, 10.3, n)
    metallicity = 10 ** rng.uniform(np.log10(0.004), np.log10(0.05), n)
    edges = np.concatenate([[0.0], np.geomspace(1e6, 1.35e10, 300)])
    young = np.minimum(edges, oldest[:, None])
    formed = np.exp((young - oldest[:, None]) / tau[:, None]) - np.exp(-oldest / tau)[:, None]
    ages = StepHistories(edges, np.diff(formed, axis=1)).age_weights(AgeBins(grid.ages))
    metals = grid._metallicity_weights(metallicity)
    from picasssso.sps import Calzetti

    photometry = GridPhotometry.build(grid, ["sdss2010-g", "sdss2010-i"], 0.0, nebular=False)
    fluxes = photometry.fluxes(ages, metals, law=Calzetti(), diffuse=rng.uniform(0, 1.5, n))
    surviving = np.sum(ages * (metals @ grid.surviving_fraction), axis=1)
    magnitudes = 22.5 - 2.5 * np.log10(fluxes * 1e6) - 21.572
    log_ratio = np.log10(surviving) + 0.4 * (magnitudes[:, 1] - 4.58)
    color = magnitudes[:, 0] - magnitudes[:, 1]
    used = (color > 0.2) & (color < 1.2)
    slope, zero = np.polyfit(color[used], log_ratio[used], 1)
    assert slope == pytest.approx(0.785, abs=0.08)
    assert zero + slope * 0.8 == pytest.approx(-0.72 + 0.785 * 0.8, abs=0.1)
    scatter = np.std(log_ratio[used] - zero - slope * color[used])
    assert scatter == pytest.approx(0.10, abs=0.03)


def test_two_history_priors_differ_in_age():
    """The point of having two: the same light, other ages."""
    delayed, steps = (
        ModelLibrary.build(["sdss2010-r"], 0.0, n_models=2000, prior=SEDPrior(history=history))
        for history in ("delayed", "steps")
    )
    ages = [np.median(lib.properties["stellar_age"]) for lib in (delayed, steps)]
    assert abs(np.log10(ages[1] / ages[0])) > 0.05


# ---- refusals -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_models": 0}, "n_models=0"),
        ({"n_models": 10.5}, "integer"),
        ({"n_models": True}, "integer"),
        ({"seed": -1}, "seed=-1"),
        ({"seed": None}, "seed=None"),
        ({"prior": SEDPrior(metallicity=(0.01, 0.1))}, "leaves the grid"),
        ({"attenuation_law": "smc"}, "calzetti"),
        ({"bands": ["nothing-g"]}, "no filter"),
        ({"redshift": 20.0}, "covers|Big Bang"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    arguments = {"bands": ["wise2010-W1"], "redshift": 0.0, "n_models": 5} | arguments
    with pytest.raises(InvalidInputError, match=message):
        ModelLibrary.build(arguments.pop("bands"), arguments.pop("redshift"), **arguments)


def test_spectrum_needs_its_grid_and_model(library):
    with pytest.raises(InvalidInputError, match="no model 2000"):
        library.spectrum(2000)
    grid = SSPGrid.default()
    other = SSPGrid(grid.ages, grid.metallicities, grid.wavelength, grid.luminosity)
    with pytest.raises(InvalidInputError, match="built from the grid PopStar"):
        library.spectrum(0, grid=other)


# ---- files ----------------------------------------------------------------------------------


def test_files_round_trip(library, tmp_path):
    path = tmp_path / "library.fits"
    library.write(path)
    again = ModelLibrary.read(path)
    assert again.hash == library.hash
    assert again.bands == library.bands
    assert again.redshift == library.redshift
    np.testing.assert_array_equal(again.fluxes, library.fluxes)
    assert dict(again.meta) == dict(library.meta)
    assert again.fluxes.dtype.isnative
    assert not again.fluxes.flags.writeable
    np.testing.assert_array_equal(again.spectrum(5).flux.value, library.spectrum(5).flux.value)
    with fits.open(path) as hdus:
        assert hdus["PROPERTIES"].columns["stellar_age"].unit == "Gyr"
    with pytest.raises(FileFormatError, match="overwrite=True"):
        library.write(path)


def test_libraries_can_be_pickled(library):
    again = pickle.loads(pickle.dumps(library))
    assert again.hash == library.hash
    assert dict(again.meta) == dict(library.meta)
    assert not again.fluxes.flags.writeable


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda hdus: hdus[0].header.update(LIBFMT=3), "format 3, newer"),
        (lambda hdus: hdus[0].header.remove("LIBFMT"), "not a model library"),
        (lambda hdus: hdus.pop("FLUXES"), "cannot be read"),
        (lambda hdus: hdus["FLUXES"].data.__imul__(2), "damaged"),
    ],
)
def test_bad_files_say_what_is_wrong(library, tmp_path, change, message):
    library.write(tmp_path / "library.fits")
    with fits.open(tmp_path / "library.fits") as hdus:
        change(hdus)
        hdus.writeto(tmp_path / "bad.fits")
    with pytest.raises(FileFormatError, match=message):
        ModelLibrary.read(tmp_path / "bad.fits")


def test_files_that_are_no_libraries(tmp_path):
    with pytest.raises(FileFormatError, match=r"missing\.fits"):
        ModelLibrary.read(tmp_path / "missing.fits")


def test_hash_tells_libraries_apart(library):
    assert library.hash == ModelLibrary.build(UGRIZ, 0.05, n_models=2000).hash
    assert library.hash != ModelLibrary.build(UGRIZ, 0.05, n_models=2000, seed=1).hash
