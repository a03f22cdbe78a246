"""Sphinx configuration; the shared settings are those of sphinx-astropy."""

import os
from importlib.metadata import version as installed_version

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
exclude_patterns += ["_build", "api/README*"]
# Configuration templates and a changelog linked to an issue tracker are not used here, and the
# check of static folders looks for them below the current directory.
for unused in ("generate_config", "changelog_links", "missing_static"):
    extensions.remove(f"sphinx_astropy.ext.{unused}")

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
