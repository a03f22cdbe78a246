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
    specification.loader.exec_module(module)
    for name in ("RESULTS", "TABLES", "PICTURES"):
        monkeypatch.setattr(module, name, tmp_path / name.lower())
    monkeypatch.setattr(module, "PAGE", tmp_path / "page.rst")
    return module


def row(estimator, sigma, mean):
    entry = {"n": 1000, "sigma": sigma, "sigma_error": 0.002, "mean": mean}
    properties = {"stellar_mass": {"aperture": entry}}
    return {"estimator": estimator, "label": estimator.upper(), "properties": properties}


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


def test_results_of_a_test_run_are_not_published(publish, tmp_path):
    (tmp_path / "evaluation.json").write_text(json.dumps(content(small=True)))
    with pytest.raises(SystemExit, match="small setting"):
        publish.publish(tmp_path, "test")
