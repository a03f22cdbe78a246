"""What is left of a population: mass functions, lifetimes, remnants."""

import itertools

import numpy as np
import pytest
from astropy.io import fits

from picasssso.exceptions import InvalidInputError
from picasssso.sps.initial_mass_function import (
    light_ratio,
    stellar_lifetime,
    surviving_mass_fraction,
    turn_off_mass,
)

METALLICITIES = [1e-4, 4e-4, 4e-3, 8e-3, 0.02, 0.05]


def test_light_ratio_of_a_function_to_itself_is_one():
    assert light_ratio(("kroupa", 0.1, 100.0), ("kroupa", 0.1, 100.0)) == 1.0


def test_light_ratio_counts_mass_alone_where_only_the_lower_end_differs():
    """Chabrier's mass function between two masses, integrated with another rule."""
    from scipy.integrate import quad

    def mass_density(mass):
        width = np.log10(mass / 0.079) / 0.69
        if mass < 1:
            return np.exp(-(width**2) / 2)
        return np.exp(-((np.log10(1 / 0.079) / 0.69) ** 2) / 2) * mass**-1.3

    def mass_from(low):
        pieces = (low, 0.3, 1.0, 10.0, 100.0)
        return sum(quad(mass_density, *ends)[0] for ends in itertools.pairwise(pieces))

    expected = mass_from(0.15) / mass_from(0.1)
    found = light_ratio(("chabrier", 0.1, 100.0), ("chabrier", 0.15, 100.0))
    assert found == pytest.approx(expected, abs=1e-5)


def test_unknown_mass_function_is_refused():
    with pytest.raises(InvalidInputError, match=r"salpeter.*chabrier"):
        light_ratio(("salpeter", 0.1, 100.0), ("chabrier", 0.1, 100.0))


@pytest.mark.parametrize(("mass", "low", "high"), [(1.0, 8e9, 1.2e10), (10.0, 2e7, 3e7)])
def test_lifetimes_are_those_of_known_stars(mass, low, high):
    assert low < stellar_lifetime(mass, 0.02) < high


@pytest.mark.parametrize("metallicity", METALLICITIES)
def test_turn_off_mass_inverts_the_lifetime(metallicity):
    mass = np.array([0.8, 1.0, 3.0, 20.0])
    found = turn_off_mass(stellar_lifetime(mass, metallicity), metallicity)
    np.testing.assert_allclose(found, mass, rtol=1e-4)


def test_nothing_has_died_in_a_newborn_population():
    assert turn_off_mass(0.0, 0.02) == 100.0
    assert surviving_mass_fraction(1e6, 0.02) == 1.0


@pytest.mark.parametrize("metallicity", METALLICITIES)
def test_surviving_fraction_only_falls(metallicity):
    fraction = surviving_mass_fraction(np.geomspace(1e5, 1.5e10, 300), metallicity)
    assert np.all(np.diff(fraction) <= 1e-12)
    assert fraction.max() == 1.0


def test_surviving_fraction_is_as_published_for_chabrier():
    """0.635-0.65 at 1 Gyr, 0.54-0.56 at 10 Gyr, to the tenth part of the decline."""
    at_1, at_10 = np.array([surviving_mass_fraction([1e9, 1e10], z) for z in METALLICITIES[1:]]).T
    assert np.all((at_1 > 0.63) & (at_1 < 0.655))
    assert np.all((at_10 > 0.535) & (at_10 < 0.565))


def test_surviving_fraction_against_padova_isochrones(shared_sps):
    """Living fractions of BC03 (Padova) with the same remnants, for 0.15-100 Msun."""
    with fits.open(shared_sps / "ssp_popstar_chabrier.fits.gz") as hdus:
        ages, metallicities = hdus["AGE"].data, hdus["Z"].data
        expected = hdus["MASS_LIVE"].data + hdus["MASS_REMNANT"].data
    found = np.array(
        [surviving_mass_fraction(ages, z, mass_range=(0.15, 100.0)) for z in metallicities]
    )
    difference = np.abs(found - expected)
    # At Z = 0.05 winds have taken mass from the most massive stars before they die, at 3 Myr.
    winds = (metallicities[:, None] > 0.03) & (ages > 2.5e6) & (ages < 3.1e6)
    assert difference[~winds].max() < 0.02
    assert difference.max() < 0.03
