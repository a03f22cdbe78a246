"""The ``picasssso`` command: what it does, and what it says when it is used wrongly."""

import gzip
import json
import os
import shlex
import signal
import subprocess
import sys
import warnings

import astropy.units as u
import click
import numpy as np
import pytest
from astropy.io import fits
from astropy.nddata import CCDData, StdDevUncertainty
from astropy.wcs import WCS
from click.testing import CliRunner

import picasssso
from picasssso._cli.parsing import parse_parameters, parse_per_band
from picasssso.bands import BandImages
from picasssso.cli import cli
from picasssso.exceptions import PicassssoError
from picasssso.io.keywords import guess_band, plane_kind
from picasssso.maps import PropertyMaps
from picasssso.testing import make_galaxy

SHAPE = (26, 30)
BASE = ("estimate", "-e", "mass_to_light", "-z", "0.03", "-o", "maps.fits")
NO_DUST = ("--galactic-extinction-removed", "0")


def make_wcs(shift=0.0):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [185.0 + shift, 12.0]
    wcs.wcs.crpix = [15.5, 13.5]
    wcs.wcs.cdelt = [-0.396 / 3600, 0.396 / 3600]
    return wcs


def write_band(path, flux, *, unit="nanomaggy", wcs=True, shift=0.0, shape=SHAPE, **keywords):
    """Write a round galaxy as a survey would: SCI, WGT (inverse variance) and DQ."""
    y, x = np.indices(shape)
    data = flux * np.exp(-np.hypot(y - shape[0] / 2, x - shape[1] / 2) / 5)
    header = make_wcs(shift).to_header() if wcs else fits.Header()
    image = fits.PrimaryHDU(data.astype(np.float32), header)
    image.header["EXTNAME"] = "SCI"
    if unit:
        image.header["BUNIT"] = unit
    image.header.update(keywords)
    weight = fits.ImageHDU(np.full(shape, (50 / flux) ** 2, np.float32), header, name="WGT")
    bad = np.zeros(shape, np.uint8)
    bad[3, 4] = 1
    fits.HDUList([image, weight, fits.ImageHDU(bad, header, name="DQ")]).writeto(path)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder to work in, with good images of two bands."""
    monkeypatch.chdir(tmp_path)
    write_band(tmp_path / "g.fits", 1.0, FILTER="g DECam SDSS c0001 4720.0 1520.0")
    write_band(tmp_path / "i.fits", 2.2, FILTER="i DECam SDSS c0003")
    return tmp_path


def runner():
    try:
        return CliRunner(mix_stderr=False)
    except TypeError:  # click 8.2 and later always keep them apart
        return CliRunner()


def run(*arguments):
    return runner().invoke(cli, [str(argument) for argument in arguments], prog_name="picasssso")


def bands(g="g.fits[SCI]", i="i.fits[SCI]", survey="sdss2010"):
    return "-b", f"{survey}-g={g}", "-b", f"{survey}-i={i}"


def assert_fails(result, exit_code, *words):
    """Assert a short error on stderr, no traceback, and the right exit code."""
    assert result.exit_code == exit_code, result.output + result.stderr
    assert "Traceback" not in result.stderr + result.output
    assert "Error:" in result.stderr
    for word in words:
        assert word.lower() in " ".join(result.stderr.split()).lower()
    assert "not an error that picasssso expected" not in result.stderr
    assert len(result.stderr) < 1500


# ---- help, version, list ------------------------------------------------------------


def test_help_lists_commands_with_examples():
    result = run("--help")
    assert result.exit_code == 0
    for command in ("demo", "estimate", "info", "list"):
        assert command in result.output
        page = run(command, "--help")
        assert page.exit_code == 0
        assert "--debug" in page.output
    assert "-b 'decam2014-g=DES_g.fits[SCI]'" in run("estimate", "-h").output


def test_version():
    assert run("--version").output.strip() == f"picasssso, version {picasssso.__version__}"


def test_help_imports_nothing_heavy():
    code = (
        "import sys, json\nfrom picasssso.cli import cli\n"
        "try:\n    cli(['--help'])\nexcept SystemExit:\n    pass\n"
        "print('\\n' + json.dumps([m for m in sys.modules if '.' not in m]))"
    )
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    loaded = json.loads(output.splitlines()[-1])
    heavy = {"torch", "matplotlib", "photutils", "speclite", "scipy", "reproject", "tqdm"}
    assert not heavy & set(loaded)


def test_list_names_every_estimator_and_its_needs():
    result = run("list")
    assert result.exit_code == 0, result.stderr
    for name in picasssso.list_estimators():
        assert name in result.output
    assert "stellar_mass" in result.output
    assert "parameters:" in result.output
    assert run("list", "-q").output.split() == picasssso.list_estimators()


def test_list_shows_why_an_estimator_cannot_be_used(monkeypatch):
    class Choosy:
        """Wants more."""

        @classmethod
        def _parameter_defaults(cls):
            return {"dust": 1.0}

        def __init__(self):
            raise picasssso.exceptions.MissingDependencyError("needs the extra 'dust'")

    monkeypatch.setattr(
        "picasssso.estimators.registry.iterate_estimators", lambda: iter([("choosy", Choosy)])
    )
    output = run("list").output
    for words in ("Wants more.", "not usable:", "needs the extra 'dust'", "dust=1.0"):
        assert words in output


def test_wrong_command_is_wrong_use():
    assert_fails(run("paint"), 2, "no such command", "paint")


# ---- estimate -----------------------------------------------------------------------


def test_estimate_writes_maps_and_a_picture(folder):
    result = run(
        *BASE, *bands(), *NO_DUST, "--weight", "WGT", "--mask", "DQ", "--plot", "maps.png"
    )
    assert result.exit_code == 0, result.stderr
    maps = PropertyMaps.read("maps.fits")
    assert maps.shape == SHAPE
    assert maps.redshift == 0.03
    assert maps.masks["stellar_mass"][3, 4]
    assert maps.masks["stellar_mass"].sum() == 1
    np.testing.assert_allclose(maps.wcs.wcs.crval, [185.0, 12.0])
    total = maps.total("stellar_mass", correlation="independent")
    assert total.value > 0 * u.Msun
    assert (folder / "maps.png").read_bytes().startswith(b"\x89PNG")
    assert "stellar mass, total" in result.output
    assert "Written: maps.fits" in result.output
    assert result.stderr == ""
    assert not list(folder.glob(".*"))


def test_command_equals_python(folder):
    assert run(*BASE, *bands(), *NO_DUST, "--weight", "WGT", "--quiet").exit_code == 0
    images = BandImages.read(
        {"sdss2010-g": "g.fits[SCI]", "sdss2010-i": "i.fits[SCI]"}, redshift=0.03, weight="WGT"
    ).replace(galactic_extinction=picasssso.GalacticExtinction(ebv=0, scale="SF11", applied=True))
    expected = picasssso.get_estimator("mass_to_light")().estimate(images)
    found = PropertyMaps.read("maps.fits")
    for q in (2.5, 50, 97.5):
        np.testing.assert_array_equal(
            found.percentile("stellar_mass", q), expected.percentile("stellar_mass", q)
        )


def test_quiet_says_nothing(folder):
    result = run(*BASE, *bands(), *NO_DUST, "--weight", "WGT", "--quiet")
    assert (result.exit_code, result.output, result.stderr) == (0, "", "")


def test_unknown_galactic_extinction_warns_in_one_line(folder):
    result = run(*BASE, *bands(), "--weight", "WGT")
    assert result.exit_code == 0
    assert result.stderr.startswith("Warning: Galactic extinction is unknown")
    assert result.stderr.count("\n") == 1


def test_a_unit_that_contradicts_the_file_warns(folder):
    result = run(*BASE, *bands(), *NO_DUST, "--weight", "WGT", "--unit", "Jy", "-q")
    assert result.exit_code == 0
    assert "found BUNIT='nanomaggy' in g.fits, but --unit Jy" in result.stderr
    assert result.stderr.count("Warning") == 2  # one for each band


def test_sky_that_is_still_in_is_suspected(folder):
    for band in "gi":
        with fits.open(f"{band}.fits", mode="update") as hdus:
            hdus["SCI"].data += 100
    result = run(*BASE, *bands(), *NO_DUST, "--weight", "WGT", "-q")
    assert result.exit_code == 0
    assert "is the sky still in the images?" in result.stderr


def test_zero_point_scales_the_mass(folder):
    for band, zero_point in (("g", 22.5), ("i", 22.5)):
        write_band(folder / f"{band}_adu.fits", {"g": 1.0, "i": 2.2}[band], unit="adu")
        assert zero_point == 22.5  # counts are then nanomaggies
    counts = bands("g_adu.fits[SCI]", "i_adu.fits[SCI]")
    common = (*NO_DUST, "--weight", "WGT", "--overwrite", "-q")
    totals = []
    for options in (
        (*bands(),),
        (*counts, "--zero-point", "22.5"),
        (*counts, "--zero-point", "sdss2010-g=22.5", "--zero-point", "sdss2010-i=22.5"),
        (*counts, "--unit", "nmgy"),
        (*counts, "--zero-point", "25.0"),
    ):
        result = run(*BASE, *common, *options)
        assert result.exit_code == 0, result.stderr
        assert ("BUNIT" in result.stderr) == ("--unit" in options)
        maps = PropertyMaps.read("maps.fits")
        totals.append(maps.total("stellar_mass", correlation="independent").value.value)
    np.testing.assert_allclose(totals[1:4], totals[0], rtol=1e-5)
    np.testing.assert_allclose(totals[4], totals[0] / 10, rtol=1e-5)


def test_distance_is_used(folder):
    common = (*BASE, *bands(), *NO_DUST, "--weight", "WGT", "--overwrite", "-q")
    totals = []
    for distance in ("100 Mpc", "200000 kpc"):
        assert run(*common, "--luminosity-distance", distance).exit_code == 0
        maps = PropertyMaps.read("maps.fits")
        totals.append(maps.total("stellar_mass", correlation="independent").value.value)
    assert totals[1] / totals[0] == pytest.approx(4, rel=1e-6)


def test_no_total_without_a_distance(folder):
    base = [argument if argument != "0.03" else "0.001" for argument in BASE]
    result = run(*base, *bands(), *NO_DUST, "--weight", "WGT")
    assert result.exit_code == 0, result.stderr
    assert "no total without a distance (--luminosity-distance)" in result.output
    result = run(
        *base, *bands(), *NO_DUST, "--weight", "WGT", "--overwrite",
        "--luminosity-distance", "5 Mpc",
    )  # fmt: skip
    assert "stellar mass, total" in result.output


def test_estimator_parameters_are_passed_on_and_recorded(folder):
    result = run(
        *BASE, *bands(), *NO_DUST, "--weight", "WGT", "--option", "relation=zibetti2009"
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    assert PropertyMaps.read("maps.fits").meta["parameters"]["relation"] == "zibetti2009"


def mass_range():
    """Return the width of the 68 % range of stellar mass in each pixel."""
    maps = PropertyMaps.read("maps.fits")
    low, high = (maps.percentile("stellar_mass", q).value for q in (16, 84))
    return high - low


def test_noise_is_estimated_only_when_asked(folder):
    rng = np.random.default_rng(3)
    for band in "gi":
        with fits.open(f"{band}.fits", mode="update") as hdus:
            hdus[0].data += rng.normal(0, 0.02, SHAPE).astype(np.float32)
    result = run(*BASE, *bands(), *NO_DUST)
    assert_fails(result, 1, "uncertainty", "--estimate-noise")
    result = run(*BASE, *bands(), *NO_DUST, "--estimate-noise")
    assert result.exit_code == 0, result.stderr
    assert "without photon noise" in result.stderr
    ranges = [mass_range()]
    result = run(*BASE, *bands(), *NO_DUST, "--estimate-noise", "--gain", "0.5", "--overwrite")
    assert result.exit_code == 0, result.stderr
    assert "photon noise" not in result.stderr
    ranges.append(mass_range())
    assert np.nanmax(ranges[1] / ranges[0]) > 1.2  # where the galaxy is bright


def test_file_of_band_images_is_read(folder):
    images = make_galaxy((20, 22), redshift=0.04)
    images.write("images.fits")
    base = ("estimate", "images.fits", "-e", "mass_to_light", "-o", "maps.fits")
    assert run(*base).exit_code == 0
    assert PropertyMaps.read("maps.fits").redshift == 0.04
    assert run(*base, "-z", "0.05", "--overwrite").exit_code == 0
    assert PropertyMaps.read("maps.fits").redshift == 0.05
    assert_fails(run(*base, *bands()), 2, "not both")
    assert_fails(
        run(*base, "--weight", "WGT", "--overwrite"), 1, "found --weight", "which contains them"
    )


def test_psf_is_recorded(folder, monkeypatch):
    seen = []
    monkeypatch.setattr(
        "picasssso.estimators.mass_to_light.MassToLightEstimator.estimate",
        lambda self, images, **_: seen.append(images) or (_ for _ in ()).throw(MemoryError),
    )
    psf = ("--psf", "sdss2010-g=1.4 arcsec", "--psf", "sdss2010-i=1.2 arcsec")
    assert_fails(run(*BASE, *bands(), "--weight", "WGT", *psf), 1, "out of memory")
    assert seen[0].psf_fwhm("sdss2010-g") == 1.4 * u.arcsec
    assert seen[0].psf_fwhm("sdss2010-i") == 1.2 * u.arcsec


def test_interrupt_is_clean(folder, monkeypatch):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(
        "picasssso.estimators.mass_to_light.MassToLightEstimator.estimate", interrupt
    )
    result = run(*BASE, *bands(), "--weight", "WGT")
    assert result.exit_code == 130
    assert "Traceback" not in result.stderr
    assert not (folder / "maps.fits").exists()


def test_unexpected_error_is_short_unless_debugging(folder, monkeypatch):
    def fail(*args, **kwargs):
        raise ZeroDivisionError("one over nothing")

    monkeypatch.setattr("picasssso.estimators.mass_to_light.MassToLightEstimator.estimate", fail)
    result = run(*BASE, *bands(), "--weight", "WGT")
    assert result.exit_code == 1
    assert "one over nothing (ZeroDivisionError" in result.stderr
    assert "--debug" in result.stderr
    result = run(*BASE, *bands(), "--weight", "WGT", "--debug")
    assert isinstance(result.exception, ZeroDivisionError)


# ---- bad input ----------------------------------------------------------------------


def truncated(folder):
    content = (folder / "g.fits").read_bytes()
    (folder / "bad.fits").write_bytes(content[: len(content) // 3])


def not_fits(folder):
    (folder / "bad.fits").write_text("wavelength flux\n1 2\n")


def empty_file(folder):
    (folder / "bad.fits").touch()


def no_wcs(folder):
    write_band(folder / "bad.fits", 1.0, wcs=False)


def other_field(folder):
    write_band(folder / "bad.fits", 1.0, shift=0.01)


def other_shape(folder):
    write_band(folder / "bad.fits", 1.0, shape=(26, 31))


def all_nan(folder):
    write_band(folder / "bad.fits", np.nan)


def no_unit(folder):
    write_band(folder / "bad.fits", 1.0, unit=None)


def strange_unit(folder):
    write_band(folder / "bad.fits", 1.0, unit="furlong/fortnight2")


def counts(folder):
    write_band(folder / "bad.fits", 1.0, unit="adu")


def magnitudes(folder):
    write_band(folder / "bad.fits", 1.0, unit="mag")


def a_cube(folder):
    fits.PrimaryHDU(np.ones((3, *SHAPE), np.float32), make_wcs().to_header()).writeto("bad.fits")


def a_table(folder):
    table = fits.BinTableHDU.from_columns([fits.Column("a", "E", array=[1.0])], name="SCI")
    fits.HDUList([fits.PrimaryHDU(), table]).writeto("bad.fits")


def maps_file(folder):
    result = run(*BASE[:-1], "bad.fits", *bands(), *NO_DUST, "--weight", "WGT")
    assert result.exit_code == 0, result.stderr


def wrong_weight_shape(folder):
    fits.ImageHDU(np.ones((4, 5), np.float32), name="WGT").writeto("bad.fits")


#: What is wrong: (how to make bad.fits, the bad options, words of the message).
BAD_FILES = {
    "missing file": (None, {"g": "nowhere.fits[SCI]"}, ["nowhere.fits"]),
    "folder for a file": (None, {"g": "."}, []),
    "truncated": (truncated, {"g": "bad.fits[SCI]"}, ["bad.fits"]),
    "not FITS": (not_fits, {"g": "bad.fits"}, ["bad.fits", "FITS"]),
    "empty file": (empty_file, {"g": "bad.fits"}, ["bad.fits"]),
    "wrong HDU name": (None, {"g": "g.fits[SCIENCE]"}, ["SCIENCE", "SCI"]),
    "wrong HDU number": (None, {"g": "g.fits[7]"}, ["7"]),
    "no WCS": (no_wcs, {"g": "bad.fits[SCI]"}, ["no WCS"]),
    "no WCS in any": (no_wcs, {"g": "bad.fits[SCI]", "i": "bad.fits[SCI]"}, ["--pixel-scale"]),
    "another field": (other_field, {"g": "bad.fits[SCI]"}, ["0.1 pixels"]),
    "another shape": (other_shape, {"g": "bad.fits[SCI]"}, ["26", "31"]),
    "all NaN": (all_nan, {"g": "bad.fits[SCI]"}, ["sdss2010-g"]),
    "no unit": (no_unit, {"g": "bad.fits[SCI]"}, ["--unit"]),
    "unknown unit": (strange_unit, {"g": "bad.fits[SCI]"}, ["furlong"]),
    "counts without zero point": (counts, {"g": "bad.fits[SCI]"}, ["--zero-point"]),
    "magnitudes": (magnitudes, {"g": "bad.fits[SCI]"}, ["mag"]),
    "cube": (a_cube, {"g": "bad.fits[0]"}, ["sdss2010-g"]),
    "table": (a_table, {"g": "bad.fits[SCI]"}, ["SCI"]),
    "maps for images": (maps_file, {"g": "bad.fits[STELLAR_MASS]"}, ["maps of properties"]),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_bad_file_is_a_short_error(folder, case):
    make, files, words = BAD_FILES[case]
    if make:
        make(folder)
    result = run(*BASE, *bands(**files), *NO_DUST, "--estimate-noise")
    assert_fails(result, 1, *words)
    assert not (folder / "maps.fits").exists()
    assert not list(folder.glob(".*"))


#: Options that are wrong by themselves, before any file is opened: (options, words).
BAD_OPTIONS = {
    "no images": ([], ["--band"]),
    "no redshift": (["-z", None, *bands()], ["redshift", "never guessed"]),
    "textual redshift": (["-z", "near", *bands()], ["near", "not a number"]),
    "too negative redshift": (["-z", "-0.1", *bands()], ["-0.1", "-0.005"]),
    "NaN redshift": (["-z", "nan", *bands()], ["nan"]),
    "no estimator": (["-e", None, *bands()], ["--estimator"]),
    "unknown estimator": (["-e", "guess", *bands()], ["guess", "mass_to_light"]),
    "no output": (["-o", None, *bands()], ["--output"]),
    "unknown band": ([*bands(survey="sdss1999")], ["sdss1999"]),
    "bare band": (["-b", "g=g.fits"], ["'g'"]),
    "duplicate band": ([*bands(), "-b", "sdss2010-g=i.fits"], ["sdss2010-g", "twice"]),
    "band without file": (["-b", "sdss2010-g"], ["BAND=FILE"]),
    "unknown parameter": ([*bands(), "--option", "tint=g-i"], ["tint", "relation"]),
    "wrong parameter": ([*bands(), "--option", "relation=astrology"], ["astrology"]),
    "parameter without value": ([*bands(), "--option", "relation"], ["NAME=VALUE"]),
    "textual zero point": ([*bands(), "--zero-point", "bright"], ["bright"]),
    "zero point of no band": ([*bands(), "--zero-point", "sdss2010-r=30"], ["sdss2010-r"]),
    "unknown unit option": ([*bands(), "--unit", "furlong"], ["furlong"]),
    "distance without unit": ([*bands(), "--luminosity-distance", "80"], ["80 Mpc"]),
    "distance in seconds": ([*bands(), "--luminosity-distance", "8 s"], ["length"]),
    "distance in words": ([*bands(), "--luminosity-distance", "far"], ["far"]),
    "negative distance": ([*bands(), "--luminosity-distance", "-8 Mpc"], ["positive"]),
    "negative extinction": ([*bands(), "--galactic-extinction-removed", "-1"], ["-1"]),
    "output over input": ([*bands(), "-o", "g.fits", "--overwrite"], ["g.fits", "input"]),
    "picture over maps": ([*bands(), "--plot", "maps.fits"], ["maps.fits", "output"]),
    "unknown kind of picture": ([*bands(), "--plot", "maps.jpeg2000"], ["jpeg2000", "png"]),
    "negative samples": ([*bands(), "--samples", "-1"], ["-1"]),
    "unknown sky": ([*bands(), "--sky", "blue"], ["blue", "median"]),
    "unknown option": ([*bands(), "--fast"], ["--fast"]),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_OPTIONS)
def test_wrong_use_exits_with_2(folder, case):
    options, words = BAD_OPTIONS[case]
    base = list(BASE)
    if None in options:  # leave one of the usual options out
        at = base.index(options[0])
        del base[at : at + 2]
        options = options[2:]
    assert_fails(run(*base, *options), 2, *words)
    assert not (folder / "maps.fits").exists()


def test_advice_on_parameters_names_the_option(folder):
    two = [w for b in "gi" for w in ("-b", f"decam2014-{b}={b}.fits[SCI]")]
    result = run(*BASE, *two, *NO_DUST, "--weight", "WGT")
    assert_fails(
        result, 1, "decam2014-r missing", "--option relation=sps",
        "--option \"color=('decam2014-g', 'decam2014-i')\"",
        "--option luminosity_band=decam2014-i", "--estimator sed_fit",
    )  # fmt: skip


def test_missing_band_names_it(folder):
    result = run(*BASE, "-b", "sdss2010-g=g.fits[SCI]", *NO_DUST, "--weight", "WGT")
    assert_fails(result, 1, "sdss2010-i")


def test_bad_weights(folder):
    wrong_weight_shape(folder)
    assert_fails(run(*BASE, *bands(), "--weight", "NOPE"), 1, "NOPE")
    assert_fails(run(*BASE, *bands(), "--weight", "sdss2010-g=bad.fits[WGT]"), 1, "sdss2010-g")


def test_existing_output_is_kept_unless_told(folder):
    for name in ("maps.fits", "maps.png"):
        (folder / name).write_text("precious")
        result = run(*BASE, *bands(), *NO_DUST, "--weight", "WGT", "--plot", "maps.png")
        assert_fails(result, 1, name, "exists")
        assert (folder / name).read_text() == "precious"
        assert sorted(path.name for path in folder.iterdir()) == ["g.fits", "i.fits", name]
        (folder / name).unlink()
    for _ in range(2):
        result = run(
            *BASE, *bands(), *NO_DUST, "--weight", "WGT", "--plot", "maps.png", "--overwrite"
        )
        assert result.exit_code == 0, result.stderr


def test_output_that_cannot_be_written(folder):
    result = run(*BASE[:-1], "nowhere/maps.fits", *bands(), "--weight", "WGT")
    assert_fails(result, 1, "nowhere")
    result = run(*BASE[:-1], ".", *bands(), "--weight", "WGT")
    assert_fails(result, 1, "folder")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_output_without_permission(folder):
    (folder / "locked").mkdir(mode=0o500)
    result = run(*BASE[:-1], "locked/maps.fits", *bands(), "--weight", "WGT")
    assert_fails(result, 1, "permission")


def test_failed_picture_leaves_nothing_half_written(folder, monkeypatch):
    def fail(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", fail)
    result = run(*BASE, *bands(), *NO_DUST, "--weight", "WGT", "--plot", "maps.png")
    assert_fails(result, 1, "no space left")
    assert sorted(path.name for path in folder.iterdir()) == ["g.fits", "i.fits", "maps.fits"]


def test_reader_of_the_output_may_go_early(folder):
    code = "from picasssso.cli import main; main()"
    writer = subprocess.Popen(
        [sys.executable, "-c", code, "list"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
    )
    writer.stdout.close()
    errors = writer.stderr.read()
    writer.wait()
    writer.stderr.close()
    assert "Traceback" not in errors
    assert "Error" not in errors


# ---- info ---------------------------------------------------------------------------


def test_info_of_a_survey_file(folder):
    write_band(folder / "des.fits", 1.0, unit="electrons", MAGZERO=30.0, FILTER="g DECam SDSS")
    result = run("info", "des.fits")
    assert result.exit_code == 0, result.stderr
    for word in ("SCI", "30 x 26", "electrons", "MAGZERO = 30.0", "0.396", "185.0", "g DECam"):
        assert word in result.output
    assert "Recognized as DES (DECam) coadd" in result.output
    assert "picasssso prepare des.fits -z Z -o bands.fits" in result.output
    assert "decam2014-g, from FILTER" in result.output
    write_band(folder / "other.fits", 1.0, FILTER="g", SURVEY="SDSS")
    result = run("info", "other.fits")
    assert "guess" in result.output
    assert "--band sdss2010-g=other.fits" in result.output


def test_info_says_what_a_header_lacks(folder):
    from survey_layouts import tangent_wcs

    header = tangent_wcs(SHAPE, 0.3).to_header()
    fits.PrimaryHDU(np.ones(SHAPE, "f4"), header).writeto("plain.fits")
    told = run("info", "plain.fits").output
    assert "guess" not in told
    assert "does not name the filter" in told
    assert "picasssso prepare --band BAND=plain.fits --unit UNIT -z Z -o bands.fits" in told
    assert "of counts give --zero-point MAG instead" in told


def test_info_prints_what_the_reader_uses(folder):
    """Band, zero point and the keywords behind them are those of what is read."""
    from picasssso.io.formats import get_reader, recognize
    from picasssso.io.image_files import ImageFile

    surveys = 0
    for name in _many_kinds(folder):
        found = recognize(name)
        if found.format == "generic" or found.role is not None:
            continue
        told = run("info", name).output
        assert " or " not in found.why, found.why
        assert "need" not in told.replace("none needed", ""), told
        for plane in _read_or_none(get_reader(found.format), ImageFile(name)):
            surveys += 1
            line = next(line for line in told.splitlines() if f" {plane.band}" in line)
            assert line.startswith("      filter "), told
            assert ", from " in line, told
            if plane.zero_point is not None:
                assert f"zero point  {plane.zero_point.value:.5g} AB" in told, told
    assert surveys >= 12


def _read_or_none(reader, file):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return reader.read(file)
        except PicassssoError:
            return []


def test_line_suggested_by_info_works(folder):
    for band, flux in (("g", 1.0), ("r", 1.7), ("i", 2.2)):
        write_band(folder / f"sdss_{band}.fits", flux, FILTER=band, SURVEY="SDSS")
    lines = [run("info", "-q", f"sdss_{band}.fits").output for band in "gri"]
    options = [word for line in lines for word in shlex.split(line)]
    result = run(*BASE, *options, "--weight", "WGT", *NO_DUST)
    assert result.exit_code == 0, result.stderr + " ".join(options)


def test_the_command_for_several_bands_is_one_command(folder):
    """As copied from the screen: its lines are joined as the shell joins them."""
    from survey_layouts import tangent_wcs

    shape = (60, 64)
    header, rng = tangent_wcs(shape, 0.4).to_header(), np.random.default_rng(0)
    y, x = np.indices(shape)
    planes = [fits.PrimaryHDU()]
    for band in "gi":
        header.update({"BUNIT": "nmgy", "SURVEY": "SDSS", "FILTER": band})
        flux = 5 * np.exp(-np.hypot(y - 30, x - 32) / 4) + rng.normal(0, 0.1, shape)
        planes.append(fits.ImageHDU(flux.astype("f4"), header, name=band.upper()))
    fits.HDUList(planes).writeto("several.fits")
    told = run("info", "several.fits").output
    command = told.partition("Maps of them together:")[2].replace("\\\n", " ").strip()
    words = command.replace("-z Z", "-z 0.03").replace("ESTIMATOR", "mass_to_light")
    result = run(*shlex.split(words)[1:], *NO_DUST)
    assert result.exit_code == 0, (command, result.stderr)


def _many_kinds(folder):
    """One file of each kind that `info` proposes a line for."""
    import survey_layouts as layouts

    shape = (40, 44)
    wcs, rng = layouts.tangent_wcs(shape, 0.262), np.random.default_rng(0)
    y, x = np.indices(shape)
    flux = 5 * np.exp(-np.hypot(y - 20, x - 22) / 4) + rng.normal(0, 0.1, shape)
    layouts.sdss_frame(folder / "sdss.fits", "r", flux, wcs)
    layouts.des_coadd(folder / "des.fits", "r", flux, wcs, sigma=0.1)
    layouts.lsst_image(folder / "lsst.fits", "r", flux, wcs, sigma=0.1)
    layouts.eso_image(folder / "eso.fits", "r", flux, wcs)
    layouts.ps1_stack(folder, "r", flux, wcs, sigma=0.1)
    layouts.legacy_cutout(folder / "legacy.fits", "r", flux[None], wcs)
    layouts.gama_image(folder / "gama.fits", flux, wcs)
    data = flux.astype("f4")
    header = wcs.to_header()
    header.update(BUNIT="nmgy", FILTER="r", SURVEY="SDSS")
    noise = np.full(shape, 0.1, "f4")
    planes = [("ERR", noise), ("WHT", noise * 0 + 700), ("VAR_POISSON", noise), ("CON", noise)]
    extra = [fits.ImageHDU(plane, name=name) for name, plane in planes]
    science = fits.ImageHDU(data, header, name="SCI")
    fits.HDUList([fits.PrimaryHDU(), science, *extra]).writeto(folder / "sci.fits")
    two = [fits.ImageHDU(data, header, name="SCI", ver=ver) for ver in (1, 2)]
    fits.HDUList([fits.PrimaryHDU(), *two]).writeto(folder / "chips.fits")
    fits.PrimaryHDU(data, fits.Header({"BUNIT": "adu", "FILTER": "r"})).writeto(
        folder / "counts.fits"
    )
    layouts.euclid_mosaic(folder, "VIS", flux, wcs, sigma=0.1)
    layouts.euclid_mosaic(folder, "NIR_H", flux, wcs, MAGZEROP=None)
    layouts.spitzer_mosaic(folder, 1, flux, wcs, sigma=0.1)
    layouts.wise_atlas(folder, 1, flux, wcs, vega=2.699, sigma=0.1)
    layouts.unwise_coadd(folder, 2, flux, wcs, vega=3.339, sigma=0.1)
    layouts.casu_image(folder / "wfcam_st.fits", "J", flux, wcs)
    with fits.open(layouts.casu_image(folder / "vista_st.fits", "Ks", flux, wcs, camera="VIRCAM",
                                      vega=1.827)) as hdus:  # fmt: skip
        fits.HDUList([hdus[0], hdus[1], hdus[1].copy()]).writeto(folder / "detectors_st.fits")
    space = {"INSTRUME": "WFI", "FILTER": "F158", "TELESCOP": "ROMAN"}
    layouts.space_image(folder / "roman.fits", flux, wcs, sigma=0.1, **space)
    space = {"INSTRUME": "NIRCAM", "FILTER": "F150W", "TELESCOP": "JWST"}
    layouts.space_image(folder / "jwst_i2d.fits", flux, wcs, sigma=0.1, **space)
    space = {"INSTRUME": "WFC3", "FILTER": "F160W", "TELESCOP": "HST", "DETECTOR": "IR",
             "PHOTFLAM": 1.9e-20, "PHOTPLAM": 15369.0}  # fmt: skip
    layouts.space_image(folder / "hst_drz.fits", flux, wcs, sigma=0.1, unit="electrons/s", **space)
    stated = StdDevUncertainty(np.full(shape, 0.1))
    words = {"FILTER": "r", "SURVEY": "SDSS"}
    CCDData(flux, unit="nmgy", wcs=wcs, uncertainty=stated, mask=flux > 9, header=words).write(
        folder / "ccddata.fits"
    )
    words = wcs.to_header()
    words.update(BUNIT="MJy/sr", FILTER="FUV", TELESCOP="GALEX")
    fits.PrimaryHDU(data, words).writeto(folder / "galex.fits")
    packed = [fits.PrimaryHDU(), fits.CompImageHDU(data, header, name="SCI")]
    fits.HDUList(packed).writeto(folder / "packed.fits.fz")
    (folder / "sdss.fits.gz").write_bytes(gzip.compress((folder / "sdss.fits").read_bytes()))
    names = [path.name for path in sorted(folder.glob("*.fits*"))]
    return [name for name in names if name not in ("g.fits", "i.fits")]


def test_every_line_that_info_proposes_reads_the_file(folder):
    names = _many_kinds(folder)
    proposed = 0
    for name in names:
        for line in run("info", "-q", name).output.splitlines():
            for word, value in {"GROUP-": "sdss2010-", "d BAND=": "d sdss2010-r=", "UNIT": "nmgy",
                                "MAG": "25", "'P arcsec'": "'0.4 arcsec'",
                                "-BAND": "-r"}.items():  # fmt: skip
                line = line.replace(word, value)
            out = f"{proposed}.fits"
            result = run("prepare", *shlex.split(line), "-z", "0.03", "-o", out, "--sky", "none",
                         "--keep-noise", "--no-mask", "-q")  # fmt: skip
            # Noise that no file states is measured, or cannot be: that is no fault of the line.
            assert result.exit_code == 0, (name, line, result.stderr)
            proposed += 1
    assert proposed >= 27


def test_info_proposes_no_noise_for_an_image(folder):
    """Planes called like their image, those of two chips, and a file called weight."""
    from survey_layouts import tangent_wcs

    plane, header = np.ones(SHAPE, "f4"), tangent_wcs(SHAPE, 0.3).to_header()
    header.update(BUNIT="nmgy", FILTER="r", SURVEY="SDSS")
    names = ("G", "G_ERR", "G_MASK", "I", "I_ERR")
    named = [fits.ImageHDU(plane * ("MASK" not in name), header, name=name) for name in names]
    fits.HDUList([fits.PrimaryHDU(), *named]).writeto("named.fits")
    lines = run("info", "-q", "named.fits").output.splitlines()
    assert [line.partition("[")[2] for line in lines] == ["G]'", "I]'"]
    camera = {"TELESCOP": "JWST", "INSTRUME": "NIRCAM", "FILTER": "F200W", "PUPIL": "CLEAR"}
    header.update(BUNIT="MJy/sr", FILTER="F200W")
    chips = [fits.ImageHDU(plane, header, name=n, ver=k) for k in (1, 2) for n in ("SCI", "ERR")]
    fits.HDUList([fits.PrimaryHDU(header=fits.Header(camera)), *chips]).writeto("chips.fits")
    told = run("info", "chips.fits").output
    assert [line.split()[2] for line in told.splitlines() if line.startswith("  picasssso")] == [
        "'chips.fits[1]'", "'chips.fits[3]'",
    ]  # fmt: skip
    assert "cannot be read together" in told
    fits.PrimaryHDU(plane, header).writeto("coadd.weight.fits")
    assert "--weight BAND=coadd.weight.fits" in run("info", "coadd.weight.fits").output
    assert not run("info", "-q", "coadd.weight.fits").output
    fits.PrimaryHDU(plane, fits.Header({"PRODTYPE": "dqmask"})).writeto("c4d_ood_r.fits")
    assert "--mask BAND=c4d_ood_r.fits" in run("info", "c4d_ood_r.fits").output


@pytest.mark.parametrize("names", [("2", "1"), ("IMG", "IMG"), ("R[0]", "G[0]"), ("A,2", "A")])
def test_info_names_each_image_by_what_reads_it(folder, names):
    """By its number, where a name would be that of another HDU, or none."""
    planes = [np.full(SHAPE, value, "f4") for value in (1, 2)]
    hdus = [fits.ImageHDU(plane, name=name) for plane, name in zip(planes, names, strict=True)]
    fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto("named.fits")
    for value, line in enumerate(run("info", "-q", "named.fits").output.splitlines(), start=1):
        place = shlex.split(line)[1].partition("=")[2]
        about = {"redshift": 0.1, "unit": "nmgy", "pixel_scale": 0.3 * u.arcsec}
        images = BandImages.read({"sdss2010-r": place}, **about)
        assert images.to_arrays()[0].mean() == pytest.approx(value)


@pytest.mark.parametrize(
    ("units", "words"),
    [
        (("adu", "adu"), "--zero-point MAG"),
        (("nmgy", "adu"), "--zero-point sdss2010-i=MAG"),
        (("nmgy", None), "--unit sdss2010-i=UNIT"),
        (("nmgy", "survey"), "--band decam2014-r=des.fits"),
    ],
)
def test_info_of_several_files_says_an_option_of_all_bands_once(folder, units, words):
    for band, unit in zip("gi", units, strict=True):
        if unit == "survey":
            write_band("des.fits", 1.0, unit="electrons", MAGZERO=30.0, FILTER="r DECam SDSS")
            continue
        write_band(folder / f"sdss_{band}.fits", 1.0, unit=unit, FILTER=band, SURVEY="SDSS")
    told = run("info", "sdss_g.fits", f"{'des' if 'survey' in units else 'sdss_i'}.fits").output
    command = told.partition("Maps of them together:")[2].replace("\\\n", " ").strip()
    assert command.endswith(words)
    for word, value in {"-z Z": "-z 0.03", "ESTIMATOR": "sed_fit", "MAG": "25",
                        "UNIT": "nmgy"}.items():  # fmt: skip
        command = command.replace(word, value)
    result = run(*shlex.split(command)[1:], "--option", "n_models=300", *NO_DUST)
    assert result.exit_code == 0, (command, result.stderr)


def test_info_of_one_band_with_its_noise_proposes_no_maps(folder):
    from survey_layouts import legacy_cutout, tangent_wcs

    wcs, plane = tangent_wcs(SHAPE, 0.262), np.ones(SHAPE, "f4")
    legacy_cutout("image.fits", "r", plane, wcs)
    legacy_cutout("iv.fits", "r", None, wcs, inverse_variance=plane)
    told = run("info", "image.fits", "iv.fits").output
    assert "picasssso prepare -z Z -o bands.fits \\\n    image.fits iv.fits" in told


def test_info_of_own_files(folder):
    make_galaxy((20, 22)).write("images.fits")
    run("estimate", "images.fits", "-e", "mass_to_light", "-o", "maps.fits")
    run("estimate", "images.fits", "-e", "sed_fit", "--option", "n_models=500", "-o", "fit.fits")
    result = run("info", "images.fits", "maps.fits", "fit.fits")
    assert result.exit_code == 0, result.stderr
    lines = {words[0]: line for line in result.output.splitlines() if (words := line.split())}
    assert "mass fraction" in lines["stellar_metallicity"]
    assert "no unit" in lines["reduced_chi2"]
    for word in ("BandImages", "PropertyMaps", "22 x 20", "sdss2010-g", "stellar_mass", "0.05"):
        assert word in result.output


@pytest.mark.parametrize(
    ("make", "name", "words"),
    [
        (None, "nowhere.fits", ["nowhere.fits", "no file"]),
        (truncated, "bad.fits", ["cut short"]),
        (None, ".", ["folder"]),
        (not_fits, "bad.fits", ["FITS"]),
        (empty_file, "bad.fits", ["FITS"]),
    ],
)
def test_info_of_what_cannot_be_read(folder, make, name, words):
    if make:
        make(folder)
    assert_fails(run("info", name), 1, *words)


@pytest.mark.parametrize("make", [a_table, a_cube, no_wcs, no_unit, strange_unit])
def test_info_copes_with_odd_files(folder, make):
    make(folder)
    result = run("info", "bad.fits")
    assert result.exit_code == 0, result.stderr
    assert "bad.fits" in result.output


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ({"FILTER": "g DECam SDSS c0001 4720.0 1520.0"}, ("decam2014", "g")),
        ({"FILTER": "r", "TELESCOP": "2.5m", "SURVEY": "SDSS"}, ("sdss2010", "r")),
        ({"FILTER": "HSC-I"}, ("hsc2017", None)),
        ({"FILTER": "FUV", "TELESCOP": "GALEX"}, ("galex", "fuv")),
        ({"FILTER": "j", "ORIGIN": "2MASS"}, ("twomass", "J")),
        ({"FILTER": "K", "ORIGIN": "2MASS"}, ("twomass", "Ks")),
        ({"FILTER": "y", "INSTRUME": "DECam"}, ("decam2014", "Y")),
        ({"FILTER": "Y", "SURVEY": "SDSS"}, ("sdss2010", None)),
        ({"FILTER": "u.MP9301", "INSTRUME": "MegaPrime"}, ("cfht_megacam", "ustar")),
        ({"FILTER": "i.00000", "INSTRUME": "gpc1"}, ("panstarrs", "i")),
        ({"BAND": "z"}, (None, "z")),
        ({"FILTER": "Halpha"}, (None, None)),
        ({}, (None, None)),
    ],
)
def test_guessed_bands(header, expected):
    assert guess_band(header) == expected


def test_planes_by_name():
    names = ("WHT", "ERR", "MSK", "IMAGE", "BIN_MAP", "VAR_POISSON", "variance", "SCI2")
    assert [plane_kind(name) for name in names] == [
        "weight", "std", "mask", None, "labels", "other", "var", None,
    ]  # fmt: skip


def test_info_takes_no_map_of_bins_for_a_band(folder):
    hdus = [fits.PrimaryHDU(), fits.ImageHDU(np.zeros(SHAPE, np.int16), name="BIN_MAP")]
    fits.HDUList(hdus).writeto("bins.fits")
    result = run("info", "bins.fits")
    assert result.exit_code == 0
    assert "by its name the labels" in result.output
    assert "--band" not in result.output


# ---- parsing ------------------------------------------------------------------------


def test_parameters_are_python_values_or_text():
    defaults = dict.fromkeys(("a", "b", "c", "d"))
    found = parse_parameters(["a=1", "b=(1, 2)", "c=g-i", "d=None"], defaults)
    assert found == {"a": 1, "b": (1, 2), "c": "g-i", "d": None}


def test_values_per_band():
    names = ["sdss2010-g", "sdss2010-i"]
    assert parse_per_band([], names, click.FLOAT, "--x") is None
    assert parse_per_band(["3"], names, click.FLOAT, "--x") == 3.0
    assert parse_per_band(["sdss2010-i=3"], names, click.FLOAT, "--x") == {"sdss2010-i": 3.0}
    for wrong in (["1", "2"], ["sdss2010-r=1"], ["sdss2010-i=1"] * 2):
        with pytest.raises(click.BadParameter):
            parse_per_band(wrong, names, click.FLOAT, "--x")


def test_module_runs_as_a_script(folder):
    result = subprocess.run(
        [sys.executable, "-m", "picasssso.cli", *BASE, *bands("nowhere.fits")],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        check=False,
    )
    assert result.returncode == 1
    assert result.stdout == ""
    assert "nowhere.fits" in result.stderr
    assert "Traceback" not in result.stderr


SLOW = """
import signal, time, click
from picasssso import cli
from picasssso._core.safe_files import atomic_write

@click.command()
def slow():
    with atomic_write("maps.fits") as temporary:
        temporary.write_text("half")
        print("begun", flush=True)
        time.sleep(60)

cli.cli.get_command = lambda ctx, name: slow
cli.main()
"""


DELETING = """
import os, signal, time
import click
from picasssso import cli

class Deleted:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.1)

@click.command()
def slow():
    Deleted()
    time.sleep(60)

cli.cli.get_command = lambda ctx, name: slow
cli.main()
"""


@pytest.mark.skipif(
    signal.getsignal(signal.SIGTERM) == signal.SIG_IGN, reason="SIGTERM is ignored here"
)
def test_a_signal_lost_at_the_end_of_python_kills_nobody():
    """Its handlers are gone before a clock would send it again, and the alarm would kill."""
    code = (
        "import atexit, time; from picasssso._cli.signals import end_by_signals; import signal\n"
        "class Slow:\n    def __del__(self): time.sleep(0.3); signal.raise_signal(15)\n"
        "end_by_signals(); atexit._run_exitfuncs(); slow = Slow(); del slow; time.sleep(0.3)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (0, "")


@pytest.mark.skipif(
    signal.getsignal(signal.SIGTERM) == signal.SIG_IGN, reason="SIGTERM is ignored here"
)
def test_a_signal_while_an_object_is_deleted_is_not_lost():
    done = subprocess.run(
        [sys.executable, "-c", DELETING, "slow"], timeout=50, check=False, capture_output=True
    )
    assert done.returncode == 128 + signal.SIGTERM
    assert b"ignored" not in done.stderr


IMPORTING = """
import os, signal
import click
from picasssso import cli

class Descriptor:
    def __set_name__(self, owner, name):
        os.kill(os.getpid(), signal.SIGTERM)

@click.command()
def slow():
    class Imported:
        one = Descriptor()

cli.cli.get_command = lambda ctx, name: slow
cli.main()
"""


@pytest.mark.skipif(
    signal.getsignal(signal.SIGTERM) == signal.SIG_IGN, reason="SIGTERM is ignored here"
)
def test_a_signal_that_python_makes_another_error_of():
    """In the midst of an import, that is."""
    done = subprocess.run(
        [sys.executable, "-c", IMPORTING, "slow"],
        timeout=100,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 128 + signal.SIGTERM
    assert done.stderr == "Ended by SIGTERM; nothing was half-written.\n"


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="Windows has no such signals")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGINT"])
def test_a_command_that_is_ended_leaves_nothing_half_written(tmp_path, name):
    number = getattr(signal, name)
    if signal.getsignal(number) == signal.SIG_IGN:
        pytest.skip(f"{name} is ignored here, as under nohup, and so by what is started")
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW, "slow"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "begun\n"
    assert len(list(tmp_path.iterdir())) == 1
    process.send_signal(number)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert not list(tmp_path.iterdir())
    said = "Interrupted" if name == "SIGINT" else f"Ended by {name}"
    assert error == f"{said}; nothing was half-written.\n"


TIDYING = """
import time, click
from picasssso import cli

@click.command()
def slow():
    try:
        print("begun", flush=True)
        time.sleep(60)
    finally:
        print("tidying", flush=True)
        time.sleep(2)
        print("tidy", flush=True)

cli.cli.get_command = lambda ctx, name: slow
cli.main()
"""


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="Windows has no such signals")
@pytest.mark.skipif(
    signal.getsignal(signal.SIGTERM) == signal.SIG_IGN, reason="SIGTERM is ignored here"
)
def test_signals_that_follow_do_not_stop_the_tidying_up():
    process = subprocess.Popen(
        [sys.executable, "-c", TIDYING, "slow"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "begun\n"
    process.send_signal(signal.SIGTERM)
    assert process.stdout.readline() == "tidying\n"
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    assert output == "tidy\n"
    assert process.returncode == 128 + signal.SIGTERM
