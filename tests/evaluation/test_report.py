"""The page about a run: complete, self-contained, and seen in a browser."""

import re
import shutil
import subprocess
from html.parser import HTMLParser

import numpy as np
import pytest
from browser import open_browser
from click.testing import CliRunner

from picasssso import MassToLightEstimator
from picasssso.cli import cli
from picasssso.data import load_example
from picasssso.evaluation.report import write_report
from picasssso.exceptions import FileFormatError, InvalidInputError
from picasssso.maps import PropertyMaps
from picasssso.maps.arrays import PropertyArrays

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


class Page(HTMLParser):
    """Collects headings, pictures, text and whatever would be loaded from elsewhere."""

    def __init__(self, text):
        super().__init__()
        self.pictures, self.outside, self.words, self.open = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        if tag not in ("meta", "img", "br", "link", "hr"):
            self.open.append(tag)
        if tag == "img":
            self.pictures.append(attributes)
        for key in ("src", "href", "srcset"):
            value = attributes.get(key)
            if value and not value.startswith("data:"):
                self.outside.append(value)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def example():
    """Images, truth and maps of the example galaxy."""
    images, truth = load_example()
    return images, truth, MassToLightEstimator().estimate(images)


@pytest.fixture(scope="module")
def report(example, tmp_path_factory):
    """A report with everything."""
    images, truth, maps = example
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(maps, path, truth=truth, images=images, title="A <test> & more")
    return path


def test_the_page_is_whole_and_needs_nothing_else(report):
    text = report.read_text(encoding="utf-8")
    page = Page(text)
    assert not page.open  # every element is closed
    assert not page.outside
    assert "@import" not in text
    assert "<script" not in text
    assert len(page.pictures) == 4  # galaxy, map, profiles, flags
    for picture in page.pictures:
        assert picture["alt"]
        assert picture["src"].startswith("data:image/png;base64,")
    assert "A &lt;test&gt; &amp; more" in text
    headings = ("Totals", "Maps", "Radial profiles", "Agreement with the truth", "Quality")
    for words in (*headings, "How it was made", "MassToLightEstimator", "taylor2011", "z = 0.03"):
        assert words.replace("z =", "redshift") in page.text


def test_its_numbers_are_those_of_the_maps(example, report):
    _, truth, maps = example
    page = Page(report.read_text(encoding="utf-8"))
    total = maps.total("stellar_mass", correlation="independent")
    shown = str(total).replace("+/-", "±").replace("solMass", "M☉")
    assert shown in page.text
    known = truth.total("stellar_mass", region=~maps.masks["stellar_mass"],
                        correlation="independent")  # fmt: skip
    assert f"{known.value.value:.4g}" in page.text
    assert f"{np.log10(float(total.value / known.value)):+.3f} dex" in page.text
    flagged = int((maps.quality & 64 != 0).sum())
    assert re.search(rf"PSF_MISMATCH .* {flagged} ", page.text)


def test_without_truth_and_images_it_is_shorter(example, tmp_path):
    write_report(example[2], tmp_path / "a.html")
    page = Page((tmp_path / "a.html").read_text(encoding="utf-8"))
    assert len(page.pictures) == 3
    assert "Agreement" not in page.text


def test_maps_of_which_little_can_be_said(tmp_path):
    import astropy.units as u

    age = np.full((6, 7), np.nan)
    age[2:4, 2:5] = 4.0
    maps = PropertyMaps(
        {"stellar_age": PropertyArrays(np.stack([age] * 5))},
        quality=np.where(np.isnan(age), 1, 0),
        pixel_solid_angle=0.2 * u.arcsec**2,
    )
    write_report(maps, tmp_path / "a.html")
    page = Page((tmp_path / "a.html").read_text(encoding="utf-8"))
    assert "86 % of the pixels have no estimate" in page.text
    assert "no surface density to find the galaxy in" in page.text
    assert "weighted by 'stellar_mass', of which there is no map" in page.text


def test_profiles_of_maps_with_large_errors_reach_over_the_galaxy(tmp_path):
    import astropy.units as u

    from picasssso.evaluation.apertures import common_ellipse

    y, x = np.mgrid[:61, :61] - 30.0
    mass = 1e8 * np.exp(-np.hypot(x, y / 0.5) / 6)
    steps = np.array([0.02, 0.3, 1.0, 1.9, 3.0])[:, None, None]
    maps = PropertyMaps(
        {"stellar_mass": PropertyArrays(steps * mass, mass)},
        quality=None,
        pixel_solid_angle=0.25 * u.arcsec**2,
    )
    found = common_ellipse(maps)
    # Three half-mass radii of 0.5"/pixel; the major axis lies along x, that is east-west.
    assert 10 < found["edges"][-1].value < 25
    assert found["axis_ratio"] == pytest.approx(0.5, abs=0.05)
    assert found["position_angle"].value == pytest.approx(90, abs=1)


def test_what_does_not_fit_is_refused(example, report):
    images, truth, maps = example
    with pytest.raises(FileFormatError, match="the file exists"):
        write_report(maps, report)
    with pytest.raises(InvalidInputError, match="same pixels"):
        write_report(maps, report, truth=truth[:20, :20], overwrite=True)
    with pytest.raises(InvalidInputError, match="images have shape"):
        write_report(maps, report, images=images[:20, :20], overwrite=True)


def test_the_command(example, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    images, truth, maps = example
    maps.write("maps.fits")
    truth.write("truth.fits")
    images.write("images.fits")
    run = CliRunner().invoke
    result = run(cli, ["report", "maps.fits", "--truth", "truth.fits", "--images", "images.fits",
                       "-o", "report.html"])  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "Written: report.html" in result.output
    assert len(Page((tmp_path / "report.html").read_text()).pictures) == 4
    assert run(cli, ["report", "maps.fits", "-o", "report.html"]).exit_code == 1
    assert run(cli, ["report", "none.fits", "-o", "new.html"]).exit_code == 1
    result = run(cli, ["report", "maps.fits", "-o", "new.html", "--zero-point", "30"])
    assert result.exit_code == 2
    result = run(cli, ["report", "maps.fits", "-o", "new.html", "--images", "images.fits",
                       "-b", "sdss2010-g=g.fits"])  # fmt: skip
    assert result.exit_code == 2


def test_bands_one_by_one(example, tmp_path, monkeypatch):
    from astropy.io import fits

    monkeypatch.chdir(tmp_path)
    images, _, maps = example
    maps.write("maps.fits")
    options = []
    for band in ("sdss2010-g", "sdss2010-i"):
        image = images[band]
        header = image.wcs.to_header()
        header["BUNIT"] = "nmgy"
        fits.PrimaryHDU(image.data, header).writeto(f"{band}.fits")
        options += ["-b", f"{band}={band}.fits[0]"]
    result = CliRunner().invoke(cli, ["report", "maps.fits", "-o", "report.html", *options])
    assert result.exit_code == 0, result.output
    assert "Red to blue: sdss2010-i, sdss2010-g" in (tmp_path / "report.html").read_text()


def test_a_browser_shows_it(report, tmp_path):
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip(f"needs a browser, one of {', '.join(BROWSERS)}, and there is none")
    picture = tmp_path / "page.png"
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
               "--disable-background-networking", "--disable-component-update", "--disable-sync",
               f"--user-data-dir={tmp_path / 'profile'}"]  # fmt: skip
    subprocess.run(
        [*command, "--window-size=1200,3000", f"--screenshot={picture}", report.as_uri()],
        check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    from matplotlib.image import imread

    shown = imread(picture)[..., :3]
    assert shown.shape[:2] == (3000, 1200)
    # Pictures, not only text on white: colored pixels in the part where the galaxy stands.
    colored = np.ptp(shown, axis=2) > 0.1
    assert colored[:900].mean() > 0.02
    assert colored.mean() > 0.05
    result = subprocess.run(
        [*command, "--dump-dom", report.as_uri()], check=True, capture_output=True, timeout=120
    )
    assert "How it was made" in result.stdout.decode()


def test_a_browser_finds_no_fault(report, tmp_path):
    with open_browser(tmp_path) as browser:
        browser.open(report.as_uri())
        assert browser.title() == "A <test> & more"
        assert browser.ask("return document.images.length") == 4
        assert browser.broken_pictures() == []
        # A page for itself: nothing that could lead nowhere when it is sent to somebody.
        assert browser.links() == []
        headings = [browser.text(one) for one in browser.find("h2")]
        assert headings[0] == "The galaxy"
        assert headings[-1] == "How it was made"
        # Tables that are too wide scroll; the page itself does not.
        assert browser.ask(
            "const e = document.documentElement; return e.scrollWidth <= e.clientWidth"
        )
        assert browser.errors() == []
