"""What brings results into the documentation."""

import importlib.util
import json
import re
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "experiments" / "publish.py"


@pytest.fixture
def publish(tmp_path, monkeypatch):
    """The script, with the documentation in a folder of its own."""
    specification = importlib.util.spec_from_file_location("publish", SCRIPT)
    module = importlib.util.module_from_spec(specification)
    monkeypatch.syspath_prepend(SCRIPT.parent)
    specification.loader.exec_module(module)
    for name in ("RESULTS", "TABLES", "PICTURES"):
        monkeypatch.setattr(module, name, tmp_path / name.lower())
    return module


def content(small=False):
    sums = {"n": 1000, "sigma": 0.07, "sigma_error": 0.01, "by_snr": []}
    figures = {"aperture": sums, "radial": []}
    rows = [{"estimator": "cnn", "label": "CNN", "setting": "", "x": 5, "paper": None,
             "properties": {"stellar_mass": figures, "sfr": figures}}]  # fmt: skip
    experiment = {"title": "The same images", "rows": rows}
    empty = {"title": "Nothing was run", "rows": []}
    return {"small": small, "experiments": {"b": experiment, "x": empty}}


TABLE = """\
.. list-table::
   :header-rows: 1

   * - property
     - CNN
     - *Buck & Wolf (2021)*
   * - stellar mass
     - **0.070** / +0.010
     -
"""


def test_the_list_holds_what_was_published(publish, tmp_path):
    source = tmp_path / "results"
    source.mkdir()
    (source / "evaluation.json").write_text(json.dumps(content()))
    for name in ("b_aperture", "b_ranges", "b_structure"):
        (source / f"{name}.inc").write_text(TABLE)
    publish.publish(source, "test")
    publish.write_list()
    found = (tmp_path / "tables" / "evaluation_list.inc").read_text()
    assert ":download:`CSV </_tables/evaluation_b_aperture.csv>`" in found
    assert "evaluation_b_ranges" in found
    assert "evaluation_b_structure" not in found
    assert "evaluation_b_calibration" not in found
    assert "Nothing was run" not in found
    table = (tmp_path / "tables" / "evaluation_b_aperture.csv").read_text()
    assert table == "property,CNN,Buck & Wolf (2021)\nstellar mass,0.070 / +0.010,\n"
    pictures = sorted(path.name for path in (tmp_path / "pictures").iterdir())
    assert pictures == ["evaluation_b_curve.png"]
    # By range for stellar mass alone.
    kept = json.loads((tmp_path / "results/evaluation_test.json").read_text())
    (row,) = kept["experiments"]["b"]["rows"]
    assert "by_snr" in row["properties"]["stellar_mass"]["aperture"]
    slim = {"n": 1000, "sigma": 0.07, "sigma_error": 0.01}
    assert row["properties"]["sfr"] == {"aperture": slim}


def test_results_of_a_test_run_are_not_published(publish, tmp_path):
    (tmp_path / "evaluation.json").write_text(json.dumps(content(small=True)))
    with pytest.raises(SystemExit, match="small setting"):
        publish.publish(tmp_path, "test")


def test_the_summary_is_made_from_the_results(publish, monkeypatch):
    tables = {}
    monkeypatch.setattr(publish.write_results, "write_table", tables.__setitem__)
    publish.write_results.main()
    assert set(tables) == {"results_real", "results_mocks", "results_worlds", "results_speed"}
    folder = SCRIPT.parents[2] / "docs" / "_tables"
    for name, rows in tables.items():
        written = (folder / f"{name}.inc").read_text(encoding="utf-8")
        # python tools/write_results.py writes them anew.
        assert written == "\n".join(publish.list_table(rows)) + "\n", f"{name} is out of date"


def test_numbers_of_the_readme_are_those_of_the_results(publish, monkeypatch):
    tables = {}
    monkeypatch.setattr(publish.write_results, "write_table", tables.__setitem__)
    publish.write_results.main()
    (mass,) = [row for row in tables["results_real"] if row[0] == "stellar mass (dex)"]
    readme = (SCRIPT.parents[2] / "README.rst").read_text(encoding="utf-8")
    for label, cell in zip(("network", "SED fit", "color relation"), mass[3:], strict=True):
        (line,) = [one for one in readme.splitlines() if one.startswith(label) and "±" in one]
        offset, scatter, inside = cell.split(" / ")
        shown = re.split(r"  +", line)
        assert shown[1:] == [offset, scatter, f"{100 * float(inside):.0f} %"], label
    checklists = (SCRIPT.parents[2] / "docs" / "checklists.rst").read_text(encoding="utf-8")
    for page in (readme, checklists):
        assert re.search(rf"\b{mass[2]}\s+real\s+galaxies", page)
