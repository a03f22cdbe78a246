"""``picasssso train``: interrupted, resumed, calibrated, used."""

import json

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file
from small_weights import WAVELENGTHS, ToyPairs

from picasssso import CNNEstimator
from picasssso.cli import cli
from picasssso.exceptions import OutsideTrainingWarning
from picasssso.testing import make_galaxy
from picasssso.training.batches import TrainingSource

TRAINING = {
    "network": {"widths": [8, 8], "depths": [1, 1]}, "members": 2, "steps": 4, "batch_size": 4,
    "pool_size": 8, "warmup": 1, "average_decay": 0.5,
}  # fmt: skip


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    """A recipe whose galaxies cost nothing."""
    sources = [TrainingSource(ToyPairs(), WAVELENGTHS)]
    where = "picasssso.training.recipe"
    monkeypatch.setattr(f"{where}.prepare_tables", lambda *args, **kwargs: None)
    monkeypatch.setattr(f"{where}.make_sources", lambda *args, **kwargs: sources)
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps({"training": TRAINING, "pairs": [{"survey": "sdss"}]}))
    return path


def run(*arguments):
    return CliRunner().invoke(
        cli, ["train", *map(str, arguments), "--device", "cpu", "--calibrate", "8"]
    )


def test_interrupted_and_resumed(recipe, tmp_path):
    straight = run(recipe, "-o", tmp_path / "straight")
    assert straight.exit_code == 0, straight.output
    stopped = run(recipe, "-o", tmp_path / "cut", "--time-limit", 0)
    assert stopped.exit_code == 0, stopped.output
    assert "Stopped after step 1 of 4" in stopped.output
    assert not (tmp_path / "cut.json").exists()
    again = run(recipe, "-o", tmp_path / "cut")
    assert again.exit_code == 1
    assert "--resume" in again.output
    resumed = run(recipe, "-o", tmp_path / "cut", "--resume")
    assert resumed.exit_code == 0, resumed.output
    first, second = (load_file(tmp_path / f"{name}.safetensors") for name in ("straight", "cut"))
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert torch.equal(value, second[name]), name
    card = json.loads((tmp_path / "cut.json").read_text())
    assert card["command"] == "picasssso train recipe.json"
    assert card["recipe"]["pair_seed"] == 1
    assert card["pairs_seen"] == 16
    assert set(card["filters"]) == {f"sdss2010-{band}" for band in "ugriz"}
    assert len(set(card["filters"].values()) - {None}) == 5
    assert card["calibrated_on"] == {"ugriz": 8, "griz": 3, "gri": 3, "gr": 3, "r": 3}
    # Nothing like the few galaxies that it was trained on.
    with pytest.warns(OutsideTrainingWarning):
        maps = CNNEstimator(weights=tmp_path / "cut", device="cpu").estimate(make_galaxy((16, 16)))
    assert maps.meta["calibrated"]


def test_papers_network(recipe, tmp_path):
    content = json.loads(recipe.read_text())
    content["training"] = {
        **TRAINING, "architecture": "buck_wolf_2021", "network": {"first_features": 8}
    }  # fmt: skip
    recipe.write_text(json.dumps(content))
    result = run(recipe, "-o", tmp_path / "paper")
    assert result.exit_code == 0, result.output
    paper = CNNEstimator(weights=tmp_path / "paper", device="cpu")
    assert len(paper.model_card["residual_quantiles"]) == 7
    assert len(paper.estimate(make_galaxy((16, 16)))) == 7


def test_mistakes(recipe, tmp_path):
    for arguments, code, words in (
        ((tmp_path / "nothing", "-o", tmp_path / "w"), 1, "Cannot read the recipe"),
        ((recipe, "-o", tmp_path / "recipe"), 2, "overwritten"),
        ((recipe, "-o", tmp_path / "w", "--resume"), 1, "no checkpoint"),
    ):
        result = run(*arguments)
        assert result.exit_code == code, result.output
        assert words in result.output
    recipe.write_text("{}")
    assert "names no pairs" in run(recipe, "-o", tmp_path / "w").output


def test_several_devices_need_lightning(recipe, tmp_path, monkeypatch):
    monkeypatch.setattr("picasssso.training.loop.find_spec", lambda name: None)
    result = run(recipe, "-o", tmp_path / "w", "--devices", 2)
    assert result.exit_code == 1
    assert "pip install 'picasssso[train]'" in result.output
    assert not list(tmp_path.glob("w*"))


def test_what_cannot_be_calibrated_is_not_trained(recipe, tmp_path, monkeypatch):
    monkeypatch.setattr("picasssso.training.loop.run_training", lambda *args, **kwargs: 1 / 0)
    content = json.loads(recipe.read_text())
    content["pairs"][0]["bands"] = ["sdss2010-u", "sdss2010-i"]
    recipe.write_text(json.dumps(content))
    result = run(recipe, "-o", tmp_path / "w")
    assert result.exit_code == 1
    assert "nothing to calibrate on" in result.output


def test_a_checkpoint_of_another_training(recipe, tmp_path):
    run(recipe, "-o", tmp_path / "w", "--time-limit", 0)
    content = json.loads(recipe.read_text())
    content["training"]["seed"] = 9
    recipe.write_text(json.dumps(content))
    result = run(recipe, "-o", tmp_path / "w", "--resume")
    assert result.exit_code == 1
    assert "another training" in result.output


def test_galaxies_that_calibrate_are_not_trained_on(recipe, tmp_path):
    content = json.loads(recipe.read_text())
    content["first_pair"] = 5
    recipe.write_text(json.dumps(content))
    result = run(recipe, "-o", tmp_path / "w")
    assert result.exit_code == 1
    assert "must come before" in result.output
