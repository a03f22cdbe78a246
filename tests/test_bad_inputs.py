"""Bad inputs, through Python and through the command: none is silent, none is long.

Each error says what was found, what was expected and what to do, in at most 600 characters and six
lines of 80, and on the command line names only options that the command has.
"""

import re
import textwrap

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from click.testing import CliRunner
from survey_layouts import tangent_wcs

from picasssso import BandImages, GalacticExtinction
from picasssso.cli import cli
from picasssso.exceptions import PicassssoError
from picasssso.filters import read_filter
from picasssso.preparation import prepare

SHAPE = (24, 26)
BANDS = ("sdss2010-g", "sdss2010-i")


def write(name, *, data=None, wcs=True, unit="nmgy", noise=0.01, more=(), **cards):
    """Write one band as a plain FITS file with its standard deviations."""
    y, x = np.indices(SHAPE)
    if data is None:
        rng = np.random.default_rng(1)
        data = np.exp(-np.hypot(y - 12, x - 13) / 2) + rng.normal(0, 0.01, SHAPE)
    header = tangent_wcs(np.shape(data)[-2:], 0.4).to_header() if wcs else fits.Header()
    if unit is not None:
        header["BUNIT"] = unit
    header.update({key: value for key, value in cards.items() if value is not None})
    for key in [key for key, value in cards.items() if value is None]:
        header.remove(key, ignore_missing=True)
    planes = [fits.PrimaryHDU(np.asarray(data, np.float32), header), *more]
    if noise is not None:
        planes.append(fits.ImageHDU(np.full(SHAPE, noise, np.float32), name="ERR"))
    fits.HDUList(planes).writeto(name)


def plane(value, name, dtype=np.float32):
    array = np.full(SHAPE, value) if np.ndim(value) == 0 else np.asarray(value)
    return fits.ImageHDU(array.astype(dtype), name=name)


def text(name, content):
    with open(name, "w") as stream:
        stream.write(content)


def cut():
    write("whole.fits")
    with open("whole.fits", "rb") as stream:
        content = stream.read()
    with open("b.fits", "wb") as stream:
        stream.write(content[: len(content) * 2 // 3])


def card(key, old, new):
    """Write a file and change a card's text, as no library would."""
    write("b.fits")
    with open("b.fits", "rb+") as stream:
        content = stream.read()
        at = content.index(key)
        stream.seek(at)
        stream.write(content[at : at + 80].replace(old, new))


def table():
    column = fits.Column("a", "E", array=[1.0])
    fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns([column])]).writeto("b.fits")


Z = {"redshift": 0.05}
AB = u.ABmag
#: What is wrong: how b.fits is made, arguments of `BandImages.read` beside {g: b.fits, i: i.fits},
#: the same as options (None: no such thing there), words of the message.
READ = {
    # files
    "no file": (None, {}, [], "found no file"),
    "a folder": (lambda: __import__("os").mkdir("b.fits"), {}, [], "folder"),
    "an empty file": (lambda: text("b.fits", ""), {}, [], "b.fits"),
    "a page of the web": (lambda: text("b.fits", "<html>404</html>"), {}, [], "FITS"),
    "cut short": (cut, {}, [], "b.fits"),
    "a table": (table, {}, [], "no image"),
    "a cube": (
        lambda: write("b.fits", data=np.ones((3, *SHAPE)), noise=None), {}, [], "from_cube"),
    "two images": (lambda: write("b.fits", more=[plane(1, "A"), plane(1, "B")]), {}, [], "[HDU]"),
    # headers
    "NAXIS2 = -24": (lambda: card(b"NAXIS2  ", b"  24", b" -24"), {}, [], "b.fits"),
    "BITPIX = 7": (lambda: card(b"BITPIX  ", b"-32", b"  7"), {}, [], "b.fits"),
    "no celestial axes": (lambda: write("b.fits", wcs=False), {}, [], "WCS"),
    "a WCS of no kind": (lambda: write("b.fits", CTYPE1="RA---XYZ"), {}, [], "WCS"),
    "a singular WCS": (lambda: write("b.fits", CDELT1=0.0), {}, [], "WCS"),
    "another field": (lambda: write("b.fits", CRVAL1=150.1), {}, [], "pixels"),
    "another size": (lambda: write("b.fits", data=np.ones((24, 25)), noise=None), {}, [], "25"),
    "an unknown format": ("good", {"format": "klingon"}, ["--format", "klingon"], "installed are"),
    "a format that it has not": ("good", {"format": "sdss"}, ["--format", "sdss"], "found"),
    # pixels
    "only NaN": (lambda: write("b.fits", data=np.full(SHAPE, np.nan)), {}, [], "sdss2010-g"),
    # units
    "no unit": (lambda: write("b.fits", unit=None), {}, [], "BUNIT"),
    "no such unit": (lambda: write("b.fits", unit="furlong/s"), {}, [], "furlong"),
    "a unit of length": (lambda: write("b.fits", unit="m"), {}, [], "'m'"),
    "magnitudes": (lambda: write("b.fits", unit="mag"), {}, [], "mag"),
    "a unit that is none": ("good", {"unit": "bright"}, ["--unit", "bright"], "bright"),
    # zero points
    "counts alone": (lambda: write("b.fits", unit="adu"), {}, [], "zero point"),
    "counts in an unknown system": (
        lambda: write("b.fits", unit="adu", MAGZPT=25.0), {}, [], "MAGZPT = 25.0"),
    "a zero point that stands for none": (
        lambda: write("b.fits", unit="adu", ZP_AB=-99.0), {}, [], "ZP_AB = -99.0"),
    "a zero point that is true": (
        lambda: write("b.fits", unit="adu", ZP_AB=True), {}, [], "ZP_AB = True"),
    "megajansky or millijansky": (lambda: write("b.fits", unit="MJY"), {}, [], "mJy or MJy"),
    "a zero point without unit": ("good", {"zero_point": 25}, None, "u.ABmag"),
    "a zero point in words": (
        "good", {"zero_point": "bright"}, ["--zero-point", "bright"], "bright"),
    "a zero point of fluxes": (
        "good", {"zero_point": 25 * AB}, ["--zero-point", "25"], "zero point"),
    "a zero point of no band": (
        "good", {"zero_point": {"sdss2010-r": 25 * AB}}, ["--zero-point", "sdss2010-r=25"],
        "sdss2010-r"),
    # redshift and distance
    "no redshift": ("good", {"redshift": None}, None, "redshift"),
    "a redshift in words": ("good", {"redshift": "near"}, ["-z", "near"], "near"),
    "a redshift below zero": ("good", {"redshift": -0.1}, ["-z", "-0.1"], "-0.1"),
    "a redshift of NaN": ("good", {"redshift": np.nan}, ["-z", "nan"], "nan"),
    "a distance without unit": (
        "good", {"luminosity_distance": 80}, ["--luminosity-distance", "80"], "80"),
    "a distance in seconds": (
        "good", {"luminosity_distance": 8 * u.s}, ["--luminosity-distance", "8 s"], "s"),
    # noise
    "no such weight": ("good", {"weight": "WGT"}, ["--weight", "WGT"], "WGT"),
    "noise of two kinds": (
        "good", {"variance": "ERR", "uncertainty": "ERR"},
        ["--variance", "ERR", "--uncertainty", "ERR"], "only one"),
    "noise below zero": (lambda: write("b.fits", noise=-1), {}, [], "no pixel"),
    "noise of another size": (
        lambda: write("b.fits", noise=None, more=[plane(np.ones((3, 4)), "ERR")]), {}, [],
        "shape (3, 4)"),
    "noise by number": ("good", {"uncertainty": 0.1}, None, "0.1"),
    "noise in another kind of unit": (
        lambda: write("b.fits", noise=None,
                      more=[fits.ImageHDU(np.ones(SHAPE, np.float32),
                                          fits.Header({"BUNIT": "MJy/sr"}), name="ERR")]),
        {}, [], "solid angle"),
    # masks
    "no such mask": ("good", {"mask": "DQ"}, ["--mask", "DQ"], "DQ"),
    "a mask of fractions": (
        lambda: write("b.fits", more=[plane(0.5, "DQ")]), {}, [], "fractions"),
    "bits of a mask of fractions": (
        lambda: (write("b.fits"), write("m.fits", noise=None)),
        {"mask": {"sdss2010-g": "m.fits"}, "mask_bits": 4},
        ["--mask", "sdss2010-g=m.fits", "--mask-bits", "4"], "integers"),
    "bits of no mask": ("good", {"mask_bits": 4}, ["--mask-bits", "4"], "no bit mask"),
    "bits in words": ("good", {"mask_bits": "4"}, None, "whole number"),
    "a mask of all": (
        lambda: write("b.fits", more=[plane(1, "DQ", np.int16)]), {}, [], "sdss2010-g"),
    "a mask of another size": (
        lambda: write("b.fits", more=[plane(np.ones((3, 4)), "DQ", np.int16)]), {}, [],
        "shape (3, 4)"),
    # PSF, pixels
    "a PSF in pixels": ("good", {"psf": 3 * u.pix}, ["--psf", "3 pix"], "pix"),
    "a PSF below zero": ("good", {"psf": -1 * u.arcsec}, ["--psf", "-1 arcsec"], "-1"),
    "a PSF of no width": ("good", {"psf": 0 * u.arcsec}, ["--psf", "0 arcsec"], "0"),
    "a PSF without unit": ("good", {"psf": 1.2}, ["--psf", "1.2"], "1.2"),
    "a PSF with three axes": ("good", {"psf": np.ones((1, 25, 25))}, None, "(1, 25, 25)"),
    "a PSF that sums to zero": ("good", {"psf": np.zeros((5, 5))}, None, "sum"),
    "a pixel scale in kpc": (
        "good", {"pixel_scale": 1 * u.kpc}, ["--pixel-scale", "1 kpc"], "kpc"),
    # dust
    "extinction below zero": (
        "good", None, ["--galactic-extinction-removed", "-0.1"], "-0.1"),
    "extinction twice": (
        "good", None, ["--ebv", "0.1", "--galactic-extinction-removed", "0.1"], "one of them"),
    "extinction of no scale": ("good", None, ["--ebv", "0.1"], "SFD98"),
    # options
    "no estimator of the name": ("good", None, ["-e", "oracle"], "mass_to_light"),
    "no parameter of the name": ("good", None, ["--option", "tint=1"], "relation"),
    "a position in words": ("good", None, ["--position", "north"], "RA DEC"),
    "an aperture in kelvin": ("good", None, ["--aperture", "5 K"], "10 kpc"),
    "an output that is an input": ("good", None, ["-o", "i.fits", "--overwrite"], "i.fits"),
    "an output nowhere": ("good", None, ["-o", "nowhere/maps.fits"], "nowhere"),
    "a picture of no kind": ("good", None, ["--plot", "a.docx"], "png"),
}  # fmt: skip


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write("i.fits")


def check_message(message, words, case):
    message = " ".join(message.split())
    assert words.lower() in message.lower(), message
    assert len(message) < 600, message
    assert len(textwrap.wrap(message, 80)) <= 6 + (len(message) > 480), message
    advice = (
        "expected|give|say|check|name|use|download|there are|choose|correct|pass|make it|leave|"
        "is already|installed are"
    )
    assert re.search(advice, message, re.IGNORECASE), message
    return message


def make(how):
    if how == "good":
        write("b.fits")
    elif how is not None:
        how()


@pytest.mark.filterwarnings("ignore::astropy.utils.exceptions.AstropyWarning")
@pytest.mark.parametrize("case", [name for name in READ if READ[name][1] is not None])
def test_python(case):
    how, arguments, _, words = READ[case]
    make(how)
    with pytest.raises(PicassssoError) as caught:
        BandImages.read({BANDS[0]: "b.fits", BANDS[1]: "i.fits"}, **{**Z, **arguments})
    check_message(str(caught.value), words, case)


#: What `prepare` does not mind: it brings bands onto one grid.
MENDED = ("another size",)


def options_of(command):
    return {option for parameter in cli.get_command(None, command).params
            for option in (*parameter.opts, *parameter.secondary_opts)}  # fmt: skip


@pytest.mark.filterwarnings("ignore::astropy.utils.exceptions.AstropyWarning")
@pytest.mark.parametrize("command", ["estimate", "prepare"])
@pytest.mark.parametrize("case", [name for name in READ if READ[name][2] is not None])
def test_command(case, command):
    how, _, options, words = READ[case]
    has = options_of(command)
    if not {option for option in options if re.match("-[-a-z]", option)} <= has:
        return
    if command == "prepare" and case in MENDED:
        return
    make(how)
    line = [command, "-b", f"{BANDS[0]}=b.fits", "-b", f"{BANDS[1]}=i.fits"]
    for name, value in (("-z", "0.05"), ("-e", "mass_to_light"), ("-o", "maps.fits")):
        line += [] if name in options or name not in has else [name, value]
    result = CliRunner().invoke(cli, [*line, *options], prog_name="picasssso")
    output = result.output.partition("Error:")[2]
    assert result.exit_code in (1, 2), result.output
    assert "not an error that picasssso expected" not in output
    message = check_message(output, words, case)
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", message)) <= has | {"--help"}, message
    assert not __import__("os").path.exists("maps.fits")


#: Other doors: what is wrong, what is called, words of the message.
OTHER = {
    "a position off the image": (
        lambda i: prepare(i, position=(99, 5)), "expected one inside"),
    "a position on the other side of the sky": (
        lambda i: prepare(i, position=__import__("astropy.coordinates").coordinates.SkyCoord(
            10 * u.deg, -40 * u.deg)), "position"),
    "a sky of no kind": (lambda i: prepare(i, sky="blue"), "background2d"),
    "a PSF to match that is no band": (lambda i: prepare(i, match="sdss2010-z"), "sdss2010-z"),
    "extinction of no scale": (lambda i: prepare(i, ebv=0.1), "SFD98"),
    "extinction of no law": (
        lambda i: prepare(i, ebv=0.1, ebv_scale="SF11", law="Z99"), "Z99"),
    "E(B-V) below zero": (lambda i: GalacticExtinction(-1, scale="SF11", applied=True), "-1"),
    "a band that is not there": (lambda i: i["sdss2010-r"], "sdss2010-r"),
    "a filter of a file that is none": (
        lambda i: read_filter("i.fits", "my-g", unit="nm", response="photon"), "table"),
    "a filter of no unit": (
        lambda i: (text("f.txt", "1 0\n2 1\n3 0\n"), read_filter("f.txt", "my-g")), "unit="),
    "a filter that does not ascend": (
        lambda i: (text("f.txt", "1 0\n3 1\n2 0\n"),
                   read_filter("f.txt", "my-g", unit="um", response="photon")), "ascend"),
    "maps of nothing": (lambda i: __import__("picasssso").PropertyMaps.read("i.fits"), "i.fits"),
}  # fmt: skip


@pytest.mark.parametrize("case", OTHER)
def test_other_doors(case):
    write("g.fits")
    files = {BANDS[0]: "g.fits", BANDS[1]: "i.fits"}
    images = BandImages.read(files, psf=1.2 * u.arcsec, **Z)
    call, words = OTHER[case]
    with pytest.raises(PicassssoError) as caught:
        call(images)
    check_message(str(caught.value), words, case)


def test_there_are_at_least_sixty():
    doors = [case for case, (_, python, command, _) in READ.items() if python is not None]
    assert len(READ) + len(OTHER) >= 60
    assert len(doors) >= 40
