"""What was done to images, in words: in the command's output and on the report's page."""

import html

from picasssso import MassToLightEstimator
from picasssso.data import load_example
from picasssso.evaluation.report import write_report
from picasssso.preparation import prepare
from picasssso.preparation.steps import describe_steps, with_step


def test_steps_in_words():
    images = with_step(
        load_example()[0], "mask", stars_on_target=2, part_of_target_light_masked=0.0312,
        target={"x": 1.0}, applied_factor={"sdss2010-r": 1.25}, estimated=[],
    )  # fmt: skip
    ((name, words),) = describe_steps(images.meta["preparation"])
    assert name == "mask"
    assert words == (
        "stars on target 2; target light masked 3.1 %; applied factor sdss2010-r 1.25; "
        "estimated none"
    )


def test_the_report_says_what_is_masked_and_what_was_done_to_the_noise(tmp_path):
    images = prepare(load_example()[0])
    maps = MassToLightEstimator().estimate(images)
    write_report(maps, tmp_path / "report.html")
    page = html.unescape((tmp_path / "report.html").read_text())
    steps = dict(describe_steps(images.meta["preparation"]))
    assert "target light masked" in steps["mask"]
    assert "applied factor" in steps["noise"]
    for words in steps.values():
        assert words in page
