"""Template errors: the curves, the grids they correct, files, and what is packaged."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from picasssso.exceptions import FileFormatError, InvalidInputError
from picasssso.sps import SSPGrid, TemplateError
from picasssso.sps.dust import Calzetti
from picasssso.sps.photometry import GridPhotometry
from picasssso.sps.template_error import write_template_errors

UGRIZ = [f"sdss2010-{band}" for band in "ugriz"]
#: Where the photometry of the NASA-Sloan Atlas lies at rest at its median redshift.
REDSHIFT = 0.032


@pytest.fixture(scope="module")
def raw():
    return SSPGrid.from_popstar()


@pytest.fixture
def curve():
    return TemplateError(
        grid="PopStar",
        name="test",
        wavelength=(3500.0, 5000.0, 7000.0, 9000.0),
        correction=(-0.2, -0.1, 0.0, 0.1),
        error=(0.08, 0.04, 0.01, 0.05),
        ages=(5e8, 2e9),
        source="a test",
    )


def magnitudes(grid, age, redshift=0.0):
    photometry = GridPhotometry.build(grid, UGRIZ, redshift, nebular=False)
    fluxes = photometry.fluxes(
        grid._age_weights(age), grid._metallicity_weights(0.02), law=Calzetti()
    )
    return -2.5 * np.log10(fluxes[0])


# ---- curves ---------------------------------------------------------------------------------


def test_curves_pass_through_their_nodes_and_are_constant_beyond(curve):
    np.testing.assert_allclose(curve.correction_at(curve.wavelength), curve.correction)
    np.testing.assert_allclose(curve.error_at(curve.wavelength), curve.error)
    np.testing.assert_allclose(curve.correction_at([100.0, 1e6]), [-0.2, 0.1])
    fine = curve.correction_at(np.geomspace(3500, 9000, 500))
    assert np.all(np.diff(fine) > 0)
    assert np.all(curve.error_at(np.geomspace(3500, 9000, 500)) >= 0.01)
    assert curve.error_at(np.full((2, 3), 6000.0)).shape == (2, 3)


def test_young_stars_are_not_corrected(curve):
    np.testing.assert_allclose(
        curve._fraction_corrected([0.0, 1e6, 5e8, 1e9, 2e9, 1.3e10]), [0, 0, 0, 0.5, 1, 1]
    )


def test_errors_of_bands_lie_at_their_rest_wavelengths(curve):
    found = curve._band_errors(["sdss2010-r", "sdss2010-u"], 0.0)
    # A small error in mag is 0.921 of it in flux; pivot wavelengths 6176 and 3572 AA.
    np.testing.assert_allclose(found, 0.921 * curve.error_at([6176.0, 3572.0]), rtol=0.02)
    shifted = curve._band_errors(["sdss2010-z"], 8933.0 / 7000.0 - 1.0)
    assert shifted == pytest.approx([0.921 * 0.01], rel=0.02)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"wavelength": (3500.0, 3400.0, 7000.0, 9000.0)}, "increase"),
        ({"ages": (2e9, 5e8)}, "increase"),
        ({"error": (0.1, 0.1, 0.1)}, "3 errors"),
        ({"error": (0.1, -0.1, 0.1, 0.1)}, "0 <= error < 1"),
        ({"correction": (0.1, np.nan, 0.1, 0.1)}, "finite"),
        ({"correction": "none"}, "expected numbers"),
    ],
)
def test_curves_that_make_no_sense_are_refused(curve, changes, message):
    with pytest.raises(InvalidInputError, match=message):
        replace(curve, **changes)


# ---- corrected grids ------------------------------------------------------------------------


def test_old_magnitudes_change_by_the_correction(raw, curve):
    changed = magnitudes(raw.corrected(curve), 1e10) - magnitudes(raw, 1e10)
    expected = curve.correction_at([3572.0, 4750.0, 6176.0, 7490.0, 8933.0])
    # A band is wider than a point of the curve.
    np.testing.assert_allclose(changed, expected, atol=0.012)


def test_young_magnitudes_stay(raw, curve):
    other = raw.corrected(curve)
    np.testing.assert_array_equal(magnitudes(other, 1e8), magnitudes(raw, 1e8))
    half = magnitudes(other, 1e9) - magnitudes(raw, 1e9)
    full = magnitudes(other, 5e9) - magnitudes(raw, 5e9)
    np.testing.assert_allclose(half, full / 2, atol=0.01)


def test_only_the_light_of_stars_changes(raw, curve):
    other = raw.corrected(curve)
    for name in ("ages", "metallicities", "wavelength", "nebular_continuum", "surviving_fraction"):
        np.testing.assert_array_equal(getattr(other, name), getattr(raw, name))
    np.testing.assert_array_equal(other.ionizing_photon_rate, raw.ionizing_photon_rate)


def test_a_correction_and_its_opposite_cancel(raw, curve):
    there = raw.corrected(curve)
    opposite = replace(curve, grid=there.name, correction=tuple(-c for c in curve.correction))
    np.testing.assert_allclose(there.corrected(opposite).luminosity, raw.luminosity, rtol=1e-12)


def test_corrected_grids_say_so(raw, curve, tmp_path):
    other = raw.corrected(curve)
    assert other.name == "PopStar+test"
    assert other.hash != raw.hash
    assert other.hash != raw.corrected(replace(curve, correction=(-0.2, -0.1, 0.0, 0.11))).hash
    assert TemplateError._from_dict(json.loads(other.provenance["correction"])) == curve
    other.write(tmp_path / "grid.fits")
    again = SSPGrid.from_file(tmp_path / "grid.fits")
    assert again == other
    assert again.provenance["correction"] == other.provenance["correction"]


def test_a_grid_is_corrected_once_and_by_its_own_correction(raw, curve):
    with pytest.raises(InvalidInputError, match="cannot be corrected again"):
        raw.corrected(curve).corrected(curve)
    with pytest.raises(InvalidInputError, match="cannot be corrected again"):
        SSPGrid.default().corrected()
    with pytest.raises(InvalidInputError, match="belongs to the stellar grid BC03"):
        raw.corrected(replace(curve, grid="BC03"))
    unknown = SSPGrid(raw.ages, [0.02], [1e3, 1e5], np.ones((1, raw.ages.size, 2)), name="mine")
    with pytest.raises(InvalidInputError, match="No correction is packaged"):
        unknown.corrected()


# ---- what is packaged -----------------------------------------------------------------------


@pytest.mark.parametrize("grid", ["PopStar", "BC03-MILES"])
def test_packaged_corrections_leave_the_mass_scale_alone(grid):
    curve = TemplateError.for_grid(grid)
    assert curve.grid == grid
    assert "NASA-Sloan" in curve.source
    r_and_i = curve.correction_at([6000.0, 7290.0])
    assert r_and_i.mean() == pytest.approx(0.0, abs=1e-3)
    assert np.abs(curve.correction).max() < 0.1
    assert TemplateError.for_grid(f"{grid}+{curve.name}") == curve


@pytest.mark.parametrize("grid", ["PopStar", "BC03-MILES"])
def test_packaged_curves_are_those_that_were_measured(grid):
    path = Path(__file__).parents[2] / "benchmarks" / "results" / "stellar_grids.json"
    measured = json.loads(path.read_text(encoding="utf-8"))["curves"][grid]
    curve = TemplateError.for_grid(grid)
    for name in ("correction", "error"):
        found = list(measured[name].values())
        np.testing.assert_allclose(getattr(curve, name), found, atol=1e-4)


def test_the_default_grid_is_bluer_where_popstar_was_too_red(raw):
    changed = magnitudes(SSPGrid.default(), 9e9, REDSHIFT) - magnitudes(raw, 9e9, REDSHIFT)
    g_r, i_z = changed[1] - changed[2], changed[3] - changed[4]
    assert -0.09 < g_r < -0.02
    assert -0.08 < i_z < -0.02


def test_grids_that_were_not_judged_get_errors_but_no_correction():
    other, popstar = TemplateError.for_grid("my grid"), TemplateError.for_grid("PopStar")
    assert other.error == popstar.error
    assert not any(other.correction)
    assert "not judged" in other.source


# ---- files ----------------------------------------------------------------------------------


def test_files_keep_everything(curve, tmp_path):
    path = tmp_path / "curve.json"
    curve.write(path)
    assert TemplateError.read(path) == curve
    with pytest.raises(FileFormatError, match="exists"):
        curve.write(path)
    curve.write(path, overwrite=True)
    write_template_errors([curve, replace(curve, grid="B")], path, overwrite=True)
    with pytest.raises(FileFormatError, match="PopStar, B: expected one"):
        TemplateError.read(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("no json", "is not a template error"),
        ('{"format": 1}', "is not a template error"),
        ('{"format": 2, "curves": []}', "in format 2"),
        ('{"format": 1, "curves": [{"grid": "x"}]}', "lacks"),
        ('{"format": 1, "curves": []}', "no grid"),
    ],
)
def test_bad_files_are_refused(tmp_path, content, message):
    path = tmp_path / "curve.json"
    path.write_text(content)
    with pytest.raises(FileFormatError, match=message):
        TemplateError.read(path)
    with pytest.raises(FileFormatError, match="cannot be read"):
        TemplateError.read(tmp_path / "none.json")
