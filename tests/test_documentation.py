"""Every block of code of the README and of the documentation runs, on small files.

Examples with ``>>>`` are doctests; here are blocks of Python and of the shell. A comment
``.. not run: REASON`` before a block leaves it out, and stands in the list below.
"""

import doctest
import glob
import re
import shlex
import shutil
import textwrap
from pathlib import Path

import pytest
from click.testing import CliRunner
from example_files import example_files

from picasssso._cli.estimators import make_estimator
from picasssso.cli import cli
from picasssso.data import load_example
from picasssso.training.recipe import Recipe

# What examples show is tested elsewhere.
pytestmark = [pytest.mark.newest, pytest.mark.no_cover]

ROOT = Path(__file__).parents[1]
# That of plugins is run as a package, by tests/estimators/test_plugin_page.py.
PAGES = [
    ROOT / "README.rst",
    ROOT / "CONTRIBUTING.rst",
    *(page for page in sorted((ROOT / "docs").glob("*.rst")) if page.stem != "plugins"),
]

BLOCK = re.compile(
    r"^(?:(?P<indent> *)\.\. not run: (?P<reason>.+)\n\n)?"
    r"(?P<margin> *)\.\. code-block:: (?P<language>python|console|shell|bash)\n\n"
    r"(?P<text>(?:(?P=margin) +\S.*\n|\n)+)",
    flags=re.MULTILINE,
)

#: Reason by page of what does not run: (page, reason), once for each block.
NOT_RUN = [
    ("README.rst", "``tox -e demo`` does it in an environment of its own"),
    ("CONTRIBUTING.rst", "the tests would run themselves"),
    ("evaluation.rst", "trains networks for hours"),
    ("evaluation.rst", "needs the files of Buck & Wolf (2021)"),
    ("ifu.rst", "installs a package"),
    ("install.rst", "``tox -e demo`` installs it"),
    ("real_data.rst", "asks VizieR and CDS"),
    ("real_data.rst", "needs the catalogs"),
    ("real_galaxies.rst", "needs the catalogs"),
    ("simulations.rst", "20,000 pairs are too many for a test"),
    ("stellar_grids.rst", "needs the catalogs"),
    ("survey_runs.rst", "needs the cut-outs of a survey"),
    ("survey_runs.rst", "needs a Slurm cluster"),
]


def blocks_of(page):
    """Return (language, text, reason not to run) of each block of a page."""
    found = BLOCK.finditer(page.read_text() + "\n")
    return [(m["language"], textwrap.dedent(m["text"]), m["reason"]) for m in found]


def commands_of(text):
    """Return (command, output) of each line with a prompt."""
    text = text.replace("\\\n", " ")
    parts = re.split(r"^\$ ", text, flags=re.MULTILINE)
    assert not parts[0].strip(), f"no prompt before {parts[0]!r}"
    return [part.partition("\n")[::2] for part in parts[1:]]


def run_command(line):
    """Run a line of the shell that starts with picasssso, and return what it printed."""
    words = [
        name
        for word in shlex.split(line)
        for name in (sorted(glob.glob(word)) if set("*?") & set(word) else [word])
    ]
    assert words[0] == "picasssso", f"not a command of picasssso: {line}"
    if words[1] == "demo":  # tests/test_demo.py runs it
        return ""
    result = CliRunner().invoke(cli, words[1:])
    assert result.exit_code == 0, f"{line}\n{result.output}"
    return result.stdout


@pytest.fixture(scope="session")
def example_folder(tmp_path_factory):
    """Return a folder of the files that the pages name."""
    return example_files(tmp_path_factory)


@pytest.mark.parametrize(
    "page", [page for page in PAGES if blocks_of(page)], ids=lambda page: page.stem
)
def test_blocks_run(page, example_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(shutil.copytree(example_folder, tmp_path / "here"))
    (Path.cwd() / "benchmarks").symlink_to(ROOT / "benchmarks")
    # What these pages do with the example galaxy they do with its middle as well.
    monkeypatch.setattr(
        "picasssso.data.load_example", lambda: tuple(one[32:96, 32:96] for one in load_example())
    )
    names = {}
    for language, text, reason in blocks_of(page):
        if reason:
            continue
        if language == "python":
            exec(compile(text, str(page), "exec"), names)
            continue
        for line, expected in commands_of(text):
            printed = run_command(line)
            same = doctest.OutputChecker().check_output(
                expected.rstrip() + "\n",
                printed.rstrip() + "\n",
                doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE,
            )
            assert same or not expected.strip(), f"{line} printed\n{printed}"


def test_what_does_not_run_says_why():
    found = [(page.name, reason) for page in PAGES for *_, reason in blocks_of(page) if reason]
    assert found == NOT_RUN


def test_blocks_of_other_languages_are_files_that_can_be_read(tmp_path):
    other = re.compile(r"^\.\. (?:code-block|code):: (\w+)\n\n((?: +\S.*\n|\n)+)", re.MULTILINE)
    found = {
        (page.name, language): textwrap.dedent(text)
        for page in PAGES
        for language, text in other.findall(page.read_text() + "\n")
        if language not in ("python", "console", "shell", "bash")
    }
    assert found.keys() == {("command.rst", "toml"), ("training.rst", "json")}
    parameters = tmp_path / "parameters.toml"
    parameters.write_text(found["command.rst", "toml"])
    given = {"estimator_name": "sed_fit", "options": (), "parameters_file": str(parameters)}
    assert make_estimator(given).get_params()["n_models"] == 20_000
    assert Recipe.from_json(found["training.rst", "json"]).training.members == 3


def test_no_example_is_skipped():
    for page in PAGES:
        skipped = re.findall(r"doctest-skip|doctest: *\+SKIP", page.read_text())
        assert not skipped, f"{page.name} skips {len(skipped)} examples"
