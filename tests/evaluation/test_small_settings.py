"""The configurations of the documentation at their small setting: everything runs."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from small_weights import make_model

from picasssso.cli import cli
from picasssso.evaluation.experiments import load_configuration
from picasssso.networks.weights import write_weights

pytestmark = [pytest.mark.experiment, pytest.mark.newest]

FOLDER = Path(__file__).parents[2] / "benchmarks" / "experiments"


@pytest.fixture
def weights(tmp_path, monkeypatch):
    """Small networks of random weights, by the names that the configurations have."""
    place = tmp_path / "here"
    (place / "weights").mkdir(parents=True)
    monkeypatch.chdir(place)
    ours = make_model(members=1)
    papers = make_model(members=1, architecture="buck_wolf_2021", network={"first_features": 8})

    def write(name):
        write_weights(place / name, papers if "paper" in name else ours)

    return write


def run_small(name, weights):
    """Run a configuration; return its experiments, and the runs that they should hold."""
    path = FOLDER / f"{name}.toml"
    configuration = load_configuration(path, small=True)
    named = {run.specification.get("parameters", {}).get("weights") for run in configuration.runs}
    for one in sorted(named - {None}):
        weights(one)
    result = CliRunner().invoke(cli, ["evaluate", str(path), "-o", "kept", "--small", "-q"])
    assert result.exit_code == 0, result.output
    assert "Left out" not in result.output
    content = json.loads(Path("kept/results/evaluation.json").read_text())
    assert content["small"]
    return content["experiments"], configuration.runs


@pytest.mark.parametrize("name", ["estimators", "training", "simulations"])
def test_every_experiment_runs_at_its_small_setting(name, weights, request, tmp_path):
    if name == "simulations":
        (tmp_path / "shared").symlink_to(request.getfixturevalue("shared_data").parent)
    experiments, runs = run_small(name, weights)
    for identifier, experiment in experiments.items():
        expected = [(r.setting, r.estimator) for r in runs if r.experiment == identifier]
        assert [(row["setting"], row["estimator"]) for row in experiment["rows"]] == expected
        for row in experiment["rows"]:
            assert row["properties"]["stellar_mass"]["pixel"]["n"] > 0


def test_real_galaxies_run_at_their_small_setting(shared_data, tmp_path):
    arguments = [
        "evaluate",
        str(FOLDER / "real.toml"),
        "--data",
        str(shared_data),
        "--small",
        "-q",
    ]
    result = CliRunner().invoke(cli, [*arguments, "-o", str(tmp_path)])
    assert result.exit_code == 0, result.output
    content = json.loads((tmp_path / "results" / "real.json").read_text())
    parts = content["parts"]
    assert parts["galaxies"]["estimators"]["cnn"]["mass"]["n"] == 2
    assert parts["m74"]["estimators"]["cnn"]["stars"]["n"] > 20
    assert len(content["truths"]) == 9
    # Each requirement finds its figure, save those that two galaxies do not give.
    missing = [one["figure"] for one in content["requirements"] if one["value"] is None]
    assert all(name.startswith("galaxies.") for name in missing)
