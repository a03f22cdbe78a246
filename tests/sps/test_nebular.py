"""Light of ionized gas."""

import numpy as np
import pytest

from picasssso.sps import SSPGrid
from picasssso.sps.nebular import LINES, line_ratios, nebular_lines, oxygen_abundance


def ratio(line, metallicity):
    index = np.argmin(np.abs(LINES - line))
    assert abs(LINES[index] - line) < 1.5
    return line_ratios(metallicity)[:, index]


def test_balmer_decrement():
    assert ratio(6563, 0.01)[0] == pytest.approx(2.863)
    assert ratio(4861, 0.01)[0] == 1.0


def test_oxygen_follows_the_published_calibration():
    """Curti et al. 2020 at 12 + log(O/H) = 8.69 and 8.0, from their coefficients by hand."""
    assert oxygen_abundance(0.0142) == pytest.approx(8.69)
    assert np.log10(ratio(5007, 0.0142)[0]) == pytest.approx(-0.277)
    x = -0.69
    at_8 = 0.0142 * 10**x
    expected = -0.277 - 3.549 * x - 3.593 * x**2 - 0.981 * x**3
    assert np.log10(ratio(5007, at_8)[0]) == pytest.approx(expected, abs=1e-6)
    expected = -0.489 + 1.513 * x - 2.554 * x**2 - 5.293 * x**3 - 2.867 * x**4
    assert np.log10(ratio(6584, at_8)[0] / 2.863) == pytest.approx(expected, abs=1e-6)


def test_doublets_have_their_atomic_ratios():
    metallicity = np.array([4e-4, 8e-3, 0.02])
    np.testing.assert_allclose(ratio(5007, metallicity) / ratio(4959, metallicity), 2.98)
    np.testing.assert_allclose(ratio(6584, metallicity) / ratio(6548, metallicity), 3.05)


def test_metal_lines_vanish_with_the_metals_and_are_constant_beyond_the_calibration():
    poor, poorer = line_ratios([1e-4, 1e-5])
    oxygen = np.isin(LINES, [3727.4, 5006.8, 4958.9])
    np.testing.assert_allclose(poor[oxygen] / poorer[oxygen], 10.0)
    rich, richer = line_ratios([0.03, 0.05])
    np.testing.assert_array_equal(rich, richer)


def test_ratios_are_continuous():
    metallicity = np.geomspace(5e-5, 0.06, 3000)
    steps = np.diff(np.log10(line_ratios(metallicity) + 0.05), axis=0)
    assert np.abs(steps).max() < 0.02


def test_h_alpha_is_kennicutts_for_a_constant_rate():
    """7.9e-42 Msun/yr per erg/s for Salpeter 0.1-100 (Kennicutt 1998), 0.63 of it for Chabrier.

    That is for other spectra of hot stars: PopStar should be within a few tenths.
    """
    from picasssso.sps.histories import AgeBins, StepHistories

    grid = SSPGrid.default()
    weights = StepHistories([0.0, 1e8], [[1.0]]).age_weights(AgeBins(grid.ages))[0]
    solar = grid.metallicities.tolist().index(0.02)
    lines = nebular_lines(grid)[solar]
    h_alpha = (weights @ lines)[np.argmin(np.abs(LINES - 6563))] * 3.828e33  # erg/s, 1 Msun
    # 1 Msun in 1e8 yr is 1e-8 Msun/yr.
    assert h_alpha == pytest.approx(1e-8 / (0.63 * 7.9e-42), rel=0.4)


def test_cloudy_agrees_on_the_strong_lines(shared_sps):
    """Photoionization models at log U = -3 around BC03 stars of 2 Myr, to a factor of two."""
    from astropy.io import fits

    with fits.open(shared_sps / "ssp_bc03miles_kroupa.fits.gz") as hdus:
        wavelength = hdus["NEB_LINE_WAVE"].data
        log_u = hdus["NEB_LOGU"].data.tolist().index(-3.0)
        age = np.argmin(np.abs(hdus["NEB_AGE"].data - 2e6))
        cloudy = hdus["NEB_LINES"].data[:, log_u, age].astype(float)
        metallicities = hdus["Z"].data
    inside = (metallicities > 0.002) & (metallicities < 0.01)

    def strength(*lines):
        return sum(cloudy[inside, np.argmin(np.abs(wavelength - line))] for line in lines)

    for line, members in {
        3727: (3726.03, 3728.81),
        5007: (5006.84,),
        6584: (6583.45,),
        6716: (6716.44,),
        9531: (9530.62,),
    }.items():
        expected = strength(*members) / strength(4861.32)
        found = ratio(line, metallicities[inside])
        assert np.all(np.abs(np.log10(found / expected)) < 0.4), line
