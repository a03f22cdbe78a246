"""Sphinx configuration; the shared settings are those of sphinx-astropy."""

import os
import sys
from importlib.metadata import version as installed_version
from pathlib import Path

from sphinx_astropy.conf.v3 import *  # noqa: F403
from sphinx_astropy.conf.v3 import exclude_patterns, extensions

import picasssso

project = "picasssso"
author = "picasssso developers"
copyright = f"2026, {author}"
release = installed_version(project)
version = release

html_title = project
html_static_path = ["_static"]
exclude_patterns += ["_build", "api/README*", "examples", "gallery/*.py", "gallery/*.ipynb"]
# Configuration templates and a changelog linked to an issue tracker are not used here, and the
# check of static folders looks for them below the current directory.
for unused in ("generate_config", "changelog_links", "missing_static"):
    extensions.remove(f"sphinx_astropy.ext.{unused}")

# The gallery: every file examples/plot_*.py is run, and fails the build if it fails. The examples
# read small files that stand for a survey's, which the writers of the tests make.
extensions.append("sphinx_gallery.gen_gallery")
DOCS = Path(__file__).resolve().parent
sys.path[:0] = [str(DOCS / "examples"), str(DOCS.parent / "tests" / "plugins")]
sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "gallery",
    "ignore_pattern": r"stand_ins",
    "within_subsection_order": "FileNameSortKey",
    "remove_config_comments": True,
    "ignore_repr_types": r"matplotlib\.",
    "show_memory": False,
    "show_signature": False,
    "download_all_examples": False,
    "min_reported_time": 10,
}

# What the next release brings, from the fragments that towncrier will make CHANGES.rst of.
with (DOCS / "_unreleased.inc").open("w", encoding="utf-8") as unreleased:
    unreleased.write("Next release\n============\n")
    fragments = DOCS.parent / "changes"
    kinds = {
        "feature": "New",
        "change": "Changed",
        "rename": "Renamed or removed",
        "bugfix": "Fixed",
    }
    for kind, title in kinds.items():
        unreleased.write(f"\n{title}\n{'-' * len(title)}\n\n")
        for fragment in sorted(fragments.glob(f"*.{kind}.rst")):
            lines = fragment.read_text(encoding="utf-8").strip().splitlines()
            unreleased.write("- " + "\n  ".join(lines) + "\n")

# Links into other packages' documentation need the network: on request only, so that the
# documentation builds, without a warning, where there is none.
if not os.environ.get("PICASSSO_DOCS_ONLINE"):
    intersphinx_mapping = {}

# A reference into this package that leads nowhere is an error; one that leads outside is
# resolved by intersphinx or left as plain text.
nitpicky = True
nitpick_ignore_regex = [
    # Bases of no use alone, and what Python's own docstrings of a mapping say.
    (
        r"py:class",
        r"picasssso\.(sps\.distributions\.Distribution|maps\.planes\.MapPlanes|bands\.stack\.BandStack)",
    ),
    (r"py:class", r"(D\[k\]|an? ).*"),
    (r"py:.*", r"(?!picasssso)[A-Za-z_]\w*(\..*)?"),
]

# Docstrings state types with shapes and units, which annotations do not.
autodoc_typehints = "none"
numpydoc_xref_param_type = False
# graphviz is not a Python package.
automodapi_inheritance_diagram = False
automodsumm_inherited_members = False
# Pages are made from docstrings; a module's own listing of members is not wanted twice.
numpydoc_show_class_members = False
autoclass_content = "class"


def resolve_public_name(app, env, node, contnode):
    """Lead ``picasssso.BandImages`` to where it is documented, ``picasssso.bands.BandImages``."""
    package, _, rest = node["reftarget"].partition(".")
    name = rest.partition(".")[0]
    if node.get("refdomain") != "py" or package != "picasssso" or name not in picasssso._LAZY:
        return None
    target = f"{picasssso._LAZY[name]}.{rest}"
    domain = env.domains["py"]
    return domain.resolve_xref(
        env, node["refdoc"], app.builder, node["reftype"], target, node, contnode
    )


def setup(app):
    app.connect("missing-reference", resolve_public_name)
