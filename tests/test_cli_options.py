"""The options that `prepare`, `estimate` and `survey` share: what each does."""

import re
import warnings

import astropy.units as u
import click
import numpy as np
import pytest
from astropy.io import fits
from astropy.io.fits.verify import VerifyWarning
from astropy.wcs import WCS
from click.testing import CliRunner

from picasssso import BandImages, PropertyMaps
from picasssso._cli.advice import with_options
from picasssso._cli.shared_options import short_warnings
from picasssso.cli import cli
from picasssso.exceptions import PicassssoWarning

SHAPE = (60, 64)
BANDS = ("sdss2010-g", "sdss2010-i")
SHARED = (
    "--zero-point", "--unit", "--weight", "--uncertainty", "--variance", "--mask", "--mask-bits",
    "--psf", "--pixel-scale", "--format", "--filter", "--ebv", "--ebv-scale", "--law",
    "--galactic-extinction-removed", "--aperture", "--region", "--sky",
)  # fmt: skip


def run(*words, code=0):
    result = CliRunner().invoke(cli, [str(word) for word in words], prog_name="picasssso")
    assert result.exit_code == code, result.output + str(result.exception)
    return " ".join(result.output.split())


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A round galaxy with its sky around it in counts of zero point 22.5, with WCS and without."""
    monkeypatch.chdir(tmp_path)
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval, wcs.wcs.crpix = ("RA---TAN", "DEC--TAN"), (185, 12), (32.5, 30.5)
    wcs.wcs.cdelt = -0.5 / 3600, 0.5 / 3600
    y, x = np.indices(SHAPE)
    profile = np.exp(-np.hypot(y - 29.5, x - 31.5) / 3)
    rng = np.random.default_rng(4)
    flags = np.zeros(SHAPE, np.int16)
    flags[10, 10], flags[10, 11] = 4, 8
    for band, flux in (("g", 10.0), ("i", 22.0)):
        data = (flux * profile + rng.normal(0, 0.05, SHAPE)).astype(np.float32)
        for name, header in ((band, wcs.to_header()), (f"{band}_plain", fits.Header())):
            planes = [
                fits.PrimaryHDU(data, header),
                fits.ImageHDU(np.full(SHAPE, 0.05, np.float32), header, name="ERR"),
                fits.ImageHDU(flags, header, name="DQ"),
            ]
            fits.HDUList(planes).writeto(f"{name}.fits")
    return tmp_path


def bands(ending=""):
    return [w for b in "gi" for w in ("-b", f"sdss2010-{b}={b}{ending}.fits")]


RAW = ("--zero-point", "22.5", "-z", "0.03")
AS_IT_IS = ("--sky", "none", "--keep-noise", "--no-mask", "--match", "none")
ESTIMATE = ("estimate", "-e", "mass_to_light", "-o", "maps.fits", "--overwrite")


def prepared(*words, ending="", **how):
    """Return what `prepare` writes without changing pixels."""
    run("prepare", *bands(ending), *RAW, *AS_IT_IS, "-o", "p.fits", "--overwrite", *words, **how)
    return BandImages.read("p.fits")


def mass(*words):
    run(*ESTIMATE, *bands(), *RAW, "-q", *words)
    maps = PropertyMaps.read("maps.fits")
    return maps.total("stellar_mass", correlation="independent").value.value


@pytest.mark.parametrize("name", ["prepare", "estimate", "survey"])
def test_every_command_has_them(name):
    command = cli.get_command(None, name)
    options = {option for parameter in command.params for option in parameter.opts}
    assert set(SHARED) <= options


def test_options_of_a_name_say_the_same_in_every_command():
    found = {}
    for name in ("prepare", "estimate", "survey"):
        for parameter in cli.get_command(None, name).params:
            for option in parameter.opts:
                found.setdefault(option, {})[name] = parameter
    # What a survey's catalog or folder makes another: patterns of files, a default aperture.
    other = {"--band", "-b", "--output", "-o", "--aperture", "--region", "--sky", "--seed",
             "--samples"}  # fmt: skip
    for option in found.keys() - other:
        texts = {getattr(parameter, "help", "") for parameter in found[option].values()}
        assert len(texts) == 1, option
    choices = {tuple(parameter.type.choices) for parameter in found["--sky"].values()}
    assert choices == {("background2d", "median", "none")}


@pytest.mark.parametrize("name", ["prepare", "estimate", "survey"])
def test_commands_have_those_of_their_kind(name):
    options = {o for p in cli.get_command(None, name).params for o in p.opts}
    if name != "prepare":
        assert {"--option", "--parameters", "--estimator"} <= options
    if name != "survey":
        assert {
            "--band",
            "--redshift",
            "--luminosity-distance",
            "--position",
        } <= options


def test_the_sky_of_images_that_are_not_prepared(folder):
    """By default it stays, with a warning; told to stay, without; or it goes."""
    for band in "gi":
        with fits.open(f"{band}.fits", mode="update") as hdus:
            hdus[0].data += 3
    no_dust = ("--galactic-extinction-removed", "0")
    words = (*ESTIMATE, *bands(), *RAW, *no_dust)
    assert "is the sky still in the images" in run(*words)
    assert "is the sky still in the images" not in run(*words, "--sky", "none")
    run(*words, "--sky", "median")
    total = PropertyMaps.read("maps.fits").total("stellar_mass", correlation="independent")
    for band in "gi":
        with fits.open(f"{band}.fits", mode="update") as hdus:
            hdus[0].data -= 3
    assert total.value.value == pytest.approx(mass(*no_dust), rel=0.1)


def test_pixel_scale_and_hdu_of_files_without_wcs(folder):
    words = ("-b", "sdss2010-g=g_plain.fits[0]", "--uncertainty", "ERR", *RAW, *AS_IT_IS)
    output = run("prepare", *words, "-o", "p.fits", code=1)
    assert "--pixel-scale" in output
    run("prepare", *words, "-o", "p.fits", "--pixel-scale", "0.5 arcsec")
    images = BandImages.read("p.fits")
    assert images.pixel_scale == 0.5 * u.arcsec
    assert images.to_arrays()[1][0, 0, 0] ** -0.5 == pytest.approx(0.05)


def test_mask_bits(folder):
    mask = prepared("--mask", "DQ", "--mask-bits", "8")["sdss2010-g"].mask
    assert mask.sum() == 1
    assert mask[10, 11]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["1.2 arcsec"], {"g": 1.2, "i": 1.2}),
        (["sdss2010-g=1.4 arcsec", "sdss2010-i=1.1 arcsec"], {"g": 1.4, "i": 1.1}),
        (["median"], {"g": 1.43, "i": 1.25}),  # SDSS's, as its survey paper has it
        (["sdss2010-g=median", "sdss2010-i=1.1 arcsec"], {"g": 1.43, "i": 1.1}),
    ],
)
def test_psf_widths_and_the_surveys_median_seeing(folder, words, expected):
    images = prepared(*(w for word in words for w in ("--psf", word)))
    for band, width in expected.items():
        assert images.psf_fwhm(f"sdss2010-{band}").to_value(u.arcsec) == pytest.approx(width)


def test_psf_images(folder):
    y, x = np.indices((25, 25)) - 12
    kernel = np.exp(-4 * np.log(2) * (x**2 + y**2) / 3.0**2)
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(7 * kernel, name="PSF")]).writeto("psf.fits")
    images = prepared("--psf", "psf.fits[PSF]")
    np.testing.assert_allclose(images.psf["sdss2010-g"], kernel / kernel.sum(), rtol=1e-6)
    assert images.psf_fwhm("sdss2010-i").to_value(u.arcsec) == pytest.approx(1.5, rel=0.02)


def test_psf_of_no_kind(folder):
    assert "no such file" in run(
        "prepare", *bands(), *RAW, "-o", "p.fits", "--psf", "sharp", code=2
    )
    words = ("-b", "twomass-J=g.fits", *RAW, "-o", "p.fits", "--psf", "median")
    assert "median seeing of 'twomass-J' is not known" in run("prepare", *words, code=2)


def test_galactic_extinction_is_removed_or_stated(folder):
    plain = mass("--galactic-extinction-removed", "0")
    images = prepared("--ebv", "0.1", "--ebv-scale", "SF11")
    images.write("dereddened.fits")
    run(*ESTIMATE, "dereddened.fits", "-q")
    maps = PropertyMaps.read("maps.fits")
    expected = maps.total("stellar_mass", correlation="independent").value.value
    found = mass("--ebv", "0.1", "--ebv-scale", "SF11")
    assert found == pytest.approx(expected, rel=1e-5)
    assert abs(found / plain - 1) > 0.05
    images = prepared("--galactic-extinction-removed", "0.1")
    assert images.galactic_extinction.ebv == 0.1
    assert images.galactic_extinction.applied


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--ebv", "0.1", "--galactic-extinction-removed", "0.1"), "give one of them"),
        (("--ebv", "dusty"), "expected a number or 'dustmaps'"),
        (("--ebv", "50", "--ebv-scale", "SF11"), "for --ebv: Galactic extinction: found E(B-V)"),
        (("--galactic-extinction-removed", "50"), "not A(V) or a percentage"),
        (("--position", "north"), "is not a position"),
        (("--position", "900 0"), "is no place on the sky"),
        (("--aperture", "far"), "expected a radius"),
        (("--aperture", "-3 arcsec"), "expected a radius"),
        (("--aperture", "3 arcsec", "--region", "a.reg"), "not both"),
        (("--law", "M14"), "--law is of use only with --ebv"),
        (("--ebv-scale", "SFD98"), "--ebv-scale is of use only with --ebv"),
    ],
)
@pytest.mark.parametrize("command", ["prepare", "estimate"])
def test_wrong_use(folder, command, words, message):
    first = (command, *(("-e", "mass_to_light") if command == "estimate" else ()))
    assert message in run(*first, *bands(), *RAW, "-o", "x.fits", *words, code=2)


@pytest.mark.parametrize(
    ("command", "words", "message"),
    [
        ("prepare", ("--cutout", "inf"), "--cutout"),
        ("prepare", ("--snr", "nan"), "'nan' is no number"),
        ("prepare", ("--match", "1.4"), "--match: '1.4' is no angle"),
        ("prepare", ("--match", "-2 arcsec"), "--match: '-2 arcsec'"),
        ("estimate", ("--estimate-noise", "--gain", "nan"), "'nan' is no number"),
        ("estimate", ("--gain", "3"), "only with --estimate-noise"),
    ],
)
def test_wrong_values_of_one_command(folder, command, words, message):
    first = (command, *(("-e", "mass_to_light") if command == "estimate" else ()))
    assert message in run(*first, *bands(), *RAW, "-o", "x.fits", *words, code=2)


@pytest.mark.parametrize(("distance", "told"), [("1.3 Mpc", True), ("110 Mpc", False)])
def test_a_distance_in_a_wrong_unit_is_told(folder, distance, told):
    text = run("estimate", "-e", "mass_to_light", *bands(), *RAW, "-o", "x.fits",
               "--luminosity-distance", distance)  # fmt: skip
    assert ("masses go with its square" in text) is told


def test_what_only_the_work_would_show_is_said_before_it(folder, monkeypatch):
    monkeypatch.setattr("picasssso.preparation.prepare", None)
    assert "no file a.reg" in run(
        "prepare", *bands(), *RAW, "-o", "x.fits", "--region", "a.reg", code=1
    )


def test_an_aperture_without_a_pixel_is_refused(folder):
    words = ("--match", "none", "--aperture", "0.001 arcsec")
    assert "give a larger one" in run("prepare", *bands(), *RAW, "-o", "x.fits", *words, code=1)
    assert not (folder / "x.fits").exists()


# ---- parameters of the estimator -------------------------------------------------------------


def parameters():
    return PropertyMaps.read("maps.fits").meta["parameters"]


def test_parameters_from_a_file_that_options_overrule(folder):
    (folder / "p.toml").write_text('relation = "zibetti2009"\nmax_radius = 4\n')
    mass("--parameters", "p.toml", "--galactic-extinction-removed", "0")
    assert (parameters()["relation"], parameters()["max_radius"]) == ("zibetti2009", 4)
    mass(
        "--parameters", "p.toml", "--option", "max_radius=8", "--galactic-extinction-removed", "0"
    )
    assert (parameters()["relation"], parameters()["max_radius"]) == ("zibetti2009", 8)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("n_models = ", "is not valid TOML"),
        ("n_model = 5", "has no parameter n_model: there are n_models"),
        ("n_models = 0", "expected an integer"),
        ("prior = 'narrow'", "'flat', 'default' or parameters among history"),
        ("[prior]\nattenuatoin = [0, 1]", "found 'attenuatoin'"),
        ("[prior]\nattenuation = [1, 0]", "low <= high"),
        ("[prior.attenuation]\ndistribution = 'uniform'\nlow = 0", "expected ['high', 'low']"),
    ],
)
def test_parameters_that_are_wrong(folder, text, message):
    (folder / "p.toml").write_text(text)
    words = ("estimate", "-e", "sed_fit", *bands(), *RAW, "-o", "m.fits", "--parameters", "p.toml")
    assert message in run(*words, code=2)


def test_a_prior_by_a_file_and_by_options():
    from picasssso._cli.estimators import make_estimator
    from picasssso.sps import SEDPrior
    from picasssso.sps.distributions import TruncatedNormal

    given = {"estimator_name": "sed_fit", "parameters_file": None}
    for options, expected in (
        (["prior=flat"], SEDPrior.flat()),
        (["prior.attenuation=(0, 1)", "n_models=500"], SEDPrior(attenuation=(0, 1))),
        (["prior={'history': 'steps'}"], SEDPrior(history="steps")),
    ):
        assert make_estimator({**given, "options": options}).prior == expected
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "p.toml")
        path.write_text(
            "n_models = 700\n[prior]\nmetallicity = [0.004, 0.03]\n[prior.oldest_age]\n"
            "distribution = 'truncated_normal'\nlow = 1\nhigh = 13\nmean = 8\nsigma = 2\n"
        )
        estimator = make_estimator(
            {**given, "parameters_file": str(path), "options": ["prior.attenuation=(0, 1)"]}
        )
    assert estimator.n_models == 700
    oldest = TruncatedNormal(low=1, high=13, mean=8, sigma=2)
    expected = SEDPrior(metallicity=(0.004, 0.03), oldest_age=oldest, attenuation=(0, 1))
    assert estimator.prior == expected


# ---- apertures and regions -------------------------------------------------------------------

DS9 = "# Region file format: DS9\nfk5\n"


def totals(*words):
    """Return the mass that `estimate` prints."""
    output = run(*ESTIMATE, *bands(), *RAW, "--galactic-extinction-removed", "0", *words)
    found = re.search(r"stellar mass, total \(?([\d.]+) ± [\d.]+\)e\+(\d+)", output)
    return float(f"{found[1]}e{found[2]}"), output


def test_an_aperture_and_the_same_circle_of_ds9(folder):
    pytest.importorskip("regions")
    whole, _ = totals()
    found, output = totals("--aperture", "5 arcsec")
    assert "inside 5 arcsec of the nucleus:" in output
    maps = PropertyMaps.read("maps.fits")
    y, x = np.indices(SHAPE)
    inside = np.hypot(x - 31.5, y - 29.5) < 10
    expected = maps.total("stellar_mass", inside, "independent").value.value
    assert found == pytest.approx(expected, rel=0.02)
    assert found < 0.9 * whole
    (folder / "a.reg").write_text(DS9 + 'circle(185.0,12.0,5")\n')
    assert totals("--region", "a.reg")[0] == pytest.approx(found, rel=0.02)


def test_an_aperture_that_leaves_the_image_says_so(folder):
    _, output = totals("--aperture", "18 arcsec")
    y, x = np.indices((400, 400)) - 150.0
    circle = np.hypot(x - 31.5, y - 29.5) < 36
    beyond = circle & ((x < 0) | (y < 0) | (x >= SHAPE[1]) | (y >= SHAPE[0]))
    part = 100 * beyond.sum() / circle.sum()
    told = re.search(r"(\d+) % of this region is masked or outside the image", output)
    assert part > 1
    assert float(told[1]) == pytest.approx(part, abs=1.5)


def test_regions_of_ds9_that_are_several(folder):
    """A polygon, less a circle that is excluded; a box in image coordinates."""
    pytest.importorskip("regions")
    (folder / "a.reg").write_text(
        "# Region file format: DS9\nimage\npolygon(12.5,10.5,52.5,10.5,52.5,50.5,12.5,50.5)\n"
        "-circle(32.5,30.5,5)\n"
    )
    found, output = totals("--region", "a.reg")
    assert "inside the region of a.reg" in output
    y, x = np.indices(SHAPE)
    inside = (np.abs(x - 31.5) < 20) & (np.abs(y - 29.5) < 20) & (np.hypot(x - 31.5, y - 29.5) > 5)
    maps = PropertyMaps.read("maps.fits")
    expected = maps.total("stellar_mass", inside, "independent").value.value
    assert found == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "found no file"),
        ("", "no region in"),
        (DS9 + "circle(185.0,12.0", "cannot read|no region"),
        (DS9 + '-circle(185.0,12.0,5")\n', "no region in"),
        (DS9 + "polygon(10,1,10.1,1,10,1.1)\n", "none of the images' pixels"),
        (
            DS9 + 'circle(10.0,12.0,5")\n',
            "pixels, which lie around 185.0000 12.0000 (degrees), in",
        ),
        (DS9 + 'circle(185.1,12.0,5")\n', "inside a.reg, expected some"),
        (DS9 + "circle(185.0,12.0,nan)\n", "found 'nan' in 'circle(185.0,12.0,nan)'"),
        (DS9 + "point(185.0,12.0)\n", "found a point in a.reg"),
        ("# Region file format: DS9\nphysical\ncircle(32,30,5)\n", "'physical' in a.reg, which"),
        (DS9 + 'circle(185.0,12.0,5")\nphysical;circle(32,30,5)\n', "'physical' in a.reg, which"),
        (DS9 + "panda(185.0,12.0,0,360,4,0.001,0.01,1)\n", "'panda' in a.reg, which cannot"),
        ("# Region file format: DS9\ncircle(32,30,5)\n", "no system in a.reg, expected circles"),
        (DS9 + "line(185.0,12.0,185.1,12.0)\n", "found a line in a.reg"),
        # Of which the package regions reads the first alone, without a word.
        (DS9 + 'circle(185.0,12.0,5") circle(185.0,12.001,5")\n', "one region in a line"),
        (DS9 + 'circle(185.0,12.0,5")-circle(185.0,12.0,2")\n', "one region in a line"),
        (DS9 + 'circle 185.0 12.0 5" circle 185.0 12.001 5"\n', "one region in a line"),
        (DS9 + 'circle(185.0,12.0,5")\nimage circle(30,30,5)\n', "one region in a line"),
        (DS9 + 'circle(185.0,12.0,5",9")\n', "found 4 numbers in"),
        # Which it leaves out.
        (DS9 + 'circle(185.0,12.0,5")\ncircle(30i,30i,5i)\n', "cannot read a region in a.reg"),
    ],
)
def test_regions_that_cannot_be_used(folder, text, message):
    pytest.importorskip("regions")
    if text is not None:
        (folder / "a.reg").write_text(text)
    output = run(*ESTIMATE, *bands(), *RAW, "--region", "a.reg", code=1)
    assert any(words in output for words in message.split("|"))
    assert not (folder / "maps.fits").exists()


def test_regions_of_one_line_that_semicolons_separate(folder):
    pytest.importorskip("regions")
    text = "# text={a; circle} tag={b}"
    for content in (
        f'fk5;circle(185.0,12.0,5") {text};-circle(185.0,12.0,2")\n',
        f'fk5\ncircle(185.0,12.0,5") {text}\n-circle(185.0,12.0,2")\n',
    ):
        (folder / "a.reg").write_text(f"global color=green line=0 0\n{content}")
        found, _ = totals("--region", "a.reg")
        y, x = np.indices(SHAPE)
        radius = np.hypot(x - 31.5, y - 29.5)
        maps = PropertyMaps.read("maps.fits")
        inside = (radius > 4) & (radius < 10)
        expected = maps.total("stellar_mass", inside, "independent").value.value
        assert found == pytest.approx(expected, rel=0.03)


def test_prepare_keeps_what_is_inside(folder):
    images = prepared("--aperture", "5 arcsec")
    assert (~images["sdss2010-g"].mask).sum() == pytest.approx(np.pi * 100, rel=0.05)


# ---- survey ----------------------------------------------------------------------------------


def test_survey_says_the_same_of_its_files(folder, monkeypatch):
    pytest.importorskip("distributed")
    seen = {}
    monkeypatch.setattr("picasssso.surveys.run", lambda *a, **k: seen.update(k) or click.Abort)
    words = ("survey", "c.ecsv", "-e", "mass_to_light", "-o", "run", "--images",
             "{id}_{band}.fits", "-b", "g", "-b", "i", "--survey", "sdss", "--no-prepare",
             "--page", "0", "-q",
             "--zero-point", "g=22.5", "--zero-point", "i=22.6", "--unit", "adu", "--mask", "DQ",
             "--mask-bits", "8", "--psf", "median", "--pixel-scale", "0.5 arcsec", "--ebv", "0.1",
             "--ebv-scale", "SF11", "--aperture", "3 arcsec",
             "--option", "max_radius=4")  # fmt: skip
    CliRunner().invoke(cli, list(words))
    options = seen["options"]
    assert options["zero_point"] == {"g": 22.5 * u.ABmag, "i": 22.6 * u.ABmag}
    assert (options["file_mask"], options["mask_bits"]) == ("DQ", 8)
    assert options["psf"] == {"g": 1.43 * u.arcsec, "i": 1.25 * u.arcsec}
    assert options["pixel_scale"] == 0.5 * u.arcsec
    assert (options["ebv"], options["ebv_scale"], options["survey"]) == (0.1, "SF11", "sdss")
    assert seen["aperture"] == 3 * u.arcsec


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--images", "{id}.fits", "--aperture", "3 arcsec", "--region", "a.reg"], "not both"),
        (["--mosaic", "--psf", "1 arcsec", "--band", "g", "--no-maps"],
         "omit --band, --psf, --no-maps"),
        (["--mosaic", "--aperture", "5 kpc"], "omit --aperture"),
    ],
)  # fmt: skip
def test_survey_ignores_no_option(folder, words, message):
    start = ("survey", "c.ecsv", "-e", "mass_to_light", "-o", "run")
    assert message in run(*start, *words, code=2)


def test_the_law_goes_with_the_scale_of_a_catalog(folder, monkeypatch):
    pytest.importorskip("distributed")
    seen = {}
    monkeypatch.setattr("picasssso.surveys.run", lambda *a, **k: seen.update(k) or click.Abort)
    words = ["survey", "c.ecsv", "-e", "mass_to_light", "-o", "run", "--images", "{id}.fits",
             "--ebv-scale", "SFD98", "--law", "M14"]  # fmt: skip
    CliRunner().invoke(cli, words)
    assert (seen["ebv_scale"], seen["options"]["law"]) == ("SFD98", "M14")


def test_a_survey_uses_masks_of_files_and_ebv(folder):
    from astropy.table import Table

    from picasssso import MassToLightEstimator
    from picasssso.surveys.catalogs import read_catalog
    from picasssso.surveys.galaxies import READ_ONLY, GalaxyWork
    from picasssso.surveys.image_sources import FilePatterns

    Table({"id": ["a"], "redshift": [0.03]}).write("c.ecsv")
    catalog = read_catalog("c.ecsv")
    pattern = FilePatterns({"sdss2010-g": "g_plain.fits[0]", "sdss2010-i": "i_plain.fits"}, None)
    about = {"zero_point": 22.5 * u.ABmag, "pixel_scale": 0.5 * u.arcsec, "file_mask": "DQ",
             "mask_bits": 8, "ebv": 0.1, "ebv_scale": "SF11"}  # fmt: skip
    work = GalaxyWork(MassToLightEstimator(), folder, {**READ_ONLY, **about}, 3 * u.arcsec)
    images, _ = work._prepare(pattern.locate(catalog[0]))
    assert images["sdss2010-g"].mask.sum() == 1
    assert images.galactic_extinction.applied


# ---- advice ----------------------------------------------------------------------------------


ADVICE = "give zero_point=30 * u.ABmag, or images.with_estimated_noise(), or psf=..."


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("estimate", "give --zero-point 30, or --estimate-noise, or --psf"),
        ("prepare", "give --zero-point 30, or images.with_estimated_noise(), or --psf"),
        ("report", "give --zero-point 30, or images.with_estimated_noise(), or psf=..."),
        ("demo", ADVICE),
    ],
)
def test_advice_names_only_options_that_the_command_has(name, expected):
    assert with_options(ADVICE, cli.get_command(None, name)) == expected


@pytest.mark.parametrize(
    ("name", "message", "expected"),
    [
        ("prepare", "Give psf={band: 1.2 * u.arcsec}.",
         "Give --psf median, the typical seeing of the survey, or --psf BAND='1.2 arcsec'."),
        ("estimate", "Say it: BandImages.read({'sdss2010-r': path}, ...).",
         "Say it: --band sdss2010-r=FILE."),
        ("estimate", "Name it: BandImages.read({band: 'x.fits[HDU]'}, ...).",
         "Name it: --band BAND='x.fits[HDU]'."),
        ("estimate", "expected unit='nmgy', or zero_point=, such as 30 * u.ABmag",
         "expected --unit nmgy, or --zero-point, such as 30"),
        ("sed", "give it, images.replace(luminosity_distance=20 * u.Mpc).",
         "give it, --luminosity-distance '20 Mpc'."),
        ("estimate", "align them: picasssso.bands.align(images, onto='sdss2010-g', redshift=...).",
         "align them: --prepare."),
        ("prepare", "Leave out target= to use the broadest.",
         "Leave out --match to use the broadest."),
        ("estimate", "choose color=('g', 'i'), or relation='sps'.",
         "choose --option \"color=('g', 'i')\", or --option relation=sps."),
        ("survey", "a column, columns={'size': 'NAME [arcsec]'}.",
         "a column, --column 'size=NAME [arcsec]'."),
        ("survey", "psf= was '1.3 arcsec'", "--psf was '1.3 arcsec'"),
        ("estimate", "Leave these bands out: images.select([...]).", "Leave out their --band."),
        ("survey", "options= holds ebv=0.1, and the catalog", "Found --ebv 0.1, and the catalog"),
        ("prepare", "correct_extinction: found ebv=0.1 without scale=, expected",
         "Found --ebv 0.1 without --ebv-scale, expected"),
        ("prepare", "pixel_scale: found 1.0 arcsec", "--pixel-scale: found 1.0 arcsec"),
        ("prepare", "expected one. Use images.with_estimated_noise().",
         "expected one. Leave out --keep-noise."),
    ],
)  # fmt: skip
def test_advice_is_given_in_options(name, message, expected):
    assert with_options(message, cli.get_command(None, name)) == expected


#: What only Python has: arguments, calls, units.
PYTHON = re.compile(r"(?<![-'\w])[a-z][a-z_]*=(?!FILE)|\bu\.[a-z]|images\.|\w\(\)|\.\.\.[,)]")


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["-b", "g=g_plain.fits"], "the full name such as 'sdss2010-g'"),
        (["g_plain.fits"], "--band sdss2010-r=FILE"),
        (["-b", "sdss2010-g=g_plain.fits", "--pixel-scale", "0.5 arcsec"], "--unit nmgy"),
        (["-b", "sdss2010-g=g_plain.fits", "--zero-point", "30"], "--pixel-scale '0.263 arcsec'"),
        (["-b", "sdss2010-g=g_bare.fits", "-b", "sdss2010-i=i_bare.fits", "--unit", "nmgy"],
         "--estimate-noise"),
        (["-b", "sdss2010-g=g_bare.fits", "-b", "sdss2010-i=i_bare.fits", "--unit", "nmgy",
          "--estimate-noise", "--gain", "4"], "--galactic-extinction-removed"),
    ],
)  # fmt: skip
def test_the_command_speaks_no_python(folder, words, wanted):
    for band in "gi":
        with fits.open(f"{band}.fits") as hdus:
            hdus[0].writeto(f"{band}_bare.fits")
    result = CliRunner().invoke(
        cli, ["estimate", *words, "-z", "0.03", "-e", "sed_fit", "--option", "n_models=200",
              "-o", "maps.fits"])  # fmt: skip
    told = result.output
    assert wanted in told
    assert not PYTHON.search(told), PYTHON.findall(told)


@pytest.mark.parametrize("command", ["report", "compare", "cube"])
def test_no_command_writes_over_its_input(tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    for name in ("a.fits", "b.fits"):
        (tmp_path / name).write_bytes(b"what was there")
    arguments = {
        "report": ["a.fits", "-o", "a.fits"],
        "compare": ["a.fits", "b.fits", "-o", "b.fits"],
        "cube": ["a.fits", "-z", "0.05", "-b", "sdss2010-r", "-o", "a.fits"],
    }[command]
    result = CliRunner().invoke(cli, [command, *arguments, "--overwrite"])
    assert result.exit_code == 2
    assert "already the name of an input" in result.output
    assert (tmp_path / "b.fits").read_bytes() == b"what was there"
    assert (tmp_path / "a.fits").read_bytes() == b"what was there"


def test_headers_full_of_what_is_no_fits_make_two_lines(capsys):
    with short_warnings():
        for card in range(30):
            warnings.warn(f"card {card} is no card", VerifyWarning, stacklevel=1)
        warnings.warn("one of our own", PicassssoWarning, stacklevel=1)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "Warning: card 0 is no card"
    assert lines[1].startswith("Warning: More of the headers")
    assert lines[2:] == ["Warning: one of our own"]
