"""The package as a whole: what importing it costs, what is public, what it asks for."""

import configparser
import importlib
import importlib.metadata
import importlib.resources
import json
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

import picasssso

ROOT = Path(__file__).resolve().parents[1]

# What must not be imported before it is needed: slow, large, or both.
HEAVY = (
    "torch",
    "matplotlib",
    "photutils",
    "reproject",
    "speclite",
    "specutils",
    "pst",
    "scipy",
    "astropy.cosmology",
)


def _modules_after(statements, tmp_path):
    """Names of the modules loaded in a fresh interpreter after each of some statements."""
    # Outside the checkout, so that an installed package is the one that is imported.
    paths = [p for p in sys.path if p]
    code = [f"import json, sys; sys.path[:] = {paths!r}"]
    for statement in statements:
        code += [statement, "print(json.dumps(sorted(sys.modules)))"]
    result = subprocess.run(
        [sys.executable, "-c", "\n".join(code)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    return [set(json.loads(line)) for line in result.stdout.splitlines()]


def _heavy_among(modules):
    return sorted(
        heavy
        for heavy in HEAVY
        if any(name == heavy or name.startswith(f"{heavy}.") for name in modules)
    )


def test_import_is_light(tmp_path):
    """Each of these, after all before it."""
    statements = [
        "import picasssso",
        "import picasssso; picasssso.list_estimators()",
        "from picasssso import BandImages, PropertyMaps, PropertyMapEstimator",
        "from picasssso import MassToLightEstimator; MassToLightEstimator()",
        "from picasssso import SEDFitEstimator; SEDFitEstimator()",
        "import picasssso.cli",
    ]
    (baseline,) = _modules_after(["import astropy.nddata, astropy.wcs"], tmp_path)
    loaded = _modules_after(statements, tmp_path)
    for statement, modules in zip(statements, loaded, strict=True):
        assert any(name.startswith("picasssso") for name in modules)
        assert _heavy_among(modules - baseline) == [], statement


def test_heavy_module_would_be_noticed(tmp_path):
    (modules,) = _modules_after(["import scipy.special"], tmp_path)
    assert _heavy_among(modules) == ["scipy"]


def test_public_names_resolve():
    assert picasssso.__all__ == sorted(picasssso.__all__, key=_all_order)
    for name in picasssso.__all__:
        assert getattr(picasssso, name) is not None
        assert name in dir(picasssso)


def _all_order(name):
    """Constants, classes, the rest: the order in which the linter keeps ``__all__``."""
    return (not name.isupper(), not name[0].isupper(), name)


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'BandImage'"):
        picasssso.BandImage  # noqa: B018


def test_version():
    try:
        importlib.metadata.version("picasssso")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("picasssso is used from a source tree that was never installed")
    assert Version(picasssso.__version__) >= Version("0.1.dev0")


def test_console_script():
    scripts = importlib.metadata.entry_points(group="console_scripts", name="picasssso")
    if not scripts:
        pytest.skip("picasssso is used from a source tree that was never installed")
    assert callable(next(iter(scripts)).load())


def test_package_data_is_installed():
    package = importlib.resources.files("picasssso")
    assert (package / "py.typed").is_file()
    tracked = {path.name for path in (ROOT / "picasssso" / "data").glob("*.gz")}
    installed = {entry.name for entry in (package / "data").iterdir()}
    assert tracked
    assert tracked <= installed


# ---- what is public ---------------------------------------------------------------------


def _documented_modules():
    text = (ROOT / "docs" / "api.rst").read_text()
    return re.findall(r"^\.\. automodapi:: (\S+)$", text, flags=re.MULTILINE)


@pytest.mark.parametrize("module_name", ["picasssso", *_documented_modules()])
def test_public_module_says_what_is_public(module_name):
    module = importlib.import_module(module_name)
    assert module.__doc__, f"{module_name} has no docstring"
    assert module.__all__, f"{module_name} has no __all__"
    missing = [name for name in module.__all__ if not hasattr(module, name)]
    assert missing == []


def test_public_names_are_few():
    names = {
        name
        for module_name in _documented_modules()
        for name in importlib.import_module(module_name).__all__
    }
    assert 70 < len(names) <= 81


def test_public_names_are_documented():
    documented = {}
    for module_name in _documented_modules():
        module = importlib.import_module(module_name)
        documented |= {id(getattr(module, name)): name for name in module.__all__}
    text = (ROOT / "docs" / "api.rst").read_text()
    for name in set(picasssso.__all__) - {"__version__"}:
        assert id(getattr(picasssso, name)) in documented, f"{name} is not documented"
        assert re.search(rf"`~picasssso\.[\w.]*\b{name}`", text), f"{name} is not listed"


def test_public_modules_are_documented():
    own_page = {"cli", "demo"}  # docs/command.rst
    without_names = {"networks"}
    documented = set(_documented_modules())
    for module in pkgutil.iter_modules(picasssso.__path__):
        if not module.name.startswith("_") and module.name not in own_page | without_names:
            assert f"picasssso.{module.name}" in documented


def test_documentation_pages_are_all_linked():
    # Details are linked from the page of results.
    lists = "".join((ROOT / "docs" / f"{name}.rst").read_text() for name in ("index", "results"))
    entries = set(re.findall(r"^   ([\w/]+)$", lists, flags=re.MULTILINE))
    pages = {path.stem for path in (ROOT / "docs").glob("*.rst")}
    # The last is written by the build.
    pages -= {"index", "sg_execution_times"}
    assert pages <= entries


# ---- what it asks for --------------------------------------------------------------------


def _setup_cfg():
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    return parser


def _requirements(lines):
    return [Requirement(line) for line in lines.split("\n") if line and not line.startswith("#")]


def _pins(file_name):
    requirements = _requirements((ROOT / file_name).read_text())
    return {r.name.lower(): next(iter(r.specifier)).version for r in requirements}


def test_oldest_constraints_are_the_lower_bounds():
    options = _setup_cfg()
    requirements = _requirements(options["options"]["install_requires"])
    requirements += _requirements(options["options.extras_require"]["test"])
    oldest, tested = _pins("constraints-oldest.txt"), _pins("constraints.txt")
    for requirement in requirements:
        (bound,) = (s.version for s in requirement.specifier if s.operator == ">=")
        if requirement.name == "torch":
            assert oldest["torch"] == tested["torch"]
        else:
            # A pin may add the patch release: 1.26 is tested as 1.26.4.
            pin = Version(oldest[requirement.name])
            assert pin.release[: len(Version(bound).release)] == Version(bound).release


def test_every_dependency_has_a_tested_version():
    options = _setup_cfg()
    tested = _pins("constraints.txt")
    for requirement in _requirements(options["options"]["install_requires"]):
        assert requirement.specifier.contains(tested[requirement.name])


# ---- what it must not contain ------------------------------------------------------------


def _text_files():
    folders = ("picasssso", "docs", "tests", "benchmarks", "tools")
    suffixes = {".py", ".rst", ".cfg", ".toml", ".ini", ".txt", ".cff", ".json", ".md"}
    files = [path for path in ROOT.iterdir() if path.suffix in suffixes]
    for folder in folders:
        built = {ROOT / "docs" / name for name in ("_build", "api", "gallery")}
        files += [
            path
            for path in (ROOT / folder).rglob("*")
            if path.suffix in suffixes and not built.intersection(path.parents)
        ]
    return files


def test_no_path_of_one_machine():
    folders = "|".join(("work", "farm", "home", "root", "opt", "tmp/[a-z]"))
    pattern = re.compile(rf"(?<![\w.~}}\])])/({folders})/")
    found = [str(path) for path in _text_files() if pattern.search(path.read_text())]
    assert found == []


def test_package_does_not_refer_to_developers_data():
    pattern = re.compile(r"\bshared/(data|sps|reference|design)")
    package = [path for path in _text_files() if ROOT / "picasssso" in path.parents]
    assert package
    assert [str(path) for path in package if pattern.search(path.read_text())] == []
