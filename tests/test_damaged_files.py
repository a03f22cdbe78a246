"""Damaged files of every kind but FITS images: a clear error, or what can be used; never a hang.

``PICASSSSO_DAMAGED=5000`` looks at so many files instead of a few hundred.
"""

import hashlib
import json
import os
import resource
import shutil
import signal
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from damage import read_damaged

from picasssso.evaluation.experiments.configuration import load_configuration
from picasssso.exceptions import PicassssoError
from picasssso.mocks.light import read_light_table
from picasssso.networks.weights import read_weights
from picasssso.pairs import StoredPairs
from picasssso.sps import ModelLibrary, SSPGrid
from picasssso.training.recipe import Recipe
from picasssso.training.state import TrainingState

DATA = Path(__file__).parent / "data"
NUMBER = int(os.environ.get("PICASSSSO_DAMAGED", 330))

CONFIGURATION = """
[common]
count = 10
source = {kind = "mocks", seed = 2711, survey = "sdss", n_pixels = 32}

[small]
count = 2

[settings]
pixels_per_galaxy = 5

[estimators.ml]
label = "color M/L"
name = "mass_to_light"
parameters = {relation = "taylor2011"}
samples = 10
prepare = [{step = "match_psf"}]

[[experiments]]
id = "b"
title = "The same images"
estimators = ["ml"]
reference = "ml"

[[experiments.settings]]
label = "gr"
x = 2
bands = ["g", "r"]
"""


def read_pairs(folder):
    pairs = StoredPairs(folder, "train")
    if len(pairs):
        pairs.batch([0, len(pairs) - 1])
    pairs.close()
    pairs.verify()


def read_recipe(path):
    return Recipe.from_json(path.read_text(errors="replace"))


#: Kind: what is copied, which file of it is damaged, and what reads it.
KINDS = {
    "weights": ("weights_format_2.*", "weights_format_2.safetensors", read_weights),
    "weights of a right hash": (
        "weights_format_2.*", "weights_format_2.safetensors",
        lambda path: read_weights(with_hash(path)),
    ),
    "card": ("weights_format_2.*", "weights_format_2.json", read_weights),
    "checkpoint": ("checkpoint_format_1", "checkpoint_format_1", TrainingState.load),
    "index": ("pairs_format_1", "pairs.json", lambda path: read_pairs(path.parent)),
    "shard": ("pairs_format_1", "shard_00000.h5", lambda path: read_pairs(path.parent)),
    "light": ("pairs_format_1", "light_table.h5", read_light_table),
    "recipe": ("recipe_format_1.json", "recipe_format_1.json", read_recipe),
    "grid": ("grid_format_1.fits", "grid_format_1.fits", SSPGrid.from_file),
    "library": ("library_format_1.fits", "library_format_1.fits", ModelLibrary.read),
    "configuration": (None, "configuration.toml", load_configuration),
}  # fmt: skip


def with_hash(path):
    card = path.with_suffix(".json")
    content = json.loads(card.read_text())
    content["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    card.write_text(json.dumps(content))
    return path


def copied(kind, folder):
    """Return the file that is to be damaged, whole."""
    pattern, name, read = KINDS[kind]
    if pattern is None:
        (folder / name).write_text(CONFIGURATION)
        return folder / name, read
    for source in sorted(DATA.glob(pattern)):
        if source.is_dir():
            shutil.copytree(source, folder, dirs_exist_ok=True)
        else:
            shutil.copy(source, folder)
    return folder / name, read


@pytest.mark.no_cover
@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs timers of Unix")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", KINDS)
def test_damaged_files_give_the_packages_own_errors(kind, tmp_path):
    if kind in ("shard", "light") and h5py.version.hdf5_version_tuple < (2, 0, 0):
        pytest.skip(f"HDF5 {h5py.version.hdf5_version} itself crashes on damaged strings")
    path, read = copied(kind, tmp_path)
    count = NUMBER // len(KINDS)
    read(path)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    outcome = read_damaged(kind, [path], lambda paths: read(paths[0]), range(count))
    assert not outcome.foreign
    # Most damage is seen; a bit of a number in a file without checksum may not be.
    assert len(outcome.said) > 0.2 * count
    assert outcome.longest_message < 600
    assert outcome.longest[0] < 5.0
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert grown < 20 * max(outcome.size, 2**20)


@pytest.mark.parametrize(
    "changes",
    [
        {"network": {"widths": [4] * 1000, "depths": [1] * 1000}},
        {"network": {"widths": [4], "depths": [1_000_000]}},
        {"network": {"widths": [1_000_000_000], "depths": [1]}},
        {"network": {"widths": [4], "depths": [1], "n_embedded": 10**12}},
        {"network": {"widths": [4], "depths": [-1]}},
        {"network": {"widths": 4, "depths": 1}},
        {"learning_rate": "high"},
        {"members": 10**9},
    ],
)
def test_a_card_that_asks_for_too_much(changes, tmp_path):
    path, _ = copied("card", tmp_path)
    card = json.loads(path.read_text())
    card["training"].update(changes)
    if "members" in changes:
        card["members"] = changes["members"]
    path.write_text(json.dumps(card))
    start = time.thread_time()
    with pytest.raises(PicassssoError, match="does not match its model card"):
        read_weights(path)
    assert time.thread_time() - start < 2.0


@pytest.mark.parametrize("name", ["member1.head.weight", "calibration.factors"])
def test_weights_that_are_no_numbers(name, tmp_path):
    from safetensors.numpy import load_file, save_file

    path, _ = copied("weights", tmp_path)
    tensors = load_file(path)
    tensors[name].flat[0] = np.nan
    save_file(tensors, path)
    with pytest.raises(PicassssoError, match="not numbers"):
        read_weights(with_hash(path))


@pytest.mark.parametrize("kind", ["light", "shard"])
def test_a_heap_of_strings_without_an_end(kind, tmp_path):
    """HDF5 itself would read it for ever."""
    path, read = copied(kind, tmp_path)
    data = bytearray(path.read_bytes())
    start = data.find(b"GCOL")
    data[start + 16 : start + 32] = bytes(16)
    path.write_bytes(data)
    with pytest.raises(PicassssoError, match="has no end"):
        read(path)
