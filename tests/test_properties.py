"""The table of properties is complete, consistent and serialisable."""

import astropy.units as u
import pytest

from picasssso.exceptions import InvalidInputError
from picasssso.properties import PROPERTIES, Property, get_property

DESIGN = {
    "stellar_mass": "Msun / kpc2",
    "stellar_metallicity": "",
    "stellar_age": "Gyr",
    "sfr": "Msun / (yr kpc2)",
    "gas_mass": "Msun / kpc2",
    "gas_metallicity": "",
    "hi_mass": "Msun / kpc2",
    "attenuation_v": "mag",
}


def test_units_are_those_of_the_design():
    assert {name: p.unit for name, p in PROPERTIES.items()} == {
        name: u.Unit(unit) for name, unit in DESIGN.items()
    }


@pytest.mark.parametrize("definition", PROPERTIES.values(), ids=PROPERTIES)
def test_each_definition_is_sound(definition):
    if definition.weight is not None:
        assert PROPERTIES[definition.weight].is_surface_density
    if definition.is_surface_density:
        assert definition.total_unit.is_equivalent(definition.unit * u.m**2)
    assert definition.label
    assert definition.definition
    again = Property(**vars(definition) | {"unit": f"{definition.unit:vounit}"})
    assert again == definition
    assert again.unit == definition.unit


def test_totals_of_densities_lose_the_area():
    assert get_property("sfr").total_unit.is_equivalent(u.Msun / u.yr)
    assert get_property("stellar_age").total_unit == u.Gyr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("Dust Mass", u.Msun / u.kpc**2, "surface_density", None, "", ""), "lower-case"),
        (("dust_mass", u.Msun / u.kpc**2, "density", None, "", ""), "expected one of"),
    ],
)
def test_bad_definitions_are_refused(arguments, message):
    with pytest.raises(InvalidInputError, match=message):
        Property(*arguments)


def test_unknown_property_lists_the_known():
    with pytest.raises(InvalidInputError, match=r"'mass'.*stellar_mass, stellar_metallicity"):
        get_property("mass")
