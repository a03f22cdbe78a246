"""Experiments from a configuration: run, interrupted, resumed, written down."""

import copy
import json

import numpy as np
import pytest
import toy_batches
from click.testing import CliRunner

from picasssso.cli import cli
from picasssso.evaluation.experiments import load_configuration, run_experiments
from picasssso.evaluation.experiments.batch_estimates import _with_images, estimate_with
from picasssso.evaluation.experiments.configuration import parse_configuration
from picasssso.evaluation.experiments.experiment_runs import collect_figures, load_record
from picasssso.evaluation.experiments.pair_sources import make_source
from picasssso.evaluation.experiments.results import PAPER, write_results
from picasssso.evaluation.real.samples import is_real, load_real_configuration
from picasssso.exceptions import FileFormatError, InvalidInputError

pytestmark = pytest.mark.newest

CONTENT = {
    "common": {"count": 5, "batch": 2, "source": {"n_pixels": 32, "seed": 5}},
    "small": {"count": 2},
    "bins": {"n_bootstrap": 10},
    "settings": {"pixels_per_galaxy": 100},
    "estimators": {
        "ml": {"label": "M/L", "name": "mass_to_light"},
        "toy": {"label": "toy", "batch_function": "toy_batches:make"},
        "broken": {"batch_function": "toy_batches:broken", "optional": True},
    },
    "experiments": [
        {
            "id": "b", "title": "the same images", "estimators": ["ml", "toy", "broken"],
            "reference": "ml", "paper": "ugriz",
        },
        {
            "id": "c", "title": "bands", "axis": "number of bands", "estimators": ["toy"],
            "settings": [
                {"label": "gr", "x": 2, "bands": ["g", "r"], "paper": "gr",
                 "parameters": {"toy": {"factor": 2.0}}},
                {"label": "all", "x": 5},
            ],
        },
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder in which everything was run, and its configuration."""
    folder = tmp_path_factory.mktemp("experiments")
    configuration = parse_configuration(CONTENT)
    left_out = run_experiments(configuration, folder, progress=False)
    return folder, configuration, left_out


def toy(configuration, setting=""):
    return next(r for r in configuration.runs if r.estimator == "toy" and r.setting == setting)


def test_everything_is_run_and_what_cannot_be_is_left_out(finished):
    folder, configuration, left_out = finished
    assert left_out == {"broken": "there are no weights"}
    figures = collect_figures(configuration, folder)
    rows = figures["experiments"]["b"]["rows"]
    assert [row["estimator"] for row in rows] == ["ml", "toy"]
    assert rows[0]["n_galaxies"] == 5
    for row in rows:
        mass = row["properties"]["stellar_mass"]
        assert mass["aperture"]["n"] + mass["aperture"]["n_undefined"] == 5
        assert mass["aperture"]["calibration"]["n"] == 5
        assert mass["pixel"]["n"] > 300
    ratio = figures["experiments"]["b"]["ratios"][0]
    assert ratio["label"] == "toy"
    expected = (
        rows[1]["properties"]["stellar_mass"]["aperture"]["sigma"]
        / rows[0]["properties"]["stellar_mass"]["aperture"]["sigma"]
    )
    assert ratio["properties"]["stellar_mass"]["aperture"]["sigma"] == pytest.approx(expected)
    assert figures["experiments"]["c"]["rows"][0]["paper"] == "gr"


def test_an_estimator_sees_no_truth_and_only_its_bands(finished):
    folder, configuration, _ = finished
    run = toy(configuration, "gr")
    run_experiments(configuration, folder, progress=False)  # nothing is left to do
    (folder / run.key(configuration.settings) / "batch_00000.npz").unlink()
    run_experiments(configuration, folder, progress=False)
    assert toy_batches.SEEN["bands"] == ("sdss2010-g", "sdss2010-r")
    allowed = {"flux", "inverse_variance", "psf_fwhm", "redshift", "pixel_scale",
               "pixel_scale_kpc", "number", "galaxy", "view"}  # fmt: skip
    assert toy_batches.SEEN["names"] <= allowed


def test_parameters_of_a_setting_count(finished):
    folder, configuration, _ = finished
    records = [load_record(toy(configuration, s), configuration, folder) for s in ("gr", "all")]
    pairs = make_source(toy(configuration).source).batch(range(5))
    # Twice the flux in r, against the flux in z.
    ratio = 2 * pairs["flux"][:, 2].sum() / pairs["flux"][:, 4].sum()
    sums = [np.abs(r["aperture.estimate.stellar_mass"]).sum() for r in records]
    assert sums[0] / sums[1] == pytest.approx(float(ratio), rel=0.3)


def test_an_interrupted_run_goes_on(finished, tmp_path, monkeypatch):
    folder, configuration, _ = finished
    only = configuration.select(("b",), ("toy",))
    calls = []
    original = toy_batches.make

    def stopping(**parameters):
        estimate = original(**parameters)

        def once(batch, bands):
            if calls:
                raise KeyboardInterrupt
            calls.append(1)
            return estimate(batch, bands)

        return once

    monkeypatch.setattr(toy_batches, "make", stopping)
    with pytest.raises(KeyboardInterrupt):
        run_experiments(only, tmp_path, progress=False)
    place = tmp_path / only.runs[0].key(only.settings)
    assert sorted(p.name for p in place.glob("*")) == ["batch_00000.npz", "run.json"]
    monkeypatch.setattr(toy_batches, "make", original)
    run_experiments(only, tmp_path, progress=False)
    for name, values in load_record(only.runs[0], only, tmp_path).items():
        np.testing.assert_array_equal(
            values, load_record(toy(configuration), configuration, folder)[name]
        )


def test_more_galaxies_are_added_to_those_there_are(finished):
    folder, configuration, _ = finished
    content = copy.deepcopy(CONTENT)
    content["common"]["count"] = 6
    more = parse_configuration(content).select(("b",), ("toy",))
    assert more.runs[0].key(more.settings) == toy(configuration).key(configuration.settings)
    first = folder / more.runs[0].key(more.settings) / "batch_00000.npz"
    made = first.stat().st_mtime_ns
    run_experiments(more, folder, progress=False)
    assert first.stat().st_mtime_ns == made
    assert len(load_record(more.runs[0], more, folder)["galaxy"]) == 6
    # Who asks for five still gets five.
    assert len(load_record(toy(configuration), configuration, folder)["galaxy"]) == 5
    # So it is where both are in one set of experiments.
    content["experiments"].append({**content["experiments"][0], "id": "few", "count": 4})
    found = collect_figures(parse_configuration(content), folder)["experiments"]
    assert [row["n_galaxies"] for row in found["b"]["rows"] if row["estimator"] == "toy"] == [6]
    assert [row["n_galaxies"] for row in found["few"]["rows"] if row["estimator"] == "toy"] == [4]


def test_results_are_written(finished, tmp_path):
    folder, configuration, _ = finished
    paths = write_results(collect_figures(configuration, folder), tmp_path)
    names = {path.name for path in paths}
    assert {"evaluation.json", "b_aperture.inc", "b_ratios.inc", "b_radial.png", "b_snr.png",
            "c_curve.png", "b_calibration.inc", "b_structure.inc"} <= names  # fmt: skip
    content = json.loads((tmp_path / "evaluation.json").read_text())
    sigma = content["experiments"]["b"]["rows"][0]["properties"]["stellar_mass"]["aperture"][
        "sigma"
    ]
    table = (tmp_path / "b_aperture.inc").read_text()
    assert f"- {sigma:.3f} ±" in table
    entry = content["experiments"]["b"]["rows"][1]["properties"]["stellar_mass"]["aperture"]
    row = next(r for r in entry["by_snr"] if r["n_galaxies"] == 5 or r["sigma"] is not None)
    table = (tmp_path / "b_ranges.inc").read_text()
    assert f"{row['sigma']:.3f} ± {row['sigma_error']:.3f} / {row['rms']:.3f}" in table
    table = (tmp_path / "b_aperture.inc").read_text()
    # The paper stands beside, with our sign of the bias.
    assert "Buck & Wolf (2021), ugriz" in table
    assert "*0.090 / -0.103*" in table
    assert PAPER["128 px"]["stellar_age"]["mean"] == 0.118


def test_the_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.toml").write_text(
        """
        [common]
        count = 500
        batch = 2
        source = {n_pixels = 32, seed = 5}
        [small]
        count = 2
        bins = {n_bootstrap = 10}
        [estimators.toy]
        batch_function = "toy_batches:make"
        [estimators.none]
        batch_function = "toy_batches:broken"
        optional = true
        [[experiments]]
        id = "b"
        title = "a test"
        estimators = ["toy", "none"]
        """
    )
    result = CliRunner().invoke(cli, ["evaluate", "c.toml", "-o", "kept", "--small"])
    assert result.exit_code == 0, result.output
    assert "Left out none: there are no weights" in result.output
    assert (tmp_path / "kept/results/b_aperture.inc").exists()
    result = CliRunner().invoke(cli, ["evaluate", "c.toml", "-o", "kept", "-x", "z"])
    assert result.exit_code == 1
    assert "no experiment 'z'" in result.output


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c.update(commons={}), "'commons'"),
        (lambda c: c["common"].update(counts=3), "'counts'"),
        (lambda c: c["common"].update(count=0), "count=0"),
        (lambda c: c["common"].update(truth="sharp"), "truth='sharp'"),
        (lambda c: c["estimators"]["toy"].update(name="cnn"), "either name or batch_function"),
        (lambda c: c["experiments"][0].update(estimators=["x"]), "names the estimator 'x'"),
        (lambda c: c["experiments"][1].update(id="b"), "two experiments"),
        (lambda c: c["experiments"][1].pop("title"), "lacks title"),
        (lambda c: c.update(experiments=[]), "no experiment"),
        (lambda c: c["bins"].update(sn=[1, 2]), "'sn'"),
    ],
)
def test_a_wrong_configuration_is_refused(change, words):
    content = copy.deepcopy(CONTENT)
    change(content)
    with pytest.raises(InvalidInputError, match=words):
        parse_configuration(content)


def test_files_and_sources_that_cannot_be_used(tmp_path):
    with pytest.raises(FileFormatError, match=r"no configuration|not a configuration"):
        load_configuration(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("a = ")
    with pytest.raises(FileFormatError, match="not valid TOML"):
        load_configuration(tmp_path / "bad.toml")
    with pytest.raises(InvalidInputError, match="kind='real'"):
        make_source({"kind": "real"})
    with pytest.raises(InvalidInputError, match="cannot be made"):
        make_source({"kind": "mocks", "tint": 3})
    with pytest.raises(FileFormatError, match="no files halo"):
        make_source({"kind": "illustris", "folder": str(tmp_path)})


def test_new_weights_are_a_new_run(tmp_path):
    content = copy.deepcopy(CONTENT)
    content["estimators"]["toy"]["parameters"] = {"weights": str(tmp_path / "mine")}
    keys = []
    for words in (None, b"old", b"new", b"old"):
        if words is not None:
            (tmp_path / "mine.safetensors").write_bytes(words)
        run = parse_configuration(content).select(("b",), ("toy",)).runs[0]
        keys.append(run.key(parse_configuration(content).settings))
    assert keys[1] == keys[3]
    assert len(set(keys)) == 3


def test_a_batch_function_that_is_not_there(tmp_path):
    content = copy.deepcopy(CONTENT)
    content["estimators"]["toy"]["batch_function"] = "toy_batches:missing"
    only = parse_configuration(content).select(("b",), ("toy",))
    with pytest.raises(InvalidInputError, match="can be imported"):
        run_experiments(only, tmp_path, progress=False)


def test_a_damaged_batch_is_named(finished, tmp_path):
    configuration = finished[1].select(("b",), ("toy",))
    run_experiments(configuration, tmp_path, progress=False)
    path = tmp_path / configuration.runs[0].key(configuration.settings) / "batch_00001.npz"
    path.write_bytes(b"half")
    with pytest.raises(FileFormatError, match=r"batch_00001\.npz is damaged"):
        collect_figures(configuration, tmp_path)


def test_configurations_of_the_documentation_can_be_read():
    from pathlib import Path

    folder = Path(__file__).parents[2] / "benchmarks" / "experiments"
    paths = sorted(folder.glob("*.toml"))
    assert paths
    for path in paths:
        if is_real(path):
            assert load_real_configuration(path, small=True).runs()
        else:
            assert load_configuration(path, small=True).runs


def test_an_estimator_of_many_images_gets_them_together_with_samples():
    asked = []

    class Many:
        def estimate_many(self, images, **how):
            from picasssso import MassToLightEstimator

            asked.append((len(images), how))
            return [MassToLightEstimator().estimate(one, n_samples=8, seed=1) for one in images]

    source = make_source(parse_configuration(CONTENT).runs[0].source)
    estimate = _with_images(Many(), source.batch(range(2)), source.bands, n_samples=8)
    assert asked == [(2, {"progress": False, "n_samples": 8, "seed": 0})]
    assert len(estimate.maps) == 2


def test_galaxies_are_handed_over_by_redshift_and_come_back_in_order():
    seen = []

    class One:
        def estimate(self, images, **how):
            from picasssso import MassToLightEstimator

            seen.append(images.redshift)
            return MassToLightEstimator().estimate(images, **how)

    source = make_source(parse_configuration(CONTENT).runs[0].source)
    batch = source.batch(range(4))
    found = _with_images(One(), batch, source.bands, sums=False).maps.values["stellar_mass"]
    assert seen == sorted(seen) != batch["redshift"].tolist()
    for k in range(4):
        alone = _with_images(One(), source.batch([k]), source.bands, sums=False).maps
        expected = alone.values["stellar_mass"][0]
        # Mocks made alone differ in their last bits; other galaxies by far more.
        np.testing.assert_allclose(found[k], expected, rtol=1e-3, atol=1e-5 * np.nanmax(expected))


def test_redshifts_are_told_rounded_if_asked_for():
    source = make_source(parse_configuration(CONTENT).runs[0].source)
    batch = source.batch(range(4))

    def masses(galaxies, **how):
        specification = {"name": "mass_to_light", "sums": False, **how}
        found = estimate_with(specification)(galaxies, source.bands)
        return found.maps.values["stellar_mass"]

    rounded = {**batch, "redshift": (batch["redshift"] * 100).round() / 100}
    told = masses(batch, redshift_step=0.01)
    np.testing.assert_allclose(told, masses(rounded), rtol=1e-5)
    assert not np.allclose(told, masses(batch), rtol=1e-3)


def test_images_are_prepared_if_asked_for():
    source = make_source(parse_configuration(CONTENT).runs[0].source)
    pairs = source.batch(range(1))
    steps = [{"step": "match_psf"}, {"step": "bin_images", "snr": 30.0, "bands": ["sdss2010-i"]}]
    plain = estimate_with({"name": "mass_to_light"})(pairs, source.bands)
    binned = estimate_with({"name": "mass_to_light", "prepare": steps})(pairs, source.bands)
    values = [stack.maps.values["stellar_mass"] for stack in (plain, binned)]
    numbers = [len(np.unique(v[np.isfinite(v)])) for v in values]
    assert numbers[1] < 0.5 * numbers[0]  # pixels of a bin hold the same
    with pytest.raises(InvalidInputError, match="step 'sharpen'"):
        estimate_with({"name": "mass_to_light", "prepare": [{"step": "sharpen"}]})


def test_painted_illustris_maps_are_a_source(shared_data):
    source = make_source(
        {"kind": "illustris", "folder": str(shared_data / "illustris"), "n_pixels": 64}
    )
    pairs = source.batch(range(2))
    assert pairs["flux"].shape == (2, 5, 64, 64)
    # Seen from where the maps' pixels are the survey's.
    assert pairs["pixel_scale"].numpy() == pytest.approx(0.396, rel=1e-3)
    assert len(set(source.batch(range(8))["galaxy"].tolist())) == 2


def test_weights_are_told_apart_by_their_contents(monkeypatch, tmp_path):
    """Also those that a name such as "default" stands for."""
    from picasssso.estimators._cnn import weight_files

    content = copy.deepcopy(CONTENT)
    content["estimators"]["ml"] = {"name": "cnn"}
    configuration = parse_configuration(content)

    def key():
        return configuration.runs[0].key(configuration.settings)

    monkeypatch.setattr(weight_files, "_folder", lambda: tmp_path)
    keys = []
    for text in ("old", "new"):
        (tmp_path / f"{weight_files.ALIASES['default']}.safetensors").write_text(text)
        keys.append(key())
    assert keys[0] != keys[1]
