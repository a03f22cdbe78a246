"""The examples of these pages run in a folder of the files that they read."""

import shutil

import pytest
from example_files import example_files


@pytest.fixture(scope="session")
def example_folder(tmp_path_factory):
    """Return a folder of the files that the pages name."""
    return example_files(tmp_path_factory)


@pytest.fixture(autouse=True)
def _in_folder_of_files(example_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(shutil.copytree(example_folder, tmp_path, dirs_exist_ok=True))
