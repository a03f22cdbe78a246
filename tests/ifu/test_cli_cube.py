"""``picasssso cube``."""

import numpy as np
import pytest
from click.testing import CliRunner
from ifu_layouts import write_manga, write_sami

from picasssso import BandImages
from picasssso.cli import cli


def run(*words):
    return CliRunner().invoke(cli, ["cube", *map(str, words)])


@pytest.fixture
def cube(mock, tmp_path):
    write_manga(tmp_path / "cube.fits", mock.spectra)
    return tmp_path / "cube.fits"


def test_images_without_the_dust_of_the_galaxy(cube, mock, tmp_path):
    out = tmp_path / "bands.fits"
    result = run(cube, "-z", 0.03, "-b", "g,r", "--survey", "sdss", "-o", out)
    assert result.exit_code == 0, result.output
    assert "sdss2010-g                   100.0 % of the filter covered" in result.output
    images = BandImages.read(out)
    assert images.galactic_extinction.applied
    kept = tmp_path / "dusty.fits"
    assert run(cube, "-z", 0.03, "-b", "sdss2010-g", "--keep-dust", "-q", "-o", kept).output == ""
    ratio = images["sdss2010-g"].data / BandImages.read(kept)["sdss2010-g"].data
    # E(B-V) = 0.03 of Schlegel et al.: A_g = 3.303 E(B-V) by Schlafly & Finkbeiner.
    np.testing.assert_allclose(2.5 * np.log10(ratio[3, 3]), 3.303 * 0.03, rtol=0.03)


def test_boxes_and_two_arms(mock, tmp_path):
    blue, red = write_sami(tmp_path, mock.spectra)
    words = ["-b", "cli-red1", "-b", "g,r", "--survey", "sdss", "--partly", "cut",
             "--box", "cli-red1=6300,6860", "-o", tmp_path / "out.fits"]  # fmt: skip
    result = run(red, blue, *words)
    assert result.exit_code == 0, result.output
    bands = BandImages.read(tmp_path / "out.fits").bands
    assert bands == ("cli-red1", "sdss2010-g", "cut_3650_7466-sdss2010_r")


def test_wrong_use(cube, tmp_path):
    out = tmp_path / "out.fits"
    for words, message in (
        (["-b", "r", "-o", out], "no redshift stated"),
        (["-z", 0.03, "-b", "twomass-J", "-o", out], "covers 0 % of the filter"),
        (["-z", 0.03, "-b", "a-b", "--box", "a-b=1", "-o", out], "expected NAME=LOW,HIGH"),
        (["-z", 0.03, "-b", "sdss2010-r", "-o", cube], "already the name of an input"),
    ):
        result = run(cube, *words)
        assert result.exit_code in (1, 2)
        assert any(part in result.output for part in message.split("|")), result.output
    assert not out.exists()
