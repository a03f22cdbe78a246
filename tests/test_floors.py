"""The floors of the package: the contract of imports holds, and what breaks it is found."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("importlinter", reason="needs import-linter, which the extra 'test' brings")

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def copy(tmp_path):
    """A copy of the package's modules and of the contract, to be broken."""
    shutil.copytree(
        ROOT / "picasssso",
        tmp_path / "picasssso",
        ignore=lambda folder, names: {
            name for name in names if Path(folder, name).is_file() and not name.endswith(".py")
        },
    )
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def lint(folder):
    command = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    return subprocess.run(
        [sys.executable, "-c", command, "--no-cache"],
        cwd=folder,
        env={**os.environ, "COLUMNS": "200", "NO_COLOR": "1", "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        encoding="utf-8",
    )


def test_imports_only_point_down(copy):
    found = lint(copy)
    assert found.returncode == 0, found.stdout + found.stderr
    assert "2 kept, 0 broken" in found.stdout


IN_A_FUNCTION = "\n\ndef _up():\n    import {}\n"
FOR_TYPES = "\n\nfrom typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n    import {}\n"


@pytest.mark.parametrize(
    ("module", "form", "imported"),
    [
        ("_core.records", "\nimport {}\n", "picasssso.bands"),
        ("maps.tables", IN_A_FUNCTION, "picasssso.estimators.base"),
        ("mocks.age_bins", FOR_TYPES, "picasssso.estimators.context"),
        ("io.generic", IN_A_FUNCTION, "picasssso.maps.files"),
        ("networks.heads", FOR_TYPES, "picasssso.pairs.source"),
        ("networks.inputs", IN_A_FUNCTION, "astropy"),
        ("mocks.light", IN_A_FUNCTION, "picasssso.networks.inputs"),
        # By way of the package itself, which knows everything.
        ("bands.noise", IN_A_FUNCTION, "picasssso"),
    ],
)
def test_an_import_that_points_up_is_found(copy, module, form, imported):
    path = copy.joinpath("picasssso", *module.split(".")).with_suffix(".py")
    path.write_text(path.read_text() + form.format(imported))
    found = lint(copy)
    assert found.returncode == 1, found.stdout + found.stderr
    assert "BROKEN" in found.stdout
    assert f"picasssso.{module} -> {imported}" in found.stdout


def test_a_new_room_needs_a_floor(copy):
    (copy / "picasssso" / "attic").mkdir()
    (copy / "picasssso" / "attic" / "__init__.py").write_text('"""Things."""\n')
    found = lint(copy)
    assert found.returncode == 1, found.stdout + found.stderr
    assert "attic" in found.stdout
