import numpy as np
import pytest
import torch

from picasssso.exceptions import InvalidInputError
from picasssso.mocks.age_bins import AGE_CENTERS, AGE_EDGES, N_AGE, mass_in_age_bins
from picasssso.mocks.galaxy_maps import Galaxies
from picasssso.mocks.light import LightTable
from picasssso.mocks.model_error import ModelErrors
from picasssso.sps import SSPGrid, TwoComponent
from picasssso.sps.histories import AgeBins, StepHistories
from picasssso.sps.photometry import GridPhotometry

UGRIZ = tuple(f"sdss2010-{band}" for band in "ugriz")


def one_pixel(mass, metallicity=0.012, diffuse=0.0, clouds=0.0, redshift=0.05, gas=1e6):
    """Make galaxies of one pixel each from masses of shape (n, n_age)."""
    n = len(mass)
    mass = torch.as_tensor(np.asarray(mass), dtype=torch.float32)[:, :, None, None]
    map_ = torch.full((n, 1, 1), gas)
    return Galaxies(
        mass_formed=mass,
        log_metallicity=torch.full((n, 1, 1, 1), float(np.log10(metallicity))),
        attenuation=torch.tensor([diffuse, clouds])[None, :, None, None].expand(n, 2, 1, 1),
        attenuation_slope=torch.tensor([[-0.7, -1.3]]).expand(n, 2),
        hi_mass=map_,
        h2_mass=2 * map_,
        gas_metallicity=0.01 * map_ / gas,
        redshift=torch.full((n,), redshift),
        pixel_scale=torch.ones(n),
        pixel_scale_kpc=torch.ones(n),
    )


def full_spectra(mass, metallicity, diffuse, clouds, redshift):
    """Return the same light from the stellar grid's spectra, as for SED fits."""
    grid = SSPGrid.default()
    photometry = GridPhotometry.build(grid, UGRIZ, redshift)
    ages = StepHistories(AGE_EDGES, mass).age_weights(AgeBins(grid.ages))
    ages = ages * np.sum(mass, axis=1, keepdims=True)
    metals = grid._metallicity_weights(np.full(len(mass), metallicity))
    law = TwoComponent(-0.7, -1.3)
    return photometry.fluxes(ages, metals, law=law, diffuse=diffuse, birth_clouds=clouds)


@pytest.mark.parametrize("metallicity", [0.0004, 0.006, 0.02, 0.05])
def test_light_without_dust_is_that_of_the_summed_populations(paper_table, metallicity):
    mass = np.concatenate([np.eye(N_AGE), np.random.default_rng(0).random((5, N_AGE))])
    ours = paper_table.light(one_pixel(mass, metallicity)).surface_brightness[:, :, 0, 0]
    np.testing.assert_allclose(ours, full_spectra(mass, metallicity, 0, 0, 0.05), rtol=1e-3)


def test_dust_dims_as_it_dims_full_spectra(paper_table):
    # Histories of galaxies: what a pixel holds is never one age bin.
    rng = np.random.default_rng(1)
    mass = rng.random((30, N_AGE)) * np.diff(AGE_EDGES) ** rng.uniform(0.6, 1.2, (30, 1))
    for diffuse, clouds in ((0.3, 0.3), (1.0, 0.5)):
        ours = paper_table.light(one_pixel(mass, 0.015, diffuse, clouds)).surface_brightness
        full = full_spectra(mass, 0.015, diffuse, clouds, 0.05)
        difference = 2.5 * np.log10(ours[:, :, 0, 0].numpy() / full)
        assert np.abs(difference).max() < 0.01


def test_light_between_redshifts_of_a_table(near_table):
    mass = np.random.default_rng(2).random((4, N_AGE))
    ours = near_table.light(one_pixel(mass, redshift=0.0512)).surface_brightness[:, :, 0, 0]
    full = full_spectra(mass, 0.012, 0, 0, 0.0512)
    assert np.abs(2.5 * np.log10(ours.numpy() / full)).max() < 0.01


def test_true_maps_by_hand(paper_table):
    mass = np.zeros((1, N_AGE))
    mass[0, [0, 1, 6]] = 2e5, 9e5, 3e8
    light = paper_table.light(one_pixel(mass, 0.02, 0.5, 0.0))
    truth = {name: float(value) for name, value in light.truth.properties().items()}
    fraction = SSPGrid.default().surviving_fraction[4]
    assert truth["sfr"] == pytest.approx(1.1e6 / 1e8)
    assert 0.54 < truth["stellar_mass"] / mass.sum() < 0.64
    assert fraction.min() * mass.sum() < truth["stellar_mass"] < mass.sum()
    assert truth["stellar_metallicity"] == pytest.approx(0.02, rel=1e-4)
    assert truth["stellar_age"] == pytest.approx(AGE_CENTERS[6] / 1e9, rel=0.01)
    assert truth["gas_mass"] == pytest.approx(1.36 * 3e6, rel=1e-5)
    assert truth["hi_mass"] == pytest.approx(1e6)
    assert truth["gas_metallicity"] == pytest.approx(0.01, rel=1e-5)
    assert truth["attenuation_v"] == pytest.approx(0.5, abs=0.02)


def test_light_can_be_differentiated(paper_table):
    galaxies = one_pixel(np.ones((1, N_AGE)), diffuse=0.5)
    galaxies.mass_formed.requires_grad_(True)
    paper_table.light(galaxies).surface_brightness.sum().backward()
    assert bool((galaxies.mass_formed.grad > 0).all())


def test_surface_brightness_dims_with_redshift_as_defined(paper_table):
    # Of a spectrum flat in nu, f_nu per solid angle would fall as (1 + z)^-3.
    at_zero = LightTable.build(["sdss2010-r"], 0.0)
    assert at_zero.surviving.max() <= 1.0
    mass = np.eye(N_AGE)[1:2]  # 10-100 Myr: nearly flat in nu around r
    near = at_zero.light(one_pixel(mass, redshift=0.0)).surface_brightness.item()
    far = paper_table.light(one_pixel(mass)).surface_brightness[0, 2, 0, 0].item()
    assert far / near == pytest.approx(1.05**-3, rel=0.05)


def test_model_errors_change_light_and_not_truth(paper_table):
    mass = np.ones((50, N_AGE))
    galaxies = one_pixel(mass)
    errors = ModelErrors.draw(1, np.arange(50))
    clean, wrong = paper_table.light(galaxies), paper_table.light(galaxies, errors)
    change = -2.5 * torch.log10(wrong.surface_brightness / clean.surface_brightness)
    assert 0.03 < float(change.std()) < 0.2
    torch.testing.assert_close(wrong.truth.sums[:, :7], clean.truth.sums[:, :7])


def test_redshift_outside_of_the_table_is_refused(paper_table):
    with pytest.raises(InvalidInputError, match=r"covers 0\.05"):
        paper_table.light(one_pixel(np.ones((1, N_AGE)), redshift=0.2))
    with pytest.raises(InvalidInputError, match="not a range"):
        LightTable.build(UGRIZ, (0.1, 0.05))


def test_descriptions_that_do_not_fit_are_refused():
    good = one_pixel(np.ones((2, N_AGE)))
    with pytest.raises(InvalidInputError, match="hi_mass"):
        Galaxies(**{**vars(good), "hi_mass": torch.ones(2, 3, 3)})
    with pytest.raises(InvalidInputError, match="mass_formed"):
        Galaxies(**{**vars(good), "mass_formed": torch.ones(2, 3, 1, 1)})


def test_particles_fall_into_age_bins():
    ages, masses = np.array([0.0, 1e7, 9.99e7, 2e10]), np.array([1.0, 2.0, 4.0, 8.0])
    binned = mass_in_age_bins(ages, masses)
    assert binned.sum() == masses.sum()
    np.testing.assert_array_equal(binned[[0, 1, -1]], [1.0, 6.0, 8.0])


def test_tables_are_kept_for_the_same_curves_alone(monkeypatch):
    first = LightTable.build(["sdss2010-r"], 0.05)
    assert LightTable.build(["sdss2010-r"], 0.05) is first
    monkeypatch.setattr("picasssso.filters.curves.filter_hash", lambda curve: "another curve")
    assert LightTable.build(["sdss2010-r"], 0.05) is not first
