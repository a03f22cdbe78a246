"""The floors of the package: the contract of imports holds, and what breaks it is found.

Nothing imports itself by way of others, neither files nor folders, for types neither.
"""

import os
import re
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


#: All at once, as the contract is checked in a process of its own: module, how, what it imports.
UPWARDS = [
    ("_core.metadata", "\nimport {}\n", "picasssso.bands"),
    ("maps.profiles", IN_A_FUNCTION, "picasssso.estimators.base"),
    ("mocks.age_bins", FOR_TYPES, "picasssso.estimators.context"),
    ("io.generic", IN_A_FUNCTION, "picasssso.maps.map_files"),
    ("networks.heads", FOR_TYPES, "picasssso.pairs.source"),
    ("networks.inputs", IN_A_FUNCTION, "astropy"),
    ("mocks.light", IN_A_FUNCTION, "picasssso.networks.inputs"),
    # By way of the package itself, which knows everything.
    ("bands.noise_scaling", IN_A_FUNCTION, "picasssso"),
]


def test_imports_that_point_up_are_found(copy):
    for module, form, imported in UPWARDS:
        path = copy.joinpath("picasssso", *module.split(".")).with_suffix(".py")
        path.write_text(path.read_text() + form.format(imported))
    found = lint(copy)
    assert found.returncode == 1, found.stdout + found.stderr
    assert "0 kept, 2 broken" in found.stdout
    for module, _, imported in UPWARDS:
        assert re.search(rf"picasssso\.{re.escape(module)} -> {imported} ", found.stdout), module


def test_a_new_room_needs_a_floor(copy):
    (copy / "picasssso" / "attic").mkdir()
    (copy / "picasssso" / "attic" / "__init__.py").write_text('"""Things."""\n')
    found = lint(copy)
    assert found.returncode == 1, found.stdout + found.stderr
    assert "attic" in found.stdout


def cycles(imports):
    """Return the groups of modules that import each other, by way of others too."""
    import networkx

    graph = networkx.DiGraph((one, other) for one, found in imports.items() for other in found)
    return [group for group in networkx.strongly_connected_components(graph) if len(group) > 1]


def imports_between(graph, rooms):
    """Return which of some files or folders import which others, within functions too."""
    found = {room: set() for room in rooms}
    for module in graph.modules:
        here = {room for room in rooms if f"{module}.".startswith(f"{room}.")}
        for imported in graph.find_modules_directly_imported_by(module) if here else ():
            there = {room for room in rooms if f"{imported}.".startswith(f"{room}.")}
            for room in here:
                found[room] |= there - here
    return found


@pytest.fixture(scope="module")
def graph():
    import grimp

    return grimp.build_graph("picasssso", cache_dir=None)


def test_no_file_imports_itself_by_way_of_others(graph):
    imports = {m: graph.find_modules_directly_imported_by(m) for m in graph.modules}
    assert cycles(imports) == []


def test_no_folder_imports_itself_by_way_of_others(graph):
    for folder in (module for module in graph.modules if graph.find_children(module)):
        assert cycles(imports_between(graph, graph.find_children(folder))) == [], folder


def test_cycles_are_found():
    assert cycles({"a": {"b"}, "b": {"c"}, "c": {"b", "d"}}) == [{"b", "c"}]


def test_modules_are_short():
    lines = {
        p: len(p.read_text(encoding="utf-8").splitlines()) for p in ROOT.glob("picasssso/**/*.py")
    }
    assert [str(p) for p, n in lines.items() if n > 600] == []
