"""Configurations that cannot be used: one error of picasssso, and nothing written elsewhere."""

import copy
import random
from pathlib import Path

import pytest

from picasssso.evaluation.experiments.configuration import load_configuration, parse_configuration
from picasssso.evaluation.real.samples import is_real, load_real_configuration
from picasssso.evaluation.toml import check_name, read_toml
from picasssso.exceptions import FileFormatError, InvalidInputError, PicassssoError

FOLDER = Path(__file__).parents[2] / "benchmarks" / "experiments"
CONTENT = {
    "estimators": {"ml": {"label": "M/L", "name": "mass_to_light"}},
    "experiments": [{"id": "b", "title": "The same images", "estimators": ["ml"]}],
}


def said(function, *args, **keywords):
    """Return the message of picasssso's own error; any other error ends the test."""
    try:
        function(*args, **keywords)
    except PicassssoError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("name", ["../x", "a/b", "..", ".hidden", "", "a" * 81, "a\nb", 3])
def test_names_that_would_write_elsewhere_are_refused(name):
    with pytest.raises(InvalidInputError, match="cannot be used in names of files"):
        check_name("The key", name)
    content = copy.deepcopy(CONTENT)
    content["experiments"][0]["id"] = name
    with pytest.raises(InvalidInputError, match="experiment's id"):
        parse_configuration(content)
    if isinstance(name, str):
        content = copy.deepcopy(CONTENT)
        content["estimators"] = {name: content["estimators"]["ml"]}
        content["experiments"][0]["estimators"] = [name]
        with pytest.raises(InvalidInputError, match="estimator's key"):
            parse_configuration(content)


def test_names_of_real_galaxies_stay_in_the_folder_too(tmp_path):
    path = tmp_path / "real.toml"
    estimator = '[estimators.ml]\nname = "mass_to_light"\n'
    path.write_text(f'kind = "real"\n{estimator}[[fields]]\nid = "../../x"\n')
    with pytest.raises(InvalidInputError, match=r"The id of \[\[fields\]\] '\.\./\.\./x'"):
        load_real_configuration(path)
    path.write_text('kind = "real"\n[estimators."../ml"]\nname = "mass_to_light"\n')
    with pytest.raises(InvalidInputError, match="estimator's key"):
        load_real_configuration(path)


def test_what_is_no_file_in_toml_is_refused(tmp_path):
    with pytest.raises(FileFormatError, match=r"no configuration|not a configuration"):
        read_toml(tmp_path / "none.toml")
    for path in (tmp_path, Path("/dev/zero")):
        with pytest.raises(FileFormatError, match="is not a configuration"):
            read_toml(path)
    (tmp_path / "deep.toml").write_text("a = " + "[" * 100_000)
    with pytest.raises(FileFormatError, match="not valid TOML"):
        read_toml(tmp_path / "deep.toml")


@pytest.mark.parametrize(
    "change",
    [
        {"estimators": 3},
        {"estimators": {"ml": "x"}},
        {"experiments": "b"},
        {"experiments": [{"id": "b", "title": 1, "estimators": 3}]},
        {"common": []},
        {"common": {"source": 1}},
        {"settings": {"radial_edges": "wide"}},
        {"small": {"settings": 2}},
        {"bins": {"age": {"a": 1}}},
    ],
)
def test_values_of_a_wrong_kind_are_an_error_of_picasssso(change):
    message = said(parse_configuration, {**copy.deepcopy(CONTENT), **change}, small=True)
    # Bins and radii are no more than numbers here: what is wrong only measuring can tell.
    assert message or change.keys() <= {"settings", "bins"}
    assert len(message) <= 600


@pytest.mark.no_cover
@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.toml")), ids=lambda path: path.stem)
def test_damaged_files_give_no_foreign_error(path, tmp_path):
    whole, rng = path.read_bytes(), random.Random(path.name)
    damaged = tmp_path / "damaged.toml"
    load = load_real_configuration if is_real(path) else load_configuration
    for _ in range(60):
        content = bytearray(whole)
        for _ in range(rng.choice((1, 2, 8))):
            content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        damaged.write_bytes(content[: rng.choice((len(content), len(content) // 2))])
        assert len(said(load, damaged)) <= 600
