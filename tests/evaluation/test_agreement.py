"""Two estimates of one galaxy, neither of which is the truth."""

import astropy.units as u
import numpy as np
import pytest
from click.testing import CliRunner

from picasssso import PropertyMaps
from picasssso.cli import cli
from picasssso.evaluation import compare_estimates
from picasssso.evaluation.agreement import disagreements
from picasssso.evaluation.report import write_report
from picasssso.exceptions import InvalidInputError, PicassssoWarning
from picasssso.maps.arrays import PropertyArrays
from picasssso.quality import QualityFlag

STEPS = 1 + 0.1 * np.array([-1.959964, -0.994458, 0, 0.994458, 1.959964])[:, None, None]


def make(factor=1.0, name="One", target=None, meta=None, quality=None):
    y, x = np.indices((24, 24)) - 11.5
    mass = factor * 1e9 * np.exp(-np.hypot(x, y) / 4)
    return PropertyMaps(
        {
            "stellar_mass": PropertyArrays(STEPS * mass, mean=mass, shared=0.08 * mass),
            "stellar_age": PropertyArrays(STEPS * 5.0 * np.ones_like(mass)),
        },
        quality=quality,
        pixel_solid_angle=1 * u.arcsec**2,
        redshift=0.02,
        luminosity_distance=90 * u.Mpc,
        target=target,
        meta={"estimator": name, **(meta or {})},
    )


def test_totals_in_units_of_both_errors():
    # A shared error of 8 % in both: 0.4 / (0.08 hypot(1, 1.4)).
    mass, age = compare_estimates(make(1.4), make(1.0))
    assert mass.name == "stellar_mass"
    assert mass.deviation == pytest.approx(0.4 / (0.08 * np.hypot(1, 1.4)), rel=0.01)
    assert mass.dex == pytest.approx(np.log10(1.4))
    assert not mass.disagrees
    assert compare_estimates(make(2.0), make(1.0))[0].disagrees
    # Pixels: 10 % in both, so that 0.4 is 2.3 standard deviations.
    assert mass.pixels_beyond == 0
    assert compare_estimates(make(2.0), make(1.0))[0].pixels_beyond == 1
    assert age.deviation == 0


def test_the_threshold_decides():
    mild = {"cnn": make(1.3), "sed_fit": make(1.0)}
    assert disagreements(mild) == []
    (line,) = disagreements(mild, threshold=2.0)
    assert line.startswith("cnn and sed_fit differ in stellar mass by more than both errors allow")
    with pytest.raises(InvalidInputError, match="threshold=0"):
        compare_estimates(make(), make(), threshold=0)
    with pytest.raises(InvalidInputError):
        compare_estimates(make(), make()[:20, :20])


def test_statistics_are_of_pixels_that_both_detect():
    quality = np.zeros((24, 24), int)
    quality[:10] = int(QualityFlag.UPPER_LIMIT)
    other = np.zeros((24, 24), int)
    other[-4:] = int(QualityFlag.NOT_DETECTED)
    first, second = make(quality=quality), make(1.4, quality=other)
    for found in compare_estimates(first, second):
        assert (found.n_pixels, found.pixels) == (10 * 24, "detected")
    everywhere = compare_estimates(first, second, pixels="all")
    assert [one.n_pixels for one in everywhere] == [24 * 24] * 2
    # Totals are over all pixels in either case.
    assert everywhere[0].first.value == compare_estimates(first, second)[0].first.value
    with pytest.raises(InvalidInputError, match="pixels='sky'"):
        compare_estimates(first, second, pixels="sky")


def test_only_the_target_is_compared():
    target = np.zeros((24, 24), bool)
    target[:, :12] = True
    half = compare_estimates(make(target=target), make())[0]
    whole = compare_estimates(make(), make())[0]
    assert float(half.first.value / whole.first.value) == pytest.approx(0.5)


def test_command_and_page(tmp_path):
    make(3.0, "CNNEstimator", meta={"outside_training": ["texture"]}).write(tmp_path / "a.fits")
    make(1.0, "SEDFitEstimator").write(tmp_path / "b.fits")
    files = [str(tmp_path / name) for name in ("a.fits", "b.fits")]
    result = CliRunner().invoke(cli, ["compare", *files])
    assert result.exit_code == 0, result.output
    assert "CNNEstimator against SEDFitEstimator:" in result.output
    assert "576 pixels (detected in both): bias" in result.output
    assert "differ in stellar mass by more than both errors allow" in result.output
    assert "stellar age" not in result.output.split("Warning")[1]
    quiet = CliRunner().invoke(cli, ["compare", "-q", files[0], files[0]])
    assert quiet.output == ""
    assert CliRunner().invoke(cli, ["compare", files[0]]).exit_code == 2
    page = tmp_path / "page.html"
    one, other = (PropertyMaps.read(path) for path in files)
    write_report(one, page, other=other)
    text = page.read_text()
    assert "differ in stellar mass by more than both errors allow" in text
    assert "Texture of the image is unlike" in text
    write_report(other, page, other=other, overwrite=True)
    assert "by more than both errors allow" not in page.read_text()


def test_other_distances_are_told():
    far = make()
    far = PropertyMaps(
        {name: far._planes(name) for name in far}, quality=None,
        pixel_solid_angle=1 * u.arcsec**2, redshift=0.04, luminosity_distance=180 * u.Mpc,
    )  # fmt: skip
    with pytest.warns(PicassssoWarning, match=r"redshift is 0\.02 in the first and 0\.04"):
        found = compare_estimates(make(), far)
    assert "masses and rates differ by that alone" in found.notes[0]


def test_maps_of_another_place_are_refused():
    from astropy.wcs import WCS

    def at(ra):
        wcs = WCS(naxis=2)
        wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
        wcs.wcs.crval, wcs.wcs.crpix = [ra, 2.0], [12.5, 12.5]
        wcs.wcs.cdelt = [-1 / 3600, 1 / 3600]
        maps = make()
        planes = {name: maps._planes(name) for name in maps}
        return PropertyMaps(planes, quality=None, wcs=wcs, redshift=0.02)

    with pytest.raises(InvalidInputError, match=r"first around 150\.0000 2\.0000, .* 0\.999 deg"):
        compare_estimates(at(150.0), at(151.0))
