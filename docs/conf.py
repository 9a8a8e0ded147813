"""Sphinx's settings for a site of README and docs/: `sphinx-build -W -c docs . site`.

Nothing that the site shows or runs comes from elsewhere.
"""

import shutil
from pathlib import Path
from typing import Any

project = "repermit"
author = "the repermit authors"
language = "en"
extensions = ["myst_parser"]
root_doc = "README"
include_patterns = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "docs/**.md"]
html_theme = "furo"
html_title = "repermit"
html_copy_source = False
html_show_sphinx = False
# The anchors that GitHub makes.
myst_heading_anchors = 6

FOLDERS = {
    "tutorial": "Tutorials",
    "how-to": "How to",
    "reference": "Reference",
    "explanation": "Explanation",
    "develop": "Develop",
}
TREE = "\n```{{toctree}}\n:hidden:\n:glob:\n:caption: {caption}\n{pages}\n```\n"


def add_trees(_app: Any, name: str, source: list[str]) -> None:
    """Give README the tree of all pages, which the site's margin shows."""
    if name == root_doc:
        source[0] += TREE.format(caption="All pages", pages="docs/README\ndocs/README.nl")
        for folder, caption in FOLDERS.items():
            source[0] += TREE.format(caption=caption, pages=f"docs/{folder}/*")
        source[0] += TREE.format(caption="The project", pages="CHANGELOG\nCONTRIBUTING\nSECURITY")


def copy_index(app: Any, error: Exception | None) -> None:
    """Let the site begin with README."""
    if error is None:
        shutil.copy(Path(app.outdir) / "README.html", Path(app.outdir) / "index.html")


def setup(app: Any) -> None:
    """Sphinx calls this."""
    app.connect("source-read", add_trees)
    app.connect("build-finished", copy_index)
