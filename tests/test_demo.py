"""The example galaxy, its truth, and the demo that paints the one and shows the other."""

import subprocess
import sys
from dataclasses import replace

import astropy.units as u
import numpy as np
import pytest
from click.testing import CliRunner

from picasssso.cli import cli
from picasssso.data import load_example
from picasssso.demo import run_demo, usable_estimators
from picasssso.estimators import get_estimator, list_estimators
from picasssso.exceptions import (
    FileFormatError,
    InvalidInputError,
    MissingDependencyError,
    OutsideTrainingWarning,
    PicassssoWarning,
)
from picasssso.maps import PropertyMaps
from picasssso.maps.arrays import PERCENTILES
from picasssso.mocks import MockGenerator
from picasssso.mocks.observing.surveys import get_survey
from picasssso.properties import PROPERTIES

BANDS = tuple(f"sdss2010-{band}" for band in "ugriz")
#: Estimators that take no more than a few seconds for the whole galaxy.
QUICK = ["mass_to_light"]


@pytest.fixture(scope="module")
def example():
    return load_example()


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    return run_demo(tmp_path_factory.mktemp("demo"), QUICK, progress=False)


# ---- the example galaxy -------------------------------------------------------------


def test_example_is_small_enough_to_ship():
    from importlib.resources import files

    sizes = [
        (files("picasssso.data") / name).stat().st_size
        for name in ("example_galaxy.fits.gz", "example_truth.fits.gz")
    ]
    assert sum(sizes) < 2e6


def test_example_images(example):
    images, _ = example
    assert images.bands == BANDS
    assert images.redshift == 0.03
    assert images.missing_uncertainty == ()
    assert images.pixel_scale.to_value(u.arcsec) == pytest.approx(0.396, rel=1e-6)
    assert [images.psf_fwhm(band).to_value(u.arcsec) for band in BANDS] == pytest.approx(
        get_survey("sdss").psf_fwhm
    )
    assert images.galactic_extinction.applied


def test_example_is_not_aligned_with_the_pixel_grid(example):
    images, truth = example
    # North is between the axes.
    matrix = images.wcs.pixel_scale_matrix * 3600
    assert np.all(np.abs(matrix) > 0.1)
    # So are the galaxy's axes, by the second moments of its mass.
    mass = truth["stellar_mass"].data.astype(float)
    y, x = np.indices(mass.shape)
    x = x - np.average(x, weights=mass)
    y = y - np.average(y, weights=mass)
    xx, yy, xy = (np.average(moment, weights=mass) for moment in (x * x, y * y, x * y))
    angle = np.degrees(0.5 * np.arctan2(2 * xy, xx - yy)) % 90
    assert 15 < angle < 75
    assert xx * yy - xy**2 < 0.99 * xx * yy  # and it has axes


def test_example_noise_is_what_its_uncertainty_says(example):
    images, _ = example
    flux, inverse_variance = images.to_arrays()
    corner = np.s_[:, :14, -14:]  # where the galaxy hardly shines
    for plane, weight in zip(flux[corner], inverse_variance[corner], strict=True):
        pulls = (plane - np.median(plane)) * np.sqrt(weight)
        # 196 pixels: the standard deviation is known to 5 %.
        assert np.std(pulls) == pytest.approx(1.0, abs=0.2)


def test_example_depth_is_that_of_sdss(example):
    # 5 sigma for a point source, from the noise and a Moffat PSF of the stated width.
    images, _ = example
    for band, depth in zip(BANDS, (22.15, 23.13, 22.70, 22.20, 20.71), strict=True):
        fwhm = (images.psf_fwhm(band) / images.pixel_scale).to_value(u.dimensionless_unscaled)
        index = 3.0
        width = fwhm / (2 * np.sqrt(2 ** (1 / index) - 1))
        pixels = np.pi * width**2 * (2 * index - 1) / (index - 1) ** 2
        sigma = np.percentile(images[band].uncertainty.array, 1)
        limit = 22.5 - 2.5 * np.log10(5 * sigma * np.sqrt(pixels))
        assert limit == pytest.approx(depth, abs=0.1)


def test_truth_is_a_spiral_galaxy(example):
    images, truth = example
    assert truth.shape == images.shape
    assert set(truth) == set(PROPERTIES)
    mass = truth.total("stellar_mass", correlation="independent").value.to_value(u.Msun)
    sfr = truth.total("sfr", correlation="independent").value.to_value(u.Msun / u.yr)
    assert 2e10 < mass < 1e11
    assert 1 < sfr < 10
    assert not any(mask.any() for mask in truth.masks.values())
    # Old and metal rich inside, young and metal poor outside.
    center, edge = (65, 63), (65, 3)
    for name in ("stellar_age", "stellar_metallicity"):
        assert truth[name].data[center] > 1.15 * truth[name].data[edge]
    assert np.all(truth["attenuation_v"].data >= 0)
    assert truth["attenuation_v"].data.max() > 0.8


def test_every_percentile_of_the_truth_is_the_truth(example):
    _, truth = example
    for name in truth:
        for q in PERCENTILES:
            np.testing.assert_array_equal(truth.percentile(name, q).value, truth[name].data)
    np.testing.assert_array_equal(truth.mean("stellar_mass").value, truth["stellar_mass"].data)


def test_truth_says_what_it_is(example):
    _, truth = example
    assert "at the resolution of the u image" in truth.meta["truth"]
    images = load_example()[0]
    widest = images.psf_fwhm(BANDS[0]).to_value(u.arcsec)
    assert truth.meta["resolution_fwhm_arcsec"] == pytest.approx(widest)
    for name in ("seed", "number"):
        assert truth.meta[name] == images.meta[name]


@pytest.mark.newest
def test_example_is_what_the_mocks_make_today_but_for_its_dust(example):
    # As its command does: the numbers of its galaxy, painted and observed again. Its dust is that
    # of the recipe before dust fell less with radius than gas and metals.
    images, truth = example
    survey = replace(get_survey("sdss"), seeing_scatter=0.0, depth_scatter=0.0)
    generator = MockGenerator(
        truth.meta["seed"],
        survey=survey,
        n_pixels=128,
        margin=16,
        redshift=0.03,
        worlds=False,
        observing={"contaminants": 0.0, "background": 0.0, "bad_pixels": 0.0},
        device="cpu",
    )
    galaxy = generator.draw([truth.meta["number"]])
    flux, _ = images.to_arrays()
    ratio = galaxy.flux[0].numpy().sum((1, 2)) / flux.sum((1, 2))
    np.testing.assert_allclose(ratio, 1.0, atol=0.25)
    for name, plane in galaxy.truth_at_psf.properties().items():
        if name != "attenuation_v":
            np.testing.assert_allclose(truth[name].data, plane[0].numpy(), rtol=1e-3)


def test_mass_and_light_belong_together(example):
    # The mass-to-light ratio of any mixture of stars lies between those of the youngest
    # and the oldest: 0.1 and 5 solar in i, before dust.
    images, truth = example
    i_flux = images.to_arrays(bands=("sdss2010-i",))[0].sum()
    absolute = 22.5 - 2.5 * np.log10(i_flux) - images.cosmology.distmod(images.redshift).value
    luminosity = 10 ** (-0.4 * (absolute - 4.53))
    mass = truth.total("stellar_mass", correlation="independent").value.to_value(u.Msun)
    assert 0.5 < mass / luminosity < 5


# ---- the demo -----------------------------------------------------------------------


def test_demo_leaves_maps_and_a_picture(result):
    assert list(result.maps) == QUICK
    for name, path in result.files.items():
        assert path.name == f"picasssso_demo_{name}.fits"
        maps = PropertyMaps.read(path)
        assert maps.shape == (128, 128)
        for prop in maps:
            np.testing.assert_array_equal(maps[prop].data, result.maps[name][prop].data)
    assert result.picture.read_bytes().startswith(b"\x89PNG")
    assert len(list(result.picture.parent.iterdir())) == len(result.files) + 1


@pytest.mark.newest
def test_demo_takes_every_estimator_unless_told(monkeypatch, tmp_path, example):
    # On a corner of the galaxy, since some estimators take their time.
    images, truth = example
    part = np.s_[60:66, 60:68]
    monkeypatch.setattr("picasssso.data.load_example", lambda: (images[part], truth[part]))
    with pytest.warns(OutsideTrainingWarning, match="CNNEstimator"):
        # Of a corner the network must say that it is none of its galaxies.
        result = run_demo(tmp_path, progress=False)
    assert list(result.maps) == [name for name, _ in usable_estimators()]
    assert len(list(tmp_path.glob("picasssso_demo_*.fits"))) == len(result.maps)


# A part of a galaxy goes on beyond its frame, which the network says.
@pytest.mark.filterwarnings("ignore::picasssso.exceptions.OutsideTrainingWarning")
@pytest.mark.parametrize("name", list_estimators())
def test_no_estimators_map_equals_the_truth(name, example):
    images, truth = example
    try:
        estimator = get_estimator(name)()
    except MissingDependencyError as error:
        pytest.skip(str(error))
    part = np.s_[50:78, 44:84]  # the bright part, arms included
    known_maps = truth[part]
    maps = estimator.estimate(images[part], progress=False)
    compared = 0
    for prop in set(maps) & set(known_maps):
        found, known = maps[prop].data, known_maps[prop].data
        valid = ~maps.masks[prop]
        assert valid.mean() > 0.5
        # Nobody who has only the images can be right to 0.1 % in many pixels.
        relative = np.abs(found[valid] / known[valid] - 1)
        assert np.mean(relative < 1e-3) < 0.05
        assert not np.allclose(found[valid], known[valid], rtol=0.05)
        compared += 1
    assert compared


def test_mass_is_about_right_all_the_same(result):
    bright = result.truth["stellar_mass"].data > 1e7
    for maps in result.maps.values():
        if "stellar_mass" not in maps:
            continue
        valid = bright & ~maps.masks["stellar_mass"]
        ratio = maps["stellar_mass"].data[valid] / result.truth["stellar_mass"].data[valid]
        assert np.median(ratio) == pytest.approx(1, abs=0.5)


def test_demo_makes_its_folder_where_it_can(tmp_path):
    result = run_demo(tmp_path / "new" / "one", ["mass_to_light"], progress=False)
    assert result.picture.exists()
    (tmp_path / "file").touch()
    with pytest.raises(FileFormatError, match="cannot make"):
        run_demo(tmp_path / "file" / "one", ["mass_to_light"], progress=False)


def test_estimator_that_cannot_be_used_is_left_out_with_a_warning(monkeypatch):
    class Unusable:
        def __init__(self):
            raise MissingDependencyError("needs the extra 'dust'")

    def estimators():
        from picasssso.estimators.mass_to_light import MassToLightEstimator

        yield "mass_to_light", MassToLightEstimator
        yield "unusable", Unusable

    monkeypatch.setattr("picasssso.estimators.registry.iterate_estimators", estimators)
    with pytest.warns(PicassssoWarning, match=r"leaves out .*unusable.*extra 'dust'"):
        found = list(usable_estimators())
    assert [name for name, _ in found] == ["mass_to_light"]


def test_demo_of_an_unknown_estimator(tmp_path):
    with pytest.raises(InvalidInputError, match="guess"):
        run_demo(tmp_path, ["guess"])


def test_demo_command_in_a_process_of_its_own(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "picasssso_demo.png").write_text("of an earlier demo")
    # What the process and its imports need at most, in bytes. On Linux the usual measure,
    # ru_maxrss, begins with what the process that started this one had.
    code = (
        f"import sys; sys.path[:] = {[p for p in sys.path if p]!r}\n"
        "import atexit, pathlib, resource\n"
        "def most():\n"
        "    status = pathlib.Path('/proc/self/status')\n"
        "    if status.exists():\n"
        "        line = [s for s in status.read_text().splitlines() if s.startswith('VmHWM')]\n"
        "        return int(line[0].split()[1]) * 1024\n"
        "    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "atexit.register(lambda: print('peak', most()))\n"
        "from picasssso.cli import main; main()"
    )
    outcome = subprocess.run(
        [sys.executable, "-c", code, "demo", "-e", "mass_to_light"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert outcome.returncode == 0, outcome.stderr
    assert outcome.stderr == ""
    for words in ("stellar mass, total", "truth", "sigma", "Written: picasssso_demo.png"):
        assert words in outcome.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "notes.txt", "picasssso_demo.png", "picasssso_demo_mass_to_light.fits",
    ]  # fmt: skip
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert (tmp_path / "picasssso_demo.png").read_bytes().startswith(b"\x89PNG")
    assert int(outcome.stdout.split()[-1]) < 1e9


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [(["-e", "guess"], 2, "guess"), (["-q", "-o", "file/nowhere"], 1, "nowhere")],
)
def test_demo_command_used_wrongly(arguments, code, word, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    outcome = CliRunner().invoke(cli, ["demo", *arguments])
    assert outcome.exit_code == code
    assert word in outcome.output
    assert "Traceback" not in outcome.output
