"""A map against itself, shifted, blurred, scaled, on other pixels: the right numbers."""

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import QTable
from astropy.wcs import WCS
from click.testing import CliRunner
from scipy.ndimage import gaussian_filter

from picasssso import PropertyMaps
from picasssso.cli import cli
from picasssso.evaluation import compare_estimates
from picasssso.exceptions import FileFormatError, InvalidInputError
from picasssso.maps.arrays import PropertyArrays
from picasssso.properties import PROPERTIES, Property

SIDE = 64
STEPS = 1 + 0.05 * np.array([-1.959964, -0.994458, 0, 0.994458, 1.959964])[:, None, None]


def make_wcs(x=31.5, y=31.5, pixel=0.5):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = "RA---TAN", "DEC--TAN"
    wcs.wcs.crval = 150.0, 2.0
    wcs.wcs.crpix = x + 1, y + 1
    wcs.wcs.cdelt = -pixel / 3600, pixel / 3600
    return wcs


def planes(x=31.5, y=31.5, scale=7.0, blur=0.0):
    """Mass and age of a round galaxy, on pixels of 1 / 7 of its scale length."""
    rows, columns = np.indices((SIDE, SIDE))
    radius = np.hypot(columns - x, rows - y)
    mass = 1e9 * np.exp(-radius / scale)
    age = 8.0 - 0.1 * radius
    if blur:
        heavy = gaussian_filter(mass * age, blur, truncate=5)
        mass = gaussian_filter(mass, blur, truncate=5)
        age = heavy / mass
    return mass, age


def make(mass, age, fwhm=1.0, wcs=None, factor=1.0, definitions=None):
    return PropertyMaps(
        {
            "stellar_mass": PropertyArrays(STEPS * mass * factor, mean=mass * factor),
            "stellar_age": PropertyArrays(STEPS * age),
        },
        quality=None,
        wcs=make_wcs() if wcs is None else wcs,
        redshift=0.02,
        luminosity_distance=90 * u.Mpc,
        definitions=definitions,
        meta={} if fwhm is None else {"resolution_fwhm_arcsec": fwhm},
    )


@pytest.fixture(scope="module")
def maps():
    return make(*planes())


def test_itself(maps):
    found = compare_estimates(maps, maps)
    assert found.notes == ()
    assert [one.name for one in found] == ["stellar_mass", "stellar_age"]
    for one in found:
        assert (one.bias, one.scatter, one.deviation, one.pixels_beyond) == (0, 0, 0, 0)
        assert (one.coverage_68, one.coverage_95) == (1, 1)
        assert one.n_pixels == SIDE**2
        np.testing.assert_array_equal(found.residual(one.name).value, 0)
        np.testing.assert_array_equal(found.profile(one.name)["difference"].value, 0)


def test_twice_as_much(maps):
    mass, age = found = compare_estimates(make(*planes(), factor=2.0), maps)
    assert mass.bias == pytest.approx(np.log10(2))
    assert mass.scatter == pytest.approx(0, abs=1e-9)
    assert mass.dex == pytest.approx(np.log10(2))
    assert mass.unit == "dex"
    # 5 % in both: a difference of 1 is 8.9 standard deviations.
    assert (mass.coverage_95, mass.pixels_beyond) == (0, 1)
    assert age.bias == 0
    table = found.profile("stellar_mass")
    np.testing.assert_allclose(table["difference"].to_value(u.dex), np.log10(2))
    np.testing.assert_allclose((table["first"] / table["second"]).value, 2)


def test_noise_as_large_as_stated_is_covered(maps):
    rng = np.random.default_rng(1)
    mass, age = planes()
    noisy = make(mass * (1 + 0.05 * rng.standard_normal(mass.shape)), age)
    one = compare_estimates(noisy, maps)[0]
    # The errors of both, 5 % each, where only one is noisy.
    assert one.scatter == pytest.approx(0.05 / np.log(10), rel=0.05)
    assert one.coverage_68 == pytest.approx(0.843, abs=0.02)
    assert one.coverage_95 == pytest.approx(0.9944, abs=0.005)


def test_a_part_of_itself_on_its_own_pixels(maps):
    found = compare_estimates(maps[5:55, 8:60], maps)
    assert "second brought" in found.notes[0]
    for one in found:
        assert one.n_pixels == 50 * 52
        assert one.bias == pytest.approx(0, abs=1e-5)
        assert one.scatter == pytest.approx(0, abs=1e-5)
        assert one.deviation == pytest.approx(0, abs=1e-3)


def test_shifted_pixels_of_the_same_sky(maps):
    shifted = make(*planes(33.9, 30.2), wcs=make_wcs(33.9, 30.2))
    mass, age = compare_estimates(maps, shifted)
    assert abs(mass.bias) < 0.002
    assert mass.scatter < 0.002
    assert abs(mass.dex) < 0.002
    assert abs(age.bias) < 0.001
    # Two pixels off on the sky: half of the galaxy is brighter, half fainter.
    off = compare_estimates(maps, make(*planes(33.5, 31.5)))[0]
    assert abs(off.bias) < 0.01
    residual = compare_estimates(maps, make(*planes(33.5, 31.5))).residual("stellar_mass").value
    assert residual[31, 5] == pytest.approx(2 / 7 / np.log(10), rel=0.01)
    assert residual[31, 58] == pytest.approx(-2 / 7 / np.log(10), rel=0.01)


def test_blurred_maps_are_compared_at_their_resolution(maps):
    fwhm = 2.5
    sigma = np.sqrt(fwhm**2 - 1) / 2.3548 / 0.5
    blurred = make(*planes(blur=sigma), fwhm=fwhm)
    for pair in ((maps, blurred), (blurred, maps)):
        found = compare_estimates(*pair)
        assert 'blurred from 1" to 2.5"' in found.notes[0]
        inner = np.s_[12:-12, 12:-12]
        for one in found:
            assert abs(one.bias) < 1e-3
            assert one.scatter < 2e-3
            np.testing.assert_allclose(found.residual(one.name).value[inner], 0, atol=1e-4)
    plain = compare_estimates(maps, blurred, match=False)
    assert plain.notes == ()
    assert plain.residual("stellar_mass").value[31, 31] > 0.05


def test_larger_pixels_and_other_units(maps):
    mass, age = planes()
    blocks = [plane.reshape(32, 2, 32, 2).mean((1, 3)) for plane in (mass, mass * age)]
    per_pc2 = Property(
        "stellar_mass", u.Msun / u.pc**2, "surface_density", None, "stellar mass", "as ever"
    )
    wcs = make_wcs(15.5, 15.5, 1.0)
    other = make(blocks[0] * 1e-6, blocks[1] / blocks[0], wcs=wcs,
                 definitions={"stellar_mass": per_pc2})  # fmt: skip
    for pair in ((maps, other), (other, maps)):
        found = compare_estimates(*pair)
        assert found.first.shape == (32, 32)
        assert any("converted" in note for note in found.notes)
        assert any('pixels of 0.5" to those' in note for note in found.notes)
        for one in found:
            assert one.bias == pytest.approx(0, abs=1e-5)
            assert one.scatter == pytest.approx(0, abs=1e-5)
            assert one.dex == pytest.approx(0, abs=1e-4)


def test_errors_of_samples_shrink_when_pixels_are_averaged(maps):
    rng = np.random.default_rng(3)
    mass = np.full((16, 16), 1e8)
    samples = mass * (1 + 0.1 * rng.standard_normal((400, 16, 16)))
    wcs = make_wcs(7.5, 7.5)
    drawn = PropertyArrays.from_samples(samples)
    drawn = PropertyArrays(drawn.percentiles, drawn.mean, samples)
    fine = PropertyMaps({"stellar_mass": drawn}, quality=None, wcs=wcs)
    coarse = PropertyMaps({"stellar_mass": PropertyArrays.from_normal(mass[:8, :8], 1e6)},
                          quality=None, wcs=make_wcs(3.5, 3.5, 1.0))  # fmt: skip
    found = compare_estimates(fine, coarse)
    error = found.first["stellar_mass"].uncertainty.array / 1e8
    assert np.median(error) == pytest.approx(0.05, rel=0.1)
    without = PropertyMaps({"stellar_mass": PropertyArrays.from_normal(mass, 1e7)}, quality=None,
                           wcs=wcs)  # fmt: skip
    error = compare_estimates(without, coarse).first["stellar_mass"].uncertainty.array / 1e8
    assert np.median(error) == pytest.approx(0.1, rel=0.01)


def test_what_cannot_be_matched(maps):
    bare = PropertyMaps({"stellar_mass": PropertyArrays.from_normal(np.ones((5, 5)), 0.1)},
                        quality=None, pixel_solid_angle=1 * u.arcsec**2)  # fmt: skip
    with pytest.raises(InvalidInputError, match="not both have a WCS"):
        compare_estimates(maps, bare)
    wrong = Property("stellar_mass", u.mag, "intensive", None, "stellar mass", "no")
    other = PropertyMaps({"stellar_mass": PropertyArrays(STEPS * planes()[0])}, quality=None,
                         wcs=make_wcs(), definitions={"stellar_mass": wrong})  # fmt: skip
    with pytest.raises(InvalidInputError, match="can be converted"):
        compare_estimates(maps, other)
    assert "unknown" in compare_estimates(maps, make(*planes(), fwhm=None)).notes[0]
    assert PROPERTIES["stellar_mass"].unit == maps.definition("stellar_mass").unit


def test_pixels_of_another_size_without_a_wcs(maps):
    mass = planes()[0]
    bare = {
        side: PropertyMaps({"stellar_mass": PropertyArrays(STEPS * mass, mean=mass)}, quality=None,
                           pixel_solid_angle=side**2 * u.arcsec**2)
        for side in (0.5, 1.0)
    }  # fmt: skip
    with pytest.raises(InvalidInputError, match=r'pixels of 0.5" and 1", and not both have a WCS'):
        compare_estimates(maps, bare[1.0])
    # Of one galaxy, so at one distance.
    found = compare_estimates(maps, bare[0.5])
    assert found[0].bias == 0
    assert found.notes[0] == "no distance in the second: that of the first"
    assert "no distance" in compare_estimates(bare[0.5], bare[0.5]).notes[-1]
    for pair in ((maps, "b.fits"), (3, maps)):
        with pytest.raises(TypeError, match="expected PropertyMaps"):
            compare_estimates(*pair)


def test_command_reads_published_maps(maps, tmp_path):
    from ifu_layouts import write_pipe3d

    maps.write(tmp_path / "a.fits")
    path = tmp_path / "NGC1.Pipe3D.cube.fits"
    write_pipe3d(path, {6: 9.9, 19: 6.0}, shape=(SIDE, SIDE), pixel=0.5)
    with fits.open(path, mode="update") as hdus:
        hdus["SSP"].header.update(make_wcs().to_header())
    words = ["compare", str(path), str(tmp_path / "a.fits")]
    result = CliRunner().invoke(cli, words)
    assert result.exit_code == 0, result.output
    assert "salpeter to chabrier, times 0.610" in result.output
    assert "only in Pipe3D: stellar_age_log" in result.output
    # The redshift and distance are those of the other file: 1e6 Msun per spaxel.
    assert f"{1e6 * 0.61 * SIDE**2:.3e}" in result.output
    again = CliRunner().invoke(cli, [*words, "--approximate", "stellar_age"])
    assert "  stellar age  " in again.output
    assert "taken for the package's stellar_age" in again.output


def test_command_writes_residuals_profiles_and_a_picture(maps, tmp_path):
    maps.write(tmp_path / "a.fits")
    make(*planes(), factor=2.0).write(tmp_path / "b.fits")
    names = [str(tmp_path / name) for name in ("a.fits", "b.fits")]
    outputs = ["-o", str(tmp_path / "r.fits"), "--plot", str(tmp_path / "r.png")]
    result = CliRunner().invoke(cli, ["compare", *names, *outputs])
    assert result.exit_code == 0, result.output
    assert "bias -0.301 dex, scatter 0.000" in result.output
    assert "First line: totals or averages, sums of posterior means" in result.output
    assert "Second line: median over pixels" in result.output
    assert "0 % / 0 % within errors" in result.output
    with fits.open(tmp_path / "r.fits") as hdus:
        image = hdus["STELLAR_MASS"]
        np.testing.assert_allclose(image.data, -np.log10(2), rtol=1e-6)
        assert image.header["BUNIT"] == "dex"
        assert WCS(image.header).wcs.crval == pytest.approx([150, 2])
    table = QTable.read(tmp_path / "r.fits", hdu="STELLAR_MASS_PROFILE")
    np.testing.assert_allclose(table["difference"], -np.log10(2), rtol=1e-6)
    assert (tmp_path / "r.png").read_bytes().startswith(b"\x89PNG")
    assert CliRunner().invoke(cli, ["compare", *names, *outputs]).exit_code != 0
    assert CliRunner().invoke(cli, ["compare", *names, names[0], *outputs]).exit_code == 2
    with pytest.raises(FileFormatError, match="exists"):
        compare_estimates(maps, maps).write(tmp_path / "r.fits")
