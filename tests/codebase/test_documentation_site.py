"""The site that Sphinx builds from README and docs/: whole, strict, and alone."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.codebase.test_documentation import PAGES, ROOT

pytestmark = [
    pytest.mark.exhaustive,
    pytest.mark.skipif(
        importlib.util.find_spec("sphinx") is None,
        reason="needs the extra `docs` of pyproject.toml",
    ),
]


def build(source: Path, site: Path) -> subprocess.CompletedProcess[str]:
    """Build the site with the command of docs/develop/releases.md, but for where things are."""
    return subprocess.run(
        [sys.executable, "-m", "sphinx", "-W", "-q", "-c", source / "docs", source, site],
        check=False,
        capture_output=True,
        text=True,
    )


def test_the_site_has_every_page_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    built = build(ROOT, tmp_path)
    assert (built.returncode, built.stderr) == (0, "")
    assert (tmp_path / "index.html").is_file()
    for name in PAGES:
        html = tmp_path / Path(name).with_suffix(".html")
        assert html.is_file(), name
        text = html.read_text("utf-8")
        # Links may lead elsewhere; what is fetched to show the page may not.
        fetched = re.findall(r"<(?:link|script|img|iframe)\b[^>]*\b(?:href|src)=\"([^\"]+)", text)
        assert [one for one in fetched if re.match(r"(?:https?:)?//", one)] == []
    styles = [one.read_text("utf-8") for one in tmp_path.rglob("*.css")]
    assert not any(re.search(r"url\([\"']?(?:https?:)?//", style) for style in styles)
    # The margin leads to every page from every page.
    front = (tmp_path / "index.html").read_text("utf-8")
    in_margin = set(re.findall(r'<li class="toctree-l1[^"]*"><a [^>]*href="([^"#]+)', front))
    assert {str(Path(name).with_suffix(".html")) for name in PAGES} - in_margin == {"README.html"}


@pytest.mark.parametrize("link", ["docs/no-such-page.md", "#no-such-heading"])
def test_a_link_that_leads_nowhere_fails_the_build(link: str, tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    shutil.copy(ROOT / "docs/conf.py", tmp_path / "docs")
    for name in ("CHANGELOG", "CONTRIBUTING", "SECURITY", "docs/README", "docs/README.nl"):
        (tmp_path / f"{name}.md").write_text("# A page\n", "utf-8")
    for folder in ("tutorial", "how-to", "reference", "explanation", "develop"):
        (tmp_path / "docs" / folder).mkdir()
        (tmp_path / "docs" / folder / "page.md").write_text("# A page\n", "utf-8")
    readme = tmp_path / "README.md"
    readme.write_text("# The front\n\n[Well](docs/how-to/page.md)\n", "utf-8")
    assert build(tmp_path, tmp_path / "site").returncode == 0
    readme.write_text(f"# The front\n\n[Bad]({link})\n", "utf-8")
    built = build(tmp_path, tmp_path / "site")
    assert built.returncode == 1
    assert link.strip("#") in built.stderr
