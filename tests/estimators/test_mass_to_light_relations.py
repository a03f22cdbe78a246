"""The table of color-mass-to-light relations."""

from itertools import pairwise

import numpy as np
import pytest

from picasssso.estimators._mass_to_light.relations import COLOR_RANGES, RELATIONS, get_relation
from picasssso.exceptions import InvalidInputError

NAMES = sorted(RELATIONS)


def log_ml(name, color, band, value):
    """log10 M/L as the paper has it, before the conversion to Chabrier."""
    relation = RELATIONS[name]
    converted = relation.log_mass_to_light(tuple(color), band, value)
    return float(converted) - relation.chabrier_offset


# One worked number for each paper, with where the number comes from.
@pytest.mark.parametrize(
    ("name", "color", "band", "value", "expected"),
    [
        # Table 7 through a published worked example: M/L_r at g-r = 0.7 is 10^0.4619
        # before the -0.15 dex that the example then takes off (0.3119).
        ("bell2003", "gr", "r", 0.7, 0.3119 + 0.15),
        # Table B1, g-i with i: a = -0.963, b = 1.032, at g-i = 1.
        ("zibetti2009", "gi", "i", 1.0, 0.069),
        # A table of a later paper (A&A 2026, aa57968-25, table 2), r with g-i, at 0.9.
        ("zibetti2009", "gi", "r", 0.9, -0.977 + 1.157 * 0.9),
        # Equation 8: log M = 1.15 + 0.70 (g-i) - 0.4 M_i; M_sun,i = 4.58.
        ("taylor2011", "gi", "i", 1.0, 1.15 + 0.70 - 0.4 * 4.58),
        # The same later paper's table, disks, r with g-r and g-i at 0.6 and 0.9.
        ("into_portinari2013", "gr", "r", 0.6, -0.663 + 1.530 * 0.6),
        ("into_portinari2013", "gi", "r", 0.9, -0.702 + 1.098 * 0.9),
        # The same later paper's table, r with g-r and g-i.
        ("roediger_courteau2015_bc03", "gr", "r", 0.6, -0.792 + 1.629 * 0.6),
        ("roediger_courteau2015_bc03", "gi", "r", 0.9, -0.861 + 1.110 * 0.9),
        ("roediger_courteau2015_fsps", "gr", "r", 0.6, -0.647 + 1.497 * 0.6),
        ("roediger_courteau2015_fsps", "gi", "r", 0.9, -0.644 + 0.973 * 0.9),
    ],
)
def test_worked_numbers(name, color, band, value, expected):
    tolerance = 0.005 if name == "taylor2011" else 5e-4
    assert log_ml(name, color, band, value) == pytest.approx(expected, abs=tolerance)


def solar_colors(name):
    """The Sun's colors that a table implies, and the differences of slopes."""
    found = {}
    for (blue, red), rows in RELATIONS[name].coefficients.items():
        if blue in rows and red in rows:
            (a_blue, b_blue), (a_red, b_red) = rows[blue], rows[red]
            found[blue, red] = ((a_red - a_blue) / 0.4, b_blue - b_red)
    return found


@pytest.mark.parametrize(
    ("name", "slope_tolerance", "sun_tolerance"),
    [
        ("zibetti2009", 0.006, 0.015),
        ("roediger_courteau2015_bc03", 0.0011, 0.006),
        ("roediger_courteau2015_fsps", 0.0011, 0.006),
    ],
)
def test_coefficients_are_consistent(name, slope_tolerance, sun_tolerance):
    """L_y / L_x is the color x - y itself, so that the two fits to it must differ by it.

    The slopes differ by 0.4 and the intercepts by 0.4 times the Sun's color: a number
    mistyped in any row of a color's own bands is found.
    """
    sun = RELATIONS[name].solar_magnitudes
    checked = solar_colors(name)
    assert len(checked) >= 5
    for (blue, red), (solar, slope) in checked.items():
        assert slope == pytest.approx(0.4, abs=slope_tolerance), (blue, red)
        assert solar == pytest.approx(sun[blue] - sun[red], abs=sun_tolerance), (blue, red)


def test_bell_is_consistent_on_average():
    """Bell et al. fitted galaxies, not models: the identity holds over the colors only."""
    sun = RELATIONS["bell2003"].solar_magnitudes
    typical = {"gr": 0.6, "gi": 0.9, "gz": 1.1, "ri": 0.3, "rz": 0.55}
    for pair, color in typical.items():
        blue, red = pair
        ratio = log_ml("bell2003", pair, blue, color) - log_ml("bell2003", pair, red, color)
        assert ratio == pytest.approx(0.4 * (color - sun[blue] + sun[red]), abs=0.03), pair


def test_into_portinari_rows_imply_the_colors_of_galaxies():
    # log M/L_r - log M/L_i = 0.4 [(r-i) - (r-i)_sun]
    difference = log_ml("into_portinari2013", "gi", "r", 0.9) - log_ml(
        "into_portinari2013", "gi", "i", 0.9
    )
    assert difference / 0.4 + 0.11 == pytest.approx(0.30, abs=0.03)
    # Where M/L_r is the same from both colors: g-i of galaxies with g-r = 0.6.
    g_minus_i = (log_ml("into_portinari2013", "gr", "r", 0.6) + 0.702) / 1.098
    assert g_minus_i == pytest.approx(0.88, abs=0.04)


@pytest.mark.parametrize("name", NAMES)
def test_every_relation_is_sane(name):
    relation = get_relation(name)
    assert relation.name == name
    assert len(relation.bibcode) == 19
    assert 0.05 <= relation.scatter <= 0.2
    for color in relation.colors:
        assert color in COLOR_RANGES
        assert "ugriz".index(color[0]) < "ugriz".index(color[1])
        for band in relation.luminosity_bands(color):
            assert band in relation.solar_magnitudes
            low, high = COLOR_RANGES[color]
            values = relation.log_mass_to_light(color, band, np.array([low, high]))
            assert values[0] < values[1]
            assert -2.0 < values[0]
            assert values[1] < 2.0


def test_relations_agree_within_their_known_differences():
    """Published comparisons: within 0.35 dex of each other for a normal galaxy."""
    values = []
    for name in NAMES:
        relation = RELATIONS[name]
        ml = float(relation.log_mass_to_light(("g", "i"), "i", 0.9))
        values.append(ml + 0.4 * (relation.solar_magnitudes["i"] - 4.58))
    assert max(values) - min(values) < 0.35
    assert min(values) > -0.2


def initial_mass_functions():
    def chabrier(m):
        low = np.exp(-(np.log10(m / 0.079) ** 2) / (2 * 0.69**2)) / m
        one = np.exp(-(np.log10(1 / 0.079) ** 2) / (2 * 0.69**2))
        return np.where(m < 1, low, one * m**-2.3)

    return chabrier, lambda m: m**-2.35


@pytest.mark.parametrize("turn_off", [0.95, 1.2, 2.0])
def test_diet_salpeter_to_chabrier(turn_off):
    """Mass in stars and remnants for each star at the turn-off, which gives the light."""
    m = np.geomspace(0.1, 100, 20001)
    remnants = np.where(m < 8.5, 0.077 * m + 0.48, np.where(m < 40, 1.4, 0.5 * m))
    left = np.where(m < turn_off, m, np.minimum(remnants, m))
    chabrier, salpeter = (
        np.trapezoid(imf(m) * left, m) / np.interp(turn_off, m, imf(m))
        for imf in initial_mass_functions()
    )
    offset = np.log10(chabrier / (0.7 * salpeter))
    assert RELATIONS["bell2003"].chabrier_offset == pytest.approx(offset, abs=0.02)


def test_unknown_name_lists_those_there_are():
    for bad in ("taylor2012", None, 3):
        with pytest.raises(InvalidInputError, match=r"'bell2003', 'zibetti2009', 'taylor2011'"):
            get_relation(bad)


def test_table_is_ordered_and_read_only():
    assert [a != b for a, b in pairwise(RELATIONS)]
    with pytest.raises(TypeError):
        RELATIONS["mine"] = None
    with pytest.raises(AttributeError):
        RELATIONS["taylor2011"].scatter = 0.0
