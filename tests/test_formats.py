"""A file of every format that was ever written still reads, and says what it said.

The samples were written once, by tests/data/write_samples.py, and are never written again. Those
of maps and images stand in the tests of their rooms.
"""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import torch

from picasssso.mocks.light import read_light_table
from picasssso.networks.weights import read_weights
from picasssso.pairs import StoredPairs
from picasssso.sps import ModelLibrary, SSPGrid
from picasssso.training.recipe import Recipe
from picasssso.training.state import TrainingState

DATA = Path(__file__).parent / "data"
BANDS = ("sdss2010-g", "sdss2010-r")


def test_weights():
    model = read_weights(DATA / "weights_format_2")
    for member, network in enumerate(model.ensemble.networks):
        assert all((p == member + 0.125).all() for p in network.parameters())
    assert len(model.ensemble.networks) == model.config.members == 2
    assert (model.calibration.factors == 1.5).all()
    assert (model.calibration.whole_color_limits == 8.0).all()
    assert model.card["package_version"] == "0.1"


def test_weights_of_format_1(tmp_path):
    """It was format 2 without what came later."""
    from safetensors.torch import load_file, save_file

    tensors = load_file(DATA / "weights_format_2.safetensors")
    later = ("presence", "structure", "colour", "whole")
    for name in list(tensors):
        if name.removeprefix("calibration.").startswith(later):
            del tensors[name]
    save_file(tensors, tmp_path / "old.safetensors")
    card = json.loads((DATA / "weights_format_2.json").read_text())
    digest = hashlib.sha256((tmp_path / "old.safetensors").read_bytes()).hexdigest()
    (tmp_path / "old.json").write_text(json.dumps({**card, "format": 1, "sha256": digest}))
    calibration = read_weights(tmp_path / "old").calibration
    assert calibration.presence is None
    assert (calibration.shared == 0.25).all()


def test_checkpoints():
    state = TrainingState.load(DATA / "checkpoint_format_1")
    assert (state.step, state.config.steps, len(state.networks)) == (0, 3, 2)
    fresh = TrainingState(state.config)
    for read, made in zip(state.averages, fresh.averages, strict=True):
        assert read.state_dict().keys() == made.state_dict().keys()
        assert all(torch.isfinite(value).all() for value in read.state_dict().values())


def test_pairs(tmp_path):
    # A copy: a set in use may be written on.
    folder = shutil.copytree(DATA / "pairs_format_1", tmp_path / "pairs")
    pairs = StoredPairs(folder)
    pairs.verify()
    assert (len(pairs), pairs.bands) == (3, BANDS)
    batch = pairs.batch(range(3))
    assert batch["flux"].shape == batch["inverse_variance"].shape == (3, 2, 8, 8)
    assert batch["truth"].shape == batch["truth_at_psf"].shape == (3, 9, 8, 8)
    assert batch["number"].tolist() == batch["galaxy"].tolist() == [0, 1, 2]
    np.testing.assert_allclose(batch["redshift"], 0.05, rtol=1e-6)
    assert (batch["truth"][:, 0] > 0).all()
    table = read_light_table(folder / "light_table.h5")
    assert table.bands == BANDS
    assert table.redshifts.tolist() == [0.05]


def test_recipes():
    recipe = Recipe.from_json((DATA / "recipe_format_1.json").read_text())
    assert recipe.training.steps == 4
    first, second = recipe.pairs
    assert first.resolved_survey().pixel_scale_range == (0.2, 0.8)
    assert first.resolved_settings()["apparent_radius"] == (2.0, 25.0)
    assert (second.resolved_bands(), second.grid) == (("decam2014-g", "decam2014-r"), "bagpipes")
    assert (recipe.pair_seed, recipe.first_pair) == (20261126, 100000)
    assert recipe.calibration[0].share == 1.0
    assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))).pairs[0] == first.__class__(
        **{**vars(first), "bands": first.resolved_bands()}
    )


def test_grids():
    grid = SSPGrid.from_file(DATA / "grid_format_1.fits")
    assert (grid.name, grid.ages.tolist()) == ("sample", [1e7, 1e10])
    np.testing.assert_array_equal(grid.luminosity, np.arange(1.0, 25.0).reshape(2, 2, 6))
    np.testing.assert_array_equal(grid.surviving_fraction, [[0.9, 0.6], [0.8, 0.5]])
    assert grid.provenance["source"] == "made up"


def test_libraries():
    library = ModelLibrary.read(DATA / "library_format_1.fits")
    assert (library.bands, library.redshift, library.n_models) == (BANDS, 0.05, 3)
    np.testing.assert_array_equal(library.fluxes, [[1, 2], [2, 4], [3, 6]])
    np.testing.assert_array_equal(library.properties["stellar_age"], [3, 4, 5])
    np.testing.assert_array_equal(library.parameters["attenuation"], [1, 2, 3])
    assert library.meta["grid"] == "sample"
