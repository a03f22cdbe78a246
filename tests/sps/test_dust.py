"""Attenuation laws."""

import numpy as np
import pytest

from picasssso.exceptions import InvalidInputError
from picasssso.sps import Calzetti, TwoComponent
from picasssso.sps.dust import AttenuationLaw, get_law, law_from_dict

WAVELENGTH = np.array([1300.0, 2000.0, 3600.0, 5500.0, 9000.0, 16000.0, 21000.0])


def calzetti_2000(wavelength):
    """Equation 4 of Calzetti et al. 2000, written down afresh, per magnitude at V."""
    um = wavelength / 1e4
    blue = 2.659 * (-2.156 + 1.509 / um - 0.198 / um**2 + 0.011 / um**3) + 4.05
    red = 2.659 * (-1.857 + 1.040 / um) + 4.05
    return np.where(um < 0.63, blue, red) / 4.05


def test_calzetti_is_the_published_curve():
    old, young, _ = Calzetti().curves(WAVELENGTH)[0]
    np.testing.assert_allclose(old, calzetti_2000(WAVELENGTH), rtol=1e-4)
    np.testing.assert_array_equal(old, young)


def test_calzetti_gas_is_redder_by_the_published_factor():
    """E(B-V) of stars is 0.44 of the gas', and the gas has the Milky Way's law."""
    blue, visual = 4400.0, 5500.0
    gas = Calzetti().curves(np.array([blue, visual]))[0, 2]
    color_excess = 1.0 / 4.05 / 0.44
    assert gas[1] == pytest.approx(3.1 * color_excess, rel=0.01)
    assert gas[0] - gas[1] == pytest.approx(color_excess, rel=0.05)


def test_calzetti_has_no_birth_clouds():
    assert not np.any(Calzetti().curves(WAVELENGTH)[1])
    assert not Calzetti.has_birth_clouds


@pytest.mark.parametrize("law", [Calzetti(), TwoComponent()])
def test_laws_are_finite_and_never_brighten(law):
    wavelength = np.geomspace(50.0, 2e6, 300)
    wavelength.flags.writeable = False
    curves = law.curves(wavelength)
    assert curves.shape == (2, 3, 300)
    assert np.all(np.isfinite(curves))
    assert np.all(curves >= 0)


def test_two_components_are_power_laws():
    law = TwoComponent(slope=-0.7, birth_cloud_slope=-1.3)
    diffuse, clouds = law.curves(np.array([5500.0, 11000.0]))
    np.testing.assert_allclose(diffuse, [[1.0, 2.0**-0.7]] * 3)
    np.testing.assert_allclose(clouds[1:], [[1.0, 2.0**-1.3]] * 2)
    assert not np.any(clouds[0])


@pytest.mark.parametrize("law", [Calzetti(r_v=3.8), TwoComponent(birth_cloud_slope=-1.3)])
def test_laws_go_through_dictionaries(law):
    assert law_from_dict(law.to_dict()) == law


def test_a_law_is_found_by_name_or_taken_as_it_is():
    assert isinstance(get_law("two_component"), TwoComponent)
    law = TwoComponent(slope=-1.0)
    assert get_law(law) is law


@pytest.mark.parametrize("bad", ["smc", None, Calzetti])
def test_unknown_laws_are_refused(bad):
    with pytest.raises(InvalidInputError, match="calzetti, two_component"):
        get_law(bad)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Calzetti(r_v=0.0),
        lambda: Calzetti(stars_to_gas=-1.0),
        lambda: TwoComponent(slope=0.5),
        lambda: TwoComponent(birth_cloud_age=0.0),
    ],
)
def test_nonsense_parameters_are_refused(make):
    with pytest.raises(InvalidInputError):
        make()


def test_a_law_of_ones_own(tmp_path):
    from picasssso.sps import ModelLibrary

    class Gray(AttenuationLaw):
        name = "gray"

        def curves(self, wavelength):
            return np.stack([np.ones((3, len(wavelength))), np.zeros((3, len(wavelength)))])

        def to_dict(self):
            return {"name": self.name}

    library = ModelLibrary.build(["sdss2010-r"], 0.0, n_models=20, attenuation_law=Gray())
    np.testing.assert_allclose(
        library.properties["attenuation_v"], library.parameters["attenuation"], atol=1e-6
    )
