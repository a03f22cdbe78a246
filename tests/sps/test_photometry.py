"""Synthetic photometry against speclite, definitions and limits."""

import astropy.units as u
import numpy as np
import pytest

from picasssso.exceptions import InvalidInputError, PicassssoWarning
from picasssso.sps import Calzetti, SSPGrid, TwoComponent
from picasssso.sps.photometry import SOLAR_SURFACE_BRIGHTNESS, GridPhotometry, load_response

UGRIZ = tuple(f"sdss2010-{band}" for band in "ugriz")
SPEED_OF_LIGHT = 2.99792458e18
CALZETTI = Calzetti()


@pytest.fixture(scope="module")
def grid():
    return SSPGrid.from_popstar()


def thin_grid(luminosity, wavelength=None, **arguments):
    """A grid of one metallicity and age."""
    wavelength = np.linspace(1500.0, 30_000.0, 2851) if wavelength is None else wavelength
    light = luminosity(wavelength)[None, None]
    return SSPGrid([1e9], [0.02], wavelength, light, **arguments)


def flux_of(grid, bands, redshift, **arguments):
    photometry = GridPhotometry.build(grid, bands, redshift, nebular=False)
    return photometry.fluxes_of_weights(np.ones((1, 1)), law=CALZETTI, **arguments)[0]


def speclite_magnitudes(wavelength, flux, bands=UGRIZ):
    import speclite.filters

    unit = u.erg / u.s / u.cm**2 / u.AA
    table = speclite.filters.load_filters(*bands).get_ab_magnitudes(
        np.ascontiguousarray(flux) * unit, np.ascontiguousarray(wavelength) * u.AA
    )
    return np.array([table[band][0] for band in bands])


# ---- definitions ----------------------------------------------------------------------------


@pytest.mark.parametrize("redshift", [0.0, 0.05, 0.4])
def test_flux_follows_its_definition(redshift):
    """A spectrum flat in L_nu: f_nu = (1 + z) L_nu / (4 pi D_L^2), per solid angle."""
    l_nu = 1e-15  # Lsun/Hz/Msun
    grid = thin_grid(lambda w: l_nu * SPEED_OF_LIGHT / w**2)
    found = flux_of(grid, UGRIZ, redshift)
    from astropy.cosmology import Planck18

    # Any distance will do, as long as both distances belong together.
    d_l = Planck18.luminosity_distance(max(redshift, 1e-4))
    d_a = d_l / (1 + redshift) ** 2
    area = 1 * u.kpc**2
    f_nu = (1 + redshift) * l_nu * 3.828e33 * u.erg / u.s / u.Hz / (4 * np.pi * d_l**2)
    solid_angle = (area / d_a**2).to(u.arcsec**2, u.dimensionless_angles())
    expected = (f_nu / solid_angle).to_value(3631e-9 * u.Jy / u.arcsec**2)
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_surface_brightness_of_the_sun():
    """1 Lsun/pc2 of a source of absolute magnitude M is M + 21.572 mag/arcsec2."""
    # f_nu at 10 pc of M = 0, times 4 pi (10 pc)^2, in Lsun/Hz.
    luminosity = 3.631e-20 * 4 * np.pi * (10 * 3.0856775814913673e18) ** 2 / 3.828e33
    per_pc2 = luminosity * 1e6 * SOLAR_SURFACE_BRIGHTNESS
    assert 22.5 - 2.5 * np.log10(per_pc2) == pytest.approx(21.572, abs=1e-3)


def test_mass_to_light_of_an_old_solar_population(grid):
    """About 2-3 in i in solar units for a Chabrier mass function at 10 Gyr (M_sun,i = 4.58)."""
    photometry = GridPhotometry.build(grid, ["sdss2010-i"], 0.0, nebular=False)
    weights = grid._age_weights(1e10)
    metals = grid._metallicity_weights(0.02)
    flux = photometry.fluxes(weights, metals, law=CALZETTI)[0, 0]
    light = 10 ** (-0.4 * (22.5 - 2.5 * np.log10(flux * 1e6) - 21.572 - 4.58))
    surviving = (metals @ grid.surviving_fraction @ weights[0])[0]
    assert 2.0 < surviving / light < 3.0


# ---- speclite -------------------------------------------------------------------------------


@pytest.mark.parametrize("redshift", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("age", [3e6, 1e8, 1e10])
def test_magnitudes_are_those_of_speclite(grid, redshift, age):
    photometry = GridPhotometry.build(grid, UGRIZ, redshift, nebular=False)
    weights, metals = grid._age_weights(age), grid._metallicity_weights(0.02)
    found = photometry.fluxes(weights, metals, law=CALZETTI)[0]
    light = grid.spectrum(age * u.yr, 0.02).flux.value * 3.828e33
    distance = 3.0856775814913673e21  # 1 kpc; then 1 kpc2 has a solid angle of (1 + z)^4
    flux = light / (1 + redshift) / (4 * np.pi * distance**2)
    # The samples of the spectrum are far apart for speclite: put straight lines between.
    observed = np.arange(2500.0, 13_000.0, 2.0)
    fine = np.interp(observed, grid.wavelength * (1 + redshift), flux)
    magnitudes = speclite_magnitudes(observed, fine)
    arcsec2 = (180 * 3600 / np.pi) ** 2 * (1 + redshift) ** 4
    np.testing.assert_allclose(
        22.5 - 2.5 * np.log10(found), magnitudes + 2.5 * np.log10(arcsec2), atol=0.002
    )


def test_other_surveys_filters(grid):
    bands = ["decam2014-g", "panstarrs-r", "lsst2016-y", "hsc2017-i", "Euclid-H", "twomass-Ks"]
    photometry = GridPhotometry.build(grid, bands, 0.05)
    fluxes = photometry.fluxes(
        grid._age_weights(1e9), grid._metallicity_weights(0.02), law=CALZETTI
    )
    assert np.all(fluxes > 0)


def test_responses_end_with_zero():
    for band in UGRIZ:
        wavelength, response = load_response(band)
        assert response[0] == response[-1] == 0.0
        assert np.all(response[1:-1][[0, -1]] > 0)
        assert np.all(np.diff(wavelength) > 0)


# ---- linearity and invariances --------------------------------------------------------------


def test_fluxes_are_linear_in_the_weights(grid):
    rng = np.random.default_rng(3)
    photometry = GridPhotometry.build(grid, UGRIZ, 0.1)
    first, second = rng.uniform(size=(2, 4, 6 * 106))
    keywords = {"law": CALZETTI, "diffuse": 0.7, "escape_fraction": 0.2}
    total = photometry.fluxes_of_weights(first + 3 * second, **keywords)
    parts = [photometry.fluxes_of_weights(w, **keywords) for w in (first, second)]
    np.testing.assert_allclose(total, parts[0] + 3 * parts[1], rtol=1e-12)


def test_one_metallicity_is_a_mixture(grid):
    photometry = GridPhotometry.build(grid, UGRIZ, 0.1)
    ages = grid._age_weights(np.geomspace(1e6, 1e10, 5))
    metals = grid._metallicity_weights(np.array([0.001, 0.004, 0.02, 0.02, 0.05]))
    keywords = {"law": TwoComponent(), "diffuse": np.linspace(0, 1, 5), "birth_clouds": 0.5}
    found = photometry.fluxes(ages, metals, **keywords)
    weights = (metals[:, :, None] * ages[:, None, :]).reshape(5, -1)
    np.testing.assert_allclose(
        found, photometry.fluxes_of_weights(weights, **keywords), rtol=1e-12
    )


def test_a_band_does_not_depend_on_the_others(grid):
    weights, metals = grid._age_weights(5e6), grid._metallicity_weights(0.01)
    keywords = {"law": CALZETTI, "diffuse": 1.0}
    many = GridPhotometry.build(grid, UGRIZ, 0.1).fluxes(weights, metals, **keywords)
    one = GridPhotometry.build(grid, UGRIZ[2:3], 0.1).fluxes(weights, metals, **keywords)
    np.testing.assert_allclose(one[:, 0], many[:, 2], rtol=1e-12)


def test_torch_gives_the_same_from_the_same_tables(grid):
    """What the documentation shows for batches on a GPU."""
    import torch

    photometry = GridPhotometry.build(grid, UGRIZ, 0.1)
    weights = np.random.default_rng(5).dirichlet(np.ones(6 * 106), 7)
    diffuse = np.linspace(0.0, 1.5, 7)
    expected = photometry.fluxes_of_weights(weights, law=CALZETTI, diffuse=diffuse)
    total = 0.0
    for table, wavelength, group in (
        (photometry.stars, photometry.wavelength[0], 0),
        (photometry.gas, photometry.wavelength[1], 2),
    ):
        curve = torch.from_numpy(CALZETTI.curves(wavelength)[0, group])
        light = torch.from_numpy(weights) @ torch.from_numpy(table.reshape(6 * 106, -1))
        passed = 10 ** (-0.4 * torch.from_numpy(diffuse)[:, None] * curve)
        total = total + light * passed
    band = torch.from_numpy(photometry.band_of_slice)
    fluxes = torch.zeros(7, 5, dtype=torch.float64).index_add_(1, band, total)
    np.testing.assert_allclose(fluxes.numpy(), expected, rtol=1e-12)


# ---- dust and gas ---------------------------------------------------------------------------


@pytest.mark.parametrize("redshift", [0.0, 0.5])
@pytest.mark.parametrize("law", [CALZETTI, TwoComponent(birth_cloud_slope=-1.3)])
def test_dust_in_slices_is_dust_on_the_spectrum(grid, law, redshift):
    dimmed = 10 ** (-0.4 * np.einsum("p,pgw->gw", [2.0, 1.0], law.curves(grid.wavelength)))
    young = grid.ages < law.birth_cloud_age
    light = grid.luminosity * np.where(young[:, None], dimmed[1], dimmed[0])
    dusty = SSPGrid(grid.ages, grid.metallicities, grid.wavelength, light)
    weights = np.eye(6 * 106)
    expected = GridPhotometry.build(dusty, UGRIZ, redshift, nebular=False).fluxes_of_weights(
        weights, law=law
    )
    found = GridPhotometry.build(grid, UGRIZ, redshift, nebular=False).fluxes_of_weights(
        weights, law=law, diffuse=2.0, birth_clouds=1.0
    )
    assert np.abs(2.5 * np.log10(found / expected)).max() < 0.002


@pytest.mark.parametrize("redshift", [0.0, 0.1, 0.7])
@pytest.mark.parametrize("law", [CALZETTI, TwoComponent(birth_cloud_slope=-1.3)])
def test_few_numbers_for_a_band_stand_for_its_slices(grid, law, redshift):
    """Mixtures of old stars and young ones with gas, up to 3 mag of dust."""
    bands = (*UGRIZ, "Euclid-VIS", "galex-nuv")[: 7 if redshift < 0.5 else 6]
    photometry = GridPhotometry.build(grid, bands, redshift)
    rng = np.random.default_rng(6)
    weights = rng.dirichlet(np.full(106, 0.05), 60)
    metals = grid._metallicity_weights(rng.uniform(0.001, 0.05, 60))
    dust = {"diffuse": rng.uniform(0, 3, 60), "birth_clouds": rng.uniform(0, 6, 60)}
    expected = photometry.fluxes(weights, metals, law=law, **dust)
    condensed = photometry.behind(law)
    assert all(len(group.band) < len(photometry.band_of_slice) / 3 for group in condensed.groups)
    found = condensed.fluxes(weights, metals, **dust)
    assert np.abs(2.5 * np.log10(found / expected)).max() < 0.003


def test_birth_clouds_dim_only_the_young(grid):
    photometry = GridPhotometry.build(grid, UGRIZ, 0.0, nebular=False)
    metals = np.repeat(grid._metallicity_weights(0.02), 2, axis=0)
    ages = grid._age_weights(np.array([5e6, 1e8]))
    clear = photometry.fluxes(ages, metals, law=TwoComponent())
    cloudy = photometry.fluxes(ages, metals, law=TwoComponent(), birth_clouds=1.0)
    assert np.all(cloudy[0] < 0.7 * clear[0])
    np.testing.assert_array_equal(cloudy[1], clear[1])


def test_gas_goes_with_the_photons_that_escape(grid):
    with_gas = GridPhotometry.build(grid, UGRIZ, 0.0)
    without = GridPhotometry.build(grid, UGRIZ, 0.0, nebular=False)
    weights, metals = grid._age_weights(2e6), grid._metallicity_weights(0.004)

    def fluxes(photometry, escape):
        return photometry.fluxes(weights, metals, law=CALZETTI, escape_fraction=escape)[0]

    stars, everything = fluxes(without, 0.0), fluxes(with_gas, 0.0)
    # At 1-5 Myr gas adds about a magnitude.
    added = 2.5 * np.log10(everything / stars)
    assert np.all((added > 0.5) & (added < 3.0))
    np.testing.assert_allclose(fluxes(with_gas, 1.0), stars, rtol=1e-12)
    np.testing.assert_allclose(
        fluxes(with_gas, 0.25), 0.75 * everything + 0.25 * stars, rtol=1e-12
    )


def test_a_line_has_the_flux_of_its_photons():
    """Gas with H alpha alone in r: against the definition of an AB flux by hand."""
    wavelength = np.linspace(1500.0, 30_000.0, 2851)
    grid = thin_grid(lambda w: 1e-30 * np.ones_like(w), wavelength, photon_rate=[[1e46]])
    photometry = GridPhotometry.build(grid, ["sdss2010-i"], 0.1)
    found = photometry.gas.sum()
    nodes, response = load_response("sdss2010-i")
    fine = np.linspace(nodes[0], nodes[-1], 200_001)
    seen = np.interp(fine, nodes, response)
    reference = SPEED_OF_LIGHT * np.sum(seen / fine) * (fine[1] - fine[0])
    from picasssso.sps.nebular import LINES, line_ratios

    # The sum over all lines in the band, H alpha and [N II] foremost.
    at = LINES * 1.1
    luminosity = line_ratios(0.02)[0] * 1e46 * 4.76e-13 / 3.828e33
    expected = np.sum(luminosity * np.interp(at, nodes, response, left=0, right=0) * at)
    expected *= SOLAR_SURFACE_BRIGHTNESS / 1.1**4 / reference
    assert found == pytest.approx(expected, rel=1e-6)


# ---- refusals -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bands", "redshift", "message"),
    [
        ([], 0.0, "at least one"),
        (["sdss2010-g", "sdss2010-g"], 0.0, "each once"),
        (["sdss2010-y"], 0.0, "no filter 'sdss2010-y'"),
        (["g"], 0.0, "no filter 'g'"),
        (["sdss2010-g"], np.nan, "above -1"),
        (["sdss2010-g"], -1.0, "above -1"),
    ],
)
def test_bad_bands_and_redshifts_are_refused(grid, bands, redshift, message):
    with pytest.raises(InvalidInputError, match=message):
        GridPhotometry.build(grid, bands, redshift)


def test_bands_beyond_the_grid_are_refused():
    grid = thin_grid(np.ones_like, np.linspace(3500.0, 9000.0, 500))
    with pytest.raises(InvalidInputError, match=r"sdss2010-u covers .* reaches from 3500"):
        GridPhotometry.build(grid, ["sdss2010-u"], 0.0)
    with pytest.raises(InvalidInputError, match="sdss2010-r covers"):
        GridPhotometry.build(grid, ["sdss2010-r"], 1.0)


def test_intergalactic_absorption_is_warned_of(grid):
    with pytest.warns(PicassssoWarning, match="Lyman alpha"):
        GridPhotometry.build(grid, ["sdss2010-u"], 2.0)
