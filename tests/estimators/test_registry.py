"""Estimators are found by name, and a plugin can break nothing but itself."""

import subprocess
import sys
import textwrap
import warnings

import pytest

import picasssso
from picasssso.estimators import registry
from picasssso.exceptions import InvalidInputError, PicassssoWarning


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install make-believe distributions, found through real entry points."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def _install(distribution, entries, **modules):
        info = tmp_path / f"{distribution}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n"
        )
        lines = [f"{name} = {value}" for name, value in entries.items()]
        (info / "entry_points.txt").write_text("\n".join(["[picasssso.estimators]", *lines, ""]))
        for module, text in modules.items():
            (tmp_path / f"{module}.py").write_text(textwrap.dedent(text))
        vars(registry.REGISTRY).pop("plugins", None)
        return tmp_path

    yield _install
    vars(registry.REGISTRY).pop("plugins", None)


THIRD_PARTY = """
    from toy_estimators import ConstantRatio

    class Third(ConstantRatio):
        pass
"""


def test_plugin_is_found_and_works(install):
    install("third_party", {"third": "third_party:Third"}, third_party=THIRD_PARTY)
    assert "third" in picasssso.list_estimators()
    estimator = picasssso.get_estimator("third")()
    from picasssso.testing.contract import CHECKS
    from picasssso.testing.galaxy import SDSS_BANDS

    for name in ("parameters", "wcs_shape_units", "slicing"):
        CHECKS[name](estimator, bands=SDSS_BANDS, redshift=0.05)


def test_listing_imports_no_plugin(install):
    install("third_party", {"third": "third_party:Third"}, third_party=THIRD_PARTY)
    sys.modules.pop("third_party", None)
    assert "third" in picasssso.list_estimators()
    assert "third_party" not in sys.modules


def test_broken_plugin_only_warns(install):
    install("broken_party", {"broken": "broken_party:Broken"}, broken_party="import nothing_here")
    with pytest.warns(PicassssoWarning, match="'broken'.*cannot be imported.*nothing_here"):
        found = dict(registry.iterate_estimators())
    assert "mass_to_light" in found
    assert "broken" not in found
    with (
        pytest.warns(PicassssoWarning),
        pytest.raises(InvalidInputError, match="repair or uninstall"),
    ):
        picasssso.get_estimator("broken")


def test_plugin_with_a_taken_name_is_ignored(install):
    install("greedy_party", {"mass_to_light": "greedy_party:Mine"}, greedy_party="Mine = None")
    with pytest.warns(PicassssoWarning, match="greedy_party:Mine.*taken by.*mass_to_light:Mass"):
        names = picasssso.list_estimators()
    assert names.count("mass_to_light") == 1
    assert picasssso.get_estimator("mass_to_light").__module__.startswith("picasssso.")


def test_second_plugin_of_a_name_is_ignored(install):
    install("party_a", {"same": "party_a:A"}, party_a="A = None")
    install("party_b", {"same": "party_b:B"}, party_b="B = None")
    with pytest.warns(PicassssoWarning, match="party_b:B.*taken by party_a:A"):
        assert picasssso.list_estimators().count("same") == 1


def test_plugin_that_is_no_estimator(install):
    install("wrong_party", {"wrong": "wrong_party:number"}, wrong_party="number = 3")
    with pytest.raises(InvalidInputError, match="expected a subclass"):
        picasssso.get_estimator("wrong")
    with pytest.warns(PicassssoWarning, match="expected a subclass"):
        assert "wrong" not in dict(registry.iterate_estimators())


def test_unknown_name_lists_what_is_installed():
    with pytest.raises(InvalidInputError, match=r"'magic': installed are .*mass_to_light"):
        picasssso.get_estimator("magic")


def test_every_built_in_can_be_loaded():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in registry.REGISTRY.built_in:
            estimator = picasssso.get_estimator(name)
            assert estimator.__doc__


def test_listing_imports_nothing_heavy():
    code = (
        "import sys, picasssso; picasssso.list_estimators(); "
        "heavy = {'torch', 'matplotlib', 'photutils', 'speclite'} & set(sys.modules); "
        "sys.exit(str(heavy) if heavy else 0)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
