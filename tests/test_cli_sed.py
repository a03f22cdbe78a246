"""``picasssso sed``: what it writes, what it says, and what it refuses."""

import numpy as np
import pytest
from astropy.table import QTable
from click.testing import CliRunner
from photutils.aperture import CircularAperture

from picasssso import SEDFitEstimator
from picasssso.cli import cli
from picasssso.testing import make_galaxy

MODELS = ("--option", "n_models=3000", "--option", "device=cpu")


@pytest.fixture(scope="module")
def galaxy():
    return make_galaxy((21, 21))


@pytest.fixture
def run(galaxy, tmp_path, monkeypatch):
    """Run the command in a folder with ``images.fits``."""
    monkeypatch.chdir(tmp_path)
    galaxy.write("images.fits")
    runner = CliRunner()

    def call(*arguments):
        return runner.invoke(cli, ["sed", "images.fits", *MODELS, *arguments])

    return call


def test_an_aperture_beside_its_pixels(run, galaxy, tmp_path):
    result = run("--aperture", "1.2 arcsec", "-o", "sed.png", "--table", "sed.ecsv")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "sed.png").stat().st_size > 10_000
    table = QTable.read("sed.ecsv")
    radius = float(1.2 / galaxy.pixel_scale.value)
    assert list(table["band"]) == list(galaxy.bands)
    estimator = SEDFitEstimator(n_models=3000, device="cpu")
    center = np.unravel_index(np.argmax(galaxy.to_arrays()[0][2]), galaxy.shape)[::-1]
    near = estimator.fit_sed(galaxy, CircularAperture(center, radius)).fluxes
    np.testing.assert_allclose(table["flux"].value, near["flux"].value, rtol=0.1)
    assert "error floor 3 % of the flux" in result.output
    assert "median and 68 % range of the posterior:" in result.output
    assert "Means, with errors" in result.output
    assert "inside 1.2 arcsec of the nucleus" in result.output
    for band in galaxy.bands:
        assert band in result.output
    mass = [line for line in result.output.splitlines() if "stellar mass" in line]
    assert len(mass) == 2
    assert "dex)" in mass[1]
    assert "Written: sed.ecsv" in result.output


def test_a_pixel(run, galaxy):
    result = run("--pixel", "10, 8", "-o", "sed.pdf")
    assert result.exit_code == 0, result.output
    sed = SEDFitEstimator(n_models=3000, device="cpu").fit_sed(galaxy, (10, 8))
    assert result.output.startswith(str(sed).splitlines()[0])
    assert str(sed).splitlines()[-1] in result.output
    assert "Summed light" not in result.output
    again = run("--pixel", "10 8", "-o", "sed.pdf")
    assert again.exit_code == 1
    assert "--overwrite" in again.output
    assert run("--pixel", "10 8", "-o", "sed.pdf", "--overwrite", "-q").output == ""


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--pixel", "ten", "-o", "sed.png"), 2, "two numbers"),
        (("--pixel", "10 8", "--aperture", "1 arcsec", "-o", "sed.png"), 2, "--pixel, --aperture"),
        (("--aperture", "1 kg", "-o", "sed.png"), 2, "--aperture"),
        (("-o", "sed.pong"), 2, "--output"),
        (("-o", "sed.png", "--table", "sed.txt"), 2, "--table"),
        (("--pixel", "99 8", "-o", "sed.png"), 1, "expected one inside the image of 21 x 21"),
        ((), 2, "--output"),
    ],
)
def test_wrong_use(run, arguments, code, words, tmp_path):
    result = run(*arguments)
    assert result.exit_code == code
    assert words in result.output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images.fits"]
