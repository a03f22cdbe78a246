"""The page of a run: all that is in the results, sorted and searched in a browser."""

import re
import shutil
import subprocess
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from astropy.table import Table
from browser import open_browser
from survey_estimators import Quick

from picasssso import PropertyMaps
from picasssso.exceptions import FileFormatError, InvalidInputError
from picasssso.surveys import run
from picasssso.surveys.run_page import write_page
from picasssso.surveys.store import Store

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c6360f8cf50000003010180c3b5d1f2"
    "0000000049454e44ae426082"
)


@pytest.fixture
def folder(tmp_path):
    with Store(tmp_path / "run", {}, resume=False, retry_failed=False) as store:
        for k, mass in enumerate((3e9, 2e11, 5e8)):
            row = {"id": f"<g{k}>", "redshift": 0.1, "stellar_mass": mass,
                   "stellar_mass_error": mass / 10, "stellar_mass_aperture": mass,
                   "stellar_mass_aperture_error": mass / 10, "flagged": 0.25, "flags": "BAD_FIT",
                   "maps": f"maps/0a{k}/g.fits", "pictures": (PIXEL, PIXEL)}  # fmt: skip
            store.add([(k, row)])
        store.add([(3, {"id": "g3", "redshift": 0.1, "failed": "no & file"})])
    return tmp_path / "run"


def test_a_row_for_each_galaxy(folder):
    text = write_page(folder).read_text()
    rows = re.findall(r"<tr[ >].*?</tr>", text, re.DOTALL)[1:]
    assert len(rows) == 4
    assert "4 galaxies; 1 failed." in text
    assert "&lt;g1&gt;" in rows[1]
    assert "2e+11 ± 2e+10" in rows[1]
    assert 'data-order="2e+11"' in rows[1]
    assert 'href="maps/0a1/g.fits"' in rows[1]
    assert rows[1].count("data:image/png;base64,") == 2
    assert "BAD_FIT" in rows[1]
    assert "no &amp; file" in rows[3]
    assert "class=failed" in rows[3]
    assert "<th>stellar mass [M☉]</th><th>stellar mass [M☉], fixed aperture</th>" in text
    # Links stand beside the name, where no other column pushes them off the screen.
    assert "<th>name</th><th>files</th>" in text
    assert re.search(r"<td>&lt;g1&gt;</td><td><a href=", rows[1])
    # Nothing is loaded from elsewhere.
    assert not re.findall(r'(?:src|href)="(?!data:|maps/)', text)


def test_where_it_stands_and_how_long_it_is(folder, tmp_path):
    page = write_page(folder, tmp_path / "page.html", title="My <run>", limit=2)
    text = page.read_text()
    assert "2 galaxies, the first of the catalog; 0 failed." in text
    assert 'href="run/maps/0a1/g.fits"' in text
    assert "<h1>My &lt;run&gt;</h1>" in text
    with pytest.raises(FileFormatError, match="overwrite"):
        write_page(folder, page)
    with pytest.raises(InvalidInputError, match="limit"):
        write_page(folder, limit=0)
    with pytest.raises(FileFormatError, match="no results"):
        write_page(tmp_path)


def test_it_sorts_and_searches_in_a_browser(folder, tmp_path):
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip(f"needs a browser, one of {', '.join(BROWSERS)}, and there is none")
    text = write_page(folder).read_text()
    assert text.count("</body>") == 1
    # A reader who clicks the heading of the mass twice, and one who types a name.
    script = """<script>
const names = () => [...document.querySelectorAll("#galaxies tbody tr")]
  .map(row => row.children[2].textContent).join(" ");
const table = DataTable.tables({api: true});
const heading = [...document.querySelectorAll("th")]
  .find(th => /stellar mass/.test(th.textContent));
const found = [names()];
table.order([[heading.cellIndex, "desc"]]).draw(); found.push(names());
table.search("file").draw(); found.push(names());
document.body.dataset.found = found.join("|");
</script></body>"""
    page = tmp_path / "tried.html"
    page.write_text(text.replace("</body>", script))
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
               "--disable-background-networking", "--disable-component-update", "--disable-sync",
               "--enable-logging=stderr",
               f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", page.as_uri()]  # fmt: skip
    run = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    assert "CONSOLE" not in run.stderr  # errors of scripts, files that are not there
    (found,) = re.findall(r'data-found="([^"]*)"', run.stdout)
    assert found.replace("&lt;", "<").replace("&gt;", ">") == (
        "<g0> <g1> <g2> g3|<g1> <g0> <g2> g3|g3"
    )


def test_a_reader_clicks_and_types(tmp_path):
    masses = [1e9 * 1.1 ** ((7 * k) % 30) for k in range(30)]
    with Store(tmp_path / "run", {}, resume=False, retry_failed=False) as store:
        for k, mass in enumerate(masses):
            row = {"id": f"g{k:02}", "redshift": 0.1, "stellar_mass": mass,
                   "stellar_mass_error": mass / 10, "maps": f"maps/0a{k}/g{k:02}.fits",
                   "pictures": (PIXEL, PIXEL)}  # fmt: skip
            store.add([(k, row)])
        store.add([(30, {"id": "g30", "redshift": 0.1, "failed": "no such file"})])
    by_mass = [f"g{k:02}" for k in sorted(range(30), key=lambda k: masses[k])]
    with open_browser(tmp_path) as browser:
        browser.open(write_page(tmp_path / "run").as_uri())

        def names():
            return [browser.text(one) for one in browser.find("#galaxies tbody td:nth-child(3)")]

        def press(selector, words):
            (one,) = [one for one in browser.find(selector) if browser.text(one) == words]
            browser.click(one)

        # As in the catalog, 25 on a page; the rest on the next.
        assert names() == [f"g{k:02}" for k in range(25)]
        press(".dt-paging button", "2")
        assert names() == [f"g{k:02}" for k in range(25, 31)]

        heading = browser.find("#galaxies thead th")
        (mass,) = [one for one in heading if browser.text(one).startswith("stellar mass")]
        browser.click(mass)
        assert [one for one in names() if one != "g30"][:20] == by_mass[:20]
        assert browser.text(browser.find("th.dt-ordering-asc")[0]).startswith("stellar mass")
        browser.click(mass)
        assert [one for one in names() if one != "g30"][:20] == by_mass[::-1][:20]

        (field,) = browser.find(".dt-search input")
        browser.type(field, "no such")
        assert names() == ["g30"]
        browser.clear(field)
        browser.type(field, "g0")
        assert sorted(names()) == [f"g{k:02}" for k in range(10)]
        browser.clear(field)
        browser.type(field, "there is none")
        assert browser.find("#galaxies tbody td.dt-empty")
        assert browser.errors() == []


def test_links_lead_to_maps_and_reports(tmp_path, how, scheduler):
    table = Table.read(how["catalog"])[:2]  # names with a space
    folder = tmp_path / "a run # 1"
    summary = run(estimator=Quick(), folder=folder, scheduler=scheduler, reports=True,
                  **(how | {"catalog": table}))  # fmt: skip
    assert summary.done == 2
    # Beside the run, and elsewhere.
    pages = (write_page(folder), write_page(folder, tmp_path / "page.html"))
    with open_browser(tmp_path) as browser:
        for page in pages:
            browser.open(page.as_uri())
            assert browser.broken_pictures() == []
            links = browser.links()
            assert len(links) == 4
            for link, row in zip(links[::2], table, strict=True):
                maps = PropertyMaps.read(Path(unquote(urlsplit(link).path)))
                assert maps.redshift == pytest.approx(row["redshift"])
            for k in range(2):
                report = [one for one in browser.find("a") if browser.text(one) == "report"][k]
                browser.click(report)
                assert browser.title() == f"galaxy {k}"
                assert browser.find("h2")
                assert browser.broken_pictures() == []
                browser.back()
            assert browser.title() == "Survey run: a run # 1"
            assert browser.errors() == []
