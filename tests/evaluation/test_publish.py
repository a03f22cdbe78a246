"""What brings results into the documentation."""

import importlib.util
import json
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
    monkeypatch.setattr(module, "PAGE", tmp_path / "page.rst")
    return module


def row(estimator, sigma, mean):
    rms = (sigma**2 + mean**2) ** 0.5
    entry = {"n": 1000, "n_galaxies": 1000, "sigma": sigma, "sigma_error": 0.002, "mean": mean,
             "rms": rms, "rms_error": 0.002}  # fmt: skip
    bright = {**entry, "low": 20.0, "high": None}
    faint = {**entry, "low": None, "high": 3.0, "sigma": 2 * sigma, "rms": 2 * rms}
    few = {**faint, "n_galaxies": 9, "low": 3.0, "high": 20.0}
    properties = {"stellar_mass": {"aperture": {**entry, "by_snr": [faint, few, bright]}}}
    return {"estimator": estimator, "label": estimator.upper(), "setting": "",
            "properties": properties}  # fmt: skip


def content(small=False):
    rows = [row("cnn", 0.07, 0.01), row("mass_to_light", 0.18, -0.2)]
    ratio = {"sigma": 0.39, "sigma_error": 0.02, "rms": 0.26, "rms_error": 0.01}
    ratios = [{"estimator": "cnn", "reference": "mass_to_light",
               "properties": {"stellar_mass": {"aperture": ratio}}}]  # fmt: skip
    experiment = {"title": "The same images", "rows": rows, "ratios": ratios}
    return {"small": small, "experiments": {"b": experiment}}


def test_the_page_says_what_the_numbers_say(publish, tmp_path):
    source = tmp_path / "results"
    source.mkdir()
    (source / "evaluation.json").write_text(json.dumps(content()))
    (source / "b_aperture.inc").write_text("a table\n")
    (source / "b_radial.png").write_bytes(b"a picture")
    publish.publish(source, "test")
    publish.write_page()
    page = (tmp_path / "page.rst").read_text()
    assert "CNN: 0.070 ± 0.002 dex (17 %)" in page
    assert "the paper's 20 % is reached" in page
    assert "MASS_TO_LIGHT: stellar mass inside two half-mass radii scatters by 0.180" in page
    assert "That is about the 50 %" in page
    assert "Against MASS_TO_LIGHT, the scatter" in page
    assert "0.39 ± 0.02 times as large with the bias removed, 0.26 ± 0.01 with it" in page
    assert ".. include:: _tables/evaluation_b_aperture.inc" in page
    assert "evaluation_b_pixel" not in page
    assert (tmp_path / "pictures/evaluation_b_radial.png").exists()
    # The network's 0.14 dex where it is faint are more than 20 %; too few galaxies say nothing.
    assert "Sums, bias removed: CNN 0.070 ± 0.002 dex, within 20 % only for S/N > 20;" in page
    assert "colour M/L (Taylor) 0.180 ± 0.002 dex, everywhere 50 % or more." in page
    assert "stellar mass 0.070 ± 0.002 / +0.010 (0.090 / -0.103)" in page
    assert "Scatter is smaller than the paper's for stellar mass, larger for none" in page


def test_a_change_of_setting_is_told_with_its_verdict(publish):
    rows = [
        {**row("cnn", sigma, 0.0), "setting": setting}
        for setting, sigma in (("linked", 0.08), ("not linked", 0.09))
    ]
    rows += [
        {**row("mass_to_light", 0.12, -0.1), "setting": setting}
        for setting in ("linked", "not linked")
    ]
    (line,) = publish.COMPARISONS["h_link"]({"rows": rows})
    assert "CNN 0.080 ± 0.002 / +0.000 to 0.090 ± 0.002 / +0.000" in line
    assert "Scatter grows by more than two errors for CNN." in line
    # Nothing is said of what was not run.
    assert publish.COMPARISONS["h_dust"]({"rows": rows}) == []


def test_results_of_a_test_run_are_not_published(publish, tmp_path):
    (tmp_path / "evaluation.json").write_text(json.dumps(content(small=True)))
    with pytest.raises(SystemExit, match="small setting"):
        publish.publish(tmp_path, "test")
