"""``picasssso prepare``, and ``picasssso estimate`` with a survey's files."""

import numpy as np
import pytest
import survey_layouts as layouts
from click.testing import CliRunner

from picasssso.bands import BandImages
from picasssso.cli import cli
from picasssso.maps import PropertyMaps

from .conftest import make_field

NO_DUST = ("--galactic-extinction-removed", "0")


@pytest.fixture
def run(monkeypatch, tmp_path, files):
    """Return a function that runs the command in a folder with three DES coadds."""
    for path in files:
        (tmp_path / path.name).symlink_to(path)
    monkeypatch.chdir(tmp_path)

    def invoke(*arguments, code=0):
        result = CliRunner().invoke(cli, [str(a) for a in arguments])
        assert result.exit_code == code, result.output
        return result.output

    return invoke


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli")
    images, _ = make_field((190, 190), n_stars=8)
    return [
        layouts.des_coadd(
            folder / f"{letter}.fits", letter, image.data + 0.05, image.wcs, sigma=0.02
        )
        for letter, image in ((b, images[f"sdss2010-{b}"]) for b in "gri")
    ]


DES = ("g.fits", "r.fits", "i.fits")


def test_prepare_then_estimate(run):
    out = run("prepare", *DES, "-z", "0.03", "-o", "bands.fits", "--ebv", "0.02",
              "--ebv-scale", "SFD98", "--cutout", "3", "--match", "2 arcsec")  # fmt: skip
    for word in ("background", "psf matching", "extinction", "cutout", "Written: bands.fits"):
        assert word in out
    images = BandImages.read("bands.fits")
    assert images.galactic_extinction.applied
    assert images.shape[0] < 150
    run("estimate", "bands.fits", "-e", "mass_to_light", "-o", "maps.fits")
    assert "stellar_mass" in PropertyMaps.read("maps.fits")


def test_estimate_prepares_raw_files(run):
    run("prepare", *DES, "-z", "0.03", "-o", "bands.fits", "-q")
    run("estimate", "bands.fits", "-e", "mass_to_light", "-o", "two.fits", *NO_DUST)
    out = run("estimate", *DES, "-z", "0.03", "-e", "mass_to_light", "-o", "one.fits", *NO_DUST)
    # What was done to the noise, and how much of the target is masked.
    for words in ("measured over stated", "applied factor", "target area masked"):
        assert words in out
    one, two = (PropertyMaps.read(name)["stellar_mass"].data for name in ("one.fits", "two.fits"))
    np.testing.assert_array_equal(one, two)
    run("estimate", *DES, "-z", "0.03", "-e", "mass_to_light", "-o", "raw.fits", "--no-prepare",
        *NO_DUST)  # fmt: skip
    assert not np.array_equal(PropertyMaps.read("raw.fits")["stellar_mass"].data, one)


def test_other_options(run):
    out = run(
        "prepare", *DES, "-z", "0.03", "-o", "b.fits", "--sky", "median", "--keep-noise",
        "--psf", "decam2014-g=1.7 arcsec", "--psf", "decam2014-r=1.3 arcsec",
        "--psf", "decam2014-i=1.1 arcsec", "--match", "decam2014-g", "--no-mask",
        "--position", "150.0 2.0",
    )  # fmt: skip
    assert "noise" not in out
    assert "mask  " not in out
    images = BandImages.read("b.fits")
    assert images.psf_fwhm("decam2014-i").value == pytest.approx(1.7, rel=0.03)
    none = run("prepare", *DES, "-z", "0.03", "-o", "c.fits", "--match", "none", "--sky", "none")
    assert "psf" not in none
    assert "background" not in none


def test_files_whose_band_is_given(run, tmp_path):
    images, _ = make_field((120, 120), n_stars=0)
    for letter in "gr":
        image = images[f"sdss2010-{letter}"]
        layouts.gama_image(tmp_path / f"gama_{letter}.fits", image.data, image.wcs)
    run("prepare", "-b", "sdss2010-g=gama_g.fits", "-b", "sdss2010-r=gama_r.fits", "-z", "0.1",
        "-o", "bands.fits", "--zero-point", "30", "--psf", "1.2 arcsec")  # fmt: skip
    assert BandImages.read("bands.fits").missing_uncertainty == ()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "--band BAND=FILE"),
        ((*DES, "-b", "sdss2010-g=g.fits"), "not both"),
        ((*DES, "--position", "nowhere"), "not a position"),
        ((*DES, "--ebv", "much"), "dustmaps"),
        ((*DES, "-o", "g.fits"), "name of an input"),
    ],
)
def test_wrong_use(run, arguments, words):
    base = () if "-o" in arguments else ("-o", "bands.fits")
    assert words in run("prepare", *arguments, "-z", "0.03", *base, code=2)


def test_what_fails(run):
    assert "14 %" in run("prepare", *DES, "-z", "0.03", "-o", "b.fits", "--ebv", "0.1", code=1)
    assert "found no file" in run("prepare", "no.fits", "-z", "0.03", "-o", "b.fits", code=1)
    assert "redshift" in run("estimate", *DES, "-e", "mass_to_light", "-o", "m.fits", code=2)
    run("estimate", "g.fits", "-e", "mass_to_light", "-o", "m.fits", code=1)


def test_info_names_the_layout(run):
    out = run("info", "g.fits")
    assert "Recognized as DES (DECam) coadd" in out
    assert "picasssso prepare g.fits -z Z -o bands.fits" in out


def test_unknown_psfs_are_told_where_the_answer_is(run, tmp_path):
    images, _ = make_field((100, 100), n_stars=0)
    names = [tmp_path / f"small_{letter}.fits" for letter in "gri"]
    for letter, name in zip("gri", names, strict=True):
        image = images[f"sdss2010-{letter}"]
        layouts.des_coadd(name, letter, image.data, image.wcs, sigma=0.02)
    steps = (*names, "-z", "0.03", *NO_DUST, "-o")
    told = run("prepare", *steps, "b.fits")
    assert "--psf median" in told
    assert "--psf BAND='1.2 arcsec'" in told
    assert "psf={" not in told
    found = run("estimate", "b.fits", "-e", "mass_to_light", "-o", "m.fits")
    assert "the PSF of decam2014-g, decam2014-r, decam2014-i is unknown" in found
    run("prepare", *steps, "c.fits", "--psf", "median")
    found = run("estimate", "c.fits", "-e", "mass_to_light", "-o", "n.fits")
    assert "PSF" not in found
    widths = {"g": 1.7, "r": 1.3, "i": 1.1}
    psfs = [w for b, v in widths.items() for w in ("--psf", f"decam2014-{b}={v} arcsec")]
    run("prepare", *steps, "d.fits", *psfs, "--match", "none")
    found = run("estimate", "d.fits", "-e", "mass_to_light", "-o", "o.fits")
    assert "not matched, 1.1 to 1.7 arcsec (PSF_MISMATCH)" in found
